//! Requests: which route takes them, what is done to their fields, and what we answer by ourselves. No I/O, no clock.
#![allow(dead_code, reason = "what the driver of http calls comes before the driver")]

pub(crate) mod access;
pub(crate) mod answer;
pub(crate) mod forwarded;
pub(crate) mod limits;
pub(crate) mod names;
pub(crate) mod path;
pub(crate) mod rates;
pub(crate) mod route;
pub(crate) mod rules;
pub(crate) mod service;
