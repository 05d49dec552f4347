//! A server's certificates, versions, groups, ciphers, client certificates and sessions.
use super::{
    super::{
        draft::Part,
        names::{self, Groups},
        value::Value,
    },
    grammar::Directive,
    scope::{Scope, duration, milliseconds},
};
use portcullis_wire::registry::Cipher;
use std::path::Path;

/// A ticket lives no longer (RFC 8446 4.6.1), and neither does a session here.
const LONGEST_SESSION: u64 = 7 * 86_400_000;
/// nginx's documentation: a megabyte holds about so many sessions.
const SESSIONS_PER_MEGABYTE: u64 = 4_000;
/// The most that `tls.resumption.cache` takes.
const MOST_SESSIONS: u64 = 1_048_576;

/// Sets the keys `certificates`, `tls` and `client_auth` of a site.
pub(super) fn read(site: &mut Part, scope: &Scope<'_>, prefix: &Path) {
    certificates(site, scope, prefix);
    versions(site, scope);
    groups(site, scope);
    ciphers(site, scope);
    sessions(site, scope, prefix);
    client_auth(site, scope, prefix);
}

/// A path of nginx's, relative to its folder.
pub(super) fn path(prefix: &Path, text: &str) -> String {
    prefix.join(text).display().to_string()
}

/// Pairs in order, where they are files.
pub(super) fn pairs(part: &mut Part, chains: &[&Directive], keys: &[&Directive], prefix: &Path) -> Vec<Value> {
    let mut pairs = Vec::new();
    for (at, chain) in chains.iter().enumerate() {
        let Some(key) = keys.get(at) else {
            part.note(chain.note("it has no key"));
            continue;
        };
        let foreign = [chain, key].into_iter().find(|directive| {
            let text = directive.first();
            text.contains('$')
                || ["data:", "engine:", "store:", "none"]
                    .iter()
                    .any(|form| text.starts_with(form))
        });
        match foreign {
            Some(directive) => part.note(directive.note("certificates and keys are files, named once")),
            None => pairs.push(Value::Table(vec![
                ("chain".to_owned(), path(prefix, chain.first()).into()),
                ("key".to_owned(), path(prefix, key.first()).into()),
            ])),
        }
    }
    pairs
}

fn certificates(site: &mut Part, scope: &Scope<'_>, prefix: &Path) {
    let (chains, keys) = (scope.all("ssl_certificate"), scope.all("ssl_certificate_key"));
    let mut pairs = pairs(site, &chains, &keys, prefix);
    if let Some(file) = scope.word("ssl_password_file") {
        let file = path(prefix, file);
        pairs
            .iter_mut()
            .for_each(|pair| pair.set("passphrase_file", file.as_str().into()));
    }
    if !pairs.is_empty() {
        site.set("certificates", Value::List(pairs));
    }
}

fn versions(site: &mut Part, scope: &Scope<'_>) {
    let Some(directive) = scope.one("ssl_protocols") else {
        return;
    };
    let ours: Vec<&str> = ["1.2", "1.3"]
        .into_iter()
        .filter(|version| directive.has(&format!("TLSv{version}")))
        .collect();
    let old = directive
        .words
        .iter()
        .any(|word| !matches!(word.as_str(), "TLSv1.2" | "TLSv1.3"));
    if old {
        site.note(directive.note("1.2 and 1.3 are all there is"));
    }
    if !ours.is_empty() && ours.len() < 2 {
        site.table("tls").set("versions", Value::texts(ours));
    }
}

/// OpenSSL's own setting wins over nginx's, since nginx applies it last.
fn groups(site: &mut Part, scope: &Scope<'_>) {
    let commands = scope.all("ssl_conf_command");
    let is_groups = |directive: &&&Directive| {
        ["Groups", "Curves"]
            .iter()
            .any(|name| directive.first().eq_ignore_ascii_case(name))
    };
    let command = commands.iter().find(is_groups);
    let found = match command {
        Some(directive) => directive.words.get(1).map(|list| (*directive, list.as_str())),
        None => scope
            .one("ssl_ecdh_curve")
            .map(|directive| (directive, directive.first())),
    };
    let Some((directive, list)) = found.filter(|(_, list)| *list != "auto") else {
        return;
    };
    let Groups { offered, notes } = names::groups(list);
    for why in notes {
        site.note(directive.note(why));
    }
    if !offered.is_empty() {
        site.table("tls").set("groups", Value::texts(offered));
    }
}

fn ciphers(site: &mut Part, scope: &Scope<'_>) {
    let commands = scope.all("ssl_conf_command");
    for directive in &commands {
        let is_understood = ["Groups", "Curves", "Ciphersuites", "Options", "Protocol", "MinProtocol"];
        if !is_understood
            .iter()
            .any(|name| directive.first().eq_ignore_ascii_case(name))
        {
            site.note(directive.note("a setting of OpenSSL that has no counterpart"));
        }
    }
    let suites = commands
        .iter()
        .find(|directive| directive.first().eq_ignore_ascii_case("Ciphersuites"));
    let new = suites.and_then(|directive| Some((*directive, directive.words.get(1)?.as_str())));
    let old = scope.one("ssl_ciphers").map(|directive| (directive, directive.first()));
    let new = new.map(|found| known_ciphers(site, found));
    let old = old.and_then(|found| Some(known_ciphers(site, found)).filter(|list| !list.is_empty()));
    if scope.is_on("ssl_prefer_server_ciphers") {
        site.table("tls").set("cipher_order", "server".into());
    }
    if new.is_none() && old.is_none() {
        return;
    }
    // one list here, two there: what was not listed there stood as it usually does
    let usual = |is_new: bool| {
        Cipher::all()
            .iter()
            .filter(move |cipher| cipher.tls13 == is_new)
            .map(|cipher| cipher.name)
            .collect()
    };
    let (new, old): (Vec<&str>, Vec<&str>) = (new.unwrap_or_else(|| usual(true)), old.unwrap_or_else(|| usual(false)));
    let is_all = new.len() + old.len() == Cipher::all().len();
    if !is_all || scope.is_on("ssl_prefer_server_ciphers") {
        site.table("tls")
            .set("ciphers", Value::texts(new.into_iter().chain(old)));
    }
}

/// The suites of a list that this build has; one that describes instead of naming is told.
fn known_ciphers(site: &mut Part, (directive, list): (&Directive, &str)) -> Vec<&'static str> {
    let words: Vec<&str> = list.split([':', ',', ' ']).filter(|word| !word.is_empty()).collect();
    let known = |word: &&str| Cipher::by_name(word).ok().map(|cipher| cipher.name);
    let mut names: Vec<&str> = Vec::new();
    for name in words.iter().filter_map(known) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let others: Vec<&str> = words.iter().filter(|word| known(word).is_none()).copied().collect();
    let missing: Vec<&str> = others
        .iter()
        .filter(|word| !word.starts_with(['!', '-', '@']))
        .copied()
        .collect();
    if names.is_empty() {
        site.note(directive.note("describes suites instead of naming them: the usual ones hold, all with forward secrecy and authenticated encryption"));
    } else if !missing.is_empty() {
        site.note(directive.note(format!("not offered by this build: {}", missing.join(", "))));
    }
    names
}

fn sessions(site: &mut Part, scope: &Scope<'_>, prefix: &Path) {
    let cache = scope.one("ssl_session_cache");
    let megabytes = cache.and_then(|directive| {
        let size = directive
            .words
            .iter()
            .find_map(|word| word.strip_prefix("shared:"))?
            .rsplit(':')
            .next()?;
        size.trim_end_matches(['m', 'M'])
            .parse::<u64>()
            .ok()
            .filter(|_| size.ends_with(['m', 'M']))
    });
    let caches = cache.is_some_and(|directive| directive.words.iter().any(|word| word.contains(':')));
    if scope.word("ssl_session_tickets") == Some("off") && !caches {
        site.table("tls").table("resumption").set("tickets", 0.into());
    }
    if let Some(lifetime) = scope
        .word("ssl_session_timeout")
        .and_then(milliseconds)
        .filter(|lifetime| *lifetime > 0)
    {
        let lifetime = duration(lifetime.min(LONGEST_SESSION));
        site.table("tls").table("resumption").set("lifetime", lifetime.into());
    }
    if let Some(megabytes) = megabytes.filter(|megabytes| *megabytes > 0) {
        let sessions = megabytes.saturating_mul(SESSIONS_PER_MEGABYTE).min(MOST_SESSIONS);
        site.table("tls").table("resumption").set("cache", sessions.into());
    }
    let mut keys = scope.all("ssl_session_ticket_key").into_iter();
    if let Some(first) = keys.next() {
        let file = path(prefix, first.first());
        site.table("tls").table("resumption").set("secret_file", file.into());
        for further in keys {
            site.note(further.note("the key of each period is made of one secret: older ones are not kept"));
        }
    }
}

fn client_auth(site: &mut Part, scope: &Scope<'_>, prefix: &Path) {
    let Some(directive) = scope
        .one("ssl_verify_client")
        .filter(|directive| directive.first() != "off")
    else {
        return;
    };
    let ca = scope
        .one("ssl_client_certificate")
        .or_else(|| scope.one("ssl_trusted_certificate"));
    let Some(ca) = ca else {
        site.note(directive.note("it names no CA file to check clients against"));
        return;
    };
    let mode = match directive.first() {
        "on" => "required",
        "optional_no_ca" => {
            let why =
                "certificates that nobody vouches for are refused: an optional one is checked against the CA file";
            site.note(directive.note(why));
            "optional"
        }
        _ => "optional",
    };
    let auth = site.table("client_auth");
    auth.set("mode", mode.into());
    auth.set("ca", path(prefix, ca.first()).into());
    if let Some(crl) = scope.one("ssl_crl") {
        auth.set("crl", Value::texts([path(prefix, crl.first())]));
    }
}
