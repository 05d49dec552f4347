//! What only shows when everything stands side by side: names and addresses taken twice, parts that nothing uses.
use super::{
    Origin, address, listener,
    process::Process,
    report::{Fault, Report},
    site,
    tree::quoted,
    upstream,
};
use crate::plan::{AccessLog, Address, Balance, HashOn, LogFormat, ServicePlan, UpstreamHttp, UpstreamPlan};
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
        self.requests(report);
        self.keys_of_requests(report);
        self.lines_of_connections(report);
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
            let listen = listener.listen.iter().chain(&listener.http.redirect_from);
            listen.map(|found| (&found.value, listener.subject(), &found.origin))
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
            let ServicePlan::Tcp(upstream) = site.plan.service else {
                continue;
            };
            let Some(upstream) = self.upstreams.get(upstream) else {
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
            let name = quoted(&upstream.plan.name);
            let message = format!("upstream {name} balances by {what}, which a tcp site has not");
            let fault = Fault::whole(site.origin.clone(), message);
            report.error(&site.subject(), fault.hint("balance = { hash = \"source\" }"));
        }
    }

    fn unused_upstreams(&self, report: &mut Report) {
        let used: HashSet<usize> = self
            .sites
            .iter()
            .flat_map(|site| site.plan.service.upstreams())
            .collect();
        for (at, upstream) in self.upstreams.iter().enumerate() {
            if !used.contains(&at) {
                let fault = Fault::whole(upstream.name.origin.clone(), "no site leads to it");
                report.notice(&format!("upstream {}", quoted(&upstream.plan.name)), fault);
            }
        }
    }
}

impl Drafts<'_> {
    /// What is said of requests means something only where requests are served.
    fn requests(&self, report: &mut Report) {
        let mut served = vec![(false, false); self.listeners.len()];
        let mut asked = vec![(false, false); self.upstreams.len()];
        for site in self.sites {
            let is_http = matches!(site.plan.service, ServicePlan::Http(_));
            let mark = |(http, tcp): &mut (bool, bool)| *(if is_http { http } else { tcp }) = true;
            site.plan
                .listeners
                .iter()
                .for_each(|at| served.get_mut(*at).into_iter().for_each(mark));
            site.plan
                .service
                .upstreams()
                .for_each(|at| asked.get_mut(at).into_iter().for_each(mark));
        }
        for (listener, (http, tcp)) in self.listeners.iter().zip(served) {
            self.listener_of_requests(listener, (http, tcp), report);
        }
        for (upstream, (http, tcp)) in self.upstreams.iter().zip(asked) {
            if http {
                self.upstream_of_requests(upstream, report);
            }
            if let Some((message, hint)) = unfit_for_http2(&upstream.plan, tcp).filter(|_| http) {
                let fault = Fault::whole(upstream.name.origin.clone(), message).hint(hint);
                report.error(&format!("upstream {}", quoted(&upstream.plan.name)), fault);
            }
            for (key, origin) in upstream.of_requests.iter().filter(|_| tcp && !http) {
                let fault = Fault::whole(
                    origin.clone(),
                    format!("{key} means nothing: only tcp sites lead to it"),
                );
                report.notice(&format!("upstream {}", quoted(&upstream.plan.name)), fault);
            }
        }
    }

    /// Other servers' formats have no line for a connection.
    fn lines_of_connections(&self, report: &mut Report) {
        let word = match self.process.log.format {
            LogFormat::Common => "common",
            LogFormat::Combined => "combined",
            LogFormat::Text | LogFormat::Json => return,
        };
        if self.process.log.access == AccessLog::Off {
            return;
        }
        let is_tcp = |site: &&site::Draft| matches!(site.plan.service, ServicePlan::Tcp(_));
        for site in self.sites.iter().filter(is_tcp) {
            let message = format!("log.format {word:?} tells of requests, so its connections leave no line");
            let fault = Fault::whole(site.origin.clone(), message);
            report.notice(&site.subject(), fault.hint("log = { format = \"json\" } tells of both"));
        }
    }

    /// A connection of requests serves many clients in turn, so nothing is said of one at its beginning.
    fn upstream_of_requests(&self, upstream: &upstream::Draft, report: &mut Report) {
        let subject = format!("upstream {}", quoted(&upstream.plan.name));
        if let Some(origin) = &upstream.send_proxy {
            let fault = Fault::of_key(
                origin.clone(),
                "send_proxy is for tcp sites, and an http site leads to it",
            );
            let hint = "X-Forwarded-For and Portcullis-TLS say who asks: leave it out, or mode = \"tcp\" on the site";
            report.error(&subject, fault.hint(hint));
        }
    }

    fn listener_of_requests(&self, listener: &listener::Draft, (http, tcp): (bool, bool), report: &mut Report) {
        let subject = listener.subject();
        if http && tcp && listener.plain.value {
            let message = "has http and tcp sites, but without TLS no name tells which is meant";
            let fault = Fault::whole(listener.name.origin.clone(), message);
            report.error(&subject, fault.hint("give each a listener of its own"));
        }
        for (key, origin) in listener.http.standing.iter().filter(|_| tcp && !http) {
            let fault = Fault::whole(
                origin.clone(),
                format!("{key} means nothing: no http site stands on it"),
            );
            report.error(&subject, fault.hint("mode = \"http\" on the listener, or leave it out"));
        }
        if let Some(origin) = &listener.http.http3 {
            unfit_for_quic(listener, origin)
                .into_iter()
                .for_each(|fault| report.error(&subject, fault));
        }
        for found in listener.http.redirect_from.iter().filter(|_| listener.plain.value) {
            let fault = Fault::whole(
                found.origin.clone(),
                "redirect_from leads to https, but the listener is plain",
            );
            report.error(&subject, fault);
        }
    }
}

/// QUIC needs TLS and datagrams.
fn unfit_for_quic(listener: &listener::Draft, origin: &Origin) -> Option<Fault> {
    let (message, hint) = if listener.plain.value {
        (
            "http3 is never without TLS, but the listener is plain",
            "leave http3 out",
        )
    } else if listener
        .listen
        .iter()
        .all(|found| matches!(found.value, Address::Unix(_)))
    {
        (
            "http3 takes an address of the network, but the listener has Unix sockets only",
            "listen = [\"0.0.0.0:8443\"]",
        )
    } else {
        return None;
    };
    Some(Fault::whole(origin.clone(), message).hint(hint))
}

/// Why an upstream cannot be spoken to in HTTP/2 alone, where it is to be.
fn unfit_for_http2(plan: &UpstreamPlan, tcp: bool) -> Option<(&'static str, &'static str)> {
    match (plan.http.http, &plan.tls) {
        (UpstreamHttp::Auto | UpstreamHttp::Http1, _) => None,
        (UpstreamHttp::Http2, None) => Some((
            "http = \"2\" is over TLS, but it has no tls",
            "http = \"h2c\" is in the clear",
        )),
        (UpstreamHttp::H2c, Some(_)) => Some((
            "http = \"h2c\" is in the clear, but it has tls",
            "http = \"2\" is over TLS",
        )),
        _ if tcp => Some((
            "a tcp site leads to it too, but all it speaks is HTTP/2",
            "give each kind of site an upstream of its own",
        )),
        _ if plan.health.as_ref().is_some_and(|health| health.path.is_some()) => Some((
            "health.path asks in HTTP/1.1, but all it speaks is HTTP/2",
            "without health.path a connection, with its TLS handshake, is enough",
        )),
        _ => None,
    }
}

fn name_taken(origin: &Origin, first: &Origin) -> Fault {
    Fault::whole(origin.clone(), "the name is taken")
        .hint(format!("the first is at {first}; give each a name of its own"))
}
