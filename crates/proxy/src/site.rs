//! A site as it runs, and how a name leads to it.
use crate::{http, metrics::Label, plan::Protocol, record::Peer, upstream::Upstream};
use ipnet::IpNet;
use portcullis_tls::{policy::Policy, server::Server};
use std::{collections::HashMap, sync::Arc};

/// What one name on a listener is.
pub(crate) struct Site {
    /// Its configured name, for the log.
    pub(crate) name: Label,
    /// The same for metrics: `other` where there are more sites than labels.
    pub(crate) label: Label,
    /// The strictest words of its listener and itself, enforced or not.
    pub(crate) policy: Policy,
    /// Its TLS; none on a plain listener.
    pub(crate) tls: Option<Server>,
    /// The same over QUIC, where a listener has that.
    pub(crate) quic: Option<Arc<Server>>,
    /// To whom each of its certificates is offered; no networks: to everyone.
    pub(crate) audiences: Vec<Vec<IpNet>>,
    /// What its clients may say before TLS.
    pub(crate) protocol: Protocol,
    /// What is behind it.
    pub(crate) service: Service,
}

/// What is behind a site.
#[derive(Clone)]
pub(crate) enum Service {
    /// Bytes go to one upstream.
    Tcp(Arc<Upstream>),
    /// Requests go by routes.
    Http(Arc<http::service::Service>),
}

impl Service {
    /// The service of requests, if it is one.
    pub(crate) fn http(&self) -> Option<&Arc<http::service::Service>> {
        match self {
            Service::Http(service) => Some(service),
            Service::Tcp(_) => None,
        }
    }
}

impl Site {
    /// Whether a certificate, by its place in the list, is offered to this peer.
    pub(crate) fn shows(&self, place: usize, peer: &Peer) -> bool {
        let Some(networks) = self.audiences.get(place).filter(|networks| !networks.is_empty()) else {
            return true;
        };
        match peer {
            Peer::Ip(address) => {
                let address = address.ip().to_canonical();
                networks.iter().any(|network| network.contains(&address))
            }
            // whoever comes through a socket of this machine is in no network
            Peer::Unix => false,
        }
    }
}

/// The sites of a listener. Looking one up costs the same however many there are.
#[derive(Clone, Default)]
pub(crate) struct Sites {
    exact: HashMap<Box<str>, Arc<Site>>,
    /// By what follows the wildcard's first label.
    wildcard: HashMap<Box<str>, Arc<Site>>,
    default: Option<Arc<Site>>,
    postgres: bool,
}

impl Sites {
    /// Adds a site under its names; without names it is the default.
    pub(crate) fn add(&mut self, names: &[String], site: &Arc<Site>) {
        self.postgres |= site.protocol == Protocol::Postgres;
        if names.is_empty() {
            self.default = Some(site.clone());
        }
        for name in names {
            match name.strip_prefix("*.") {
                Some(rest) => self.wildcard.insert(rest.into(), site.clone()),
                None => self.exact.insert(name.as_str().into(), site.clone()),
            };
        }
    }

    /// The site of a name: exact, then by wildcard of one label, then the default.
    pub(crate) fn find(&self, sni: Option<&str>) -> Option<&Arc<Site>> {
        let named = sni.and_then(|name| {
            self.exact
                .get(name)
                .or_else(|| name.split_once('.').and_then(|(_, rest)| self.wildcard.get(rest)))
        });
        named.or(self.default.as_ref())
    }

    /// What a client may say before anyone knows whom it wants.
    pub(crate) fn protocol(&self) -> Protocol {
        if self.postgres {
            Protocol::Postgres
        } else {
            Protocol::Any
        }
    }

    /// Every site, once for each of its names.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.exact.values().chain(self.wildcard.values()).chain(&self.default)
    }

    /// Whether there is a site of requests. Where no TLS tells sites apart, all of them are then.
    pub(crate) fn serve_requests(&self) -> bool {
        self.all().any(|site| site.service.http().is_some())
    }

    /// The site where no name is ever told: the default, or the only one.
    pub(crate) fn nameless(&self) -> Option<&Arc<Site>> {
        let only = || {
            let mut all = self.all();
            let first = all.next()?;
            all.all(|other| Arc::ptr_eq(first, other)).then_some(first)
        };
        self.default.as_ref().or_else(only)
    }
}
