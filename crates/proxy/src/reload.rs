//! The one way to another configuration: check, build, bind, swap, drain. Any error, and nothing has changed.
use crate::{
    admin::{Admin, Serving},
    clock, config,
    control::{Command, Control, notice},
    doors::Doors,
    log,
    metrics::ReloadResult,
    snapshot::{Ground, Snapshot},
    start::{StartError, half_the_files},
};
use std::time::Instant;
use tokio::sync::mpsc;

/// Reads the configuration again and switches to it.
pub(crate) async fn reload(
    control: &Control,
    doors: &mut Doors,
    admin: (&mut Serving, &mpsc::UnboundedSender<Command>),
) -> Result<(), StartError> {
    let began = Instant::now();
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

async fn switch(
    control: &Control,
    doors: &mut Doors,
    (serving, commands): (&mut Serving, &mpsc::UnboundedSender<Command>),
) -> Result<(), StartError> {
    let shared = &control.shared;
    let loaded = config::load(&control.config).map_err(StartError::Config)?;
    let old = shared.live.full();
    let ground = Ground {
        tickets: &shared.tickets,
        metrics: &shared.books.metrics,
        self_signed: control.self_signed.as_ref(),
        previous: Some(&old),
    };
    let snapshot = Snapshot::build(&loaded, &ground).map_err(StartError::Config)?;
    let access = log::open_access(&loaded.plan.log)?;
    let fresh = doors.bind(&snapshot, shared.cores())?;
    let admin = Admin::change(&old.plan, &loaded.plan, serving)?;
    // nothing can fail from here on
    if loaded.plan.workers != old.plan.workers {
        tracing::warn!("workers changes at the next start");
    }
    notice(&loaded);
    doors.close_others(shared, &snapshot).await;
    snapshot.take_over(shared, half_the_files());
    shared.books.log.switch(&loaded.plan.log, access);
    shared.live.swap(snapshot);
    doors.listen(shared, fresh);
    admin.apply(serving, shared, commands);
    Ok(())
}
