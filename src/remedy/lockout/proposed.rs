//! What is proposed, held against one session or account.

use std::collections::HashMap;

use super::{Accounts, Outcome, Proposal};
use crate::facts::{
    Account, AccountName, ActsAs, Carrier, Flavor, OtherSession, Require, ServerFacts,
};
use crate::printable::printable;

pub(super) struct Proposed<'a> {
    pub require: HashMap<&'a AccountName, &'a Require>,
    pub secure_transport: bool,
}

impl<'a> Proposed<'a> {
    pub fn of(proposal: Proposal<'a>) -> Self {
        match proposal {
            Proposal::Require(list) => Self {
                require: list.iter().map(|(name, require)| (name, require)).collect(),
                secure_transport: false,
            },
            Proposal::SecureTransport => Self { require: HashMap::new(), secure_transport: true },
        }
    }

    pub fn session<'b>(
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
    pub fn traps(&self, server: &ServerFacts, accounts: &Accounts) -> Vec<String> {
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
        let mapped = self.require.keys().filter_map(|name| {
            let account = accounts.find(name)?;
            match server.acts_as(account) {
                ActsAs::Other(other) => Some(format!("{name} acts as {}", other.name)),
                _ => None,
            }
        });
        let mut mapped: Vec<String> = mapped.collect();
        if !mapped.is_empty() {
            mapped.sort();
            notes.push(format!(
                "{} (PROXY, check_proxy_users): of such a login the server looks at the REQUIRE of the \
                 account that it acts as, so that a REQUIRE of its own keeps nobody out",
                mapped.join(", ")
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
pub(super) fn fulfils(then: &Require, now: &Require, carrier: Carrier) -> Outcome {
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
