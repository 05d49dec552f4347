//! `limits` of a site and of a route: the size of a body, and requests a second.
use super::{
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Table, Value},
    values::{self, Word},
};
use crate::plan::{RatePer, RatePlan};

const PER: &[(&str, Word<RatePer>)] = &[("ip", Word::Is(RatePer::Ip)), ("site", Word::Is(RatePer::Site))];

/// More requests a second than any machine answers.
const MOST: usize = 100_000_000;

/// What limits come to.
pub(super) struct Limits {
    /// Most bytes of a body; a value of None: any.
    pub(super) body: Option<Found<Option<u64>>>,
    pub(super) rate: Option<RatePlan>,
}

/// Reads the key `limits` of a site or a route.
pub(super) fn read(owner: &mut Reader<'_>, section: &'static str) -> Limits {
    let mut limits = owner.table("limits", section);
    let body = limits.value("body", values::size_limit);
    let rate = limits.take("requests_per_second");
    let rate = rate.and_then(|value| rate_of(&mut limits, value));
    limits.finish();
    Limits { body, rate }
}

/// `{ per, rate, burst }`, or a number for each address.
fn rate_of(limits: &mut Reader<'_>, value: Value) -> Option<RatePlan> {
    let origin = value.origin.clone();
    let table = match value {
        Value {
            kind: Kind::Table(table),
            ..
        } => table,
        number => {
            let mut table = Table::default();
            table.push("rate", number);
            table
        }
    };
    let mut reader = limits.item(table, "requests_per_second", "limits.requests_per_second");
    let per = reader.value_or("per", Kind::String("ip".into()), |value| {
        values::word("word", PER, value)
    });
    let stands = reader.has("rate");
    let rate = reader.value("rate", |value| values::count(1..=MOST, value));
    if !stands {
        let fault = Fault::whole(origin, "limits.requests_per_second has no rate");
        reader.error(fault.hint("{ per = \"ip\", rate = 50, burst = 100 }"));
    }
    let burst = reader.value("burst", |value| values::count(1..=MOST, value));
    reader.finish();
    let rate = rate?.value;
    Some(RatePlan {
        per: per.value,
        rate: rate as u32,
        // a second's worth at once, as clients come in bursts
        burst: burst.map_or(rate, |found| found.value) as u32,
    })
}
