//! `cert inspect`: files, and what servers send.
use super::{args::Inspect, crl::now, failure::Failure, live, refused, show};
use crate::{exit::Exit, say};
use portcullis_certs::Inspection;
use serde_json::json;
use std::{fs, path::Path};

/// What was found in one place.
struct Looked {
    /// A file, or a server and whom it sends this to.
    at: String,
    inspection: Inspection,
}

/// Prints what each target holds.
pub(super) fn run(wish: Inspect) -> Exit {
    let mut looked = Vec::new();
    let mut exit = Exit::Good;
    for target in &wish.targets {
        match look(target) {
            Ok(found) => looked.extend(found),
            Err(failure) => exit = refused(&failure),
        }
    }
    if wish.json {
        let all: Vec<_> = looked
            .iter()
            .map(|each| show::json(&each.at, &each.inspection))
            .collect();
        say::result(&format!("{:#}", json!(all)));
    } else {
        let all: Vec<String> = looked
            .iter()
            .map(|each| show::text(&each.at, &each.inspection))
            .collect();
        if !all.is_empty() {
            say::result(&all.join("\n"));
        }
    }
    let problems = looked.iter().any(|each| !each.inspection.problems.is_empty());
    match exit {
        Exit::Good if wish.strict && problems => Exit::Unmet,
        exit => exit,
    }
}

fn look(target: &str) -> Result<Vec<Looked>, Failure> {
    let path = Path::new(target);
    let is_server = !path.exists()
        && target
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if !is_server {
        let content = fs::read(path).map_err(|error| Failure::file(path, error))?;
        let inspection = Inspection::read(&content, now()).map_err(|error| Failure::file(path, error))?;
        let at = target.to_owned();
        return Ok(vec![Looked { at, inspection }]);
    }
    let sent = live::chains(target)?;
    sent.into_iter()
        .map(|sent| {
            let at = format!("{target}, to {}", sent.to);
            let inspection =
                Inspection::of_chain(&sent.chain, now()).map_err(|error| Failure::usage(format!("{at}: {error}")))?;
            Ok(Looked { at, inspection })
        })
        .collect()
}
