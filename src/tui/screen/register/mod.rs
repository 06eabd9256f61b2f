//! The private CA: what expires next, the tree with its lifetimes, and the certificate under the
//! cursor. Only what is seen is formatted, however long the list is.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{page_of, rule};
use crate::ca::list::{self, Status, day};
use crate::ca::tree::{Branch, Order, What};
use crate::printable::printable;
use crate::tui::register::Register;
use crate::tui::state::State;
use crate::tui::text::{clip, clip_start, fit, width};
use crate::tui::theme;
use crate::x509::PublicKey;

mod card;

use card::{card, title};
pub use card::{page_of_card, sure, ways};

const DAY: i64 = 86_400;
/// So many days before the end a certificate is shown as one to be renewed.
const SOON: i64 = 30;
/// The same for a CA: nothing that it issues lives longer than it does.
const SOON_FOR_CA: i64 = 365;

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

/// How wide the parts of a line are.
struct Columns {
    name: usize,
    bar: usize,
    serial: usize,
}

const STATE: usize = 8;
const KEY: usize = 8;
const SERIAL: usize = 8;
const DATE: usize = 10;

impl Columns {
    fn of(width: usize) -> Self {
        let serial = if width >= 70 { SERIAL } else { 0 };
        // pointer and sign, then the rest with a gap before each
        let fixed =
            4 + 1 + 1 + DATE + 1 + KEY + 1 + STATE + if serial > 0 { 1 + serial } else { 0 };
        let free = width.saturating_sub(fixed);
        let bar = if serial > 0 { (free / 3).clamp(6, 30) } else { 6 };
        Self { name: free.saturating_sub(bar), bar, serial }
    }
}

impl Sheet {
    pub fn new(state: &State, register: &Register, body: Rect) -> Self {
        let width = usize::from(body.width);
        let columns = Columns::of(width);
        let (above, cursor) = above(register, body, &columns);
        let height = height(register, body, above.len());
        let rows = rows(state, register, &columns, usize::from(height));
        let title = title(register);
        let detail = card(state, register, width);
        Self { above, cursor, rows, height, title, detail }
    }

    pub fn detail_height(&self, body: Rect) -> u16 {
        let above = u16::try_from(self.above.len()).unwrap_or(u16::MAX);
        body.height.saturating_sub(above.saturating_add(self.height).saturating_add(1))
    }
}

pub fn draw(state: &State, sheet: &Sheet, body: Rect, frame: &mut Frame) {
    let above = Rect { height: u16::try_from(sheet.above.len()).unwrap_or(u16::MAX), ..body };
    let above = above.intersection(body);
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

/// How many lines of the list there is room for; the same whatever is selected.
fn height(register: &Register, body: Rect, above: usize) -> u16 {
    const ENOUGH: u16 = 9;
    const DETAIL: u16 = 10;
    let above = u16::try_from(above).unwrap_or(u16::MAX);
    let free = body.height.saturating_sub(above.saturating_add(1));
    let most = ENOUGH.min(free.saturating_sub(free / 2)).max(free.saturating_sub(DETAIL));
    u16::try_from(register.tree.lines.len()).unwrap_or(u16::MAX).min(most).max(1)
}

/// How many lines PgDn goes.
pub fn page(register: &Register, body: Rect) -> u16 {
    let (above, _) = above(register, body, &Columns::of(usize::from(body.width)));
    height(register, body, above.len()).saturating_sub(1).max(1)
}

/// What expires next, what is shown, and the heads of the columns.
fn above(
    register: &Register,
    body: Rect,
    columns: &Columns,
) -> (Vec<Line<'static>>, Option<(u16, u16)>) {
    let wide = usize::from(body.width);
    let mut out = vec![next(register, wide)];
    let mut cursor = None;
    let sought = register.filter.value(0);
    if register.typing || !sought.is_empty() {
        let lines = register.tree.lines.iter();
        let count = match lines.filter(|line| matches!(line.what, What::Entry(..))).count() {
            0 => "nothing like it".to_owned(),
            1 => "1 line".to_owned(),
            n => format!("{n} lines"),
        };
        let room = wide.saturating_sub(width(&count) + 8).min(40);
        let shown = clip_start(&printable(sought), room.saturating_sub(1));
        if register.typing {
            cursor = u16::try_from(6 + width(&shown)).ok().map(|x| (x, 1));
        }
        out.push(Line::from(vec![
            Span::styled("find  ", theme::strong()),
            Span::styled(fit(&shown, room), Style::new().add_modifier(Modifier::UNDERLINED)),
            Span::styled(format!("  {count}"), theme::quiet()),
        ]));
    } else if body.height >= 16 {
        out.push(Line::styled(clip(&counted(register), wide), theme::quiet()));
    }
    out.push(Line::styled(heads(register, columns), theme::quiet()));
    (out, cursor)
}

/// `! next: client app expires on 2027-12-24, in 12 days`
fn next(register: &Register, columns: usize) -> Line<'static> {
    let Some(next) = &register.next else {
        return Line::styled("nothing was issued that could expire", theme::quiet());
    };
    let (sign, style) = match next.on - register.now {
        // a CA or a list: nobody gets in
        left if left < 0 => (theme::BAD, theme::bad()),
        left if left < SOON * DAY => (theme::WARNING, theme::warning()),
        _ => (theme::GOOD, theme::good()),
    };
    let text = format!(" {}", next.headline(register.now));
    Line::from(vec![
        Span::styled(sign, style),
        Span::styled(clip(&text, columns.saturating_sub(1)), theme::strong()),
    ])
}

/// `12 issued, what expires next on top; 2 replaced are left out`
fn counted(register: &Register) -> String {
    let issued = register.catalog.entries.len();
    let order = match register.order {
        Order::Expiry => "what expires next on top",
        Order::Name => "by name",
    };
    let mut text = format!("{issued} issued, {order}");
    if register.tree.left_out > 0 {
        text = format!("{text}; {} replaced left out, a shows all", register.tree.left_out);
    }
    if !register.catalog.under_way.is_empty() {
        text = format!("{text}; {} under way", register.catalog.under_way.len());
    }
    text
}

/// The years where the time line begins and ends, over the bars; what stands in each column.
fn heads(register: &Register, columns: &Columns) -> String {
    // the month, too, where there is room
    let letters = if columns.bar > 15 { 7 } else { 4 };
    let when = |at: i64| day(at).chars().take(letters).collect::<String>();
    let (from, until) = (when(register.time.from), when(register.time.until));
    let gap = columns.bar.saturating_sub(from.len() + until.len());
    let years = if gap > 0 { format!("{from}{}{until}", " ".repeat(gap)) } else { until };
    let mut text = format!(
        "    {} {} {} {}",
        fit("", columns.name),
        fit(&years, columns.bar),
        fit("until", DATE),
        fit("key", KEY)
    );
    if columns.serial > 0 {
        text = format!("{text} {}", fit("serial", columns.serial));
    }
    text.trim_end().to_owned()
}

/// The part of the tree around the cursor.
fn rows(
    state: &State,
    register: &Register,
    columns: &Columns,
    height: usize,
) -> Vec<Line<'static>> {
    let lines = &register.tree.lines;
    let selected = register.position();
    let first = selected.saturating_sub(height / 2).min(lines.len().saturating_sub(height));
    let shown = lines.iter().enumerate().skip(first).take(height);
    shown
        .map(|(at, line)| {
            let here = at == selected;
            let pointer = match () {
                () if here => theme::POINTER,
                () if at == first && first > 0 => "↑",
                () if at + 1 == first + height && at + 1 < lines.len() => "↓",
                () => " ",
            };
            row(state, register, line, columns, (pointer, here))
        })
        .collect()
}

fn row(
    state: &State,
    register: &Register,
    line: &Branch,
    columns: &Columns,
    (pointer, here): (&'static str, bool),
) -> Line<'static> {
    let (sign, style, word) = standing(register, line);
    let trunk = line.trunk(state.ascii);
    // a title has its line for itself
    let whole = if matches!(line.what, What::Title(..)) { 2 * columns.name } else { columns.name };
    let room = whole.saturating_sub(width(&trunk));
    let name = fit(&list::name(&register.catalog, line), room);
    let text = match (here, matches!(line.what, What::Entry(_, Status::Valid) | What::Ca(_))) {
        (true, _) => theme::strong(),
        (false, true) => Style::new(),
        (false, false) => theme::quiet(),
    };
    let mut spans = vec![
        Span::styled(format!("{pointer} "), text),
        Span::styled(format!("{sign} "), style),
        Span::styled(trunk, theme::quiet()),
        Span::styled(name, text),
    ];
    let Some(valid) = line.life(&register.catalog) else { return Line::from(spans) };
    let bar = register.time.bar(valid, columns.bar, state.ascii);
    let (key, serial) = match line.what {
        What::Ca(at) => {
            let ca = &register.catalog.chain[at];
            (ca.public_key.as_ref().map(PublicKey::describe), ca.serial.as_str())
        }
        What::Entry(at, _) => {
            let entry = &register.catalog.entries[at];
            (Some(entry.key.clone()).filter(|key| !key.is_empty()), entry.serial.as_str())
        }
        What::Title(..) => (None, ""),
    };
    let key = printable(key.as_deref().unwrap_or("?")).into_owned();
    spans.push(Span::styled(format!(" {bar}"), style));
    let mut rest = format!(" {} {}", fit(&day(valid.1), DATE), fit(&key, KEY));
    if columns.serial > 0 {
        let start: String = serial.chars().take(columns.serial).collect();
        rest = format!("{rest} {}", fit(&printable(&start), columns.serial));
    }
    spans.push(Span::styled(rest, text));
    spans.push(Span::styled(format!(" {}", clip(&word, STATE)), style));
    Line::from(spans)
}

/// Sign, style and word of a line: never the colour alone.
fn standing(register: &Register, line: &Branch) -> (&'static str, Style, String) {
    let alive = |until: i64, soon: i64| match (until - register.now).div_euclid(DAY) {
        days if days < 0 => (theme::BAD, theme::bad(), "expired".to_owned()),
        0 => (theme::WARNING, theme::warning(), "today".to_owned()),
        1 => (theme::WARNING, theme::warning(), "1 day".to_owned()),
        days if days <= soon => (theme::WARNING, theme::warning(), format!("{days} days")),
        _ => (theme::GOOD, theme::good(), "valid".to_owned()),
    };
    match line.what {
        What::Title(..) => (" ", Style::new(), String::new()),
        What::Ca(at) => {
            alive(register.catalog.chain.get(at).map_or(0, |ca| ca.not_after), SOON_FOR_CA)
        }
        What::Entry(at, status) => match status {
            Status::Valid => {
                let until = register.catalog.entries.get(at).map_or(0, |entry| entry.not_after);
                alive(until, SOON)
            }
            Status::Expired | Status::Revoked => {
                (theme::BAD, theme::bad(), status.word().to_owned())
            }
            Status::Replaced => (theme::NOT_APPLICABLE, theme::quiet(), status.word().to_owned()),
            Status::Dropped => (theme::NOT_APPLICABLE, theme::quiet(), "dropped".to_owned()),
        },
    }
}
