//! What rustls also accepts, it must read as we do: the site is chosen by our reading, the handshake made by its.
#![no_main]
use libfuzzer_sys::fuzz_target;
use portcullis_wire::client_hello::{Progress, from_records};
use rustls::server::Acceptor;

fuzz_target!(|data: &[u8]| {
    let Ok(Progress::Complete(ours)) = from_records(data) else {
        return;
    };
    let mut acceptor = Acceptor::default();
    let mut rest = data;
    while acceptor.read_tls(&mut rest).is_ok_and(|read| read > 0) {
        let accepted = match acceptor.accept() {
            Ok(Some(accepted)) => accepted,
            Ok(None) => continue,
            Err(_) => return,
        };
        let theirs = accepted.client_hello();
        // It keeps the letter case and a final dot of names it takes.
        let name = theirs
            .server_name()
            .map(|name| name.to_ascii_lowercase().trim_end_matches('.').to_owned());
        assert_eq!(ours.sni, name);
        let alpn: Vec<&[u8]> = theirs.alpn().into_iter().flatten().collect();
        assert_eq!(ours.alpn, alpn);
        let schemes: Vec<u16> = theirs
            .signature_schemes()
            .iter()
            .map(|scheme| u16::from(*scheme))
            .collect();
        assert_eq!(
            ours.schemes
                .iter()
                .map(|scheme| scheme.0)
                .collect::<Vec<_>>(),
            schemes
        );
        let ciphers: Vec<u16> = theirs
            .cipher_suites()
            .iter()
            .map(|cipher| u16::from(*cipher))
            .collect();
        assert_eq!(
            ours.ciphers
                .iter()
                .map(|cipher| cipher.0)
                .collect::<Vec<_>>(),
            ciphers
        );
        let groups: Vec<u16> = theirs
            .named_groups()
            .into_iter()
            .flatten()
            .map(|group| u16::from(*group))
            .collect();
        assert_eq!(
            ours.groups.iter().map(|group| group.0).collect::<Vec<_>>(),
            groups
        );
        return;
    }
});
