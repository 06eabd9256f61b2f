//! The step of the accounts: what is wrong with them on top, then each with what it requires and how
//! its sessions come in. Only the lines that are seen are built, however many there are.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::list::{self, Cells};
use super::{detail, page_of, rule};
use crate::checklist::Examination;
use crate::printable::printable;
use crate::rules::{Severity, Step};
use crate::tui::rows::{Info, Row};
use crate::tui::state::State;
use crate::tui::text::{clip, clip_start, fit, width};
use crate::tui::theme;

/// What fills the body, from top to bottom.
pub struct Sheet {
    above: Vec<Line<'static>>,
    /// Column and line of the cursor, while something is looked for.
    cursor: Option<(u16, u16)>,
    rows: Vec<Line<'static>>,
    height: u16,
    title: String,
    pub detail: Vec<Line<'static>>,
}

/// How wide the parts of an account's line are.
struct Columns {
    name: usize,
    require: usize,
    /// 0 where they share the last one with the state.
    sessions: usize,
    last: usize,
}

impl Columns {
    fn of(width: usize) -> Self {
        let (require, last) = (16, 12);
        let sessions = if width >= 70 { 16 } else { 0 };
        // pointer, mark and sign; a gap of two before each column
        let fixed = 4 + 2 + require + 2 + last + if sessions > 0 { 2 + sessions } else { 0 };
        Self { name: width.saturating_sub(fixed), require, sessions, last }
    }
}

impl Sheet {
    pub fn new(state: &State, body: Rect) -> Self {
        let columns = usize::from(body.width);
        let height = height(state, body);
        let first = first(state, usize::from(height));
        let (above, cursor) = above(state, body, first, usize::from(height));
        let here = state.roster.row(state.accounts());
        let (rows, title, detail) = match &state.exam {
            Some(exam) => (
                rows(state, exam, columns, (first, usize::from(height)), has_heads(body)),
                here.as_ref().map(|row| cells(state, exam, row).text),
                here.as_ref().map(|row| detail::lines(state, exam, row, columns)),
            ),
            None => (Vec::new(), None, None),
        };
        let title = title.unwrap_or_else(|| "nothing here".to_owned());
        let height = height + u16::from(has_heads(body));
        Self { above, cursor, rows, height, title, detail: detail.unwrap_or_default() }
    }

    pub fn detail_height(&self, body: Rect) -> u16 {
        body.height.saturating_sub(count(self.above.len()).saturating_add(self.height + 1))
    }
}

pub fn draw(state: &State, sheet: &Sheet, body: Rect, frame: &mut Frame) {
    let above = Rect { height: count(sheet.above.len()), ..body }.intersection(body);
    frame.render_widget(Paragraph::new(sheet.above.clone()), above);
    if let Some((x, y)) = sheet.cursor {
        let at = Position::new(body.x.saturating_add(x), body.y.saturating_add(y));
        if body.contains(at) {
            frame.set_cursor_position(at);
        }
    }
    let rows = Rect { y: above.bottom(), height: sheet.height, ..body }.intersection(body);
    frame.render_widget(Paragraph::new(sheet.rows.clone()), rows);
    let title = Rect { y: rows.bottom(), height: 1, ..body }.intersection(body);
    frame.render_widget(Paragraph::new(rule(&sheet.title, usize::from(body.width))), title);
    let detail = Rect { y: title.bottom(), height: sheet.detail_height(body), ..body };
    page_of(sheet.detail.clone(), state.scroll, detail.intersection(body), frame);
}

/// How many lines PgDn goes while something is looked for.
pub fn page(state: &State, body: Rect) -> usize {
    usize::from(height(state, body).saturating_sub(1).max(1))
}

/// How many lines of the list there is room for; the same whatever is selected.
fn height(state: &State, body: Rect) -> u16 {
    const ENOUGH: u16 = 8;
    const DETAIL: u16 = 11;
    // purpose and what is shown, and the heads of the columns where there is room
    let heads = u16::from(has_heads(body));
    let free = body.height.saturating_sub(2 + heads + 1);
    let most = ENOUGH.min(free / 2).max(free.saturating_sub(DETAIL));
    count(state.roster.len()).min(most).max(1)
}

/// Whether there is room for the heads of the columns: a line of the list, above the first account.
fn has_heads(body: Rect) -> bool {
    body.height >= 16
}

/// The first line that is seen.
fn first(state: &State, height: usize) -> usize {
    let roster = &state.roster;
    roster.position().saturating_sub(height / 2).min(roster.len().saturating_sub(height))
}

/// What the step is for, and what is shown or looked for.
fn above(
    state: &State,
    body: Rect,
    first: usize,
    height: usize,
) -> (Vec<Line<'static>>, Option<(u16, u16)>) {
    let columns = usize::from(body.width);
    let roster = &state.roster;
    let mut out = vec![Line::raw(list::purpose_within(Step::Accounts, columns))];
    let mut cursor = None;
    let sought = roster.filter.value(0);
    let wrong = out_of_sight(state, first);
    let wrong_width: usize = wrong.iter().map(Span::width).sum();
    let room = columns.saturating_sub(wrong_width + 2);
    let marked = match roster.marked() {
        0 => String::new(),
        n => format!(", {} marked", grouped(n)),
    };
    let (shown, all) = roster.counts();
    let mut line = if roster.typing || !sought.is_empty() {
        let counted = match shown {
            0 => format!("none of {}{marked}", grouped(all)),
            n => format!("{} of {}{marked}", grouped(n), grouped(all)),
        };
        let field = room.saturating_sub(width(&counted) + 8).min(32);
        let text = clip_start(&printable(sought), field.saturating_sub(1));
        if roster.typing {
            cursor = u16::try_from(6 + width(&text)).ok().map(|x| (x, 1));
        }
        vec![
            Span::styled("find  ", theme::strong()),
            Span::styled(fit(&text, field), Style::new().add_modifier(Modifier::UNDERLINED)),
            Span::styled(format!("  {counted}"), theme::quiet()),
        ]
    } else {
        let plural = if all == 1 { "" } else { "s" };
        let text = if roster.above().contains(&Row::Info(Info::NoAccounts)) {
            "the accounts could not be read".to_owned()
        } else {
            let below = first + height <= roster.above().len() && all > 0;
            let below = if below { " below" } else { "" };
            format!("{} account{plural}{below}{marked}, {}", grouped(all), roster.by.words())
        };
        vec![Span::styled(clip(&text, room), theme::quiet())]
    };
    let used: usize = line.iter().map(Span::width).sum();
    line.push(Span::raw(" ".repeat(columns.saturating_sub(used + wrong_width))));
    line.extend(wrong);
    out.push(Line::from(line));
    (out, cursor)
}

/// What is wrong and was scrolled away: how much, and the key that leads there.
fn out_of_sight(state: &State, first: usize) -> Vec<Span<'static>> {
    let Some(exam) = &state.exam else { return Vec::new() };
    let gone = state.roster.above().iter().take(first).filter_map(|row| match row {
        Row::Finding { index, .. } => Some(exam.findings[*index].severity),
        _ => None,
    });
    let gone: Vec<Severity> = gone.collect();
    let mut out = Vec::new();
    for severity in [Severity::Error, Severity::Warning, Severity::Note] {
        let n = gone.iter().filter(|one| **one == severity).count();
        if n > 0 {
            let (sign, style, word) = theme::severity(severity);
            let plural = if n == 1 { "" } else { "s" };
            out.push(Span::styled(sign, style));
            out.push(Span::raw(format!(" {n} {word}{plural}  ")));
        }
    }
    if !out.is_empty() {
        out.push(Span::styled(if state.roster.typing { "above" } else { "Home" }, theme::strong()));
    }
    out
}

fn heads(columns: &Columns) -> String {
    let mut text =
        format!("    {}  {}  ", fit("account", columns.name), fit("REQUIRE", columns.require));
    if columns.sessions > 0 {
        text += &fit("sessions now", columns.sessions);
        text += "  ";
    }
    text.trim_end().to_owned()
}

/// The part of the list around the cursor, and the heads of the columns where the accounts begin.
fn rows(
    state: &State,
    exam: &Examination,
    columns: usize,
    (first, height): (usize, usize),
    heads: bool,
) -> Vec<Line<'static>> {
    let roster = &state.roster;
    let row = |at: usize| Some((at, roster.row_at(at, state.accounts())?));
    let mut shown: Vec<(usize, Row)> =
        (first..roster.len().min(first + height)).filter_map(row).collect();
    if shown.is_empty() {
        let text = if roster.sought().is_empty() {
            "  nothing to show for this server"
        } else {
            "  nothing has these words; Esc shows all"
        };
        return vec![Line::styled(text, theme::quiet())];
    }
    let is_account = |row: &Row| matches!(row, Row::Account { .. });
    let mut begin = shown.iter().position(|(_, row)| is_account(row)).filter(|_| heads);
    if let (None, true, Some((at, next))) = (begin, heads, row(first + shown.len())) {
        // no account is in sight: there is room for one line more
        match next {
            Row::Account { .. } => begin = Some(shown.len()),
            _ => shown.push((at, next)),
        }
    }
    let height = shown.len().max(height);
    let widths = Columns::of(columns);
    let line = |(at, row): (usize, Row)| {
        let here = at == roster.position();
        let pointer = match () {
            () if here => theme::POINTER,
            () if at == first && first > 0 => "↑",
            () if at + 1 == first + height && at + 1 < roster.len() => "↓",
            () => " ",
        };
        let cells = cells(state, exam, &row);
        let style = match (here, cells.quiet) {
            (true, _) => theme::strong(),
            (false, true) => theme::quiet(),
            (false, false) => Style::new(),
        };
        match row {
            Row::Account { index, .. } => {
                account_line(state, index, &cells, &widths, (pointer, style))
            }
            _ => other_line(&cells, columns, (pointer, style)),
        }
    };
    let mut lines: Vec<Line<'static>> = shown.into_iter().map(line).collect();
    if let Some(at) = begin {
        lines.insert(at, Line::styled(self::heads(&widths), theme::quiet()));
    }
    lines
}

fn cells(state: &State, exam: &Examination, row: &Row) -> Cells {
    list::cells(state, exam, row)
}

fn account_line(
    state: &State,
    index: usize,
    cells: &Cells,
    columns: &Columns,
    (pointer, style): (&'static str, Style),
) -> Line<'static> {
    let Some(account) = state.accounts().get(index) else { return Line::default() };
    let mark = if state.roster.is_marked(index) { "*" } else { " " };
    let sessions = state.roster.arrivals.words(&account.name);
    let mut last = cells.right.clone();
    let require = fit(&account.require.describe(), columns.require);
    let mut rest = format!("  {require}  ");
    if columns.sessions > 0 {
        rest += &fit(&sessions, columns.sessions);
        rest += "  ";
    } else if last.is_empty() {
        last = sessions;
    }
    Line::from(vec![
        Span::styled(pointer, theme::quiet().patch(style)),
        Span::styled(mark, theme::strong()),
        Span::styled(cells.sign, cells.style),
        Span::styled(format!(" {}", fit(&cells.text, columns.name)), style),
        Span::styled(rest, style),
        Span::styled(clip(&last, columns.last), theme::quiet()),
    ])
}

/// A finding, or what holds, with its word at the right end.
fn other_line(
    cells: &Cells,
    columns: usize,
    (pointer, style): (&'static str, Style),
) -> Line<'static> {
    let follows = if cells.follows { "└ " } else { "" };
    let right = clip(&cells.right, columns * 2 / 5);
    let room = columns.saturating_sub(4 + width(follows) + 2 + width(&right));
    Line::from(vec![
        Span::styled(format!("{pointer} {follows}"), theme::quiet().patch(style)),
        Span::styled(cells.sign, cells.style),
        Span::styled(format!(" {}  ", fit(&cells.text, room)), style),
        Span::styled(right, theme::quiet()),
    ])
}

/// `12,345`
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn count(lines: usize) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_stand_apart() {
        let of = super::grouped;
        assert_eq!([of(0), of(999), of(1_000), of(100_000)], ["0", "999", "1,000", "100,000"]);
    }
}
