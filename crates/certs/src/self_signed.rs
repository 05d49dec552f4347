use crate::{
    Algorithm, Error, Issued, Key, Name, ServerSpec,
    authority::{certificate_pem, leaf_params},
};
use std::time::Duration;

/// 13 months, what Apple's systems take at most from a certificate of any origin.
const VALID: Duration = Duration::from_secs(397 * 24 * 60 * 60);

/// The certificates of `--self-signed`: ML-DSA-65 and ECDSA P-256, for the same names.
///
/// Each signs itself, and there is no root: who wants to trust it takes the one certificate that the server
/// sends (`openssl s_client -showcerts`), and so trusts these names and nothing else. A throw-away root would
/// have to be sent along to be of use (5.5 kB more with ML-DSA), and who imports it would trust an authority.
/// OpenSSL (with `-x509_strict`) and webpki accept such a certificate when it is given as the CA: tests prove it.
pub fn self_signed_pair(names: &[Name]) -> Result<[Issued; 2], Error> {
    Ok([
        self_signed(Algorithm::MlDsa65, names)?,
        self_signed(Algorithm::EcdsaP256, names)?,
    ])
}

fn self_signed(algorithm: Algorithm, names: &[Name]) -> Result<Issued, Error> {
    let key = Key::generate(algorithm)?;
    let params = leaf_params(
        &ServerSpec {
            algorithm,
            names: names.to_vec(),
            valid: VALID,
        }
        .leaf(),
    )?;
    let certificate = params.self_signed(&key)?;
    Ok(Issued {
        chain_pem: certificate_pem(certificate.der()),
        key_pem: key.to_pem(),
    })
}
