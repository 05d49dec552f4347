//! What only shows when everything stands side by side: names and addresses taken twice, parts that nothing uses.
use super::{
    Origin, address, listener,
    process::Process,
    report::{Fault, Report},
    site,
    tree::quoted,
    upstream,
};
use crate::plan::{Address, Balance, HashOn, Mode};
use std::collections::{HashMap, HashSet, hash_map::Entry};

/// The drafts of a whole configuration.
pub(super) struct Drafts<'a> {
    pub(super) process: &'a Process,
    pub(super) listeners: &'a [listener::Draft],
    pub(super) sites: &'a [site::Draft],
    pub(super) upstreams: &'a [upstream::Draft],
}

impl Drafts<'_> {
    /// Checks everything, in time that grows with the configuration and no faster.
    pub(super) fn check(&self, report: &mut Report) {
        self.addresses(report);
        self.plain_listeners(report);
        let collided = self.server_names(report);
        self.site_names(&collided, report);
        let collided = self.listener_names(report);
        self.unused_listeners(&collided, report);
        self.unused_upstreams(report);
        self.keys_of_requests(report);
    }

    fn addresses(&self, report: &mut Report) {
        let mut taken: HashMap<&Address, (String, &Origin)> = HashMap::new();
        let process = self.process;
        let admin = process
            .admin
            .as_ref()
            .map(|admin| (&admin.value.listen, "admin".to_owned(), &admin.origin));
        let metrics_listen = process.metrics.listen.map(Address::Ip);
        let metrics = metrics_listen
            .as_ref()
            .map(|listen| (listen, "metrics".to_owned(), &process.metrics_origin));
        let listeners = self.listeners.iter().flat_map(|listener| {
            listener
                .listen
                .iter()
                .map(|found| (&found.value, listener.subject(), &found.origin))
        });
        for (address, subject, origin) in listeners.chain(admin).chain(metrics) {
            if matches!(address, Address::Ip(socket) if socket.port() == 0) {
                continue;
            }
            match taken.get(address) {
                Some((first, at)) => {
                    let message = format!("{} is taken by {first}", address::shown(address));
                    report.error(
                        &subject,
                        Fault::whole(origin.clone(), message).hint(format!("it stands at {at}")),
                    );
                }
                None => {
                    taken.insert(address, (subject, origin));
                }
            }
        }
    }

    /// Returns the listeners whose name was taken.
    fn listener_names(&self, report: &mut Report) -> HashSet<usize> {
        let mut taken: HashMap<&str, &Origin> = HashMap::new();
        let mut collided = HashSet::new();
        for (at, listener) in self.listeners.iter().enumerate() {
            let name = &listener.name;
            match taken.entry(&name.value) {
                Entry::Vacant(free) => _ = free.insert(&name.origin),
                Entry::Occupied(first) => {
                    collided.insert(at);
                    report.error(&listener.subject(), name_taken(&name.origin, first.get()));
                }
            }
        }
        collided
    }

    fn plain_listeners(&self, report: &mut Report) {
        for listener in self.listeners.iter().filter(|listener| listener.plain.value) {
            if let Some(policy) = &listener.policy {
                let fault = Fault::of_key(policy.origin.clone(), "policy means nothing on a plain listener");
                report.error(&listener.subject(), fault);
            }
            let open = listener.listen.iter().filter(|found| !address::is_local(&found.value));
            for found in open {
                let message = format!(
                    "takes unprotected connections from other machines on {}",
                    address::shown(&found.value)
                );
                let fault = Fault::whole(found.origin.clone(), message);
                report.notice(
                    &listener.subject(),
                    fault.hint("listen on 127.0.0.1, or leave plain out"),
                );
            }
        }
    }

    /// Each name, and the site without names, once on each listener. Returns the sites that collided.
    fn server_names(&self, report: &mut Report) -> HashSet<usize> {
        let mut taken: HashMap<(usize, Option<&str>), usize> = HashMap::new();
        let mut collided = HashSet::new();
        for (at, site) in self.sites.iter().enumerate() {
            let named = site.names.iter().map(|name| (Some(name.value.as_str()), &name.origin));
            let default = site.is_default.then_some((None, &site.origin));
            for (name, origin) in named.chain(default) {
                let mut clash = None;
                for listener in &site.plan.listeners {
                    match taken.entry((*listener, name)) {
                        Entry::Vacant(free) => _ = free.insert(at),
                        Entry::Occupied(first) => _ = clash.get_or_insert((*listener, *first.get())),
                    }
                }
                if let Some((listener, first)) = clash {
                    collided.insert(at);
                    let fault = self.clash(listener, &self.sites[first], name, origin);
                    report.error(&site.subject(), fault);
                }
            }
        }
        collided
    }

    fn clash(&self, listener: usize, first: &site::Draft, name: Option<&str>, origin: &Origin) -> Fault {
        let on = self.listeners[listener].subject();
        let (message, first_at) = match name {
            Some(name) => (
                format!("{} is taken by {} on {on}", quoted(name), first.subject()),
                first.origin_of(name),
            ),
            None => (
                format!("has no names, and neither has {} on {on}", first.subject()),
                &first.origin,
            ),
        };
        Fault::whole(origin.clone(), message).hint(format!("the first is at {first_at}"))
    }

    fn site_names(&self, collided: &HashSet<usize>, report: &mut Report) {
        let mut taken: HashMap<&str, &Origin> = HashMap::new();
        for (at, site) in self.sites.iter().enumerate() {
            match taken.entry(&site.plan.name) {
                Entry::Vacant(free) => _ = free.insert(&site.name.found.origin),
                Entry::Occupied(first) if site.name.stated.is_some() || !collided.contains(&at) => {
                    report.error(&site.subject(), name_taken(&site.name.found.origin, first.get()));
                }
                // The name follows from a server name that is taken: said already.
                Entry::Occupied(_) => {}
            }
        }
    }

    fn unused_listeners(&self, collided: &HashSet<usize>, report: &mut Report) {
        let used = self.sites.iter().flat_map(|site| site.plan.listeners.iter());
        let used: HashSet<&usize> = used.chain(collided).collect();
        for (at, listener) in self.listeners.iter().enumerate() {
            if !used.contains(&at) {
                let message = "no site stands on it, so it could serve nobody";
                let fault = Fault::whole(listener.name.origin.clone(), message);
                let hint = "name it in a site's listeners, or leave it out";
                report.error(&listener.subject(), fault.hint(hint));
            }
        }
    }

    /// Bytes have no headers, cookies or paths to choose a server by.
    fn keys_of_requests(&self, report: &mut Report) {
        for site in self.sites {
            let mut listeners = site.plan.listeners.iter().filter_map(|at| self.listeners.get(*at));
            let Some(upstream) = self.upstreams.get(site.plan.upstream) else {
                continue;
            };
            let what = match &upstream.plan.balance {
                Balance::Hash(HashOn::Header(_)) => "header",
                Balance::Hash(HashOn::Cookie(_)) | Balance::StickyCookie => "cookie",
                Balance::Hash(HashOn::Uri) => "uri",
                Balance::Hash(HashOn::Source) | Balance::RoundRobin | Balance::Random | Balance::LeastConnections => {
                    continue;
                }
            };
            if listeners.any(|listener| listener.mode == Mode::Tcp) {
                let name = quoted(&upstream.plan.name);
                let message = format!("upstream {name} balances by {what}, which a tcp site has not");
                let fault = Fault::whole(site.origin.clone(), message);
                report.error(&site.subject(), fault.hint("balance = { hash = \"source\" }"));
            }
        }
    }

    fn unused_upstreams(&self, report: &mut Report) {
        let used: HashSet<usize> = self.sites.iter().map(|site| site.plan.upstream).collect();
        for (at, upstream) in self.upstreams.iter().enumerate() {
            if !used.contains(&at) {
                let fault = Fault::whole(upstream.name.origin.clone(), "no site leads to it");
                report.notice(&format!("upstream {}", quoted(&upstream.plan.name)), fault);
            }
        }
    }
}

fn name_taken(origin: &Origin, first: &Origin) -> Fault {
    Fault::whole(origin.clone(), "the name is taken")
        .hint(format!("the first is at {first}; give each a name of its own"))
}
