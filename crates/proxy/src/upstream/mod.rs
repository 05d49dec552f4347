//! Upstreams: which server is next, and a connection to it.
mod balance;
mod health;
mod opening;
mod server;
mod stream;

pub(crate) use balance::Key;
pub(crate) use health::attend;
pub(crate) use opening::Told;
pub(crate) use server::{Alpn, Server};
pub(crate) use stream::Stream;

use crate::{
    core::Core,
    failure::{Failure, Stage},
    material::Outfit,
    metrics::{Label, Metrics},
    plan::{Balance, HashOn, UpstreamPlan},
    record::Peer,
};
use arc_swap::ArcSwapOption;
use balance::{Standing, Turns};
use portcullis_tls::failure::Fault;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use tokio::time::Instant;

/// A named set of servers.
pub(crate) struct Upstream {
    pub(crate) name: Label,
    pub(crate) plan: UpstreamPlan,
    servers: Vec<Arc<Server>>,
    turns: Turns,
    outfit: ArcSwapOption<Outfit>,
    /// The control thread looks after it.
    attended: AtomicBool,
}

/// A server that was chosen. It counts as busy with this until it is dropped.
pub(crate) struct Pick {
    pub(crate) server: Arc<Server>,
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.server.leave();
    }
}

impl Upstream {
    /// What was learned of servers that were there before goes on.
    pub(crate) fn new(plan: &UpstreamPlan, metrics: &Metrics, before: Option<&Upstream>) -> Upstream {
        let servers = (0..plan.servers.len()).map(|place| {
            let server = Server::new(plan, place, metrics);
            let known = before.and_then(|before| before.servers.iter().find(|known| known.name == server.name));
            if let Some(known) = known {
                server.inherit(known);
            }
            Arc::new(server)
        });
        Upstream {
            servers: servers.collect(),
            outfit: ArcSwapOption::empty(),
            attended: AtomicBool::new(false),
            turns: Turns::new(plan.balance.clone(), &plan.servers),
            plan: plan.clone(),
            name: Label::from(plan.name.as_str()),
        }
    }

    /// The server whose turn it is for this key, besides those whose places were tried.
    pub(crate) fn pick_besides(&self, key: Key<'_>, tried: &[usize]) -> Option<Pick> {
        let place = self.turns.choose(&self.servers, key, tried)?;
        let server = Arc::clone(&self.servers[place]);
        server.enter();
        Some(Pick { server })
    }

    /// Connects to the server whose turn it is for a client, or to the first after it that answers, and tells it what
    /// the upstream's plan says.
    pub(crate) async fn connect(&self, core: &Core, told: &Told<'_>) -> Result<(Stream, Pick), Failure> {
        let (key, opening) = (self.key_of(told.peer), opening::of(self.plan.opening, told));
        let mut tried = Vec::new();
        let mut problem = None;
        for _ in 0..=self.plan.retries.unwrap_or(self.servers.len()) {
            let Some(pick) = self.pick_besides(key, &tried) else {
                break;
            };
            let deadline = Instant::now() + self.plan.connect_timeout;
            match pick.server.connect(core, deadline, &opening).await {
                Ok(stream) => return Ok((stream, pick)),
                Err(failure) => problem = Some(failure),
            }
            tried.push(pick.server.place());
        }
        Err(problem.unwrap_or_else(|| Failure::failed(Stage::Connect, Fault::Upstream, "upstream has no server")))
    }

    /// Nothing is known against one of its servers at least.
    pub(crate) fn is_reachable(&self) -> bool {
        self.servers.iter().any(|server| server.standing() <= Standing::Backup)
    }

    /// What a connection of this peer is told from others by, where only its address can tell.
    fn key_of(&self, peer: &Peer) -> Key<'static> {
        match (&self.plan.balance, peer) {
            (Balance::Hash(HashOn::Source), Peer::Ip(address)) => Key::Source(address.ip()),
            _ => Key::Any,
        }
    }

    /// Connects by this from now on, unless it is what it does already.
    pub(crate) fn dress(&self, outfit: &Arc<Outfit>) {
        let same = self
            .outfit
            .load()
            .as_ref()
            .is_some_and(|worn| worn.is_of_the_same(outfit));
        if same {
            return;
        }
        for server in &self.servers {
            server.dress(&outfit.client);
        }
        self.outfit.store(Some(Arc::clone(outfit)));
    }

    /// Looks the names of its servers up again; what cannot be resolved keeps what it had.
    pub(crate) fn resolve(&self) {
        for server in &self.servers {
            server.resolve();
        }
    }

    /// Its servers that are asked for their health, and what they said last.
    pub(crate) fn health(&self) -> impl Iterator<Item = (&Label, &Arc<str>, bool)> {
        let asked = self.plan.health.as_ref().map_or(&[][..], |_| &self.servers);
        asked
            .iter()
            .map(|server| (&self.name, &server.name, server.is_healthy()))
    }

    /// Says so from the second time on.
    fn is_attended(&self) -> bool {
        self.attended.swap(true, Relaxed)
    }

    fn lacks_addresses(&self) -> bool {
        self.servers.iter().any(|server| server.lacks_address())
    }

    /// Some server is a name that needs looking up.
    fn has_names(&self) -> bool {
        self.servers.iter().any(|server| server.is_name())
    }
}
