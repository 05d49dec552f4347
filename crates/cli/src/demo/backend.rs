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
use serde::Serialize;
use std::{convert::Infallible, io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// The field in which the proxy says what a visitor negotiated.
const TOLD: &str = "portcullis-tls";

/// What a visitor negotiated with the proxy, in the words of the access log.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Facts {
    /// `1.3`
    pub(crate) version: String,
    /// `X25519MLKEM768`
    pub(crate) group: String,
    /// `hybrid`, `pq` or `classical`
    pub(crate) key_exchange: String,
    /// `mldsa65`; empty when resumed.
    pub(crate) signature: String,
    /// `pq` or `classical`
    pub(crate) authentication: String,
    /// `full`, `confidential` or `none`
    pub(crate) safety: String,
    /// An earlier session was resumed.
    pub(crate) resumed: bool,
}

impl Facts {
    /// Reads the field: a dictionary (RFC 9651) of tokens and one boolean. None: it was not the proxy that sent it.
    fn told(field: &str) -> Option<Facts> {
        let mut facts = Facts::default();
        for member in field.split(',') {
            let (key, value) = member.trim().split_once('=')?;
            let place = match key {
                "version" => &mut facts.version,
                "group" => &mut facts.group,
                "key_exchange" => &mut facts.key_exchange,
                "signature" => &mut facts.signature,
                "authentication" => &mut facts.authentication,
                "safety" => &mut facts.safety,
                "resumed" => {
                    facts.resumed = value == "?1";
                    continue;
                }
                // RFC 9651 lets dictionaries grow
                _ => continue,
            };
            *place = value.to_owned();
        }
        (!facts.safety.is_empty()).then_some(facts)
    }

    fn of<B>(request: &Request<B>) -> Option<Facts> {
        Facts::told(request.headers().get(TOLD)?.to_str().ok()?)
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
    /// Starts both on free ports of the loopback.
    pub(crate) async fn start() -> io::Result<Backend> {
        let page = TcpListener::bind("127.0.0.1:0").await?;
        let echo = TcpListener::bind("127.0.0.1:0").await?;
        let mut services = JoinSet::new();
        let (page_address, echo_address) = (page.local_addr()?, echo.local_addr()?);
        services.spawn(accept(page, serve_page));
        services.spawn(accept(echo, serve_echo));
        Ok(Backend {
            page: page_address,
            echo: echo_address,
            _services: services,
        })
    }
}

async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut open = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                // an echo in two pieces would wait for the acknowledgement of the first; without the option it only does
                let _ = socket.set_nodelay(true);
                open.spawn(serve(socket));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while open.try_join_next().is_some() {}
    }
}

async fn serve_echo(mut socket: TcpStream) {
    let (mut from, mut to) = socket.split();
    // how a peer ends is its own affair
    let _ = copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

async fn serve_page(socket: TcpStream) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(&request, Facts::of(&request).as_ref());
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
            let body = "this request did not come through the proxy\n";
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
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    const FIELD: &str = "version=1.3, group=X25519MLKEM768, key_exchange=hybrid, signature=mldsa65, authentication=pq, safety=full, resumed=?0";

    fn facts() -> Facts {
        Facts {
            version: "1.3".to_owned(),
            group: "X25519MLKEM768".to_owned(),
            key_exchange: "hybrid".to_owned(),
            signature: "mldsa65".to_owned(),
            authentication: "pq".to_owned(),
            safety: "full".to_owned(),
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

    #[test]
    fn the_proxys_field_is_read_and_what_is_none_of_it_is_not() {
        assert_eq!(Facts::told(FIELD), Some(facts()));
        let resumed = Facts {
            signature: String::new(),
            resumed: true,
            ..facts()
        };
        let field = FIELD.replace("signature=mldsa65, ", "").replace("?0", "?1, more=?1");
        assert_eq!(Facts::told(&field), Some(resumed));
        for field in ["", "safety", "version=1.3, =", "group=X25519MLKEM768"] {
            assert_eq!(Facts::told(field), None, "{field}");
        }
    }

    #[tokio::test]
    async fn a_visitor_is_known_by_what_the_proxy_says_of_it() {
        let backend = Backend::start().await.unwrap();
        let mut socket = TcpStream::connect(backend.page).await.unwrap();
        let request =
            format!("GET /api/negotiated HTTP/1.1\r\nHost: x\r\nPortcullis-TLS: {FIELD}\r\nConnection: close\r\n\r\n");
        let answer = exchange(&mut socket, request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(json, serde_json::to_value(facts()).unwrap());

        let mut stranger = TcpStream::connect(backend.page).await.unwrap();
        let answer = exchange(&mut stranger, b"GET /api/negotiated HTTP/1.0\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.0 404 "), "{answer}");
    }

    #[tokio::test]
    async fn the_page_is_html_that_may_load_nothing() {
        let backend = Backend::start().await.unwrap();
        let mut socket = TcpStream::connect(backend.page).await.unwrap();
        let request = format!("GET / HTTP/1.0\r\nPortcullis-TLS: {FIELD}\r\n\r\n");
        let answer = exchange(&mut socket, request.as_bytes()).await;
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
        let backend = Backend::start().await.unwrap();
        for (request, status) in table {
            let mut socket = TcpStream::connect(backend.page).await.unwrap();
            let answer = exchange(&mut socket, request.as_bytes()).await;
            assert_eq!(answer.split(' ').nth(1), Some(status), "{request}");
        }
    }

    #[tokio::test]
    async fn the_echo_returns_everything_and_then_the_end() {
        let backend = Backend::start().await.unwrap();
        let mut socket = TcpStream::connect(backend.echo).await.unwrap();
        assert_eq!(exchange(&mut socket, b"hello\n").await, "hello\n");
    }
}
