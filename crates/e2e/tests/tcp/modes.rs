//! Sites of requests and sites of bytes beside each other.
use portcullis_e2e::{
    PATIENCE,
    client::{Client, Offer},
    front::certificates,
    pki::{Algorithm, Pki},
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

const HEAD: &str =
    "log = { format = \"json\", access = \"-\" }\n[[listener]]\nname = \"front\"\nlisten = [\"127.0.0.1:0\"]\n";

fn site(name: &str, rest: &str) -> String {
    format!("[[site]]\nname = {name:?}\nnames = [\"{name}.localhost\"]\n{rest}\n")
}

fn asking(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}.localhost\r\nConnection: close\r\n\r\n")
}

#[test]
fn a_tcp_and_an_http_site_share_a_listener_whatever_its_mode_and_keep_apart() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let certificates = certificates(&[pki.server(Algorithm::EcdsaP256)]);
    let back = format!("[upstream.back]\nservers = [\"{}\"]\n", upstream.address());
    for mode in ["tcp", "http"] {
        let bytes = site("bytes", &format!("mode = \"tcp\"\n{certificates}\nupstream = \"back\""));
        let requests = format!("mode = \"http\"\n{certificates}\n[[site.route]]\nrespond = {{ body = \"by routes\" }}");
        let proxy = Proxy::start(&format!(
            "{HEAD}mode = {mode:?}\n{bytes}{}{back}",
            site("requests", &requests)
        ));
        let connect = |name: &str| {
            let client = Client::new(Offer::default().named(name));
            client.connect(proxy.address()).expect("a handshake")
        };
        let mut conversation = connect("bytes.localhost");
        conversation.echo(b"no request at all");
        conversation.close();
        for (host, status) in [("requests", "200"), ("bytes", "421")] {
            let mut conversation = connect("requests.localhost");
            conversation
                .write_all(asking(host).as_bytes())
                .expect("it takes a request");
            let answer = conversation.read_to_close().expect("an answer");
            let answer = String::from_utf8_lossy(&answer);
            assert_eq!(answer.split(' ').nth(1), Some(status), "{mode} {host}: {answer}");
        }
    }
}

#[test]
fn without_tls_sites_of_requests_are_told_apart_by_their_hosts_whatever_the_listeners_mode() {
    let respond = |body: &str| format!("mode = \"http\"\n[[site.route]]\nrespond = {{ body = {body:?} }}");
    let sites = site("one", &respond("first")) + &site("two", &respond("second"));
    for mode in ["tcp", "http"] {
        let proxy = Proxy::start(&format!("{HEAD}plain = true\nmode = {mode:?}\n{sites}"));
        for (host, expected) in [("one", "first"), ("two", "second"), ("none", "421")] {
            let mut socket = TcpStream::connect(proxy.address()).expect("it listens");
            socket.set_read_timeout(Some(PATIENCE)).expect("an open socket");
            socket.write_all(asking(host).as_bytes()).expect("it takes a request");
            let mut answer = String::new();
            socket.read_to_string(&mut answer).expect("an answer");
            assert!(answer.contains(expected), "{mode} {host}: {answer}");
        }
    }
}
