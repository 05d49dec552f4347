//! THE TABLE of flags and their variables (SPEC 3).

/// A flag of `serve`, and the variable that says the same.
#[derive(Debug)]
pub struct Flag {
    /// Without dashes: `listen`.
    pub name: &'static str,
    /// `PORTCULLIS_LISTEN`; None where there is none.
    pub variable: Option<&'static str>,
    /// How its text is written.
    pub shape: Shape,
    /// What it is about.
    pub meaning: Meaning,
}

/// How the text of a flag is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// One text.
    Text,
    /// Texts with commas between them; the flag may be repeated.
    Addresses,
    /// Names with commas or colons between them.
    Names,
    /// Names with OpenSSL's marks, read where the names are known.
    Marked,
    /// One file for each flag, commas between them in the variable.
    Files,
    /// There or not.
    Switch,
    /// With a value or without.
    Loose,
}

/// What a flag is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// A key of the process.
    Process(&'static [&'static str]),
    /// A key of the one listener, site and target that the command line describes.
    Served(&'static [&'static str]),
    /// The file to read.
    File,
    /// Where the secrets of connections go. The file has no key for it: it is for one run, seen by who types it.
    KeyLog,
    /// A flag of Quantum Safe Proxy's.
    Guest(Guest),
    /// Not in this version; what to do until then.
    Later(Option<&'static str>),
}

/// What Quantum Safe Proxy's users say, in their words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guest {
    /// The same as this flag.
    Flag(&'static str),
    /// The chain of a certificate.
    Chain(Family),
    /// Its key.
    Key(Family),
    /// How long a target may take to answer, in seconds.
    ConnectTimeout,
    /// What has no meaning here.
    Nothing,
}

/// The names under which Quantum Safe Proxy takes certificates, in the order in which they are offered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Family {
    /// `cert`
    First,
    /// `hybrid_cert`
    Hybrid,
    /// `pqc_only_cert`
    PqcOnly,
    /// `fallback_cert`
    Fallback,
    /// `traditional_cert`
    Traditional,
    /// `classic_cert`
    Classic,
}

const fn served(name: &'static str, variable: &'static str, shape: Shape, path: &'static [&'static str]) -> Flag {
    Flag {
        name,
        variable: Some(variable),
        shape,
        meaning: Meaning::Served(path),
    }
}

const fn process(name: &'static str, variable: &'static str, path: &'static [&'static str]) -> Flag {
    Flag {
        name,
        variable: Some(variable),
        shape: Shape::Text,
        meaning: Meaning::Process(path),
    }
}

const fn guest(name: &'static str, shape: Shape, means: Guest) -> Flag {
    Flag {
        name,
        variable: None,
        shape,
        meaning: Meaning::Guest(means),
    }
}

/// Every flag, in the order of SPEC 3.
pub const FLAGS: &[Flag] = &[
    served("listen", "PORTCULLIS_LISTEN", Shape::Addresses, &["listener", "listen"]),
    served("target", "PORTCULLIS_TARGET", Shape::Addresses, &["target", "servers"]),
    served("mode", "PORTCULLIS_MODE", Shape::Text, &["listener", "mode"]),
    served("cert", "PORTCULLIS_CERT", Shape::Files, &["certificates", "cert"]),
    served("key", "PORTCULLIS_KEY", Shape::Files, &["certificates", "key"]),
    served(
        "passphrase-file",
        "PORTCULLIS_PASSPHRASE_FILE",
        Shape::Text,
        &["certificates", "passphrase_file"],
    ),
    served(
        "ca-cert",
        "PORTCULLIS_CA_CERT",
        Shape::Text,
        &["site", "client_auth", "ca"],
    ),
    served(
        "client-cert-mode",
        "PORTCULLIS_CLIENT_CERT_MODE",
        Shape::Text,
        &["site", "client_auth", "mode"],
    ),
    served(
        "profile",
        "PORTCULLIS_PROFILE",
        Shape::Text,
        &["site", "tls", "profile"],
    ),
    served("groups", "PORTCULLIS_GROUPS", Shape::Marked, &["site", "tls", "groups"]),
    served(
        "tls-versions",
        "PORTCULLIS_TLS_VERSIONS",
        Shape::Names,
        &["site", "tls", "versions"],
    ),
    served(
        "ciphers",
        "PORTCULLIS_CIPHERS",
        Shape::Marked,
        &["site", "tls", "ciphers"],
    ),
    served("policy", "PORTCULLIS_POLICY", Shape::Text, &["site", "policy"]),
    served("plain", "PORTCULLIS_PLAIN", Shape::Switch, &["listener", "plain"]),
    served(
        "target-tls",
        "PORTCULLIS_TARGET_TLS",
        Shape::Switch,
        &["target_tls", "on"],
    ),
    served(
        "target-name",
        "PORTCULLIS_TARGET_NAME",
        Shape::Text,
        &["target_tls", "server_name"],
    ),
    served("target-ca", "PORTCULLIS_TARGET_CA", Shape::Text, &["target_tls", "ca"]),
    served(
        "target-cert",
        "PORTCULLIS_TARGET_CERT",
        Shape::Files,
        &["target_tls", "cert"],
    ),
    served(
        "target-key",
        "PORTCULLIS_TARGET_KEY",
        Shape::Files,
        &["target_tls", "key"],
    ),
    served(
        "target-policy",
        "PORTCULLIS_TARGET_POLICY",
        Shape::Text,
        &["target_tls", "policy"],
    ),
    process("log-level", "PORTCULLIS_LOG_LEVEL", &["log", "level"]),
    process("log-format", "PORTCULLIS_LOG_FORMAT", &["log", "format"]),
    process("admin", "PORTCULLIS_ADMIN", &["admin", "listen"]),
    served(
        "self-signed",
        "PORTCULLIS_SELF_SIGNED",
        Shape::Switch,
        &["certificates", "self_signed"],
    ),
    Flag {
        name: "key-log",
        variable: None,
        shape: Shape::Text,
        meaning: Meaning::KeyLog,
    },
    Flag {
        name: "config",
        variable: Some("PORTCULLIS_CONFIG"),
        shape: Shape::Text,
        meaning: Meaning::File,
    },
    Flag {
        name: "config-file",
        variable: None,
        shape: Shape::Text,
        meaning: Meaning::File,
    },
    guest("client-ca-cert", Shape::Text, Guest::Flag("ca-cert")),
    guest("hybrid-cert", Shape::Text, Guest::Chain(Family::Hybrid)),
    guest("hybrid-key", Shape::Text, Guest::Key(Family::Hybrid)),
    guest("pqc-only-cert", Shape::Text, Guest::Chain(Family::PqcOnly)),
    guest("pqc-only-key", Shape::Text, Guest::Key(Family::PqcOnly)),
    guest("fallback-cert", Shape::Text, Guest::Chain(Family::Fallback)),
    guest("fallback-key", Shape::Text, Guest::Key(Family::Fallback)),
    guest("traditional-cert", Shape::Text, Guest::Chain(Family::Traditional)),
    guest("traditional-key", Shape::Text, Guest::Key(Family::Traditional)),
    guest("classic-cert", Shape::Text, Guest::Chain(Family::Classic)),
    guest("classic-key", Shape::Text, Guest::Key(Family::Classic)),
    guest("connection-timeout", Shape::Text, Guest::ConnectTimeout),
    guest("hybrid-mode", Shape::Loose, Guest::Nothing),
    guest("from-env", Shape::Loose, Guest::Nothing),
    guest("environment", Shape::Loose, Guest::Nothing),
    guest("buffer-size", Shape::Loose, Guest::Nothing),
    guest("openssl-dir", Shape::Loose, Guest::Nothing),
    guest("strategy", Shape::Loose, Guest::Nothing),
    guest("use-sigalgs", Shape::Loose, Guest::Nothing),
];

/// The flag of a name.
pub(super) fn by_name(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// Whether a flag that was typed describes a listener or site.
pub(super) fn describes_a_site(name: &str) -> bool {
    by_name(name).is_some_and(|flag| match flag.meaning {
        Meaning::Served(_) => true,
        Meaning::Guest(means) => means != Guest::Nothing,
        _ => false,
    })
}
