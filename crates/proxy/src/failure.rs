//! How a connection ended when it did not end well: where, by whose fault, and which alerts went by.
use portcullis_tls::failure::Fault;
use portcullis_wire::alert::Alert;
use std::{borrow::Cow, io};

/// Where in its life a connection was.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    /// Just accepted: limits and lists.
    Accept,
    /// Waiting for a PROXY protocol header.
    ProxyHeader,
    /// Waiting for a whole ClientHello.
    Hello,
    /// Looking for its site.
    Route,
    /// The TLS handshake.
    Handshake,
    /// What was negotiated is judged.
    Policy,
    /// Connecting to the upstream.
    Connect,
    /// Bytes flow.
    Relay,
    /// A request is under way.
    Request,
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// As it should.
    Ok,
    /// By a rule of the operator's.
    Refused,
    /// By an error.
    Failed,
}

/// The reason a connection ended early.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Where.
    pub stage: Stage,
    /// Refused or failed.
    pub outcome: Outcome,
    /// By whose fault.
    pub fault: Fault,
    /// Why, for the operator.
    pub error: Cow<'static, str>,
    /// The alert that the client sent.
    pub alert_in: Option<Alert>,
    /// The alert that we sent.
    pub alert_out: Option<Alert>,
}

impl Stage {
    /// SPEC's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Accept => "accept",
            Stage::ProxyHeader => "proxy_header",
            Stage::Hello => "hello",
            Stage::Route => "route",
            Stage::Handshake => "handshake",
            Stage::Policy => "policy",
            Stage::Connect => "connect",
            Stage::Relay => "relay",
            Stage::Request => "request",
        }
    }
}

impl Outcome {
    /// SPEC's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
        }
    }
}

impl Failure {
    /// Something went wrong.
    pub fn failed(stage: Stage, fault: Fault, error: impl Into<Cow<'static, str>>) -> Failure {
        Failure {
            stage,
            outcome: Outcome::Failed,
            fault,
            error: error.into(),
            alert_in: None,
            alert_out: None,
        }
    }

    /// A rule, limit or list of the operator's said no.
    pub fn refused(stage: Stage, fault: Fault, error: impl Into<Cow<'static, str>>) -> Failure {
        Failure {
            outcome: Outcome::Refused,
            ..Failure::failed(stage, fault, error)
        }
    }

    /// The listener has all the connections that it may.
    pub(crate) fn too_many_connections() -> Failure {
        Failure::refused(Stage::Accept, Fault::Operator, "limit connections reached")
    }

    /// The peer's socket failed under us.
    pub fn io(stage: Stage, fault: Fault, error: &io::Error) -> Failure {
        Failure::failed(stage, fault, describe(error))
    }

    /// With the alert that goes, or went, to the client.
    pub fn answering(self, alert: Alert) -> Failure {
        Failure {
            alert_out: Some(alert),
            ..self
        }
    }
}

/// Short words for what sockets commonly say; the rest as the system puts it.
pub(crate) fn describe(error: &io::Error) -> Cow<'static, str> {
    match error.kind() {
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::BrokenPipe => "closed while we wrote".into(),
        io::ErrorKind::TimedOut => "timed out".into(),
        io::ErrorKind::UnexpectedEof if error.get_ref().is_none() => "closed in the middle".into(),
        _ => error.to_string().into(),
    }
}
