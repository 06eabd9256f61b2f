//! Who may log in, from where and how; and who is.

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
    /// `%` and `_` stand for others. A netmask is not reckoned with, and fits nobody.
    pub fn admits(&self, host: &str) -> bool {
        let pattern: Vec<char> = self.host.to_ascii_lowercase().chars().collect();
        let host: Vec<char> = host.to_ascii_lowercase().chars().collect();
        // where in the pattern one may be, after each character of the host
        let mut here = vec![false; pattern.len() + 1];
        here[0] = true;
        let pass = |here: &mut Vec<bool>| {
            for at in 0..pattern.len() {
                here[at + 1] |= here[at] && pattern[at] == '%';
            }
        };
        pass(&mut here);
        for c in host {
            let mut next = vec![false; pattern.len() + 1];
            for (at, wanted) in pattern.iter().enumerate().filter(|(at, _)| here[*at]) {
                match wanted {
                    '%' => next[at] = true,
                    '_' => next[at + 1] = true,
                    wanted => next[at + 1] |= *wanted == c,
                }
            }
            pass(&mut next);
            here = next;
        }
        here[pattern.len()]
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
    pub locked: bool,
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
                asked.map(|(name, _)| *name).collect::<Vec<_>>().join(" + ")
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
    /// `TCP/IP`, `SSL/TLS`, `Socket`, as `performance_schema.threads` says.
    pub connection_type: String,
}

impl OtherSession {
    /// Where it comes from, without the port that some servers add.
    fn from(&self) -> &str {
        match self.host.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') && port.parse::<u16>().is_ok() => host,
            _ => &self.host,
        }
    }

    /// Whether it comes from the server's own host.
    pub fn is_local(&self) -> bool {
        is_loopback(self.from())
    }

    /// Whether it may have logged in as this account.
    pub fn is_of(&self, account: &AccountName) -> bool {
        self.user == account.user && account.admits(self.from())
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
        assert!(!admits("10.1.%", "10.0.0.7") && !admits("db_", "db12") && !admits("", "x"));
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
        };
        assert!(session("10.0.3.7:5123").is_of(&AccountName::new("web", "10.0.%")));
        assert!(!session("10.0.3.7").is_of(&AccountName::new("web", "192.168.%")));
        assert!(!session("10.0.3.7").is_of(&AccountName::new("app", "%")));
        assert!(session("127.0.0.1:4000").is_local() && session("::1").is_local());
        assert!(!session("10.0.3.7").is_local());
    }
}
