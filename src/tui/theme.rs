//! What things look like: the terminal's own sixteen colours, no backgrounds, and never colour
//! alone: each state has a sign and a word of its own.
//!
//! `NO_COLOR` needs nothing here: crossterm leaves the colours out when it is set, and what carries
//! meaning (signs, words, bold, reversed) stays.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use crate::checklist::Verdict;
use crate::rules::Severity;

pub const GOOD: &str = "✓";
pub const WARNING: &str = "!";
pub const BAD: &str = "✗";
pub const NOT_APPLICABLE: &str = "–";
pub const UNKNOWN: &str = "?";
pub const OPEN: &str = "·";
pub const POINTER: &str = "▶";

pub fn good() -> Style {
    Style::new().fg(Color::Green)
}

pub fn warning() -> Style {
    Style::new().fg(Color::Yellow)
}

pub fn bad() -> Style {
    Style::new().fg(Color::Red)
}

pub fn unknown() -> Style {
    Style::new().fg(Color::Cyan)
}

/// Labels, and what is there only to be complete.
pub fn quiet() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

pub fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// Where you are.
pub fn here() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// Text to be run or copied as it stands.
pub fn code() -> Style {
    Style::new().fg(Color::Cyan)
}

/// Sign, style and word of a step's verdict.
pub fn verdict(verdict: Option<Verdict>) -> (&'static str, Style, &'static str) {
    match verdict {
        Some(Verdict::Good) => (GOOD, good(), "good"),
        Some(Verdict::NotApplicable) => (NOT_APPLICABLE, quiet(), "does not apply"),
        Some(Verdict::Unknown) => (UNKNOWN, unknown(), "not known"),
        Some(Verdict::Warning) => (WARNING, warning(), "warning"),
        Some(Verdict::Error) => (BAD, bad(), "error"),
        None => (OPEN, quiet(), "not looked at"),
    }
}

/// Sign, style and word of a finding.
pub fn severity(severity: Severity) -> (&'static str, Style, &'static str) {
    match severity {
        Severity::Error => (BAD, bad(), "error"),
        Severity::Warning => (WARNING, warning(), "warning"),
        Severity::Note => (OPEN, unknown(), "note"),
    }
}

/// Sign and style of something that holds, does not, or was not tried.
pub fn holds(holds: Option<bool>) -> Span<'static> {
    match holds {
        Some(true) => Span::styled(GOOD, good()),
        Some(false) => Span::styled(BAD, bad()),
        None => Span::styled(UNKNOWN, unknown()),
    }
}

/// One of four pictures of a wheel that turns; plain characters, for braille displays.
pub fn spinner(ticks: u32) -> &'static str {
    ["|", "/", "-", "\\"][ticks as usize % 4]
}

/// Writes the screen in ASCII, cell by cell, for terminals that know nothing else.
pub fn to_ascii(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if cell.symbol().is_ascii() {
            continue;
        }
        let plain = match cell.symbol() {
            GOOD => "+",
            BAD => "x",
            NOT_APPLICABLE => "/",
            "─" | "━" => "-",
            OPEN | "…" | "•" => ".",
            "│" | "┃" => "|",
            "└" | "├" | "┌" => "`",
            "◀" | "←" => "<",
            POINTER | "→" => ">",
            "↑" => "^",
            "↓" => "v",
            "≠" => "#",
            _ => "?",
        };
        cell.set_symbol(plain);
    }
}

/// Whether the terminal takes UTF-8, as far as its environment says: the first of `LC_ALL`,
/// `LC_CTYPE` and `LANG` that is set decides (setlocale(3)); old consoles do not.
pub fn locale_is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    if matches!(variable("TERM").as_deref(), Some("linux" | "vt100" | "vt220")) {
        return false;
    }
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let with = |pairs: &'static [(&str, &str)]| {
            move |name: &str| {
                let found = pairs.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            }
        };
        assert!(locale_is_utf8(with(&[("LANG", "sv_SE.UTF-8")])));
        assert!(locale_is_utf8(with(&[("LC_ALL", ""), ("LANG", "C.utf8")])));
        assert!(!locale_is_utf8(with(&[("LC_ALL", "C"), ("LANG", "sv_SE.UTF-8")])));
        assert!(!locale_is_utf8(with(&[("TERM", "linux"), ("LANG", "sv_SE.UTF-8")])));
        assert!(!locale_is_utf8(with(&[])));
    }

    #[test]
    fn states_differ_by_sign_and_word_not_by_colour_alone() {
        use Verdict::{Error, Good, NotApplicable, Unknown, Warning};
        let all = [Good, NotApplicable, Unknown, Warning, Error].map(|v| verdict(Some(v)));
        for (i, one) in all.iter().enumerate() {
            for other in &all[..i] {
                assert_ne!(one.0, other.0);
                assert_ne!(one.2, other.2);
            }
        }
    }
}
