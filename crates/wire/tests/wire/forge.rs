//! Hellos made to order, well formed or not, and random numbers that are the same in every run.

/// A ClientHello under construction.
#[derive(Clone)]
pub(crate) struct Forge {
    pub(crate) version: u16,
    pub(crate) session_id: Vec<u8>,
    pub(crate) ciphers: Vec<u8>,
    pub(crate) compressions: Vec<u8>,
    pub(crate) extensions: Option<Vec<u8>>,
    pub(crate) after: Vec<u8>,
}

impl Forge {
    /// A hello as small as they come, without an extension block.
    pub(crate) fn bare() -> Forge {
        Forge {
            version: 0x0303,
            session_id: vec![],
            ciphers: u16s(&[0x1301]),
            compressions: vec![0],
            extensions: None,
            after: vec![],
        }
    }

    /// A TLS 1.3 hello with one hybrid group and one scheme.
    pub(crate) fn tls13() -> Forge {
        Forge::bare()
            .with(43, vec8(&u16s(&[0x0304])))
            .with(10, vec16(&u16s(&[0x11ec, 0x001d])))
            .with(13, vec16(&u16s(&[0x0905, 0x0403])))
            .with(51, shares(&[(0x001d, 32)]))
    }

    pub(crate) fn with(mut self, id: u16, data: impl AsRef<[u8]>) -> Forge {
        let block = self.extensions.get_or_insert_default();
        block.extend(id.to_be_bytes());
        block.extend(vec16(data.as_ref()));
        self
    }

    /// The handshake message.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([0x5a; 32]);
        body.extend(vec8(&self.session_id));
        body.extend(vec16(&self.ciphers));
        body.extend(vec8(&self.compressions));
        if let Some(block) = &self.extensions {
            body.extend(vec16(block));
        }
        body.extend(&self.after);
        message(1, &body)
    }
}

pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(body.len()).expect("a test's message").to_be_bytes();
    [&[kind, high, middle, low], body].concat()
}

/// A message in handshake records of `size` bytes.
pub(crate) fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|part| record(22, part)).collect()
}

pub(crate) fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1], vec16(payload).as_slice()].concat()
}

pub(crate) fn vec8(bytes: &[u8]) -> Vec<u8> {
    let len = u8::try_from(bytes.len()).expect("a test's vector");
    [&[len], bytes].concat()
}

pub(crate) fn vec16(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("a test's vector");
    [&len.to_be_bytes(), bytes].concat()
}

pub(crate) fn u16s(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// The data of a `server_name` extension.
pub(crate) fn sni(name: impl AsRef<[u8]>) -> Vec<u8> {
    vec16(&[&[0], vec16(name.as_ref()).as_slice()].concat())
}

/// The data of a `key_share` extension, keys of zeros.
pub(crate) fn shares(entries: &[(u16, usize)]) -> Vec<u8> {
    let entry = |(group, len): &(u16, usize)| [u16s(&[*group]), vec16(&vec![0; *len])].concat();
    vec16(&entries.iter().flat_map(entry).collect::<Vec<u8>>())
}

/// The data of a `pre_shared_key` extension with so many identities, and binders of these lengths.
pub(crate) fn psk(identities: usize, binders: &[usize]) -> Vec<u8> {
    let identity = [vec16(b"ticket"), vec![0; 4]].concat();
    let binders: Vec<u8> = binders.iter().flat_map(|len| vec8(&vec![0; *len])).collect();
    [vec16(&identity.repeat(identities)), vec16(&binders)].concat()
}

/// xorshift64*: plenty for tests, and no dependency.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}
