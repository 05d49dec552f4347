//! Ciphertext opened within the buffer that it was read into, on the side of the servers.
use portcullis_tls::rustls::{self, ConnectionCommon};
use std::{io::BufRead, ops::Range};

/// Room left before ciphertext that is read into the caller's buffer, so that the plaintext of a record whose
/// beginning was read before fits in front of what is still to be opened: a record (RFC 8446 5.2) and its header.
const GAP: usize = 16 * 1024 + 256 + 5;
/// Buffers below this have no room for a gap worth having.
const ROOMY: usize = 128 * 1024;

/// Where in a buffer ciphertext is read to, so that [`open`] has room before it.
pub(crate) fn gap(buffer: &[u8]) -> usize {
    if buffer.len() < ROOMY { 0 } else { GAP }
}

/// Decrypts until there is plaintext to take or nothing left, and says how much it took.
pub(crate) fn feed<D>(tls: &mut ConnectionCommon<D>, bytes: &[u8]) -> Result<usize, rustls::Error> {
    let mut rest = bytes;
    while !rest.is_empty() {
        // from memory, reading fails only when plaintext waits to be taken: that is asked below
        if tls.read_tls(&mut rest).unwrap_or(0) == 0 {
            break;
        }
        if tls.process_new_packets()?.plaintext_bytes_to_read() > 0 {
            break;
        }
    }
    Ok(bytes.len() - rest.len())
}

/// Opens ciphertext that stands in a buffer, with its plaintext to the front of that buffer; how much that is, and
/// from where on the ciphertext was not taken. Plaintext never overtakes the ciphertext that is still to be read.
pub(crate) fn open<D>(
    tls: &mut ConnectionCommon<D>,
    buffer: &mut [u8],
    ciphertext: Range<usize>,
) -> Result<(usize, usize), rustls::Error> {
    let (mut filled, mut next) = (0, ciphertext.start);
    while next < ciphertext.end {
        let taken = feed(tls, &buffer[next..ciphertext.end])?;
        next += taken;
        let until = if next == ciphertext.end { buffer.len() } else { next };
        let copied = take(tls, &mut buffer[filled..until]);
        filled += copied;
        if taken == 0 && copied == 0 {
            break;
        }
    }
    Ok((filled, next))
}

/// Plaintext that rustls holds, as much as fits.
pub(crate) fn take<D>(tls: &mut ConnectionCommon<D>, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        let mut reader = tls.reader();
        let Ok(chunk) = reader.fill_buf() else { break };
        if chunk.is_empty() {
            break;
        }
        let n = chunk.len().min(buffer.len() - filled);
        buffer[filled..filled + n].copy_from_slice(&chunk[..n]);
        reader.consume(n);
        filled += n;
    }
    filled
}
