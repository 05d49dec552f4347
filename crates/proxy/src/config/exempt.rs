//! `exempt` of a policy: who is let off, until the end of which day, and why.
use super::{
    Origin,
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Value},
    values::{network, server_name},
};
use portcullis_tls::{
    client_identity::{Pattern, PatternError},
    policy::Exemption,
};
use time::{Date, macros::format_description};

/// One, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) means: Exemption,
    pub(super) origin: Origin,
}

const EXAMPLE: &str = "exempt = [{ cidr = \"192.0.2.0/24\", until = \"2027-03-31\", reason = \"old meters\" }]";

/// Reads the key `exempt`.
pub(super) fn read(policy: &mut Reader<'_>) -> Vec<Written> {
    let Some(value) = policy.take("exempt") else {
        return Vec::new();
    };
    let Kind::Array(items) = value.kind else {
        let fault = Fault::of_key(
            value.origin,
            format!("must be a list of tables, not {}", value.kind.describe()),
        );
        policy.fault("exempt", fault.hint(EXAMPLE));
        return Vec::new();
    };
    if items.is_empty() {
        let fault = Fault::of_key(value.origin, "lets nobody off");
        policy.fault("exempt", fault.hint("leave it out"));
    }
    items.into_iter().filter_map(|item| one(policy, item)).collect()
}

fn one(policy: &mut Reader<'_>, item: Value) -> Option<Written> {
    let Value { kind, origin } = item;
    let Kind::Table(table) = kind else {
        let fault = Fault::of_key(origin, format!("must hold tables, not {}", kind.describe()));
        policy.fault("exempt", fault.hint(EXAMPLE));
        return None;
    };
    let mut table = policy.item(table, "exempt", "policy.exempt").unexplained();
    let errors = table.errors();
    let networks = some_of(&mut table, "cidr", network);
    let identities = some_of(&mut table, "identity", pattern);
    let names = some_of(&mut table, "sni", server_name);
    if networks.is_empty() && identities.is_empty() && names.is_empty() && table.errors() == errors {
        let fault = Fault::whole(origin.clone(), "an exemption names nobody");
        table.error(fault.hint("one or more of cidr, identity and sni; all that it names must match"));
    }
    let stands = table.has("until");
    let until = table.value("until", day);
    if !stands {
        let fault = Fault::whole(origin.clone(), "an exemption has no end");
        table.error(fault.hint("until = \"2027-03-31\": it holds to the end of that day (UTC)"));
    }
    let reason = table.value("reason", |value| value.text().map(str::to_owned));
    table.finish();
    let Found { value: date, .. } = until?;
    let next = date.next_day()?.midnight().assume_utc();
    let means = Exemption {
        networks,
        identities,
        names,
        until: next.unix_timestamp(),
        last_day: date.to_string(),
        reason: reason.map(|found| found.value).unwrap_or_default(),
    };
    Some(Written { means, origin })
}

/// One value, or a list of them.
fn some_of<T>(table: &mut Reader<'_>, key: &'static str, parse: impl Fn(&Value) -> Result<T, Fault>) -> Vec<T> {
    let Some(value) = table.peek(key) else {
        return Vec::new();
    };
    match value.kind {
        Kind::Array(_) => {
            if table.lacks(key) {
                let fault = value.fault("is empty").hint("leave it out");
                table.fault(key, fault);
            }
            let found = table.list_or_empty(key, parse);
            found.into_iter().map(|found| found.value).collect()
        }
        _ => {
            let found = table.value(key, parse);
            found.into_iter().map(|found| found.value).collect()
        }
    }
}

fn pattern(value: &Value) -> Result<Pattern, Fault> {
    let said = |error: PatternError| value.fault(format!("{value} {error}")).hint(error.hint);
    Pattern::parse(value.text()?).map_err(said)
}

/// `2027-03-31`, as RFC 3339 writes a date.
fn day(value: &Value) -> Result<Date, Fault> {
    let format = format_description!("[year]-[month]-[day]");
    let text = value.text()?;
    let is_plain = text.len() == 10 && text.starts_with(|c: char| c.is_ascii_digit());
    let date = Date::parse(text, format).ok().filter(|_| is_plain);
    date.ok_or_else(|| {
        let fault = value.fault(format!("{value} is no day"));
        fault.hint("year, month and day: \"2027-03-31\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_as_in_rfc_3339_and_exists() {
        let read = |text: &str| {
            day(&Value::string(text, Origin::Default))
                .ok()
                .map(|date| date.to_string())
        };
        assert_eq!(read("2027-03-31").as_deref(), Some("2027-03-31"));
        assert_eq!(read("2028-02-29").as_deref(), Some("2028-02-29"));
        for bad in [
            "",
            "2027-02-29",
            "2027-3-31",
            "31.03.2027",
            "2027-03-31T00:00:00Z",
            "+2027-03-3",
            "20270331",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
