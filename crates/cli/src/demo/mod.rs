//! `portcullis demo`: a private CA, two services behind the proxy, a self-test of both, and what to try by hand.
mod backend;
mod browser;
mod crowd;
mod page;
mod ports;
mod words;
mod world;

pub(crate) use browser::Browser;
pub(crate) use ports::Ports;

use crate::selftest;
use anyhow::{Context, anyhow};
use backend::Backend;
use crowd::Crowd;
use portcullis_probe::{Report, Transport};
use portcullis_proxy::{Running, Shutdown, Source, config};
use std::{fs::File, io::Write, net::SocketAddr, path::PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use world::World;

/// How a demo ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// Somebody ended it.
    BySignal,
    /// Its self-test found a broken promise.
    NotProven,
}

/// Runs until SIGINT or SIGTERM, or until the self-test fails; says what it does as it goes.
pub(crate) async fn run(browser: Browser, out: &mut impl Write) -> anyhow::Result<Ended> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (ports, notices) = Ports::choose().context("no free port on the loopback")?;
    for notice in notices {
        writeln!(out, "{notice}")?;
    }
    let demo = Demo::start(ports, out).await?;
    let reports = demo.test().await?;
    out.write_all(words::proven(&reports).as_bytes())?;
    if !reports.iter().all(|report| report.pass) {
        demo.end().await;
        return Ok(Ended::NotProven);
    }
    let crowd = demo.crowd().await?;
    write!(
        out,
        "\n{}\nend it with Ctrl-C\nready\n",
        words::to_try(&demo.ports, &demo.world)
    )?;
    out.flush()?;
    let opened = browser.open(&demo.url());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    if let Some(mut child) = opened {
        // only reaps it, if it is done; a browser outlives the demo
        let _ = child.try_wait();
    }
    drop(crowd);
    demo.end().await;
    Ok(Ended::BySignal)
}

/// Everything that runs. The folder goes last.
struct Demo {
    running: Running,
    ports: Ports,
    _backend: Backend,
    world: World,
}

impl Demo {
    async fn start(ports: Ports, out: &mut impl Write) -> anyhow::Result<Demo> {
        let backend = Backend::start().await?;
        let world = World::make(&ports, &backend)?;
        writeln!(
            out,
            "everything made for this demo stands in {}, and goes with it",
            world.folder().display()
        )?;
        let log = File::create(world.log()).with_context(|| world.log().display().to_string())?;
        let source = Source {
            config: source(world.config()),
            output: Some(Box::new(log)),
            ..Source::default()
        };
        let running = portcullis_proxy::start(source, Shutdown::Handle)?;
        Ok(Demo {
            running,
            ports,
            _backend: backend,
            world,
        })
    }

    /// The self-test that anybody could run from outside, by the configuration that runs.
    async fn test(&self) -> anyhow::Result<Vec<Report>> {
        let loaded = config::load(&source(self.world.config()));
        let loaded = loaded.map_err(|problems| anyhow!(config::render(&problems)))?;
        let mut tests = selftest::of_plan(&loaded.plan, Transport::Tcp)?;
        tests.extend(selftest::of_plan(&loaded.plan, Transport::Quic)?);
        Ok(selftest::run_all(tests).await)
    }

    /// Visitors of all sorts, who come as long as this lives.
    async fn crowd(&self) -> anyhow::Result<Crowd> {
        let (ports, ca) = (self.ports.clone(), self.world.ca());
        tokio::task::spawn_blocking(move || Crowd::invite(&ports, &ca)).await?
    }

    fn url(&self) -> String {
        let port = self.ports.page.first().map_or(0, SocketAddr::port);
        format!("https://localhost:{port}/")
    }

    /// Drains on a thread of its own: the backend must go on answering meanwhile.
    async fn end(self) {
        let Demo {
            running,
            _backend,
            world,
            ..
        } = self;
        running.drain();
        // an error would be a panic there, already printed
        let _ = tokio::task::spawn_blocking(move || running.wait()).await;
        drop(world);
    }
}

fn source(file: PathBuf) -> config::Source {
    config::Source {
        file: Some(file),
        ..config::Source::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_tls::{
        client::{Client, ClientSpec, Trust},
        identity::certificates_from_pem,
        negotiated::Version,
        rustls,
    };
    use portcullis_wire::{GroupId, registry::Group};
    use std::{fs, io::Read, net::TcpStream, path::Path};

    #[tokio::test]
    async fn the_demo_proves_itself_and_tells_each_visitor_what_it_negotiated() {
        let mut said = Vec::new();
        let demo = Demo::start(Ports::any().unwrap(), &mut said).await.unwrap();
        let reports = demo.test().await.unwrap();
        let problems: Vec<&String> = reports.iter().flat_map(|report| &report.problems).collect();
        assert!(reports.len() >= 3 && problems.is_empty(), "{problems:#?}");
        assert!(reports.iter().any(|report| report.transport == "quic"));
        assert!(words::proven(&reports).contains("asked again"));

        let (address, ca) = (demo.ports.page[0], demo.world.ca());
        for group in ["X25519MLKEM768", "secp384r1"] {
            let group = Group::by_name(group).unwrap();
            let ca = ca.clone();
            let visit = tokio::task::spawn_blocking(move || visit(address, &ca, group.id));
            let told: serde_json::Value = serde_json::from_str(&visit.await.unwrap()).unwrap();
            assert_eq!((&told["group"], &told["version"]), (&group.name.into(), &"1.3".into()));
            assert_eq!(told["key_exchange"], group.class.as_str());
        }
        let folder = demo.world.folder().to_owned();
        assert!(String::from_utf8(said).unwrap().contains(folder.to_str().unwrap()));
        let log = fs::read_to_string(demo.world.log()).unwrap();
        assert!(log.contains("X25519MLKEM768"), "a line for each connection: {log}");
        demo.end().await;
        assert!(!folder.exists());
    }

    #[tokio::test]
    async fn the_crowd_is_of_all_sorts_and_keeps_nobody_from_ending() {
        let demo = Demo::start(Ports::any().unwrap(), &mut Vec::new()).await.unwrap();
        let crowd = demo.crowd().await.unwrap();
        let log = demo.world.log();
        drop(crowd);
        demo.running.drain();
        let running = demo.running;
        tokio::task::spawn_blocking(move || running.wait()).await.unwrap();
        let log = fs::read_to_string(log).unwrap();
        let count = |words: &[&str]| {
            let fits = |line: &&str| words.iter().all(|word| line.contains(word));
            log.lines().filter(fits).count()
        };
        let table: [(&[&str], usize); 7] = [
            (
                &[
                    "info connection ",
                    "listener=page",
                    "group=X25519MLKEM768",
                    "retry=false",
                ],
                7,
            ),
            (
                &[
                    "info connection ",
                    "listener=page",
                    "group=X25519MLKEM768",
                    "retry=true",
                ],
                2,
            ),
            (
                &["info connection ", "listener=page", "group=X25519 ", "safety=none"],
                2,
            ),
            (&["info connection ", "listener=echo", "version=1.3", "safety=full"], 3),
            (&["info connection ", "listener=echo", "version=1.2", "safety=none"], 1),
            (&["info connection ", "outcome=ok"], 15),
            (&["request", "status=200", "user_agent=browser/156"], 6),
        ];
        for (words, times) in table {
            assert_eq!(count(words), times, "{words:?}: {log}");
        }
    }

    #[tokio::test]
    async fn a_proxy_that_does_other_than_its_configuration_says_is_not_proven() {
        let demo = Demo::start(Ports::any().unwrap(), &mut Vec::new()).await.unwrap();
        let path = demo.world.config();
        let text = fs::read_to_string(&path).unwrap();
        let stricter = text.replace("[[site]]\n", "[[site]]\npolicy = \"require\"\n");
        fs::write(&path, stricter).unwrap();
        let reports = demo.test().await.unwrap();
        assert!(reports.iter().all(|report| !report.pass));
        assert!(words::proven(&reports).contains("problem: "));
        demo.end().await;
    }

    /// Asks for what was negotiated, offering one group and trusting only the demo's own roots.
    fn visit(address: SocketAddr, ca: &Path, group: GroupId) -> String {
        let roots = certificates_from_pem(&fs::read(ca).unwrap()).unwrap();
        let client = Client::build(ClientSpec {
            versions: vec![Version::Tls13],
            groups: vec![group],
            schemes: None,
            trust: Trust::Roots(roots.into_iter().map(|(der, _)| der).collect()),
            identity: None,
            alpn: Vec::new(),
            resumption: 0,
        });
        let mut connection = client.unwrap().connect("localhost".try_into().unwrap()).unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        let mut stream = rustls::Stream::new(&mut connection.tls, &mut socket);
        stream.write_all(b"GET /api/negotiated HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}
