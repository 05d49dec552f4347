//! The files of `examples/deploy` against the real program, as far as that goes without systemd, Docker and a cluster.
use crate::{
    CURL,
    page::blocks,
    place::{self, Place, inside, open_to_all},
};
use portcullis_e2e::{
    command::run,
    peers::{Home, folder},
    process::binary,
};
use portcullis_proxy::config::{Source, load_text, render};
use serde_json::Value;
use std::{fs, os::unix::fs::chown, process::Command, time::Duration};

const EXAMPLE: &str = "deploy";
const PYTHON: (Home, &str) = (Home::Python, "python");
const ASK: &str =
    "curl --silent --show-error --fail --verbose --cacert pki/ca.pem https://localhost:8443/portcullis.toml";

/// The certificates of the page, and a service on 6000 that knows nothing of TLS.
fn prepared(programs: &[(Home, &'static str)]) -> Option<Place> {
    let mut place = Place::set(EXAMPLE, &[programs, &[PYTHON, CURL]].concat())?;
    place.follow(&blocks(&place::page(EXAMPLE)));
    place.serve("python -u -m http.server --bind 127.0.0.1 6000", &["Serving"]);
    Some(place)
}

/// A client gets through, by X25519MLKEM768 and ML-DSA.
fn assert_served(place: &Place) {
    let said = place.run(ASK).all();
    assert!(said.contains("X25519MLKEM768 / id-ml-dsa-65"), "{said}");
    assert!(said.contains("[[listener]]"), "{said}");
}

/// What whoever stops it must wait for, and a little more.
fn assert_patient(patience: u64, configuration: &str) {
    let loaded = load_text(&Source::default(), configuration);
    let plan = loaded.unwrap_or_else(|problems| panic!("{}", render(&problems))).plan;
    let needed = plan.shutdown.delay + plan.shutdown.grace;
    assert!(Duration::from_secs(patience) > needed, "{patience} s for {needed:?}");
}

#[test]
fn the_unit_is_one_and_its_commands_run() {
    let Some(mut place) = prepared(&[(Home::Tool, "systemd-analyze")]) else {
        return;
    };
    let here = place.path().display().to_string();
    let unit = place::text(EXAMPLE, "portcullis.service");
    let unit = unit.replace("/usr/local/bin/portcullis", &binary().display().to_string());
    let unit = unit.replace("/etc/portcullis", &here);
    let file = place.path().join("portcullis.service");
    fs::write(&file, &unit).expect("the folder takes a file");
    let verified = run(Command::new("systemd-analyze").arg("verify").arg(&file), b"");
    assert!(verified.status.success(), "{}", verified.all());
    assert_eq!(verified.all(), "", "it has nothing to say");
    let line = |key: &str| {
        let value = unit.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
        value.unwrap_or_else(|| panic!("{key} is in the unit"))
    };
    let within = |command: &str| format!("RUNTIME_DIRECTORY={here} {command}");
    place.run(line("ExecStartPre"));
    place.serve(&within(line("ExecStart")), &["started"]);
    assert_served(&place);
    place.run(&within(line("ExecReload")));
    place.serving(&within(line("ExecStart"))).line("reloaded");
    let patience = line("TimeoutStopSec").parse().expect("seconds");
    assert_patient(patience, &place::text(EXAMPLE, "portcullis.toml"));
}

#[test]
fn the_image_runs_with_the_variables_of_the_page() {
    let Some(mut place) = prepared(&[]) else { return };
    let dockerfile = place::text(EXAMPLE, "Dockerfile");
    let instruction = |name: &str| {
        let value = dockerfile
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        value.unwrap_or_else(|| panic!("{name} is in the Dockerfile"))
    };
    let words = |list: &str| -> Vec<String> { serde_json::from_str(list).expect("the form of a JSON list") };
    let page = place::page(EXAMPLE);
    let line = page
        .lines()
        .find(|line| line.starts_with("$ docker run"))
        .expect("it is on the page");
    let given = line.split(" -e ").skip(1).filter_map(|rest| rest.split(' ').next());
    let variables: Vec<&str> = given.chain([instruction("ENV")]).collect();
    assert_eq!(variables.len(), 5);
    let user = instruction("USER");
    let number = user.split(':').next().and_then(|number| number.parse().ok());
    let own = |file: &str| chown(place.path().join(file), number, number).expect("root gives files away");
    fs::copy(binary(), place.path().join("portcullis")).expect("the folder takes a file");
    fs::create_dir(place.path().join("run")).expect("the folder takes another");
    for file in ["run", "pki/localhost-mldsa65.key", "pki/localhost-ecdsa-p256.key"] {
        own(file);
    }
    open_to_all(&place.path().join("portcullis"));
    // the same program, user and variables, with the paths of the image inside the root
    let there = inside(place.path()).display().to_string();
    let contained = |command: &[String]| {
        let variables = variables.join(" ").replace("/certs", &format!("{there}/pki"));
        let variables = variables.replace("/run/portcullis", &format!("{there}/run"));
        let variables = variables.replace("host.docker.internal", "127.0.0.1");
        let root = folder().join("trixie");
        let command = command.join(" ");
        format!(
            "chroot --userspec={user} {} env -i {variables} {there}/{command}",
            root.display()
        )
    };
    let serve = contained(&[words(instruction("ENTRYPOINT")), words(instruction("CMD"))].concat());
    place.serve(&serve, &["started"]);
    assert_served(&place);
    place.run(&contained(&words(instruction("HEALTHCHECK CMD"))));
    assert!(variables[0].ends_with(instruction("EXPOSE")), "{variables:?}");
}

const TO_JSON: &str = "import json, yaml; print(json.dumps(list(yaml.safe_load_all(open('kubernetes.yaml')))))";

#[test]
fn the_manifest_holds_together_and_its_configuration_answers_its_probes() {
    let Some(mut place) = prepared(&[]) else { return };
    let objects = place.run(&format!("python -c \"{TO_JSON}\"")).stdout;
    let objects: Vec<Value> = serde_json::from_str(&objects).expect("what Python writes");
    let of_kind = |kind: &str| {
        objects
            .iter()
            .find(|object| object["kind"] == kind)
            .expect("it is there")
    };
    let template = &of_kind("Deployment")["spec"]["template"];
    let pod = &template["spec"];
    let container = named(&pod["containers"], "portcullis");
    let configuration = of_kind("ConfigMap")["data"]["portcullis.toml"]
        .as_str()
        .expect("a text");
    let here = place.path().display().to_string();
    fs::write(
        place.path().join("portcullis.toml"),
        configuration.replace("/certs", &format!("{here}/pki")),
    )
    .expect("the folder takes a file");
    let arguments = container["args"].as_array().expect("a list").iter();
    let arguments: Vec<&str> = arguments.map(|word| word.as_str().expect("a text")).collect();
    let command = format!("portcullis {}", arguments.join(" ").replace("/etc/portcullis", &here));
    place.serve(&command, &["started"]);
    assert_served(&place);
    for probe in ["readinessProbe", "livenessProbe"] {
        let asks = &container[probe]["httpGet"];
        let port = &named(&container["ports"], asks["port"].as_str().expect("a name"))["containerPort"];
        let path = asks["path"].as_str().expect("a path");
        place.run(&format!(
            "curl --silent --show-error --fail http://127.0.0.1:{port}{path}"
        ));
    }
    for mount in container["volumeMounts"].as_array().expect("a list") {
        named(&pod["volumes"], mount["name"].as_str().expect("a name"));
    }
    let service = &of_kind("Service")["spec"];
    let port = named(
        &container["ports"],
        service["ports"][0]["targetPort"].as_str().expect("a name"),
    );
    assert_eq!(port["containerPort"], 8443);
    assert_eq!(service["selector"], template["metadata"]["labels"]);
    let patience = pod["terminationGracePeriodSeconds"].as_u64().expect("seconds");
    assert_patient(patience, configuration);
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let mut list = list.as_array().expect("a list").iter();
    list.find(|one| one["name"] == name)
        .unwrap_or_else(|| panic!("nothing is called {name}"))
}
