//! Who may log in, from where and how; and who is.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::printable::printable;

/// An account: a name and the hosts it may come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountName {
    pub user: String,
    pub host: String,
}

impl AccountName {
    pub fn new(user: impl Into<String>, host: impl Into<String>) -> Self {
        Self { user: user.into(), host: host.into() }
    }

    /// Whether it can be used only from the server's own host.
    pub fn is_local(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Whether a client at this host or address, as the server knows it, is one of this account's:
    /// `%` and `_` stand for others, a backslash before them takes that away, a netmask is reckoned
    /// with, and no host at all means every host.
    ///
    /// Source: `compare_hostname` and `wild_case_compare` of both families' servers.
    pub fn admits(&self, host: &str) -> bool {
        if self.host.is_empty() {
            return true;
        }
        if let Some(net) = Netmask::of(&self.host) {
            return host.parse().is_ok_and(|address| net.holds(address));
        }
        let pattern = pattern(&self.host);
        let host: Vec<char> = host.to_ascii_lowercase().chars().collect();
        // where in the pattern one may be, after each character of the host
        let mut here = vec![false; pattern.len() + 1];
        here[0] = true;
        let pass = |here: &mut Vec<bool>| {
            for at in 0..pattern.len() {
                here[at + 1] |= here[at] && pattern[at] == Wanted::Many;
            }
        };
        pass(&mut here);
        for c in host {
            let mut next = vec![false; pattern.len() + 1];
            for (at, wanted) in pattern.iter().enumerate().filter(|(at, _)| here[*at]) {
                match wanted {
                    Wanted::Many => next[at] = true,
                    Wanted::One => next[at + 1] = true,
                    Wanted::Just(wanted) => next[at + 1] |= *wanted == c,
                }
            }
            pass(&mut next);
            here = next;
        }
        here[pattern.len()]
    }
}

#[derive(PartialEq, Eq)]
enum Wanted {
    Just(char),
    One,
    Many,
}

fn pattern(host: &str) -> Vec<Wanted> {
    let mut chars = host.chars().map(|c| c.to_ascii_lowercase()).peekable();
    let mut out = Vec::new();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some(next) => Wanted::Just(next),
                None => Wanted::Just('\\'),
            },
            '%' => Wanted::Many,
            '_' => Wanted::One,
            c => Wanted::Just(c),
        });
    }
    out
}

/// `10.0.0.0/255.255.0.0`, and since MySQL 8.0.23 `10.0.0.0/16`.
struct Netmask {
    address: u32,
    mask: u32,
}

impl Netmask {
    fn of(host: &str) -> Option<Self> {
        let (address, mask) = host.split_once('/')?;
        let address = u32::from(address.parse::<Ipv4Addr>().ok()?);
        let mask = if let Ok(mask) = mask.parse::<Ipv4Addr>() {
            u32::from(mask)
        } else {
            let bits: u32 = mask.parse().ok().filter(|bits| *bits <= 32)?;
            u32::MAX.checked_shl(32 - bits).unwrap_or(0)
        };
        Some(Self { address, mask })
    }

    fn holds(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask == self.address
    }
}

/// `app@10.0.%`, made printable: for people. Statements quote it themselves.
impl std::fmt::Display for AccountName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", printable(&self.user), printable(&self.host))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub name: AccountName,
    pub require: Require,
    pub plugin: String,
    /// Nobody may log in. MySQL's roles are such accounts.
    pub locked: bool,
    /// Everything else; away in facts that were saved before it was read.
    #[serde(default)]
    pub more: More,
}

/// What an account is besides its REQUIRE.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct More {
    /// MariaDB's `IDENTIFIED VIA a OR b`: the plugins after the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub or_plugins: Vec<String>,
    /// MySQL's second and third factor: the plugins that are asked after the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<String>,
    /// The password has to be changed before anything else.
    #[serde(default)]
    pub password_expired: bool,
    /// Days; 0 for a password that never expires, `None` for the server's default.
    #[serde(default)]
    pub password_lifetime: Option<u32>,
    /// Other accounts have been granted it as a role, or it can be nothing else.
    #[serde(default)]
    pub is_role: bool,
    /// The roles granted to it, as `user@host`, in MariaDB by name alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_roles: Vec<String>,
    /// The accounts whose rights a login of it may be given (`GRANT PROXY`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<AccountName>,
    /// It may read the binary log (`REPLICATION SLAVE`), as replicas do.
    #[serde(default)]
    pub may_replicate: bool,
    /// 0 for the server's default.
    #[serde(default)]
    pub max_user_connections: u32,
}

impl Account {
    /// Whether somebody on another host may log in to it. Some plugins look at the socket's other
    /// end, and some let nobody in.
    pub fn is_for_the_network(&self) -> bool {
        self.takes_logins() && !self.name.is_local()
    }

    /// Whether a client can log in to it at all, other than by being somebody on the server's host.
    pub fn takes_logins(&self) -> bool {
        const HERE_ALONE: [&str; 4] = ["unix_socket", "auth_socket", "mysql_no_login", "no_login"];
        !self.locked && !HERE_ALONE.contains(&self.plugin.as_str())
    }
}

/// `localhost`, `::1`, and what begins with 127, patterns and netmasks of it included.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host == "::1" || host.starts_with("127.")
}

/// What an account REQUIREs of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    #[default]
    None,
    Ssl,
    X509,
    /// Empty strings mean that this part is not asked for.
    Specified {
        subject: String,
        issuer: String,
        cipher: String,
    },
}

impl Require {
    /// Short, for a column: `NONE`, `SSL`, `X509`, `SUBJECT + ISSUER`.
    pub fn describe(&self) -> String {
        match self {
            Self::None => "NONE".to_owned(),
            Self::Ssl => "SSL".to_owned(),
            Self::X509 => "X509".to_owned(),
            Self::Specified { subject, issuer, cipher } => {
                let parts = [("SUBJECT", subject), ("ISSUER", issuer), ("CIPHER", cipher)];
                let asked = parts.iter().filter(|(_, value)| !value.is_empty());
                match asked.map(|(name, _)| *name).collect::<Vec<_>>().join(" + ") {
                    // an empty name: to MariaDB any TLS, to MySQL nobody
                    none if none.is_empty() => "SUBJECT ''".to_owned(),
                    parts => parts,
                }
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherSession {
    pub id: u64,
    pub user: String,
    /// Host or address, without the port.
    pub host: String,
    /// `TCP/IP`, `SSL/TLS`, `Socket`, as `performance_schema.threads` says; empty where nothing tells.
    pub connection_type: String,
    /// `Query`, `Sleep`, `Binlog Dump`, …
    #[serde(default)]
    pub command: String,
}

impl OtherSession {
    /// Where it comes from, without the port that some servers add.
    pub fn from(&self) -> &str {
        match self.host.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') && port.parse::<u16>().is_ok() => host,
            _ => &self.host,
        }
    }

    /// Whether it comes from the server's own host.
    pub fn is_local(&self) -> bool {
        is_loopback(self.from())
    }

    /// Whether it is a replica that reads the binary log.
    pub fn is_replica(&self) -> bool {
        self.command.starts_with("Binlog Dump")
    }

    /// How it came in, as far as the server tells.
    pub fn carrier(&self) -> Carrier {
        match self.connection_type.as_str() {
            "SSL/TLS" => Carrier::Tls,
            "Socket" | "Shared Memory" | "Named Pipe" => Carrier::Local,
            "TCP/IP" => Carrier::Tcp,
            // no port, and from this host: the network would have told one
            _ => Carrier::Unknown,
        }
    }

    /// Whether it may have logged in as this account.
    pub fn is_of(&self, account: &AccountName) -> bool {
        self.user == account.user && account.admits(self.from())
    }
}

/// How a session travels, as far as it matters to REQUIRE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// TLS, over the network or over the socket.
    Tls,
    /// The network, in the clear.
    Tcp,
    /// A socket or another way that does not leave the host, without TLS.
    Local,
    Unknown,
}

impl Carrier {
    pub fn words(self) -> &'static str {
        match self {
            Self::Tls => "with TLS",
            Self::Tcp => "without TLS",
            Self::Local => "over the socket, without TLS",
            Self::Unknown => "nobody can say how",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_admits_the_hosts_of_its_pattern() {
        let admits = |pattern: &str, host: &str| AccountName::new("a", pattern).admits(host);
        assert!(admits("%", "10.0.0.7") && admits("10.0.%", "10.0.0.7"));
        assert!(admits("db_.Example", "db1.example") && admits("10.0.0.7", "10.0.0.7"));
        assert!(!admits("10.1.%", "10.0.0.7") && !admits("db_", "db12"));
        assert!(admits("", "x"), "no host means every host");
        assert!(admits("db\\_", "db_") && !admits("db\\_", "db1"));
        assert!(admits("10.0.0.0/255.255.0.0", "10.0.3.7") && admits("10.0.0.0/16", "10.0.3.7"));
        assert!(!admits("10.0.0.0/255.255.0.0", "10.1.3.7") && !admits("10.0.0.0/16", "app.host"));
        assert!(admits("0.0.0.0/0", "10.0.3.7") && !admits("10.0.3.7/255.255.0.0", "10.0.3.7"));
        for local in ["localhost", "LOCALHOST", "127.0.0.1", "127.%", "127.0.0.0/255.0.0.0", "::1"]
        {
            assert!(AccountName::new("a", local).is_local(), "{local}");
        }
        assert!(
            !AccountName::new("a", "%").is_local() && !AccountName::new("a", "12.7.0.1").is_local()
        );
    }

    #[test]
    fn a_session_belongs_to_accounts_of_its_user_and_host() {
        let session = |host: &str| OtherSession {
            id: 1,
            user: "web".into(),
            host: host.into(),
            connection_type: "TCP/IP".into(),
            command: String::new(),
        };
        assert!(session("10.0.3.7:5123").is_of(&AccountName::new("web", "10.0.%")));
        assert!(!session("10.0.3.7").is_of(&AccountName::new("web", "192.168.%")));
        assert!(!session("10.0.3.7").is_of(&AccountName::new("app", "%")));
        assert!(session("127.0.0.1:4000").is_local() && session("::1").is_local());
        assert!(!session("10.0.3.7").is_local());
    }
}
