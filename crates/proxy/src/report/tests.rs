//! Figures against ledgers made by hand.
use super::{Adoption, Basis, Breaking, Class, MlDsa, Shares, adoption, merged, of_site};
use crate::ledger::{Client, Extract, Moment, Offer, Row, Site, Sums, Terms, UpstreamRow};

/// 2026-11-13T00:00:00Z
const MONDAY: i64 = 1_794_528_000;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A ledger made by hand.
#[derive(Default)]
struct Book(Extract);

/// So many connections, and so many bytes on them; a request a connection.
fn sums(connections: u64, bytes: u64) -> Sums {
    Sums {
        connections,
        requests: connections,
        bytes_in: bytes / 2,
        bytes_out: bytes - bytes / 2,
        ..Sums::default()
    }
}

fn place<T: PartialEq>(list: &mut Vec<T>, value: T) -> usize {
    list.iter().position(|known| *known == value).unwrap_or_else(|| {
        list.push(value);
        list.len() - 1
    })
}

impl Book {
    fn new() -> Book {
        Book(Extract {
            instance: "one".into(),
            from: MONDAY,
            to: MONDAY + 7 * DAY,
            ..Extract::default()
        })
    }

    /// Connections of a client to a site in hours counted from Monday.
    fn add(
        &mut self,
        (site, client): (&str, Client),
        (offer, terms): (Offer, Terms),
        sums: Sums,
        hours: (i64, i64),
    ) -> &mut Book {
        let extract = &mut self.0;
        let label = if site == "shop" { "cardholder" } else { "" };
        let name = site.into();
        let label = label.into();
        let site = place(&mut extract.sites, Site { name, label });
        let client = place(&mut extract.clients, client);
        let offer = place(&mut extract.offers, offer);
        let terms = place(&mut extract.terms, terms);
        let (first_seen, last_seen) = (MONDAY + hours.0 * HOUR, MONDAY + hours.1 * HOUR);
        extract.rows.push(Row {
            site,
            client,
            offer,
            terms,
            sums,
            first_seen,
            last_seen,
        });
        extract.over_time.push(Moment {
            bucket: last_seen - last_seen % HOUR,
            width: HOUR,
            site,
            terms,
            sums,
        });
        self
    }

    fn figures(&self) -> Adoption {
        adoption(&self.0)
    }
}

fn words(list: &str) -> Vec<String> {
    let each = list.split(',').filter(|word| !word.is_empty());
    each.map(str::to_owned).collect()
}

fn offer(versions: &str, groups: &str, schemes: &str) -> Offer {
    Offer {
        versions: words(versions),
        groups: words(groups),
        shares: Vec::new(),
        schemes: words(schemes),
    }
}

fn known(identity: &str) -> Client {
    Client {
        identity: identity.into(),
        ja4: "t13d3012h2_1d37bd780c83_d339722ba4af".into(),
        network: "192.0.2.0/24".into(),
        ..Client::default()
    }
}

fn nameless(ja4: &str, network: &str, agent: &str) -> Client {
    Client {
        ja4: ja4.into(),
        network: network.into(),
        user_agents: words(agent),
        ..Client::default()
    }
}

fn admitted(group: &str, key_exchange: &str, authentication: &str) -> Terms {
    let safety = match (key_exchange, authentication) {
        ("classical", _) => "none",
        (_, "pq") => "full",
        (_, "unknown") => "unknown",
        _ => "confidential",
    };
    Terms {
        admission: "admitted".into(),
        version: "1.3".into(),
        group: group.into(),
        key_exchange: key_exchange.into(),
        authentication: authentication.into(),
        safety: safety.into(),
        ..Terms::default()
    }
}

/// A client of the classical world.
fn classical() -> (Offer, Terms) {
    let terms = Terms {
        reason: "no_pq_group".into(),
        authentication_reason: "no_ml_dsa".into(),
        whatif_key_exchange: true,
        whatif_authentication: true,
        ..admitted("X25519", "classical", "classical")
    };
    (offer("1.3,1.2", "X25519,secp256r1", "ecdsa_secp256r1_sha256"), terms)
}

/// One that offers everything and got the classical certificate.
fn hybrid() -> (Offer, Terms) {
    let terms = Terms {
        authentication_reason: "site_order".into(),
        ..admitted("X25519MLKEM768", "hybrid", "classical")
    };
    (
        offer("1.3,1.2", "X25519MLKEM768,X25519", "mldsa65,ecdsa_secp256r1_sha256"),
        terms,
    )
}

fn full() -> (Offer, Terms) {
    (hybrid().0, admitted("X25519MLKEM768", "hybrid", "pq"))
}

fn shares(full: u64, confidential: u64, none: u64) -> Shares {
    Shares {
        full,
        confidential,
        none,
    }
}

#[test]
fn shares_are_those_of_what_was_admitted_with_tls_that_can_be_seen() {
    let refused = Terms {
        admission: "refused".into(),
        refused_by: "key_exchange".into(),
        ..classical().1
    };
    let failed = Terms {
        admission: "failed".into(),
        ml_dsa_refused: true,
        ..hybrid().1
    };
    let plain = Terms {
        admission: "admitted".into(),
        safety: "plain".into(),
        ..Terms::default()
    };
    let unseen = admitted("X25519MLKEM768", "hybrid", "unknown");
    let mut book = Book::new();
    book.add(("shop", known("CN=a")), full(), sums(5, 500), (0, 1))
        .add(("shop", known("CN=b")), hybrid(), sums(3, 70), (0, 1))
        .add(("shop", known("CN=c")), classical(), sums(2, 31), (0, 1))
        .add(("api", known("CN=c")), classical(), sums(1, 9), (0, 1))
        .add(
            ("shop", Client::default()),
            (Offer::default(), refused),
            sums(11, 0),
            (0, 1),
        )
        .add(
            ("shop", Client::default()),
            (Offer::default(), failed),
            sums(13, 0),
            (0, 1),
        )
        .add(
            ("wire", Client::default()),
            (Offer::default(), plain),
            sums(17, 1),
            (0, 1),
        )
        .add(("wire", known("CN=d")), (Offer::default(), unseen), sums(19, 2), (0, 1));
    let figures = book.figures();
    assert_eq!(figures.totals.connections, shares(5, 3, 3));
    assert_eq!(figures.totals.requests, shares(5, 3, 3));
    assert_eq!(figures.totals.bytes, shares(500, 70, 40));
    let sites: Vec<_> = figures
        .sites
        .iter()
        .map(|s| (&*s.site, &*s.label, s.split.connections))
        .collect();
    let expected = [
        ("shop", "cardholder", shares(5, 3, 2)),
        ("api", "", shares(0, 0, 1)),
        ("wire", "", shares(0, 0, 0)),
    ];
    assert_eq!(sites, expected);
    assert_eq!((figures.plain.connections, figures.unknown.connections), (17, 19));
    assert_eq!(figures.refusals.refused["key_exchange"], 11);
    assert_eq!((figures.refusals.failed, figures.refusals.ml_dsa_refused), (13, 13));
    assert_eq!(
        (&*figures.from, &*figures.to),
        ("2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z")
    );
}

#[test]
fn exposure_is_what_went_under_classical_keys_by_site_and_label() {
    let mut book = Book::new();
    book.add(("shop", known("CN=a")), classical(), sums(1, 100), (0, 1))
        .add(("api", Client::default()), classical(), sums(1, 11), (0, 1))
        .add(("api", known("CN=a")), hybrid(), sums(1, 1000), (0, 1));
    let exposure = book.figures().exposure;
    assert_eq!(exposure.classical_bytes, 111);
    assert_eq!(
        exposure.by_site.into_iter().collect::<Vec<_>>(),
        [("api".into(), 11), ("shop".into(), 100)]
    );
    assert_eq!(
        exposure.by_label.into_iter().collect::<Vec<_>>(),
        [("cardholder".into(), 100)]
    );
}

#[test]
fn what_would_break_counts_each_client_once_and_those_without_a_name_by_their_connections() {
    let mut other_terms = classical();
    other_terms.1.version = "1.2".into();
    let mut book = Book::new();
    book.add(("shop", known("CN=a")), classical(), sums(2, 20), (0, 1))
        .add(("shop", known("CN=a")), other_terms, sums(1, 5), (0, 1))
        .add(("api", known("CN=a")), classical(), sums(4, 40), (0, 1))
        .add(("shop", Client::default()), classical(), sums(7, 70), (0, 1))
        .add(("shop", known("CN=b")), full(), sums(9, 90), (0, 1));
    let figures = book.figures();
    let breaking = |clients, connections, bytes| Breaking {
        clients,
        connections,
        bytes,
    };
    assert_eq!(figures.would_refuse.key_exchange, breaking(1, 14, 135));
    assert_eq!(figures.would_refuse.authentication.refused, breaking(1, 14, 135));
    let shop = figures.sites.iter().find(|site| site.site == "shop").unwrap();
    assert_eq!(shop.would_refuse.key_exchange, breaking(1, 10, 95));
    assert_eq!(figures.others.connections, shares(0, 0, 7));
    assert!(figures.clients.iter().all(|client| !client.identity.is_empty()));
}

#[test]
fn ml_dsa_is_unproven_until_a_client_once_completed_with_it() {
    let mut proven = known("CN=proven");
    proven.completed_ml_dsa = Some(MONDAY);
    let mut book = Book::new();
    book.add(("shop", proven), hybrid(), sums(1, 10), (0, 1))
        .add(("shop", known("CN=unproven")), hybrid(), sums(2, 20), (0, 1))
        .add(("shop", known("CN=without")), classical(), sums(4, 40), (0, 1));
    let figures = book.figures();
    let authentication = figures.would_refuse.authentication;
    assert_eq!(authentication.refused.connections, 4);
    assert_eq!(
        (authentication.unproven.clients, authentication.unproven.connections),
        (1, 2)
    );
    let of = |name: &str| figures.clients.iter().find(|c| c.identity == name).unwrap().ml_dsa;
    let all = ["CN=proven", "CN=unproven", "CN=without"].map(of);
    assert_eq!(all, [MlDsa::Proven, MlDsa::Unproven, MlDsa::No]);
}

#[test]
fn each_reason_of_the_ledger_is_told_in_words() {
    let old = offer("1.2", "X25519", "");
    let new = offer("1.3,1.2", "X25519,X25519MLKEM768", "");
    let table = [
        ("tls12", &old, "has nothing newer than TLS 1.2"),
        ("tls12", &new, "connects with TLS 1.2, though it offers 1.3"),
        ("no_pq_group", &old, "offers no post-quantum group"),
        (
            "draft_only",
            &offer("1.3", "X25519Kyber768Draft00", ""),
            "offers only a draft of a post-quantum group: X25519Kyber768Draft00",
        ),
        (
            "no_common_group",
            &offer("1.3", "MLKEM1024,X25519", ""),
            "offers only post-quantum groups that the site has not: MLKEM1024",
        ),
        (
            "retry_off",
            &new,
            "lists X25519MLKEM768 without a key share, and retry is off",
        ),
        (
            "client_order",
            &new,
            "lists X25519MLKEM768 after a classical group, and the policy is observe",
        ),
        ("site_classical", &new, "the site offers no post-quantum group"),
    ];
    for (word, offer, sentence) in table {
        let terms = Terms {
            reason: word.into(),
            ..classical().1
        };
        let mut book = Book::new();
        book.add(("shop", known("CN=a")), (offer.clone(), terms), sums(1, 1), (0, 1));
        assert_eq!(book.figures().clients[0].reason, sentence);
    }
    let table = [
        ("tls12", "TLS 1.2 has no ML-DSA"),
        ("no_ml_dsa", "offers no ML-DSA signature"),
        (
            "no_common_scheme",
            "offers no ML-DSA signature that the site has a certificate of",
        ),
        ("site_classical", "the site has no ML-DSA certificate"),
        ("site_order", "the site's classical certificate stands first"),
    ];
    for (word, sentence) in table {
        let (offer, mut terms) = hybrid();
        terms.authentication_reason = word.into();
        let mut book = Book::new();
        book.add(("shop", known("CN=a")), (offer, terms), sums(1, 1), (0, 1));
        assert_eq!(book.figures().clients[0].reason, sentence);
    }
}

#[test]
fn who_is_still_classical_comes_first_and_the_heaviest_of_them_leads() {
    let mut book = Book::new();
    book.add(("shop", known("CN=light")), classical(), sums(9, 10), (0, 1))
        .add(("shop", known("CN=safe")), full(), sums(1, 9000), (0, 1))
        .add(("shop", known("CN=heavy")), classical(), sums(1, 900), (0, 1))
        .add(("shop", known("CN=moved")), classical(), sums(1, 5000), (0, 1))
        .add(("shop", known("CN=moved")), hybrid(), sums(1, 1), (2, 3));
    let clients = book.figures().clients;
    let lines: Vec<_> = clients
        .iter()
        .map(|c| (&*c.client, &*c.identity, c.safety, c.still))
        .collect();
    let expected = [
        ("c1", "CN=heavy", Class::None, true),
        ("c2", "CN=light", Class::None, true),
        ("c3", "CN=moved", Class::None, false),
        ("c3", "CN=moved", Class::Confidential, true),
        ("c4", "CN=safe", Class::Full, true),
    ];
    assert_eq!(lines, expected);
    assert_eq!(clients[0].offered_groups, ["X25519", "secp256r1"]);
    assert_eq!(clients[0].last_seen, "2026-11-13T01:00:00Z");
}

#[test]
fn a_downgrade_is_sure_by_identity_and_a_guess_by_anything_else() {
    let (old, new) = (
        "t13d3012h2_1d37bd780c83_d339722ba4af",
        "t13d291300_723694b0fccc_2cc26d266019",
    );
    let mut book = Book::new();
    book.add(("shop", known("CN=back")), full(), sums(4, 4), (0, 10))
        .add(("shop", known("CN=back")), classical(), sums(2, 8), (20, 30))
        // bit by bit: some of its devices went back
        .add(("shop", known("CN=fleet")), hybrid(), sums(4, 4), (0, 25))
        .add(("shop", known("CN=fleet")), classical(), sums(2, 2), (20, 30))
        // the good way round
        .add(("shop", known("CN=forth")), classical(), sums(4, 4), (0, 10))
        .add(("shop", known("CN=forth")), full(), sums(4, 4), (20, 30))
        // the same on another site is another matter
        .add(("shop", known("CN=two")), full(), sums(4, 4), (0, 10))
        .add(("api", known("CN=two")), classical(), sums(4, 4), (20, 30))
        // the same library, without its groups
        .add(
            ("shop", nameless(old, "198.51.100.0/24", "")),
            hybrid(),
            sums(1, 1),
            (0, 10),
        )
        .add(
            ("shop", nameless(old, "198.51.100.0/24", "")),
            classical(),
            sums(1, 1),
            (20, 30),
        )
        // several devices behind one address take turns
        .add(
            ("shop", nameless(old, "203.0.113.0/24", "")),
            hybrid(),
            sums(1, 1),
            (0, 25),
        )
        .add(
            ("shop", nameless(old, "203.0.113.0/24", "")),
            classical(),
            sums(1, 1),
            (20, 30),
        )
        // another library that says it is the same
        .add(
            ("shop", nameless(old, "2001:db8::/48", "meter/2")),
            hybrid(),
            sums(1, 1),
            (0, 10),
        )
        .add(
            ("shop", nameless(new, "2001:db8::/48", "meter/2")),
            classical(),
            sums(1, 1),
            (20, 30),
        )
        .add(
            ("shop", nameless(new, "2001:db8:1::/48", "meter/2")),
            classical(),
            sums(1, 1),
            (20, 30),
        );
    let found: Vec<_> = book
        .figures()
        .downgraded
        .into_iter()
        .map(|d| (d.identity, d.network, d.by, d.is_guess))
        .collect();
    let line = |identity: &str, network: &str, by, is_guess| (identity.into(), network.into(), by, is_guess);
    let expected = [
        line("CN=back", "192.0.2.0/24", Basis::Identity, false),
        line("CN=fleet", "192.0.2.0/24", Basis::Identity, true),
        line("", "198.51.100.0/24", Basis::Fingerprint, true),
        line("", "2001:db8::/48", Basis::UserAgent, true),
    ];
    assert_eq!(found, expected);
    let back = &book.figures().downgraded[0];
    assert_eq!(back.safe_group, "X25519MLKEM768");
    assert_eq!(
        [&*back.safe_until, &*back.classical_since],
        ["2026-11-13T10:00:00Z", "2026-11-13T20:00:00Z"]
    );
    assert_eq!((&*back.reason, back.bytes), ("offers no post-quantum group", 8));
}

#[test]
fn time_goes_by_the_hour_up_to_three_days_and_by_the_day_beyond() {
    let mut book = Book::new();
    book.add(("shop", known("CN=a")), full(), sums(1, 1), (0, 0)).add(
        ("shop", known("CN=a")),
        classical(),
        sums(2, 1),
        (0, 3),
    );
    let hours = book.figures().over_time;
    let each: Vec<_> = hours.iter().map(|h| (h.seconds, h.split.connections)).collect();
    let none = (HOUR, shares(0, 0, 0));
    assert_eq!(each, [(HOUR, shares(1, 0, 0)), none, none, (HOUR, shares(0, 0, 2))]);
    book.add(("shop", known("CN=a")), hybrid(), sums(5, 1), (0, 4 * 24));
    let days = book.figures().over_time;
    let none = shares(0, 0, 0);
    let each: Vec<_> = days.iter().map(|d| d.split.connections).collect();
    assert_eq!(each, [shares(1, 0, 2), none, none, none, shares(0, 5, 0)]);
    assert_eq!((days[4].seconds, &*days[4].from), (DAY, "2026-11-17T00:00:00Z"));
}

#[test]
fn a_clock_that_was_wrong_makes_periods_longer_and_not_many() {
    let mut book = Book::new();
    book.add(("shop", known("CN=a")), full(), sums(1, 1), (0, 0)).add(
        ("shop", known("CN=a")),
        full(),
        sums(1, 1),
        (-490_000, -490_000),
    );
    let periods = book.figures().over_time;
    assert!(periods.len() <= 400, "{}", periods.len());
    let counted: u64 = periods.iter().map(|p| p.split.connections.total()).sum();
    assert_eq!(counted, 2);
}

#[test]
fn upstreams_are_told_by_server_and_what_each_negotiated() {
    let mut book = Book::new();
    for (server, terms, connections) in [
        ("10.0.0.5:8443", full().1, 3),
        ("10.0.0.5:8443", full().1, 4),
        ("10.0.0.5:8443", classical().1, 1),
        ("10.0.0.4:8443", hybrid().1, 1),
    ] {
        let terms = place(&mut book.0.terms, terms);
        book.0.upstreams.push(UpstreamRow {
            upstream: "api".into(),
            server: server.into(),
            terms,
            connections,
            first_seen: MONDAY,
            last_seen: MONDAY,
        });
    }
    let lines: Vec<_> = book
        .figures()
        .upstreams
        .into_iter()
        .map(|u| (u.server, u.group, u.key_exchange, u.connections))
        .collect();
    let line = |server: &str, group: &str, class: &str, n| (server.to_owned(), group.to_owned(), class.to_owned(), n);
    let expected = [
        line("10.0.0.4:8443", "X25519MLKEM768", "hybrid", 1),
        line("10.0.0.5:8443", "X25519", "classical", 1),
        line("10.0.0.5:8443", "X25519MLKEM768", "hybrid", 7),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn one_site_is_reported_alone_and_an_unknown_one_is_answered_with_those_there_are() {
    let mut book = Book::new();
    book.add(("shop", known("CN=a")), full(), sums(1, 1), (0, 1)).add(
        ("api", known("CN=b")),
        classical(),
        sums(2, 2),
        (0, 1),
    );
    let shop = adoption(&of_site(book.0.clone(), "shop").unwrap());
    assert_eq!(shop.totals.connections, shares(1, 0, 0));
    assert_eq!([shop.sites.len(), shop.clients.len(), shop.over_time.len()], [1, 1, 1]);
    assert_eq!(shop.exposure.classical_bytes, 0);
    let error = of_site(book.0.clone(), "shpo").unwrap_err();
    let words = "no connection of a site \"shpo\" in the ledger; it knows api, shop";
    assert_eq!(error.to_string(), words);
}

#[test]
fn several_ledgers_are_one_and_the_same_one_twice_counts_once() {
    let mut one = Book::new();
    one.add(("shop", known("CN=a")), classical(), sums(1, 10), (5, 6)).add(
        ("shop", nameless("j", "192.0.2.0/24", "x")),
        hybrid(),
        sums(1, 1),
        (5, 6),
    );
    let mut earlier = one.0.clone();
    earlier.rows.truncate(1);
    let mut other = Book::new();
    other.0.instance = "two".into();
    other.0.from -= DAY;
    other
        .add(("api", known("CN=b")), full(), sums(1, 1), (0, 1))
        .add(("shop", known("CN=a")), classical(), sums(2, 20), (1, 2))
        .add(
            ("shop", nameless("j", "192.0.2.0/24", "y")),
            hybrid(),
            sums(1, 1),
            (5, 6),
        );
    let whole = merged(vec![earlier, one.0.clone(), other.0, one.0.clone()]);
    let figures = adoption(&whole);
    assert_eq!(figures.totals.connections, shares(1, 2, 3));
    assert_eq!(figures.clients.len(), 3);
    let a = &figures.clients[0];
    assert_eq!((&*a.identity, a.connections, a.bytes), ("CN=a", 3, 30));
    assert_eq!(
        [&*a.first_seen, &*a.last_seen],
        ["2026-11-13T01:00:00Z", "2026-11-13T06:00:00Z"]
    );
    assert_eq!(figures.clients[1].user_agents, ["x", "y"]);
    assert_eq!(figures.from, "2026-11-12T00:00:00Z");
    let in_time: u64 = figures.over_time.iter().map(|t| t.split.connections.total()).sum();
    assert_eq!(in_time, 6);
    assert_eq!(merged(vec![]), Extract::default());
    assert_eq!(merged(vec![one.0.clone()]), one.0);
}

/// The contract's example, key by key; what we say beyond it stands after.
#[test]
fn the_json_has_the_keys_of_the_contract() {
    let mut book = Book::new();
    book.add(("shop", known("CN=a")), classical(), sums(1, 10), (5, 6));
    let terms = place(&mut book.0.terms, full().1);
    book.0.upstreams.push(UpstreamRow {
        upstream: "api".into(),
        server: "10.0.0.5:8443".into(),
        terms,
        connections: 1,
        first_seen: MONDAY,
        last_seen: MONDAY,
    });
    let json = serde_json::to_value(book.figures()).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let top = [
        "from",
        "to",
        "totals",
        "sites",
        "clients",
        "would_refuse",
        "downgraded",
        "upstreams",
        "exposure",
    ];
    assert_eq!(keys(&json)[..9], top);
    assert_eq!(keys(&json["totals"]), ["connections", "requests", "bytes"]);
    assert_eq!(keys(&json["totals"]["bytes"]), ["full", "confidential", "none"]);
    let site = ["site", "connections", "requests", "bytes"];
    assert!(site.iter().all(|key| !json["sites"][0][key].is_null()), "{json:#}");
    let client = [
        "client",
        "identity",
        "ja4",
        "network",
        "user_agents",
        "site",
        "safety",
        "reason",
        "offered_groups",
        "versions",
        "connections",
        "bytes",
        "first_seen",
        "last_seen",
    ];
    assert!(client.iter().all(|key| !json["clients"][0][key].is_null()), "{json:#}");
    assert_eq!(json["clients"][0]["safety"], "none");
    for rule in ["key_exchange", "authentication"] {
        assert_eq!(
            keys(&json["would_refuse"][rule])[..3],
            ["clients", "connections", "bytes"]
        );
    }
    assert_eq!(
        keys(&json["upstreams"][0])[..4],
        ["upstream", "server", "group", "key_exchange"]
    );
    assert_eq!(keys(&json["exposure"])[..2], ["classical_bytes", "by_site"]);
    assert_eq!(serde_json::from_value::<Adoption>(json).unwrap(), book.figures());
}
