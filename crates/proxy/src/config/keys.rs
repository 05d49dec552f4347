//! THE TABLE of the keys of a file, from which the reference is made. A test says which keys the readers take that
//! stand nowhere here, which of these nobody takes, and which default is another; every example is loaded.
//!
//! A new key gets one entry in the section that its reader names, a new section one `Section`; its examples are lines
//! of the table at the top of the file that it belongs to, with what they need elsewhere in `beside`.
//! `UPDATE_DOCS=1 cargo test -p portcullis-proxy --lib reference` writes the page.
use super::reference::{Default, Key, Section};
use Default::{Is, Says};

const fn key(
    name: &'static str,
    takes: &'static str,
    default: Default,
    (means, example): (&'static str, &'static str),
) -> Key {
    Key {
        name,
        takes,
        default,
        means,
        example,
    }
}

const DURATION: &str = "duration";
const LIMIT: &str = "duration, or `\"off\"`";
const FILE: &str = "file";
const COUNT: &str = "whole number";
const SWITCH: &str = "`true` or `false`";
const STANCE: &str = "`observe`, `prefer` or `require`";
const NOTHING: Default = Says("");
const REQUIRED: Default = Says("required");
const EMPTY: Default = Is("[]");
const PROFILE: Default = Says("the profile's");

/// Every key of every section, in the order of the reference.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "",
        table: "",
        title: "The process",
        means: "Keys at the top of the file.",
        beside: &[],
        keys: &[
            key(
                "include",
                "list of files and patterns",
                NOTHING,
                (
                    "files read as if they stood here: paths and patterns (`*`, `?`, `[..]`, `**`) relative to this file, sorted, of any form",
                    "include = [\"sites/*.toml\"]",
                ),
            ),
            key(
                "workers",
                "whole number, or `\"auto\"`",
                Is("\"auto\""),
                ("event loops; `auto` is one per core; read at start", "workers = 4"),
            ),
            key(
                "watch",
                SWITCH,
                Is("false"),
                (
                    "reload when this file changes, one that it includes or one that `file:` names; certificates, keys, CAs and lists are always watched",
                    "watch = true",
                ),
            ),
            key(
                "log",
                "table",
                NOTHING,
                ("what is told, and where", "log = { format = \"json\" }"),
            ),
            key(
                "admin",
                "table, or an address",
                NOTHING,
                ("where operators speak to it", "admin = \"off\""),
            ),
            key(
                "metrics",
                "table",
                NOTHING,
                ("where it is measured", "metrics = { listen = \"127.0.0.1:9100\" }"),
            ),
            key(
                "ledger",
                "table",
                NOTHING,
                ("who negotiated what", "ledger = { path = \"portcullis.db\" }"),
            ),
            key(
                "traces",
                "table",
                NOTHING,
                (
                    "where spans for OpenTelemetry go",
                    "traces = { endpoint = \"http://127.0.0.1:4318\" }",
                ),
            ),
            key(
                "shutdown",
                "table",
                NOTHING,
                ("how it ends", "shutdown = { grace = \"1m\" }"),
            ),
            key(
                "listener",
                "list of tables",
                REQUIRED,
                (
                    "where connections come in: `[[listener]]`",
                    "listener = [{ listen = [\"127.0.0.1:8443\"] }]",
                ),
            ),
            key(
                "site",
                "list of tables",
                REQUIRED,
                (
                    "what a name is: `[[site]]`",
                    "site = [{ certificates = \"self-signed\", upstream = \"shop\" }]",
                ),
            ),
            key(
                "upstream",
                "table of tables",
                REQUIRED,
                (
                    "the servers behind: `[upstream.NAME]`",
                    "upstream = { shop = { servers = [\"127.0.0.1:3000\"] } }",
                ),
            ),
        ],
    },
    Section {
        name: "log",
        table: "",
        title: "`log`",
        means: "Events and access lines.",
        beside: &[],
        keys: &[
            key(
                "level",
                "`debug`, `info`, `warn` or `error`",
                Is("\"info\""),
                ("what is told and all that is graver", "log = { level = \"warn\" }"),
            ),
            key(
                "format",
                "`text`, `json`, `common` or `combined`",
                Is("\"text\""),
                (
                    "a line of words, a JSON object, or what readers of Apache's and nginx's logs know: a line for each request and none for connections, events as `text`",
                    "log = { format = \"json\" }",
                ),
            ),
            key(
                "access",
                "`\"-\"`, `\"off\"` or a file",
                Is("\"-\""),
                (
                    "where the line of each connection goes: `-` is standard output; SIGUSR1 opens files anew",
                    "log = { access = \"access.log\" }",
                ),
            ),
            key(
                "query",
                "`keep`, `names` or `drop`",
                Is("\"names\""),
                (
                    "what lines of requests tell of queries, their own and the referrer's; by default no values, since those may be tokens",
                    "log = { query = \"keep\" }",
                ),
            ),
        ],
    },
    Section {
        name: "admin",
        table: "",
        title: "`admin`",
        means: "`/v1/status`, `/v1/reload` and `/v1/drain`, for `portcullis status`, `reload` and `drain`; `/v1/adoption` and `/v1/ledger`, for [`report`](report.md).",
        beside: &[],
        keys: &[
            key(
                "listen",
                "address, `unix:PATH` or `\"off\"`",
                Says("a socket in $RUNTIME_DIRECTORY, else in $XDG_RUNTIME_DIR/portcullis, else `\"off\"`"),
                (
                    "a Unix socket (0600) needs no token; an address must be a loopback one, with a token",
                    "admin = { listen = \"unix:admin.sock\" }",
                ),
            ),
            key(
                "token_file",
                FILE,
                NOTHING,
                (
                    "holds the token that `Authorization: Bearer` must carry",
                    "admin = { listen = \"127.0.0.1:9443\", token_file = \"admin.token\" }",
                ),
            ),
        ],
    },
    Section {
        name: "metrics",
        table: "",
        title: "`metrics`",
        means: "`/metrics`, `/healthz` and `/readyz`, and nothing else.",
        beside: &[],
        keys: &[
            key(
                "listen",
                "address, or `\"off\"`",
                Is("\"off\""),
                (
                    "where Prometheus and load balancers ask",
                    "metrics = { listen = \"0.0.0.0:9100\" }",
                ),
            ),
            key(
                "sites",
                COUNT,
                Is("500"),
                (
                    "sites with a label of their own; further ones are `other`",
                    "metrics = { sites = 50 }",
                ),
            ),
        ],
    },
    Section {
        name: "ledger",
        table: "",
        title: "`ledger`",
        means: "Who negotiated what, by site, client and time: [the ledger](ledger.md). Left out, it is kept in memory.",
        beside: &[],
        keys: &[
            key(
                "path",
                FILE,
                Says("in memory"),
                (
                    "an SQLite file, made for its owner alone; its folder must be writable; where it cannot be written, memory, with a warning",
                    "ledger = { path = \"portcullis.db\" }",
                ),
            ),
            key(
                "keep",
                LIMIT,
                Is("\"90d\""),
                ("how long hours and days of it are kept", "ledger = { keep = \"30d\" }"),
            ),
            key(
                "addresses",
                "`prefix`, `hash`, `full` or `none`",
                Is("\"prefix\""),
                (
                    "what is kept of clients' addresses: their network (/24, /48), a keyed hash, all, or nothing",
                    "ledger = { addresses = \"hash\" }",
                ),
            ),
        ],
    },
    Section {
        name: "traces",
        table: "",
        title: "`traces`",
        means: "Spans for OpenTelemetry, by OTLP over HTTP in JSON: one for each request of an http site, and one for each connection of a tcp site.",
        beside: &[],
        keys: &[
            key(
                "endpoint",
                "`http://HOST`, with `:PORT` and `/PATH`",
                NOTHING,
                (
                    "the collector; the port is 4318 and the path `/v1/traces` unless it says otherwise",
                    "traces = { endpoint = \"http://127.0.0.1:4318\" }",
                ),
            ),
            key(
                "ratio",
                "a share from 0 to 1",
                Is("0.01"),
                (
                    "of the requests that belong to no trace yet; one whose `traceparent` comes from a trusted proxy follows it",
                    "traces = { endpoint = \"http://127.0.0.1:4318\", ratio = 0.1 }",
                ),
            ),
            key(
                "service",
                "text",
                Is("\"portcullis\""),
                (
                    "`service.name` of every span",
                    "traces = { endpoint = \"http://127.0.0.1:4318\", service = \"edge\" }",
                ),
            ),
        ],
    },
    Section {
        name: "shutdown",
        table: "",
        title: "`shutdown`",
        means: "SIGTERM, SIGINT or `portcullis drain`.",
        beside: &[],
        keys: &[
            key(
                "delay",
                DURATION,
                Is("\"0s\""),
                (
                    "`/readyz` fails and accepting goes on: the time that a load balancer takes to notice",
                    "shutdown = { delay = \"5s\" }",
                ),
            ),
            key(
                "grace",
                DURATION,
                Is("\"20s\""),
                ("how long what runs may go on", "shutdown = { grace = \"1m\" }"),
            ),
        ],
    },
    Section {
        name: "listener",
        table: "listener",
        title: "`[[listener]]`",
        means: "An address that connections come in on.",
        beside: &[],
        keys: &[
            key(
                "name",
                "name",
                Says("its first address"),
                ("what sites, logs and metrics call it", "name = \"web\""),
            ),
            key(
                "listen",
                "list of addresses",
                REQUIRED,
                (
                    "`0.0.0.0:8443`, `[::]:8443`, `:8443` (IPv4) or `unix:PATH`",
                    "listen = [\"0.0.0.0:8443\", \"[::]:8443\"]",
                ),
            ),
            key(
                "mode",
                "`tcp`",
                Is("\"tcp\""),
                ("bytes are relayed as they are", "mode = \"tcp\""),
            ),
            key(
                "plain",
                SWITCH,
                Is("false"),
                (
                    "no TLS; warned of where the address is not a loopback one; the site behind it has neither names nor certificates",
                    "plain = false",
                ),
            ),
            key(
                "deny",
                "list of networks",
                EMPTY,
                ("clients that are closed on at once", "deny = [\"203.0.113.0/24\"]"),
            ),
            key(
                "policy",
                "policy",
                NOTHING,
                ("the least that its sites demand; see below", "policy = \"require\""),
            ),
            key(
                "limits",
                "table",
                NOTHING,
                ("how many and how long", "limits = { per_ip = 100 }"),
            ),
        ],
    },
    Section {
        name: "listener.limits",
        table: "listener",
        title: "`limits` of a listener",
        means: "Beyond these, connections wait or are closed.",
        beside: &[],
        keys: &[
            key(
                "connections",
                "whole number, or `\"auto\"`",
                Is("\"auto\""),
                (
                    "open at once; `auto` is half the file limit, 0 any; a full tcp listener waits in accept, http answers 503",
                    "limits = { connections = 20000 }",
                ),
            ),
            key(
                "per_ip",
                COUNT,
                Is("0"),
                (
                    "open at once from one address (IPv6: one /64); 0 is any",
                    "limits = { per_ip = 200 }",
                ),
            ),
            key(
                "handshakes_per_second",
                COUNT,
                Is("0"),
                (
                    "begun in a second; 0 is any",
                    "limits = { handshakes_per_second = 500 }",
                ),
            ),
            key(
                "hello",
                LIMIT,
                Is("\"10s\""),
                (
                    "from accept until the ClientHello is whole",
                    "limits = { hello = \"5s\" }",
                ),
            ),
            key(
                "handshake",
                LIMIT,
                Is("\"10s\""),
                (
                    "from accept until the handshake is done",
                    "limits = { handshake = \"5s\" }",
                ),
            ),
            key(
                "idle",
                LIMIT,
                Is("\"off\""),
                (
                    "until a connection ends that is silent both ways; TCP keep-alive finds dead peers without it",
                    "limits = { idle = \"1h\" }",
                ),
            ),
        ],
    },
    Section {
        name: "listener",
        table: "listener",
        title: "`[[listener]]` with `mode = \"http\"`",
        means: "Requests are read.",
        beside: &[("listener", "mode = \"http\"")],
        keys: &[
            key(
                "http3",
                SWITCH,
                Says("`false`"),
                (
                    "the same sites over QUIC, on the same addresses and ports, announced by `Alt-Svc`",
                    "http3 = true",
                ),
            ),
            key(
                "public_port",
                "port",
                Says("its own"),
                ("what the world sees, in redirects and `Alt-Svc`", "public_port = 443"),
            ),
            key(
                "redirect_from",
                "list of addresses",
                Says(""),
                (
                    "plain HTTP here is sent to https, for names that are served",
                    "redirect_from = [\"0.0.0.0:8080\"]",
                ),
            ),
            key(
                "trusted_proxies",
                "list of networks",
                Says(""),
                (
                    "whose `X-Forwarded-*` and `Forwarded` are believed",
                    "trusted_proxies = [\"10.0.0.0/8\"]",
                ),
            ),
        ],
    },
    Section {
        name: "listener.limits",
        table: "listener",
        title: "`limits` of a listener with `mode = \"http\"`",
        means: "Of requests.",
        beside: &[("listener", "mode = \"http\"")],
        keys: &[
            key(
                "head",
                LIMIT,
                Says("`\"10s\"`"),
                (
                    "http: until the head of a request is whole",
                    "limits = { head = \"5s\" }",
                ),
            ),
            key(
                "head_size",
                "size",
                Says("`\"32KiB\"`"),
                ("http: of a request's head", "limits = { head_size = \"16KiB\" }"),
            ),
            key(
                "fields",
                COUNT,
                Says("100"),
                ("http: fields of a head", "limits = { fields = 50 }"),
            ),
            key(
                "body_rate",
                "size, or `\"off\"`",
                Says("240 bytes"),
                (
                    "http: bytes a second that a body must bring",
                    "limits = { body_rate = \"1KiB\" }",
                ),
            ),
            key(
                "streams",
                COUNT,
                Says("100"),
                ("HTTP/2: at once on one connection", "limits = { streams = 50 }"),
            ),
            key(
                "upgrade_idle",
                LIMIT,
                Says("1 h"),
                (
                    "http: until an upgraded connection (WebSocket) ends that is silent both ways",
                    "limits = { upgrade_idle = \"2h\" }",
                ),
            ),
        ],
    },
    Section {
        name: "site",
        table: "site",
        title: "`[[site]]`",
        means: "What a name is: its certificates, TLS settings, policy and service.",
        beside: &[],
        keys: &[
            key(
                "name",
                "name",
                Says("its first name, else `default`"),
                ("what logs and metrics call it", "name = \"shop\""),
            ),
            key(
                "names",
                "list of names",
                EMPTY,
                (
                    "what clients ask for (SNI): exact, then the longest wildcard (`*.` for one label), then the site without names",
                    "names = [\"shop.example.com\", \"*.shop.example.com\"]",
                ),
            ),
            key(
                "label",
                "text",
                NOTHING,
                (
                    "what its data is, for the ledger and its report",
                    "label = \"personal data\"",
                ),
            ),
            key(
                "listeners",
                "list of names",
                Says("all that fit"),
                ("the listeners that it is on", "listeners = [\"web\"]"),
            ),
            key(
                "protocol",
                "`postgres`",
                Says("any"),
                (
                    "what clients say before TLS: PostgreSQL's ask for it in the clear",
                    "protocol = \"postgres\"",
                ),
            ),
            key(
                "certificates",
                "list of tables, or `\"self-signed\"`",
                REQUIRED,
                (
                    "in order: each client gets the first that it can verify; `self-signed` makes an ML-DSA-65 and an ECDSA one in memory",
                    "certificates = [{ chain = \"p256.pem\", key = \"p256.key\" }, { chain = \"mldsa65.pem\", key = \"mldsa65.key\" }]",
                ),
            ),
            key(
                "tls",
                "table",
                NOTHING,
                (
                    "versions, groups, ciphers, resumption",
                    "tls = { profile = \"modern\" }",
                ),
            ),
            key(
                "client_auth",
                "table",
                NOTHING,
                (
                    "what clients show; left out, nothing is asked for",
                    "client_auth = { mode = \"required\", ca = \"clients-ca.pem\" }",
                ),
            ),
            key(
                "policy",
                "policy",
                NOTHING,
                ("what is admitted; see below", "policy = \"require\""),
            ),
            key("upstream", "name", REQUIRED, ("where bytes go", "upstream = \"shop\"")),
            key(
                "mode",
                "`tcp` or `http`",
                Says("the listener's"),
                ("what its bytes are", "mode = \"http\""),
            ),
        ],
    },
    Section {
        name: "site",
        table: "site",
        title: "`[[site]]` with `mode = \"http\"`",
        means: "What becomes of requests.",
        beside: &[("listener", "mode = \"http\"")],
        keys: &[
            key(
                "errors",
                "table of files",
                Says(""),
                (
                    "http: pages for errors that the proxy answers itself, by status",
                    "errors = { 502 = \"502.html\" }",
                ),
            ),
            key(
                "limits",
                "table",
                Says(""),
                ("http: bodies and rates", "limits = { body = \"64MiB\" }"),
            ),
            key(
                "allow",
                "list of networks",
                Says("everyone"),
                ("http: who may ask", "allow = [\"10.0.0.0/8\"]"),
            ),
            key(
                "deny",
                "list of networks",
                Says(""),
                (
                    "http: who may not, whatever `allow` says",
                    "deny = [\"203.0.113.0/24\"]",
                ),
            ),
        ],
    },
    Section {
        name: "site",
        table: "site",
        title: "`[[site]]` with routes",
        means: "In place of `upstream`.",
        beside: &[
            ("listener", "mode = \"http\""),
            ("site", "upstream"),
            ("site", "mode = \"http\""),
        ],
        keys: &[key(
            "route",
            "list of tables",
            Says(""),
            (
                "`[[site.route]]`",
                "route = [{ path = \"/api/\", upstream = \"shop\" }, { upstream = \"shop\" }]",
            ),
        )],
    },
    Section {
        name: "site.certificates",
        table: "site",
        title: "`certificates` of a site",
        means: "Each is a chain and its key.",
        beside: &[],
        keys: &[
            key(
                "chain",
                FILE,
                REQUIRED,
                (
                    "PEM, the leaf first",
                    "certificates = [{ chain = \"shop.pem\", key = \"shop.key\" }]",
                ),
            ),
            key(
                "key",
                FILE,
                Says("the chain's file"),
                (
                    "PEM: PKCS#8, SEC 1 or PKCS#1",
                    "certificates = [{ chain = \"shop.pem\", key = \"shop.key\" }]",
                ),
            ),
            key(
                "passphrase_file",
                FILE,
                NOTHING,
                (
                    "its first line is the passphrase of an encrypted key (PBES2)",
                    "certificates = [{ chain = \"shop.pem\", key = \"shop.key\", passphrase_file = \"shop.pass\" }]",
                ),
            ),
            key(
                "clients",
                "list of networks",
                Says("everyone"),
                (
                    "to whom it is offered",
                    "certificates = [{ chain = \"p256.pem\" }, { chain = \"mldsa65.pem\", clients = [\"10.0.0.0/8\"] }]",
                ),
            ),
        ],
    },
    Section {
        name: "site.tls",
        table: "site",
        title: "`tls` of a site",
        means: "A profile, and what differs from it. `portcullis groups` lists the names.",
        beside: &[],
        keys: &[
            key(
                "profile",
                "`default`, `modern`, `pq-only`, `cnsa2` or `fips`",
                Is("\"default\""),
                (
                    "a word for all of it; `fips` needs a build with the module",
                    "tls = { profile = \"modern\" }",
                ),
            ),
            key(
                "versions",
                "list of `1.2`, `1.3`",
                PROFILE,
                ("in quotes", "tls = { versions = [\"1.3\"] }"),
            ),
            key(
                "groups",
                "list of groups",
                PROFILE,
                (
                    "key exchanges, the best first",
                    "tls = { groups = [\"X25519MLKEM768\", \"X25519\"] }",
                ),
            ),
            key(
                "ciphers",
                "list of ciphers",
                PROFILE,
                (
                    "by their registered names",
                    "tls = { ciphers = [\"TLS_AES_256_GCM_SHA384\"] }",
                ),
            ),
            key(
                "cipher_order",
                "`client` or `server`",
                PROFILE,
                ("whose order decides", "tls = { cipher_order = \"server\" }"),
            ),
            key(
                "signatures",
                "list of signatures",
                PROFILE,
                (
                    "signature schemes: which certificates are offered, and what clients may sign with",
                    "tls = { signatures = [\"mldsa65\", \"ecdsa_secp256r1_sha256\"] }",
                ),
            ),
            key(
                "retry",
                SWITCH,
                PROFILE,
                (
                    "ask a client again that lists a better group without a key share",
                    "tls = { retry = false }",
                ),
            ),
            key(
                "certificate_compression",
                SWITCH,
                Is("true"),
                (
                    "send the chain compressed (brotli, zlib; RFC 8879) to clients that take it, where that is shorter",
                    "tls = { certificate_compression = false }",
                ),
            ),
            key(
                "raw_public_keys",
                SWITCH,
                Is("false"),
                (
                    "send the key alone (RFC 7250) to clients of TLS 1.3 that ask for it",
                    "tls = { raw_public_keys = true }",
                ),
            ),
            key(
                "alpn",
                "list of protocols",
                Says("`h2` and `http/1.1` of an http site; the protocol's; else what clients offer is ignored"),
                (
                    "application protocols to choose from, most wanted first; an http site takes `h2` and `http/1.1`",
                    "tls = { alpn = [\"h2\", \"http/1.1\"] }",
                ),
            ),
            key(
                "resumption",
                "table",
                NOTHING,
                (
                    "sessions that go on without a full handshake",
                    "tls = { resumption = { lifetime = \"1h\" } }",
                ),
            ),
        ],
    },
    Section {
        name: "site.tls.resumption",
        table: "site",
        title: "`tls.resumption` of a site",
        means: "Resumption exchanges keys anew, always.",
        beside: &[],
        keys: &[
            key(
                "tickets",
                COUNT,
                Is("2"),
                (
                    "sent after a TLS 1.3 handshake; 0 ends resumption; at most 16",
                    "tls = { resumption = { tickets = 0 } }",
                ),
            ),
            key(
                "lifetime",
                DURATION,
                Is("\"12h\""),
                (
                    "of a session; 7 days at most",
                    "tls = { resumption = { lifetime = \"1h\" } }",
                ),
            ),
            key(
                "cache",
                COUNT,
                Is("1024"),
                (
                    "sessions that are kept here where a ticket must not carry them",
                    "tls = { resumption = { cache = 10000 } }",
                ),
            ),
            key(
                "secret_file",
                FILE,
                NOTHING,
                (
                    "32 bytes or more that several instances share: each resumes the TLS 1.3 sessions of the others",
                    "tls = { resumption = { secret_file = \"tickets.secret\" } }",
                ),
            ),
        ],
    },
    Section {
        name: "site.client_auth",
        table: "site",
        title: "`client_auth` of a site",
        means: "Certificates of clients: [more of it](client-certificates.md).",
        beside: &[],
        keys: &[
            key(
                "mode",
                "`required`, `optional` or `none`",
                REQUIRED,
                (
                    "`optional` refuses a bad certificate and admits an absent one",
                    "client_auth = { mode = \"optional\", ca = \"ca.pem\" }",
                ),
            ),
            key(
                "ca",
                FILE,
                Says("required unless the mode is `none`"),
                (
                    "PEM: authorities, and self-signed certificates that are accepted as themselves",
                    "client_auth = { mode = \"required\", ca = \"ca.pem\" }",
                ),
            ),
            key(
                "crl",
                "list of files",
                EMPTY,
                (
                    "revocation lists, PEM or DER: once there is one, every CA of a chain needs one",
                    "client_auth = { mode = \"required\", ca = \"ca.pem\", crl = [\"root.crl\", \"clients.crl\"] }",
                ),
            ),
            key(
                "crl_expired",
                "`refuse` or `warn`",
                Is("\"refuse\""),
                (
                    "what an expired list does",
                    "client_auth = { mode = \"required\", ca = \"ca.pem\", crl = [\"a.crl\"], crl_expired = \"warn\" }",
                ),
            ),
            key(
                "allow",
                "list of identities",
                EMPTY,
                (
                    "`subject:`, `DNS:` or `URI:` and a pattern: who is let in; empty is whom the CA vouches for",
                    "client_auth = { mode = \"required\", ca = \"ca.pem\", allow = [\"URI:spiffe://corp/*\"] }",
                ),
            ),
            key(
                "deny",
                "list of identities",
                EMPTY,
                (
                    "who is not, whatever `allow` says",
                    "client_auth = { mode = \"required\", ca = \"ca.pem\", deny = [\"DNS:agent-7\"] }",
                ),
            ),
            key(
                "pins",
                "list of `sha256:` digests",
                EMPTY,
                (
                    "public keys that are let in",
                    "client_auth = { mode = \"required\", ca = \"ca.pem\", pins = [\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"] }",
                ),
            ),
            key(
                "anonymous",
                SWITCH,
                Is("false"),
                (
                    "with `optional` and a list: who shows none is admitted all the same",
                    "client_auth = { mode = \"optional\", ca = \"ca.pem\", allow = [\"DNS:agent-*\"], anonymous = true }",
                ),
            ),
        ],
    },
    Section {
        name: "site.client_auth",
        table: "site",
        title: "`client_auth` of a site with `mode = \"http\"`",
        means: "What upstreams are told.",
        beside: &[("listener", "mode = \"http\"")],
        keys: &[key(
            "forward",
            "`identity`, `cert`, `chain` or `none`",
            Says("`identity`"),
            (
                "http: what upstreams are told of the client's certificate",
                "client_auth = { mode = \"required\", ca = \"ca.pem\", forward = \"none\" }",
            ),
        )],
    },
    Section {
        name: "site.limits",
        table: "site",
        title: "`limits` of a site",
        means: "Of requests.",
        beside: &[("listener", "mode = \"http\"")],
        keys: &[
            key(
                "body",
                "size, or `\"off\"`",
                Says("any"),
                ("of a body", "limits = { body = \"64MiB\" }"),
            ),
            key(
                "requests_per_second",
                "whole number or table",
                Says("any"),
                ("a number is for each address", "limits = { requests_per_second = 50 }"),
            ),
        ],
    },
    Section {
        name: "limits.requests_per_second",
        table: "site",
        title: "`requests_per_second`",
        means: "Of a site or a route.",
        beside: &[("listener", "mode = \"http\"")],
        keys: &[
            key(
                "per",
                "`ip` or `site`",
                Says("`ip`"),
                (
                    "who shares it",
                    "limits = { requests_per_second = { per = \"site\", rate = 500 } }",
                ),
            ),
            key(
                "rate",
                COUNT,
                REQUIRED,
                ("requests a second", "limits = { requests_per_second = { rate = 50 } }"),
            ),
            key(
                "burst",
                COUNT,
                Says("the rate"),
                (
                    "at once",
                    "limits = { requests_per_second = { rate = 50, burst = 100 } }",
                ),
            ),
        ],
    },
    Section {
        name: "site.route",
        table: "site",
        title: "`[[site.route]]`",
        means: "Which requests go where. Exact, then the longest prefix, then regex in file order; more conditions win; then file order.",
        beside: &[
            ("listener", "mode = \"http\""),
            ("site", "upstream"),
            ("site", "mode = \"http\""),
        ],
        keys: &[
            key(
                "path",
                "path",
                Says("any"),
                (
                    "a prefix of the decoded path",
                    "route = [{ path = \"/api/\", upstream = \"shop\" }]",
                ),
            ),
            key(
                "match",
                "table",
                Says(""),
                (
                    "conditions",
                    "route = [{ match = { exact = \"/a\" }, upstream = \"shop\" }]",
                ),
            ),
            key(
                "upstream",
                "name",
                Says(""),
                (
                    "where the request goes: a route has this, `redirect` or `respond`",
                    "route = [{ upstream = \"shop\" }]",
                ),
            ),
            key(
                "redirect",
                "URL or table",
                Says(""),
                (
                    "where the client is sent",
                    "route = [{ redirect = \"https://www.example.com{uri}\" }]",
                ),
            ),
            key(
                "respond",
                "`\"health\"` or table",
                Says(""),
                (
                    "what is answered",
                    "route = [{ path = \"/health\", respond = \"health\" }]",
                ),
            ),
            key(
                "strip_prefix",
                SWITCH,
                Says("`false`"),
                (
                    "take the prefix off",
                    "route = [{ path = \"/api/\", upstream = \"shop\", strip_prefix = true }]",
                ),
            ),
            key(
                "replace_prefix",
                "path",
                Says(""),
                (
                    "put another in its place",
                    "route = [{ path = \"/api/\", upstream = \"shop\", replace_prefix = \"/v1/\" }]",
                ),
            ),
            key(
                "headers",
                "table",
                Says(""),
                (
                    "fields of requests and answers",
                    "route = [{ upstream = \"shop\", headers = { security = true } }]",
                ),
            ),
            key(
                "policy",
                "policy",
                Says("the site's"),
                (
                    "what it demands more than its site",
                    "route = [{ path = \"/api/\", upstream = \"shop\", policy = \"require\" }]",
                ),
            ),
            key(
                "limits",
                "table",
                Says("the site's"),
                (
                    "bodies and rates",
                    "route = [{ upstream = \"shop\", limits = { body = \"1MiB\" } }]",
                ),
            ),
            key(
                "allow",
                "list of networks",
                Says("everyone"),
                (
                    "who may ask",
                    "route = [{ upstream = \"shop\", allow = [\"10.0.0.0/8\"] }]",
                ),
            ),
            key(
                "deny",
                "list of networks",
                Says(""),
                (
                    "who may not",
                    "route = [{ upstream = \"shop\", deny = [\"203.0.113.0/24\"] }]",
                ),
            ),
        ],
    },
    Section {
        name: "site.route.match",
        table: "site",
        title: "`match` of a route",
        means: "One condition on the path, and others.",
        beside: &[
            ("listener", "mode = \"http\""),
            ("site", "upstream"),
            ("site", "mode = \"http\""),
        ],
        keys: &[
            key(
                "exact",
                "path",
                Says(""),
                (
                    "this path",
                    "route = [{ match = { exact = \"/a\" }, upstream = \"shop\" }]",
                ),
            ),
            key(
                "prefix",
                "path",
                Says(""),
                (
                    "as `path`",
                    "route = [{ match = { prefix = \"/a/\" }, upstream = \"shop\" }]",
                ),
            ),
            key(
                "regex",
                "regular expression",
                Says(""),
                (
                    "found in the path: `^` and `$` tie it to its ends",
                    "route = [{ match = { regex = \"/[0-9]+\" }, upstream = \"shop\" }]",
                ),
            ),
            key(
                "methods",
                "list of methods",
                Says("any"),
                (
                    "GET takes HEAD along",
                    "route = [{ match = { methods = [\"GET\"] }, upstream = \"shop\" }]",
                ),
            ),
            key(
                "headers",
                "table",
                Says("any"),
                (
                    "fields and their values",
                    "route = [{ match = { headers = { X-Env = \"prod\" } }, upstream = \"shop\" }]",
                ),
            ),
        ],
    },
    Section {
        name: "site.route.redirect",
        table: "site",
        title: "`redirect` of a route",
        means: "A URL alone is short for a table.",
        beside: &[
            ("listener", "mode = \"http\""),
            ("site", "upstream"),
            ("site", "mode = \"http\""),
        ],
        keys: &[
            key(
                "to",
                "URL or path",
                REQUIRED,
                (
                    "with `{host}`, `{path}`, `{query}` and `{uri}`",
                    "route = [{ redirect = { to = \"https://www.example.com{uri}\" } }]",
                ),
            ),
            key(
                "status",
                "301, 302, 303, 307 or 308",
                Says("308"),
                ("", "route = [{ redirect = { to = \"/new\", status = 302 } }]"),
            ),
        ],
    },
    Section {
        name: "site.route.respond",
        table: "site",
        title: "`respond` of a route",
        means: "`\"health\"` tells the asking connection's safety as JSON.",
        beside: &[
            ("listener", "mode = \"http\""),
            ("site", "upstream"),
            ("site", "mode = \"http\""),
        ],
        keys: &[
            key(
                "status",
                "200 to 599",
                Says("200"),
                ("", "route = [{ respond = { status = 404 } }]"),
            ),
            key(
                "body",
                "text",
                Says("empty"),
                ("64 KiB at most", "route = [{ respond = { body = \"gone\" } }]"),
            ),
            key(
                "content_type",
                "text",
                Says("`text/plain; charset=utf-8`"),
                (
                    "",
                    "route = [{ respond = { body = \"{}\", content_type = \"application/json\" } }]",
                ),
            ),
            key(
                "headers",
                "table",
                Says(""),
                (
                    "fields of the answer",
                    "route = [{ respond = { headers = { Retry-After = \"60\" } } }]",
                ),
            ),
        ],
    },
    Section {
        name: "site.route.headers",
        table: "site",
        title: "`headers` of a route",
        means: "",
        beside: &[
            ("listener", "mode = \"http\""),
            ("site", "upstream"),
            ("site", "mode = \"http\""),
        ],
        keys: &[
            key(
                "request",
                "table",
                Says(""),
                (
                    "to the upstream",
                    "route = [{ upstream = \"shop\", headers = { request = { remove = [\"X-A\"] } } }]",
                ),
            ),
            key(
                "response",
                "table",
                Says(""),
                (
                    "to the client",
                    "route = [{ upstream = \"shop\", headers = { response = { remove = [\"Server\"] } } }]",
                ),
            ),
            key(
                "security",
                SWITCH,
                Says("`false`"),
                (
                    "the usual fields of a careful site",
                    "route = [{ upstream = \"shop\", headers = { security = true } }]",
                ),
            ),
        ],
    },
    Section {
        name: "site.route.headers.request",
        table: "site",
        title: "`headers.request` of a route",
        means: "",
        beside: &[
            ("listener", "mode = \"http\""),
            ("site", "upstream"),
            ("site", "mode = \"http\""),
        ],
        keys: &[
            key(
                "set",
                "table",
                Says(""),
                (
                    "in place of what was there",
                    "route = [{ upstream = \"shop\", headers = { request = { set = { X-Env = \"prod\" } } } }]",
                ),
            ),
            key(
                "add",
                "table",
                Says(""),
                (
                    "beside what was there",
                    "route = [{ upstream = \"shop\", headers = { request = { add = { X-Env = \"prod\" } } } }]",
                ),
            ),
            key(
                "remove",
                "list of names",
                Says(""),
                (
                    "taken away",
                    "route = [{ upstream = \"shop\", headers = { request = { remove = [\"X-Env\"] } } }]",
                ),
            ),
        ],
    },
    Section {
        name: "site.route.headers.response",
        table: "site",
        title: "`headers.response` of a route",
        means: "",
        beside: &[
            ("listener", "mode = \"http\""),
            ("site", "upstream"),
            ("site", "mode = \"http\""),
        ],
        keys: &[
            key(
                "set",
                "table",
                Says(""),
                (
                    "in place of what was there",
                    "route = [{ upstream = \"shop\", headers = { response = { set = { X-Env = \"prod\" } } } }]",
                ),
            ),
            key(
                "add",
                "table",
                Says(""),
                (
                    "beside what was there",
                    "route = [{ upstream = \"shop\", headers = { response = { add = { X-Env = \"prod\" } } } }]",
                ),
            ),
            key(
                "remove",
                "list of names",
                Says(""),
                (
                    "taken away",
                    "route = [{ upstream = \"shop\", headers = { response = { remove = [\"X-Env\"] } } }]",
                ),
            ),
        ],
    },
    Section {
        name: "site.route.limits",
        table: "site",
        title: "`limits` of a route",
        means: "",
        beside: &[
            ("listener", "mode = \"http\""),
            ("site", "upstream"),
            ("site", "mode = \"http\""),
        ],
        keys: &[
            key(
                "body",
                "size, or `\"off\"`",
                Says("the site's"),
                (
                    "of a body",
                    "route = [{ upstream = \"shop\", limits = { body = \"64MiB\" } }]",
                ),
            ),
            key(
                "requests_per_second",
                "whole number or table",
                Says("any"),
                (
                    "a number is for each address",
                    "route = [{ upstream = \"shop\", limits = { requests_per_second = 50 } }]",
                ),
            ),
        ],
    },
    Section {
        name: "policy",
        table: "site",
        title: "A policy",
        means: "One word stands for `{ key_exchange = WORD }`. `observe` records, `prefer` takes the safest on offer, `require` refuses the rest. A site may demand more than its listener, a route more than its site, never less: [from observe to require](requiring.md).",
        beside: &[],
        keys: &[
            key(
                "key_exchange",
                STANCE,
                Is("\"prefer\""),
                ("a hybrid or ML-KEM group", "policy = { key_exchange = \"require\" }"),
            ),
            key(
                "authentication",
                STANCE,
                Is("\"observe\""),
                (
                    "an ML-DSA certificate and chain of ours",
                    "policy = { authentication = \"require\" }",
                ),
            ),
            key(
                "client_authentication",
                STANCE,
                Is("\"observe\""),
                (
                    "an ML-DSA certificate and chain of the client's",
                    "policy = { client_authentication = \"prefer\" }",
                ),
            ),
            key(
                "report_only",
                SWITCH,
                Says("`false`"),
                (
                    "nobody is refused: it is counted who would be",
                    "policy = { key_exchange = \"require\", report_only = true }",
                ),
            ),
            key(
                "exempt",
                "list of tables",
                Says("nobody"),
                (
                    "who is let off, and until when",
                    "policy = { key_exchange = \"require\", exempt = [{ cidr = \"192.0.2.0/24\", until = \"2027-03-31\" }] }",
                ),
            ),
        ],
    },
    Section {
        name: "policy",
        table: "site",
        title: "A policy where HTTP is spoken",
        means: "",
        beside: &[("listener", "mode = \"http\"")],
        keys: &[key(
            "refuse",
            "`alert` or `page`",
            Says("`alert`, of a route `page`"),
            (
                "who is refused is told by a TLS alert, or by a 403 that says what is missing",
                "policy = { key_exchange = \"require\", refuse = \"page\" }",
            ),
        )],
    },
    Section {
        name: "policy.exempt",
        table: "site",
        title: "An exemption",
        means: "All that it names must match; of a list, one.",
        beside: &[("site", "client_auth = { mode = \"optional\", ca = \"ca.pem\" }")],
        keys: &[
            key(
                "cidr",
                "network or list of them",
                Says("from anywhere"),
                (
                    "where clients come from",
                    "policy = { key_exchange = \"require\", exempt = [{ cidr = \"192.0.2.0/24\", until = \"2027-03-31\" }] }",
                ),
            ),
            key(
                "identity",
                "pattern or list of them",
                Says("any, or none"),
                (
                    "what their certificates say, as in `client_auth.allow`",
                    "policy = { key_exchange = \"require\", exempt = [{ identity = \"DNS:meter-*\", until = \"2027-03-31\" }] }",
                ),
            ),
            key(
                "sni",
                "name or list of them",
                Says("any"),
                (
                    "what they ask for",
                    "policy = { key_exchange = \"require\", exempt = [{ sni = \"old.example.com\", until = \"2027-03-31\" }] }",
                ),
            ),
            key(
                "until",
                "day",
                REQUIRED,
                (
                    "the last day (UTC) on which it holds; `check` warns 30 days before",
                    "policy = { key_exchange = \"require\", exempt = [{ cidr = \"192.0.2.0/24\", until = \"2027-03-31\" }] }",
                ),
            ),
            key(
                "reason",
                "text",
                NOTHING,
                (
                    "for whoever reads it next year",
                    "policy = { key_exchange = \"require\", exempt = [{ cidr = \"192.0.2.0/24\", reason = \"old meters\", until = \"2027-03-31\" }] }",
                ),
            ),
        ],
    },
    Section {
        name: "upstream",
        table: "upstream",
        title: "`[upstream.NAME]`",
        means: "A named set of servers.",
        beside: &[],
        keys: &[
            key(
                "servers",
                "list of addresses or tables",
                REQUIRED,
                (
                    "in turn; a failed connect tries the next: `HOST:PORT` or `unix:PATH`",
                    "servers = [\"127.0.0.1:3000\", \"backend.internal:3000\"]",
                ),
            ),
            key(
                "timeouts",
                "table",
                NOTHING,
                ("how long it is waited", "timeouts = { connect = \"1s\" }"),
            ),
            key(
                "balance",
                "`round-robin`, `random`, `least-connections` or a table",
                Is("\"round-robin\""),
                ("which server is next", "balance = \"least-connections\""),
            ),
            key(
                "tls",
                "table",
                Says("in the clear"),
                ("TLS towards its servers", "tls = { server_name = \"api.internal\" }"),
            ),
            key(
                "health",
                "table",
                Says(""),
                (
                    "servers are asked; without it only connects tell",
                    "health = { path = \"/healthz\" }",
                ),
            ),
            key(
                "retries",
                COUNT,
                Says("each server once"),
                (
                    "further servers that are tried; of requests only what is safe to repeat",
                    "retries = 2",
                ),
            ),
            key(
                "send_proxy",
                "`2`",
                Says("nothing is sent"),
                (
                    "tcp: a PROXY protocol header of version 2, TLS facts included, before the first byte",
                    "send_proxy = 2",
                ),
            ),
        ],
    },
    Section {
        name: "upstream",
        table: "upstream",
        title: "`[upstream.NAME]` of an http site",
        means: "Requests are sent on.",
        beside: &[("listener", "mode = \"http\"")],
        keys: &[
            key(
                "http",
                "`auto`, `1.1`, `2` or `h2c`",
                Says(""),
                (
                    "which HTTP its servers speak; `auto` is HTTP/2 by ALPN over TLS, else 1.1",
                    "http = \"1.1\"",
                ),
            ),
            key(
                "host",
                "`pass`, `upstream` or a name",
                Says(""),
                ("the host that its servers are asked for", "host = \"upstream\""),
            ),
        ],
    },
    Section {
        name: "upstream.servers",
        table: "upstream",
        title: "`servers` of an upstream",
        means: "An address alone is short for a table.",
        beside: &[],
        keys: &[
            key(
                "address",
                "address",
                REQUIRED,
                (
                    "`HOST:PORT` or `unix:PATH`",
                    "servers = [{ address = \"unix:/run/api.sock\" }]",
                ),
            ),
            key(
                "weight",
                COUNT,
                Says("1"),
                (
                    "how often its turn comes",
                    "servers = [{ address = \"10.0.0.6:8443\", weight = 2 }]",
                ),
            ),
            key(
                "backup",
                SWITCH,
                Says("`false`"),
                (
                    "only where no other server is left",
                    "servers = [\"10.0.0.5:8443\", { address = \"10.0.0.6:8443\", backup = true }]",
                ),
            ),
        ],
    },
    Section {
        name: "upstream.balance",
        table: "upstream",
        title: "`balance` of an upstream",
        means: "One of both.",
        beside: &[("listener", "mode = \"http\"")],
        keys: &[
            key(
                "hash",
                "`source`, `uri`, `header:NAME` or `cookie:NAME`",
                Says(""),
                (
                    "the same always goes to the same server",
                    "balance = { hash = \"source\" }",
                ),
            ),
            key(
                "sticky",
                "`cookie`",
                Says(""),
                (
                    "http: a client stays with its server by a cookie that we sign, by the site's `tls.resumption.secret_file` where it has one, else by a secret of the process",
                    "balance = { sticky = \"cookie\" }",
                ),
            ),
        ],
    },
    Section {
        name: "upstream.health",
        table: "upstream",
        title: "`health` of an upstream",
        means: "",
        beside: &[],
        keys: &[
            key(
                "path",
                "path",
                Says("a connect"),
                ("asked by GET", "health = { path = \"/healthz\" }"),
            ),
            key(
                "interval",
                DURATION,
                Says("5 s"),
                ("between two checks", "health = { interval = \"1s\" }"),
            ),
            key(
                "timeout",
                DURATION,
                Says("2 s, never longer than the interval"),
                ("of a check", "health = { timeout = \"1s\" }"),
            ),
            key(
                "healthy",
                COUNT,
                Says("2"),
                ("in a row, and it is used again", "health = { healthy = 3 }"),
            ),
            key(
                "unhealthy",
                COUNT,
                Says("3"),
                ("in a row, and it is left out", "health = { unhealthy = 5 }"),
            ),
            key(
                "status",
                "list of numbers",
                Says("200 to 399"),
                (
                    "what counts as healthy",
                    "health = { path = \"/\", status = [200, 204] }",
                ),
            ),
        ],
    },
    Section {
        name: "upstream.tls",
        table: "upstream",
        title: "`tls` of an upstream",
        means: "`tls = {}` verifies servers by the system's roots.",
        beside: &[],
        keys: &[
            key(
                "server_name",
                "name",
                Says("the host of each address"),
                (
                    "what its certificate must bear",
                    "tls = { server_name = \"api.internal\" }",
                ),
            ),
            key(
                "ca",
                FILE,
                Says("the system's roots"),
                ("PEM: who vouches for servers", "tls = { ca = \"internal-ca.pem\" }"),
            ),
            key(
                "certificate_compression",
                SWITCH,
                Says("`true`"),
                (
                    "take compressed chains, and send ours so to servers that take it",
                    "tls = { certificate_compression = false }",
                ),
            ),
            key(
                "certificates",
                "list of tables",
                Says(""),
                (
                    "what we show",
                    "tls = { certificates = [{ chain = \"me.pem\", key = \"me.key\" }] }",
                ),
            ),
            key(
                "profile",
                "`default`, `modern`, `pq-only`, `cnsa2` or `fips`",
                Says("`default`"),
                ("a word for all of it", "tls = { profile = \"modern\" }"),
            ),
            key(
                "versions",
                "list of `1.2`, `1.3`",
                PROFILE,
                ("", "tls = { versions = [\"1.3\"] }"),
            ),
            key(
                "groups",
                "list of groups",
                PROFILE,
                ("", "tls = { groups = [\"X25519MLKEM768\", \"X25519\"] }"),
            ),
            key(
                "ciphers",
                "list of ciphers",
                PROFILE,
                ("", "tls = { ciphers = [\"TLS_AES_256_GCM_SHA384\"] }"),
            ),
            key(
                "signatures",
                "list of signatures",
                PROFILE,
                ("", "tls = { signatures = [\"mldsa65\", \"ecdsa_secp256r1_sha256\"] }"),
            ),
            key(
                "policy",
                "policy",
                Says("the profile's"),
                ("what is demanded of servers", "tls = { policy = \"require\" }"),
            ),
        ],
    },
    Section {
        name: "upstream.tls.certificates",
        table: "upstream",
        title: "`tls.certificates` of an upstream",
        means: "",
        beside: &[],
        keys: &[
            key(
                "chain",
                FILE,
                REQUIRED,
                (
                    "PEM, the leaf first",
                    "tls = { certificates = [{ chain = \"me.pem\", key = \"me.key\" }] }",
                ),
            ),
            key(
                "key",
                FILE,
                Says("the chain's file"),
                (
                    "PEM",
                    "tls = { certificates = [{ chain = \"me.pem\", key = \"me.key\" }] }",
                ),
            ),
            key(
                "passphrase_file",
                FILE,
                NOTHING,
                (
                    "its first line is the passphrase of an encrypted key (PBES2)",
                    "tls = { certificates = [{ chain = \"me.pem\", key = \"me.key\", passphrase_file = \"me.pass\" }] }",
                ),
            ),
        ],
    },
    Section {
        name: "upstream.timeouts",
        table: "upstream",
        title: "`timeouts` of an upstream",
        means: "",
        beside: &[],
        keys: &[key(
            "connect",
            DURATION,
            Is("\"2s\""),
            (
                "until a server has answered; the next is tried then",
                "timeouts = { connect = \"1s\" }",
            ),
        )],
    },
    Section {
        name: "upstream.timeouts",
        table: "upstream",
        title: "`timeouts` of an upstream of an http site",
        means: "",
        beside: &[("listener", "mode = \"http\"")],
        keys: &[
            key(
                "first_byte",
                LIMIT,
                Says("60 s"),
                ("http: until an answer begins", "timeouts = { first_byte = \"30s\" }"),
            ),
            key(
                "idle",
                LIMIT,
                Says("60 s"),
                (
                    "http: of a connection that waits for requests",
                    "timeouts = { idle = \"30s\" }",
                ),
            ),
        ],
    },
];
