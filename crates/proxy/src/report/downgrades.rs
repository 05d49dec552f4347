//! Clients whose key exchange was quantum-safe and is not any more. An identity is known by its certificate; without one it
//! is a guess, and says so.
use super::{Class, clients::Group, known::Known, reasons::why};
use crate::{clock, ledger::Extract};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A client that went back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Downgrade {
    /// Subject of its certificate, empty without one.
    pub identity: String,
    /// Fingerprint of its hello now.
    pub ja4: String,
    /// Where it connects from.
    pub network: String,
    /// What it said it is.
    pub user_agents: Vec<String>,
    /// What it looks like now.
    pub guess: String,
    /// The site.
    pub site: String,
    /// What makes the two the same client.
    pub by: Basis,
    /// It may be another client after all.
    pub is_guess: bool,
    /// When it was last quantum-safe.
    pub safe_until: String,
    /// The group it had then.
    pub safe_group: String,
    /// Since when it is not.
    pub classical_since: String,
    /// Why not.
    pub reason: String,
    /// Connections without it.
    pub connections: u64,
    /// Bytes on these.
    pub bytes: u64,
}

/// What makes two sightings the same client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// A certificate.
    Identity,
    /// The same library from the same network.
    Fingerprint,
    /// Another library, with the same words of itself, from the same network.
    UserAgent,
}

/// Everything that looks like a downgrade, the surest first.
pub(super) fn downgrades((extract, known): (&Extract, &Known), groups: &[Group<'_>]) -> Vec<Downgrade> {
    let mut found = Vec::new();
    let mut told: HashSet<(usize, usize)> = HashSet::new();
    for ((client, site), (safe, classical)) in by_client(groups) {
        let (Some(safe), Some(classical)) = (safe, classical) else {
            continue;
        };
        let is_named = !extract.clients[client].identity.is_empty();
        let overlap = classical.first_seen <= safe.last_seen;
        // devices behind one address take turns; an identity that goes over bit by bit is worth a look
        let went_back = match overlap {
            false => true,
            true => is_named && classical.last_seen > safe.last_seen && classical.first_seen > safe.first_seen,
        };
        if went_back {
            let by = if is_named { Basis::Identity } else { Basis::Fingerprint };
            told.insert((client, site));
            found.push(downgrade(
                (extract, known),
                (&safe, &classical),
                (by, overlap || !is_named),
            ));
        }
    }
    found.extend(by_user_agent((extract, known), groups, &told));
    found.sort_by(|a, b| (a.is_guess, a.by, b.bytes, &a.ja4).cmp(&(b.is_guess, b.by, a.bytes, &b.ja4)));
    found
}

/// What a client did on a site with a quantum-safe key exchange, and without.
type Sides<'a> = (Option<Group<'a>>, Option<Group<'a>>);

fn by_client<'a>(groups: &[Group<'a>]) -> BTreeMap<(usize, usize), Sides<'a>> {
    let mut clients: BTreeMap<(usize, usize), Sides<'a>> = BTreeMap::new();
    for group in groups {
        let sides = clients.entry((group.client, group.site)).or_default();
        let side = match group.class {
            Class::None => &mut sides.1,
            Class::Confidential | Class::Full => &mut sides.0,
        };
        *side = Some(match side.take() {
            Some(known) => joined(known, group),
            None => *group,
        });
    }
    clients
}

fn joined<'a>(one: Group<'a>, other: &Group<'a>) -> Group<'a> {
    let mut both = if one.last_seen >= other.last_seen { one } else { *other };
    both.first_seen = one.first_seen.min(other.first_seen);
    both
}

/// Who came without an identity, from a network where somebody with the same user agent was quantum-safe before and never
/// since.
fn by_user_agent(
    (extract, known): (&Extract, &Known),
    groups: &[Group<'_>],
    told: &HashSet<(usize, usize)>,
) -> Vec<Downgrade> {
    let anonymous = || groups.iter().filter(|g| extract.clients[g.client].identity.is_empty());
    let mut safe: HashMap<(usize, &str, &str), Group<'_>> = HashMap::new();
    for group in anonymous().filter(|g| g.class != Class::None) {
        for key in keys(extract, group) {
            let entry = safe.entry(key).or_insert(*group);
            *entry = joined(*entry, group);
        }
    }
    let classical = anonymous().filter(|g| g.class == Class::None && !told.contains(&(g.client, g.site)));
    classical
        .filter_map(|group| {
            let before = keys(extract, group).find_map(|key| safe.get(&key))?;
            let went_back = before.client != group.client && before.last_seen < group.first_seen;
            went_back.then(|| downgrade((extract, known), (before, group), (Basis::UserAgent, true)))
        })
        .collect()
}

fn keys<'e>(extract: &'e Extract, group: &Group<'_>) -> impl Iterator<Item = (usize, &'e str, &'e str)> + use<'e> {
    let (client, site) = (&extract.clients[group.client], group.site);
    let agents = client.user_agents.iter().filter(|_| !client.network.is_empty());
    agents.map(move |agent| (site, client.network.as_str(), agent.as_str()))
}

fn downgrade(
    (extract, known): (&Extract, &Known),
    (safe, classical): (&Group<'_>, &Group<'_>),
    (by, is_guess): (Basis, bool),
) -> Downgrade {
    let client = &extract.clients[classical.client];
    let (offer, terms) = (
        &extract.offers[classical.most.offer],
        &extract.terms[classical.most.terms],
    );
    Downgrade {
        identity: client.identity.clone(),
        ja4: client.ja4.clone(),
        network: client.network.clone(),
        user_agents: client.user_agents.clone(),
        guess: known.guess(&client.ja4),
        site: extract.sites[classical.site].name.clone(),
        by,
        is_guess,
        safe_until: clock::date(safe.last_seen),
        safe_group: extract.terms[safe.most.terms].group.clone(),
        classical_since: clock::date(classical.first_seen),
        reason: why(Class::None, terms, offer),
        connections: classical.amounts.connections,
        bytes: classical.amounts.bytes,
    }
}
