//! Client certificates.
use crate::lab::{
    Algorithm, Ca, Finished, ML_DSA_65, P256, P384, Pair, RSA, Unfinished, client_params, connect, identity, offer,
    schemes, server, server_params, settings, shake, spec,
};
use portcullis_tls::{
    client::ClientSpec,
    failure::{Fault, blame},
    identity::Identity,
    negotiated::{ClientAuthentication, Version},
    profile::{Overrides, Profile},
    rustls::{self, pki_types::CertificateDer},
    server::{BuildError, ClientAuth, ClientAuthMode, Server, ServerSpec},
    tickets::Tickets,
};
use portcullis_wire::alert::Alert;
use std::sync::Arc;

fn asking(mode: ClientAuthMode, roots: Vec<CertificateDer<'static>>) -> ServerSpec {
    ServerSpec {
        client_auth: Some(ClientAuth::new(mode, roots)),
        ..spec(&[&identity(&P256)])
    }
}

fn visit(server: &Server, version: Version, agent: Option<&Arc<Identity>>) -> Result<Finished, Unfinished> {
    let mut client = connect(ClientSpec {
        versions: vec![version],
        identity: agent.cloned(),
        ..offer()
    });
    shake(server, &mut client.tls)
}

/// The alert that reached the client is the one that was foretold, and the fault is the client's.
fn refused(came: Result<Finished, Unfinished>) -> (rustls::Error, Alert) {
    match came {
        Err(Unfinished::Server(error, Some(alert))) => {
            let blamed = blame(&error);
            assert_eq!(blamed.alert_out, Some(alert), "{error}");
            assert_eq!(blamed.fault, Fault::Client);
            (error, alert)
        }
        other => panic!("{:?}", other.map(|done| done.facts)),
    }
}

const VERSIONS: [Version; 2] = [Version::Tls13, Version::Tls12];
use ClientAuthMode::{Optional, Required};

#[test]
fn a_certificate_of_the_ca_enters_and_is_named() {
    let ca = Ca::new(&P256, "clients");
    let agent = ca.issue(&P256, client_params()).identity();
    for mode in [Required, Optional] {
        let server = server(asking(mode, vec![ca.der()]));
        for version in VERSIONS {
            let done = visit(&server, version, Some(&agent)).unwrap();
            assert_eq!(done.facts.client_authentication, ClientAuthentication::Classical);
            let client = done.facts.client.unwrap();
            assert_eq!(client.subject, "CN=agent-7,O=Lab");
            assert_eq!(client.issuer, "CN=clients,O=Lab");
            assert_eq!(*client.serial, *agent.leaf().serial);
        }
    }
}

#[test]
fn none_is_refused_where_required_and_admitted_where_optional() {
    let ca = Ca::new(&P256, "clients");
    for version in VERSIONS {
        let (error, alert) = refused(visit(&server(asking(Required, vec![ca.der()])), version, None));
        assert_eq!(error, rustls::Error::NoCertificatesPresented);
        assert_eq!(alert, Alert::CERTIFICATE_REQUIRED);
        let done = visit(&server(asking(Optional, vec![ca.der()])), version, None).unwrap();
        assert_eq!(done.facts.client_authentication, ClientAuthentication::None);
        assert_eq!(done.facts.client, None);
    }
}

#[test]
fn what_is_invalid_is_refused_even_where_optional() {
    let ca = Ca::new(&P256, "clients");
    let mut expired = client_params();
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    expired.not_before = rcgen::date_time_ymd(2019, 1, 1);
    let mut future = client_params();
    future.not_before = rcgen::date_time_ymd(2300, 1, 1);
    future.not_after = rcgen::date_time_ymd(2301, 1, 1);
    let table = [
        (Ca::new(&P256, "others").issue(&P256, client_params()), 48),
        (ca.issue(&P256, expired), 45),
        (ca.issue(&P256, future), 45),
        (ca.issue(&P256, server_params()), 43),
    ];
    for (pair, number) in table {
        let agent = pair.identity();
        for mode in [Required, Optional] {
            let server = server(asking(mode, vec![ca.der()]));
            for version in VERSIONS {
                let (error, alert) = refused(visit(&server, version, Some(&agent)));
                assert_eq!(alert, Alert(number), "{error}");
                assert!(alert.is_about_certificate());
            }
        }
    }
}

#[test]
fn several_cas_and_intermediates_work() {
    let (one, two) = (Ca::new(&P256, "one"), Ca::new(&RSA, "two"));
    let between = two.intermediate(&P384, "between");
    let alone = || between.issue(&P256, client_params());
    let chained = || {
        let leaf = alone();
        Pair {
            chain: leaf.chain + &between.pem(),
            key: leaf.key,
        }
    };
    let server = server(asking(Required, vec![one.der(), two.der()]));
    for version in VERSIONS {
        let direct = one.issue(&P256, client_params()).identity();
        assert!(visit(&server, version, Some(&direct)).is_ok());
        assert!(visit(&server, version, Some(&chained().identity())).is_ok());
        refused(visit(&server, version, Some(&alone().identity())));
    }
}

#[test]
fn a_client_is_pq_only_if_its_whole_chain_is() {
    let class = |root: Algorithm, leaf: Algorithm| {
        let ca = Ca::new(root, "clients");
        let agent = ca.issue(leaf, client_params()).identity();
        let server = server(asking(Required, vec![ca.der()]));
        let done = visit(&server, Version::Tls13, Some(&agent)).unwrap();
        done.facts.client_authentication
    };
    assert_eq!(class(&ML_DSA_65, &ML_DSA_65), ClientAuthentication::Pq);
    assert_eq!(class(&P256, &ML_DSA_65), ClientAuthentication::Classical);
    assert_eq!(class(&ML_DSA_65, &P256), ClientAuthentication::Classical);
}

#[test]
fn signatures_narrow_what_clients_may_sign_with() {
    let ca = Ca::new(&P256, "clients");
    let overrides = Overrides {
        signatures: Some(schemes(&["ecdsa_secp256r1_sha256", "mldsa65"])),
        ..Overrides::default()
    };
    let server = server(ServerSpec {
        settings: settings(Profile::Default, &overrides),
        ..asking(Required, vec![ca.der()])
    });
    let fitting = ca.issue(&P256, client_params()).identity();
    let other = ca.issue(&P384, client_params()).identity();
    for version in VERSIONS {
        assert!(visit(&server, version, Some(&fitting)).is_ok());
        // an honest client has nothing to sign with, and so sends nothing
        let (_, alert) = refused(visit(&server, version, Some(&other)));
        assert_eq!(alert, Alert::CERTIFICATE_REQUIRED);
    }
}

#[test]
fn a_chain_has_ten_certificates_at_most() {
    let root = Ca::new(&P256, "root");
    let mut issuers = vec![root.intermediate(&P256, "below 0")];
    for depth in 1..12 {
        let next = issuers[depth - 1].intermediate(&P256, &format!("below {depth}"));
        issuers.push(next);
    }
    let server = server(asking(Required, vec![root.der()]));
    let long = |intermediates: usize| {
        let leaf = issuers[0].issue(&P256, client_params());
        let rest = issuers[..intermediates].iter().map(Ca::pem);
        let pair = Pair {
            chain: leaf.chain + &rest.collect::<String>(),
            key: leaf.key,
        };
        pair.identity()
    };
    assert!(visit(&server, Version::Tls13, Some(&long(9))).is_ok());
    let (_, alert) = refused(visit(&server, Version::Tls13, Some(&long(10))));
    assert_eq!(alert, Alert::ACCESS_DENIED);
}

#[test]
fn a_ca_list_of_no_use_is_told() {
    let build = |roots| Server::build(asking(Required, roots), &Tickets::new()).map(|_| ());
    assert!(matches!(build(Vec::new()), Err(BuildError::ClientCa(_))));
    let broken = CertificateDer::from(vec![0x30, 0]);
    let roots = vec![Ca::new(&P256, "clients").der(), broken];
    match build(roots) {
        Err(BuildError::ClientCa(problem)) => assert!(problem.starts_with("certificate 2: ")),
        other => panic!("{other:?}"),
    }
}
