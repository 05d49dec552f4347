//! Whom `report_only` names, `require` refuses, over QUIC too: the crowd of the tests over TCP, but those of TLS 1.2.
use crate::{
    Lines, Stage, eventually,
    origin::Origin,
    run,
    talk::{Offer, Talk, groups},
    toml,
};
use portcullis_e2e::{
    client::Versions,
    guests::{BROKEN, EXEMPT, EXEMPTIONS, Guest, Names, crowd, names},
    pki::NAMES,
};
use quinn::ClientConfig;
use std::collections::BTreeMap;

/// What became of one of the crowd.
#[derive(Debug)]
struct Fate {
    decision: String,
    outcome: String,
    alert_out: String,
    is_answered: bool,
}

/// A stage whose crowd keeps its sessions from one policy to the next.
struct Hall {
    stage: Stage,
    clients: BTreeMap<&'static str, ClientConfig>,
}

fn guests() -> Vec<Guest> {
    let all = crowd().into_iter();
    all.filter(|guest| guest.offer.versions != Versions::Only12).collect()
}

fn offer(guest: &Guest) -> Offer {
    let named = |name: &&&str| guest.offer.name.as_deref() == Some(**name);
    Offer {
        groups: groups(&guest.offer.groups),
        name: NAMES.iter().find(named).expect("the certificates have all these names"),
        from: guest.from.octets(),
        ..Offer::default()
    }
}

impl Hall {
    fn under(&mut self, policy: &str) -> BTreeMap<&'static str, Fate> {
        let site = format!("upstream = 'back'\npolicy = {{ key_exchange = 'require', {policy} }}");
        let lines = Lines {
            site: &site,
            ..Lines::default()
        };
        let toml = toml(&self.stage.pki, self.stage.origin.address(), lines);
        self.stage.proxy.reload(&toml).expect("a good file");
        let all = guests();
        all.iter().map(|guest| (guest.name, run(self.visit(guest)))).collect()
    }

    async fn visit(&mut self, guest: &Guest) -> Fate {
        let offer = offer(guest);
        if !guest.resumes {
            return self.fate_of(guest, (&offer, offer.config())).await;
        }
        let known = self.clients.entry(guest.name).or_insert_with(|| offer.config());
        let config = known.clone();
        self.fate_of(guest, (&offer, config.clone())).await;
        let fate = self.fate_of(guest, (&offer, config)).await;
        let record = self.stage.proxy.records().pop().expect("it was waited for");
        assert_eq!(
            fate.is_answered,
            record["resumed"] == true,
            "{}: {record:#}",
            guest.name
        );
        fate
    }

    async fn fate_of(&self, guest: &Guest, (offer, config): (&Offer, ClientConfig)) -> Fate {
        let before = self.stage.proxy.records().len();
        let is_answered = match Talk::as_configured(self.stage.address(), offer, config).await {
            // a client has finished before it hears that it is refused
            Ok(talk) => {
                let mut asked = crate::talk::request(hyper::Method::GET, "/");
                *asked.uri_mut() = format!("https://{}/", offer.name).parse().expect("a uri");
                let answer = talk.ask(asked, b"").await;
                talk.quic.close(0x100_u32.into(), b"");
                talk.endpoint.wait_idle().await;
                answer.is_ok_and(|answer| answer.status() == 200)
            }
            Err(_) => false,
        };
        eventually(guest.name, || self.stage.proxy.records().len() > before);
        let record = self.stage.proxy.records().pop().expect("it was waited for");
        let text = |field: &str| record[field].as_str().expect("a text").to_owned();
        let policy = text("policy");
        let rule = policy.split(',').find_map(|word| word.strip_prefix("key_exchange="));
        let (_, decision) = rule.expect("a rule").split_once(':').unwrap_or_default();
        Fate {
            decision: decision.to_owned(),
            outcome: text("outcome"),
            alert_out: text("alert_out"),
            is_answered,
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
        self.stage.proxy.metric("portcullis_policy_total", &labels) as usize
    }
}

fn those(fates: &BTreeMap<&'static str, Fate>, are: impl Fn(&Fate) -> bool) -> Names {
    let of = fates.iter().filter(|(_, fate)| are(fate));
    of.map(|(name, _)| *name).collect()
}

#[test]
fn whom_report_only_names_require_refuses_over_quic_and_nobody_else() {
    let stage = Stage::set(Origin::plain(), Lines::default());
    let clients = BTreeMap::new();
    let mut hall = Hall { stage, clients };
    let come: Names = guests().iter().map(|guest| guest.name).collect();
    let broken: Names = &(&names(&BROKEN) & &come) - &names(&EXEMPT);
    let exempt = &names(&EXEMPT) & &come;
    assert!(broken.len() >= 5 && exempt.len() >= 3, "{broken:?} {exempt:?}");
    let reported = hall.under(&format!("report_only = true, exempt = [{EXEMPTIONS}]"));
    assert_eq!(those(&reported, |fate| fate.decision == "would_refuse"), broken);
    assert_eq!(those(&reported, |fate| fate.decision == "exempt"), exempt);
    assert_eq!(those(&reported, |fate| fate.is_answered && fate.outcome == "ok"), come);
    let refused = hall.under(&format!("exempt = [{EXEMPTIONS}]"));
    assert_eq!(those(&refused, |fate| fate.decision == "refused"), broken);
    assert_eq!(those(&refused, |fate| fate.decision == "exempt"), exempt);
    assert_eq!(those(&refused, |fate| fate.outcome == "refused"), broken);
    assert_eq!(
        those(&refused, |fate| fate.alert_out == "insufficient_security"),
        broken
    );
    assert_eq!(those(&refused, |fate| fate.is_answered), &come - &broken);
    assert_eq!(hall.counted("would_refuse"), hall.counted("refused"));
}
