//! One object per connection: it learns as the connection goes on, and tells the access log and the metrics
//! when it is dropped, so that no ending goes uncounted: not a panic, not a drain.
use crate::{
    clock,
    failure::{Failure, Outcome, Stage},
    ledger::{Agent, Judgement, Ledger, Offered, note},
    log::Log,
    metrics::{Label, Metrics},
    plan::LogFormat,
    site::Site,
    traces::{self, Fact, Said, Traces},
    upstream::Told,
};
use portcullis_tls::{
    failure::Fault,
    fingerprint::Ja4,
    negotiated::{ClientCertificate, Negotiated},
    policy::{Decision, Policy, Prospect, RuleName, Scope, Verdict},
};
use portcullis_wire::{Escaped, GroupId, Hello, SchemeId, ja4::Transport};
use serde::Serialize;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

mod entered;
#[cfg(test)]
mod overhead;
mod text;

pub(crate) use text::text_line;

/// What records report to, the same for all of one proxy.
pub(crate) struct Books {
    pub(crate) log: Log,
    pub(crate) traces: Traces,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) ledger: Arc<Ledger>,
    /// The site of what never found one.
    pub(crate) nowhere: Label,
    /// On the way out: readiness fails.
    pub(crate) draining: AtomicBool,
    /// The grace of a shutdown is over: what is dropped now was cut by the operator.
    pub(crate) cutting: AtomicBool,
}

/// Bytes from the client, and to it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Bytes {
    pub(crate) inward: u64,
    pub(crate) outward: u64,
}

/// Requests of a connection.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Requested {
    pub(crate) count: u64,
    /// By a route's policy.
    pub(crate) refused: u64,
    /// By one that only reports.
    pub(crate) would_refuse: u64,
    /// What they call their program.
    pub(crate) agents: Vec<Agent>,
}

impl Requested {
    /// What one more of them calls its program; empty: nothing.
    pub(crate) fn call(&mut self, agent: &[u8]) {
        if !agent.is_empty() {
            note(&mut self.agents, agent, 1);
        }
    }
}

/// What is known of one connection.
pub(crate) struct Record {
    books: Arc<Books>,
    core: usize,
    id: u64,
    began: Instant,
    pub(crate) listener: Label,
    site: Label,
    /// The site as metrics know it.
    pub(crate) site_label: Label,
    peer: Peer,
    announced: Option<Box<Announced>>,
    offer: Option<Box<Offer>>,
    negotiated: Option<Box<Negotiated>>,
    /// Whose certificate was refused, so that nothing was negotiated.
    refused_client: Option<Box<ClientCertificate>>,
    policy: Option<Policy>,
    /// What was decided on it, and would be; None where nothing could be.
    decision: Option<Decision>,
    handshake_us: u64,
    pub(crate) handshake_bytes: Bytes,
    pub(crate) bytes: Bytes,
    pub(crate) requests: Requested,
    /// What the ledger is told of it besides.
    pub(crate) judgement: Judgement,
    upstream: Option<Upstream>,
    /// Its listener was full when it came.
    is_turned_away: bool,
    ending: Ending,
}

/// Who is at the other end of a socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Peer {
    Ip(std::net::SocketAddr),
    Unix,
}

/// What stands behind a peer that somebody else announced.
struct Announced {
    /// Who announced it.
    direct: Peer,
    /// Where the client connected to.
    destination: Option<std::net::SocketAddr>,
}

/// Whether a site wants to see its clients' certificates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AskedForClients {
    Yes,
    No,
}

/// What a client offered, kept for the line.
struct Offer {
    sni: Option<String>,
    groups: Vec<GroupId>,
    ja4: Ja4,
    transport: Transport,
    offered: Arc<Offered>,
}

struct Upstream {
    name: Label,
    server: Arc<str>,
    /// What its TLS came to, kept small: a group, its class, and a signature.
    facts: Option<(Option<GroupId>, &'static str, Option<SchemeId>)>,
}

enum Ending {
    /// It still runs; dropped now, it was cut.
    Running(Stage),
    /// It never said a word: counted, not logged.
    Silent,
    Over(Result<(), Failure>),
}

impl Peer {
    /// Its address, where it has one.
    pub(crate) fn address(&self) -> Option<std::net::IpAddr> {
        match self {
            Peer::Ip(address) => Some(address.ip()),
            Peer::Unix => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Ip(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix"),
        }
    }
}

impl Record {
    pub(crate) fn new((books, core): (Arc<Books>, usize), id: u64, listener: Label, peer: Peer) -> Record {
        Record {
            core,
            id,
            began: Instant::now(),
            listener,
            site: books.nowhere.clone(),
            site_label: books.nowhere.clone(),
            peer,
            announced: None,
            offer: None,
            negotiated: None,
            refused_client: None,
            policy: None,
            decision: None,
            handshake_us: 0,
            handshake_bytes: Bytes::default(),
            bytes: Bytes::default(),
            requests: Requested::default(),
            judgement: Judgement::default(),
            upstream: None,
            is_turned_away: false,
            ending: Ending::Running(Stage::Accept),
            books,
        }
    }

    /// Its number in the log.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The name that its client asked for.
    pub(crate) fn sni(&self) -> Option<&str> {
        self.offer.as_ref()?.sni.as_deref()
    }

    /// When the connection was accepted: every deadline counts from here.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Its peer stands for another client, who connected there.
    pub(crate) fn announced(&mut self, source: std::net::SocketAddr, destination: std::net::SocketAddr) {
        let direct = std::mem::replace(&mut self.peer, Peer::Ip(source));
        let destination = Some(destination);
        self.announced = Some(Box::new(Announced { direct, destination }));
    }

    /// Its listener has all the connections that it may: it will be told so.
    pub(crate) fn turn_away(&mut self) {
        self.is_turned_away = true;
    }

    pub(crate) fn is_turned_away(&self) -> bool {
        self.is_turned_away
    }

    /// It has come this far.
    pub(crate) fn reach(&mut self, stage: Stage) {
        self.ending = Ending::Running(stage);
    }

    pub(crate) fn offered(&mut self, hello: &Hello, transport: Transport) {
        // here, since it wants lists of the hello that nothing else does, and nobody keeps them
        let ja4 = Ja4::of(hello, transport);
        let name = Ja4::of_first_visit(hello, transport).unwrap_or(ja4);
        self.offer = Some(Box::new(Offer {
            sni: hello.sni.clone(),
            groups: hello.groups.clone(),
            ja4,
            transport,
            offered: self.books.ledger.offered(self.core, (hello, name)),
        }));
    }

    pub(crate) fn routed(&mut self, site: &Site) {
        self.site = site.name.clone();
        self.site_label = site.label.clone();
        self.policy = Some(site.policy);
    }

    /// Its requests led to this site, where no handshake said so before.
    pub(crate) fn belongs_to(&mut self, site: Label) {
        if self.site == self.books.nowhere {
            self.site = site;
        }
    }

    pub(crate) fn negotiated_as(&mut self, facts: Negotiated) {
        let took = self.began.elapsed();
        self.handshake_us = took.as_micros() as u64;
        self.negotiated = Some(Box::new(facts));
        self.books.metrics.handshake(self, took);
    }

    /// What the policy says of it, before the handshake (then only what it has against it) or afterwards.
    pub(crate) fn decided(&mut self, decision: Decision, asked_for_clients: AskedForClients) {
        let is_over = self.negotiated.is_some();
        for (rule, verdict) in decision.rules() {
            let is_asked = rule != RuleName::ClientAuthentication || asked_for_clients == AskedForClients::Yes;
            if is_asked && (is_over || verdict != Verdict::Admitted) {
                let metrics = &self.books.metrics;
                metrics.policy(&self.site_label, Scope::Connection, (rule, verdict));
            }
        }
        self.judged(decision);
    }

    fn judged(&mut self, decision: Decision) {
        let rules = decision.rules();
        let is_any = |verdict| rules.iter().any(|(_, of)| *of == verdict);
        self.judgement.refused_by = decision.refused_by();
        self.judgement.would_refuse = rules.map(|(_, verdict)| verdict == Verdict::WouldRefuse);
        self.judgement.exempt = is_any(Verdict::Exempt);
        self.judgement.whatif_key_exchange = decision.outlook.key_exchange == Prospect::Fails;
        self.judgement.whatif_authentication = decision.outlook.authentication == Prospect::Fails;
        self.decision = Some(decision);
    }

    /// The client's certificate was refused in the handshake, by the policy.
    pub(crate) fn refused_by_policy(&mut self, decision: Decision) {
        let verdict = (RuleName::ClientAuthentication, Verdict::Refused);
        self.books.metrics.policy(&self.site_label, Scope::Connection, verdict);
        self.judged(Decision {
            client_authentication: Verdict::Refused,
            ..decision
        });
    }

    /// What was decided on it; None before it was, and where no TLS is.
    pub(crate) fn decision(&self) -> Option<Decision> {
        self.decision
    }

    /// Its handshake failed by this certificate.
    pub(crate) fn refused_client(&mut self, certificate: Box<ClientCertificate>) {
        self.refused_client = Some(certificate);
    }

    pub(crate) fn connected(&mut self, upstream: &Label, server: &Arc<str>, facts: Option<&Negotiated>) {
        self.upstream = Some(Upstream {
            name: upstream.clone(),
            server: server.clone(),
            facts: facts.map(|facts| (facts.group, facts.key_exchange().as_str(), facts.signature)),
        });
    }

    /// What a server may be told of it.
    pub(crate) fn told(&self, destination: Option<std::net::SocketAddr>) -> Told<'_> {
        Told {
            peer: &self.peer,
            destination: self.announced.as_ref().map_or(destination, |a| a.destination),
            id: self.id,
            sni: self.offer.as_ref().and_then(|o| o.sni.as_deref()),
            negotiated: self.negotiated(),
        }
    }

    /// The connection is over.
    pub(crate) fn end(&mut self, result: Result<(), Failure>) {
        self.ending = Ending::Over(result);
    }

    /// It closed before its first byte, as load balancers do that knock.
    pub(crate) fn end_silently(&mut self) {
        self.ending = Ending::Silent;
    }

    pub(crate) fn negotiated(&self) -> Option<&Negotiated> {
        self.negotiated.as_deref()
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        match &self.ending {
            Ending::Over(result) => result.as_ref().err(),
            Ending::Running(_) | Ending::Silent => None,
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match &self.ending {
            Ending::Over(result) => result.as_ref().err().map_or(Outcome::Ok, |f| f.outcome),
            Ending::Running(_) | Ending::Silent => Outcome::Failed,
        }
    }

    /// The class of its key exchange, empty before there was one.
    pub(crate) fn key_exchange(&self) -> &'static str {
        self.negotiated().map_or("", |n| n.key_exchange().as_str())
    }

    /// What the end of a connection was that nobody reported.
    fn settle(&mut self) {
        let failure = match self.ending {
            Ending::Over(_) => return,
            Ending::Silent => Failure::failed(Stage::Hello, Fault::Closed, "closed before its first byte"),
            Ending::Running(stage) if self.books.cutting.load(Relaxed) => {
                Failure::failed(stage, Fault::Operator, "cut when the grace of the shutdown was over")
            }
            Ending::Running(stage) => Failure::failed(stage, Fault::Ours, "dropped: an error in portcullis"),
        };
        self.ending = Ending::Over(Err(failure));
    }

    fn line(&self) -> Line<'_> {
        let facts = self.negotiated();
        let client = facts.and_then(|n| n.client.as_deref());
        let client = client.or(self.refused_client.as_deref());
        let origin = self.upstream.as_ref().and_then(|u| u.facts);
        let failure = self.failure();
        let alert = |pick: fn(&Failure) -> Option<portcullis_wire::alert::Alert>| {
            failure.and_then(pick).map(|a| a.to_string()).unwrap_or_default()
        };
        Line {
            ts: clock::timestamp(),
            event: "connection",
            id: format!("{:016x}", self.id),
            listener: &self.listener.0,
            site: &self.site.0,
            sni: self.offer.as_ref().and_then(|o| o.sni.as_deref()).unwrap_or_default(),
            peer: self.peer.to_string(),
            direct_peer: self.announced.as_ref().map_or(&self.peer, |a| &a.direct).to_string(),
            version: facts.map_or("", |n| n.version.as_str()),
            group: facts.and_then(|n| n.group).map(|g| g.to_string()).unwrap_or_default(),
            key_exchange: self.key_exchange(),
            offered_groups: self
                .offer
                .iter()
                .flat_map(|o| &o.groups)
                .map(GroupId::to_string)
                .collect(),
            retry: facts.is_some_and(|n| n.retry),
            cipher: facts.map(|n| n.cipher.to_string()).unwrap_or_default(),
            signature: facts
                .and_then(|n| n.signature)
                .map(|s| s.to_string())
                .unwrap_or_default(),
            authentication: facts.map_or("", |n| n.authentication.as_str()),
            safety: self.safety(),
            client_subject: client
                .map(|c| Escaped(c.subject.as_bytes()).to_string())
                .unwrap_or_default(),
            client_issuer: client
                .map(|c| Escaped(c.issuer.as_bytes()).to_string())
                .unwrap_or_default(),
            client_serial: client.map_or("", |c| &c.serial),
            client_authentication: facts.map_or("", |n| n.client_authentication.as_str()),
            alpn: facts
                .and_then(|n| n.alpn.as_deref())
                .map(|a| Escaped(a).to_string())
                .unwrap_or_default(),
            resumed: facts.is_some_and(|n| n.resumed),
            ja4: self.offer.as_ref().map_or("", |o| o.ja4.as_str()),
            policy: self
                .policy
                .map(|policy| policy_words(policy, self.decision))
                .unwrap_or_default(),
            handshake_us: self.handshake_us,
            handshake_bytes_in: self.handshake_bytes.inward,
            handshake_bytes_out: self.handshake_bytes.outward,
            bytes_in: self.bytes.inward,
            bytes_out: self.bytes.outward,
            upstream: self.upstream.as_ref().map_or("", |u| &u.name.0),
            upstream_server: self.upstream.as_ref().map_or("", |u| &u.server),
            upstream_group: origin
                .and_then(|(group, ..)| group)
                .map(|g| g.to_string())
                .unwrap_or_default(),
            upstream_key_exchange: origin.map_or("", |(_, class, _)| class),
            upstream_signature: origin.and_then(|(.., s)| s).map(|s| s.to_string()).unwrap_or_default(),
            duration_us: self.began.elapsed().as_micros() as u64,
            outcome: self.outcome().as_str(),
            stage: failure.map_or("", |f| f.stage.as_str()),
            fault: failure.map_or("", |f| f.fault.as_str()),
            error: failure.map_or("", |f| &f.error),
            alert_in: alert(|f| f.alert_in),
            alert_out: alert(|f| f.alert_out),
        }
    }

    /// A span, where it is for a collector: requests tell of their connections, so what is left is tcp, and what failed.
    fn trace(&self) {
        let is_told = self.failure().is_none_or(|failure| failure.stage == Stage::Request);
        if self.upstream.is_none() && is_told {
            return;
        }
        let Some(trace) = self.books.traces.begin(self.id, || None) else {
            return;
        };
        trace.end(&self.books.traces, || self.span());
    }

    fn span(&self) -> Said {
        let text = |text: &str| Fact::from(text);
        let mut attributes = vec![
            ("portcullis.connection_id", Fact::from(format!("{:016x}", self.id))),
            ("portcullis.listener", text(&self.listener.0)),
            ("portcullis.site", text(&self.site.0)),
            (
                "client.address",
                self.peer.address().map(|ip| ip.to_string()).unwrap_or_default().into(),
            ),
            ("server.address", text(self.sni().unwrap_or_default())),
            (
                "tls.client.ja4",
                text(self.offer.as_ref().map_or("", |o| o.ja4.as_str())),
            ),
            ("portcullis.bytes_in", self.bytes.inward.into()),
            ("portcullis.bytes_out", self.bytes.outward.into()),
            (
                "portcullis.upstream",
                text(self.upstream.as_ref().map_or("", |u| &u.name.0)),
            ),
            (
                "portcullis.upstream_server",
                text(self.upstream.as_ref().map_or("", |u| &u.server)),
            ),
        ];
        attributes.extend(self.negotiated().into_iter().flat_map(traces::of_tls));
        Said {
            name: "connection".to_owned(),
            took: self.began.elapsed(),
            attributes,
            error: self.failure().map(traces::why),
        }
    }

    fn safety(&self) -> &'static str {
        match (&self.negotiated, &self.offer) {
            (Some(facts), _) => facts.safety().as_str(),
            // no hello was read, and yet it came through: a plain listener
            (None, None) if self.upstream.is_some() => "plain",
            (None, _) => "",
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let silent = matches!(self.ending, Ending::Silent);
        self.settle();
        self.books.metrics.connection(self);
        if silent {
            return;
        }
        self.enter();
        self.trace();
        if let Some(line) = self
            .books
            .log
            .access_format()
            .and_then(|format| self.line().render(format))
        {
            self.books.log.access(line);
        }
    }
}

/// `key_exchange=require:would_refuse,authentication=observe,client_authentication=observe`: each rule with its word, and
/// what was decided where that is not simply to admit.
pub(crate) fn policy_words(policy: Policy, decision: Option<Decision>) -> String {
    let verdict = |rule| {
        let rules = decision.map(Decision::rules).into_iter().flatten();
        let mut weighty = rules.filter(|(_, verdict)| *verdict != Verdict::Admitted);
        weighty.find_map(|(of, verdict)| (of == rule).then_some(verdict))
    };
    let word = |rule: RuleName| match verdict(rule) {
        Some(verdict) => format!("{rule}={}:{}", policy.stance(rule).as_str(), verdict.as_str()),
        None => format!("{rule}={}", policy.stance(rule).as_str()),
    };
    RuleName::ALL.map(word).join(",")
}

/// SPEC 6's line, field by field in its order.
#[derive(Serialize)]
struct Line<'a> {
    ts: String,
    event: &'static str,
    id: String,
    listener: &'a str,
    site: &'a str,
    sni: &'a str,
    peer: String,
    direct_peer: String,
    version: &'static str,
    group: String,
    key_exchange: &'static str,
    offered_groups: Vec<String>,
    retry: bool,
    cipher: String,
    signature: String,
    authentication: &'static str,
    safety: &'static str,
    client_subject: String,
    client_issuer: String,
    client_serial: &'a str,
    client_authentication: &'static str,
    alpn: String,
    resumed: bool,
    ja4: &'a str,
    policy: String,
    handshake_us: u64,
    handshake_bytes_in: u64,
    handshake_bytes_out: u64,
    bytes_in: u64,
    bytes_out: u64,
    upstream: &'a str,
    upstream_server: &'a str,
    upstream_group: String,
    upstream_key_exchange: &'static str,
    upstream_signature: String,
    duration_us: u64,
    outcome: &'static str,
    stage: &'static str,
    fault: &'static str,
    error: &'a str,
    alert_in: String,
    alert_out: String,
}

impl Line<'_> {
    fn render(&self, format: LogFormat) -> Option<String> {
        match format {
            LogFormat::Json => {
                let mut line = serde_json::to_string(self).expect("a struct of strings and numbers is JSON");
                line.push('\n');
                Some(line)
            }
            LogFormat::Text => Some(text_line(self, &self.ts, self.event)),
            LogFormat::Common | LogFormat::Combined => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        log::Files,
        plan::{AccessLog, LogLevel, LogPlan},
    };
    use std::{io, sync::Mutex};

    /// What the writer thread wrote.
    #[derive(Clone, Default)]
    pub(super) struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What records report to, as text in `written`, and who writes it.
    pub(super) fn books(plan: &LogPlan, written: Written) -> (Arc<Books>, std::thread::JoinHandle<()>) {
        let metrics = Arc::new(Metrics::new());
        let (log, writer) = Log::start(plan, Files::default(), Box::new(written), metrics.clone()).unwrap();
        let flags = || AtomicBool::new(false);
        let books = Books {
            log,
            traces: Traces::new(metrics.traces_dropped.clone()),
            metrics,
            ledger: Arc::new(Ledger::alone()),
            nowhere: Label::from("none"),
            draining: flags(),
            cutting: flags(),
        };
        (Arc::new(books), writer)
    }

    pub(super) fn plan(format: LogFormat, access: AccessLog) -> LogPlan {
        LogPlan {
            level: LogLevel::Info,
            format,
            access,
            query: crate::plan::LogQuery::Keep,
        }
    }

    /// The line and the metrics of a connection that ended by `end`.
    fn told(format: LogFormat, end: impl FnOnce(&mut Record)) -> (String, String) {
        let written = Written::default();
        let (books, writer) = books(&plan(format, AccessLog::Stdout), written.clone());
        let peer = Peer::Ip("192.0.2.7:40000".parse().unwrap());
        let mut record = Record::new((books.clone(), 0), 1, "web".into(), peer);
        end(&mut record);
        drop(record);
        books.log.end();
        writer.join().unwrap();
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        (text, books.metrics.render())
    }

    fn golden(name: &str) -> Vec<String> {
        let path = format!("{}/testdata/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines()
            .filter(|l| !l.starts_with('#'))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_fields_of_a_line_are_the_golden_ones_in_their_order() {
        let (line, _) = told(LogFormat::Json, |record| record.end(Ok(())));
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line).unwrap();
        assert_eq!(fields.keys().cloned().collect::<Vec<_>>(), golden("record-fields.txt"));
        assert_eq!(
            (&fields["outcome"], &fields["bytes_in"], &fields["resumed"]),
            (&"ok".into(), &0.into(), &false.into())
        );
    }

    /// Each metric as `name type label,label`.
    fn families(text: &str) -> Vec<String> {
        let mut families: Vec<String> = Vec::new();
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                families.push(family.to_owned());
            } else if let (Some((_, labels)), Some(family)) = (line.split_once('{'), families.last_mut())
                && family.matches(' ').count() == 1
            {
                let labels = labels
                    .split("\",")
                    .filter_map(|l| l.split_once("=\""))
                    .map(|(name, _)| name);
                *family += &format!(" {}", labels.filter(|l| *l != "le").collect::<Vec<_>>().join(","));
            }
        }
        families.retain(|f| !f.starts_with("process_"));
        families
    }

    #[test]
    fn the_metrics_and_their_labels_are_the_golden_ones() {
        let (_, metrics) = told(LogFormat::Text, |record| {
            let facts = Negotiated {
                version: portcullis_tls::negotiated::Version::Tls13,
                group: Some(GroupId(0x11ec)),
                retry: false,
                cipher: portcullis_wire::CipherId(0x1301),
                signature: Some(SchemeId(0x0905)),
                authentication: portcullis_tls::negotiated::Authentication::Pq,
                client_authentication: portcullis_tls::negotiated::ClientAuthentication::None,
                client: None,
                resumed: false,
                alpn: None,
            };
            record
                .books
                .metrics
                .upstream_health(&Label::from("up"), &"h:1".into(), true);
            record.books.metrics.upstream_handshake(&Label::from("up"), &facts);
            record.negotiated_as(facts);
            record.bytes = Bytes { inward: 1, outward: 2 };
            let (site, upstream, metrics) = (Label::from("shop"), Label::from("up"), &record.books.metrics);
            metrics.policy(&site, Scope::Connection, (RuleName::KeyExchange, Verdict::Admitted));
            metrics.upstream_policy(&upstream, (RuleName::KeyExchange, Verdict::Refused));
            metrics.open(&site).inc();
            metrics.upstream_open(&upstream).inc();
            metrics.upstream_failures(&upstream).inc();
            metrics.certificates([(site.clone(), "ML-DSA-65", 0, 1)].into_iter());
            metrics.lists([(site, 0, 1)].into_iter());
            metrics.reloaded(crate::metrics::ReloadResult::Applied, 1);
            metrics.ledger_flushed(crate::metrics::FlushResult::Written, 0);
            let failure = Failure::failed(Stage::Relay, Fault::Client, "as a test");
            record.end(Err(Failure {
                alert_in: Some(portcullis_wire::alert::Alert(46)),
                ..failure
            }));
        });
        assert_eq!(families(&metrics), golden("metrics.txt"), "{metrics}");
        assert!(metrics.contains("process_resident_memory_bytes "), "{metrics}");
    }

    #[test]
    fn a_record_that_nobody_ended_is_counted_and_logged_as_ours() {
        let (line, metrics) = told(LogFormat::Text, |record| record.reach(Stage::Relay));
        assert!(
            line.contains(" outcome=failed stage=relay fault=ours error=\"dropped"),
            "{line}"
        );
        let counted =
            r#"portcullis_connections_total{listener="web",site="none",outcome="failed",stage="relay",fault="ours"} 1"#;
        assert!(metrics.contains(counted), "{metrics}");
    }

    #[test]
    fn a_panic_is_counted_and_logged() {
        let (line, _) = told(LogFormat::Json, |record| {
            let books = record.books.clone();
            let mut doomed = Record::new((books, 0), 2, "web".into(), Peer::Unix);
            doomed.reach(Stage::Handshake);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                let _held = doomed;
                panic!("as a test");
            }));
            assert!(result.is_err());
            record.end_silently();
        });
        assert!(line.contains(r#""stage":"handshake","fault":"ours""#), "{line}");
        assert_eq!(line.lines().count(), 1, "silence is not logged: {line}");
    }

    #[test]
    fn who_closed_before_a_byte_is_counted_and_not_logged() {
        let (line, metrics) = told(LogFormat::Text, Record::end_silently);
        assert_eq!(line, "");
        assert!(
            metrics.contains(r#"outcome="failed",stage="hello",fault="closed"} 1"#),
            "{metrics}"
        );
    }
}
