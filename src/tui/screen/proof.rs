//! The login matrix: each row as it comes, and the verdict in the end.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::account::warned;
use super::rule;
use crate::printable::{printable, printable_lines};
use crate::prove::{Mismatch, Reason};
use crate::tui::engine::{Proof, ProofRow};
use crate::tui::state::{Doing, ProofView, State};
use crate::tui::text::{clip, fit, paragraph, width};
use crate::tui::theme;

pub fn lines(state: &State, view: &ProofView, columns: usize) -> Vec<Line<'static>> {
    let account = state.account(&view.account);
    let now = account.map_or_else(|| "?".to_owned(), |account| account.require.describe());
    let mut out = vec![rule(&format!("{}  REQUIRE {now}", view.account), columns)];
    let proof = match &view.ended {
        Some(Ok(proof)) => Some(proof),
        _ => None,
    };
    let above = match (proof, &view.ended) {
        (Some(proof), _) => {
            format!("tried against {} in {}", printable(&proof.against), duration(proof.seconds))
        }
        (None, None) => "trying the logins that must work and those that must not".to_owned(),
        (None, Some(_)) => String::new(), // the reason says it all
    };
    if !above.is_empty() {
        out.push(Line::styled(above, theme::quiet()));
        out.push(Line::default());
    }
    let rows = proof.map_or(view.rows.as_slice(), |proof| proof.rows.as_slice());
    out.extend(matrix(rows, columns));
    if view.ended.is_none() && state.is_doing(Doing::Proving) {
        let ticks = state.job.as_ref().map_or(0, |job| job.ticks);
        out.push(Line::raw(format!("  {} …", theme::spinner(ticks))));
    }
    out.push(Line::default());
    match &view.ended {
        None => {}
        Some(Err(why)) => {
            let why = printable_lines(why);
            out.extend(warned(&format!("not proved: {why}"), columns));
        }
        Some(Ok(proof)) => {
            let verdict = match (proof.holds(), proof.holds_but_for_key()) {
                (true, _) => "Proved. ",
                (false, true) => "As far as tried, proved. ",
                (false, false) => "Not proved. ",
            };
            let (mark, words) = (theme::holds(Some(proof.holds_but_for_key())), proof.words());
            if proof.holds() == proof.holds_but_for_key() {
                out.push(Line::from(vec![
                    mark,
                    Span::styled(format!(" {verdict}"), theme::strong()),
                    Span::raw(format!("{words}.")),
                ]));
            } else {
                out.push(Line::from(vec![
                    mark,
                    Span::styled(format!(" {}", verdict.trim_end()), theme::strong()),
                ]));
                out.extend(paragraph(&format!("{words}."), columns, 2, Style::new()));
            }
            out.extend(reasons(proof, columns));
        }
    }
    out
}

/// Why what was refused was refused: of what went otherwise than it must, all that is known; else
/// the server's own words about one refusal.
fn reasons(proof: &Proof, columns: usize) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    let quiet = |text: String| Line::styled(text, theme::quiet());
    let wrong = proof.rows.iter().filter(|row| row.holds == Some(false));
    let wrong: Vec<(&ProofRow, &Reason)> =
        wrong.filter_map(|row| Some((row, row.reason.as_ref()?))).collect();
    if wrong.is_empty() {
        let said = proof.rows.iter().filter_map(|row| row.reason.as_ref());
        if let Some(line) = said.filter(|r| r.mismatch.is_some()).find_map(|r| r.lines.first()) {
            out.push(Line::default());
            out.push(quiet("The server's own reason for a refusal:".to_owned()));
            out.extend(paragraph(&printable_lines(line), columns, 2, Style::new()));
        }
        return out;
    }
    for (row, reason) in wrong {
        out.push(Line::default());
        let place = match &proof.heard {
            Ok(place) => format!("{}: the server's own words, from {place}:", row.case),
            Err(why) => format!("{}: the server's own words were not heard: {why}", row.case),
        };
        out.extend(paragraph(&printable_lines(&place), columns, 0, theme::quiet()));
        for line in &reason.lines {
            out.extend(paragraph(&printable_lines(line), columns, 2, Style::new()));
        }
        if let Some(difference) = reason.mismatch.as_ref().and_then(Mismatch::difference) {
            out.push(Line::default());
            let lines = difference.lines(columns.saturating_sub(2));
            out.extend(
                lines.into_iter().map(|line| Line::raw(clip(&format!("  {line}"), columns))),
            );
        }
        if !reason.meaning.is_empty() {
            out.extend(paragraph(&printable_lines(&reason.meaning), columns, 2, theme::strong()));
        }
    }
    if let Some(corrected) = &proof.corrected {
        out.push(Line::default());
        out.push(quiet("What asks for what the server saw:".to_owned()));
        for line in corrected.statement.lines() {
            out.extend(paragraph(&printable_lines(line), columns, 2, Style::new()));
        }
    }
    out
}

/// The login matrix: what was tried, what must happen, what did.
fn matrix(rows: &[ProofRow], columns: usize) -> Vec<Line<'static>> {
    if rows.is_empty() {
        return Vec::new();
    }
    let case = rows.iter().map(|row| width(&row.case)).max().unwrap_or(0).max(10);
    let case = case.min(columns / 2);
    let was = rows.iter().map(|row| width(&row.happened)).max().unwrap_or(0).max(7);
    let mut out = vec![Line::styled(
        format!("  {}  {}  was", fit("login with", case), fit("must be", 7)),
        theme::quiet(),
    )];
    for row in rows {
        let must = if row.expected_in { "let in" } else { "refused" };
        let rest = columns.saturating_sub(2 + case + 2 + 7 + 2 + 2 + was + 2);
        out.push(Line::from(vec![
            Span::raw(format!("  {}  {}  ", fit(&printable(&row.case), case), fit(must, 7))),
            theme::holds(row.holds),
            Span::raw(format!(" {}  ", fit(&printable(&row.happened), was))),
            Span::styled(clip(&printable(&row.detail), rest), theme::quiet()),
        ]));
    }
    out
}

/// `40 ms`, `2.3 s`
fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}
