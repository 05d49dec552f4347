//! What the ledger says of a crowd is what the crowd was, whatever happens to its file.
use crate::{Stage, both};
use portcullis_e2e::{
    PATIENCE,
    client::{Client, Offer, Versions},
    command::run,
    front::Front,
    peers::{Home, Peer},
    pki::{Algorithm, Pki},
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use portcullis_proxy::ledger::{Extract, Row, Span, Sums, Terms};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const EVER: Span = Span { from: 0, to: i64::MAX };

/// What the ledger says of all that is over.
fn ledger(proxy: &Proxy) -> Extract {
    proxy.connections_become(0);
    proxy.running().ledger(EVER).expect("the ledger can be read")
}

/// Sums of rows by what a word says of them.
fn by<'a, K: Ord>(extract: &'a Extract, word: impl Fn(&'a Row, &'a Terms) -> K) -> BTreeMap<K, (u64, u64)> {
    let mut sums: BTreeMap<K, Sums> = BTreeMap::new();
    for row in &extract.rows {
        *sums.entry(word(row, &extract.terms[row.terms])).or_default() += row.sums;
    }
    let pair = |(key, sums): (K, Sums)| (key, (sums.connections, sums.bytes_in + sums.bytes_out));
    sums.into_iter().map(pair).collect()
}

fn visit(proxy: &Proxy, listener: &str, offer: Offer, bytes: usize) {
    let connected = Client::new(offer).connect(proxy.address_of(listener));
    let mut conversation = connected.unwrap_or_else(|failed| panic!("{failed}; {:#?}", proxy.records()));
    conversation.echo(&vec![7; bytes]);
    conversation.close();
}

/// A kind of client: how many, how many bytes each, and what becomes of them: safety, group, retry, version, reason,
/// reason of its authentication, and what requiring a quantum-safe key exchange and authentication would do.
type Kind = (Offer, u64, usize, [&'static str; 8]);

fn kinds() -> [Kind; 6] {
    let classical = |groups: &str| Offer {
        signatures: "ecdsa_secp256r1_sha256".into(),
        ..Offer::groups(groups)
    };
    let old = Offer::groups("X25519:P-256").versions(Versions::Only12);
    let hybrid = "X25519MLKEM768";
    let (none, no_common) = ("no_pq_group", "no_common_group");
    [
        (
            Offer::groups("*X25519MLKEM768:X25519"),
            5,
            100,
            ["full", hybrid, "", "1.3", "", "", "", ""],
        ),
        (
            classical("*X25519MLKEM768:X25519"),
            4,
            200,
            ["confidential", hybrid, "", "1.3", "", "no_ml_dsa", "", "refuse"],
        ),
        (
            Offer::groups("*X25519:X25519MLKEM768"),
            3,
            300,
            ["full", hybrid, "retry", "1.3", "", "", "", ""],
        ),
        (
            Offer::groups("*X25519"),
            6,
            400,
            ["none", "X25519", "", "1.3", none, "", "refuse", ""],
        ),
        (
            Offer::groups("*MLKEM1024:*X25519"),
            2,
            500,
            ["none", "X25519", "", "1.3", no_common, "", "refuse", ""],
        ),
        (
            old,
            7,
            600,
            ["none", "X25519", "", "1.2", "tls12", "tls12", "refuse", "refuse"],
        ),
    ]
}

#[test]
fn a_crowd_of_known_composition_is_in_the_ledger_exactly() {
    let stage = Stage::set(Manner::Echo, |_, front| front.site("label = \"personal data\""));
    let mut expected = BTreeMap::new();
    let mut bytes = 0;
    for (offer, count, size, comes_to) in kinds() {
        for _ in 0..count {
            visit(&stage.proxy, "front", offer.clone(), size);
        }
        let both_ways = count * 2 * size as u64;
        expected.insert(comes_to.map(str::to_owned), (count, both_ways));
        bytes += both_ways;
    }
    let read = ledger(&stage.proxy);
    let word = |holds: bool, word: &str| if holds { word.to_owned() } else { String::new() };
    let of = |_: &Row, terms: &Terms| {
        [
            terms.safety.clone(),
            terms.group.clone(),
            word(terms.retry, "retry"),
            terms.version.clone(),
            terms.reason.clone(),
            terms.authentication_reason.clone(),
            word(terms.whatif_key_exchange, "refuse"),
            word(terms.whatif_authentication, "refuse"),
        ]
    };
    assert_eq!(by(&read, of), expected);
    let connections: u64 = expected.values().map(|(count, _)| count).sum();
    assert_eq!(
        stage.proxy.metric("portcullis_handshakes_total", &[]),
        connections as f64
    );
    assert_eq!(stage.proxy.metric("portcullis_bytes_total", &[]), bytes as f64);
    let (site, over_time) = (&read.sites[0], &read.over_time);
    assert_eq!((site.name.as_str(), site.label.as_str()), ("site", "personal data"));
    assert_eq!(
        over_time.iter().map(|moment| moment.sums.connections).sum::<u64>(),
        connections
    );
    // OpenSSL's lists of groups are told by offers, since JA4 does not tell them
    let offers: Vec<String> = read.offers.iter().map(|offer| offer.groups.join(",")).collect();
    assert!(offers.contains(&"MLKEM1024,X25519".to_owned()), "{offers:?}");
    assert!(
        read.clients
            .iter()
            .all(|client| client.network == "127.0.0.0/24" && client.ja4.len() == 36)
    );
    // who verified an ML-DSA chain is known to be able to
    let proven = |row: &&Row| read.clients[row.client].completed_ml_dsa.is_some();
    let full = read.rows.iter().filter(|row| read.terms[row.terms].safety == "full");
    assert!(full.clone().count() > 0 && full.clone().all(|row| proven(&row)));
    let upstream = &read.upstreams[0];
    assert_eq!(
        (upstream.connections, read.terms[upstream.terms].safety.as_str()),
        (connections, "plain")
    );
}

#[test]
fn what_report_only_names_is_what_require_refuses() {
    let crowd = |policy: &str| {
        let stage = Stage::set(Manner::Echo, |_, front| front.site(&format!("policy = {policy}")));
        for (offer, count, ..) in kinds() {
            for _ in 0..count {
                if let Ok(mut conversation) = Client::new(offer.clone()).connect(stage.proxy.address()) {
                    conversation.echo(b"admitted");
                    conversation.close();
                }
            }
        }
        ledger(&stage.proxy)
    };
    let rules = [("key_exchange", 15), ("authentication", 11)];
    for (rule, refused) in rules {
        let said = crowd(&format!("{{ {rule} = \"require\", report_only = true }}"));
        let done = crowd(&format!("{{ {rule} = \"require\" }}"));
        let reasons = |terms: &Terms| (terms.reason.clone(), terms.authentication_reason.clone());
        let would = by(&said, |_, terms| (terms.would_refuse.contains(rule), reasons(terms)));
        let did = by(&done, |_, terms| (terms.refused_by == rule, reasons(terms)));
        let count = |sums: BTreeMap<(bool, (String, String)), (u64, u64)>| -> BTreeMap<(String, String), u64> {
            let chosen = sums.into_iter().filter(|((is_refused, _), _)| *is_refused);
            chosen
                .map(|((_, reasons), (connections, _))| (reasons, connections))
                .collect()
        };
        let (would, did) = (count(would), count(did));
        let total = |counts: &BTreeMap<_, u64>| counts.values().sum::<u64>();
        assert_eq!(would, did, "{rule}");
        assert_eq!(total(&did), refused, "{rule}");
        // and what the columns of what-if said beforehand
        let whatif = said.rows.iter().filter(|row| match rule {
            "key_exchange" => said.terms[row.terms].whatif_key_exchange,
            _ => said.terms[row.terms].whatif_authentication,
        });
        assert_eq!(whatif.map(|row| row.sums.connections).sum::<u64>(), refused);
        assert!(
            said.rows
                .iter()
                .all(|row| said.terms[row.terms].admission == "admitted")
        );
    }
}

#[test]
fn identities_resumptions_and_refusals_are_entered_under_their_names() {
    let stage = Stage::set(Manner::Echo, |pki, front| {
        let roots = pki.roots();
        let strict = |name: &str, line: &str| {
            format!(
                "[[listener]]\nname = \"{name}\"\nlisten = [\"127.0.0.1:0\"]\nmode = \"tcp\"\n[[site]]\nname = \"{name}\"\nlisteners = [\"{name}\"]\n{}\nupstream = \"back\"\n{line}",
                portcullis_e2e::front::certificates(&both(pki)),
            )
        };
        let fleet = strict(
            "fleet",
            &format!("client_auth = {{ mode = \"required\", ca = {roots:?} }}"),
        );
        front
            .site("listeners = [\"front\"]")
            .more(&fleet)
            .more(&strict("strict", "policy = \"require\""))
    });
    let proxy = &stage.proxy;
    let agent = Offer {
        certificate: Some(stage.pki.client(Algorithm::EcdsaP256)),
        ..Offer::default()
    };
    visit(proxy, "fleet", agent.clone(), 10);
    visit(
        proxy,
        "fleet",
        Offer {
            groups: "X25519".into(),
            ..agent
        },
        20,
    );
    let client = Client::new(Offer::default());
    let mut first = client.connect(proxy.address()).expect("a handshake");
    first.echo(b"a ticket comes");
    first.close();
    let session = client.session().expect("a session came");
    let mut second = client.resume(proxy.address(), &session).expect("a handshake");
    second.echo(b"again");
    assert!(second.seen().resumed);
    second.close();
    // one that has a name, and one that has none
    visit(proxy, "front", Offer::groups("*X25519"), 1);
    let named = Client::new(Offer::groups("*X25519"));
    let unnamed = Client::new(Offer {
        signatures: "ecdsa_secp256r1_sha256".into(),
        ..Offer::groups("*P-256")
    });
    for client in [&named, &named, &unnamed] {
        assert!(client.connect(proxy.address_of("strict")).is_err());
    }
    let read = ledger(proxy);
    let subject = proxy.all_records().iter().find_map(|r| {
        r["client_subject"]
            .as_str()
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
    });
    let subject = subject.expect("the access log names the agent");
    let who = |row: &Row, terms: &Terms| {
        let client = &read.clients[row.client];
        let name = match (client.is_others(), client.identity.as_str()) {
            (true, _) => "others",
            (false, "") => "print",
            (false, identity) if identity == subject => "agent",
            (false, _) => "another",
        };
        let site = read.sites[row.site].name.clone();
        (
            site,
            name,
            terms.admission.clone(),
            terms.resumed,
            terms.refused_by.clone(),
            terms.safety.clone(),
        )
    };
    let row = |site: &str, name, admission: &str, resumed, refused_by: &str, safety: &str| {
        (
            site.to_owned(),
            name,
            admission.to_owned(),
            resumed,
            refused_by.to_owned(),
            safety.to_owned(),
        )
    };
    let expected = BTreeMap::from([
        (row("fleet", "agent", "admitted", false, "", "full"), (1, 20)),
        (row("fleet", "agent", "admitted", false, "", "none"), (1, 40)),
        (row("site", "print", "admitted", false, "", "full"), (1, 28)),
        (row("site", "print", "admitted", true, "", "full"), (1, 10)),
        (row("site", "print", "admitted", false, "", "none"), (1, 2)),
        (row("strict", "print", "refused", false, "key_exchange", ""), (2, 0)),
        (row("strict", "others", "refused", false, "key_exchange", ""), (1, 0)),
    ]);
    assert_eq!(by(&read, who), expected);
}

#[test]
fn requests_and_their_programs_count_with_their_connection() {
    let pki = Pki::new();
    let front = Front::new(&both(&pki), "127.0.0.1:1".parse().unwrap())
        .listener("mode = \"http\"")
        .site("[[site.route]]\nrespond = { body = \"by routes\" }");
    let toml = front.toml().replacen("mode = \"tcp\"\n", "", 1);
    let toml = toml.replacen("upstream = \"back\"\n", "", 1);
    let proxy = Proxy::start(&toml);
    use std::io::Write;
    let mut conversation = Client::new(Offer::default())
        .connect(proxy.address())
        .expect("a handshake");
    let ask =
        |agent: &str, rest: &str| format!("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {agent}\r\n{rest}\r\n");
    let requests = ask("one/1", "") + &ask("two<2>", "") + &ask("one/1", "Connection: close\r\n");
    conversation.write_all(requests.as_bytes()).expect("it takes requests");
    conversation.read_to_close().expect("three answers");
    drop(conversation);
    let read = ledger(&proxy);
    let sums = read.rows[0].sums;
    assert_eq!((read.rows.len(), sums.connections, sums.requests), (1, 1, 3));
    assert_eq!((sums.bytes_in, sums.bytes_out > 0), (requests.len() as u64, true));
    assert_eq!(read.clients[0].user_agents, ["one/1", "two\\x3c2\\x3e"]);
}

#[test]
fn a_ledger_is_read_by_python_while_it_is_written_and_survives_a_restart() {
    let Some(python) = Peer::find(Home::Tool, "python3") else {
        return;
    };
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("ledger.db");
    let top = format!("ledger = {{ path = {file:?}, keep = \"30d\" }}");
    let stage = Stage::set(Manner::Echo, |_, front| front.top(&top));
    visit(&stage.proxy, "front", Offer::default(), 5);
    assert_eq!(by(&ledger(&stage.proxy), |_, _| ()), BTreeMap::from([((), (1, 10))]));
    let mode = fs::metadata(&file).expect("the file is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let look = "import sqlite3, sys\nledger = sqlite3.connect(sys.argv[1], timeout=30)\nprint(ledger.execute(\"SELECT sum(connections), sum(bytes_in), group_concat(DISTINCT safety) FROM connections\").fetchone())\nprint(ledger.execute('PRAGMA integrity_check').fetchone()[0])";
    let script = folder.path().join("look.py");
    fs::write(&script, look).expect("the temporary folder takes a file");
    let said = run(python.command().arg(&script).arg(&file), b"").all();
    assert_eq!(said.trim(), "(1, 5, 'full')\nok");
    let Stage { pki, upstream, proxy } = stage;
    let toml = Front::new(&both(&pki), upstream.address()).top(&top).toml();
    drop(proxy);
    let proxy = Proxy::start(&toml);
    visit(&proxy, "front", Offer::default(), 5);
    assert_eq!(by(&ledger(&proxy), |_, _| ()), BTreeMap::from([((), (2, 20))]));
}

/// A proxy with its ledger in this file.
fn over(file: &Path) -> (Stage, String) {
    let top = format!("ledger = {{ path = {file:?} }}");
    let stage = Stage::set(Manner::Echo, |_, front| front.top(&top));
    let toml = Front::new(&both(&stage.pki), stage.upstream.address()).top(&top).toml();
    (stage, toml)
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_file_that_is_no_ledger_is_left_alone_and_the_ledger_kept_in_memory() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("ledger.db");
    for content in [
        "not a database, but long enough to be taken for one at first sight, as SQLite reads a hundred bytes of it",
        "",
    ] {
        let file = match content {
            // a folder that is not there
            "" => folder.path().join("none/ledger.db"),
            content => {
                fs::write(&file, content).expect("the temporary folder takes a file");
                file.clone()
            }
        };
        let (stage, _) = over(&file);
        visit(&stage.proxy, "front", Offer::default(), 5);
        assert_eq!(
            by(&ledger(&stage.proxy), |_, _| ()),
            BTreeMap::from([((), (1, 10))]),
            "it goes on in memory"
        );
        let warned = stage
            .proxy
            .lines("ledger is kept in memory until a reload finds its file");
        assert_eq!(warned.len(), 1, "{warned:?}");
        if !content.is_empty() {
            assert_eq!(fs::read_to_string(&file).expect("it is there"), content);
        }
    }
}

#[test]
fn under_a_lock_figures_wait_and_are_written_when_it_goes() {
    let Some(python) = Peer::find(Home::Tool, "python3") else {
        return;
    };
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("ledger.db");
    let (stage, _) = over(&file);
    visit(&stage.proxy, "front", Offer::default(), 5);
    ledger(&stage.proxy);
    let lock = "import sqlite3, sys\nledger = sqlite3.connect(sys.argv[1], isolation_level=None)\nledger.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.read()";
    let mut command = python.command();
    command.arg("-c").arg(lock).arg(&file);
    let mut holder = portcullis_e2e::process::Process::spawn_waiting(command);
    holder.line("locked");
    visit(&stage.proxy, "front", Offer::default(), 5);
    stage.proxy.connections_become(0);
    let failed = || stage.proxy.metric("portcullis_ledger_flushes_total", &["failed"]);
    wait_for("a flush fails under the lock", || failed() > 0.0);
    // reading is not held up by a writer
    assert_eq!(by(&ledger(&stage.proxy), |_, _| ()), BTreeMap::from([((), (1, 10))]));
    visit(&stage.proxy, "front", Offer::default(), 5);
    stage.proxy.connections_become(0);
    assert!(stage.proxy.metric("portcullis_ledger_waiting", &[]) > 0.0);
    holder.end_input();
    wait_for("what waited is written", || {
        by(&ledger(&stage.proxy), |_, _| ()) == BTreeMap::from([((), (3, 30))])
    });
    assert_eq!(stage.proxy.metric("portcullis_ledger_dropped_total", &[]), 0.0);
    let warned = stage.proxy.lines("ledger not written, its figures wait in memory");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert_eq!(stage.proxy.lines("ledger is written again").len(), 1);
}

#[test]
fn a_reload_changes_file_addresses_and_labels() {
    let folder = TempDir::new().expect("a temporary folder");
    let [one, two] = ["one.db", "two.db"].map(|name| folder.path().join(name));
    let (stage, _) = over(&one);
    visit(&stage.proxy, "front", Offer::default(), 5);
    let toml = Front::new(&both(&stage.pki), stage.upstream.address())
        .top(&format!("ledger = {{ path = {two:?}, addresses = \"full\" }}"))
        .site("label = \"public\"")
        .toml();
    stage.proxy.connections_become(0);
    stage.proxy.reload(&toml).expect("a good configuration");
    visit(&stage.proxy, "front", Offer::default(), 7);
    let read = ledger(&stage.proxy);
    assert_eq!(
        (read.clients[0].network.as_str(), read.sites[0].label.as_str()),
        ("127.0.0.1", "public")
    );
    assert_eq!(by(&read, |_, _| ()), BTreeMap::from([((), (1, 14))]));
    let before = portcullis_proxy::ledger::read(&one, EVER).expect("the old file can be read");
    assert_eq!(
        (by(&before, |_, _| ()), before.clients[0].network.as_str()),
        (BTreeMap::from([((), (1, 10))]), "127.0.0.0/24")
    );
    // moved away by whoever rotates files
    fs::rename(&two, folder.path().join("old.db")).expect("it can be moved");
    visit(&stage.proxy, "front", Offer::default(), 9);
    assert_eq!(
        by(&ledger(&stage.proxy), |_, _| ()),
        BTreeMap::from([((), (1, 18))]),
        "a new one begins"
    );
}

#[test]
fn two_proxies_write_one_ledger() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("ledger.db");
    let (stage, toml) = over(&file);
    let other = Proxy::start(&toml);
    let upstream: &Upstream = &stage.upstream;
    for _ in 0..20 {
        for proxy in [&stage.proxy, &other] {
            visit(proxy, "front", Offer::default(), 1);
            ledger(proxy);
        }
    }
    assert_eq!(upstream.connections(), 40);
    ledger(&stage.proxy);
    assert_eq!(by(&ledger(&other), |_, _| ()), BTreeMap::from([((), (40, 80))]));
}
