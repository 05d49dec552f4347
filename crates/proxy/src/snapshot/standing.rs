//! What of a configuration that runs goes on under the next one: sites of which neither plan nor files changed stay the
//! very objects that they are, and so do the connections at rest on them.
use super::{Built, Snapshot, label};
use crate::{
    plan::{Plan, SitePlan},
    upstream::Upstream,
};
use std::{collections::HashMap, sync::Arc};

/// The sites that run, as the next plan sees them.
pub(super) struct Standing<'a> {
    previous: &'a Snapshot,
    /// Their places, by name.
    sites: HashMap<&'a str, usize>,
    /// Of each upstream that ran, where it is now; None where it is not, or is another.
    upstreams: Vec<Option<usize>>,
    /// The secrets of connections are told to the same.
    is_told_alike: bool,
}

impl<'a> Standing<'a> {
    pub(super) fn new(previous: &'a Snapshot, plan: &Plan, upstreams: &[Arc<Upstream>]) -> Standing<'a> {
        let now: HashMap<*const Upstream, usize> = upstreams.iter().map(Arc::as_ptr).zip(0..).collect();
        let then = previous.upstreams.iter();
        let sites = previous.plan.sites.iter().map(|site| site.name.as_str());
        Standing {
            previous,
            sites: sites.zip(0..).collect(),
            upstreams: then.map(|upstream| now.get(&Arc::as_ptr(upstream)).copied()).collect(),
            is_told_alike: previous.plan.key_log == plan.key_log,
        }
    }

    /// A site as it runs, if the plan means the same by it.
    pub(super) fn of(&self, plan: &Plan, index: usize) -> Option<Built> {
        let (site, previous) = (&plan.sites[index], self.previous);
        let &at = self.sites.get(site.name.as_str())?;
        let is_named_alike = label(plan, index, &site.name) == label(&previous.plan, at, &site.name);
        let sites = previous.built.get(at)?;
        let is_same = self.is_told_alike && is_named_alike && self.is_same(site, &previous.plan.sites[at]);
        (is_same && self.stands_alike((plan, site), at)).then_some(())?;
        Some((
            sites.clone(),
            previous.identities.get(at)?.clone(),
            previous.client_auth.get(at)?.clone(),
        ))
    }

    /// Upstreams and listeners are told by their places, which may be others now.
    fn is_same(&self, site: &SitePlan, before: &SitePlan) -> bool {
        let mut before = SitePlan {
            listeners: site.listeners.clone(),
            ..before.clone()
        };
        for upstream in before.service.upstreams_mut() {
            match self.upstreams.get(*upstream) {
                Some(Some(now)) => *upstream = *now,
                Some(None) | None => return false,
            }
        }
        before == *site
    }

    /// Its listeners are what they were: it may have its policy of them, and whether there is TLS and QUIC.
    fn stands_alike(&self, (plan, site): (&Plan, &SitePlan), at: usize) -> bool {
        let before = &self.previous.plan;
        let then = before.sites[at].listeners.iter().map(|&at| &before.listeners[at]);
        then.eq(site.listeners.iter().map(|&at| &plan.listeners[at]))
    }
}
