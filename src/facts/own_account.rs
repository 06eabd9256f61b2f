//! The account that mytls itself logged in with, which every login may see: for those who may see no
//! other.

use mysql::prelude::Queryable as _;
use mysql::{Conn, Row};

use super::server::cell;
use super::{Account, AccountName, Flavor, More, Require};

/// What the server says of `CURRENT_USER()`; `None` where it says nothing of it.
pub fn read(conn: &mut Conn, flavor: Flavor) -> Option<Account> {
    let row: Row = conn.query_first("SELECT CURRENT_USER()").ok()??;
    let whole = cell(&row, 0);
    let (user, host) = whole.rsplit_once('@')?;
    let name = AccountName::new(user, host);
    // up to MySQL 5.6 and MariaDB 10.1 the grants have it
    let statements = ["SHOW CREATE USER CURRENT_USER()", "SHOW GRANTS FOR CURRENT_USER()"];
    let text = statements.iter().find_map(|statement| {
        let row: Row = conn.query_first(statement).ok()??;
        Some(cell(&row, 0))
    })?;
    Some(account(name, &text, flavor))
}

fn account(name: AccountName, text: &str, flavor: Flavor) -> Account {
    let rest = after_name(text, flavor);
    let require = rest.find(" REQUIRE ").map(|at| &rest[at + " REQUIRE ".len()..]);
    let identified = ["IDENTIFIED WITH ", "IDENTIFIED VIA "];
    let plugin = identified.iter().find_map(|words| {
        let from = rest.find(words)? + words.len();
        let word = rest[from..].split([' ', '\'', '`']).find(|word| !word.is_empty());
        word.map(str::to_owned)
    });
    Account {
        name,
        require: require.map_or(Require::None, |clause| clause_of(clause, flavor)),
        plugin: plugin.unwrap_or_default(),
        locked: false, // it has just logged in
        more: More::default(),
    }
}

/// What follows the account's name, which may hold any word itself.
fn after_name(text: &str, flavor: Flavor) -> &str {
    let start = match text.strip_prefix("CREATE USER ") {
        Some(rest) => rest,
        None => text.split_once(" TO ").map_or(text, |(_, rest)| rest),
    };
    let mut rest = start;
    for _ in ["user", "host"] {
        rest = rest.strip_prefix('@').unwrap_or(rest);
        let Some(mark) = rest.chars().next().filter(|mark| "'`\"".contains(*mark)) else {
            return start;
        };
        let (_, length) = quoted(&rest[1..], mark, flavor);
        rest = rest.get(1 + length..).unwrap_or_default();
    }
    rest
}

fn clause_of(text: &str, flavor: Flavor) -> Require {
    match text.split([' ', ';']).next() {
        Some("SSL") => return Require::Ssl,
        Some("X509") => return Require::X509,
        Some("SUBJECT" | "ISSUER" | "CIPHER") => {}
        _ => return Require::None,
    }
    let (mut subject, mut issuer, mut cipher) = (String::new(), String::new(), String::new());
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(' ');
        let Some((word, after)) = rest.split_once(" '") else { break };
        let part = match word {
            "SUBJECT" => &mut subject,
            "ISSUER" => &mut issuer,
            "CIPHER" => &mut cipher,
            _ => break,
        };
        let (value, length) = quoted(after, '\'', flavor);
        *part = value;
        rest = after.get(length..).unwrap_or_default();
    }
    Require::Specified { subject, issuer, cipher }
}

/// The text up to the closing quote, and how long it is with that. MariaDB escapes, MySQL does not.
fn quoted(text: &str, mark: char, flavor: Flavor) -> (String, usize) {
    let mut out = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if flavor == Flavor::MariaDb && mark != '`' => {
                out.extend(chars.next().map(|(_, c)| c));
            }
            c if c == mark && chars.peek().is_some_and(|(_, c)| *c == mark) => {
                chars.next();
                out.push(mark);
            }
            c if c == mark => return (out, at + 1),
            c => out.push(c),
        }
    }
    (out, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clause_is_read_as_each_family_writes_it() {
        let of =
            |text: &str, flavor| account(AccountName::new("few REQUIRE SSL", "%"), text, flavor);
        let mysql = r"CREATE USER `few REQUIRE SSL`@`%` IDENTIFIED WITH 'caching_sha2_password' AS '$A$005$x' REQUIRE SUBJECT '/O=a\b' ISSUER '/CN=CA' PASSWORD EXPIRE DEFAULT";
        let found = of(mysql, Flavor::MySql);
        let (subject, issuer) = (r"/O=a\b".to_owned(), "/CN=CA".to_owned());
        let bound = Require::Specified { subject, issuer, cipher: String::new() };
        assert_eq!((found.plugin.as_str(), &found.require), ("caching_sha2_password", &bound));
        let maria = r"CREATE USER `few REQUIRE SSL`@`%` IDENTIFIED VIA unix_socket REQUIRE ISSUER '/CN=CA' SUBJECT '/O=a\\b'";
        let found = of(maria, Flavor::MariaDb);
        assert_eq!((found.plugin.as_str(), &found.require), ("unix_socket", &bound));
        let grants =
            "GRANT USAGE ON *.* TO 'few REQUIRE SSL'@'%' IDENTIFIED BY PASSWORD '*00' REQUIRE X509";
        assert_eq!(of(grants, Flavor::MySql).require, Require::X509);
        assert_eq!(of("CREATE USER `few REQUIRE SSL`@`%`", Flavor::MariaDb).require, Require::None);
        // as MySQL 5.6.24 says it, with what follows the clause
        let head = "GRANT USAGE ON *.* TO 'few REQUIRE SSL'@'%' IDENTIFIED BY PASSWORD '*0E8F'";
        for (clause, described) in [
            ("REQUIRE X509 WITH MAX_USER_CONNECTIONS 3", "X509"),
            ("REQUIRE SUBJECT '' WITH MAX_USER_CONNECTIONS 3", "SUBJECT ''"),
            (
                "REQUIRE ISSUER '/CN=CA' SUBJECT '/O=a' CIPHER 'AES256-SHA'",
                "SUBJECT + ISSUER + CIPHER",
            ),
            ("WITH MAX_USER_CONNECTIONS 9", "NONE"),
        ] {
            let found = of(&format!("{head} {clause}"), Flavor::MySql);
            assert_eq!(found.require.describe(), described, "{clause}");
        }
    }
}
