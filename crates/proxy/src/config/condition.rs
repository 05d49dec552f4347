//! Which requests a route takes: `path`, and `match = { exact, prefix, regex, methods, headers }`.
use super::{
    headers::{field_name, field_value, named_values},
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Value, quoted},
};
use crate::{
    http::route,
    plan::{ConditionPlan, FieldPlan, PathPlan},
};
use portcullis_wire::http1::path;
use std::collections::BTreeMap;

/// Longer than any method that is registered with IANA.
const LONGEST_METHOD: usize = 32;

/// Reads what a route takes, and where its path stands.
pub(super) fn read(route: &mut Reader<'_>) -> (ConditionPlan, Option<Found<PathPlan>>) {
    let mut paths: Vec<(&str, Found<PathPlan>)> = Vec::new();
    let prefix = route.value("path", prefix);
    paths.extend(prefix.map(|found| ("path", found)));
    let mut conditions = route.table("match", "site.route.match");
    let exact = conditions.value("exact", |value| Ok(PathPlan::Exact(normal(value)?)));
    paths.extend(exact.map(|found| ("match.exact", found)));
    let prefix = conditions.value("prefix", self::prefix);
    paths.extend(prefix.map(|found| ("match.prefix", found)));
    let regex = conditions.value("regex", regex);
    paths.extend(regex.map(|found| ("match.regex", found)));
    let methods = methods(&mut conditions);
    let fields = fields(&mut conditions);
    conditions.finish();
    let mut paths = paths.into_iter();
    let path = paths.next();
    if let (Some((one, _)), Some((other, found))) = (&path, paths.next()) {
        let message = format!("has both {one} and {other}");
        let hint = "a route has one condition on the path: write two routes";
        route.error(Fault::whole(found.origin, format!("a route {message}")).hint(hint));
    }
    let path = path.map(|(_, found)| found);
    let condition = ConditionPlan {
        path: path.as_ref().map_or(PathPlan::Any, |found| found.value.clone()),
        methods,
        fields,
    };
    (condition, path)
}

fn prefix(value: &Value) -> Result<PathPlan, Fault> {
    normal(value).map(PathPlan::Prefix)
}

/// Routes see paths in their normal form, with several slashes as one: another form would never match.
pub(super) fn normal(value: &Value) -> Result<String, Fault> {
    let text = value.text()?;
    if text.contains('?') {
        let fault = value.fault(format!("{value} has a question mark, and routes match no query"));
        return Err(fault.hint(format!("write {}", quoted(text.split('?').next().unwrap_or_default()))));
    }
    match path::normal(text).map(|normal| path::merged(&normal).into_owned()) {
        Ok(normal) if normal == text => Ok(normal),
        Ok(normal) => Err(value
            .fault(format!("{value} is not in the form in which paths are matched"))
            .hint(format!("write {}", quoted(&normal)))),
        Err(fault) => Err(value
            .fault(format!("{value} is no path: {fault}"))
            .hint("like \"/api/\"; what is not ASCII is written as %XX")),
    }
}

fn regex(value: &Value) -> Result<PathPlan, Fault> {
    let text = value.text()?;
    route::compiles(text).map_err(|error| value.fault(format!("{value} {error}")))?;
    Ok(PathPlan::Regex(text.to_owned()))
}

/// Who may read may ask whether there is something to read: GET takes HEAD along.
fn methods(conditions: &mut Reader<'_>) -> Vec<String> {
    if conditions.lacks("methods")
        && let Some(origin) = conditions.origin_of("methods")
    {
        conditions.fault(
            "methods",
            Fault::of_key(origin, "has none").hint("leave it out for every method"),
        );
    }
    let listed = conditions.list("methods", method).map(|found| found.value);
    let mut methods: Vec<String> = listed.into_iter().flatten().map(|method| method.value).collect();
    if methods.iter().any(|method| method == "GET") {
        methods.push("HEAD".to_owned());
    }
    methods.sort();
    methods.dedup();
    methods
}

fn method(value: &Value) -> Result<String, Fault> {
    let text = value.text()?;
    let is_letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !text.is_empty() && text.len() <= LONGEST_METHOD && text.chars().all(is_letter) {
        return Ok(text.to_owned());
    }
    let capitals = text.to_ascii_uppercase();
    let hint = if !text.is_empty() && capitals.chars().all(is_letter) {
        format!("methods are written in capitals: {}", quoted(&capitals))
    } else {
        "like \"GET\" or \"POST\"".to_owned()
    };
    Err(value.fault(format!("{value} is no method")).hint(hint))
}

fn fields(conditions: &mut Reader<'_>) -> BTreeMap<String, FieldPlan> {
    let read = named_values(conditions, "headers", |name, value| {
        let name = field_name(name, value)?;
        let condition = match value.kind {
            Kind::Bool(true) => FieldPlan::Present,
            Kind::Bool(false) => FieldPlan::Absent,
            Kind::String(_) => FieldPlan::Is(field_value(value)?),
            _ => {
                let complaint =
                    format!("must be the field's value, true (it is there) or false (it is not), not {value}");
                return Err(value.fault(complaint));
            }
        };
        Ok((name, condition))
    });
    let mut fields = BTreeMap::new();
    for Found {
        value: (name, condition),
        origin,
    } in read
    {
        if fields.insert(name.clone(), condition).is_some() {
            let message = format!("the field {} stands twice", quoted(&name));
            conditions.fault("headers", Fault::whole(origin, message));
        }
    }
    fields
}
