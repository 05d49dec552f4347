//! What goes on in another protocol behind a request.
use crate::{
    Go, Lines, Stage,
    origin::{Origin, said},
    pattern,
    talk::{Body, Talk},
    toml,
};
use portcullis_e2e::{
    PATIENCE,
    client::{Client, Conversation, Offer},
    frames::{DATA, END_STREAM, H2, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame},
    pki::Files,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use serde_json::Value;
use std::{
    path::PathBuf,
    sync::{Mutex, mpsc},
    thread,
};
use time::{Duration, OffsetDateTime};

/// Switches when asked to, and says everything again in brackets, four bytes at a time.
pub(crate) fn switching() -> Origin {
    Origin::start(|asked, peer| {
        if asked.field("upgrade").is_none() {
            return peer.say(&said(asked.line()));
        }
        peer.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        while let Ok(bytes) = peer.exactly(4) {
            peer.say(&[b"<", &bytes[..], b">"].concat());
        }
        Go::Close
    })
}

/// An authority that takes clients back.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate_for(&rcgen::PKCS_ML_DSA_44).expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key).expect("it signs itself");
        Authority { issuer }
    }

    fn client(&self, stage: &Stage, serial: u64) -> Files {
        let key = KeyPair::generate_for(&rcgen::PKCS_ML_DSA_44).expect("a key");
        let mut params = CertificateParams::new(vec![format!("agent-{serial}")]).expect("a name");
        params.serial_number = Some(SerialNumber::from(serial));
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &self.issuer).expect("an issuer signs");
        let write = |kind: &str, text: &str| stage.pki.write(&format!("agent-{serial}.{kind}"), text);
        Files {
            chain: write("pem", &leaf.pem()),
            key: write("key", &key.serialize_pem()),
            root: write("ca", &self.issuer.pem()),
        }
    }

    /// The file of those that were taken back.
    fn list(&self, stage: &Stage, revoked: &[u64]) -> PathBuf {
        let now = OffsetDateTime::now_utc();
        let each = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now - Duration::days(1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: now - Duration::days(1),
            next_update: now + Duration::days(1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: each.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("an issuer signs");
        stage.pki.write("revoked.crl", &list.pem().expect("a list is PEM"))
    }
}

/// A WebSocket of this client, over HTTP/1.1.
fn switched(stage: &Stage, files: &Files) -> Talk<Conversation> {
    let offer = Offer::default().speaking(&["http/1.1"]).presenting(files.clone());
    let mut talk = Talk::tls(Client::new(offer).connect(stage.proxy.address()).expect("a handshake"));
    talk.send("GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(talk.answer(Body::Never).expect("an answer").status, 101);
    talk.send("ping");
    assert_eq!(talk.exactly(6).expect("an echo"), b"<ping>");
    talk
}

#[test]
fn an_upgraded_connection_ends_when_its_clients_certificate_is_revoked_and_others_go_on() {
    let stage = Stage::set(switching(), Lines::default());
    let house = Authority::new();
    let (taken, kept) = (house.client(&stage, 13), house.client(&stage, 14));
    let reload = |revoked: &[u64]| {
        let (ca, list) = (&taken.root, house.list(&stage, revoked));
        let site = format!("upstream = 'back'\nclient_auth = {{ mode = 'required', ca = {ca:?}, crl = [{list:?}] }}");
        let lines = Lines {
            site: &site,
            ..Lines::default()
        };
        let text = toml(&stage.pki, stage.origin.address(), lines);
        stage.proxy.reload(&text).expect("a good file");
    };
    reload(&[]);
    let (mut ends, mut stays) = (switched(&stage, &taken), switched(&stage, &kept));
    let at = ends.stream.local().to_string();
    reload(&[13]);
    let ended = ends.stream.read_to_close();
    assert!(ended.is_err(), "it must not look complete: {ended:?}");
    let record = stage.proxy.record_where(|line| line["peer"] == at);
    assert_eq!(
        (&record["outcome"], &record["fault"]),
        (&"refused".into(), &"client".into())
    );
    stays.send("pong");
    assert_eq!(stays.exactly(6).expect("an echo"), b"<pong>");
}

/// SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 3) among those of the server.
fn announces(h2: &mut H2<Conversation>) -> bool {
    let settings = h2.wait_for(|frame| frame.kind == SETTINGS && frame.flags == 0);
    let payload = settings.expect("its settings").payload;
    payload.chunks(6).any(|one| one == [0, 8, 0, 0, 0, 1])
}

fn connect(path: &str, protocol: &str) -> Vec<(String, String)> {
    [
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "https"),
        (":path", path),
        (":authority", "localhost"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "not needed here"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn h2(stage: &Stage) -> H2<Conversation> {
    H2::over(stage.connect(Offer::default().speaking(&["h2"])).stream)
}

#[test]
fn a_stream_of_http_2_goes_on_in_another_protocol_both_ways_and_ends_by_halves() {
    let stage = Stage::set(switching(), Lines::default());
    let mut h2 = h2(&stage);
    assert!(announces(&mut h2));
    h2.open(1, &connect("/ws?token=x", "websocket"));
    // before it was answered
    h2.data(1, b"earl", 0);
    assert_eq!(h2.status(1), "200");
    assert_eq!(h2.bytes(1, 6), b"<earl>");
    h2.get(3, "/beside");
    assert_eq!(h2.status(3), "200");
    for word in [b"ping", b"pong"] {
        h2.data(1, word, 0);
        assert_eq!(h2.bytes(1, 6), [b"<", &word[..], b">"].concat());
    }
    h2.data(1, b"last", END_STREAM);
    assert_eq!(h2.bytes(1, 6), b"<last>");
    let end = h2.wait(DATA, 1).expect("the server's end");
    assert_eq!((end.flags, &end.payload[..]), (END_STREAM, &b""[..]));
    let asked = &stage.origin.asked()[0];
    assert_eq!(asked.line(), "GET /ws?token=x");
    let fields = ["upgrade", "connection", "sec-websocket-version"].map(|name| asked.field(name));
    assert_eq!(fields, ["websocket", "upgrade", "13"].map(|value| Some(value.into())));
    // RFC 6455 4.1: 16 bytes in Base64, which the client knows nothing of
    assert!(
        asked
            .field("sec-websocket-key")
            .is_some_and(|key| key.len() == 24 && key.ends_with("=="))
    );
    let line = stage.line("/ws?token=*");
    let told = [
        "method",
        "status",
        "upstream_status",
        "bytes_in",
        "bytes_out",
        "outcome",
    ]
    .map(|name| line[name].clone());
    let wanted: [Value; 6] = [
        "CONNECT".into(),
        200.into(),
        101.into(),
        16.into(),
        24.into(),
        "ok".into(),
    ];
    assert_eq!(told, wanted);
    assert_eq!(
        stage
            .proxy
            .metric("portcullis_requests_total", &["method=\"CONNECT\"", "status=\"200\""]),
        1.0
    );
}

#[test]
fn much_goes_through_a_switched_stream_and_a_client_that_does_not_take_it_holds_the_server_back() {
    const LENGTH: usize = 20_000_000;
    let origin = Origin::start(|_, peer| {
        peer.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        let came = peer.exactly(200_000).expect("all of it");
        peer.say(&came);
        peer.say(&pattern(LENGTH));
        Go::Close
    });
    let stage = Stage::set(origin, Lines::default());
    let mut h2 = h2(&stage);
    h2.open(1, &connect("/ws", "websocket"));
    assert_eq!(h2.status(1), "200");
    // by pieces within the window that the proxy gives
    for piece in pattern(200_000).chunks(10_000) {
        h2.data(1, piece, 0);
    }
    // RFC 9113 6.9.2: what a client gives at first
    let first = h2.bytes(1, 65_535);
    h2.get(3, "/beside");
    let window = 0x3fff_ffff_u32.to_be_bytes();
    for stream in [0, 1] {
        h2.send(&frame((WINDOW_UPDATE, 0), stream, &window));
    }
    let rest = h2.bytes(1, 200_000 + LENGTH - 65_535);
    assert!(
        [first, rest].concat() == [pattern(200_000), pattern(LENGTH)].concat(),
        "it arrives unchanged"
    );
    assert_eq!(h2.wait(DATA, 1).expect("the end").flags, END_STREAM);
}

#[test]
fn a_server_that_does_not_switch_is_not_taken_for_one_that_does() {
    let origin = Origin::start(|asked, peer| match asked.line() {
        "GET /401" => peer.say(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"),
        "GET /other" => peer.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"),
        line => peer.say(&said(line)),
    });
    let stage = Stage::set(origin, Lines::default());
    let mut h2 = h2(&stage);
    let table = [
        ("/401", "websocket", "401"),
        ("/other", "websocket", "502"),
        ("/page", "websocket", "502"),
        ("/odd", "web socket", "400"),
        ("/h2c", "h2c", "400"),
        ("/split", "a\r\nX-Evil: b", "400"),
    ];
    for (at, (path, protocol, status)) in table.into_iter().enumerate() {
        let stream = 2 * at as u32 + 1;
        h2.open(stream, &connect(path, protocol));
        assert_eq!(h2.status(stream), status, "{path}");
    }
    assert_eq!(h2.bytes(1, 2), b"no");
    assert_eq!(stage.origin.asked().len(), 3);
    let line = stage.line("/page");
    assert_eq!(
        (&line["upstream_status"], &line["fault"]),
        (&200.into(), &"upstream".into())
    );
}

#[test]
fn where_nothing_switches_nothing_is_announced_and_who_asks_anyway_is_refused() {
    let lines = Lines {
        upstream: "http = 'h2c'",
        ..Lines::default()
    };
    let stage = Stage::set(switching(), lines);
    let mut client = h2(&stage);
    assert!(!announces(&mut client));
    // another route of the same site would
    let site = "[[site.route]]\npath = '/one'\nupstream = 'one'\n[[site.route]]\nupstream = 'back'";
    let more = format!("[upstream.one]\nservers = ['{}']", stage.origin.address());
    let lines = Lines {
        site,
        more: &more,
        ..lines
    };
    let stage = Stage::set(switching(), lines);
    let mut client = h2(&stage);
    assert!(announces(&mut client));
    client.open(1, &connect("/two", "websocket"));
    assert_eq!(client.status(1), "501");
    assert_eq!(stage.line("/two")["fault"], "operator");
}

#[test]
fn a_switched_stream_whose_server_breaks_off_is_reset() {
    let origin = Origin::at_heads(|_, peer| {
        peer.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhalf");
        peer.exactly(1).expect("the client has that");
        Go::Reset
    });
    let stage = Stage::set(origin, Lines::default());
    let mut client = h2(&stage);
    client.open(1, &connect("/broken", "websocket"));
    assert_eq!((client.status(1), client.bytes(1, 4)), ("200".into(), b"half".to_vec()));
    client.data(1, b"x", 0);
    // CANCEL, as TCP's reset is called (RFC 8441 5)
    let reset = client.wait(RST_STREAM, 1).expect("no end of stream");
    assert_eq!(reset.payload, [0, 0, 0, 8]);
    assert_eq!(stage.line("/broken")["fault"], "upstream");
}

#[test]
fn a_switched_stream_ends_when_nobody_says_anything_or_its_client_gives_it_up_or_goes() {
    let (went, gone) = mpsc::channel();
    let went = Mutex::new(went);
    let origin = Origin::start(move |asked, peer| {
        peer.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        // it never ends by itself
        while peer.exactly(1).is_ok() {}
        while peer.say(b"x") == Go::On {
            thread::sleep(std::time::Duration::from_millis(100));
        }
        let told = went
            .lock()
            .expect("nothing panics holding it")
            .send(asked.line().to_owned());
        told.expect("the test waits");
        Go::Close
    });
    let lines = Lines {
        listener: "limits = { upgrade_idle = '2s' }",
        ..Lines::default()
    };
    let stage = Stage::set(origin, lines);
    let ended = |path: &str| {
        assert_eq!(gone.recv_timeout(PATIENCE).as_deref(), Ok(path));
    };
    let mut idle = h2(&stage);
    idle.open(1, &connect("/idle", "websocket"));
    assert_eq!(idle.status(1), "200");
    ended("GET /idle");
    assert_eq!(stage.line("/idle")["fault"], "closed");
    let mut given_up = h2(&stage);
    given_up.open(1, &connect("/reset", "websocket"));
    assert_eq!(given_up.status(1), "200");
    given_up.send(&frame((RST_STREAM, 0), 1, &[0, 0, 0, 8]));
    ended("GET /reset");
    assert_eq!(stage.line("/reset")["fault"], "client");
    let mut goes = h2(&stage);
    goes.open(1, &connect("/goes", "websocket"));
    assert_eq!(goes.status(1), "200");
    goes.stream.reset();
    ended("GET /goes");
    assert_eq!(stage.line("/goes")["fault"], "client");
}
