use crate::{Algorithm, Name, Subject};
use std::time::Duration;

/// What a root is to be that issues certificates and no further authorities.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootSpec {
    /// Its key, and so the signature on all it issues.
    pub algorithm: Algorithm,
    /// Its common name.
    pub name: String,
    /// How long it is valid from now on.
    pub valid: Duration,
}

/// What an authority is to be, a root or one below another.
#[derive(Clone, Debug)]
pub struct AuthoritySpec {
    /// Who it is.
    pub subject: Subject,
    /// How long it is valid from now on; never longer than its issuer.
    pub valid: Duration,
    /// How many authorities may stand between it and a leaf; None: any number.
    pub below: Option<u8>,
}

/// What a server certificate is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerSpec {
    /// Its key.
    pub algorithm: Algorithm,
    /// Who it stands for; the first is its common name too.
    pub names: Vec<Name>,
    /// How long it is valid from now on; never longer than its issuer.
    pub valid: Duration,
}

/// What a certificate is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Answers connections.
    Server,
    /// Makes them.
    Client,
}

/// What a server's or client's certificate is to be; its key is another matter.
#[derive(Clone, Debug)]
pub struct LeafSpec {
    /// What it is for.
    pub purpose: Purpose,
    /// Who it is; left out, the first name.
    pub subject: Option<Subject>,
    /// Who it stands for.
    pub names: Vec<Name>,
    /// How long it is valid from now on; never longer than its issuer.
    pub valid: Duration,
}

impl Purpose {
    /// The word for file names and options.
    pub fn word(self) -> &'static str {
        match self {
            Purpose::Server => "server",
            Purpose::Client => "client",
        }
    }
}

impl ServerSpec {
    pub(crate) fn leaf(&self) -> LeafSpec {
        LeafSpec {
            purpose: Purpose::Server,
            subject: None,
            names: self.names.clone(),
            valid: self.valid,
        }
    }
}
