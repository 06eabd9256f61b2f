//! How the sessions of now come in, account by account.

use std::collections::{BTreeMap, HashMap};

use super::lockout::Accounts;
use crate::facts::{AccountName, Carrier, ServerFacts};

/// How many sessions of each account come in how; nothing of those without any.
#[derive(Clone, Debug, Default)]
pub struct Arrivals(HashMap<AccountName, BTreeMap<Carrier, usize>>);

impl Arrivals {
    pub fn of(server: &ServerFacts) -> Self {
        let accounts = Accounts::of(server);
        let all = server.sessions.read().map_or(server.processes.as_slice(), Vec::as_slice);
        let mut counts: HashMap<AccountName, BTreeMap<Carrier, usize>> = HashMap::new();
        for session in all {
            if let Some(account) = accounts.answering(session).first() {
                let counts = counts.entry(account.name.clone()).or_default();
                *counts.entry(session.carrier()).or_default() += 1;
            }
        }
        Self(counts)
    }

    pub fn by(&self, name: &AccountName) -> Option<&BTreeMap<Carrier, usize>> {
        self.0.get(name)
    }

    /// How many of an account's sessions come in like this.
    pub fn count(&self, name: &AccountName, carrier: Carrier) -> usize {
        self.by(name).and_then(|counts| counts.get(&carrier)).copied().unwrap_or(0)
    }

    /// Short, for a column: `3 TLS, 1 no TLS`; empty where there is no session.
    pub fn words(&self, name: &AccountName) -> String {
        let parts = self.by(name).into_iter().flatten().map(|(carrier, count)| {
            let how = match carrier {
                Carrier::Tls => "TLS",
                Carrier::Tcp => "no TLS",
                Carrier::Local => "socket",
                Carrier::Unknown => "?",
            };
            format!("{count} {how}")
        });
        parts.collect::<Vec<_>>().join(", ")
    }
}
