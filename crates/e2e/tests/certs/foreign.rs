//! Keys, roots and requests as OpenSSL makes them.
use crate::Workshop;
use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, Private},
    stack::Stack,
    x509::{
        X509, X509Name, X509Req,
        extension::{BasicConstraints, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier},
    },
};

/// ML-DSA keys, made by us and read by OpenSSL.
pub(crate) fn ml_dsa_keys() -> Vec<(&'static str, PKey<Private>)> {
    let shop = Workshop::new();
    let made = ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"].map(|algorithm| {
        shop.cert(&format!("csr --algorithm {algorithm} --name a --file {algorithm}"));
        (algorithm, shop.key(&format!("{algorithm}.key")))
    });
    made.into()
}

/// A request as OpenSSL writes it.
pub(crate) fn request(key: &PKey<Private>) -> Vec<u8> {
    let mut made = X509Req::builder().expect("a builder");
    let mut name = X509Name::builder().expect("a name");
    name.append_entry_by_text("CN", "shop").expect("a part");
    made.set_subject_name(&name.build()).expect("a name");
    made.set_pubkey(key).expect("a key");
    let names = SubjectAlternativeName::new()
        .dns("shop.example")
        .build(&made.x509v3_context(None));
    let mut extensions = Stack::new().expect("a stack");
    extensions.push(names.expect("an extension")).expect("room");
    made.add_extensions(&extensions).expect("room");
    made.sign(key, digest(key)).expect("a signature");
    made.build().to_pem().expect("PEM")
}

/// The hash that a signature of this key is made over; of some it is part of the signature.
fn digest(key: &PKey<Private>) -> MessageDigest {
    match key.id() {
        Id::RSA | Id::EC => MessageDigest::sha256(),
        _ => MessageDigest::null(),
    }
}

/// Keys of OpenSSL's own making.
pub(crate) fn keys() -> Vec<(&'static str, PKey<Private>)> {
    let curve = openssl::ec::EcGroup::from_curve_name(Nid::SECP384R1).expect("a curve");
    let ec = openssl::ec::EcKey::generate(&curve).expect("a key");
    let rsa = openssl::rsa::Rsa::generate(3072).expect("a key");
    vec![
        ("EC", PKey::from_ec_key(ec).expect("a key")),
        ("RSA", PKey::from_rsa(rsa).expect("a key")),
        ("Ed25519", PKey::generate_ed25519().expect("a key")),
    ]
}

/// A root as OpenSSL makes one, its key identifier SHA-1 of the key.
pub(crate) fn root(key: &PKey<Private>) -> X509 {
    let mut name = X509Name::builder().expect("a name");
    name.append_entry_by_text("C", "DE").expect("a part");
    name.append_entry_by_text("CN", "a foreign root").expect("a part");
    let name = name.build();
    let mut made = X509::builder().expect("a builder");
    made.set_version(2).expect("version 3");
    let serial = BigNum::from_u32(7).and_then(|number| number.to_asn1_integer());
    made.set_serial_number(&serial.expect("a number"))
        .expect("a serial number");
    made.set_subject_name(&name).expect("a name");
    made.set_issuer_name(&name).expect("a name");
    made.set_pubkey(key).expect("a key");
    made.set_not_before(&Asn1Time::days_from_now(0).expect("now"))
        .expect("a date");
    made.set_not_after(&Asn1Time::days_from_now(30).expect("soon"))
        .expect("a date");
    let identifier = SubjectKeyIdentifier::new().build(&made.x509v3_context(None, None));
    let extensions = [
        BasicConstraints::new().critical().ca().build(),
        KeyUsage::new().critical().key_cert_sign().crl_sign().build(),
        identifier,
    ];
    for extension in extensions {
        made.append_extension(extension.expect("an extension")).expect("room");
    }
    made.sign(key, digest(key)).expect("a signature");
    made.build()
}
