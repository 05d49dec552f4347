//! Clients by name: what each of them connected with, and why not with more.
use super::{Amounts, Class, known::Known, reasons::why};
use crate::{
    clock,
    ledger::{Client, Extract, Row},
};
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, collections::HashMap};

/// What one client did on one site in one class.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClientEntry {
    /// Its name in this report: `c1` is the heaviest that is still classical.
    pub client: String,
    /// Subject of its certificate, empty without one.
    pub identity: String,
    /// Fingerprint of its hello.
    pub ja4: String,
    /// Where it connects from, as far as the ledger keeps it.
    pub network: String,
    /// What it said it is.
    pub user_agents: Vec<String>,
    /// What it looks like, by its fingerprint; `unknown` for a stranger.
    pub guess: String,
    /// The site.
    pub site: String,
    /// The class of these connections.
    pub safety: Class,
    /// Why they are in no higher class.
    pub reason: String,
    /// The client has not connected in a higher class since.
    pub still: bool,
    /// Whether ML-DSA would do.
    pub ml_dsa: MlDsa,
    /// What it offered, in most of these connections.
    pub offered_groups: Vec<String>,
    /// Its versions of TLS, likewise.
    pub versions: Vec<String>,
    /// Connections that ended.
    pub connections: u64,
    /// Requests on them.
    pub requests: u64,
    /// Application bytes, both ways.
    pub bytes: u64,
    /// When the first of them ended.
    pub first_seen: String,
    /// And the last.
    pub last_seen: String,
}

/// Whether a client takes ML-DSA certificates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MlDsa {
    /// It completed a handshake with one.
    Proven,
    /// It offers a signature of ML-DSA; whether it trusts the root is not known.
    Unproven,
    /// It does not offer any.
    No,
}

/// Rows of one client on one site in one class.
#[derive(Clone, Copy)]
pub(super) struct Group<'a> {
    pub(super) client: usize,
    pub(super) site: usize,
    pub(super) class: Class,
    pub(super) amounts: Amounts,
    pub(super) first_seen: i64,
    pub(super) last_seen: i64,
    /// The row with the most connections speaks for all.
    pub(super) most: &'a Row,
}

/// Whatever was admitted of clients with a name, one for each client, site and class.
pub(super) fn groups(extract: &Extract) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places: HashMap<(usize, usize, Class), usize> = HashMap::new();
    for row in &extract.rows {
        let terms = &extract.terms[row.terms];
        let Some(class) = Class::of(&terms.safety).filter(|_| terms.admission == "admitted") else {
            continue;
        };
        if extract.clients[row.client].is_others() {
            continue;
        }
        let at = *places.entry((row.client, row.site, class)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.add(row),
            None => groups.push(Group::new(class, row)),
        }
    }
    groups
}

/// The entries: the worst class first, and in it the heaviest.
pub(super) fn entries((extract, known): (&Extract, &Known), mut groups: Vec<Group<'_>>) -> Vec<ClientEntry> {
    let safest = last_of_each_class(&groups);
    let still = |group: &Group<'_>| {
        let later = |class: &Class| *class > group.class;
        let seen = safest.get(&(group.client, group.site)).into_iter().flatten();
        seen.filter(|(class, _)| later(class))
            .all(|(_, last)| *last < group.last_seen)
    };
    groups.sort_by_key(|g| {
        let weight = Reverse((g.amounts.bytes, g.amounts.connections));
        (g.class, Reverse(still(g)), weight, g.client, g.site)
    });
    let mut names: HashMap<usize, usize> = HashMap::new();
    groups
        .iter()
        .map(|group| {
            let next = names.len() + 1;
            let number = *names.entry(group.client).or_insert(next);
            entry((extract, known), group, (number, still(group)))
        })
        .collect()
}

type LastSeen = HashMap<(usize, usize), Vec<(Class, i64)>>;

fn last_of_each_class(groups: &[Group<'_>]) -> LastSeen {
    let mut last: LastSeen = HashMap::new();
    for group in groups {
        let classes = last.entry((group.client, group.site)).or_default();
        classes.push((group.class, group.last_seen));
    }
    last
}

fn entry((extract, known): (&Extract, &Known), group: &Group<'_>, (number, still): (usize, bool)) -> ClientEntry {
    let client = &extract.clients[group.client];
    let (offer, terms) = (&extract.offers[group.most.offer], &extract.terms[group.most.terms]);
    ClientEntry {
        client: format!("c{number}"),
        identity: client.identity.clone(),
        ja4: client.ja4.clone(),
        network: client.network.clone(),
        user_agents: client.user_agents.clone(),
        guess: known.guess(&client.ja4),
        site: extract.sites[group.site].name.clone(),
        safety: group.class,
        reason: why(group.class, terms, offer),
        still,
        ml_dsa: ml_dsa(client, &offer.schemes),
        offered_groups: offer.groups.clone(),
        versions: offer.versions.clone(),
        connections: group.amounts.connections,
        requests: group.amounts.requests,
        bytes: group.amounts.bytes,
        first_seen: clock::date(group.first_seen),
        last_seen: clock::date(group.last_seen),
    }
}

pub(super) fn ml_dsa(client: &Client, schemes: &[String]) -> MlDsa {
    match client.completed_ml_dsa {
        Some(_) => MlDsa::Proven,
        None if schemes.iter().any(|name| name.starts_with("mldsa")) => MlDsa::Unproven,
        None => MlDsa::No,
    }
}

impl<'a> Group<'a> {
    fn new(class: Class, row: &'a Row) -> Group<'a> {
        Group {
            client: row.client,
            site: row.site,
            class,
            amounts: row.sums.into(),
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            most: row,
        }
    }

    fn add(&mut self, row: &'a Row) {
        self.amounts += row.sums.into();
        self.first_seen = self.first_seen.min(row.first_seen);
        self.last_seen = self.last_seen.max(row.last_seen);
        if row.sums.connections > self.most.sums.connections {
            self.most = row;
        }
    }
}
