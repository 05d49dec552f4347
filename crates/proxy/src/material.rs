//! Reading what a plan names: certificates, keys, client CAs. Control thread only.
use crate::{
    config::{Explained, Origin, Problem},
    http::answer::Pages,
    plan::{CertificateFiles, Certificates, ClientAuthPlan, SitePlan},
    watch::{Print, Seen},
};
use bytes::Bytes;
use portcullis_tls::{
    identity::{self, Identity, IdentityError},
    server::ClientAuth,
    tickets::SharedSecret,
};
use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

mod origin;

pub(crate) use origin::Outfit;

/// A certificate file beyond this is none: an ML-DSA-87 chain of ten with its key is 150 kB.
pub(crate) const MAX_FILE: u64 = 4 * 1024 * 1024;

/// A chain and key as PEM, made in memory.
pub struct PemPair {
    /// Leaf first.
    pub chain: Vec<u8>,
    /// PKCS#8.
    pub key: Zeroizing<Vec<u8>>,
}

/// Makes the certificates of `--self-signed`; the binary knows how, the data plane does not.
pub type SelfSigned = Arc<dyn Fn() -> Result<Vec<PemPair>, String> + Send + Sync>;

/// What a build made of files, for the next one: what did not change is not made again.
#[derive(Default)]
pub(crate) struct Kept {
    /// What every file held.
    pub(crate) seen: Arc<Seen>,
    identities: HashMap<CertificateFiles, Arc<Identity>>,
    /// Those of them whose files are no longer what they were made of.
    outlived: HashSet<CertificateFiles>,
    client_auth: HashMap<String, ClientAuth>,
    secrets: HashMap<PathBuf, Arc<SharedSecret>>,
    pages: HashMap<PathBuf, Bytes>,
    outfits: HashMap<String, Arc<Outfit>>,
    made: Option<Vec<Arc<Identity>>>,
    /// What runs on its last good state.
    pub(crate) failed: Vec<Failed>,
}

/// What a build does about a file that is of no use.
#[derive(Clone, Copy)]
pub(crate) enum Broken<'a> {
    /// Nothing is built. What was made of the same files before serves again.
    Refuses(Option<&'a Kept>),
    /// What was good last stays, and the rest is built.
    Keeps(&'a Kept),
}

/// Something that runs on its last good state, because its files are of no use.
#[derive(Clone)]
pub(crate) struct Failed {
    /// Which site's; empty where it is an upstream's.
    pub(crate) site: String,
    /// What is wrong.
    pub(crate) problem: Problem,
    /// Its files changed since it was last told.
    pub(crate) is_news: bool,
}

/// Reads files once per build, however many sites name them.
pub(crate) struct Materials<'a> {
    explained: &'a [Explained],
    self_signed: Option<&'a SelfSigned>,
    broken: Broken<'a>,
    seen: Seen,
    identities: HashMap<CertificateFiles, Option<Arc<Identity>>>,
    outlived: HashSet<CertificateFiles>,
    client_auth: HashMap<String, ClientAuth>,
    secrets: HashMap<PathBuf, Arc<SharedSecret>>,
    pages: HashMap<PathBuf, Bytes>,
    outfits: HashMap<String, Arc<Outfit>>,
    system_roots: Option<Arc<origin::SystemRoots>>,
    made: Option<Vec<Arc<Identity>>>,
    failed: Vec<Failed>,
    pub(crate) problems: Vec<Problem>,
}

/// What is wrong with a file, and what to do.
type Fault = (String, Option<&'static str>);

impl<'a> Materials<'a> {
    pub(crate) fn new(
        explained: &'a [Explained],
        self_signed: Option<&'a SelfSigned>,
        broken: Broken<'a>,
    ) -> Materials<'a> {
        Materials {
            explained,
            self_signed,
            broken,
            seen: Seen::default(),
            identities: HashMap::new(),
            outlived: HashSet::new(),
            client_auth: HashMap::new(),
            secrets: HashMap::new(),
            pages: HashMap::new(),
            outfits: HashMap::new(),
            system_roots: None,
            made: broken.kept().and_then(|kept| kept.made.clone()),
            failed: Vec::new(),
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
        let read = match self.read_client_auth(plan) {
            Ok(auth) => Some(auth),
            Err((key, fault)) => {
                let last = self.broken.kept().and_then(|kept| kept.client_auth.get(&site.name));
                let last = last.cloned();
                let is_news = self.others_changed(site);
                self.unusable(site, &key, fault, (last.is_some(), is_news));
                last
            }
        };
        if let Some(auth) = &read {
            self.client_auth.insert(site.name.clone(), auth.clone());
        }
        read
    }

    /// The ticket secret that a site shares with other processes.
    pub(crate) fn ticket_secret(&mut self, site: &SitePlan) -> Option<Arc<SharedSecret>> {
        let path = site.resumption.secret_file.as_deref()?;
        let read = self.of(path).and_then(|content| {
            let hint = Some("head -c 32 /dev/urandom makes one; it must be the same on every instance");
            SharedSecret::new(&content).map_err(|e| (format!("{}: {e}", path.display()), hint))
        });
        let secret = match read {
            Ok(secret) => Some(Arc::new(secret)),
            Err(fault) => {
                let last = self.broken.kept().and_then(|kept| kept.secrets.get(path)).cloned();
                let state = (last.is_some(), self.is_new(path));
                self.unusable(site, "tls.resumption.secret_file", fault, state);
                last
            }
        }?;
        self.secrets.insert(path.to_owned(), Arc::clone(&secret));
        Some(secret)
    }

    /// The pages that an http site answers errors with.
    pub(crate) fn pages(&mut self, site: &SitePlan) -> Pages {
        let mut pages = Vec::new();
        for (status, path) in site.service.pages() {
            let page = match self.of(path) {
                Ok(content) => Some(Bytes::copy_from_slice(&content)),
                Err((message, hint)) => {
                    let last = self.broken.kept().and_then(|kept| kept.pages.get(path)).cloned();
                    let state = (last.is_some(), self.is_new(path));
                    self.unusable(site, "errors", (format!("error page {message}"), hint), state);
                    last
                }
            };
            if let Some(page) = page {
                self.pages.insert(path.clone(), page.clone());
                pages.push((status, path.as_path(), page));
            }
        }
        Pages::new(pages)
    }

    /// Whether all that was made of a site's files is still good: they are read, and are what they were. Then it serves
    /// this build and the next as it is.
    pub(crate) fn stand(&mut self, site: &SitePlan) -> bool {
        let Some(before) = self.broken.before() else {
            return false;
        };
        let pairs: &[CertificateFiles] = match &site.certificates {
            Certificates::Files(all) => all,
            Certificates::None => &[],
            Certificates::SelfSigned => return false,
        };
        if before.failed.iter().any(|failed| failed.site == site.name)
            || pairs.iter().any(|files| before.outlived.contains(files))
        {
            return false;
        }
        let of_pairs = pairs.iter();
        let of_pairs = of_pairs.flat_map(|files| [&files.chain, &files.key].into_iter().chain(&files.passphrase));
        let all: Vec<&PathBuf> = of_pairs.chain(others(site)).collect();
        for path in &all {
            if self.seen.of(path).is_none() {
                self.seen.note(path, Print::of(&read(path)));
            }
        }
        let stands = !all.iter().any(|path| self.is_new(path));
        if stands {
            self.carry(site, (before, pairs));
        }
        stands
    }

    /// What the next build may use again of what stands.
    fn carry(&mut self, site: &SitePlan, (before, pairs): (&Kept, &[CertificateFiles])) {
        for files in pairs {
            if let Some(identity) = before.identities.get(files) {
                self.identities.insert(files.clone(), Some(Arc::clone(identity)));
            }
        }
        if let Some(auth) = before.client_auth.get(&site.name) {
            self.client_auth.insert(site.name.clone(), auth.clone());
        }
        for path in others(site) {
            if let Some(secret) = before.secrets.get(path) {
                self.secrets.insert(path.clone(), Arc::clone(secret));
            }
            if let Some(page) = before.pages.get(path) {
                self.pages.insert(path.clone(), page.clone());
            }
        }
    }

    /// Whether a file that a site names besides its certificates is not what it was.
    pub(crate) fn others_changed(&self, site: &SitePlan) -> bool {
        others(site).any(|path| self.is_new(path))
    }

    /// Something about a site's key does not work.
    pub(crate) fn problem(&mut self, site: &SitePlan, key: &str, message: String, hint: Option<&str>) {
        let problem = self.told(site, key, message, hint);
        self.problems.push(problem);
    }

    /// A site cannot be built of what was read, and stays as it is.
    pub(crate) fn stays(&mut self, site: &SitePlan, key: &str, message: String) {
        let problem = self.told(site, key, message, None);
        let is_news = self.others_changed(site)
            || match &site.certificates {
                Certificates::Files(all) => all.iter().any(|files| self.is_new_pair(files)),
                Certificates::SelfSigned | Certificates::None => false,
            };
        self.failed.push(Failed {
            site: site.name.clone(),
            problem,
            is_news,
        });
    }

    /// All that the next build may use again.
    pub(crate) fn kept(self) -> Kept {
        let identities = self.identities.into_iter();
        Kept {
            seen: Arc::new(self.seen),
            identities: identities.filter_map(|(files, made)| Some((files, made?))).collect(),
            outlived: self.outlived,
            client_auth: self.client_auth,
            secrets: self.secrets,
            pages: self.pages,
            outfits: self.outfits,
            made: self.made,
            failed: self.failed,
        }
    }

    /// Trusted certificates and revocation lists, or the key whose file is of no use, and why.
    fn read_client_auth(&mut self, plan: &ClientAuthPlan) -> Result<ClientAuth, (String, Fault)> {
        let named =
            |key: &str, what: &str, (message, hint): Fault| (key.to_owned(), (format!("{what} {message}"), hint));
        let roots = self.client_file(&plan.ca, identity::certificates_from_pem);
        // all of them are read, and so watched, whatever the first is worth
        let lists: Vec<_> = plan
            .crl
            .iter()
            .map(|file| self.client_file(file, identity::revocation_lists))
            .collect();
        let roots = roots.map_err(|fault| named("client_auth.ca", "client ca", fault))?;
        let mut crls = Vec::new();
        for (index, list) in lists.into_iter().enumerate() {
            let key = format!("client_auth.crl[{index}]");
            crls.extend(list.map_err(|fault| named(&key, "client crl", fault))?);
        }
        Ok(ClientAuth {
            crls,
            expired_lists: plan.crl_expired,
            lists: plan.lists.clone(),
            anonymous: plan.anonymous,
            ..ClientAuth::new(plan.mode, roots.into_iter().map(|(der, _)| der).collect())
        })
    }

    /// What a file of client authentication holds, or its path with what is wrong.
    fn client_file<T>(&mut self, path: &Path, parse: impl Fn(&[u8]) -> Result<T, IdentityError>) -> Result<T, Fault> {
        parse(&self.of(path)?).map_err(|e| (format!("{}: {e}", path.display()), hint(&e)))
    }

    fn told(&self, site: &SitePlan, key: &str, message: String, hint: Option<&str>) -> Problem {
        self.told_of(("site", &site.name), key, (message, hint))
    }

    fn told_of(&self, (kind, name): (&str, &str), key: &str, (message, hint): (String, Option<&str>)) -> Problem {
        Problem {
            origin: self.origin(&format!("{kind}.{name}.{key}")),
            message: format!("{kind} \"{name}\": {message}"),
            hint: hint.map(str::to_owned),
        }
    }

    /// A problem, unless something from before can stay in its place.
    fn unusable(&mut self, site: &SitePlan, key: &str, (message, hint): Fault, (has_last, is_news): (bool, bool)) {
        let problem = self.told(site, key, message, hint);
        match has_last {
            true => self.failed.push(Failed {
                site: site.name.clone(),
                problem,
                is_news,
            }),
            false => self.problems.push(problem),
        }
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
        let loaded = match self.load(files) {
            Ok(identity) => Some(identity),
            Err((message, hint)) => {
                let last = self.broken.kept().and_then(|kept| kept.identities.get(files)).cloned();
                let is_news = self.is_new_pair(files);
                self.outlived.insert(files.clone());
                let fault = (format!("certificate {message}"), hint);
                self.unusable(
                    site,
                    &format!("certificates[{index}]"),
                    fault,
                    (last.is_some(), is_news),
                );
                last
            }
        };
        self.identities.insert(files.clone(), loaded.clone());
        loaded
    }

    /// A pair, read; one whose files are what they were, and were good, is the same as before.
    fn load(&mut self, files: &CertificateFiles) -> Result<Arc<Identity>, Fault> {
        // all of them are read, and so watched, whatever the first is worth
        let (chain, key) = (self.of(&files.chain), self.of(&files.key));
        let passphrase = files.passphrase.as_deref().map(|path| self.passphrase(path));
        let (chain, key, passphrase) = (chain?, key?, passphrase.transpose()?);
        if let Some(last) = self.made_of(files) {
            return Ok(last);
        }
        let read = match &passphrase {
            None => Identity::from_pem(&chain, &key),
            Some(passphrase) => Identity::from_encrypted_pem(&chain, &key, passphrase),
        };
        read.map(Arc::new).map_err(|e| {
            let named = match e {
                IdentityError::NoKey | IdentityError::BadKey { .. } => files.key.display().to_string(),
                IdentityError::KeyMismatch => format!("{} and {}", files.chain.display(), files.key.display()),
                _ => files.chain.display().to_string(),
            };
            (format!("{named}: {e}"), hint(&e))
        })
    }

    /// What was made of the very files that there are now: an encrypted key takes a while to open.
    fn made_of(&self, files: &CertificateFiles) -> Option<Arc<Identity>> {
        let kept = self.broken.before()?;
        let last = kept.identities.get(files)?;
        let same = !self.is_new_pair(files) && !kept.outlived.contains(files);
        same.then(|| Arc::clone(last))
    }

    /// The first line of a passphrase's file, as OpenSSL reads it.
    fn passphrase(&mut self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let content = self.of(path)?;
        let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
        match line.strip_suffix(b"\r").unwrap_or(line) {
            [] => Err((
                format!("passphrase {}: its first line is empty", path.display()),
                Some("the first line of the file is the passphrase of the key"),
            )),
            line => Ok(Zeroizing::new(line.to_vec())),
        }
    }

    /// A file's content, or its path with what is wrong. What is read here is watched from then on.
    fn of(&mut self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let content = read(path);
        self.seen.note(path, Print::of(&content));
        content.map_err(|e| (format!("{}: {}", path.display(), plain(&e)), missing(path, &e)))
    }

    fn is_new_pair(&self, files: &CertificateFiles) -> bool {
        let all = [&files.chain, &files.key].into_iter().chain(&files.passphrase);
        all.into_iter().any(|path| self.is_new(path))
    }

    /// Whether a file is not what the build before found.
    fn is_new(&self, path: &Path) -> bool {
        let before = self.broken.before().and_then(|kept| kept.seen.of(path));
        before.is_none() || before != self.seen.of(path)
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

impl<'a> Broken<'a> {
    fn kept(self) -> Option<&'a Kept> {
        match self {
            Broken::Refuses(_) => None,
            Broken::Keeps(kept) => Some(kept),
        }
    }

    /// What was made before, to be used where its files are the same.
    fn before(self) -> Option<&'a Kept> {
        match self {
            Broken::Refuses(before) => before,
            Broken::Keeps(kept) => Some(kept),
        }
    }
}

/// The files that a site names besides its certificates.
fn others(site: &SitePlan) -> impl Iterator<Item = &PathBuf> {
    let clients = site.client_auth.iter();
    let clients = clients.flat_map(|plan| [&plan.ca].into_iter().chain(&plan.crl));
    clients
        .chain(&site.resumption.secret_file)
        .chain(site.service.pages().map(|(_, path)| path))
}

fn hint(error: &IdentityError) -> Option<&'static str> {
    error.hint()
}

fn missing(path: &Path, error: &io::Error) -> Option<&'static str> {
    let is_of_a_draft = path
        .components()
        .any(|part| part.as_os_str().to_string_lossy().contains("dilithium"));
    match error.kind() {
        io::ErrorKind::NotFound if is_of_a_draft => Some(MODERN),
        io::ErrorKind::NotFound => Some("paths in a file are relative to it, paths in flags to the current folder"),
        io::ErrorKind::PermissionDenied => Some("the user that portcullis runs as must be able to read it"),
        _ => None,
    }
}

/// What to make where the certificates of a draft were meant.
const MODERN: &str = "Dilithium became ML-DSA: `portcullis cert ca --dual --out certs` and `portcullis cert server --dual --issuer certs/ca-mldsa65.pem --issuer certs/ca-ecdsa-p256.pem --name NAME --out certs` make certificates of both worlds";

fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// A file's content, within reason; it may be a key.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    read_up_to(MAX_FILE, path)
}

/// The same with a limit in bytes.
pub(crate) fn read_up_to(limit: u64, path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    // Room for all of it beforehand: growing would leave copies of a key behind.
    let len = file.metadata()?.len().min(limit);
    let mut content = Zeroizing::new(Vec::with_capacity(len as usize + 1));
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        let message = format!("larger than {} MiB", limit >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Loaded, Source, load_text},
        http::answer::Reader,
    };

    fn loaded(page: &Path) -> Loaded {
        let text = format!(
            "[[listener]]\nlisten = ['127.0.0.1:1']\nplain = true\nmode = 'http'\n[[site]]\nerrors = {{ 502 = '{}' }}\nupstream = 'b'\n[upstream.b]\nservers = ['h:1']\n",
            page.display()
        );
        load_text(&Source::default(), &text).expect("a good file")
    }

    fn page(pages: &Pages) -> String {
        let reader = Reader {
            accept: b"",
            request_id: "",
        };
        String::from_utf8_lossy(&pages.error(502, reader).body).into_owned()
    }

    #[test]
    fn an_error_page_that_is_gone_stays_as_it_was_and_is_a_problem_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("502.html");
        let loaded = loaded(&file);
        let site = &loaded.plan.sites[0];
        let mut first = Materials::new(&loaded.explained, None, Broken::Refuses(None));
        first.pages(site);
        let problem = first.problems.pop().map(|problem| problem.to_string());
        let expected = format!(
            "portcullis.toml:6: site \"default\": error page {}: no such file",
            file.display()
        );
        assert_eq!(problem.unwrap_or_default().lines().next(), Some(expected.as_str()));
        std::fs::write(&file, "back soon").unwrap();
        let mut second = Materials::new(&loaded.explained, None, Broken::Refuses(None));
        assert_eq!(page(&second.pages(site)), "back soon");
        let kept = second.kept();
        std::fs::remove_file(&file).unwrap();
        let mut third = Materials::new(&loaded.explained, None, Broken::Keeps(&kept));
        assert_eq!(page(&third.pages(site)), "back soon");
        assert!(third.problems.is_empty() && third.failed[0].is_news && third.others_changed(site));
    }
}
