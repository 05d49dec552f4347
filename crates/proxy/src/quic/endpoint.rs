//! A core's end of a shared port: clients are let in, and nothing but the next one is awaited.
use super::{
    connection,
    ids::Mint,
    socket::{CoreSocket, Group},
};
use crate::{
    core::Core,
    failure::{Failure, Stage},
    listener::{
        Listener,
        accept::{Accepted, Kept, enter},
        gate::Permit,
    },
    record::Peer,
    snapshot::Door,
};
use portcullis_tls::failure::Fault;
use quinn::{Endpoint, Incoming, TokioRuntime, VarInt};
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{select, sync::oneshot, task::spawn_local, time::timeout};

/// Until those that are cut were told so.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// H3_NO_ERROR (RFC 9114 8.1).
const NO_ERROR: VarInt = VarInt::from_u32(0x100);

/// Opens this core's endpoint of a group.
pub(crate) fn open(core: &Core, group: &Arc<Group>, socket: UdpSocket) -> io::Result<Endpoint> {
    let common = &core.shared.quic;
    let socket = CoreSocket::new(group, core.index, socket)?;
    let (ids, index, lane) = (group.ids().clone(), core.index, core.request_id());
    let mut config = common.endpoint.clone();
    config.cid_generator(move || Box::new(Mint::new(&ids, index, lane)));
    let (server, runtime) = (common.server.clone(), Arc::new(TokioRuntime));
    Endpoint::new_with_abstract_socket(config, Some(server), Arc::new(socket), runtime)
}

/// Lets clients in until told to stop; what still runs then is cut.
pub(crate) async fn serve(
    core: Rc<Core>,
    (endpoint, group): (Endpoint, Arc<Group>),
    door: Door,
    mut stop: oneshot::Receiver<()>,
) {
    loop {
        let incoming = select! {
            biased;
            _ = &mut stop => break,
            incoming = endpoint.accept() => incoming,
        };
        match incoming {
            Some(incoming) => take(&core, &group, &door, incoming),
            None => break,
        }
    }
    endpoint.close(NO_ERROR, b"");
    let _ = timeout(LAST_WORDS, endpoint.wait_idle()).await;
}

/// Counts a new connection in and starts it, or says no as cheaply as it can.
fn take(core: &Rc<Core>, group: &Arc<Group>, door: &Door, incoming: Incoming) {
    let listener = core.shared.live.load().listener(door).cloned();
    let listener = listener.filter(|listener| listener.quic.is_some() && !core.quiet.is_ending());
    let Some(listener) = listener else {
        return incoming.refuse();
    };
    let peer = incoming.remote_address();
    // an address that anyone may have written gets no key operation while there are many
    let (rate, now) = (&listener.gate.handshakes, Instant::now());
    let unproven = match incoming.remote_address_validated() {
        true => Some(None),
        false if rate.is_short(now) => None,
        false => core.shared.unproven().map(Some),
    };
    let Some(unproven) = unproven else {
        // it cannot fail: who is not proven was not asked before
        let _ = incoming.retry();
        return;
    };
    let mut record = core.record(&listener, Peer::Ip(peer));
    let entered = admit(core, &listener, peer).and_then(|entered| match rate.admits(now) {
        true => Ok(entered),
        false => Err(refused(Stage::Handshake, "more handshakes a second than the limit")),
    });
    match entered {
        Err(failure) => {
            record.end(Err(failure));
            incoming.refuse();
        }
        Ok((permit, (place, mut handshaking))) => {
            if let (Some(handshaking), Some(unproven)) = (&mut handshaking, unproven) {
                handshaking.is_unproven(unproven);
            }
            let kept = Kept::here(core, permit, place, &listener);
            let accepted = Accepted {
                listener,
                record,
                handshaking,
                kept,
            };
            let open = group.enter();
            // the task ends by itself, by its deadlines, or with the runtime at the end of a drain
            spawn_local(connection::run(core.clone(), incoming, accepted, open));
        }
    }
}

type Entered = (Permit, crate::listener::accept::Entered);

/// The listener's lists and limits.
fn admit(core: &Core, listener: &Listener, peer: SocketAddr) -> Result<Entered, Failure> {
    if listener.is_announced_by(peer.ip()) && !listener.denies(peer.ip()) {
        let error = "a PROXY protocol header is required from this address, and QUIC has none";
        return Err(refused(Stage::ProxyHeader, error));
    }
    let permit = listener.gate.permits.try_acquire();
    let permit = permit.ok_or_else(Failure::too_many_connections)?;
    Ok((permit, enter(core, listener, &Peer::Ip(peer))?))
}

fn refused(stage: Stage, error: &'static str) -> Failure {
    Failure::refused(stage, Fault::Operator, error)
}
