//! `--key-log`: the one setting that a file cannot make.
use super::{
    Explained, Origin,
    report::{Fault, Report},
    tree::{Value, quoted},
};
use std::path::PathBuf;

/// What other programs read as well; only the word `env` makes it count here.
const VARIABLE: &str = "SSLKEYLOGFILE";

/// The file that secrets go to, and a notice that they do.
pub(super) fn read(named: &Value, environment: &[(String, String)], report: &mut Report) -> Option<PathBuf> {
    let (text, origin) = match meant(named, environment) {
        Ok(meant) => meant,
        Err(fault) => {
            report.error("", fault);
            return None;
        }
    };
    let message = format!("whoever reads {} can decrypt all traffic", quoted(&text));
    let fault = Fault::whole(named.origin.clone(), message);
    report.notice(
        "",
        fault.hint("for debugging only: leave --key-log out, and delete the file"),
    );
    report.explained.push(Explained {
        key: "key_log".to_owned(),
        value: quoted(&text),
        origin,
    });
    Some(text.into())
}

fn meant(named: &Value, environment: &[(String, String)]) -> Result<(String, Origin), Fault> {
    match named.text()? {
        "" => Err(named.whole_fault("names no file")),
        "env" => {
            let mut set = environment
                .iter()
                .filter(|(name, text)| name == VARIABLE && !text.is_empty());
            match set.next() {
                Some((_, text)) => Ok((text.clone(), Origin::Environment(VARIABLE.to_owned()))),
                None => Err(named
                    .whole_fault(format!("{VARIABLE} is not set"))
                    .hint("set it to a file, or name the file: --key-log FILE")),
            }
        }
        text => Ok((text.to_owned(), named.origin.clone())),
    }
}
