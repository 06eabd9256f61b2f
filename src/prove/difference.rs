//! Where two names that a server compares byte by byte begin to differ, for the eye.

use serde::{Deserialize, Serialize};

use crate::printable::printable_bytes;

/// Two strings that are not the same, and the first byte at which they are not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The first byte that differs, counted from 0.
    pub at: usize,
    /// Printable.
    pub account_says: String,
    /// Printable.
    pub server_saw: String,
    /// Before how many columns of either text the difference begins.
    pub column: usize,
    /// In words: `“\” where the account has “/”`.
    pub words: String,
}

/// Compares as the server does (`strcmp`); `None` where there is no difference.
pub fn difference(account_says: &[u8], server_saw: &[u8]) -> Option<Difference> {
    if account_says == server_saw {
        return None;
    }
    let same = account_says.iter().zip(server_saw).take_while(|(one, other)| one == other).count();
    // A character of several bytes differs as a whole.
    let start =
        (0..=same).rev().find(|at| is_start(account_says, *at) && is_start(server_saw, *at));
    let start = start.unwrap_or(0);
    let column = textwrap::core::display_width(&printable_bytes(&server_saw[..start]));
    Some(Difference {
        at: same,
        account_says: printable_bytes(account_says),
        server_saw: printable_bytes(server_saw),
        column,
        words: words(&account_says[start..], &server_saw[start..]),
    })
}

/// Whether a character of UTF-8 may begin here.
fn is_start(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| byte & 0xc0 != 0x80)
}

fn words(account_has: &[u8], server_has: &[u8]) -> String {
    let name = |rest: &[u8]| match rest {
        [] => "its end".to_owned(),
        [b' ', ..] => "a space".to_owned(),
        rest => {
            let text = String::from_utf8_lossy(rest);
            let first: String = text.chars().take(1).collect();
            format!("“{}”", printable_bytes(first.as_bytes()))
        }
    };
    let blank = |rest: &[u8]| !rest.is_empty() && rest.iter().all(|byte| *byte == b' ');
    if blank(account_has) && server_has.is_empty() {
        return "the account has a space at its end".to_owned();
    }
    if account_has.first().zip(server_has.first()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b)) {
        let (one, other) = (name(server_has), name(account_has));
        return format!("{one} where the account has {other}: capitals count");
    }
    format!("{} where the account has {}", name(server_has), name(account_has))
}

impl Difference {
    /// Both texts one below the other and a mark under the first difference, no wider than
    /// `columns`; of long ones what is around it.
    pub fn lines(&self, columns: usize) -> [String; 3] {
        const LABELS: [&str; 2] = ["the server saw    ", "the account says  "];
        const BEFORE: usize = 24;
        let room = columns.saturating_sub(LABELS[0].len() + 4).max(20);
        let longest = [&self.server_saw, &self.account_says].map(|text| text.chars().count());
        let fits = longest.into_iter().max().unwrap_or(0) <= room;
        let skip = if fits { 0 } else { self.column.saturating_sub(BEFORE) };
        let shown = |text: &str| {
            let mut out = if skip > 0 { "…".to_owned() } else { String::new() };
            // printable text has one column a character, but for what is wide in any terminal
            out.extend(text.chars().skip(skip).take(room));
            if text.chars().count() > skip + room {
                out.push('…');
            }
            out
        };
        let mark = LABELS[0].len() + 1 + usize::from(skip > 0) + self.column - skip;
        [
            format!("{}'{}'", LABELS[0], shown(&self.server_saw)),
            format!("{}'{}'", LABELS[1], shown(&self.account_says)),
            format!("{}^ {}", " ".repeat(mark), self.words),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(account: &str, server: &str) -> [String; 3] {
        difference(account.as_bytes(), server.as_bytes()).unwrap().lines(80)
    }

    #[test]
    fn the_mark_stands_under_the_first_character_that_differs() {
        let [server, account, mark] = lines("/O=A/B Corp/CN=app", r"/O=A\/B Corp/CN=app");
        assert_eq!(server, r"the server saw    '/O=A\/B Corp/CN=app'");
        assert_eq!(account, "the account says  '/O=A/B Corp/CN=app'");
        assert_eq!(mark, "                       ^ “\\” where the account has “/”");
        assert_eq!(server.chars().nth(mark.find('^').unwrap()), Some('\\'));
    }

    #[test]
    fn ends_spaces_and_capitals_are_said_in_words() {
        let words = |account: &str, server: &str| {
            difference(account.as_bytes(), server.as_bytes()).unwrap().words
        };
        assert_eq!(words("/CN=app ", "/CN=app"), "the account has a space at its end");
        assert_eq!(words("/CN=app", "/CN=app2"), "“2” where the account has its end");
        assert_eq!(words("/CN=App", "/CN=app"), "“a” where the account has “A”: capitals count");
        assert_eq!(words("/CN=Jörg", r"/CN=J\xC3\xB6rg"), "“\\” where the account has “ö”");
        assert_eq!(difference(b"/CN=app", b"/CN=app"), None);
    }

    #[test]
    fn bytes_that_do_not_print_neither_move_the_mark_nor_reach_the_terminal() {
        let found = difference(b"/CN=\x1b[2Ja", b"/CN=\x1b[2Jb").unwrap();
        assert_eq!((found.at, &*found.server_saw), (8, r"/CN=\x1B[2Jb"));
        let [server, _, mark] = found.lines(80);
        assert_eq!(server.chars().nth(mark.find('^').unwrap()), Some('b'));
        // the second byte of a letter differs, and the mark stands under the letter
        let found = difference("/CN=ö".as_bytes(), "/CN=ä".as_bytes()).unwrap();
        assert_eq!((found.at, found.column), (5, 4));
    }

    #[test]
    fn of_long_names_the_part_around_the_difference_is_shown() {
        let long = "x".repeat(2_000);
        let [server, account, mark] =
            lines(&format!("/CN={long}a{long}"), &format!("/CN={long}b{long}"));
        assert!([&server, &account].iter().all(|line| line.chars().count() <= 80), "{server}");
        assert_eq!(server.chars().nth(mark.find('^').unwrap()), Some('b'));
        assert_eq!(account.chars().nth(mark.find('^').unwrap()), Some('a'));
    }
}
