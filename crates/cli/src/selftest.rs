//! `portcullis selftest`: what is promised comes from a configuration or from the command line, the verdict from
//! handshakes with the running listener.
use anyhow::{Context, bail};
use portcullis_probe::{Address, Expectation, Held, Report, SelfTest, Site, Summary, Target, Transport, Trust};
use portcullis_proxy::plan::{self, CertificateFiles, Certificates, ListenerPlan, Plan, ServicePlan, SitePlan};
use portcullis_tls::{
    identity::{Identity, certificates_from_pem},
    negotiated::Authentication,
    policy::{Client, Stance},
    profile::{ChainRule, Settings},
    rustls::pki_types::{CertificateDer, ServerName},
};
use portcullis_wire::registry::KeyKind;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// What to test, and how to say what came of it.
pub(crate) struct Inputs {
    /// What to test.
    pub(crate) subject: Subject,
    /// What it should do about its key exchange; None: what its configuration says, else `prefer`.
    pub(crate) expect: Option<Stance>,
    /// Whom to trust; None: the site's own certificates, and of a server without a configuration anyone.
    pub(crate) ca: Option<PathBuf>,
    /// A certificate to show where one is asked for.
    pub(crate) identity: Option<CertificateFiles>,
    /// What to ask over.
    pub(crate) transport: Transport,
    /// How to say it.
    pub(crate) output: Output,
}

/// What to test.
pub(crate) enum Subject {
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
    },
}

/// The form of the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// A table for people.
    Text,
    /// SPEC 6's object.
    Json,
}

/// What to print, and whether every promise was kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tested {
    /// For standard output.
    pub(crate) text: String,
    /// Every promise was kept.
    pub(crate) pass: bool,
}

/// Tests and judges. An error is a wrong input; a server that cannot be reached is a failed test.
pub(crate) async fn run(inputs: Inputs) -> anyhow::Result<Tested> {
    let mut tests = match &inputs.subject {
        Subject::Plan { plan, .. } => of_plan(plan, inputs.transport)?,
        Subject::Server { target, server_name } => vec![SelfTest {
            target: server(target, server_name.as_deref())?,
            transport: inputs.transport,
            expectation: Expectation::of_key_exchange(Stance::Prefer),
            trust: Trust::NotChecked,
            identity: None,
            deadline: SelfTest::DEADLINE,
        }],
    };
    let trust = inputs.ca.as_deref().map(roots).transpose()?;
    let identity = inputs.identity.as_ref().map(identity).transpose()?.map(Arc::new);
    for test in &mut tests {
        test.trust = trust.clone().unwrap_or(test.trust.clone());
        test.expectation.policy.key_exchange = inputs.expect.unwrap_or(test.expectation.policy.key_exchange);
        test.identity = identity.clone();
    }
    let reports = run_all(tests).await;
    match (inputs.subject, &*reports) {
        (Subject::Server { .. }, [report]) => report_on_server(report, inputs.output),
        (Subject::Server { target, .. }, _) => report_on_plan(target, &reports, inputs.output),
        (Subject::Plan { name, .. }, _) => report_on_plan(name, &reports, inputs.output),
    }
}

/// One after the other: together they would only disturb each other's times and limits.
pub(crate) async fn run_all(tests: Vec<SelfTest>) -> Vec<Report> {
    let mut reports = Vec::new();
    for test in tests {
        reports.push(test.run().await);
    }
    reports
}

/// One self-test for each site at each address of each of its TLS listeners; over QUIC, of those that have it.
pub(crate) fn of_plan(plan: &Plan, transport: Transport) -> anyhow::Result<Vec<SelfTest>> {
    let mut tests = Vec::new();
    for site in &plan.sites {
        let held = Certificate::of_site(site)?;
        let listeners = site.listeners.iter().filter_map(|index| plan.listeners.get(*index));
        for listener in listeners.filter(|listener| has(listener, site, transport)) {
            for address in listener
                .listen
                .iter()
                .filter(|address| is_reached(address, transport))
                .map(dialled)
            {
                tests.push(SelfTest {
                    target: Target {
                        server_name: asked_for(site, &address)?,
                        address,
                    },
                    transport,
                    expectation: expectation(listener, site, &held),
                    trust: trust(&held),
                    identity: None,
                    deadline: SelfTest::DEADLINE,
                });
            }
        }
    }
    match (tests.is_empty(), transport) {
        (false, _) => Ok(tests),
        (true, Transport::Tcp) => bail!("nothing to test: no listener terminates TLS"),
        (true, Transport::Quic) => bail!("nothing to test over QUIC: no listener has http3"),
    }
}

/// What a listener serves over QUIC is what it serves as HTTP.
fn has(listener: &ListenerPlan, site: &SitePlan, transport: Transport) -> bool {
    let over_quic = || listener.http.http3 && matches!(site.service, ServicePlan::Http(_));
    !listener.plain && (transport == Transport::Tcp || over_quic())
}

fn is_reached(address: &plan::Address, transport: Transport) -> bool {
    transport == Transport::Tcp || !matches!(address, plan::Address::Unix(_))
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
    leaf: Option<CertificateDer<'static>>,
}

impl Certificate {
    /// In the site's order, without those that its settings never send.
    fn of_site(site: &SitePlan) -> anyhow::Result<Vec<Certificate>> {
        match &site.certificates {
            Certificates::None => Ok(Vec::new()),
            Certificates::SelfSigned => Ok(Certificate::self_signed(site.tls.chains)),
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
    fn self_signed(rule: ChainRule) -> Vec<Certificate> {
        let ml_dsa_65 = Held {
            key_is_ml_dsa: true,
            authentication: Authentication::Pq,
        };
        let ecdsa = Held {
            key_is_ml_dsa: false,
            authentication: Authentication::Classical,
        };
        let sent = match rule {
            ChainRule::Any => vec![ml_dsa_65, ecdsa],
            ChainRule::MlDsa => vec![ml_dsa_65],
            ChainRule::MlDsa87 => Vec::new(),
        };
        sent.into_iter().map(|held| Certificate { held, leaf: None }).collect()
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
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    // as this machine would be offered it: who is let off, or is to read a page, completes the handshake
    let client = Client {
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        sni: site.names.first().map(String::as_str),
    };
    let policy = site.demands_on(listener).posture(&client, now);
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
    match !leaves.is_empty() && leaves.len() == held.len() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_certs::{Algorithm, Authority, RootSpec, ServerSpec, write_certificate, write_issued};
    use portcullis_proxy::{Running, Shutdown, Source, config};
    use std::{net::TcpListener, thread, time::Duration};
    use tempfile::TempDir;

    #[tokio::test]
    async fn a_proxy_that_runs_what_the_configuration_says_passes() {
        let lab = Lab::new();
        let _running = lab.start("");
        let reports = run_all(of_plan(&lab.plan(""), Transport::Tcp).unwrap()).await;
        let verdicts: Vec<_> = reports
            .iter()
            .map(|report| (&*report.server_name, &*report.problems))
            .collect();
        let none = &[][..];
        let expected = [
            ("127.0.0.1", none),
            ("shop.example", none),
            ("selftest.shop.example", none),
        ];
        assert_eq!(verdicts, expected);
        assert!(
            reports
                .iter()
                .all(|report| report.trust == "checked against the site's own certificates")
        );
    }

    #[tokio::test]
    async fn taking_the_post_quantum_groups_off_the_listener_fails_it() {
        let lab = Lab::new();
        let _running = lab.start("tls = { groups = [\"X25519\"] }");
        let inputs = Inputs {
            subject: Subject::Plan {
                plan: Box::new(lab.plan("")),
                name: "portcullis.toml".to_owned(),
            },
            expect: None,
            ca: None,
            identity: None,
            transport: Transport::Tcp,
            output: Output::Json,
        };
        let tested = run(inputs).await.unwrap();
        assert!(!tested.pass);
        let json: serde_json::Value = serde_json::from_str(&tested.text).unwrap();
        assert_eq!(
            (&json["pass"], &json["target"]),
            (&false.into(), &"portcullis.toml".into())
        );
        let problems = json["problems"].as_array().unwrap();
        let is_named = |problem: &serde_json::Value| {
            let sentence = problem.as_str().unwrap();
            sentence.contains("default (all schemes)") && sentence.contains("came X25519 without a retry")
        };
        assert!(problems.iter().any(is_named), "{problems:#?}");
        let passes: Vec<_> = json["targets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["pass"].clone())
            .collect();
        assert_eq!(passes, [false, true, true], "one site of three was changed");
    }

    #[tokio::test]
    async fn a_policy_that_was_taken_off_fails_it() {
        let lab = Lab::new();
        let require = "policy = \"require\"";
        let _running = lab.start("");
        let reports = run_all(of_plan(&lab.plan(require), Transport::Tcp).unwrap()).await;
        assert!(!reports[0].pass);
        let named = |problem: &String| problem.contains("classical (classical schemes)");
        assert!(reports[0].problems.iter().any(named), "{:?}", reports[0].problems);
    }

    #[tokio::test]
    async fn a_policy_that_holds_is_proven() {
        let lab = Lab::new();
        let strict = "policy = { key_exchange = \"require\", authentication = \"require\" }";
        let _running = lab.start(strict);
        let reports = run_all(of_plan(&lab.plan(strict), Transport::Tcp).unwrap()).await;
        assert_eq!(reports[0].problems, Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_has_http3_is_tested_over_quic() {
        let lab = Lab::new();
        let without = of_plan(&lab.plan(""), Transport::Quic).map(|tests| tests.len());
        assert!(without.unwrap_err().to_string().contains("no listener has http3"));
        let web = |setting: &str| lab.written(&lab.web(setting));
        let _running = start(web(""));
        let reports = run_all(of_plan(&loaded(&web("")), Transport::Quic).unwrap()).await;
        let told: Vec<_> = reports
            .iter()
            .map(|report| (report.transport, &*report.problems))
            .collect();
        assert_eq!(told, [("quic", &[][..])]);
        // the same listener, of which more is promised than it keeps
        let promised = loaded(&web("policy = \"require\""));
        let reports = run_all(of_plan(&promised, Transport::Quic).unwrap()).await;
        assert!(!reports[0].pass);
        let inputs = |expect| Inputs {
            subject: Subject::Server {
                target: format!("127.0.0.1:{}", lab.port),
                server_name: Some("localhost".to_owned()),
            },
            expect: Some(expect),
            ca: Some(lab.folder.path().join("ca.pem")),
            identity: None,
            transport: Transport::Quic,
            output: Output::Text,
        };
        assert!(run(inputs(Stance::Prefer)).await.unwrap().pass);
        assert!(!run(inputs(Stance::Require)).await.unwrap().pass);
    }

    #[tokio::test]
    async fn a_server_is_tested_by_its_address_and_ca() {
        let lab = Lab::new();
        let _running = lab.start("");
        let inputs = |server_name: Option<&str>, expect| Inputs {
            subject: Subject::Server {
                target: format!("localhost:{}", lab.port),
                server_name: server_name.map(str::to_owned),
            },
            expect: Some(expect),
            ca: Some(lab.folder.path().join("ca.pem")),
            identity: None,
            transport: Transport::Tcp,
            output: Output::Text,
        };
        let table = [
            (Some("shop.example"), Stance::Prefer, true),
            (Some("shop.example"), Stance::Require, false),
            // the default site's certificate is not for another name
            (Some("elsewhere.example"), Stance::Prefer, false),
            (None, Stance::Prefer, true),
        ];
        for (server_name, expect, pass) in table {
            let tested = run(inputs(server_name, expect)).await.unwrap();
            assert_eq!(tested.pass, pass, "{server_name:?} {expect:?}\n{}", tested.text);
        }
    }

    #[tokio::test]
    async fn what_is_typed_wins_over_the_configuration() {
        let lab = Lab::new();
        let _running = lab.start("");
        let inputs = |expect, ca: Option<&str>| Inputs {
            subject: Subject::Plan {
                plan: Box::new(lab.plan("")),
                name: "portcullis.toml".to_owned(),
            },
            expect,
            ca: ca.map(|name| lab.folder.path().join(name)),
            identity: None,
            transport: Transport::Tcp,
            output: Output::Json,
        };
        let pass = async |inputs| run(inputs).await.unwrap().pass;
        assert!(pass(inputs(None, None)).await);
        assert!(!pass(inputs(Some(Stance::Require), None)).await);
        // by a root names count as well: selftest.other.example is in no certificate
        let by_root = run(inputs(None, Some("ca.pem"))).await.unwrap();
        assert!(!by_root.pass && by_root.text.contains("checked against the given CA"));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_an_error_and_no_verdict() {
        let inputs = |target: &str, ca: Option<&str>| Inputs {
            subject: Subject::Server {
                target: target.to_owned(),
                server_name: None,
            },
            expect: None,
            ca: ca.map(PathBuf::from),
            identity: None,
            transport: Transport::Tcp,
            output: Output::Text,
        };
        let missing = run(inputs("localhost:1", Some("/nonexistent/ca.pem")))
            .await
            .unwrap_err();
        assert!(
            format!("{missing:#}").starts_with("/nonexistent/ca.pem: "),
            "{missing:#}"
        );
        assert!(run(inputs("local host", None)).await.is_err());
    }

    #[test]
    fn an_address_for_everyone_is_dialled_on_the_loopback() {
        let table = [
            ("0.0.0.0:8443", "127.0.0.1:8443"),
            ("[::]:8443", "[::1]:8443"),
            ("192.0.2.1:1", "192.0.2.1:1"),
        ];
        for (bound, expected) in table {
            let address = dialled(&plan::Address::Ip(bound.parse().unwrap()));
            assert_eq!(address.to_string(), expected);
        }
    }

    #[test]
    fn a_chain_that_the_profile_never_sends_is_not_expected() {
        let lab = Lab::new();
        let classes = |setting: &str| {
            let plan = lab.plan(setting);
            let held = Certificate::of_site(&plan.sites[0]).unwrap();
            held.iter().map(|it| it.held.key_is_ml_dsa).collect::<Vec<_>>()
        };
        assert_eq!(classes(""), [false, true]);
        assert_eq!(classes("tls = { profile = \"pq-only\" }"), [true]);
        assert_eq!(classes("tls = { profile = \"cnsa2\" }"), [false; 0]);
        assert_eq!(trust(&[]), Trust::NotChecked);
        assert_eq!(classes("tls = { signatures = [\"ecdsa_secp256r1_sha256\"] }"), [false]);
    }

    /// Three sites on one listener, with certificates in files.
    struct Lab {
        folder: TempDir,
        port: u16,
        upstream: SocketAddr,
    }

    impl Lab {
        fn new() -> Lab {
            let folder = tempfile::tempdir().unwrap();
            let mut roots = String::new();
            for algorithm in [Algorithm::EcdsaP256, Algorithm::MlDsa65] {
                let valid = Duration::from_secs(86_400);
                let name = algorithm.to_string();
                let authority = Authority::root(&RootSpec { algorithm, name, valid }).unwrap();
                let names = ["localhost", "shop.example"].map(|name| name.parse().unwrap()).to_vec();
                let spec = ServerSpec {
                    algorithm,
                    names,
                    valid,
                };
                let issued = authority.issue_server(&spec).unwrap();
                write_issued(folder.path(), algorithm.word(), &issued).unwrap();
                roots.push_str(authority.certificate_pem());
            }
            write_certificate(&folder.path().join("ca.pem"), &roots).unwrap();
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            Lab {
                folder,
                port: free.local_addr().unwrap().port(),
                upstream: upstream(),
            }
        }

        /// The configuration with one more setting for its first site, the default one.
        fn source(&self, setting: &str) -> config::Source {
            let (port, upstream) = (self.port, self.upstream);
            let mut text = format!(
                "admin = {{ listen = \"unix:admin.sock\" }}\nlog = {{ level = \"error\" }}\n\
                 [[listener]]\nname = \"a\"\nlisten = [\"0.0.0.0:{port}\"]\nmode = \"tcp\"\n\
                 [upstream.a]\nservers = [\"{upstream}\"]\n"
            );
            let sites = [
                ("default", "", setting),
                ("shop", "names = [\"*.other.example\", \"shop.example\"]", ""),
                ("wild", "names = [\"*.shop.example\"]", ""),
            ];
            let sites = sites.map(|(name, names, setting)| {
                format!(
                    "[[site]]\nname = \"{name}\"\n{names}\n{setting}\nupstream = \"a\"\ncertificates = [\
                     {{ chain = \"ecdsa-p256.pem\", key = \"ecdsa-p256.key\" }}, \
                     {{ chain = \"mldsa65.pem\", key = \"mldsa65.key\" }}]\n"
                )
            });
            text.push_str(&sites.concat());
            self.written(&text)
        }

        /// One site for requests, over QUIC too, with one more setting.
        fn web(&self, setting: &str) -> String {
            let (port, upstream) = (self.port, self.upstream);
            format!(
                "admin = {{ listen = \"unix:admin.sock\" }}\nlog = {{ level = \"error\" }}\n\
                 [[listener]]\nname = \"a\"\nlisten = [\"0.0.0.0:{port}\"]\nmode = \"http\"\nhttp3 = true\n\
                 [upstream.a]\nservers = [\"{upstream}\"]\n\
                 [[site]]\nname = \"web\"\n{setting}\nupstream = \"a\"\ncertificates = [\
                 {{ chain = \"ecdsa-p256.pem\", key = \"ecdsa-p256.key\" }}, \
                 {{ chain = \"mldsa65.pem\", key = \"mldsa65.key\" }}]\n"
            )
        }

        fn written(&self, text: &str) -> config::Source {
            let file = self.folder.path().join("portcullis.toml");
            fs::write(&file, text).unwrap();
            config::Source {
                file: Some(file),
                ..config::Source::default()
            }
        }

        fn plan(&self, setting: &str) -> Plan {
            loaded(&self.source(setting))
        }

        fn start(&self, setting: &str) -> Running {
            start(self.source(setting))
        }
    }

    fn loaded(source: &config::Source) -> Plan {
        config::load(source)
            .unwrap_or_else(|problems| panic!("{}", config::render(&problems)))
            .plan
    }

    fn start(config: config::Source) -> Running {
        let source = Source {
            config,
            ..Source::default()
        };
        portcullis_proxy::start(source, Shutdown::Handle).unwrap()
    }

    /// Takes connections and closes them.
    fn upstream() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || listener.incoming().for_each(drop));
        address
    }
}
