//! THE TABLE of limits on requests, for HTTP/1.1, 2 and 3 alike, each with its reason.
use portcullis_wire::http1::{MAX_FIELDS, MAX_HEAD};
use std::time::Duration;

/// From a head's first byte to its last: as long as a hello may take, and far longer than any client needs.
pub(crate) const HEAD: Duration = Duration::from_secs(10);
/// Bytes of a head, request line and fields: cookies and tokens of real applications stay below 16 KiB; nginx and
/// Apache take 32 to 64 KiB, most backends 8 to 64.
pub(crate) const HEAD_SIZE: usize = MAX_HEAD;
/// Least bytes of a head that a limit may leave: every server must take a request line of 8,000 (RFC 9112 3).
pub(crate) const LEAST_HEAD_SIZE: usize = 8 * 1024;
/// Fields of a head: browsers send about 20, Node and Apache stop at 100.
pub(crate) const FIELDS: usize = MAX_FIELDS;
/// Bytes a second that a body must keep up: the slowest mobile link gives ten times as much.
pub(crate) const BODY_RATE: u64 = 240;
/// Seconds over which a body's rate is measured: a link may stall for some of them.
pub(crate) const BODY_RATE_OVER: Duration = Duration::from_secs(20);
/// Requests of one connection at once: least that RFC 9113 6.5.2 recommends, and what browsers make use of.
pub(crate) const STREAMS: u32 = 100;
/// Most streams that a limit may allow: each may hold a head and a window.
pub(crate) const MOST_STREAMS: u32 = 10_000;
/// A connection between requests: longer than browsers keep theirs busy, and what nginx waits (SPEC 4).
pub(crate) const IDLE: Duration = Duration::from_secs(75);
/// What a client that came to a full listener may take to ask, and to hear so: a round trip or two, and no more.
pub(crate) const TURNED_AWAY: Duration = Duration::from_secs(5);
/// When it may come again: most connections of a busy listener end within seconds.
pub(crate) const COME_AGAIN: Duration = Duration::from_secs(2);
/// Connections that may be told so at once, besides those that the listener has; the next wait in accept.
pub(crate) const TOLD_AT_ONCE: usize = 256;
/// A WebSocket or another upgrade without a byte either way (SPEC 4).
pub(crate) const UPGRADE_IDLE: Duration = Duration::from_secs(3600);
/// Streams that a peer may reset before we have answered: beyond it the connection ends (CVE-2023-44487).
pub(crate) const PENDING_RESETS: usize = 20;
/// Streams that we had to reset for a peer's mistakes: beyond it the connection ends (CVE-2025-8671).
pub(crate) const OUR_RESETS: usize = 1024;
/// Requests of an HTTP/3 connection that a client may cancel beyond those that it waits for: a map that is moved about
/// takes back dozens at once.
pub(crate) const CANCELLED: u64 = 100;
/// Frames of HTTP/2 that ask nothing (PING, SETTINGS, WINDOW_UPDATE, PRIORITY, unknown ones) which a client may send at
/// once: 70 kB of them cost less than ten requests. SETTINGS count 4 times, RST_STREAM 16 times.
pub(crate) const CALM: u32 = 4096;
/// And every second: two for each of 500 small messages, from clients that acknowledge each twice.
pub(crate) const CALM_PER_SECOND: u32 = 1000;
/// And for every request that was answered: of three streams two may be given up.
pub(crate) const CALM_PER_ANSWER: u32 = 32;
/// And one for so many bytes that it was sent: clients acknowledge each 4 to 16 KiB twice. What answers PING and SETTINGS is 9
/// to 17 bytes.
pub(crate) const GIVEN: u64 = 256;
/// Bytes of an HTTP/2 stream that may come before they are asked for: one window, so a slow upstream holds no more.
pub(crate) const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all streams of a connection together.
pub(crate) const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of an answer that wait for a client that does not read.
pub(crate) const SEND_BUFFER: usize = 64 * 1024;
/// Requests that a connection to a server carries at once: what most servers allow at least, and more than one core keeps
/// busy; the next go over another.
pub(crate) const SERVER_STREAMS: usize = 100;
/// Bytes of an answer over HTTP/2 that may come before its client takes them: so much at 10 ms is 100 Mbit/s.
pub(crate) const SERVER_STREAM_WINDOW: u32 = 128 * 1024;
/// Reads of a connection to a server of HTTP/2: four of its largest usual frames.
pub(crate) const SERVER_READ: usize = 64 * 1024;
