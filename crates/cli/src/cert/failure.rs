use crate::exit::Exit;
use portcullis_certs::Error;
use std::{fmt, path::Path};

/// Why a certificate command did not do what was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
    exit: Exit,
}

impl Failure {
    /// Wrong usage, or a file that cannot be used.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure {
            message: message.into(),
            hint: None,
            exit: Exit::Usage,
        }
    }

    /// What was asked for does not hold.
    pub(crate) fn unmet(message: impl Into<String>) -> Failure {
        Failure {
            exit: Exit::Unmet,
            ..Failure::usage(message)
        }
    }

    /// Usage, of a file.
    pub(crate) fn file(path: &Path, problem: impl fmt::Display) -> Failure {
        Failure::usage(format!("{}: {problem}", path.display()))
    }

    /// With what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let exit = match &error {
            Error::Write { .. } | Error::Random | Error::KeyGeneration(_) => Exit::System,
            _ => Exit::Usage,
        };
        let (message, hint) = match &error {
            Error::Exists(path) => (
                format!("{} is there already", path.display()),
                Some("--force replaces it, --file gives another name".to_owned()),
            ),
            Error::NoNames => (
                error.to_string(),
                Some("--name shop.example.com, as often as needed".to_owned()),
            ),
            Error::Nobody => (
                error.to_string(),
                Some("--subject CN=agent-7, or --name spiffe://corp/agent-7".to_owned()),
            ),
            _ => (error.to_string(), None),
        };
        Failure { message, hint, exit }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}
