//! Stand-in until the ledger lands.
#![allow(missing_docs, reason = "it goes when the ledger lands")]
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Extract {
    pub instance: String,
    pub from: i64,
    pub to: i64,
    pub folded: u64,
    pub sites: Vec<Site>,
    pub clients: Vec<Client>,
    pub offers: Vec<Offer>,
    pub terms: Vec<Terms>,
    pub rows: Vec<Row>,
    pub over_time: Vec<Moment>,
    pub upstreams: Vec<UpstreamRow>,
}
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Site {
    pub name: String,
    pub label: String,
}
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Client {
    pub identity: String,
    pub ja4: String,
    pub network: String,
    pub completed_ml_dsa: Option<i64>,
    pub user_agents: Vec<String>,
}
impl Client {
    pub fn is_others(&self) -> bool {
        self.identity.is_empty() && self.ja4.is_empty() && self.network.is_empty()
    }
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Offer {
    pub versions: Vec<String>,
    pub groups: Vec<String>,
    pub shares: Vec<String>,
    pub schemes: Vec<String>,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Terms {
    pub admission: String,
    pub transport: String,
    pub version: String,
    pub group: String,
    pub key_exchange: String,
    pub cipher: String,
    pub signature: String,
    pub authentication: String,
    pub client_authentication: String,
    pub safety: String,
    pub resumed: bool,
    pub retry: bool,
    pub reason: String,
    pub authentication_reason: String,
    pub whatif_key_exchange: bool,
    pub whatif_authentication: bool,
    pub refused_by: String,
    pub would_refuse: String,
    pub exempt: bool,
    pub ml_dsa_refused: bool,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    pub connections: u64,
    pub requests: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub requests_refused: u64,
    pub requests_would_refuse: u64,
}
impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.connections += other.connections;
        self.requests += other.requests;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.requests_refused += other.requests_refused;
        self.requests_would_refuse += other.requests_would_refuse;
    }
}
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Row {
    pub site: usize,
    pub client: usize,
    pub offer: usize,
    pub terms: usize,
    pub sums: Sums,
    pub first_seen: i64,
    pub last_seen: i64,
}
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Moment {
    pub bucket: i64,
    pub width: i64,
    pub site: usize,
    pub terms: usize,
    pub sums: Sums,
}
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct UpstreamRow {
    pub upstream: String,
    pub server: String,
    pub terms: usize,
    pub connections: u64,
    pub first_seen: i64,
    pub last_seen: i64,
}
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    pub from: i64,
    pub to: i64,
}
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{}: locked by another program", .0.display())]
    Locked(std::path::PathBuf),
    #[error("{}: no ledger there", .0.display())]
    Missing(std::path::PathBuf),
}
pub fn read(path: &std::path::Path, _: Span) -> Result<Extract, LedgerError> {
    Err(LedgerError::Missing(path.into()))
}
