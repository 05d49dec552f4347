//! Who is to blame when a handshake fails, and which alerts went by.
use portcullis_wire::alert::Alert;
/// SPEC 6's `fault`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    Client,
    Upstream,
    Operator,
    Ours,
    Closed,
}
impl Fault {
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
/// What an error from a server connection means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blame {
    pub fault: Fault,
    pub alert_in: Option<Alert>,
    pub alert_out: Option<Alert>,
}
/// Reads a rustls error of the server side.
pub fn blame(_error: &rustls::Error) -> Blame {
    todo!()
}
