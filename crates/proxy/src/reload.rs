//! The one way to another configuration: check, build, bind, swap, drain. Any error, and nothing has changed.
//! And the one way to other files under the same configuration: what is good is taken, what is not stays as it was.
use crate::{
    admin::{Admin, Serving},
    clock,
    config::{self, Reading},
    control::{Command, Control, notice},
    core::Order,
    doors::Doors,
    key_log,
    log::Files,
    material::Broken,
    metrics::{RefreshResult, ReloadResult},
    snapshot::{Ground, Snapshot},
    start::{StartError, half_the_files},
};
use std::{sync::Arc, time::Instant};
use tokio::sync::mpsc;

/// Reads the configuration again and switches to it.
pub(crate) async fn reload(
    control: &mut Control,
    doors: &mut Doors,
    admin: (&mut Serving, &mpsc::UnboundedSender<Command>),
) -> Result<(), StartError> {
    let began = Instant::now();
    control.rejected = Arc::default();
    let result = switch(control, doors, admin).await;
    let metrics = &control.shared.books.metrics;
    match &result {
        Ok(()) => {
            metrics.reloaded(ReloadResult::Applied, clock::unix_now());
            tracing::info!(took_us = began.elapsed().as_micros() as u64, "reloaded");
        }
        Err(error) => {
            metrics.reloaded(ReloadResult::Rejected, clock::unix_now());
            tracing::error!(error = %error, "reload rejected, the old configuration runs on");
        }
    }
    result
}

/// Reads again what the configuration names, and builds what that changes. Certificates, keys and CAs that are of no
/// use stay as they were; connections, listeners and everything else go on.
pub(crate) fn refresh(control: &Control) {
    let shared = &control.shared;
    let began = Instant::now();
    let old = shared.live.full();
    let ground = Ground {
        tickets: &shared.tickets,
        metrics: &shared.books.metrics,
        self_signed: control.self_signed.as_ref(),
        key_log: key_log::of(&control.loaded.plan, &shared.books.log),
        previous: Some(&old),
        broken: Broken::Keeps(&old.kept),
    };
    let snapshot = match Snapshot::build(&control.loaded, &ground) {
        Ok(snapshot) => snapshot,
        Err(unbuilt) => {
            return tracing::error!(error = %config::render(&unbuilt.problems), "changed files not read, what runs runs on");
        }
    };
    if snapshot.kept.seen == old.kept.seen {
        return;
    }
    for failed in snapshot.kept.failed.iter().filter(|failed| failed.is_news) {
        let hint = failed.problem.hint.as_deref().unwrap_or_default();
        tracing::error!(at = %failed.problem.origin, hint, error = %failed.problem.message, "changed file is of no use, the last good one stays");
    }
    let failed = snapshot.kept.failed.len();
    let rebuilt = snapshot.rebuilt(&old);
    snapshot.take_over(shared, half_the_files());
    shared.live.swap(snapshot);
    shared.order_all(|| Order::Changed);
    let result = if failed == 0 {
        RefreshResult::Applied
    } else {
        RefreshResult::Kept
    };
    shared.books.metrics.refreshed(result);
    let took_us = began.elapsed().as_micros() as u64;
    tracing::info!(
        sites = rebuilt as u64,
        failed = failed as u64,
        took_us,
        "changed files read"
    );
}

async fn switch(
    control: &mut Control,
    doors: &mut Doors,
    (serving, commands): (&mut Serving, &mpsc::UnboundedSender<Command>),
) -> Result<(), StartError> {
    let shared = &Arc::clone(&control.shared);
    control.attempted = Reading::default();
    let loaded = config::load_noting(&control.config, &mut control.attempted).map_err(StartError::Config)?;
    let old = shared.live.full();
    let ground = Ground {
        tickets: &shared.tickets,
        metrics: &shared.books.metrics,
        self_signed: control.self_signed.as_ref(),
        key_log: key_log::of(&loaded.plan, &shared.books.log),
        previous: Some(&old),
        broken: Broken::Refuses(Some(&old.kept)),
    };
    let snapshot = Snapshot::build(&loaded, &ground).map_err(|unbuilt| {
        control.rejected = unbuilt.seen;
        StartError::Config(unbuilt.problems)
    })?;
    let files = Files::open(&loaded.plan)?;
    let fresh = doors.bind(&snapshot, shared.cores())?;
    let admin = Admin::change(&old.plan, &loaded.plan, serving)?;
    // nothing can fail from here on
    if loaded.plan.workers != old.plan.workers {
        tracing::warn!("workers changes at the next start");
    }
    notice(&loaded);
    doors.close_others(shared, &snapshot).await;
    snapshot.take_over(shared, half_the_files());
    snapshot.tell_of_worries(&shared.books.metrics);
    shared.books.log.switch(&loaded.plan.log, files);
    shared.books.ledger.switch(&loaded.plan);
    shared.live.swap(snapshot);
    shared.order_all(|| Order::Changed);
    doors.listen(shared, fresh);
    // only now does nobody come in there any more
    doors.close_idle(shared).await;
    admin.apply(serving, shared, commands);
    control.loaded = loaded;
    Ok(())
}
