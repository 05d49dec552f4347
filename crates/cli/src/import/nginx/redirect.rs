//! Servers that only send clients to https, in the forms that people and certbot write.
use super::{grammar::Directive, scope::Scope};

/// What a server answers on its plain sockets, and the directives that say so.
pub(super) struct Redirect<'f> {
    /// The port clients are sent to.
    pub(super) port: u16,
    /// The host, where it is another than the one asked for.
    pub(super) host: Option<String>,
    pub(super) said_by: Vec<&'f Directive>,
}

/// Whether what is asked for in the clear is sent to https.
pub(super) fn read<'f>(scope: &Scope<'f>) -> Option<Redirect<'f>> {
    let mut said_by = Vec::new();
    let mut found: Option<(u16, Option<String>)> = None;
    for directive in scope.own() {
        let target = match directive.name.as_str() {
            "if" if asks_for_plain(directive) || asks_for_host(directive) => directive.block().iter().find_map(target),
            "location" if matches!(directive.words.as_slice(), [path] if path == "/") => {
                directive.block().iter().find_map(target)
            }
            _ => target(directive),
        };
        if let Some(target) = target {
            said_by.push(directive);
            // of several hosts each goes to its own: one that is named is the one asked for
            let is_asked_for = |host: &String| {
                directive.name == "if"
                    && directive
                        .words
                        .iter()
                        .any(|word| word.trim_end_matches(')') == host.as_str())
            };
            let host = target.1.filter(|host| !is_asked_for(host));
            found.get_or_insert((target.0, host));
        }
    }
    let (port, host) = found?;
    // certbot's last word to whoever asked for another host
    said_by.extend(
        scope
            .own()
            .iter()
            .filter(|directive| directive.name == "return" && directive.first() == "404"),
    );
    Some(Redirect { port, host, said_by })
}

/// Whether it holds for requests in the clear only, in a server that speaks TLS too.
pub(super) fn is_for_plain_only(directive: &Directive) -> bool {
    directive.name == "if" && asks_for_plain(directive)
}

fn asks_for_plain(directive: &Directive) -> bool {
    let condition = directive.words.join(" ");
    let condition: String = condition
        .chars()
        .filter(|c| !matches!(c, '(' | ')' | '"' | '\'' | ' '))
        .collect();
    let forms = [
        "$scheme=http",
        "$scheme!=https",
        "$https=",
        "$https!=on",
        "$server_port=80",
        "$server_port!=443",
        "$ssl_protocol=",
    ];
    forms.contains(&condition.as_str())
}

fn asks_for_host(directive: &Directive) -> bool {
    directive.words.first().is_some_and(|word| word.starts_with("($host"))
}

/// Port and host of `return 301 https://...` or its like with `rewrite`.
fn target(directive: &Directive) -> Option<(u16, Option<String>)> {
    let words: Vec<&str> = directive.words.iter().map(String::as_str).collect();
    let url = match (directive.name.as_str(), words.as_slice()) {
        ("return", ["301" | "302" | "303" | "307" | "308", url] | [url]) => url,
        ("rewrite", ["^" | "^(.*)" | "^(.*)$" | "^/(.*)" | "^/(.*)$" | "(.*)", url, ..]) => url,
        _ => return None,
    };
    let rest = url.strip_prefix("https://")?;
    let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    // `$host$request_uri`: the path begins with the second variable
    let variable = authority
        .char_indices()
        .skip(1)
        .find(|(_, letter)| *letter == '$')
        .map(|(at, _)| at);
    let (authority, variable_path) = variable.map_or((authority, ""), |at| authority.split_at(at));
    let path = format!("{variable_path}{path}");
    let keeps_path = matches!(
        path.trim_end_matches('?'),
        "$request_uri" | "$1" | "/$1" | "$uri" | "$uri$is_args$args"
    );
    if !keeps_path {
        return None;
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, 443),
    };
    let is_same = matches!(host, "$host" | "$http_host" | "$server_name");
    Some((port, (!is_same).then(|| host.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn redirects_to_https_are_known_in_every_usual_form() {
        let here = Some((443, None));
        let table = [
            ("return 301 https://$host$request_uri;", here.clone()),
            ("return 308 https://$server_name$request_uri;", here.clone()),
            ("return https://$host:8443$request_uri;", Some((8443, None))),
            ("rewrite ^ https://$host$request_uri? permanent;", here.clone()),
            ("rewrite ^/(.*)$ https://$host/$1 permanent;", here.clone()),
            ("location / { return 301 https://$host$request_uri; }", here.clone()),
            (
                "if ($host = a.example) { return 301 https://$host$request_uri; }\nreturn 404;",
                here.clone(),
            ),
            (
                "if ($scheme != \"https\") { return 301 https://$host$request_uri; }",
                here.clone(),
            ),
            (
                "return 301 https://www.example.com$request_uri;",
                Some((443, Some("www.example.com".to_owned()))),
            ),
            ("return 301 https://$host/new-place;", None),
            ("return 301 http://$host$request_uri;", None),
            ("return 404;", None),
            ("location /old { return 301 https://$host$request_uri; }", None),
            (
                "if ($http_user_agent ~ x) { return 301 https://$host$request_uri; }",
                None,
            ),
        ];
        for (text, expected) in table {
            let directives = super::super::grammar::parse(text, Path::new("f")).unwrap();
            let found = read(&Scope::new(&directives));
            assert_eq!(found.map(|redirect| (redirect.port, redirect.host)), expected, "{text}");
        }
    }
}
