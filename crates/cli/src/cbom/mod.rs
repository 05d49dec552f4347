//! A cryptographic bill of materials (CycloneDX 1.6) of what was really negotiated, from plain facts.
use algorithms::{Algorithm, of_cipher, of_group, of_scheme, unknown};
use portcullis_certs::date;
use portcullis_wire::registry::Cipher;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

mod algorithms;

/// Connections on the same terms at one place.
#[derive(Clone, Debug)]
pub(crate) struct Negotiated<'a> {
    /// `1.3`; empty: nothing is known of it.
    pub(crate) version: &'a str,
    /// The group's registered name.
    pub(crate) group: &'a str,
    /// IANA's name of the cipher suite.
    pub(crate) cipher: &'a str,
    /// The signature scheme's name; empty when resumed.
    pub(crate) signature: &'a str,
    /// Where: `site shop`.
    pub(crate) location: String,
    /// How many.
    pub(crate) connections: u64,
    /// Seconds since 1970 of the first and the last.
    pub(crate) seen: (i64, i64),
}

/// A certificate that a site shows.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Subject and issuer.
    pub(crate) names: [String; 2],
    /// Seconds since 1970.
    pub(crate) validity: [i64; 2],
    /// The algorithms of its signature and of its key, for people: `ML-DSA-65`.
    pub(crate) algorithms: [String; 2],
    /// Hex of its SHA-256.
    pub(crate) sha256: String,
    /// Where: `site shop`.
    pub(crate) location: String,
}

/// What makes one bill different from the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issue {
    /// Seconds since 1970.
    pub(crate) at: i64,
    /// Random.
    pub(crate) serial: [u8; 16],
}

/// The bill.
pub(crate) fn bill(negotiated: &[Negotiated<'_>], shown: &[Shown], issue: Issue) -> Value {
    let mut assets = Assets::default();
    for facts in negotiated.iter().filter(|facts| !facts.version.is_empty()) {
        assets.negotiated(facts);
    }
    for certificate in shown {
        assets.certificate(certificate);
    }
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(issue.serial)),
        "version": 1,
        "metadata": {
            "timestamp": date(issue.at),
            "tools": { "components": [
                { "type": "application", "name": "portcullis", "version": env!("CARGO_PKG_VERSION") },
            ] },
            "component": {
                "type": "application",
                "bom-ref": "portcullis",
                "name": "connections through portcullis",
            },
        },
        "components": assets.components(),
        "dependencies": assets.dependencies(),
    })
}

#[derive(Default)]
struct Assets {
    all: BTreeMap<String, Asset>,
    protocols: BTreeMap<String, Protocol>,
}

/// A component on its way.
#[derive(Default)]
struct Asset {
    name: String,
    properties: Value,
    /// Where it was seen, how often, first and last.
    seen: BTreeMap<String, (u64, i64, i64)>,
    /// Without connections: that it is there.
    stands: BTreeSet<String>,
    depends_on: BTreeSet<String>,
}

#[derive(Default)]
struct Protocol {
    suites: BTreeMap<String, Vec<String>>,
    uses: BTreeSet<String>,
}

impl Assets {
    fn negotiated(&mut self, facts: &Negotiated<'_>) {
        let group = (!facts.group.is_empty()).then(|| of_group(facts.group));
        let suite = of_cipher(facts.cipher);
        let names = group
            .into_iter()
            .chain(of_scheme_or_none(facts.signature))
            .chain(suite.clone());
        let used: BTreeSet<String> = names.map(|name| self.algorithm(&name, Some(facts))).collect();
        let protocol = self.protocols.entry(facts.version.to_owned()).or_default();
        protocol.uses.extend(used.iter().cloned());
        let suite = suite.iter().map(|name| reference(name)).collect();
        protocol.suites.insert(facts.cipher.to_owned(), suite);
        let asset = self.all.entry(protocol_reference(facts.version)).or_default();
        asset.name = format!("TLS {}", facts.version);
        asset.depends_on.extend(used);
        asset.see(facts);
    }

    /// Puts an algorithm in, with what it is combined of; its reference.
    fn algorithm(&mut self, name: &str, facts: Option<&Negotiated<'_>>) -> String {
        let row = Algorithm::named(name);
        let parts = row.map_or(&[][..], |row| row.parts);
        let parts: BTreeSet<String> = parts.iter().map(|part| self.algorithm(part, facts)).collect();
        let reference = reference(name);
        let asset = self.all.entry(reference.clone()).or_default();
        asset.name = name.to_owned();
        asset.properties = row.map_or_else(unknown, Algorithm::properties);
        asset.depends_on.extend(parts);
        facts.into_iter().for_each(|facts| asset.see(facts));
        reference
    }

    fn certificate(&mut self, shown: &Shown) {
        let [signature, key] = shown.algorithms.each_ref().map(|name| self.algorithm(name, None));
        let [subject, issuer] = &shown.names;
        let [not_before, not_after] = shown.validity.map(date);
        let asset = self.all.entry(format!("certificate/{}", shown.sha256)).or_default();
        asset.name = subject.clone();
        asset.properties = json!({
            "assetType": "certificate",
            "certificateProperties": {
                "subjectName": subject,
                "issuerName": issuer,
                "notValidBefore": not_before,
                "notValidAfter": not_after,
                "signatureAlgorithmRef": signature,
                "subjectPublicKeyRef": key,
                "certificateFormat": "X.509",
            },
        });
        asset.depends_on.extend([signature, key]);
        asset.stands.insert(shown.location.clone());
    }

    fn components(&self) -> Vec<Value> {
        let each = self.all.iter();
        each.map(|(reference, asset)| asset.component(reference, &self.protocols))
            .collect()
    }

    fn dependencies(&self) -> Vec<Value> {
        let each = self.all.iter().filter(|(_, asset)| !asset.depends_on.is_empty());
        let each = each.map(|(reference, asset)| json!({ "ref": reference, "dependsOn": asset.depends_on }));
        let whole = json!({ "ref": "portcullis", "dependsOn": self.all.keys().collect::<Vec<_>>() });
        std::iter::once(whole).chain(each).collect()
    }
}

impl Asset {
    fn see(&mut self, facts: &Negotiated<'_>) {
        let (first, last) = facts.seen;
        let seen = self.seen.entry(facts.location.clone()).or_insert((0, first, last));
        *seen = (seen.0 + facts.connections, seen.1.min(first), seen.2.max(last));
    }

    fn component(&self, reference: &str, protocols: &BTreeMap<String, Protocol>) -> Value {
        let version = reference.strip_prefix(PROTOCOL).unwrap_or_default();
        let properties = match protocols.get(version) {
            Some(protocol) => protocol.properties(version),
            None => self.properties.clone(),
        };
        json!({
            "type": "cryptographic-asset",
            "bom-ref": reference,
            "name": self.name,
            "cryptoProperties": properties,
            "evidence": { "occurrences": self.occurrences() },
        })
    }

    fn occurrences(&self) -> Vec<Value> {
        let seen = self.seen.iter().map(|(location, (connections, first, last))| {
            let context = format!(
                "{connections} connections, the first {}, the last {}",
                date(*first),
                date(*last)
            );
            json!({ "location": location, "additionalContext": context })
        });
        let stands = self.stands.iter().map(|location| json!({ "location": location }));
        seen.chain(stands).collect()
    }
}

impl Protocol {
    fn properties(&self, version: &str) -> Value {
        let suites = self.suites.iter().map(|(name, algorithms)| {
            let mut suite = json!({ "name": name, "algorithms": algorithms });
            if let Ok(row) = Cipher::by_name(name) {
                let [high, low] = row.id.0.to_be_bytes();
                suite["identifiers"] = json!([format!("0x{high:02X}"), format!("0x{low:02X}")]);
            }
            suite
        });
        json!({
            "assetType": "protocol",
            "protocolProperties": {
                "type": "tls",
                "version": version,
                "cipherSuites": suites.collect::<Vec<_>>(),
                "cryptoRefArray": self.uses,
            },
        })
    }
}

fn of_scheme_or_none(scheme: &str) -> Vec<String> {
    if scheme.is_empty() {
        Vec::new()
    } else {
        of_scheme(scheme)
    }
}

const PROTOCOL: &str = "protocol/tls/";

fn protocol_reference(version: &str) -> String {
    format!("{PROTOCOL}{version}")
}

/// Without what a reference had better not have.
fn reference(name: &str) -> String {
    format!("algorithm/{}", name.replace([' ', '#'], "-"))
}

/// RFC 9562 section 5.4: version 4 of random bytes.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(group: &'a str, signature: &'a str, location: &str) -> Negotiated<'a> {
        Negotiated {
            version: "1.3",
            group,
            cipher: "TLS_AES_256_GCM_SHA384",
            signature,
            location: location.into(),
            connections: 5,
            seen: (1_794_528_000, 1_794_614_400),
        }
    }

    fn made() -> Value {
        let negotiated = [
            seen("X25519MLKEM768", "mldsa65", "site shop"),
            seen("X25519MLKEM768", "", "site shop"),
            seen("0x1234", "ecdsa_secp256r1_sha256", "upstream api, server 10.0.0.5:8443"),
            Negotiated {
                version: "",
                ..seen("", "", "site plain")
            },
        ];
        let shown = Shown {
            names: ["CN=shop".into(), "CN=root".into()],
            validity: [1_794_528_000, 1_826_064_000],
            algorithms: ["ML-DSA-65".into(), "ML-DSA-65".into()],
            sha256: "ab".repeat(32),
            location: "site shop".into(),
        };
        let issue = Issue {
            at: 1_794_614_400,
            serial: [0xff; 16],
        };
        bill(&negotiated, &[shown], issue)
    }

    fn component<'a>(bill: &'a Value, reference: &str) -> &'a Value {
        let components = bill["components"].as_array().unwrap();
        let found = components.iter().find(|it| it["bom-ref"] == reference);
        found.unwrap_or_else(|| panic!("no {reference} in {bill:#}"))
    }

    #[test]
    fn every_reference_leads_to_a_component_and_each_stands_once() {
        let bill = made();
        let components = bill["components"].as_array().unwrap();
        let references: BTreeSet<&str> = components.iter().map(|it| it["bom-ref"].as_str().unwrap()).collect();
        assert_eq!(references.len(), components.len());
        for dependency in bill["dependencies"].as_array().unwrap() {
            let depends_on = dependency["dependsOn"].as_array().unwrap();
            assert!(
                depends_on.iter().all(|it| references.contains(it.as_str().unwrap())),
                "{dependency}"
            );
        }
        let properties = &component(&bill, "protocol/tls/1.3")["cryptoProperties"]["protocolProperties"];
        let uses = properties["cryptoRefArray"].as_array().unwrap();
        assert!(
            uses.iter().all(|it| references.contains(it.as_str().unwrap())),
            "{uses:?}"
        );
        assert_eq!(bill["serialNumber"], "urn:uuid:ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn occurrences_say_where_how_often_and_when() {
        let bill = made();
        let occurrences = &component(&bill, "algorithm/X25519MLKEM768")["evidence"]["occurrences"];
        let context = "10 connections, the first 2026-11-13T00:00:00Z, the last 2026-11-14T00:00:00Z";
        assert_eq!(
            *occurrences,
            json!([{ "location": "site shop", "additionalContext": context }])
        );
        let parts = ["algorithm/X25519", "algorithm/ML-KEM-768"].map(|part| &component(&bill, part)["evidence"]);
        assert!(parts.iter().all(|evidence| evidence["occurrences"] == *occurrences));
    }

    #[test]
    fn a_protocol_lists_its_cipher_suites_with_their_numbers() {
        let bill = made();
        let properties = &component(&bill, "protocol/tls/1.3")["cryptoProperties"]["protocolProperties"];
        let suite = json!([{
            "name": "TLS_AES_256_GCM_SHA384",
            "algorithms": ["algorithm/AES-256-GCM", "algorithm/SHA-384"],
            "identifiers": ["0x13", "0x02"],
        }]);
        assert_eq!(
            (&properties["version"], &properties["cipherSuites"]),
            (&json!("1.3"), &suite)
        );
    }

    #[test]
    fn what_has_no_row_is_unknown_and_never_guessed() {
        let bill = made();
        let properties = &component(&bill, "algorithm/0x1234")["cryptoProperties"];
        assert_eq!(properties["algorithmProperties"], json!({ "primitive": "unknown" }));
    }

    #[test]
    fn a_certificate_names_its_algorithms() {
        let bill = made();
        let certificate = component(&bill, &format!("certificate/{}", "ab".repeat(32)));
        let properties = &certificate["cryptoProperties"]["certificateProperties"];
        assert_eq!(properties["signatureAlgorithmRef"], "algorithm/ML-DSA-65");
        assert_eq!(properties["notValidAfter"], "2027-11-13T00:00:00Z");
        assert_eq!(
            certificate["evidence"]["occurrences"],
            json!([{ "location": "site shop" }])
        );
    }
}
