//! Ten thousand sites load, with work that grows as the file does.
use crate::kit::Case;
use portcullis_proxy::plan::ServicePlan;

fn sites(count: usize, upstream: &str) -> Case {
    let mut text = "[[listener]]\nname = 'web'\nlisten = ['127.0.0.1:1']\n".to_owned();
    for site in 0..count {
        let names = format!("['s{site}.example.com', '*.s{site}.example.com']");
        let site_lines =
            format!("names = {names}\ncertificates = [{{ chain = 'a' }}]\nupstream = '{upstream}{site}'\n");
        text += &format!("[[site]]\n{site_lines}[upstream.u{site}]\nservers = ['127.0.0.1:1']\n");
    }
    Case::file(&text)
}

#[test]
fn ten_thousand_sites_are_told_in_proportion() {
    let told = |count: usize| {
        let loaded = sites(count, "u").good();
        assert_eq!((loaded.plan.sites.len(), loaded.plan.upstreams.len()), (count, count));
        let last = loaded.plan.sites.last().expect("a site");
        assert_eq!(last.service, ServicePlan::Tcp(count - 1));
        assert_eq!(last.names.len(), 2);
        loaded.explained.len()
    };
    let (one, two, many) = (told(1), told(2), told(10_000));
    assert_eq!(many, one + (two - one) * 9_999);
}

#[test]
fn ten_thousand_sites_of_requests_load_with_their_routes() {
    let mut text =
        "[[listener]]\nlisten = ['127.0.0.1:1']\nmode = 'http'\n[upstream.b]\nservers = ['h:1']\n".to_owned();
    for site in 0..10_000 {
        text += &format!("[[site]]\nnames = ['s{site}.example.com']\ncertificates = [{{ chain = 'a' }}]\n");
        text += "[[site.route]]\npath = '/api/'\nupstream = 'b'\n[[site.route]]\nrespond = 'health'\n";
    }
    let plan = Case::file(&text).good().plan;
    let routes = plan.sites.iter().map(|site| match &site.service {
        ServicePlan::Http(http) => http.routes.len(),
        ServicePlan::Tcp(_) | ServicePlan::Passthrough(_) => 0,
    });
    assert_eq!(routes.sum::<usize>(), 20_000);
}

#[test]
fn ten_thousand_slips_are_all_told_and_only_the_first_are_guessed_at() {
    let problems = sites(10_000, "w").bad();
    let (hints, errors): (Vec<&str>, Vec<&str>) = problems.lines().partition(|line| line.starts_with("  hint"));
    assert_eq!((errors.len(), hints.len()), (10_000, 100));
}

#[test]
fn ten_thousand_sites_load_in_every_form() {
    let site = |at: usize| {
        format!("{{\"names\": [\"s{at}.example.com\"],\n\"certificates\": \"self-signed\", \"upstream\": \"b\"}}")
    };
    let sites: Vec<String> = (0..10_000).map(site).collect();
    let text = format!(
        "{{\"listener\": [{{\"listen\": [\"127.0.0.1:1\"]}}],\n\"upstream\": {{\"b\": {{\"servers\": [\"127.0.0.1:2\"]}}}},\n\"site\": [{}]}}",
        sites.join(",\n")
    );
    // JSON is YAML as well.
    for name in ["a.json", "a.yaml"] {
        let loaded = Case::named(name, &text).good();
        assert_eq!(loaded.plan.sites.len(), 10_000, "{name}");
    }
}
