//! What a server offers to whom under demands with exceptions, and how it refuses when the handshake is over.
use crate::lab::{ML_DSA_65, P256, connect, identity, offer, outgoing, policy, server, spec};
use portcullis_tls::{
    client::ClientSpec,
    client_identity::Pattern,
    negotiated::Authentication,
    policy::{Demand, Demands, Exemption, Force, Refuse, Stance, Verdict},
    server::{Asking, Refusal, Server, ServerSpec},
};
use portcullis_wire::Hello;

const NOON: i64 = 1_790_000_000;

fn exemption(networks: &[&str], identities: &[&str]) -> Exemption {
    Exemption {
        networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
        identities: identities.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
        names: Vec::new(),
        until: NOON + 1,
        last_day: "2026-09-21".into(),
        reason: String::new(),
    }
}

fn demanding(change: impl FnOnce(&mut Demand)) -> Demands {
    let mut demands = policy(Stance::Require, Stance::Require);
    change(&mut demands.each[0]);
    demands
}

fn serving(policy: Demands) -> Server {
    let (classical, pq) = (identity(&P256), identity(&ML_DSA_65));
    server(ServerSpec {
        policy,
        ..spec(&[&classical, &pq])
    })
}

fn classical() -> ClientSpec {
    ClientSpec {
        groups: crate::lab::groups(&["X25519"]),
        ..offer()
    }
}

fn hello_of(client: ClientSpec) -> Hello {
    crate::lab::read(&outgoing(&mut connect(client).tls))
}

fn asking_from(address: &str) -> Asking<'static> {
    Asking {
        may_see: &|_| true,
        address: address.parse().ok(),
        now: NOON,
    }
}

#[test]
fn a_network_that_is_let_off_gets_the_operators_order_and_the_rest_the_narrow_offer() {
    let server = serving(demanding(|demand| {
        demand.exempt = vec![exemption(&["192.0.2.0/24"], &[])]
    }));
    let (here, there) = (asking_from("192.0.2.7"), asking_from("198.51.100.7"));
    let (old, new) = (hello_of(classical()), hello_of(offer()));
    let choice = server.choose_for(&old, &here).unwrap();
    assert_eq!(choice.authentication, Authentication::Classical);
    assert_eq!(server.decide(&old, None, &here).key_exchange, Verdict::Exempt);
    assert!(matches!(server.choose_for(&old, &there), Err(Refusal::Policy(_))));
    assert_eq!(
        server.choose_for(&new, &there).unwrap().authentication,
        Authentication::Pq
    );
    // quantum-safe where it can be, let off or not
    assert!(
        server
            .choose_for(&new, &here)
            .unwrap()
            .group
            .key_exchange()
            .unwrap()
            .is_quantum_safe()
    );
    let later = Asking {
        now: NOON + 1,
        ..asking_from("192.0.2.7")
    };
    assert!(matches!(server.choose_for(&old, &later), Err(Refusal::Policy(_))));
}

#[test]
fn a_page_or_an_identity_may_admit_anyone_so_that_the_second_check_decides() {
    let page = demanding(|demand| demand.refuse = Refuse::Page);
    let known = demanding(|demand| demand.exempt = vec![exemption(&[], &["DNS:meter-*"])]);
    for (demands, verdict) in [(page, Verdict::Refused), (known, Verdict::Exempt)] {
        let server = serving(demands);
        let (old, asking) = (hello_of(classical()), asking_from("192.0.2.7"));
        assert!(server.choose_for(&old, &asking).is_ok());
        assert_eq!(server.decide(&old, None, &asking).key_exchange, verdict);
        // and who can do it is held to it
        let choice = server.choose_for(&hello_of(offer()), &asking).unwrap();
        assert_eq!(choice.authentication, Authentication::Pq);
    }
}

#[test]
fn what_is_only_reported_changes_no_certificate_and_gains_what_it_can() {
    let server = serving(demanding(|demand| demand.force = Force::ReportOnly));
    let asking = asking_from("192.0.2.7");
    let choice = server.choose_for(&hello_of(offer()), &asking).unwrap();
    assert_eq!(choice.authentication, Authentication::Classical);
    assert!(choice.group.key_exchange().unwrap().is_quantum_safe());
    let decision = server.decide(&hello_of(classical()), None, &asking);
    assert_eq!(
        (decision.key_exchange, decision.authentication),
        (Verdict::WouldRefuse, Verdict::Admitted)
    );
}

#[test]
fn what_is_required_must_be_there_even_where_some_are_let_off() {
    let classical = identity(&P256);
    let with = |policy| {
        let spec = ServerSpec {
            policy,
            ..spec(&[&classical])
        };
        Server::build(spec, &portcullis_tls::tickets::Tickets::new()).is_ok()
    };
    assert!(!with(demanding(|demand| demand.refuse = Refuse::Page)));
    assert!(with(demanding(|demand| demand.force = Force::ReportOnly)));
}
