//! The server's options about TLS: which of them a server has, and what it needs before a new value
//! counts.
//!
//! Source: MySQL manual, "Server System Variables", "Administrative Connection Management", "X Plugin
//! Options" and "Options and Variables Introduced"; MariaDB, "SSL/TLS System Variables". That MariaDB's
//! are read-only and MySQL's are not was measured on 10.11, 11.8 and 9.7.

use thiserror::Error;

use crate::facts::{Flavor, Version};
use crate::printable::printable;

/// What a server has to do before a value that was changed counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counts {
    /// `SET GLOBAL` is all.
    AtOnce,
    /// `SET GLOBAL`, and reading TLS anew on the port for everybody.
    Reloaded,
    /// The same on the port for administration.
    AdminReloaded,
    /// The next start reads it.
    Restarted,
}

/// What a value has to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file; what is not absolute counts from the data folder.
    File,
    Folder,
    /// Versions of TLS, with commas between them.
    Versions,
    /// Suites by OpenSSL's names, with colons between them.
    Suites,
    /// `ON` or `OFF`.
    Switch,
}

/// An option, by the series that have it.
#[derive(Clone, Copy, Debug)]
pub struct TlsOption {
    pub name: &'static str,
    pub kind: Kind,
    mysql: Option<Version>,
    mariadb: Option<Version>,
}

const ALWAYS: Option<Version> = Some(Version(5, 0, 0));
const ADMIN: Option<Version> = Some(Version(8, 0, 21));
const X: Option<Version> = Some(Version(5, 7, 12));

const fn option(
    name: &'static str,
    kind: Kind,
    mysql: Option<Version>,
    mariadb: Option<Version>,
) -> TlsOption {
    TlsOption { name, kind, mysql, mariadb }
}

/// All of them, in the order in which they are shown.
pub const ALL: [TlsOption; 28] = [
    option("ssl_ca", Kind::File, ALWAYS, ALWAYS),
    option("ssl_capath", Kind::Folder, ALWAYS, ALWAYS),
    option("ssl_cert", Kind::File, ALWAYS, ALWAYS),
    option("ssl_key", Kind::File, ALWAYS, ALWAYS),
    option("ssl_crl", Kind::File, Some(Version(5, 6, 3)), ALWAYS),
    option("ssl_crlpath", Kind::Folder, Some(Version(5, 6, 3)), ALWAYS),
    option("tls_version", Kind::Versions, Some(Version(5, 7, 10)), Some(Version(10, 4, 6))),
    option("tls_ciphersuites", Kind::Suites, Some(Version(8, 0, 16)), None),
    option("ssl_cipher", Kind::Suites, ALWAYS, ALWAYS),
    option(
        "require_secure_transport",
        Kind::Switch,
        Some(Version(5, 7, 8)),
        Some(Version(10, 5, 2)),
    ),
    option("auto_generate_certs", Kind::Switch, Some(Version(5, 7, 5)), None),
    option("tls_certificates_enforced_validation", Kind::Switch, Some(Version(8, 1, 0)), None),
    option("admin_ssl_ca", Kind::File, ADMIN, None),
    option("admin_ssl_capath", Kind::Folder, ADMIN, None),
    option("admin_ssl_cert", Kind::File, ADMIN, None),
    option("admin_ssl_key", Kind::File, ADMIN, None),
    option("admin_ssl_crl", Kind::File, ADMIN, None),
    option("admin_ssl_crlpath", Kind::Folder, ADMIN, None),
    option("admin_tls_version", Kind::Versions, ADMIN, None),
    option("admin_tls_ciphersuites", Kind::Suites, ADMIN, None),
    option("admin_ssl_cipher", Kind::Suites, ADMIN, None),
    option("mysqlx_ssl_ca", Kind::File, X, None),
    option("mysqlx_ssl_capath", Kind::Folder, X, None),
    option("mysqlx_ssl_cert", Kind::File, X, None),
    option("mysqlx_ssl_key", Kind::File, X, None),
    option("mysqlx_ssl_crl", Kind::File, X, None),
    option("mysqlx_ssl_crlpath", Kind::Folder, X, None),
    option("mysqlx_ssl_cipher", Kind::Suites, X, None),
];

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadOption {
    #[error("`{0}` has no value: write NAME=VALUE, such as ssl_ca=/etc/mysql/tls/ca.pem")]
    NoValue(String),
    #[error("`{0}` is no option about TLS that mytls sets; it sets: {names}", names = names())]
    Unknown(String),
    #[error("{flavor} {version} has no {name}{since}", flavor = flavor.name())]
    NotHere { name: &'static str, flavor: Flavor, version: Version, since: String },
    #[error("{name} is set twice, to `{one}` and to `{other}`: say which is meant")]
    Twice { name: &'static str, one: String, other: String },
    #[error("{name}: {why}")]
    Value { name: &'static str, why: String },
}

fn names() -> String {
    ALL.map(|option| option.name).join(", ")
}

impl TlsOption {
    /// The option of this name, however it is spelled.
    pub fn find(name: &str) -> Option<&'static Self> {
        let name = name.trim().replace('-', "_").to_ascii_lowercase();
        ALL.iter().find(|option| option.name == name)
    }

    pub fn is_in(&self, flavor: Flavor, version: Version) -> bool {
        let since = match flavor {
            Flavor::MySql => self.mysql,
            Flavor::MariaDb => self.mariadb,
        };
        since.is_some_and(|since| version >= since)
    }

    /// What the server has to do before a new value counts.
    pub fn counts(&self, flavor: Flavor, version: Version) -> Counts {
        if self.name == "require_secure_transport" {
            return Counts::AtOnce;
        }
        let changes = flavor == Flavor::MySql && version >= Version(8, 0, 16);
        let fixed = ["auto_generate_certs", "tls_certificates_enforced_validation"];
        if !changes || fixed.contains(&self.name) || self.name.starts_with("mysqlx_") {
            Counts::Restarted
        } else if self.name.starts_with("admin_") {
            Counts::AdminReloaded
        } else {
            Counts::Reloaded
        }
    }

    /// The value as an option file has it.
    fn value(&self, value: &str, flavor: Flavor, version: Version) -> Result<String, BadOption> {
        let value = value.trim();
        let bad = |why: String| Err(BadOption::Value { name: self.name, why });
        if value.chars().any(char::is_control) {
            return bad("a value is one line of text".to_owned());
        }
        if value.is_empty() {
            return bad(
                "an empty value means something else to each server; take the line out of the \
                        option file by hand, where that is meant"
                    .to_owned(),
            );
        }
        match self.kind {
            Kind::Switch => match value.to_ascii_lowercase().as_str() {
                "on" | "1" | "true" | "yes" => Ok("ON".to_owned()),
                "off" | "0" | "false" | "no" => Ok("OFF".to_owned()),
                _ => bad(format!("it is ON or OFF, not `{}`", printable(value))),
            },
            Kind::Versions => {
                let known = versions(flavor, version);
                let words: Vec<&str> = value.split(',').map(str::trim).collect();
                match words.iter().find(|word| !known.contains(word)) {
                    None => Ok(words.join(",")),
                    Some(word) => bad(format!(
                        "`{}` is none of what this server speaks: {}",
                        printable(word),
                        known.join(", ")
                    )),
                }
            }
            Kind::File | Kind::Folder | Kind::Suites => Ok(value.to_owned()),
        }
    }
}

/// The versions of TLS that a server can be told to speak.
pub fn versions(flavor: Flavor, version: Version) -> Vec<&'static str> {
    let mut all = vec!["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
    let (old_gone, new) = match flavor {
        Flavor::MySql => (version >= Version(8, 0, 28), version >= Version(8, 0, 16)),
        Flavor::MariaDb => (false, true),
    };
    if old_gone {
        all.drain(..2);
    }
    if !new {
        all.pop();
    }
    if flavor == Flavor::MariaDb {
        all.remove(0); // its list of words begins with TLSv1.0
        all.insert(0, "TLSv1.0");
    }
    all
}

/// `NAME=VALUE` words as options of this server, each once.
///
/// # Errors
/// What is wrong with one of them, and what would be right.
pub fn parse(
    words: &[String],
    flavor: Flavor,
    version: Version,
) -> Result<Vec<(String, String)>, BadOption> {
    let mut found: Vec<(String, String)> = Vec::new();
    for word in words {
        let (name, value) =
            word.split_once('=').ok_or_else(|| BadOption::NoValue(printable(word).into_owned()))?;
        let option = TlsOption::find(name)
            .ok_or_else(|| BadOption::Unknown(printable(name.trim()).into_owned()))?;
        if !option.is_in(flavor, version) {
            let since = match (flavor, option.mysql, option.mariadb) {
                (Flavor::MySql, Some(since), _) => format!("; MySQL has it since {since}"),
                (Flavor::MariaDb, _, Some(since)) => format!("; MariaDB has it since {since}"),
                (Flavor::MariaDb, Some(_), None) => "; only MySQL has".to_owned(),
                _ => String::new(),
            };
            return Err(BadOption::NotHere { name: option.name, flavor, version, since });
        }
        let value = option.value(value, flavor, version)?;
        match found.iter().find(|(known, _)| known == option.name) {
            Some((_, one)) if *one != value => {
                let (one, other) = (printable(one).into_owned(), printable(&value).into_owned());
                return Err(BadOption::Twice { name: option.name, one, other });
            }
            Some(_) => {}
            None => found.push((option.name.to_owned(), value)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MYSQL: (Flavor, Version) = (Flavor::MySql, Version(9, 7, 4));
    const MARIADB: (Flavor, Version) = (Flavor::MariaDb, Version(10, 11, 19));

    fn one(word: &str, (flavor, version): (Flavor, Version)) -> Result<(String, String), String> {
        let mut found = parse(&[word.to_owned()], flavor, version).map_err(|e| e.to_string())?;
        Ok(found.remove(0))
    }

    #[test]
    fn options_are_known_by_every_spelling_and_by_the_server_that_has_them() {
        assert_eq!(one("SSL-CA = /x", MYSQL), Ok(("ssl_ca".into(), "/x".into())));
        assert_eq!(
            one("require-secure-transport=1", MARIADB),
            Ok(("require_secure_transport".into(), "ON".into()))
        );
        assert_eq!(one("tls_version=TLSv1.2, TLSv1.3", MYSQL).unwrap().1, "TLSv1.2,TLSv1.3");
        for (word, server, said) in [
            ("tls_ciphersuites=X", MARIADB, "only MySQL has"),
            ("admin_ssl_ca=/x", (Flavor::MySql, Version(8, 0, 20)), "since 8.0.21"),
            ("port=1", MYSQL, "no option about TLS"),
            ("ssl_ca", MYSQL, "has no value"),
            ("ssl_ca=", MYSQL, "an empty value"),
            ("ssl_ca=/a\n[mysqld]", MYSQL, "one line"),
            ("tls_version=TLSv1.1", MYSQL, "none of what this server speaks: TLSv1.2, TLSv1.3"),
            ("tls_version=TLSv1", MARIADB, "TLSv1.0"),
            ("require_secure_transport=maybe", MYSQL, "ON or OFF"),
        ] {
            let error = one(word, server).unwrap_err();
            assert!(error.contains(said), "{word}: {error}");
        }
        let twice = ["ssl_ca=/a", "ssl-ca=/b"].map(str::to_owned);
        assert!(matches!(parse(&twice, MYSQL.0, MYSQL.1), Err(BadOption::Twice { .. })));
    }

    #[test]
    fn what_makes_a_value_count_is_told_apart() {
        let counts =
            |name, (flavor, version)| TlsOption::find(name).unwrap().counts(flavor, version);
        assert_eq!(counts("ssl_ca", MYSQL), Counts::Reloaded);
        assert_eq!(counts("ssl_ca", (Flavor::MySql, Version(8, 0, 15))), Counts::Restarted);
        assert_eq!(counts("ssl_ca", MARIADB), Counts::Restarted);
        assert_eq!(counts("admin_ssl_key", MYSQL), Counts::AdminReloaded);
        assert_eq!(counts("mysqlx_ssl_key", MYSQL), Counts::Restarted);
        assert_eq!(counts("require_secure_transport", MARIADB), Counts::AtOnce);
    }
}
