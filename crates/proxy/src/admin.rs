//! The admin and metrics listeners: small HTTP on the control thread, alive while the data cores are busy.
use crate::{
    control::Command,
    core::Shared,
    doors::AddressError,
    ledger::{Extract, LedgerError},
    listener::bind::unix_private,
    material,
    plan::{Address, AdminPlan, Plan},
    report::Question,
    start::{ReloadError, StartError, system},
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, mpsc, oneshot},
    task::AbortHandle,
    time::timeout,
};

/// A scrape or a command takes milliseconds; a reload with thousands of sites a second.
const REQUEST: Duration = Duration::from_secs(30);
/// Who sends no head is not a scraper.
const HEAD: Duration = Duration::from_secs(5);
/// All there is.
const PATHS: [&str; 8] = [
    "/metrics",
    "/healthz",
    "/readyz",
    "/v1/status",
    "/v1/adoption",
    "/v1/ledger",
    "/v1/reload",
    "/v1/drain",
];
/// Connections at once, for each listener: scrapers, a dashboard, an operator.
const CONNECTIONS: usize = 64;

/// Bound, not yet serving.
#[derive(Default)]
pub(crate) struct Admin {
    admin: Option<(AdminSocket, Access)>,
    metrics: Option<TcpListener>,
}

enum AdminSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What runs; dropped, it stops.
#[derive(Default)]
pub(crate) struct Serving {
    admin: Option<Task>,
    metrics: Option<Task>,
}

struct Task {
    task: AbortHandle,
    /// The Unix socket that goes with it.
    path: Option<std::path::PathBuf>,
    state: Arc<State>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(path) = &self.path {
            // it may be gone already, which is as well
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What a reload does to them.
pub(crate) struct Change {
    admin: AdminChange,
    metrics: Option<Option<TcpListener>>,
}

enum AdminChange {
    None,
    /// It stays where it is, with the token that its file holds now.
    Token(Access),
    Replaced(Option<(AdminSocket, Access)>),
}

/// What a listener shows, and to whom.
enum Access {
    /// A Unix socket that only its owner can open: everything.
    Owner(std::path::PathBuf),
    /// An address: everything but health for the bearer of the token.
    Token(Arc<[u8]>),
    /// Metrics and health, for everybody.
    Metrics,
}

struct State {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    access: ArcSwap<Access>,
    started: Instant,
}

type Reply = Response<Full<Bytes>>;

impl Admin {
    /// Binds what a plan asks for.
    pub(crate) fn bind(plan: &Plan) -> Result<Admin, StartError> {
        let admin = plan.admin.as_ref().map(bind_admin).transpose()?.flatten();
        let metrics = plan.metrics.listen.map(bind_tcp).transpose()?;
        Ok(Admin { admin, metrics })
    }

    /// Binds what a new plan asks for and the old one did not; nothing that runs is touched.
    pub(crate) fn change(old: &Plan, new: &Plan, serving: &Serving) -> Result<Change, StartError> {
        let metrics = match old.metrics.listen == new.metrics.listen {
            true => None,
            false => Some(new.metrics.listen.map(bind_tcp).transpose()?),
        };
        let place = |plan: &Plan| plan.admin.as_ref().map(|admin| admin.listen.clone());
        let admin = match &new.admin {
            Some(plan) if place(old) == place(new) && serving.admin.is_some() => match &plan.token_file {
                Some(file) => AdminChange::Token(Access::Token(token(file)?)),
                None => AdminChange::None,
            },
            plan => AdminChange::Replaced(plan.as_ref().map(bind_admin).transpose()?.flatten()),
        };
        Ok(Change { admin, metrics })
    }

    /// Starts serving.
    pub(crate) fn serve(self, shared: &Arc<Shared>, commands: &mpsc::UnboundedSender<Command>) -> Serving {
        let mut serving = Serving::default();
        let change = Change {
            admin: AdminChange::Replaced(self.admin),
            metrics: Some(self.metrics),
        };
        change.apply(&mut serving, shared, commands);
        serving
    }
}

impl Change {
    /// Switches to what was bound.
    pub(crate) fn apply(self, serving: &mut Serving, shared: &Arc<Shared>, commands: &mpsc::UnboundedSender<Command>) {
        let state = |access| {
            Arc::new(State {
                shared: shared.clone(),
                commands: commands.clone(),
                access: ArcSwap::from_pointee(access),
                started: Instant::now(),
            })
        };
        match (self.admin, &serving.admin) {
            (AdminChange::Token(access), Some(task)) => task.state.access.store(Arc::new(access)),
            (AdminChange::Token(_) | AdminChange::None, _) => {}
            (AdminChange::Replaced(admin), _) => {
                serving.admin = admin.and_then(|(socket, access)| spawn_admin(socket, state(access)));
            }
        }
        if let Some(metrics) = self.metrics {
            serving.metrics = metrics.and_then(|socket| spawn_tcp(socket, state(Access::Metrics)));
        }
    }
}

/// Why nobody should be sent here; None: all is well.
pub(crate) fn unready(shared: &Shared) -> Option<String> {
    if shared.books.draining.load(Relaxed) {
        return Some("draining".into());
    }
    let live = shared.live.load();
    let site = live.unusable_site(crate::clock::unix_now());
    site.map(|site| format!("site \"{site}\" has no usable certificate"))
}

fn bind_admin(plan: &AdminPlan) -> Result<Option<(AdminSocket, Access)>, StartError> {
    match &plan.listen {
        Address::Unix(path) => match private(path) {
            Ok(socket) => Ok(Some((AdminSocket::Unix(socket), Access::Owner(path.clone())))),
            // nobody asked for this one by name: a second instance goes without rather than not at all
            Err(error) if plan.is_default => {
                tracing::warn!(address = %plan.listen, error = %error, "admin is off");
                Ok(None)
            }
            Err(error) => Err(AddressError {
                address: plan.listen.to_string(),
                error,
            }
            .into()),
        },
        Address::Ip(address) => {
            let token = plan.token_file.as_deref().map(token).transpose()?.unwrap_or_default();
            if token.is_empty() {
                let error = io::Error::new(io::ErrorKind::InvalidInput, "admin on an address needs token_file");
                return Err(system("cannot listen for admin")(error));
            }
            Ok(Some((AdminSocket::Tcp(bind_tcp(*address)?), Access::Token(token))))
        }
        Address::Name(..) => Err(system("cannot listen for admin")(io::ErrorKind::InvalidInput.into())),
    }
}

/// The bearer token: a file's content without the white space around it.
fn token(path: &Path) -> Result<Arc<[u8]>, StartError> {
    let failed = |error| StartError::File {
        key: "admin.token_file",
        path: path.to_owned(),
        error,
    };
    let content = material::read(path).map_err(failed)?;
    match content.trim_ascii() {
        [] => Err(failed(io::Error::new(io::ErrorKind::InvalidData, "no token in it"))),
        token => Ok(token.into()),
    }
}

/// The socket and its folder, for their owner alone.
fn private(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::DirBuilderExt;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
    {
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
    }
    unix_private(path)
}

fn bind_tcp(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).and_then(|l| l.set_nonblocking(true).map(|()| l));
    bound.map_err(|error| {
        AddressError {
            address: address.to_string(),
            error,
        }
        .into()
    })
}

fn spawn_admin(socket: AdminSocket, state: Arc<State>) -> Option<Task> {
    match socket {
        AdminSocket::Tcp(socket) => spawn_tcp(socket, state),
        AdminSocket::Unix(socket) => {
            let path = match &**state.access.load() {
                Access::Owner(path) => Some(path.clone()),
                Access::Token(_) | Access::Metrics => None,
            };
            let listener = heard(tokio::net::UnixListener::from_std(socket))?;
            let shown = Arc::clone(&state);
            let task = tokio::spawn(async move {
                let places = Arc::new(Semaphore::new(CONNECTIONS));
                loop {
                    match listener.accept().await {
                        Ok((io, _)) => answer(io, &shown, &places),
                        // files may run out here too; they come back
                        Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                    }
                }
            });
            let task = task.abort_handle();
            Some(Task { task, path, state })
        }
    }
}

fn spawn_tcp(socket: TcpListener, state: Arc<State>) -> Option<Task> {
    let listener = heard(tokio::net::TcpListener::from_std(socket))?;
    if let Ok(address) = listener.local_addr() {
        let what = if matches!(**state.access.load(), Access::Metrics) {
            "metrics"
        } else {
            "admin"
        };
        tracing::info!(address = %address, "{what} listening");
    }
    let shown = Arc::clone(&state);
    let task = tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            match listener.accept().await {
                Ok((io, _)) => answer(io, &shown, &places),
                // files may run out here too; they come back
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    let task = task.abort_handle();
    Some(Task {
        task,
        path: None,
        state,
    })
}

fn heard<T>(listener: io::Result<T>) -> Option<T> {
    listener
        .inspect_err(|error| tracing::error!(error = %error, "admin not listening"))
        .ok()
}

/// Serves one connection, if there is a place for it.
fn answer(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: &Arc<State>, places: &Arc<Semaphore>) {
    let Ok(place) = places.clone().try_acquire_owned() else {
        return;
    };
    let state = state.clone();
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(state.handle(request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(16 * 1024);
    let connection = http.serve_connection(TokioIo::new(io), service);
    // bounded by REQUEST, and ended with the runtime
    tokio::spawn(async move {
        let _place = place;
        // a client that breaks off is its own affair
        let _ = timeout(REQUEST, connection).await;
    });
}

impl State {
    async fn handle(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path();
        let get = matches!(*request.method(), Method::GET | Method::HEAD);
        match path {
            "/healthz" if get => return text(StatusCode::OK, "ok\n"),
            "/readyz" if get => return self.ready(),
            _ => {}
        }
        if let Some(refusal) = self.refuses(&request) {
            return refusal;
        }
        match (path, request.method()) {
            ("/metrics", _) if get => self.metrics(),
            (path, _) if matches!(**self.access.load(), Access::Metrics) => unknown(path),
            ("/v1/status", _) if get => self.status().await,
            ("/v1/adoption", _) if get => self.adoption(request.uri().query()).await,
            ("/v1/ledger", _) if get => self.ledger(request.uri().query()).await,
            ("/v1/reload", &Method::POST) => self.reload().await,
            ("/v1/drain", &Method::POST) => {
                // an error means that it is ending already
                let _ = self.commands.send(Command::Drain);
                reply(StatusCode::ACCEPTED, &json!({ "result": "draining" }))
            }
            (path, method) if PATHS.contains(&path) => {
                let error = format!("{method} is not for {path}");
                reply(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": error }))
            }
            (path, _) => unknown(path),
        }
    }

    /// The token where one is needed, and a Host that a browser was not tricked into.
    fn refuses(&self, request: &Request<Incoming>) -> Option<Reply> {
        let access = self.access.load();
        let Access::Token(token) = &**access else {
            return None;
        };
        let host = request
            .headers()
            .get(HOST)
            .and_then(|h| h.to_str().ok())
            .unwrap_or_default();
        if !is_own_host(host) {
            let error = "host is neither an address nor localhost";
            return Some(reply(StatusCode::MISDIRECTED_REQUEST, &json!({ "error": error })));
        }
        let given = request
            .headers()
            .get(AUTHORIZATION)
            .map(hyper::header::HeaderValue::as_bytes)
            .unwrap_or_default();
        let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
        if !same(given, token) {
            return Some(reply(
                StatusCode::UNAUTHORIZED,
                &json!({ "error": "bearer token missing or wrong" }),
            ));
        }
        None
    }

    fn metrics(&self) -> Reply {
        let mut reply = text(StatusCode::OK, self.shared.books.metrics.render());
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        reply
            .headers_mut()
            .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
        reply
    }

    fn ready(&self) -> Reply {
        match unready(&self.shared) {
            None => text(StatusCode::OK, "ready\n"),
            Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        }
    }

    async fn status(&self) -> Reply {
        let (answer, wait) = oneshot::channel();
        let asked = self.commands.send(Command::Addresses(answer));
        let addresses = if asked.is_ok() {
            wait.await.unwrap_or_default()
        } else {
            Vec::new()
        };
        let snapshot = self.shared.live.full();
        let unready = unready(&self.shared);
        let listeners: Vec<_> = snapshot
            .listeners
            .iter()
            .map(|listener| {
                let at: Vec<_> = addresses
                    .iter()
                    .filter(|(name, _)| **name == *listener.name.0)
                    .map(|(_, address)| address.to_string())
                    .collect();
                json!({ "listener": &*listener.name.0, "addresses": at, "connections": listener.gate.permits.used() })
            })
            .collect();
        let sites: Vec<_> = snapshot
            .plan
            .sites
            .iter()
            .map(|s| json!({ "site": s.name, "names": s.names, "profile": s.profile.as_str() }))
            .collect();
        reply(
            StatusCode::OK,
            &json!({
                "version": env!("CARGO_PKG_VERSION"),
                "pid": std::process::id(),
                "uptime_seconds": self.started.elapsed().as_secs(),
                "ready": unready.is_none(),
                "reason": unready.unwrap_or_default(),
                "draining": self.shared.books.draining.load(Relaxed),
                "cores": self.shared.cores(),
                "connections": self.shared.loads().total(),
                "connections_per_core": self.shared.loads().all(),
                "listeners": listeners,
                "sites": sites,
            }),
        )
    }

    /// SPEC 6's figures, of `since` (`7d`) and of one `site` if asked for.
    async fn adoption(&self, query: Option<&str>) -> Reply {
        let (question, extract) = match self.asked(query).await {
            Ok(answer) => answer,
            Err(refusal) => return refusal,
        };
        let figures = move || question.figures(extract);
        // a ledger may hold a hundred thousand rows, and a scrape must not wait for them
        match tokio::task::spawn_blocking(figures).await {
            Ok(Ok(figures)) => reply(StatusCode::OK, &json!(figures)),
            Ok(Err(unknown)) => reply(StatusCode::NOT_FOUND, &json!({ "error": unknown.to_string() })),
            Err(_) => reply(
                StatusCode::INTERNAL_SERVER_ERROR,
                &json!({ "error": "the figures failed" }),
            ),
        }
    }

    /// What `report --from` adds to that of other instances.
    async fn ledger(&self, query: Option<&str>) -> Reply {
        match self.asked(query).await {
            Ok((_, extract)) => reply(StatusCode::OK, &json!(extract)),
            Err(refusal) => refusal,
        }
    }

    async fn asked(&self, query: Option<&str>) -> Result<(Question, Extract), Reply> {
        let question = Question::read(query.unwrap_or_default(), crate::clock::unix_now());
        let question = question.map_err(|error| reply(StatusCode::BAD_REQUEST, &json!({ "error": error })))?;
        let unavailable =
            |error: LedgerError| reply(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": error.to_string() }));
        let extract = self.shared.books.ledger.extract(question.span).await;
        let extract = extract.unwrap_or(Err(LedgerError::Ended)).map_err(unavailable)?;
        Ok((question, extract))
    }

    async fn reload(&self) -> Reply {
        let (answer, wait) = oneshot::channel();
        let asked = self.commands.send(Command::Reload(Some(answer)));
        let result = if asked.is_ok() {
            wait.await.unwrap_or(Err(ReloadError::Ending))
        } else {
            Err(ReloadError::Ending)
        };
        match result {
            Ok(()) => reply(StatusCode::OK, &json!({ "result": "applied" })),
            Err(error @ ReloadError::Ending) => reply(
                StatusCode::CONFLICT,
                &json!({ "result": "rejected", "error": error.to_string() }),
            ),
            Err(error) => reply(
                StatusCode::UNPROCESSABLE_ENTITY,
                &json!({ "result": "rejected", "error": error.to_string() }),
            ),
        }
    }
}

/// `localhost` or an address, with or without a port: a name that somebody else's DNS points here is none.
fn is_own_host(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost") || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
}

/// Compares without telling by its time where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (x, y)| different | (x ^ y)) == 0
}

fn unknown(path: &str) -> Reply {
    let error = format!("{} is not in this version", portcullis_wire::Escaped(path.as_bytes()));
    reply(StatusCode::NOT_FOUND, &json!({ "error": error }))
}

fn reply(status: StatusCode, body: &serde_json::Value) -> Reply {
    let mut reply = text(status, format!("{body}\n"));
    reply.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    reply
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    reply
}
