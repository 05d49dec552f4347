//! A listener: its addresses, its limits, and which of its sites a name leads to.
pub(crate) mod accept;
pub(crate) mod bind;
pub(crate) mod gate;

use crate::{metrics::Label, plan::{HttpListenerPlan, ListenerPlan}, site::Sites};
use gate::Gate;
use prometheus_client::metrics::gauge::Gauge;
use std::{net::IpAddr, sync::Arc};

/// What a connection needs of its listener until its site is found, and not longer.
pub(crate) struct Listener {
    pub(crate) name: Label,
    pub(crate) plan: ListenerPlan,
    /// The part of its plan that its http connections keep.
    pub(crate) http: Arc<HttpListenerPlan>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) open: Gauge,
    pub(crate) sites: Sites,
}

impl Listener {
    /// The operator's list says no.
    pub(crate) fn denies(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.plan.deny.iter().any(|net| net.contains(&address))
    }
}
