use super::*;
use portcullis_tls::negotiated::{Authentication, ClientAuthentication, Version};
use portcullis_wire::{CipherId, GroupId, SchemeId};

const X25519MLKEM768: GroupId = GroupId(0x11ec);
const MLDSA65: SchemeId = SchemeId(0x0905);

fn facts() -> Negotiated {
    Negotiated {
        version: Version::Tls13,
        group: Some(X25519MLKEM768),
        retry: false,
        cipher: CipherId(0x1301),
        signature: Some(MLDSA65),
        authentication: Authentication::Pq,
        client_authentication: ClientAuthentication::Pq,
        client: None,
        resumed: false,
        alpn: None,
    }
}

fn networks(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn told(peer: &str, trusted: &[&str], facts: Option<&Negotiated>) -> Told {
    Told::new(&Spoken {
        peer: peer.parse().ok(),
        trusted: &networks(trusted),
        facts,
        chain: &[],
        forward: ForwardPlan::Identity,
    })
}

fn fields<'a>(lines: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = Field<'a>> + Clone {
    lines.iter().map(|(name, value)| Field {
        name,
        value: value.as_bytes(),
    })
}

fn written(told: &Told, host: &str, lines: &[(&str, &str)], trusted: &[&str]) -> Vec<String> {
    let request = Request {
        fields: || fields(lines),
        host,
        client: told.client(fields(lines), &networks(trusted)),
    };
    let mut out = Vec::new();
    told.write(&request, &mut b"scratch".to_vec(), |name, value| {
        out.push(format!("{name}: {}", String::from_utf8_lossy(value)));
    });
    out
}

#[test]
fn a_client_is_told_in_every_form() {
    let lines = written(&told("192.0.2.1", &[], Some(&facts())), "a.example:8443", &[], &[]);
    let expected = [
        "x-forwarded-for: 192.0.2.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: a.example:8443",
        "x-real-ip: 192.0.2.1",
        "forwarded: for=192.0.2.1;proto=https;host=\"a.example:8443\"",
        "portcullis-tls: version=1.3, group=X25519MLKEM768, key_exchange=hybrid, signature=mldsa65, authentication=pq, safety=full, resumed=?0",
    ];
    assert_eq!(lines, expected);
    let lines = written(&told("2001:db8::1", &[], None), "a.example", &[], &[]);
    let expected = [
        "x-forwarded-for: 2001:db8::1",
        "x-forwarded-proto: http",
        "x-forwarded-host: a.example",
        "x-real-ip: 2001:db8::1",
        "forwarded: for=\"[2001:db8::1]\";proto=http;host=a.example",
    ];
    assert_eq!(lines, expected);
    let lines = written(&told("::ffff:192.0.2.1", &[], None), "[::1]", &[], &[]);
    assert_eq!(lines[0], "x-forwarded-for: 192.0.2.1");
    assert_eq!(lines[4], "forwarded: for=192.0.2.1;proto=http;host=\"[::1]\"");
    let lines = written(
        &told("a socket", &[], None),
        "",
        &[("X-Forwarded-For", "10.0.0.1")],
        &[],
    );
    assert_eq!(lines, ["x-forwarded-proto: http", "forwarded: for=unknown;proto=http"]);
}

#[test]
fn a_trusted_proxy_is_believed_and_goes_on_the_chain() {
    let trusted = ["10.0.0.0/8"];
    let lines = [
        ("X-Forwarded-For", "198.51.100.7, 203.0.113.9"),
        ("x-forwarded-for", "10.0.0.2"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example"),
        ("Forwarded", "for=203.0.113.9;proto=https"),
    ];
    let believed = written(&told("10.0.0.1", &trusted, None), "inner", &lines, &trusted);
    let expected = [
        "x-forwarded-for: 198.51.100.7, 203.0.113.9, 10.0.0.2, 10.0.0.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: shop.example",
        "x-real-ip: 203.0.113.9",
        "forwarded: for=203.0.113.9;proto=https, for=10.0.0.1;proto=http;host=inner",
    ];
    assert_eq!(believed, expected);
    let odd = [("X-Forwarded-Proto", "gopher"), ("X-Forwarded-Host", "a b")];
    let lines = written(&told("10.0.0.1", &trusted, None), "inner", &odd, &trusted);
    assert_eq!(lines[1..3], ["x-forwarded-proto: http", "x-forwarded-host: inner"]);
}

#[test]
fn the_client_is_the_last_that_is_no_trusted_proxy() {
    let trusted = ["10.0.0.0/8", "2001:db8::/32"];
    let table: &[(&str, &[&str], &str)] = &[
        ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["6.6.6.6, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["6.6.6.6", "198.51.100.7"], "198.51.100.7"),
        (
            "10.0.0.1",
            &["6.6.6.6, 198.51.100.7, 10.0.0.3", "10.0.0.2"],
            "198.51.100.7",
        ),
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", &["198.51.100.7:1234"], "198.51.100.7"),
        ("10.0.0.1", &["[2001:db9::7]:1234"], "2001:db9::7"),
        ("10.0.0.1", &["[2001:db9::7]"], "2001:db9::7"),
        ("10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.7, , 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &[""], "10.0.0.1"),
    ];
    for (peer, chain, expected) in table {
        let lines: Vec<_> = chain.iter().map(|value| ("X-Forwarded-For", *value)).collect();
        let client = told(peer, &trusted, None).client(fields(&lines), &networks(&trusted));
        assert_eq!(client, expected.parse().ok(), "{peer} {chain:?}");
    }
}

#[test]
fn what_a_resumed_session_has_not_is_left_out() {
    let resumed = Negotiated {
        version: Version::Tls12,
        group: None,
        signature: None,
        authentication: Authentication::Classical,
        resumed: true,
        ..facts()
    };
    let expected = "version=1.2, key_exchange=classical, authentication=classical, safety=none, resumed=?1";
    assert_eq!(tls(&resumed), expected);
    let unknown = Negotiated {
        group: Some(GroupId(0x1234)),
        ..facts()
    };
    assert!(tls(&unknown).starts_with("version=1.3, group=\"0x1234\", key_exchange=classical, "));
}

#[test]
fn text_of_others_cannot_leave_its_quotes() {
    let table = [
        ("CN=agent-7", r#""CN=agent-7""#),
        (r#"CN=a", safety="full"#, r#""CN=a\", safety=\"full""#),
        (r"CN=a\,b", r#""CN=a\\,b""#),
        ("", r#""""#),
        ("CN=Zoë %\"\r\n", "%\"CN=Zo%c3%ab %25%22%0d%0a\""),
    ];
    for (text, expected) in table {
        assert_eq!(Quoted(text).to_string(), expected);
    }
}

#[test]
fn a_certificate_is_told_as_the_operator_chose() {
    let made = rcgen_chain();
    let chain: Vec<&[u8]> = made.iter().map(Vec::as_slice).collect();
    let say = |forward, chain: &[&[u8]]| {
        let facts = facts();
        let told = Told::new(&Spoken {
            peer: None,
            trusted: &[],
            facts: Some(&facts),
            chain,
            forward,
        });
        told.of_connection[1..].to_vec()
    };
    assert_eq!(say(ForwardPlan::None, &chain), []);
    assert_eq!(say(ForwardPlan::Identity, &[]), []);
    let bytes = |der: &[u8]| format!(":{}:", STANDARD.encode(der));
    let digest = bytes(&fingerprint(chain[0]));
    let identity = format!("subject=\"CN=agent-7\", uri=\"spiffe://corp/agent-7\", sha256={digest}, authentication=pq");
    assert_eq!(say(ForwardPlan::Identity, &chain), [("portcullis-client", identity)]);
    let leaf = ("client-cert", bytes(chain[0]));
    assert_eq!(say(ForwardPlan::Cert, &chain), std::slice::from_ref(&leaf));
    assert_eq!(say(ForwardPlan::Chain, &chain[..1]), std::slice::from_ref(&leaf));
    let rest = format!("{}, {}", bytes(chain[1]), bytes(chain[1]));
    assert_eq!(
        say(ForwardPlan::Chain, &[chain[0], chain[1], chain[1]]),
        [leaf, ("client-cert-chain", rest)]
    );
}

/// A leaf with a URI, and another certificate in the place of its issuer.
fn rcgen_chain() -> Vec<Vec<u8>> {
    let make = |name: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let uri = format!("spiffe://corp/{name}").try_into().expect("a URI is ASCII");
        params.subject_alt_names = vec![rcgen::SanType::URI(uri)];
        let key = rcgen::KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    };
    vec![make("agent-7"), make("ca")]
}
