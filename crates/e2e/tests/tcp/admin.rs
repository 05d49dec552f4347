//! The admin listener on an address: its token, and what a reload does to it.
use portcullis_e2e::{
    PATIENCE,
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

/// The status code of a request.
fn asked(admin: SocketAddr, request: &str, headers: &str) -> String {
    let mut socket = TcpStream::connect(admin).expect("the admin listener");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    write!(socket, "{request} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    answer.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn the_token_is_asked_for_and_a_reload_takes_a_new_one_in_place() {
    let upstream = Upstream::start(Manner::Echo);
    let folder = tempfile::TempDir::new().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "first\n").unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let toml = format!(
        "log = {{ format = 'json' }}\nadmin = {{ listen = '{admin}', token_file = '{}' }}\n\
        [[listener]]\nname = 'front'\nlisten = ['127.0.0.1:0']\nplain = true\n\
        [[site]]\nname = 'all'\nupstream = 'backend'\n\
        [upstream.backend]\nservers = ['{}']\n",
        token.display(),
        upstream.address(),
    );
    let proxy = Proxy::start(&toml);
    let with = |host: &str, token: &str| format!("Host: {host}\r\nAuthorization: Bearer {token}\r\n");
    for (request, headers, status) in [
        ("GET /healthz", "Host: localhost\r\n".to_owned(), "200"),
        ("GET /readyz", "Host: localhost\r\n".to_owned(), "200"),
        ("GET /v1/status", "Host: localhost\r\n".to_owned(), "401"),
        ("GET /v1/status", with("localhost", "second"), "401"),
        ("GET /v1/status", with("rebound.example", "first"), "421"),
        ("GET /v1/status", with("localhost", "first"), "200"),
        ("GET /metrics", with("127.0.0.1:9443", "first"), "200"),
        ("POST /v1/status", with("localhost", "first"), "405"),
        ("GET /v1/adoption", with("localhost", "second"), "401"),
        ("GET /v1/adoption", with("localhost", "first"), "200"),
        ("GET /v1/adoption?since=30d", with("localhost", "first"), "200"),
        ("GET /v1/adoption?since=soon", with("localhost", "first"), "400"),
        ("GET /v1/adoption?site=nowhere", with("localhost", "first"), "404"),
        ("POST /v1/adoption", with("localhost", "first"), "405"),
        ("GET /v1/ledger", with("localhost", "second"), "401"),
        ("GET /v1/ledger?from=0", with("localhost", "first"), "200"),
        ("GET /v1/nothing", with("localhost", "first"), "404"),
    ] {
        assert_eq!(asked(admin, request, &headers), status, "{request} {headers:?}");
    }
    fs::write(&token, "").unwrap();
    assert!(proxy.reload(&toml).is_err(), "an empty token changes nothing");
    assert_eq!(asked(admin, "GET /v1/status", &with("localhost", "first")), "200");
    fs::write(&token, "second").unwrap();
    proxy.reload(&toml).unwrap();
    assert_eq!(asked(admin, "GET /v1/status", &with("localhost", "first")), "401");
    assert_eq!(asked(admin, "GET /v1/status", &with("localhost", "second")), "200");
}
