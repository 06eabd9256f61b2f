//! Where the server stands, what was done, how to take it back, and what is still open.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::account::proof_words;
use super::heading;
use crate::printable::printable;
use crate::rules::{Severity, Step};
use crate::tui::state::State;
use crate::tui::text::{fit, paragraph};
use crate::tui::theme;

pub fn lines(state: &State, columns: usize) -> Vec<Line<'static>> {
    let Some(exam) = &state.exam else { return Vec::new() };
    let mut out: Vec<Line> = verdicts(state, columns);

    out.push(Line::default());
    out.push(heading("still open"));
    let broken = state.proofs.iter().filter(|(_, current)| *current);
    let broken = broken.filter_map(|(proof, _)| proof.broken());
    let broken: Vec<_> =
        broken.map(|text| (Severity::Error, text, Step::Accounts.title())).collect();
    let findings = exam.findings.iter().filter(|finding| finding.because_of.is_none());
    let findings = findings.map(|found| (found.severity, found.title.clone(), found.step.title()));
    let mut open: Vec<_> = broken.into_iter().chain(findings).collect();
    open.sort_by_key(|(severity, ..)| std::cmp::Reverse(*severity)); // the heaviest first
    if open.is_empty() {
        out.push(Line::raw("  nothing that is known of"));
    }
    for (severity, title, step) in open {
        let (sign, style, _) = theme::severity(severity);
        out.push(Line::from(vec![
            Span::raw("  "),
            Span::styled(sign, style),
            Span::raw(format!(" {}  ", printable(&title))),
            Span::styled(step, theme::quiet()),
        ]));
    }
    if !state.proofs.is_empty() {
        out.push(Line::default());
        out.push(heading("proved on the live server"));
        for (proof, current) in &state.proofs {
            let holds = if *current { Some(proof.holds_but_for_key()) } else { None };
            out.push(Line::from(vec![
                Span::raw("  "),
                theme::holds(holds),
                Span::raw(format!(" {}  ", proof.account)),
                Span::styled(proof_words(proof, *current), theme::quiet()),
            ]));
        }
    }
    let left: Vec<&String> = state.done.iter().flat_map(|applied| &applied.left).collect();
    if !left.is_empty() {
        out.push(Line::default());
        out.push(heading("left to you, unless it is done by now"));
        for line in left {
            out.extend(paragraph(&printable(line), columns, 2, Style::new()));
        }
    }
    out.push(Line::default());
    out.push(heading("what was done"));
    if state.done.is_empty() {
        out.push(Line::raw("  nothing was changed"));
    }
    for done in state.done.iter().flat_map(|applied| &applied.done) {
        out.extend(paragraph(&printable(done), columns, 2, Style::new()));
    }
    // the last change is taken back first
    let undo: Vec<&String> = state.done.iter().rev().flat_map(|applied| &applied.undo).collect();
    if state.throwaway {
        out.push(Line::default());
        let text = "Nothing has to be taken back: the sandbox goes when you quit, and all that \
                    was changed in it.";
        out.extend(paragraph(text, columns, 0, Style::new()));
    } else if !undo.is_empty() {
        out.push(Line::default());
        out.push(heading("how to take it back, in this order"));
        for line in undo {
            out.extend(super::overlay::undo(line, columns));
        }
    }
    out
}

/// A line for each step: sign, name, word.
fn verdicts(state: &State, columns: usize) -> Vec<Line<'static>> {
    let steps = Step::ALL.into_iter().filter(|step| *step != Step::Report);
    let widest = 18.min(columns);
    steps
        .map(|step| {
            let (sign, style, word) = if state.stale.contains(&step) {
                (theme::UNKNOWN, theme::unknown(), "check again")
            } else {
                theme::verdict(state.verdict(step))
            };
            Line::from(vec![
                Span::styled(sign, style),
                Span::raw(format!(" {}  ", fit(step.title(), widest))),
                Span::raw(word),
            ])
        })
        .collect()
}

/// What stays on the normal screen when the wizard has ended.
pub fn last_words(state: &State) -> Vec<String> {
    if state.exam.is_none() {
        return Vec::new();
    }
    let mut out = Vec::new();
    if let Some(target) = &state.target {
        out.push(format!("mytls  {}", target.display()));
    }
    out.extend(verdicts(state, 80).iter().map(|line| format!("  {line}")));
    for (proof, current) in &state.proofs {
        out.push(format!("  {}: {}", proof.account, proof_words(proof, *current)));
    }
    let done: Vec<&String> = state.done.iter().flat_map(|applied| &applied.done).collect();
    if !done.is_empty() {
        out.push("done:".to_owned());
        out.extend(done.iter().flat_map(|text| indented(text)));
    }
    if state.throwaway {
        out.push("The sandbox is gone, and with it all that was changed in it.".to_owned());
        return out;
    }
    let undo: Vec<&String> = state.done.iter().rev().flat_map(|applied| &applied.undo).collect();
    if !undo.is_empty() {
        out.push("to take it back:".to_owned());
        out.extend(undo.iter().flat_map(|text| indented(text)));
    }
    out
}

fn indented(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| format!("  {}", printable(line)))
}
