//! TOML, JSON and YAML mean the same, and what is wrong is told by the same words in the same lines.
use crate::kit::{Case, explained};

/// One configuration in three forms, line by line.
const SAME: &[[&str; 3]] = &[
    ["", "{}", "# nothing but defaults\n"],
    [
        "workers = 2\nlog = { level = \"warn\", format = \"json\" }\nwatch = true\nshutdown.grace = \"1m\"\n",
        "{ \"workers\": 2,\n\"log\": { \"level\": \"warn\", \"format\": \"json\" },\n\"watch\": true,\n\"shutdown\": { \"grace\": \"1m\" } }",
        "workers: 2\nlog: { level: warn, format: json }\nwatch: true\nshutdown: { grace: 1m }\n",
    ],
    [
        include_str!("forms/whole.toml"),
        include_str!("forms/whole.json"),
        include_str!("forms/whole.yaml"),
    ],
];

const NAMES: [&str; 3] = ["portcullis.toml", "portcullis.json", "portcullis.yml"];

/// Each form of a text, with the flags that make a configuration of nothing.
fn forms(texts: &[&str; 3]) -> [Case; 3] {
    let typed = |text: &str| match text.contains("site") {
        true => "--log-level error",
        false => "--self-signed",
    };
    std::array::from_fn(|at| Case::named(NAMES[at], texts[at]).and_flags(typed(texts[0])))
}

#[test]
fn the_same_in_three_forms_is_one_plan_with_the_same_lines() {
    for texts in SAME {
        let [toml, json, yaml] = forms(texts).map(|case| case.good());
        assert_eq!(toml.plan, json.plan, "{}", texts[1]);
        assert_eq!(toml.plan, yaml.plan, "{}", texts[2]);
        let told = explained(&toml.explained);
        assert_eq!(explained(&json.explained).replace(NAMES[1], NAMES[0]), told);
        assert_eq!(explained(&yaml.explained).replace(NAMES[2], NAMES[0]), told);
    }
}

#[test]
fn a_file_full_of_mistakes_tells_the_same_in_every_form() {
    let told = Case::file(include_str!("mistakes.toml")).bad();
    let json = Case::named("portcullis.json", include_str!("mistakes.json")).bad();
    assert_eq!(json.replace("portcullis.json", "portcullis.toml"), told);
    let yaml = Case::named("portcullis.yaml", include_str!("mistakes.yaml")).bad();
    assert_eq!(yaml.replace("portcullis.yaml", "portcullis.toml"), told);
}

/// A text that no tree can be made of, its file, and all that is said of it.
const BROKEN: &[(&str, &str, &str)] = &[
    (
        "a.toml",
        "a = 1\na = 2",
        "a.toml:2: duplicate key\n  hint: each key stands once in its table\n",
    ),
    (
        "a.json",
        "{\"a\": 1,\n\"a\": 2}",
        "a.json:2: duplicate key\n  hint: each key stands once in its table\n",
    ),
    (
        "a.yaml",
        "a: 1\na: 2",
        "a.yaml:2: duplicate key\n  hint: each key stands once in its table\n",
    ),
    (
        "a.toml",
        "a = 9223372036854775808",
        "a.toml:1: 9223372036854775808 is larger than any number here may be\n",
    ),
    (
        "a.json",
        "{\"a\":\n9223372036854775808}",
        "a.json:1: 9223372036854775808 is larger than any number here may be\n",
    ),
    (
        "a.yaml",
        "a: 9223372036854775808",
        "a.yaml:1: 9223372036854775808 is larger than any number here may be\n",
    ),
    (
        "a.json",
        "{\"a\": 1e999}",
        "a.json:1: 1e999 is larger than any number here may be\n",
    ),
    (
        "a.yaml",
        "a: 1e999",
        "a.yaml:1: 1e999 is larger than any number here may be\n",
    ),
    ("a.json", "", "a.json:1: EOF while parsing a value\n"),
    (
        "a.json",
        "[1]",
        "a.json:1: the file must hold a table of keys, not a list\n",
    ),
    (
        "a.yaml",
        "- 1",
        "a.yaml:1: the file must hold a table of keys, not a list\n",
    ),
    (
        "a.yaml",
        "word",
        "a.yaml:1: the file must hold a table of keys, not a string\n",
    ),
    (
        "a.json",
        "{\"a\": 1,\n}",
        "a.json:2: key must be a string\n  hint: no comma stands before the end of a list or object\n",
    ),
    ("a.json", "{\"a\": 1}\n{}", "a.json:2: trailing characters\n"),
    (
        "a.json",
        "{\n// no\n}",
        "a.json:2: key must be a string\n  hint: JSON has no comments: TOML and YAML have\n",
    ),
    (
        "a.json",
        "{\n\n'a': 1}",
        "a.json:3: key must be a string\n  hint: text is written in double quotes\n",
    ),
    (
        "a.json",
        "{\"a\":\n\"b\nc\"}",
        "a.json:2: control character (\\u0000-\\u001F) found while parsing a string\n",
    ),
    (
        "a.json",
        "{\"a\": {\n\"b\":\n\"\\ud800\"}}",
        "a.json:3: unexpected end of hex escape\n",
    ),
    ("a.json", "{\"a\": NaN}", "a.json:1: expected value\n"),
    ("a.json", "{\"a\": 01}", "a.json:1: invalid number\n"),
    (
        "a.yaml",
        "a: 1\n---\nb: 1",
        "a.yaml:2: a second document: a file holds one\n",
    ),
    (
        "a.yaml",
        "a: *b",
        "a.yaml:1: while parsing node, found unknown anchor\n",
    ),
    (
        "a.yaml",
        "a: &b\n- *b",
        "a.yaml:2: an alias within what it stands for\n",
    ),
    (
        "a.yaml",
        "a: 010",
        "a.yaml:1: 010 begins with a zero\n  hint: octal numbers are written 0o17, text in quotes\n",
    ),
    (
        "a.yaml",
        "a: !secret b",
        "a.yaml:1: the tag !secret means nothing here\n  hint: leave the tag out: !!str, !!int, !!float, !!bool, !!null, !!map and !!seq are known\n",
    ),
    ("a.yaml", "a: !!int b", "a.yaml:1: b is no !!int\n"),
    (
        "a.yaml",
        "a: !!set {b}",
        "a.yaml:1: the tag !!set means nothing here\n  hint: leave the tag out: !!str, !!int, !!float, !!bool, !!null, !!map and !!seq are known\n",
    ),
    (
        "a.yaml",
        "? [a]\n: 1",
        "a.yaml:1: a key must be text, not a list or table\n",
    ),
    (
        "a.yaml",
        "a: &b c\n*b : 1",
        "a.yaml:2: a key must be text, not an alias\n",
    ),
    (
        "a.yaml",
        "a:\n  <<: 1",
        "a.yaml:2: << takes a table or a list of tables, not an integer\n",
    ),
];

#[test]
fn what_cannot_be_read_says_why_and_where() {
    for (name, text, told) in BROKEN {
        assert_eq!(Case::named(name, text).bad(), *told, "{text}");
    }
}

#[test]
fn what_is_nested_too_deep_is_refused_before_any_stack_ends() {
    let deep = |begin: &str, end: &str, levels: usize| begin.repeat(levels) + &end.repeat(levels);
    for levels in [65, 200_000] {
        let json = Case::named("a.json", &format!("{{\"a\":\n{}}}", deep("[", "]", levels)));
        assert_eq!(json.bad(), "a.json:2: nested deeper than 64 levels\n");
        let yaml = Case::named("a.yaml", &format!("a:\n{}", "- ".repeat(levels)));
        assert_eq!(yaml.bad(), "a.yaml:2: nested deeper than 64 levels\n");
    }
    let toml = Case::named("a.toml", &format!("a = {}", deep("[", "]", 200_000)));
    assert_eq!(
        toml.bad(),
        "a.toml:1: cannot recurse further; max recursion depth met\n"
    );
}

#[test]
fn aliases_of_aliases_are_counted_as_what_they_stand_for() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..60 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    let told = "a.yaml:6: more than 1000000 values, each alias counted as what it stands for\n";
    assert_eq!(Case::named("a.yaml", &text).bad(), told);
}

#[test]
fn yaml_reads_words_as_words_and_repeats_what_has_an_anchor() {
    let yaml = "log: &quiet { level: error, access: off }\n\
                listener:\n- { name: a, listen: ['127.0.0.1:1'], limits: &limits { idle: 1h, per_ip: 0x10 } }\n\
                - { name: b, listen: ['127.0.0.1:2'], limits: { <<: *limits, per_ip: !!int \"7\" } }\n\
                site:\n- certificates: self-signed\n  upstream: b\n\
                upstream: { b: { servers: [\"h:1\"] } }\n";
    let toml = "log = { level = 'error', access = 'off' }\n\
                [[listener]]\nname = 'a'\nlisten = ['127.0.0.1:1']\nlimits = { idle = '1h', per_ip = 16 }\n\
                [[listener]]\nname = 'b'\nlisten = ['127.0.0.1:2']\nlimits = { idle = '1h', per_ip = 7 }\n\
                [[site]]\ncertificates = 'self-signed'\nupstream = 'b'\n[upstream.b]\nservers = ['h:1']\n";
    let (yaml, toml) = (Case::named("a.yaml", yaml).good(), Case::file(toml).good());
    assert_eq!(yaml.plan, toml.plan);
}

#[test]
fn no_key_takes_null() {
    for (name, text) in [
        ("a.json", "{\"log\": null, \"workers\": null}"),
        ("a.yaml", "log:\nworkers: ~"),
    ] {
        let told = Case::named(name, text).and_flags("--self-signed").bad();
        assert!(
            told.contains("log must be a table, not null\n  hint: leave the key out"),
            "{told}"
        );
        assert!(
            told.contains("workers must be \"auto\" or a whole number, not null\n  hint"),
            "{told}"
        );
    }
}

#[test]
fn no_part_of_a_file_ends_the_program() {
    let files = [
        ("a.toml", include_str!("mistakes.toml")),
        ("a.json", include_str!("mistakes.json")),
        ("a.yaml", include_str!("mistakes.yaml")),
    ];
    for (name, text) in files {
        for end in (0..text.len()).step_by(29) {
            let (before, after) = text.split_at(end);
            for slip in ["", "\t", "*a", "&a", "<<", "{", "]", "\"", "\u{2028}"] {
                let _ = Case::named(name, &[before, slip].concat()).load();
                let _ = Case::named(name, &[before, slip, after].concat()).load();
            }
        }
    }
}
