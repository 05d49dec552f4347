//! Configuration as a user meets it: what files, flags and variables mean, and what is said of mistakes.
#[path = "config/filled.rs"]
mod filled;
#[path = "config/forms.rs"]
mod forms;
#[path = "config/guests.rs"]
mod guests;
#[path = "config/http.rs"]
mod http;
#[path = "config/include.rs"]
mod include;
#[path = "config/kit.rs"]
mod kit;
#[path = "config/mistakes.rs"]
mod mistakes;
#[path = "config/names.rs"]
mod names;
#[path = "config/policy.rs"]
mod policy;
#[path = "config/readme.rs"]
mod readme;
#[path = "config/scale.rs"]
mod scale;
#[path = "config/sources.rs"]
mod sources;
#[path = "config/spec.rs"]
mod spec;

use kit::Case;
use portcullis_proxy::plan::{Address, CertificateFiles, Certificates, Limits, Mode, ServicePlan};
use portcullis_tls::profile::Profile;
use std::{path::PathBuf, time::Duration};

const BENCH: &str = "
workers = 1
[log]
level = 'error'
[[listener]]
name = 'bench'
listen = ['127.0.0.1:8420']
mode = 'tcp'
limits = { connections = 30000, per_ip = 30000, idle = '600s' }
[[site]]
names = ['localhost']
listeners = ['bench']
certificates = [{ chain = 'a.pem', key = 'a.key' }]
tls = { profile = 'modern', groups = ['X25519MLKEM768', 'X25519'] }
upstream = 'b'
[upstream.b]
servers = ['127.0.0.1:9100']
";

#[test]
fn a_file_becomes_the_plan_it_describes() {
    let loaded = Case::file(BENCH).good();
    let plan = loaded.plan;
    assert_eq!(plan.workers, Some(1));
    let [listener] = plan.listeners.as_slice() else {
        panic!("one listener")
    };
    assert_eq!(listener.name, "bench");
    assert_eq!(listener.listen, [Address::Ip("127.0.0.1:8420".parse().unwrap())]);
    assert_eq!(
        (listener.mode, listener.plain, &listener.policy),
        (Mode::Tcp, false, &None)
    );
    let limits = Limits {
        connections: Some(30000),
        per_ip: 30000,
        handshakes_per_second: 0,
        hello: Some(Duration::from_secs(10)),
        handshake: Some(Duration::from_secs(10)),
        idle: Some(Duration::from_secs(600)),
    };
    assert_eq!(listener.limits, limits);
    let [site] = plan.sites.as_slice() else {
        panic!("one site")
    };
    assert_eq!(
        (site.name.as_str(), site.names.as_slice()),
        ("localhost", ["localhost".to_owned()].as_slice())
    );
    let files = CertificateFiles {
        chain: PathBuf::from("a.pem"),
        key: PathBuf::from("a.key"),
        passphrase: None,
    };
    assert_eq!(site.certificates, Certificates::Files(vec![files]));
    assert_eq!(site.profile, Profile::Modern);
    let groups: Vec<String> = site.tls.groups.iter().map(ToString::to_string).collect();
    assert_eq!(groups, ["X25519MLKEM768", "X25519"]);
    assert_eq!(site.listeners.as_slice(), [0]);
    assert_eq!(site.service, ServicePlan::Tcp(0));
    let [server] = plan.upstreams[0].servers.as_slice() else {
        panic!("one server")
    };
    assert_eq!(server.address, Address::Ip("127.0.0.1:9100".parse().unwrap()));
    assert_eq!(loaded.notices, []);
}
