//! Who would be refused, were accounts to REQUIRE something else or the server to take secure
//! connections alone: said before it is done.
//!
//! What the server tells of a session is whether it uses TLS, and not whether it has shown a
//! certificate. So of a session with TLS nobody can say whether it would fulfil X509, unless its
//! account asks for as much already.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::facts::{
    Account, AccountName, Carrier, Facts, Flavor, OtherSession, Require, ServerFacts, Transport,
};
use crate::printable::printable;
use crate::remedy::statement::Dialect;
use crate::x509::{Certificate, pem};

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
        let over_tcp = !session.is_over_socket();
        let also = match from {
            "localhost" if over_tcp => Some("127.0.0.1"),
            _ => None,
        };
        let fits = |account: &Account| {
            account.name.admits(from) || also.is_some_and(|also| account.name.admits(also))
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
            fitting.retain(|account| rank(&account.name) == best);
            fitting.extend(hidden);
            return fitting;
        }
        fitting.retain(|account| rank(&account.name) == best);
        fitting
    }
}

fn is_of_addresses(host: &str) -> bool {
    host.starts_with(|c: char| c.is_ascii_digit()) || host.contains(':')
}

struct Proposed<'a> {
    require: HashMap<&'a AccountName, &'a Require>,
    secure_transport: bool,
}

impl<'a> Proposed<'a> {
    fn of(proposal: Proposal<'a>) -> Self {
        match proposal {
            Proposal::Require(list) => Self {
                require: list.iter().map(|(name, require)| (name, require)).collect(),
                secure_transport: false,
            },
            Proposal::SecureTransport => Self { require: HashMap::new(), secure_transport: true },
        }
    }

    fn session<'b>(
        &self,
        session: &OtherSession,
        candidates: &[&'b Account],
    ) -> (Outcome, Option<&'b Account>) {
        let carrier = session.carrier();
        if self.secure_transport {
            let outcome = match carrier {
                Carrier::Tls | Carrier::Local => Outcome::In,
                Carrier::Tcp => Outcome::Out("the server would refuse it (3159)"),
                Carrier::Unknown => {
                    Outcome::Unclear("the server does not tell whether it uses TLS")
                }
            };
            return (outcome, candidates.first().copied());
        }
        let mut outcomes: Vec<(Outcome, &Account)> = Vec::new();
        for account in candidates {
            let outcome = self.account(account, carrier);
            if outcomes.iter().all(|(one, _)| *one != outcome) {
                outcomes.push((outcome, account));
            }
        }
        match outcomes.as_slice() {
            [] => (Outcome::In, None), // of no account that is known, so of none that changes
            [(outcome, account)] => {
                (outcome.clone(), Some(*account).filter(|_| candidates.len() == 1))
            }
            _ => (Outcome::Unclear("more than one account may have answered it"), None),
        }
    }

    fn account(&self, account: &Account, carrier: Carrier) -> Outcome {
        match self.require.get(&account.name) {
            None => Outcome::In,
            Some(require) => fulfils(require, &account.require, carrier),
        }
    }

    /// What bites later than a session of now.
    fn traps(&self, server: &ServerFacts, accounts: &Accounts) -> Vec<String> {
        let mut notes = Vec::new();
        let locals = || {
            let tightened = self.require.iter().filter(|(_, require)| ***require != Require::None);
            tightened.filter(|(name, _)| name.admits("localhost"))
        };
        let by_socket: Vec<String> = locals()
            .filter(|(name, _)| {
                accounts.find(name).is_some_and(|account| {
                    matches!(account.plugin.as_str(), "unix_socket" | "auth_socket")
                })
            })
            .map(|(name, _)| name.to_string())
            .collect();
        let first = locals().map(|(name, _)| name.to_string()).min();
        if let Some(first) = first {
            let more = match locals().count() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            notes.push(format!(
                "{first}{more} may come over the socket, where REQUIRE counts too: the `mysql` client \
                 uses no TLS there unless it is told to (--ssl-mode=REQUIRED), and is refused with \
                 1045; MariaDB's client uses TLS there by itself, unless --skip-ssl"
            ));
        }
        if !by_socket.is_empty() {
            notes.push(format!(
                "{} log in by their user on this host ({}): they are refused as well without TLS over \
                 the socket",
                by_socket.join(", "),
                match server.flavor {
                    Flavor::MariaDb => "unix_socket",
                    Flavor::MySql => "auth_socket",
                }
            ));
        }
        if !self.require.is_empty() && !server.sources.is_empty() {
            notes.push(format!(
                "this server is a replica of {}: accounts are changed there, and arrive here by \
                 themselves; a change made here alone is lost with the next that comes from there",
                printable(&server.sources.join(", "))
            ));
        }
        notes
    }
}

/// Whether a session of an account that requires `now` fulfils `then`.
#[allow(clippy::match_same_arms)] // in the order in which they are decided
fn fulfils(then: &Require, now: &Require, carrier: Carrier) -> Outcome {
    const NO_TLS: &str = "its account would require TLS";
    match (then, carrier) {
        (Require::None, _) => return Outcome::In,
        (_, Carrier::Tcp | Carrier::Local) => return Outcome::Out(NO_TLS),
        // whoever was let in fulfilled what was required
        (then, _) if then == now => return Outcome::In,
        (Require::Ssl, Carrier::Tls) => return Outcome::In,
        (_, Carrier::Unknown) if *now == Require::None => {
            return Outcome::Unclear("the server does not tell whether it uses TLS");
        }
        (Require::Ssl, Carrier::Unknown) => return Outcome::In,
        (Require::X509 | Require::Specified { .. }, _) => {}
    }
    let shows_one = match now {
        Require::None | Require::Ssl => false,
        Require::X509 => true,
        Require::Specified { subject, issuer, .. } => !(subject.is_empty() && issuer.is_empty()),
    };
    match (then, now) {
        (Require::X509, _) if shows_one => Outcome::In,
        (
            Require::Specified { subject, issuer, cipher },
            Require::Specified { subject: had_subject, issuer: had_issuer, cipher: had_cipher },
        ) if shows_one
            && [(subject, had_subject), (issuer, had_issuer), (cipher, had_cipher)]
                .iter()
                .all(|(then, now)| then.is_empty() || then == now) =>
        {
            Outcome::In
        }
        (Require::Specified { subject, issuer, .. }, _)
            if subject.is_empty() && issuer.is_empty() =>
        {
            Outcome::Unclear(
                "its account would require one cipher (MySQL: and a certificate), and which a session \
                 uses was not looked at",
            )
        }
        (Require::X509, _) => Outcome::Unclear(
            "its account would require a certificate, and no server tells whether a session has shown one",
        ),
        _ => Outcome::Unclear(
            "its account would require one certificate, and no server tells which a session has shown",
        ),
    }
}

/// What would become of mytls' own account on its next login.
fn own(
    facts: &Facts,
    server: &ServerFacts,
    accounts: &Accounts,
    proposed: &Proposed,
) -> Option<String> {
    let tls = !server.session.cipher.is_empty();
    if proposed.secure_transport {
        return (!tls && server.session.over == Transport::Tcp).then(|| {
            "this very session comes in over the network without TLS, and could not come back"
                .to_owned()
        });
    }
    let mine = proposed.require.iter().find(|(name, _)| {
        printable(&format!("{}@{}", name.user, name.host)) == server.current_user
    });
    let (name, then) = mine?;
    let now = accounts.find(name).map_or(&Require::None, |account| &account.require);
    let carrier = match (tls, server.session.over) {
        (true, _) => Carrier::Tls,
        (false, Transport::Socket) => Carrier::Local,
        (false, Transport::Tcp) => Carrier::Tcp,
    };
    match fulfils(then, now, carrier) {
        Outcome::In => None,
        Outcome::Out(_) => Some(format!(
            "this very session is of {name} and comes in {}: it could not come back",
            carrier.words()
        )),
        // what mytls itself shows is known
        Outcome::Unclear(_) if **then == Require::X509 && facts.target.ssl_cert.is_some() => None,
        Outcome::Unclear(_) if shows(facts, server, then) => None,
        Outcome::Unclear(_) if facts.target.ssl_cert.is_none() => Some(format!(
            "this very session is of {name} and shows no certificate: it could not come back"
        )),
        Outcome::Unclear(_) => Some(format!(
            "this very session is of {name}, and whether its certificate is the one required was not \
             looked at: it might not come back"
        )),
    }
}

/// Whether the certificate of mytls' own login is the one that this asks for.
fn shows(facts: &Facts, server: &ServerFacts, then: &Require) -> bool {
    const LARGEST: u64 = 1 << 20;
    let Require::Specified { subject, issuer, cipher } = then else { return false };
    let dialect = Dialect::of(server);
    let leaf = facts.target.ssl_cert.as_ref().and_then(|path| {
        let bytes = crate::bounded::read(path, LARGEST).ok()?;
        pem::certificates(&bytes).ok()?.into_iter().next()
    });
    let Some(leaf) = leaf.map(|x509| Certificate::from_openssl(&x509)) else { return false };
    let is = |asked: &str, name| {
        asked.is_empty() || dialect.written(name).is_ok_and(|written| written == asked)
    };
    dialect.names_known
        && !(subject.is_empty() && issuer.is_empty())
        && is(subject, &leaf.subject)
        && is(issuer, &leaf.issuer)
        && (cipher.is_empty() || *cipher == server.session.cipher)
}

/// Words in the names of accounts whose clients come from time to time. A guess, and told as one.
const MONITORS: [&str; 11] = [
    "exporter", "monitor", "proxysql", "zabbix", "nagios", "icinga", "pmm", "datadog", "telegraf",
    "maxscale", "haproxy",
];

fn absent(accounts: &Accounts, proposed: &Proposed, sessions: &[OtherSession]) -> Vec<String> {
    let here: std::collections::HashSet<&str> =
        sessions.iter().map(|session| session.user.as_str()).collect();
    let concerned = |account: &&Account| {
        if account.locked || here.contains(account.name.user.as_str()) {
            return false;
        }
        if proposed.secure_transport {
            return account.is_for_the_network() && account.require == Require::None;
        }
        let then = proposed.require.get(&account.name);
        then.is_some_and(|then| **then != Require::None && **then != account.require)
    };
    let mut out: Vec<String> = accounts
        .all()
        .filter(concerned)
        .filter_map(|account| {
            let user = account.name.user.to_ascii_lowercase();
            let name = &account.name;
            if MONITORS.iter().any(|word| user.contains(word)) {
                return Some(format!(
                    "{name} has no session now; by its name a monitor or proxy comes in with it from time to time"
                ));
            }
            // an administrator holds every privilege, a replica's account this one
            let replicates = account.more.may_replicate && user != "root";
            replicates.then(|| {
                format!("{name} has no session now, and may replicate: a replica that is away comes in with it")
            })
        })
        .collect();
    out.sort();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Source;
    use crate::rules::testing;

    fn session(id: u64, user: &str, host: &str, kind: &str) -> OtherSession {
        OtherSession {
            id,
            user: user.into(),
            host: host.into(),
            connection_type: kind.into(),
            command: "Sleep".into(),
            over: None,
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
