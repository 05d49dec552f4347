//! `portcullis report`: who is not quantum-safe yet, why, and what requiring it would break.
use crate::{
    args::Report,
    cbom::{self, Issue},
    colour,
    exit::Exit,
    say,
};
use portcullis_proxy::{
    config,
    ledger::{Extract, Span},
    report::{UnknownSite, adoption, merged, of_site},
};
use std::time::{SystemTime, UNIX_EPOCH};

mod bill;
mod csv;
mod page;
mod sources;
#[cfg(test)]
mod tests;
mod words;

/// Why there is no report, and what the exit code says of it.
#[derive(Debug)]
struct Refusal {
    exit: Exit,
    message: String,
}

/// Gathers, computes, prints.
pub(crate) async fn run(wish: Report, source: config::Source) -> Exit {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs() as i64);
    let span = Span {
        from: wish.since.begin(now),
        to: now + 1,
    };
    let told = match sources::extracts(&wish, &source, span).await {
        Ok(extracts) => told(&wish, &source, (extracts, now)),
        Err(refusal) => Err(refusal),
    };
    match told {
        Ok(()) => Exit::Good,
        Err(refusal) => {
            say::problem(&refusal.message);
            refusal.exit
        }
    }
}

fn told(wish: &Report, source: &config::Source, (extracts, now): (Vec<Extract>, i64)) -> Result<(), Refusal> {
    let mut extract = merged(extracts);
    // the hour that is not over ends now
    extract.to = extract.to.min(now);
    if let Some(site) = &wish.site {
        extract = of_site(extract, site)?;
    }
    if wish.cbom {
        // only of our own sites do we know the certificates
        let is_ours = wish.ledger.is_empty() && wish.from.is_empty();
        let shown = if is_ours {
            bill::shown(wish, source, now)
        } else {
            Vec::new()
        };
        say::result(&format!(
            "{:#}",
            cbom::bill(&bill::negotiated(&extract), &shown, issue(now)?)
        ));
        return Ok(());
    }
    let figures = adoption(&extract);
    match () {
        () if wish.json => say::result(&format!("{:#}", serde_json::json!(figures))),
        () if wish.csv => say::result(&csv::render(&figures)),
        () => colour::result(&page::render(&figures, wish.since)),
    }
    Ok(())
}

fn issue(at: i64) -> Result<Issue, Refusal> {
    let mut serial = [0; 16];
    match rustix::rand::getrandom(&mut serial, rustix::rand::GetRandomFlags::empty()) {
        Ok(read) if read == serial.len() => Ok(Issue { at, serial }),
        _ => Err(Refusal {
            exit: Exit::System,
            message: "the system gives no random numbers".to_owned(),
        }),
    }
}

impl From<UnknownSite> for Refusal {
    fn from(unknown: UnknownSite) -> Refusal {
        Refusal {
            exit: Exit::Usage,
            message: format!("{unknown}\n  hint: --since with a longer time looks further back"),
        }
    }
}
