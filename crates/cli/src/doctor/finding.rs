//! What was found, for people and as JSON.
use crate::colour::{BAD, FAINT, GOOD, HEADING, WARN, in_style};
use anstyle::Style;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;

/// Findings of one kind.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) result: Outcome,
    /// As it was found; why it was not tried.
    pub(super) found: String,
    pub(super) hint: Option<String>,
    /// The same in numbers and names, for programs.
    pub(super) facts: Value,
}

/// How it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(super) enum Outcome {
    /// It holds.
    #[serde(rename = "ok")]
    Ok,
    /// A fact that is neither good nor bad.
    #[serde(rename = "info")]
    Info,
    /// It works, and could be better.
    #[serde(rename = "warn")]
    Warn,
    /// It does not hold.
    #[serde(rename = "bad")]
    Bad,
    /// Nobody knows.
    #[serde(rename = "not tried")]
    Untried,
}

impl Finding {
    pub(super) fn ok(what: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding::new(Outcome::Ok, what, found)
    }

    pub(super) fn info(what: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding::new(Outcome::Info, what, found)
    }

    pub(super) fn warn(what: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding::new(Outcome::Warn, what, found)
    }

    pub(super) fn bad(what: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding::new(Outcome::Bad, what, found)
    }

    /// With the reason.
    pub(super) fn untried(what: impl Into<String>, why: impl Into<String>) -> Finding {
        Finding::new(Outcome::Untried, what, why)
    }

    pub(super) fn new(result: Outcome, what: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding {
            what: what.into(),
            result,
            found: found.into(),
            hint: None,
            facts: Value::Null,
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Finding {
        Finding {
            hint: Some(hint.into()),
            ..self
        }
    }

    pub(super) fn facts(self, facts: Value) -> Finding {
        Finding { facts, ..self }
    }

    fn as_json(&self) -> Value {
        let mut all = json!({ "check": self.what, "result": self.result, "found": self.found });
        if let Some(hint) = &self.hint {
            all["hint"] = json!(hint);
        }
        if !self.facts.is_null() {
            all["facts"] = self.facts.clone();
        }
        all
    }
}

impl Outcome {
    fn mark(self) -> (&'static str, Style) {
        match self {
            Outcome::Ok => ("ok", GOOD),
            Outcome::Info => ("-", FAINT),
            Outcome::Warn => ("warn", WARN),
            Outcome::Bad => ("bad", BAD),
            Outcome::Untried => ("?", FAINT),
        }
    }
}

/// Whether nothing is bad: what was not tried says nothing.
pub(super) fn all_hold(sections: &[Section]) -> bool {
    count(sections, Outcome::Bad) == 0
}

/// Everything for programs.
pub(super) fn as_json(sections: &[Section]) -> Value {
    let mut all = json!({
        "good": all_hold(sections),
        "version": env!("CARGO_PKG_VERSION"),
        "ok": count(sections, Outcome::Ok),
        "warn": count(sections, Outcome::Warn),
        "bad": count(sections, Outcome::Bad),
        "not_tried": count(sections, Outcome::Untried),
    });
    for section in sections {
        let findings: Vec<Value> = section.findings.iter().map(Finding::as_json).collect();
        all[section.title.replace(' ', "_")] = json!(findings);
    }
    all
}

/// Everything for people.
pub(super) fn text(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections {
        let _ = writeln!(out, "{}", in_style(HEADING, section.title));
        let width = section
            .findings
            .iter()
            .map(|it| it.what.chars().count())
            .max()
            .unwrap_or(0);
        for finding in &section.findings {
            line(&mut out, finding, width);
        }
        out.push('\n');
    }
    let bad = count(sections, Outcome::Bad);
    let verdict = match bad {
        0 => in_style(GOOD, "good"),
        1 => in_style(BAD, "1 thing does not hold"),
        n => in_style(BAD, &format!("{n} things do not hold")),
    };
    let (warnings, untried) = (count(sections, Outcome::Warn), count(sections, Outcome::Untried));
    let s = if warnings == 1 { "" } else { "s" };
    let _ = writeln!(out, "{verdict}, {warnings} warning{s}, {untried} not tried");
    out
}

fn line(out: &mut String, finding: &Finding, width: usize) {
    let (mark, style) = finding.result.mark();
    let padded = format!("{mark:<4}");
    let found = match finding.result {
        Outcome::Untried => format!("not tried: {}", finding.found),
        _ => finding.found.clone(),
    };
    let _ = writeln!(out, "  {}  {:<width$}  {found}", in_style(style, &padded), finding.what);
    for hint in finding.hint.iter().flat_map(|hint| hint.lines()) {
        let _ = writeln!(out, "  {:<4}  {:<width$}  hint: {hint}", "", "");
    }
}

fn count(sections: &[Section], outcome: Outcome) -> usize {
    let all = sections.iter().flat_map(|section| &section.findings);
    all.filter(|finding| finding.result == outcome).count()
}
