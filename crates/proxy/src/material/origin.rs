//! What an upstream's TLS is made of: trusted certificates, our own for servers that ask, and the client of both.
use super::{Failed, Fault, Materials, hint};
use crate::{
    plan::{OriginTls, UpstreamPlan},
    watch::Print,
};
use portcullis_tls::{
    client::{Client, OriginError, OriginSpec, Trust},
    identity::{self, Identity},
    rustls::{KeyLog, pki_types::CertificateDer},
};
use std::{
    hash::{DefaultHasher, Hasher},
    path::Path,
    sync::Arc,
};

/// What an upstream's connections are made of, and of which files that was made.
pub(crate) struct Outfit {
    pub(crate) client: Client,
    prints: Vec<Print>,
}

/// The certificates that this system trusts.
pub(super) struct SystemRoots {
    certificates: Vec<CertificateDer<'static>>,
    print: Print,
}

impl Outfit {
    /// Whether it was made of the same files.
    pub(crate) fn is_of_the_same(&self, other: &Outfit) -> bool {
        self.prints == other.prints
    }
}

impl Materials<'_> {
    /// An upstream's TLS; None where it has none, or where that became a problem.
    pub(crate) fn outfit(&mut self, upstream: &UpstreamPlan, key_log: Option<&Arc<dyn KeyLog>>) -> Option<Arc<Outfit>> {
        let tls = upstream.tls.as_ref()?;
        let made = match self.make(tls, key_log.cloned()) {
            Ok(outfit) => Arc::new(outfit),
            Err((key, fault)) => {
                let kept = self.broken.kept();
                let last = kept.and_then(|kept| kept.outfits.get(&upstream.name)).cloned();
                let problem = self.told_of(("upstream", &upstream.name), &format!("tls.{key}"), fault);
                let Some(last) = last else {
                    self.problems.push(problem);
                    return None;
                };
                self.failed.push(Failed {
                    site: String::new(),
                    problem,
                    is_news: self.any_is_new(tls),
                });
                last
            }
        };
        self.outfits.insert(upstream.name.clone(), Arc::clone(&made));
        Some(made)
    }

    fn make(&mut self, tls: &OriginTls, key_log: Option<Arc<dyn KeyLog>>) -> Result<Outfit, (String, Fault)> {
        // all of them are read, and so watched, whatever the first is worth
        let trust = self.trust(tls.ca.as_deref());
        let pairs: Vec<_> = tls.certificates.iter().map(|files| self.load(files)).collect();
        let (trust, prints) = trust.map_err(|fault| ("ca".to_owned(), fault))?;
        let mut identities: Vec<Arc<Identity>> = Vec::new();
        for (index, pair) in pairs.into_iter().enumerate() {
            let named = |(message, hint): Fault| (format!("certificate {message}"), hint);
            let pair = pair.map_err(|fault| (format!("certificates[{index}]"), named(fault)))?;
            identities.push(pair);
        }
        let made = tls
            .certificates
            .iter()
            .cloned()
            .zip(identities.iter().cloned().map(Some));
        self.identities.extend(made);
        let files = tls.certificates.iter();
        let files = files.flat_map(|files| [&files.chain, &files.key].into_iter().chain(&files.passphrase));
        let prints = prints.into_iter().chain(files.filter_map(|path| self.seen.of(path)));
        let prints = prints.collect();
        let client = Client::for_origin(OriginSpec {
            settings: tls.settings.clone(),
            policy: tls.policy,
            trust,
            identities,
            alpn: tls.alpn.clone(),
            resumption: tls.sessions,
            key_log,
        });
        match client {
            Ok(client) => Ok(Outfit { client, prints }),
            Err(error) => Err((key_of(&error).to_owned(), (unfit(&error, tls), None))),
        }
    }

    fn trust(&mut self, ca: Option<&Path>) -> Result<(Trust, Option<Print>), Fault> {
        let Some(path) = ca else {
            let roots = self.system_roots()?;
            return Ok((Trust::Usable(roots.certificates.clone()), Some(roots.print)));
        };
        let named = |(message, hint): Fault| (format!("ca {message}"), hint);
        let pem = self.of(path).map_err(named)?;
        let read = identity::certificates_from_pem(&pem);
        let read = read.map_err(|e| named((format!("{}: {e}", path.display()), hint(&e))))?;
        let roots = read.into_iter().map(|(der, _)| der).collect();
        Ok((Trust::Roots(roots), self.seen.of(path)))
    }

    /// Read once per build: they change with the system's packages, and are taken anew at a reload.
    fn system_roots(&mut self) -> Result<Arc<SystemRoots>, Fault> {
        const HINT: &str = "install the system's ca-certificates, or name a file: tls = { ca = \"ca.pem\" }";
        if let Some(roots) = &self.system_roots {
            return Ok(Arc::clone(roots));
        }
        let loaded = rustls_native_certs::load_native_certs();
        if loaded.certs.is_empty() {
            let why = loaded
                .errors
                .first()
                .map(|error| format!(": {error}"))
                .unwrap_or_default();
            return Err((format!("this system trusts no certificates{why}"), Some(HINT)));
        }
        let mut hasher = DefaultHasher::new();
        loaded.certs.iter().for_each(|certificate| hasher.write(certificate));
        let roots = Arc::new(SystemRoots {
            print: Print::Content(loaded.certs.len(), hasher.finish()),
            certificates: loaded.certs,
        });
        Ok(Arc::clone(self.system_roots.insert(roots)))
    }

    fn any_is_new(&self, tls: &OriginTls) -> bool {
        let ca = tls.ca.iter().any(|path| self.is_new(path));
        ca || tls.certificates.iter().any(|files| self.is_new_pair(files))
    }
}

/// The key whose value a client cannot be built with.
fn key_of(error: &OriginError) -> &'static str {
    match error {
        OriginError::NoGroup => "groups",
        OriginError::NoSignature => "signatures",
        OriginError::Trust(_) => "ca",
        OriginError::Settings(_) => "profile",
    }
}

fn unfit(error: &OriginError, tls: &OriginTls) -> String {
    match (error, &tls.ca) {
        (OriginError::Trust(_), Some(ca)) => format!("ca {}: {error}", ca.display()),
        _ => error.to_string(),
    }
}
