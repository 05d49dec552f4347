//! `portcullis report`: who is not quantum-safe yet, why, and what requiring it would break.
use crate::{args::Report, exit::Exit, say};
use portcullis_proxy::{
    config,
    ledger::{Extract, Span},
    report::{UnknownSite, adoption, merged},
};
use std::time::{SystemTime, UNIX_EPOCH};

mod csv;
mod page;
mod sources;
mod span;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use span::Since;

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
        Ok(extracts) => told(&wish, extracts, now),
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

fn told(wish: &Report, extracts: Vec<Extract>, now: i64) -> Result<(), Refusal> {
    let extract = merged(extracts);
    let figures = adoption(extract, wish.site.as_deref())?;
    match () {
        () if wish.json => say::result(&format!("{:#}", serde_json::json!(figures))),
        () if wish.csv => say::result(&csv::render(&figures)),
        () => page::print(&page::render(&figures, wish.since)),
    }
    let _ = now;
    Ok(())
}

impl From<UnknownSite> for Refusal {
    fn from(unknown: UnknownSite) -> Refusal {
        Refusal {
            exit: Exit::Usage,
            message: format!("{unknown}\n  hint: --since with a longer time looks further back"),
        }
    }
}
