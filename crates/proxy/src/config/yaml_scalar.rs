//! What a YAML scalar is: YAML 1.2.2, 10.3.2.
use super::tree::Kind;
use saphyr_parser::{ScalarStyle, Tag};

/// Why a scalar is none that a key could take.
pub(super) enum Unfit {
    TooLarge,
    /// A message and its hint.
    Because(String, Option<&'static str>),
}

/// Its kind: by its tag, else by its look where it has no quotes.
pub(super) fn kind(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Kind, Unfit> {
    let Some(tag) = tag else {
        return match style {
            ScalarStyle::Plain => plain(text),
            _ => Ok(Kind::String(text.to_owned())),
        };
    };
    // A lone `!` says: as it is written.
    let is_as_written = tag.suffix == "!" && tag.handle.is_empty();
    if is_as_written || is_core(tag, "str") {
        return Ok(Kind::String(text.to_owned()));
    }
    let fits = |kind: &Kind| match kind {
        Kind::Integer(_) => is_core(tag, "int"),
        Kind::Float(_) => is_core(tag, "float"),
        Kind::Bool(_) => is_core(tag, "bool"),
        Kind::Null => is_core(tag, "null"),
        _ => false,
    };
    match plain(text)? {
        kind if fits(&kind) => Ok(kind),
        Kind::Integer(number) if is_core(tag, "float") => Ok(Kind::Float(number as f64)),
        _ if ["int", "float", "bool", "null"].iter().any(|name| is_core(tag, name)) => {
            Err(Unfit::Because(format!("{text} is no !!{}", tag.suffix), None))
        }
        _ => {
            let (message, hint) = refused(tag);
            Err(Unfit::Because(message, hint))
        }
    }
}

/// Whether a tag is `!!name`.
pub(super) fn is_core(tag: &Tag, name: &str) -> bool {
    tag.is_yaml_core_schema() && tag.suffix == name
}

/// What is said of a tag that means nothing.
pub(super) fn refused(tag: &Tag) -> (String, Option<&'static str>) {
    let shown = match tag.is_yaml_core_schema() {
        true => format!("!!{}", tag.suffix),
        false => format!("{}{}", tag.handle, tag.suffix),
    };
    let hint = "leave the tag out: !!str, !!int, !!float, !!bool, !!null, !!map and !!seq are known";
    (format!("the tag {shown} means nothing here"), Some(hint))
}

fn plain(text: &str) -> Result<Kind, Unfit> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Kind::Null),
        "true" | "True" | "TRUE" => return Ok(Kind::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Kind::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return Ok(Kind::Float(f64::NAN)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let ".inf" | ".Inf" | ".INF" = unsigned {
        let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
        return Ok(Kind::Float(sign * f64::INFINITY));
    }
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).map_err(|_| Unfit::TooLarge);
    match text.as_bytes() {
        [b'0', b'o', digits @ ..] if is_all(digits, |byte| (b'0'..=b'7').contains(byte)) => {
            radix(&text[2..], 8).map(Kind::Integer)
        }
        [b'0', b'x', digits @ ..] if is_all(digits, u8::is_ascii_hexdigit) => radix(&text[2..], 16).map(Kind::Integer),
        _ if is_all(unsigned.as_bytes(), u8::is_ascii_digit) => decimal(text, unsigned),
        _ if is_float(unsigned) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Kind::Float(number)),
            _ => Err(Unfit::TooLarge),
        },
        _ => Ok(Kind::String(text.to_owned())),
    }
}

/// YAML 1.1 reads `010` as 8 and YAML 1.2 as 10: whoever wrote it meant one of them.
fn decimal(text: &str, unsigned: &str) -> Result<Kind, Unfit> {
    if unsigned.len() > 1 && unsigned.starts_with('0') {
        let hint = "octal numbers are written 0o17, text in quotes";
        return Err(Unfit::Because(format!("{text} begins with a zero"), Some(hint)));
    }
    text.parse().map(Kind::Integer).map_err(|_| Unfit::TooLarge)
}

/// Digits with a point, an exponent or both.
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_exponent = |text: &str| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        is_all(digits.as_bytes(), u8::is_ascii_digit)
    };
    are_digits(whole)
        && are_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(is_exponent)
}

/// One at least, and each of them.
fn is_all(bytes: &[u8], is_one: impl Fn(&u8) -> bool) -> bool {
    !bytes.is_empty() && bytes.iter().all(is_one)
}
