//! The head of a request in HTTP/2 says what its form in HTTP/1.1 says.
use super::{super::Head, Body, request};
use portcullis_wire::http1::{Asked, MAX_FIELDS, NO_FIELD};

fn said(head: &str, takes_trailers: bool) -> (String, Vec<(String, String)>, Body) {
    let head = Head {
        bytes: head.replace('\n', "\r\n").into_bytes(),
        asked: Asked::Other,
        takes_trailers,
    };
    let (request, body) = request(&head, "https").unwrap();
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (
        format!("{} {}", request.method(), request.uri()),
        fields.collect(),
        body,
    )
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

#[test]
fn host_becomes_the_authority_and_names_lower_case() {
    let (line, fields, body) = said(
        "GET /a?b=c%20d HTTP/1.1\nhost: shop.example:81\nX-One: 1\nx-one: 2: 3\n\n",
        false,
    );
    assert_eq!(line, "GET https://shop.example:81/a?b=c%20d");
    assert_eq!(fields, pairs(&[("x-one", "1"), ("x-one", "2: 3")]));
    assert!(matches!(body, Body::Left(0)));
}

#[test]
fn framing_of_http1_does_not_go_on_but_a_length_does() {
    let (_, fields, body) = said("POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n", false);
    assert_eq!(fields, []);
    assert!(matches!(body, Body::Open));
    let (_, fields, body) = said("POST / HTTP/1.1\nhost: a\ncontent-length: 7\n\n", false);
    assert_eq!(fields, pairs(&[("content-length", "7")]));
    assert!(matches!(body, Body::Left(7)));
}

#[test]
fn an_upgrade_stays_here_and_the_wish_for_trailers_goes_on() {
    let (_, fields, _) = said(
        "GET / HTTP/1.1\nhost: a\nconnection: upgrade\nupgrade: websocket\n\n",
        true,
    );
    assert_eq!(fields, pairs(&[("te", "trailers")]));
}

#[test]
fn the_server_itself_may_be_asked() {
    let (line, ..) = said("OPTIONS * HTTP/1.1\nhost: a\n\n", false);
    assert!(line.starts_with("OPTIONS "), "{line}");
    assert!(line.ends_with('*'), "{line}");
}

#[test]
fn every_target_that_http1_takes_is_said_unchanged_or_in_escapes() {
    let mut said_of = 0;
    for byte in (0x21..=0x7e_u8).map(char::from) {
        let target = format!("/a{byte}b?c{byte}d");
        let head = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut fields = [NO_FIELD; MAX_FIELDS];
        if portcullis_wire::http1::request(head.as_bytes(), &mut fields).is_ok() {
            said_of += 1;
            let (line, ..) = said(&head.replace("\r\n", "\n"), false);
            let escape = format!("%{:02X}", u32::from(byte));
            let expected = match byte {
                '"' | '<' | '>' | '`' => target.replace(byte, &escape),
                _ => target,
            };
            assert_eq!(line, format!("GET https://a{expected}"));
        }
    }
    assert!(said_of > 70, "{said_of}");
}
