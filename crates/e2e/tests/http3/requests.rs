//! Requests and answers.
use crate::{Stage, run, talk::Talk};

#[test]
fn a_request_is_answered_and_its_connection_is_known() {
    let stage = Stage::plain();
    let local = run(async {
        let talk = Talk::begin(stage.address()).await;
        let answer = talk.get("/first?a=b").await;
        assert_eq!((answer.status(), &*answer.text()), (200, "GET /first?a=b"));
        let local = talk.local();
        talk.quic.close(0x100_u32.into(), b"");
        talk.endpoint.wait_idle().await;
        local
    });
    let [asked] = stage.origin.asked_when(1).try_into().expect("one request");
    assert_eq!(asked.field("host").as_deref(), Some("localhost"));
    let told = "version=1.3, group=X25519MLKEM768, key_exchange=hybrid, signature=mldsa65, authentication=pq, safety=full, resumed=?0";
    assert_eq!(asked.field("portcullis-tls").as_deref(), Some(told));
    let record = stage.proxy.record(local);
    let known = [
        ("site", "site"),
        ("version", "1.3"),
        ("group", "X25519MLKEM768"),
        ("signature", "mldsa65"),
        ("alpn", "h3"),
        ("outcome", "ok"),
    ];
    for (name, value) in known {
        assert_eq!(record[name], value, "{name}: {record:#}");
    }
}
