use portcullis_wire::{
    CipherId, GroupId, Hello, SchemeId,
    alert::Alert,
    client_hello::{HelloError, MAX_HELLO, MAX_LISTED, Progress, from_handshake, from_records},
};

use crate::forge::{Forge, psk, record, records, shares, sni, u16s, vec8, vec16};

#[test]
fn an_ordinary_hello_is_read_whole() {
    let forge = Forge {
        session_id: vec![7; 32],
        ciphers: u16s(&[0x1302, 0x1301, 0xc02f]),
        ..Forge::bare()
    }
    .with(0, sni("Shop.Example.COM"))
    .with(10, vec16(&u16s(&[0x11ec, 0x001d, 0x0017])))
    .with(13, vec16(&u16s(&[0x0905, 0x0403])))
    .with(50, vec16(&u16s(&[0x0401])))
    .with(16, vec16(&[vec8(b"h2"), vec8(b"http/1.1")].concat()))
    .with(43, vec8(&u16s(&[0x0304, 0x0303])))
    .with(51, shares(&[(0x11ec, 1216), (0x001d, 32)]))
    .with(20, vec8(&[2, 0]))
    .with(0xfe0d, [0; 8])
    .with(42, [])
    .with(41, psk(2, &[32, 48]));
    let expected = Hello {
        len: forge.message().len(),
        legacy_version: 0x0303,
        ciphers: [0x1302, 0x1301, 0xc02f].map(CipherId).to_vec(),
        extensions: vec![0, 10, 13, 50, 16, 43, 51, 20, 0xfe0d, 42, 41],
        sni: Some("shop.example.com".into()),
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        versions: vec![0x0304, 0x0303],
        groups: [0x11ec, 0x001d, 0x0017].map(GroupId).to_vec(),
        key_shares: vec![(GroupId(0x11ec), 1216), (GroupId(0x001d), 32)],
        schemes: [0x0905, 0x0403].map(SchemeId).to_vec(),
        cert_schemes: vec![SchemeId(0x0401)],
        wants_raw_public_key: true,
        psk: true,
        early_data: true,
        ech: true,
    };
    assert_eq!(read(&forge), Ok(expected));
}

#[test]
fn a_raw_public_key_is_wanted_where_it_comes_first() {
    let table: [(&[u8], bool); 4] = [(&[2], true), (&[2, 0], true), (&[0, 2], false), (&[0], false)];
    for (types, wanted) in table {
        let hello = read(&Forge::tls13().with(20, vec8(types))).unwrap();
        assert_eq!(hello.wants_raw_public_key, wanted, "{types:?}");
    }
    for broken in [vec8(&[]), vec![], vec![1], vec![1, 2, 0]] {
        let refused = read(&Forge::tls13().with(20, broken));
        assert_eq!(refused, Err(HelloError::Decode("server certificate type")));
    }
}

#[test]
fn questions_about_a_hello_are_answered_from_its_lists() {
    let hello = read(&Forge::tls13()).unwrap();
    assert!(hello.offers_tls13());
    assert!(hello.lists(GroupId(0x11ec)) && !hello.has_share(GroupId(0x11ec)));
    assert!(hello.lists(GroupId(0x001d)) && hello.has_share(GroupId(0x001d)));
    assert!(!hello.lists(GroupId(0x0017)));
    assert!(!read(&Forge::bare()).unwrap().offers_tls13());
}

#[test]
fn without_supported_versions_the_legacy_version_counts_up_to_tls12() {
    for (legacy, implied) in [
        (0x0300, 0x0300),
        (0x0301, 0x0301),
        (0x0303, 0x0303),
        (0x0304, 0x0303),
        (0x7f1c, 0x0303),
    ] {
        let hello = read(&Forge {
            version: legacy,
            ..Forge::bare()
        })
        .unwrap();
        assert_eq!((hello.legacy_version, hello.versions), (legacy, vec![implied]));
    }
}

#[test]
fn an_empty_key_share_asks_for_a_retry() {
    let hello = read(&Forge::bare().with(10, vec16(&u16s(&[0x11ec]))).with(51, shares(&[]))).unwrap();
    assert_eq!(hello.key_shares, []);
}

#[test]
fn grease_is_tolerated_everywhere() {
    let forge = Forge {
        ciphers: u16s(&[0x9a9a, 0x1301]),
        ..Forge::bare()
    }
    .with(0x8a8a, [])
    .with(10, vec16(&u16s(&[0x0a0a, 0x11ec])))
    .with(13, vec16(&u16s(&[0xcaca, 0x0403])))
    .with(16, vec16(&[vec8(&[0x3a, 0x3a]), vec8(b"h2")].concat()))
    .with(43, vec8(&u16s(&[0x3a3a, 0x0304])))
    .with(51, shares(&[(0x0a0a, 1), (0x11ec, 1216)]))
    .with(0x7a7a, [0]);
    let hello = read(&forge).unwrap();
    assert!(hello.offers_tls13() && hello.has_share(GroupId(0x0a0a)) && hello.extensions.contains(&0x8a8a));
}

#[test]
fn what_the_rfcs_forbid_is_refused_by_name() {
    use HelloError::{Decode, DuplicateExtension, DuplicateKeyShare, Illegal};
    let bare = Forge::bare;
    let groups = || Forge::bare().with(10, vec16(&u16s(&[0x11ec, 0x001d])));
    let table: Vec<(Forge, HelloError)> = vec![
        (
            Forge {
                session_id: vec![0; 33],
                ..bare()
            },
            Decode("session id"),
        ),
        (
            Forge {
                ciphers: vec![],
                ..bare()
            },
            Decode("cipher suites"),
        ),
        (
            Forge {
                ciphers: vec![0x13],
                ..bare()
            },
            Decode("cipher suites"),
        ),
        (
            Forge {
                compressions: vec![],
                ..bare()
            },
            Decode("compression methods"),
        ),
        (
            Forge {
                compressions: vec![1],
                ..bare()
            },
            Illegal("compression methods"),
        ),
        (
            Forge {
                compressions: vec![1, 0],
                ..Forge::tls13()
            },
            Illegal("compression methods"),
        ),
        (
            Forge {
                after: vec![0],
                ..Forge::tls13()
            },
            Decode("hello"),
        ),
        (
            Forge {
                after: vec![0],
                ..bare()
            },
            Decode("hello"),
        ),
        (
            Forge {
                extensions: Some(vec![0, 10]),
                ..bare()
            },
            Decode("extensions"),
        ),
        (
            Forge {
                extensions: Some(vec![0, 10, 0, 1]),
                ..bare()
            },
            Decode("extensions"),
        ),
        (
            bare().with(0x1234, []).with(0x1235, []).with(0x1234, []),
            DuplicateExtension(0x1234),
        ),
        (groups().with(10, vec16(&u16s(&[0x11ec]))), DuplicateExtension(10)),
        (bare().with(0, sni("a")).with(0, sni("a")), DuplicateExtension(0)),
        (bare().with(0, []), Decode("server name")),
        (bare().with(0, vec16(&[])), Decode("server name")),
        (bare().with(0, sni("")), Decode("server name")),
        (bare().with(0, [sni("a"), vec![0]].concat()), Decode("server name")),
        (bare().with(0, vec16(&[0, 0, 9, b'a'])), Decode("server name")),
        (
            bare().with(0, vec16(&[0, 0, 1, b'a', 0, 0, 1, b'b'])),
            Illegal("second server name"),
        ),
        (bare().with(0, sni("a b")), Illegal("server name")),
        (bare().with(10, vec16(&[])), Decode("supported groups")),
        (bare().with(10, vec16(&[0x11])), Decode("supported groups")),
        (
            bare().with(10, [vec16(&u16s(&[0x11ec])), vec![0]].concat()),
            Decode("supported groups"),
        ),
        (bare().with(13, vec16(&[])), Decode("signature algorithms")),
        (bare().with(13, vec16(&[9])), Decode("signature algorithms")),
        (bare().with(50, vec16(&[])), Decode("certificate signature algorithms")),
        (bare().with(16, vec16(&[])), Decode("alpn")),
        (bare().with(16, vec16(&[0])), Decode("alpn")),
        (bare().with(16, vec16(&[2, b'h', b'2', 0])), Decode("alpn")),
        (bare().with(16, vec16(&[3, b'h', b'2'])), Decode("alpn")),
        (bare().with(43, vec8(&[])), Decode("supported versions")),
        (bare().with(43, vec8(&[3, 4, 3])), Decode("supported versions")),
        (
            bare().with(43, [vec8(&[3, 4]), vec![0]].concat()),
            Decode("supported versions"),
        ),
        (groups().with(51, []), Decode("key share")),
        (groups().with(51, shares(&[(0x11ec, 0)])), Decode("key share")),
        (groups().with(51, vec16(&[0x11, 0xec, 0, 9, 1])), Decode("key share")),
        (groups().with(51, [shares(&[]), vec![0]].concat()), Decode("key share")),
        (
            groups().with(51, shares(&[(0x1d, 32), (0x1d, 32)])),
            DuplicateKeyShare(GroupId(0x1d)),
        ),
        (
            groups().with(51, shares(&[(0x17, 65)])),
            Illegal("key share for a group that is not listed"),
        ),
        (
            bare().with(51, shares(&[(0x1d, 32)])),
            Illegal("key share for a group that is not listed"),
        ),
        (bare().with(42, [0]), Decode("early data")),
        (
            bare().with(41, psk(1, &[32])).with(21, []),
            Illegal("extension after pre_shared_key"),
        ),
        (bare().with(41, psk(0, &[32])), Decode("pre-shared key")),
        (bare().with(41, psk(1, &[])), Decode("pre-shared key")),
        (bare().with(41, psk(1, &[31])), Decode("pre-shared key")),
        (bare().with(41, psk(2, &[32])), Illegal("number of binders")),
        (bare().with(41, psk(1, &[32, 32])), Illegal("number of binders")),
        (
            bare().with(41, [psk(1, &[32]), vec![0]].concat()),
            Decode("pre-shared key"),
        ),
        (
            bare().with(41, [vec16(&[0, 0, 0, 0, 0, 0]), vec16(&vec8(&[0; 32]))].concat()),
            Decode("pre-shared key"),
        ),
    ];
    for (forge, error) in table {
        assert_eq!(read(&forge), Err(error), "{:02x?}", forge.extensions);
    }
}

#[test]
fn a_server_name_is_a_host_name_in_lower_case_without_a_dot() {
    let longest = [
        ["a"; 63].concat(),
        ["b"; 63].concat(),
        ["c"; 63].concat(),
        ["d"; 61].concat(),
    ]
    .join(".");
    assert_eq!(longest.len(), 253);
    let good = [
        ("shop.example.com", "shop.example.com"),
        ("SHOP.Example.Com", "shop.example.com"),
        ("shop.example.com.", "shop.example.com"),
        ("localhost", "localhost"),
        ("a-b_c.d9", "a-b_c.d9"),
        ("_dns.example", "_dns.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1.2.3.example", "1.2.3.example"),
        (&longest, &longest),
    ];
    for (sent, name) in good {
        assert_eq!(
            read(&Forge::bare().with(0, sni(sent))).unwrap().sni.as_deref(),
            Some(name),
            "{sent}"
        );
    }
    let too_long = format!("{longest}e");
    let label_too_long = ["a"; 64].concat();
    let bad = [
        ".",
        "..",
        ".example.com",
        "shop..example.com",
        "shop.example.com..",
        "-shop.example.com",
        "shop-.example.com",
        "shop example.com",
        "shop.example.com\0",
        "\0",
        "shop.example.com\0.evil.example",
        "b\u{fc}cher.example",
        "*.example.com",
        "shop.example.com:443",
        "[::1]",
        "256.0.0.1",
        "1.2.3",
        "example.1",
        &too_long,
        &label_too_long,
    ];
    for sent in bad {
        assert_eq!(
            read(&Forge::bare().with(0, sni(sent))),
            Err(HelloError::Illegal("server name")),
            "{sent:?}"
        );
    }
    let not_text = read(&Forge::bare().with(0, sni([0xff, 0xfe])));
    assert_eq!(not_text, Err(HelloError::Illegal("server name")));
}

#[test]
fn an_ip_address_or_another_kind_of_name_is_no_server_name() {
    for sent in ["127.0.0.1", "::1", "2001:db8::1"] {
        assert_eq!(read(&Forge::bare().with(0, sni(sent))).unwrap().sni, None, "{sent}");
    }
    let other_kind = vec16(&[7, 0, 1, b'x']);
    assert_eq!(read(&Forge::bare().with(0, other_kind)).unwrap().sni, None);
}

#[test]
fn what_cannot_become_a_hello_is_refused_at_the_byte_that_shows_it() {
    use HelloError::{EmptyRecord, NotAClientHello, RecordOverflow, TooLong};
    let table: &[(&[u8], HelloError)] = &[
        (&[0x80], NotAClientHello),
        (&[21], NotAClientHello),
        (b"G", NotAClientHello),
        (&[22, 2], NotAClientHello),
        (&[22, 3, 1, 0, 0], EmptyRecord),
        (&[22, 3, 1, 0x40, 1], RecordOverflow),
        (&[22, 3, 1, 0, 100, 2], NotAClientHello),
        (&[22, 3, 1, 0, 100, 1, 1], TooLong),
        (&[22, 3, 1, 0, 100, 1, 0, 0x41], TooLong),
        (&[22, 3, 1, 0, 100, 1, 0, 0x3f, 0xfd], TooLong),
        (&[22, 3, 1, 0, 1, 1, 21], NotAClientHello),
        (&[22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 0], EmptyRecord),
    ];
    for (bytes, error) in table {
        let (_, before) = bytes.split_last().unwrap();
        assert_eq!(from_records(before), Ok(Progress::Incomplete), "{before:?}");
        assert_eq!(from_records(bytes), Err(*error), "{bytes:?}");
    }
    assert_eq!(from_handshake(&[2]), Err(NotAClientHello));
    assert_eq!(from_handshake(&[1, 1]), Err(TooLong));
    assert_eq!(from_handshake(&[1, 0, 0x3f, 0xfd]), Err(TooLong));
    assert_eq!(from_handshake(&[1, 0, 0x3f, 0xfc]), Ok(Progress::Incomplete));
}

#[test]
fn the_longest_hello_is_read_and_one_byte_more_is_refused() {
    let padding = MAX_HELLO - Forge::tls13().with(21, []).message().len();
    let longest = Forge::tls13().with(21, vec![0; padding]);
    assert_eq!(longest.message().len(), MAX_HELLO);
    assert_eq!(read(&longest).map(|hello| hello.len), Ok(MAX_HELLO));
    assert_eq!(
        read(&Forge::tls13().with(21, vec![0; padding + 1])),
        Err(HelloError::TooLong)
    );
}

#[test]
fn a_hello_of_thousands_of_extensions_is_read() {
    let many = (0..4000).fold(Forge::bare(), |forge, id| forge.with(1000 + id, []));
    assert_eq!(read(&many).map(|hello| hello.extensions.len()), Ok(4000));
    let twice = many.with(1000, []);
    assert_eq!(read(&twice), Err(HelloError::DuplicateExtension(1000)));
}

#[test]
fn a_hello_cannot_make_us_keep_much_more_than_it_is() {
    let shares = |count: u16| {
        let ids: Vec<u16> = (1..=count).collect();
        let entries: Vec<(u16, usize)> = ids.iter().map(|id| (*id, 1)).collect();
        read(&Forge::bare().with(10, vec16(&u16s(&ids))).with(51, shares(&entries)))
    };
    assert_eq!(shares(64).map(|hello| hello.key_shares.len()), Ok(MAX_LISTED));
    assert_eq!(shares(65), Err(HelloError::Illegal("number of key shares")));
    let alpn = |count: usize| read(&Forge::bare().with(16, vec16(&vec8(b"x").repeat(count))));
    assert_eq!(alpn(64).map(|hello| hello.alpn.len()), Ok(MAX_LISTED));
    assert_eq!(alpn(65), Err(HelloError::Illegal("number of alpn protocols")));
}

#[test]
fn what_shares_the_last_record_is_refused_and_what_follows_it_is_not_looked_at() {
    let message = Forge::tls13().message();
    let shared = record(22, &[message.clone(), vec![20]].concat());
    assert_eq!(
        from_records(&shared),
        Err(HelloError::Illegal("bytes after the hello in its record"))
    );
    let followed = [records(&message, message.len()), vec![20, 3, 3, 0, 1, 1]].concat();
    assert!(matches!(from_records(&followed), Ok(Progress::Complete(_))));
    let stream = [message, vec![0xff; 9]].concat();
    assert!(matches!(from_handshake(&stream), Ok(Progress::Complete(_))));
}

#[test]
fn each_error_has_its_alert() {
    let table = [
        (HelloError::NotAClientHello, Alert::UNEXPECTED_MESSAGE),
        (HelloError::EmptyRecord, Alert::UNEXPECTED_MESSAGE),
        (HelloError::TooManyRecords, Alert::UNEXPECTED_MESSAGE),
        (HelloError::RecordOverflow, Alert::RECORD_OVERFLOW),
        (HelloError::TooLong, Alert::ILLEGAL_PARAMETER),
        (HelloError::Decode("hello"), Alert::DECODE_ERROR),
        (HelloError::DuplicateExtension(0), Alert::ILLEGAL_PARAMETER),
        (HelloError::DuplicateKeyShare(GroupId(29)), Alert::ILLEGAL_PARAMETER),
        (HelloError::Illegal("server name"), Alert::ILLEGAL_PARAMETER),
    ];
    for (error, alert) in table {
        assert_eq!(error.alert(), alert, "{error}");
    }
}

/// Reads a forged hello both ways, which must agree.
fn read(forge: &Forge) -> Result<Hello, HelloError> {
    let message = forge.message();
    let from_stream = from_handshake(&message);
    assert_eq!(from_records(&records(&message, 16 * 1024)), from_stream);
    from_stream.map(|progress| match progress {
        Progress::Complete(hello) => *hello,
        Progress::Incomplete => panic!("a whole message is never incomplete"),
    })
}
