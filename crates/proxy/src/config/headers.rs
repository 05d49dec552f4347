//! `headers = { request = { set, add, remove }, response = { ... }, security = true }`.
use super::{
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Value, quoted},
    values,
};
use crate::{
    http::names::{self, Reserved},
    plan::{EditsPlan, HeadersPlan},
};
use portcullis_wire::http1::is_token;

/// Longer than any field that is in use; what we add must fit into a backend's limits.
const LONGEST_NAME: usize = 256;
const LONGEST_VALUE: usize = 8 * 1024;

/// Which way a field goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// To the upstream.
    Request,
    /// To the client.
    Response,
}

/// Reads the key `headers` of a route.
pub(super) fn read(route: &mut Reader<'_>) -> HeadersPlan {
    let mut headers = route.table("headers", "site.route.headers");
    let request = edits(headers.table("request", "site.route.headers.request"), Way::Request);
    let response = edits(headers.table("response", "site.route.headers.response"), Way::Response);
    let security = headers.value("security", values::switch);
    headers.finish();
    HeadersPlan {
        request,
        response,
        security: security.is_some_and(|found| found.value),
    }
}

fn edits(mut table: Reader<'_>, way: Way) -> EditsPlan {
    let line = |name: &str, value: &Value| Ok((editable(name, value, way)?, lines(value)?));
    let set = named_values(&mut table, "set", line);
    let add = named_values(&mut table, "add", line);
    let remove = table.list("remove", |value| editable(value.text()?, value, way));
    let remove = remove.map_or_else(Vec::new, |found| found.value);
    for Found {
        value: (name, lines),
        origin,
    } in &set
    {
        if lines.len() > 1 {
            let message = format!("set gives {} several values", quoted(name));
            table.error(Fault::whole(origin.clone(), message).hint("set the first and add the others"));
        }
        if remove.iter().any(|removed| removed.value == *name) {
            let message = format!("{} is removed and set", quoted(name));
            table.error(Fault::whole(origin.clone(), message).hint("set alone replaces what was there"));
        }
    }
    let names: Vec<&str> = set.iter().map(|found| found.value.0.as_str()).collect();
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            let message = format!("{} is set twice", quoted(name));
            table.error(Fault::whole(set[at].origin.clone(), message).hint("names of fields have no case"));
        }
    }
    table.finish();
    EditsPlan {
        remove: remove.into_iter().map(|found| found.value).collect(),
        set: pairs(set),
        add: pairs(add),
    }
}

/// One line for each value.
pub(super) fn pairs(read: Vec<Found<(String, Vec<String>)>>) -> Vec<(String, String)> {
    let each = read.into_iter().map(|found| found.value);
    each.flat_map(|(name, lines)| lines.into_iter().map(move |line| (name.clone(), line)))
        .collect()
}

/// The entries of a table whose keys the user chose, as far as they are good.
pub(super) fn named_values<T>(
    owner: &mut Reader<'_>,
    key: &'static str,
    parse: impl Fn(&str, &Value) -> Result<T, Fault>,
) -> Vec<Found<T>> {
    let Some(value) = owner.take(key) else {
        return Vec::new();
    };
    let (shown, origin) = (value.to_string(), value.origin.clone());
    let Kind::Table(table) = value.kind else {
        let fault = Fault::of_key(origin, format!("must be a table, not {}", value.kind.describe()));
        owner.fault(key, fault.hint(format!("{key} = {{ NAME = VALUE }}")));
        return Vec::new();
    };
    owner.explain_table(key, shown, origin);
    let mut good = Vec::new();
    for (name, value) in table.into_entries() {
        match parse(&name, &value) {
            Ok(meaning) => good.push(Found::new(meaning, value.origin)),
            Err(fault) => owner.fault(key, fault),
        }
    }
    good
}

/// A value, or a list of them.
pub(super) fn lines(value: &Value) -> Result<Vec<String>, Fault> {
    match &value.kind {
        Kind::Array(items) if items.is_empty() => Err(value.fault("has an empty list")),
        Kind::Array(items) => items.iter().map(field_value).collect(),
        _ => field_value(value).map(|line| vec![line]),
    }
}

/// A field's name, in lower case.
pub(super) fn field_name(name: &str, value: &Value) -> Result<String, Fault> {
    if is_token(name.as_bytes()) && name.len() <= LONGEST_NAME {
        return Ok(name.to_ascii_lowercase());
    }
    let fault = value.fault(format!("has {}, which is no name of a field", quoted(name)));
    Err(fault.hint("letters, digits and dashes, like \"X-Request-Id\""))
}

/// A field's value.
pub(super) fn field_value(value: &Value) -> Result<String, Fault> {
    let text = value.text()?;
    let is_good = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    if !is_good || text.trim() != text || text.len() > LONGEST_VALUE {
        let fault = value.fault(format!("{value} is no value of a field"));
        return Err(fault.hint("printable ASCII without spaces around it, one line"));
    }
    Ok(text.to_owned())
}

/// A field that an answer of our own may have.
pub(super) fn answered(name: &str, value: &Value) -> Result<String, Fault> {
    editable(name, value, Way::Response)
}

/// A field that a route may edit.
fn editable(name: &str, value: &Value, way: Way) -> Result<String, Fault> {
    let name = field_name(name, value)?;
    let Some(reserved) = names::reserved(&name) else {
        return Ok(name);
    };
    let (why, hint) = match (reserved, way) {
        (Reserved::Connection, _) => ("belongs to one connection, which the proxy keeps", None),
        (Reserved::Framing, _) => ("says where a message ends, which the proxy knows", None),
        (Reserved::Host, Way::Request) => ("is decided by the upstream", Some("host = \"NAME\" in [upstream.NAME]")),
        (Reserved::Ours, Way::Request) => (
            "is written by the proxy alone, so that upstreams can believe it",
            Some("client_auth.forward chooses what they are told of a client's certificate"),
        ),
        // An answer may say what it likes under these names.
        (Reserved::Host | Reserved::Ours, Way::Response) | (Reserved::Forwarded, _) => return Ok(name),
    };
    let fault = value.fault(format!("names {}, which {why}", quoted(&name)));
    Err(fault.maybe_hint(hint.map(str::to_owned)))
}
