//! A step: what it is for, what was found, and the details of the line under the cursor.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{detail, page_of, rule};
use crate::checklist::Examination;
use crate::printable::printable;
use crate::rules::{Answer, Step};
use crate::tui::rows::Row;
use crate::tui::state::State;
use crate::tui::text::{clip, fit, width};
use crate::tui::theme;

/// What a step's screen shows.
pub struct List {
    intro: Vec<Line<'static>>,
    rows: Vec<Row>,
    selected: usize,
    pub title: String,
    pub detail: Vec<Line<'static>>,
}

/// The four parts of a line: sign, its style, text, and a word or two at the right.
pub struct Cells {
    pub sign: &'static str,
    pub style: Style,
    pub text: String,
    pub right: String,
    pub follows: bool,
    pub quiet: bool,
}

impl List {
    pub fn new(state: &State, step: Step, body: Rect) -> Self {
        let columns = usize::from(body.width);
        let rows = state.rows(step);
        let selected = state.selected_index(&rows);
        let mut intro = vec![Line::raw(purpose_within(step, columns))];
        if body.height >= 16 {
            intro.push(Line::default());
        }
        let (title, detail) = match (rows.get(selected), &state.exam) {
            (Some(row), Some(exam)) => {
                (cells(state, exam, row).text, detail::lines(state, exam, row, columns))
            }
            _ => ("nothing here".to_owned(), Vec::new()),
        };
        Self { intro, rows, selected, title, detail }
    }

    /// How many rows the list gets. It does not depend on the line under the cursor: nothing
    /// jumps while one goes through them.
    fn list_height(&self, body: Rect) -> u16 {
        const ENOUGH: u16 = 6;
        const DETAIL: u16 = 14;
        let taken = count(self.intro.len()) + gap(body) + 1;
        let free = body.height.saturating_sub(taken);
        let most = ENOUGH.min(free / 2).max(free.saturating_sub(DETAIL));
        count(self.rows.len()).min(most).max(1)
    }

    pub fn detail_height(&self, body: Rect) -> u16 {
        let above = count(self.intro.len()) + self.list_height(body) + gap(body) + 1;
        body.height.saturating_sub(above)
    }
}

/// Empty lines between the list and the details.
fn gap(body: Rect) -> u16 {
    u16::from(body.height >= 24)
}

pub fn draw(state: &State, list: &List, body: Rect, frame: &mut Frame) {
    let Some(exam) = &state.exam else { return };
    let columns = usize::from(body.width);
    let intro = body.intersection(Rect { height: count(list.intro.len()), ..body });
    frame.render_widget(Paragraph::new(list.intro.clone()), intro);

    let height = list.list_height(body);
    let area = Rect { y: intro.bottom(), height, ..body }.intersection(body);
    let lines = lines(state, exam, list, columns, usize::from(height));
    frame.render_widget(Paragraph::new(lines), area);

    let title = Rect { y: area.bottom() + gap(body), height: 1, ..body }.intersection(body);
    frame.render_widget(Paragraph::new(rule(&list.title, columns)), title);
    let detail = Rect { y: title.bottom(), height: list.detail_height(body), ..body };
    page_of(list.detail.clone(), state.scroll, detail.intersection(body), frame);
}

/// The part of the list around the cursor.
fn lines(
    state: &State,
    exam: &Examination,
    list: &List,
    columns: usize,
    height: usize,
) -> Vec<Line<'static>> {
    let all: Vec<Cells> = list.rows.iter().map(|row| cells(state, exam, row)).collect();
    if all.is_empty() {
        return vec![Line::styled("  nothing to show for this server", theme::quiet())];
    }
    let right = all.iter().map(|cells| width(&cells.right)).max().unwrap_or(0).min(columns * 2 / 5);
    let indent = |cells: &Cells| 4 + 2 * usize::from(cells.follows);
    let text = all.iter().map(|cells| width(&cells.text) + indent(cells)).max().unwrap_or(0);
    let text = text.min(columns.saturating_sub(right + 2));
    let first = list.selected.saturating_sub(height / 2).min(all.len().saturating_sub(height));
    let more_above = first > 0;
    let more_below = first + height < all.len();
    let shown = all.iter().enumerate().skip(first).take(height);
    shown
        .map(|(at, cells)| {
            let here = at == list.selected;
            let (edge_above, edge_below) = (at == first, at + 1 == first + height);
            let pointer = match () {
                () if here => theme::POINTER,
                () if edge_above && more_above => "↑",
                () if edge_below && more_below => "↓",
                () => " ",
            };
            let style = match (here, cells.quiet) {
                (true, _) => theme::strong(),
                (false, true) => theme::quiet(),
                (false, false) => Style::new(),
            };
            let follows = if cells.follows { "└ " } else { "" };
            let room = text.saturating_sub(indent(cells));
            Line::from(vec![
                Span::styled(format!("{pointer} {follows}"), theme::quiet().patch(style)),
                Span::styled(cells.sign, cells.style),
                Span::styled(format!(" {}  ", fit(&cells.text, room)), style),
                Span::styled(clip(&cells.right, right), theme::quiet()),
            ])
        })
        .collect()
}

pub fn cells(state: &State, exam: &Examination, row: &Row) -> Cells {
    match row {
        Row::Finding { index, consequence, .. } => {
            let finding = &exam.findings[*index];
            let (sign, style, word) = theme::severity(finding.severity);
            let right =
                if *consequence { follows(exam, finding, state.step()) } else { word.to_owned() };
            Cells {
                sign,
                style,
                text: printable(&finding.title).into_owned(),
                right,
                follows: *consequence,
                quiet: false,
            }
        }
        Row::Outcome { index, .. } => {
            let outcome = &exam.outcomes[*index];
            let (sign, style, right) = match &outcome.answer {
                Answer::Pass(words) => (theme::GOOD, theme::good(), printable(words).into_owned()),
                Answer::NotApplicable(_) => {
                    (theme::NOT_APPLICABLE, theme::quiet(), "does not apply".to_owned())
                }
                _ => (theme::UNKNOWN, theme::unknown(), "not known".to_owned()),
            };
            let quiet = matches!(outcome.answer, Answer::NotApplicable(_));
            let text = outcome.rule.passes_as.to_owned();
            Cells { sign, style, text, right, follows: false, quiet }
        }
        Row::Info(info) => super::info::cells(*info, exam),
        Row::Account { index, .. } => super::account::cells(state, *index),
    }
}

/// Where a consequence belongs: what it follows from, or where it shows.
fn follows(exam: &Examination, finding: &crate::rules::Finding, here: Step) -> String {
    let cause = exam.findings.iter().find(|f| Some(f.rule) == finding.because_of);
    match cause {
        Some(cause) if cause.step != here => format!("follows from {}", cause.step.title()),
        _ if finding.step != here => format!("shows in {}", finding.step.title()),
        _ => "follows from it".to_owned(),
    }
}

/// The first sentence alone where both do not fit.
pub fn purpose_within(step: Step, columns: usize) -> String {
    let both = purpose(step);
    let end = both.find(['.', '?']).map_or(both.len(), |end| end + 1);
    if width(both) <= columns { both.to_owned() } else { clip(&both[..end], columns) }
}

fn purpose(step: Step) -> &'static str {
    match step {
        Step::Server => "What is known of the server, and who said it. Looking changes nothing.",
        Step::Key => "Do key and certificate belong together? Nothing is changed unasked.",
        Step::Chain => {
            "Do the certificates lead to the CA that clients trust? Nothing is changed unasked."
        }
        Step::Encryption => "Is TLS on, and is there a way around it? Nothing is changed unasked.",
        Step::Accounts => {
            "Who has to show a certificate, and which one? Nothing is changed unasked."
        }
        Step::Report => "Where the server stands, what was done, and how to take it back.",
    }
}

fn count(lines: usize) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX)
}
