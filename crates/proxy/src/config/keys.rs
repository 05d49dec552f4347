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
                "`text` or `json`",
                Is("\"text\""),
                ("a line of words, or a JSON object", "log = { format = \"json\" }"),
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
        ],
    },
    Section {
        name: "admin",
        table: "",
        title: "`admin`",
        means: "`/v1/status`, `/v1/reload` and `/v1/drain`, for `portcullis status`, `reload` and `drain`.",
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
                    "open at once; `auto` is half the file limit, 0 any; a full listener waits in accept",
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
                "listeners",
                "list of names",
                Says("all that fit"),
                ("the listeners that it is on", "listeners = [\"web\"]"),
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
        ],
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
        name: "policy",
        table: "site",
        title: "A policy",
        means: "One word stands for `{ key_exchange = WORD }`. `observe` records, `prefer` takes the safest on offer, `require` refuses the rest. A site may demand more than its listener, never less.",
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
        ],
    },
    Section {
        name: "upstream.servers",
        table: "upstream",
        title: "`servers` of an upstream",
        means: "An address alone is short for a table.",
        beside: &[],
        keys: &[key(
            "address",
            "address",
            REQUIRED,
            (
                "`HOST:PORT` or `unix:PATH`",
                "servers = [{ address = \"unix:/run/api.sock\" }]",
            ),
        )],
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
];
