//! Lists of registered names: lists in files, OpenSSL's notation on the command line and in variables.
use super::{
    Origin,
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Value, quoted},
};
use portcullis_wire::registry::NameError;

/// A kind of registered name.
pub(super) struct Kindred<T> {
    /// For people: `group`.
    pub(super) what: &'static str,
    /// The words that stand for the usual list.
    pub(super) usual: &'static [&'static str],
    /// Finds one.
    pub(super) find: fn(&str) -> Result<T, NameError>,
}

/// Reads a list of names; `usual` is what `DEFAULT` stands for.
pub(super) fn read<T: Copy + PartialEq>(
    owner: &mut Reader<'_>,
    key: &'static str,
    kindred: &Kindred<T>,
    usual: &[T],
) -> Option<Found<Vec<T>>> {
    if let Some(Origin::Flag(_) | Origin::Environment(_)) = owner.origin_of(key) {
        let value = owner.take(key)?;
        return Some(typed(owner, &value, kindred, usual));
    }
    let found = owner.list(key, |item| one(kindred, item.text()?, &item.origin))?;
    let (mut names, origin) = (Vec::with_capacity(found.value.len()), found.origin);
    for Found { value, origin } in found.value {
        if names.contains(&value) {
            owner.notice(Fault::whole(
                origin,
                format!("a {} stands twice in {key}", kindred.what),
            ));
        } else {
            names.push(value);
        }
    }
    Some(Found { value: names, origin })
}

fn one<T>(kindred: &Kindred<T>, name: &str, origin: &Origin) -> Result<T, Fault> {
    (kindred.find)(name).map_err(|error| {
        let (what, shown) = (kindred.what, quoted(name));
        let message = match error {
            NameError::NotOffered { .. } => format!("{what} {shown} is not offered by this build"),
            NameError::Dead { .. } | NameError::Unknown { .. } => format!("unknown {what} {shown}"),
        };
        Fault::whole(origin.clone(), message).hint(error.hint())
    })
}

/// `A:B,C` with OpenSSL's marks: `*` a share, `/` a tuple, `?` may be unknown, `-` removes, `DEFAULT`.
fn typed<T: Copy + PartialEq>(
    owner: &mut Reader<'_>,
    value: &Value,
    kindred: &Kindred<T>,
    usual: &[T],
) -> Found<Vec<T>> {
    let origin = value.origin.clone();
    let Kind::String(text) = &value.kind else {
        owner.error(value.fault("must be text"));
        return Found {
            value: Vec::new(),
            origin,
        };
    };
    if text.contains(['*', '/']) {
        let message = "the marks * and / are ignored: which shares a client sends is the client's choice";
        owner.notice(Fault::whole(origin.clone(), message));
    }
    let mut names: Vec<T> = Vec::new();
    for word in text
        .split([':', ',', '/'])
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        let name = word.trim_start_matches(['*', '?', '-']);
        let marks = &word[..word.len() - name.len()];
        let meant = match kindred.usual.iter().any(|word| name.eq_ignore_ascii_case(word)) {
            true => Ok(usual.to_vec()),
            false => one(kindred, name, &origin).map(|name| vec![name]),
        };
        match meant {
            Ok(removed) if marks.contains('-') => names.retain(|have| !removed.contains(have)),
            Ok(added) => add(&mut names, &added),
            Err(_) if marks.contains('?') => {}
            Err(fault) => owner.error(fault),
        }
    }
    Found { value: names, origin }
}

fn add<T: Copy + PartialEq>(names: &mut Vec<T>, more: &[T]) {
    for name in more {
        if !names.contains(name) {
            names.push(*name);
        }
    }
}
