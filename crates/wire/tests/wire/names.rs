use portcullis_wire::registry::{Cipher, Group, NameError, Scheme, Standing};

#[test]
fn groups_answer_to_every_name_people_give_them() {
    let table = [
        (
            "X25519MLKEM768",
            "x25519mlkem768 X25519MLKEM768 x25519_mlkem768 X25519-ML-KEM-768",
        ),
        (
            "SecP256r1MLKEM768",
            "SECP256R1MLKEM768 secp256r1mlkem768 p256_mlkem768 secp256r1_mlkem768",
        ),
        (
            "SecP384r1MLKEM1024",
            "SecP384r1MLKEM1024 p384_mlkem1024 secp384r1-mlkem1024",
        ),
        ("MLKEM768", "MLKEM768 mlkem768 ML-KEM-768 ml_kem_768"),
        ("MLKEM1024", "mlkem1024 ML-KEM-1024"),
        ("X25519", "X25519 x25519 curve25519 ecdh_x25519"),
        ("secp256r1", "secp256r1 SECP256R1 P-256 P256 p_256 prime256v1 nistp256"),
        ("secp384r1", "secp384r1 P-384 p384 nistp384"),
    ];
    for (name, spellings) in table {
        for spelling in spellings.split(' ') {
            assert_eq!(Group::by_name(spelling).map(|group| group.name), Ok(name), "{spelling}");
        }
    }
    assert_eq!(Group::by_name("NIST P-256").map(|group| group.name), Ok("secp256r1"));
}

#[test]
fn schemes_and_ciphers_answer_to_openssls_and_rustls_names() {
    let schemes = [
        ("mldsa65", "mldsa65 MLDSA65 ML-DSA-65 ml_dsa_65 id-ml-dsa-65"),
        (
            "ecdsa_secp256r1_sha256",
            "ecdsa_secp256r1_sha256 ECDSA+SHA256 ECDSA_NISTP256_SHA256",
        ),
        ("ed25519", "Ed25519 ED25519"),
        (
            "rsa_pss_rsae_sha256",
            "rsa_pss_rsae_sha256 RSA-PSS+SHA256 RSA_PSS_SHA256",
        ),
        ("rsa_pkcs1_sha256", "rsa_pkcs1_sha256 RSA+SHA256 RSA_PKCS1_SHA256"),
        ("ecdsa_secp521r1_sha512", "ecdsa_secp521r1_sha512"),
    ];
    for (name, spellings) in schemes {
        for spelling in spellings.split(' ') {
            assert_eq!(
                Scheme::by_name(spelling).map(|scheme| scheme.name),
                Ok(name),
                "{spelling}"
            );
        }
    }
    let ciphers = [
        (
            "TLS_AES_256_GCM_SHA384",
            "TLS_AES_256_GCM_SHA384 tls_aes_256_gcm_sha384",
        ),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        (
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
        ),
    ];
    for (name, spellings) in ciphers {
        for spelling in spellings.split(' ') {
            assert_eq!(
                Cipher::by_name(spelling).map(|cipher| cipher.name),
                Ok(name),
                "{spelling}"
            );
        }
    }
}

#[test]
fn a_dead_group_names_its_successor() {
    let table = [
        ("X25519Kyber768Draft00", "X25519MLKEM768"),
        ("x25519kyber768", "X25519MLKEM768"),
        ("x25519_kyber512", "X25519MLKEM768"),
        ("SecP256r1Kyber768Draft00", "SecP256r1MLKEM768"),
        ("kyber768", "MLKEM768"),
        ("KYBER1024", "MLKEM1024"),
        ("p256_kyber768", "SecP256r1MLKEM768"),
        ("p256_mlkem512", "SecP256r1MLKEM768"),
        ("x25519_mlkem512", "X25519MLKEM768"),
        ("p384_mlkem768", "SecP384r1MLKEM1024"),
        ("p521_mlkem1024", "SecP384r1MLKEM1024"),
    ];
    for (typed, successor) in table {
        assert_eq!(
            Group::by_name(typed).err(),
            Some(NameError::Dead { successor }),
            "{typed}"
        );
    }
}

#[test]
fn a_dead_scheme_names_its_successor() {
    let table = [
        ("dilithium2", "mldsa44"),
        ("Dilithium3", "mldsa65"),
        ("dilithium5", "mldsa87"),
        ("p384_dilithium3", "mldsa65"),
        ("p256_mldsa44", "mldsa44"),
        ("p521_mldsa87", "mldsa87"),
    ];
    for (typed, successor) in table {
        assert_eq!(
            Scheme::by_name(typed).err(),
            Some(NameError::Dead { successor }),
            "{typed}"
        );
    }
}

#[test]
fn what_is_known_and_not_offered_says_what_to_use() {
    let refused = |name, instead| Some(NameError::NotOffered { name, instead });
    let groups = [
        ("mlkem512", "MLKEM512", "MLKEM768"),
        ("P-521", "secp521r1", "secp384r1"),
        ("x448", "X448", "X25519"),
        ("ffdhe2048", "ffdhe2048", "X25519"),
        ("ffdhe8192", "ffdhe8192", "X25519"),
        ("brainpoolP256r1", "brainpoolP256r1", "secp256r1"),
        ("curveSM2MLKEM768", "curveSM2MLKEM768", "X25519MLKEM768"),
        ("p256_frodo640aes", "FrodoKEM", "X25519MLKEM768"),
        ("CECPQ2", "CECPQ2", "X25519MLKEM768"),
    ];
    for (typed, name, instead) in groups {
        assert_eq!(Group::by_name(typed).err(), refused(name, instead), "{typed}");
    }
    let schemes = [
        ("ed448", "ed448", "ed25519"),
        ("rsa_pss_pss_sha256", "rsa_pss_pss_sha256", "rsa_pss_rsae_sha256"),
        ("rsa_pkcs1_sha1", "rsa_pkcs1_sha1", "rsa_pss_rsae_sha256"),
        ("ecdsa_sha1", "ecdsa_sha1", "ecdsa_secp256r1_sha256"),
        ("falcon512", "Falcon-512", "mldsa44"),
        ("sphincssha2128fsimple", "SPHINCS+", "mldsa65"),
        ("slhdsa_sha2_128s", "SLH-DSA", "mldsa65"),
    ];
    for (typed, name, instead) in schemes {
        assert_eq!(Scheme::by_name(typed).err(), refused(name, instead), "{typed}");
    }
}

#[test]
fn a_slip_of_the_finger_is_answered_with_the_near_name() {
    let near = |name| Some(NameError::Unknown { near: name });
    let groups = [
        ("X25519MLKEM786", Some("X25519MLKEM768")),
        ("X25519MLKM768", Some("X25519MLKEM768")),
        ("P-265", Some("secp256r1")),
        ("secp256r2", Some("secp256r1")),
        ("x25518", Some("X25519")),
        ("sec256", None),
        ("unobtainium", None),
        ("", None),
        ("mldsa65", None),
    ];
    for (typed, name) in groups {
        assert_eq!(Group::by_name(typed).err(), near(name), "{typed}");
    }
    assert_eq!(Scheme::by_name("mldsa66").err(), near(Some("mldsa65")));
    assert_eq!(
        Scheme::by_name("ecdsa_secp256r1_sha265").err(),
        near(Some("ecdsa_secp256r1_sha256"))
    );
    assert_eq!(
        Cipher::by_name("TLS_AES_256_GCM_SHA385").err(),
        near(Some("TLS_AES_256_GCM_SHA384"))
    );
    assert_eq!(Cipher::by_name("RC4-MD5").err(), near(None));
    assert_eq!(Group::by_name(&"x".repeat(1_000_000)).err(), near(None));
}

#[test]
fn whatever_a_hint_names_is_offered() {
    for group in Group::all() {
        match Group::by_name(group.name) {
            Ok(found) => assert!(found.id == group.id && group.standing != Standing::Never),
            Err(NameError::Dead { successor }) => {
                assert!(Group::by_name(successor).is_ok(), "{}", group.name)
            }
            Err(NameError::NotOffered { name, instead }) => {
                assert_eq!((name, group.standing), (group.name, Standing::Never));
                assert!(
                    Group::by_name(instead).is_ok_and(|other| other.id != group.id),
                    "{}",
                    group.name
                );
            }
            Err(other) => panic!("{}: {other:?}", group.name),
        }
    }
    for scheme in Scheme::all() {
        match Scheme::by_name(scheme.name) {
            Ok(found) => assert!(found.id == scheme.id && scheme.standing != Standing::Never),
            Err(NameError::NotOffered { instead, .. }) => assert!(Scheme::by_name(instead).is_ok()),
            Err(other) => panic!("{}: {other:?}", scheme.name),
        }
    }
}

#[test]
fn messages_say_what_is_wrong_and_what_to_do() {
    let said = |error: NameError| (error.to_string(), error.hint());
    let table = [
        (
            NameError::Dead {
                successor: "X25519MLKEM768",
            },
            "a name from a draft that is gone",
            "that draft became X25519MLKEM768; `portcullis groups` lists them all",
        ),
        (
            NameError::NotOffered {
                name: "MLKEM512",
                instead: "MLKEM768",
            },
            "MLKEM512 is known, but this build does not offer it",
            "write MLKEM768 instead; `portcullis groups` lists them all",
        ),
        (
            NameError::Unknown {
                near: Some("secp256r1"),
            },
            "no such name",
            "did you mean secp256r1? `portcullis groups` lists them all",
        ),
        (
            NameError::Unknown { near: None },
            "no such name",
            "`portcullis groups` lists them all",
        ),
    ];
    for (error, message, hint) in table {
        assert_eq!(said(error), (message.into(), hint.into()));
    }
}
