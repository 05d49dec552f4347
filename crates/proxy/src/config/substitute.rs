//! `${NAME}`, `${NAME:-default}` and `file:PATH` in the values of a file.
use super::{
    Origin,
    origin::Via,
    reading::Reading,
    report::{Fault, Report},
    tree::{Kind, Value, quoted},
    values::based,
};

/// A token, a password, a list of addresses: what is longer belongs to a key that takes a path.
const LONGEST_CONTENT: usize = 64 << 10;
/// All that is put into one configuration: as much as its file may hold.
const MOST_TEXT: usize = 16 << 20;

/// From where values are filled in, and who is told.
pub(super) struct Substituting<'a> {
    environment: &'a [(String, String)],
    reading: &'a mut Reading,
    report: &'a mut Report,
    left: usize,
}

impl<'a> Substituting<'a> {
    pub(super) fn new(
        environment: &'a [(String, String)],
        reading: &'a mut Reading,
        report: &'a mut Report,
    ) -> Substituting<'a> {
        Substituting {
            environment,
            reading,
            report,
            left: MOST_TEXT,
        }
    }
}

/// Fills in a value and all that it holds; what fails stays as it is written, and is told.
pub(super) fn value(value: &mut Value, from: &mut Substituting<'_>) {
    match &mut value.kind {
        Kind::Array(items) => items.iter_mut().for_each(|item| self::value(item, from)),
        Kind::Table(table) => table.values_mut().for_each(|value| self::value(value, from)),
        Kind::String(text) => {
            let Origin::File(file, line) = &value.origin else {
                return;
            };
            let written = text.clone();
            match filled(&written, value, from) {
                Ok(None) => {}
                Ok(Some((text, via))) => {
                    let origin = match via {
                        Some(via) => Origin::Fetched(file.clone(), *line, Box::new(via)),
                        None => value.origin.clone(),
                    };
                    *value = Value::string(text, origin);
                }
                Err(fault) => from.report.unfilled(written, fault),
            }
        }
        Kind::Integer(_) | Kind::Float(_) | Kind::Bool(_) | Kind::Null => {}
    }
}

/// The text that a written one stands for, and how it came to it; None where it stands for itself.
fn filled(written: &str, value: &Value, from: &mut Substituting<'_>) -> Result<Option<(String, Option<Via>)>, Fault> {
    let (path, is_content) = match written.strip_prefix("file:") {
        Some(path) => (path, true),
        None => (written, false),
    };
    if !is_content && !written.contains("${") {
        return Ok(None);
    }
    let Filled { text, variables, alone } = variables(path, value, from)?;
    if is_content {
        let content = content(&text, value, from)?;
        return Ok(Some((content, Some(Via::Content(written.to_owned())))));
    }
    let via = match (variables, alone) {
        (0, _) => None,
        (_, true) => Some(Via::Variable(written.to_owned())),
        (_, false) => Some(Via::Text(written.to_owned())),
    };
    Ok(Some((text, via)))
}

struct Filled {
    text: String,
    variables: usize,
    /// One variable and nothing else.
    alone: bool,
}

/// A text with its variables filled in; `$${` stands for `${`.
fn variables(written: &str, value: &Value, from: &mut Substituting<'_>) -> Result<Filled, Fault> {
    let told = |message: String| value.whole_fault(format!("{}: {message}", quoted(value.text().unwrap_or(""))));
    let (mut text, mut rest, mut variables) = (String::new(), written, 0);
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            text.push_str(before);
            text.push_str("${");
            rest = &reference[2..];
            continue;
        }
        text.push_str(before);
        let Some((inside, after)) = reference[2..].split_once('}') else {
            return Err(
                told("a variable has no closing brace".into()).hint("a ${ that stands for itself is written $${")
            );
        };
        text.push_str(&variable(inside, from.environment).map_err(|(message, hint)| told(message).hint(hint))?);
        variables += 1;
        rest = after;
        if text.len() > from.left {
            return Err(told(format!("variables come to more than {} MiB", MOST_TEXT >> 20)));
        }
    }
    text.push_str(rest);
    from.left = from.left.saturating_sub(text.len());
    let alone = variables == 1 && written.starts_with("${") && written.find('}') == Some(written.len() - 1);
    Ok(Filled { text, variables, alone })
}

/// `NAME` or `NAME:-default`; or a message and its hint.
fn variable(inside: &str, environment: &[(String, String)]) -> Result<String, (String, String)> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_name =
        name.bytes().next().is_some_and(is_letter) && name.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit());
    if !is_name {
        let message = format!("{} is no name of a variable", quoted(name));
        return Err((message, "a ${ that stands for itself is written $${".into()));
    }
    let set = environment
        .iter()
        .find(|(have, _)| have == name)
        .map(|(_, text)| text.as_str());
    match (set, default) {
        // As a shell has it: an empty variable takes the default too.
        (None | Some(""), Some(default)) => Ok(default.to_owned()),
        (Some(text), _) => Ok(text.to_owned()),
        (None, None) => Err((
            format!("the variable {name} is not set"),
            format!("${{{name}:-DEFAULT}} stands for DEFAULT where it is not"),
        )),
    }
}

/// What a file holds, without the newline at its end.
fn content(path: &str, value: &Value, from: &mut Substituting<'_>) -> Result<String, Fault> {
    let shown = quoted(value.text().unwrap_or(""));
    if path.is_empty() {
        return Err(value.whole_fault(format!("{shown} names no file")));
    }
    let content = from.reading.file(&based(value, path));
    let content = content.map_err(|error| value.whole_fault(format!("{shown} cannot be read: {error}")))?;
    if content.len() > LONGEST_CONTENT {
        return Err(value.whole_fault(format!("{shown} is larger than {} KiB", LONGEST_CONTENT >> 10)));
    }
    let Ok(text) = std::str::from_utf8(&content) else {
        return Err(value.whole_fault(format!("{shown} is not UTF-8 text")));
    };
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    from.report.conceal(text, value.text().unwrap_or(""));
    Ok(text.to_owned())
}
