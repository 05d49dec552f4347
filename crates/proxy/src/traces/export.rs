//! Spans on their way to a collector: OTLP over HTTP, in JSON, from the control thread.
use super::span::{Span, export};
use crate::plan::TracesPlan;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::counter::Counter;
use std::time::Duration;
use tokio::{
    net::TcpStream,
    sync::mpsc::Receiver,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

/// Spans that may wait: at about 1 kB each, 4 MB. Beyond, they are dropped and counted.
pub(super) const QUEUE: usize = 4096;
/// Spans of one export, and how long the first of them waits for others; both as OpenTelemetry's batch processors have them.
const BATCH: usize = 512;
const LINGER: Duration = Duration::from_secs(2);
/// The time that one attempt may take, as in OTLP's own exporters.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between attempts at what may pass; then the batch is given up.
const AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// A collector's answer is a few bytes, and nobody reads it here.
const MOST_ANSWER: usize = 64 * 1024;

/// Sends what comes until nobody is left to send more.
pub(super) async fn run(plan: TracesPlan, mut spans: Receiver<Span>, dropped: Counter) {
    let mut collector = Collector {
        plan,
        connection: None,
        is_reached: true,
    };
    let mut batch = Vec::with_capacity(BATCH);
    while gather(&mut spans, &mut batch).await {
        if !collector.take(&batch).await {
            dropped.inc_by(batch.len() as u64);
        }
        batch.clear();
    }
    if let Some((_, driver)) = collector.connection {
        driver.abort();
    }
}

/// Waits for a first span, and a while for others; false: there will be none.
async fn gather(spans: &mut Receiver<Span>, batch: &mut Vec<Span>) -> bool {
    if spans.recv_many(batch, BATCH).await == 0 {
        return false;
    }
    let until = Instant::now() + LINGER;
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        if !matches!(timeout_at(until, spans.recv_many(batch, room)).await, Ok(1..)) {
            break;
        }
    }
    true
}

/// Where spans go.
struct Collector {
    plan: TracesPlan,
    connection: Option<(SendRequest<Full<Bytes>>, JoinHandle<()>)>,
    /// The last batch was taken: only a change is told.
    is_reached: bool,
}

/// Why a batch was not taken.
enum Untaken {
    /// It may be later.
    Passing(String),
    /// It never will be.
    For(String),
}

impl Collector {
    async fn take(&mut self, batch: &[Span]) -> bool {
        let body = Bytes::from(export(&self.plan.service, batch));
        let mut pauses = AGAIN.iter();
        loop {
            let why = match timeout(PATIENCE, self.send(body.clone())).await {
                Ok(Ok(())) => {
                    if !self.is_reached {
                        tracing::info!(endpoint = %self.plan, "traces are taken again");
                    }
                    self.is_reached = true;
                    return true;
                }
                Ok(Err(why)) => why,
                Err(_) => Untaken::Passing("it takes too long".to_owned()),
            };
            self.hang_up();
            let pause = pauses.next();
            match (why, pause) {
                (Untaken::Passing(_), Some(pause)) => sleep(*pause).await,
                (Untaken::Passing(why) | Untaken::For(why), _) => {
                    if self.is_reached {
                        tracing::warn!(endpoint = %self.plan, error = %why, "traces are not taken, and dropped");
                    }
                    self.is_reached = false;
                    return false;
                }
            }
        }
    }

    async fn send(&mut self, body: Bytes) -> Result<(), Untaken> {
        let passing = |error: &dyn std::error::Error| Untaken::Passing(error.to_string());
        let request = Request::post(&*self.plan.path)
            .header(HOST, &*self.plan.authority)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body));
        let request = request.map_err(|error| Untaken::For(error.to_string()))?;
        let answer = self
            .sender()
            .await?
            .send_request(request)
            .await
            .map_err(|e| passing(&e))?;
        let status = answer.status();
        // read to its end, so that the connection can be used again
        let body = Limited::new(answer.into_body(), MOST_ANSWER).collect().await;
        body.map_err(|error| Untaken::Passing(error.to_string()))?;
        match status {
            status if status.is_success() => Ok(()),
            // what OTLP says may be tried again
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Untaken::Passing(status.to_string())),
            status => Err(Untaken::For(status.to_string())),
        }
    }

    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Untaken> {
        if self.connection.as_ref().is_some_and(|(sender, _)| sender.is_closed()) {
            self.hang_up();
        }
        if self.connection.is_none() {
            let socket = TcpStream::connect(&*self.plan.authority).await;
            let socket = socket.map_err(|error| Untaken::Passing(error.to_string()))?;
            let opened = handshake(TokioIo::new(socket)).await;
            let (sender, connection) = opened.map_err(|error| Untaken::Passing(error.to_string()))?;
            // what ends it shows at the next request
            let driver = tokio::spawn(async move { drop(connection.await) });
            self.connection = Some((sender, driver));
        }
        let (sender, _) = self.connection.as_mut().expect("opened above, where there was none");
        sender
            .ready()
            .await
            .map_err(|error| Untaken::Passing(error.to_string()))?;
        Ok(sender)
    }

    fn hang_up(&mut self) {
        if let Some((_, driver)) = self.connection.take() {
            driver.abort();
        }
    }
}
