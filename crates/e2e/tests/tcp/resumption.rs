//! Sessions resume where they came from, and nowhere else.
use crate::{Stage, assert_agree};
use portcullis_e2e::{
    client::{Client, Conversation, Failed, Offer, Seen, Session, Versions},
    front::certificates,
    upstream::Manner,
};
use std::net::SocketAddr;

const GROUPS: &str = "X25519MLKEM768:X25519:P-256";

fn visit(stage: &Stage, conversation: Result<Conversation, Failed>) -> Seen {
    let mut conversation = conversation.unwrap_or_else(|failed| panic!("{failed}"));
    conversation.echo(b"tickets come along");
    let (seen, local) = (conversation.seen(), conversation.local());
    conversation.close();
    assert_agree(&seen, &stage.proxy.record(local));
    seen
}

fn session(stage: &Stage, client: &Client, address: SocketAddr) -> Session {
    assert!(!visit(stage, client.connect(address)).resumed);
    client.session().expect("a session came")
}

#[test]
fn a_session_resumes_on_its_site_with_keys_exchanged_anew() {
    let stage = Stage::echo();
    let address = stage.proxy.address();
    for versions in [Versions::Only13, Versions::Only12] {
        let client = Client::new(Offer::groups(GROUPS).versions(versions));
        let session = session(&stage, &client, address);
        assert!(visit(&stage, client.resume(address, &session)).resumed, "{versions:?}");
    }
    let resumed = stage.proxy.all_records().into_iter().filter(|r| r["resumed"] == true);
    let classes: Vec<_> = resumed
        .map(|r| ["version", "signature", "authentication"].map(|f| r[f].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(classes, [["1.3", "", "pq"], ["1.2", "", "classical"]]);
}

#[test]
fn a_session_never_resumes_on_another_site_or_listener() {
    // One certificate and one backend behind four doors that differ as contexts do.
    let stage = Stage::set(Manner::Echo, |pki, front| {
        let roots = pki.roots();
        let certificates = certificates(&crate::both(pki));
        let site = |name: &str, line: &str| {
            format!(
                r#"
[[listener]]
name = "{name}"
mode = "tcp"
listen = ["127.0.0.1:0"]
[[site]]
name = "{name}"
listeners = ["{name}"]
{certificates}
upstream = "back"
{line}"#
            )
        };
        front
            .site(r#"listeners = ["front"]"#)
            .more(&site("twin", ""))
            .more(&site("strict", r#"policy = { key_exchange = "require" }"#))
            .more(&site(
                "mutual",
                &format!("client_auth = {{ mode = \"optional\", ca = {roots:?} }}"),
            ))
    });
    let home = stage.proxy.address();
    for versions in [Versions::Only13, Versions::Only12] {
        let client = Client::new(Offer::groups(GROUPS).versions(versions));
        for door in ["twin", "strict", "mutual"] {
            if (door, versions) == ("strict", Versions::Only12) {
                continue; // It admits no TLS 1.2 at all.
            }
            let away = stage.proxy.address_of(door);
            let ticket = session(&stage, &client, home);
            assert!(
                !visit(&stage, client.resume(away, &ticket)).resumed,
                "{door}, {versions:?}"
            );
            assert!(visit(&stage, client.resume(home, &ticket)).resumed, "at home it does");
        }
    }
}

#[test]
fn a_session_of_one_name_is_not_resumed_under_another_of_the_same_listener() {
    let stage = Stage::set(Manner::Echo, |pki, front| {
        let certificates = certificates(&crate::both(pki));
        front.site(r#"names = ["a.test"]"#).more(&format!(
            "[[site]]\nname = \"b\"\nnames = [\"b.test\"]\n{certificates}\nupstream = \"back\""
        ))
    });
    let address = stage.proxy.address();
    let mut client = Client::new(Offer::groups(GROUPS).named("a.test"));
    let ticket = session(&stage, &client, address);
    client.rename("b.test");
    assert!(!visit(&stage, client.resume(address, &ticket)).resumed);
    client.rename("a.test");
    assert!(visit(&stage, client.resume(address, &ticket)).resumed);
}

#[test]
fn a_session_survives_a_reload_that_keeps_its_context() {
    let mut toml = String::new();
    let stage = Stage::set(Manner::Echo, |_, front| {
        toml = front.toml();
        front
    });
    let address = stage.proxy.address();
    let client = Client::new(Offer::groups(GROUPS));
    let ticket = session(&stage, &client, address);
    stage.proxy.reload(&toml).expect("the same again");
    assert!(visit(&stage, client.resume(address, &ticket)).resumed);
}

#[test]
fn a_session_ends_when_a_reload_demands_more() {
    let mut strict = String::new();
    let stage = Stage::set(Manner::Echo, |_, front| {
        strict = front.clone().site(r#"policy = { authentication = "require" }"#).toml();
        front
    });
    let address = stage.proxy.address();
    let client = Client::new(Offer::groups(GROUPS));
    let ticket = session(&stage, &client, address);
    stage.proxy.reload(&strict).expect("a good file");
    assert!(!visit(&stage, client.resume(address, &ticket)).resumed);
}
