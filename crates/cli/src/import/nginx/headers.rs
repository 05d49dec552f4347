//! Headers of requests and answers: what nginx sets, as a route's `headers`.
use super::{super::draft::Part, grammar::Directive, scope::Scope};

/// Headers that every request carries to its upstream by itself, or that the proxy itself sees to.
const BY_ITSELF: &[&str] = &[
    "host",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
];

/// Sets the key `headers` of a route.
pub(super) fn read(route: &mut Part, scope: &Scope<'_>, announces_http3: bool) {
    for directive in scope
        .all("proxy_set_header")
        .into_iter()
        .chain(scope.all("grpc_set_header"))
    {
        request(route, directive);
    }
    let added = scope.all("add_header");
    let hidden = scope
        .all("proxy_hide_header")
        .into_iter()
        .chain(scope.all("grpc_hide_header"));
    for directive in hidden {
        let name = directive.first();
        // what is set replaces what was there
        let is_set = added.iter().any(|added| added.first().eq_ignore_ascii_case(name));
        if !is_set && !is_of_connection(name) {
            remove(route, "response", name);
        }
    }
    let mut set: Vec<String> = Vec::new();
    for directive in added.into_iter().filter(|added| !is_of_connection(added.first())) {
        let lower = directive.first().to_ascii_lowercase();
        let how = if set.contains(&lower) { "add" } else { "set" };
        response(route, directive, (how, announces_http3));
        set.push(lower);
    }
}

/// Fields that end with a connection or say where a message ends.
fn is_of_connection(name: &str) -> bool {
    OF_CONNECTION.iter().any(|other| name.eq_ignore_ascii_case(other))
}

const OF_CONNECTION: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "transfer-encoding",
    "content-length",
];

/// The header whose value a variable is: `$http_x_user` is X-User.
pub(super) fn header_of(variable: &str) -> Option<String> {
    let name = variable.strip_prefix("$http_").filter(|name| !name.is_empty())?;
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    let words: Vec<String> = name.split('_').map(word).collect();
    Some(words.join("-"))
}

fn request(route: &mut Part, directive: &Directive) {
    let (name, value) = (directive.first(), directive.words.get(1).map_or("", String::as_str));
    let lower = name.to_ascii_lowercase();
    if is_of_connection(name) {
        // its own on both sides
    } else if BY_ITSELF.contains(&lower.as_str()) {
        usual_request(route, directive, &lower, value);
    } else if value.is_empty() {
        remove(route, "request", name);
    } else if header_of(value).is_some_and(|same| same.eq_ignore_ascii_case(name)) {
        // the client's own, which is passed on anyway
    } else if value.contains('$') {
        route.note(directive.note(of_variable(value)));
    } else {
        route
            .table("headers")
            .table("request")
            .table("set")
            .set(name, value.into());
    }
}

/// The headers that are always sent: only another value than theirs is worth a word.
fn usual_request(route: &mut Part, directive: &Directive, name: &str, value: &str) {
    let theirs: &[&str] = match name {
        "x-real-ip" => &["$remote_addr", "$realip_remote_addr"],
        "x-forwarded-for" => &["$proxy_add_x_forwarded_for", "$remote_addr"],
        "x-forwarded-proto" => &["$scheme", "https", "http"],
        "x-forwarded-host" => &["$host", "$http_host", "$host:$server_port"],
        _ => return,
    };
    if !theirs.contains(&value) {
        let why = format!("{} is set to what the connection says", directive.first());
        route.note(directive.note(why));
    }
}

fn of_variable(value: &str) -> String {
    match value {
        _ if value.contains("$ssl_client_") => "the header Portcullis-Client carries subject and names of a client's certificate, and client_auth.forward = \"cert\" the certificate".to_owned(),
        _ if value.contains("$ssl_") => "the header Portcullis-TLS carries version, group and signature of the connection".to_owned(),
        _ => format!("{value} is known only when a request comes: a header takes fixed text"),
    }
}

fn response(route: &mut Part, directive: &Directive, (how, announces_http3): (&str, bool)) {
    let (name, value) = (directive.first(), directive.words.get(1).map_or("", String::as_str));
    match value {
        _ if announces_http3 && name.eq_ignore_ascii_case("alt-svc") => {}
        "" => {}
        _ if value.contains('$') => route.note(directive.note(of_variable(value))),
        _ => route
            .table("headers")
            .table("response")
            .table(how)
            .set(name, value.into()),
    }
}

fn remove(route: &mut Part, direction: &str, name: &str) {
    let list = route.table("headers").table(direction);
    list.add("remove", name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn headers_are_set_and_removed_and_what_always_holds_needs_no_word() {
        let text = "proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Env prod;
            proxy_set_header Accept-Encoding ''; proxy_set_header X-Id $request_id; proxy_set_header X-Token $http_x_token;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto;
            add_header X-Frame-Options DENY always; add_header X-Time $msec; proxy_hide_header X-Powered-By; proxy_hide_header Server;";
        let directives = super::super::grammar::parse(text, Path::new("f")).unwrap();
        let mut route = Part::default();
        read(&mut route, &Scope::new(&directives), false);
        let headers = r#"{ request = { set = { X-Env = "prod" }, remove = ["Accept-Encoding"] }, response = { remove = ["X-Powered-By", "Server"], set = { X-Frame-Options = "DENY" } } }"#;
        assert_eq!(route.key("headers").map(ToString::to_string).as_deref(), Some(headers));
        let said: Vec<&str> = route.notes.iter().map(|note| note.what.as_str()).collect();
        assert_eq!(
            said,
            [
                "proxy_set_header X-Id $request_id",
                "proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto",
                "add_header X-Time $msec"
            ]
        );
    }
}
