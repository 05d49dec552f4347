//! What was counted, written in one transaction: all of it or nothing.
use super::{
    entry::{Entry, Facts, Offered, Origin, Who},
    extract::{Sums, Terms},
    names::Names,
    network,
    schema::{ADD_TO_TALLY, ADD_TO_UPSTREAM, NO_OFFER, OTHERS},
    store::Store,
    table::Table,
};
use portcullis_wire::Escaped;
use rusqlite::{CachedStatement, Connection, OptionalExtension, ToSql, TransactionBehavior, named_params, params};
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// Offers in the dictionary; one that is new beyond is not kept until others are forgotten.
const OFFERS: i64 = 20_000;
/// User agents of all clients together, likewise.
const AGENTS_IN_ALL: i64 = 50_000;

/// What the configuration says of writing.
#[derive(Clone, Default)]
pub(super) struct Shape {
    /// What each site's data is.
    pub(super) labels: HashMap<Arc<str>, String>,
}

/// Writes tables; an error leaves the ledger and the allowances of networks as they were.
pub(super) fn write(
    store: &mut Store,
    tables: &[Table],
    (shape, names): (&Shape, &mut Names),
    now: i64,
) -> rusqlite::Result<()> {
    let secret = store.secret;
    let writing = store
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)?;
    let count = |sql: &str| writing.query_row(sql, [], |row| row.get::<_, i64>(0));
    let mut batch = Batch {
        offers: count("SELECT count(*) FROM offer")?,
        agents: count("SELECT count(*) FROM user_agent")?,
        connection: &writing,
        shape,
        secret,
        names,
        now,
        spent: Vec::new(),
        known: Known::default(),
    };
    let written = batch.all(tables);
    let spent = std::mem::take(&mut batch.spent);
    let written = written.and_then(|()| writing.commit());
    if written.is_err() {
        names.give_back(spent);
    }
    written
}

struct Batch<'a> {
    connection: &'a Connection,
    shape: &'a Shape,
    secret: [u8; 32],
    names: &'a mut Names,
    now: i64,
    /// Networks whose allowance was used.
    spent: Vec<Option<IpAddr>>,
    offers: i64,
    agents: i64,
    known: Known,
}

/// Ids that this batch has looked up: another process may change them afterwards, not while it writes.
#[derive(Default)]
struct Known {
    sites: HashMap<Arc<str>, i64>,
    terms: HashMap<Facts, i64>,
    offers: HashMap<*const Offered, i64>,
}

impl Batch<'_> {
    fn all(&mut self, tables: &[Table]) -> rusqlite::Result<()> {
        let entries = || tables.iter().flat_map(Table::entries);
        // names first: who completed a handshake is refused under that name
        for entry in entries().filter(|entry| entry.facts.makes_a_name()) {
            self.entry(entry)?;
        }
        for entry in entries().filter(|entry| !entry.facts.makes_a_name()) {
            self.entry(entry)?;
        }
        for origin in tables.iter().flat_map(Table::origins) {
            self.origin(origin)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> rusqlite::Result<()> {
        let site = self.site(&entry.site.0)?;
        let terms = self.terms(&entry.facts)?;
        let client = self.client(entry)?;
        let offer = match &entry.offered {
            Some(offered) if client != OTHERS => self.offer(offered, entry.from)?,
            _ => NO_OFFER,
        };
        let Sums {
            connections,
            requests,
            bytes_in,
            bytes_out,
            requests_refused,
            requests_would_refuse,
        } = entry.sums;
        self.sql(&format!(
            "INSERT INTO tally VALUES (:bucket, 3600, :site, :client, :offer, :terms, :connections, :requests, :bytes_in,
                :bytes_out, :refused, :would_refuse, :first_seen, :last_seen) {ADD_TO_TALLY}"
        ))?
        .execute(named_params! {
            ":bucket": entry.hour * 3600,
            ":site": site,
            ":client": client,
            ":offer": offer,
            ":terms": terms,
            ":connections": number(connections),
            ":requests": number(requests),
            ":bytes_in": number(bytes_in),
            ":bytes_out": number(bytes_out),
            ":refused": number(requests_refused),
            ":would_refuse": number(requests_would_refuse),
            ":first_seen": entry.first_seen,
            ":last_seen": entry.last_seen,
        })?;
        if client != OTHERS {
            self.about_client(client, entry)?;
        }
        Ok(())
    }

    /// What is known of a client whoever it connects to.
    fn about_client(&mut self, client: i64, entry: &Entry) -> rusqlite::Result<()> {
        if entry.facts.proves_ml_dsa() {
            let sql = "UPDATE client SET completed_ml_dsa = ?2 WHERE id = ?1 AND completed_ml_dsa IS NULL";
            self.sql(sql)?.execute([client, entry.first_seen])?;
        }
        for agent in &entry.agents {
            self.agent(client, entry, (&Escaped(&agent.name).to_string(), agent.requests))?;
        }
        Ok(())
    }

    fn agent(&mut self, client: i64, entry: &Entry, (agent, requests): (&str, u64)) -> rusqlite::Result<()> {
        let seen = params![client, agent, number(requests), entry.first_seen, entry.last_seen];
        let known = "UPDATE user_agent SET requests = requests + ?3, first_seen = min(first_seen, ?4),
            last_seen = max(last_seen, ?5) WHERE client = ?1 AND agent = ?2";
        if self.sql(known)?.execute(seen)? > 0 || self.agents >= AGENTS_IN_ALL {
            return Ok(());
        }
        // beyond its share the one that was seen longest ago makes room
        let oldest =
            "DELETE FROM user_agent WHERE client = ?1 AND agent IN (SELECT agent FROM user_agent WHERE client = ?1
            ORDER BY last_seen DESC, requests DESC LIMIT -1 OFFSET 7)";
        let gone = self.sql(oldest)?.execute([client])?;
        self.agents += 1 - i64::try_from(gone).unwrap_or(0);
        self.sql("INSERT INTO user_agent VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(seen)?;
        Ok(())
    }

    fn origin(&mut self, origin: &Origin) -> rusqlite::Result<()> {
        let terms = self.terms(&origin.facts)?;
        let sql = format!("INSERT INTO upstream VALUES (?1, 3600, ?2, ?3, ?4, ?5, ?6, ?7) {ADD_TO_UPSTREAM}");
        self.sql(&sql)?.execute(params![
            origin.hour * 3600,
            &*origin.upstream.0,
            &*origin.server,
            terms,
            number(origin.connections),
            origin.first_seen,
            origin.last_seen
        ])?;
        Ok(())
    }

    fn site(&mut self, name: &Arc<str>) -> rusqlite::Result<i64> {
        if let Some(id) = self.known.sites.get(name) {
            return Ok(*id);
        }
        let label = self.shape.labels.get(name).map_or("", String::as_str);
        let sql = "INSERT INTO site (name, label) VALUES (?1, ?2)
            ON CONFLICT (name) DO UPDATE SET label = excluded.label RETURNING id";
        let id = self.sql(sql)?.query_row([&**name, label], |row| row.get(0))?;
        self.known.sites.insert(name.clone(), id);
        Ok(id)
    }

    fn client(&mut self, entry: &Entry) -> rusqlite::Result<i64> {
        let ja4 = entry.offered.as_ref().map_or("", |offered| offered.ja4.as_str());
        let network = || network::text(entry.from, entry.rule, &self.secret);
        match &entry.who {
            Who::Nobody => Ok(OTHERS),
            Who::Identity(identity) => {
                // an authority of the operator's vouches for it: no stranger makes these up
                let sql = "INSERT INTO client (identity, ja4, network) VALUES (?1, ?2, ?3) ON CONFLICT (identity)
                    WHERE identity <> '' DO UPDATE SET ja4 = excluded.ja4, network = excluded.network RETURNING id";
                let identity = Escaped(identity.as_bytes()).to_string();
                let network = network();
                self.sql(sql)?.query_row([&identity, ja4, &network], |row| row.get(0))
            }
            Who::Print => {
                let network = network();
                if ja4.is_empty() && network.is_empty() {
                    return Ok(OTHERS);
                }
                let sql = "SELECT id FROM client WHERE ja4 = ?1 AND network = ?2 AND identity = ''";
                let known = self.sql(sql)?.query_row([ja4, &network], |row| row.get(0)).optional()?;
                match known {
                    Some(id) => Ok(id),
                    None if entry.facts.makes_a_name() && self.spends(entry.from) => {
                        let sql = "INSERT INTO client (identity, ja4, network) VALUES ('', ?1, ?2) RETURNING id";
                        self.sql(sql)?.query_row([ja4, &network], |row| row.get(0))
                    }
                    None => Ok(OTHERS),
                }
            }
        }
    }

    fn offer(&mut self, offered: &Arc<Offered>, from: Option<IpAddr>) -> rusqlite::Result<i64> {
        if let Some(id) = self.known.offers.get(&Arc::as_ptr(offered)) {
            return Ok(*id);
        }
        let offer = &offered.offer;
        let lists = [&offer.versions, &offer.groups, &offer.shares, &offer.schemes].map(|list| list.join(","));
        let [versions, groups, shares, schemes] = lists.each_ref().map(|list| list as &dyn ToSql);
        let values = [versions, groups, shares, schemes];
        let sql = "SELECT id FROM offer WHERE versions = ?1 AND groups = ?2 AND shares = ?3 AND schemes = ?4";
        let known = self.sql(sql)?.query_row(values, |row| row.get(0)).optional()?;
        let id = match known {
            Some(id) => id,
            None if self.offers < OFFERS && self.spends(from) => {
                self.offers += 1;
                let sql = "INSERT INTO offer (versions, groups, shares, schemes) VALUES (?1, ?2, ?3, ?4) RETURNING id";
                self.sql(sql)?.query_row(values, |row| row.get(0))?
            }
            // another client's may be admitted a moment later
            None => return Ok(NO_OFFER),
        };
        self.known.offers.insert(Arc::as_ptr(offered), id);
        Ok(id)
    }

    fn terms(&mut self, facts: &Facts) -> rusqlite::Result<i64> {
        if let Some(id) = self.known.terms.get(facts) {
            return Ok(*id);
        }
        let id = terms(self.connection, &Terms::from(facts))?;
        self.known.terms.insert(*facts, id);
        Ok(id)
    }

    /// Whether this network may bring one name more.
    fn spends(&mut self, from: Option<IpAddr>) -> bool {
        let network = from.map(network::network);
        let admitted = self.names.admits(network, self.now);
        if admitted {
            self.spent.push(network);
        }
        admitted
    }

    fn sql(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql)
    }
}

fn terms(connection: &Connection, terms: &Terms) -> rusqlite::Result<i64> {
    let values: [&dyn ToSql; 20] = [
        &terms.admission,
        &terms.transport,
        &terms.version,
        &terms.group,
        &terms.key_exchange,
        &terms.cipher,
        &terms.signature,
        &terms.authentication,
        &terms.client_authentication,
        &terms.safety,
        &terms.resumed,
        &terms.retry,
        &terms.reason,
        &terms.authentication_reason,
        &terms.whatif_key_exchange,
        &terms.whatif_authentication,
        &terms.refused_by,
        &terms.would_refuse,
        &terms.exempt,
        &terms.ml_dsa_refused,
    ];
    const COLUMNS: &str = "admission, transport, version, \"group\", key_exchange, cipher, signature, authentication,
        client_authentication, safety, resumed, retry, reason, authentication_reason, whatif_key_exchange,
        whatif_authentication, refused_by, would_refuse, exempt, ml_dsa_refused";
    let marks = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20";
    let known = format!("SELECT id FROM terms WHERE ({COLUMNS}) = ({marks})");
    let known = connection
        .prepare_cached(&known)?
        .query_row(values, |row| row.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => {
            let sql = format!("INSERT INTO terms ({COLUMNS}) VALUES ({marks}) RETURNING id");
            connection.prepare_cached(&sql)?.query_row(values, |row| row.get(0))
        }
    }
}

/// SQLite counts to 2^63: 9 exabytes.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
