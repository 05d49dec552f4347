//! One crowd of known composition at one proxy, over tcp, HTTP/1.1, 2 and 3: metrics, ledger, report and bill of materials
//! have exactly its figures.
use crate::{
    origin::Origin,
    run,
    talk::{self, Talk, groups},
};
use portcullis_e2e::{
    client::{Client, Conversation, Offer, Session, Versions},
    command,
    frames::{DATA, END_STREAM, H2},
    front::certificates,
    guests::Guest,
    pki::{Algorithm, Pki},
    process::portcullis,
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use portcullis_proxy::{
    ledger::{Extract, Row, Span, Terms},
    report::{Adoption, Basis, Class, adoption},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::Ipv4Addr,
    thread,
    time::Duration,
};

/// What a client sends through the tcp site, and gets back.
const ECHOED: u64 = 100;
/// Of each connection over HTTP.
const REQUESTS: u64 = 2;
const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// Another network, so that nobody there is taken for somebody at home who went back.
const ABROAD: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
/// Let off by its address.
const LET_OFF: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);

/// How a client comes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Way {
    Tcp,
    Http1,
    Http2,
    Http3,
}

impl Way {
    const ALL: [Way; 4] = [Way::Tcp, Way::Http1, Way::Http2, Way::Http3];

    fn site(self) -> &'static str {
        match self {
            Way::Tcp => "db",
            _ => "shop",
        }
    }

    fn transport(self) -> &'static str {
        match self {
            Way::Http3 => "quic",
            _ => "tcp",
        }
    }

    fn requests(self) -> u64 {
        match self {
            Way::Tcp => 0,
            _ => REQUESTS,
        }
    }
}

/// Clients that are alike, and what they come to.
struct Kind {
    name: &'static str,
    groups: &'static str,
    versions: Versions,
    from: Ipv4Addr,
    shows: Option<Algorithm>,
    /// Connections, each with a full handshake.
    times: u64,
    /// One more, which resumes the session of the last.
    resumes: u64,
    group: &'static str,
    retry: bool,
    reason: &'static str,
}

const HYBRID: Kind = Kind {
    name: "pq by share",
    groups: "X25519MLKEM768:X25519",
    versions: Versions::Both,
    from: HOME,
    shows: None,
    times: 3,
    resumes: 0,
    group: "X25519MLKEM768",
    retry: false,
    reason: "",
};
const CLASSICAL: Kind = Kind {
    name: "classical",
    groups: "X25519",
    from: ABROAD,
    times: 4,
    group: "X25519",
    reason: "no_pq_group",
    ..HYBRID
};
const CROWD: [Kind; 8] = [
    HYBRID,
    Kind {
        name: "pq by retry",
        groups: "*X25519:X25519MLKEM768",
        times: 2,
        retry: true,
        ..HYBRID
    },
    CLASSICAL,
    Kind {
        name: "tls 1.2",
        groups: "X25519:P-256",
        versions: Versions::Only12,
        times: 2,
        reason: "tls12",
        ..CLASSICAL
    },
    Kind {
        name: "pq resumed",
        times: 1,
        resumes: 1,
        ..HYBRID
    },
    Kind {
        name: "classical resumed",
        times: 1,
        resumes: 1,
        ..CLASSICAL
    },
    Kind {
        name: "exempt",
        from: LET_OFF,
        times: 1,
        ..CLASSICAL
    },
    Kind {
        name: "identity",
        shows: Some(Algorithm::EcdsaP256),
        times: 2,
        ..HYBRID
    },
];
/// The identity again, after all others.
const DOWNGRADED: Kind = Kind {
    name: "downgraded",
    from: HOME,
    shows: Some(Algorithm::EcdsaP256),
    times: 1,
    ..CLASSICAL
};

impl Kind {
    fn is_classical(&self) -> bool {
        !self.reason.is_empty()
    }

    fn is_exempt(&self) -> bool {
        self.from == LET_OFF
    }

    /// TLS 1.2 is not spoken over QUIC.
    fn comes(&self, way: Way) -> bool {
        way != Way::Http3 || self.versions != Versions::Only12
    }

    fn version(&self) -> &'static str {
        match self.versions {
            Versions::Only12 => "1.2",
            _ => "1.3",
        }
    }

    /// What is decided by the rule on its key exchange.
    fn decision(&self) -> &'static str {
        match (self.is_classical(), self.is_exempt()) {
            (false, _) => "admitted",
            (true, true) => "exempt",
            (true, false) => "would_refuse",
        }
    }
}

/// Everybody: how they come, whether that resumes, how many connections.
fn everybody() -> impl Iterator<Item = (Way, &'static Kind, bool, u64)> {
    let kinds = || CROWD.iter().chain([&DOWNGRADED]);
    let pairs = Way::ALL
        .into_iter()
        .flat_map(move |way| kinds().map(move |kind| (way, kind)));
    let pairs = pairs.filter(|(way, kind)| kind.comes(*way));
    let each = pairs.flat_map(|(way, kind)| [(way, kind, false, kind.times), (way, kind, true, kind.resumes)]);
    each.filter(|(.., connections)| *connections > 0)
}

/// Connections and requests of those who are meant, by what is said of them.
fn expected<K: Ord>(say: impl Fn(Way, &'static Kind, bool) -> Option<K>) -> BTreeMap<K, (u64, u64)> {
    let mut sums = BTreeMap::new();
    for (way, kind, resumed, connections) in everybody() {
        if let Some(key) = say(way, kind, resumed) {
            let sum: &mut (u64, u64) = sums.entry(key).or_default();
            *sum = (sum.0 + connections, sum.1 + connections * way.requests());
        }
    }
    sums
}

struct Stage {
    pki: Pki,
    proxy: Proxy,
    _servers: (Origin, Upstream),
    /// Application bytes of HTTP/1.1 by safety, as its clients count them.
    http1: BTreeMap<bool, u64>,
}

fn toml(pki: &Pki, (origin, echo): (&Origin, &Upstream)) -> String {
    let certificates = certificates(&[pki.server(Algorithm::MlDsa65), pki.server(Algorithm::EcdsaP256)]);
    let site = format!(
        "{certificates}\nclient_auth = {{ mode = 'optional', ca = {:?} }}\npolicy = {{ key_exchange = 'require', report_only = true, exempt = [{{ cidr = '127.0.2.0/24', until = '2999-12-31' }}] }}",
        pki.roots()
    );
    let ledger = pki.folder().join("ledger.db");
    let (origin, echo) = (origin.address(), echo.address());
    format!(
        r#"
log = {{ level = "debug", format = "json", access = "-" }}
ledger = {{ path = {ledger:?} }}
[[listener]]
name = "front"
mode = "http"
http3 = true
listen = ["127.0.0.1:0"]
[[listener]]
name = "door"
mode = "tcp"
listen = ["127.0.0.1:0"]
[[site]]
name = "shop"
listeners = ["front"]
upstream = "back"
{site}
[[site]]
name = "db"
listeners = ["door"]
upstream = "echo"
{site}
[upstream.back]
servers = ["{origin}"]
[upstream.echo]
servers = ["{echo}"]
"#
    )
}

impl Stage {
    fn open() -> Stage {
        let (pki, servers) = (Pki::new(), (Origin::plain(), Upstream::start(Manner::Echo)));
        let proxy = Proxy::start(&toml(&pki, (&servers.0, &servers.1)));
        Stage {
            pki,
            proxy,
            _servers: servers,
            http1: BTreeMap::new(),
        }
    }

    /// All of the crowd, and later the one that went back.
    fn be_visited(&mut self) {
        for kind in &CROWD {
            self.be_visited_by(kind);
        }
        // the ledger keeps whole seconds, and what is later must be seen to be
        thread::sleep(Duration::from_millis(2100));
        self.be_visited_by(&DOWNGRADED);
        self.proxy.connections_become(0);
    }

    fn be_visited_by(&mut self, kind: &Kind) {
        for way in Way::ALL.into_iter().filter(|way| kind.comes(*way)) {
            match way {
                Way::Http3 => run(self.over_quic(kind)),
                way => self.over_tcp(way, kind),
            }
        }
    }

    async fn over_quic(&self, kind: &Kind) {
        let offer = talk::Offer {
            groups: groups(kind.groups),
            shows: kind.shows,
            from: kind.from.octets(),
            ..talk::Offer::default()
        };
        let visit = async |config: quinn::ClientConfig| {
            let talk = Talk::as_configured(self.proxy.address(), &offer, config).await;
            let talk = talk.unwrap_or_else(|error| panic!("{}: {error}", kind.name));
            for _ in 0..REQUESTS {
                assert_eq!(talk.get("/").await.status(), 200, "{}", kind.name);
            }
            talk.quic.close(0x100_u32.into(), b"");
            talk.endpoint.wait_idle().await;
        };
        // each keeps sessions of its own
        let mut config = offer.config();
        for _ in 0..kind.times {
            config = offer.config();
            visit(config.clone()).await;
        }
        for _ in 0..kind.resumes {
            visit(config.clone()).await;
        }
    }

    fn over_tcp(&mut self, way: Way, kind: &Kind) {
        let mut offer = Offer::groups(kind.groups).versions(kind.versions);
        offer.certificate = kind.shows.map(|algorithm| self.pki.client(algorithm));
        let (listener, protocol): (_, &[&str]) = match way {
            Way::Tcp => ("door", &[]),
            Way::Http1 => ("front", &["http/1.1"]),
            _ => ("front", &["h2"]),
        };
        let mut guest = Guest::new(kind.name, offer.speaking(protocol));
        guest.from = kind.from;
        let to = self.proxy.address_of(listener);
        let mut session: Option<Session> = None;
        for turn in 0..kind.times + kind.resumes {
            let (client, (wire, _)) = (guest.client(), guest.wire(to));
            let connected = match session.take().filter(|_| turn >= kind.times) {
                Some(session) => client.resume_over(wire, &session),
                None => client.handshake(wire),
            };
            let conversation = connected.unwrap_or_else(|failed| panic!("{}: {failed}", kind.name));
            let bytes = talk_over(way, conversation);
            session = client.session();
            if way == Way::Http1 {
                *self.http1.entry(kind.is_classical()).or_default() += bytes;
            }
        }
    }

    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}={value:?}"))
            .collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        self.proxy.metric(name, &labels) as u64
    }
}

/// What a client says to its end; application bytes both ways, but of HTTP/2.
fn talk_over(way: Way, mut conversation: Conversation) -> u64 {
    match way {
        Way::Tcp => {
            conversation.echo(&[7; ECHOED as usize]);
            conversation.close();
            2 * ECHOED
        }
        Way::Http1 => {
            let one = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: crowd/1\r\n";
            let asked = format!("{one}\r\n{one}Connection: close\r\n\r\n");
            conversation.write_all(asked.as_bytes()).expect("an open connection");
            let answers = conversation.read_to_close().expect("it ends properly");
            assert_eq!(String::from_utf8_lossy(&answers).matches("HTTP/1.1 200").count(), 2);
            (asked.len() + answers.len()) as u64
        }
        _ => {
            let mut talk = H2::over(conversation);
            for stream in [1, 3] {
                talk.get(stream, "/");
                assert_eq!(talk.status(stream), "200");
                let is_last = |frame: &portcullis_e2e::frames::Frame| {
                    frame.stream == stream && frame.kind == DATA && frame.flags & END_STREAM != 0
                };
                talk.wait_for(is_last).expect("the end of it");
            }
            talk.stream.end_sending();
            0
        }
    }
}

const EVER: Span = Span { from: 0, to: i64::MAX };

/// Connections and requests of rows, by what a word says of them.
fn by<'a, K: Ord>(read: &'a Extract, word: impl Fn(&'a Row, &'a Terms) -> K) -> BTreeMap<K, (u64, u64)> {
    let mut sums: BTreeMap<K, (u64, u64)> = BTreeMap::new();
    for row in &read.rows {
        let sum = sums.entry(word(row, &read.terms[row.terms])).or_default();
        *sum = (sum.0 + row.sums.connections, sum.1 + row.sums.requests);
    }
    sums
}

fn connections<K: Ord>(sums: BTreeMap<K, (u64, u64)>) -> BTreeMap<K, u64> {
    sums.into_iter()
        .map(|(key, (connections, _))| (key, connections))
        .collect()
}

fn metrics_agree(stage: &Stage) {
    let handshakes = expected(|way, kind, resumed| {
        let flags = [resumed, resumed_as(kind, resumed).1].map(|flag| flag.to_string());
        Some((way.site(), kind.version(), kind.group, flags))
    });
    for ((site, version, group, [resumed, retry]), (wanted, _)) in &handshakes {
        let labels = [
            ("site", *site),
            ("version", version),
            ("group", group),
            ("resumed", resumed),
            ("retry", retry),
        ];
        assert_eq!(
            stage.count("portcullis_handshakes_total", &labels),
            *wanted,
            "{labels:?}"
        );
    }
    let all: u64 = handshakes.values().map(|(connections, _)| connections).sum();
    assert_eq!(stage.count("portcullis_handshakes_total", &[]), all);
    for ((site, decision), (wanted, _)) in expected(|way, kind, _| Some((way.site(), kind.decision()))) {
        let labels = [
            ("site", site),
            ("rule", "key_exchange"),
            ("decision", decision),
            ("scope", "connection"),
        ];
        assert_eq!(stage.count("portcullis_policy_total", &labels), wanted, "{labels:?}");
    }
    let labels = [("site", "shop"), ("method", "GET"), ("status", "200")];
    let requests = expected(|way, ..| Some(way.site()))["shop"].1;
    assert_eq!(stage.count("portcullis_requests_total", &labels), requests);
    assert_eq!(stage.count("portcullis_requests_total", &[]), requests);
}

/// A retry is no part of a handshake that resumes with the group of the session.
fn resumed_as(kind: &Kind, resumed: bool) -> (bool, bool) {
    (resumed, kind.retry && !resumed)
}

fn ledger_agrees(read: &Extract) {
    let said = by(read, |row, terms| {
        let words = [&terms.transport, &terms.version, &terms.group, &terms.reason].map(String::as_str);
        let decided = match (terms.exempt, &*terms.would_refuse) {
            (true, "") => "exempt",
            (false, "key_exchange") => "would_refuse",
            (false, "") => "admitted",
            _ => "something else",
        };
        let client = read.clients[row.client].identity.as_str();
        let network = read.clients[row.client].network.as_str();
        let (flags, place) = ((terms.resumed, terms.retry), read.sites[row.site].name.as_str());
        (place, words, decided, (client, network), flags)
    });
    let wanted = expected(|way, kind, resumed| {
        let words = [way.transport(), kind.version(), kind.group, kind.reason];
        let client = kind.shows.map_or("", |_| "CN=agent-7");
        let network = network(kind);
        let flags = resumed_as(kind, resumed);
        Some((way.site(), words, kind.decision(), (client, network), flags))
    });
    assert_eq!(said, wanted);
    let classes = |_: &Row, terms: &Terms| {
        (
            terms.reason.is_empty(),
            terms.key_exchange.clone(),
            terms.safety.clone(),
        )
    };
    let hybrid = by(read, classes).into_keys().collect::<Vec<_>>();
    let [classical, safe] = [(false, "classical", "none"), (true, "hybrid", "full")];
    let owned = |(safe, class, safety): (bool, &str, &str)| (safe, class.to_owned(), safety.to_owned());
    assert_eq!(hybrid, [owned(classical), owned(safe)]);
}

fn network(kind: &Kind) -> &'static str {
    match kind.from {
        HOME => "127.0.0.0/24",
        ABROAD => "127.0.1.0/24",
        _ => "127.0.2.0/24",
    }
}

/// Bytes by key exchange: what clients counted is in all three, and all three say the same.
fn bytes_agree(stage: &Stage, read: &Extract, report: &Adoption) {
    let of_rows = |wanted: &dyn Fn(&Row, &Terms) -> bool| {
        let rows = read.rows.iter().filter(|row| wanted(row, &read.terms[row.terms]));
        rows.map(|row| row.sums.bytes_in + row.sums.bytes_out).sum::<u64>()
    };
    for (class, is_classical) in [("classical", true), ("hybrid", false)] {
        let all = of_rows(&|_, terms| terms.key_exchange == class);
        let counted = stage.count("portcullis_bytes_total", &[("key_exchange", class)]);
        assert_eq!(all, counted, "{class}");
        let told = stage
            .proxy
            .records()
            .into_iter()
            .filter(|line| line["key_exchange"] == class);
        let told = told.map(|line| ["bytes_in", "bytes_out"].map(|of| line[of].as_u64().expect("a number")));
        assert_eq!(all, told.flatten().sum::<u64>(), "{class}");
        let tcp = expected(|way, kind, _| (kind.is_classical() == is_classical).then(|| way.site()))["db"].0;
        let db = of_rows(&|row, terms| terms.key_exchange == class && read.sites[row.site].name == "db");
        assert_eq!(db, 2 * ECHOED * tcp, "{class}");
        let agents = |row: &Row| read.clients[row.client].user_agents == ["crowd/1"];
        let http1 = of_rows(&|row, terms| terms.key_exchange == class && agents(row) && !is_identity(read, row));
        assert!(http1 <= stage.http1[&is_classical] && http1 > 0, "{class}");
        let quic = of_rows(&|_, terms| terms.key_exchange == class && terms.transport == "quic");
        assert!(quic > 0, "{class}");
    }
    let split = report.totals.bytes;
    let [classical, hybrid] = ["classical", "hybrid"].map(|class| of_rows(&|_, terms| terms.key_exchange == class));
    assert_eq!((split.none, split.full, split.confidential), (classical, hybrid, 0));
    assert_eq!(report.exposure.classical_bytes, classical);
}

fn is_identity(read: &Extract, row: &Row) -> bool {
    !read.clients[row.client].identity.is_empty()
}

fn report_agrees(report: &Adoption) {
    let classes = expected(|_, kind, _| Some(kind.is_classical()));
    let totals = [report.totals.connections, report.totals.requests].map(|shares| (shares.none, shares.full));
    let [(pq, pq_requests), (classical, classical_requests)] = [classes[&false], classes[&true]];
    assert_eq!(totals, [(classical, pq), (classical_requests, pq_requests)]);
    let words = |reason| match reason {
        "tls12" => "has nothing newer than TLS 1.2",
        _ => "offers no post-quantum group",
    };
    // an identity is one client however it comes; others are told apart by what their hellos say
    let wanted = expected(|way, kind, _| {
        let by_hello = kind.shows.is_none().then_some(way);
        let who = (way.site(), by_hello, network(kind));
        kind.is_classical().then(|| (who, words(kind.reason)))
    });
    let mut wanted: Vec<_> = wanted
        .into_iter()
        .map(|(((site, by_hello, network), reason), sums)| (site, by_hello.is_none(), network, reason, sums))
        .collect();
    let said = report.clients.iter().filter(|client| client.safety == Class::None);
    let mut said: Vec<_> = said
        .map(|client| {
            let sums = (client.connections, client.requests);
            let is_identity = client.identity == "CN=agent-7";
            let words = (&*client.site, &*client.network, &*client.reason);
            (words.0, is_identity, words.1, words.2, sums)
        })
        .collect();
    wanted.sort_unstable();
    said.sort_unstable();
    assert_eq!(said, wanted);
    let names = expected(|way, kind, _| {
        let breaks = kind.is_classical() && !kind.is_exempt();
        let who = kind.shows.is_none().then_some((way, kind.version()));
        breaks.then_some(who)
    });
    let breaking = report.would_refuse.key_exchange;
    let broken: u64 = names.values().map(|(connections, _)| connections).sum();
    assert_eq!((breaking.clients, breaking.connections), (names.len() as u64, broken));
    let exempt = expected(|_, kind, _| kind.is_exempt().then_some(()))[&()].0;
    assert_eq!(report.refusals.exempt, exempt);
    assert_eq!(
        report.refusals.report_only,
        BTreeMap::from([("key_exchange".to_owned(), broken)])
    );
    let mut downgraded: Vec<_> = report
        .downgraded
        .iter()
        .map(|one| (&*one.site, &*one.identity, one.by, &*one.safe_group, one.connections))
        .collect();
    downgraded.sort_unstable();
    let back = |site, connections| (site, "CN=agent-7", Basis::Identity, "X25519MLKEM768", connections);
    assert_eq!(downgraded, [back("db", 1), back("shop", 3)]);
}

fn bill_agrees(stage: &Stage) {
    let file = stage.pki.folder().join("ledger.db");
    let mut command = portcullis(&["report", "--cbom", "--ledger", file.to_str().expect("UTF-8")]);
    let said = command::run(&mut command, b"");
    assert_eq!(said.status.code(), Some(0), "{}", said.all());
    let bill: Value = serde_json::from_str(&said.stdout).expect("JSON");
    let components = bill["components"].as_array().expect("components");
    let names: BTreeSet<&str> = components.iter().filter_map(|one| one["name"].as_str()).collect();
    let seen = |name: &str| -> BTreeMap<String, u64> {
        let one = components.iter().find(|one| one["name"] == name);
        let one = one.unwrap_or_else(|| panic!("{name} is not among {names:?}"));
        let places = one["evidence"]["occurrences"].as_array().expect("a list").iter();
        let count = |place: &Value| place["additionalContext"].as_str()?.split(' ').next()?.parse().ok();
        let pair = |place: &Value| {
            (
                place["location"].as_str().unwrap_or_default().to_owned(),
                count(place).unwrap_or(0),
            )
        };
        places.map(pair).collect()
    };
    let at_sites = |say: &dyn Fn(&Kind) -> bool| {
        let sums = expected(|way, kind, _| say(kind).then(|| format!("site {}", way.site())));
        connections(sums)
    };
    let hybrid = at_sites(&|kind| !kind.is_classical());
    assert_eq!(seen("X25519MLKEM768"), hybrid);
    assert_eq!(seen("ML-KEM-768"), hybrid);
    assert_eq!(seen("X25519"), at_sites(&|_| true), "alone, or in a hybrid");
    assert_eq!(seen("TLS 1.2"), at_sites(&|kind| kind.version() == "1.2"));
    assert_eq!(seen("TLS 1.3"), at_sites(&|kind| kind.version() == "1.3"));
    let expected = [];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_crowd_over_tcp_and_three_http_has_exactly_its_figures_everywhere() {
    let mut stage = Stage::open();
    stage.be_visited();
    let read = stage.proxy.running().ledger(EVER).expect("the ledger can be read");
    let report = adoption(&read);
    metrics_agree(&stage);
    ledger_agrees(&read);
    bytes_agree(&stage, &read, &report);
    report_agrees(&report);
    bill_agrees(&stage);
}
