//! What a route does: `upstream`, `redirect` or `respond`, exactly one of them.
use super::{
    Origin,
    footing::Neighbours,
    headers::{self, field_value, named_values},
    reader::Reader,
    report::Fault,
    tree::{Kind, Table, Value, quoted},
    values,
};
use crate::plan::{ActionPlan, Piece, RedirectPlan, RespondPlan, RewritePlan};

/// The method and body stay as they are (RFC 9110 15.4.9), as for `redirect_from`.
const REDIRECT: i64 = 308;
const REDIRECTS: [usize; 5] = [301, 302, 303, 307, 308];
/// What stands in a file by accident: a page belongs to an upstream.
const LONGEST_BODY: usize = 64 * 1024;

const ONE_OF: &str = "upstream = \"NAME\", redirect = \"https://...\" or respond = \"health\"";

/// Reads what a route does; until a mistake is mended it leads to the first upstream.
pub(super) fn read(route: &mut Reader<'_>, origin: &Origin, neighbours: &Neighbours<'_>) -> ActionPlan {
    let standing = ["upstream", "redirect", "respond"].map(|key| (key, route.origin_of(key)));
    let mut standing = standing.into_iter().filter_map(|(key, origin)| Some((key, origin?)));
    match (standing.next(), standing.next()) {
        (None, _) => route.error(Fault::whole(origin.clone(), "a route does nothing").hint(ONE_OF)),
        (Some((one, _)), Some((other, at))) => {
            let fault = Fault::whole(at, format!("a route has both {one} and {other}"));
            route.error(fault.hint("it does one thing: write two routes"));
        }
        _ => {}
    }
    let upstream = route.value("upstream", values::name);
    let upstream = upstream.map(|name| neighbours.upstream(route, name));
    let redirect = route.take("redirect").and_then(|value| redirect(route, value));
    let respond = route.take("respond").and_then(|value| respond(route, value));
    let redirect = redirect.map(ActionPlan::Redirect);
    let forward = ActionPlan::Forward {
        upstream: upstream.unwrap_or(0),
        rewrite: RewritePlan::Keep,
    };
    redirect.or_else(|| respond.map(ActionPlan::Respond)).unwrap_or(forward)
}

/// `"https://..."` or `{ to, status }`.
fn redirect(route: &mut Reader<'_>, value: Value) -> Option<RedirectPlan> {
    let (table, origin) = table_or(value, "to");
    let mut redirect = route.item(table, "redirect", "site.route.redirect");
    let stands = redirect.has("to");
    let to = redirect.value("to", target);
    if !stands {
        redirect.error(Fault::whole(origin, "a redirect leads nowhere").hint("{ to = \"https://...\", status = 308 }"));
    }
    let status = redirect.value_or("status", Kind::Integer(REDIRECT), |value| {
        let status = values::count(100..=599, value)?;
        let is_redirect = REDIRECTS.contains(&status);
        is_redirect.then_some(status as u16).ok_or_else(|| {
            value
                .fault(format!("{status} is no redirect"))
                .hint("301, 302, 303, 307 or 308")
        })
    });
    redirect.finish();
    Some(RedirectPlan {
        to: to?.value,
        status: status.value,
    })
}

/// An absolute URL, or a path on the same host, with `{host}`, `{path}`, `{query}` and `{uri}` in it.
fn target(value: &Value) -> Result<Vec<Piece>, Fault> {
    let text = field_value(value)?;
    let is_absolute = ["https://", "http://"].iter().any(|scheme| {
        text.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    });
    let is_path = text.starts_with('/') && !text.starts_with("//");
    let starts_here = text.starts_with("{path}") || text.starts_with("{uri}");
    if !(is_absolute || is_path || starts_here) || text.contains(' ') {
        let fault = value.fault(format!("{value} is nothing that a client can be sent to"));
        return Err(fault.hint("like \"https://www.example.com{uri}\" or \"/new\""));
    }
    let mut pieces = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let named = after.split_once('}');
        let (name, after) = named.ok_or_else(|| value.fault(format!("{value} has a brace that is not closed")))?;
        let known = match name {
            "host" => vec![Piece::Host],
            "path" => vec![Piece::Path],
            "query" => vec![Piece::Query],
            "uri" => vec![Piece::Path, Piece::Query],
            _ => {
                let fault = value.fault(format!(
                    "{value} has the unknown part {}",
                    quoted(&format!("{{{name}}}"))
                ));
                return Err(fault.hint("{host}, {path}, {query} (with its question mark) and {uri} (both) are known"));
            }
        };
        pieces.extend((!before.is_empty()).then(|| Piece::Text(before.to_owned())));
        pieces.extend(known);
        rest = after;
    }
    pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.to_owned())));
    Ok(pieces)
}

/// `"health"`, or `{ status, body, content_type, headers }`.
fn respond(route: &mut Reader<'_>, value: Value) -> Option<RespondPlan> {
    let Kind::Table(table) = value.kind else {
        let word = value.text().map(str::to_owned);
        let shown = value.to_string();
        return match word {
            Ok(word) if word == "health" => {
                route.explain("respond", shown, value.origin);
                Some(RespondPlan::Health)
            }
            _ => {
                let fault = value.fault(format!("must be \"health\" or a table, not {shown}"));
                route.fault("respond", fault.hint("{ status = 200, body = \"text\" }"));
                None
            }
        };
    };
    let mut respond = route.item(table, "respond", "site.route.respond");
    let status = respond.value_or("status", Kind::Integer(200), |value| values::count(200..=599, value));
    let body = respond.value_or("body", Kind::String(String::new()), body);
    let content_type = respond.value_or(
        "content_type",
        Kind::String("text/plain; charset=utf-8".into()),
        field_value,
    );
    let given = named_values(&mut respond, "headers", |name, value| {
        Ok((headers::answered(name, value)?, headers::lines(value)?))
    });
    respond.finish();
    if let (204 | 205 | 304, false) = (status.value, body.value.is_empty()) {
        let fault = Fault::whole(
            body.origin.clone(),
            format!("an answer of status {} has no body", status.value),
        );
        route.error(fault.hint("status = 200, or leave the body out"));
    }
    let mut headers = headers::pairs(given);
    if !body.value.is_empty() && !headers.iter().any(|(name, _)| name == "content-type") {
        headers.insert(0, ("content-type".to_owned(), content_type.value));
    }
    Some(RespondPlan::Fixed {
        status: status.value as u16,
        body: body.value,
        headers,
    })
}

fn body(value: &Value) -> Result<String, Fault> {
    let text = value.text()?;
    if text.len() > LONGEST_BODY {
        let fault = value.fault(format!("has {} bytes, more than {LONGEST_BODY}", text.len()));
        return Err(fault.hint("let an upstream serve it"));
    }
    Ok(text.to_owned())
}

/// A table, or a word that stands for one of its keys.
fn table_or(value: Value, key: &str) -> (Table, Origin) {
    let origin = value.origin.clone();
    match value.kind {
        Kind::Table(table) => (table, origin),
        kind => {
            let mut table = Table::default();
            table.push(
                key,
                Value {
                    kind,
                    origin: origin.clone(),
                },
            );
            (table, origin)
        }
    }
}
