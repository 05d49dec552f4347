//! `status`, `reload`, `drain`: a word with the running proxy over its admin listener.
use crate::exit::Exit;
use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Method, Request, StatusCode, client::conn::http1, header::{AUTHORIZATION, HOST}};
use hyper_util::rt::TokioIo;
use portcullis_proxy::plan::{Address, AdminPlan};
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

/// A reload with thousands of sites takes a second; beyond this nobody is there.
const PATIENCE: Duration = Duration::from_secs(30);
/// A status with ten thousand sites is 1.5 MB.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// What is asked of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request_ {
    /// Its status as JSON; exit 1 unless ready, when that is what was asked.
    Status,
    Ready,
    Reload,
    Drain,
}
