//! The report for people.
use super::words::{bytes, counted, grouped, percent, share};
use crate::colour::{BAD, FAINT, GOOD, HEADING, WARN, in_style};
use portcullis_probe::table;
use portcullis_proxy::report::{Adoption, Basis, Breaking, Class, ClientEntry, Downgrade, Shares, Since, WouldRefuse};
use std::fmt::Write;

/// So many lines of clients, downgrades and refusals; the rest is counted.
const LINES: usize = 20;
/// What a wide cell is cut to.
const CELL: usize = 44;

/// All of it.
pub(super) fn render(figures: &Adoption, since: Since) -> String {
    let sections = [
        totals(figures),
        over_time(figures),
        sites(figures),
        classical(figures),
        breaking(figures, since),
        exposure(figures),
        downgraded(figures),
        upstreams(figures),
        refusals(figures),
    ];
    let head = format!("{} to {}\n\n", &figures.from, &figures.to);
    let told: Vec<String> = sections.into_iter().filter(|section| !section.is_empty()).collect();
    match told.is_empty() {
        true => format!("no connection with TLS ended {since}\n"),
        false => head + &told.join("\n"),
    }
}

/// A heading and what stands below it; nothing where there is nothing.
fn section(heading: &str, body: &str) -> String {
    match body {
        "" => String::new(),
        body => format!("{}\n{body}", in_style(HEADING, heading)),
    }
}

fn rows(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(headings).chain(rows).collect();
    let text = table::aligned(&lines);
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn totals(figures: &Adoption) -> String {
    let totals = &figures.totals;
    if totals.connections.total() == 0 {
        return String::new();
    }
    let line = |name: &str, shares: &Shares, shown: fn(u64) -> String| {
        let class = |n: u64| vec![shown(n), share(n, shares.total())];
        let cells = [shares.full, shares.confidential, shares.none].map(class);
        std::iter::once(name.to_owned())
            .chain(cells.into_iter().flatten())
            .collect()
    };
    let mut lines: Vec<Vec<String>> = vec![line("connections", &totals.connections, grouped)];
    if totals.requests.total() > 0 {
        lines.push(line("requests", &totals.requests, grouped));
    }
    lines.push(line("bytes", &totals.bytes, bytes));
    let headings = ["", "full", "", "confidential", "", "none", ""];
    section("who is quantum-safe", &rows(&headings, lines))
}

/// A bar a period: the share of connections with a quantum-safe key exchange.
fn over_time(figures: &Adoption) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let periods = &figures.over_time;
    let seen: Vec<_> = periods.iter().filter(|p| p.split.connections.total() > 0).collect();
    let ([first, .., last], true) = (&*seen, periods.len() > 1) else {
        return String::new();
    };
    let bar = |shares: &Shares| match shares.total() {
        0 => ' ',
        total => BARS[(shares.safe() * (BARS.len() as u64 - 1) / total) as usize],
    };
    let bars: String = periods.iter().map(|p| bar(&p.split.connections)).collect();
    let by_hour = first.seconds < 86_400;
    let when = |from: &str| from[..if by_hour { 16 } else { 10 }].replace('T', " ");
    let at = |shares: &Shares| share(shares.safe(), shares.total());
    let body = format!(
        "  {bars}\n  {} on {}, {} on {}, by {}\n",
        at(&first.split.connections),
        when(&first.from),
        at(&last.split.connections),
        when(&last.from),
        if by_hour { "the hour" } else { "the day" },
    );
    section("connections with a quantum-safe key exchange, over time", &body)
}

fn sites(figures: &Adoption) -> String {
    let shown = figures.sites.iter().filter(|site| site.split.connections.total() > 0);
    let lines = shown.map(|site| {
        let (connections, bytes_of) = (&site.split.connections, &site.split.bytes);
        vec![
            site.site.clone(),
            site.label.clone(),
            grouped(connections.total()),
            share(connections.full, connections.total()),
            share(connections.confidential, connections.total()),
            share(connections.none, connections.total()),
            share(bytes_of.none, bytes_of.total()),
        ]
    });
    let headings = [
        "site",
        "label",
        "connections",
        "full",
        "confidential",
        "none",
        "none of bytes",
    ];
    section("by site", &rows(&headings, lines.collect()))
}

fn classical(figures: &Adoption) -> String {
    let classical = || figures.clients.iter().filter(|c| c.safety == Class::None);
    let still: Vec<&ClientEntry> = classical().filter(|c| c.still).collect();
    let lines = still.iter().take(LINES).map(|c| {
        vec![
            c.client.clone(),
            cut(&called(&c.identity, &c.network, &c.user_agents)),
            c.guess.clone(),
            c.site.clone(),
            grouped(c.connections),
            bytes(c.bytes),
            c.last_seen[..10].to_owned(),
            c.reason.clone(),
        ]
    });
    let headings = [
        "",
        "client",
        "looks like",
        "site",
        "connections",
        "bytes",
        "last seen",
        "why",
    ];
    let mut body = rows(&headings, lines.collect());
    let more = |n: usize, what: &str| match n {
        0 => String::new(),
        n => format!("  {}\n", in_style(FAINT, &format!("{what}: {}", grouped(n as u64)))),
    };
    body += &more(still.len().saturating_sub(LINES), "more, in --json and --csv");
    body += &more(
        classical().filter(|c| !c.still).count(),
        "classical before, and not any more",
    );
    let others = figures.others.connections.none as usize;
    body += &more(others, "connections of clients that the ledger had no room to name");
    if body.is_empty() && figures.totals.connections.total() > 0 {
        body = format!("  {}\n", in_style(GOOD, "nobody"));
    }
    section("who is still classical, the heaviest first", &body)
}

/// Whom a person would recognise.
fn called(identity: &str, network: &str, agents: &[String]) -> String {
    match (identity, agents) {
        ("", []) => or_dash(network),
        ("", [agent, ..]) => format!("{} {agent}", or_dash(network)),
        (identity, _) => identity.to_owned(),
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text.to_owned()
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CELL) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

fn breaking(figures: &Adoption, since: Since) -> String {
    let mut body = String::new();
    for site in figures.sites.iter().take(LINES) {
        let totals = (site.split.connections.total(), site.split.bytes.total());
        // of a passthrough site the shares are not known, but what would break is
        let totals = match totals {
            (0, _) => (figures.unknown.connections, figures.unknown.bytes),
            totals => totals,
        };
        if totals.0 > 0 {
            body += &site_breaking(&site.site, totals, (&site.would_refuse, since));
        }
    }
    let more = figures.sites.len().saturating_sub(LINES);
    if more > 0 {
        let _ = writeln!(body, "  {more} more sites, which --json lists");
    }
    section("what would break", &body)
}

fn site_breaking(site: &str, totals: (u64, u64), (would, since): (&WouldRefuse, Since)) -> String {
    let mut text = requiring("PQ key exchange", (site, since), &would.key_exchange, totals);
    text += &requiring(
        "PQ authentication",
        (site, since),
        &would.authentication.refused,
        totals,
    );
    let unproven = &would.authentication.unproven;
    if unproven.connections > 0 {
        let _ = writeln!(
            text,
            "    {}",
            in_style(WARN, &format!("and {} more offer ML-DSA, unproven", clients(unproven)))
        );
    }
    text
}

fn requiring(what: &str, (site, since): (&str, Since), breaking: &Breaking, totals: (u64, u64)) -> String {
    if breaking.connections == 0 {
        let nobody = format!("requiring {what} on {site} now would have refused nobody {since}");
        return format!("  {}\n", in_style(GOOD, &nobody));
    }
    let refused = format!(
        "requiring {what} on {site} now would refuse {}, {} of connections, {} of bytes {since}",
        clients(breaking),
        percent(breaking.connections, totals.0),
        percent(breaking.bytes, totals.1),
    );
    format!("  {}\n", in_style(BAD, &refused))
}

/// `14 clients`; where none of them has a name, their connections.
fn clients(breaking: &Breaking) -> String {
    match breaking.clients {
        0 => format!(
            "clients without a name ({})",
            counted(breaking.connections, "connection")
        ),
        n => counted(n, "client"),
    }
}

fn exposure(figures: &Adoption) -> String {
    let exposure = &figures.exposure;
    if exposure.classical_bytes == 0 {
        return String::new();
    }
    let mut body = format!(
        "  {} went under a classical key exchange: who recorded them can read them once quantum computers can\n",
        bytes(exposure.classical_bytes)
    );
    let mut by_site: Vec<_> = exposure.by_site.iter().filter(|(_, n)| **n > 0).collect();
    by_site.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let cells = |name: String, n: u64| vec![name, bytes(n), share(n, exposure.classical_bytes)];
    let sites = by_site.iter().take(LINES).map(|(site, n)| cells((*site).clone(), **n));
    let labels = exposure
        .by_label
        .iter()
        .map(|(label, n)| cells(format!("label {label}"), *n));
    body += &rows(&["site", "bytes", "of them"], sites.chain(labels).collect());
    section("harvest now, decrypt later", &body)
}

fn downgraded(figures: &Adoption) -> String {
    let mut body = String::new();
    for d in figures.downgraded.iter().take(LINES) {
        body += &downgrade(d);
    }
    let more = figures.downgraded.len().saturating_sub(LINES);
    if more > 0 {
        let _ = writeln!(body, "  {more} more, which --json lists");
    }
    section("went back", &body)
}

fn downgrade(d: &Downgrade) -> String {
    let who = called(&d.identity, &d.network, &d.user_agents);
    let guess = match (d.is_guess, d.by) {
        (false, _) => String::new(),
        (true, Basis::Identity) => " (a guess: some of its connections are safe since)".to_owned(),
        (true, Basis::Fingerprint) => format!(" (a guess: the same library, {}, and network)", d.guess),
        (true, Basis::UserAgent) => format!(" (a guess: the same user agent and network, now {})", d.guess),
    };
    let text = format!(
        "{who} on {}: {} until {}, classical since {}: {}; {}, {}{guess}",
        d.site,
        d.safe_group,
        &d.safe_until[..10],
        &d.classical_since[..10],
        d.reason,
        counted(d.connections, "connection"),
        bytes(d.bytes),
    );
    format!("  {}\n", in_style(if d.is_guess { WARN } else { BAD }, &text))
}

fn upstreams(figures: &Adoption) -> String {
    let lines = figures.upstreams.iter().map(|u| {
        let tls = |word: &str| {
            if u.version.is_empty() {
                "-".to_owned()
            } else {
                word.to_owned()
            }
        };
        vec![
            u.upstream.clone(),
            u.server.clone(),
            grouped(u.connections),
            tls(&u.version),
            tls(&u.group),
            if u.version.is_empty() {
                "no TLS".to_owned()
            } else {
                u.key_exchange.clone()
            },
            tls(&u.authentication),
            u.last_seen[..10].to_owned(),
        ]
    });
    let headings = [
        "upstream",
        "server",
        "connections",
        "TLS",
        "group",
        "key exchange",
        "authentication",
        "last seen",
    ];
    section("towards upstreams", &rows(&headings, lines.collect()))
}

fn refusals(figures: &Adoption) -> String {
    let refusals = &figures.refusals;
    let mut lines: Vec<(String, u64)> = Vec::new();
    lines.extend(
        refusals
            .refused
            .iter()
            .map(|(rule, n)| (format!("connections refused by {rule}"), *n)),
    );
    lines.push(("requests refused by a route's policy".into(), refusals.requests_refused));
    let reported = refusals.report_only.iter();
    lines.extend(reported.map(|(rule, n)| (format!("connections that report_only let in, against {rule}"), *n)));
    lines.push((
        "requests that report_only let through".into(),
        refusals.requests_would_refuse,
    ));
    lines.push(("connections that an exemption let in".into(), refusals.exempt));
    lines.push(("handshakes that failed".into(), refusals.failed));
    lines.push((
        "of them those in which the client refused an ML-DSA chain".into(),
        refusals.ml_dsa_refused,
    ));
    lines.push((
        "connections with a certificate that is not ours to see".into(),
        figures.unknown.connections,
    ));
    lines.push(("connections without TLS".into(), figures.plain.connections));
    let told = lines.into_iter().filter(|(_, n)| *n > 0);
    let body: String = told.map(|(what, n)| format!("  {what}: {}\n", grouped(n))).collect();
    section("besides", &body)
}
