//! What policies may say: where nothing is required nothing is lenient, and what stands below only tightens.
use crate::kit::Case;
use portcullis_tls::policy::{Force, Refuse};

fn file(listener: &str, site: &str, route: &str) -> Case {
    let route = match route {
        "" => "upstream = 'b'".to_owned(),
        route => format!("[[site.route]]\nupstream = 'b'\npolicy = {{ {route} }}"),
    };
    let policy = |text: &str| match text {
        "" => String::new(),
        text => format!("policy = {{ {text} }}\n"),
    };
    Case::file(&format!(
        "[[listener]]\nname = 'web'\nlisten = ['127.0.0.1:1']\nmode = 'http'\n{}[[site]]\ncertificates = [{{ chain = 'a' }}]\n{}{route}\n[upstream.b]\nservers = ['h:1']\n",
        policy(listener),
        policy(site),
    ))
}

const REQUIRE: &str = "key_exchange = 'require'";
const REPORT: &str = "key_exchange = 'require', report_only = true";
const PAGE: &str = "key_exchange = 'require', refuse = 'page'";
const EXEMPT: &str =
    "key_exchange = 'require', exempt = [{ cidr = '192.0.2.0/24', until = '2027-03-31', reason = 'r' }]";

#[test]
fn what_only_tightens_is_taken() {
    let good = [
        (REPORT, "", ""),
        (REPORT, REQUIRE, ""),
        ("", REPORT, REQUIRE),
        ("", REPORT, REPORT),
        ("", REPORT, EXEMPT),
        (PAGE, PAGE, ""),
        (PAGE, REQUIRE, ""),
        (EXEMPT, EXEMPT, EXEMPT),
        (EXEMPT, REQUIRE, ""),
        // another rule than the one above
        (REQUIRE, "authentication = 'require', report_only = true", ""),
        ("", "authentication = 'require'", REPORT),
    ];
    for (listener, site, route) in good {
        file(listener, site, route).good();
    }
}

#[test]
fn what_loosens_or_means_nothing_is_told() {
    let nothing = "means nothing where nothing is required";
    let own = "is weaker than listener \"web\", which requires the same";
    let sites = "is weaker than its site, which requires the same";
    let day = "policy.exempt.until";
    let exempting = |inner: &str| format!("{REQUIRE}, exempt = [{{ {inner} }}]");
    let table = [
        (("report_only = true", "", ""), nothing.to_owned()),
        (("", "report_only = true", ""), nothing.to_owned()),
        (("", "refuse = 'page'", ""), nothing.to_owned()),
        ((REQUIRE, REPORT, ""), format!("policy report_only {own}")),
        ((REQUIRE, EXEMPT, ""), format!("policy exempt {own}")),
        ((REQUIRE, PAGE, ""), format!("policy refuse {own}")),
        ((REQUIRE, "", REPORT), format!("policy report_only {own}")),
        (("", REQUIRE, EXEMPT), format!("policy exempt {sites}")),
        (
            ("", "", "key_exchange = 'require', refuse = 'alert'"),
            "policy refuse \"alert\" means nothing on a route".into(),
        ),
        (
            ("", "key_exchange = 'require', refuse = 'door'", ""),
            "unknown word \"door\"".into(),
        ),
        (
            ("", "key_exchange = 'require', exempt = {}", ""),
            "must be a list of tables".into(),
        ),
        (
            ("", "key_exchange = 'require', exempt = ['10.0.0.0/8']", ""),
            "must hold tables".into(),
        ),
        (
            ("", &exempting("until = '2027-03-31'"), ""),
            "an exemption names nobody".into(),
        ),
        (
            ("", &exempting("cidr = '10.0.0.0/8'"), ""),
            "an exemption has no end".into(),
        ),
        (
            ("", &exempting("cidr = '10.0.0.0/8', until = '2027-02-29'"), ""),
            format!("{day} \"2027-02-29\" is no day"),
        ),
        (
            ("", &exempting("cidr = '10.0.0.1/8', until = '2027-03-31'"), ""),
            "has bits set behind its prefix".into(),
        ),
        (
            ("", &exempting("cidr = [], until = '2027-03-31'"), ""),
            "policy.exempt.cidr is empty".into(),
        ),
        (
            ("", &exempting("sni = 'a b', until = '2027-03-31'"), ""),
            "is no DNS name".into(),
        ),
        (
            ("", &exempting("identity = 'agent', until = '2027-03-31'"), ""),
            "says neither subject, DNS nor URI".into(),
        ),
        (
            ("", &exempting("identity = 'DNS:a', until = '2027-03-31'"), ""),
            "policy exempt names an identity, but no client certificate is asked for".into(),
        ),
        (
            (
                "",
                &exempting("who = 'me', cidr = '10.0.0.0/8', until = '2027-03-31'"),
                "",
            ),
            "unknown key \"policy.exempt.who\"".into(),
        ),
    ];
    for ((listener, site, route), expected) in table {
        let problems = file(listener, site, route).bad();
        let errors: Vec<&str> = problems.lines().filter(|line| !line.starts_with("  hint")).collect();
        assert_eq!(errors.len(), 1, "{problems}");
        assert!(errors[0].contains(&expected), "{expected}:\n{problems}");
    }
}

#[test]
fn who_speaks_no_http_reads_no_page() {
    let text = |listener: &str, site: &str| {
        format!(
            "[[listener]]\nname = 'web'\nlisten = ['127.0.0.1:1']\n{listener}\n[[site]]\ncertificates = [{{ chain = 'a' }}]\nupstream = 'b'\n{site}\n[upstream.b]\nservers = ['h:1']\n"
        )
    };
    let page = format!("policy = {{ {PAGE} }}");
    for (listener, site, expected) in [
        (
            page.as_str(),
            "",
            "policy refuse \"page\" means nothing where no HTTP is spoken",
        ),
        (
            "",
            page.as_str(),
            "policy refuse \"page\" means nothing where no HTTP is spoken",
        ),
        (
            &format!("mode = 'http'\n{page}"),
            "mode = 'tcp'",
            "refuses by a page, which a tcp site cannot send",
        ),
    ] {
        let problems = Case::file(&text(listener, site)).bad();
        assert!(problems.contains(expected), "{expected}:\n{problems}");
    }
}

#[test]
fn an_upstream_lets_nobody_off() {
    for line in ["report_only = true", "exempt = []", "refuse = 'page'"] {
        let text = format!(
            "[[listener]]\nlisten = ['127.0.0.1:1']\n[[site]]\ncertificates = [{{ chain = 'a' }}]\nupstream = 'b'\n[upstream.b]\nservers = ['h:1']\ntls = {{ policy = {{ key_exchange = 'require', {line} }} }}\n"
        );
        let problems = Case::file(&text).bad();
        let expected = match line {
            "exempt = []" => "exempt lets nobody off",
            _ => "policy report_only, exempt and refuse mean nothing towards an upstream",
        };
        assert!(problems.contains(expected), "{line}:\n{problems}");
    }
}

#[test]
fn a_policy_is_what_it_says_and_told_with_its_place() {
    let loaded = file("", &format!("{REPORT}, exempt = [{{ cidr = ['192.0.2.0/24', '10.0.0.0/8'], sni = '*.a.test', until = '2027-03-31', reason = 'r' }}]"), PAGE).good();
    let site = &loaded.plan.sites[0];
    assert_eq!(
        (site.policy.force, site.policy.refuse),
        (Force::ReportOnly, Refuse::Alert)
    );
    let [exemption] = site.policy.exempt.as_slice() else {
        panic!("one exemption")
    };
    // 2027-04-01T00:00:00Z
    assert_eq!(
        (exemption.until, exemption.networks.len(), exemption.reason.as_str()),
        (1_806_537_600, 2, "r")
    );
    let [route] = site.service.demands().collect::<Vec<_>>()[..] else {
        panic!("one route")
    };
    assert_eq!((route.force, route.refuse), (Force::Enforced, Refuse::Page));
    let told: Vec<(&str, &str)> = loaded
        .explained
        .iter()
        .filter(|value| value.key.starts_with("site.default.policy."))
        .map(|value| (value.key.as_str(), value.value.as_str()))
        .collect();
    assert!(told.contains(&("site.default.policy.report_only", "true")), "{told:?}");
    let exempt = "\"192.0.2.0/24, 10.0.0.0/8, *.a.test until 2027-03-31\"";
    assert!(told.contains(&("site.default.policy.exempt", exempt)), "{told:?}");
}
