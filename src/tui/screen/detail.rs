//! The details of one line: the evidence, what it means, and the ways to mend it.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{account, chain, heading, info};
use crate::checklist::Examination;
use crate::printable::{printable, printable_lines};
use crate::remedy::{Effect, Place, Remedy};
use crate::rules::{Answer, Finding, Rule, Step};
use crate::tui::rows::Row;
use crate::tui::state::State;
use crate::tui::text::{clip, fit, pairs, paragraph, width};
use crate::tui::theme;

/// The section that says it without saying that it is broken.
const CHECKS: &str = Rule::SECTIONS[0];

pub fn lines(state: &State, exam: &Examination, row: &Row, columns: usize) -> Vec<Line<'static>> {
    match row {
        Row::Finding { index, .. } => finding(exam, &exam.findings[*index], columns),
        Row::Outcome { index, .. } => {
            let outcome = &exam.outcomes[*index];
            let (label, text) = match &outcome.answer {
                Answer::Pass(words) => ("seen", words),
                Answer::NotApplicable(why) => ("does not apply", why),
                Answer::Unknown(why) => ("not known", why),
                Answer::Fail(_) => return Vec::new(), // its findings have lines of their own
            };
            let mut out = Vec::new();
            if !text.is_empty() {
                out.extend(pairs(
                    [(label, printable_lines(text).as_str())],
                    columns,
                    theme::quiet(),
                ));
                out.push(Line::default());
            }
            out.push(heading(CHECKS));
            let text = outcome.rule.section(CHECKS).unwrap_or_default();
            for (at, part) in text.split("\n\n").enumerate() {
                if at > 0 {
                    out.push(Line::default());
                }
                out.extend(paragraph(&part.replace('\n', " "), columns, 0, Style::new()));
            }
            out
        }
        Row::Info(info) => info::detail(*info, exam, columns),
        Row::Account { index, .. } => account::detail(state, *index, columns),
    }
}

/// The evidence of a finding, its cause, and its remedies by number.
pub fn finding(exam: &Examination, finding: &Finding, columns: usize) -> Vec<Line<'static>> {
    let evidence: Vec<(String, String)> = finding
        .evidence
        .iter()
        .map(|e| (printable(&e.label).into_owned(), printable_lines(&e.value)))
        .collect();
    let mut out =
        pairs(evidence.iter().map(|(l, v)| (l.as_str(), v.as_str())), columns, theme::quiet());
    if finding.step == Step::Chain {
        let tree = chain::lines(&exam.facts, columns);
        if !tree.is_empty() {
            if !out.is_empty() {
                out.push(Line::default());
            }
            out.extend(tree);
        }
    }
    if !out.is_empty() {
        out.push(Line::default());
    }
    out.extend(paragraph(&printable_lines(&finding.cause), columns, 0, Style::new()));
    if let Some(cause) = exam.findings.iter().find(|f| Some(f.rule) == finding.because_of) {
        let text = format!(
            "It follows from: {} (step {}, {}). Mend that first.",
            printable(&cause.title),
            cause.step.number(),
            cause.step.title()
        );
        out.push(Line::default());
        out.extend(paragraph(&text, columns, 0, Style::new()));
    }
    if !finding.remedies.is_empty() {
        out.push(Line::default());
        out.extend(remedies(&finding.remedies, None, columns));
    }
    out
}

/// `Fix 1  point ssl_key at the key that matches   on the server, restart`
pub fn remedies(remedies: &[Remedy], chosen: Option<usize>, columns: usize) -> Vec<Line<'static>> {
    let right: Vec<String> = remedies.iter().map(costs).collect();
    let widest = right.iter().map(|text| width(text)).max().unwrap_or(0).min(columns / 2);
    let lead = if chosen.is_some() { 2 } else { 0 };
    let room = columns.saturating_sub(lead + 7 + widest + 2);
    let titles: Vec<String> = remedies.iter().map(|r| printable(&r.title).into_owned()).collect();
    let text = titles.iter().map(|title| width(title)).max().unwrap_or(0).min(room);
    let row = |(at, (title, right)): (usize, (&String, &String))| {
        let here = chosen == Some(at);
        let style = if here { theme::strong() } else { Style::new() };
        let pointer = match chosen {
            None => "",
            Some(_) if here => "▶ ",
            Some(_) => "  ",
        };
        Line::from(vec![
            Span::styled(format!("{pointer}Fix {}  ", at + 1), theme::strong()),
            Span::styled(format!("{}  ", fit(title, text)), style),
            Span::styled(clip(right, widest), theme::quiet()),
        ])
    };
    titles.iter().zip(&right).enumerate().map(row).collect()
}

/// Where a remedy acts and what it costs.
fn costs(remedy: &Remedy) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for action in &remedy.actions {
        let place = place(action.place);
        if !parts.contains(&place) {
            parts.push(place);
        }
    }
    match remedy.actions.iter().map(|action| action.effect).max() {
        Some(Effect::Reload) => parts.push("reload"),
        Some(Effect::Restart) => parts.push("restart"),
        _ => {}
    }
    parts.join(", ")
}

pub fn place(place: Place) -> &'static str {
    match place {
        Place::ServerHost => "on the server",
        Place::ClientHost => "on the client",
        Place::ServerSql => "SQL",
        Place::DbaHost => "here",
    }
}
