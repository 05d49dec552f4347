//! Each group, signature and cipher suite, proven by a handshake in memory.
use super::finding::{Finding, Section};
use crate::bench::identities;
use portcullis_probe::{
    bench::{self, Identities, USUAL_GROUP, USUAL_SCHEME, tls13},
    memory::{MemoryError, Pairing, Recipe, RecordCost},
};
use portcullis_wire::{
    SchemeId,
    registry::{Cipher, Group, KeyKind, Scheme, Standing},
};
use serde_json::json;
use std::time::{Duration, Instant};

/// Enough for two digits; nine suites stay below half a second.
const EACH: Duration = Duration::from_millis(40);
/// A gigabit: a core that encrypts less is slower than the usual network card.
const GIGABIT: f64 = 0.125;

/// The three sections.
pub(super) fn sections() -> [Section; 3] {
    let schemes = Scheme::all().iter().filter(|scheme| scheme.standing != Standing::Never);
    let mut keys: Vec<KeyKind> = schemes.map(|scheme| scheme.key).collect();
    keys.dedup();
    let identities = identities(&keys);
    let section = |title, findings: &dyn Fn(&Identities) -> Vec<Finding>| Section {
        title,
        findings: match &identities {
            Ok(identities) => findings(identities),
            Err(error) => vec![Finding::bad("certificates", format!("{error:#}"))],
        },
    };
    [
        section("groups", &groups),
        section("signatures", &signatures),
        section("ciphers", &ciphers),
    ]
}

fn groups(identities: &Identities) -> Vec<Finding> {
    let offered = Group::all().iter().filter(|group| group.standing != Standing::Never);
    let found = offered.map(|group| {
        let class = group.class.as_str();
        shaken(group.name, (tls13(group.id, USUAL_SCHEME), identities), class)
    });
    found.collect()
}

fn signatures(identities: &Identities) -> Vec<Finding> {
    let offered = Scheme::all().iter().filter(|scheme| scheme.standing != Standing::Never);
    offered.map(|scheme| signature(scheme, identities)).collect()
}

fn signature(scheme: &Scheme, identities: &Identities) -> Finding {
    if !identities.contains_key(&scheme.key) {
        return Finding::untried(scheme.name, format!("no {} certificate is made here", scheme.key));
    }
    let recipe = match scheme.tls13 {
        true => tls13(USUAL_GROUP, scheme.id),
        false => in_tls12(scheme.id),
    };
    shaken(
        scheme.name,
        (recipe, identities),
        if scheme.key.is_ml_dsa() { "pq" } else { "classical" },
    )
}

fn in_tls12(scheme: SchemeId) -> Recipe {
    Recipe {
        version: portcullis_tls::negotiated::Version::Tls12,
        ..tls13(bench::CLASSICAL_GROUP, scheme)
    }
}

fn shaken(name: &str, (recipe, identities): (Recipe, &Identities), class: &str) -> Finding {
    let made = pairing(recipe, identities).and_then(|pairing| {
        // the first one pays for what is made once
        pairing.handshake()?;
        pairing.handshake()
    });
    match made {
        Ok(handshake) => {
            let cost = handshake.cost;
            let us = cost.server.as_micros();
            let found = format!(
                "{class}: TLS {} handshake, {us} us of CPU, {} bytes in, {} out",
                recipe.version.as_str(),
                cost.bytes_in,
                cost.bytes_out
            );
            Finding::ok(name, found).facts(json!({
                "class": class,
                "version": recipe.version.as_str(),
                "server_us": us,
                "bytes_in": cost.bytes_in,
                "bytes_out": cost.bytes_out,
            }))
        }
        Err(error) => Finding::bad(name, format!("no handshake: {error}"))
            .hint("this is a fault of the build or of the machine: please report it with the output of --version"),
    }
}

fn ciphers(identities: &Identities) -> Vec<Finding> {
    let suites = Cipher::all()
        .iter()
        .filter_map(|cipher| Some((cipher, bench::with_cipher(cipher.id)?)));
    suites
        .map(|(cipher, recipe)| speed(cipher, recipe, identities))
        .collect()
}

fn speed(cipher: &Cipher, recipe: Recipe, identities: &Identities) -> Finding {
    match pairing(recipe, identities).and_then(|pairing| passed(&pairing)) {
        Ok(cost) => {
            let row = bench::RecordRow::of(recipe, &cost);
            let (encrypt, decrypt) = (row.encrypt_gb_per_second, row.decrypt_gb_per_second);
            let found = format!("a core encrypts {encrypt:.2} GB/s and decrypts {decrypt:.2}");
            let finding = match encrypt < GIGABIT || decrypt < GIGABIT {
                true => Finding::warn(cipher.name, found).hint("that is less than a gigabit network carries"),
                false => Finding::ok(cipher.name, found),
            };
            finding.facts(json!(row))
        }
        Err(error) => Finding::bad(cipher.name, format!("no connection: {error}")),
    }
}

fn passed(pairing: &Pairing) -> Result<RecordCost, MemoryError> {
    let mut stream = pairing.stream()?;
    let mut all = RecordCost::default();
    let started = Instant::now();
    while started.elapsed() < EACH || all.bytes == 0 {
        let cost = stream.pass()?;
        all.bytes += cost.bytes;
        all.encrypt += cost.encrypt;
        all.decrypt += cost.decrypt;
    }
    Ok(all)
}

fn pairing(recipe: Recipe, identities: &Identities) -> Result<Pairing, MemoryError> {
    let key = recipe.scheme.entry().map(|scheme| scheme.key);
    match key.and_then(|key| identities.get(&key)) {
        Some(identity) => Pairing::new(recipe, identity),
        None => Err(MemoryError::Other {
            what: "certificate",
            wanted: recipe.scheme.to_string(),
            found: "none".to_owned(),
        }),
    }
}
