//! The command palette on the screen.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::rule;
use crate::tui::palette::{self, Palette};
use crate::tui::state::State;
use crate::tui::text::{clip, fit, width};
use crate::tui::theme;

/// What stands above the field: the commands that were found, as many as there is room for.
pub fn lines(state: &State, palette: &Palette, body: Rect) -> Vec<Line<'static>> {
    let columns = usize::from(body.width);
    let found = palette::found(state, palette);
    // the rule above, and below them a blank line, the field, its help
    let room = usize::from(body.height).saturating_sub(6).max(1);
    let first = palette.chosen.saturating_sub(room.saturating_sub(1));
    let widest = found.iter().map(|command| width(&command.keys)).max().unwrap_or(0).min(16);
    let title = match found.len() {
        0 => "Nothing here has these words".to_owned(),
        1 => "One thing to do".to_owned(),
        n => format!("What can be done here: {n}"),
    };
    let mut out = vec![rule(&title, columns)];
    for (at, command) in found.iter().enumerate().skip(first).take(room) {
        let here = at == palette.chosen;
        let words = match command.refused {
            Some(why) => format!("(not now: {why}) {}", command.words),
            None => command.words.clone(),
        };
        let pointer = if here { theme::POINTER } else { " " };
        let style = match (here, command.refused) {
            (true, _) => theme::here(),
            (false, Some(_)) => theme::quiet(),
            (false, None) => Style::new(),
        };
        out.push(Line::from(vec![
            Span::raw(format!("{pointer} ")),
            Span::styled(fit(&command.keys, widest), theme::strong()),
            Span::raw("  "),
            Span::styled(clip(&words, columns.saturating_sub(widest + 4)), style),
        ]));
    }
    out.push(Line::default());
    out
}
