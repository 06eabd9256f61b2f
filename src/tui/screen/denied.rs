//! Why an account is denied: what its client comes with, and what it comes to.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::account::warned;
use super::overlay::code;
use super::{heading, rule};
use crate::facts::AccountName;
use crate::printable::{printable, printable_lines};
use crate::prove::why::Cause;
use crate::remedy::ActionKind;
use crate::tui::engine::Denial;
use crate::tui::state::State;
use crate::tui::text::{pairs, paragraph, wrap_verbatim};
use crate::tui::theme;

pub fn ask(account: &AccountName, columns: usize) -> Vec<Line<'static>> {
    let text = "The login that its client makes is tried once, as it is given here. Nothing is \
                changed; a refusal is led back to its reason.";
    let mut out = vec![rule(&format!("Why is {account} denied?"), columns)];
    out.extend(paragraph(text, columns, 0, Style::new()));
    out.push(Line::default());
    out
}

pub fn lines(
    state: &State,
    account: &AccountName,
    answer: Option<&Result<Denial, String>>,
    columns: usize,
) -> Vec<Line<'static>> {
    let mut out = vec![rule(&format!("Why is {account} denied?"), columns)];
    let denial = match answer {
        None => {
            let ticks = state.job.as_ref().map_or(0, |job| job.ticks);
            out.push(Line::raw(format!("{} trying the login", theme::spinner(ticks))));
            return out;
        }
        Some(Err(why)) => {
            out.extend(warned(why, columns));
            return out;
        }
        Some(Ok(denial)) => denial,
    };
    out.extend(paragraph(&printable_lines(&denial.answer), columns, 0, Style::new()));
    if denial.let_in {
        out.push(Line::from(vec![
            Span::styled(theme::GOOD, theme::good()),
            Span::raw(" Nothing keeps it out."),
        ]));
    } else if denial.causes.is_empty() {
        out.extend(warned("No reason was found; below is what would tell more.", columns));
    }
    for (at, cause) in denial.causes.iter().enumerate() {
        out.push(Line::default());
        out.extend(self::cause(cause, at == 0, columns));
    }
    if !denial.log.is_empty() {
        let place = denial.heard_in.as_deref().unwrap_or("its log");
        out.push(Line::default());
        out.push(heading(&format!("the server's own words, from {}", printable(place))));
        for line in &denial.log {
            out.extend(code(line, columns, Style::new()));
        }
    }
    if !denial.open.is_empty() {
        out.push(Line::default());
        out.push(heading("what is not known"));
        for line in &denial.open {
            out.extend(paragraph(&printable_lines(line), columns, 2, Style::new()));
        }
    }
    out
}

/// The reason, or what would keep it out next: what shows it, and what mends it.
fn cause(cause: &Cause, first: bool, columns: usize) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    let lead = if first { "the reason: " } else { "and besides: " };
    let text = format!("{lead}{}", printable_lines(&cause.what));
    let lines = crate::tui::text::wrap(&text, columns.saturating_sub(2));
    for (at, line) in lines.into_iter().enumerate() {
        let sign = if at == 0 { Span::styled(theme::BAD, theme::bad()) } else { " ".into() };
        out.push(Line::from(vec![sign, Span::styled(format!(" {line}"), theme::strong())]));
    }
    if let Some(difference) = &cause.difference {
        for line in difference.lines(columns.saturating_sub(2)) {
            out.push(Line::raw(format!("  {}", printable_lines(&line))));
        }
    } else {
        let seen = cause.evidence.iter().map(|(label, value)| (label.as_str(), value.as_str()));
        out.extend(pairs(seen, columns, theme::quiet()));
    }
    for remedy in &cause.remedies {
        out.extend(wrap_verbatim(&printable(&remedy.title), columns).into_iter().map(Line::raw));
        for action in &remedy.actions {
            let place = super::detail::place(action.place);
            let file = action
                .file
                .as_ref()
                .map(|file| printable(&file.display().to_string()).into_owned());
            let file = file.map_or_else(String::new, |file| format!(": {file}"));
            if !place.is_empty() || !file.is_empty() {
                out.push(Line::styled(format!("  {place}{file}"), theme::quiet()));
            }
            if action.kind != ActionKind::File {
                out.extend(code(&action.text, columns, theme::code()));
            }
        }
        if !remedy.note.is_empty() {
            out.extend(paragraph(&printable_lines(&remedy.note), columns, 2, Style::new()));
        }
    }
    if !cause.advice.is_empty() {
        out.extend(paragraph(&printable_lines(&cause.advice), columns, 2, Style::new()));
    }
    out
}
