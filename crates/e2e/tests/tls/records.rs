//! Keys that have sealed their share, with OpenSSL as the one who reads on.
use crate::Site;
use portcullis_e2e::{
    client::{Client, Offer, Versions},
    straight::Straight,
};
use portcullis_tls::tickets::Tickets;

fn straight(limit: u64) -> Straight {
    Straight::with_key_limit(Site::default().server(&Tickets::new()), limit)
}

#[test]
fn openssl_follows_every_key_update_that_the_limit_asks_for() {
    let straight = straight(3);
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        let client = Client::new(Offer::groups("X25519MLKEM768").suite(Versions::Only13, suite));
        let mut conversation = client.connect(straight.address()).expect("a handshake");
        straight.outcome().expect("and ours");
        for round in 0..100_u8 {
            conversation.echo(&[round; 1_000]);
        }
        conversation.close();
    }
}

#[test]
fn openssl_is_told_where_tls12_ends() {
    let straight = straight(5);
    let client = Client::new(Offer::default().versions(Versions::Only12));
    let mut conversation = client.connect(straight.address()).expect("a handshake");
    straight.outcome().expect("and ours");
    // the first is the handshake's
    for round in 0..4 {
        conversation.echo(&[round]);
    }
    let more = conversation.exchange(b"x").expect_err("there is no key for it");
    assert_eq!(more.kind(), std::io::ErrorKind::UnexpectedEof, "close_notify: {more}");
}
