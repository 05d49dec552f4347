//! What runs: everything a plan means, built completely before anything is switched to it.
use crate::{
    clock,
    config::{Loaded, Problem},
    core::Shared,
    listener::{Listener, gate::Gate},
    material::{Materials, SelfSigned},
    metrics::{Label, Metrics},
    plan::{Address, ListenerPlan, Plan, SitePlan},
    site::{Site, Sites},
    upstream::Upstream,
};
use arc_swap::{ArcSwap, Guard};
use portcullis_tls::{
    identity::Identity,
    policy::Policy,
    server::{BuildError, ClientAuth, Server, ServerSpec},
    tickets::Tickets,
};
use std::{collections::HashMap, fmt, path::Path, sync::Arc};
use tokio::sync::watch;

/// A configuration as it runs.
pub struct Snapshot {
    pub(crate) plan: Plan,
    pub(crate) listeners: Vec<Arc<Listener>>,
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    /// Each site's certificates, in its order.
    pub(crate) identities: Vec<Vec<Arc<Identity>>>,
    /// What each site asks of its clients.
    pub(crate) client_auth: Vec<Option<Arc<ClientAuth>>>,
    doors: HashMap<Door, usize>,
}

/// The pointer that a reload swaps.
pub(crate) struct Live {
    snapshot: ArcSwap<Snapshot>,
    /// Tells open connections of clients with certificates.
    swapped: watch::Sender<()>,
}

/// An address that is listened on. Port 0 is a port of its listener's own, whatever the kernel chose.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Door {
    pub(crate) address: Address,
    own: Option<Label>,
}

/// What a build takes besides the plan.
pub(crate) struct Ground<'a> {
    pub(crate) tickets: &'a Arc<Tickets>,
    pub(crate) metrics: &'a Metrics,
    pub(crate) self_signed: Option<&'a SelfSigned>,
    /// What ran so far: shared counts and upstreams that stay the same go on.
    pub(crate) previous: Option<&'a Snapshot>,
}

impl Live {
    pub(crate) fn new(snapshot: Snapshot) -> Live {
        Live {
            snapshot: ArcSwap::from_pointee(snapshot),
            swapped: watch::Sender::new(()),
        }
    }

    pub(crate) fn load(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    pub(crate) fn full(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    pub(crate) fn swap(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
        self.swapped.send_replace(());
    }

    /// Is told of every swap from now on.
    pub(crate) fn swaps(&self) -> watch::Receiver<()> {
        self.swapped.subscribe()
    }
}

impl Snapshot {
    /// Builds all of it, or says all that is wrong.
    pub(crate) fn build(loaded: &Loaded, ground: &Ground<'_>) -> Result<Snapshot, Vec<Problem>> {
        let plan = &loaded.plan;
        let mut materials = Materials::new(&loaded.explained, ground.self_signed);
        let upstreams: Vec<Arc<Upstream>> = plan.upstreams.iter().map(|u| ground.upstream(u)).collect();
        let mut listeners: Vec<Listener> = plan.listeners.iter().map(|l| ground.listener(l)).collect();
        let mut identities = Vec::with_capacity(plan.sites.len());
        let mut client_auths = Vec::with_capacity(plan.sites.len());
        for (index, site) in plan.sites.iter().enumerate() {
            let problems = materials.problems.len();
            let certificates = materials.identities(site);
            let client_auth = materials.client_auth(site).map(Arc::new);
            if materials.problems.len() > problems {
                continue;
            }
            let label = ground.label(plan, index);
            let mut build = SiteBuild {
                plan: site,
                certificates: &certificates,
                client_auth: client_auth.as_deref(),
                label,
                made: Vec::new(),
            };
            for &listener in &site.listeners {
                let upstream = &upstreams[site.upstream];
                match build.on(&plan.listeners[listener], upstream, ground.tickets) {
                    Ok(built) => listeners[listener].sites.add(&site.names, &built),
                    Err(error) => materials.problem(site, key_of(&error), error.to_string(), None),
                }
            }
            identities.push(certificates);
            client_auths.push(client_auth);
        }
        if !materials.problems.is_empty() {
            return Err(materials.problems);
        }
        let listeners: Vec<Arc<Listener>> = listeners.into_iter().map(Arc::new).collect();
        let doors = doors(&listeners);
        Ok(Snapshot {
            plan: plan.clone(),
            listeners,
            upstreams,
            identities,
            client_auth: client_auths,
            doors,
        })
    }

    /// The listener behind a door.
    pub(crate) fn listener(&self, door: &Door) -> Option<&Arc<Listener>> {
        self.doors.get(door).map(|&index| &self.listeners[index])
    }

    /// All doors, with their listeners.
    pub(crate) fn doors(&self) -> impl Iterator<Item = (&Door, &Arc<Listener>)> {
        self.doors.iter().map(|(door, &index)| (door, &self.listeners[index]))
    }

    /// A site whose every certificate is out of its time.
    pub(crate) fn unusable_site(&self, now: i64) -> Option<&str> {
        let valid = |identity: &Arc<Identity>| {
            let leaf = identity.leaf();
            (leaf.not_before..=leaf.not_after).contains(&now)
        };
        let mut sites = self.plan.sites.iter().zip(&self.identities);
        let unusable = sites.find(|(_, identities)| !identities.is_empty() && !identities.iter().any(valid));
        unusable.map(|(site, _)| site.name.as_str())
    }

    /// Puts what outlives configurations under this one's limits, and its certificates' expiry into the metrics.
    pub(crate) fn take_over(&self, shared: &Shared, half_the_files: usize) {
        for listener in &self.listeners {
            listener.gate.limit(&listener.plan.limits, half_the_files);
        }
        let each = self.plan.sites.iter().zip(&self.identities).enumerate();
        shared
            .books
            .metrics
            .certificates(each.flat_map(|(at, (site, identities))| {
                let label = label(&self.plan, at, &site.name);
                identities.iter().enumerate().map(move |(index, identity)| {
                    let leaf = identity.leaf();
                    (
                        label.clone(),
                        leaf.key.map_or("unknown", |k| k.as_str()),
                        index,
                        leaf.not_after,
                    )
                })
            }));
        self.tell_of_lists(shared);
    }

    /// When revocation lists run out, as a metric; those that have, and CAs without one, as warnings.
    fn tell_of_lists(&self, shared: &Shared) {
        let each = self.plan.sites.iter().zip(&self.client_auth).enumerate();
        shared.books.metrics.lists(each.flat_map(|(at, (site, auth))| {
            let label = label(&self.plan, at, &site.name);
            let lists = auth.iter().flat_map(|auth| &auth.crls).enumerate();
            lists.filter_map(move |(index, list)| Some((label.clone(), index, list.next_update?)))
        }));
        for (site, auth) in self.plan.sites.iter().zip(&self.client_auth) {
            for problem in auth.iter().flat_map(|auth| auth.problems(clock::unix_now())) {
                tracing::warn!(site = %site.name, "{problem}");
            }
        }
    }
}

/// A site in the making: one [`Site`] for each policy that its listeners come to with it.
struct SiteBuild<'a> {
    plan: &'a SitePlan,
    certificates: &'a [Arc<Identity>],
    client_auth: Option<&'a ClientAuth>,
    label: Label,
    made: Vec<(Policy, bool, Arc<Site>)>,
}

impl SiteBuild<'_> {
    fn on(
        &mut self,
        listener: &ListenerPlan,
        upstream: &Arc<Upstream>,
        tickets: &Arc<Tickets>,
    ) -> Result<Arc<Site>, BuildError> {
        let policy = listener
            .policy
            .map_or(self.plan.policy, |p| self.plan.policy.tightened_by(p));
        if let Some((_, _, site)) = self
            .made
            .iter()
            .find(|(p, plain, _)| *p == policy && *plain == listener.plain)
        {
            return Ok(site.clone());
        }
        let tls = if listener.plain {
            None
        } else {
            Some(self.server(policy, tickets)?)
        };
        let site = Arc::new(Site {
            name: Label::from(self.plan.name.as_str()),
            label: self.label.clone(),
            policy,
            tls,
            upstream: upstream.clone(),
        });
        self.made.push((policy, listener.plain, site.clone()));
        Ok(site)
    }

    fn server(&self, policy: Policy, tickets: &Arc<Tickets>) -> Result<Server, BuildError> {
        let spec = ServerSpec {
            context: format!("tcp/{}", self.plan.name),
            settings: self.plan.tls.clone(),
            policy,
            identities: self.certificates.to_vec(),
            client_auth: self.client_auth.cloned(),
            alpn: Vec::new(),
            ticket_lifetime: self.plan.resumption_lifetime,
        };
        Server::build(spec, tickets)
    }
}

impl Ground<'_> {
    fn upstream(&self, plan: &crate::plan::UpstreamPlan) -> Arc<Upstream> {
        let same = self.previous.and_then(|s| s.upstreams.iter().find(|u| u.plan == *plan));
        same.cloned().unwrap_or_else(|| {
            let upstream = Upstream::new(plan, self.metrics);
            upstream.resolve();
            Arc::new(upstream)
        })
    }

    fn listener(&self, plan: &ListenerPlan) -> Listener {
        let name = Label::from(plan.name.as_str());
        let same = self.previous.and_then(|s| s.listeners.iter().find(|l| l.name == name));
        Listener {
            gate: same.map_or_else(|| Arc::new(Gate::new()), |l| l.gate.clone()),
            open: self.metrics.open(&name),
            name,
            plan: plan.clone(),
            sites: Sites::default(),
        }
    }

    fn label(&self, plan: &Plan, index: usize) -> Label {
        label(plan, index, &plan.sites[index].name)
    }
}

/// A site's name among the metrics.
fn label(plan: &Plan, index: usize, name: &str) -> Label {
    Label::from(if index < plan.metrics.sites { name } else { "other" })
}

/// The key whose value a server cannot be built with.
fn key_of(error: &BuildError) -> &'static str {
    match error {
        BuildError::ClientCa(_) => "client_auth.ca",
        BuildError::ClientCrl(_) => "client_auth.crl",
        _ => "certificates",
    }
}

fn doors(listeners: &[Arc<Listener>]) -> HashMap<Door, usize> {
    let each = listeners.iter().enumerate();
    each.flat_map(|(index, listener)| {
        let door = |address: &Address| Door {
            address: address.clone(),
            own: matches!(address, Address::Ip(ip) if ip.port() == 0).then(|| listener.name.clone()),
        };
        listener.plan.listen.iter().map(move |address| (door(address), index))
    })
    .collect()
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Name(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", Path::display(path)),
        }
    }
}
