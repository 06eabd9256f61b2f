//! The grid in words.

use std::fmt::Write as _;

use super::{Did, Grid, Met, Part, Row, Verdict};

impl Did {
    /// In a few words, for a column.
    pub fn title(&self) -> &'static str {
        match self {
            Self::CameAndWent => "came and went",
            Self::Refused { .. } => "refused it",
            Self::NoHandshake { .. } => "no handshake",
            Self::LoginInTls { .. } => "sent its login",
            Self::LoginInClear => "sent its login IN THE CLEAR",
            Self::Silent { .. } => "waited",
            Self::NotMySql { .. } => "is no MySQL client",
        }
    }

    /// How it did so.
    pub fn note(&self) -> String {
        match self {
            Self::CameAndWent => "before it had read the greeting".to_owned(),
            Self::Refused { how } => how.clone(),
            Self::NoHandshake { why } => why.clone(),
            Self::LoginInTls { version, cipher } => format!("inside {version}, {cipher}"),
            Self::LoginInClear => String::new(),
            Self::Silent { stage } => format!("{stage}, until the time was over"),
            Self::NotMySql { sent } => format!("it sent: {sent}"),
        }
    }
}

impl Met {
    /// Who it was, as far as it said so: `app, libmysql 9.7.4 (mysql), from 10.0.0.7`.
    pub fn who(&self) -> String {
        let mut who = String::new();
        if let Some(applicant) = &self.applicant {
            let _ =
                write!(who, "{}", if applicant.user.is_empty() { "?" } else { &applicant.user });
            if let Some(library) = &applicant.library {
                let _ = write!(who, ", {library}");
            }
            if let Some(program) = &applicant.program {
                let _ = write!(who, " ({program})");
            }
            who.push_str(", ");
        }
        let _ = write!(who, "from {}", self.from);
        who
    }
}

impl Row {
    /// `✓` where the application did what keeps it safe, `✗` where it did not, `?` where it is not known.
    pub fn mark(&self) -> char {
        match (self.part, self.met.as_ref().map(|met| &met.did)) {
            (Part::Right, Some(Did::LoginInTls { .. })) => '✓',
            (Part::Right, Some(Did::Refused { .. }))
            | (_, Some(Did::LoginInTls { .. } | Did::LoginInClear)) => '✗',
            (_, Some(Did::Refused { .. })) => '✓',
            _ => '?',
        }
    }
}

impl Verdict {
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Verifies => {
                "It verifies whom it talks to: every wrong server was refused before a login was sent."
            }
            Self::DoesNotVerify => {
                "It does not verify whom it talks to: whoever can place himself between it and the \
                 server gets its logins, and is not noticed."
            }
            Self::SendsInClear => {
                "It sends its login without TLS: whoever can listen reads what it says, and whoever \
                 can place himself between gets in."
            }
            Self::RefusesTheRight => {
                "It refused the right certificate, too, so that its refusals prove nothing. Does it \
                 trust the CA named above, and reach this port by one of the names above?"
            }
            Self::Unfinished => "Not every part was met: start the application once for each.",
        }
    }
}

impl Grid {
    /// A line for each part, then the verdict.
    pub fn text(&self) -> String {
        let width = self.rows.iter().map(|row| row.part.title().len()).max().unwrap_or(0);
        let mut text = String::new();
        // writing to a String cannot fail
        for row in &self.rows {
            let (title, mark) = (row.part.title(), row.mark());
            let _ = match &row.met {
                None => writeln!(text, "{mark} {title:<width$}  nobody came"),
                Some(met) => {
                    let note = met.did.note();
                    let note = if note.is_empty() { note } else { format!(", {note}") };
                    writeln!(text, "{mark} {title:<width$}  {}{note}", met.did.title())
                }
            };
        }
        if let Some(met) = self.speaker() {
            let _ = writeln!(text, "\nthe application: {}", met.who());
            let certificate = met.certificate.as_deref();
            let shown = certificate.map_or_else(|| "none".to_owned(), ToOwned::to_owned);
            let _ = writeln!(text, "its own certificate: {shown}");
        }
        if self.turned_away > 0 {
            let _ = writeln!(text, "{} connections too many were turned away", self.turned_away);
        }
        let verdict = textwrap::fill(self.verdict().sentence(), 80);
        let _ = writeln!(text, "\n{verdict}");
        text
    }

    /// The connection that said most of itself; the control's before others.
    fn speaker(&self) -> Option<&Met> {
        let met = || self.rows.iter().rev().filter_map(|row| row.met.as_ref());
        met().find(|met| met.applicant.is_some()).or_else(|| met().next())
    }
}
