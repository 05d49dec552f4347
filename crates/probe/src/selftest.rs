//! The self-test: one handshake per offer, a few at a time, and the verdict.
use crate::{
    Expectation, Failure, Offer, Outcome, Report, Seen, Target, Transport,
    handshake::attempt,
    judge,
    over_quic::{self, Asking},
};
use portcullis_tls::{
    client::{self, Client, ClientSpec},
    identity::Identity,
    quic,
    rustls::{self, pki_types::CertificateDer},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

/// Handshakes at a time: enough to be quick, few enough for any server's limit per address.
const AT_A_TIME: usize = 4;

/// Everything that makes a self-test.
pub struct SelfTest {
    /// Whom to ask.
    pub target: Target,
    /// What carries the handshakes.
    pub transport: Transport,
    /// What is promised.
    pub expectation: Expectation,
    /// Whom to trust.
    pub trust: Trust,
    /// What to answer with when a client certificate is asked for.
    pub identity: Option<Arc<Identity>>,
    /// For all of one handshake, the connect included.
    pub deadline: Duration,
}

/// How the server's certificate is checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trust {
    /// By chain and name, up to one of these roots.
    Roots(Vec<CertificateDer<'static>>),
    /// It must be one of these, byte for byte, and the server must prove its key.
    Exactly(Vec<CertificateDer<'static>>),
    /// Not at all: the report says so.
    NotChecked,
}

impl Trust {
    /// For the report.
    pub fn as_str(&self) -> &'static str {
        match self {
            Trust::Roots(_) => "checked against the given CA",
            Trust::Exactly(_) => "checked against the site's own certificates",
            Trust::NotChecked => "not checked",
        }
    }
}

impl SelfTest {
    /// A client that waits longer has given up.
    pub const DEADLINE: Duration = Duration::from_secs(10);

    /// Makes every handshake and judges them.
    pub async fn run(self) -> Report {
        let listed = self.expectation.site.as_ref().map(|site| &*site.groups);
        let offers = match self.transport {
            Transport::Tcp => Offer::all(listed),
            Transport::Quic => Offer::over_quic(Offer::all(listed)),
        };
        let (test, permits) = (Arc::new(self), Arc::new(Semaphore::new(AT_A_TIME)));
        let mut running = JoinSet::new();
        for (index, offer) in offers.into_iter().enumerate() {
            let (test, permits) = (Arc::clone(&test), Arc::clone(&permits));
            running.spawn(async move {
                // the semaphore is never closed; without a permit it would only be less polite
                let _permit = permits.acquire().await.ok();
                (index, test.ask(offer).await)
            });
        }
        let mut seen = running.join_all().await;
        seen.sort_by_key(|(index, _)| *index);
        let seen: Vec<Seen> = seen.into_iter().map(|(_, seen)| seen).collect();
        let problems = judge(&seen, &test.expectation);
        Report::new(&test, &seen, problems)
    }

    async fn ask(&self, offer: Offer) -> Seen {
        match self.attempt(&offer).await {
            Ok((seen, leaf)) => self.pinned(seen, leaf),
            Err(error) => Seen {
                offer,
                shares: Vec::new(),
                outcome: Outcome::Failed(Failure::Tls(error.to_string())),
                bytes_in: 0,
                bytes_out: 0,
                took: Duration::ZERO,
            },
        }
    }

    async fn attempt(&self, offer: &Offer) -> Result<(Seen, Option<CertificateDer<'static>>), rustls::Error> {
        let (client, address, name) = (self.client(offer)?, &self.target.address, &self.target.server_name);
        match self.transport {
            Transport::Tcp => {
                let connection = client.connect(name.clone())?;
                Ok(attempt(address, offer, connection, self.deadline).await)
            }
            Transport::Quic => {
                let deadline = self.deadline;
                let asking = Asking {
                    address,
                    name,
                    offer,
                    client,
                    deadline,
                };
                Ok(over_quic::attempt(asking).await)
            }
        }
    }

    fn client(&self, offer: &Offer) -> Result<Client, rustls::Error> {
        Client::build(ClientSpec {
            versions: offer.versions.clone(),
            groups: offer.groups.clone(),
            schemes: offer.scheme_ids(),
            trust: match &self.trust {
                Trust::Roots(roots) => client::Trust::Roots(roots.clone()),
                Trust::Exactly(_) | Trust::NotChecked => client::Trust::Anyone,
            },
            identity: self.identity.clone(),
            alpn: match self.transport {
                Transport::Tcp => Vec::new(),
                Transport::Quic => vec![quic::ALPN.to_vec()],
            },
            resumption: 0,
        })
    }

    /// A handshake with another certificate than the expected ones is worth nothing.
    fn pinned(&self, mut seen: Seen, leaf: Option<CertificateDer<'static>>) -> Seen {
        if let (Trust::Exactly(expected), Outcome::Ok(_)) = (&self.trust, &seen.outcome)
            && !leaf.is_some_and(|leaf| expected.contains(&leaf))
        {
            seen.outcome = Outcome::Failed(Failure::OtherCertificate);
        }
        seen
    }
}
