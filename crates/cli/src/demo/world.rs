//! Everything that the demo makes: a temporary folder with a private CA, certificates and a configuration.
use super::{Ports, backend::Backend};
use anyhow::Context;
use portcullis_certs::{Algorithm, Authority, Name, RootSpec, ServerSpec, write_certificate, write_issued};
use std::{
    fs::{self, Permissions},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

/// Longer than a demo runs, shorter than someone could come to rely on it.
const VALID: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const CA: &str = "ca.pem";
const CONFIG: &str = "portcullis.toml";
const LOG: &str = "portcullis.log";

/// The folder; it goes when this goes.
pub(super) struct World {
    folder: TempDir,
}

impl World {
    /// Makes all of it.
    pub(super) fn make(ports: &Ports, backend: &Backend) -> anyhow::Result<World> {
        let folder = tempfile::Builder::new()
            .prefix("portcullis-demo-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .context("cannot make a temporary folder")?;
        make_certificates(folder.path())?;
        let config = config_toml(folder.path(), ports, (backend.page, backend.echo));
        let path = folder.path().join(CONFIG);
        fs::write(&path, config).with_context(|| path.display().to_string())?;
        Ok(World { folder })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.folder().join(CA)
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder().join(CONFIG)
    }

    /// The socket of its admin listener.
    pub(super) fn admin(&self) -> PathBuf {
        admin(self.folder())
    }

    /// Where the proxy's lines go, so that they do not run through what the demo says.
    pub(super) fn log(&self) -> PathBuf {
        self.folder().join(LOG)
    }
}

fn admin(folder: &Path) -> PathBuf {
    folder.join("admin.sock")
}

/// The demo's configuration: a page with the classical certificate first, as on the web, where clients that offer
/// ML-DSA may still not trust a private root; an echo with ML-DSA first, as in a fleet whose clients do.
pub(crate) fn config_toml(folder: &Path, ports: &Ports, (page, echo): (SocketAddr, SocketAddr)) -> String {
    let certificate = |algorithm: Algorithm| {
        let stem = algorithm.word();
        format!("{{ chain = \"{stem}.pem\", key = \"{stem}.key\" }}")
    };
    let (classical, ml_dsa) = (certificate(Algorithm::EcdsaP256), certificate(Algorithm::MlDsa65));
    let admin = quoted(&format!("unix:{}", admin(folder).display()));
    let head = format!(
        "# made by `portcullis demo`\n\
         log      = {{ level = \"info\", format = \"text\", access = \"-\" }}\n\
         admin    = {{ listen = {admin} }}\n\
         shutdown = {{ delay = \"0s\", grace = \"2s\" }}\n"
    );
    [
        head,
        service(
            ("page", "http", "http3  = true\n"),
            &ports.page,
            [&classical, &ml_dsa],
            page,
        ),
        service(("echo", "tcp", ""), &ports.echo, [&ml_dsa, &classical], echo),
    ]
    .concat()
}

/// A listener, with what is its own, its site and its upstream.
fn service(
    (name, mode, own): (&str, &str, &str),
    listen: &[SocketAddr],
    certificates: [&str; 2],
    upstream: SocketAddr,
) -> String {
    let listen: Vec<String> = listen.iter().map(|address| format!("\"{address}\"")).collect();
    let (listen, certificates) = (listen.join(", "), certificates.join(",\n    "));
    format!(
        "\n[[listener]]\nname   = \"{name}\"\nlisten = [{listen}]\nmode   = \"{mode}\"\n{own}\
         \n[[site]]\nname         = \"{name}\"\nlisteners    = [\"{name}\"]\nupstream     = \"{name}\"\n\
         certificates = [\n    {certificates},\n]\n\
         \n[upstream.{name}]\nservers = [\"{upstream}\"]\n"
    )
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

fn make_certificates(folder: &Path) -> anyhow::Result<()> {
    let mut roots = String::new();
    for algorithm in [Algorithm::MlDsa65, Algorithm::EcdsaP256] {
        let authority = Authority::root(&RootSpec {
            algorithm,
            name: format!("Portcullis demo root, {}", algorithm.key_kind().as_str()),
            valid: VALID,
        })?;
        let issued = authority.issue_server(&ServerSpec {
            algorithm,
            names: names()?,
            valid: VALID,
        })?;
        write_issued(folder, algorithm.word(), &issued)?;
        roots.push_str(authority.certificate_pem());
    }
    Ok(write_certificate(&folder.join(CA), &roots)?)
}

fn names() -> Result<Vec<Name>, portcullis_certs::Error> {
    ["localhost", "127.0.0.1", "::1"]
        .iter()
        .map(|name| name.parse())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_proxy::config;
    use portcullis_tls::identity::{Identity, certificates_from_pem};

    #[tokio::test]
    async fn the_demos_configuration_loads_and_its_certificates_fit() {
        let backend = Backend::start().await.unwrap();
        let ports = Ports {
            page: vec!["127.0.0.1:18443".parse().unwrap(), "[::1]:18443".parse().unwrap()],
            echo: vec!["127.0.0.1:18444".parse().unwrap()],
        };
        let world = World::make(&ports, &backend).unwrap();
        let loaded = config::load(&config::Source {
            file: Some(world.config()),
            ..config::Source::default()
        });
        let loaded = loaded.unwrap_or_else(|problems| panic!("{}", config::render(&problems)));
        assert_eq!(loaded.plan.listeners.len(), 2);
        assert_eq!(loaded.plan.sites.len(), 2);
        assert!(loaded.notices.is_empty(), "{}", config::render(&loaded.notices));
        let read = |name: &str| fs::read(world.folder().join(name)).unwrap();
        for stem in ["mldsa65", "ecdsa-p256"] {
            let (chain, key) = (read(&format!("{stem}.pem")), read(&format!("{stem}.key")));
            let identity = Identity::from_pem(&chain, &key).unwrap();
            assert!(
                ["localhost", "127.0.0.1", "::1"]
                    .iter()
                    .all(|name| identity.covers(name))
            );
        }
        assert_eq!(certificates_from_pem(&read(CA)).unwrap().len(), 2);
    }

    #[test]
    fn a_folder_with_odd_letters_stays_one_string() {
        assert_eq!(quoted(r#"unix:/tmp/a"b\c"#), r#""unix:/tmp/a\"b\\c""#);
    }

    #[tokio::test]
    async fn nothing_is_left_behind() {
        let backend = Backend::start().await.unwrap();
        let ports = Ports {
            page: vec![],
            echo: vec![],
        };
        let world = World::make(&ports, &backend).unwrap();
        let folder = world.folder().to_owned();
        assert!(folder.is_dir());
        drop(world);
        assert!(!folder.exists());
    }
}
