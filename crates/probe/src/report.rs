//! What a self-test says, to scripts and to people.
use crate::{Outcome, Seen, SelfTest, table};
use portcullis_wire::GroupId;
use serde::Serialize;

/// What one self-test came to; as JSON, SPEC 6's object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// The address asked.
    pub target: String,
    /// The name asked for.
    pub server_name: String,
    /// `tcp` or `quic`
    pub transport: &'static str,
    /// Every promise was kept.
    pub pass: bool,
    /// How the server's certificate was checked.
    pub trust: &'static str,
    /// Every handshake, in the order of the offers.
    pub handshakes: Vec<Row>,
    /// Every broken promise.
    pub problems: Vec<String>,
}

/// Several self-tests in one object of the same form: of a whole configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Summary {
    /// What was tested: the configuration.
    pub target: String,
    /// Every promise of every target was kept.
    pub pass: bool,
    /// Every handshake of every target.
    pub handshakes: Vec<TargetRow>,
    /// Every broken promise, with its target.
    pub problems: Vec<String>,
    /// Each target on its own, without its handshakes.
    pub targets: Vec<TargetVerdict>,
}

/// One handshake of one of several targets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TargetRow {
    /// The address asked.
    pub target: String,
    /// The name asked for.
    pub server_name: String,
    /// `tcp` or `quic`
    pub transport: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub row: Row,
}

/// The verdict on one of several targets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TargetVerdict {
    /// The address asked.
    pub target: String,
    /// The name asked for.
    pub server_name: String,
    /// `tcp` or `quic`
    pub transport: &'static str,
    /// Every promise was kept.
    pub pass: bool,
    /// How the server's certificate was checked.
    pub trust: &'static str,
}

/// One handshake. `in` is from the client, as in the access log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Row {
    /// The offer: its groups, or `default`, `classical`, `tls1.2`.
    pub offer: String,
    /// The groups that a key share was sent for.
    pub shares: Vec<String>,
    /// The signature schemes offered: `all`, `mldsa` or `classical`.
    pub schemes: &'static str,
    /// `ok`, `refused` or `failed`
    pub result: &'static str,
    /// The alert of a refusal.
    pub alert: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The group.
    pub group: Option<String>,
    /// Its class.
    pub key_exchange: Option<&'static str>,
    /// The cipher suite.
    pub cipher: Option<String>,
    /// The server's signature.
    pub signature: Option<String>,
    /// Its class, the whole chain considered.
    pub authentication: Option<&'static str>,
    /// What the connection is worth.
    pub safety: Option<&'static str>,
    /// The server asked again.
    pub retry: Option<bool>,
    /// The version.
    pub version: Option<&'static str>,
    /// Bytes of the handshake from the client.
    pub bytes_in: u64,
    /// Bytes of the handshake to the client.
    pub bytes_out: u64,
    /// Microseconds from the first byte until the client was done.
    pub us: u128,
}

impl Report {
    pub(crate) fn new(test: &SelfTest, seen: &[Seen], problems: Vec<String>) -> Report {
        Report {
            target: test.target.address.to_string(),
            server_name: test.target.server_name.to_str().into_owned(),
            transport: test.transport.as_str(),
            pass: problems.is_empty(),
            trust: test.trust.as_str(),
            handshakes: seen.iter().map(Row::new).collect(),
            problems,
        }
    }

    /// A table with a verdict below it.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "self-test of {} as {} over {} (trust: {})\n\n",
            self.target, self.server_name, self.transport, self.trust
        );
        let headings = HEADINGS.map(str::to_owned).to_vec();
        let rows = self.handshakes.iter().map(Row::cells);
        let lines: Vec<Vec<String>> = std::iter::once(headings).chain(rows).collect();
        text.push_str(&table::aligned(&lines));
        text.push('\n');
        for problem in &self.problems {
            text.push_str(&format!("problem: {problem}\n"));
        }
        text.push_str(&self.verdict());
        text.push('\n');
        text
    }

    /// The closing line.
    pub fn verdict(&self) -> String {
        let count = |result| self.handshakes.iter().filter(|row| row.result == result).count();
        let (ok, refused, failed) = (count("ok"), count("refused"), count("failed"));
        let counts = format!("{ok} taken, {refused} refused, {failed} failed");
        match self.problems.len() {
            0 => format!("pass: {counts}, all as promised"),
            1 => format!("FAIL: {counts}, 1 promise broken"),
            many => format!("FAIL: {counts}, {many} promises broken"),
        }
    }
}

impl Summary {
    /// Everything that several self-tests of one configuration came to.
    pub fn of(target: String, reports: &[Report]) -> Summary {
        let rows = reports.iter().flat_map(|report| {
            report.handshakes.iter().map(|row| TargetRow {
                target: report.target.clone(),
                server_name: report.server_name.clone(),
                transport: report.transport,
                row: row.clone(),
            })
        });
        let problems = reports.iter().flat_map(|report| {
            let place = format!("{} as {} over {}", report.target, report.server_name, report.transport);
            let sentences = report.problems.iter();
            sentences.map(move |problem| format!("{place}: {problem}"))
        });
        let verdicts = reports.iter().map(|report| TargetVerdict {
            target: report.target.clone(),
            server_name: report.server_name.clone(),
            transport: report.transport,
            pass: report.pass,
            trust: report.trust,
        });
        Summary {
            target,
            // nothing tested is nothing proven
            pass: !reports.is_empty() && reports.iter().all(|report| report.pass),
            handshakes: rows.collect(),
            problems: problems.collect(),
            targets: verdicts.collect(),
        }
    }
}

const HEADINGS: [&str; 12] = [
    "offer",
    "schemes",
    "result",
    "version",
    "group",
    "key exchange",
    "signature",
    "authentication",
    "safety",
    "retry",
    "in+out bytes",
    "us",
];

impl Row {
    fn new(seen: &Seen) -> Row {
        let facts = match &seen.outcome {
            Outcome::Ok(facts) => Some(facts),
            Outcome::Refused(_) | Outcome::Failed(_) => None,
        };
        let (result, alert, error) = match &seen.outcome {
            Outcome::Ok(_) => ("ok", None, None),
            Outcome::Refused(alert) => ("refused", Some(alert.to_string()), None),
            Outcome::Failed(failure) => ("failed", None, Some(failure.to_string())),
        };
        Row {
            offer: seen.offer.to_string(),
            shares: seen.shares.iter().map(GroupId::to_string).collect(),
            schemes: seen.offer.schemes.as_str(),
            result,
            alert,
            error,
            group: facts.and_then(|facts| facts.group).map(|group| group.to_string()),
            key_exchange: facts.map(|facts| facts.key_exchange().as_str()),
            cipher: facts.map(|facts| facts.cipher.to_string()),
            signature: facts.and_then(|facts| facts.signature).map(|scheme| scheme.to_string()),
            authentication: facts.map(|facts| facts.authentication.as_str()),
            safety: facts.map(|facts| facts.safety().as_str()),
            retry: facts.map(|facts| facts.retry),
            version: facts.map(|facts| facts.version.as_str()),
            bytes_in: seen.bytes_in,
            bytes_out: seen.bytes_out,
            us: seen.took.as_micros(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let or_dash = |cell: Option<&str>| cell.unwrap_or("-").to_owned();
        let retry = self.retry.map(|retry| if retry { "yes" } else { "no" });
        let result = match (&self.alert, &self.error) {
            (Some(alert), _) => format!("refused: {alert}"),
            (_, Some(error)) => format!("failed: {error}"),
            _ => self.result.to_owned(),
        };
        vec![
            self.offer.clone(),
            self.schemes.to_owned(),
            result,
            or_dash(self.version),
            or_dash(self.group.as_deref()),
            or_dash(self.key_exchange),
            or_dash(self.signature.as_deref()),
            or_dash(self.authentication),
            or_dash(self.safety),
            or_dash(retry),
            format!("{}+{}", self.bytes_in, self.bytes_out),
            self.us.to_string(),
        ]
    }
}
