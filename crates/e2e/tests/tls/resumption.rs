//! Sessions and the contexts they belong to.
use crate::{Site, groups_of, handshake, settled};
use portcullis_e2e::{
    client::{Client, Offer, Versions},
    pki::Algorithm,
    straight::Straight,
};
use portcullis_tls::{policy::Stance, server::ClientAuthMode, tickets::Tickets};

#[test]
fn a_session_resumes_within_its_context() {
    for versions in [Versions::Only13, Versions::Only12] {
        let straight = Site::default().start();
        let client = Client::new(Offer::groups("X25519MLKEM768:X25519:P-256").versions(versions));
        let (_, first) = handshake(&straight, &client);
        let session = client.session().expect("a session came");
        let (seen, second) = settled(&straight, client.resume(straight.address(), &session));
        assert!(seen.resumed, "{versions:?}");
        assert_eq!(second.signature, None);
        assert_eq!(second.authentication, first.authentication);
        if versions == Versions::Only13 {
            assert_eq!(groups_of(&seen), "x25519mlkem768", "keys are exchanged anew");
        }
    }
}

#[test]
fn a_session_never_resumes_in_another_context() {
    // Each differs from the first in one thing that a context is made of. TLS 1.2 cannot tell the last two
    // apart from the first: `require` refuses it, and its certificates are classical everywhere.
    let others = [
        Site {
            context: "another site",
            ..Site::default()
        },
        Site {
            client_auth: Some(ClientAuthMode::Optional),
            ..Site::default()
        },
        Site::under(Stance::Require),
        Site::of(&[Algorithm::EcdsaP256]),
    ];
    for (versions, others) in [(Versions::Only13, &others[..]), (Versions::Only12, &others[..2])] {
        let tickets = Tickets::new();
        let home = Straight::start(Site::default().server(&tickets));
        let client = Client::new(Offer::groups("X25519MLKEM768:X25519:P-256").versions(versions));
        for (i, other) in others.iter().enumerate() {
            let away = Straight::start(other.server(&tickets));
            handshake(&home, &client);
            let session = client.session().expect("a session came");
            let (seen, _) = settled(&away, client.resume(away.address(), &session));
            assert!(!seen.resumed, "{versions:?}, site {i}");
            let (seen, _) = settled(&home, client.resume(home.address(), &session));
            assert!(seen.resumed, "{versions:?}: at home it still resumes");
        }
    }
}

#[test]
fn a_session_survives_a_rebuild_of_the_same_context() {
    let tickets = Tickets::new();
    let client = Client::new(Offer::groups("X25519MLKEM768"));
    let before = Straight::start(Site::default().server(&tickets));
    handshake(&before, &client);
    let session = client.session().expect("a session came");
    let after = Straight::start(Site::default().server(&tickets));
    let (seen, _) = settled(&after, client.resume(after.address(), &session));
    assert!(seen.resumed);
}
