//! The same choices and facts over QUIC, with quinn at both ends of a loopback socket.
use crate::lab::groups;
use portcullis_tls::{
    client::{Client, ClientSpec},
    negotiated::Negotiated,
    profile::Overrides,
    quic::{Acceptor, Answer, End, Gate, Outcome, VERSION, alert_in},
    server::{Choice, Refusal, Server, ServerSpec},
    tickets::Tickets,
};
use portcullis_wire::{Hello, alert::Alert};
use quinn::{Connection, ConnectionError, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime};
use std::{
    net::{Ipv4Addr, UdpSocket},
    sync::Arc,
    time::Duration,
};

mod choices;
mod clients;
mod endings;
mod hellos;

/// Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sites by name, and what became of the one connection that it is asked about.
struct Door {
    sites: Vec<(&'static str, Arc<Server>)>,
    nameless: Option<Arc<Server>>,
    verdict: Result<(), Alert>,
    refusal: Option<Refusal>,
    admitted: Option<Negotiated>,
}

impl Door {
    /// One server for whoever comes.
    fn of(server: &Arc<Server>) -> Door {
        Door {
            sites: Vec::new(),
            nameless: Some(Arc::clone(server)),
            verdict: Ok(()),
            refusal: None,
            admitted: None,
        }
    }

    fn find(&self, name: Option<&str>) -> Option<&Arc<Server>> {
        let named = self.sites.iter().find(|(site, _)| Some(*site) == name);
        named.map(|(_, server)| server).or(self.nameless.as_ref())
    }
}

impl Gate for Door {
    fn choose(&mut self, hello: &Hello) -> Result<(Arc<Server>, Choice), Alert> {
        let server = Arc::clone(self.find(hello.sni.as_deref()).ok_or(Alert::UNRECOGNIZED_NAME)?);
        match server.choose(hello) {
            Ok(choice) => Ok((server, choice)),
            Err(refusal) => {
                self.refusal = Some(refusal);
                Err(refusal.alert())
            }
        }
    }

    fn admit(&mut self, _hello: &Hello, facts: &Negotiated) -> Result<(), Alert> {
        self.admitted = Some(facts.clone());
        self.verdict
    }
}

/// Both ends of a handshake that may have failed.
struct Met {
    outcome: Outcome<Door>,
    /// As the server sees it.
    ours: Result<Connection, ConnectionError>,
    /// As the client does: a byte came, or why not.
    theirs: Result<Connection, ConnectionError>,
    answer: Answer,
    /// They live as long as their connections.
    _ends: (Endpoint, Endpoint),
}

impl Met {
    /// The facts, which both ends must agree on.
    fn facts(&self) -> &Negotiated {
        let End::Negotiated(facts) = &self.outcome.end else {
            panic!("{:?}, {:?}", self.outcome.end, self.theirs.as_ref().err());
        };
        assert!(self.ours.is_ok() && self.theirs.is_ok());
        assert_eq!(self.outcome.gate.admitted.as_ref(), Some(facts));
        let seen = self.answer.facts.as_ref().expect("the client has finished");
        let known_here = Negotiated {
            client: None,
            retry: seen.retry,
            ..facts.clone()
        };
        assert_eq!(*seen, known_here);
        // of a resumed handshake rustls does not say whether a retry came before
        assert!(facts.resumed || seen.retry == facts.retry);
        facts
    }

    /// The alert that ended it, which must have reached the client.
    fn alert(&self) -> Alert {
        let heard = match &self.theirs {
            Err(error) => alert_in(error),
            Ok(_) => None,
        };
        assert_eq!(heard, self.outcome.alert_out, "{:?}", self.outcome.end);
        heard.expect("it was refused")
    }
}

fn endpoint(server: Option<ServerConfig>) -> Endpoint {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let mut config = EndpointConfig::default();
    config.supported_versions(vec![VERSION]);
    Endpoint::new(config, server, socket, Arc::new(TokioRuntime)).expect("a runtime is there")
}

/// How the server takes a client in.
#[derive(Clone, Copy, PartialEq)]
enum Welcome {
    AtOnce,
    AfterRetry,
}

async fn meet(door: Door, client: &Client, name: &str) -> Met {
    welcomed(door, (client, name), Welcome::AtOnce).await
}

async fn welcomed(door: Door, (client, name): (&Client, &str), welcome: Welcome) -> Met {
    let acceptor = Acceptor::new();
    let listener = endpoint(Some(ServerConfig::with_crypto(acceptor.for_endpoint())));
    let caller = endpoint(None);
    let address = listener.local_addr().expect("it is bound");
    let (crypto, asked) = client.over_quic(&acceptor);
    let connecting = caller.connect_with(quinn::ClientConfig::new(crypto), address, name);
    let connecting = connecting.expect("the name is one");
    let both = async { tokio::join!(serve(&listener, &acceptor, (door, welcome)), ask(connecting)) };
    let ((outcome, ours), theirs) = tokio::time::timeout(PATIENCE, both).await.expect("it ends");
    Met {
        outcome,
        ours,
        theirs,
        answer: asked.answer(),
        _ends: (listener, caller),
    }
}

async fn serve(
    listener: &Endpoint,
    acceptor: &Acceptor,
    (door, welcome): (Door, Welcome),
) -> (Outcome<Door>, Result<Connection, ConnectionError>) {
    let mut incoming = listener.accept().await.expect("somebody comes");
    if welcome == Welcome::AfterRetry {
        incoming.retry().expect("it was not asked yet");
        incoming = listener.accept().await.expect("it comes back");
        assert!(incoming.remote_address_validated());
    }
    let (crypto, handshake) = acceptor.begin(door);
    let connection = accepted(incoming, ServerConfig::with_crypto(crypto)).await;
    if let Ok(connection) = &connection {
        let mut stream = connection.open_uni().await.expect("a stream may be opened");
        stream.write_all(b"x").await.expect("there is room for a byte");
        stream.finish().expect("it was not finished before");
    }
    (handshake.take().expect("it was not taken before"), connection)
}

async fn accepted(incoming: Incoming, config: ServerConfig) -> Result<Connection, ConnectionError> {
    incoming.accept_with(Arc::new(config))?.await
}

async fn ask(connecting: quinn::Connecting) -> Result<Connection, ConnectionError> {
    let connection = connecting.await?;
    let mut stream = connection.accept_uni().await?;
    // tickets come before it
    let byte = stream.read_to_end(1).await.expect("it is not reset");
    assert_eq!(byte, b"x");
    Ok(connection)
}

fn over_quic(spec: ServerSpec) -> Arc<Server> {
    shared(spec, &Tickets::new())
}

fn shared(spec: ServerSpec, tickets: &Arc<Tickets>) -> Arc<Server> {
    let spec = spec.over_quic().expect("the profile has TLS 1.3");
    Arc::new(Server::build(spec, tickets).expect("it has what it needs"))
}

fn h3(spec: ClientSpec) -> Client {
    let spec = ClientSpec {
        alpn: vec![b"h3".to_vec()],
        ..spec
    };
    Client::build(spec).expect("the groups are known")
}

fn remembering(spec: ClientSpec) -> Client {
    h3(ClientSpec { resumption: 8, ..spec })
}

fn listing(names: &[&str]) -> Overrides {
    Overrides {
        groups: Some(groups(names)),
        ..Overrides::default()
    }
}
