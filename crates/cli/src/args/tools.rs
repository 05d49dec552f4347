//! What may be typed after the commands that look around: `doctor`, `bench`, `completions`, `man`.
use super::Typed;
use clap::{Args, ValueEnum};
use portcullis_proxy::report::Since;
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

/// Flags of `report`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Report {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print a line for each client as CSV
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Print what was negotiated as a cryptographic bill of materials (CycloneDX 1.6)
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    pub(crate) cbom: bool,
    /// Since when: 12h, 7d, 4w, or a date such as 2026-11-01
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub(crate) since: Since,
    /// Only this site
    #[arg(long, value_name = "NAME")]
    pub(crate) site: Option<String>,
    /// Read these ledgers instead of asking the running proxy; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) ledger: Vec<PathBuf>,
    /// Ask these instances, by their admin listeners: unix:PATH, http://HOST:PORT; may be repeated
    #[arg(long, value_name = "URL", num_args = 1..)]
    pub(crate) from: Vec<String>,
    /// The file with the token that instances with an address ask for [default: that of the configuration]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Take the admin listener, its token and the ledger from this file
    #[arg(short, long, value_name = "FILE", visible_alias = "config-file")]
    pub(crate) config: Option<PathBuf>,
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
