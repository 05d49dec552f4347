//! What OpenSSL itself says and does, where its Rust bindings have no safe call. The only unsafe code here.
#![allow(unsafe_code)]

use foreign_types_shared::{ForeignType, ForeignTypeRef};
use openssl::ssl::{Ssl, SslContext, SslRef, SslSession, SslStream};
use std::{
    ffi::{CStr, c_char, c_int},
    ptr,
};

// OpenSSL 3.5, <openssl/ssl.h>, behind the macro SSL_get0_peer_signature_name; openssl-sys 0.9.118 lacks both.
const SSL_CTRL_GET_PEER_SIGNATURE_NAME: c_int = 141;

// <openssl/ssl.h>
const SSL_CTRL_SET_MAX_SEND_FRAGMENT: c_int = 52;

unsafe extern "C" {
    // <openssl/ssl.h>; openssl-sys 0.9.118 lacks them
    fn SSL_key_update(ssl: *mut openssl_sys::SSL, kind: c_int) -> c_int;
    fn SSL_renegotiate(ssl: *mut openssl_sys::SSL) -> c_int;
    fn SSL_set_block_padding(ssl: *mut openssl_sys::SSL, block: usize) -> c_int;
}

/// Whether a key update asks for one in return: OpenSSL's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyUpdate {
    /// `SSL_KEY_UPDATE_NOT_REQUESTED`
    OneWay = 0,
    /// `SSL_KEY_UPDATE_REQUESTED`
    BothWays = 1,
}

/// A session together with the context it belongs to.
#[derive(Clone)]
pub struct Session {
    session: SslSession,
    context: SslContext,
}

impl Session {
    pub(crate) fn of(context: &SslContext, session: SslSession) -> Session {
        let context = context.clone();
        Session { session, context }
    }
}

/// The negotiated group by OpenSSL's name.
pub(crate) fn group(ssl: &SslRef) -> Option<String> {
    // SAFETY: `ssl` is a live SSL that this reference borrows; the call only reads it and returns null
    // or a string that lives as long as its SSL_CTX, and the copy is made before this borrow ends.
    let name = unsafe {
        let name = openssl_sys::SSL_get0_group_name(ssl.as_ptr());
        if name.is_null() {
            return None;
        }
        CStr::from_ptr(name)
    };
    Some(name.to_string_lossy().into_owned())
}

/// The scheme of the peer's handshake signature, by its registered name.
pub(crate) fn peer_signature(ssl: &SslRef) -> Option<String> {
    let mut name: *const c_char = ptr::null();
    let into: *mut *const c_char = &mut name;
    // SAFETY: `ssl` is a live SSL that this reference borrows; this control writes one pointer through its
    // last argument, which on success is a string that lives as long as the SSL_CTX.
    let name = unsafe {
        let control = SSL_CTRL_GET_PEER_SIGNATURE_NAME;
        if openssl_sys::SSL_ctrl(ssl.as_ptr(), control, 0, into.cast()) != 1 || name.is_null() {
            return None;
        }
        CStr::from_ptr(name)
    };
    Some(name.to_string_lossy().into_owned())
}

/// Makes a connection offer a session.
pub(crate) fn offer(ssl: &mut Ssl, session: &Session) {
    assert_eq!(
        ssl.ssl_context().as_ptr(),
        session.context.as_ptr(),
        "a session is offered by the client that got it"
    );
    // SAFETY: set_session asks that session and connection share one SSL_CTX: asserted just above.
    unsafe { ssl.set_session(&session.session) }.expect("OpenSSL takes its own session");
}

/// The next write begins with a key update.
pub(crate) fn update_keys<S>(stream: &mut SslStream<S>, kind: KeyUpdate) {
    // SAFETY: this reference alone borrows the live SSL of the stream; the call only marks what its next write does.
    let marked = unsafe { SSL_key_update(stream.ssl().as_ptr(), kind as c_int) };
    assert_eq!(marked, 1, "the handshake is over, in TLS 1.3");
}

/// The next read or write begins with a handshake in the middle of TLS 1.2.
pub(crate) fn renegotiate<S>(stream: &mut SslStream<S>) {
    // SAFETY: as above.
    let marked = unsafe { SSL_renegotiate(stream.ssl().as_ptr()) };
    assert_eq!(marked, 1, "the handshake is over, in TLS 1.2");
}

/// Records of TLS 1.3 are padded to a multiple of this.
pub(crate) fn pad<S>(stream: &mut SslStream<S>, block: usize) {
    // SAFETY: this reference alone borrows the live SSL of the stream; the call sets a number in it.
    let set = unsafe { SSL_set_block_padding(stream.ssl().as_ptr(), block) };
    assert_eq!(set, 1, "a block that a record holds");
}

/// Records carry no more than this, which is at least 512.
pub(crate) fn limit_records<S>(stream: &mut SslStream<S>, most: u16) {
    // SAFETY: this reference alone borrows the live SSL of the stream; this control sets a number in it and takes no pointer.
    let set = unsafe {
        let control = SSL_CTRL_SET_MAX_SEND_FRAGMENT;
        openssl_sys::SSL_ctrl(stream.ssl().as_ptr(), control, most.into(), ptr::null_mut())
    };
    assert_eq!(set, 1, "a length that OpenSSL takes");
}
