//! Forms on the screen.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::rule;
use crate::printable::printable;
use crate::tui::form::{Entry, Field, Form};
use crate::tui::state::State;
use crate::tui::text::{fit, paragraph, width, wrap};
use crate::tui::theme;
use crate::tui::update::workshop;

/// Draws the form below its introduction, the cursor in the field that has the focus.
pub fn draw(intro: Vec<Line<'static>>, form: &Form, area: Rect, frame: &mut Frame) {
    let columns = usize::from(area.width);
    let labels = form.fields.iter().map(|field| width(field.label)).max().unwrap_or(0);
    let room = columns.saturating_sub(labels + 5).min(56);
    // where there is little room, the fields matter more than what introduces them
    let needed = form.fields.len() + form.fields.iter().filter(|f| f.error.is_some()).count() + 2;
    let kept = usize::from(area.height).saturating_sub(needed);
    let mut lines: Vec<Line> = intro.into_iter().take(kept).collect();
    let mut cursor = None;
    for (at, field) in form.fields.iter().enumerate() {
        let here = at == form.focus;
        let (value, column) = value(field, here, room);
        if here && let Some(column) = column {
            cursor = Some((labels + 4 + column, lines.len()));
        }
        let pointer = if here { theme::POINTER } else { " " };
        let style = if here { theme::strong() } else { theme::quiet() };
        lines.push(Line::from(vec![
            Span::styled(format!("{pointer} {}  ", fit(field.label, labels)), style),
            value,
        ]));
        if let Some(error) = &field.error {
            let error = crate::printable::printable_lines(error);
            for (at, text) in
                wrap(&error, columns.saturating_sub(labels + 6)).into_iter().enumerate()
            {
                let sign = if at == 0 { theme::BAD } else { " " };
                lines.push(Line::from(vec![
                    Span::raw(" ".repeat(labels + 4)),
                    Span::styled(sign, theme::bad()),
                    Span::raw(format!(" {text}")),
                ]));
            }
        }
    }
    if let Some(field) = form.focused() {
        lines.push(Line::default());
        lines.extend(paragraph(&field.help, columns, 0, theme::quiet()));
    }
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines), area);
    if let Some((column, row)) = cursor {
        let (column, row) = (u16::try_from(column), u16::try_from(row));
        if let (Ok(column), Ok(row)) = (column, row) {
            let at = Position::new(area.x.saturating_add(column), area.y.saturating_add(row));
            if area.contains(at) {
                frame.set_cursor_position(at);
            }
        }
    }
}

/// The field as a strip of so many columns, and where the cursor stands in it.
fn value(field: &Field, here: bool, room: usize) -> (Span<'static>, Option<usize>) {
    let line = Style::new().add_modifier(Modifier::UNDERLINED);
    match &field.entry {
        Entry::Text(input) | Entry::Number(input) => {
            let scroll = input.visual_scroll(room.saturating_sub(1));
            let cursor = input.visual_cursor().max(scroll) - scroll;
            let mut skipped = 0;
            let shown: String = input
                .value()
                .chars()
                .skip_while(|c| {
                    skipped += width(c.encode_utf8(&mut [0; 4]));
                    skipped <= scroll
                })
                .collect();
            (Span::styled(fit(&shown, room), line), Some(cursor))
        }
        Entry::Secret(secret) => {
            // while it is typed each key shows; afterwards not even its length
            let typed = secret.expose().chars().count().min(room.saturating_sub(1));
            let stars = match (here, typed) {
                (_, 0) => 0,
                (true, typed) => typed,
                (false, _) => 8,
            };
            (Span::styled(fit(&"*".repeat(stars), room), line), Some(typed))
        }
        Entry::Choice { options, chosen } => {
            let text = options.get(*chosen).unwrap_or(&"");
            (Span::raw(format!("← {text} →")), None)
        }
    }
}

pub fn connect_intro(columns: usize) -> Vec<Line<'static>> {
    let mut out = vec![rule("Which server?", columns)];
    let text = "Looking changes nothing. An address such as mysql://root@db1.example:3306 can be \
                pasted as it is.";
    out.extend(paragraph(text, columns, 0, Style::new()));
    out.push(Line::default());
    out
}

pub fn workshop_intro(state: &State, columns: usize) -> Vec<Line<'static>> {
    let mut out = vec![rule("A private CA, and certificates from it", columns)];
    let names = state.workshop.as_ref().map(|form| form.value(workshop::NAMES));
    let text = if names == Some("") {
        "No name of the server: it keeps its certificate, and only one for the client is made, in \
         a CA of your own. Everything is shown before anything is written."
    } else {
        "It makes a CA that only your servers and clients trust, a certificate for this server \
         and one for a client. Everything is shown before anything is written."
    };
    out.extend(paragraph(text, columns, 0, Style::new()));
    let dir = state.exam.as_ref().and_then(|exam| exam.facts.target.ca_dir.as_ref());
    if let Some(dir) = dir {
        let text = format!(
            "The CA is kept in {}. In the long run its key belongs off the database's host.",
            printable(&dir.display().to_string())
        );
        out.extend(paragraph(&text, columns, 0, theme::quiet()));
    }
    out.push(Line::default());
    out
}
