//! All figures at once: the JSON of SPEC 6.
use super::{
    Amounts, Breaking, Class, Split, WouldRefuse,
    clients::{self, ClientEntry, MlDsa},
    downgrades::{Downgrade, downgrades},
    known::Known,
};
use crate::{
    clock,
    ledger::{Extract, Row, Terms, UpstreamRow},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Who is quantum-safe, who is not, and what requiring it would break.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Adoption {
    /// Where the figures begin.
    pub from: String,
    /// And end.
    pub to: String,
    /// All sites together.
    pub totals: Split,
    /// Each site.
    pub sites: Vec<SiteAdoption>,
    /// Each client with a name: the worst class first, in it the heaviest.
    pub clients: Vec<ClientEntry>,
    /// What requiring it everywhere would refuse.
    pub would_refuse: WouldRefuse,
    /// Who was quantum-safe and is not any more.
    pub downgraded: Vec<Downgrade>,
    /// What servers negotiated with us.
    pub upstreams: Vec<UpstreamEntry>,
    /// What somebody who records it can read later.
    pub exposure: Exposure,
    /// The shares over time.
    pub over_time: Vec<OverTime>,
    /// Clients without a name of their own: those that the ledger had no room for.
    pub others: Split,
    /// Connections whose certificate we do not see: quantum-safe key exchange, unknown authentication.
    pub unknown: Amounts,
    /// Connections without TLS.
    pub plain: Amounts,
    /// What was refused already, and what failed.
    pub refusals: Refusals,
}

/// One site.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SiteAdoption {
    /// Its name.
    pub site: String,
    /// Its data label.
    pub label: String,
    /// Its shares.
    #[serde(flatten)]
    pub split: Split,
    /// What requiring it here would refuse.
    pub would_refuse: WouldRefuse,
}

/// What one server of an upstream negotiated.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct UpstreamEntry {
    /// The upstream.
    pub upstream: String,
    /// Its server.
    pub server: String,
    /// The group, empty without TLS.
    pub group: String,
    /// Its class, empty without TLS.
    pub key_exchange: String,
    /// The class of its authentication, likewise.
    pub authentication: String,
    /// The version of TLS, likewise.
    pub version: String,
    /// Connections.
    pub connections: u64,
    /// The first of them.
    pub first_seen: String,
    /// And the last.
    pub last_seen: String,
}

/// Bytes that went under a classical key exchange: recorded now, they can be read when a quantum computer comes.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct Exposure {
    /// All of them.
    pub classical_bytes: u64,
    /// By site.
    pub by_site: BTreeMap<String, u64>,
    /// By the data label of their site, where it has one.
    pub by_label: BTreeMap<String, u64>,
}

/// The shares of an hour or a day.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OverTime {
    /// Its beginning.
    pub from: String,
    /// How long it is.
    pub seconds: i64,
    /// Its shares.
    #[serde(flatten)]
    pub split: Split,
}

/// What was turned away, or would have been.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Refusals {
    /// Connections, by the rule that refused them.
    pub refused: BTreeMap<String, u64>,
    /// Connections that `report_only` let in, by the rule.
    pub report_only: BTreeMap<String, u64>,
    /// Connections that an exemption let in.
    pub exempt: u64,
    /// Requests that were refused on connections that were not.
    pub requests_refused: u64,
    /// Requests that `report_only` let through.
    pub requests_would_refuse: u64,
    /// Handshakes that failed.
    pub failed: u64,
    /// Of these, those in which the client refused an ML-DSA chain.
    pub ml_dsa_refused: u64,
}

/// There is no such site.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no connection of a site \"{site}\" in the ledger; {}", known_sites(known))]
pub struct UnknownSite {
    /// What was asked for.
    pub site: String,
    /// What there is.
    pub known: Vec<String>,
}

/// The figures of an extract.
pub fn adoption(extract: &Extract) -> Adoption {
    let groups = clients::groups(extract);
    let known = Known::table();
    let downgraded = downgrades((extract, &known), &groups);
    let mut figures = Figures::new(extract);
    for row in &extract.rows {
        figures.add(extract, row);
    }
    Adoption {
        from: clock::date(extract.from),
        to: clock::date(extract.to),
        totals: figures.totals,
        would_refuse: figures.all.would_refuse(),
        sites: figures.sites(extract),
        clients: clients::entries((extract, &known), groups),
        downgraded,
        upstreams: upstreams(extract),
        exposure: figures.exposure,
        over_time: over_time(extract),
        others: figures.others,
        unknown: figures.unknown,
        plain: figures.plain,
        refusals: figures.refusals,
    }
}

/// What an extract says of one site. Upstreams belong to all.
pub fn of_site(mut extract: Extract, name: &str) -> Result<Extract, UnknownSite> {
    let Some(at) = extract.sites.iter().position(|site| site.name == name) else {
        let mut known: Vec<String> = extract.sites.iter().map(|site| site.name.clone()).collect();
        known.sort_unstable();
        let site = name.to_owned();
        return Err(UnknownSite { site, known });
    };
    extract.rows.retain(|row| row.site == at);
    extract.over_time.retain(|moment| moment.site == at);
    Ok(extract)
}

fn known_sites(known: &[String]) -> String {
    match known {
        [] => "it knows none".to_owned(),
        known => format!("it knows {}", known.join(", ")),
    }
}

#[derive(Default)]
struct Figures {
    totals: Split,
    others: Split,
    unknown: Amounts,
    plain: Amounts,
    exposure: Exposure,
    refusals: Refusals,
    all: Breakage,
    each: Vec<(Split, Breakage)>,
}

/// Who would break, client by client.
#[derive(Clone, Default)]
struct Breakage {
    key_exchange: (BTreeSet<usize>, Breaking),
    authentication: (BTreeSet<usize>, Breaking),
    unproven: (BTreeSet<usize>, Breaking),
}

impl Figures {
    fn new(extract: &Extract) -> Figures {
        Figures {
            each: vec![Default::default(); extract.sites.len()],
            ..Figures::default()
        }
    }

    fn add(&mut self, extract: &Extract, row: &Row) {
        let terms = &extract.terms[row.terms];
        self.refusals.add(terms, row);
        if terms.admission != "admitted" {
            return;
        }
        let amounts = Amounts::from(row.sums);
        let Some(class) = Class::of(&terms.safety) else {
            match &*terms.safety {
                "plain" => self.plain += amounts,
                _ => self.unknown += amounts,
            }
            // what requiring it would do to these is known all the same
            return self.breakage(extract, row);
        };
        self.totals.add(class, amounts);
        self.each[row.site].0.add(class, amounts);
        if extract.clients[row.client].is_others() {
            self.others.add(class, amounts);
        }
        if class == Class::None {
            self.exposure.add(&extract.sites[row.site], amounts.bytes);
        }
        self.breakage(extract, row);
    }

    fn breakage(&mut self, extract: &Extract, row: &Row) {
        for breakage in [&mut self.all, &mut self.each[row.site].1] {
            breakage.add(extract, row);
        }
    }

    /// Sites with a connection, the heaviest exposure first.
    fn sites(&self, extract: &Extract) -> Vec<SiteAdoption> {
        let seen: BTreeSet<usize> = extract.rows.iter().map(|row| row.site).collect();
        let mut sites: Vec<SiteAdoption> = seen
            .into_iter()
            .map(|at| SiteAdoption {
                site: extract.sites[at].name.clone(),
                label: extract.sites[at].label.clone(),
                split: self.each[at].0,
                would_refuse: self.each[at].1.would_refuse(),
            })
            .collect();
        let weight = |site: &SiteAdoption| (site.split.bytes.none, site.split.connections.total());
        sites.sort_by(|a, b| weight(b).cmp(&weight(a)).then_with(|| a.site.cmp(&b.site)));
        sites
    }
}

impl Breakage {
    fn add(&mut self, extract: &Extract, row: &Row) {
        let (terms, client) = (&extract.terms[row.terms], &extract.clients[row.client]);
        let schemes = &extract.offers[row.offer].schemes;
        let is_unproven = terms.authentication != "pq" && clients::ml_dsa(client, schemes) == MlDsa::Unproven;
        let applies = [
            (terms.whatif_key_exchange, &mut self.key_exchange),
            (terms.whatif_authentication, &mut self.authentication),
            (!terms.whatif_authentication && is_unproven, &mut self.unproven),
        ];
        for (_, (names, breaking)) in applies.into_iter().filter(|(applies, _)| *applies) {
            breaking.add(row.sums.into());
            if !client.is_others() {
                names.insert(row.client);
            }
        }
    }

    fn would_refuse(&self) -> WouldRefuse {
        let counted = |(names, breaking): &(BTreeSet<usize>, Breaking)| Breaking {
            clients: names.len() as u64,
            ..*breaking
        };
        WouldRefuse {
            key_exchange: counted(&self.key_exchange),
            authentication: super::BreakingAuthentication {
                refused: counted(&self.authentication),
                unproven: counted(&self.unproven),
            },
        }
    }
}

impl Exposure {
    fn add(&mut self, site: &crate::ledger::Site, bytes: u64) {
        self.classical_bytes += bytes;
        *self.by_site.entry(site.name.clone()).or_default() += bytes;
        if !site.label.is_empty() {
            *self.by_label.entry(site.label.clone()).or_default() += bytes;
        }
    }
}

impl Refusals {
    fn add(&mut self, terms: &Terms, row: &Row) {
        let connections = row.sums.connections;
        match &*terms.admission {
            "refused" => *self.refused.entry(terms.refused_by.clone()).or_default() += connections,
            "failed" => self.failed += connections,
            _ => {}
        }
        if terms.ml_dsa_refused {
            self.ml_dsa_refused += connections;
        }
        if terms.exempt {
            self.exempt += connections;
        }
        for rule in terms.would_refuse.split(',').filter(|rule| !rule.is_empty()) {
            *self.report_only.entry(rule.to_owned()).or_default() += connections;
        }
        self.requests_refused += row.sums.requests_refused;
        self.requests_would_refuse += row.sums.requests_would_refuse;
    }
}

fn upstreams(extract: &Extract) -> Vec<UpstreamEntry> {
    type Key<'a> = (&'a str, &'a str, [&'a str; 4]);
    let mut entries: BTreeMap<Key<'_>, (u64, i64, i64)> = BTreeMap::new();
    for UpstreamRow {
        upstream,
        server,
        terms,
        connections,
        first_seen,
        last_seen,
    } in &extract.upstreams
    {
        let terms = &extract.terms[*terms];
        let facts: [&str; 4] = [&terms.group, &terms.key_exchange, &terms.authentication, &terms.version];
        let entry = entries
            .entry((upstream, server, facts))
            .or_insert((0, *first_seen, *last_seen));
        *entry = (entry.0 + connections, entry.1.min(*first_seen), entry.2.max(*last_seen));
    }
    let each = entries.into_iter();
    each.map(|((upstream, server, facts), (connections, first, last))| {
        let [group, key_exchange, authentication, version] = facts.map(str::to_owned);
        UpstreamEntry {
            upstream: upstream.to_owned(),
            server: server.to_owned(),
            group,
            key_exchange,
            authentication,
            version,
            connections,
            first_seen: clock::date(first),
            last_seen: clock::date(last),
        }
    })
    .collect()
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// Up to so long a span is told by the hour: 72 of them.
const BY_HOUR: i64 = 3 * DAY;
/// More periods than this are made longer: nobody looks at more, and a wrong clock must not fill the memory.
const MOST_PERIODS: i64 = 400;

/// The shares by the hour or by the day, periods without a connection included.
fn over_time(extract: &Extract) -> Vec<OverTime> {
    let moments = &extract.over_time;
    let first = moments.iter().map(|moment| moment.bucket).min();
    let last = moments.iter().map(|moment| moment.bucket).max();
    let (Some(first), Some(last)) = (first, last) else {
        return Vec::new();
    };
    let by_hour = last.saturating_sub(first) < BY_HOUR && moments.iter().all(|moment| moment.width <= HOUR);
    let mut step = if by_hour { HOUR } else { DAY };
    while last.saturating_sub(first) / step >= MOST_PERIODS {
        step *= 7;
    }
    let begin = first.div_euclid(step);
    let mut splits = vec![Split::default(); (last.div_euclid(step) - begin + 1) as usize];
    for moment in moments {
        let terms = &extract.terms[moment.terms];
        let class = Class::of(&terms.safety).filter(|_| terms.admission == "admitted");
        if let Some(class) = class {
            splits[(moment.bucket.div_euclid(step) - begin) as usize].add(class, moment.sums.into());
        }
    }
    let period = |(n, split): (usize, Split)| OverTime {
        from: clock::date((begin + n as i64) * step),
        seconds: step,
        split,
    };
    splits.into_iter().enumerate().map(period).collect()
}
