//! `proxy_pass` and `upstream`: which servers, and how they are spoken to.
use super::{
    super::{
        draft::{Draft, Part},
        value::Value,
    },
    grammar::Directive,
    headers,
    scope::{Scope, duration, milliseconds},
    tls,
};
use std::{collections::HashMap, net::IpAddr, path::Path};

/// What a file says once and uses in many places.
pub(super) struct Shelf<'f> {
    pub(super) upstreams: HashMap<&'f str, &'f Directive>,
    pub(super) prefix: &'f Path,
}

/// What `proxy_pass` names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    /// An upstream's name, `host:port` or `unix:PATH`.
    authority: String,
    /// The path that takes the place of what the location matched.
    pub(super) path: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scheme {
    Http,
    Https,
    Grpc,
    Grpcs,
    /// In `stream`, where there is none.
    Bytes,
}

impl Scheme {
    fn is_tls(self) -> bool {
        matches!(self, Scheme::Https | Scheme::Grpcs)
    }
}

impl Target {
    /// Reads an address; None where a variable stands in it that only a request would fill.
    pub(super) fn read(text: &str, scope: &Scope<'_>) -> Option<Target> {
        let text = with_constants(text, scope);
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("grpc", rest)) => (Scheme::Grpc, rest),
            Some(("grpcs", rest)) => (Scheme::Grpcs, rest),
            Some(_) => return None,
            None => (Scheme::Bytes, text.as_str()),
        };
        let (authority, path) = match rest.strip_prefix("unix:") {
            Some(rest) if scheme != Scheme::Bytes => {
                let (socket, path) = rest
                    .split_once(':')
                    .map_or((rest, None), |(socket, path)| (socket, Some(path)));
                (format!("unix:{socket}"), path)
            }
            Some(socket) => (format!("unix:{socket}"), None),
            None => {
                let at = rest.find(['/', '$']).unwrap_or(rest.len());
                (rest[..at].to_owned(), Some(&rest[at..]).filter(|path| !path.is_empty()))
            }
        };
        // the request's own path, said in words
        let path = path.filter(|path| !matches!(*path, "$request_uri" | "$uri$is_args$args" | "$uri"));
        let is_fixed =
            !authority.is_empty() && !authority.contains('$') && !path.is_some_and(|path| path.contains('$'));
        is_fixed.then(|| Target {
            scheme,
            authority,
            path: path.map(str::to_owned),
        })
    }

    /// Its upstream in the draft; returns the name.
    pub(super) fn place(&self, draft: &mut Draft, scope: &Scope<'_>, shelf: &Shelf<'_>) -> String {
        let block = shelf.upstreams.get(self.authority.as_str());
        let mut part = Part::new(self.name());
        match block {
            Some(block) => self.group(&mut part, block),
            None => part.set("servers", Value::List(vec![self.address(&self.authority).into()])),
        }
        self.speech(&mut part, scope, shelf.prefix);
        if self.scheme != Scheme::Bytes {
            host(&mut part, scope);
        }
        timeouts(&mut part, scope, self.scheme);
        retries(&mut part, scope);
        draft.upstream(part)
    }

    fn name(&self) -> &str {
        self.authority
            .rsplit('/')
            .next()
            .filter(|name| !name.is_empty())
            .unwrap_or(&self.authority)
    }

    /// An address with the port that its scheme implies.
    fn address(&self, text: &str) -> String {
        let has_port = text
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if text.starts_with("unix:") || has_port || self.scheme == Scheme::Bytes {
            return text.to_owned();
        }
        format!("{text}:{}", if self.scheme.is_tls() { 443 } else { 80 })
    }

    /// An `upstream` block.
    fn group(&self, part: &mut Part, block: &Directive) {
        let mut servers = Vec::new();
        // the first key, whatever follows
        part.set("servers", Value::List(Vec::new()));
        for directive in block.block() {
            match directive.name.as_str() {
                "server" => servers.extend(self.server(part, directive)),
                name => balance(part, directive, name),
            }
        }
        part.set("servers", Value::List(servers));
    }

    /// In a block the port is 80 whatever the scheme.
    fn server(&self, part: &mut Part, directive: &Directive) -> Option<Value> {
        if directive.has("down") {
            part.note(directive.note("marked as down, and left out"));
            return None;
        }
        let plain = Target {
            scheme: if self.scheme == Scheme::Bytes {
                Scheme::Bytes
            } else {
                Scheme::Http
            },
            ..self.clone()
        };
        let mut server = Value::one("address", plain.address(directive.first()).into());
        let weight = directive
            .parameter("weight")
            .and_then(|weight| weight.parse::<u64>().ok());
        if let Some(weight) = weight.filter(|weight| *weight != 1) {
            server.set("weight", weight.into());
        }
        if directive.has("backup") {
            server.set("backup", true.into());
        }
        for parameter in ["max_conns", "slow_start", "service", "route"] {
            if directive.parameter(parameter).is_some_and(|value| value != "0") {
                part.note(directive.note(format!("{parameter} has no counterpart")));
            }
        }
        match server {
            Value::Table(entries) if entries.len() == 1 => entries.into_iter().next().map(|(_, address)| address),
            table => Some(table),
        }
    }

    /// TLS towards the servers, and the version of HTTP.
    fn speech(&self, part: &mut Part, scope: &Scope<'_>, prefix: &Path) {
        let is_tls = self.scheme.is_tls() || (self.scheme == Scheme::Bytes && scope.is_on("proxy_ssl"));
        if is_tls {
            self.tls(part, scope, prefix);
        }
        let version = scope.word("proxy_http_version");
        match (self.scheme, version) {
            (Scheme::Grpcs, _) | (Scheme::Https, Some("2")) => part.set("http", "2"),
            (Scheme::Grpc, _) | (Scheme::Http, Some("2")) => part.set("http", "h2c"),
            // `auto` would speak HTTP/2 where the server has it, which nginx did not
            (Scheme::Https, _) => part.set("http", "1.1"),
            _ => {}
        }
        if self.scheme == Scheme::Bytes && scope.is_on("proxy_protocol") {
            part.set("send_proxy", 2_u64);
            if let Some(directive) = scope.one("proxy_protocol") {
                part.note(directive.note("version 2 is sent, where nginx sent version 1"));
            }
        }
    }

    fn tls(&self, part: &mut Part, scope: &Scope<'_>, prefix: &Path) {
        let host = self
            .authority
            .rsplit_once(':')
            .map_or(self.authority.as_str(), |(host, _)| host);
        let name = scope
            .word("proxy_ssl_name")
            .filter(|name| !name.contains('$'))
            .unwrap_or(host);
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let is_name = !is_address && !name.starts_with("unix") && (name.contains('.') || name == "localhost");
        let table = part.table("tls");
        if is_name {
            table.set("server_name", name.into());
        }
        if let Some(ca) = scope.word("proxy_ssl_trusted_certificate") {
            table.set("ca", tls::path(prefix, ca).into());
        }
        let chains = scope.all("proxy_ssl_certificate");
        let pairs = tls::pairs(part, &chains, &scope.all("proxy_ssl_certificate_key"), prefix);
        if !pairs.is_empty() {
            part.table("tls").set("certificates", Value::List(pairs));
        }
        let pass = scope.one("proxy_pass").or_else(|| scope.one("grpc_pass"));
        if let Some(pass) = pass.filter(|_| !scope.is_on("proxy_ssl_verify")) {
            let why = "nginx did not check the servers' certificates; here they are checked: tls.ca names who vouches for them, the system's roots do where it is left out";
            part.note(pass.note(why));
        }
        if !is_name && let Some(pass) = pass {
            part.note(pass.note("no name is known that the servers' certificates are for: set tls.server_name"));
        }
    }
}

/// `set $backend http://app:3000;` and the like, put in where they are used.
fn with_constants(text: &str, scope: &Scope<'_>) -> String {
    let mut text = text.to_owned();
    for set in scope.all("set") {
        let (Some(name), Some(value)) = (set.words.first(), set.words.get(1)) else {
            continue;
        };
        if value.contains('$') || name.len() < 2 {
            continue;
        }
        let braced = format!("${{{}}}", &name[1..]);
        text = text.replace(&braced, value);
        if let Some(rest) = text.strip_prefix(name.as_str()) {
            let ends = !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            text = if ends { format!("{value}{rest}") } else { text };
        } else {
            text = text.replace(&format!("//{name}"), &format!("//{value}"));
        }
    }
    text
}

fn balance(part: &mut Part, directive: &Directive, name: &str) {
    match name {
        "least_conn" => part.set("balance", "least-connections"),
        "random" => part.set("balance", "random"),
        "ip_hash" => part.set("balance", Value::one("hash", "source".into())),
        "hash" => match hash_of(directive.first()) {
            Some(of) => part.set("balance", Value::one("hash", of.into())),
            None => part.note(
                directive.note("a hash is of source, uri, header:NAME or cookie:NAME: servers are taken in turn"),
            ),
        },
        "sticky" if directive.first() == "cookie" => part.set("balance", Value::one("sticky", "cookie".into())),
        "keepalive" | "keepalive_requests" | "keepalive_time" | "keepalive_timeout" | "zone" | "resolver"
        | "resolver_timeout" => {}
        _ => part.note(directive.note("has no counterpart in an upstream")),
    }
}

fn hash_of(key: &str) -> Option<String> {
    match key {
        "$remote_addr" | "$binary_remote_addr" => Some("source".to_owned()),
        "$request_uri" | "$uri" => Some("uri".to_owned()),
        _ if key.starts_with("$cookie_") => Some(format!("cookie:{}", &key["$cookie_".len()..])),
        _ => Some(format!("header:{}", headers::header_of(key)?)),
    }
}

/// What stands in Host; nginx sends the address of `proxy_pass` unless told otherwise.
fn host(part: &mut Part, scope: &Scope<'_>) {
    let set = scope
        .all("proxy_set_header")
        .into_iter()
        .chain(scope.all("grpc_set_header"));
    let mut set = set;
    let host = set.rfind(|directive| directive.first().eq_ignore_ascii_case("host"));
    match host.and_then(|directive| Some((directive, directive.words.get(1)?.as_str()))) {
        Some((_, "$host" | "$http_host" | "$host:$server_port" | "$http_host:$server_port" | "$host:$proxy_port")) => {}
        None | Some((_, "$proxy_host" | "$proxy_host:$proxy_port")) => part.set("host", "upstream"),
        Some((directive, name)) if name.contains('$') => {
            part.note(directive.note("a variable: the client's own Host is passed on"));
        }
        Some((_, name)) => part.set("host", name),
    }
}

fn timeouts(part: &mut Part, scope: &Scope<'_>, scheme: Scheme) {
    let kind = if matches!(scheme, Scheme::Grpc | Scheme::Grpcs) {
        "grpc"
    } else {
        "proxy"
    };
    let of = |name: &str| {
        scope
            .word(&format!("{kind}_{name}"))
            .and_then(milliseconds)
            .filter(|time| *time > 0)
    };
    if let Some(connect) = of("connect_timeout") {
        part.table("timeouts").set("connect", duration(connect).into());
    }
    if scheme == Scheme::Bytes {
        return;
    }
    let (read, send) = (of("read_timeout"), of("send_timeout"));
    if let Some(read) = read {
        part.table("timeouts").set("first_byte", duration(read).into());
    }
    if let Some(idle) = read.max(send) {
        part.table("timeouts").set("idle", duration(idle).into());
    }
}

fn retries(part: &mut Part, scope: &Scope<'_>) {
    let tries = scope
        .word("proxy_next_upstream_tries")
        .and_then(|tries| tries.parse::<u64>().ok());
    if let Some(tries) = tries.filter(|tries| *tries > 0) {
        part.set("retries", tries - 1);
    }
    let Some(directive) = scope.one("proxy_next_upstream") else {
        return;
    };
    if directive.has("off") {
        part.set("retries", 0_u64);
        return;
    }
    let others = directive
        .words
        .iter()
        .filter(|word| !matches!(word.as_str(), "error" | "timeout"));
    let others: Vec<&str> = others.map(String::as_str).collect();
    if !others.is_empty() {
        let why = format!(
            "a request goes to the next server where that is safe, after errors and timeouts: not for {}",
            others.join(", ")
        );
        part.note(directive.note(why));
    }
}
