//! `include`: files of every form, in order, each once, and every problem where it stands.
use crate::kit::explained;
use portcullis_proxy::{
    config::{Loaded, Source, load, render},
    plan::LogFormat,
};
use std::{fs, path::Path};
use tempfile::TempDir;

const MAIN: &str = "include = ['upstreams.yaml', 'sites/*']\n[[listener]]\nname = 'web'\nlisten = ['127.0.0.1:1']\n";
const UPSTREAMS: &str = "upstream:\n  one: { servers: ['h:1'] }\n";
const ONE: &str = "[[site]]\nnames = ['one']\ncertificates = [{ chain = 'one.pem' }]\nupstream = 'one'\n";
const TWO: &str = "{\"site\": [{\"names\": [\"two\"],\n\"certificates\": [{\"chain\": \"two.pem\"}], \"upstream\": \"two\"}],\n\
                   \"upstream\": {\"two\": {\"servers\": [\"unix:two.sock\"]}}}";

/// A folder with files, the first of which is the configuration.
struct Folder(TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Folder {
        let folder = Folder(tempfile::tempdir().expect("a temporary folder"));
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).expect("a folder in it");
        fs::write(path, text).expect("it takes a file");
    }

    /// What the configuration comes to, with the folder's name left out.
    fn load(&self, environment: &[(&str, &str)]) -> Result<Loaded, String> {
        let source = Source {
            file: Some(self.0.path().join("portcullis.toml")),
            environment: environment
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
            ..Source::default()
        };
        load(&source).map_err(|problems| self.shown(&render(&problems)))
    }

    fn shown(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }

    fn bad(&self) -> String {
        self.load(&[])
            .map_or_else(|problems| problems, |loaded| panic!("{:#?}", loaded.plan))
    }
}

fn whole() -> Folder {
    let files = [
        ("portcullis.toml", MAIN),
        ("upstreams.yaml", UPSTREAMS),
        ("sites/b.toml", ONE),
        ("sites/c.json", TWO),
        ("sites/.b.toml.swp", "what an editor leaves"),
    ];
    Folder::with(&files)
}

#[test]
fn files_of_every_form_are_read_as_one_in_order_and_their_paths_are_their_own() {
    let folder = whole();
    let loaded = folder.load(&[]).unwrap();
    let names: Vec<&str> = loaded.plan.sites.iter().map(|site| site.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    let upstreams: Vec<&str> = loaded.plan.upstreams.iter().map(|up| up.name.as_str()).collect();
    assert_eq!(upstreams, ["one", "two"]);
    let told = folder.shown(&explained(&loaded.explained));
    for line in [
        "include = [\"upstreams.yaml\", \"sites/*\"]  # portcullis.toml:1",
        "upstream.one.servers = [\"h:1\"]  # upstreams.yaml:2",
        "site.one.names = [\"one\"]  # sites/b.toml:2",
        "site.two.upstream = \"two\"  # sites/c.json:2",
    ] {
        assert!(told.lines().any(|have| have == line), "{line} in:\n{told}");
    }
    let within = format!("{:?}", (&loaded.plan.sites, &loaded.plan.upstreams));
    for file in ["sites/one.pem", "sites/two.pem", "sites/two.sock"] {
        let path = folder.0.path().join(file);
        assert!(within.contains(&*path.to_string_lossy()), "{file} in {within}");
    }
}

#[test]
fn every_problem_of_every_file_is_told_where_it_stands() {
    let folder = whole();
    folder.write("sites/b.toml", &ONE.replace("names", "nammes"));
    folder.write(
        "sites/c.json",
        &TWO.replace("h:1", "h").replace("\"two\"]", "\"t wo\"]"),
    );
    let told = "sites/b.toml:2: site \"default\": unknown key \"nammes\"\n  hint: did you mean \"names\"?\n\
                sites/c.json:1: site \"t wo\": \"t wo\" is no DNS name\n";
    assert_eq!(folder.bad(), told);
    folder.write("sites/b.toml", "[[site]\n");
    folder.write("sites/c.json", "{\n");
    let told = "sites/b.toml:1: unclosed array table, expected `]`\nsites/c.json:2: EOF while parsing an object\n";
    assert_eq!(folder.bad(), told);
}

#[test]
fn what_is_set_twice_is_told_with_both_places() {
    let folder = whole();
    folder.write("portcullis.toml", &format!("log = {{ level = 'warn' }}\n{MAIN}"));
    folder.write("upstreams.yaml", &format!("log: {{ format: json }}\n{UPSTREAMS}"));
    assert_eq!(
        folder.load(&[]).unwrap().plan.log.format,
        LogFormat::Json,
        "tables merge"
    );
    folder.write("upstreams.yaml", &format!("log: {{ level: warn }}\n{UPSTREAMS}"));
    folder.write(
        "sites/b.toml",
        &format!("{ONE}[upstream.one]\nservers = []\n[listener]\n"),
    );
    let told = "sites/b.toml:6: upstream.one.servers stands at upstreams.yaml:3 already\n  hint: set it in one of both\n\
                sites/b.toml:7: listener stands at portcullis.toml:3 already\n  hint: set it in one of both\n\
                upstreams.yaml:1: log.level stands at portcullis.toml:1 already\n  hint: set it in one of both\n";
    assert_eq!(folder.bad(), told);
}

#[test]
fn each_file_is_read_once_and_none_includes_itself() {
    let once = "  hint: each file is included once, and none includes itself\n";
    let folder = whole();
    folder.write("portcullis.toml", "include = ['a.toml']");
    folder.write("a.toml", "include = ['b.yml']\n");
    folder.write("b.yml", "include: [portcullis.toml]\n");
    assert_eq!(
        folder.bad(),
        format!("b.yml:1: portcullis.toml is read already\n{once}")
    );
    folder.write("portcullis.toml", "include = [\n'*.toml', 'sites/../b.yml']");
    folder.write("b.yml", "");
    let told = format!(
        "portcullis.toml:2: portcullis.toml is read already\n{once}\
         portcullis.toml:2: sites/../b.yml is read already\n{once}"
    );
    assert_eq!(folder.bad(), told);
}

#[test]
fn a_file_must_be_there_and_a_pattern_may_match_nothing() {
    let folder = whole();
    let with = |include: &str| {
        folder.write(
            "portcullis.toml",
            &format!(
                "include = {include}\n{}",
                ONE.to_owned() + "[upstream.one]\nservers = ['h:1']\n[[listener]]\nlisten = ['127.0.0.1:1']\n"
            ),
        )
    };
    with("['none.toml']");
    assert_eq!(
        folder.bad(),
        "portcullis.toml:1: none.toml cannot be read: No such file or directory (os error 2)\n"
    );
    with("['none/*.toml']");
    let notices = folder.load(&[]).unwrap().notices;
    assert_eq!(
        folder.shown(&render(&notices)),
        "portcullis.toml:1: no file matches \"none/*.toml\"\n"
    );
    for (include, told) in [
        (
            "'a'",
            "portcullis.toml:1: include must be a list, not a string\n  hint: write it in brackets: [\"a\"]\n",
        ),
        (
            "[1]",
            "portcullis.toml:1: include takes the names of files, not an integer\n",
        ),
        ("['']", "portcullis.toml:1: include names no file\n"),
        (
            "['a***']",
            "portcullis.toml:1: include \"a***\" is no pattern: wildcards are either regular `*` or recursive `**`\n",
        ),
        (
            "['${NONE}']",
            "portcullis.toml:1: \"${NONE}\": the variable NONE is not set\n  hint: ${NONE:-DEFAULT} stands for DEFAULT where it is not\n",
        ),
    ] {
        with(include);
        assert_eq!(folder.bad(), told, "{include}");
    }
}

#[test]
fn a_chain_of_files_ends() {
    let folder = whole();
    folder.write("portcullis.toml", "include = ['0.toml']");
    for at in 0..20 {
        folder.write(&format!("{at}.toml"), &format!("include = ['{}.toml']", at + 1));
    }
    assert_eq!(
        folder.bad(),
        "15.toml:1: 16.toml is included too deep: 16 files name one another\n"
    );
}

#[test]
fn a_variable_may_name_what_is_included() {
    let folder = whole();
    folder.write("portcullis.toml", &MAIN.replace("sites/", "${SITES}/"));
    assert_eq!(folder.load(&[("SITES", "sites")]).unwrap().plan.sites.len(), 2);
}
