//! Python's clients of HTTP/2: `h2`, frame by frame, and `httpx`.
use super::{Home, Peer, Stage, beside, node};
use portcullis_e2e::command;
use std::collections::BTreeSet;

/// What `clients.py` does, by its own names.
const PARTS: [&str; 7] = [
    "bodies_stream_both_ways",
    "trailers_pass_both_ways",
    "cancelled_streams_reach_the_server_and_no_other_stream",
    "five_hundred_streams_are_answered_each_with_its_own",
    "a_reader_without_room_gets_what_it_gives_room_for",
    "a_window_that_shrinks_below_nothing_holds",
    "httpx_streams_both_ways",
];

#[test]
fn python_s_clients_of_http2_are_served_as_they_should() {
    let (Some(peer), Some((_, mut server))) = (Peer::find(Home::Python, "python"), node()) else {
        return;
    };
    let stage = Stage::before(server.address);
    let [tls, plain] = stage.urls();
    let roots = stage.pki.roots().display().to_string();
    for (url, ca) in [(tls, &*roots), (plain, "none")] {
        let mut command = peer.command();
        let said = command::run(command.arg(beside("clients.py")).args([&url, ca]), b"");
        assert_eq!(said.stdout.lines().collect::<Vec<_>>(), PARTS, "{url}: {}", said.stderr);
        // whoever went is gone for the server too
        let gone: BTreeSet<String> = (0..3).map(|_| server.line()).collect();
        let wanted = ["/drip?2", "/drip?3", "/hang?1"].map(|url| format!("gone {url}"));
        assert_eq!(gone, wanted.into(), "{url}");
    }
    stage.proxy.connections_become(0);
    let lines = stage.proxy.lines("request");
    // what its client gave up is told as that
    let given_up = ["/hang", "/drip", "/large"];
    for line in &lines {
        let path = line["path"].as_str().expect("a path").trim_end_matches("?*");
        let ending = [&line["outcome"], &line["fault"]];
        let may_fail = given_up.contains(&path) && ending == ["failed", "client"];
        assert!(ending == ["ok", ""] || may_fail, "{line:#}");
    }
    assert_eq!(lines.len(), 2 * 814);
}
