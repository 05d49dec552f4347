//! The portcullis command: what was typed becomes one call, and its end an exit code.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "talking to people is what this crate is for"
)]

mod args;
mod bench;
mod cbom;
mod cert;
mod check;
mod colour;
mod completions;
mod demo;
mod doctor;
mod exit;
mod groups;
mod import;
mod man;
mod report;
mod running;
mod say;
mod selftest;
mod serve;
mod version;

use args::{Command, Typed};
use exit::Exit;
use portcullis_probe::Transport;
use portcullis_proxy::{config, plan::CertificateFiles};
use running::Ask;
use std::{future::Future, path::Path, process::ExitCode, time::Duration};

/// Measured against the system's: 8 to 12 % less CPU per handshake and request.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::parse(std::env::args_os()) {
        Ok(command) => run(command).into(),
        Err(args::Refusal::Clap(error)) => {
            // a closed terminal takes no help text, and there is nobody else to tell
            let _ = error.print();
            ExitCode::from(args::Refusal::Clap(error).exit_code())
        }
        Err(refusal) => {
            say::problem(&refusal.to_string());
            ExitCode::from(refusal.exit_code())
        }
    }
}

fn run(command: Command) -> Exit {
    match command {
        Command::Serve(typed) => serve::run(source(typed)),
        Command::Check(wish) => checked(wish),
        Command::Groups(wish) => {
            match wish.json {
                true => say::result(&format!("{:#}", serde_json::json!(groups::tables()))),
                false => say::result(&groups::text()),
            }
            Exit::Good
        }
        Command::Demo(wish) => {
            let browser = if wish.no_open {
                demo::Browser::Leave
            } else {
                demo::Browser::Open
            };
            on_runtime(async { ended(demo::run(browser, &mut std::io::stdout()).await) })
        }
        Command::Selftest(wish) => match inputs(wish) {
            Ok(inputs) => on_runtime(async { tested(selftest::run(inputs).await) }),
            Err(exit) => exit,
        },
        Command::Status(wish) => {
            let ask = if wish.ready { Ask::Ready } else { Ask::Status };
            ask_running(&wish.admin, ask)
        }
        Command::Cert(command) => cert::run(command),
        Command::Import(wish) => {
            let strictness = if wish.strict {
                import::Strictness::Strict
            } else {
                import::Strictness::Lenient
            };
            import::run(wish.guest, &wish.file, strictness)
        }
        Command::Reload(admin) => ask_running(&admin, Ask::Reload),
        Command::Drain(admin) => ask_running(&admin, Ask::Drain),
        Command::Report(wish) => {
            let flags = wish.config.iter();
            let flags = flags.map(|file| ("config".to_owned(), vec![file.display().to_string()]));
            let source = config::Source::find(flags.collect(), environment(), Path::exists);
            on_runtime(report::run(wish, source))
        }
        Command::Doctor(wish) => looked(wish),
        Command::Bench(wish) => measured(&wish),
        Command::Completions(wish) => completions::run(wish.shell),
        Command::Man(wish) => man::run(&wish.command, wish.out.as_deref()),
        // `parse` has refused them
        Command::Later(_) => Exit::Usage,
    }
}

fn checked(wish: args::Check) -> Exit {
    let output = if wish.json {
        check::Output::Json
    } else {
        check::Output::Text
    };
    let files = if wish.no_files {
        check::Files::Unread
    } else {
        check::Files::Read
    };
    let wish_for = check::Wish {
        output,
        files,
        explain: wish.explain,
        strict: wish.strict,
    };
    check::run(&source(wish.typed), wish_for)
}

fn looked(wish: args::Doctor) -> Exit {
    let output = if wish.json {
        doctor::Output::Json
    } else {
        doctor::Output::Text
    };
    on_runtime(doctor::run(&source(wish.typed), output))
}

fn measured(wish: &args::Bench) -> Exit {
    let output = if wish.json {
        bench::Output::Json
    } else {
        bench::Output::Text
    };
    bench::run(&wish.only, Duration::from_secs(wish.seconds.into()), output)
}

/// What was typed with the environment, and the usual file if there is one.
fn source(typed: Typed) -> config::Source {
    config::Source::find(typed.flags, environment(), Path::exists)
}

/// A variable that is no text cannot be one of ours.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn ask_running(admin: &args::Admin, ask: Ask) -> Exit {
    match config::admin(&config::Source::find(admin.flags(), environment(), Path::exists)) {
        Ok(Some(admin)) => running::run(&admin, ask),
        Ok(None) => {
            say::problem(
                "no admin listener is known\n  hint: --admin unix:PATH names it, and -c FILE reads it from the configuration",
            );
            Exit::Usage
        }
        Err(problems) => wrong(&problems),
    }
}

fn inputs(wish: args::Selftest) -> Result<selftest::Inputs, Exit> {
    let output = if wish.json {
        selftest::Output::Json
    } else {
        selftest::Output::Text
    };
    let identity = wish
        .client_cert
        .zip(wish.client_key)
        .map(|(chain, key)| CertificateFiles {
            chain,
            key,
            passphrase: None,
        });
    let subject = match wish.target {
        Some(target) => selftest::Subject::Server {
            target,
            server_name: wish.server_name,
        },
        None if wish.server_name.is_some() => {
            say::problem(
                "--server-name needs a target\n  hint: the sites of a configuration are asked for by their own names",
            );
            return Err(Exit::Usage);
        }
        None => {
            let flags = wish
                .config
                .iter()
                .map(|file| ("config".to_owned(), vec![file.display().to_string()]));
            let source = config::Source::find(flags.collect(), environment(), Path::exists);
            let loaded = config::load(&source).map_err(|problems| wrong(&problems))?;
            let name = source
                .file
                .map_or_else(|| "the environment".to_owned(), |file| file.display().to_string());
            selftest::Subject::Plan {
                plan: Box::new(loaded.plan),
                name,
            }
        }
    };
    Ok(selftest::Inputs {
        subject,
        expect: wish.expect,
        ca: wish.ca,
        identity,
        transport: if wish.quic { Transport::Quic } else { Transport::Tcp },
        output,
    })
}

fn wrong(problems: &[config::Problem]) -> Exit {
    say::problem(&config::render(problems));
    Exit::Usage
}

fn tested(result: anyhow::Result<selftest::Tested>) -> Exit {
    match result {
        Ok(tested) => {
            say::result(&tested.text);
            if tested.pass { Exit::Good } else { Exit::Unmet }
        }
        Err(error) => {
            say::problem(&format!("{error:#}"));
            Exit::Usage
        }
    }
}

fn ended(result: anyhow::Result<demo::Ended>) -> Exit {
    match result {
        Ok(demo::Ended::BySignal) => Exit::Good,
        Ok(demo::Ended::NotProven) => Exit::Unmet,
        Err(error) => {
            say::problem(&format!("{error:#}"));
            Exit::System
        }
    }
}

fn on_runtime(work: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            say::problem(&format!("cannot start an event loop: {error}"));
            Exit::System
        }
    }
}
