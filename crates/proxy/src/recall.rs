//! Ends an open connection whose client a later configuration would not admit: revoked, denied, or its CA gone.
//!
//! Neither relay nor requests ever ask. A small task beside them sleeps until a configuration is swapped in, judges the
//! client's chain by the new rules on the connection's own core, and wakes them only to end them.
use crate::{
    core::{Core, Shared},
    failure::{Failure, Stage},
    metrics::Label,
    record::Record,
    site::Site,
    snapshot::Snapshot,
};
use portcullis_tls::{
    rustls::pki_types::{CertificateDer, UnixTime},
    server::{ClientRefusal, ClientRules},
};
use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
};
use tokio::task::{AbortHandle, spawn_local};

/// Tells a relay that its client is admitted no longer.
pub(crate) struct Recall {
    told: Rc<RefCell<Told>>,
    task: AbortHandle,
}

#[derive(Default)]
struct Told {
    refusal: Option<ClientRefusal>,
    relay: Option<Waker>,
}

/// Who came, by which door, and under which rules.
struct Client {
    listener: Label,
    site: Label,
    sni: Option<Box<str>>,
    chain: Vec<CertificateDer<'static>>,
    rules: Arc<ClientRules>,
}

impl Recall {
    /// Watches over a connection whose client showed a certificate.
    pub(crate) fn of(core: &Core, chain: &[CertificateDer<'static>], site: &Site, record: &Record) -> Option<Recall> {
        if chain.is_empty() {
            return None;
        }
        let client = Client {
            listener: record.listener.clone(),
            site: site.name.clone(),
            sni: record.sni().map(Box::from),
            chain: chain.to_vec(),
            rules: Arc::clone(site.tls.as_ref()?.clients()?),
        };
        let told = Rc::default();
        let task = spawn_local(follow(core.shared.clone(), client, Rc::clone(&told)));
        let task = task.abort_handle();
        Some(Recall { told, task })
    }

    /// Why the connection ends, once it does; the relay is woken then.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let mut told = self.told.borrow_mut();
        if let Some(refusal) = told.refusal.take() {
            let error = format!("{refusal}, since the configuration was reloaded");
            return Err(Failure::refused(Stage::Relay, refusal.fault, error));
        }
        if !told.relay.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            told.relay = Some(cx.waker().clone());
        }
        Ok(())
    }
}

impl Drop for Recall {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Judges at once, since a configuration may have been swapped in during the handshake, and after every swap.
async fn follow(shared: Arc<Shared>, mut client: Client, told: Rc<RefCell<Told>>) {
    let mut swaps = shared.live.swaps();
    loop {
        if let Some(refusal) = client.refused_by(&shared.live.load()) {
            let mut told = told.borrow_mut();
            told.refusal = Some(refusal);
            return told.relay.take().into_iter().for_each(Waker::wake);
        }
        if swaps.changed().await.is_err() {
            return;
        }
    }
}

impl Client {
    /// By the site that would be theirs now. Where no site is, or it asks for no certificates, nobody judges.
    fn refused_by(&mut self, snapshot: &Snapshot) -> Option<ClientRefusal> {
        let mut listeners = snapshot.listeners.iter();
        let same = listeners.find(|listener| listener.name == self.listener);
        let here = same.and_then(|listener| listener.sites.find(self.sni.as_deref()));
        let namesake = || {
            let mut all = snapshot.listeners.iter().flat_map(|listener| listener.sites.all());
            all.find(|site| site.name == self.site)
        };
        let rules = here.or_else(namesake)?.tls.as_ref()?.clients()?;
        if rules.is_same(&self.rules) {
            return None;
        }
        self.rules = Arc::clone(rules);
        let refusal = rules.judge(&self.chain, UnixTime::now()).err();
        // a policy is about new connections: those that are open stay
        refusal.filter(|refusal| refusal.rule.is_none())
    }
}
