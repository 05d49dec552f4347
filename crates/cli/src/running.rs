//! `status`, `reload`, `drain`: a word with the running proxy over its admin listener.
use crate::{exit::Exit, say};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1,
    header::{AUTHORIZATION, HOST},
};
use hyper_util::rt::TokioIo;
use portcullis_proxy::plan::{Address, AdminPlan};
use serde_json::Value;
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

/// A reload with thousands of sites takes a second; beyond this nobody is there.
const PATIENCE: Duration = Duration::from_secs(30);
/// A status with ten thousand sites is 1.5 MB; a ledger with all the rows it may hold is the largest there is.
const MAX_ANSWER: usize = 512 * 1024 * 1024;

/// What is asked of the running proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ask {
    /// How it is.
    Status,
    /// Whether it takes connections: exit 1 if not.
    Ready,
    /// Take the new configuration over.
    Reload,
    /// Finish what runs, and end.
    Drain,
}

/// Asks, prints the answer, and says how it went.
pub(crate) fn run(admin: &AdminPlan, ask: Ask) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = runtime.context("cannot start an event loop").and_then(|runtime| {
        let asked = runtime.block_on(async { timeout(PATIENCE, put(admin, ask)).await });
        asked.unwrap_or_else(|_| bail!("no answer from {} in {} s", admin.listen, PATIENCE.as_secs()))
    });
    match answer {
        Ok((status, text)) => tell(ask, status, &text),
        Err(error) => {
            say::problem(&format!(
                "{error:#}\n  hint: is portcullis running, and is this its admin listener? --admin names another"
            ));
            Exit::System
        }
    }
}

/// What the proxy there says of itself, if it answers within this time.
pub(crate) async fn status(admin: &AdminPlan, patience: Duration) -> Result<Value> {
    let asked = timeout(patience, put(admin, Ask::Status)).await;
    let (status, text) = asked.unwrap_or_else(|_| bail!("no answer in {} s", patience.as_secs()))?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    match status.is_success() {
        true => Ok(answer),
        false => bail!("{}", answer["error"].as_str().unwrap_or(status.as_str())),
    }
}

/// The answer to a GET, with its status.
pub(crate) async fn get(admin: &AdminPlan, path: &str) -> Result<(StatusCode, String)> {
    let asked = timeout(PATIENCE, exchange(admin, Method::GET, path)).await;
    asked.unwrap_or_else(|_| bail!("no answer in {} s", PATIENCE.as_secs()))
}

async fn put(admin: &AdminPlan, ask: Ask) -> Result<(StatusCode, String)> {
    let (method, path) = match ask {
        Ask::Status => (Method::GET, "/v1/status"),
        Ask::Ready => (Method::GET, "/readyz"),
        Ask::Reload => (Method::POST, "/v1/reload"),
        Ask::Drain => (Method::POST, "/v1/drain"),
    };
    exchange(admin, method, path).await
}

async fn exchange(admin: &AdminPlan, method: Method, path: &str) -> Result<(StatusCode, String)> {
    let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
    if let Some(file) = &admin.token_file {
        let token = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
    }
    let request = request.body(Empty::new()).context("the token is no header value")?;
    let unreachable = || format!("cannot connect to {}", admin.listen);
    match &admin.listen {
        Address::Unix(path) => send(UnixStream::connect(path).await.with_context(unreachable)?, request).await,
        Address::Ip(address) => send(TcpStream::connect(address).await.with_context(unreachable)?, request).await,
        Address::Name(..) => bail!("{} is no address of an admin listener", admin.listen),
    }
}

async fn send<S>(socket: S, request: Request<Empty<Bytes>>) -> Result<(StatusCode, String)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    // ends with the connection, or with the runtime
    tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|e| anyhow::anyhow!("answer unreadable: {e}"))?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn tell(ask: Ask, status: StatusCode, text: &str) -> Exit {
    if status.is_success() {
        let shown = match ask {
            Ask::Status => serde_json::from_str(text).map_or_else(|_| text.to_owned(), |v: Value| format!("{v:#}\n")),
            Ask::Ready => text.to_owned(),
            Ask::Reload => "reloaded\n".to_owned(),
            Ask::Drain => "draining\n".to_owned(),
        };
        say::result(&shown);
        return Exit::Good;
    }
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let why = answer["error"].as_str().unwrap_or(text).trim_end();
    match (ask, status) {
        (Ask::Ready, StatusCode::SERVICE_UNAVAILABLE) => {
            say::result(&format!("not ready: {why}"));
            Exit::Unmet
        }
        (Ask::Reload, StatusCode::UNPROCESSABLE_ENTITY) => {
            say::problem(&format!("{why}\nthe old configuration runs on"));
            Exit::Usage
        }
        _ => {
            say::problem(why);
            Exit::System
        }
    }
}
