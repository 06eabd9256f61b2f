//! A denial as text.

use std::fmt::Write as _;

use super::{Cause, Denial};
use crate::printable::printable_lines;
use crate::prove::show::line;
use crate::remedy::{ActionKind, Place};

impl Denial {
    /// For people; printable, several lines.
    pub fn text(&self) -> String {
        let mut out = format!("{}: {}\n", self.account, self.answer);
        if self.let_in {
            out += "nothing keeps it out\n";
        }
        self.notes.iter().for_each(|note| line(&mut out, format_args!("note: {note}")));
        for (at, cause) in self.causes.iter().enumerate() {
            let lead = if at == 0 { "the reason: " } else { "and besides: " };
            // writing to a String cannot fail
            let _ = write!(out, "\n{lead}{}\n", cause.what);
            cause.write(&mut out);
        }
        if !self.log.is_empty() {
            let place = self.heard_in.as_deref().unwrap_or("its log");
            let _ = write!(out, "\nthe server's own words ({place}):\n");
            self.log.iter().for_each(|text| line(&mut out, format_args!("  {text}")));
        }
        if !self.open.is_empty() {
            out += "\nwhat is not known:\n";
            self.open.iter().for_each(|open| line(&mut out, format_args!("  {open}")));
        }
        printable_lines(&out) + "\n"
    }
}

impl Cause {
    fn write(&self, out: &mut String) {
        const COLUMNS: usize = 100;
        let wide = self.evidence.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        match &self.difference {
            Some(difference) => {
                // whose word it is: the server's own, or what was reckoned here
                let whose = self.evidence.first().map_or("", |(label, _)| label.as_str());
                for text in difference.lines(COLUMNS) {
                    let text = match text.strip_prefix("the server saw    ") {
                        Some(rest) if whose != "the server saw" => format!("{whose:<17} {rest}"),
                        _ => text,
                    };
                    line(out, format_args!("  {text}"));
                }
            }
            None => {
                for (label, value) in &self.evidence {
                    let _ = writeln!(out, "  {label:<wide$}  {value}");
                }
            }
        }
        for remedy in &self.remedies {
            let _ = writeln!(out, "  fix: {}", remedy.title);
            for action in &remedy.actions {
                let place = match action.place {
                    Place::ServerSql => "run in the server",
                    Place::ServerHost => "on the server's host",
                    Place::ClientHost => "on the client's host",
                    Place::DbaHost => "where the CA is kept",
                };
                let what = match (action.kind, &action.file) {
                    (ActionKind::File, Some(file)) => format!(" write {}", file.display()),
                    _ => String::new(),
                };
                let _ = writeln!(out, "    {place}:{what}");
                if action.kind == ActionKind::File {
                    out.push_str("      (its text: --format json)\n");
                } else {
                    action.text.lines().for_each(|text| line(out, format_args!("      {text}")));
                }
            }
            if !remedy.note.is_empty() {
                let _ = writeln!(out, "    note: {}", remedy.note);
            }
        }
        if !self.advice.is_empty() {
            let _ = writeln!(out, "  {}", self.advice);
        }
    }
}
