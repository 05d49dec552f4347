//! `portcullis demo`: a private CA, two services behind the proxy, a self-test of both, and what to try by hand.
mod backend;
mod browser;
mod page;
mod ports;
mod words;
mod world;

pub use backend::Facts;
pub use browser::Browser;
pub use ports::Ports;
pub use world::config_toml;

use crate::selftest;
use anyhow::{Context, anyhow};
use backend::Backend;
use portcullis_probe::Report;
use portcullis_proxy::{Admitted, Hook, Running, Shutdown, Source, config};
use std::{
    collections::HashMap,
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::signal::unix::{SignalKind, signal};
use world::World;

/// How a demo ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Somebody ended it.
    BySignal,
    /// Its self-test found a broken promise.
    NotProven,
}

/// Runs until SIGINT or SIGTERM, or until the self-test fails; says what it does as it goes.
pub async fn run(browser: Browser, out: &mut impl Write) -> anyhow::Result<Ended> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let demo = Demo::start(out).await?;
    let reports = demo.test().await?;
    out.write_all(words::proven(&reports).as_bytes())?;
    if !reports.iter().all(|report| report.pass) {
        demo.end().await;
        return Ok(Ended::NotProven);
    }
    writeln!(
        out,
        "\n{}\nready: end it with Ctrl-C",
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
    async fn start(out: &mut impl Write) -> anyhow::Result<Demo> {
        let (ports, notices) = Ports::choose().context("no free port on the loopback")?;
        for notice in notices {
            writeln!(out, "{notice}")?;
        }
        let visitors = Visitors::default();
        let asked = visitors.clone();
        let backend = Backend::start(move |peer| asked.take(peer)).await?;
        let world = World::make(&ports, &backend)?;
        writeln!(
            out,
            "everything made for this demo stands in {}, and goes with it",
            world.folder().display()
        )?;
        let source = Source {
            config: source(world.config()),
            hook: Some(visitors.hook()),
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
        selftest::run_plan(&loaded.plan, None).await
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

/// What the proxy admitted and the backend has not asked for yet, by the address that the backend sees. Bounded by
/// the ports of one address.
#[derive(Clone, Default)]
struct Visitors(Arc<Mutex<HashMap<SocketAddr, Facts>>>);

impl Visitors {
    fn hook(&self) -> Hook {
        let visitors = self.clone();
        Arc::new(move |admitted: &Admitted<'_>| {
            if let Some(facts) = admitted.negotiated {
                visitors.lock().insert(admitted.from, Facts::of(facts));
            }
        })
    }

    fn take(&self, peer: SocketAddr) -> Option<Facts> {
        self.lock().remove(&peer)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Facts>> {
        // a panic elsewhere leaves the map whole
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
