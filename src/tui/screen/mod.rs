//! Drawing: the state in, cells out; nothing is changed here.
//!
//! ```text
//! header    mytls  db1.example:3306  MariaDB 10.11.19            as root@localhost
//! stepper   ✓ Server ─ ✗ Key & certificate ─ · CA & chain ─ …
//! status    ──────────────────────────────────────────────────────────────────────
//! body      a page, a form, or a list with the details of its selected line
//! footer    ↑↓ select  Enter mend…  n next  …                              ? help
//! ```

use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Clear, Paragraph};

use super::state::{Overlay, Place, State};
use super::theme;
use crate::rules::Step;

pub mod account;
mod certificate;
pub mod chain;
mod denied;
mod detail;
mod fields;
mod frame;
mod info;
mod list;
pub mod overlay;
mod palette;
mod proof;
mod register;
pub mod report;
pub mod review;
mod roster;
mod scan;

/// The smallest terminal that shows anything but its own size.
pub const SMALLEST: (u16, u16) = (40, 12);

pub fn is_too_small((columns, rows): (u16, u16)) -> bool {
    columns < SMALLEST.0 || rows < SMALLEST.1
}

/// Draws everything.
pub fn draw(state: &State, frame: &mut Frame) {
    let area = frame.area();
    if is_too_small((area.width, area.height)) {
        let size = format!(
            "terminal too small: {}x{}, need {}x{}",
            area.width, area.height, SMALLEST.0, SMALLEST.1
        );
        frame.render_widget(Paragraph::new(size), area);
        return;
    }
    let [header, stepper, status, body, footer] = regions(area);
    frame::header(state, header, frame);
    frame::stepper(state, stepper, frame);
    frame::status(state, status, frame);
    frame::footer(state, footer, frame);
    match view(state, body) {
        View::Page { lines, scroll } => page_of(lines, scroll, body, frame),
        View::List(list) => list::draw(state, &list, body, frame),
        View::Register(sheet) => register::draw(state, &sheet, body, frame),
        View::Roster(sheet) => roster::draw(state, &sheet, body, frame),
        View::Form { intro, form } => fields::draw(intro, form, body, frame),
    }
    if state.ascii {
        theme::to_ascii(frame.buffer_mut());
    }
}

/// The body in lines, for those who do not look at a screen: no header, no keys, no mark where a
/// page is cut. The fields of a form are left out, because they are asked for.
pub fn in_lines(state: &State) -> Vec<String> {
    let body = body(state);
    match view(state, body) {
        View::Form { intro: lines, .. } | View::Page { lines, .. } => {
            lines.iter().map(ToString::to_string).collect()
        }
        View::List(_) | View::Register(_) | View::Roster(_) => {
            let (width, height) = state.size;
            let backend = TestBackend::new(width, height);
            // it draws into memory, where nothing can fail
            let Ok(mut terminal) = Terminal::new(backend);
            let Ok(_) = terminal.draw(|frame| draw(state, frame));
            let buffer = terminal.backend().buffer();
            let row = |y: u16| (body.x..body.right()).map(|x| buffer[(x, y)].symbol()).collect();
            (body.y..body.bottom()).map(row).collect()
        }
    }
}

/// How far the details, or the page, can be scrolled.
pub fn scroll_limit(state: &State) -> u16 {
    let body = body(state);
    let (lines, height) = match view(state, body) {
        View::Page { lines, .. } => (lines.len(), body.height),
        View::List(list) => (list.detail.len(), list.detail_height(body)),
        View::Register(sheet) => (sheet.detail.len(), sheet.detail_height(body)),
        View::Roster(sheet) => (sheet.detail.len(), sheet.detail_height(body)),
        View::Form { .. } => return 0,
    };
    let lines = u16::try_from(lines).unwrap_or(u16::MAX);
    // one line is lost to the mark that there is more
    if lines > height { lines.saturating_sub(height.saturating_sub(1)) } else { 0 }
}

/// How many lines PgDn goes.
pub fn page(state: &State) -> u16 {
    let body = body(state);
    let height = match view(state, body) {
        View::List(list) => list.detail_height(body),
        View::Roster(sheet) => sheet.detail_height(body),
        _ => body.height,
    };
    height.saturating_sub(2).max(1)
}

/// How many lines PgDn goes in the CA's list.
pub fn register_page(state: &State) -> u16 {
    state.register.as_ref().map_or(1, |register| register::page(register, body(state)))
}

/// How many lines a page of the accounts has.
pub fn roster_page(state: &State) -> usize {
    roster::page(state, body(state))
}

/// What fills the body.
enum View<'a> {
    Page { lines: Vec<Line<'static>>, scroll: u16 },
    List(list::List),
    Register(register::Sheet),
    Roster(roster::Sheet),
    Form { intro: Vec<Line<'static>>, form: &'a super::form::Form },
}

fn view(state: &State, body: Rect) -> View<'_> {
    let width = usize::from(body.width);
    if let Some(layer) = state.layers.last() {
        return match &layer.over {
            Overlay::Password { account, form } => {
                View::Form { intro: overlay::password(account, width), form }
            }
            Overlay::Passphrase { form, .. } => {
                View::Form { intro: overlay::passphrase(width), form }
            }
            Overlay::ProofKey { account, form } => {
                View::Form { intro: overlay::proof_key(account, width), form }
            }
            Overlay::Save(form) => View::Form { intro: overlay::save(width), form },
            Overlay::AskWhy { account, form } => {
                View::Form { intro: denied::ask(account, width), form }
            }
            Overlay::Palette(palette) => {
                View::Form { intro: palette::lines(state, palette, body), form: &palette.form }
            }
            Overlay::Cipher(form) => View::Form { intro: overlay::cipher(width), form },
            Overlay::Sure { plan, word, form } => {
                View::Form { intro: register::sure(plan, word, width), form }
            }
            over => View::Page { lines: overlay::lines(state, over, width), scroll: layer.scroll },
        };
    }
    let page = |lines| View::Page { lines, scroll: state.scroll };
    match &state.place {
        Place::Workshop(_) => match &state.workshop {
            Some(form) => View::Form { intro: fields::workshop_intro(state, width), form },
            None => page(fields::workshop_intro(state, width)),
        },
        Place::Authority(_) => match &state.register {
            Some(register) => View::Register(register::Sheet::new(state, register, body)),
            None => page(vec![Line::styled("reading the private CA", theme::quiet())]),
        },
        Place::Account(name) => page(account::panel(state, std::slice::from_ref(name), width)),
        Place::Accounts(batch) => page(account::panel(state, &batch.names, width)),
        Place::Step(Step::Server) if let Some(form) = &state.connect => {
            View::Form { intro: fields::connect_intro(width), form }
        }
        Place::Step(_) if state.exam.is_none() => page(overlay::waiting(state, width)),
        Place::Step(Step::Report) => page(report::lines(state, width)),
        Place::Step(Step::Accounts) => View::Roster(roster::Sheet::new(state, body)),
        Place::Step(step) => View::List(list::List::new(state, *step, body)),
    }
}

fn regions(area: Rect) -> [Rect; 5] {
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ]);
    let [header, stepper, status, body, footer] = rows.areas(area);
    let inside = |rect: Rect| rect.inner(Margin::new(1, 0));
    // the steps need every column there is at 80
    let stepper = Rect { x: stepper.x + 1, width: stepper.width.saturating_sub(1), ..stepper };
    [inside(header), stepper, status, inside(body), inside(footer)]
}

fn body(state: &State) -> Rect {
    let (width, height) = state.size;
    regions(Rect::new(0, 0, width, height))[3]
}

/// Lines that can be scrolled, with a mark where there are more.
fn page_of(lines: Vec<Line<'static>>, scroll: u16, area: Rect, frame: &mut Frame) {
    let all = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let overflows = all > area.height;
    let shown = area.height.saturating_sub(u16::from(overflows));
    let scroll = scroll.min(all.saturating_sub(shown));
    let visible: Vec<Line> =
        lines.into_iter().skip(usize::from(scroll)).take(usize::from(shown)).collect();
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(Text::from(visible)), area);
    if overflows && area.height > 0 {
        let below = all.saturating_sub(scroll + shown);
        let mark = match below {
            0 => "end, PgUp scrolls back".to_owned(),
            1 => "… 1 more line, PgDn".to_owned(),
            n => format!("… {n} more lines, PgDn"),
        };
        let last = Rect::new(area.x, area.bottom() - 1, area.width, 1);
        frame.render_widget(
            Paragraph::new(Line::styled(mark, theme::quiet()).right_aligned()),
            last,
        );
    }
}

/// A heading within a page.
fn heading(text: &str) -> Line<'static> {
    Line::styled(text.to_owned(), theme::strong())
}

/// `── title ─────────`
fn rule(title: &str, width: usize) -> Line<'static> {
    let title = super::text::clip(title, width.saturating_sub(6));
    let rest = width.saturating_sub(super::text::width(&title) + 4);
    Line::from(vec![
        ratatui::text::Span::styled("── ", theme::quiet()),
        ratatui::text::Span::styled(title, theme::strong()),
        ratatui::text::Span::styled(format!(" {}", "─".repeat(rest)), theme::quiet()),
    ])
}
