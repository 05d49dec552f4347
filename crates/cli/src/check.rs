//! `portcullis check`: what a configuration comes to, without running it.
use crate::{exit::Exit, say, serve::self_signed};
use portcullis_proxy::{
    config::{self, Explained, Loaded, Problem},
    inspect,
    picture::{CertificatePicture, ListenerPicture, OriginPicture, Picture, PolicyPicture, SitePicture, TEN_SEGMENTS},
};
use serde_json::json;
use std::fmt::Write;

/// How it is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    Text,
    Json,
}

/// Whether certificates, keys and CAs are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Files {
    Read,
    Unread,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) output: Output,
    /// Each value with where it came from.
    pub(crate) explain: bool,
    /// Warnings count.
    pub(crate) strict: bool,
    pub(crate) files: Files,
}

/// Prints the picture and says whether it holds.
pub(crate) fn run(source: &config::Source, wish: Wish) -> Exit {
    let loaded = match config::load(source) {
        Ok(loaded) => loaded,
        Err(problems) => return broken(&problems, wish),
    };
    let picture = match (wish.files == Files::Read)
        .then(|| inspect(&loaded, Some(&self_signed())))
        .transpose()
    {
        Ok(snapshot) => snapshot.map(|s| s.picture()),
        Err(problems) => return broken(&problems, wish),
    };
    let warnings = loaded.notices.len() + picture.as_ref().map_or(0, |p| p.warnings.len());
    match wish.output {
        Output::Text => say::result(&text(&loaded, picture.as_ref(), wish)),
        Output::Json => say::result(&format!("{:#}", as_json(&loaded, picture.as_ref(), wish))),
    }
    if wish.strict && warnings > 0 {
        Exit::Unmet
    } else {
        Exit::Good
    }
}

fn broken(problems: &[Problem], wish: Wish) -> Exit {
    if wish.output == Output::Json {
        say::result(&format!("{:#}", json!({ "good": false, "errors": said(problems) })));
    }
    say::problem(&config::render(problems));
    Exit::Usage
}

fn said(problems: &[Problem]) -> Vec<serde_json::Value> {
    let each = problems.iter();
    each.map(
        |p| json!({ "at": p.origin.to_string(), "message": p.message, "hint": p.hint.as_deref().unwrap_or_default() }),
    )
    .collect()
}

fn as_json(loaded: &Loaded, picture: Option<&Picture>, wish: Wish) -> serde_json::Value {
    let mut all = json!({ "good": true, "notices": said(&loaded.notices) });
    if let Some(picture) = picture {
        all["listeners"] = json!(picture.listeners);
        all["sites"] = json!(picture.sites);
        all["warnings"] = json!(picture.warnings);
    }
    if wish.explain {
        let each = loaded.explained.iter();
        all["values"] = each
            .map(|e| json!({ "key": e.key, "value": e.value, "from": e.origin.to_string() }))
            .collect();
    }
    all
}

fn text(loaded: &Loaded, picture: Option<&Picture>, wish: Wish) -> String {
    let mut out = String::new();
    if wish.explain {
        explain(&mut out, &loaded.explained);
    }
    if let Some(picture) = picture {
        picture.listeners.iter().for_each(|l| listener(&mut out, l));
        picture.sites.iter().for_each(|s| site(&mut out, s));
    }
    let notices = config::render(&loaded.notices);
    let warnings = picture.map_or(&[][..], |p| &p.warnings);
    if !loaded.notices.is_empty() || !warnings.is_empty() {
        out.push_str("warnings\n");
    }
    for line in notices.lines() {
        let _ = writeln!(out, "  {line}");
    }
    for warning in warnings {
        let _ = writeln!(
            out,
            "  site \"{}\": {}\n    hint: {}",
            warning.site, warning.message, warning.hint
        );
    }
    let read = if picture.is_some() { "" } else { " (files not read)" };
    let count = loaded.notices.len() + warnings.len();
    let _ = match count {
        0 => writeln!(out, "good{read}"),
        1 => writeln!(out, "good{read}, 1 warning"),
        n => writeln!(out, "good{read}, {n} warnings"),
    };
    out
}

fn explain(out: &mut String, values: &[Explained]) {
    let width = values.iter().map(|e| e.key.len()).max().unwrap_or(0);
    let value_width = values
        .iter()
        .map(|e| e.value.len())
        .filter(|&n| n <= 48)
        .max()
        .unwrap_or(0);
    for Explained { key, value, origin } in values {
        let _ = writeln!(out, "{key:width$} = {value:value_width$}  # {origin}");
    }
    out.push('\n');
}

fn listener(out: &mut String, picture: &ListenerPicture) {
    let ListenerPicture {
        listener,
        addresses,
        mode,
        plain,
    } = picture;
    let tls = if *plain { ", plain" } else { "" };
    let _ = writeln!(out, "listener {listener}  {mode}{tls} on {}", addresses.join(", "));
}

fn site(out: &mut String, picture: &SitePicture) {
    let names = if picture.names.is_empty() {
        "every name (default)".into()
    } else {
        picture.names.join(", ")
    };
    let _ = writeln!(out, "site {}  {names}", picture.site);
    let _ = writeln!(out, "  listeners     {}", picture.listeners.join(", "));
    if !picture.alpn.is_empty() || picture.protocol != "any" {
        let alpn = if picture.alpn.is_empty() {
            "ignored".into()
        } else {
            picture.alpn.join(", ")
        };
        let _ = writeln!(out, "  protocol      {}, ALPN {alpn}", picture.protocol);
    }
    if !picture.certificates.is_empty() {
        let _ = writeln!(
            out,
            "  tls           {} (profile {})",
            picture.versions.join(", "),
            picture.profile
        );
        let _ = writeln!(out, "  groups        {}", picture.groups.join(", "));
        let _ = writeln!(
            out,
            "  policy        key_exchange {}, authentication {}",
            picture.key_exchange, picture.authentication
        );
        picture.policies.iter().for_each(|policy| demand(out, policy));
        for client in &picture.clients {
            let unmet = match client.unmet.as_slice() {
                [] => String::new(),
                some => format!(" ({})", some.join(", ")),
            };
            let _ = writeln!(out, "    {:<48} {}{unmet}", client.client, client.decision);
        }
        let _ = writeln!(out, "  client certs  {}", picture.client_auth);
    }
    let _ = writeln!(
        out,
        "  upstream      {} -> {}",
        picture.upstream,
        picture.servers.join(", ")
    );
    for tls in &picture.upstream_tls {
        towards(out, tls);
    }
    for (index, each) in picture.certificates.iter().enumerate() {
        certificate(out, index + 1, each);
    }
}

/// A policy that requires something, and whom it lets off.
fn demand(out: &mut String, policy: &PolicyPicture) {
    let manner = match (policy.report_only, policy.refuse) {
        (true, _) => ", reported only",
        (false, "page") => ", refused by a page",
        (false, _) => "",
    };
    let _ = writeln!(
        out,
        "    {} requires {}{manner}",
        policy.of,
        policy.requires.join(" and ")
    );
    for exemption in &policy.exempt {
        let whom = exemption.cidr.iter().chain(&exemption.identity).chain(&exemption.sni);
        let whom: Vec<&str> = whom.map(String::as_str).collect();
        let reason = match exemption.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let _ = writeln!(
            out,
            "      but not of {} until {}{reason}",
            whom.join(", "),
            exemption.until
        );
    }
}

fn towards(out: &mut String, picture: &OriginPicture) {
    let name = picture.server_name.as_deref().unwrap_or("the host of each address");
    let ca = picture.ca.as_deref().unwrap_or("the system's roots");
    let _ = writeln!(
        out,
        "    tls         {} as {name}, by {ca}",
        picture.versions.join(", ")
    );
    let _ = writeln!(out, "    groups      {}", picture.groups.join(", "));
    let _ = writeln!(
        out,
        "    policy      key_exchange {}, authentication {}",
        picture.key_exchange, picture.authentication
    );
    if !picture.certificates.is_empty() {
        let _ = writeln!(out, "    shows       {}", picture.certificates.join(", "));
    }
}

fn certificate(out: &mut String, number: usize, picture: &CertificatePicture) {
    // of the other kinds, the name says it
    let bits = if picture.algorithm.starts_with("RSA") {
        format!(" of {} bits", picture.bits)
    } else {
        String::new()
    };
    let chain = if picture.chain == 1 {
        "leaf only".into()
    } else {
        format!("chain of {}", picture.chain)
    };
    let _ = writeln!(
        out,
        "  certificate {number} {}  {}{bits}, {chain}, {} bytes, authentication {}",
        picture.file, picture.algorithm, picture.chain_bytes, picture.authentication
    );
    let _ = writeln!(out, "    names       {}", picture.names.join(", "));
    let _ = writeln!(out, "    ends        {}", picture.not_after);
    let _ = writeln!(out, "    serves      {}", picture.serves);
    for flight in &picture.flights {
        let fits = if flight.fits { "fits" } else { "does not fit" };
        let mut compressed = String::new();
        for (word, bytes) in &flight.compressed {
            let _ = write!(compressed, ", {bytes} with {word}");
        }
        let _ = writeln!(
            out,
            "    flight      {:>6} bytes with {}: {fits} ten segments ({TEN_SEGMENTS} bytes){compressed}",
            flight.bytes, flight.group
        );
    }
}
