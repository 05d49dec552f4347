//! A crowd of known composition at one proxy, over tcp, HTTP/1.1, 2 and 3.
use crate::{
    origin::Origin,
    run,
    talk::{self, Talk, groups},
};
use portcullis_e2e::{
    client::{Conversation, Offer, Session, Versions},
    frames::{DATA, END_STREAM, Frame, H2},
    front::certificates,
    guests::Guest,
    pki::{Algorithm, Pki},
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use std::{collections::BTreeMap, io::Write, net::Ipv4Addr, thread, time::Duration};

/// What a client sends through the tcp site, and gets back.
pub(crate) const ECHOED: u64 = 100;
/// Of each connection over HTTP.
const REQUESTS: u64 = 2;
pub(crate) const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// Another network, so that nobody there is taken for somebody at home who went back.
pub(crate) const ABROAD: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
/// Let off by its address.
const LET_OFF: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);

/// How a client comes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Way {
    Tcp,
    Http1,
    Http2,
    Http3,
}

impl Way {
    const ALL: [Way; 4] = [Way::Tcp, Way::Http1, Way::Http2, Way::Http3];

    pub(crate) fn site(self) -> &'static str {
        match self {
            Way::Tcp => "db",
            _ => "shop",
        }
    }

    pub(crate) fn transport(self) -> &'static str {
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
pub(crate) struct Kind {
    name: &'static str,
    groups: &'static str,
    versions: Versions,
    pub(crate) from: Ipv4Addr,
    pub(crate) shows: Option<Algorithm>,
    /// Connections, each with a full handshake.
    times: u64,
    /// One more, which resumes the session of the last.
    resumes: u64,
    pub(crate) group: &'static str,
    pub(crate) retry: bool,
    pub(crate) reason: &'static str,
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
    pub(crate) fn is_classical(&self) -> bool {
        !self.reason.is_empty()
    }

    pub(crate) fn is_exempt(&self) -> bool {
        self.from == LET_OFF
    }

    /// TLS 1.2 is not spoken over QUIC.
    fn comes(&self, way: Way) -> bool {
        way != Way::Http3 || self.versions != Versions::Only12
    }

    pub(crate) fn version(&self) -> &'static str {
        match self.versions {
            Versions::Only12 => "1.2",
            _ => "1.3",
        }
    }

    /// What is decided by the rule on its key exchange.
    pub(crate) fn decision(&self) -> &'static str {
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
pub(crate) fn expected<K: Ord>(say: impl Fn(Way, &'static Kind, bool) -> Option<K>) -> BTreeMap<K, (u64, u64)> {
    let mut sums = BTreeMap::new();
    for (way, kind, resumed, connections) in everybody() {
        if let Some(key) = say(way, kind, resumed) {
            let sum: &mut (u64, u64) = sums.entry(key).or_default();
            *sum = (sum.0 + connections, sum.1 + connections * way.requests());
        }
    }
    sums
}

pub(crate) struct Stage {
    pub(crate) pki: Pki,
    pub(crate) proxy: Proxy,
    _servers: (Origin, Upstream),
    /// Application bytes of HTTP/1.1 by whether they are classical, as clients without a certificate count them.
    pub(crate) http1: BTreeMap<bool, u64>,
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
    pub(crate) fn open() -> Stage {
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
    pub(crate) fn be_visited(&mut self) {
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
        let (to, client) = (self.proxy.address_of(listener), guest.client());
        let mut session: Option<Session> = None;
        for turn in 0..kind.times + kind.resumes {
            let (wire, _) = guest.wire(to);
            let connected = match session.take().filter(|_| turn >= kind.times) {
                Some(session) => client.resume_over(wire, &session),
                None => client.handshake(wire),
            };
            let conversation = connected.unwrap_or_else(|failed| panic!("{}: {failed}", kind.name));
            let bytes = talk_over(way, conversation);
            session = client.session();
            if way == Way::Http1 && kind.shows.is_none() {
                *self.http1.entry(kind.is_classical()).or_default() += bytes;
            }
        }
    }

    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
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
                let is_last =
                    |frame: &Frame| frame.stream == stream && frame.kind == DATA && frame.flags & END_STREAM != 0;
                talk.wait_for(is_last).expect("the end of it");
            }
            talk.stream.end_sending();
            0
        }
    }
}
