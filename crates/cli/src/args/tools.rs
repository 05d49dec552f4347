//! What may be typed after the commands that look around: `doctor`, `bench`, `completions`, `man`.
use super::Typed;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Flags of `doctor`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The configuration whose files and ports are looked at.
    #[command(flatten)]
    pub(crate) typed: Typed,
}

/// Flags of `bench`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bench {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// How long to measure, about
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,
    /// Measure only these groups, signatures and cipher suites, with commas between them; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
}

/// What `completions` is asked for.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Completions {
    /// The shell that is to read them
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// A shell.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

/// What `man` is asked for.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Man {
    /// The page of this command, such as serve or cert ca [default: portcullis itself]
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    pub(crate) command: Vec<String>,
    /// Write all pages into this folder, made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
