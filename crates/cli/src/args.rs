//! The command line: what may be typed, and what it means. No I/O.
use crate::{cert::args::Cert, import::Guest, version};
use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, parser::ValueSource};
use portcullis_proxy::config::flags::{FLAGS, Flag, Meaning, Shape};
use portcullis_tls::policy::Stance;
use std::{ffi::OsString, fmt, path::PathBuf};

mod examples;
mod look;
mod tools;

use examples::{
    BENCH_EXAMPLES, CERT_EXAMPLES, COMPLETIONS_EXAMPLES, DEMO_EXAMPLES, DOCTOR_EXAMPLES, DRAIN_EXAMPLES,
    GROUPS_EXAMPLES, IMPORT_EXAMPLES, MAN_EXAMPLES, RELOAD_EXAMPLES, REPORT_EXAMPLES, STATUS_EXAMPLES,
};
pub(crate) use look::visible;
pub(crate) use tools::{Bench, Completions, Doctor, Man, Report, Shell};

/// What was asked for.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    /// Run the proxy
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Typed),
    /// Everything at once, nothing to set up
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(Demo),
    /// Read a configuration and say what it comes to
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Connect to a listener and see that it negotiates what its policy promises
    #[command(after_help = SELFTEST_EXAMPLES)]
    Selftest(Selftest),
    /// What the running proxy does
    #[command(after_help = STATUS_EXAMPLES)]
    Status(Status),
    /// Have the running proxy read its configuration again
    #[command(after_help = RELOAD_EXAMPLES)]
    Reload(Admin),
    /// Have the running proxy finish what runs and end
    #[command(after_help = DRAIN_EXAMPLES)]
    Drain(Admin),
    /// Who is not quantum-safe yet, why, and what requiring it would break
    ///
    /// From the ledger of the running proxy, or from files and other instances, together.
    #[command(after_help = REPORT_EXAMPLES)]
    Report(Report),
    /// The tables of groups, signatures and profiles
    #[command(after_help = GROUPS_EXAMPLES)]
    Groups(Groups),
    /// Make and look at certificates, ML-DSA and classical
    #[command(subcommand, after_help = CERT_EXAMPLES)]
    Cert(Cert),
    /// Print the configuration of another proxy as one of ours
    ///
    /// What could not be carried over is told with its line, and stands as a comment in its place.
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(Import),
    /// Look at this machine, and at a configuration's files and ports
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(Doctor),
    /// Measure what each group, signature and cipher suite costs on this machine
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(Bench),
    /// Print completions for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(Completions),
    /// Print a manual page, or write all of them
    #[command(after_help = MAN_EXAMPLES)]
    Man(Man),
    #[command(flatten)]
    Later(Later),
}

/// Flags of `serve` as `config::Source` takes them: in the order typed, one entry for each time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Typed {
    /// Names without dashes, and their values.
    pub(crate) flags: Vec<(String, Vec<String>)>,
}

/// Flags of `demo`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Demo {
    /// Do not open a browser
    #[arg(long)]
    pub(crate) no_open: bool,
}

/// Flags of `check`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Check {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print each value with where it came from
    #[arg(long)]
    pub(crate) explain: bool,
    /// Exit 1 if there are warnings
    #[arg(long)]
    pub(crate) strict: bool,
    /// Do not open certificates, keys and CA files
    #[arg(long)]
    pub(crate) no_files: bool,
    #[arg(long, hide = true)]
    diff: bool,
    /// The configuration.
    #[command(flatten)]
    pub(crate) typed: Typed,
}

/// Flags of `selftest`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Selftest {
    /// Host and port of a listener [default: the listeners of the configuration]
    #[arg(value_name = "TARGET", conflicts_with = "config")]
    pub(crate) target: Option<String>,
    /// Test the listeners of this file
    #[arg(short, long, value_name = "FILE", visible_alias = "config-file")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Expect this policy: observe, prefer or require
    #[arg(long, value_name = "POLICY", value_parser = stance)]
    pub(crate) expect: Option<Stance>,
    /// Trust the certificates of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Ask for this name instead of the target's
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,
    /// Show this certificate
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub(crate) client_cert: Option<PathBuf>,
    /// The key of the certificate shown
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(crate) client_key: Option<PathBuf>,
    /// Ask over QUIC, as clients of HTTP/3 do
    #[arg(long)]
    pub(crate) quic: bool,
}

/// Flags of `import`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Import {
    /// Whose configuration it is
    #[arg(value_enum)]
    pub(crate) guest: Guest,
    /// Its file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Exit 1 if anything could not be carried over
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Flags of `groups`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Groups {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `status`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Status {
    /// Print nothing and exit 1 unless it is ready
    #[arg(long)]
    pub(crate) ready: bool,
    /// The proxy spoken to.
    #[command(flatten)]
    pub(crate) admin: Admin,
}

/// The running proxy that a command speaks to.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Admin {
    /// Where the running proxy's admin listener is [env: PORTCULLIS_ADMIN]
    #[arg(long, value_name = "ADDR|unix:PATH")]
    admin: Option<String>,
    /// Take the admin listener and its token from this file
    #[arg(
        short,
        long,
        value_name = "FILE",
        visible_alias = "config-file",
        conflicts_with = "admin"
    )]
    config: Option<String>,
}

/// Commands of SPEC 3 that a later version brings.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Later {
    #[command(hide = true, disable_help_flag = true)]
    Probe(Anything),
}

/// Whatever follows a command that cannot run.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Why nothing can be done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Help, the version, or a mistake: clap's own words, with its own exit code.
    Clap(clap::Error),
    /// A command or flag of a later version.
    Later(&'static str),
}

/// What was asked for, or why it cannot be done.
pub(crate) fn parse<W>(words: impl IntoIterator<Item = W>) -> Result<Command, Refusal>
where
    W: Into<OsString> + Clone,
{
    let words = as_served(words.into_iter().map(Into::into).collect());
    let matches = command().try_get_matches_from(words);
    let line = matches.and_then(|matches| Line::from_arg_matches(&matches));
    match line.map_err(Refusal::Clap)?.command {
        Command::Later(later) => Err(Refusal::Later(later.name())),
        Command::Check(Check { diff: true, .. }) => Err(Refusal::Later("check --diff")),
        command => Ok(command),
    }
}

/// Everything that may be typed, as clap knows it.
pub(crate) fn command() -> clap::Command {
    look::grouped(Line::command().long_version(version::long()))
}

impl Refusal {
    /// 0 for help that was asked for, else 2: wrong usage.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Refusal::Clap(error) if !error.use_stderr() => 0,
            Refusal::Clap(_) | Refusal::Later(_) => 2,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Clap(error) => error.fmt(f),
            Refusal::Later(what) => write!(f, "portcullis {what}: not in this version"),
        }
    }
}

impl Admin {
    /// As `config::admin` takes it.
    pub(crate) fn flags(&self) -> Vec<(String, Vec<String>)> {
        let typed = |name: &str, value: &Option<String>| Some((name.to_owned(), vec![value.clone()?]));
        typed("admin", &self.admin)
            .into_iter()
            .chain(typed("config", &self.config))
            .collect()
    }
}

impl Later {
    fn name(&self) -> &'static str {
        match self {
            Later::Probe(_) => "probe",
        }
    }
}

impl Args for Typed {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(flags().map(argument))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Typed::augment_args(command)
    }
}

impl FromArgMatches for Typed {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Typed, clap::Error> {
        let mut typed: Vec<(usize, &str, String)> = Vec::new();
        for flag in flags().filter(|flag| was_typed(matches, flag)) {
            let at = matches.indices_of(flag.name).into_iter().flatten();
            match flag.shape {
                Shape::Switch => typed.extend(at.map(|at| (at, flag.name, "true".to_owned()))),
                _ => {
                    let values = matches.get_many::<String>(flag.name).into_iter().flatten();
                    typed.extend(at.zip(values).map(|(at, value)| (at, flag.name, value.clone())));
                }
            }
        }
        typed.sort_by_key(|(at, ..)| *at);
        let flags = typed.into_iter().map(|(_, name, value)| (name.to_owned(), vec![value]));
        Ok(Typed { flags: flags.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Typed::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Post-quantum TLS in front of a service
#[derive(Parser)]
#[command(name = "portcullis", version = version::short(), arg_required_else_help = true, after_help = EXAMPLES)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// Quantum Safe Proxy has no commands: a line that begins with a flag of `serve` is one of `serve`.
fn as_served(mut words: Vec<OsString>) -> Vec<OsString> {
    let first = words.get(1).and_then(|word| word.to_str()?.strip_prefix("--"));
    let name = first.map(|flag| flag.split_once('=').map_or(flag, |(name, _)| name));
    if name.is_some_and(|name| FLAGS.iter().any(|flag| flag.name == name)) {
        words.insert(1, "serve".into());
    }
    words
}

fn was_typed(matches: &ArgMatches, flag: &Flag) -> bool {
    matches.value_source(flag.name) == Some(ValueSource::CommandLine)
}

/// The flags by their own names: `--config-file` is another name of `--config`.
fn flags() -> impl Iterator<Item = &'static Flag> {
    FLAGS.iter().filter(|flag| flag.name != "config-file")
}

fn argument(flag: &'static Flag) -> Arg {
    let argument = Arg::new(flag.name).long(flag.name);
    let argument = match flag.shape {
        Shape::Switch => argument.action(ArgAction::SetTrue),
        Shape::Addresses | Shape::Files => argument.action(ArgAction::Append),
        Shape::Text | Shape::Names | Shape::Marked => argument.action(ArgAction::Set),
        Shape::Loose => argument
            .action(ArgAction::Set)
            .num_args(0..=1)
            .default_missing_value("true"),
    };
    let argument = match flag.meaning {
        Meaning::File => argument.short('c').visible_alias("config-file"),
        Meaning::Later(_) | Meaning::Guest(_) => argument.hide(true),
        Meaning::Process(_) | Meaning::Served(_) | Meaning::KeyLog => argument,
    };
    let Some(help) = HELP.iter().find(|help| help.flag == flag.name) else {
        return argument;
    };
    let variable = flag
        .variable
        .map_or_else(String::new, |variable| format!(" [env: {variable}]"));
    let argument = argument
        .help(format!("{}{variable}", help.text))
        .help_heading(help.heading);
    if help.value.is_empty() {
        argument
    } else {
        argument.value_name(help.value)
    }
}

fn stance(word: &str) -> Result<Stance, String> {
    let all = [Stance::Observe, Stance::Prefer, Stance::Require];
    let found = all.into_iter().find(|stance| stance.as_str() == word);
    found.ok_or_else(|| "it takes observe, prefer or require".to_owned())
}

/// What help says of a flag.
struct Help {
    flag: &'static str,
    heading: &'static str,
    value: &'static str,
    text: &'static str,
}

const fn help(flag: &'static str, heading: &'static str, value: &'static str, text: &'static str) -> Help {
    Help {
        flag,
        heading,
        value,
        text,
    }
}

const WHERE: &str = "Where";
const WHO: &str = "Certificates";
const HOW: &str = "TLS and policy";
const TOWARDS: &str = "Towards the target";
const PROCESS: &str = "Process";

/// Every flag that is built; a test holds it against the table of the configuration.
const HELP: &[Help] = &[
    help(
        "listen",
        WHERE,
        "ADDR",
        "Listen here: IP:PORT, :PORT or unix:PATH; may be repeated [default: 0.0.0.0:8443]",
    ),
    help(
        "target",
        WHERE,
        "ADDR",
        "Relay to HOST:PORT or unix:PATH; repeated: in turn, a failed connect tries the next [default: 127.0.0.1:6000]",
    ),
    help(
        "mode",
        WHERE,
        "MODE",
        "What a connection carries: tcp or http [default: tcp]",
    ),
    help("plain", WHERE, "", "No TLS on the listener"),
    help(
        "cert",
        WHO,
        "FILE",
        "Certificate chain, leaf first; may be repeated, the first that a client can verify is sent",
    ),
    help(
        "key",
        WHO,
        "FILE",
        "Key of the certificate in the same place; left out: each --cert file holds both",
    ),
    help(
        "passphrase-file",
        WHO,
        "FILE",
        "The keys are encrypted, and the first line of this file is their passphrase",
    ),
    help(
        "self-signed",
        WHO,
        "",
        "ML-DSA-65 and ECDSA certificates made in memory, for localhost and the host's name",
    ),
    help(
        "ca-cert",
        WHO,
        "FILE",
        "Check client certificates against the certificates of this file",
    ),
    help(
        "client-cert-mode",
        WHO,
        "MODE",
        "required, optional or none [default: none; optional with --ca-cert]",
    ),
    help(
        "profile",
        HOW,
        "PROFILE",
        "default, modern, pq-only or cnsa2 [default: default]",
    ),
    help(
        "groups",
        HOW,
        "LIST",
        "Key exchange groups in order, with commas or colons; OpenSSL's marks are understood",
    ),
    help("tls-versions", HOW, "LIST", "1.2, 1.3"),
    help("ciphers", HOW, "LIST", "Cipher suites in order, with commas or colons"),
    help(
        "policy",
        HOW,
        "POLICY",
        "observe, prefer or require quantum-safe key exchange [default: prefer]",
    ),
    help(
        "target-tls",
        TOWARDS,
        "",
        "TLS towards the target, verified against the system's roots and the target's host",
    ),
    help(
        "target-name",
        TOWARDS,
        "NAME",
        "The name that its certificate must bear, in place of the host",
    ),
    help(
        "target-ca",
        TOWARDS,
        "FILE",
        "Verify it against the certificates of this file",
    ),
    help(
        "target-cert",
        TOWARDS,
        "FILE",
        "Certificate to show where the target asks; may be repeated, the first that it can verify is shown",
    ),
    help(
        "target-key",
        TOWARDS,
        "FILE",
        "Key of the certificate in the same place; left out: the file holds both",
    ),
    help(
        "target-policy",
        TOWARDS,
        "POLICY",
        "observe, prefer or require quantum-safe key exchange with the target [default: prefer]",
    ),
    help(
        "log-level",
        PROCESS,
        "LEVEL",
        "debug, info, warn or error [default: info]",
    ),
    help(
        "log-format",
        PROCESS,
        "FORMAT",
        "text, json, common or combined [default: text]",
    ),
    help(
        "key-log",
        PROCESS,
        "FILE",
        "Write the secrets of every connection there, for debugging: whoever reads it can decrypt all; env: to $SSLKEYLOGFILE",
    ),
    help(
        "admin",
        PROCESS,
        "ADDR",
        "Admin listener: unix:PATH or off [default: a socket in $RUNTIME_DIRECTORY or $XDG_RUNTIME_DIR]",
    ),
    help(
        "config",
        PROCESS,
        "FILE",
        "Read this file [default: portcullis.toml, if no flag describes a listener]",
    ),
];

const EXAMPLES: &str = "Examples:
  portcullis demo
  portcullis serve --self-signed --target 127.0.0.1:6000
  portcullis cert ca --dual --out pki
  portcullis check -c portcullis.toml --explain

Exit codes: 0 good; 1 what was asked for does not hold; 2 wrong usage or configuration; 3 the system refused";

const SERVE_EXAMPLES: &str = "Examples:
  portcullis serve --self-signed
  portcullis serve --listen :8443 --target 127.0.0.1:6000 \\
      --cert mldsa.crt --key mldsa.key --cert ecdsa.crt --key ecdsa.key \\
      --ca-cert ca.crt --client-cert-mode required
  portcullis serve --cert both.pem --policy require --groups X25519MLKEM768:SecP256r1MLKEM768
  portcullis serve --plain --listen 127.0.0.1:6000 --target api.example.com:443 \\
      --target-tls --target-policy require
  portcullis serve -c portcullis.toml";

const CHECK_EXAMPLES: &str = "Examples:
  portcullis check
  portcullis check -c portcullis.toml --strict
  portcullis check --cert both.pem --groups DEFAULT:-X25519 --explain";

const SELFTEST_EXAMPLES: &str = "Examples:
  portcullis selftest -c portcullis.toml
  portcullis selftest localhost:8443 --ca ca.pem --expect require
  portcullis selftest localhost:8443 --quic";

#[cfg(test)]
mod tests;
