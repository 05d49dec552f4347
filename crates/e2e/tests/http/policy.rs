//! Whom a policy of a site or route names, over HTTP/1.1 and HTTP/2, and what they are told.
use crate::{Lines, Stage, eventually, origin::Origin, talk::Talk};
use portcullis_e2e::{
    client::{Client, Conversation, Offer, Session},
    guests::{BROKEN, EXEMPT, EXEMPTIONS, Guest, Names, crowd, names},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

/// What a client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    fn alpn(self) -> &'static str {
        match self {
            Protocol::Http1 => "http/1.1",
            Protocol::Http2 => "h2",
        }
    }

    /// The body of the answer to a request.
    fn get(self, mut conversation: Conversation, (host, path): (&str, &str)) -> String {
        match self {
            Protocol::Http1 => {
                let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
                let mut talk = Talk::tls(conversation);
                talk.ask(request).text()
            }
            Protocol::Http2 => {
                conversation
                    .write_all(&http2_get(host, path))
                    .expect("an open connection");
                http2_body(&mut conversation)
            }
        }
    }
}

/// RFC 9113: the preface, empty SETTINGS, and a request on stream 1, in literals of RFC 7541 6.2.2.
fn http2_get(host: &str, path: &str) -> Vec<u8> {
    let short = |text: &str| u8::try_from(text.len()).expect("a short text");
    let block = [
        // GET, https
        &[0x82, 0x87, 0x04, short(path)],
        path.as_bytes(),
        &[0x01, short(host)],
        host.as_bytes(),
    ]
    .concat();
    let head = [0, 0, u8::try_from(block.len()).expect("a short head"), 1, 5, 0, 0, 0, 1];
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings, &head, &block].concat()
}

/// The DATA of stream 1, to its end.
fn http2_body(conversation: &mut Conversation) -> String {
    let mut body = Vec::new();
    loop {
        let mut head = [0; 9];
        conversation.read_exact(&mut head).expect("a frame");
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        conversation.read_exact(&mut payload).expect("all of it");
        let (kind, flags) = (head[3], head[4]);
        if kind == 0 {
            body.extend_from_slice(&payload);
        }
        if matches!(kind, 0 | 1) && flags & 1 == 1 {
            return String::from_utf8(body).expect("a text");
        }
    }
}

/// A stage whose crowd keeps its sessions from one policy to the next.
struct Hall {
    stage: Stage,
    protocol: Protocol,
    clients: BTreeMap<&'static str, Client>,
    sessions: BTreeMap<&'static str, Session>,
}

/// What one of the crowd was answered, and the lines of it.
struct Fate {
    body: String,
    request: Value,
    connection: Value,
}

fn site(policy: &str, route: &str) -> String {
    let policy = match policy {
        "" => String::new(),
        policy => format!("policy = {{ {policy} }}\n"),
    };
    let route = match route {
        "" => String::new(),
        route => format!("[[site.route]]\npath = '/strict/'\nupstream = 'back'\npolicy = {{ {route} }}\n"),
    };
    format!("{policy}{route}[[site.route]]\nupstream = 'back'")
}

impl Hall {
    fn open(protocol: Protocol) -> Hall {
        Hall {
            stage: Stage::set(Origin::plain(), Lines::default()),
            protocol,
            clients: BTreeMap::new(),
            sessions: BTreeMap::new(),
        }
    }

    fn under(&mut self, (policy, route): (&str, &str), prefix: &str) -> BTreeMap<&'static str, Fate> {
        let site = site(policy, route);
        let lines = Lines {
            site: &site,
            ..Lines::default()
        };
        let toml = crate::toml(&self.stage.pki, self.stage.origin.address(), lines);
        self.stage.proxy.reload(&toml).expect("a good file");
        let crowd = crowd();
        let each = crowd.iter().map(|guest| (guest.name, self.visit(guest, prefix)));
        each.collect()
    }

    fn visit(&mut self, guest: &Guest, prefix: &str) -> Fate {
        let offer = guest.offer.clone().speaking(&[self.protocol.alpn()]);
        let made = self.clients.entry(guest.name).or_insert_with(|| Client::new(offer));
        let (client, to) = (made.clone(), self.stage.proxy.address());
        if guest.resumes {
            let session = {
                let (wire, _) = guest.wire(to);
                let mut conversation = client.handshake(wire).expect("a page is read after the handshake");
                // a session comes with the first bytes read
                conversation
                    .write_all(&first(self.protocol))
                    .expect("an open connection");
                let mut some = [0; 1];
                conversation.read_exact(&mut some).expect("an answer");
                client.session()
            };
            self.sessions.extend(session.map(|session| (guest.name, session)));
        }
        let (wire, local) = guest.wire(to);
        let connected = match self.sessions.get(guest.name) {
            Some(session) => client.resume_over(wire, session),
            None => client.handshake(wire),
        };
        let connected = connected.expect("a page is read after the handshake");
        let host = guest.offer.name.clone().expect("every guest names its host");
        let path = format!("{prefix}{}", local.port());
        let body = self.protocol.get(connected, (&host, &path));
        let request = self.stage.line(&path);
        let connection = self.stage.proxy.record(local);
        assert_eq!(guest.resumes, connection["resumed"] == true, "{connection:#}");
        Fate {
            body,
            request,
            connection,
        }
    }

    fn counted(&self, scope: &str, decision: &str) -> usize {
        let (scope, decision) = (format!("scope={scope:?}"), format!("decision={decision:?}"));
        let labels = ["site=\"site\"", &scope, "rule=\"key_exchange\"", &decision];
        self.stage.proxy.metric("portcullis_policy_total", &labels) as usize
    }
}

fn first(protocol: Protocol) -> Vec<u8> {
    match protocol {
        Protocol::Http1 => b"GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        Protocol::Http2 => http2_get("localhost", "/first"),
    }
}

fn those(fates: &BTreeMap<&'static str, Fate>, are: impl Fn(&Fate) -> bool) -> Names {
    let of = fates.iter().filter(|(_, fate)| are(fate));
    of.map(|(name, _)| *name).collect()
}

fn says(line: &Value, decision: &str) -> bool {
    let policy = line["policy"].as_str().expect("a text");
    policy.starts_with(&format!("key_exchange=require:{decision},"))
}

fn is_forbidden(fate: &Fate) -> bool {
    fate.body
        .starts_with("403 Forbidden\nthis needs a connection whose key exchange is quantum-safe\n")
}

#[test]
fn whom_report_only_names_a_page_answers_and_nobody_else() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut hall = Hall::open(protocol);
        let policy = format!("key_exchange = 'require', exempt = [{EXEMPTIONS}]");
        let reported = hall.under((&format!("{policy}, report_only = true"), ""), "/reported/");
        let named = those(&reported, |fate| says(&fate.connection, "would_refuse"));
        assert_eq!(named, &names(&BROKEN) - &names(&EXEMPT), "{protocol:?}");
        assert_eq!(
            those(&reported, |fate| says(&fate.connection, "exempt")),
            names(&EXEMPT)
        );
        assert!(reported.values().all(|fate| fate.body.starts_with("GET /reported/")));
        let reached = hall.stage.origin.asked().len();
        let refused = hall.under((&format!("{policy}, refuse = 'page'"), ""), "/refused/");
        assert_eq!(those(&refused, is_forbidden), named, "{protocol:?}");
        let asked = hall.stage.origin.asked();
        let reached: Vec<_> = asked[reached..]
            .iter()
            .filter(|asked| asked.line().contains("/refused/"))
            .collect();
        assert_eq!(reached.len(), crowd().len() - named.len(), "nothing of theirs went on");
        for (name, fate) in &refused {
            let ending = |line: &Value| ["outcome", "stage"].map(|field| line[field].as_str().map(str::to_owned));
            let expected = match named.contains(name) {
                true => ["refused", "policy"],
                false => ["ok", ""],
            };
            let expected = expected.map(|word| Some(word.to_owned()));
            assert_eq!(ending(&fate.request), expected, "{name}");
            assert_eq!(ending(&fate.connection), expected, "{name}");
            let is_refused = [&fate.request, &fate.connection].map(|line| says(line, "refused"));
            assert_eq!(is_refused, [named.contains(name); 2], "{name} {}", fate.request);
        }
        let [would, did] = ["would_refuse", "refused"].map(|decision| hall.counted("connection", decision));
        assert_eq!(would, did);
        eventually("the lines of all", || hall.stage.proxy.connections() == 0);
    }
}

#[test]
fn a_route_names_and_refuses_the_same_and_its_neighbour_nobody() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut hall = Hall::open(protocol);
        let policy = format!("key_exchange = 'require', exempt = [{EXEMPTIONS}]");
        // its site looks only, and yet gains what the route needs
        let site = "key_exchange = 'observe'";
        let reported = hall.under((site, &format!("{policy}, report_only = true")), "/strict/");
        let named = those(&reported, |fate| says(&fate.request, "would_refuse"));
        assert_eq!(named, &names(&BROKEN) - &names(&EXEMPT), "{protocol:?}");
        assert!(reported.values().all(|fate| fate.body.starts_with("GET /strict/")));
        let before = hall.counted("request", "would_refuse");
        assert_eq!(before, named.len());
        let refused = hall.under((site, &policy), "/strict/");
        assert_eq!(those(&refused, is_forbidden), named, "{protocol:?}");
        assert_eq!(those(&refused, |fate| says(&fate.request, "exempt")), names(&EXEMPT));
        assert_eq!(hall.counted("request", "refused"), named.len());
        let other = hall.under((site, &policy), "/other/");
        assert!(other.values().all(|fate| fate.body.starts_with("GET /other/")));
        assert!(
            other
                .values()
                .all(|fate| fate.request["policy"] == "" && fate.connection["outcome"] == "ok")
        );
    }
}

#[test]
fn a_page_is_json_for_who_wants_that_and_the_operators_own_where_there_is_one() {
    let pages = portcullis_e2e::pki::Pki::new();
    let file = pages.write("403.html", "<p>update your browser");
    let policy = "policy = { key_exchange = 'require', refuse = 'page' }\nupstream = 'back'";
    let own = format!("errors = {{ 403 = {file:?} }}\n{policy}");
    let ask = |site: &str, fields: &str| {
        let lines = Lines {
            site,
            ..Lines::default()
        };
        let stage = Stage::set(Origin::plain(), lines);
        let mut talk = stage.connect(Offer::groups("X25519").speaking(&["http/1.1"]));
        let answer = talk.ask(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
        assert_eq!(stage.origin.asked().len(), 0);
        answer
    };
    let json: Value = serde_json::from_str(&ask(policy, "Accept: application/json\r\n").text()).expect("JSON");
    assert_eq!((&json["status"], &json["rule"]), (&403.into(), &"key_exchange".into()));
    let negotiated = ["version", "group", "key_exchange"].map(|field| &json["negotiated"][field]);
    assert_eq!(negotiated, ["1.3", "X25519", "classical"]);
    let needs = serde_json::json!(["X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024"]);
    assert_eq!(json["needs"], needs);
    let page = ask(&own, "");
    assert_eq!((page.status, page.text().as_str()), (403, "<p>update your browser"));
    assert_eq!(
        page.field("connection").as_deref(),
        Some("close"),
        "who upgrades must connect anew"
    );
}

#[test]
fn a_route_wants_a_certificate_of_the_clients_where_its_site_does_not() {
    let pki = portcullis_e2e::pki::Pki::new();
    use portcullis_e2e::pki::Algorithm;
    let ca = pki.roots();
    let site = format!(
        "client_auth = {{ mode = 'optional', ca = {ca:?} }}\n[[site.route]]\npath = '/admin'\nupstream = 'back'\npolicy = {{ client_authentication = 'require' }}\n[[site.route]]\nupstream = 'back'"
    );
    let lines = Lines {
        site: &site,
        ..Lines::default()
    };
    let stage = Stage::set(Origin::plain(), lines);
    let showing = |algorithm| Offer::default().presenting(pki.client(algorithm));
    let table = [
        (Offer::default(), 403, "no client certificate"),
        (showing(Algorithm::EcdsaP256), 403, "a classical client certificate"),
        (showing(Algorithm::MlDsa65), 200, ""),
    ];
    for (offer, status, told) in table {
        let mut talk = stage.connect(offer.speaking(&["http/1.1"]));
        let answer = talk.ask("GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(answer.status, status);
        assert!(answer.text().contains(told), "{}", answer.text());
        assert_eq!(talk.ask("GET /else HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
    }
}
