//! What the ledger and the configuration bring to a bill of materials.
use crate::{
    args::Report,
    cbom::{Negotiated, Shown},
    say,
};
use anyhow::{Context, Result};
use portcullis_certs::{Found, Inspection};
use portcullis_proxy::{
    config,
    ledger::{Extract, Terms},
    plan::{Certificates, SitePlan},
};
use std::{fs, path::Path};

/// Everything that was negotiated and admitted, with clients and with servers.
pub(super) fn negotiated(extract: &Extract) -> Vec<Negotiated<'_>> {
    let rows = extract.rows.iter().map(|row| {
        let location = format!("site {}", extract.sites[row.site].name);
        let seen = (row.first_seen, row.last_seen);
        (&extract.terms[row.terms], location, row.sums.connections, seen)
    });
    let upstreams = extract.upstreams.iter().map(|row| {
        let location = format!("upstream {}, server {}", row.upstream, row.server);
        let seen = (row.first_seen, row.last_seen);
        (&extract.terms[row.terms], location, row.connections, seen)
    });
    let all = rows
        .filter(|(terms, ..)| terms.admission == "admitted")
        .chain(upstreams);
    all.map(|(terms, location, connections, seen)| facts(terms, (location, connections, seen)))
        .collect()
}

fn facts(terms: &Terms, (location, connections, seen): (String, u64, (i64, i64))) -> Negotiated<'_> {
    Negotiated {
        version: &terms.version,
        group: &terms.group,
        cipher: &terms.cipher,
        signature: &terms.signature,
        location,
        connections,
        seen,
    }
}

/// The certificates of the sites of a configuration; what cannot be read is told and left out.
pub(super) fn shown(wish: &Report, source: &config::Source, now: i64) -> Vec<Shown> {
    if source.file.is_none() {
        return Vec::new();
    }
    let Ok(loaded) = config::load(source) else {
        say::problem("the configuration has errors: its certificates are left out (`portcullis check` tells them)");
        return Vec::new();
    };
    let wanted = |site: &&SitePlan| wish.site.as_ref().is_none_or(|name| *name == site.name);
    let mut shown = Vec::new();
    for site in loaded.plan.sites.iter().filter(wanted) {
        let Certificates::Files(files) = &site.certificates else {
            continue;
        };
        for file in files {
            match chain(&file.chain, now) {
                Ok(found) => shown.extend(found.iter().map(|found| certificate(found, &site.name))),
                Err(error) => say::problem(&format!("{error:#}: left out")),
            }
        }
    }
    shown
}

fn chain(file: &Path, now: i64) -> Result<Vec<Found>> {
    let read = || file.display().to_string();
    let content = fs::read(file).with_context(read)?;
    let inspection = Inspection::read(&content, now).with_context(read)?;
    let certificates = inspection.items.into_iter().filter_map(|item| match item {
        portcullis_certs::Item::Certificate(found) => Some(*found),
        _ => None,
    });
    Ok(certificates.collect())
}

fn certificate(found: &Found, site: &str) -> Shown {
    let facts = &found.facts;
    let key = facts
        .key
        .map_or_else(|| facts.key_algorithm.clone(), |kind| kind.to_string());
    Shown {
        names: [facts.subject.clone(), facts.issuer.clone()],
        validity: [facts.not_before, facts.not_after],
        algorithms: [facts.signature.clone(), key],
        sha256: found.sha256.replace(':', "").to_lowercase(),
        location: format!("site {site}"),
    }
}
