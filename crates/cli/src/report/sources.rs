//! Where the figures come from: ledgers' files, other instances, the running proxy, or the ledger of its configuration.
use super::Refusal;
use crate::{args::Report, exit::Exit, running, say};
use hyper::StatusCode;
use portcullis_proxy::{
    config,
    ledger::{self, Extract, LedgerError, Span},
    plan::{Address, AdminPlan},
    report::is_whole,
};
use serde_json::Value;
use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
};

/// What each source says of the span.
pub(super) async fn extracts(wish: &Report, source: &config::Source, span: Span) -> Result<Vec<Extract>, Refusal> {
    if wish.ledger.is_empty() && wish.from.is_empty() {
        return Ok(vec![of_the_running_one(source, span).await?]);
    }
    let mut extracts = Vec::new();
    for file in &wish.ledger {
        extracts.push(read(file, span)?);
    }
    for word in &wish.from {
        let token_file = match &wish.token_file {
            Some(file) => Some(file.clone()),
            None => configured(source)?.and_then(|admin| admin.token_file),
        };
        let admin = instance(word, token_file).map_err(|why| Refusal {
            exit: Exit::Usage,
            message: format!(
                "--from {word}: {why}\n  hint: it takes unix:PATH or http://HOST:PORT of an admin listener"
            ),
        })?;
        extracts.push(ask(&admin, span).await?);
    }
    Ok(extracts)
}

/// The running proxy knows what is not in its file yet; where none answers, the file is what there is.
async fn of_the_running_one(source: &config::Source, span: Span) -> Result<Extract, Refusal> {
    let admin = configured(source)?;
    let unanswered = match &admin {
        None => Refusal {
            exit: Exit::Usage,
            message: "no running proxy and no ledger is known".to_owned(),
        },
        Some(admin) => match ask(admin, span).await {
            Ok(extract) => return Ok(extract),
            Err(refusal) => refusal,
        },
    };
    match ledger_of(source) {
        Some(file) => {
            say::problem(&format!("no running proxy answers: reading {}", file.display()));
            read(&file, span)
        }
        None => Err(Refusal {
            message: format!(
                "{}\n  hint: --ledger FILE reads a ledger, --from URL asks another instance, -c FILE says where both are",
                unanswered.message
            ),
            ..unanswered
        }),
    }
}

fn configured(source: &config::Source) -> Result<Option<AdminPlan>, Refusal> {
    config::admin(source).map_err(|problems| Refusal {
        exit: Exit::Usage,
        message: config::render(&problems),
    })
}

/// The ledger that the configuration names, where it names one.
fn ledger_of(source: &config::Source) -> Option<PathBuf> {
    source.file.as_ref()?;
    config::load(source).ok()?.plan.ledger.path
}

fn read(file: &Path, span: Span) -> Result<Extract, Refusal> {
    ledger::read(file, span).map_err(|error| Refusal {
        exit: match error {
            LedgerError::Locked(_) => Exit::System,
            _ => Exit::Usage,
        },
        message: error.to_string(),
    })
}

/// The admin listener of `unix:PATH`, `http://HOST:PORT` or `HOST:PORT`.
fn instance(word: &str, token_file: Option<PathBuf>) -> Result<AdminPlan, String> {
    let listen = match (word.strip_prefix("unix:"), word.split_once("://")) {
        (Some(""), _) => return Err("no path after unix:".to_owned()),
        (Some(path), _) => Address::Unix(path.into()),
        (None, Some(("http", rest))) => Address::Ip(address(rest.trim_end_matches('/'))?),
        (None, Some((scheme, _))) => return Err(format!("{scheme} is not what admin listeners speak")),
        (None, None) => Address::Ip(address(word)?),
    };
    Ok(AdminPlan {
        token_file: token_file.filter(|_| matches!(listen, Address::Ip(_))),
        listen,
        is_default: false,
    })
}

fn address(word: &str) -> Result<SocketAddr, String> {
    let mut found = word.to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| "the name has no address".to_owned())
}

/// What the instance there keeps.
async fn ask(admin: &AdminPlan, span: Span) -> Result<Extract, Refusal> {
    let refused = |why: &str| Refusal {
        exit: Exit::System,
        message: format!("{}: {why}", admin.listen),
    };
    let path = format!("/v1/ledger?from={}&to={}", span.from, span.to);
    let (status, text) = running::get(admin, &path)
        .await
        .map_err(|error| refused(&format!("{error:#}")))?;
    if status != StatusCode::OK {
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        return Err(refused(answer["error"].as_str().unwrap_or(status.as_str())));
    }
    let extract = serde_json::from_str(&text);
    let extract: Extract = extract.map_err(|error| refused(&format!("no ledger of this version came: {error}")))?;
    match is_whole(&extract) {
        true => Ok(extract),
        false => Err(refused("the ledger that came does not hold together")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_a_socket_or_an_address() {
        let token = || Some(PathBuf::from("t"));
        let of = |word: &str| instance(word, token()).map(|admin| (admin.listen.to_string(), admin.token_file));
        let ip = |text: &str| Ok((text.to_owned(), token()));
        assert_eq!(of("unix:/run/a.sock"), Ok(("unix:/run/a.sock".to_owned(), None)));
        assert_eq!(of("http://127.0.0.1:9443"), ip("127.0.0.1:9443"));
        assert_eq!(of("http://[::1]:9443/"), ip("[::1]:9443"));
        assert_eq!(of("127.0.0.1:9443"), ip("127.0.0.1:9443"));
        for wrong in [
            "unix:",
            "https://127.0.0.1:1",
            "127.0.0.1",
            "http://",
            "http://127.0.0.1:1/v1",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
