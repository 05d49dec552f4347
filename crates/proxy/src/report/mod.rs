//! What the ledger comes to: who is quantum-safe, who is not and why, and what requiring it would break. Pure: from extracts
//! of one or several ledgers to figures; `portcullis report` and the admin listener share it.

mod adoption;
mod clients;
mod downgrades;
mod known;
mod merge;
mod question;
mod reasons;
mod since;
mod sums;

pub use adoption::{
    Adoption, Exposure, OverTime, Refusals, SiteAdoption, UnknownSite, UpstreamEntry, adoption, of_site,
};
pub use clients::{ClientEntry, MlDsa};
pub use downgrades::{Basis, Downgrade};
pub use merge::{is_whole, merged};
pub(crate) use question::Question;
pub use since::Since;
pub use sums::{Amounts, Breaking, BreakingAuthentication, Class, Shares, Split, WouldRefuse};

#[cfg(test)]
mod tests;
