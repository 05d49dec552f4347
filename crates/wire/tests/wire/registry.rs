use std::collections::{BTreeMap, BTreeSet};

use portcullis_wire::{
    CipherId, GroupId, KeyExchange, SchemeId,
    registry::{Cipher, Group, KeyKind, Oid, OidClass, Scheme, Standing, default_offer, is_grease},
};

const GROUPS: &str = include_str!("../../testdata/iana/supported-groups.csv");
const SCHEMES: &str = include_str!("../../testdata/iana/signature-schemes.csv");
const CIPHERS: &str = include_str!("../../testdata/iana/cipher-suites.csv");
const OIDS: &str = include_str!("../../testdata/oids-openssl35.txt");

#[test]
fn group_numbers_and_names_are_those_of_iana() {
    let iana = iana_groups();
    for group in Group::all() {
        let registered = iana
            .get(&group.id.0)
            .unwrap_or_else(|| panic!("{} is not registered", group.name));
        // RFC 7748 writes X25519 and X448, and so do people; IANA does not.
        let name = if matches!(group.name, "X25519" | "X448") {
            group.name.to_lowercase()
        } else {
            group.name.into()
        };
        assert_eq!(&name, registered);
    }
    let missing: Vec<u16> = iana.into_keys().filter(|id| GroupId(*id).entry().is_none()).collect();
    // The two "arbitrary explicit" curves of RFC 4492 name no group.
    assert_eq!(missing, [65281, 65282]);
}

#[test]
fn the_groups_of_the_contract_have_their_numbers() {
    let contract = [
        ("X25519MLKEM768", 0x11ec, KeyExchange::Hybrid, Standing::Default),
        ("SecP256r1MLKEM768", 0x11eb, KeyExchange::Hybrid, Standing::Default),
        ("SecP384r1MLKEM1024", 0x11ed, KeyExchange::Hybrid, Standing::Default),
        ("X25519", 0x001d, KeyExchange::Classical, Standing::Default),
        ("secp256r1", 0x0017, KeyExchange::Classical, Standing::Default),
        ("secp384r1", 0x0018, KeyExchange::Classical, Standing::Default),
        ("MLKEM768", 0x0201, KeyExchange::Pq, Standing::Listed),
        ("MLKEM1024", 0x0202, KeyExchange::Pq, Standing::Listed),
    ];
    let ours = Group::all().iter().filter(|group| group.standing != Standing::Never);
    let ours: Vec<_> = ours
        .map(|group| (group.name, group.id.0, group.class, group.standing))
        .collect();
    assert_eq!(ours, contract);
    let offer: Vec<&str> = default_offer().map(|group| group.name).collect();
    assert_eq!(offer, contract[..6].iter().map(|row| row.0).collect::<Vec<_>>());
}

#[test]
fn a_class_is_quantum_safe_exactly_where_ml_kem_or_its_draft_is_inside() {
    for group in Group::all() {
        let kem = group.name.contains("MLKEM") || group.name.contains("Kyber");
        assert_eq!(group.class.is_quantum_safe(), kem, "{}", group.name);
        assert_eq!(group.level > 0, kem, "{}", group.name);
        assert_eq!(group.id.key_exchange(), Some(group.class));
    }
    assert_eq!(GroupId(0x6a6a).key_exchange(), None);
    let words = [KeyExchange::Hybrid, KeyExchange::Pq, KeyExchange::Classical].map(KeyExchange::as_str);
    assert_eq!(words, ["hybrid", "pq", "classical"]);
}

#[test]
fn a_hybrid_share_is_the_sum_of_its_parts() {
    let share = |name: &str| {
        let group = Group::all().iter().find(|group| group.name == name).unwrap();
        (group.client_share, group.server_share)
    };
    let parts = [
        ("X25519MLKEM768", "X25519", "MLKEM768"),
        ("SecP256r1MLKEM768", "secp256r1", "MLKEM768"),
        ("SecP384r1MLKEM1024", "secp384r1", "MLKEM1024"),
        ("curveSM2MLKEM768", "curveSM2", "MLKEM768"),
        ("X25519Kyber768Draft00", "X25519", "MLKEM768"),
        ("SecP256r1Kyber768Draft00", "secp256r1", "MLKEM768"),
    ];
    for (hybrid, curve, kem) in parts {
        let ((curve_client, curve_server), (kem_client, kem_server)) = (share(curve), share(kem));
        assert_eq!(
            share(hybrid),
            (curve_client + kem_client, curve_server + kem_server),
            "{hybrid}"
        );
    }
    let hybrids = Group::all()
        .iter()
        .filter(|group| group.class == KeyExchange::Hybrid)
        .count();
    assert_eq!(hybrids, parts.len());
}

#[test]
fn scheme_numbers_and_names_are_those_of_iana() {
    let iana: BTreeMap<u16, &str> = rows(SCHEMES).map(|row| (hex(row[0]), row[1])).collect();
    assert_eq!(iana.len(), 37);
    for (id, name) in &iana {
        assert_eq!(SchemeId(*id).to_string(), *name);
    }
    for scheme in Scheme::all() {
        assert_eq!(iana.get(&scheme.id.0), Some(&scheme.name));
    }
    assert_eq!(SchemeId(0x0907).to_string(), "0x0907");
}

#[test]
fn the_signatures_of_the_contract_are_offered() {
    let offered = Scheme::all()
        .iter()
        .filter(|scheme| scheme.standing == Standing::Default);
    let (tls13, tls12_only): (Vec<_>, Vec<_>) = offered.partition(|scheme| scheme.tls13);
    let names = |schemes: &[&Scheme]| schemes.iter().map(|scheme| scheme.name).collect::<Vec<_>>().join(" ");
    assert_eq!(
        names(&tls13),
        "mldsa44 mldsa65 mldsa87 ecdsa_secp256r1_sha256 ecdsa_secp384r1_sha384 ed25519 \
         rsa_pss_rsae_sha256 rsa_pss_rsae_sha384 rsa_pss_rsae_sha512"
    );
    assert_eq!(names(&tls12_only), "rsa_pkcs1_sha256 rsa_pkcs1_sha384 rsa_pkcs1_sha512");
}

#[test]
fn ml_dsa_has_the_sizes_of_fips_204_and_stays_out_of_tls12() {
    let ours = Scheme::all().iter().filter(|scheme| scheme.key.is_ml_dsa());
    let ours: Vec<_> = ours
        .map(|s| (s.key, s.level, s.public_key, s.signature, s.tls13, s.tls12))
        .collect();
    let fips = [
        (KeyKind::MlDsa44, 2, 1312, 2420, true, false),
        (KeyKind::MlDsa65, 3, 1952, 3309, true, false),
        (KeyKind::MlDsa87, 5, 2592, 4627, true, false),
    ];
    assert_eq!(ours, fips);
    let pq: Vec<u16> = (0..=u16::MAX).filter(|id| SchemeId(*id).is_ml_dsa()).collect();
    assert_eq!(pq, [0x0904, 0x0905, 0x0906]);
}

#[test]
fn cipher_numbers_and_names_are_those_of_the_rfcs() {
    let registered: BTreeMap<u16, &str> = CIPHERS
        .lines()
        .skip(1)
        .map(|line| line.split('"').collect::<Vec<_>>())
        .map(|cells| {
            let (high, low) = cells[1].split_once(',').unwrap();
            (hex(high) << 8 | hex(low), cells[2].split(',').nth(1).unwrap())
        })
        .collect();
    let ours: BTreeMap<u16, &str> = Cipher::all().iter().map(|cipher| (cipher.id.0, cipher.name)).collect();
    assert_eq!(ours, registered);
    for cipher in Cipher::all() {
        let name = cipher.name;
        assert_eq!(cipher.tls13, !name.contains("_WITH_"), "{name}");
        assert_eq!(cipher.bits, if name.contains("128_GCM") { 128 } else { 256 }, "{name}");
        assert_eq!(cipher.id.to_string(), name);
    }
    assert_eq!(CipherId(0x00ff).to_string(), "0x00ff");
}

#[test]
fn grease_is_the_sixteen_values_that_iana_reserves() {
    let mut reserved: Vec<u16> = rows(GROUPS)
        .filter(|row| row[1] == "Reserved" && row[4] == "[RFC8701]")
        .map(|row| row[0].parse().unwrap())
        .collect();
    reserved.sort_unstable();
    assert_eq!(reserved.len(), 16);
    let ours: Vec<u16> = (0..=u16::MAX).filter(|value| is_grease(*value)).collect();
    assert_eq!(ours, reserved);
    assert!(GroupId(0x0a0a).is_grease() && SchemeId(0xfafa).is_grease() && CipherId(0x1a1a).is_grease());
}

#[test]
fn ids_and_names_are_unique() {
    assert_eq!(twice(Group::all().iter().map(|group| group.id)), None);
    assert_eq!(twice(Scheme::all().iter().map(|scheme| scheme.id)), None);
    assert_eq!(twice(Cipher::all().iter().map(|cipher| cipher.id)), None);
    assert_eq!(twice(Oid::all().iter().map(|oid| oid.oid)), None);
    let spelt = |name: &&str| name.to_lowercase().replace(['-', '_', ' '], "");
    let groups = Group::all()
        .iter()
        .flat_map(|group| group.aliases.iter().chain([&group.name]));
    assert_eq!(twice(groups.map(spelt)), None);
    let schemes = Scheme::all()
        .iter()
        .flat_map(|scheme| scheme.aliases.iter().chain([&scheme.name]));
    assert_eq!(twice(schemes.map(spelt)), None);
    let ciphers = Cipher::all()
        .iter()
        .flat_map(|cipher| cipher.aliases.iter().chain([&cipher.name]));
    assert_eq!(twice(ciphers.map(spelt)), None);
}

#[test]
fn object_identifiers_are_those_that_openssl_lists() {
    let openssl: BTreeMap<&str, &str> = OIDS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(" = ").unwrap())
        .map(|(short, rest)| rest.split_once(", ").map_or((rest, short), |(long, oid)| (oid, long)))
        .collect();
    // OpenSSL writes HASH-ML-DSA-44-WITH-SHA512 and SLH-DSA-SHA2-128s-WITH-SHA256 for the hashed forms.
    let plain = |name: &str| match name.to_lowercase().replace("hash-", "").replace("hash", "") {
        name if name.contains("l-dsa") || name.contains("lh-dsa") => name.split("-with-").next().unwrap().to_owned(),
        name => name,
    };
    for (oid, name) in &openssl {
        let row = Oid::find(oid).unwrap();
        // OpenSSL says dsaEncryption where RFC 3279 says id-dsa.
        if !name.starts_with("dsa") {
            assert_eq!(plain(row.name), plain(name), "{oid}");
        }
    }
    let post_quantum: Vec<_> = Oid::all()
        .iter()
        .filter(|oid| oid.class == OidClass::Pq)
        .map(|oid| (oid.oid, oid.name, oid.level))
        .collect();
    assert_eq!(
        post_quantum,
        [
            ("2.16.840.1.101.3.4.3.17", "ML-DSA-44", 2),
            ("2.16.840.1.101.3.4.3.18", "ML-DSA-65", 3),
            ("2.16.840.1.101.3.4.3.19", "ML-DSA-87", 5),
        ]
    );
    assert!(openssl.len() > 40, "{}", openssl.len());
}

#[test]
fn an_identifier_below_a_known_arc_is_named_by_it_and_others_are_unknown() {
    let name = |oid: &str| Oid::find(oid).map(|row| row.name);
    assert_eq!(name("1.3.9999.6.4.13"), Some("SPHINCS+ (OQS)"));
    assert_eq!(name("1.3.9999.99.1"), Some("an algorithm of Open Quantum Safe"));
    assert_eq!(name("2.16.840.1.114027.80.8.1.28"), Some("composite signature (draft)"));
    assert_eq!(name("1.3.9999"), None);
    assert_eq!(name("1.3.99991.1"), None);
    assert_eq!(name("1.2.3"), None);
    assert_eq!(name(""), None);
}

#[test]
fn what_a_dead_identifier_should_have_been_is_a_scheme_we_offer() {
    for oid in Oid::all() {
        if let OidClass::Dead(instead) = oid.class {
            assert!(
                Scheme::by_name(instead).is_ok_and(|scheme| scheme.key.is_ml_dsa()),
                "{}",
                oid.name
            );
        }
    }
}

fn twice<T: Ord + Clone>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = BTreeSet::new();
    items.into_iter().find(|item| !seen.insert(item.clone()))
}

fn iana_groups() -> BTreeMap<u16, String> {
    rows(GROUPS)
        .filter(|row| !matches!(row[1], "Reserved" | "Unassigned" | "Reserved for Private Use"))
        .map(|row| {
            (
                row[0].parse().expect("a single number"),
                row[1].replace(" (OBSOLETE)", ""),
            )
        })
        .collect()
}

/// The rows of one of IANA's tables; none of the columns we read is quoted.
fn rows(csv: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    csv.lines().skip(1).map(|line| line.split(',').collect())
}

fn hex(text: &str) -> u16 {
    u16::from_str_radix(text.trim_start_matches("0x"), 16).expect("hex digits")
}
