//! What stands in the certificates we make, read by x509-parser.
#![allow(clippy::unwrap_used)] // a panic is how a test fails
use portcullis_certs::{Algorithm, Authority, Error, RootSpec, ServerSpec};
use std::{collections::HashSet, time::Duration};
use time::OffsetDateTime;
use x509_parser::prelude::{GeneralName, ParsedExtension, Pem, X509Certificate};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn a_root_may_sign_certificates_and_lists_and_nothing_else() {
    let pem = read(root(Algorithm::MlDsa65).certificate_pem());
    let root = pem.parse_x509().unwrap();
    let constraints = root.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = root.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    assert_eq!(usage.value.flags, 0b110_0000, "keyCertSign and cRLSign");
    assert_eq!(identifiers(&root).0, identifiers(&root).1);
}

#[test]
fn a_server_certificate_says_whom_it_stands_for_and_who_issued_it() {
    let authority = root(Algorithm::EcdsaP384);
    let issued = authority.issue_server(&server(DAY)).unwrap();
    let (leaf, root) = (read(&issued.chain_pem), read(authority.certificate_pem()));
    let (leaf, root) = (leaf.parse_x509().unwrap(), root.parse_x509().unwrap());
    assert_eq!(leaf.issuer(), root.subject());
    assert_eq!(identifiers(&leaf).1, identifiers(&root).0);
    assert!(!leaf.is_ca());
    let usage = leaf.key_usage().unwrap().unwrap().value;
    assert_eq!(usage.flags, 1, "digitalSignature");
    let extended = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.server_auth && !extended.client_auth && !extended.any);
    let names = leaf.subject_alternative_name().unwrap().unwrap().value;
    let expected = [
        GeneralName::DNSName("localhost"),
        GeneralName::IPAddress(&[127, 0, 0, 1]),
    ];
    assert_eq!(names.general_names, expected);
}

#[test]
fn a_certificate_begins_in_the_past_and_never_outlives_its_issuer() {
    let authority = root(Algorithm::Ed25519);
    let root = read(authority.certificate_pem());
    let end = root.parse_x509().unwrap().validity().not_after;
    for (asked, expected) in [(DAY, DAY), (900 * DAY, 90 * DAY)] {
        let issued = authority.issue_server(&server(asked)).unwrap();
        let leaf = read(&issued.chain_pem);
        let validity = leaf.parse_x509().unwrap().validity().clone();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        assert!((3590..3700).contains(&(now - validity.not_before.timestamp())));
        let lasts = validity.not_after.timestamp() - now;
        assert!((lasts - expected.as_secs() as i64).abs() < 10, "{lasts}");
        assert!(validity.not_after <= end);
    }
}

#[test]
fn serial_numbers_are_random_and_as_long_as_they_may_be() {
    let authority = root(Algorithm::EcdsaP256);
    let serials: HashSet<Vec<u8>> = (0..50)
        .map(|_| authority.issue_server(&server(DAY)).unwrap())
        .map(|issued| read(&issued.chain_pem).parse_x509().unwrap().raw_serial().to_vec())
        .collect();
    assert_eq!(serials.len(), 50);
    assert!(serials.iter().all(|serial| serial.len() == 16 && serial[0] < 0x80));
}

#[test]
fn a_server_certificate_needs_a_name() {
    let mut spec = server(DAY);
    spec.names.clear();
    let refused = root(Algorithm::Ed25519).issue_server(&spec);
    assert!(matches!(refused, Err(Error::NoNames)));
}

#[test]
fn a_validity_beyond_the_calendar_is_refused() {
    let spec = server(Duration::from_secs(u64::MAX));
    let refused = root(Algorithm::Ed25519).issue_server(&spec);
    assert!(matches!(refused, Err(Error::ValidityTooLong)));
}

fn root(algorithm: Algorithm) -> Authority {
    Authority::root(&RootSpec {
        algorithm,
        name: "a root".to_owned(),
        valid: 90 * DAY,
    })
    .unwrap()
}

fn server(valid: Duration) -> ServerSpec {
    ServerSpec {
        algorithm: Algorithm::EcdsaP256,
        names: ["localhost", "127.0.0.1"].map(|name| name.parse().unwrap()).to_vec(),
        valid,
    }
}

fn read(pem: &str) -> Pem {
    let mut blocks = Pem::iter_from_buffer(pem.as_bytes());
    let first = blocks.next().unwrap().unwrap();
    assert!(blocks.next().is_none(), "a chain of one");
    first
}

/// The subject's and the authority's key identifiers.
fn identifiers(certificate: &X509Certificate<'_>) -> (Vec<u8>, Vec<u8>) {
    let (mut subject, mut authority) = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => subject = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                authority = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            _ => {}
        }
    }
    (subject.unwrap(), authority.unwrap())
}
