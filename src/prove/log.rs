//! What the server itself wrote about a refused login.
//!
//! `X509 subject mismatch: should be '…' but is '…'`: MySQL 8.0 and later write `X.509`, and only
//! with `log_error_verbosity=3`; MariaDB and older MySQL write `X509` (`acl_check_ssl`). The line
//! comes after the password was found right, and before `Access denied`.

use serde::{Deserialize, Serialize};

use super::difference::{Difference, difference};
use crate::facts::Require;
use crate::printable::printable_bytes;

/// Which part of an account's REQUIRE did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Subject,
    Issuer,
    Cipher,
}

impl Part {
    /// As a statement spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Subject => "SUBJECT",
            Self::Issuer => "ISSUER",
            Self::Cipher => "CIPHER",
        }
    }

    /// What the account asks for there; empty when it asks for nothing.
    pub fn of(self, require: &Require) -> &str {
        match (self, require) {
            (Self::Subject, Require::Specified { subject, .. }) => subject,
            (Self::Issuer, Require::Specified { issuer, .. }) => issuer,
            (Self::Cipher, Require::Specified { cipher, .. }) => cipher,
            _ => "",
        }
    }
}

/// The two strings of which the server says that they differ, byte for byte as it wrote them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    pub part: Part,
    /// What stands in the account.
    pub account_says: String,
    /// What the server read out of the certificate, or the cipher in use.
    pub server_saw: String,
    /// The line was longer than the server writes lines (1,024 bytes for MariaDB): `server_saw` is
    /// only the beginning, and good for no statement.
    pub cut: bool,
}

impl Mismatch {
    /// Reads one from a line. A name may itself hold `' but is '`: what the account is known to
    /// require tells which quote is the closing one.
    pub fn read(line: &[u8], require: Option<&Require>) -> Option<Self> {
        const FORMS: [&[u8]; 2] = [b"X.509 ", b"X509 "];
        const SHOULD: &[u8] = b" mismatch: should be '";
        const BUT: &[u8] = b"' but is '";
        let parts =
            [(Part::Subject, "subject"), (Part::Issuer, "issuer"), (Part::Cipher, "ciphers")];
        let (part, rest) = FORMS.iter().find_map(|form| {
            let after = &line[find(line, form)? + form.len()..];
            parts.iter().find_map(|(part, word)| {
                Some((*part, after.strip_prefix(word.as_bytes())?.strip_prefix(SHOULD)?))
            })
        })?;
        let known = require.map(|require| part.of(require).as_bytes());
        let known = known.filter(|known| {
            !known.is_empty() && rest.strip_prefix(*known).is_some_and(|rest| rest.starts_with(BUT))
        });
        let should = match known {
            Some(known) => known.len(),
            None => find(rest, BUT)?,
        };
        let saw = rest[should + BUT.len()..].trim_ascii_end();
        let whole = saw.strip_suffix(b"'");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Self {
            part,
            account_says: text(&rest[..should]),
            server_saw: text(whole.unwrap_or(saw)),
            cut: whole.is_none(),
        })
    }

    pub fn difference(&self) -> Option<Difference> {
        difference(self.account_says.as_bytes(), self.server_saw.as_bytes())
    }

    /// The account's REQUIRE with this part as the server saw it: `None` where that is not wholly
    /// known, or the account asks for no such thing.
    pub fn corrected(&self, require: &Require) -> Option<Require> {
        let mut corrected = require.clone();
        let Require::Specified { subject, issuer, cipher } = &mut corrected else { return None };
        let part = match self.part {
            Part::Subject => subject,
            Part::Issuer => issuer,
            Part::Cipher => cipher,
        };
        if self.cut || self.server_saw.is_empty() || *part != self.account_says {
            return None;
        }
        part.clone_from(&self.server_saw);
        Some(corrected)
    }
}

/// A line of an error log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The number of the connection that it is about, where the line has it.
    pub connection: Option<u32>,
    pub text: Vec<u8>,
}

impl Line {
    /// `2026-01-05T10:00:01.0Z 8 [Note] …`, `2026-01-05 10:00:00 7 [Note] …`: the number before the
    /// bracket. Up to MySQL 5.6 that one is the server's process (`numbered`: it is not).
    pub fn read(text: &[u8], numbered: bool) -> Self {
        let connection = find(text, b" [").filter(|_| numbered).and_then(|end| {
            let word = text[..end].rsplit(|byte| *byte == b' ').next()?;
            std::str::from_utf8(word).ok()?.parse().ok()
        });
        Self { connection, text: text.to_vec() }
    }

    /// Printable, without its time and number.
    pub fn message(&self) -> String {
        let start = find(&self.text, b" [").map_or(0, |at| at + 1);
        printable_bytes(self.text[start..].trim_ascii_end())
    }

    /// Whether it is about a login that was refused.
    pub fn is_about_login(&self) -> bool {
        const WORDS: [&[u8]; 9] = [
            b"509 subject mismatch",
            b"509 issuer mismatch",
            b"509 ciphers mismatch",
            b"Access denied",
            b"Bad handshake",
            b"Aborted connection",
            b"Password for the account",
            b"insecure transport",
            b"is not loaded",
        ];
        WORDS.iter().any(|word| find(&self.text, word).is_some())
    }
}

fn find(text: &[u8], sought: &[u8]) -> Option<usize> {
    text.windows(sought.len()).position(|window| window == sought)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Mismatch> {
        Mismatch::read(line.as_bytes(), None)
    }

    #[test]
    fn either_spelling_is_read() {
        let maria = "2026-01-05 10:00:00 7 [Note] X509 subject mismatch: should be '/CN=app' but is '/CN=web'";
        let mysql = "2026-01-05T10:00:01.0Z 8 [Note] [MY-010290] [Server] X.509 issuer mismatch: should be '/CN=A' but is '/CN=B'\n";
        let subject = read(maria).unwrap();
        assert_eq!((subject.part, subject.cut), (Part::Subject, false));
        assert_eq!((&*subject.account_says, &*subject.server_saw), ("/CN=app", "/CN=web"));
        assert_eq!(read(mysql).unwrap().part, Part::Issuer);
        for line in ["9 [Warning] Access denied for user 'app'@'h'", "X509 subject mismatch", ""] {
            assert_eq!(read(line), None, "{line}");
        }
        let connection = |line: &str| Line::read(line.as_bytes(), true).connection;
        assert_eq!((connection(maria), connection(mysql)), (Some(7), Some(8)));
        assert_eq!(connection("141010 10:00:00 [Warning] old"), None);
    }

    #[test]
    fn what_the_account_says_tells_which_quote_ends_it() {
        let require = Require::Specified {
            subject: "/CN=a' but is 'b".into(),
            issuer: String::new(),
            cipher: String::new(),
        };
        let line = b"X509 subject mismatch: should be '/CN=a' but is 'b' but is '/CN=c'";
        let mismatch = Mismatch::read(line, Some(&require)).unwrap();
        assert_eq!(mismatch.server_saw, "/CN=c");
        let Some(Require::Specified { subject, .. }) = mismatch.corrected(&require) else {
            panic!()
        };
        assert_eq!(subject, "/CN=c");
        assert_eq!(mismatch.corrected(&Require::X509), None);
    }

    #[test]
    fn what_was_cut_off_is_no_statement() {
        let mismatch = read("X509 subject mismatch: should be '/CN=a' but is '/CN=bbb").unwrap();
        assert!(mismatch.cut);
        let require = Require::Specified {
            subject: "/CN=a".into(),
            issuer: String::new(),
            cipher: String::new(),
        };
        assert_eq!(mismatch.corrected(&require), None);
    }

    #[test]
    fn escapes_are_tamed_where_a_line_is_shown() {
        let line = Line::read(b"2026-01-05 10:00:00 7 [Note] X509 \x1b[2J\x07", true);
        assert_eq!(line.message(), "[Note] X509 \\x1B[2J\\x07");
    }
}
