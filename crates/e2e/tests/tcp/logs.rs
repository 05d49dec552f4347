//! Lines of requests as readers of other servers' logs know them.
use portcullis_e2e::{
    client::{Client, Offer},
    front::certificates,
    pki::{Algorithm, Pki},
    proxy::Proxy,
};
use std::{fs, io::Write};

/// The access log of one request, by what `log` says beside its file; the client's own lines taken for granted.
fn logged(log: &str) -> String {
    let pki = Pki::new();
    let file = pki.folder().join("access.log");
    let site = certificates(&[pki.server(Algorithm::EcdsaP256)]);
    let proxy = Proxy::start(&format!(
        "log = {{ access = {file:?}, {log} }}\n[[listener]]\nname = \"front\"\nlisten = [\"127.0.0.1:0\"]\nmode = \"http\"\n\
         [[site]]\n{site}\n[[site.route]]\nrespond = {{ body = \"hello\" }}\n"
    ));
    let mut conversation = Client::new(Offer::default())
        .connect(proxy.address())
        .expect("a handshake");
    let request = "GET /a?token=s3cret HTTP/1.1\r\nHost: localhost\r\nReferer: https://h/?q=s3cret\r\n\
                   User-Agent: a \"quoted\" one\r\nConnection: close\r\n\r\n";
    conversation.write_all(request.as_bytes()).expect("it takes a request");
    conversation.read_to_close().expect("an answer");
    conversation.close();
    proxy.connections_become(0);
    proxy.running().flush_log();
    fs::read_to_string(file).expect("the log is there")
}

/// `[20/Nov/2026:22:16:50 +0000]` with every digit as 0 and every letter as a.
fn shape(text: &str) -> String {
    let letters = text.chars().map(|letter| match letter {
        '0'..='9' => '0',
        'a'..='z' | 'A'..='Z' => 'a',
        other => other,
    });
    letters.collect()
}

#[test]
fn the_formats_of_other_servers_have_a_line_for_each_request_and_no_other() {
    let request = |path: &str| format!("] \"GET {path} HTTP/1.1\" 200 5");
    let agent = "a \\x22quoted\\x22 one";
    let table = [
        ("format = \"common\"", request("/a?token=*")),
        (
            "format = \"combined\"",
            format!("{} \"https://h/?q=*\" \"{agent}\"", request("/a?token=*")),
        ),
        (
            "format = \"combined\", query = \"keep\"",
            format!("{} \"https://h/?q=s3cret\" \"{agent}\"", request("/a?token=s3cret")),
        ),
        (
            "format = \"combined\", query = \"drop\"",
            format!("{} \"https://h/\" \"{agent}\"", request("/a")),
        ),
    ];
    for (log, ending) in table {
        let lines = logged(log);
        let line = lines.strip_suffix(&format!("{ending}\n"));
        let begin = line.unwrap_or_else(|| panic!("{log}: {lines}"));
        let time = begin.strip_prefix("127.0.0.1 - - [").expect("a client");
        assert_eq!(shape(time), "00/aaa/0000:00:00:00 +0000", "{time}");
    }
}

#[test]
fn our_own_formats_tell_no_values_of_queries_unless_they_may() {
    for (log, path) in [
        ("format = \"json\"", "\"path\":\"/a?token=*\""),
        ("format = \"text\"", " path=\"/a?token=*\""),
        ("format = \"json\", query = \"keep\"", "\"path\":\"/a?token=s3cret\""),
        ("format = \"text\", query = \"drop\"", " path=/a "),
    ] {
        let lines = logged(log);
        assert!(lines.contains(path), "{lines}");
        assert_eq!(lines.contains("s3cret"), log.contains("keep"), "{lines}");
        assert_eq!(lines.lines().count(), 2, "the connection's too: {lines}");
    }
}
