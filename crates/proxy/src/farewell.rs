//! Last words to a client that is turned away, so that they arrive.
use crate::{socket::Socket, wheel::Wheel};
use std::{future::poll_fn, io, rc::Rc, time::Duration};
use tokio::time::Instant;

/// How long a client may take to read them.
const LINGER: Duration = Duration::from_secs(1);
/// What it may still send meanwhile. Closing a socket with unread bytes resets it, and a reset takes the words away.
const MAX_UNREAD: usize = 64 * 1024;

/// Writes the words, says that no more will come, and reads what is still on its way. Bounded, and never an error:
/// the connection's fate is decided.
pub(crate) async fn say(wheel: &Rc<Wheel>, socket: &mut Socket, words: &[u8]) {
    // on the heap: every handshake in flight has room for this, and hardly one needs it
    let part = Box::pin(part(socket, words));
    let _ = wheel.within(Some(Instant::now() + LINGER), part).await;
}

async fn part(socket: &mut Socket, mut words: &[u8]) -> io::Result<()> {
    while !words.is_empty() {
        let n = poll_fn(|cx| socket.poll_write(cx, words)).await?;
        words = &words[n..];
    }
    socket.shutdown_write()?;
    let mut unread = 0;
    let mut piece = [0; 512];
    while unread < MAX_UNREAD {
        match poll_fn(|cx| socket.poll_read(cx, &mut piece)).await? {
            0 => break,
            n => unread += n,
        }
    }
    Ok(())
}
