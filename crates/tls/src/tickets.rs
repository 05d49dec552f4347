//! Session ticket keys that rotate, and stores, each bound to a context.
use std::sync::Arc;
/// The process's ticket secrets and session stores; outlives every configuration.
pub struct Tickets {}
impl Tickets {
    pub fn new() -> Arc<Tickets> {
        todo!()
    }
}
