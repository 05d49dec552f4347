//! A socket that keeps what passes, and can cut a first flight as no sane client does.
use crate::PATIENCE;
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::Duration,
};

/// How much of each direction is kept: more than any handshake of ours (ML-DSA-87 chains both ways: 45 KiB).
const KEPT: usize = 64 * 1024;

/// Enough for the reader to run between two packets; were it too short, both would be read as one and
/// the cut not tested, never the test failed.
const BETWEEN_PACKETS: Duration = Duration::from_micros(200);

/// `SHA-256("HelloRetryRequest")`, the random of a ServerHello that asks again (RFC 8446, 4.1.3).
const RETRY_RANDOM: [u8; 32] = [
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2, 0x11,
    0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
];

/// How a client's first flight leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstFlight {
    /// As OpenSSL writes it.
    Whole,
    /// In two packets, the first of so many bytes.
    CutAt(usize),
    /// Each byte in a packet of its own.
    ByteByByte,
    /// In records of at most so many payload bytes each, all in one packet.
    InRecordsOf(usize),
    /// In such records, and each byte in a packet of its own.
    InRecordsByteByByte(usize),
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connected socket with deadlines and a memory.
pub struct Wire {
    socket: Socket,
    flight: FirstFlight,
    held: Option<Vec<u8>>,
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Wire {
    /// Connects to an address.
    pub fn tcp(address: SocketAddr) -> io::Result<Wire> {
        Wire::over(TcpStream::connect_timeout(&address, PATIENCE)?)
    }

    /// Takes a connected socket.
    pub fn over(socket: TcpStream) -> io::Result<Wire> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire::of(Socket::Tcp(socket)))
    }

    /// Connects to a Unix socket.
    pub fn unix(path: &Path) -> io::Result<Wire> {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire::of(Socket::Unix(socket)))
    }

    fn of(socket: Socket) -> Wire {
        Wire {
            socket,
            flight: FirstFlight::Whole,
            held: None,
            sent: Vec::new(),
            received: Vec::new(),
        }
    }

    /// The same, with its first flight cut.
    pub fn cutting(mut self, flight: FirstFlight) -> Wire {
        self.flight = flight;
        self
    }

    /// The same, keeping all that follows the first flight until [`Wire::release`].
    pub fn holding_back(mut self) -> Wire {
        self.hold_back();
        self
    }

    /// Keeps all that is written from now on until [`Wire::release`].
    pub fn hold_back(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Sends what was held back, each byte in a packet of its own.
    pub fn release_byte_by_byte(&mut self) -> io::Result<()> {
        let held = self.held.take().unwrap_or_default();
        self.send_in_packets(&held.chunks(1).collect::<Vec<_>>())
    }

    /// Sends bytes that are nobody's.
    pub fn inject(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket().write_all(bytes)
    }

    /// Sends what was held back in one piece, and holds nothing back any more.
    pub fn release(&mut self) -> io::Result<()> {
        let held = self.held.take().unwrap_or_default();
        self.socket().write_all(&held)
    }

    /// Our own address, by which a record can be found.
    pub fn local(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// What was sent first.
    pub fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// What was received first.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// The server's first message asked for another key share.
    pub fn was_asked_again(&self) -> bool {
        // Record header 5, message header 4, legacy_version 2, random 32.
        matches!(self.received.as_slice(), [0x16, 3, _, _, _, 2, rest @ ..]
            if rest.get(5..37) == Some(&RETRY_RANDOM[..]))
    }

    /// Gives up writing soon, for a peer that is expected to take no more.
    pub fn impatient(&self) {
        let soon = Some(Duration::from_millis(300));
        let set = match &self.socket {
            Socket::Tcp(socket) => socket.set_write_timeout(soon),
            Socket::Unix(socket) => socket.set_write_timeout(soon),
        };
        set.expect("an open socket takes options");
    }

    /// Ends our direction (FIN).
    pub fn end_sending(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(socket) => socket.shutdown(how),
            Socket::Unix(socket) => socket.shutdown(how),
        }
    }

    /// Lets it end with a reset instead of a FIN once it is dropped.
    pub fn reset(&self) {
        if let Socket::Tcp(socket) = &self.socket {
            let set = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
            set.expect("an open socket takes options");
        }
    }

    fn socket(&mut self) -> &mut dyn Write {
        match &mut self.socket {
            Socket::Tcp(socket) => socket,
            Socket::Unix(socket) => socket,
        }
    }

    fn send_in_packets(&mut self, packets: &[&[u8]]) -> io::Result<()> {
        for (i, packet) in packets.iter().enumerate() {
            if i > 0 {
                thread::sleep(BETWEEN_PACKETS);
            }
            self.socket().write_all(packet)?;
        }
        Ok(())
    }

    fn send_first_flight(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.flight {
            FirstFlight::Whole => self.socket().write_all(bytes),
            FirstFlight::CutAt(at) => {
                let (first, second) = bytes.split_at(at.min(bytes.len()));
                self.send_in_packets(&[first, second])
            }
            FirstFlight::ByteByByte => self.send_in_packets(&bytes.chunks(1).collect::<Vec<_>>()),
            FirstFlight::InRecordsOf(len) => self.socket().write_all(&in_records(bytes, len)),
            FirstFlight::InRecordsByteByByte(len) => {
                self.send_in_packets(&in_records(bytes, len).chunks(1).collect::<Vec<_>>())
            }
        }
    }
}

/// The same handshake message in records of at most `len` payload bytes. Transcripts hash messages,
/// not records (RFC 8446, 4.4.1), so the handshake comes out the same.
pub fn in_records(record: &[u8], len: usize) -> Vec<u8> {
    let (header, message) = record.split_at(5);
    let said = usize::from(u16::from_be_bytes([header[3], header[4]]));
    assert_eq!(said, message.len(), "one record, and nothing after it");
    let mut out = Vec::new();
    for piece in message.chunks(len) {
        out.extend_from_slice(&header[..3]);
        let len = u16::try_from(piece.len()).expect("pieces of a record fit a record");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(piece);
    }
    out
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let socket = &mut self.socket;
        let n = undisturbed(|| match socket {
            Socket::Tcp(socket) => socket.read(buffer),
            Socket::Unix(socket) => socket.read(buffer),
        })?;
        keep(&mut self.received, &buffer[..n]);
        Ok(n)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_first = self.sent.is_empty();
        let n = if let Some(held) = self.held.as_mut().filter(|_| !is_first) {
            held.extend_from_slice(bytes);
            bytes.len()
        } else if is_first && self.flight != FirstFlight::Whole {
            self.send_first_flight(bytes)?;
            bytes.len()
        } else {
            undisturbed(|| self.socket().write(bytes))?
        };
        keep(&mut self.sent, &bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket with a time-out is woken by a process of ours that stops and goes on (signal(7)), and OpenSSL would take that
/// for the end.
fn undisturbed(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn keep(memory: &mut Vec<u8>, bytes: &[u8]) {
    let room = KEPT - memory.len();
    memory.extend_from_slice(&bytes[..room.min(bytes.len())]);
}

#[cfg(test)]
mod tests {
    use super::in_records;

    #[test]
    fn records_carry_the_message_on() {
        let record = [22, 3, 1, 0, 3, b'a', b'b', b'c'];
        assert_eq!(
            in_records(&record, 2),
            [22, 3, 1, 0, 2, b'a', b'b', 22, 3, 1, 0, 1, b'c']
        );
    }
}
