//! What the demo says.
use super::{Ports, World};
use portcullis_probe::{Report, Row, table};
use std::{net::SocketAddr, path::Path};

/// What was proven, as a table of clients, and the verdict on each address.
pub(super) fn proven(reports: &[Report]) -> String {
    let mut lines = vec![
        ["asked", "client", "gets", "signature", "safety"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut asked: Vec<(&str, &str)> = Vec::new();
    for report in reports {
        // the same site on the second loopback says nothing new
        let port = report.target.rsplit(':').next().unwrap_or_default();
        if !asked.contains(&(port, report.transport)) {
            asked.push((port, report.transport));
            lines.extend(CLIENTS.iter().filter_map(|client| client_line(port, client, report)));
        }
    }
    let mut text = format!("what the self-test saw\n{}\n", indented(&table::aligned(&lines)));
    for report in reports {
        text.push_str(&format!(
            "  {} over {}: {}\n",
            report.target,
            report.transport,
            report.verdict()
        ));
        for problem in &report.problems {
            text.push_str(&format!("    problem: {problem}\n"));
        }
    }
    text
}

/// What to try by hand.
pub(super) fn to_try(ports: &Ports, world: &World) -> String {
    let (page, echo) = (port(&ports.page), port(&ports.echo));
    let ca = shell_word(&world.ca());
    let openssl = format!("openssl s_client -CAfile {ca} -verify_return_error -brief");
    let examples = [
        (
            "the page; your browser will warn, for it does not know this private root",
            format!("https://localhost:{page}/"),
        ),
        (
            "what curl negotiates: X25519MLKEM768 if it stands on OpenSSL 3.5 or later, else X25519",
            format!("curl --cacert {ca} https://localhost:{page}/api/negotiated"),
        ),
        (
            "the same over HTTP/3, if curl has it",
            format!("curl --http3-only --cacert {ca} https://localhost:{page}/api/negotiated"),
        ),
        (
            "a post-quantum client (OpenSSL 3.5 or later)",
            format!("{openssl} -connect localhost:{page} -groups X25519MLKEM768 </dev/null"),
        ),
        (
            "one that lists it, but sends only a classical share: it is asked again (OpenSSL 3.5 or later)",
            format!("{openssl} -connect localhost:{page} -groups '*X25519:X25519MLKEM768' </dev/null"),
        ),
        (
            "a client of the classical world (any OpenSSL)",
            format!("{openssl} -connect localhost:{page} -groups X25519 </dev/null"),
        ),
        (
            "the echo, with the ML-DSA certificate first (OpenSSL 3.5 or later)",
            format!("(echo hello; sleep 1) | {openssl} -connect localhost:{echo}"),
        ),
        (
            "the same self-test from outside",
            format!("{} selftest localhost:{page} --ca {ca}", itself()),
        ),
        (
            "who of the crowd is still classical, why, and what requiring it would break",
            format!("{} report --from unix:{}", itself(), shell_word(&world.admin())),
        ),
        (
            "a line for each connection and each request",
            format!("tail -f {}", shell_word(&world.log())),
        ),
    ];
    let lines = examples.map(|(what, command)| format!("  # {what}\n  {command}\n"));
    format!("try it by hand\n{}", lines.concat())
}

/// This program as it was called, so that the line works where it is not on the path.
fn itself() -> String {
    let called = std::env::args_os().next().unwrap_or_else(|| "portcullis".into());
    shell_word(Path::new(&called))
}

/// Which handshakes tell the story, and what to call their clients.
const CLIENTS: [(&str, &str, &str); 5] = [
    ("default", "all", "modern"),
    ("default", "mldsa", "modern, ML-DSA only"),
    ("X25519,X25519MLKEM768", "all", "reluctant"),
    ("classical", "classical", "classical"),
    ("tls1.2", "classical", "TLS 1.2"),
];

fn client_line(port: &str, (offer, schemes, client): &(&str, &str, &str), report: &Report) -> Option<Vec<String>> {
    let fits = |row: &&Row| row.offer == *offer && row.schemes == *schemes;
    let row = report.handshakes.iter().find(fits)?;
    let gets = match (&row.group, row.retry) {
        (Some(group), Some(true)) => format!("{group}, asked again"),
        (Some(group), _) => group.clone(),
        (None, _) => row.result.to_owned(),
    };
    Some(vec![
        format!("localhost:{port} {}", report.transport),
        (*client).to_owned(),
        gets,
        row.signature.clone().unwrap_or_default(),
        row.safety.unwrap_or_default().to_owned(),
    ])
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn port(addresses: &[SocketAddr]) -> u16 {
    addresses.first().map_or(0, SocketAddr::port)
}

/// A path as one word of a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    match text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        let table = [
            ("/tmp/portcullis-demo-Ab1", "/tmp/portcullis-demo-Ab1"),
            ("/tmp/a b", "'/tmp/a b'"),
            ("/tmp/it's", r"'/tmp/it'\''s'"),
        ];
        for (path, word) in table {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
