//! What the exit code says.
use std::process::ExitCode;

/// SPEC's four.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// 0
    Good,
    /// 1: what was asked for does not hold.
    Unmet,
    /// 2: wrong usage or configuration, or a file it names is missing or unusable.
    Usage,
    /// 3: the system refused.
    System,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Good => 0,
            Exit::Unmet => 1,
            Exit::Usage => 2,
            Exit::System => 3,
        })
    }
}
