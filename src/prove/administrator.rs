//! An administrator's login that sets back what a server counts.

use std::net::IpAddr;

use crate::facts::session::trust;
use crate::facts::{AccountName, Facts, has_length};
use crate::secret::Secret;
use crate::wire::{self, Endpoint, Limits, Login, Outcome, Tls, Trace, Trust};

/// Who may log in for the sake of the server's counts.
pub(super) struct Administrator {
    user: String,
    password: Secret,
    trust: Trust,
    old_tls: bool,
    /// The account that answers this login, and all of the same user, in the server's order: from
    /// elsewhere another may answer, which has another password.
    own: String,
    accounts: Vec<AccountName>,
}

impl Administrator {
    pub fn of(facts: &Facts) -> Option<Self> {
        let target = &facts.target;
        let server = facts.server.read()?;
        let user = target.user.clone()?;
        let known = server.accounts.read()?.iter().map(|account| &account.name);
        let mut accounts: Vec<AccountName> = known
            .filter(|name| name.user == user || name.user.is_empty())
            // one that no host has is no account of any
            .filter(|name| server.knows_lengths() || !has_length(&name.host))
            .cloned()
            .collect();
        accounts.sort_by_key(|name| std::cmp::Reverse(server.rank(name)));
        Some(Self {
            own: server.current_user.clone(),
            accounts,
            user,
            password: target.password.clone()?,
            trust: trust(target, facts.files.read()).ok()?,
            old_tls: facts.is_yassl(),
        })
    }

    pub fn log_in(&self, endpoint: &Endpoint, from: IpAddr) -> bool {
        let from = from.to_string();
        let answers = self.accounts.iter().find(|name| name.admits(&from));
        if answers.is_none_or(|name| name.to_string() != self.own) {
            return false;
        }
        let tls = Tls {
            check_host: self.trust.is_public(),
            old_tls: self.old_tls,
            ..Tls::new(&self.trust)
        };
        let login = Login { user: &self.user, password: &self.password, tls: Some(tls) };
        let outcome =
            wire::traced_login(endpoint, &login, Limits::default(), &mut Trace::default());
        matches!(outcome, Ok(Outcome::LetIn { .. }))
    }
}
