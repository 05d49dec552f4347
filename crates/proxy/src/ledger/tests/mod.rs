//! The ledger as a whole: what is counted, written, folded and read again.
use super::{
    Facts, Ledger, Span, Sums, Told, extract,
    names::Names,
    store::Store,
    write::{Shape, write},
};
use crate::metrics::Label;
use portcullis_tls::{
    fingerprint::Ja4,
    negotiated::{Authentication, ClientAuthentication, Negotiated, Version},
};
use portcullis_wire::{CipherId, GroupId, Hello, SchemeId, ja4::Transport};
use std::net::{IpAddr, Ipv4Addr};

mod counted;
mod crowded;
mod files;

const EVER: Span = Span { from: 0, to: i64::MAX };

fn negotiated(group: u16, authentication: Authentication) -> Negotiated {
    Negotiated {
        version: Version::Tls13,
        group: Some(GroupId(group)),
        retry: false,
        cipher: CipherId(0x1301),
        signature: Some(SchemeId(0x0403)),
        authentication,
        client_authentication: ClientAuthentication::None,
        client: None,
        resumed: false,
        alpn: None,
    }
}

fn hybrid() -> Facts {
    Facts::of(&negotiated(0x11ec, Authentication::Classical), "tcp")
}

/// A hello that no other number makes.
fn hello(number: u16) -> Hello {
    Hello {
        versions: vec![0x0a0a, 0x0304],
        groups: vec![GroupId(0x2a2a), GroupId(0x11ec), GroupId(number)],
        key_shares: vec![(GroupId(0x11ec), 1216)],
        schemes: vec![SchemeId(0x0403)],
        ciphers: vec![CipherId(number)],
        ..Hello::default()
    }
}

/// A ledger without a thread, and what it writes to.
struct Kept {
    ledger: Ledger,
    store: Store,
    names: Names,
    shape: Shape,
    site: Label,
}

impl Kept {
    fn new(store: Store) -> Kept {
        Kept {
            ledger: Ledger::alone(),
            store,
            names: Names::default(),
            shape: Shape::default(),
            site: Label::from("shop"),
        }
    }

    fn in_memory() -> Kept {
        Kept::new(Store::in_memory().expect("memory is there"))
    }

    fn count(&self, (number, network): (u16, u32), facts: Facts, sums: Sums) {
        self.count_hello((&hello(number), network), facts, sums);
    }

    fn count_hello(&self, (hello, network): (&Hello, u32), facts: Facts, sums: Sums) {
        let offered = self.ledger.offered(0, (hello, Ja4::of(hello, Transport::Tcp)));
        self.ledger.connection(
            0,
            Told {
                site: &self.site,
                identity: None,
                from: Some(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + (network << 8)))),
                offered: Some(&offered),
                facts,
                sums,
                agents: &[],
            },
        );
    }

    fn flush(&mut self) {
        let tables = self.ledger.take();
        write(&mut self.store, &tables, (&self.shape, &mut self.names), 1_000_000).expect("the store takes it");
    }

    fn extract(&mut self) -> extract::Extract {
        extract::of(&mut self.store.connection, EVER).expect("the store can be read")
    }

    fn total(&mut self) -> Sums {
        let mut total = Sums::default();
        self.extract().rows.iter().for_each(|row| total += row.sums);
        total
    }
}

fn one(bytes: u64) -> Sums {
    Sums {
        connections: 1,
        requests: 2,
        bytes_in: bytes,
        bytes_out: 3,
        ..Sums::default()
    }
}
