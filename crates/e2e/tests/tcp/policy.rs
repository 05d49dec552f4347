//! Whom `report_only` names, `require` refuses: the same crowd under both.
use crate::{Stage, both, clients::house::House, eventually};
use portcullis_e2e::{
    client::{Client, Offer, Session, Versions},
    front::Front,
    guests::{BROKEN, EXEMPT, EXEMPTIONS, Guest, Names, crowd, names, refusal, session_of},
    pki::Pki,
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What became of one of the crowd.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Fate {
    alert: Option<u8>,
    /// The decision on its key exchange; empty where it met the policy.
    decision: String,
    outcome: String,
    /// `stage` and `fault` of a refusal.
    where_refused: [String; 2],
}

/// A proxy, the crowd's clients, and the sessions that they got of it.
struct Hall {
    front: Front,
    upstream: Upstream,
    proxy: Proxy,
    clients: BTreeMap<&'static str, Client>,
    sessions: BTreeMap<&'static str, Session>,
    visits: usize,
}

impl Hall {
    fn open(pki: &Pki, lines: &str) -> Hall {
        let upstream = Upstream::start(Manner::Echo);
        let front = Front::new(&both(pki), upstream.address()).site(lines);
        Hall {
            proxy: Proxy::start(&front.toml()),
            clients: BTreeMap::new(),
            sessions: BTreeMap::new(),
            visits: 0,
            front,
            upstream,
        }
    }

    /// Switches to another policy and lets all of them come.
    fn under(&mut self, policy: &str, crowd: &[Guest]) -> BTreeMap<&'static str, Fate> {
        let front = self.front.clone().site(&format!("policy = {{ {policy} }}"));
        self.proxy.reload(&front.toml()).expect("a good file");
        crowd.iter().map(|guest| (guest.name, self.visit(guest))).collect()
    }

    fn visit(&mut self, guest: &Guest) -> Fate {
        let client = self.clients.entry(guest.name).or_insert_with(|| guest.client()).clone();
        let to = self.proxy.address();
        if guest.resumes {
            self.visits += 1;
            let session = session_of(&client, client.handshake(guest.wire(to).0));
            self.sessions.extend(session.map(|session| (guest.name, session)));
        }
        self.visits += 1;
        let (wire, local) = guest.wire(to);
        let connected = match self.sessions.get(guest.name) {
            Some(session) => client.resume_over(wire, session),
            None => client.handshake(wire),
        };
        let alert = refusal(connected);
        let record = self.proxy.record(local);
        let text = |field: &str| record[field].as_str().expect("a text").to_owned();
        assert_eq!(
            guest.resumes && alert.is_none(),
            record["resumed"] == true,
            "{record:#}"
        );
        Fate {
            alert,
            decision: decision(&record),
            outcome: text("outcome"),
            where_refused: ["stage", "fault"].map(text),
        }
    }

    fn counted(&self, decision: &str) -> usize {
        let decision = format!("decision={decision:?}");
        let labels = [
            "site=\"site\"",
            "scope=\"connection\"",
            "rule=\"key_exchange\"",
            &decision,
        ];
        self.proxy.metric("portcullis_policy_total", &labels) as usize
    }
}

/// `key_exchange=require:would_refuse,...`
fn decision(record: &Value) -> String {
    let policy = record["policy"].as_str().expect("a text");
    let rule = policy.split(',').find_map(|word| word.strip_prefix("key_exchange="));
    let (_, decision) = rule.expect("a rule").split_once(':').unwrap_or_default();
    decision.to_owned()
}

fn decided(fates: &BTreeMap<&'static str, Fate>, decision: &str) -> Names {
    let of = fates.iter().filter(|(_, fate)| fate.decision == decision);
    of.map(|(name, _)| *name).collect()
}

fn without(all: &[&'static str], some: &[&'static str]) -> Names {
    &names(all) - &names(some)
}

/// The metrics before and after say what the fates say, counting those who came twice twice.
fn assert_counted(hall: &Hall, crowd: &[Guest], (before, decision): (usize, &str), expected: &Names) {
    let come = crowd.iter().filter(|guest| expected.contains(guest.name));
    let times: usize = come.map(|guest| if guest.resumes { 2 } else { 1 }).sum();
    eventually("the count", || hall.counted(decision) - before == times);
}

#[test]
fn whom_report_only_names_require_refuses_and_nobody_else() {
    let pki = Pki::new();
    let mut hall = Hall::open(&pki, "");
    let crowd = crowd();
    let reported = hall.under("key_exchange = 'require', report_only = true", &crowd);
    assert!(
        reported
            .values()
            .all(|fate| fate.alert.is_none() && fate.outcome == "ok"),
        "{reported:#?}"
    );
    assert_eq!(decided(&reported, "would_refuse"), names(&BROKEN));
    assert_counted(&hall, &crowd, (0, "would_refuse"), &names(&BROKEN));
    assert_eq!(hall.counted("refused") + hall.counted("exempt"), 0);
    assert_eq!(hall.upstream.connections(), hall.visits);
    let served = hall.upstream.connections();
    let refused = hall.under("key_exchange = 'require'", &crowd);
    assert_eq!(decided(&refused, "refused"), decided(&reported, "would_refuse"));
    assert_counted(&hall, &crowd, (0, "refused"), &names(&BROKEN));
    for (name, fate) in &refused {
        let is_broken = BROKEN.contains(name);
        // insufficient_security
        assert_eq!(fate.alert, is_broken.then_some(71), "{name}");
        let outcome = if is_broken { "refused" } else { "ok" };
        assert_eq!(
            (&*fate.outcome, is_broken),
            (outcome, fate.where_refused == ["policy", "client"]),
            "{name}"
        );
    }
    // pq resumed comes twice
    assert_eq!(hall.upstream.connections() - served, crowd.len() - BROKEN.len() + 1);
}

#[test]
fn who_is_let_off_is_let_in_and_counted_until_the_day_is_over() {
    let pki = Pki::new();
    let mut hall = Hall::open(&pki, "");
    let crowd = crowd();
    let policy = format!("key_exchange = 'require', exempt = [{EXEMPTIONS}]");
    let reported = hall.under(&format!("report_only = true, {policy}"), &crowd);
    let broken = without(&BROKEN, &EXEMPT);
    assert_eq!(decided(&reported, "would_refuse"), broken);
    assert_eq!(decided(&reported, "exempt"), names(&EXEMPT));
    let refused = hall.under(&policy, &crowd);
    assert_eq!(decided(&refused, "refused"), broken);
    assert_eq!(decided(&refused, "exempt"), names(&EXEMPT));
    for (name, fate) in &refused {
        assert_eq!(fate.alert, broken.contains(name).then_some(71), "{name}");
    }
    assert_counted(&hall, &crowd, (0, "would_refuse"), &broken);
    assert_counted(&hall, &crowd, (0, "refused"), &broken);
    let exempt = hall.counted("exempt");
    assert_eq!(exempt, 2 * (EXEMPT.len() + 1), "one of them came twice, each time");
}

#[test]
fn an_identity_is_known_when_the_handshake_is_over_and_others_are_refused_then() {
    let pki = Pki::new();
    let house = House::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let ca = house.ca();
    let mut hall = Hall::open(&pki, &format!("client_auth = {{ mode = 'optional', ca = {ca:?} }}"));
    let showing = |name, serial, versions| {
        let offer = Offer::groups("X25519:P-256").versions(versions);
        Guest::new(name, offer.presenting(house.client(serial)))
    };
    let known = [
        showing("known", 11, Versions::Only13),
        showing("known, 1.2", 11, Versions::Only12),
        showing("known, resumed", 11, Versions::Only13).resuming(),
    ];
    let strangers = [
        showing("a stranger", 12, Versions::Only13),
        showing("a stranger, 1.2", 12, Versions::Only12),
    ];
    let mut all = crowd();
    let known_names: Vec<_> = known.iter().map(|guest| guest.name).collect();
    let mut broken: Vec<_> = strangers.iter().map(|guest| guest.name).chain(BROKEN).collect();
    all.extend(known.into_iter().chain(strangers));
    let policy =
        "key_exchange = 'require', exempt = [{ identity = ['DNS:agent-11', 'CN=nobody'], until = '2999-12-31' }]";
    let reported = hall.under(&format!("report_only = true, {policy}"), &all);
    assert_eq!(decided(&reported, "would_refuse"), names(&broken));
    assert_eq!(decided(&reported, "exempt"), names(&known_names));
    let refused = hall.under(policy, &all);
    assert_eq!(decided(&refused, "refused"), names(&broken));
    assert_eq!(decided(&refused, "exempt"), names(&known_names));
    for (name, fate) in &refused {
        // access_denied: nobody could know before
        assert_eq!(fate.alert, broken.contains(name).then_some(49), "{name}");
    }
    // another reload takes it away, and sessions of before are of no use
    let over = policy.replace("2999-12-31", "2026-01-31");
    let refused = hall.under(&over, &all);
    broken.extend(known_names);
    assert_eq!(decided(&refused, "refused"), names(&broken));
    for (name, fate) in &refused {
        assert_eq!(fate.alert, broken.contains(name).then_some(71), "{name}");
    }
}

#[test]
fn what_is_reported_of_authentication_is_refused_when_it_is_required() {
    let pki = Pki::new();
    let mut hall = Hall::open(&pki, "");
    let classical = "ecdsa_secp256r1_sha256";
    let guests = [
        Guest::new("verifies ml-dsa", Offer::default()),
        Guest::new("does not", Offer::default().signatures(classical)),
        Guest::new("1.2", Offer::default().versions(Versions::Only12)),
        Guest::new("verifies ml-dsa, resumed", Offer::default()).resuming(),
    ];
    let broken = names(&["does not", "1.2"]);
    let of = |hall: &Hall| {
        let records = hall.proxy.all_records();
        let policy = |record: &Value| record["policy"].as_str().map(str::to_owned).unwrap_or_default();
        records.iter().map(policy).collect::<Vec<_>>()
    };
    let policy = "authentication = 'require'";
    hall.under(&format!("{policy}, report_only = true"), &guests);
    let told = of(&hall);
    let counted = |told: &[String], word: &str| told.iter().filter(|policy| policy.contains(word)).count();
    assert_eq!(
        counted(&told, "authentication=require:would_refuse"),
        broken.len(),
        "{told:?}"
    );
    let fates = hall.under(policy, &guests);
    let refused: Names = fates
        .iter()
        .filter(|(_, fate)| fate.alert == Some(71))
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(refused, broken);
    assert_eq!(counted(&of(&hall), "authentication=require:refused"), broken.len());
}

#[test]
fn a_classical_client_certificate_is_reported_then_refused() {
    let stage = Stage::set(Manner::Echo, |pki, front| {
        let ca = pki.roots();
        front.site(&format!(
            "client_auth = {{ mode = 'optional', ca = {ca:?} }}\npolicy = {{ client_authentication = 'require', report_only = true, exempt = [{{ cidr = '127.0.0.2', until = '2999-12-31' }}] }}"
        ))
    });
    use portcullis_e2e::pki::Algorithm;
    let offers = [
        (Offer::default(), 1, ""),
        (Offer::default().presenting(stage.pki.client(Algorithm::MlDsa65)), 1, ""),
        (
            Offer::default().presenting(stage.pki.client(Algorithm::EcdsaP256)),
            1,
            ":would_refuse",
        ),
        (
            Offer::default().presenting(stage.pki.client(Algorithm::EcdsaP256)),
            2,
            ":exempt",
        ),
    ];
    for (offer, last, decision) in offers {
        let guest = Guest::new("", offer.clone()).from(last);
        let (wire, local) = guest.wire(stage.proxy.address());
        assert_eq!(refusal(Client::new(offer).handshake(wire)), None);
        let record = stage.proxy.record(local);
        let policy = record["policy"].as_str().expect("a text");
        assert!(
            policy.ends_with(&format!("client_authentication=require{decision}")),
            "{policy}"
        );
    }
}
