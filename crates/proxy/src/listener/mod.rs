//! A listener: its addresses, its limits, and which of its sites a name leads to.
pub(crate) mod accept;
pub(crate) mod bind;
pub(crate) mod gate;
pub(crate) mod introduction;

use crate::{metrics::Label, plan::ListenerPlan, site::Sites};
use gate::Gate;
use prometheus_client::metrics::gauge::Gauge;
use std::{net::IpAddr, sync::Arc};

/// What a connection needs of its listener until its site is found, and not longer.
pub(crate) struct Listener {
    pub(crate) name: Label,
    pub(crate) plan: ListenerPlan,
    pub(crate) gate: Arc<Gate>,
    pub(crate) open: Gauge,
    pub(crate) sites: Sites,
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
