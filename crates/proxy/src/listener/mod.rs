//! A listener: its addresses, its limits, and which of its sites a name leads to.
pub(crate) mod accept;
pub(crate) mod bind;
pub(crate) mod gate;
pub(crate) mod introduction;

use crate::{
    http::alternative::Alternative,
    metrics::{Label, Metrics},
    plan::{Address, HttpListenerPlan, ListenerPlan, Mode},
    site::{Site, Sites},
};
use gate::Gate;
use prometheus_client::metrics::gauge::Gauge;
use quinn::TransportConfig;
use std::{net::IpAddr, sync::Arc, time::Instant};

/// What a connection needs of its listener until its site is found, and not longer.
pub(crate) struct Listener {
    pub(crate) name: Label,
    pub(crate) plan: ListenerPlan,
    /// The part of its plan that its http connections keep.
    pub(crate) http: Arc<HttpListenerPlan>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) open: Gauge,
    pub(crate) sites: Sites,
    /// What a QUIC connection gets; None: there are none.
    pub(crate) quic: Option<Arc<TransportConfig>>,
    /// It had QUIC, and somebody may remember until then.
    pub(crate) withdrawn_until: Option<Instant>,
    /// Every request is sent to https, at this port.
    pub(crate) redirect: Option<u16>,
}

impl Listener {
    /// The plain door of an http listener (`redirect_from`): the same names, and each is sent to https.
    pub(crate) fn redirecting(&self, metrics: &Metrics) -> Option<Listener> {
        if self.plan.http.redirect_from.is_empty() {
            return None;
        }
        let name = Label::from(format!("{}.redirect", self.name.0).as_str());
        Some(Listener {
            gate: Arc::new(Gate::new()),
            open: metrics.open(&name),
            plan: ListenerPlan {
                listen: self.plan.http.redirect_from.clone(),
                mode: Mode::Http,
                plain: true,
                ..self.plan.clone()
            },
            http: self.http.clone(),
            sites: self.sites.clone(),
            quic: None,
            withdrawn_until: None,
            redirect: Some(self.public_port()),
            name,
        })
    }

    /// What the answers of a site say of QUIC.
    pub(crate) fn alternative(&self, site: &Site) -> Option<Alternative> {
        if site.quic.is_some() {
            return Some(Alternative::Quic(self.plan.http.public_port));
        }
        let is_remembered = self.withdrawn_until.is_some_and(|until| Instant::now() < until);
        is_remembered.then_some(Alternative::Withdrawn)
    }

    /// The port that clients of the world know.
    fn public_port(&self) -> u16 {
        let listened = self.plan.listen.iter().find_map(|address| match address {
            Address::Ip(address) => Some(address.port()),
            Address::Name(_, port) => Some(*port),
            Address::Unix(_) => None,
        });
        self.plan.http.public_port.or(listened).unwrap_or(443)
    }
}

impl Listener {
    /// Whoever connects from there speaks for others, and says for whom before anything else.
    pub(crate) fn is_announced_by(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.plan.proxy_protocol.iter().any(|net| net.contains(&address))
    }

    /// The operator's list says no.
    pub(crate) fn denies(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.plan.deny.iter().any(|net| net.contains(&address))
    }
}
