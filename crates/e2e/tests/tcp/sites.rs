//! Which site a name leads to.
use crate::{Stage, ending};
use portcullis_e2e::{
    client::{Client, Offer},
    front::certificates,
    upstream::Manner,
};

/// Sites: an exact name, a wildcard, and perhaps a default.
fn stage(default: &str) -> Stage {
    Stage::set(Manner::Echo, |pki, front| {
        let certificates = certificates(&crate::both(pki));
        let site = |name: &str, names: &str| {
            format!("[[site]]\nname = {name:?}\n{names}\n{certificates}\nupstream = \"back\"")
        };
        front
            .site(r#"names = ["a.test", "exact.example.test"]"#)
            .more(&site("wild", r#"names = ["*.example.test"]"#))
            .more(&default.replace("SITE", &site("default", "")))
    })
}

fn asking(name: Option<&str>) -> Offer {
    Offer {
        name: name.map(str::to_owned),
        ..Offer::default()
    }
}

fn site_of(stage: &Stage, name: Option<&str>) -> String {
    let mut conversation = stage.connect(asking(name));
    conversation.echo(b"where am I");
    let local = conversation.local();
    conversation.close();
    let record = stage.proxy.record(local);
    let sni = name.unwrap_or_default().trim_end_matches('.').to_lowercase();
    assert_eq!(record["sni"], sni);
    record["site"].as_str().expect("a text").to_owned()
}

#[test]
fn exact_then_wildcard_of_one_label_then_default() {
    let stage = stage("SITE");
    let table = [
        (Some("a.test"), "site"),
        (Some("A.Test"), "site"),
        (Some("exact.example.test"), "site"),
        (Some("other.example.test"), "wild"),
        (Some("two.labels.example.test"), "default"),
        (Some("example.test"), "default"),
        (Some("unheard.of"), "default"),
        (None, "default"),
    ];
    for (name, site) in table {
        assert_eq!(site_of(&stage, name), site, "{name:?}");
    }
}

#[test]
fn without_a_default_site_other_names_are_unrecognized() {
    let stage = stage("");
    for name in [Some("unheard.of"), Some("two.labels.example.test"), None] {
        let failed = Client::new(asking(name)).connect(stage.proxy.address()).err();
        // unrecognized_name
        assert_eq!(failed.expect("no site").alert, Some(112), "{name:?}");
    }
    assert_eq!(site_of(&stage, Some("a.test")), "site");
    let lost = stage.proxy.all_records().into_iter().filter(|r| r["outcome"] != "ok");
    let endings: Vec<_> = lost.map(|r| (ending(&r)[1].to_owned(), r["site"].clone())).collect();
    assert_eq!(endings, vec![("route".to_owned(), "none".into()); 3]);
    assert_eq!(stage.upstream.connections(), 1);
}
