//! What a file says of requests: what it means, and what is said of mistakes.
use crate::kit::{Case, explained};
use portcullis_proxy::plan::{
    ActionPlan, FieldPlan, HttpPlan, Mode, PathPlan, Piece, Plan, RatePer, RatePlan, RedirectPlan, RespondPlan,
    RewritePlan, ServicePlan,
};
use std::{path::PathBuf, time::Duration};

/// Listener, site and upstreams; lines of a listener, a site and a route stand on lines 4, 7 and 10.
fn file((listener, site, route): (&str, &str, &str)) -> String {
    format!(
        "[[listener]]\nname = 'web'\nlisten = ['127.0.0.1:1']\nmode = 'http'; {listener}\n[[site]]\ncertificates = [{{ chain = 'a.pem' }}]\n{site}\n[[site.route]]\n{route}\n[upstream.b]\nservers = ['h:1']\n[upstream.c]\nservers = ['h:2']\n"
    )
    .replace("; ", "\n")
}

fn with_route(route: &str) -> Case {
    Case::file(&file(("", "", route)))
}

fn http(plan: &Plan) -> &HttpPlan {
    match &plan.sites[0].service {
        ServicePlan::Http(http) => http,
        ServicePlan::Tcp(_) => panic!("a tcp site"),
    }
}

fn errors(case: &Case) -> Vec<String> {
    let problems = case.bad();
    let lines = problems.lines().filter(|line| !line.starts_with("  hint"));
    lines.map(str::to_owned).collect()
}

/// Lines of a route with nothing wrong, of which no two mean the same.
const ROUTES: &[&str] = &[
    "upstream = 'b'",
    "upstream = 'c'",
    "upstream = 'b'; path = '/'",
    "upstream = 'b'; path = '/api/'",
    "upstream = 'b'; match = { exact = '/api/' }",
    "upstream = 'b'; match = { regex = '^/api/' }",
    "upstream = 'b'; match = { methods = ['GET'] }",
    "upstream = 'b'; match = { methods = ['POST', 'PUT'] }",
    "upstream = 'b'; match = { headers = { X-A = 'b' } }",
    "upstream = 'b'; match = { headers = { X-A = true } }",
    "upstream = 'b'; match = { headers = { X-A = false } }",
    "upstream = 'b'; path = '/api/'; strip_prefix = true",
    "upstream = 'b'; path = '/api/'; replace_prefix = '/v2/'",
    "upstream = 'b'; headers = { request = { set = { X-A = 'b' } } }",
    "upstream = 'b'; headers = { request = { add = { X-A = 'b' } } }",
    "upstream = 'b'; headers = { request = { add = { X-A = ['b', 'c'] } } }",
    "upstream = 'b'; headers = { request = { remove = ['X-A'] } }",
    "upstream = 'b'; headers = { response = { set = { X-A = 'b' } } }",
    "upstream = 'b'; headers = { response = { add = { X-A = 'b' } } }",
    "upstream = 'b'; headers = { response = { remove = ['Server'] } }",
    "upstream = 'b'; headers = { security = true }",
    "upstream = 'b'; policy = 'require'",
    "upstream = 'b'; policy = { authentication = 'require' }",
    "upstream = 'b'; limits = { body = '64MiB' }",
    "upstream = 'b'; limits = { requests_per_second = { rate = 50 } }",
    "upstream = 'b'; limits = { requests_per_second = { rate = 51 } }",
    "upstream = 'b'; limits = { requests_per_second = { rate = 50, burst = 100 } }",
    "upstream = 'b'; limits = { requests_per_second = { per = 'site', rate = 50 } }",
    "upstream = 'b'; allow = ['10.0.0.0/8']",
    "upstream = 'b'; deny = ['10.0.0.0/8']",
    "redirect = 'https://www.example.com/'",
    "redirect = { to = 'https://www.example.com/', status = 302 }",
    "respond = 'health'",
    "respond = { status = 200 }",
    "respond = { status = 404 }",
    "respond = { body = 'x' }",
    "respond = { body = 'x', content_type = 'text/html' }",
    "respond = { body = 'x', headers = { X-A = 'b' } }",
];

/// Lines of a site with nothing wrong, of which no two mean the same.
const SITES: &[&str] = &[
    "",
    "errors = { 502 = '502.html' }",
    "errors = { 502 = 'other.html' }",
    "errors = { 503 = '502.html' }",
    "limits = { body = '1MiB' }",
    "limits = { requests_per_second = 50 }",
    "allow = ['10.0.0.0/8']",
    "deny = ['10.0.0.0/8']",
];

/// Lines of a listener with nothing wrong, of which no two mean the same.
const LISTENERS: &[&str] = &[
    "",
    "http3 = true",
    "public_port = 443",
    "redirect_from = ['127.0.0.1:80']",
    "trusted_proxies = ['10.0.0.0/8']",
    "limits = { head = '1s' }",
    "limits = { head = 'off' }",
    "limits = { head_size = '16KiB' }",
    "limits = { fields = 50 }",
    "limits = { body_rate = '1KiB' }",
    "limits = { body_rate = 0 }",
    "limits = { streams = 10 }",
    "limits = { idle = '5s' }",
    "limits = { upgrade_idle = '5s' }",
];

#[test]
fn every_key_of_requests_means_something_of_its_own() {
    let route = ROUTES.iter().map(|route| ("", "", *route));
    let site = SITES.iter().map(|site| ("", *site, "upstream = 'b'"));
    let listener = LISTENERS.iter().map(|listener| (*listener, "", "upstream = 'b'"));
    for walk in [route.collect::<Vec<_>>(), site.collect(), listener.collect()] {
        let plans: Vec<Plan> = walk.iter().map(|lines| Case::file(&file(*lines)).good().plan).collect();
        for (at, plan) in plans.iter().enumerate() {
            let same = plans[..at].iter().position(|other| other == plan);
            assert_eq!(same.map(|same| walk[same]), None, "means what {:?} means", walk[at]);
        }
    }
}

#[test]
fn a_site_of_requests_becomes_the_plan_it_describes() {
    let lines = (
        "public_port = 443; redirect_from = [':80']; trusted_proxies = ['10.0.0.0/8']",
        "errors = { 502 = 'down.html' }; limits = { body = '1MiB' }; deny = ['192.0.2.0/24']",
        "path = '/api/'; match = { methods = ['GET'], headers = { X-Env = 'prod' } }; upstream = 'c'; strip_prefix = true; headers = { request = { set = { 'X-Env' = 'prod' } }, response = { remove = ['Server'] }, security = true }; limits = { requests_per_second = { rate = 50, burst = 100 } }",
    );
    let plan = Case::file(&file(lines)).good().plan;
    let listener = &plan.listeners[0];
    assert_eq!((listener.mode, listener.http.public_port), (Mode::Http, Some(443)));
    assert_eq!(listener.http.limits.idle, Some(Duration::from_secs(75)));
    assert_eq!(listener.limits.idle, None, "a tcp site that stands there too");
    let http = http(&plan);
    assert_eq!(http.errors.get(&502), Some(&PathBuf::from("down.html")));
    assert_eq!(http.access.deny.len(), 1);
    let route = &http.routes[0];
    assert_eq!(route.condition.path, PathPlan::Prefix("/api/".into()));
    assert_eq!(route.condition.methods, ["GET", "HEAD"]);
    assert_eq!(route.condition.fields.get("x-env"), Some(&FieldPlan::Is("prod".into())));
    let forward = ActionPlan::Forward {
        upstream: 1,
        rewrite: RewritePlan::Strip,
    };
    assert_eq!(route.action, forward);
    assert_eq!(route.headers.request.set, [("x-env".to_owned(), "prod".to_owned())]);
    assert_eq!(route.headers.response.remove, ["server"]);
    assert!(route.headers.security);
    assert_eq!(route.body, Some(1 << 20), "the site's");
    let rate = RatePlan {
        per: RatePer::Ip,
        rate: 50,
        burst: 100,
    };
    assert_eq!((route.rate.as_ref(), http.rate.as_ref()), (Some(&rate), None));
}

#[test]
fn redirects_and_answers_say_what_stands_there() {
    let action = |route: &str| http(&with_route(route).good().plan).routes[0].action.clone();
    let text = |text: &str| Piece::Text(text.into());
    let redirect = |to: Vec<Piece>, status| ActionPlan::Redirect(RedirectPlan { to, status });
    let to = vec![text("https://"), Piece::Host, text(":1"), Piece::Path, Piece::Query];
    assert_eq!(action("redirect = 'https://{host}:1{uri}'"), redirect(to, 308));
    let to = vec![text("/new"), Piece::Query];
    assert_eq!(
        action("redirect = { to = '/new{query}', status = 303 }"),
        redirect(to, 303)
    );
    let fixed = |status, body: &str, headers: &[(&str, &str)]| {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let (body, headers) = (body.to_owned(), headers.collect());
        ActionPlan::Respond(RespondPlan::Fixed { status, body, headers })
    };
    assert_eq!(action("respond = { status = 204 }"), fixed(204, "", &[]));
    let plain = ("content-type", "text/plain; charset=utf-8");
    assert_eq!(action("respond = { body = 'x' }"), fixed(200, "x", &[plain]));
    let own = "respond = { status = 503, body = 'x', headers = { Content-Type = 'a/b', Retry-After = '5' } }";
    assert_eq!(
        action(own),
        fixed(503, "x", &[("content-type", "a/b"), ("retry-after", "5")])
    );
}

#[test]
fn an_upstream_of_the_site_is_one_route_for_everything() {
    let text = file(("", "upstream = 'c'", "")).replace("[[site.route]]\n", "");
    let plan = Case::file(&text).good().plan;
    let [route] = http(&plan).routes.as_slice() else {
        panic!("one route")
    };
    assert_eq!((&route.condition.path, route.upstream()), (&PathPlan::Any, Some(1)));
}

#[test]
fn formats_that_have_no_line_for_a_connection_say_so_of_tcp_sites() {
    let tcp = "[[listener]]\nlisten = ['127.0.0.1:1']\n[[site]]\ncertificates = [{ chain = 'a' }]\nupstream = 'b'\n[upstream.b]\nservers = ['h:1']\n";
    let http = file(("", "", "upstream = 'b'"));
    let notices = |log: &str, rest: &str| {
        let notices = Case::file(&format!("{log}\n{rest}")).good().notices;
        let told = notices.iter().filter(|notice| notice.message.contains("leave no line"));
        told.count()
    };
    let table = [
        ("common", "-", 1),
        ("combined", "a.log", 1),
        ("combined", "off", 0),
        ("json", "-", 0),
    ];
    for (format, access, expected) in table {
        let log = format!("log = {{ format = '{format}', access = '{access}' }}");
        assert_eq!(notices(&log, tcp), expected, "{log}");
        assert_eq!(notices(&log, &http), 0, "{log}");
    }
}

#[test]
fn what_requests_are_not_sent_with_is_refused_by_name() {
    let table = [(
        "send_proxy = 2",
        "send_proxy is for tcp sites, and an http site leads to it",
    )];
    for (line, message) in table {
        let text = file(("", "", "upstream = 'b'")) + line;
        let said = errors(&Case::file(&text.replace("upstream = 'b'", "upstream = 'c'")));
        assert!(said.iter().any(|said| said.contains(message)), "{line}: {said:#?}");
        // nobody sends requests there
        assert!(Case::file(&text).good().plan.upstreams.len() == 2);
    }
}

/// Lines of listener, site and route, and what is said of them.
const MISTAKES: &[((&str, &str, &str), &str)] = &[
    (("", "", "path = '/a'"), "a route does nothing"),
    (
        ("", "", "upstream = 'b'; respond = 'health'"),
        "a route has both upstream and respond",
    ),
    (
        ("", "", "upstream = 'b'; redirect = 'https://a/'"),
        "a route has both upstream and redirect",
    ),
    (("", "", "upstream = 'd'"), "unknown upstream \"d\""),
    (
        ("", "", "upstream = 'b'; path = 'api'"),
        "route.path \"api\" is no path: the path does not begin with a slash",
    ),
    (
        ("", "", "upstream = 'b'; path = '/a/../b'"),
        "route.path \"/a/../b\" is not in the form in which paths are matched",
    ),
    (
        ("", "", "upstream = 'b'; path = '/a%2fb'"),
        "route.path \"/a%2fb\" is no path: the path holds an escaped slash, backslash or NUL",
    ),
    (
        ("", "", "upstream = 'b'; path = '/a?b'"),
        "route.path \"/a?b\" has a question mark, and routes match no query",
    ),
    (
        ("", "", "upstream = 'b'; path = '/a'; match = { exact = '/a' }"),
        "a route has both path and match.exact",
    ),
    (
        ("", "", "upstream = 'b'; match = { regex = '(' }"),
        "route.match.regex \"(\" is no expression: unclosed group",
    ),
    (
        ("", "", "upstream = 'b'; match = { methods = ['get'] }"),
        "route.match.methods \"get\" is no method",
    ),
    (
        ("", "", "upstream = 'b'; match = { methods = [] }"),
        "route.match.methods has none",
    ),
    (
        ("", "", "upstream = 'b'; match = { headers = { 'a b' = 'c' } }"),
        "route.match.headers has \"a b\", which is no name of a field",
    ),
    (
        ("", "", "upstream = 'b'; match = { headers = { a = 1 } }"),
        "route.match.headers must be the field's value, true (it is there) or false (it is not), not 1",
    ),
    (
        ("", "", "upstream = 'b'; match = { headers = { a = '1', A = '2' } }"),
        "the field \"a\" stands twice",
    ),
    (
        ("", "", "upstream = 'b'; match = { nonsense = 1 }"),
        "unknown key \"route.match.nonsense\"",
    ),
    (
        ("", "", "upstream = 'b'; nonsense = 1"),
        "unknown key \"route.nonsense\"",
    ),
    (
        ("", "", "upstream = 'b'; strip_prefix = true"),
        "route.strip_prefix means nothing on a route without a prefix",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; match = { exact = '/a' }; replace_prefix = '/b'",
        ),
        "route.replace_prefix means nothing on a route without a prefix",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; path = '/a'; strip_prefix = true; replace_prefix = '/b'",
        ),
        "a route has both strip_prefix and replace_prefix",
    ),
    (
        ("", "", "respond = 'health'; path = '/a'; strip_prefix = true"),
        "route.strip_prefix means nothing on a route without an upstream",
    ),
    (
        ("", "", "respond = 'wealth'"),
        "route.respond must be \"health\" or a table, not \"wealth\"",
    ),
    (
        ("", "", "respond = { status = 99 }"),
        "route.respond.status must be from 200 to 599, not 99",
    ),
    (
        ("", "", "respond = { status = 204, body = 'x' }"),
        "an answer of status 204 has no body",
    ),
    (
        ("", "", "respond = { headers = { Content-Length = '5' } }"),
        "route.respond.headers names \"content-length\", which says where a message ends, which the proxy knows",
    ),
    (
        ("", "", "redirect = 'www.example.com'"),
        "route.redirect.to \"www.example.com\" is nothing that a client can be sent to",
    ),
    (
        ("", "", "redirect = '//evil'"),
        "route.redirect.to \"//evil\" is nothing that a client can be sent to",
    ),
    (
        ("", "", "redirect = '{query}'"),
        "route.redirect.to \"{query}\" is nothing that a client can be sent to",
    ),
    (
        ("", "", "redirect = 'https://{name}/'"),
        "route.redirect.to \"https://{name}/\" has the unknown part \"{name}\"",
    ),
    (
        ("", "", "redirect = 'https://{host'"),
        "route.redirect.to \"https://{host\" has a brace that is not closed",
    ),
    (
        ("", "", "redirect = { to = 'https://a/', status = 200 }"),
        "route.redirect.status 200 is no redirect",
    ),
    (("", "", "redirect = { status = 308 }"), "a redirect leads nowhere"),
    (
        (
            "",
            "",
            "upstream = 'b'; headers = { request = { set = { Connection = 'close' } } }",
        ),
        "route.headers.request.set names \"connection\", which belongs to one connection, which the proxy keeps",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; headers = { request = { add = { Transfer-Encoding = 'chunked' } } }",
        ),
        "route.headers.request.add names \"transfer-encoding\", which says where a message ends, which the proxy knows",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; headers = { request = { set = { Portcullis_TLS = 'x' } } }",
        ),
        "route.headers.request.set names \"portcullis_tls\", which is written by the proxy alone, so that upstreams can believe it",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; headers = { request = { remove = ['Client-Cert'] } }",
        ),
        "route.headers.request.remove names \"client-cert\", which is written by the proxy alone, so that upstreams can believe it",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; headers = { request = { set = { Host = 'x' } } }",
        ),
        "route.headers.request.set names \"host\", which is decided by the upstream",
    ),
    (
        ("", "", "upstream = 'b'; headers = { response = { set = { X = 'é' } } }"),
        "route.headers.response.set \"é\" is no value of a field",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; headers = { response = { set = { X = \"a\\r\\nb\" } } }",
        ),
        "route.headers.response.set \"a\\r\\nb\" is no value of a field",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; headers = { response = { set = { X = ['a', 'b'] } } }",
        ),
        "set gives \"x\" several values",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; headers = { response = { set = { X = 'a', x = 'b' } } }",
        ),
        "\"x\" is set twice",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; headers = { response = { set = { X = 'a' }, remove = ['x'] } }",
        ),
        "\"x\" is removed and set",
    ),
    (
        ("", "", "respond = 'health'; headers = { request = { remove = ['X'] } }"),
        "headers.request means nothing on a route without an upstream",
    ),
    (
        ("", "policy = 'require'", "upstream = 'b'; policy = 'prefer'"),
        "route policy key_exchange \"prefer\" is weaker than the site's",
    ),
    (
        (
            "",
            "tls = { groups = ['X25519'] }",
            "upstream = 'b'; policy = 'require'",
        ),
        "policy requires a quantum-safe key exchange, but tls offers none",
    ),
    (
        ("", "", "upstream = 'b'; policy = { client_authentication = 'require' }"),
        "policy requires quantum-safe client authentication, but no client certificate is asked for",
    ),
    (
        ("", "", "upstream = 'b'; policy = { report_only = true }"),
        "policy report_only means nothing where nothing is required",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; policy = { key_exchange = 'require', exempt = [] }",
        ),
        "route.policy.exempt lets nobody off",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; policy = { key_exchange = 'require', refuse = 'alert' }",
        ),
        "policy refuse \"alert\" means nothing on a route",
    ),
    (
        (
            "",
            "policy = 'require'",
            "upstream = 'b'; policy = { key_exchange = 'require', report_only = true }",
        ),
        "policy report_only is weaker than its site, which requires the same",
    ),
    (
        ("", "", "upstream = 'b'; limits = { body = 5 }"),
        "route.limits.body 5 has no unit",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; limits = { requests_per_second = { burst = 5 } }",
        ),
        "limits.requests_per_second has no rate",
    ),
    (
        (
            "",
            "",
            "upstream = 'b'; limits = { requests_per_second = { rate = 0 } }",
        ),
        "route.limits.requests_per_second.rate must be from 1 to 100000000, not 0",
    ),
    (("", "", "upstream = 'b'; allow = []"), "route.allow names nobody"),
    (
        ("", "", "upstream = 'b'; deny = ['10.0.0.1/8']"),
        "route.deny \"10.0.0.1/8\" has bits set behind its prefix",
    ),
    (
        ("", "upstream = 'c'", "upstream = 'b'"),
        "a site has upstream and routes",
    ),
    (
        ("", "errors = { 200 = 'a' }", "upstream = 'b'"),
        "errors has \"200\", which is no error that the proxy answers",
    ),
    (
        ("", "errors = { nonsense = 'a' }", "upstream = 'b'"),
        "errors has \"nonsense\", which is no error that the proxy answers",
    ),
    (
        ("", "errors = 'a'", "upstream = 'b'"),
        "errors must be a table, not a string",
    ),
    (
        ("", "limits = { nonsense = 1 }", "upstream = 'b'"),
        "unknown key \"limits.nonsense\"",
    ),
    (
        ("public_port = 0", "", "upstream = 'b'"),
        "public_port must be from 1 to 65535, not 0",
    ),
    (
        ("redirect_from = ['127.0.0.1:1']", "", "upstream = 'b'"),
        "127.0.0.1:1 is taken by listener \"web\"",
    ),
    (
        ("limits = { head_size = '1KiB' }", "", "upstream = 'b'"),
        "limits.head_size must be from 8192 to 32768 bytes, not \"1KiB\"",
    ),
    (
        ("limits = { fields = 0 }", "", "upstream = 'b'"),
        "limits.fields must be from 1 to 100, not 0",
    ),
    (
        ("limits = { streams = 0 }", "", "upstream = 'b'"),
        "limits.streams must be from 1 to 10000, not 0",
    ),
    (
        ("", "mode = 'tcp'", "upstream = 'b'"),
        "route means nothing on a tcp site",
    ),
];

#[test]
fn every_mistake_is_told_by_itself_with_its_line() {
    for (lines, said) in MISTAKES {
        let text = file(*lines);
        let told = errors(&Case::file(&text));
        let alone: Vec<&String> = told.iter().filter(|line| line.ends_with(said)).collect();
        assert!(!alone.is_empty(), "{lines:?}: {said}\n{told:#?}");
        let line = alone[0].split(':').nth(1).and_then(|line| line.parse::<usize>().ok());
        assert!(line.is_some_and(|line| line > 3), "{}", alone[0]);
        // a tcp site with a route has no upstream of its own either
        assert!(told.len() == 1 || lines.1 == "mode = 'tcp'", "{told:#?}");
    }
}

#[test]
fn routes_that_never_get_a_request_are_told() {
    let route = |lines: &str| format!("upstream = 'b'\n{lines}\n");
    let two = |one: &str, other: &str| {
        let routes = format!("{}[[site.route]]\n{}", route(one), route(other));
        errors(&with_route(&routes))
    };
    let twice = [
        ("", ""),
        ("path = '/a'", "match = { prefix = '/a' }"),
        (
            "match = { methods = ['GET', 'PUT'] }",
            "match = { methods = ['PUT', 'HEAD', 'GET'] }",
        ),
        ("match = { headers = { a = 'b' } }", "match = { headers = { A = 'b' } }"),
        ("match = { regex = 'a' }", "match = { regex = 'a' }"),
    ];
    for (one, other) in twice {
        let [error] = two(one, other).try_into().expect("one error");
        assert!(
            error.ends_with("this route takes the same requests as an earlier one, so it never gets any"),
            "{error}"
        );
    }
    for other in ["match = { regex = 'a' }", "", "match = { methods = ['GET'] }"] {
        let [error] = two("path = '/'", other).try_into().expect("one error");
        assert!(
            error.contains("this route never gets a request: path \"/\" at portcullis.toml:"),
            "{error}"
        );
    }
    let fine = [
        ("path = '/'", "path = '/a'"),
        ("path = '/'", "match = { exact = '/a' }"),
        ("path = '/'\nmatch = { methods = ['GET'] }", "match = { regex = 'a' }"),
        ("path = '/'", "path = '/'\nmatch = { methods = ['GET'] }"),
        ("path = '/a'", "path = '/a/'"),
    ];
    for (one, other) in fine {
        with_route(&format!("{}[[site.route]]\n{}", route(one), route(other))).good();
    }
}

#[test]
fn http_and_tcp_sites_share_a_listener_where_names_tell_them_apart() {
    let text = |mode: &str, plain: &str, sites: &str| {
        format!(
            "[[listener]]\nname = 'web'\nlisten = ['127.0.0.1:1']\nmode = '{mode}'\n{plain}\n{sites}[upstream.b]\nservers = ['h:1']\n"
        )
    };
    let tls = "[[site]]\nnames = ['a']\ncertificates = [{ chain = 'a' }]\nupstream = 'b'\n[[site]]\nname = 'second'\nnames = ['b']\nmode = 'MODE'\ncertificates = [{ chain = 'a' }]\nupstream = 'b'\n";
    for (mode, other) in [("tcp", "http"), ("http", "tcp")] {
        let plan = Case::file(&text(mode, "", &tls.replace("MODE", other))).good().plan;
        let is_http = |at: usize| matches!(plan.sites[at].service, ServicePlan::Http(_));
        assert_eq!((is_http(0), is_http(1)), (mode == "http", other == "http"));
    }
    let plain = "[[site]]\nupstream = 'b'\n[[site]]\nname = 'h'\nnames = ['b']\nmode = 'http'\nupstream = 'b'\n";
    let told = errors(&Case::file(&text("tcp", "plain = true", plain)));
    let expected =
        "portcullis.toml:2: listener \"web\": has http and tcp sites, but without TLS no name tells which is meant";
    assert_eq!(told, [expected]);
    let plain = "[[site]]\nnames = ['a']\nupstream = 'b'\n[[site]]\nname = 'h'\nnames = ['b']\nupstream = 'b'\n";
    let plan = Case::file(&text("http", "plain = true", plain)).good().plan;
    assert_eq!(plan.sites.len(), 2, "without TLS the Host header names the site");
}

#[test]
fn a_site_stands_on_the_listeners_of_its_mode() {
    let listeners = "[[listener]]\nname = 'one'\nlisten = ['127.0.0.1:1']\n[[listener]]\nname = 'two'\nlisten = ['127.0.0.1:2']\nmode = 'http'\n[upstream.b]\nservers = ['h:1']\n[[site]]\nname = 'bytes'\nlisteners = ['one']\ncertificates = [{ chain = 'a' }]\nupstream = 'b'\n";
    let site = |lines: &str| {
        Case::file(&format!(
            "{listeners}[[site]]\nname = 's'\nnames = ['s']\ncertificates = [{{ chain = 'a' }}]\n{lines}\n"
        ))
    };
    let standing = |lines: &str| site(lines).good().plan.sites[1].listeners.clone();
    assert_eq!(standing("upstream = 'b'\nmode = 'http'"), [1]);
    assert_eq!(standing("[[site.route]]\nupstream = 'b'"), [1]);
    let text = format!(
        "{listeners}[[site]]\nname = 's'\nlisteners = ['two']\ncertificates = [{{ chain = 'a' }}]\nupstream = 'b'\n"
    );
    assert!(matches!(
        Case::file(&text).good().plan.sites[1].service,
        ServicePlan::Http(_)
    ));
    let [error] = errors(&site("upstream = 'b'")).try_into().expect("one error");
    assert_eq!(
        error,
        "portcullis.toml:15: site \"s\": stands on listener \"one\" (tcp) and listener \"two\" (http)"
    );
}

#[test]
fn what_is_said_of_requests_where_none_are_served_is_told() {
    let text = |listener: &str, upstream: &str| {
        Case::file(&format!(
            "[[listener]]\nname = 'web'\nlisten = ['127.0.0.1:1']\n{listener}\n[[site]]\ncertificates = [{{ chain = 'a' }}]\nclient_auth = {{ mode = 'required', ca = 'a', forward = 'cert' }}\nupstream = 'b'\n[upstream.b]\nservers = ['h:1']\n{upstream}\n"
        ))
    };
    for key in [
        "http3 = true",
        "public_port = 1",
        "redirect_from = [':80']",
        "trusted_proxies = []",
        "limits = { streams = 5 }",
    ] {
        let [error] = errors(&text(key, "")).try_into().expect("one error");
        assert!(error.ends_with("means nothing: no http site stands on it"), "{error}");
    }
    let loaded = text("", "host = 'pass'").good();
    let notices: Vec<String> = loaded.notices.iter().map(|notice| notice.message.clone()).collect();
    let expected = [
        "site \"default\": client_auth.forward means nothing on a tcp site",
        "upstream \"b\": host means nothing: only tcp sites lead to it",
    ];
    assert_eq!(notices, expected);
}

#[test]
fn the_command_line_serves_requests_too() {
    let loaded = Case::flags("--self-signed --mode http").good();
    assert!(matches!(loaded.plan.sites[0].service, ServicePlan::Http(_)));
    let told = explained(&loaded.explained);
    assert!(told.contains("mode = \"http\"  # --mode\n"), "{told}");
    assert!(told.contains("limits.idle = \"75s\"  # default\n"), "{told}");
}

#[test]
fn http2_towards_an_upstream_is_over_tls_or_in_the_clear_as_it_says() {
    let with = |lines: &str| file(("", "", "upstream = 'c'")) + lines + "\n";
    for (lines, said) in [
        ("http = '2'", "is over TLS, but it has no tls"),
        ("http = 'h2c'; tls = {}", "is in the clear, but it has tls"),
        ("http = 'h2c'; health = { path = '/' }", "health.path asks in HTTP/1.1"),
    ] {
        let [error] = errors(&Case::file(&with(&lines.replace("; ", "\n"))))
            .try_into()
            .expect("one error");
        assert!(error.contains(said), "{lines}: {error}");
    }
    for (lines, offered) in [
        ("tls = {}", &["h2", "http/1.1"][..]),
        ("http = '1.1'; tls = {}", &["http/1.1"]),
        ("http = '2'; tls = {}", &["h2"]),
    ] {
        let loaded = Case::file(&with(&lines.replace("; ", "\n"))).good();
        let tls = loaded.plan.upstreams[1].tls.as_ref().unwrap();
        let names: Vec<&str> = tls.alpn.iter().map(|name| std::str::from_utf8(name).unwrap()).collect();
        assert_eq!(names, offered, "{lines}");
    }
}
