//! The chain, drawn: as it is, beside as it must be where the two differ.

use ratatui::text::{Line, Span};

use crate::facts::Facts;
use crate::report::chain::{Drawing, drawing};
use crate::tui::text::fit;
use crate::tui::theme;

pub fn lines(facts: &Facts, columns: usize) -> Vec<Line<'static>> {
    let Some(drawing) = drawing(facts) else { return Vec::new() };
    let as_it_is: Vec<usize> = (0..drawing.certificates.len()).collect();
    let must = tree(&drawing, columns.saturating_sub(2));
    if drawing.must == as_it_is {
        let mut out = vec![Line::styled(drawing.from, theme::quiet())];
        out.extend(must);
        return out;
    }
    let left = columns / 2 - 1;
    let mut is = Vec::new();
    for (at, certificate) in drawing.certificates.iter().enumerate() {
        is.push(Line::raw(format!("{}  {}", at + 1, certificate.subject.short())));
        let wrong = match drawing.must.iter().position(|index| *index == at) {
            Some(place) if place == at => continue,
            Some(0) => "the server's own: must be first".to_owned(),
            Some(place) => format!("must be number {}", place + 1),
            None => "belongs to no link of this chain".to_owned(),
        };
        is.push(Line::from(vec![
            Span::raw("   "),
            Span::styled(theme::BAD, theme::bad()),
            Span::raw(format!(" {wrong}")),
        ]));
    }
    let rows = is.len().max(must.len());
    let mut out = vec![Line::from(vec![
        Span::styled(fit(drawing.from, left), theme::quiet()),
        Span::styled("  as it must be", theme::quiet()),
    ])];
    let (mut is, mut must) = (is.into_iter(), must.into_iter());
    for _ in 0..rows {
        let mut spans = clipped(is.next().unwrap_or_default(), left);
        spans.push(Span::raw("  "));
        spans.extend(must.next().unwrap_or_default().spans);
        out.push(Line::from(spans));
    }
    out
}

/// The spans of a line, cut or filled to so many columns.
fn clipped(line: Line<'static>, columns: usize) -> Vec<Span<'static>> {
    let mut room = columns;
    let mut out = Vec::new();
    let last = line.spans.len().saturating_sub(1);
    for (at, span) in line.spans.into_iter().enumerate() {
        let wide = if at == last { room } else { span.width().min(room) };
        out.push(Span::styled(fit(&span.content, wide), span.style));
        room -= wide;
    }
    if out.is_empty() {
        out.push(Span::raw(" ".repeat(columns)));
    }
    out
}

/// From the server's certificate up to the CA.
fn tree(drawing: &Drawing, columns: usize) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    for (place, index) in drawing.must.iter().enumerate() {
        if place > 0 {
            out.push(Line::styled("     │ signed by", theme::quiet()));
        }
        let name = drawing.certificates[*index].subject.short();
        let yours = if place == 0 { "  ◀ the server's" } else { "" };
        let name = crate::tui::text::clip(&name, columns.saturating_sub(3 + yours.chars().count()));
        out.push(Line::from(vec![
            Span::raw(format!("{}  {name}", place + 1)),
            Span::styled(yours, theme::quiet()),
        ]));
    }
    if let Some((name, where_)) = &drawing.top {
        out.push(Line::styled("     │ signed by", theme::quiet()));
        out.push(Line::from(vec![
            Span::raw(format!("   {name}")),
            Span::styled(format!("  {where_}"), theme::quiet()),
        ]));
    }
    out
}
