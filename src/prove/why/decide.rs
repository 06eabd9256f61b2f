//! From what the server answered to what keeps the login out, in the server's own order.

use super::{Account, Case, Cause, Ended, Kind, certificate, cure};
use crate::facts::{AccountName, Require};
use crate::printable::printable;
use crate::prove::is_account;
use crate::prove::log::Part;
use crate::prove::meaning::{Blame, Heard, Shown, whom};

impl Case<'_> {
    pub(super) fn causes(&self) -> Vec<Cause> {
        let attempt = self.attempt;
        match &attempt.ended {
            Ended::LetIn { account } => self.let_in_as(account).into_iter().collect(),
            Ended::NoTls => vec![self.tls_off()],
            Ended::HandshakeRefused { alert } => {
                let faults = certificate::faults(self.facts, attempt);
                if faults.is_empty() {
                    certificate::by_alert(self.facts, attempt, alert).into_iter().collect()
                } else {
                    faults
                }
            }
            Ended::Refused { code, message } => self.refused(*code, message),
            Ended::Failed { .. } => Vec::new(),
            Ended::NotTried => self.looked_at(),
        }
    }

    pub(super) fn refused(&self, code: u16, message: &str) -> Vec<Cause> {
        let one = |cause: Cause| vec![cause.saw("the server", message)];
        match code {
            1129 => one(self.blocked()),
            1040 => one(self.full()),
            1130 => one(self.host_pattern()),
            1226 | 1203 => one(self.limit(code, message)),
            3118 | 4151 => {
                let unmet =
                    self.answers.map_or_else(Vec::new, |account| self.unmet(self.counts(account)));
                self.and_later(one(self.locked(Kind::Locked)).into_iter().chain(unmet).collect())
            }
            3955 | 4150 => one(self.locked(Kind::LockedByFailures)),
            3159 => one(Self::transport()),
            1862 | 1820 => one(self.password_expired()),
            1524 => one(self.plugin("its authentication plugin is not loaded in the server")),
            1045 | 1698 => self.and_later(self.access_denied(code, message)),
            _ => Vec::new(),
        }
    }

    /// What the server would come to next: where the account that answers is the one at fault.
    pub(super) fn and_later(&self, mut causes: Vec<Cause>) -> Vec<Cause> {
        const OTHERS: [Kind; 5] = [
            Kind::HostPattern,
            Kind::NoSuchAccount,
            Kind::Role,
            Kind::OtherAccount,
            Kind::AnonymousAccount,
        ];
        let Some(account) = self.answers else { return causes };
        if causes.is_empty() || causes.iter().any(|cause| OTHERS.contains(&cause.kind)) {
            return causes;
        }
        let said = |cause: &Cause| matches!(cause.kind, Kind::Locked | Kind::Role);
        if account.locked && !causes.iter().any(said) {
            causes.push(self.locked(Kind::Locked));
        }
        if account.more.password_expired {
            causes.push(self.password_expired());
        }
        causes
    }

    /// Error 1045, behind which is the account that answers, its password or its REQUIRE.
    pub(super) fn access_denied(&self, code: u16, message: &str) -> Vec<Cause> {
        let attempt = self.attempt;
        let (Some(accounts), Some(candidates)) = (self.accounts, &self.answering) else {
            return self.unseen(message);
        };
        let Some(account) = self.answers else {
            let known = accounts.iter().any(|account| account.name.user == attempt.user);
            let cause = if known { self.host_pattern() } else { self.no_such_account() };
            return vec![cause.saw("the server", message)];
        };
        if account.name.user.is_empty() && !attempt.user.is_empty() {
            return vec![self.anonymous(account)];
        }
        let meant = attempt.account.as_ref();
        if let Some(meant) = meant.filter(|meant| **meant != account.name) {
            let there = accounts.iter().find(|known| known.name == *meant);
            return vec![match there {
                Some(_) if !self.admits(meant) => self.host_pattern(),
                Some(meant) => self.other_account(account, meant),
                None => self.no_such_account(),
            }];
        }
        let socket = ["unix_socket", "auth_socket"].contains(&account.plugin.as_str());
        if code == 1698 || socket {
            return vec![self.plugin(
                "its plugin looks at the user at the other end of a socket, and this is none",
            )];
        }
        if account.plugin.contains("no_login") {
            return vec![self.plugin("its plugin lets nobody log in: it is there to own things")];
        }
        let server = self.facts.server.read();
        let enforced = server.is_some_and(|server| server.is_on("require_secure_transport"));
        let counts = self.counts(account);
        if !attempt.tls && enforced && counts.require == Require::None {
            return vec![Self::transport()]; // MariaDB 10.11 says 1045 where 11.8 says 3159
        }
        let unmet = self.unmet(counts);
        let heard = Heard {
            mismatch: attempt.mismatch.as_ref(),
            password_fits: attempt.password_fits,
            complete: attempt.would_hear,
        };
        if unmet.is_empty() {
            let factors = &account.more.factors;
            if !factors.is_empty() {
                let what = format!(
                    "it asks for another factor after the password ({}), and mytls logs in with a password alone",
                    printable(&factors.join(", "))
                );
                return vec![
                    Cause::new(Kind::Plugin, what).saw("account", account.name.to_string()),
                ];
            }
            return vec![self.password(account, candidates)];
        }
        // another of this user's accounts would have taken it
        let behind = candidates
            .iter()
            .skip(1)
            .find(|other| other.name.user == account.name.user && self.unmet(other).is_empty());
        if let Some(behind) = behind {
            return vec![self.other_account(account, behind)];
        }
        let mut causes = unmet;
        let would_be_logged = attempt.shown() == Shown::Certificate;
        let blame = whom(attempt.shown(), &counts.require, heard);
        if would_be_logged && blame == Blame::Password {
            causes.insert(0, self.password(account, candidates));
        }
        causes
    }

    /// Without a login: the certificate, and what the account says of it.
    pub(super) fn looked_at(&self) -> Vec<Cause> {
        let mut causes = certificate::faults(self.facts, self.attempt);
        let came = self.attempt.from.is_some() && self.accounts.is_some();
        if came && self.answers.is_none() {
            let known = self.accounts.into_iter().flatten();
            let known = known.into_iter().any(|account| account.name.user == self.attempt.user);
            causes.push(if known { self.host_pattern() } else { self.no_such_account() });
        }
        if let Some(account) = self.answers.or_else(|| self.only_one()) {
            if account.name.user.is_empty() && !self.attempt.user.is_empty() {
                causes.push(self.anonymous(account));
                return causes;
            }
            causes.extend(self.unmet(self.counts(account)));
            if account.locked {
                causes.push(self.locked(Kind::Locked));
            }
            if account.more.password_expired {
                causes.push(self.password_expired());
            }
        }
        causes
    }

    /// The one account of this user, where no host was seen.
    pub(super) fn only_one(&self) -> Option<&Account> {
        let meant = |account: &&Account| match &self.attempt.account {
            Some(meant) => account.name == *meant,
            None => account.name.user == self.attempt.user,
        };
        let mut all = self.accounts?.iter().filter(meant);
        all.next().filter(|_| all.next().is_none())
    }

    /// 1045, and nobody who may look at the accounts.
    pub(super) fn unseen(&self, message: &str) -> Vec<Cause> {
        if let Some(mismatch) = &self.attempt.mismatch {
            let kind = match mismatch.part {
                Part::Cipher => Kind::Cipher,
                Part::Issuer => Kind::Issuer,
                Part::Subject => Kind::Subject,
            };
            let what = format!("the {} that the account asks for is another", mismatch.part.word());
            let mut cause = Cause::new(kind, what)
                .saw("the server saw", &mismatch.server_saw)
                .saw("the account says", &mismatch.account_says)
                .saw("the server", message);
            cause.difference = mismatch.difference();
            return vec![cause];
        }
        Vec::new()
    }

    pub(super) fn let_in_as(&self, current_user: &str) -> Option<Cause> {
        let meant = self.attempt.account.as_ref();
        let is_anonymous = current_user.starts_with('@') && !self.attempt.user.is_empty();
        let is_proxied = self.answers.or_else(|| self.only_one()).is_some_and(|account| {
            let proxies = &account.more.proxies;
            let fits = meant.is_none_or(|meant| *meant == account.name);
            fits && proxies.iter().any(|proxied| is_account(current_user, proxied))
        });
        let other = !is_proxied && meant.is_some_and(|meant| !is_account(current_user, meant));
        if !is_anonymous && !other {
            return None;
        }
        let kind = if is_anonymous { Kind::AnonymousAccount } else { Kind::OtherAccount };
        let there = |meant: &AccountName| self.accounts?.iter().find(|known| known.name == *meant);
        if let Some(missing) =
            meant.filter(|meant| self.accounts.is_some() && there(meant).is_none())
        {
            let what =
                format!("there is no account {missing}: the login is let in as {current_user}");
            return Some(Cause::new(Kind::NoSuchAccount, what));
        }
        let what = format!("another account answers: the login is let in as {current_user}");
        let answers = self.answers.filter(|_| is_anonymous);
        Some(Cause::new(kind, what).cured(answers.and_then(|account| cure::drop(self, account))))
    }
}
