//! gRPC through the proxy: `grpcio`'s client and server, in the clear and over TLS.
use super::{Algorithm, Front, Home, Peer, Pki, Proxy, beside, command, plain, start};

fn ask(peer: &Peer, proxy: &Proxy, ca: Option<&std::path::Path>) {
    let mut command = peer.command();
    command.arg(beside("grpc_peer.py"));
    command.args(["ask", &proxy.address().to_string()]).args(ca);
    let finished = command::run(&mut command, b"");
    assert_eq!(finished.stdout, "all four kinds\n", "{}", finished.all());
}

#[test]
fn all_four_kinds_of_calls_pass_in_the_clear_and_a_cancel_reaches_the_server() {
    let Some(peer) = Peer::find(Home::Python, "python") else {
        return;
    };
    let mut server = start(&peer, "grpc_peer.py", &[]);
    let proxy = plain(server.address, r#"http = "h2c""#);
    ask(&peer, &proxy, None);
    assert_eq!(server.line(), "cancelled");
}

#[test]
fn all_four_kinds_of_calls_pass_over_tls_where_alpn_decides() {
    let Some(peer) = Peer::find(Home::Python, "python") else {
        return;
    };
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let mut server = start(&peer, "grpc_peer.py", &[&files.chain, &files.key]);
    for line in ["", "http = \"2\"\n"] {
        let tls = format!("{line}tls = {{ ca = {:?}, server_name = \"localhost\" }}", pki.roots());
        let front = Front::new(std::slice::from_ref(&files), server.address).upstream(&tls);
        let proxy = Proxy::start(&front.toml().replace(r#"mode = "tcp""#, r#"mode = "http""#));
        ask(&peer, &proxy, Some(&pki.roots()));
        assert_eq!(server.line(), "cancelled");
    }
}
