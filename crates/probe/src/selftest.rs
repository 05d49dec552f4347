//! The self-test: one handshake per offer, a few at a time, and the verdict.
use crate::{Expectation, Failure, Offer, Outcome, Report, Seen, Target, handshake::attempt, judge};
use portcullis_tls::{
    client::{self, Client, ClientSpec, Connection},
    identity::Identity,
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
        let offers = Offer::all(listed);
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
        match self.connection(&offer) {
            Ok(connection) => {
                let (seen, leaf) = attempt(&self.target.address, &offer, connection, self.deadline).await;
                self.pinned(seen, leaf)
            }
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

    fn connection(&self, offer: &Offer) -> Result<Connection, rustls::Error> {
        let client = Client::build(ClientSpec {
            versions: offer.versions.clone(),
            groups: offer.groups.clone(),
            schemes: offer.scheme_ids(),
            trust: match &self.trust {
                Trust::Roots(roots) => client::Trust::Roots(roots.clone()),
                Trust::Exactly(_) | Trust::NotChecked => client::Trust::Anyone,
            },
            identity: self.identity.clone(),
            alpn: Vec::new(),
            resumption: 0,
        })?;
        client.connect(self.target.server_name.clone())
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
