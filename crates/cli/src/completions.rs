//! `portcullis completions`: what a shell offers at the tabulator.
use crate::{
    args::{self, Shell},
    exit::Exit,
    say,
};
use clap::{
    Arg, Command, ValueHint,
    builder::{PossibleValuesParser, Str},
};
use clap_complete::{aot, generate};
use portcullis_certs::{Algorithm, Revoked};
use portcullis_probe::bench;
use portcullis_tls::{
    policy::Stance,
    profile::{Overrides, Profile},
};
use portcullis_wire::registry::Cipher;

/// Prints the completions of a shell.
pub(crate) fn run(shell: Shell) -> Exit {
    say::result(&script(shell));
    Exit::Good
}

fn script(shell: Shell) -> String {
    let mut command = complete(&args::visible(&args::command()));
    let mut out = Vec::new();
    let name = "portcullis";
    match shell {
        Shell::Bash => generate(aot::Bash, &mut command, name, &mut out),
        Shell::Zsh => generate(aot::Zsh, &mut command, name, &mut out),
        Shell::Fish => generate(aot::Fish, &mut command, name, &mut out),
        Shell::Powershell => generate(aot::PowerShell, &mut command, name, &mut out),
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The same tree with what each flag's value may be; only for completing: the command line itself takes aliases, lists
/// and any letter case.
fn complete(command: &Command) -> Command {
    let below: Vec<Command> = command.get_subcommands().map(complete).collect();
    let mut command = command.clone().mut_args(with_values);
    for it in below {
        let name = it.get_name().to_owned();
        command = command.mut_subcommand(&name, |_| it);
    }
    command
}

fn with_values(argument: Arg) -> Arg {
    if let Some((_, values)) = VALUES.iter().find(|(id, _)| argument.get_id() == *id) {
        return argument.value_parser(PossibleValuesParser::new(values().into_iter().map(Str::from)));
    }
    let value = argument
        .get_value_names()
        .and_then(<[_]>::first)
        .map(ToString::to_string);
    match value.as_deref() {
        Some("FILE" | "CSR" | "FILE|HOST:PORT" | "FILE|SERIAL") => argument.value_hint(ValueHint::FilePath),
        Some("DIR") => argument.value_hint(ValueHint::DirPath),
        _ => argument,
    }
}

type Words = fn() -> Vec<String>;

/// Flags, and what may follow them.
const VALUES: &[(&str, Words)] = &[
    ("mode", || words(["tcp", "http", "passthrough"])),
    ("client-cert-mode", || words(["required", "optional", "none"])),
    ("profile", profiles),
    ("groups", || words(bench::groups().map(|group| group.name))),
    ("tls-versions", || words(["1.3", "1.2"])),
    ("ciphers", || words(Cipher::all().iter().map(|cipher| cipher.name))),
    ("policy", stances),
    ("target-policy", stances),
    ("expect", stances),
    ("log-level", || words(["debug", "info", "warn", "error"])),
    ("log-format", || words(["text", "json", "common", "combined"])),
    ("algorithm", || words(Algorithm::ALL.map(Algorithm::word))),
    ("purpose", || words(["server", "client"])),
    ("reason", || words(Revoked::REASONS.map(|(_, word)| word))),
    ("only", measurable),
];

fn words<'a>(list: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    list.into_iter().map(str::to_owned).collect()
}

/// Those that this build can run.
fn profiles() -> Vec<String> {
    let works = |profile: &&Profile| profile.settings(&Overrides::default()).is_ok();
    words(Profile::all().iter().filter(works).map(|profile| profile.as_str()))
}

fn stances() -> Vec<String> {
    words([Stance::Observe, Stance::Prefer, Stance::Require].map(Stance::as_str))
}

fn measurable() -> Vec<String> {
    let groups = bench::groups().map(|group| group.name);
    let schemes = bench::schemes().map(|scheme| scheme.name);
    words(
        groups
            .chain(schemes)
            .chain(Cipher::all().iter().map(|cipher| cipher.name)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_proxy::config::{Problem, Source, load};

    #[test]
    fn every_value_that_is_offered_is_taken() {
        for (id, values) in VALUES {
            assert!(!values().is_empty(), "{id}");
            let before = match *id {
                "expect" => "selftest h:1",
                "algorithm" => "cert ca",
                "purpose" => "cert sign a --issuer b",
                "reason" => "cert crl a --issuer b --revoke c",
                "only" => "bench",
                // lists, which need something for TLS 1.3
                "ciphers" => "serve --self-signed --ciphers TLS_AES_128_GCM_SHA256",
                "client-cert-mode" => "serve --self-signed --ca-cert ca.pem",
                "target-policy" => "serve --self-signed --target-tls",
                _ => "serve --self-signed",
            };
            for value in values() {
                // it holds no key
                let before = match value.as_str() {
                    "passthrough" => "serve",
                    _ => before,
                };
                let line = match before.ends_with("SHA256") {
                    true => format!("portcullis {before},{value}"),
                    false => format!("portcullis {before} --{id} {value}"),
                };
                let parsed = args::parse(line.split_whitespace());
                let problems = match parsed.unwrap_or_else(|refusal| panic!("{line}: {refusal}")) {
                    args::Command::Serve(typed) => loaded(typed.flags),
                    _ => Vec::new(),
                };
                assert!(problems.is_empty(), "{line}: {problems:?}");
            }
        }
        let names = measurable();
        assert!(bench::Selection::of(names.iter().map(String::as_str)).is_ok());
    }

    fn loaded(flags: Vec<(String, Vec<String>)>) -> Vec<Problem> {
        let source = Source {
            flags,
            ..Source::default()
        };
        load(&source).err().unwrap_or_default()
    }

    #[test]
    fn every_flag_with_values_exists() {
        fn ids(command: &Command) -> Vec<String> {
            let own = command.get_arguments().map(|it| it.get_id().to_string());
            own.chain(command.get_subcommands().flat_map(ids)).collect()
        }
        let all = ids(&args::visible(&args::command()));
        for (id, _) in VALUES {
            assert!(all.iter().any(|known| known == id), "{id}");
        }
    }

    #[test]
    fn every_shell_gets_every_command_and_nothing_that_is_hidden() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Powershell] {
            let script = script(shell);
            for word in ["doctor", "selftest", "import", "inspect", "client-cert-mode"] {
                assert!(script.contains(word), "{shell:?} {word}");
            }
            // clap_complete knows no values for PowerShell
            for word in ["X25519MLKEM768", "TLS_AES_128_GCM_SHA256"] {
                assert_eq!(script.contains(word), shell != Shell::Powershell, "{shell:?} {word}");
            }
            for word in ["hybrid-mode", "fips"] {
                assert!(!script.contains(word), "{shell:?} {word}");
            }
        }
    }
}
