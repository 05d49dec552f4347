//! The PROXY protocol's header, versions 1 and 2: read without taking a byte of what follows it, and written in version 2.
//!
//! Sections are those of its specification, proxy-protocol.txt.
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// What a version 2 header begins with (2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED: usize = 16;
/// The longest line of version 1, its end included (2.1).
const LONGEST_LINE: usize = 107;
/// The longest header of version 2 that is read: addresses and a client's certificate among the extensions. Its length
/// field would allow 64 KiB.
pub const LONGEST: usize = 4096;

/// What a header says of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    /// Nothing beyond the connection itself: LOCAL, UNKNOWN, or a family that has no addresses here.
    Itself,
    /// It stands for another.
    Proxied {
        /// Who connected.
        source: SocketAddr,
        /// To what.
        destination: SocketAddr,
    },
}

/// How far a header has been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// So many more bytes belong to it for certain.
    More(usize),
    /// It is whole.
    Whole(Header),
}

/// Why bytes are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyHeaderError {
    /// They begin as no header does.
    Missing,
    /// It contradicts itself or the specification.
    Malformed(&'static str),
    /// It is longer than [`LONGEST`], or its line than 107 bytes.
    TooLong,
}

impl fmt::Display for ProxyHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyHeaderError::Missing => f.write_str("no PROXY protocol header"),
            ProxyHeaderError::Malformed(what) => write!(f, "malformed PROXY protocol header: {what}"),
            ProxyHeaderError::TooLong => f.write_str("PROXY protocol header too long"),
        }
    }
}

impl std::error::Error for ProxyHeaderError {}

/// Reads the bytes so far, from none on.
pub fn read(bytes: &[u8]) -> Result<Progress, ProxyHeaderError> {
    const NAME: &[u8] = b"PROXY ";
    let begins = |with: &[u8]| with.iter().zip(bytes).all(|(a, b)| a == b);
    match bytes.len() {
        // both versions are longer than this
        0..12 if begins(&SIGNATURE) || begins(NAME) => Ok(Progress::More(12 - bytes.len())),
        0..12 => Err(ProxyHeaderError::Missing),
        _ if bytes.starts_with(&SIGNATURE) => binary(bytes),
        _ if bytes.starts_with(NAME) => line(bytes),
        _ => Err(ProxyHeaderError::Missing),
    }
}

/// Version 1 (2.1): one line of words.
fn line(bytes: &[u8]) -> Result<Progress, ProxyHeaderError> {
    // what lies beyond the longest line is of no line
    let within = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = within.windows(2).position(|pair| pair == b"\r\n") else {
        return match bytes.len() {
            len if len < LONGEST_LINE && bytes.ends_with(b"\r") => Ok(Progress::More(1)),
            len if len + 2 <= LONGEST_LINE => Ok(Progress::More(2)),
            _ => Err(ProxyHeaderError::TooLong),
        };
    };
    let bad = ProxyHeaderError::Malformed;
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| bad("bytes that are no text"))?;
    let mut words = text.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Ok(Progress::Whole(Header::Itself));
    }
    let [Some(source), Some(destination), Some(from), Some(to), None] = [(); 5].map(|()| words.next()) else {
        return Err(bad("its line has not six words"));
    };
    let address = |word: &str| match family {
        "TCP4" => word.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| bad("an address")),
        "TCP6" => word.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| bad("an address")),
        _ => Err(bad("a family that is neither TCP4, TCP6 nor UNKNOWN")),
    };
    Ok(Progress::Whole(Header::Proxied {
        source: SocketAddr::new(address(source)?, port(from)?),
        destination: SocketAddr::new(address(destination)?, port(to)?),
    }))
}

/// Digits alone, without zeros before them.
fn port(word: &str) -> Result<u16, ProxyHeaderError> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    let port = word.parse().ok().filter(|_| is_plain);
    port.ok_or(ProxyHeaderError::Malformed("a port"))
}

/// Version 2 (2.2).
fn binary(bytes: &[u8]) -> Result<Progress, ProxyHeaderError> {
    let bad = |what| Err(ProxyHeaderError::Malformed(what));
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Progress::More(FIXED - bytes.len()));
    };
    let [.., command, family, high, low] = *fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 {
        return bad("a version that is not 2");
    }
    if command & 0x0f > 1 {
        return bad("a command that is neither LOCAL nor PROXY");
    }
    if family >> 4 > 3 || family & 0x0f > 2 {
        return bad("an unknown family");
    }
    if len > LONGEST - FIXED {
        return Err(ProxyHeaderError::TooLong);
    }
    let Some(rest) = rest.get(..len) else {
        return Ok(Progress::More(len - rest.len()));
    };
    let is_local = command & 0x0f == 0;
    let header = match family {
        _ if is_local => Some(Header::Itself),
        // a stream over IPv4, over IPv6
        0x11 => rest.split_first_chunk::<12>().map(|(block, _)| {
            let (from, to) = block[..8].split_at(4);
            proxied(four(from), four(to), &block[8..])
        }),
        0x21 => rest.split_first_chunk::<36>().map(|(block, _)| {
            let (from, to) = block[..32].split_at(16);
            proxied(six(from), six(to), &block[32..])
        }),
        // Unix sockets have addresses, of which nothing is made here
        0x31 if rest.len() < 216 => None,
        _ => Some(Header::Itself),
    };
    match header {
        Some(header) => Ok(Progress::Whole(header)),
        None => bad("too short for its addresses"),
    }
}

fn four(bytes: &[u8]) -> IpAddr {
    let mut octets = [0; 4];
    octets.copy_from_slice(bytes);
    IpAddr::from(octets)
}

fn six(bytes: &[u8]) -> IpAddr {
    let mut octets = [0; 16];
    octets.copy_from_slice(bytes);
    IpAddr::from(octets)
}

fn proxied(source: IpAddr, destination: IpAddr, ports: &[u8]) -> Header {
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    Header::Proxied {
        source: SocketAddr::new(source, port(0)),
        destination: SocketAddr::new(destination, port(2)),
    }
}

/// A header of version 2 in the making.
pub struct Writer(Vec<u8>);

/// Types of extensions (2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Extension {
    /// The application protocol agreed upon.
    Alpn = 0x01,
    /// The name that the client asked for.
    Authority = 0x02,
    /// A name of the connection.
    UniqueId = 0x05,
    /// TLS, with what follows inside.
    Ssl = 0x20,
    /// `TLSv1.3`
    SslVersion = 0x21,
    /// The common name of the client's certificate.
    SslCommonName = 0x22,
    /// The cipher suite.
    SslCipher = 0x23,
    /// The group of the key exchange.
    SslGroup = 0x26,
    /// The scheme of our signature.
    SslSignatureScheme = 0x27,
}

/// Values of extensions inside that of TLS: the longest that fits with room for all.
const LONGEST_VALUE: usize = 512;

impl Writer {
    /// Of a connection of our own, such as a health check.
    pub fn local() -> Writer {
        Writer::new(0x20, 0)
    }

    /// On behalf of a connection between two addresses; of one that has none, or two families, without them.
    pub fn proxied(addresses: Option<(SocketAddr, SocketAddr)>) -> Writer {
        const PROXY: u8 = 0x21;
        let ports = |(source, destination): (SocketAddr, SocketAddr)| {
            [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat()
        };
        let canonical =
            addresses.map(|(source, destination)| (source.ip().to_canonical(), destination.ip().to_canonical()));
        match (canonical, addresses) {
            (Some((IpAddr::V4(source), IpAddr::V4(destination))), Some(all)) => {
                Writer::new(PROXY, 0x11).with(&[&source.octets(), &destination.octets(), &ports(all)])
            }
            (Some((source, destination)), Some(all)) => {
                let (source, destination) = (in_six(source), in_six(destination));
                Writer::new(PROXY, 0x21).with(&[&source.octets(), &destination.octets(), &ports(all)])
            }
            _ => Writer::new(PROXY, 0),
        }
    }

    /// With an extension; an empty one is left out, a long one cut.
    pub fn extension(mut self, kind: Extension, value: &[u8]) -> Writer {
        extend(&mut self.0, kind, value);
        self
    }

    /// With TLS: whether a certificate was verified, and the extensions inside.
    pub fn tls(mut self, verified: Verified, inside: &[(Extension, &[u8])]) -> Writer {
        // PP2_CLIENT_SSL, with PP2_CLIENT_CERT_CONN and PP2_CLIENT_CERT_SESS for a certificate
        let (client, verify): (u8, u32) = match verified {
            Verified::Certificate => (0x07, 0),
            Verified::Nothing => (0x01, 1),
        };
        let mut value = vec![client];
        value.extend_from_slice(&verify.to_be_bytes());
        for (kind, text) in inside {
            extend(&mut value, *kind, text);
        }
        self.0.push(Extension::Ssl as u8);
        self.0.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.0.extend_from_slice(&value);
        self
    }

    /// The bytes.
    pub fn finish(mut self) -> Vec<u8> {
        let len = ((self.0.len() - FIXED) as u16).to_be_bytes();
        self.0[FIXED - 2..FIXED].copy_from_slice(&len);
        self.0
    }

    fn new(command: u8, family: u8) -> Writer {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend_from_slice(&[command, family, 0, 0]);
        Writer(bytes)
    }

    fn with(mut self, parts: &[&[u8]]) -> Writer {
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
        self
    }
}

/// Whether a client proved a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verified {
    /// It did.
    Certificate,
    /// It showed none.
    Nothing,
}

fn extend(bytes: &mut Vec<u8>, kind: Extension, value: &[u8]) {
    let value = &value[..value.len().min(LONGEST_VALUE)];
    if value.is_empty() {
        return;
    }
    bytes.push(kind as u8);
    bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
    bytes.extend_from_slice(value);
}

fn in_six(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
