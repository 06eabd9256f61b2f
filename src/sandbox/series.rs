//! The servers that faults are told apart by: four, and every other is like the nearest of them.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::facts::{Flavor, Version};

/// A line of servers that behave alike as far as TLS goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum Series {
    /// OpenSSL 3.0; ends when its key is of no use.
    #[serde(rename = "mariadb-10.11")]
    MariaDb1011,
    /// The same, and makes itself a certificate when it is given none.
    #[serde(rename = "mariadb-11.8")]
    MariaDb118,
    /// OpenSSL 3; starts without TLS when its key is of no use.
    #[serde(rename = "mysql-9.7")]
    MySql97,
    /// yaSSL: TLS 1.0, RSA in PKCS#1 alone, and the syntax of `GRANT … REQUIRE`.
    #[serde(rename = "mysql-5.6")]
    MySql56,
}

impl Series {
    pub const ALL: [Self; 4] = [Self::MariaDb1011, Self::MariaDb118, Self::MySql97, Self::MySql56];

    /// The one that a server is most like.
    pub fn of(flavor: Flavor, version: Version) -> Self {
        match flavor {
            Flavor::MariaDb if version < Version(11, 0, 0) => Self::MariaDb1011,
            Flavor::MariaDb => Self::MariaDb118,
            Flavor::MySql if version < Version(5, 7, 0) => Self::MySql56,
            Flavor::MySql => Self::MySql97,
        }
    }

    /// As fault files spell it: `mysql-9.7`.
    pub fn name(self) -> &'static str {
        match self {
            Self::MariaDb1011 => "mariadb-10.11",
            Self::MariaDb118 => "mariadb-11.8",
            Self::MySql97 => "mysql-9.7",
            Self::MySql56 => "mysql-5.6",
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Some of the series. In a file: a name, the name of a family (`mariadb`, `mysql`), or a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Spelled")]
pub struct Servers(Vec<Series>);

impl Servers {
    pub fn contain(&self, series: Series) -> bool {
        self.0.contains(&series)
    }

    /// Whether the two have one in common.
    pub fn meet(&self, other: &Self) -> bool {
        other.0.iter().any(|series| self.contain(*series))
    }
}

/// As short as a file spells it: a family where all of it is meant, else each by its name.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.clone();
        let mut words = Vec::new();
        for family in ["mariadb", "mysql"] {
            let Ok(whole) = family.parse::<Self>() else { continue };
            if whole.0.iter().all(|series| self.contain(*series)) {
                words.push(family);
                rest.retain(|series| !whole.contain(*series));
            }
        }
        words.extend(rest.into_iter().map(Series::name));
        f.write_str(&words.join(", "))
    }
}

impl Default for Servers {
    fn default() -> Self {
        Self(Series::ALL.to_vec())
    }
}

impl FromStr for Servers {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let family = name.to_ascii_lowercase();
        let meant = |series: &Series| {
            series.name() == name || series.name().split('-').next() == Some(&family)
        };
        let found: Vec<Series> = Series::ALL.into_iter().filter(meant).collect();
        if found.is_empty() {
            let all = Series::ALL.map(Series::name).join(", ");
            return Err(format!("there is no server `{name}`; there are mariadb, mysql, {all}"));
        }
        Ok(Self(found))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Spelled {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<Spelled> for Servers {
    type Error = String;

    fn try_from(spelled: Spelled) -> Result<Self, String> {
        let names = match spelled {
            Spelled::One(name) => return name.parse(),
            Spelled::Many(names) => names,
        };
        let mut all = Vec::new();
        for name in names {
            all.extend(name.parse::<Self>()?.0);
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_families_are_understood_and_nothing_else() {
        let mysql: Servers = "MySQL".parse().unwrap();
        assert_eq!(mysql, Servers(vec![Series::MySql97, Series::MySql56]));
        assert_eq!("mysql-5.6".parse(), Ok(Servers(vec![Series::MySql56])));
        assert!("mysql-5".parse::<Servers>().unwrap_err().contains("mysql-5.6"));
        assert!("".parse::<Servers>().is_err());
        assert_eq!(Servers::default().0.len(), 4);
        assert_eq!(Servers::default().to_string(), "mariadb, mysql");
        let some = Servers(vec![Series::MySql56, Series::MariaDb1011, Series::MariaDb118]);
        assert_eq!(some.to_string(), "mariadb, mysql-5.6");
    }

    #[test]
    fn a_server_is_like_the_nearest() {
        let of = |flavor, version: &str| Series::of(flavor, Version::parse(version).unwrap().1);
        assert_eq!(of(Flavor::MariaDb, "10.6.18"), Series::MariaDb1011);
        assert_eq!(of(Flavor::MariaDb, "12.0.2"), Series::MariaDb118);
        assert_eq!(of(Flavor::MySql, "8.0.28"), Series::MySql97);
        assert_eq!(of(Flavor::MySql, "26.7.0"), Series::MySql97);
        assert_eq!(of(Flavor::MySql, "5.5.62"), Series::MySql56);
    }
}
