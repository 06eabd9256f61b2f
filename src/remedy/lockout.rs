//! Who would be refused, were accounts to REQUIRE something else or the server to take secure
//! connections alone: said before it is done.
//!
//! What the server tells of a session is whether it uses TLS, and not whether it has shown a
//! certificate. So of a session with TLS nobody can say whether it would fulfil X509, unless its
//! account asks for as much already.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::facts::{Account, AccountName, Carrier, Facts, OtherSession, Require, ServerFacts};
use crate::printable::printable;

mod absent;
mod proposed;

use absent::{absent, own};
use proposed::Proposed;

/// What is to be changed.
#[derive(Clone, Copy, Debug)]
pub enum Proposal<'a> {
    /// What these accounts are to require.
    Require(&'a [(AccountName, Require)]),
    /// `require_secure_transport = ON`
    SecureTransport,
}

/// Who would be refused on the next login; nobody is cut off before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Those that would be refused.
    pub refused: Vec<Group>,
    /// Those of whom it cannot be seen.
    pub unclear: Vec<Group>,
    /// Mytls itself would be refused, or nobody can say that it would not: why.
    pub own: Option<String>,
    /// Accounts without a session now whose clients come from time to time, or that replicas use.
    pub absent: Vec<String>,
    /// What else a person should know.
    pub notes: Vec<String>,
}

/// Sessions of one account that come in the same way from the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The account that answered them; `None` where more than one may have.
    pub account: Option<AccountName>,
    pub user: String,
    pub from: String,
    pub carrier: Carrier,
    /// They read the binary log.
    pub replica: bool,
    /// Connection ids, in ascending order.
    pub sessions: Vec<u64>,
    pub why: String,
}

impl Forecast {
    /// All of it as sentences, what is certain first.
    pub fn warnings(&self) -> Vec<String> {
        let refused = self.refused.iter().map(|group| format!("would be refused: {group}"));
        let own = self.own.iter().map(|own| format!("yourself: {own}"));
        let unclear = self.unclear.iter().map(|group| format!("cannot be seen: {group}"));
        let rest = self.absent.iter().chain(&self.notes).cloned();
        own.chain(refused).chain(unclear).chain(rest).collect()
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (count, user, from) =
            (self.sessions.len(), printable(&self.user), printable(&self.from));
        let (what, come) = match (self.replica, count) {
            (true, 1) => ("replica", "comes"),
            (true, _) => ("replicas", "come"),
            (false, 1) => ("session", "comes"),
            (false, _) => ("sessions", "come"),
        };
        let how = match self.carrier {
            Carrier::Unknown => String::new(),
            carrier => format!(" {}", carrier.words()),
        };
        write!(f, "{count} {what} of `{user}` {come} in{how} from {from}: {}", self.why)
    }
}

/// Whether a login like this one would be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    In,
    Out(&'static str),
    /// What cannot be seen.
    Unclear(&'static str),
}

pub fn forecast(facts: &Facts, proposal: Proposal) -> Forecast {
    let Some(server) = facts.server.read() else { return Forecast::default() };
    let mut forecast = Forecast::default();
    let accounts = Accounts::of(server);
    let proposed = Proposed::of(proposal);
    let sessions = match server.sessions.read() {
        Some(sessions) => sessions.as_slice(),
        None => server.processes.as_slice(),
    };
    if let Some(unread) = server.sessions.reason() {
        forecast.notes.push(format!("how sessions come in is not known: {}", unread.why));
    }
    forecast.notes.extend(server.unseen.iter().map(|unseen| format!("not seen: {unseen}")));
    let mut groups: BTreeMap<(bool, String, String, Carrier, bool, &str), Group> = BTreeMap::new();
    for session in sessions {
        let candidates = accounts.answering(session);
        let (outcome, account) = proposed.session(session, &candidates);
        let (certain, why) = match outcome {
            Outcome::In => continue,
            Outcome::Out(why) => (true, why),
            Outcome::Unclear(why) => (false, why),
        };
        let (user, from) = (session.user.clone(), session.from().to_owned());
        let (carrier, replica) = (session.carrier(), session.is_replica());
        let key = (certain, user.clone(), from.clone(), carrier, replica, why);
        let group = groups.entry(key).or_insert_with(|| Group {
            account: account.map(|account| account.name.clone()),
            user,
            from,
            carrier,
            replica,
            sessions: Vec::new(),
            why: why.to_owned(),
        });
        group.sessions.push(session.id);
    }
    for ((certain, ..), mut group) in groups {
        group.sessions.sort_unstable();
        if certain { &mut forecast.refused } else { &mut forecast.unclear }.push(group);
    }
    forecast.own = own(facts, server, &accounts, &proposed);
    forecast.absent = absent(&accounts, &proposed, sessions);
    forecast.notes.extend(proposed.traps(server, &accounts));
    forecast
}

/// The accounts by user.
pub struct Accounts<'a> {
    server: &'a ServerFacts,
    by_user: HashMap<&'a str, Vec<&'a Account>>,
}

impl<'a> Accounts<'a> {
    pub fn of(server: &'a ServerFacts) -> Self {
        let mut by_user: HashMap<&str, Vec<&Account>> = HashMap::new();
        for account in server.accounts.read().into_iter().flatten() {
            by_user.entry(&account.name.user).or_default().push(account);
        }
        Self { server, by_user }
    }

    fn find(&self, name: &AccountName) -> Option<&'a Account> {
        self.by_user.get(name.user.as_str())?.iter().copied().find(|one| one.name == *name)
    }

    fn all(&self) -> impl Iterator<Item = &'a Account> + '_ {
        self.by_user.values().flatten().copied()
    }

    /// The account that answers this session, or all that may have.
    pub fn answering(&self, session: &OtherSession) -> Vec<&'a Account> {
        let from = session.from();
        // of a client with a name, the server does not tell the address, and compares it too
        let over_tcp = session.carrier() != Carrier::Local;
        let also = match from {
            "localhost" if over_tcp => Some("127.0.0.1"),
            _ => None,
        };
        let fits = |account: &Account| {
            self.server.admits(&account.name, from)
                || also.is_some_and(|also| self.server.admits(&account.name, also))
        };
        let named = self.by_user.get(session.user.as_str()).into_iter().flatten();
        let anonymous = self.by_user.get("").into_iter().flatten();
        let mut fitting: Vec<&Account> =
            named.chain(anonymous).copied().filter(|account| fits(account)).collect();
        let rank = |name: &AccountName| self.server.rank(name);
        let Some(best) = fitting.iter().map(|account| rank(&account.name)).max() else {
            return fitting;
        };
        // An address that is not told may fit one that is more precise.
        let has_name = from.parse::<std::net::IpAddr>().is_err() && from != "localhost";
        if has_name && over_tcp {
            let by_address = |account: &&&Account| {
                rank(&account.name) > best && is_of_addresses(&account.name.host)
            };
            let named = self.by_user.get(session.user.as_str()).into_iter().flatten();
            let hidden: Vec<&Account> = named.filter(by_address).copied().collect();
            fitting = self.server.first(&fitting);
            fitting.extend(hidden);
            return fitting;
        }
        self.server.first(&fitting)
    }
}

fn is_of_addresses(host: &str) -> bool {
    host.starts_with(|c: char| c.is_ascii_digit()) || host.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Flavor, Source};
    use crate::rules::testing;

    fn session(id: u64, user: &str, host: &str, kind: &str) -> OtherSession {
        OtherSession {
            id,
            user: user.into(),
            host: host.into(),
            connection_type: kind.into(),
            command: "Sleep".into(),
        }
    }

    fn facts(accounts: Vec<Account>, sessions: Vec<OtherSession>) -> Facts {
        testing::with_server(|server| {
            server.accounts = Source::Read(accounts);
            server.sessions = Source::Read(sessions);
        })
    }

    fn ids(groups: &[Group]) -> Vec<u64> {
        let mut ids: Vec<u64> = groups.iter().flat_map(|group| group.sessions.clone()).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn sessions_without_tls_are_named_with_where_they_come_from() {
        let app = testing::account("app", "10.0.%", Require::None);
        let sessions = (1..=3).map(|id| session(id, "app", "10.0.3.7", "TCP/IP")).collect();
        let facts = facts(vec![app.clone()], sessions);
        let orders = [(app.name, Require::Ssl)];
        let forecast = forecast(&facts, Proposal::Require(&orders));
        let said = forecast.refused[0].to_string();
        assert!(
            said.starts_with("3 sessions of `app` come in without TLS from 10.0.3.7: "),
            "{said}"
        );
        assert_eq!(forecast.own, None);
    }

    #[test]
    fn the_most_precise_account_is_the_one_that_counts() {
        let wide = testing::account("app", "%", Require::None);
        let narrow = testing::account("app", "10.0.0.0/255.255.0.0", Require::None);
        let nobody = testing::account("", "10.0.3.7", Require::None);
        let sessions = vec![
            session(1, "app", "10.0.3.7", "TCP/IP"),
            session(2, "app", "10.0.9.9", "TCP/IP"),
            session(3, "app", "192.168.0.1", "TCP/IP"),
            session(4, "app", "10.0.9.9", "SSL/TLS"),
        ];
        let facts = testing::with_server(|server| {
            (server.flavor, server.version) = (Flavor::MySql, crate::facts::Version(9, 7, 4));
            server.accounts = Source::Read(vec![wide.clone(), narrow.clone(), nobody.clone()]);
            server.sessions = Source::Read(sessions);
        });
        let refused = |name: &AccountName| {
            let orders = [(name.clone(), Require::Ssl)];
            ids(&forecast(&facts, Proposal::Require(&orders)).refused)
        };
        assert_eq!(refused(&wide.name), [3]);
        assert_eq!(refused(&narrow.name), [2]);
        assert_eq!(refused(&nobody.name), [1]);
        assert_eq!(ids(&forecast(&facts, Proposal::SecureTransport).refused), [1, 2, 3]);
    }

    #[test]
    fn a_certificate_that_nobody_sees_is_not_claimed_to_be_there_or_away() {
        let free = testing::account("free", "%", Require::Ssl);
        let bound = testing::account("bound", "%", Require::X509);
        let sessions = vec![
            session(1, "free", "10.0.3.7", "SSL/TLS"),
            session(2, "bound", "10.0.3.7", "SSL/TLS"),
        ];
        let facts = facts(vec![free.clone(), bound.clone()], sessions);
        let orders = [(free.name, Require::X509), (bound.name, Require::X509)];
        let forecast = forecast(&facts, Proposal::Require(&orders));
        assert_eq!((ids(&forecast.refused), ids(&forecast.unclear)), (vec![], vec![1]));
    }

    #[test]
    fn the_session_that_asks_and_the_socket_trap_are_said() {
        let root = testing::account("root", "localhost", Require::None);
        let facts = facts(vec![root.clone()], Vec::new());
        let orders = [(root.name, Require::Ssl)];
        let forecast = forecast(&facts, Proposal::Require(&orders));
        assert!(forecast.own.unwrap().contains("over the socket"), "the facts' session is one");
        assert!(forecast.notes.iter().any(|note| note.contains("--ssl-mode=REQUIRED")));
    }

    #[test]
    fn monitors_and_replicas_that_are_away_are_thought_of() {
        let exporter = testing::account("mysqld_exporter", "%", Require::None);
        let mut replica = testing::account("repl", "%", Require::None);
        replica.more.may_replicate = true;
        let plain = testing::account("plain", "%", Require::None);
        let facts = facts(vec![exporter, replica, plain], Vec::new());
        let absent = forecast(&facts, Proposal::SecureTransport).absent;
        assert!(absent[0].contains("by its name") && absent[1].contains("may replicate"));
        assert_eq!(absent.len(), 2);
    }
}
