//! The report of a walk as Markdown: what was checked, what was changed, and how to take it back.

use std::fmt::Write as _;

use super::record::{Deed, Proof, Record};
use super::text::{describe, server_line, summary};
use super::words::{answered, examined, open, when_and_who};
use crate::checklist::Examination;
use crate::printable::{printable, printable_lines};
use crate::rules::Step;

/// The whole report; ends with a line feed.
pub fn markdown(examination: &Examination, record: &Record) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        let _ = writeln!(out, "{}", text.trim_end()); // writing to a String cannot fail
    };
    line(&format!("# TLS of {}", escape(&examination.facts.target.display())));
    line("");
    line(&format!(
        "{}; {}; mytls {}.",
        escape(&server_line(examination)),
        escape(&examined(examination, record)),
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
    for (at, proof) in record.proofs.iter().enumerate() {
        if at == 0 {
            line("");
            line("## Proof: logins tried on the live server");
        }
        proved(&mut line, proof);
    }
    line("");
    line("## What was changed");
    line("");
    if record.changes.is_empty() {
        line("Nothing that mytls knows of.");
    }
    for deed in &record.changes {
        changed(&mut line, deed, record.throwaway);
    }
    if record.throwaway && !record.changes.is_empty() {
        line("");
        line("Nothing of it is left: the server was a sandbox, and is gone.");
    }
    line("");
    line("## Still open");
    line("");
    let open = open(examination, record);
    if open.is_empty() {
        line("Nothing that is known of.");
    }
    for text in &open {
        line(&format!("- {}", escape(text)));
    }
    line("");
    line("## What was checked");
    line("");
    for outcome in &examination.outcomes {
        let (_, word, seen) = answered(&outcome.answer);
        let seen = if seen.is_empty() { String::new() } else { format!(": {}", escape(seen)) };
        line(&format!("- {} (`{}`) {word}{seen}", outcome.rule.passes_as, outcome.rule.id));
    }
    out
}

fn proved(line: &mut impl FnMut(&str), proof: &Proof) {
    line("");
    line(&format!("### {}", escape(&proof.account)));
    line("");
    let require = escape(&proof.require);
    let require = if require.is_empty() { require } else { format!("REQUIRE {require}, ") };
    line(&format!("{require}tried against {}.", escape(&proof.against)));
    line("");
    line("| login with | must be | was | |");
    line("|---|---|---|---|");
    for row in &proof.rows {
        let (with, must, was) = (escape(&row.with), escape(&row.must), escape(&row.was));
        line(&format!("| {with} | {must} | {} {was} | {} |", row.mark(), escape(&row.note)));
    }
    let said =
        proof.rows.iter().flat_map(|row| row.server_said.iter().map(move |said| (row, said)));
    for (at, (row, said)) in said.enumerate() {
        if at == 0 {
            line("");
        }
        line(&format!("- {}: the server: {}", escape(&row.with), escape(said)));
    }
    line("");
    line(&escape(&proof.summary));
}

fn changed(line: &mut impl FnMut(&str), deed: &Deed, gone: bool) {
    let state = if deed.state.is_empty() { String::new() } else { format!(" ({})", deed.state) };
    line("");
    line(&format!("### {}{state}", escape(&deed.title)));
    let by = when_and_who(deed);
    if !by.is_empty() {
        line("");
        line(&escape(&by));
    }
    line("");
    for done in &deed.done {
        line(&format!("- {}", escape(done)));
    }
    if !deed.undo.is_empty() && !gone {
        line("");
        line("To take it back, in this order:");
        fenced(line, &deed.undo.join("\n"));
    }
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
    use super::super::record::Login;
    use super::*;
    use crate::rules::testing;

    #[test]
    fn findings_deeds_and_the_way_back_are_there() {
        let facts = testing::with_files(|files| files.under_ca = Some(Err(testing::no_issuer())));
        let deed = Deed {
            title: "a private CA".into(),
            by: "anna on dba1".into(),
            at: Some(0),
            done: vec!["wrote /etc/mysql/tls/ca.pem".into()],
            undo: vec!["rm /etc/mysql/tls/ca.pem".into()],
            ..Deed::default()
        };
        let login = Login { was: "let in".into(), holds: Some(true), ..Login::default() };
        let proof = Proof { rows: vec![login], proved: true, ..Proof::default() };
        let mut record = Record { changes: vec![deed], proofs: vec![proof], ..Record::default() };
        let examination = Examination::judge(facts);
        let report = markdown(&examination, &record);
        for part in [
            "| CA & chain | error |",
            "`ca-mismatch`",
            "✓ let in",
            "1970-01-01T00:00:00Z, anna on dba1",
            "- wrote /etc/mysql/tls/ca.pem",
            "rm /etc/mysql/tls/ca.pem",
        ] {
            assert!(report.contains(part), "{part} is missing from\n{report}");
        }
        record.throwaway = true;
        let report = markdown(&examination, &record);
        assert!(report.contains("the server was a sandbox") && !report.contains("rm /etc"));
    }

    #[test]
    fn names_cannot_write_markup() {
        assert_eq!(escape("<img>|*x*\x1b"), "\\<img\\>\\|\\*x\\*\\\\x1B");
    }
}
