//! A crowd of known composition: who of it meets a policy that requires a quantum-safe key exchange is known beforehand.
use crate::{
    client::{Client, Conversation, Failed, Offer, Session, Versions, alert_in},
    wire::Wire,
};
use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use socket2::{Domain, Socket, Type};
use std::{
    collections::BTreeSet,
    io::Read,
    net::{Ipv4Addr, SocketAddr},
};

/// One of the crowd.
#[derive(Clone, Debug)]
pub struct Guest {
    /// A word for it.
    pub name: &'static str,
    /// What it offers.
    pub offer: Offer,
    /// Where it comes from.
    pub from: Ipv4Addr,
    /// It comes twice, and resumes its session the second time.
    pub resumes: bool,
}

/// Sets of guests by their names.
pub type Names = BTreeSet<&'static str>;

/// Names of guests as a set.
pub fn names(all: &[&'static str]) -> Names {
    all.iter().copied().collect()
}

impl Guest {
    /// One from this machine, who comes once.
    pub fn new(name: &'static str, offer: Offer) -> Guest {
        Guest {
            name,
            offer,
            from: Ipv4Addr::LOCALHOST,
            resumes: false,
        }
    }

    /// The same from another address of the loopback network.
    pub fn from(mut self, last: u8) -> Guest {
        self.from = Ipv4Addr::new(127, 0, 0, last);
        self
    }

    /// The same, coming twice.
    pub fn resuming(mut self) -> Guest {
        self.resumes = true;
        self
    }

    /// A client of its kind.
    pub fn client(&self) -> Client {
        Client::new(self.offer.clone())
    }

    /// A wire from its address, whose local end the record of its connection names.
    pub fn wire(&self, to: SocketAddr) -> (Wire, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // a port taken by bind may be one of a connection whose record is there already; connect takes the next
        setsockopt(&socket, IpBindAddressNoPort, &true).expect("a kernel since 4.2");
        let bound = socket.bind(&SocketAddr::from((self.from, 0)).into());
        bound.expect("every address of 127.0.0.0/8 is this machine's");
        socket.connect(&to.into()).expect("it listens");
        let wire = Wire::over(socket.into()).expect("an open socket");
        let local = wire.local().expect("a TCP connection");
        (wire, local)
    }
}

/// By share, by retry, by neither; TLS 1.2; resumed; from where, as whom and asking for what some may be let off.
pub fn crowd() -> Vec<Guest> {
    let only_13 = |groups: &str| Offer::groups(groups).versions(Versions::Only13);
    let tls12 = || Offer::groups("X25519:P-256").versions(Versions::Only12);
    vec![
        Guest::new("pq by share", Offer::groups("X25519MLKEM768:X25519")),
        Guest::new("pq by retry", Offer::groups("*X25519:X25519MLKEM768")),
        Guest::new("another pq by retry", Offer::groups("*P-256:SecP256r1MLKEM768")),
        Guest::new("pq of no use here", only_13("*X25519:MLKEM512")),
        Guest::new("classical", only_13("X25519")),
        Guest::new("classical by retry", only_13("*P-521:P-256")),
        Guest::new("tls 1.2", tls12()),
        Guest::new("pq resumed", only_13("X25519MLKEM768")).resuming(),
        Guest::new("classical resumed", only_13("X25519")).resuming(),
        Guest::new("tls 1.2 resumed", tls12()).resuming(),
        Guest::new("pq from afar", Offer::groups("X25519MLKEM768")).from(2),
        Guest::new("classical from afar", only_13("X25519")).from(2),
        Guest::new("tls 1.2 from afar", tls12()).from(2),
        Guest::new("classical from afar, resumed", only_13("X25519"))
            .from(2)
            .resuming(),
        Guest::new("classical from where it is over", only_13("X25519")).from(3),
        Guest::new("classical under an old name", only_13("X25519").named("a.test")),
        Guest::new(
            "classical under an old name, from where both are needed",
            only_13("X25519").named("b.test"),
        )
        .from(4),
        Guest::new("classical from where both are needed", only_13("X25519")).from(4),
    ]
}

/// Those of [`crowd`] who have no quantum-safe key exchange.
pub const BROKEN: [&str; 13] = [
    "pq of no use here",
    "classical",
    "classical by retry",
    "tls 1.2",
    "classical resumed",
    "tls 1.2 resumed",
    "classical from afar",
    "tls 1.2 from afar",
    "classical from afar, resumed",
    "classical from where it is over",
    "classical under an old name",
    "classical under an old name, from where both are needed",
    "classical from where both are needed",
];

/// Lets off who is from afar, asks for the old name, or does both at a third place; and once let off another.
pub const EXEMPTIONS: &str = r#"
    { cidr = "127.0.0.2", until = "2999-12-31", reason = "far" },
    { cidr = "127.0.0.3", until = "2026-01-31", reason = "over" },
    { sni = "a.test", until = "2999-12-31" },
    { cidr = "127.0.0.4", sni = "b.test", until = "2999-12-31" }"#;

/// Those of [`BROKEN`] whom [`EXEMPTIONS`] let off.
pub const EXEMPT: [&str; 5] = [
    "classical from afar",
    "tls 1.2 from afar",
    "classical from afar, resumed",
    "classical under an old name",
    "classical under an old name, from where both are needed",
];

/// The alert that a conversation ends with; None: it goes on and answers.
pub fn refusal(connected: Result<Conversation, Failed>) -> Option<u8> {
    match connected {
        Err(failed) => Some(failed.alert.expect("a refusal is told by an alert")),
        Ok(mut conversation) => match conversation.exchange(b"let me in") {
            Ok(_) => {
                conversation.close();
                None
            }
            Err(error) => {
                // in TLS 1.3 it comes with the first read, and writing may fail before
                let heard = alert_in(&error);
                let read = || alert_in(&conversation.read(&mut [0; 1]).expect_err("it is refused"));
                Some(heard.or_else(read).expect("a refusal is told by an alert"))
            }
        },
    }
}

/// A session of its own, from a connection before; None where that was refused.
pub fn session_of(client: &Client, connected: Result<Conversation, Failed>) -> Option<Session> {
    let mut conversation = connected.ok()?;
    // with TLS 1.3 it comes with the first bytes read
    conversation.exchange(b"remember me").ok()?;
    conversation.close();
    client.session()
}
