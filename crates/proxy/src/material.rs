//! Reading what a plan names: certificates, keys, client CAs. Control thread only.
use crate::{
    config::{Explained, Origin, Problem},
    plan::{CertificateFiles, Certificates, SitePlan},
};
use portcullis_tls::{
    identity::{self, Identity, IdentityError},
    server::ClientAuth,
};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};
use zeroize::Zeroizing;

/// A certificate file beyond this is none: an ML-DSA-87 chain of ten with its key is 150 kB.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// A chain and key as PEM, made in memory.
pub struct PemPair {
    /// Leaf first.
    pub chain: Vec<u8>,
    /// PKCS#8.
    pub key: Zeroizing<Vec<u8>>,
}

/// Makes the certificates of `--self-signed`; the binary knows how, the data plane does not.
pub type SelfSigned = Arc<dyn Fn() -> Result<Vec<PemPair>, String> + Send + Sync>;

/// Reads files once per build, however many sites name them.
pub(crate) struct Materials<'a> {
    explained: &'a [Explained],
    self_signed: Option<&'a SelfSigned>,
    identities: HashMap<CertificateFiles, Option<Arc<Identity>>>,
    made: Option<Vec<Arc<Identity>>>,
    pub(crate) problems: Vec<Problem>,
}

impl<'a> Materials<'a> {
    pub(crate) fn new(explained: &'a [Explained], self_signed: Option<&'a SelfSigned>) -> Materials<'a> {
        Materials {
            explained,
            self_signed,
            identities: HashMap::new(),
            made: None,
            problems: Vec::new(),
        }
    }

    /// A site's certificates, in its order; what cannot be used becomes a problem.
    pub(crate) fn identities(&mut self, site: &SitePlan) -> Vec<Arc<Identity>> {
        match &site.certificates {
            Certificates::None => Vec::new(),
            Certificates::SelfSigned => self.self_signed(site),
            Certificates::Files(all) => {
                let each = all.iter().enumerate();
                each.filter_map(|(index, files)| self.identity(site, index, files))
                    .collect()
            }
        }
    }

    /// What a site asks of its clients, with trusted certificates and revocation lists read.
    pub(crate) fn client_auth(&mut self, site: &SitePlan) -> Option<ClientAuth> {
        let plan = site.client_auth.as_ref()?;
        let roots = client_file(&plan.ca, identity::certificates_from_pem);
        let roots = roots.map_err(|(message, hint)| {
            self.problem(site, "client_auth.ca", format!("client ca {message}"), hint);
        });
        let mut crls = Vec::new();
        for (index, file) in plan.crl.iter().enumerate() {
            match client_file(file, identity::revocation_lists) {
                Ok(lists) => crls.extend(lists),
                Err((message, hint)) => {
                    let key = format!("client_auth.crl[{index}]");
                    self.problem(site, &key, format!("client crl {message}"), hint);
                }
            }
        }
        Some(ClientAuth {
            crls,
            expired_lists: plan.crl_expired,
            lists: plan.lists.clone(),
            anonymous: plan.anonymous,
            ..ClientAuth::new(plan.mode, roots.ok()?.into_iter().map(|(der, _)| der).collect())
        })
    }

    /// Something about a site's key does not work.
    pub(crate) fn problem(&mut self, site: &SitePlan, key: &str, message: String, hint: Option<&str>) {
        let key = format!("site.{}.{key}", site.name);
        let message = format!("site \"{}\": {message}", site.name);
        self.problems.push(Problem {
            origin: self.origin(&key),
            message,
            hint: hint.map(str::to_owned),
        });
    }

    /// Where a key was written, or the nearest table around it.
    fn origin(&self, key: &str) -> Origin {
        let mut key = key;
        loop {
            if let Some(found) = self.explained.iter().find(|e| e.key == key) {
                return found.origin.clone();
            }
            match key.rfind(['.', '[']) {
                Some(end) => key = &key[..end],
                None => return Origin::Default,
            }
        }
    }

    fn identity(&mut self, site: &SitePlan, index: usize, files: &CertificateFiles) -> Option<Arc<Identity>> {
        if let Some(known) = self.identities.get(files) {
            return known.clone();
        }
        let loaded = match load(files) {
            Ok(identity) => Some(Arc::new(identity)),
            Err((message, hint)) => {
                self.problem(
                    site,
                    &format!("certificates[{index}]"),
                    format!("certificate {message}"),
                    hint,
                );
                None
            }
        };
        self.identities.insert(files.clone(), loaded.clone());
        loaded
    }

    fn self_signed(&mut self, site: &SitePlan) -> Vec<Arc<Identity>> {
        if let Some(made) = &self.made {
            return made.clone();
        }
        let make = self
            .self_signed
            .map_or_else(|| Err("no maker of certificates was given".into()), |make| make());
        let made = make.and_then(|pairs| {
            let each = pairs
                .iter()
                .map(|pair| Identity::from_pem(&pair.chain, &pair.key).map(Arc::new));
            each.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())
        });
        match made {
            Ok(made) => self.made.insert(made).clone(),
            Err(error) => {
                self.problem(site, "certificates", format!("self-signed certificates: {error}"), None);
                Vec::new()
            }
        }
    }
}

fn load(files: &CertificateFiles) -> Result<Identity, (String, Option<&'static str>)> {
    let (chain, key) = (of(&files.chain)?, Zeroizing::new(of(&files.key)?));
    Identity::from_pem(&chain, &key).map_err(|e| {
        let named = match e {
            IdentityError::NoKey | IdentityError::BadKey { .. } => files.key.display().to_string(),
            IdentityError::KeyMismatch => format!("{} and {}", files.chain.display(), files.key.display()),
            _ => files.chain.display().to_string(),
        };
        (format!("{named}: {e}"), hint(&e))
    })
}

/// What a file of client authentication holds, or its path with what is wrong.
fn client_file<T>(
    path: &Path,
    parse: impl Fn(&[u8]) -> Result<T, IdentityError>,
) -> Result<T, (String, Option<&'static str>)> {
    parse(&of(path)?).map_err(|e| (format!("{}: {e}", path.display()), hint(&e)))
}

/// A file's content, or its path with what is wrong.
fn of(path: &Path) -> Result<Vec<u8>, (String, Option<&'static str>)> {
    read(path).map_err(|e| (format!("{}: {}", path.display(), plain(&e)), missing(&e)))
}

fn hint(error: &IdentityError) -> Option<&'static str> {
    error.hint()
}

fn missing(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::NotFound => Some("paths in a file are relative to it, paths in flags to the current folder"),
        io::ErrorKind::PermissionDenied => Some("the user that portcullis runs as must be able to read it"),
        _ => None,
    }
}

fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// A file's content, within reason.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 4 MiB"));
    }
    Ok(content)
}
