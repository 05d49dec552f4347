//! What a ledger says of a span of time, as its readers take it.
use super::{
    error::LedgerError,
    schema::{OTHERS, SUMS},
    store,
};
use rusqlite::{Connection, Row as SqlRow, ToSql, TransactionBehavior, types::FromSql};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, ops::AddAssign, path::Path};

/// A span of time in seconds since 1970. Whole buckets that overlap it are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Its first second.
    pub from: i64,
    /// The second after its last.
    pub to: i64,
}

/// What a ledger says of a span. The numbers in rows are places in the lists beside them, which hold only what rows name.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Extract {
    /// Random, and the same as long as the ledger lives: tells ledgers apart that are merged.
    pub instance: String,
    /// Where the first bucket begins; the span's begin where there is none.
    pub from: i64,
    /// Where the last bucket ends, or would.
    pub to: i64,
    /// Names given up so far because there were too many.
    pub folded: u64,
    /// Sites that rows name.
    pub sites: Vec<Site>,
    /// Clients that rows name.
    pub clients: Vec<Client>,
    /// Offers that rows name.
    pub offers: Vec<Offer>,
    /// Terms that rows name.
    pub terms: Vec<Terms>,
    /// Sums over the span.
    pub rows: Vec<Row>,
    /// Sums by bucket.
    pub over_time: Vec<Moment>,
    /// What servers were seen to negotiate.
    pub upstreams: Vec<UpstreamRow>,
}

/// A site.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Site {
    /// Its configured name.
    pub name: String,
    /// What its data is, by the configuration.
    pub label: String,
}

/// Who connected; all empty: the others.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Client {
    /// Its certificate's subject, escaped; empty: known by fingerprint and network.
    pub identity: String,
    /// Its fingerprint; of an identity, the latest.
    pub ja4: String,
    /// Where it comes from, as exact as `addresses` has it; of an identity, the latest.
    pub network: String,
    /// When it first completed a handshake with ML-DSA authentication.
    pub completed_ml_dsa: Option<i64>,
    /// What its requests call it, escaped, the most used first.
    pub user_agents: Vec<String>,
}

/// What a client offered, in its order.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// `1.3`, `1.2`
    pub versions: Vec<String>,
    /// Groups by name, or `0x6399`.
    pub groups: Vec<String>,
    /// The groups that it sent shares of.
    pub shares: Vec<String>,
    /// Signature schemes.
    pub schemes: Vec<String>,
}

/// What connections came to, in the words of the access log; empty where there is nothing to say.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Terms {
    /// `admitted`, `refused` (by policy) or `failed` (the handshake).
    pub admission: String,
    /// `tcp` or `quic`
    pub transport: String,
    /// `1.3` or `1.2`
    pub version: String,
    /// The group's name.
    pub group: String,
    /// `hybrid`, `pq` or `classical`
    pub key_exchange: String,
    /// The cipher suite's name.
    pub cipher: String,
    /// The handshake's signature scheme.
    pub signature: String,
    /// `pq`, `classical` or `unknown`
    pub authentication: String,
    /// `pq`, `classical` or `none`
    pub client_authentication: String,
    /// `full`, `confidential`, `none`, `unknown` or `plain`
    pub safety: String,
    /// A session was resumed.
    pub resumed: bool,
    /// It took a HelloRetryRequest.
    pub retry: bool,
    /// Why the key exchange is not quantum-safe.
    pub reason: String,
    /// Why authentication is not.
    pub authentication_reason: String,
    /// Requiring a quantum-safe key exchange would have refused it.
    pub whatif_key_exchange: bool,
    /// Requiring quantum-safe authentication would have.
    pub whatif_authentication: bool,
    /// The rule that refused it.
    pub refused_by: String,
    /// The rules that `report_only` counted, with commas between them.
    pub would_refuse: String,
    /// An exemption admitted it.
    pub exempt: bool,
    /// It answered an ML-DSA chain with an alert about certificates.
    pub ml_dsa_refused: bool,
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Sums {
    /// Connections that ended.
    pub connections: u64,
    /// Requests that ended.
    pub requests: u64,
    /// Application bytes from clients.
    pub bytes_in: u64,
    /// And to them.
    pub bytes_out: u64,
    /// Requests that a route's policy refused.
    pub requests_refused: u64,
    /// Requests that it would have, but for `report_only`.
    pub requests_would_refuse: u64,
}

/// Connections of a client to a site, with one offer and on the same terms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Which site.
    pub site: usize,
    /// Which client.
    pub client: usize,
    /// Which offer.
    pub offer: usize,
    /// Which terms.
    pub terms: usize,
    /// How many.
    pub sums: Sums,
    /// When the first of them ended.
    pub first_seen: i64,
    /// And the last.
    pub last_seen: i64,
}

/// Connections of a time to a site, on the same terms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Moment {
    /// Where the bucket begins.
    pub bucket: i64,
    /// Its seconds: an hour, or a day.
    pub width: i64,
    /// Which site.
    pub site: usize,
    /// Which terms.
    pub terms: usize,
    /// How many.
    pub sums: Sums,
}

/// Connections to a server, on the same terms.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UpstreamRow {
    /// The upstream's configured name.
    pub upstream: String,
    /// The server's address.
    pub server: String,
    /// Which terms.
    pub terms: usize,
    /// How many.
    pub connections: u64,
    /// When the first of them was made.
    pub first_seen: i64,
    /// And the last.
    pub last_seen: i64,
}

/// What a ledger's file says of a span; a proxy may be writing it.
pub fn read(path: &Path, span: Span) -> Result<Extract, LedgerError> {
    let mut connection = store::open_to_read(path)?;
    of(&mut connection, span).map_err(|error| LedgerError::of(path, error))
}

impl Client {
    /// Everybody without a name.
    pub fn is_others(&self) -> bool {
        self.identity.is_empty() && self.ja4.is_empty() && self.network.is_empty()
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.connections += other.connections;
        self.requests += other.requests;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.requests_refused += other.requests_refused;
        self.requests_would_refuse += other.requests_would_refuse;
    }
}

/// All of it from one moment of the ledger.
pub(super) fn of(connection: &mut Connection, span: Span) -> rusqlite::Result<Extract> {
    let reading = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let mut extract = Extract::default();
    (extract.instance, extract.folded) = reading.query_row(
        "SELECT (SELECT value FROM meta WHERE key = 'instance'), (SELECT value FROM meta WHERE key = 'folded')",
        [],
        |row| Ok((row.get(0)?, count(row, 1)?)),
    )?;
    let overlap: [&dyn ToSql; 2] = [&span.from, &span.to];
    (extract.from, extract.to) = reading.query_row(
        "SELECT coalesce(min(bucket), ?1), coalesce(max(bucket + width), ?2) FROM tally WHERE bucket + width > ?1 AND bucket < ?2",
        overlap,
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let mut places = Places::default();
    let sql = format!(
        "SELECT site, client, offer, terms, {SUMS} FROM tally WHERE bucket + width > ?1 AND bucket < ?2
         GROUP BY site, client, offer, terms ORDER BY site, client, offer, terms"
    );
    extract.rows = all(&reading, &sql, &overlap, |row| {
        Ok(Row {
            site: places.sites.of(row.get(0)?),
            client: places.clients.of(row.get(1)?),
            offer: places.offers.of(row.get(2)?),
            terms: places.terms.of(row.get(3)?),
            sums: sums(row, 4)?,
            first_seen: row.get(10)?,
            last_seen: row.get(11)?,
        })
    })?;
    let sql = format!(
        "SELECT bucket, width, site, terms, {SUMS} FROM tally WHERE bucket + width > ?1 AND bucket < ?2
         GROUP BY bucket, width, site, terms ORDER BY bucket, width, site, terms"
    );
    extract.over_time = all(&reading, &sql, &overlap, |row| {
        Ok(Moment {
            bucket: row.get(0)?,
            width: row.get(1)?,
            site: places.sites.of(row.get(2)?),
            terms: places.terms.of(row.get(3)?),
            sums: sums(row, 4)?,
        })
    })?;
    extract.upstreams = upstreams(&reading, &overlap, &mut places)?;
    extract.dictionaries(&reading, &places)?;
    Ok(extract)
}

fn upstreams(reading: &Connection, overlap: &[&dyn ToSql], places: &mut Places) -> rusqlite::Result<Vec<UpstreamRow>> {
    let sql = "SELECT upstream, server, terms, sum(connections), min(first_seen), max(last_seen) FROM upstream
        WHERE bucket + width > ?1 AND bucket < ?2 GROUP BY upstream, server, terms ORDER BY upstream, server, terms";
    all(reading, sql, overlap, |row| {
        Ok(UpstreamRow {
            upstream: row.get(0)?,
            server: row.get(1)?,
            terms: places.terms.of(row.get(2)?),
            connections: count(row, 3)?,
            first_seen: row.get(4)?,
            last_seen: row.get(5)?,
        })
    })
}

fn sums(row: &SqlRow<'_>, from: usize) -> rusqlite::Result<Sums> {
    Ok(Sums {
        connections: count(row, from)?,
        requests: count(row, from + 1)?,
        bytes_in: count(row, from + 2)?,
        bytes_out: count(row, from + 3)?,
        requests_refused: count(row, from + 4)?,
        requests_would_refuse: count(row, from + 5)?,
    })
}

/// Nothing here is ever negative, whatever stands in a file.
fn count(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0))
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
    read: impl FnMut(&SqlRow<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map(values, read)?.collect()
}

/// Where each id of a dictionary stands in an extract.
#[derive(Default)]
struct Place {
    known: HashMap<i64, usize>,
    ids: Vec<i64>,
}

#[derive(Default)]
struct Places {
    sites: Place,
    clients: Place,
    offers: Place,
    terms: Place,
}

impl Place {
    fn of(&mut self, id: i64) -> usize {
        *self.known.entry(id).or_insert_with(|| {
            self.ids.push(id);
            self.ids.len() - 1
        })
    }

    fn read<T>(
        &self,
        reading: &Connection,
        sql: &str,
        mut read: impl FnMut(&SqlRow<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let mut statement = reading.prepare_cached(sql)?;
        self.ids.iter().map(|id| statement.query_row([id], &mut read)).collect()
    }
}

impl Extract {
    fn dictionaries(&mut self, reading: &Connection, places: &Places) -> rusqlite::Result<()> {
        self.sites = places
            .sites
            .read(reading, "SELECT name, label FROM site WHERE id = ?1", |row| {
                Ok(Site {
                    name: row.get(0)?,
                    label: row.get(1)?,
                })
            })?;
        let sql = "SELECT identity, ja4, network, completed_ml_dsa FROM client WHERE id = ?1";
        self.clients = places.clients.read(reading, sql, |row| {
            Ok(Client {
                identity: row.get(0)?,
                ja4: row.get(1)?,
                network: row.get(2)?,
                completed_ml_dsa: row.get(3)?,
                user_agents: Vec::new(),
            })
        })?;
        let sql = "SELECT agent FROM user_agent WHERE client = ?1 ORDER BY requests DESC, agent";
        for (client, id) in self
            .clients
            .iter_mut()
            .zip(&places.clients.ids)
            .filter(|(_, id)| **id != OTHERS)
        {
            client.user_agents = all(reading, sql, &[id], |row| row.get(0))?;
        }
        let sql = "SELECT versions, groups, shares, schemes FROM offer WHERE id = ?1";
        self.offers = places.offers.read(reading, sql, |row| {
            Ok(Offer {
                versions: list(row.get(0)?),
                groups: list(row.get(1)?),
                shares: list(row.get(2)?),
                schemes: list(row.get(3)?),
            })
        })?;
        self.terms = places.terms.read(reading, "SELECT * FROM terms WHERE id = ?1", terms)?;
        Ok(())
    }
}

fn list(text: String) -> Vec<String> {
    text.split(',')
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn terms(row: &SqlRow<'_>) -> rusqlite::Result<Terms> {
    fn field<T: FromSql>(row: &SqlRow<'_>, name: &str) -> rusqlite::Result<T> {
        row.get(name)
    }
    Ok(Terms {
        admission: field(row, "admission")?,
        transport: field(row, "transport")?,
        version: field(row, "version")?,
        group: field(row, "group")?,
        key_exchange: field(row, "key_exchange")?,
        cipher: field(row, "cipher")?,
        signature: field(row, "signature")?,
        authentication: field(row, "authentication")?,
        client_authentication: field(row, "client_authentication")?,
        safety: field(row, "safety")?,
        resumed: field(row, "resumed")?,
        retry: field(row, "retry")?,
        reason: field(row, "reason")?,
        authentication_reason: field(row, "authentication_reason")?,
        whatif_key_exchange: field(row, "whatif_key_exchange")?,
        whatif_authentication: field(row, "whatif_authentication")?,
        refused_by: field(row, "refused_by")?,
        would_refuse: field(row, "would_refuse")?,
        exempt: field(row, "exempt")?,
        ml_dsa_refused: field(row, "ml_dsa_refused")?,
    })
}
