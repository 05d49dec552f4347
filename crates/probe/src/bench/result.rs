//! What was measured, in numbers and in one sentence.
use super::{CLASSICAL_GROUP, Kind, PQ_SCHEME, USUAL_GROUP, USUAL_SCHEME, Work};
use crate::memory::{Recipe, RecordCost, Session};
use portcullis_wire::{GroupId, SchemeId};
use serde::Serialize;
use std::{fmt, time::Duration};

/// All that was measured.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Results {
    /// How long it took.
    pub seconds: f64,
    /// Full handshakes of TLS 1.3.
    pub handshakes: Vec<HandshakeRow>,
    /// Resumed ones.
    pub resumption: Vec<HandshakeRow>,
    /// Bytes on open connections.
    pub records: Vec<RecordRow>,
    /// Post-quantum against classical; None where not all that it needs was measured.
    pub comparison: Option<Comparison>,
}

/// Handshakes of one kind.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct HandshakeRow {
    /// The group.
    pub group: String,
    /// `hybrid`, `pq` or `classical`
    pub key_exchange: &'static str,
    /// What the server signed with; of a resumed session, when it began.
    pub signature: String,
    /// How many were made.
    pub handshakes: u32,
    /// How many a core can serve in a second of CPU time.
    pub per_second: f64,
    /// Microseconds of CPU time, the server's.
    pub server_us: f64,
    /// The client's.
    pub client_us: f64,
    /// Bytes from the client, on average.
    pub bytes_in: u64,
    /// Bytes to the client, on average.
    pub bytes_out: u64,
    #[serde(skip)]
    ids: (GroupId, SchemeId),
}

/// Bytes under one cipher suite.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RecordRow {
    /// The suite.
    pub cipher: String,
    /// `1.3` or `1.2`
    pub version: &'static str,
    /// Bytes that passed.
    pub bytes: usize,
    /// Billions of bytes that a core encrypts in a second of CPU time.
    pub encrypt_gb_per_second: f64,
    /// And decrypts.
    pub decrypt_gb_per_second: f64,
}

/// What post-quantum costs the server, held against X25519 with ECDSA.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// X25519 with ECDSA on P-256.
    pub classical_us: f64,
    /// X25519MLKEM768 with ECDSA on P-256.
    pub hybrid_us: f64,
    /// X25519MLKEM768 with ML-DSA-65.
    pub full_us: f64,
    /// Bytes of both sides together.
    pub classical_bytes: u64,
    /// With X25519MLKEM768.
    pub hybrid_bytes: u64,
    /// And ML-DSA-65.
    pub full_bytes: u64,
    /// The same in words.
    pub sentence: String,
}

impl Results {
    pub(super) fn of(works: &[Work], took: Duration) -> Results {
        let handshakes = |session: Session| {
            let wanted = move |work: &&Work| work.kind == Kind::Handshakes && work.pairing.recipe().session == session;
            works.iter().filter(wanted).map(HandshakeRow::of).collect()
        };
        let full: Vec<HandshakeRow> = handshakes(Session::New);
        Results {
            seconds: rounded(took.as_secs_f64(), 2),
            comparison: Comparison::of(&full),
            handshakes: full,
            resumption: handshakes(Session::Resumed),
            records: works
                .iter()
                .filter(|work| work.kind == Kind::Records)
                .map(|work| RecordRow::of(work.pairing.recipe(), &work.records))
                .collect(),
        }
    }
}

impl HandshakeRow {
    /// It stands among the groups, beside one and the same signature.
    pub fn is_of_groups(&self) -> bool {
        self.ids.1 == USUAL_SCHEME
    }

    /// It stands among the signatures, beside one and the same group.
    pub fn is_of_signatures(&self) -> bool {
        self.ids.0 == USUAL_GROUP
    }

    fn of(work: &Work) -> HandshakeRow {
        let Recipe { group, scheme, .. } = work.pairing.recipe();
        let each = f64::from(work.handshakes.max(1));
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / each;
        let server = micros(work.cost.server);
        let bytes = |bytes: usize| bytes as u64 / u64::from(work.handshakes.max(1));
        HandshakeRow {
            group: group.to_string(),
            key_exchange: group.key_exchange().map_or("unknown", |class| class.as_str()),
            signature: scheme.to_string(),
            handshakes: work.handshakes,
            per_second: rounded(if server > 0.0 { 1e6 / server } else { 0.0 }, 0),
            server_us: rounded(server, 1),
            client_us: rounded(micros(work.cost.client), 1),
            bytes_in: bytes(work.cost.bytes_in),
            bytes_out: bytes(work.cost.bytes_out),
            ids: (group, scheme),
        }
    }
}

impl RecordRow {
    /// Of what was measured with a recipe.
    pub fn of(recipe: Recipe, cost: &RecordCost) -> RecordRow {
        let speed = |time: Duration| match time.is_zero() {
            true => 0.0,
            false => rounded(cost.bytes as f64 / time.as_secs_f64() / 1e9, 2),
        };
        RecordRow {
            cipher: recipe.cipher.map_or_else(String::new, |cipher| cipher.to_string()),
            version: recipe.version.as_str(),
            bytes: cost.bytes,
            encrypt_gb_per_second: speed(cost.encrypt),
            decrypt_gb_per_second: speed(cost.decrypt),
        }
    }
}

impl Comparison {
    fn of(rows: &[HandshakeRow]) -> Option<Comparison> {
        let row = |ids| rows.iter().find(|row| row.ids == ids);
        let classical = row((CLASSICAL_GROUP, USUAL_SCHEME))?;
        let hybrid = row((USUAL_GROUP, USUAL_SCHEME))?;
        let full = row((USUAL_GROUP, PQ_SCHEME))?;
        let bytes = |row: &HandshakeRow| row.bytes_in + row.bytes_out;
        let mut comparison = Comparison {
            classical_us: classical.server_us,
            hybrid_us: hybrid.server_us,
            full_us: full.server_us,
            classical_bytes: bytes(classical),
            hybrid_bytes: bytes(hybrid),
            full_bytes: bytes(full),
            sentence: String::new(),
        };
        comparison.sentence = comparison.to_string();
        Some(comparison)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |us: f64| us / self.classical_us.max(f64::MIN_POSITIVE);
        let more = |bytes: u64| bytes.saturating_sub(self.classical_bytes);
        write!(
            f,
            "against X25519 with ECDSA ({:.0} us of the server's CPU, {} bytes), a full handshake with X25519MLKEM768 costs \
             {:.2} times the CPU ({:+.0} us) and {} bytes more, and with an ML-DSA-65 certificate as well {:.2} times \
             ({:+.0} us) and {} bytes more",
            self.classical_us,
            self.classical_bytes,
            times(self.hybrid_us),
            self.hybrid_us - self.classical_us,
            more(self.hybrid_bytes),
            times(self.full_us),
            self.full_us - self.classical_us,
            more(self.full_bytes),
        )
    }
}

fn rounded(value: f64, digits: i32) -> f64 {
    let unit = 10_f64.powi(digits);
    (value * unit).round() / unit
}
