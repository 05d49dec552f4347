//! The PROXY protocol on the way in: who connects from a listed network says first for whom, and from then on that is
//! the peer. From elsewhere no header is read, so that nobody can pretend.
use super::{
    Listener,
    accept::{Handshaking, place},
    gate::Place,
};
use crate::{
    core::Core,
    failure::{Failure, Stage},
    peek::NoHello,
    record::{Peer, Record},
    socket::Socket,
};
use portcullis_tls::failure::Fault;
use portcullis_wire::proxy_header::{self, Header, Progress};
use std::{
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::time::Instant;

/// Reads the header where one must come, and puts the connection under the limits of the client it names.
pub(crate) async fn introduce(
    core: &Core,
    socket: &mut Socket,
    listener: &Listener,
    (record, handshaking): (&mut Record, &mut Option<Handshaking>),
) -> Result<Option<Place>, NoHello> {
    let Peer::Ip(direct) = *record.peer() else {
        return Ok(None);
    };
    if !listener.is_announced_by(direct.ip()) {
        return Ok(None);
    }
    record.reach(Stage::ProxyHeader);
    let limits = &listener.plan.limits;
    let limit: Option<Duration> = [limits.hello, limits.handshake].into_iter().flatten().min();
    let deadline = limit.map(|limit| Instant::from_std(record.began() + limit));
    let header = core.wheel.within(deadline, receive(socket)).await;
    let header = header.ok_or_else(|| failed("deadline passed"))??;
    if let Header::Proxied { source, destination } = header {
        record.announced(source, destination);
        return admit(core, listener, (source, handshaking)).map_err(NoHello::Failed);
    }
    // it speaks for itself: a health check
    admit(core, listener, (direct, handshaking)).map_err(NoHello::Failed)
}

/// The lists and limits that accept could not apply.
fn admit(
    core: &Core,
    listener: &Listener,
    (client, handshaking): (SocketAddr, &mut Option<Handshaking>),
) -> Result<Option<Place>, Failure> {
    let refused = |error: &'static str| Failure::refused(Stage::Accept, Fault::Operator, error);
    let address: IpAddr = client.ip();
    if listener.denies(address) {
        return Err(refused("address denied"));
    }
    if let Some(handshaking) = handshaking {
        handshaking.is_of(core.shared.handshake_of(address).map_err(refused)?);
    }
    place(listener, address)
}

/// The header, and not a byte of what follows.
async fn receive(socket: &mut Socket) -> Result<Header, NoHello> {
    let mut bytes = Vec::new();
    loop {
        let more = match proxy_header::read(&bytes).map_err(|error| failed(error.to_string()))? {
            Progress::Whole(header) => return Ok(header),
            Progress::More(more) => more,
        };
        let had = bytes.len();
        bytes.resize(had + more, 0);
        let read = poll_fn(|cx| socket.poll_read(cx, &mut bytes[had..])).await;
        match read.map_err(|error| NoHello::Failed(Failure::io(Stage::ProxyHeader, Fault::Client, &error)))? {
            0 if had == 0 => return Err(NoHello::Silent),
            0 => return Err(failed("closed in the middle of the PROXY protocol header")),
            read => bytes.truncate(had + read),
        }
    }
}

fn failed(error: impl Into<std::borrow::Cow<'static, str>>) -> NoHello {
    NoHello::Failed(Failure::failed(Stage::ProxyHeader, Fault::Client, error))
}
