//! What runs: everything a plan means, built completely before anything is switched to it.
use crate::{
    clock,
    config::{Loaded, Problem},
    core::Shared,
    http::{self, alternative::Alternative},
    listener::{Listener, gate::Gate},
    material::{Broken, Kept, Materials, Outfit, SelfSigned},
    metrics::{Label, Metrics},
    plan::{Address, ForwardPlan, ListenerPlan, Plan, ResumptionPlan, ServicePlan, SitePlan, UpstreamPlan},
    quic::transport::transport,
    site::{Service, Site, Sites},
    upstream::Upstream,
    watch::Seen,
};
use arc_swap::{ArcSwap, Guard};
use portcullis_tls::{
    identity::Identity,
    policy::Demands,
    server::{BuildError, ClientAuth, Server, ServerSpec},
    tickets::{Resumption, Signer, Tickets},
};
use standing::Standing;
use std::{collections::HashMap, fmt, path::Path, sync::Arc, time::Instant};
use tokio::sync::watch;

mod standing;

/// A configuration as it runs.
pub struct Snapshot {
    pub(crate) plan: Plan,
    pub(crate) listeners: Vec<Arc<Listener>>,
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    /// What each of them connects by from when this is switched to.
    outfits: Vec<Option<Arc<Outfit>>>,
    /// Each site's certificates, in its order.
    pub(crate) identities: Vec<Vec<Arc<Identity>>>,
    /// What each site asks of its clients.
    pub(crate) client_auth: Vec<Option<Arc<ClientAuth>>>,
    /// Each site on each of its listeners.
    built: Vec<Vec<Arc<Site>>>,
    /// What was read for it.
    pub(crate) kept: Kept,
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
    /// Who is told the secrets of connections.
    pub(crate) key_log: Option<Arc<dyn rustls::KeyLog>>,
    /// What ran so far: shared counts and upstreams that stay the same go on.
    pub(crate) previous: Option<&'a Snapshot>,
    /// What becomes of files that are of no use.
    pub(crate) broken: Broken<'a>,
}

/// Why there is no snapshot.
pub(crate) struct Unbuilt {
    /// All that is wrong.
    pub(crate) problems: Vec<Problem>,
    /// What every file held.
    pub(crate) seen: Arc<Seen>,
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
    pub(crate) fn build(loaded: &Loaded, ground: &Ground<'_>) -> Result<Snapshot, Unbuilt> {
        let plan = &loaded.plan;
        let mut materials = Materials::new(&loaded.explained, ground.self_signed, ground.broken);
        let upstreams = ground.upstreams(plan);
        let key_log = ground.key_log.as_ref();
        let outfits = plan.upstreams.iter().map(|u| materials.outfit(u, key_log)).collect();
        let mut listeners: Vec<Listener> = plan.listeners.iter().map(|l| ground.listener(l)).collect();
        let mut identities = Vec::with_capacity(plan.sites.len());
        let mut client_auths = Vec::with_capacity(plan.sites.len());
        let mut built = Vec::with_capacity(plan.sites.len());
        let standing = ground
            .previous
            .map(|previous| Standing::new(previous, plan, &upstreams));
        for (index, site) in plan.sites.iter().enumerate() {
            let standing = standing.as_ref().and_then(|standing| standing.of(plan, index));
            let made = match standing {
                Some(standing) if materials.stand(site) => Some(standing),
                standing => ground.site((plan, index), (&upstreams, standing), &mut materials),
            };
            let Some((sites, certificates, client_auth)) = made else {
                continue;
            };
            for (&listener, built) in site.listeners.iter().zip(&sites) {
                listeners[listener].sites.add(&site.names, built);
            }
            identities.push(certificates);
            client_auths.push(client_auth);
            built.push(sites);
        }
        if !materials.problems.is_empty() {
            let problems = std::mem::take(&mut materials.problems);
            let seen = materials.kept().seen;
            return Err(Unbuilt { problems, seen });
        }
        let redirecting: Vec<Listener> = listeners.iter().filter_map(|l| ground.redirecting(l)).collect();
        listeners.extend(redirecting);
        let listeners: Vec<Arc<Listener>> = listeners.into_iter().map(Arc::new).collect();
        let doors = doors(&listeners);
        Ok(Snapshot {
            plan: plan.clone(),
            listeners,
            upstreams,
            outfits,
            identities,
            client_auth: client_auths,
            built,
            kept: materials.kept(),
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

    /// Certificates that are not valid now, by site and place: others are offered first.
    pub(crate) fn out_of_time(&self, now: i64) -> impl Iterator<Item = (Label, &str, usize)> {
        let sites = self.plan.sites.iter().zip(&self.identities).enumerate();
        sites.flat_map(move |(index, (site, identities))| {
            let places = identities.iter().enumerate();
            let past = places.filter(move |(_, identity)| !identity.is_valid_at(now));
            past.map(move |(place, _)| (label(&self.plan, index, &site.name), site.name.as_str(), place))
        })
    }

    /// How many sites are not as they were.
    pub(crate) fn rebuilt(&self, old: &Snapshot) -> usize {
        let same = |(a, b): (&Vec<Arc<Site>>, &Vec<Arc<Site>>)| a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b));
        self.built.iter().zip(&old.built).filter(|pair| !same(*pair)).count()
    }

    /// A site whose every certificate is out of its time.
    pub(crate) fn unusable_site(&self, now: i64) -> Option<&str> {
        let valid = |identity: &Arc<Identity>| identity.is_valid_at(now);
        let mut sites = self.plan.sites.iter().zip(&self.identities);
        let unusable = sites.find(|(_, identities)| !identities.is_empty() && !identities.iter().any(valid));
        unusable.map(|(site, _)| site.name.as_str())
    }

    /// Puts what outlives configurations under this one's limits, and the state of its files into the metrics.
    pub(crate) fn take_over(&self, shared: &Shared, half_the_files: usize) {
        for listener in &self.listeners {
            listener.gate.limit(&listener.plan.limits, half_the_files);
        }
        for (upstream, outfit) in self.upstreams.iter().zip(&self.outfits) {
            if let Some(outfit) = outfit {
                upstream.dress(outfit);
            }
        }
        let metrics = &shared.books.metrics;
        metrics.upstreams_health(self.upstreams.iter().flat_map(|upstream| upstream.health()));
        let label_of = |(index, site): (usize, &SitePlan)| label(&self.plan, index, &site.name);
        let sites = self.plan.sites.iter().enumerate();
        let failed = sites.map(|(at, site)| {
            let failed = self.kept.failed.iter().filter(|failed| failed.site == site.name);
            (label_of((at, site)), failed.count())
        });
        shared.books.metrics.files_failed(failed);
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

    /// Says at start and at reloads what `check` would have said.
    pub(crate) fn tell_of_worries(&self, metrics: &Metrics) {
        let worries = self.worries();
        for worry in &worries {
            tracing::warn!(site = %worry.site, hint = %worry.hint, "{}", worry.message);
        }
        let places: HashMap<&str, usize> = self
            .plan
            .sites
            .iter()
            .enumerate()
            .map(|(at, site)| (&*site.name, at))
            .collect();
        let at = worries
            .iter()
            .filter_map(|worry| Some((*places.get(&*worry.site)?, &*worry.site)));
        metrics.warnings(at.map(|(at, name)| label(&self.plan, at, name)));
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

/// What listeners share a site by, and the site.
struct Made {
    demands: Demands,
    plain: bool,
    http3: bool,
    site: Arc<Site>,
}

/// A site in the making: one [`Site`] for each of all that is demanded on its listeners.
struct SiteBuild<'a> {
    plan: &'a SitePlan,
    certificates: &'a [Arc<Identity>],
    client_auth: Option<&'a ClientAuth>,
    resumption: Resumption,
    key_log: Option<&'a Arc<dyn rustls::KeyLog>>,
    label: Label,
    service: Service,
    made: Vec<Made>,
}

impl SiteBuild<'_> {
    fn on(&mut self, listener: &ListenerPlan, tickets: &Arc<Tickets>) -> Result<Arc<Site>, BuildError> {
        let demands = self.plan.demands_on(listener);
        let (plain, http3) = (listener.plain, listener.http.http3 && !listener.plain);
        let is_same = |made: &&Made| made.demands == demands && made.plain == plain && made.http3 == http3;
        if let Some(made) = self.made.iter().find(is_same) {
            return Ok(made.site.clone());
        }
        let spec = (!plain).then(|| self.spec(demands.clone()));
        let quic = match &spec {
            Some(spec) if http3 && self.service.http().is_some() => over_quic(spec.clone(), tickets)?,
            _ => None,
        };
        let tls = spec.map(|spec| Server::build(spec, tickets)).transpose()?;
        let site = Arc::new(Site {
            name: Label::from(self.plan.name.as_str()),
            label: self.label.clone(),
            policy: demands.words(),
            tls,
            quic,
            audiences: self.plan.audiences.clone(),
            protocol: self.plan.protocol,
            service: self.service.clone(),
        });
        self.made.push(Made {
            demands,
            plain,
            http3,
            site: site.clone(),
        });
        Ok(site)
    }

    fn spec(&self, policy: Demands) -> ServerSpec {
        ServerSpec {
            context: format!("tcp/{}", self.plan.name),
            settings: self.plan.tls.clone(),
            policy,
            identities: self.certificates.to_vec(),
            client_auth: self.client_auth.cloned(),
            alpn: self.plan.alpn.iter().map(|name| name.clone().into_bytes()).collect(),
            resumption: self.resumption.clone(),
            key_log: self.key_log.cloned(),
        }
    }
}

/// The same over QUIC; None where it has no TLS 1.3, which QUIC is made of.
fn over_quic(spec: ServerSpec, tickets: &Arc<Tickets>) -> Result<Option<Arc<Server>>, BuildError> {
    match spec.over_quic() {
        Ok(spec) => Ok(Some(Arc::new(Server::build(spec, tickets)?))),
        Err(BuildError::NoTls13) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A site on each of its listeners, its certificates, and what it asks of its clients.
type Built = (Vec<Arc<Site>>, Vec<Arc<Identity>>, Option<Arc<ClientAuth>>);

impl Ground<'_> {
    /// A site, built of its files; None where that became a problem.
    fn site(
        &self,
        (plan, index): (&Plan, usize),
        (upstreams, standing): (&[Arc<Upstream>], Option<Built>),
        materials: &mut Materials<'_>,
    ) -> Option<Built> {
        let site = &plan.sites[index];
        let problems = materials.problems.len();
        let certificates = materials.identities(site);
        let client_auth = materials.client_auth(site).map(Arc::new);
        let ResumptionPlan {
            tickets,
            lifetime,
            cache,
            ..
        } = site.resumption;
        let resumption = Resumption {
            tickets,
            lifetime,
            cache,
            secret: materials.ticket_secret(site),
        };
        let signer = self.tickets.signer(resumption.secret.as_deref());
        let service = self.service((plan, index), (upstreams, signer), materials);
        if materials.problems.len() > problems {
            return None;
        }
        // it runs on as it is where nothing better is to be had
        let standing = standing.filter(|_| matches!(self.broken, Broken::Keeps(_)));
        if let Some(standing) = &standing
            && same(&standing.1, &certificates)
            && !materials.others_changed(site)
        {
            return Some(standing.clone());
        }
        let mut build = SiteBuild {
            plan: site,
            certificates: &certificates,
            client_auth: client_auth.as_deref(),
            resumption,
            key_log: self.key_log.as_ref(),
            service,
            label: self.label(plan, index),
            made: Vec::new(),
        };
        let each = site.listeners.iter();
        let each: Result<Vec<_>, BuildError> = each
            .map(|listener| build.on(&plan.listeners[*listener], self.tickets))
            .collect();
        match (each, standing) {
            (Ok(sites), _) => Some((sites, certificates, client_auth)),
            (Err(error), Some(standing)) => {
                materials.stays(site, key_of(&error), error.to_string());
                Some(standing)
            }
            (Err(error), None) => {
                materials.problem(site, key_of(&error), error.to_string(), None);
                None
            }
        }
    }

    fn service(
        &self,
        (plan, index): (&Plan, usize),
        (upstreams, signer): (&[Arc<Upstream>], Option<Arc<Signer>>),
        materials: &mut Materials<'_>,
    ) -> Service {
        match &plan.sites[index].service {
            ServicePlan::Tcp(upstream) => Service::Tcp(upstreams[*upstream].clone()),
            ServicePlan::Http(http) => {
                let site = &plan.sites[index];
                let ground = http::service::Ground {
                    name: Label::from(site.name.as_str()),
                    label: &self.label(plan, index),
                    metrics: self.metrics,
                    forward: site.client_auth.as_ref().map_or(ForwardPlan::None, |auth| auth.forward),
                    pages: materials.pages(site),
                    upstreams,
                    signer,
                };
                Service::Http(Arc::new(http::service::Service::new(http, ground)))
            }
        }
    }

    fn upstreams(&self, plan: &Plan) -> Vec<Arc<Upstream>> {
        let before = self.previous.iter().flat_map(|snapshot| &snapshot.upstreams);
        // by name, since there may be as many as sites
        let before: HashMap<&str, &Arc<Upstream>> = before.map(|known| (known.plan.name.as_str(), known)).collect();
        let of = |plan: &UpstreamPlan| self.upstream(plan, before.get(plan.name.as_str()).copied());
        plan.upstreams.iter().map(of).collect()
    }

    fn upstream(&self, plan: &UpstreamPlan, before: Option<&Arc<Upstream>>) -> Arc<Upstream> {
        if let Some(same) = before.filter(|before| before.plan == *plan) {
            return Arc::clone(same);
        }
        let upstream = Upstream::new(plan, self.metrics, before.map(|before| &**before));
        upstream.resolve();
        Arc::new(upstream)
    }

    fn listener(&self, plan: &ListenerPlan) -> Listener {
        let name = Label::from(plan.name.as_str());
        let same = self.previous.and_then(|s| s.listeners.iter().find(|l| l.name == name));
        let unchanged = same.filter(|same| same.plan == *plan);
        let quic = (plan.http.http3 && !plan.plain).then(|| transport(plan));
        let before = same.map_or((false, None), |l| (l.quic.is_some(), l.withdrawn_until));
        let withdrawn_until = match quic {
            Some(_) => None,
            None => Alternative::withdrawn_until(before.0, before.1, Instant::now()),
        };
        Listener {
            gate: same.map_or_else(|| Arc::new(Gate::new()), |l| l.gate.clone()),
            open: self.metrics.open(&name),
            name,
            // by this its connections know that it is as it was
            http: unchanged.map_or_else(|| Arc::new(plan.http.clone()), |same| same.http.clone()),
            plan: plan.clone(),
            quic,
            withdrawn_until,
            sites: Sites::default(),
            redirect: None,
        }
    }

    fn redirecting(&self, listener: &Listener) -> Option<Listener> {
        let mut redirecting = listener.redirecting(self.metrics)?;
        let same = |known: &&Arc<Listener>| known.name == redirecting.name;
        if let Some(known) = self.previous.and_then(|s| s.listeners.iter().find(same)) {
            redirecting.gate = known.gate.clone();
        }
        Some(redirecting)
    }

    fn label(&self, plan: &Plan, index: usize) -> Label {
        label(plan, index, &plan.sites[index].name)
    }
}

fn same(one: &[Arc<Identity>], other: &[Arc<Identity>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| Arc::ptr_eq(a, b))
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
