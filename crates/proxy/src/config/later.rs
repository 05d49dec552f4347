//! THE TABLE of names that SPEC 3 and 4 give a meaning which this version does not build: each is refused, none ignored.

/// A key of the file that a later version reads.
#[derive(Debug)]
pub(super) struct Later {
    /// The section it stands in.
    section: &'static str,
    /// Its name.
    key: &'static str,
    /// What to do until then.
    pub(super) hint: Option<&'static str>,
}

const fn key(section: &'static str, key: &'static str) -> Later {
    Later {
        section,
        key,
        hint: None,
    }
}

const fn hinted(section: &'static str, key: &'static str, hint: &'static str) -> Later {
    Later {
        section,
        key,
        hint: Some(hint),
    }
}

/// A key of Quantum Safe Proxy's file.
const fn flat(key: &'static str) -> Later {
    Later {
        section: "",
        key,
        hint: Some(
            "a flat Quantum Safe Proxy file cannot be read yet: write [[listener]], [[site]] and [upstream.NAME]",
        ),
    }
}

/// Keys by section; a section that is refused as a whole names only itself.
const LATER: &[Later] = &[
    hinted(
        "",
        "ledger",
        "leave it out: metrics and the access log count every connection",
    ),
    key("", "acme"),
    flat("listen"),
    flat("target"),
    flat("cert_path"),
    flat("key_path"),
    flat("ca_cert_path"),
    flat("hybrid_mode"),
    flat("client_cert_mode"),
    flat("log_level"),
    flat("environment"),
    flat("cert"),
    flat("key"),
    flat("hybrid_cert"),
    flat("hybrid_key"),
    flat("fallback_cert"),
    flat("fallback_key"),
    flat("traditional_cert"),
    flat("client_ca_cert"),
    flat("client_ca_cert_path"),
    flat("buffer_size"),
    flat("connection_timeout"),
    flat("openssl_dir"),
    key("listener", "http3"),
    key("listener", "public_port"),
    key("listener", "redirect_from"),
    key("listener", "proxy_protocol"),
    key("listener", "trusted_proxies"),
    hinted("site", "mode", "set the mode on the listener"),
    key("site", "protocol"),
    hinted("site", "route", "a tcp site has `upstream` itself"),
    key("site", "acme"),
    key("site", "authorize"),
    key("site", "cache"),
    key("site", "refuse"),
    key("site.client_auth", "forward"),
    key("policy", "report_only"),
    key("policy", "exempt"),
    key("policy", "refuse"),
    hinted("upstream", "balance", "leave it out: servers are taken in turn"),
    hinted("upstream", "tls", "leave it out: bytes go to the servers in the clear"),
    key("upstream", "http"),
    key("upstream", "host"),
    hinted(
        "upstream",
        "health",
        "leave it out: a failed connect tries the next server",
    ),
    hinted(
        "upstream",
        "retries",
        "leave it out: a failed connect tries the next server",
    ),
    key("upstream", "send_proxy"),
    key("upstream.timeouts", "first_byte"),
    hinted(
        "upstream.timeouts",
        "idle",
        "the listener's limits.idle ends a connection that is silent both ways",
    ),
    key("upstream.servers", "weight"),
    key("upstream.servers", "backup"),
];

/// A reserved key of a section.
pub(super) fn key_of(section: &str, key: &str) -> Option<&'static Later> {
    LATER.iter().find(|later| later.section == section && later.key == key)
}

/// The reserved keys of a section.
pub(super) fn keys_of(section: &'static str) -> impl Iterator<Item = &'static str> {
    LATER
        .iter()
        .filter(move |later| later.section == section)
        .map(|later| later.key)
}
