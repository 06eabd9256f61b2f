//! The names of options: many spellings, one meaning (`mysys/my_getopt.c`).

use super::dialect::Dialect;

/// The options that mytls looks at, and how many bytes of one are enough where it may be cut
/// short: what MariaDB 10.11 and 11.8 and MySQL 5.6 all take. Those that no such server has are
/// known in full only.
const KNOWN: [(&str, usize); 19] = [
    ("ssl", 3),
    ("ssl_ca", 6),
    ("ssl_capath", 7),
    ("ssl_cert", 6),
    ("ssl_cipher", 6),
    ("ssl_key", 5),
    ("ssl_crl", 7),
    ("ssl_crlpath", 8),
    ("tls_version", 3),
    ("tls_ciphersuites", 16),
    ("require_secure_transport", 3),
    ("auto_generate_certs", 19),
    ("datadir", 4),
    ("socket", 3),
    ("port", 4),
    ("bind_address", 4),
    ("user", 4),
    ("log_error", 5),
    ("persisted_globals_load", 22),
];

/// The name with underscores, in full, without what only says how to take it; and the value that
/// a prefix stands for.
pub(super) fn canonical(
    name: &str,
    value: Option<String>,
    dialect: Dialect,
) -> (String, Option<String>) {
    let mut name = name.replace('-', "_");
    if dialect.ignores_case {
        name.make_ascii_lowercase();
    }
    let mut rest = name.as_str();
    let mut stands_for = None;
    // Of several prefixes the last one says what is meant.
    loop {
        if let Some(known) = known(rest, dialect) {
            let value = match stands_for {
                Some(on) => Some(meant(on, value.as_deref())),
                None => value,
            };
            return (known.to_owned(), value);
        }
        let shorter = [("loose_", None), ("skip_", Some(false)), ("disable_", Some(false))];
        let shorter = shorter.into_iter().chain([("enable_", Some(true))]);
        let found = shorter
            .into_iter()
            .find_map(|(prefix, meaning)| Some((rest.strip_prefix(prefix)?, meaning)));
        match found {
            Some(found) => (rest, stands_for) = found,
            None => break,
        }
    }
    // One that mytls does not know: `skip_` may be a part of its name.
    (name.strip_prefix("loose_").unwrap_or(&name).to_owned(), value)
}

/// `skip_ssl` is `ssl=0`, and `skip_ssl=0` is `ssl=1`.
fn meant(on: bool, value: Option<&str>) -> String {
    let turned_around = value == Some("0");
    if on == turned_around { "0" } else { "1" }.to_owned()
}

/// Whether the value decides about TLS.
pub(super) fn is_about_tls(name: &str) -> bool {
    name == "ssl"
        || name.starts_with("ssl_")
        || name.starts_with("tls_")
        || name == "require_secure_transport"
}

fn known(name: &str, dialect: Dialect) -> Option<&'static str> {
    let exact = KNOWN.iter().find(|(known, _)| *known == name);
    let cut = || {
        let cut = |(known, least): &&(&str, usize)| known.starts_with(name) && name.len() >= *least;
        KNOWN.iter().filter(|_| dialect.takes_prefixes).find(cut)
    };
    exact.or_else(cut).map(|(known, _)| *known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Flavor, Version};

    const MARIADB: (Flavor, Version) = (Flavor::MariaDb, Version(10, 11, 19));

    fn of(name: &str, value: Option<&str>, server: (Flavor, Version)) -> (String, Option<String>) {
        canonical(name, value.map(str::to_owned), Dialect::of(Some(server)))
    }

    #[test]
    fn names_are_one_whatever_their_spelling() {
        let one = |name: &str| of(name, Some("v"), MARIADB).0;
        for spelled in [
            "ssl-cert",
            "SSL_CERT",
            "loose-ssl-cert",
            "ssl-ce",
            "Loose_ssl_cert",
            "loose-loose_ssl_cert",
        ] {
            assert_eq!(one(spelled), "ssl_cert", "{spelled}");
        }
        assert_eq!(one("ssl-c"), "ssl_c", "may be four options");
        assert_eq!(one("skip_name_resolve"), "skip_name_resolve");
    }

    #[test]
    fn mysql_tells_capitals_apart_and_since_5_7_takes_no_half_names() {
        let one = |name: &str, version| of(name, Some("v"), (Flavor::MySql, version)).0;
        for (name, old, new) in [
            ("ssl-cert", "ssl_cert", "ssl_cert"),
            ("loose_ssl-cert", "ssl_cert", "ssl_cert"),
            ("ssl-ce", "ssl_cert", "ssl_ce"),
            ("SSL_CERT", "SSL_CERT", "SSL_CERT"),
            ("LOOSE-ssl_cert", "LOOSE_ssl_cert", "LOOSE_ssl_cert"),
        ] {
            assert_eq!(one(name, Version(5, 6, 51)), old, "{name}");
            assert_eq!(one(name, Version(5, 7, 0)), new, "{name}");
        }
    }

    #[test]
    fn what_prefixes_stand_for_is_the_value() {
        for (name, value, meant) in [
            ("skip-ssl", None, "0"),
            ("disable_ssl", None, "0"),
            ("skip-ssl", Some("1"), "0"),
            ("skip-ssl", Some("0"), "1"),
            ("enable-ssl", None, "1"),
            ("enable-ssl", Some("0"), "0"),
            ("loose-skip-ssl", None, "0"),
        ] {
            let read = of(name, value, MARIADB);
            assert_eq!(read, ("ssl".into(), Some(meant.into())), "{name} {value:?}");
        }
        assert_eq!(of("skip-loose-ssl", None, MARIADB), ("ssl".into(), None), "the last counts");
    }
}
