//! The two small services behind the demo's proxy: a page over HTTP/1.1, and a TCP echo. Neither knows TLS.
use super::page;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use portcullis_tls::negotiated::Negotiated;
use serde::Serialize;
use std::{convert::Infallible, io, net::SocketAddr, sync::OnceLock, time::Duration};
use tokio::{
    io::{AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What a visitor negotiated with the proxy, in the words of the access log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Facts {
    /// `1.3`
    pub(crate) version: String,
    /// `X25519MLKEM768`
    pub(crate) group: String,
    /// `hybrid`, `pq` or `classical`
    pub(crate) key_exchange: String,
    /// `TLS_AES_128_GCM_SHA256`
    pub(crate) cipher: String,
    /// `mldsa65`; empty when resumed.
    pub(crate) signature: String,
    /// `pq` or `classical`
    pub(crate) authentication: String,
    /// `full`, `confidential` or `none`
    pub(crate) safety: String,
    /// The proxy asked the client again.
    pub(crate) retry: bool,
    /// An earlier session was resumed.
    pub(crate) resumed: bool,
}

impl Facts {
    /// What the proxy negotiated, in words.
    pub(crate) fn of(facts: &Negotiated) -> Facts {
        Facts {
            version: facts.version.as_str().to_owned(),
            group: facts.group.map(|group| group.to_string()).unwrap_or_default(),
            key_exchange: facts.key_exchange().as_str().to_owned(),
            cipher: facts.cipher.to_string(),
            signature: facts.signature.map(|scheme| scheme.to_string()).unwrap_or_default(),
            authentication: facts.authentication.as_str().to_owned(),
            safety: facts.safety().as_str().to_owned(),
            retry: facts.retry,
            resumed: facts.resumed,
        }
    }
}

/// The running services; they end with it.
pub(crate) struct Backend {
    /// Where the page is.
    pub(crate) page: SocketAddr,
    /// Where the echo is.
    pub(crate) echo: SocketAddr,
    _services: JoinSet<()>,
}

/// Time for a request's head: a visitor who says nothing does not stay.
const HEAD: Duration = Duration::from_secs(30);
/// Rest after a failed accept, which is always a lack of something that comes back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Backend {
    /// Starts both on free ports of the loopback. `lookup` says what the connection negotiated whose upstream
    /// side has the given address: the proxy sees it as its own, we see it as our peer. It is asked once for each
    /// connection: at its first request, or at its end.
    pub(crate) async fn start<L>(lookup: L) -> io::Result<Backend>
    where
        L: Fn(SocketAddr) -> Option<Facts> + Clone + Send + Sync + 'static,
    {
        let page = TcpListener::bind("127.0.0.1:0").await?;
        let echo = TcpListener::bind("127.0.0.1:0").await?;
        let mut services = JoinSet::new();
        let (page_address, echo_address) = (page.local_addr()?, echo.local_addr()?);
        let asked = lookup.clone();
        services.spawn(accept(page, move |socket, peer| {
            serve_page(socket, Visitor::new(peer, asked.clone()))
        }));
        services.spawn(accept(echo, move |socket, peer| {
            serve_echo(socket, Visitor::new(peer, lookup.clone()))
        }));
        Ok(Backend {
            page: page_address,
            echo: echo_address,
            _services: services,
        })
    }
}

async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream, SocketAddr) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut open = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                open.spawn(serve(socket, peer));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while open.try_join_next().is_some() {}
    }
}

/// Who is at the other end, asked for when first needed.
struct Visitor<L: Fn(SocketAddr) -> Option<Facts>> {
    peer: SocketAddr,
    lookup: L,
    facts: OnceLock<Option<Facts>>,
}

impl<L: Fn(SocketAddr) -> Option<Facts>> Visitor<L> {
    fn new(peer: SocketAddr, lookup: L) -> Visitor<L> {
        Visitor {
            peer,
            lookup,
            facts: OnceLock::new(),
        }
    }

    fn facts(&self) -> Option<&Facts> {
        self.facts.get_or_init(|| (self.lookup)(self.peer)).as_ref()
    }
}

impl<L: Fn(SocketAddr) -> Option<Facts>> Drop for Visitor<L> {
    /// Whose facts nobody wanted still takes them along: the next one from this address is somebody else.
    fn drop(&mut self) {
        self.facts();
    }
}

async fn serve_echo<L: Fn(SocketAddr) -> Option<Facts>>(mut socket: TcpStream, _visitor: Visitor<L>) {
    let (mut from, mut to) = socket.split();
    // how a peer ends is its own affair
    let _ = copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

async fn serve_page<L: Fn(SocketAddr) -> Option<Facts>>(socket: TcpStream, visitor: Visitor<L>) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(&request, visitor.facts());
        async { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(socket), service);
    // a bad request was answered by the library, and nobody else is there to tell
    let _ = served.await;
}

fn answer<B>(request: &Request<B>, facts: Option<&Facts>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(ALLOW, allowed);
        return refused;
    }
    match (request.uri().path(), facts) {
        ("/", facts) => {
            let html = "text/html; charset=utf-8";
            response(StatusCode::OK, html, page::html(facts))
        }
        ("/api/negotiated", Some(facts)) => match serde_json::to_string_pretty(facts) {
            Ok(json) => response(StatusCode::OK, "application/json", json + "\n"),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "no JSON came of it\n"),
        },
        ("/api/negotiated", None) => {
            let body = "this connection did not come through the proxy\n";
            text(StatusCode::NOT_FOUND, body)
        }
        _ => text(StatusCode::NOT_FOUND, "only / and /api/negotiated are here\n"),
    }
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", body.to_owned())
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // another visit may have negotiated something else
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    pub(in crate::demo) fn facts() -> Facts {
        Facts {
            version: "1.3".to_owned(),
            group: "X25519MLKEM768".to_owned(),
            key_exchange: "hybrid".to_owned(),
            cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
            signature: "mldsa65".to_owned(),
            authentication: "pq".to_owned(),
            safety: "full".to_owned(),
            retry: false,
            resumed: false,
        }
    }

    async fn exchange(socket: &mut TcpStream, sent: &[u8]) -> String {
        socket.write_all(sent).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut received = String::new();
        socket.read_to_string(&mut received).await.unwrap();
        received
    }

    #[tokio::test]
    async fn a_visitor_is_known_by_the_address_it_comes_from() {
        let (known, mut asked) = tokio::sync::watch::channel(None);
        asked.mark_unchanged();
        let lookup = move |peer| (*asked.borrow() == Some(peer)).then(facts);
        let backend = Backend::start(lookup).await.unwrap();
        let mut socket = TcpStream::connect(backend.page).await.unwrap();
        known.send_replace(Some(socket.local_addr().unwrap()));
        let request = b"GET /api/negotiated HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = exchange(&mut socket, request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(json, serde_json::to_value(facts()).unwrap());

        let mut stranger = TcpStream::connect(backend.page).await.unwrap();
        let answer = exchange(&mut stranger, request).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }

    #[tokio::test]
    async fn the_page_is_html_that_may_load_nothing() {
        let backend = Backend::start(|_| Some(facts())).await.unwrap();
        let mut socket = TcpStream::connect(backend.page).await.unwrap();
        let answer = exchange(&mut socket, b"GET / HTTP/1.0\r\n\r\n").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-type: text/html; charset=utf-8"), "{head}");
        assert!(head.contains("default-src 'none'"), "{head}");
        assert!(body.contains("<td>X25519MLKEM768</td>"));
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_so() {
        let table = [
            ("GET /other HTTP/1.0\r\n\r\n", "404"),
            ("POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", "405"),
            ("nonsense\r\n\r\n", "400"),
        ];
        let backend = Backend::start(|_| Some(facts())).await.unwrap();
        for (request, status) in table {
            let mut socket = TcpStream::connect(backend.page).await.unwrap();
            let answer = exchange(&mut socket, request.as_bytes()).await;
            assert_eq!(answer.split(' ').nth(1), Some(status), "{request}");
        }
    }

    #[tokio::test]
    async fn the_echo_returns_everything_and_then_the_end() {
        let backend = Backend::start(|_| None).await.unwrap();
        let mut socket = TcpStream::connect(backend.echo).await.unwrap();
        assert_eq!(exchange(&mut socket, b"hello\n").await, "hello\n");
    }
}
