//! What an account or the server has against a login, one by one.

use super::{Account, Case, Cause, Kind, cure};
use crate::facts::{AccountName, Flavor, Version};
use crate::printable::printable;
use crate::remedy::statement::account as quoted;

impl Case<'_> {
    pub(super) fn blocked(&self) -> Cause {
        let (sql, what) = match self.flavor() {
            Some(Flavor::MariaDb) => ("FLUSH HOSTS;", "FLUSH HOSTS"),
            _ => ("TRUNCATE TABLE performance_schema.host_cache;", "emptying its host cache"),
        };
        let most = self.facts.server.read().and_then(|s| s.variable("max_connect_errors"));
        let mut cause = Cause::new(
            Kind::HostBlocked,
            "the server has shut this host out: too many of its connections ended before a login",
        );
        if let Some(most) = most {
            cause = cause.saw("max_connect_errors", most);
        }
        let advice = format!(
            "{what} lets it in again; find out what connects and gives up (a port check of a load balancer, a scanner)"
        );
        cause.cured([cure::sql("forget the errors that were counted", sql, "")]).advise(advice)
    }

    pub(super) fn full(&self) -> Cause {
        let most = self.facts.server.read().and_then(|s| s.variable("max_connections"));
        let cause = Cause::new(Kind::ServerFull, "all connections of the server are in use")
            .advise("end idle sessions, or raise max_connections");
        let Some((most, number)) = most.and_then(|most| Some((most, most.parse::<u32>().ok()?)))
        else {
            return cause;
        };
        let set = |number: u32| format!("SET GLOBAL max_connections = {number};");
        let more = cure::sql("allow more", set(number.saturating_add(50)), set(number));
        cause.saw("max_connections", most).cured([more])
    }

    pub(super) fn host_pattern(&self) -> Cause {
        let attempt = self.attempt;
        let user = printable(&attempt.user).into_owned();
        let from = attempt.from.as_deref();
        let meant = |name: &&AccountName| match &attempt.account {
            Some(meant) => **name == *meant,
            None => name.user == attempt.user,
        };
        let names = self.accounts.into_iter().flatten().map(|account| &account.name);
        let known: Vec<&AccountName> = names.filter(meant).collect();
        let here = from.map_or_else(|| "this host".to_owned(), |from| printable(from).into_owned());
        if let (Some(meant), Some(other)) = (&attempt.account, self.answers) {
            let what =
                format!("{meant} is not for logins from {here}: {} answers them", other.name);
            let of_socket = meant.host.eq_ignore_ascii_case("localhost");
            let advice = if of_socket {
                "localhost is the server's socket, over which this login did not come: it is tried over TCP, \
                 as a client that needs TLS does; ask about the other account, or let the client use the socket"
            } else {
                "ask about the account that answers, or log in from a host that this one is for (--bind-address)"
            };
            return Cause::new(Kind::HostPattern, what).advise(advice);
        }
        let what = match user.as_str() {
            "" => format!("no anonymous account may come from {here}"),
            user => format!("no account of {user} may come from {here}"),
        };
        let mut cause = Cause::new(Kind::HostPattern, what);
        for name in known.iter().take(5) {
            cause = cause.saw("there is", name.to_string());
        }
        match (known.as_slice(), from) {
            // whoever comes in with it now would be kept out by a new host
            ([one], Some(from)) if !self.is_in_use(one) => cause
                .cured([cure::rename(one, from)])
                .advise("or create an account for this host, or log in from one that is allowed"),
            _ => {
                cause.advise("create an account for this host, or log in from one that is allowed")
            }
        }
    }

    /// Whether somebody is logged in with it, or a replica may be.
    fn is_in_use(&self, name: &AccountName) -> bool {
        let server = self.facts.server.read();
        let sessions = server.map(|s| s.sessions.read().map_or(&s.processes[..], Vec::as_slice));
        let mut sessions = sessions.unwrap_or_default().iter();
        let mut accounts = self.accounts.into_iter().flatten();
        sessions.any(|session| session.user == name.user)
            || accounts.any(|one| one.name == *name && one.more.may_replicate)
    }

    pub(super) fn no_such_account(&self) -> Cause {
        let user = &self.attempt.user;
        if self.facts.server.read().is_some_and(|server| server.roles.contains(user)) {
            return Self::role(&printable(user));
        }
        let name = self
            .attempt
            .account
            .as_ref()
            .map_or_else(|| printable(&self.attempt.user).into_owned(), ToString::to_string);
        let advice = "create it, or check how it is spelled: capitals count in a user's name";
        Cause::new(Kind::NoSuchAccount, format!("there is no account {name}")).advise(advice)
    }

    pub(super) fn anonymous(&self, account: &Account) -> Cause {
        let what = format!(
            "the anonymous account {} answers first: its host is more specific than those of {}",
            account.name,
            printable(&self.attempt.user)
        );
        Cause::new(Kind::AnonymousAccount, what)
            .saw("answers", account.name.to_string())
            .cured(cure::drop(self, account))
    }

    pub(super) fn other_account(&self, answers: &Account, meant: &Account) -> Cause {
        let what = format!(
            "{} answers, and not {}: of the accounts that fit, the one with the more specific host does",
            answers.name, meant.name
        );
        let asks = |account: &Account| format!("REQUIRE {}", account.require.describe());
        Cause::new(Kind::OtherAccount, what)
            .saw(&answers.name.to_string(), asks(answers))
            .saw(&meant.name.to_string(), asks(meant))
            .cured(cure::as_other(self, answers, meant))
            .advise("its password and its REQUIRE are what count from this host")
    }

    pub(super) fn plugin(&self, what: &str) -> Cause {
        let mut cause = Cause::new(Kind::Plugin, what);
        if let Some(account) = self.answers {
            cause = cause.saw("account", account.name.to_string()).saw("plugin", &account.plugin);
        }
        cause.advise("ALTER USER … IDENTIFIED WITH … gives it another; that takes a new password")
    }

    pub(super) fn password(&self, account: &Account, candidates: &[&Account]) -> Cause {
        let what = if self.unmet(self.counts(account)).is_empty() {
            "the password is wrong: what the account REQUIREs was there"
        } else {
            "the password is wrong: the server came no further, and did not look at the certificate"
        };
        let mut cause = Cause::new(Kind::Password, what)
            .saw("account", account.name.to_string())
            .saw("plugin", &account.plugin);
        if let Some(place) = self.attempt.heard_in.as_deref().filter(|_| self.attempt.would_hear) {
            cause = cause.saw("the log", format!("nothing about the certificate ({place})"));
        }
        let others = candidates.iter().skip(1).filter(|other| other.name.user == account.name.user);
        let others: Vec<String> = others.map(|other| other.name.to_string()).collect();
        if !others.is_empty() {
            cause = cause.saw("does not answer", others.join(", "));
        }
        cause.advise(
            "mytls changes no passwords: ALTER USER … IDENTIFIED BY … sets a new one. Each try with a \
             wrong one counts (FAILED_LOGIN_ATTEMPTS, MariaDB: max_password_errors), this one, too",
        )
    }

    pub(super) fn tls_not_used(account: &Account) -> Cause {
        let what = format!("{} asks for TLS, and the login came without", account.name);
        Cause::new(Kind::TlsNotUsed, what)
            .saw("the account says", format!("REQUIRE {}", account.require.describe()))
            .advise("let the client use it: ssl-mode=REQUIRED (MySQL), ssl (MariaDB), and over a socket, too")
    }

    pub(super) fn certificate_missing(&self, account: &Account) -> Cause {
        let what = format!("{} asks for a certificate, and the login showed none", account.name);
        Cause::new(Kind::CertificateMissing, what)
            .saw("the account says", format!("REQUIRE {}", account.require.describe()))
            .advise("give the client its certificate and key: ssl-cert, ssl-key")
            .cured(cure::certificate(self.facts, &self.attempt.user))
    }

    pub(super) fn transport() -> Cause {
        let what = "the server takes no connections without TLS (require_secure_transport)";
        Cause::new(Kind::TransportEnforced, what)
            .advise("let the client use TLS: ssl-mode=REQUIRED (MySQL), ssl (MariaDB)")
    }

    fn role(name: &str) -> Cause {
        Cause::new(Kind::Role, format!("{name} is a role, and nobody logs in as one"))
            .advise("log in as an account that it is granted to; SET ROLE puts it on")
    }

    pub(super) fn locked(&self, kind: Kind) -> Cause {
        if let Some(account) = self.answers.filter(|account| account.more.is_role && account.locked)
        {
            return Self::role(&account.name.to_string());
        }
        let what = match kind {
            Kind::LockedByFailures => {
                "the account is locked, because too many logins with a wrong password came in a row"
            }
            _ => "the account is locked",
        };
        let cause = Cause::new(kind, what);
        let Some(account) = self.answers else { return cause };
        let name = quoted(&account.name);
        let mariadb = self.flavor() == Some(Flavor::MariaDb);
        let remedy = match kind {
            Kind::LockedByFailures if mariadb => {
                cure::sql("forget the failures", "FLUSH PRIVILEGES;", "")
            }
            _ => cure::sql(
                "unlock it",
                format!("ALTER USER {name} ACCOUNT UNLOCK;"),
                format!("ALTER USER {name} ACCOUNT LOCK;"),
            ),
        };
        cause.saw("account", account.name.to_string()).cured([remedy])
    }

    pub(super) fn password_expired(&self) -> Cause {
        let cause = Cause::new(Kind::PasswordExpired, "the password has expired");
        let advice = "log in with a client that can change it (mysql, mariadb) and run SET PASSWORD; mytls changes no passwords";
        match self.answers {
            Some(account) => cause.saw("account", account.name.to_string()).advise(advice),
            None => cause.advise(advice),
        }
    }

    /// `User 'app' has exceeded the 'max_user_connections' resource (current value: 1)`.
    pub(super) fn limit(&self, code: u16, message: &str) -> Cause {
        let mut quotes = message.split('\'');
        let resource = quotes.nth(3).unwrap_or_default();
        let value = message.split_once("current value: ").map_or("", |(_, rest)| rest);
        let value: String = value.chars().take_while(char::is_ascii_digit).collect();
        let cause = Cause::new(Kind::ConnectionLimit, "the account has used up what it may have");
        let whole = code == 1203 || resource.is_empty();
        let Some(account) = self.answers.filter(|_| !whole) else {
            let most = self.facts.server.read().and_then(|s| s.variable("max_user_connections"));
            let cause = cause.saw("max_user_connections", most.unwrap_or("?"));
            return cause.advise("end sessions of this user, or raise max_user_connections");
        };
        let option = match resource {
            "max_user_connections" => "MAX_USER_CONNECTIONS",
            "max_connections_per_hour" => "MAX_CONNECTIONS_PER_HOUR",
            "max_queries_per_hour" | "max_questions" => "MAX_QUERIES_PER_HOUR",
            _ => return cause.saw("resource", resource),
        };
        let server = self.facts.server.read();
        let old = server.is_some_and(|s| s.flavor == Flavor::MySql && s.version < Version(5, 7, 6));
        let name = quoted(&account.name);
        let head = if old {
            format!("GRANT USAGE ON *.* TO {name}")
        } else {
            format!("ALTER USER {name}")
        };
        let with = |value: &str| format!("{head} WITH {option} {value};");
        let number = value.parse::<u32>().ok();
        let remedy = number.map(|_| cure::sql("lift the limit", with("0"), with(&value)));
        cause.saw("account", account.name.to_string()).saw(option, &value).cured(remedy)
    }
}
