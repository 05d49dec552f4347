//! THE TABLE of the ledger's tables. What a connection is stands in dictionaries (`site`, `client`, `offer`, `terms`), what is
//! counted in `tally`: every figure is a sum over rows, and stays exact when a name is given up for [`OTHERS`].

/// `PCLG`: how a ledger is told from any other SQLite file (`file` prints it too).
pub(super) const APPLICATION: i64 = 0x5043_4c47;
/// Of the tables below; one that is newer is left alone.
pub(super) const VERSION: i64 = 1;
/// The client without a name: everybody who got none, and all who were folded.
pub(super) const OTHERS: i64 = 0;
/// The offer of those whose offer was not kept.
pub(super) const NO_OFFER: i64 = 0;

/// Made in one transaction, in an empty file.
pub(super) const CREATE: &str = r#"
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE site (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE client (
    id               INTEGER PRIMARY KEY,
    identity         TEXT NOT NULL,
    ja4              TEXT NOT NULL,
    network          TEXT NOT NULL,
    completed_ml_dsa INTEGER
) STRICT;
CREATE UNIQUE INDEX client_by_identity ON client (identity) WHERE identity <> '';
CREATE UNIQUE INDEX client_by_print ON client (ja4, network) WHERE identity = '';

CREATE TABLE user_agent (
    client     INTEGER NOT NULL,
    agent      TEXT NOT NULL,
    requests   INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    PRIMARY KEY (client, agent)
) STRICT, WITHOUT ROWID;

CREATE TABLE offer (
    id       INTEGER PRIMARY KEY,
    versions TEXT NOT NULL,
    groups   TEXT NOT NULL,
    shares   TEXT NOT NULL,
    schemes  TEXT NOT NULL,
    UNIQUE (versions, groups, shares, schemes)
) STRICT;

CREATE TABLE terms (
    id                    INTEGER PRIMARY KEY,
    admission             TEXT NOT NULL,
    transport             TEXT NOT NULL,
    version               TEXT NOT NULL,
    "group"               TEXT NOT NULL,
    key_exchange          TEXT NOT NULL,
    cipher                TEXT NOT NULL,
    signature             TEXT NOT NULL,
    authentication        TEXT NOT NULL,
    client_authentication TEXT NOT NULL,
    safety                TEXT NOT NULL,
    resumed               INTEGER NOT NULL,
    retry                 INTEGER NOT NULL,
    reason                TEXT NOT NULL,
    authentication_reason TEXT NOT NULL,
    whatif_key_exchange   INTEGER NOT NULL,
    whatif_authentication INTEGER NOT NULL,
    refused_by            TEXT NOT NULL,
    would_refuse          TEXT NOT NULL,
    exempt                INTEGER NOT NULL,
    ml_dsa_refused        INTEGER NOT NULL,
    UNIQUE (admission, transport, version, "group", key_exchange, cipher, signature, authentication,
            client_authentication, safety, resumed, retry, reason, authentication_reason, whatif_key_exchange,
            whatif_authentication, refused_by, would_refuse, exempt, ml_dsa_refused)
) STRICT;

CREATE TABLE tally (
    bucket                INTEGER NOT NULL,
    width                 INTEGER NOT NULL,
    site                  INTEGER NOT NULL,
    client                INTEGER NOT NULL,
    offer                 INTEGER NOT NULL,
    terms                 INTEGER NOT NULL,
    connections           INTEGER NOT NULL,
    requests              INTEGER NOT NULL,
    bytes_in              INTEGER NOT NULL,
    bytes_out             INTEGER NOT NULL,
    requests_refused      INTEGER NOT NULL,
    requests_would_refuse INTEGER NOT NULL,
    first_seen            INTEGER NOT NULL,
    last_seen             INTEGER NOT NULL,
    PRIMARY KEY (bucket, width, site, client, offer, terms)
) STRICT, WITHOUT ROWID;

CREATE TABLE upstream (
    bucket      INTEGER NOT NULL,
    width       INTEGER NOT NULL,
    upstream    TEXT NOT NULL,
    server      TEXT NOT NULL,
    terms       INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    PRIMARY KEY (bucket, width, upstream, server, terms)
) STRICT, WITHOUT ROWID;

CREATE VIEW connections AS
SELECT datetime(t.bucket, 'unixepoch') AS since, t.width / 3600 AS hours, s.name AS site, s.label,
       CASE WHEN t.client = 0 THEN 'others' ELSE c.identity END AS identity, c.ja4, c.network,
       o.versions AS offered_versions, o.groups AS offered_groups, o.shares AS offered_shares, o.schemes AS offered_schemes,
       w.admission, w.transport, w.version, w."group", w.key_exchange, w.cipher, w.signature, w.authentication,
       w.client_authentication, w.safety, w.resumed, w.retry, w.reason, w.authentication_reason,
       w.whatif_key_exchange, w.whatif_authentication, w.refused_by, w.would_refuse, w.exempt, w.ml_dsa_refused,
       t.connections, t.requests, t.bytes_in, t.bytes_out, t.requests_refused, t.requests_would_refuse,
       datetime(t.first_seen, 'unixepoch') AS first_seen, datetime(t.last_seen, 'unixepoch') AS last_seen
FROM tally t
JOIN site s ON s.id = t.site
JOIN client c ON c.id = t.client
JOIN offer o ON o.id = t.offer
JOIN terms w ON w.id = t.terms;

INSERT INTO client (id, identity, ja4, network) VALUES (0, '', '', '');
INSERT INTO offer (id, versions, groups, shares, schemes) VALUES (0, '', '', '', '');
INSERT INTO meta (key, value) VALUES
    ('created', unixepoch()), ('instance', lower(hex(randomblob(8)))), ('secret', randomblob(32)), ('folded', 0);
"#;

/// Adds to the row that is there already.
pub(super) const ADD_TO_TALLY: &str = "
ON CONFLICT (bucket, width, site, client, offer, terms) DO UPDATE SET
    connections = connections + excluded.connections,
    requests = requests + excluded.requests,
    bytes_in = bytes_in + excluded.bytes_in,
    bytes_out = bytes_out + excluded.bytes_out,
    requests_refused = requests_refused + excluded.requests_refused,
    requests_would_refuse = requests_would_refuse + excluded.requests_would_refuse,
    first_seen = min(first_seen, excluded.first_seen),
    last_seen = max(last_seen, excluded.last_seen)";

/// The same of a server.
pub(super) const ADD_TO_UPSTREAM: &str = "
ON CONFLICT (bucket, width, upstream, server, terms) DO UPDATE SET
    connections = connections + excluded.connections,
    first_seen = min(first_seen, excluded.first_seen),
    last_seen = max(last_seen, excluded.last_seen)";

/// What several rows come to as one.
pub(super) const SUMS: &str = "sum(connections), sum(requests), sum(bytes_in), sum(bytes_out), sum(requests_refused),
    sum(requests_would_refuse), min(first_seen), max(last_seen)";
