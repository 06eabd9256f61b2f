//! What the server offers: suites beside versions as a matrix, then the policies, then all else as it was found.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::account::warned;
use super::{heading, rule};
use crate::printable::printable;
use crate::scan::names::weakness;
use crate::scan::result::{TlsScan, VersionScan};
use crate::scan::{Scan, show};
use crate::tui::state::State;
use crate::tui::text::{clip, fit, pairs, paragraph, width};
use crate::tui::theme;

/// Columns of one version.
const CELL: usize = 8;

pub fn lines(
    state: &State,
    so_far: &str,
    answer: Option<&Result<Box<Scan>, String>>,
    columns: usize,
) -> Vec<Line<'static>> {
    let mut out = vec![rule("What the server offers", columns)];
    let scan = match answer {
        None => {
            let ticks = state.job.as_ref().map_or(0, |job| job.ticks);
            let word = if so_far.is_empty() { "asking" } else { so_far };
            out.push(Line::raw(format!("{} {}", theme::spinner(ticks), printable(word))));
            return out;
        }
        Some(Err(why)) => {
            out.extend(warned(why, columns));
            return out;
        }
        Some(Ok(scan)) => scan,
    };
    let at = format!("{}:{}  {}", scan.host, scan.port, scan.greeting.describe());
    out.push(Line::styled(clip(&printable(&at), columns), theme::quiet()));
    if let Some(tls) = &scan.tls {
        out.push(Line::default());
        out.extend(matrix(tls, columns));
        out.push(Line::default());
        out.push(heading("policies"));
        for verdict in &tls.policies {
            out.push(Line::from(vec![
                theme::holds(Some(verdict.fits)),
                Span::raw(format!(" {}", clip(&verdict.title, columns.saturating_sub(2)))),
            ]));
            for fault in &verdict.faults {
                out.extend(paragraph(&printable(fault), columns, 2, theme::quiet()));
            }
        }
    }
    out.push(Line::default());
    out.push(heading("and besides"));
    let rest: Vec<(String, String)> = show::rest(scan)
        .into_iter()
        .map(|(name, words)| (name, printable(&words).into()))
        .collect();
    let rest = rest.iter().map(|(name, words)| (name.as_str(), words.as_str()));
    out.extend(pairs(rest, columns, Style::new()));
    out
}

/// A line for each suite, with its place in the server's order under each version that takes it.
fn matrix(tls: &TlsScan, columns: usize) -> Vec<Line<'static>> {
    let offered: Vec<&VersionScan> = tls.versions.iter().filter(|one| one.offered).collect();
    let cells = offered.len() * CELL;
    let mut names: Vec<(&str, &str)> = Vec::new();
    for suite in offered.iter().flat_map(|version| &version.suites) {
        if names.iter().all(|(name, _)| *name != suite.name) {
            names.push((&suite.name, &suite.iana));
        }
    }
    let longest = names.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let room = longest.min(columns.saturating_sub(2 + cells)).max(8);
    let mut out = Vec::new();
    let heads = offered.iter().map(|one| format!("{:>CELL$}", one.protocol.name()));
    let heads: String = heads.collect();
    out.push(Line::styled(format!("  {}{heads}", fit("", room)), theme::quiet()));
    for (name, iana) in names {
        let place = |version: &&VersionScan| {
            let at = version.suites.iter().position(|suite| suite.name == name);
            // without an order of the server's own there are no places
            let word = at.map_or_else(
                || "-".to_owned(),
                |at| {
                    if version.order == "client" { "yes".to_owned() } else { (at + 1).to_string() }
                },
            );
            format!("{word:>CELL$}")
        };
        let places: String = offered.iter().map(place).collect();
        let (mark, words) = match weakness(iana) {
            None => (Span::styled(theme::GOOD, theme::good()), ""),
            Some((words, false)) => (Span::styled(theme::WARNING, theme::warning()), words),
            Some((words, true)) => (Span::styled(theme::BAD, theme::bad()), words),
        };
        let left = columns.saturating_sub(2 + room + cells + 2);
        out.push(Line::from(vec![
            mark,
            Span::raw(format!(" {}{places}  ", fit(&printable(name), room))),
            // the mark says it where there is no room
            Span::styled(if width(words) <= left { words } else { "" }, theme::quiet()),
        ]));
    }
    let missing: Vec<&str> = tls
        .versions
        .iter()
        .filter(|one| !one.offered && one.complete)
        .map(|one| one.protocol.name())
        .collect();
    if !missing.is_empty() {
        out.extend(paragraph(
            &format!("not offered: {}", missing.join(", ")),
            columns,
            2,
            theme::quiet(),
        ));
    }
    let parts = offered.iter().filter(|one| !one.complete).map(|one| one.protocol.name());
    for name in parts {
        out.extend(warned(&format!("{name}: there may be more; see “left out” below"), columns));
    }
    out
}
