//! The extensions of a ClientHello: their framing, and the meaning of those we act on.
use super::{Hello, HelloError, MAX_LISTED, host_name};
use crate::{
    reader::{Reader, first_twice},
    registry::{GroupId, SchemeId},
};

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SERVER_CERTIFICATE_TYPE: u16 = 20;
const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;
const SIGNATURE_ALGORITHMS_CERT: u16 = 50;
const KEY_SHARE: u16 = 51;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// The shortest binder, and so the shortest hash of a cipher suite (RFC 8446 section 4.2.11).
const SHORTEST_BINDER: usize = 32;

/// Reads the whole list into `hello`.
pub(super) fn read(mut list: Reader<'_>, hello: &mut Hello) -> Result<(), HelloError> {
    while !list.is_empty() {
        if hello.psk {
            // RFC 8446 section 4.2.11: its binders cover all that stands before it.
            return Err(HelloError::Illegal("extension after pre_shared_key"));
        }
        let id = list.u16()?;
        let data = list.vec16()?;
        hello.extensions.push(id);
        extension(id, data, hello)?;
    }
    if let Some(id) = first_twice(hello.extensions.iter().copied()) {
        return Err(HelloError::DuplicateExtension(id));
    }
    shares_are_listed(hello)
}

fn extension(id: u16, data: Reader<'_>, hello: &mut Hello) -> Result<(), HelloError> {
    match id {
        SERVER_NAME => hello.sni = server_name(data.named("server name"))?,
        SUPPORTED_GROUPS => {
            hello.groups = only_list(data.named("supported groups"))?
                .u16s()?
                .map(GroupId)
                .collect();
        }
        SIGNATURE_ALGORITHMS => hello.schemes = schemes(data.named("signature algorithms"))?,
        SIGNATURE_ALGORITHMS_CERT => {
            hello.cert_schemes = schemes(data.named("certificate signature algorithms"))?;
        }
        ALPN => hello.alpn = protocols(data.named("alpn"))?,
        SUPPORTED_VERSIONS => hello.versions = versions(data.named("supported versions"))?,
        KEY_SHARE => hello.key_shares = key_shares(data.named("key share"))?,
        SERVER_CERTIFICATE_TYPE => {
            hello.wants_raw_public_key = raw_public_key_first(data.named("server certificate type"))?;
        }
        PRE_SHARED_KEY => {
            pre_shared_key(data.named("pre-shared key"))?;
            hello.psk = true;
        }
        EARLY_DATA => {
            data.named("early data").end()?;
            hello.early_data = true;
        }
        ENCRYPTED_CLIENT_HELLO => hello.ech = true,
        _ => {}
    }
    Ok(())
}

/// An extension that is one list with two bytes of length, and nothing after it.
fn only_list(mut data: Reader<'_>) -> Result<Reader<'_>, HelloError> {
    let list = data.vec16()?;
    data.end()?;
    Ok(list)
}

fn schemes(data: Reader<'_>) -> Result<Vec<SchemeId>, HelloError> {
    Ok(only_list(data)?.u16s()?.map(SchemeId).collect())
}

fn versions(mut data: Reader<'_>) -> Result<Vec<u16>, HelloError> {
    let list = data.vec8()?;
    data.end()?;
    Ok(list.u16s()?.collect())
}

/// RFC 7250 section 4.1: one byte for each type, the most wanted first.
fn raw_public_key_first(mut data: Reader<'_>) -> Result<bool, HelloError> {
    const RAW_PUBLIC_KEY: u8 = 2;
    let mut types = data.vec8()?.not_empty()?;
    data.end()?;
    Ok(types.u8()? == RAW_PUBLIC_KEY)
}

/// RFC 6066 section 3: a list with at most one name of each type, of which only one type was ever defined.
fn server_name(data: Reader<'_>) -> Result<Option<String>, HelloError> {
    const HOST_NAME: u8 = 0;
    let mut list = only_list(data)?.not_empty()?;
    let mut host = None;
    while !list.is_empty() {
        let kind = list.u8()?;
        let name = list.vec16()?.not_empty()?.rest();
        if kind == HOST_NAME && host.replace(name).is_some() {
            return Err(HelloError::Illegal("second server name"));
        }
    }
    host.map_or(Ok(None), host_name::read)
}

fn protocols(data: Reader<'_>) -> Result<Vec<Vec<u8>>, HelloError> {
    let mut list = only_list(data)?.not_empty()?;
    let mut protocols = Vec::new();
    while !list.is_empty() {
        protocols.push(list.vec8()?.not_empty()?.rest().to_vec());
        if protocols.len() > MAX_LISTED {
            return Err(HelloError::Illegal("number of alpn protocols"));
        }
    }
    Ok(protocols)
}

/// An empty list is allowed: it asks for a HelloRetryRequest (RFC 8446 section 4.2.8).
fn key_shares(data: Reader<'_>) -> Result<Vec<(GroupId, usize)>, HelloError> {
    let mut list = only_list(data)?;
    let mut shares = Vec::new();
    while !list.is_empty() {
        let group = GroupId(list.u16()?);
        shares.push((group, list.vec16()?.not_empty()?.rest().len()));
        if shares.len() > MAX_LISTED {
            return Err(HelloError::Illegal("number of key shares"));
        }
    }
    match first_twice(shares.iter().map(|(group, _)| *group)) {
        Some(group) => Err(HelloError::DuplicateKeyShare(group)),
        None => Ok(shares),
    }
}

/// A binder for each identity (RFC 8446 section 4.2.11).
fn pre_shared_key(mut data: Reader<'_>) -> Result<(), HelloError> {
    let mut identities = data.vec16()?.not_empty()?;
    let mut binders = data.vec16()?.not_empty()?;
    data.end()?;
    while !identities.is_empty() {
        identities.vec16()?.not_empty()?;
        identities.take(size_of::<u32>())?;
        if binders.is_empty() {
            return Err(HelloError::Illegal("number of binders"));
        }
        if binders.vec8()?.rest().len() < SHORTEST_BINDER {
            return Err(binders.malformed());
        }
    }
    if binders.is_empty() {
        Ok(())
    } else {
        Err(HelloError::Illegal("number of binders"))
    }
}

/// RFC 8446 section 4.2.8: no share for a group that is not listed. What is chosen by the list and what by
/// the shares can then never contradict each other.
fn shares_are_listed(hello: &Hello) -> Result<(), HelloError> {
    let mut listed: Vec<GroupId> = hello.groups.clone();
    listed.sort_unstable();
    match hello
        .key_shares
        .iter()
        .all(|(group, _)| listed.binary_search(group).is_ok())
    {
        true => Ok(()),
        false => Err(HelloError::Illegal("key share for a group that is not listed")),
    }
}
