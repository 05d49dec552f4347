//! `allow` and `deny` of a site and of a route: networks.
use super::{
    reader::Reader,
    report::{Fault, Found},
    values::network,
};
use crate::plan::AccessPlan;
use ipnet::IpNet;

/// Reads both lists.
pub(super) fn read(owner: &mut Reader<'_>) -> AccessPlan {
    // an empty list of those who may ask would let everyone in
    if owner.lacks("allow")
        && let Some(origin) = owner.origin_of("allow")
    {
        let fault = Fault::of_key(origin, "names nobody");
        owner.fault(
            "allow",
            fault.hint("leave it out to let everyone in, or deny = [\"0.0.0.0/0\", \"::/0\"]"),
        );
    }
    AccessPlan {
        allow: networks(owner.list("allow", network)),
        deny: networks(owner.list("deny", network)),
    }
}

fn networks(found: Option<Found<Vec<Found<IpNet>>>>) -> Vec<IpNet> {
    let listed = found.into_iter().flat_map(|found| found.value);
    listed.map(|network| network.value).collect()
}
