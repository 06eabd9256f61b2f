//! Accounts as people type them: `'app'@'10.0.%'`, or what a shell leaves of it, `app@10.0.%`.

use std::str::FromStr;

use thiserror::Error;

use super::AccountName;
use crate::printable::printable;

/// Why a text is no account.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{text}` is no account: {why}; write user@host, such as app@10.0.%, with quotes where a part holds an @ or a quote: \"'o''neil'@'%'\""
)]
pub struct NoAccount {
    text: String,
    why: &'static str,
}

const SEVERAL: &str =
    "it holds a comma or a quote (of several accounts each is an argument of its own)";

/// As MySQL's statements have it: each part bare or in quotes of any of the three kinds, in which
/// the quote itself stands twice; no host means `%`. Backslashes are themselves.
impl FromStr for AccountName {
    type Err = NoAccount;

    fn from_str(text: &str) -> Result<Self, NoAccount> {
        let no = |why| NoAccount { text: printable(text).into_owned(), why };
        let (user, rest) = match quoted(text) {
            Some(Err(why)) => return Err(no(why)),
            Some(Ok((user, rest))) => (user, rest),
            // a bare name may hold an @ itself, a host none
            None => {
                let at =
                    text.rfind("@'").or_else(|| text.rfind("@\"")).or_else(|| text.rfind("@`"));
                let end = at.or_else(|| text.rfind('@')).unwrap_or(text.len());
                if end == 0 && text.len() < 2 {
                    return Err(no("the user is missing (the anonymous account is ''@'host')"));
                }
                let user = &text[..end];
                if user.contains('@') && user.contains(',') {
                    return Err(no(SEVERAL));
                }
                (user.to_owned(), &text[end..])
            }
        };
        let host = match rest.strip_prefix('@') {
            None if rest.is_empty() => "%".to_owned(),
            None => return Err(no("something other than @ follows the user")),
            Some("") => return Err(no("the host is missing")),
            Some(host) => match quoted(host) {
                Some(Err(why)) => return Err(no(why)),
                Some(Ok((host, ""))) => host,
                Some(Ok(_)) => return Err(no("something follows the host")),
                None if host.contains([',', '\'', '"', '`']) => {
                    return Err(no(SEVERAL));
                }
                None => host.to_owned(),
            },
        };
        // as servers store it: hosts have no capitals
        Ok(Self { user, host: host.to_lowercase() })
    }
}

/// What stands in the quotes that a text begins with, and what follows them; `None` when it begins
/// with none.
fn quoted(text: &str) -> Option<Result<(String, &str), &'static str>> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'))?;
    let mut out = String::new();
    let mut rest = &text[1..];
    loop {
        let Some(end) = rest.find(quote) else {
            return Some(Err("a quote is opened and not closed"));
        };
        out.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(after) => {
                out.push(quote);
                rest = after;
            }
            None => return Some(Ok((out, rest))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_as_statements_and_shells_have_them() {
        for (text, user, host) in [
            ("app", "app", "%"),
            ("app@10.0.%", "app", "10.0.%"),
            ("'app'@'10.0.%'", "app", "10.0.%"),
            ("`app`@localhost", "app", "localhost"),
            ("app@'10.0.%'", "app", "10.0.%"),
            ("\"o'neil\"@\"%\"", "o'neil", "%"),
            ("'o''neil'@'%'", "o'neil", "%"),
            ("joe@example.com@%", "joe@example.com", "%"),
            ("'joe@example.com'", "joe@example.com", "%"),
            ("''@'localhost'", "", "localhost"),
            ("@localhost", "", "localhost"),
            (r"'a\b'@'%'", r"a\b", "%"),
            ("'a\nb`\"'@'10.0.0.0/255.0.0.0'", "a\nb`\"", "10.0.0.0/255.0.0.0"),
            ("'app'@''", "app", ""),
            ("Jörg@%", "Jörg", "%"),
        ] {
            assert_eq!(text.parse(), Ok(AccountName::new(user, host)), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "user is missing"),
            ("@", "user is missing"),
            ("app@", "host is missing"),
            ("app@%,web@%", "comma or a quote"),
            ("'app'@10.0.%'", "comma or a quote"),
            ("'app", "not closed"),
            ("'app'@'%", "not closed"),
            ("'app'x@%", "other than @"),
            ("'app'@'%'; DROP", "follows the host"),
        ] {
            let said = text.parse::<AccountName>().unwrap_err().to_string();
            assert!(said.contains(why) && said.contains("app@10.0.%"), "{text}: {said}");
        }
        let said = "\x1b[2J@".parse::<AccountName>().unwrap_err().to_string();
        assert!(said.starts_with(r"`\x1B[2J@`"), "{said}");
    }
}
