//! The report of a walk as Markdown: what was checked, what was changed, and how to take it back.

use std::fmt::Write as _;

use super::json::rfc3339;
use super::text::{describe, server_line, summary};
use crate::checklist::Examination;
use crate::printable::{printable, printable_lines};
use crate::rules::{Answer, Step};

/// What happened besides looking: a change with its undo, or a proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    /// One line each.
    pub done: Vec<String>,
    /// Commands and statements that take it back, in the order to run them.
    pub undo: Vec<String>,
    /// Login matrices, drawn as text.
    pub proofs: Vec<String>,
}

/// The whole report; ends with a line feed.
pub fn markdown(examination: &Examination, deeds: &Deeds) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        let _ = writeln!(out, "{}", text.trim_end()); // writing to a String cannot fail
    };
    line(&format!("# TLS of {}", escape(&examination.facts.target.display())));
    line("");
    line(&format!(
        "{}; examined {} by mytls {}.",
        escape(&server_line(examination)),
        rfc3339(examination.facts.at),
        env!("CARGO_PKG_VERSION")
    ));
    line("");
    line(&format!("**{}**", summary(examination)));
    line("");
    line("| step | verdict |");
    line("|---|---|");
    for step in &Step::ALL[..5] {
        line(&format!("| {} | {} |", step.title(), examination.verdict(*step).word()));
    }
    if !examination.findings.is_empty() {
        line("");
        line("## Findings");
    }
    for finding in &examination.findings {
        line("");
        line(&format!("### {}", escape(&finding.title)));
        line("");
        let because = finding.because_of.map(|rule| format!(", because of `{rule}`"));
        line(&format!(
            "`{}`{}. {}.",
            finding.rule,
            because.unwrap_or_default(),
            escape(&finding.cause)
        ));
        line("");
        for seen in &finding.evidence {
            line(&format!("- {}: `{}`", seen.label, seen.value.replace('`', "'")));
        }
        for remedy in &finding.remedies {
            line("");
            line(&format!("To {}:", escape(&remedy.title)));
            for action in &remedy.actions {
                line("");
                line(&describe(action));
                fenced(&mut line, &action.text);
            }
        }
    }
    line("");
    line("## What was checked");
    line("");
    for outcome in &examination.outcomes {
        let (answer, seen) = match &outcome.answer {
            Answer::Pass(seen) => ("holds", seen.as_str()),
            Answer::Fail(_) => ("does not hold", ""),
            Answer::NotApplicable(why) => ("does not apply", why.as_str()),
            Answer::Unknown(why) => ("could not be found out", why.as_str()),
        };
        let seen = if seen.is_empty() { String::new() } else { format!(": {}", escape(seen)) };
        line(&format!("- {} (`{}`) {answer}{seen}", outcome.rule.passes_as, outcome.rule.id));
    }
    if !deeds.proofs.is_empty() {
        line("");
        line("## Proof");
        for proof in &deeds.proofs {
            fenced(&mut line, proof);
        }
    }
    if !deeds.done.is_empty() {
        line("");
        line("## What was changed");
        line("");
        for done in &deeds.done {
            line(&format!("- {}", escape(done)));
        }
    }
    if !deeds.undo.is_empty() {
        line("");
        line("To take it back, in this order:");
        fenced(&mut line, &deeds.undo.join("\n"));
    }
    out
}

fn fenced(line: &mut impl FnMut(&str), text: &str) {
    line("");
    line("```");
    line(&printable_lines(text).replace("```", "` ` `"));
    line("```");
}

/// Printable, and without what Markdown or HTML would take for markup.
fn escape(text: &str) -> String {
    let text = printable(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    #[test]
    fn findings_deeds_and_the_way_back_are_there() {
        let facts = testing::with_files(|files| files.under_ca = Some(Err(testing::no_issuer())));
        let deeds = Deeds {
            done: vec!["wrote /etc/mysql/tls/ca.pem".into()],
            undo: vec!["rm /etc/mysql/tls/ca.pem".into()],
            proofs: vec!["✓ let in".into()],
        };
        let report = markdown(&Examination::judge(facts), &deeds);
        for part in [
            "| CA & chain | error |",
            "`ca-mismatch`",
            "✓ let in",
            "- wrote /etc/mysql/tls/ca.pem",
            "rm /etc/mysql/tls/ca.pem",
        ] {
            assert!(report.contains(part), "{part} is missing from\n{report}");
        }
    }

    #[test]
    fn names_cannot_write_markup() {
        assert_eq!(escape("<img>|*x*\x1b"), "\\<img\\>\\|\\*x\\*\\\\x1B");
    }
}
