//! `portcullis selftest`: what is promised comes from a configuration or from the command line, the verdict from
//! handshakes with the running listener.
use anyhow::{Context, bail};
use portcullis_probe::{Address, Expectation, Held, Report, SelfTest, Site, Summary, Target, Trust};
use portcullis_proxy::plan::{self, CertificateFiles, Certificates, ListenerPlan, Plan, SitePlan};
use portcullis_tls::{
    identity::{Identity, certificates_from_pem},
    negotiated::Authentication,
    policy::Stance,
    profile::{ChainRule, Settings},
    rustls::pki_types::ServerName,
};
use portcullis_wire::registry::KeyKind;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What to test, and how to say what came of it.
pub struct Inputs {
    /// What to test.
    pub subject: Subject,
    /// A certificate to show where one is asked for.
    pub identity: Option<CertificateFiles>,
    /// How to say it.
    pub output: Output,
}

/// What to test.
pub enum Subject {
    /// Every TLS listener and site of a configuration that is running.
    Plan {
        /// What it means.
        plan: Box<Plan>,
        /// What to call it: the file's name.
        name: String,
    },
    /// One server.
    Server {
        /// `HOST[:PORT]` or `unix:PATH`
        target: String,
        /// Asked for by this name instead of the target's.
        server_name: Option<String>,
        /// What it should do about its key exchange.
        expect: Stance,
        /// Whom to trust; None: its certificate is not checked.
        ca: Option<PathBuf>,
    },
}

/// The form of the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// A table for people.
    Text,
    /// SPEC 6's object.
    Json,
}

/// What to print, and whether every promise was kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tested {
    /// For standard output.
    pub text: String,
    /// Every promise was kept.
    pub pass: bool,
}

/// Tests and judges. An error is a wrong input; a server that cannot be reached is a failed test.
pub async fn run(inputs: Inputs) -> anyhow::Result<Tested> {
    let identity = inputs.identity.as_ref().map(identity).transpose()?;
    match inputs.subject {
        Subject::Server {
            target,
            server_name,
            expect,
            ca,
        } => {
            let test = SelfTest {
                target: server(&target, server_name.as_deref())?,
                expectation: Expectation::of_key_exchange(expect),
                trust: ca.as_deref().map_or(Ok(Trust::NotChecked), roots)?,
                identity: identity.map(Arc::new),
                deadline: SelfTest::DEADLINE,
            };
            let report = test.run().await;
            report_on_server(&report, inputs.output)
        }
        Subject::Plan { plan, name } => {
            let reports = run_plan(&plan, identity.map(Arc::new)).await?;
            report_on_plan(name, &reports, inputs.output)
        }
    }
}

/// One self-test for each site at each address of each of its TLS listeners, run one after the other.
pub async fn run_plan(plan: &Plan, identity: Option<Arc<Identity>>) -> anyhow::Result<Vec<Report>> {
    let mut tests = Vec::new();
    for site in &plan.sites {
        let held = Certificate::of_site(site)?;
        let listeners = site.listeners.iter().filter_map(|index| plan.listeners.get(*index));
        for listener in listeners.filter(|listener| !listener.plain) {
            for address in listener.listen.iter().map(dialled) {
                tests.push(SelfTest {
                    target: Target {
                        server_name: asked_for(site, &address)?,
                        address,
                    },
                    expectation: expectation(listener, site, &held),
                    trust: trust(&held),
                    identity: identity.clone(),
                    deadline: SelfTest::DEADLINE,
                });
            }
        }
    }
    if tests.is_empty() {
        bail!("nothing to test: no listener terminates TLS");
    }
    let mut reports = Vec::new();
    for test in tests {
        reports.push(test.run().await);
    }
    Ok(reports)
}

fn report_on_server(report: &Report, output: Output) -> anyhow::Result<Tested> {
    Ok(Tested {
        pass: report.pass,
        text: match output {
            Output::Text => report.to_text(),
            Output::Json => serde_json::to_string_pretty(report)? + "\n",
        },
    })
}

fn report_on_plan(name: String, reports: &[Report], output: Output) -> anyhow::Result<Tested> {
    let summary = Summary::of(name, reports);
    let text = match output {
        Output::Json => serde_json::to_string_pretty(&summary)? + "\n",
        Output::Text => {
            let texts: Vec<String> = reports.iter().map(Report::to_text).collect();
            texts.join("\n")
        }
    };
    Ok(Tested {
        pass: summary.pass,
        text,
    })
}

/// A certificate that a site holds and may send; without the leaf where it exists only in the proxy's memory.
struct Certificate {
    held: Held,
    leaf: Option<portcullis_tls::rustls::pki_types::CertificateDer<'static>>,
}

impl Certificate {
    /// In the site's order, without those that its settings never send.
    fn of_site(site: &SitePlan) -> anyhow::Result<Vec<Certificate>> {
        match &site.certificates {
            Certificates::None => Ok(Vec::new()),
            Certificates::SelfSigned => Ok(Certificate::self_signed()),
            Certificates::Files(files) => {
                let identities: Vec<Identity> = files.iter().map(identity).collect::<Result<_, _>>()?;
                let sent = identities.iter().filter(|identity| is_sent(identity, &site.tls));
                Ok(sent.map(Certificate::of_identity).collect())
            }
        }
    }

    fn of_identity(identity: &Identity) -> Certificate {
        Certificate {
            held: Held::of(identity),
            leaf: identity.chain_der().first().cloned(),
        }
    }

    /// What `portcullis_certs::self_signed_pair` makes, in its order.
    fn self_signed() -> Vec<Certificate> {
        let classes = [(true, Authentication::Pq), (false, Authentication::Classical)];
        classes
            .map(|(key_is_ml_dsa, authentication)| Certificate {
                held: Held {
                    key_is_ml_dsa,
                    authentication,
                },
                leaf: None,
            })
            .into()
    }
}

fn is_sent(identity: &Identity, settings: &Settings) -> bool {
    let is_pq = identity.authentication() == Authentication::Pq;
    let is_strongest = || {
        let signatures = identity.chain().iter().map(|certificate| &*certificate.signature);
        identity.leaf().key == Some(KeyKind::MlDsa87)
            && signatures.into_iter().all(|name| name == KeyKind::MlDsa87.as_str())
    };
    let chain_fits = match settings.chains {
        ChainRule::Any => true,
        ChainRule::MlDsa => is_pq,
        ChainRule::MlDsa87 => is_pq && is_strongest(),
    };
    let can_sign = |scheme| settings.signatures.contains(scheme);
    chain_fits && identity.schemes().iter().any(can_sign)
}

fn expectation(listener: &ListenerPlan, site: &SitePlan, held: &[Certificate]) -> Expectation {
    let policy = match listener.policy {
        Some(policy) => policy.tightened_by(site.policy),
        None => site.policy,
    };
    Expectation {
        policy,
        site: Some(Site {
            versions: site.tls.versions.clone(),
            groups: site.tls.groups.clone(),
            retry: site.tls.retry,
            certificates: held.iter().map(|certificate| certificate.held).collect(),
        }),
    }
}

/// The site's own leaves, byte for byte; in a configuration no root is at hand, and none would say as much.
fn trust(held: &[Certificate]) -> Trust {
    let leaves: Vec<_> = held.iter().filter_map(|it| it.leaf.clone()).collect();
    match leaves.len() == held.len() {
        true => Trust::Exactly(leaves),
        false => Trust::NotChecked,
    }
}

/// What is bound to every address is reached by the loopback.
fn dialled(address: &plan::Address) -> Address {
    match address {
        plan::Address::Unix(path) => Address::Unix(path.clone()),
        plan::Address::Name(host, port) => Address::Tcp(host.clone(), *port),
        plan::Address::Ip(address) => {
            let host = match address {
                SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                SocketAddr::V4(v4) => IpAddr::from(*v4.ip()),
                SocketAddr::V6(v6) => IpAddr::from(*v6.ip()),
            };
            Address::Tcp(host.to_string(), address.port())
        }
    }
}

/// The site's first exact name, else a name under its first wildcard; the default site is reached without a name,
/// which is what asking for an address means.
fn asked_for(site: &SitePlan, address: &Address) -> anyhow::Result<ServerName<'static>> {
    let exact = site.names.iter().find(|name| !name.starts_with("*."));
    let name = match exact.or(site.names.first()) {
        Some(name) => name.replacen('*', "selftest", 1),
        None => match address {
            Address::Tcp(host, _) if host.parse::<IpAddr>().is_ok() => host.clone(),
            Address::Tcp(..) | Address::Unix(_) => Ipv4Addr::LOCALHOST.to_string(),
        },
    };
    let context = || format!("site \"{}\": \"{name}\" is no server name", site.name);
    ServerName::try_from(name.clone()).with_context(context)
}

fn server(target: &str, server_name: Option<&str>) -> anyhow::Result<Target> {
    let mut target: Target = target.parse()?;
    if let Some(name) = server_name {
        target.server_name = ServerName::try_from(name.to_owned())
            .with_context(|| format!("--server-name \"{name}\" is neither a DNS name nor an address"))?;
    }
    Ok(target)
}

fn roots(ca: &Path) -> anyhow::Result<Trust> {
    let certificates = certificates_from_pem(&read(ca)?).with_context(|| ca.display().to_string())?;
    Ok(Trust::Roots(certificates.into_iter().map(|(der, _)| der).collect()))
}

fn identity(files: &CertificateFiles) -> anyhow::Result<Identity> {
    let (chain, key) = (read(&files.chain)?, read(&files.key)?);
    Identity::from_pem(&chain, &key).with_context(|| format!("{} with {}", files.chain.display(), files.key.display()))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}
