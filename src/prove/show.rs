//! The matrix in few words, for a table of three columns.

use super::{Case, Expected, Happened, Matrix, Row};

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
        let let_in =
            |case| self.row(case).is_some_and(|row| matches!(row.happened, Happened::LetIn { .. }));
        if let_in(Case::NoTls) {
            format!("As its REQUIRE {} says: {account} is let in without TLS.", self.require)
        } else if let_in(Case::NoCertificate) {
            format!("Proved: {account} needs TLS; it does not need a certificate.")
        } else if let_in(Case::OtherSubject) {
            format!("Proved: {account} needs a certificate; any of this CA will do.")
        } else {
            format!("Proved: {account} needs its certificate.")
        }
    }
}

/// `TLSv1.3` as `TLS 1.3`.
fn spaced(version: &str) -> String {
    version
        .strip_prefix("TLSv")
        .map_or_else(|| version.to_owned(), |number| format!("TLS {number}"))
}
