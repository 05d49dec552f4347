use super::*;

fn line(line: &str) -> Result<Command, Refusal> {
    parse(line.split_whitespace())
}

fn typed(flags: &[(&str, &str)]) -> Typed {
    let entry = |(name, value): &(&str, &str)| ((*name).to_owned(), vec![(*value).to_owned()]);
    Typed {
        flags: flags.iter().map(entry).collect(),
    }
}

#[test]
fn flags_keep_their_order_and_repeats() {
    let words = "portcullis serve --cert a --plain --listen :1 --key b --cert c --listen :2,:3 --key d -c f";
    let expected = [
        ("cert", "a"),
        ("plain", "true"),
        ("listen", ":1"),
        ("key", "b"),
        ("cert", "c"),
        ("listen", ":2,:3"),
        ("key", "d"),
        ("config", "f"),
    ];
    assert_eq!(line(words).unwrap(), Command::Serve(typed(&expected)));
    let alias = line("portcullis serve --config-file=f").unwrap();
    assert_eq!(alias, Command::Serve(typed(&[("config", "f")])));
    assert_eq!(line("portcullis serve").unwrap(), Command::Serve(Typed::default()));
}

#[test]
fn every_flag_of_the_configuration_can_be_typed_and_is_explained_if_built() {
    for flag in FLAGS {
        let value = if flag.shape == Shape::Switch { "" } else { "x" };
        let name = if flag.name == "config-file" {
            "config"
        } else {
            flag.name
        };
        let expected = typed(&[(name, if value.is_empty() { "true" } else { value })]);
        let words = format!("portcullis serve --{} {value}", flag.name);
        assert_eq!(line(&words).unwrap(), Command::Serve(expected), "{words}");
        let is_helped = HELP.iter().any(|help| help.flag == name);
        let is_hidden = matches!(flag.meaning, Meaning::Later(_) | Meaning::Guest(_));
        assert_eq!(is_helped, !is_hidden, "{}", flag.name);
    }
    assert!(HELP.iter().all(|help| FLAGS.iter().any(|flag| flag.name == help.flag)));
}

#[test]
fn a_line_without_a_command_is_one_of_serve() {
    let typed_as = |words: &str| line(&format!("portcullis {words}")).unwrap();
    assert_eq!(
        typed_as("--listen :1 --from-env"),
        typed_as("serve --listen :1 --from-env")
    );
    assert_eq!(typed_as("--config-file=f"), typed_as("serve --config-file f"));
    let loose = typed_as("--hybrid-mode --environment production --plain");
    let expected = [
        ("hybrid-mode", "true"),
        ("environment", "production"),
        ("plain", "true"),
    ];
    assert_eq!(loose, Command::Serve(typed(&expected)));
    assert_eq!(line("portcullis --help").expect_err("help").exit_code(), 0);
    assert_eq!(line("portcullis --lisen :1").expect_err("a slip").exit_code(), 2);
}

#[test]
fn import_takes_the_guests_word_and_a_file() {
    let Command::Import(import) = line("portcullis import nginx /etc/nginx/nginx.conf --strict").unwrap() else {
        panic!("import")
    };
    assert_eq!(
        (import.guest, import.file, import.strict),
        (Guest::Nginx, PathBuf::from("/etc/nginx/nginx.conf"), true)
    );
    assert_eq!(line("portcullis import apache f").expect_err("not here").exit_code(), 2);
}

#[test]
fn commands_and_flags_of_a_later_version_are_refused_by_name() {
    let later = [("probe example.com --json", "probe"), ("check --diff", "check --diff")];
    for (words, name) in later {
        let refusal = line(&format!("portcullis {words}")).expect_err(words);
        assert_eq!(refusal.to_string(), format!("portcullis {name}: not in this version"));
        assert_eq!(refusal.exit_code(), 2);
    }
}

#[test]
fn wrong_usage_exits_with_2_and_help_with_0() {
    let wrong = [
        "",
        "sreve",
        "serve --lisen :1",
        "serve --mode",
        "selftest a -c b",
        "selftest --client-cert a",
        "selftest --expect strict",
    ];
    for words in wrong {
        assert_eq!(
            line(&format!("portcullis {words}")).expect_err(words).exit_code(),
            2,
            "{words}"
        );
    }
    for words in ["--help", "--version", "serve --help", "help check"] {
        assert_eq!(
            line(&format!("portcullis {words}")).expect_err(words).exit_code(),
            0,
            "{words}"
        );
    }
}

#[test]
fn every_other_flag_means_what_it_says() {
    let check = line("portcullis check --json --explain --strict --no-files --plain -c f").unwrap();
    let Command::Check(check) = check else { panic!("check") };
    assert_eq!(
        (check.json, check.explain, check.strict, check.no_files),
        (true, true, true, true)
    );
    assert_eq!(check.typed, typed(&[("plain", "true"), ("config", "f")]));

    let words =
        "portcullis selftest h:1 --quic --json --expect require --ca a --server-name n --client-cert c --client-key k";
    let Command::Selftest(test) = line(words).unwrap() else {
        panic!("selftest")
    };
    assert_eq!(
        (test.target.as_deref(), test.config, test.json, test.quic),
        (Some("h:1"), None, true, true)
    );
    assert_eq!(
        (test.expect, test.ca),
        (Some(Stance::Require), Some(PathBuf::from("a")))
    );
    assert_eq!(test.server_name.as_deref(), Some("n"));
    assert_eq!(
        (test.client_cert, test.client_key),
        (Some(PathBuf::from("c")), Some(PathBuf::from("k")))
    );

    let Command::Status(status) = line("portcullis status --ready --admin unix:x").unwrap() else {
        panic!("status")
    };
    assert!(status.ready);
    assert_eq!(status.admin.flags(), [("admin".to_owned(), vec!["unix:x".to_owned()])]);
    for (word, expected) in [
        ("reload", Command::Reload as fn(Admin) -> Command),
        ("drain", Command::Drain),
    ] {
        assert_eq!(
            line(&format!("portcullis {word}")).unwrap(),
            expected(Admin {
                admin: None,
                config: None
            })
        );
    }
    assert_eq!(
        line("portcullis demo --no-open").unwrap(),
        Command::Demo(Demo { no_open: true })
    );
    assert_eq!(
        line("portcullis groups --json").unwrap(),
        Command::Groups(Groups { json: true })
    );
}

#[test]
fn help_groups_the_flags_and_shows_examples() {
    command().debug_assert();
    let help = line("portcullis serve --help").expect_err("help").to_string();
    for part in [WHERE, WHO, HOW, TOWARDS, PROCESS].map(|heading| format!("{heading}:")) {
        assert!(help.contains(&part), "{part} in {help}");
    }
    assert!(help.contains("portcullis serve --self-signed\n"));
    assert!(help.contains("PORTCULLIS_LISTEN"));
    assert!(help.contains("--target-tls"));
}

#[test]
fn every_example_of_the_help_can_be_typed() {
    let mut tried = 0;
    for (path, after) in pages(&visible(&command())) {
        let examples = examples(&after);
        assert!(!examples.is_empty(), "{path} has no examples");
        for example in examples {
            let words = words(&example);
            assert!(parse(&words).is_ok(), "{path}: {example}: {:?}", parse(&words));
            assert!(
                example.starts_with(&path) || path == "portcullis" || path == "portcullis cert",
                "{path}: {example}"
            );
            tried += 1;
        }
        let widest = after.lines().filter(|line| line.starts_with(' ')).map(str::len).max();
        assert!(widest <= Some(100), "{path}: {after}");
    }
    assert!(tried > 40, "only {tried} examples were found");
}

#[test]
fn a_line_that_is_no_example_is_not_taken_for_one() {
    let text = "Examples:\n  # why\n  portcullis serve \\\n      --plain\n  portcullis man | man -l -\nExit codes: 0";
    assert_eq!(examples(text), ["portcullis serve --plain", "portcullis man"]);
    assert_eq!(words("portcullis a > ~/b"), ["portcullis", "a"]);
}

#[test]
fn the_new_commands_mean_what_they_say() {
    let Command::Doctor(doctor) = line("portcullis doctor --json -c f --listen :1").unwrap() else {
        panic!("doctor")
    };
    assert!(doctor.json);
    assert_eq!(doctor.typed, typed(&[("config", "f"), ("listen", ":1")]));
    let Command::Bench(bench) = line("portcullis bench --json --seconds 3 --only a,b --only c").unwrap() else {
        panic!("bench")
    };
    assert_eq!((bench.json, bench.seconds), (true, 3));
    assert_eq!(bench.only, ["a", "b", "c"]);
    for (word, shell) in [
        ("bash", Shell::Bash),
        ("zsh", Shell::Zsh),
        ("fish", Shell::Fish),
        ("powershell", Shell::Powershell),
    ] {
        let asked = line(&format!("portcullis completions {word}")).unwrap();
        assert_eq!(asked, Command::Completions(Completions { shell }));
    }
    let Command::Man(man) = line("portcullis man cert ca").unwrap() else {
        panic!("man")
    };
    assert_eq!(man.command, ["cert", "ca"]);
    for wrong in [
        "bench --seconds 0",
        "bench --seconds 3601",
        "completions tcsh",
        "completions",
        "man serve --out d",
    ] {
        assert_eq!(
            line(&format!("portcullis {wrong}")).expect_err(wrong).exit_code(),
            2,
            "{wrong}"
        );
    }
}

#[test]
fn the_version_is_short_or_tells_what_it_is_made_of() {
    let short = line("portcullis -V").expect_err("the version").to_string();
    assert_eq!(short.lines().count(), 1);
    assert!(
        short.starts_with(concat!("portcullis ", env!("CARGO_PKG_VERSION"))),
        "{short}"
    );
    let long = line("portcullis --version").expect_err("the version").to_string();
    for fact in ["rustls", "aws-lc-rs", "target", "profile", "features"] {
        assert!(long.lines().any(|line| line.starts_with(fact)), "{fact} in {long}");
    }
}

/// Each command's name as it is typed, with what stands below its help.
fn pages(command: &clap::Command) -> Vec<(String, String)> {
    let name = command.get_name();
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut all = vec![(name.to_owned(), after)];
    for below in command.get_subcommands().flat_map(pages) {
        all.push((format!("{name} {}", below.0), below.1));
    }
    all
}

/// The command lines in it, continued ones joined, without what a shell does with them.
fn examples(after: &str) -> Vec<String> {
    let joined = after.replace("\\\n", " ");
    let lines = joined.lines().filter_map(|line| line.strip_prefix("  "));
    let own = |line: &str| {
        let line = line.trim_start_matches("source <(").trim_end_matches(')');
        let line = line.split(" | ").next().unwrap_or(line);
        line.starts_with("portcullis ").then(|| words(line).join(" "))
    };
    lines.filter_map(own).collect()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().take_while(|word| *word != ">").collect()
}
