//! A screen as an SVG picture: plain text in, plain text out, the same every time.
//!
//! One `<text>` for each run of one style, stretched to its cells so that any font keeps the grid;
//! box-drawing characters as strokes, so that lines meet whatever the font.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

/// A picture of what ratatui drew.
pub fn svg(buffer: &Buffer, title: &str) -> String {
    let cells = buffer.content.iter().map(|cell| {
        let style = cell.style();
        let has = |modifier| style.add_modifier.contains(modifier);
        Cell {
            text: cell.symbol().to_owned(),
            columns: ratatui::text::Span::raw(cell.symbol()).width().max(1),
            look: Look {
                fg: colour(cell.fg).unwrap_or(FOREGROUND),
                bg: colour(cell.bg),
                bold: has(Modifier::BOLD),
                dim: has(Modifier::DIM),
                underline: has(Modifier::UNDERLINED),
            }
            .reversed_if(has(Modifier::REVERSED)),
        }
    });
    let width = usize::from(buffer.area.width);
    Picture { columns: width, cells: cells.collect(), cursor: None }.svg(title)
}

/// A picture of what a program wrote to a terminal.
pub fn svg_from_vt100(screen: &vt100::Screen, title: &str) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let indexed = |color: vt100::Color| match color {
        vt100::Color::Idx(index) if index < 16 => Some(ANSI[usize::from(index)]),
        _ => None, // the program uses the sixteen colours only
    };
    let mut cells = Vec::new();
    for y in 0..rows {
        for x in 0..columns {
            let Some(cell) = screen.cell(y, x) else { continue };
            let text = if cell.has_contents() { cell.contents() } else { " " };
            cells.push(Cell {
                text: text.to_owned(),
                columns: if cell.is_wide() { 2 } else { 1 },
                look: Look {
                    fg: indexed(cell.fgcolor()).unwrap_or(FOREGROUND),
                    bg: indexed(cell.bgcolor()),
                    bold: cell.bold(),
                    dim: cell.dim(),
                    underline: cell.underline(),
                }
                .reversed_if(cell.inverse()),
            });
        }
    }
    let (y, x) = screen.cursor_position();
    let cursor = (!screen.hide_cursor()).then_some((usize::from(x), usize::from(y)));
    Picture { columns: usize::from(columns), cells, cursor }.svg(title)
}

const FOREGROUND: &str = "#d8dee9";
const BACKGROUND: &str = "#171b22";
/// The sixteen colours of a terminal, for a dark background.
const ANSI: [&str; 16] = [
    "#2e3440", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4",
    "#6b7380", "#ff7b85", "#b5e090", "#ffd88a", "#82c4ff", "#db96f2", "#7ad3df", "#ffffff",
];

/// Of one cell, in the picture's units.
const WIDTH: f32 = 8.4;
const HEIGHT: f32 = 18.0;
const MARGIN: f32 = 14.0;
const TITLE: f32 = 28.0;

struct Picture {
    columns: usize,
    cells: Vec<Cell>,
    cursor: Option<(usize, usize)>,
}

struct Cell {
    text: String,
    /// 2 for a wide character; the cell after it is skipped.
    columns: usize,
    look: Look,
}

#[derive(Clone, Copy, PartialEq)]
struct Look {
    fg: &'static str,
    bg: Option<&'static str>,
    bold: bool,
    dim: bool,
    underline: bool,
}

impl Look {
    fn reversed_if(self, reversed: bool) -> Self {
        if !reversed {
            return self;
        }
        Self { fg: self.bg.unwrap_or(BACKGROUND), bg: Some(self.fg), ..self }
    }

    fn class(self) -> String {
        let names = [(self.bold, "b"), (self.dim, "d"), (self.underline, "u")];
        let names = names.iter().filter(|(on, _)| *on).map(|(_, name)| *name);
        let names = names.collect::<Vec<_>>().join(" ");
        if names.is_empty() { names } else { format!(" class=\"{names}\"") }
    }
}

/// One of the sixteen; `None` for the terminal's own.
fn colour(color: Color) -> Option<&'static str> {
    let order = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    order.iter().position(|known| *known == color).map(|index| ANSI[index])
}

#[allow(clippy::cast_precision_loss)] // a screen has far fewer than 2^23 columns
fn units(cells: usize) -> f32 {
    cells as f32
}

impl Picture {
    fn svg(&self, title: &str) -> String {
        let rows = self.cells.len() / self.columns.max(1);
        let width = units(self.columns) * WIDTH + 2.0 * MARGIN;
        let height = units(rows) * HEIGHT + MARGIN + TITLE;
        let title = escape(title);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{title}\">\n\
             <style>text{{font:14px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;\
             white-space:pre}}.b{{font-weight:700}}.d{{opacity:.65}}.u{{text-decoration:underline}}\
             </style>\n<rect width=\"{width:.0}\" height=\"{height:.0}\" rx=\"8\" \
             fill=\"{BACKGROUND}\"/>\n<text x=\"{:.1}\" y=\"18\" text-anchor=\"middle\" \
             fill=\"{}\">{title}</text>\n",
            width / 2.0,
            ANSI[8],
        );
        for y in 0..rows {
            Self::row(&mut out, &self.cells[y * self.columns..(y + 1) * self.columns], y);
        }
        if let Some((x, y)) = self.cursor {
            let (x, y) = (MARGIN + units(x) * WIDTH, TITLE + units(y) * HEIGHT);
            line(
                &mut out,
                format_args!(
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
                 fill=\"{FOREGROUND}\" opacity=\".45\"/>"
                ),
            );
        }
        out.push_str("</svg>\n");
        out
    }

    fn row(out: &mut String, row: &[Cell], y: usize) {
        let top = TITLE + units(y) * HEIGHT;
        let left = |x: usize| MARGIN + units(x) * WIDTH;
        let mut x = 0;
        while x < row.len() {
            let look = row[x].look;
            let run = row[x..].iter().take_while(|cell| cell.look.bg == look.bg).count();
            if let Some(bg) = look.bg {
                let (left, width) = (left(x), units(run) * WIDTH);
                line(
                    out,
                    format_args!(
                        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
                     height=\"{HEIGHT}\" fill=\"{bg}\"/>"
                    ),
                );
            }
            x += run;
        }
        let mut x = 0;
        while x < row.len() {
            let (look, fg) = (row[x].look, row[x].look.fg);
            if let Some(path) = strokes(&row[x].text, left(x), top) {
                let faint = if look.dim { " opacity=\".65\"" } else { "" };
                line(
                    out,
                    format_args!(
                        "<path d=\"{path}\" stroke=\"{fg}\" fill=\"none\" stroke-width=\"1.2\"{faint}/>"
                    ),
                );
                x += 1;
                continue;
            }
            let (mut text, mut columns) = (String::new(), 0);
            while x + columns < row.len() {
                let cell = &row[x + columns];
                if cell.look != look || strokes(&cell.text, 0.0, 0.0).is_some() {
                    break;
                }
                text.push_str(&cell.text);
                columns += cell.columns;
            }
            if !text.trim().is_empty() || look.underline {
                let (left, width) = (left(x), units(columns) * WIDTH);
                let (base, class, text) = (top + 13.4, look.class(), escape(&text));
                line(
                    out,
                    format_args!(
                        "<text x=\"{left:.1}\" y=\"{base:.1}\" textLength=\"{width:.1}\" \
                     lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\" \
                     fill=\"{fg}\"{class}>{text}</text>"
                    ),
                );
            }
            x += columns.max(1);
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments) {
    let _ = writeln!(out, "{text}"); // writing to a String cannot fail
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A box-drawing character as strokes within its cell.
fn strokes(text: &str, x: f32, y: f32) -> Option<String> {
    let (middle, centre) = (x + WIDTH / 2.0, y + HEIGHT / 2.0);
    let left = format!("M{x:.1} {centre:.1}H{middle:.1}");
    let right = format!("M{middle:.1} {centre:.1}H{:.1}", x + WIDTH);
    let up = format!("M{middle:.1} {y:.1}V{centre:.1}");
    let down = format!("M{middle:.1} {centre:.1}V{:.1}", y + HEIGHT);
    Some(match text {
        "─" => left + &right,
        "│" => up + &down,
        "└" => right + &up,
        "├" => up + &down + &right,
        _ => return None,
    })
}
