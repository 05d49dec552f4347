//! Several ledgers as one: a name means the same in all of them.
use crate::ledger::{Client, Extract, Moment, Row, Site};
use std::{collections::HashMap, hash::Hash, mem};

/// One extract of many. What is there twice, as a ledger's file and the proxy that writes it, counts once: the fuller one.
pub fn merged(extracts: Vec<Extract>) -> Extract {
    let mut chosen: Vec<Extract> = Vec::new();
    for extract in extracts {
        match chosen.iter_mut().find(|other| other.instance == extract.instance) {
            Some(other) if connections(other) < connections(&extract) => *other = extract,
            Some(_) => {}
            None => chosen.push(extract),
        }
    }
    let mut parts = chosen.into_iter();
    let Some(first) = parts.next() else {
        return Extract::default();
    };
    let Some(second) = parts.next() else {
        return first;
    };
    let mut whole = Whole::default();
    for part in [first, second].into_iter().chain(parts) {
        whole.add(part);
    }
    whole.extract
}

/// Every number in it leads to what it names: what came from elsewhere may say anything.
pub fn is_whole(extract: &Extract) -> bool {
    let (sites, terms) = (extract.sites.len(), extract.terms.len());
    let (clients, offers) = (extract.clients.len(), extract.offers.len());
    let row = |row: &Row| row.site < sites && row.client < clients && row.offer < offers && row.terms < terms;
    extract.rows.iter().all(row)
        && extract
            .over_time
            .iter()
            .all(|moment| moment.site < sites && moment.terms < terms)
        && extract.upstreams.iter().all(|upstream| upstream.terms < terms)
}

fn connections(extract: &Extract) -> u64 {
    extract.rows.iter().map(|row| row.sums.connections).sum()
}

#[derive(Default)]
struct Whole {
    extract: Extract,
    sites: HashMap<String, usize>,
    clients: HashMap<(String, String, String), usize>,
    offers: HashMap<crate::ledger::Offer, usize>,
    terms: HashMap<crate::ledger::Terms, usize>,
    rows: HashMap<[usize; 4], usize>,
    moments: HashMap<(i64, i64, usize, usize), usize>,
}

impl Whole {
    fn add(&mut self, mut part: Extract) {
        let whole = &mut self.extract;
        let is_first = whole.sites.is_empty() && whole.from == 0 && whole.to == 0;
        whole.from = if is_first { part.from } else { whole.from.min(part.from) };
        whole.to = whole.to.max(part.to);
        whole.folded += part.folded;
        let sites: Vec<usize> = mem::take(&mut part.sites).into_iter().map(|s| self.site(s)).collect();
        let clients: Vec<usize> = mem::take(&mut part.clients)
            .into_iter()
            .map(|c| self.client(c))
            .collect();
        let offers = all(part.offers, &mut self.offers, &mut self.extract.offers);
        let terms = all(part.terms, &mut self.terms, &mut self.extract.terms);
        for row in part.rows {
            self.row(Row {
                site: sites[row.site],
                client: clients[row.client],
                offer: offers[row.offer],
                terms: terms[row.terms],
                ..row
            });
        }
        for moment in part.over_time {
            self.moment(Moment {
                site: sites[moment.site],
                terms: terms[moment.terms],
                ..moment
            });
        }
        for mut upstream in part.upstreams {
            upstream.terms = terms[upstream.terms];
            self.extract.upstreams.push(upstream);
        }
    }

    fn site(&mut self, site: Site) -> usize {
        let at = place(site.name.clone(), &mut self.sites, &mut self.extract.sites, || {
            site.clone()
        });
        let known = &mut self.extract.sites[at];
        if known.label.is_empty() {
            known.label = site.label;
        }
        at
    }

    fn client(&mut self, client: Client) -> usize {
        let key = match client.identity.is_empty() {
            true => (String::new(), client.ja4.clone(), client.network.clone()),
            false => (client.identity.clone(), String::new(), String::new()),
        };
        let at = place(key, &mut self.clients, &mut self.extract.clients, || client.clone());
        let known = &mut self.extract.clients[at];
        known.completed_ml_dsa = match (known.completed_ml_dsa, client.completed_ml_dsa) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        for agent in client.user_agents {
            if !known.user_agents.contains(&agent) {
                known.user_agents.push(agent);
            }
        }
        at
    }

    fn row(&mut self, row: Row) {
        let rows = &mut self.extract.rows;
        let key = [row.site, row.client, row.offer, row.terms];
        let at = *self.rows.entry(key).or_insert(rows.len());
        match rows.get_mut(at) {
            Some(known) => {
                known.sums += row.sums;
                known.first_seen = known.first_seen.min(row.first_seen);
                known.last_seen = known.last_seen.max(row.last_seen);
            }
            None => rows.push(row),
        }
    }

    fn moment(&mut self, moment: Moment) {
        let moments = &mut self.extract.over_time;
        let key = (moment.bucket, moment.width, moment.site, moment.terms);
        let at = *self.moments.entry(key).or_insert(moments.len());
        match moments.get_mut(at) {
            Some(known) => known.sums += moment.sums,
            None => moments.push(moment),
        }
    }
}

/// Where each of them stands in the whole.
fn all<T: Hash + Eq + Clone>(values: Vec<T>, places: &mut HashMap<T, usize>, whole: &mut Vec<T>) -> Vec<usize> {
    let each = values.into_iter();
    each.map(|value| place(value.clone(), places, whole, || value))
        .collect()
}

/// Where what has this key stands, put there if it is new.
fn place<K: Hash + Eq, T>(
    key: K,
    places: &mut HashMap<K, usize>,
    whole: &mut Vec<T>,
    make: impl FnOnce() -> T,
) -> usize {
    let next = whole.len();
    let at = *places.entry(key).or_insert(next);
    if at == next {
        whole.push(make());
    }
    at
}
