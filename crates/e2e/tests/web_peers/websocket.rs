//! WebSocket through the proxy: Autobahn's suite and the library `websockets`, before that library's server and `ws`.
use super::{Home, Peer, Server, Stage, beside, node};
use portcullis_e2e::command;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

/// Node's `ws` and Python's `websockets`.
fn servers() -> Option<[(&'static str, Server); 2]> {
    let python = Peer::find(Home::Python, "python")?;
    let (_, node) = node()?;
    let python = Server::start(&python, &beside("websocket.py"), &["serve"]);
    Some([("ws", node), ("websockets", python)])
}

#[test]
fn messages_pings_and_closes_pass_unchanged() {
    let (Some(peer), Some(servers)) = (Peer::find(Home::Python, "python"), servers()) else {
        return;
    };
    for (name, server) in servers {
        let stage = Stage::before(server.address);
        let mut command = peer.command();
        let url = stage.urls()[0].replace("https:", "wss:");
        command.arg(beside("websocket.py")).args(["ask", &format!("{url}/a?b")]);
        let said = command::run(command.arg(stage.pki.roots()), b"");
        assert_eq!(
            said.stdout.split_whitespace().collect::<Vec<_>>(),
            ["sizes", "fragments", "pings", "closes", "both_ways", "crowd"],
            "{name}: {}",
            said.stderr
        );
        stage.proxy.connections_become(0);
        let lines = stage.proxy.lines("request");
        let unlike = lines
            .iter()
            .find(|line| line["status"] != 101 || line["outcome"] != "ok");
        assert_eq!((lines.len(), unlike), (67, None), "{name}");
    }
}

/// What of the suite is run: all but its longest messages, whose sizes the test above has, and the least of each
/// kind of compression, which the proxy does not look into. The whole takes ten minutes.
const CASES: [&str; 11] = [
    "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*", "9.1.1", "12.1.1", "13.1.1",
];
/// Its cases that those come to, of each server: fewer means that it has not run.
const COUNT: usize = 250;
/// Cases wait for each other, some for a second.
const LONGEST: Duration = Duration::from_secs(180);

#[test]
fn autobahn_says_the_same_through_the_proxy_as_directly() {
    let (Some(peer), Some(servers)) = (Peer::find(Home::Autobahn, "wstest"), servers()) else {
        return;
    };
    thread::scope(|scope| {
        let each = servers.each_ref().map(|(name, server)| {
            let (peer, address) = (&peer, server.address);
            scope.spawn(move || compare(peer, name, address))
        });
        for one in each {
            one.join().expect("it says what differs");
        }
    });
}

/// How often cases are run that differ: each allows its server a second or so, which a busy machine may not.
const TURNS: usize = 3;

fn compare(peer: &Peer, name: &str, server: SocketAddr) {
    let stage = Stage::before(server);
    let tls = stage.urls()[0].replace("https:", "wss:");
    let urls = [format!("ws://{server}"), tls];
    let mut cases: Vec<String> = CASES.map(str::to_owned).into();
    for turn in 1..=TURNS {
        // at once, so that what the machine does meanwhile is the same for both
        let [direct, proxied] = thread::scope(|scope| {
            let runs = urls
                .each_ref()
                .map(|url| scope.spawn(|| autobahn(peer, &stage, url, &cases)));
            runs.map(|run| run.join().expect("it runs"))
        });
        if turn == 1 {
            assert!(direct.len() >= COUNT, "{name}: only {} cases ran", direct.len());
            let good = direct.values().filter(|said| said[0] == "OK").count();
            assert!(good * 10 > direct.len() * 9, "{name}: {direct:#?}");
        }
        let pairs = direct.iter().map(|(case, said)| (case, Some(said), proxied.get(case)));
        let differ: Vec<_> = pairs.filter(|(_, direct, proxied)| direct != proxied).collect();
        cases = differ.iter().map(|(case, ..)| (*case).clone()).collect();
        if cases.is_empty() {
            return;
        }
        assert!(turn < TURNS, "{name}, direct and proxied: {differ:#?}");
    }
}

/// What the suite says of a server, case by case: of its behaviour, its way to close, and its close code.
fn autobahn(peer: &Peer, stage: &Stage, url: &str, cases: &[String]) -> BTreeMap<String, [Value; 3]> {
    let folder = tempfile::TempDir::new_in(stage.pki.folder()).expect("a folder in a folder");
    let spec = serde_json::json!({
        "outdir": folder.path(), "servers": [{ "agent": "it", "url": url }], "cases": cases,
        "options": { "failByDrop": false },
    });
    let file = folder.path().join("spec.json");
    fs::write(&file, spec.to_string()).expect("the folder takes a file");
    let mut command = peer.command();
    command.args(["--mode", "fuzzingclient", "--spec"]).arg(file);
    let log = fs::File::create(folder.path().join("log")).expect("the folder takes a file");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(log)
        .spawn()
        .expect("the peer was found");
    let told = || fs::read_to_string(folder.path().join("log")).expect("its words");
    let started = Instant::now();
    while child.try_wait().expect("our own child").is_none() {
        if started.elapsed() > LONGEST {
            child.kill().expect("our own child");
            child.wait().expect("our own child");
            panic!("it takes too long: {}", told());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let index = fs::read(folder.path().join("index.json")).expect("its report");
    let mut index: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_slice(&index).expect("JSON");
    let cases = index
        .remove("it")
        .unwrap_or_else(|| panic!("it met nobody: {}", told()));
    let said = |case: Value| {
        let mut said = ["behavior", "behaviorClose", "remoteCloseCode"].map(|field| case[field].clone());
        // it passes both: whether what came before a breach was echoed is a race within the server
        if said[0] == "NON-STRICT" {
            said[0] = Value::from("OK");
        }
        said
    };
    cases.into_iter().map(|(case, told)| (case, said(told))).collect()
}
