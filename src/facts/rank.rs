//! The order in which a server looks through the accounts that a login fits.

use std::net::Ipv4Addr;

use super::{Account, AccountName, Flavor, ServerFacts, Version};

/// The greater, the sooner it is looked at. Where two are equal the server's choice is its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    host: u64,
    pattern: u64,
    named: bool,
    text: String,
}

impl ServerFacts {
    /// Where this server puts an account among those that fit.
    pub fn rank(&self, name: &AccountName) -> Rank {
        Rank::of(self.flavor, self.version, name)
    }

    /// Of accounts that all fit a login, those that may be the one that answers it: more than one
    /// where the server puts them side by side, or where its order was never measured.
    pub fn first<'a>(&self, fitting: &[&'a Account]) -> Vec<&'a Account> {
        let mut first = first_by(fitting, |name| self.rank(name));
        if !self.order_is_known() {
            // before it reckoned with sizes, MariaDB had the order of MySQL
            let old = |name: &AccountName| Rank::of(Flavor::MySql, Version(5, 6, 0), name);
            for account in first_by(fitting, old) {
                if first.iter().all(|known| known.name != account.name) {
                    first.push(account);
                }
            }
        }
        first
    }

    /// Measured on MariaDB 10.11.19 and 11.8.9, MySQL 9.7.4 and 5.6.24.
    fn order_is_known(&self) -> bool {
        self.flavor == Flavor::MySql || self.version >= Version(10, 11, 19)
    }

    /// Whether a client at this host or address may come to this account, as this server reads hosts.
    /// `10.0.0.0/16` is a network to MySQL 8.0.23 and later; to all others a name that no host has
    /// (measured on MariaDB 10.11.19 and 11.8.9 and on MySQL 5.6.24).
    pub fn admits(&self, name: &AccountName, host: &str) -> bool {
        (self.knows_lengths() || !has_length(&name.host)) && name.admits(host)
    }

    pub fn knows_lengths(&self) -> bool {
        knows_lengths(self.flavor, self.version)
    }
}

/// Those of the highest rank.
fn first_by<'a>(fitting: &[&'a Account], rank: impl Fn(&AccountName) -> Rank) -> Vec<&'a Account> {
    let best = fitting.iter().map(|account| rank(&account.name)).max();
    fitting.iter().copied().filter(|account| Some(rank(&account.name)) == best).collect()
}

/// Whether such a server takes `10.0.0.0/16` for a network.
pub fn knows_lengths(flavor: Flavor, version: Version) -> bool {
    flavor == Flavor::MySql && version >= Version(8, 0, 23)
}

/// Whether a host is a network with the length of its prefix.
pub fn has_length(host: &str) -> bool {
    host.split_once('/').is_some_and(|(net, length)| {
        net.parse::<Ipv4Addr>().is_ok() && length.parse::<u32>().is_ok_and(|bits| bits <= 32)
    })
}

impl Rank {
    pub fn of(flavor: Flavor, version: Version, name: &AccountName) -> Self {
        let named = !name.user.is_empty();
        match flavor {
            // of the same size, the host that is greater as a text (`acl_user_compare`)
            Flavor::MariaDb => Self {
                host: 0,
                pattern: !size(&name.host),
                named,
                text: name.host.to_ascii_lowercase(),
            },
            Flavor::MySql => {
                let masks = version >= Version(8, 0, 23);
                let host = if masks { precision(&name.host) } else { 0 };
                Self { host, pattern: first_wildcard(&name.host), named, text: String::new() }
            }
        }
    }
}

/// MySQL: hosts without wildcards first, then by where the first wildcard stands; any host last.
///
/// Source: `get_sort` in `sql/auth/sql_auth_cache.cc`.
fn first_wildcard(host: &str) -> u64 {
    const PLAIN: u64 = 128;
    let mut bytes = host.bytes().zip(1_u64..).peekable();
    while let Some((byte, at)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'%' if host == "%" => return 1,
            b'%' | b'_' => return (at + 1).min(127),
            _ => {}
        }
    }
    if host.is_empty() { 0 } else { PLAIN }
}

/// MySQL since 8.0.23: addresses before anything else, then networks, those written with a length
/// before those with a mask, the longer first.
///
/// Source: `ACL_compare`; the manual's "Access Control, Stage 1".
fn precision(host: &str) -> u64 {
    let address = |text: &str| text.parse::<Ipv4Addr>().ok();
    let (kind, mask) = match host.split_once('/') {
        None if address(host).is_some() => (3, u32::MAX),
        None => return 0,
        Some((net, _)) if address(net).is_none() => return 0,
        Some((_, mask)) => match (mask.parse::<u32>(), address(mask)) {
            (Ok(bits), _) if bits <= 32 => (2, u32::MAX.checked_shl(32 - bits).unwrap_or(0)),
            (_, Some(mask)) => (1, u32::from(mask)),
            _ => return 0,
        },
    };
    kind << 32 | u64::from(mask)
}

/// MariaDB: how much a pattern fits. So one with `_` alone goes before every one with `%`.
///
/// Source: `get_magic_sort` in `sql/sql_acl.cc`.
fn size(host: &str) -> u64 {
    /// `max_hostname_length`
    const LONGEST: u64 = 60;
    const MOST: u64 = 31;
    let (mut plain, mut ones, mut manys, mut prefix) = (0_u64, 0_u64, 0_u64, 0);
    let mut bytes = host.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let is_first = ones == 0 && manys == 0;
        match byte {
            b'%' | b'_' => {
                if is_first {
                    prefix = plain;
                }
                if byte == b'_' {
                    ones += 1;
                } else {
                    manys += 1;
                    while bytes.next_if_eq(&b'%').is_some() {}
                }
            }
            _ => {
                if byte == b'\\' {
                    let _ = bytes.next(); // stands for itself
                }
                plain += 1;
            }
        }
    }
    let (manys, ones) = (manys.min(MOST), ones.min(MOST));
    let rest = if manys == 0 { 0 } else { LONGEST.saturating_sub(plain + ones) };
    let d = LONGEST + 1;
    let narrow = d.min(32);
    if rest > ones {
        (((rest * 2 + 1) * d + manys) * narrow + ones) * d + prefix
    } else {
        ((ones * 2 * d + rest) * narrow + manys) * d + prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(flavor: Flavor, version: Version, hosts: &[(&str, &str)]) {
        let rank = |(user, host): &(&str, &str)| {
            Rank::of(flavor, version, &AccountName::new(*user, *host))
        };
        for pair in hosts.windows(2) {
            assert!(rank(&pair[0]) > rank(&pair[1]), "{flavor:?}: {pair:?}");
        }
    }

    #[test]
    fn a_length_is_a_network_to_new_mysql_alone_and_an_order_nobody_measured_is_not_guessed() {
        use crate::rules::testing::{account, with_server};
        let of = |flavor, version| {
            let facts = with_server(|server| (server.flavor, server.version) = (flavor, version));
            facts.server.read().unwrap().clone()
        };
        let net = AccountName::new("a", "10.0.0.0/16");
        assert!(of(Flavor::MySql, Version(8, 0, 23)).admits(&net, "10.0.3.7"));
        for (flavor, version) in
            [(Flavor::MySql, Version(8, 0, 22)), (Flavor::MariaDb, Version(11, 8, 9))]
        {
            assert!(!of(flavor, version).admits(&net, "10.0.3.7"), "{flavor:?}");
            let mask = AccountName::new("a", "10.0.0.0/255.255.0.0");
            assert!(of(flavor, version).admits(&mask, "10.0.3.7"), "{flavor:?}");
        }

        let none = crate::facts::Require::None;
        let [one, many, all] =
            ["1_.0.3.7", "10.0.3.%", "%"].map(|host| account("a", host, none.clone()));
        let hosts = |version, fitting: &[&Account]| -> Vec<String> {
            let server = of(Flavor::MariaDb, version);
            server.first(fitting).iter().map(|account| account.name.host.clone()).collect()
        };
        assert_eq!(hosts(Version(10, 11, 19), &[&many, &one]), ["1_.0.3.7"]);
        assert_eq!(hosts(Version(10, 2, 0), &[&many, &one]), ["1_.0.3.7", "10.0.3.%"]);
        assert_eq!(hosts(Version(10, 2, 0), &[&all, &one]), ["1_.0.3.7"], "either way");
    }

    #[test]
    fn each_family_has_its_own_order() {
        order(
            Flavor::MySql,
            Version(9, 7, 4),
            &[
                ("", "127.0.0.1"),
                ("a", "127.0.0.0/30"),
                ("a", "127.0.0.0/8"),
                ("a", "127.0.0.0/255.255.255.0"),
                ("a", "127.0.0.0/255.0.0.0"),
                ("a", "db\\_1"),
                ("a", "127.0.%"),
                ("a", "1_7.0.0.1"),
                ("a", "%.0.0.1"),
                ("a", "%"),
                ("", "%"),
                ("a", ""),
            ],
        );
        order(
            Flavor::MariaDb,
            Version(10, 11, 19),
            &[
                ("a", "127.0.0.1"),
                ("a", "127.0.0.0/255.255.255.252"),
                ("a", "127.0.0.0/255.0.0.0"),
                ("", "127.0.0.1"),
                ("a", "1_7.0.0.1"),
                ("a", "127.0.%"),
                ("a", "127.%"),
                ("a", "%"),
                ("", "%"),
            ],
        );
    }
}
