//! One line for each client, site and class: RFC 4180, and harmless in a spreadsheet.
use portcullis_proxy::report::{Adoption, ClientEntry};

const COLUMNS: [&str; 17] = [
    "client",
    "identity",
    "ja4",
    "network",
    "user_agents",
    "guess",
    "site",
    "safety",
    "still",
    "reason",
    "offered_groups",
    "versions",
    "connections",
    "requests",
    "bytes",
    "first_seen",
    "last_seen",
];

/// All clients, a heading first.
pub(super) fn render(figures: &Adoption) -> String {
    let mut text = line(&COLUMNS.map(str::to_owned));
    for entry in &figures.clients {
        text.push_str(&line(&cells(entry)));
    }
    text
}

fn cells(entry: &ClientEntry) -> [String; COLUMNS.len()] {
    [
        entry.client.clone(),
        entry.identity.clone(),
        entry.ja4.clone(),
        entry.network.clone(),
        entry.user_agents.join(" | "),
        entry.guess.clone(),
        entry.site.clone(),
        entry.safety.as_str().to_owned(),
        entry.still.to_string(),
        entry.reason.clone(),
        entry.offered_groups.join(" "),
        entry.versions.join(" "),
        entry.connections.to_string(),
        entry.requests.to_string(),
        entry.bytes.to_string(),
        entry.first_seen.clone(),
        entry.last_seen.clone(),
    ]
}

fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    cells.join(",") + "\r\n"
}

/// In quotes, with an apostrophe before what a spreadsheet would compute: peers choose some of these strings.
fn quoted(cell: &str) -> String {
    let guard = match cell
        .trim_start_matches(' ')
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%'])
    {
        true => "'",
        false => "",
    };
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled_and_formulas_are_text() {
        let table = [
            ("plain", "\"plain\""),
            ("", "\"\""),
            ("a,b\"c\"", "\"a,b\"\"c\"\"\""),
            ("=HYPERLINK(1)", "\"'=HYPERLINK(1)\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("  =1", "\"'  =1\""),
            ("\t=1", "\"'\t=1\""),
            ("CN==1", "\"CN==1\""),
        ];
        for (cell, expected) in table {
            assert_eq!(quoted(cell), expected);
        }
    }

    #[test]
    fn every_line_has_a_cell_for_each_column() {
        let figures = crate::report::tests::figures();
        let text = render(&figures);
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 1 + figures.clients.len());
        assert!(lines[0].starts_with("\"client\",\"identity\",\"ja4\""), "{text}");
        for line in lines {
            assert_eq!(line.matches("\",\"").count() + 1, COLUMNS.len(), "{line}");
        }
        assert!(text.contains("\"'=cmd|' /C calc'!A0\""), "{text}");
    }
}
