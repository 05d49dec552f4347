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
    /// Not in this version; what to do until then.
    Later(Option<&'static str>),
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

const fn later(name: &'static str, variable: Option<&'static str>, shape: Shape) -> Flag {
    Flag {
        name,
        variable,
        shape,
        meaning: Meaning::Later(None),
    }
}

const HYBRID: &str = "leave it out: hybrid groups come first unless --groups or --policy says otherwise";
const FROM_ENV: &str = "leave it out: PORTCULLIS_ variables are always read";
const IN_THE_CLEAR: Meaning = Meaning::Later(Some("leave it out: bytes go to the target in the clear"));

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
    Flag {
        name: "target-tls",
        variable: Some("PORTCULLIS_TARGET_TLS"),
        shape: Shape::Switch,
        meaning: IN_THE_CLEAR,
    },
    later("target-name", Some("PORTCULLIS_TARGET_NAME"), Shape::Text),
    later("target-ca", Some("PORTCULLIS_TARGET_CA"), Shape::Text),
    later("target-cert", Some("PORTCULLIS_TARGET_CERT"), Shape::Text),
    later("target-key", Some("PORTCULLIS_TARGET_KEY"), Shape::Text),
    later("target-policy", Some("PORTCULLIS_TARGET_POLICY"), Shape::Text),
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
    Flag {
        name: "hybrid-mode",
        variable: None,
        shape: Shape::Switch,
        meaning: Meaning::Later(Some(HYBRID)),
    },
    Flag {
        name: "from-env",
        variable: None,
        shape: Shape::Switch,
        meaning: Meaning::Later(Some(FROM_ENV)),
    },
];

/// The flag of a name.
pub(super) fn by_name(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// Whether a flag that was typed describes a listener or site.
pub(super) fn describes_a_site(name: &str) -> bool {
    by_name(name).is_some_and(|flag| matches!(flag.meaning, Meaning::Served(_)))
}
