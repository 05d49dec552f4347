//! Addresses of a configuration that can be bound.
use super::finding::{Finding, Outcome};
use portcullis_proxy::plan::{Address, Plan};
use rustix::fs::{Access, access};
use serde_json::Value;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    os::unix::{fs::FileTypeExt, net::UnixStream},
    path::Path,
};

/// Every address that a configuration listens on.
pub(super) fn findings(plan: &Plan, status: &Value) -> Vec<Finding> {
    let listeners = plan.listeners.iter();
    let mut all: Vec<Finding> = listeners
        .flat_map(|listener| listener.listen.iter().map(|at| (format!("{} {at}", listener.name), at)))
        .map(|(what, at)| port(what, at, &|| holder(status, at)))
        .collect();
    if let Some(at) = plan.metrics.listen {
        all.push(port(format!("metrics {at}"), &Address::Ip(at), &|| unlisted(status)));
    }
    if let Some(admin) = &plan.admin {
        // who answered `status` answered there
        let answers = || {
            status["pid"]
                .as_u64()
                .map(|pid| (Outcome::Ok, format!("answers: portcullis, pid {pid}")))
        };
        all.push(port(format!("admin {}", admin.listen), &admin.listen, &answers));
    }
    all
}

/// What is known of who holds an address.
type Holder<'a> = &'a dyn Fn() -> Option<(Outcome, String)>;

fn port(what: String, at: &Address, holder: Holder<'_>) -> Finding {
    let bound = match at {
        Address::Ip(address) => bound(*address),
        Address::Unix(path) => return unix(what, path, holder),
        Address::Name(..) => return Finding::untried(what, "a name is nothing to listen on"),
    };
    match bound {
        Ok(()) => Finding::ok(what, "can be bound"),
        Err(error) if error.kind() == ErrorKind::AddrInUse => taken(what, holder),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::bad(what, error.to_string())
            .hint("AmbientCapabilities=CAP_NET_BIND_SERVICE of a systemd unit, or a port from 1024 on"),
        Err(error) => Finding::bad(what, error.to_string()),
    }
}

fn taken(what: String, holder: Holder<'_>) -> Finding {
    match holder() {
        Some((result, found)) => Finding::new(result, what, found),
        None => Finding::bad(what, "taken by another process").hint("`ss -ltnp` or `ss -lxp` names it"),
    }
}

/// The running instance says where its listeners are.
fn holder(status: &Value, at: &Address) -> Option<(Outcome, String)> {
    let pid = status["pid"].as_u64()?;
    let listeners = status["listeners"].as_array().into_iter().flatten();
    let mut addresses = listeners.flat_map(|listener| listener["addresses"].as_array().into_iter().flatten());
    let own = addresses.any(|address| address.as_str() == Some(&at.to_string()));
    own.then(|| (Outcome::Ok, format!("held by the running portcullis, pid {pid}")))
}

/// It does not say where its metrics are.
fn unlisted(status: &Value) -> Option<(Outcome, String)> {
    let pid = status["pid"].as_u64()?;
    Some((
        Outcome::Untried,
        format!("taken, and the running portcullis, pid {pid}, does not say whether by itself"),
    ))
}

/// As the proxy's own first try: without `SO_REUSEPORT`, so that another one is noticed.
fn bound(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(1)
}

/// Nothing is made on the way: a socket that is bound leaves a file.
fn unix(what: String, path: &Path, holder: Holder<'_>) -> Finding {
    let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    match std::fs::symlink_metadata(path) {
        Ok(about) if !about.file_type().is_socket() => {
            Finding::bad(what, "a file that is no socket stands there").hint("move it away")
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => taken(what, holder),
            Err(_) => Finding::ok(what, "left over from a process that ended: `serve` replaces it"),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Finding::ok(what, "nothing stands there, and the folder can be written"),
            Err(_) if !folder.exists() => Finding::info(what, format!("{} is not there yet", folder.display())),
            Err(error) => Finding::bad(what, format!("{}: {error}", folder.display())),
        },
        Err(error) => Finding::bad(what, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::{net::TcpListener, os::unix::net::UnixListener};

    #[test]
    fn a_taken_address_is_bad_unless_the_running_instance_may_hold_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = Address::Ip(listener.local_addr().unwrap());
        let result = |holder: Holder<'_>| port("x".to_owned(), &at, holder).result;
        let listed = json!({ "pid": 7, "listeners": [{ "addresses": [at.to_string()] }] });
        let elsewhere = json!({ "pid": 7, "listeners": [{ "addresses": ["127.0.0.1:1"] }] });
        assert_eq!(result(&|| holder(&listed, &at)), Outcome::Ok);
        assert_eq!(result(&|| holder(&elsewhere, &at)), Outcome::Bad);
        assert_eq!(result(&|| holder(&Value::Null, &at)), Outcome::Bad);
        assert_eq!(result(&|| unlisted(&listed)), Outcome::Untried);
        assert_eq!(result(&|| unlisted(&Value::Null)), Outcome::Bad);
        drop(listener);
        assert_eq!(result(&|| None), Outcome::Ok);
    }

    #[test]
    fn a_socket_in_a_folder_is_judged_without_making_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let result = || unix("x".to_owned(), &path, &|| None).result;
        assert_eq!(result(), Outcome::Ok);
        assert!(!path.exists());
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(result(), Outcome::Bad, "somebody answers");
        drop(listener);
        assert_eq!(result(), Outcome::Ok, "left over");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        assert_eq!(result(), Outcome::Bad, "no socket");
        let nowhere = folder.path().join("b/c.sock");
        assert_eq!(unix("x".to_owned(), &nowhere, &|| None).result, Outcome::Info);
    }
}
