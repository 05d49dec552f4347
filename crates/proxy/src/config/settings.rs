//! A site's `tls`: the profile's word, what is set below it, and what that comes to.
use super::{
    Origin,
    names::{self, Kindred},
    reader::Reader,
    report::{Fault, Found, did_you_mean},
    tree::{Kind, Value, quoted},
    values::{self, Word},
};
use crate::plan::ResumptionPlan;
use portcullis_tls::{
    negotiated::Version,
    profile::{CipherOrder, Overrides, Profile, Settings, SettingsError},
    tickets::Resumption,
};
use portcullis_wire::{
    CipherId, GroupId, SchemeId,
    registry::{Cipher, Group, Scheme},
};
use std::{fmt::Display, time::Duration};

const GROUPS: Kindred<GroupId> = Kindred {
    what: "group",
    // nginx writes `ssl_ecdh_curve auto`
    usual: &["DEFAULT", "auto"],
    find: |name| Group::by_name(name).map(|group| group.id),
};
const CIPHERS: Kindred<CipherId> = Kindred {
    what: "cipher",
    usual: &["DEFAULT"],
    find: |name| Cipher::by_name(name).map(|cipher| cipher.id),
};
const SIGNATURES: Kindred<SchemeId> = Kindred {
    what: "signature",
    usual: &["DEFAULT"],
    find: |name| Scheme::by_name(name).map(|scheme| scheme.id),
};
const ORDERS: &[(&str, Word<CipherOrder>)] = &[
    ("client", Word::Is(CipherOrder::Client)),
    ("server", Word::Is(CipherOrder::Server)),
];

/// RFC 8446 4.6.1: no ticket may live longer.
const LONGEST_TICKET: Duration = Duration::from_secs(7 * 86_400);

/// Each costs a handshake 200 bytes, and nobody opens more connections at once from one.
const MOST_TICKETS: usize = 16;
/// At 16 kB each, 16 GB.
const MOST_SESSIONS: usize = 1_048_576;

/// A site's TLS settings, and where its profile and lists stand.
pub(super) struct Tls {
    pub(super) profile: Found<Profile>,
    pub(super) settings: Settings,
    pub(super) alpn: Option<Found<Vec<String>>>,
    pub(super) resumption: ResumptionPlan,
    /// Where the shared secret is named.
    pub(super) secret_file: Option<Origin>,
}

/// What was written below the profile, with its places.
struct Written {
    versions: Option<Found<Vec<Version>>>,
    groups: Option<Found<Vec<GroupId>>>,
    ciphers: Option<Found<Vec<CipherId>>>,
    cipher_order: Option<Found<CipherOrder>>,
    signatures: Option<Found<Vec<SchemeId>>>,
    retry: Option<Found<bool>>,
    certificate_compression: Option<Found<bool>>,
    raw_public_keys: Option<Found<bool>>,
}

/// Which side of a handshake the settings are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

/// Reads the key `tls` of a site.
pub(super) fn read(tls: Reader<'_>) -> Tls {
    let mut tls = tls.unexplained();
    let (profile, settings) = offer(&mut tls, Side::Server);
    let alpn = alpn(&mut tls);
    let (resumption, secret_file) = resumption(&mut tls);
    tls.finish();
    Tls {
        profile,
        settings,
        alpn,
        resumption,
        secret_file,
    }
}

/// What a client of these settings offers; the reader's other keys are its owner's.
pub(super) fn of_client(tls: &mut Reader<'_>) -> (Found<Profile>, Settings) {
    offer(tls, Side::Client)
}

fn offer(tls: &mut Reader<'_>, side: Side) -> (Found<Profile>, Settings) {
    let errors_before = tls.errors();
    let profile = tls.value_or("profile", Kind::String("default".into()), profile);
    tls.explain("profile", quoted(profile.value.as_str()), profile.origin.clone());
    let usual = usual_of(profile.value);
    let written = Written::read(tls, &usual, side);
    let settings = match profile.value.settings(&written.overrides()) {
        Ok(settings) => settings,
        // A name that was refused already explains a setting that cannot work.
        Err(_) if tls.errors() > errors_before => usual,
        Err(error) => {
            let origin = written.blame(&error).unwrap_or(&profile.origin).clone();
            tls.error(Fault::whole(origin, error.to_string()));
            usual
        }
    };
    written.explain(tls, &settings, (&profile.origin, side));
    (profile, settings)
}

fn profile(value: &Value) -> Result<Profile, Fault> {
    let text = value.text()?;
    Profile::by_name(text).ok_or_else(|| {
        let words = || Profile::all().iter().map(|profile| profile.as_str());
        let all: Vec<&str> = words().collect();
        let hint = did_you_mean(text, words()).unwrap_or_else(|| format!("it takes {}", all.join(", ")));
        value
            .whole_fault(format!("unknown profile {}", quoted(text)))
            .hint(hint)
    })
}

/// The profile with nothing set below it; a profile that this build lacks stands for the default one until it is refused.
fn usual_of(profile: Profile) -> Settings {
    let nothing = Overrides::default();
    let settings = profile
        .settings(&nothing)
        .or_else(|_| Profile::Default.settings(&nothing));
    settings.expect("the default profile needs no module and lists what every version needs")
}

/// Application protocols by their registered names.
fn alpn(tls: &mut Reader<'_>) -> Option<Found<Vec<String>>> {
    let found = tls.list("alpn", protocol)?;
    let shown = listed(found.value.iter().map(|name| &name.value));
    let mut names: Vec<String> = Vec::with_capacity(found.value.len());
    for name in found.value {
        if names.contains(&name.value) {
            let message = format!("protocol {} stands twice", quoted(&name.value));
            tls.notice(Fault::whole(name.origin, message));
        } else {
            names.push(name.value);
        }
    }
    tls.explain("alpn", shown, found.origin.clone());
    Some(Found::new(names, found.origin))
}

/// RFC 7301 3.1: a name has 1 to 255 bytes.
fn protocol(value: &Value) -> Result<String, Fault> {
    let text = value.text()?;
    match text.len() {
        1..=255 => Ok(text.to_owned()),
        0 => Err(value
            .fault("a protocol has a name")
            .hint("leave alpn out to ignore what clients offer")),
        _ => Err(value.fault("a protocol's name has 255 bytes at most (RFC 7301)")),
    }
}

fn resumption(tls: &mut Reader<'_>) -> (ResumptionPlan, Option<Origin>) {
    let mut resumption = tls.table("resumption", "site.tls.resumption");
    let tickets = Kind::Integer(Resumption::TICKETS as i64);
    let tickets = resumption.value_or("tickets", tickets, |value| values::count(0..=MOST_TICKETS, value));
    let lifetime = resumption.value_or("lifetime", Kind::String("12h".into()), lifetime);
    let cache = Kind::Integer(Resumption::CACHE as i64);
    let cache = resumption.value_or("cache", cache, |value| values::count(1..=MOST_SESSIONS, value));
    let secret_file = resumption.value("secret_file", values::path);
    resumption.finish();
    let (secret_file, origin) = secret_file.map(|found| (found.value, found.origin)).unzip();
    let plan = ResumptionPlan {
        tickets: tickets.value,
        lifetime: lifetime.value,
        cache: cache.value,
        secret_file,
    };
    (plan, origin)
}

fn lifetime(value: &Value) -> Result<Duration, Fault> {
    let lifetime = values::positive_duration(value)?;
    if lifetime > LONGEST_TICKET {
        return Err(value
            .fault(format!("{value} is too long"))
            .hint("a ticket lives 7d at most (RFC 8446)"));
    }
    Ok(lifetime)
}

fn version(value: &Value) -> Result<Version, Fault> {
    if let Kind::Float(number) = value.kind {
        let fault = value.fault(format!("takes text, not the number {value}"));
        return Err(fault.hint(format!("write it in quotes: \"{number}\"")));
    }
    let text = value.text()?;
    match text.trim_start_matches("TLSv").trim_start_matches("TLS") {
        "1.3" => Ok(Version::Tls13),
        "1.2" => Ok(Version::Tls12),
        _ => Err(value
            .whole_fault(format!("unknown version {}", quoted(text)))
            .hint("it takes 1.2, 1.3")),
    }
}

impl Written {
    fn read(tls: &mut Reader<'_>, usual: &Settings, side: Side) -> Written {
        let versions = tls.list("versions", version);
        let meanings = |versions: Vec<Found<Version>>| versions.into_iter().map(|version| version.value).collect();
        let mut written = Written {
            versions: versions.map(|found| found.map(meanings)),
            groups: names::read(tls, "groups", &GROUPS, &usual.groups),
            ciphers: names::read(tls, "ciphers", &CIPHERS, &usual.ciphers),
            cipher_order: None,
            signatures: names::read(tls, "signatures", &SIGNATURES, &usual.signatures),
            retry: None,
            certificate_compression: tls.value("certificate_compression", values::switch),
            raw_public_keys: None,
        };
        if side == Side::Server {
            written.cipher_order = tls.value("cipher_order", |value| values::word("order", ORDERS, value));
            written.retry = tls.value("retry", values::switch);
            written.raw_public_keys = tls.value("raw_public_keys", values::switch);
        }
        written
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            versions: self.versions.as_ref().map(|found| found.value.clone()),
            groups: self.groups.as_ref().map(|found| found.value.clone()),
            ciphers: self.ciphers.as_ref().map(|found| found.value.clone()),
            cipher_order: self.cipher_order.as_ref().map(|found| found.value),
            signatures: self.signatures.as_ref().map(|found| found.value.clone()),
            retry: self.retry.as_ref().map(|found| found.value),
            certificate_compression: self.certificate_compression.as_ref().map(|found| found.value),
            raw_public_keys: self.raw_public_keys.as_ref().map(|found| found.value),
        }
    }

    /// The list that makes a setting impossible, if one was written.
    fn blame(&self, error: &SettingsError) -> Option<&Origin> {
        let list = match error {
            SettingsError::NoFipsModule => None,
            SettingsError::NoGroup(_) => origin(&self.groups),
            SettingsError::NoCipher(_) => origin(&self.ciphers),
            SettingsError::NoSignature(_) => origin(&self.signatures),
            SettingsError::NoVersion => origin(&self.versions),
        };
        let names_list = !matches!(error, SettingsError::NoFipsModule);
        list.or_else(|| origin(&self.versions).filter(|_| names_list))
    }

    /// What all of it comes to: where nothing was written, the profile decided.
    fn explain(&self, tls: &mut Reader<'_>, settings: &Settings, (profile, side): (&Origin, Side)) {
        let order = match settings.cipher_order {
            CipherOrder::Client => "client",
            CipherOrder::Server => "server",
        };
        let versions = listed(settings.versions.iter().map(|version| version.as_str()));
        let rows = [
            ("versions", versions, origin(&self.versions)),
            ("groups", listed(&settings.groups), origin(&self.groups)),
            ("ciphers", listed(&settings.ciphers), origin(&self.ciphers)),
            ("cipher_order", quoted(order), origin(&self.cipher_order)),
            ("signatures", listed(&settings.signatures), origin(&self.signatures)),
            ("retry", settings.retry.to_string(), origin(&self.retry)),
            (
                "certificate_compression",
                settings.certificate_compression.to_string(),
                origin(&self.certificate_compression),
            ),
            (
                "raw_public_keys",
                settings.raw_public_keys.to_string(),
                origin(&self.raw_public_keys),
            ),
        ];
        // what is a server's to choose
        let only_of_servers = |key: &str| matches!(key, "cipher_order" | "retry" | "raw_public_keys");
        for (key, value, origin) in rows {
            if side == Side::Client && only_of_servers(key) {
                continue;
            }
            tls.explain(key, value, origin.unwrap_or(profile).clone());
        }
    }
}

fn origin<T>(found: &Option<Found<T>>) -> Option<&Origin> {
    found.as_ref().map(|found| &found.origin)
}

/// A list of names as TOML.
fn listed<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| quoted(&name.to_string())).collect();
    format!("[{}]", names.join(", "))
}
