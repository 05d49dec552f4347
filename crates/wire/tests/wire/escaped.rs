use portcullis_wire::Escaped;

use crate::forge::Random;

#[test]
fn printable_ascii_stays_and_the_rest_is_escaped() {
    let cases: &[(&[u8], &str)] = &[
        (b"", ""),
        (b"shop.example.com", "shop.example.com"),
        (b"/a b?c=1&d=%2f", "/a b?c=1&d=%2f"),
        (b"a\\b", "a\\x5cb"),
        (b"say \"hi\", 'no'", "say \\x22hi\\x22, \\x27no\\x27"),
        (b"<script>", "\\x3cscript\\x3e"),
        (b"line\r\nline\t\0", "line\\x0d\\x0aline\\x09\\x00"),
        (b"\x1b[31m\x7f", "\\x1b[31m\\x7f"),
        ("gr\u{fc}n".as_bytes(), "gr\\xc3\\xbcn"),
        (b"\xff\xfe", "\\xff\\xfe"),
    ];
    for (typed, shown) in cases {
        assert_eq!(Escaped(typed).to_string(), *shown);
    }
}

#[test]
fn what_is_longer_than_the_limit_is_cut_with_a_mark_nobody_can_type() {
    let limit = Escaped::LIMIT;
    let whole = "a".repeat(limit);
    assert_eq!(Escaped(whole.as_bytes()).to_string(), whole);
    assert_eq!(
        Escaped("a".repeat(limit + 1).as_bytes()).to_string(),
        format!("{whole}\\...")
    );
    assert_eq!(Escaped(b"a\\...").to_string(), "a\\x5c...");
}

#[test]
fn debug_shows_the_same_in_quotes() {
    assert_eq!(format!("{:?}", Escaped(b"a\"b")), "\"a\\x22b\"");
}

#[test]
fn what_comes_out_is_safe_and_can_be_read_back() {
    let mut random = Random::new(1);
    for _ in 0..2_000 {
        let len = random.below(Escaped::LIMIT + 1);
        let typed = random.bytes(len);
        let shown = Escaped(&typed).to_string();
        assert!(
            shown
                .bytes()
                .all(|byte| matches!(byte, b' '..=b'~') && !b"\"'<>".contains(&byte)),
            "{shown}"
        );
        assert_eq!(read_back(&shown), typed);
    }
}

fn read_back(shown: &str) -> Vec<u8> {
    let mut parts = shown.split("\\x");
    let mut bytes = parts.next().expect("split gives one part").as_bytes().to_vec();
    for part in parts {
        let (number, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(number, 16).expect("two hex digits"));
        bytes.extend(rest.as_bytes());
    }
    bytes
}
