//! The matrix in few words, for a table of three columns.

use std::fmt::Write as _;

use super::{Case, Expected, Happened, Matrix, Mismatch, Reason, Row};
use crate::printable::printable_lines;

impl Case {
    /// With what the login is tried.
    pub fn title(self) -> &'static str {
        match self {
            Self::RightCertificate => "the right certificate",
            Self::NoTls => "no TLS",
            Self::NoCertificate => "TLS, no certificate",
            Self::OtherCa => "same subject, other CA",
            Self::OtherSubject => "same CA, other subject",
            Self::Expired => "expired certificate",
            Self::Revoked => "revoked certificate",
        }
    }
}

impl Expected {
    pub fn title(self) -> &'static str {
        match self {
            Self::LetIn => "let in",
            Self::Refused => "refused",
        }
    }
}

impl Happened {
    /// What it came to, in two or three words.
    pub fn title(&self) -> &'static str {
        match self {
            Self::LetIn { .. } => "let in",
            Self::OtherAccount { .. } => "another account",
            Self::Refused { .. } | Self::HandshakeRefused { .. } => "refused",
            Self::HandshakeOnly => "handshake only",
            Self::NotTried { .. } => "not tried",
            Self::Failed { .. } => "not found out",
        }
    }

    /// What there is to add; may be empty.
    fn note(&self) -> String {
        match self {
            Self::LetIn { tls, .. } => tls.as_deref().map_or_else(String::new, spaced),
            Self::OtherAccount { account } => format!("{account} answered"),
            Self::Refused { code: 1045, .. } => String::new(),
            Self::Refused { code, .. } => format!("error {code}"),
            Self::HandshakeRefused { reason } => reason.clone(),
            Self::HandshakeOnly => "the rest takes the account's password".to_owned(),
            Self::NotTried { why } | Self::Failed { why } => why.clone(),
        }
    }
}

impl Row {
    /// `✓` where it came out as it had to, `✗` where it did not, `–` where it was not tried.
    pub fn mark(&self) -> char {
        match self.happened {
            _ if !self.was_tried() => '–',
            _ if self.holds() => '✓',
            _ => '✗',
        }
    }

    /// What there is to add to [`Happened::title`]; may be empty. A refusal that had to come needs
    /// no words of the server's, one that had not does.
    pub fn note(&self) -> String {
        match &self.happened {
            Happened::Refused { code, message } if self.expected == Expected::LetIn => {
                format!("error {code}: {message}")
            }
            happened => happened.note(),
        }
    }
}

impl Matrix {
    /// One sentence that says what was proven, or which login came out otherwise.
    pub fn summary(&self) -> String {
        let account = &self.account;
        let tried_wrong = self.rows.iter().find(|row| row.was_tried() && !row.holds());
        if let Some(row) = tried_wrong {
            let (case, must) = (row.case.title(), row.expected.title());
            let note = row.note();
            let was = row.happened.title();
            let was = if note.is_empty() { was.to_owned() } else { format!("{was} ({note})") };
            return format!(
                "Not proved: the login to {account} with {case} must be {must}, and was {was}."
            );
        }
        if !self.proved() {
            return format!("Not proved: not every login to {account} was tried.");
        }
        let untried = self.untried();
        let proved = if untried.is_empty() { "Proved" } else { "Proved as far as it was tried" };
        let rest = match untried.as_slice() {
            [] => String::new(),
            some => {
                let titles: Vec<&str> = some.iter().map(|row| row.case.title()).collect();
                let why = match &some[0].happened {
                    Happened::NotTried { why } => format!(" ({why})"),
                    _ => String::new(),
                };
                format!(" Not tried: {}{why}.", titles.join("; "))
            }
        };
        match self.needs() {
            Needs::Nothing => {
                format!(
                    "As its REQUIRE {} says: {account} is let in without TLS.{rest}",
                    self.require
                )
            }
            Needs::Tls => {
                format!("{proved}: {account} needs TLS; it does not need a certificate.{rest}")
            }
            Needs::Certificate => {
                format!("{proved}: {account} needs a certificate; any of this CA will do.{rest}")
            }
            Needs::ItsCertificate => format!("{proved}: {account} needs its certificate.{rest}"),
        }
    }
}

/// How much a login has to show, from little to much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Needs {
    Nothing,
    Tls,
    /// Any of a CA that the server trusts.
    Certificate,
    ItsCertificate,
}

impl Matrix {
    /// The least that gets in: as it was tried, and where that takes the CA's key, as REQUIRE says.
    pub fn needs(&self) -> Needs {
        let lets_in = |case| {
            self.row(case).is_some_and(|row| match row.happened {
                Happened::LetIn { .. } | Happened::OtherAccount { .. } => true,
                _ => !row.was_tried() && row.expected == Expected::LetIn,
            })
        };
        if lets_in(Case::NoTls) {
            Needs::Nothing
        } else if lets_in(Case::NoCertificate) {
            Needs::Tls
        } else if lets_in(Case::OtherSubject) {
            Needs::Certificate
        } else {
            Needs::ItsCertificate
        }
    }

    /// The cases that were not tried.
    fn untried(&self) -> Vec<&Row> {
        self.rows.iter().filter(|row| !row.was_tried()).collect()
    }
}

impl Matrix {
    /// Whether any login was decided by the server.
    pub fn was_decided(&self) -> bool {
        let decided = |row: &Row| {
            !matches!(row.happened, Happened::NotTried { .. } | Happened::Failed { .. })
        };
        self.rows.iter().any(decided)
    }

    /// The matrix as a grid, and what is to be said of it; printable.
    pub fn text(&self, ascii: bool) -> String {
        const COLUMNS: usize = 100;
        let mut out =
            format!("{}  REQUIRE {}  at {}\n\n", self.account, self.require, self.against);
        let wide = self.rows.iter().map(|row| row.case.title().len()).max().unwrap_or(0);
        // writing to a String cannot fail
        let _ = writeln!(out, "  {:<wide$}  must be  was", "login with");
        for row in &self.rows {
            let (case, must) = (row.case.title(), row.expected.title());
            let mark = match row.mark() {
                '✓' if ascii => '+',
                '✗' if ascii => 'X',
                '–' if ascii => '-',
                mark => mark,
            };
            let line = format!(
                "  {case:<wide$}  {must:<7}  {mark} {:<15}  {}",
                row.happened.title(),
                row.note()
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
        for row in self.rows.iter().filter(|row| row.was_tried()) {
            let Some(reason) = row.reason.as_ref().filter(|reason| !reason.is_empty()) else {
                continue;
            };
            let _ = write!(out, "\n{}: {}\n", row.case.title(), reason.meaning);
            reason.lines.iter().for_each(|text| line(&mut out, format_args!("  the log: {text}")));
            let difference = reason.mismatch.as_ref().and_then(Mismatch::difference);
            if let Some(difference) = difference.filter(|_| !row.holds()) {
                difference
                    .lines(COLUMNS)
                    .iter()
                    .for_each(|text| line(&mut out, format_args!("  {text}")));
            }
        }
        let _ = write!(out, "\n{}\n", self.summary());
        self.notes.iter().for_each(|note| line(&mut out, format_args!("Note: {note}.")));
        if let Some(corrected) = &self.corrected {
            line(&mut out, format_args!("What asks for what the server saw:"));
            corrected.statement.lines().for_each(|text| line(&mut out, format_args!("  {text}")));
            corrected
                .warnings
                .iter()
                .for_each(|text| line(&mut out, format_args!("  note: {text}")));
        }
        match (&self.heard_in, &self.unheard) {
            (Some(place), None) => {
                line(&mut out, format_args!("The server's words are from {place}."));
            }
            (_, Some(why)) => {
                line(&mut out, format_args!("The server's own reasons were not heard: {why}."));
            }
            (None, None) => {}
        }
        if let Some(errors) = self.connect_errors {
            let _ = writeln!(
                out,
                "The server counts {errors} errors towards max_connect_errors for this host."
            );
        }
        let s = if self.connections == 1 { "" } else { "s" };
        let _ = writeln!(out, "{} connection{s} in {:.2} s.", self.connections, self.seconds);
        printable_lines(&out) + "\n"
    }

    /// The matrix with what it came to.
    pub fn json(&self) -> serde_json::Value {
        let mut object = serde_json::to_value(self).unwrap_or_default();
        object["proved"] = self.proved().into();
        object["summary"] = self.summary().into();
        object["needs"] = self.proved().then(|| serde_json::to_value(self.needs()).ok()).into();
        let untried = self.untried().into_iter().map(|row| serde_json::to_value(row.case));
        object["not_tried"] = untried.filter_map(Result::ok).collect::<Vec<_>>().into();
        let rows = object["rows"].as_array_mut().into_iter().flatten();
        for (json, row) in rows.zip(&self.rows) {
            json["holds"] = row.was_tried().then(|| row.holds()).into();
            let difference = row.reason.as_ref().and_then(|reason| reason.mismatch.as_ref());
            let difference = difference.and_then(Mismatch::difference);
            json["difference"] = serde_json::to_value(difference).unwrap_or_default();
        }
        object
    }
}

impl Reason {
    fn is_empty(&self) -> bool {
        self.meaning.is_empty() && self.lines.is_empty()
    }
}

/// One line more.
pub(super) fn line(out: &mut String, text: std::fmt::Arguments) {
    // writing to a String cannot fail
    let _ = writeln!(out, "{text}");
}

/// `TLSv1.3` as `TLS 1.3`.
fn spaced(version: &str) -> String {
    version
        .strip_prefix("TLSv")
        .map_or_else(|| version.to_owned(), |number| format!("TLS {number}"))
}
