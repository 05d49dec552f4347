//! `portcullis bench`: what each group, signature and cipher suite costs on this machine.
use crate::{
    colour::{self, FAINT, GOOD, HEADING, in_style},
    exit::Exit,
    say,
};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use portcullis_certs::{Algorithm, Authority, Name, RootSpec, ServerSpec};
use portcullis_probe::{
    bench::{self, HandshakeRow, Identities, Progress, RecordRow, Results, Selection},
    table,
};
use portcullis_tls::identity::Identity;
use portcullis_wire::registry::KeyKind;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// How it is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    Text,
    Json,
}

/// Certificates live as long as the measuring, and some more.
const VALID: Duration = Duration::from_secs(24 * 3600);
/// Cells of a bar.
const BAR: usize = 20;

/// Measures what these names say, or everything, for about this time.
pub(crate) fn run(only: &[String], time: Duration, output: Output) -> Exit {
    let selection = match only {
        [] => Selection::all(),
        names => match Selection::of(names.iter().map(String::as_str)) {
            Ok(selection) => selection,
            Err(error) => {
                say::problem(&format!("--only {error}"));
                return Exit::Usage;
            }
        },
    };
    match measured(&selection, time) {
        Ok(results) => {
            match output {
                Output::Text => colour::result(&text(&results)),
                Output::Json => say::result(&format!("{:#}", as_json(&results))),
            }
            Exit::Good
        }
        Err(error) => {
            say::problem(&format!("{error:#}"));
            Exit::Unmet
        }
    }
}

/// A certificate for each of these kinds of keys, issued by a root of the same kind: what `bench` and `doctor` shake
/// hands with.
pub(crate) fn identities(keys: &[KeyKind]) -> anyhow::Result<Identities> {
    let made = keys.iter().filter_map(|key| {
        // the first of a kind: RSA of 2048 bits
        let algorithm = Algorithm::ALL.into_iter().find(|it| it.key_kind() == *key)?;
        let made = identity(algorithm).with_context(|| format!("cannot make a certificate with {algorithm}"));
        Some(made.map(|identity| (*key, Arc::new(identity))))
    });
    made.collect()
}

fn identity(algorithm: Algorithm) -> anyhow::Result<Identity> {
    let root = Authority::root(&RootSpec {
        algorithm,
        name: "memory".to_owned(),
        valid: VALID,
    })?;
    let issued = root.issue_server(&ServerSpec {
        algorithm,
        names: vec!["memory.invalid".parse::<Name>()?],
        valid: VALID,
    })?;
    Ok(Identity::from_pem(
        issued.chain_pem.as_bytes(),
        issued.key_pem.as_bytes(),
    )?)
}

/// With a bar on standard error, if that is a terminal.
fn measured(selection: &Selection, time: Duration) -> anyhow::Result<Results> {
    let identities = identities(&selection.keys())?;
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}")?);
    let mut tell = |progress: Progress| {
        bar.set_length(progress.all);
        bar.set_position(progress.done);
        bar.set_message(progress.next);
    };
    let results = bench::run(selection, &identities, (time, &mut tell));
    bar.finish_and_clear();
    Ok(results?)
}

fn as_json(results: &Results) -> Value {
    let mut all = json!(results);
    all["version"] = json!(env!("CARGO_PKG_VERSION"));
    all["optimized"] = json!(!cfg!(debug_assertions));
    all["certificate"] = json!(CERTIFICATE);
    all
}

const CERTIFICATE: &str = "one leaf, issued by a root of the same algorithm";

fn text(results: &Results) -> String {
    let mut out = String::new();
    let rows = |wanted: fn(&HandshakeRow) -> bool| results.handshakes.iter().filter(move |row| wanted(row)).collect();
    let most = results
        .handshakes
        .iter()
        .chain(&results.resumption)
        .map(|row| row.per_second);
    let most = most.fold(0.0, f64::max);
    let usual = "with ecdsa_secp256r1_sha256";
    let groups: Vec<&HandshakeRow> = rows(HandshakeRow::is_of_groups);
    section(
        &mut out,
        &format!("Groups, {usual}"),
        handshakes(&groups, (most, |row| &row.group)),
    );
    let signatures: Vec<&HandshakeRow> = rows(HandshakeRow::is_of_signatures);
    section(
        &mut out,
        "Signatures, with X25519MLKEM768",
        handshakes(&signatures, (most, |row| &row.signature)),
    );
    let resumed: Vec<&HandshakeRow> = results.resumption.iter().collect();
    section(&mut out, "Resumption", handshakes(&resumed, (most, |row| &row.group)));
    section(
        &mut out,
        "Bytes on open connections, in GB/s",
        records(&results.records),
    );
    out.push_str(&in_style(FAINT, &footnote(results)));
    out.push('\n');
    out.push_str(&match &results.comparison {
        Some(comparison) => comparison.sentence.clone(),
        None => "what post-quantum costs against classical was not computed: that needs X25519, X25519MLKEM768 and \
                 mldsa65 in one run"
            .to_owned(),
    });
    out
}

fn footnote(results: &Results) -> String {
    let build = match cfg!(debug_assertions) {
        true => "; this is a debug build: a release build is faster",
        false => "",
    };
    format!(
        "one core, in memory, {:.1} s in all; handshakes/s and us are CPU time of the server's side; the certificate is \
         {CERTIFICATE}; bytes count records and tickets{build}",
        results.seconds
    )
}

fn section(out: &mut String, heading: &str, lines: Vec<Vec<String>>) {
    if lines.len() < 2 {
        return;
    }
    let mut lines = table::aligned(&lines);
    if let Some(at) = lines.find('\n') {
        lines.insert_str(at, &format!("{FAINT:#}"));
    }
    out.push_str(&format!("{}\n{FAINT}{lines}\n", in_style(HEADING, heading)));
}

fn handshakes(rows: &[&HandshakeRow], (most, name): (f64, fn(&HandshakeRow) -> &String)) -> Vec<Vec<String>> {
    let headings = ["", "handshakes/s", "server us", "client us", "bytes in", "bytes out"];
    let lines = rows.iter().map(|row| {
        let mut line = vec![
            name(row).clone(),
            format!("{:.0}", row.per_second),
            format!("{:.0}", row.server_us),
            format!("{:.0}", row.client_us),
            row.bytes_in.to_string(),
            row.bytes_out.to_string(),
        ];
        line.extend(bar(row.per_second, most));
        line
    });
    std::iter::once(headings.map(str::to_owned).to_vec())
        .chain(lines)
        .collect()
}

fn records(rows: &[RecordRow]) -> Vec<Vec<String>> {
    let most = rows.iter().map(|row| row.encrypt_gb_per_second).fold(0.0, f64::max);
    let headings = ["", "encrypt", "decrypt"];
    let lines = rows.iter().map(|row| {
        let mut line = vec![
            row.cipher.clone(),
            format!("{:>7.2}", row.encrypt_gb_per_second),
            format!("{:>7.2}", row.decrypt_gb_per_second),
        ];
        line.extend(bar(row.encrypt_gb_per_second, most));
        line
    });
    std::iter::once(headings.map(str::to_owned).to_vec())
        .chain(lines)
        .collect()
}

/// Only for people: who reads a file wants numbers.
fn bar(value: f64, most: f64) -> Option<String> {
    colour::is_terminal().then(|| in_style(GOOD, &"█".repeat(cells(value, most))))
}

/// At least one where there is anything at all.
fn cells(value: f64, most: f64) -> usize {
    let full = u32::try_from(BAR).map_or(0.0, f64::from);
    let cells = (1..=BAR).rev().find(|cells| {
        let share = u32::try_from(*cells).map_or(0.0, f64::from) / full;
        value >= share * most
    });
    cells.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share_and_never_nothing() {
        for (value, length) in [(100.0, 20), (50.0, 10), (5.0, 1), (0.1, 1)] {
            assert_eq!(cells(value, 100.0), length, "{value}");
        }
    }

    #[test]
    fn a_run_prints_each_selected_row_and_the_sentence_or_why_there_is_none() {
        let selection = Selection::of(["X25519", "X25519MLKEM768", "mldsa65", "TLS_AES_128_GCM_SHA256"]).unwrap();
        let results = measured(&selection, Duration::ZERO).unwrap();
        let said = anstream::adapter::strip_str(&text(&results)).to_string();
        let sentence = &results.comparison.as_ref().unwrap().sentence;
        assert_eq!(said.lines().last(), Some(sentence.as_str()));
        for start in [
            "Groups, with ecdsa",
            "X25519  ",
            "X25519MLKEM768  ",
            "Signatures",
            "mldsa65  ",
            "Resumption",
            "TLS_AES_128",
        ] {
            assert!(said.lines().any(|line| line.starts_with(start)), "{start} in {said}");
        }
        let json = as_json(&results);
        assert_eq!(json["records"][0]["cipher"], "TLS_AES_128_GCM_SHA256");
        assert_eq!(json["comparison"]["sentence"], sentence.as_str());

        let part = measured(&Selection::of(["mldsa44"]).unwrap(), Duration::ZERO).unwrap();
        let said = text(&part);
        assert!(
            said.contains("was not computed") && !said.contains("Resumption"),
            "{said}"
        );
        assert_eq!(as_json(&part)["comparison"], Value::Null);
    }
}
