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
mod tests;
