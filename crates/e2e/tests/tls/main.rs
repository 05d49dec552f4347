//! Crate `tls` against OpenSSL, which was not written here: every group, certificate and policy, in both directions.
use portcullis_e2e::{
    client::{Client, Conversation, Failed, Seen},
    pki::{Algorithm, Holder, credentials},
    straight::{Straight, Trouble},
};
use portcullis_tls::{
    identity::{Identity, certificates_from_pem},
    negotiated::{Negotiated, Version},
    policy::{Policy, Stance},
    profile::{Overrides, Profile},
    server::{ClientAuth, ClientAuthMode, Server, ServerSpec},
    tickets::Tickets,
};
use portcullis_wire::registry::{Group, Standing};
use rustls::pki_types::CertificateDer;
use std::{sync::Arc, time::Duration};

mod certificates;
mod client;
mod groups;
mod mutual;
mod records;
mod resumption;

/// A site of ours, and what of it a test varies.
#[derive(Clone)]
struct Site {
    context: &'static str,
    profile: Profile,
    overrides: Overrides,
    policy: Option<Policy>,
    certificates: Vec<(Algorithm, Holder)>,
    client_auth: Option<ClientAuthMode>,
    client_roots: Vec<Algorithm>,
}

impl Default for Site {
    fn default() -> Site {
        let algorithms = [Algorithm::MlDsa65, Algorithm::EcdsaP256, Algorithm::Rsa];
        Site {
            context: "site",
            profile: Profile::Default,
            overrides: Overrides {
                groups: Some(every_group().map(|g| g.id).collect()),
                ..Overrides::default()
            },
            policy: None,
            certificates: algorithms.map(|a| (a, Holder::Server)).to_vec(),
            client_auth: None,
            client_roots: Algorithm::ALL.to_vec(),
        }
    }
}

impl Site {
    fn server(&self, tickets: &Arc<Tickets>) -> Server {
        let settings = self.profile.settings(&self.overrides);
        let spec = ServerSpec {
            context: self.context.to_owned(),
            settings: settings.expect("settings that work"),
            policy: self.policy.unwrap_or_else(|| self.profile.policy()).into(),
            identities: self.certificates.iter().map(identity).collect(),
            client_auth: self
                .client_auth
                .map(|mode| ClientAuth::new(mode, self.client_roots.iter().map(root).collect())),
            alpn: Vec::new(),
            resumption: portcullis_tls::tickets::Resumption::living(Duration::from_secs(3600)),
            key_log: None,
        };
        Server::build(spec, tickets).expect("a server")
    }

    fn start(&self) -> Straight {
        Straight::start(self.server(&Tickets::new()))
    }

    fn of(certificates: &[Algorithm]) -> Site {
        Site {
            certificates: certificates.iter().map(|a| (*a, Holder::Server)).collect(),
            ..Site::default()
        }
    }

    fn under(key_exchange: Stance) -> Site {
        Site {
            policy: Some(Policy {
                key_exchange,
                authentication: Stance::Observe,
                client_authentication: Stance::Observe,
            }),
            ..Site::default()
        }
    }
}

fn every_group() -> impl Iterator<Item = &'static Group> {
    Group::all().iter().filter(|g| g.standing != Standing::Never)
}

fn identity((algorithm, holder): &(Algorithm, Holder)) -> Arc<Identity> {
    let made = credentials(*algorithm, *holder);
    let identity = Identity::from_pem(made.chain.as_bytes(), made.key.as_bytes());
    Arc::new(identity.expect("a chain and its key"))
}

fn root(algorithm: &Algorithm) -> CertificateDer<'static> {
    let pem = credentials(*algorithm, Holder::Server).root;
    let mut roots = certificates_from_pem(pem.as_bytes()).expect("a root");
    roots.remove(0).0
}

/// A handshake that both sides finished, told by both; they must agree.
fn handshake(straight: &Straight, client: &Client) -> (Seen, Negotiated) {
    let conversation = client.connect(straight.address());
    settled(straight, conversation)
}

fn settled(straight: &Straight, conversation: Result<Conversation, Failed>) -> (Seen, Negotiated) {
    let mut conversation = match conversation {
        Ok(conversation) => conversation,
        Err(failed) => panic!("{failed}; the server: {:?}", straight.outcome()),
    };
    conversation.echo(b"what is said comes back");
    let seen = conversation.seen();
    conversation.close();
    let negotiated = straight.outcome().expect("the server is done as well");
    agree(&seen, &negotiated);
    (seen, negotiated)
}

/// What we say of a handshake is what OpenSSL says of it.
fn agree(seen: &Seen, ours: &Negotiated) {
    let version = match ours.version {
        Version::Tls12 => "TLSv1.2",
        Version::Tls13 => "TLSv1.3",
    };
    assert_eq!(seen.version, version);
    if let Some(group) = ours.group {
        assert_eq!(
            seen.group.as_deref().map(str::to_lowercase),
            Some(group.to_string().to_lowercase())
        );
    }
    assert_eq!(seen.cipher, ours.cipher.to_string());
    assert_eq!(seen.retry, ours.retry, "a retry");
    assert_eq!(seen.resumed, ours.resumed, "a resumption");
    assert_eq!(seen.signature, ours.signature.map(|s| s.to_string()));
}

fn refused(straight: &Straight, client: &Client) -> (Option<u8>, Trouble) {
    let failed = client.connect(straight.address()).err();
    let trouble = straight.outcome().expect_err("it is refused");
    (failed.expect("it is refused").alert, trouble)
}

fn groups_of(seen: &Seen) -> String {
    seen.group.clone().unwrap_or_default().to_lowercase()
}
