use super::*;
use portcullis_wire::{CipherId, registry::Cipher};
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

fn identity(algorithm: &'static SignatureAlgorithm) -> Arc<Identity> {
    let key = KeyPair::generate_for(algorithm).expect("a key");
    let params = CertificateParams::new(["memory.invalid".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let pem = certificate.pem();
    let read = Identity::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes());
    Arc::new(read.expect("an identity"))
}

fn identities() -> Identities {
    HashMap::from([
        (KeyKind::MlDsa44, identity(&rcgen::PKCS_ML_DSA_44)),
        (KeyKind::MlDsa65, identity(&rcgen::PKCS_ML_DSA_65)),
        (KeyKind::MlDsa87, identity(&rcgen::PKCS_ML_DSA_87)),
        (KeyKind::EcdsaP256, identity(&rcgen::PKCS_ECDSA_P256_SHA256)),
        (KeyKind::EcdsaP384, identity(&rcgen::PKCS_ECDSA_P384_SHA384)),
        (KeyKind::Ed25519, identity(&rcgen::PKCS_ED25519)),
        (KeyKind::Rsa, identity(&rcgen::PKCS_RSA_SHA256)),
    ])
}

fn measured(selection: &Selection) -> Results {
    run(selection, &identities(), (Duration::ZERO, &mut |_| ())).unwrap()
}

#[test]
fn a_pairing_comes_to_its_recipe_and_to_nothing_else() {
    let ecdsa = identity(&rcgen::PKCS_ECDSA_P256_SHA256);
    for group in groups() {
        let pairing = Pairing::new(tls13(group.id, USUAL_SCHEME), &ecdsa).unwrap();
        let handshake = pairing.handshake().unwrap();
        assert_eq!(handshake.facts.group, Some(group.id));
        assert_eq!(handshake.facts.signature, Some(USUAL_SCHEME));
        // the shares are in it, and the certificate
        assert!(handshake.cost.bytes_in > group.client_share);
        assert!(handshake.cost.bytes_out > group.server_share + 300);
        assert!(handshake.cost.server > Duration::ZERO && handshake.cost.client > Duration::ZERO);
    }
    // a key that cannot sign so, and a group that the version does not have
    let mldsa = tls13(USUAL_GROUP, PQ_SCHEME);
    assert!(matches!(Pairing::new(mldsa, &ecdsa), Err(MemoryError::Build(_))));
    let tls12 = Recipe {
        version: Version::Tls12,
        ..tls13(USUAL_GROUP, USUAL_SCHEME)
    };
    assert!(matches!(Pairing::new(tls12, &ecdsa), Err(MemoryError::Settings(_))));
}

#[test]
fn a_session_is_resumed_where_that_is_what_is_measured() {
    let ecdsa = identity(&rcgen::PKCS_ECDSA_P256_SHA256);
    let recipe = Recipe {
        session: Session::Resumed,
        ..tls13(USUAL_GROUP, USUAL_SCHEME)
    };
    let resumed = Pairing::new(recipe, &ecdsa).unwrap();
    let full = Pairing::new(tls13(USUAL_GROUP, USUAL_SCHEME), &ecdsa).unwrap();
    let full = full.handshake().unwrap();
    for _ in 0..5 {
        let handshake = resumed.handshake().unwrap();
        assert!(handshake.facts.resumed);
        // no certificate and no signature
        assert!(handshake.cost.bytes_out + 300 < full.cost.bytes_out);
    }
    assert!(!full.facts.resumed);
}

#[test]
fn every_suite_carries_bytes_that_come_back_the_same() {
    let identities = identities();
    for cipher in Cipher::all() {
        let recipe = with_cipher(cipher.id).unwrap();
        let key = recipe.scheme.entry().unwrap().key;
        let pairing = Pairing::new(recipe, &identities[&key]).unwrap();
        assert_eq!(pairing.handshake().unwrap().facts.cipher, cipher.id);
        let cost = pairing.stream().unwrap().pass().unwrap();
        assert_eq!(cost.bytes, 256 * 1024, "{}", cipher.name);
        assert!(cost.encrypt > Duration::ZERO && cost.decrypt > Duration::ZERO);
    }
    assert_eq!(with_cipher(CipherId(0x1304)), None);
}

#[test]
fn a_whole_run_measures_each_group_signature_and_suite_once() {
    let mut told = Vec::new();
    let results = run(
        &Selection::all(),
        &identities(),
        (Duration::ZERO, &mut |progress| told.push(progress)),
    );
    let results = results.unwrap();
    let of = |rows: Vec<&String>| rows.into_iter().cloned().collect::<Vec<String>>();
    let names = |list: Vec<&'static str>| list.into_iter().map(str::to_owned).collect::<Vec<String>>();
    let group_rows = results.handshakes.iter().filter(|row| row.is_of_groups());
    assert_eq!(
        of(group_rows.map(|row| &row.group).collect()),
        names(groups().map(|group| group.name).collect())
    );
    let mut signed: Vec<String> = results
        .handshakes
        .iter()
        .filter(|row| row.is_of_signatures())
        .map(|row| row.signature.clone())
        .collect();
    let mut expected = names(schemes().map(|scheme| scheme.name).collect());
    signed.sort();
    expected.sort();
    assert_eq!(signed, expected);
    let suites = of(results.records.iter().map(|row| &row.cipher).collect());
    assert_eq!(suites, names(Cipher::all().iter().map(|cipher| cipher.name).collect()));
    assert_eq!(
        of(results.resumption.iter().map(|row| &row.group).collect()),
        ["X25519", "X25519MLKEM768"]
    );
    let slices: Vec<u64> = told.iter().map(|progress| progress.done).collect();
    assert_eq!(slices, (0..told[0].all).collect::<Vec<u64>>());
    for row in results.handshakes.iter().chain(&results.resumption) {
        assert!(
            row.handshakes >= ROUNDS && row.per_second > 0.0 && row.server_us > 0.0,
            "{row:?}"
        );
    }
}

#[test]
fn the_comparison_is_of_this_runs_rows_or_not_at_all() {
    let three = Selection::of(["X25519", "X25519MLKEM768", "mldsa65"]).unwrap();
    let results = measured(&three);
    let comparison = results.comparison.unwrap();
    let row = |group: &str, signature: &str| {
        let found = results
            .handshakes
            .iter()
            .find(|row| row.group == group && row.signature == signature);
        found.unwrap()
    };
    assert_eq!(
        comparison.classical_us,
        row("X25519", "ecdsa_secp256r1_sha256").server_us
    );
    assert_eq!(
        comparison.hybrid_us,
        row("X25519MLKEM768", "ecdsa_secp256r1_sha256").server_us
    );
    let full = row("X25519MLKEM768", "mldsa65");
    assert_eq!(comparison.full_us, full.server_us);
    assert_eq!(comparison.full_bytes, full.bytes_in + full.bytes_out);
    assert!(comparison.classical_bytes < comparison.hybrid_bytes && comparison.hybrid_bytes < comparison.full_bytes);
    let more = comparison.hybrid_bytes - comparison.classical_bytes;
    assert!(
        comparison.sentence.contains(&format!("{more} bytes more")),
        "{}",
        comparison.sentence
    );
    assert_eq!(
        measured(&Selection::of(["X25519", "mldsa65"]).unwrap()).comparison,
        None
    );
}

#[test]
fn names_select_and_unknown_ones_say_what_to_write() {
    let by_alias = Selection::of(["x25519mlkem768", "P-256", "TLS_AES_128_GCM_SHA256"]).unwrap();
    let results = measured(&by_alias);
    assert_eq!(
        (
            results.handshakes.len(),
            results.resumption.len(),
            results.records.len()
        ),
        (2, 2, 1)
    );
    let table = [
        ("x25519kyber768", "X25519MLKEM768"),
        ("dilithium3", "mldsa65"),
        ("MLKEM512", "MLKEM768"),
        ("mldsa66", "mldsa65"),
        ("rsa_pkcs1_sha256", "TLS 1.3 does not sign with it"),
        ("ecdsa_secp521r1_sha512", "no certificates are made for it"),
    ];
    for (name, told) in table {
        let error = Selection::of([name]).unwrap_err();
        assert_eq!(error.name, name);
        assert!(error.why.contains(told), "{name}: {}", error.why);
    }
}

#[test]
fn what_has_no_certificate_is_named() {
    let result = run(
        &Selection::of(["mldsa44"]).unwrap(),
        &Identities::new(),
        (Duration::ZERO, &mut |_| ()),
    );
    let Err(BenchError::NoIdentity { what }) = result else {
        panic!("{result:?}")
    };
    assert_eq!(what, "X25519MLKEM768 with mldsa44");
}
