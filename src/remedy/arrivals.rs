//! How the sessions of now come in, account by account.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::lockout::rank;
use crate::facts::{AccountName, Carrier, ServerFacts};

/// How many sessions of each account come in how; nothing of those without any.
#[derive(Clone, Debug, Default)]
pub struct Arrivals(HashMap<AccountName, BTreeMap<Carrier, usize>>);

impl Arrivals {
    pub fn of(server: &ServerFacts) -> Self {
        let all = server.sessions.read().map_or(server.processes.as_slice(), Vec::as_slice);
        let here: HashSet<&str> = all.iter().map(|session| session.user.as_str()).collect();
        let mut by_user: HashMap<&str, Vec<&AccountName>> = HashMap::new();
        for account in server.accounts.read().into_iter().flatten() {
            if here.contains(account.name.user.as_str()) {
                by_user.entry(&account.name.user).or_default().push(&account.name);
            }
        }
        let mut counts: HashMap<AccountName, BTreeMap<Carrier, usize>> = HashMap::new();
        for session in all {
            // as the server does: where several fit, the most precise host answers
            let fitting = by_user.get(session.user.as_str()).into_iter().flatten();
            let fitting = fitting.filter(|name| session.is_of(name));
            if let Some(name) = fitting.max_by_key(|name| rank(name)) {
                let counts = counts.entry((*name).clone()).or_default();
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
