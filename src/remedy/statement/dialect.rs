//! What there is to know of a server before a statement is written for it.

use std::str::FromStr;

use thiserror::Error;

use super::Form;
use crate::facts::{AccountName, Flavor, ServerFacts, Version, knows_lengths};
use crate::printable::printable;
use crate::x509::{Name, OneLine, Unwritable};

/// Everything about a server that decides how a statement is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    pub flavor: Flavor,
    pub version: Version,
    /// How this server's TLS library writes names.
    pub names: OneLine,
    /// Whether that is known, or the likeliest guess.
    pub names_known: bool,
}

/// A server by its name: `mysql-9.7`, `mariadb-10.11`, `mysql-8.0.36`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product(pub Flavor, pub Version);

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "there is no dialect `{0}`: write mysql- or mariadb- and the version, such as mysql-5.6, mysql-8.0.36, mysql-9.7, mysql-26.7, mariadb-10.11 or mariadb-12.1"
)]
pub struct UnknownDialect(String);

/// Why no server of this kind has such an account.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadAccount {
    #[error("the {what} of {account} has {length} characters, and {server} takes {most}")]
    TooLong { account: String, what: &'static str, length: usize, most: usize, server: String },
    #[error(
        "the name of {account} holds {what}, which does not get through the mysql client: rename the account (RENAME USER) over another client first"
    )]
    Unsendable { account: String, what: &'static str },
    #[error(
        "the name of {account} holds {character}, and accounts have no characters past U+FFFF: the server would make another of it, with a ? there"
    )]
    NotStored { account: String, character: char },
}

impl Dialect {
    pub fn of(server: &ServerFacts) -> Self {
        Self::new(server.flavor, server.version, server.tls_library.as_deref())
    }

    /// `library` as the server tells it: `OpenSSL 3.0.19 27 Jan 2026`, `YaSSL 2.3.7`; `None` where
    /// it is not known.
    pub fn new(flavor: Flavor, version: Version, library: Option<&str>) -> Self {
        let library = library.map(str::to_ascii_lowercase);
        let library = library.as_deref();
        let starts = |start: &str| library.is_some_and(|library| library.starts_with(start));
        let (names, names_known) = if starts("yassl") {
            (OneLine::YaSsl, true)
        } else if starts("openssl 1") || starts("openssl 0") || starts("libressl") {
            (OneLine::OpenSsl1, true)
        } else if starts("openssl") {
            (OneLine::OpenSsl3, true)
        } else if starts("wolfssl") {
            // its newer releases escape, too: https://github.com/wolfSSL/wolfssl/issues/11392
            (OneLine::OpenSsl1, false)
        } else {
            (likeliest(flavor, version), false)
        };
        Self { flavor, version, names, names_known }
    }

    /// Whether a host of the form `10.0.0.0/16` is a network to it.
    pub fn knows_lengths(self) -> bool {
        knows_lengths(self.flavor, self.version)
    }

    /// The other forms in which this server may compare names, where its library is not known.
    pub fn other_names(self) -> Vec<OneLine> {
        if self.names_known {
            return Vec::new();
        }
        let yassl = self.flavor == Flavor::MySql && self.version < LAST_YASSL;
        let all = [OneLine::OpenSsl3, OneLine::OpenSsl1, OneLine::YaSsl];
        let possible = |names: &OneLine| match names {
            OneLine::YaSsl => yassl,
            // no server of that time can be built with it
            OneLine::OpenSsl3 => !yassl,
            OneLine::OpenSsl1 => true,
        };
        all.into_iter().filter(|names| *names != self.names && possible(names)).collect()
    }

    /// The name as this server compares it.
    ///
    /// # Errors
    /// Why `REQUIRE` on this server must not name it.
    pub fn written(self, name: &Name) -> Result<String, Unwritable> {
        self.written_as(name, self.names)
    }

    pub(super) fn written_as(self, name: &Name, names: OneLine) -> Result<String, Unwritable> {
        let text = name.comparable(names)?;
        // Each takes the statement and holds to it, and from its next start on, or FLUSH PRIVILEGES,
        // compares what is left of it (measured on MySQL 9.7, MariaDB 10.11 and 11.8).
        let json = self.flavor == Flavor::MariaDb && self.version >= Version(10, 4, 0);
        let (bytes, most, who) = if json {
            let doubled = text.bytes().filter(|byte| matches!(byte, b'\\' | b'"')).count();
            (text.len() + doubled, JSON, "mysql.global_priv, where \\ and \" count twice,")
        } else {
            (text.len(), COLUMN, "the column of mysql.user")
        };
        if bytes > most {
            return Err(Unwritable::TooLong { bytes, most, who });
        }
        Ok(text)
    }

    /// The forms that this server's grammar knows, the recommended first.
    pub fn forms(self) -> &'static [Form] {
        match self.flavor {
            Flavor::MySql if self.version < Version(5, 7, 6) => &[Form::Grant, Form::Create],
            Flavor::MySql if self.version < Version(8, 0, 11) => {
                &[Form::Alter, Form::Create, Form::Grant]
            }
            Flavor::MySql => &[Form::Alter, Form::Create],
            Flavor::MariaDb if self.version < Version(10, 2, 0) => &[Form::Grant, Form::Create],
            Flavor::MariaDb => &[Form::Alter, Form::Create, Form::Grant],
        }
    }

    /// Whether `CREATE USER` knows `REQUIRE` here; before, GRANT makes accounts.
    pub(super) fn creates_with_require(self) -> bool {
        self.forms().contains(&Form::Alter)
    }

    /// Whether `SHOW CREATE USER` and `SHOW GRANTS` escape what they quote. Measured: MySQL 5.6 and
    /// 9.7 do not, MariaDB 10.11.18 and 11.8.6 do not, 10.11.19 and 11.8.9 do.
    pub(super) fn shows_names_escaped(self) -> bool {
        let Version(major, minor, patch) = self.version;
        self.flavor == Flavor::MariaDb
            && match (major, minor) {
                (10, 11) => patch >= 19,
                (11, 8) => patch >= 9,
                (major, _) => major > 12,
            }
    }

    /// # Errors
    /// Why the server has no such account.
    pub fn check(self, account: &AccountName) -> Result<(), BadAccount> {
        let (user, host) = match self.flavor {
            Flavor::MySql if self.version < Version(5, 7, 8) => (16, 60),
            Flavor::MySql if self.version < Version(8, 0, 17) => (32, 60),
            Flavor::MySql => (32, 255),
            Flavor::MariaDb => (128, 255),
        };
        for (what, text, most) in
            [("user name", &account.user, user), ("host", &account.host, host)]
        {
            let length = text.chars().count();
            if length > most {
                let (account, server) = (account.to_string(), self.describe());
                return Err(BadAccount::TooLong { account, what, length, most, server });
            }
            if let Some(character) = text.chars().find(|c| u32::from(*c) > 0xffff) {
                return Err(BadAccount::NotStored { account: account.to_string(), character });
            }
            let what = if text.contains('\0') {
                "a NUL"
            } else if text.contains("\r\n") {
                "a carriage return before a line feed"
            } else {
                continue;
            };
            return Err(BadAccount::Unsendable { account: account.to_string(), what });
        }
        Ok(())
    }

    /// `MySQL 9.7`
    pub fn describe(self) -> String {
        format!("{} {}.{}", self.flavor.name(), self.version.0, self.version.1)
    }
}

/// The size of a BLOB.
const COLUMN: usize = 65_535;
/// What MariaDB reads of a string in `mysql.global_priv`, as it stands in the JSON.
const JSON: usize = 1024;
/// The first MySQL of the 5.7 series that is never built with yaSSL.
const LAST_YASSL: Version = Version(5, 7, 28);

/// What most builds of a version are linked with.
fn likeliest(flavor: Flavor, version: Version) -> OneLine {
    match flavor {
        Flavor::MySql if version < ServerFacts::NO_YASSL => OneLine::YaSsl,
        // those of Oracle: 8.0 has a status variable that tells from the very release on with
        // which OpenSSL 3 came, 8.0.30
        Flavor::MySql if version < Version(8, 0, 30) => OneLine::OpenSsl1,
        Flavor::MariaDb if version < Version(10, 6, 0) => OneLine::OpenSsl1,
        Flavor::MySql | Flavor::MariaDb => OneLine::OpenSsl3,
    }
}

impl FromStr for Product {
    type Err = UnknownDialect;

    /// Without a third number the newest of its series is meant: what a series was before its first
    /// release, nobody runs.
    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        let unknown = || UnknownDialect(printable(text).into_owned());
        let (family, version) = text.split_once('-').ok_or_else(unknown)?;
        let flavor = match family.to_ascii_lowercase().as_str() {
            "mysql" => Flavor::MySql,
            "mariadb" => Flavor::MariaDb,
            _ => return Err(unknown()),
        };
        let mut numbers = Vec::new();
        for number in version.split('.') {
            let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            numbers.push(number.parse::<u16>().ok().filter(|_| digits).ok_or_else(unknown)?);
        }
        let oldest = match flavor {
            Flavor::MySql => Version(5, 5, 0),
            Flavor::MariaDb => Version(10, 0, 0),
        };
        let version = match numbers[..] {
            [major, minor] => Version(major, minor, NEWEST),
            [major, minor, patch] => Version(major, minor, patch),
            _ => return Err(unknown()),
        };
        if version < oldest { Err(unknown()) } else { Ok(Self(flavor, version)) }
    }
}

/// The last release of a series, whichever that is.
const NEWEST: u16 = u16::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_family_and_version() {
        let parse = |text: &str| text.parse::<Product>();
        assert_eq!(parse("mysql-9.7"), Ok(Product(Flavor::MySql, Version(9, 7, NEWEST))));
        assert_eq!(parse("MariaDB-10.11.6"), Ok(Product(Flavor::MariaDb, Version(10, 11, 6))));
        assert_eq!(parse("mysql-26.7.0"), Ok(Product(Flavor::MySql, Version(26, 7, 0))));
        for bad in [
            "",
            "mysql",
            "mysql-",
            "mysql-8",
            "postgres-15.1",
            "mysql-8.x",
            "mysql-8.+1",
            "mysql-4.1",
            "mariadb-5.5",
            "mysql-8.0.1.2",
            "mysql-99999.1",
        ] {
            let said = parse(bad).unwrap_err().to_string();
            assert!(said.contains("mysql-9.7"), "{bad}: {said}");
        }
    }

    #[test]
    fn how_names_are_written_follows_from_the_library_or_the_version() {
        let names = |text: &str, library| {
            let Product(flavor, version) = text.parse().unwrap();
            let dialect = Dialect::new(flavor, version, library);
            (dialect.names, dialect.names_known)
        };
        assert_eq!(names("mysql-9.7", Some("OpenSSL 3.6.5 2026")), (OneLine::OpenSsl3, true));
        assert_eq!(names("mysql-8.0", Some("OpenSSL 1.1.1w")), (OneLine::OpenSsl1, true));
        assert_eq!(names("mysql-5.6", Some("YaSSL")), (OneLine::YaSsl, true));
        assert_eq!(names("mariadb-11.4", Some("WolfSSL 5.7")), (OneLine::OpenSsl1, false));
        assert_eq!(names("mysql-5.6.24", None), (OneLine::YaSsl, false));
        assert_eq!(names("mysql-5.7", None), (OneLine::OpenSsl1, false));
        assert_eq!(names("mysql-26.7", None), (OneLine::OpenSsl3, false));
    }

    #[test]
    fn where_the_library_is_not_known_the_others_that_it_may_be_are() {
        let others = |text: &str| {
            let Product(flavor, version) = text.parse().unwrap();
            Dialect::new(flavor, version, None).other_names()
        };
        assert_eq!(others("mysql-8.0"), [OneLine::OpenSsl1]);
        assert_eq!(others("mysql-5.6.24"), [OneLine::OpenSsl1]);
        assert_eq!(others("mysql-5.7.20"), [OneLine::YaSsl]);
        let known = Dialect::new(Flavor::MySql, Version(9, 7, 4), Some("OpenSSL 3.6.5"));
        assert_eq!(known.other_names(), []);
    }

    #[test]
    fn accounts_that_the_server_cannot_have_are_refused() {
        let dialect = |text: &str| {
            let Product(flavor, version) = text.parse().unwrap();
            Dialect::new(flavor, version, None)
        };
        let long = AccountName::new("ä".repeat(33), "%");
        let said = dialect("mysql-9.7").check(&long).unwrap_err().to_string();
        assert!(said.contains("33 characters, and MySQL 9.7 takes 32"), "{said}");
        assert_eq!(dialect("mariadb-10.11").check(&long), Ok(()));
        assert!(dialect("mysql-5.6").check(&AccountName::new("a".repeat(17), "%")).is_err());
        let host = AccountName::new("a", "h".repeat(61));
        assert!(dialect("mysql-5.7").check(&host).is_err());
        assert!(dialect("mysql-8.0").check(&host).is_ok());
        for bad in ["a\0b", "a\r\nb"] {
            let said = dialect("mysql-9.7").check(&AccountName::new(bad, "%")).unwrap_err();
            assert!(said.to_string().contains("RENAME USER"), "{said}");
        }
        assert_eq!(dialect("mysql-9.7").check(&AccountName::new("a\nb`'\"\\", "%")), Ok(()));
        let said = dialect("mariadb-10.11").check(&AccountName::new("\u{1f600}", "%"));
        assert!(matches!(said, Err(BadAccount::NotStored { .. })), "{said:?}");
    }

    #[test]
    fn a_name_that_the_server_would_cut_at_its_next_start_is_refused() {
        let written = |flavor, version, value: &str| {
            let mut builder = openssl::x509::X509NameBuilder::new().unwrap();
            for part in value.as_bytes().chunks(30) {
                let part = std::str::from_utf8(part).unwrap();
                builder.append_entry_by_text("CN", part).unwrap();
            }
            let name = Name::from_openssl(&builder.build());
            Dialect::new(flavor, version, Some("OpenSSL 3")).written(&name)
        };
        // each 30 bytes come to 34
        let too_long = |flavor, version, value: &str| {
            let written = written(flavor, version, value);
            matches!(written, Err(Unwritable::TooLong { .. }))
        };
        let mariadb = |value: &str| too_long(Flavor::MariaDb, Version(10, 11, 19), value);
        assert!(!mariadb(&"x".repeat(900)) && mariadb(&"x".repeat(930)));
        assert!(!mariadb(&r"\".repeat(450)) && mariadb(&r"\".repeat(510)));
        let old = |value: &str| too_long(Flavor::MySql, Version(9, 7, 4), value);
        assert!(!old(&"x".repeat(57_000)) && old(&"x".repeat(58_000)));
        assert!(!too_long(Flavor::MariaDb, Version(10, 3, 39), &"x".repeat(57_000)));
        let said = written(Flavor::MariaDb, Version(12, 1, 2), &"x".repeat(2000)).unwrap_err();
        assert!(said.to_string().contains("takes 1024"), "{said}");
    }
}
