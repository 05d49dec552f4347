//! Which bytes may stand where (RFC 9110 section 5).

/// A token (RFC 9110 section 5.6.2): letters, digits, and some marks, at least one.
pub fn is_token(bytes: &[u8]) -> bool {
    // No early return: the loop stays free of branches.
    !bytes.is_empty() && bytes.iter().fold(true, |all, &byte| all & is_token_byte(byte))
}

/// A field's name.
pub fn is_field_name(name: &[u8]) -> bool {
    is_token(name)
}

/// A field's value: no control byte but the tab, so nothing that could end a line. Bytes above ASCII are allowed.
pub fn is_field_value(value: &[u8]) -> bool {
    value.iter().fold(true, |all, &byte| {
        all & ((byte >= b' ' && byte != 0x7f) || byte == b'\t')
    })
}

/// A method: letters, digits, `-` and `_`, narrower than RFC 9110's token since no method in use has other marks.
pub fn is_method(method: &[u8]) -> bool {
    !method.is_empty()
        && method
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Two names that a CGI or WSGI gateway makes one variable of: it folds case and takes `-` for `_`.
pub fn is_same_to_a_gateway(a: &str, b: &str) -> bool {
    let folded = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| folded(a) == folded(b))
}

/// The visible ASCII that a URI could hold. More than RFC 3986 allows, since browsers send `|`, `[` and `{` as they are.
pub(super) fn is_uri(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .fold(true, |all, &byte| all & (byte > b' ') & (byte < 0x7f) & (byte != b'#'))
}

/// A byte of a token.
pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// What may stand around a value and in lists (RFC 9110 section 5.6.3).
pub(super) fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};
