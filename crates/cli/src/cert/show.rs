//! Certificates, keys, requests and lists for people and for machines. What others typed is escaped.
use portcullis_certs::{Found, Inspection, Item, Request, RevocationList, Revoked, date};
use portcullis_tls::negotiated::Authentication;
use portcullis_wire::{Escaped, registry::Oid};
use serde_json::{Value, json};
use std::fmt::Write;

/// As many names as a screen takes; JSON has them all.
const MOST_NAMES: usize = 50;

/// All of one place, for people.
pub(super) fn text(at: &str, inspection: &Inspection) -> String {
    let mut out = format!("{}\n", escaped(at));
    let mut number = 0;
    for item in &inspection.items {
        match item {
            Item::Certificate(found) => {
                number += 1;
                certificate(&mut out, number, found);
            }
            Item::Key {
                algorithm: Some(algorithm),
            } => line(&mut out, "key", &escaped(algorithm)),
            Item::Key { algorithm: None } => line(&mut out, "key", "encrypted"),
            Item::Request(found) => request(&mut out, found),
            Item::List(found) => out.push_str(&list(found)),
            Item::Other(label) => line(&mut out, "other", &escaped(label)),
        }
    }
    if let Some(authentication) = inspection.authentication() {
        let bytes: usize = inspection.certificates().map(|found| found.facts.der_len).sum();
        let certificates = if number == 1 { "certificate" } else { "certificates" };
        let summary = format!(
            "{number} {certificates}, {bytes} bytes, authentication {}",
            word(authentication)
        );
        line(&mut out, "together", &summary);
    }
    if !inspection.problems.is_empty() {
        out.push_str("  problems\n");
    }
    for problem in &inspection.problems {
        let _ = writeln!(out, "    {problem}");
    }
    out
}

/// The same for machines.
pub(super) fn json(at: &str, inspection: &Inspection) -> Value {
    json!({
        "at": escaped(at),
        "items": inspection.items.iter().map(item).collect::<Vec<_>>(),
        "authentication": inspection.authentication().map(word),
        "problems": inspection.problems,
    })
}

/// A list of the revoked, for people.
pub(super) fn list(list: &RevocationList) -> String {
    let mut out = String::from("  revocation list\n");
    field(&mut out, "issuer", &escaped(&list.issuer));
    field(&mut out, "number", &hex(&list.number));
    let until = list.next_update.map_or_else(|| "no end".to_owned(), date);
    field(&mut out, "valid", &format!("{} to {until}", date(list.this_update)));
    field(&mut out, "signature", signature(&list.signature));
    field(&mut out, "revoked", &list.entries.len().to_string());
    for entry in &list.entries {
        let _ = writeln!(
            out,
            "      {}  {}  {}",
            entry.serial_text(),
            date(entry.since),
            reason(entry.reason)
        );
    }
    out
}

fn certificate(out: &mut String, number: usize, found: &Found) {
    let facts = &found.facts;
    let _ = writeln!(out, "  certificate {number}  {}", escaped(&facts.subject));
    let mut names: Vec<String> = found.names.iter().take(MOST_NAMES).map(|name| escaped(name)).collect();
    if found.names.len() > MOST_NAMES {
        names.push(format!("and {} more", found.names.len() - MOST_NAMES));
    }
    if !names.is_empty() {
        field(out, "names", &names.join(", "));
    }
    field(out, "issuer", &escaped(&facts.issuer));
    let level = match found.key_level {
        0 => format!("{} bits, classical", facts.key_bits),
        level => format!("NIST level {level}"),
    };
    field(out, "key", &format!("{}, {level}", facts.key_label()));
    field(out, "signature", &facts.signature);
    field(
        out,
        "valid",
        &format!("{} to {}", date(facts.not_before), date(facts.not_after)),
    );
    if !found.uses.is_empty() {
        field(out, "for", &found.uses.join(", "));
    }
    field(out, "serial", &facts.serial);
    field(out, "sha256", &found.sha256);
    field(out, "size", &format!("{} bytes", facts.der_len));
}

fn request(out: &mut String, found: &Request) {
    let _ = writeln!(out, "  request  {}", escaped(&found.subject_text));
    if !found.name_texts.is_empty() {
        let names: Vec<String> = found
            .name_texts
            .iter()
            .take(MOST_NAMES)
            .map(|name| escaped(name))
            .collect();
        field(out, "names", &names.join(", "));
    }
    field(out, "key", &format!("{}, possession proven", found.algorithm));
}

fn item(item: &Item) -> Value {
    match item {
        Item::Certificate(found) => certificate_json(found),
        Item::Key { algorithm } => json!({
            "kind": "key", "algorithm": algorithm.as_deref().map(escaped), "encrypted": algorithm.is_none(),
        }),
        Item::Request(found) => json!({
            "kind": "request", "subject": escaped(&found.subject_text), "names": all(&found.name_texts),
            "key": found.algorithm, "for": if found.for_clients { "clients" } else { "servers" },
        }),
        Item::List(found) => json!({
            "kind": "revocation_list", "issuer": escaped(&found.issuer), "number": hex(&found.number),
            "this_update": date(found.this_update), "next_update": found.next_update.map(date),
            "signature": signature(&found.signature),
            "revoked": found.entries.iter().map(|entry| json!({
                "serial": entry.serial_text(), "since": date(entry.since), "reason": reason(entry.reason),
            })).collect::<Vec<_>>(),
        }),
        Item::Other(label) => json!({ "kind": "other", "label": escaped(label) }),
    }
}

fn certificate_json(found: &Found) -> Value {
    let facts = &found.facts;
    json!({
        "kind": "certificate", "subject": escaped(&facts.subject), "issuer": escaped(&facts.issuer),
        "names": all(&found.names), "serial": facts.serial, "sha256": found.sha256,
        "not_before": date(facts.not_before), "not_after": date(facts.not_after),
        "key": facts.key_label(), "key_bits": facts.key_bits, "key_level": found.key_level,
        "signature": facts.signature, "signature_level": facts.signature_level,
        "authority": facts.is_ca, "for": found.uses, "bytes": facts.der_len,
    })
}

fn line(out: &mut String, what: &str, value: &str) {
    let _ = writeln!(out, "  {what}  {value}");
}

fn field(out: &mut String, what: &str, value: &str) {
    let _ = writeln!(out, "    {what:9} {value}");
}

fn all(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| escaped(text)).collect()
}

fn escaped(text: &str) -> String {
    Escaped(text.as_bytes()).to_string()
}

fn word(authentication: Authentication) -> &'static str {
    match authentication {
        Authentication::Pq => "pq",
        _ => "classical",
    }
}

/// A number's bytes; of none, a dash.
fn hex(bytes: &[u8]) -> String {
    match bytes {
        [] => "-".to_owned(),
        bytes => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn reason(number: u8) -> &'static str {
    let row = Revoked::REASONS.iter().find(|(known, _)| *known == number);
    row.map_or("another reason", |(_, word)| word)
}

fn signature(dotted: &str) -> &str {
    Oid::find(dotted).map_or(dotted, |row| row.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, fs, path::PathBuf};

    /// 2027-02-01, when the certificate of `disorder.pem` that was made for a day has ended.
    const NOW: i64 = 1_801_440_000;

    /// What is printed of each file stands beside it; `GOLDEN=write` writes it anew, to be read before it is kept.
    #[test]
    fn what_is_printed_is_what_the_golden_files_say() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cert/golden");
        for name in [
            "ml-dsa-chain.pem",
            "disorder.pem",
            "request.csr",
            "list.crl",
            "roots.pem",
        ] {
            let content = fs::read(folder.join(name)).unwrap();
            let inspection = Inspection::read(&content, NOW).unwrap();
            let printed = [
                ("txt", text(name, &inspection)),
                ("json", format!("{:#}\n", json(name, &inspection))),
            ];
            for (ending, printed) in printed {
                let golden = folder.join(format!("{name}.{ending}"));
                if env::var_os("GOLDEN").is_some_and(|word| word == "write") {
                    fs::write(&golden, &printed).unwrap();
                }
                assert_eq!(printed, fs::read_to_string(&golden).unwrap(), "{name}.{ending}");
            }
        }
    }

    #[test]
    fn what_others_typed_is_escaped() {
        let mut nasty = RevocationList::from_pem(include_bytes!("golden/list.crl")).unwrap();
        nasty.issuer = "CN=\u{1b}[2J<script>".to_owned();
        let printed = list(&nasty);
        assert!(printed.contains("CN=\\x1b[2J\\x3cscript\\x3e"), "{printed}");
    }
}
