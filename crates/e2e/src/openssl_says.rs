//! What OpenSSL itself says, where its Rust bindings have no safe call. The only unsafe code here.
#![allow(unsafe_code)]

use foreign_types_shared::{ForeignType, ForeignTypeRef};
use openssl::ssl::{Ssl, SslContext, SslRef, SslSession};
use std::{
    ffi::{CStr, c_char, c_int},
    ptr,
};

// OpenSSL 3.5, <openssl/ssl.h>, behind the macro SSL_get0_peer_signature_name; openssl-sys 0.9.118 lacks both.
const SSL_CTRL_GET_PEER_SIGNATURE_NAME: c_int = 141;

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
