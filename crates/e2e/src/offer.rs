//! What a client offers.
use crate::pki::Files;
use std::path::PathBuf;

/// Which versions a client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Versions {
    /// 1.2 and 1.3.
    Both,
    /// 1.2 alone.
    Only12,
    /// 1.3 alone.
    Only13,
}

/// What a client offers.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Groups as OpenSSL writes them, `*` marking a key share; empty: its default.
    pub groups: String,
    /// Signature schemes as OpenSSL writes them; empty: its default.
    pub signatures: String,
    /// Versions.
    pub versions: Versions,
    /// The one suite of its version, as OpenSSL calls it; None: its default.
    pub suite: Option<String>,
    /// Application protocols, most wanted first; empty: no ALPN.
    pub alpn: Vec<String>,
    /// The server's name; None sends none.
    pub name: Option<String>,
    /// A file of roots that the server's chain must lead to; None: any will do.
    pub roots: Option<PathBuf>,
    /// A certificate of one's own.
    pub certificate: Option<Files>,
}

impl Default for Offer {
    fn default() -> Offer {
        Offer {
            groups: String::new(),
            signatures: String::new(),
            versions: Versions::Both,
            suite: None,
            alpn: Vec::new(),
            name: Some("localhost".to_owned()),
            roots: None,
            certificate: None,
        }
    }
}

impl Offer {
    /// These groups, the rest as usual.
    pub fn groups(groups: &str) -> Offer {
        let groups = groups.to_owned();
        Offer {
            groups,
            ..Offer::default()
        }
    }

    /// The same under another name.
    pub fn named(mut self, name: &str) -> Offer {
        self.name = Some(name.to_owned());
        self
    }

    /// The same with these signature schemes.
    pub fn signatures(mut self, signatures: &str) -> Offer {
        self.signatures = signatures.to_owned();
        self
    }

    /// The same with these application protocols.
    pub fn speaking(mut self, protocols: &[&str]) -> Offer {
        self.alpn = protocols.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// The same with one suite of one version.
    pub fn suite(mut self, versions: Versions, suite: &str) -> Offer {
        self.versions = versions;
        self.suite = Some(suite.to_owned());
        self
    }

    /// The same with these versions.
    pub fn versions(mut self, versions: Versions) -> Offer {
        self.versions = versions;
        self
    }

    /// The same, verifying the server against a file of roots.
    pub fn trusting(mut self, roots: PathBuf) -> Offer {
        self.roots = Some(roots);
        self
    }

    /// The same with a certificate of the client's own.
    pub fn presenting(mut self, files: Files) -> Offer {
        self.certificate = Some(files);
        self
    }
}
