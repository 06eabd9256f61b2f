//! What is not known about a denial, and what would tell more.

use super::{Case, Cause, Ended, Kind};

impl Case<'_> {
    pub(super) fn open(&self, causes: &[Cause]) -> Vec<String> {
        let attempt = self.attempt;
        let mut open = Vec::new();
        if let Ended::Failed { advice, .. } = &attempt.ended {
            open.push(advice.clone());
        }
        if self.accounts.is_none() {
            let why = self.facts.server.reason().map_or_else(
                || "the accounts could not be read".to_owned(),
                |unread| unread.why.clone(),
            );
            open.push(format!(
                "as an administrator (-u, --defaults-file) the account's REQUIRE, its hosts and the log would be looked at: {why}"
            ));
        }
        let all = self.answering.as_deref().unwrap_or_default();
        let first = self.facts.server.read().map(|server| server.first(all)).unwrap_or_default();
        if let [reckoned, others @ ..] = first.as_slice()
            && !others.is_empty()
            && !matches!(attempt.ended, Ended::LetIn { .. })
        {
            let others: Vec<String> = others.iter().map(|other| other.name.to_string()).collect();
            open.push(format!(
                "which of {} and {} answers here is not known of a server of this version: reckoned with is \
                 {}; SELECT CURRENT_USER() after a login that works says it",
                reckoned.name,
                others.join(", "),
                all[0].name
            ));
        }
        if attempt.without_key {
            open.push(
                "the certificate was only looked at: its key (--key) lets a login be tried"
                    .to_owned(),
            );
        }
        let is_1045 = matches!(attempt.ended, Ended::Refused { code: 1045, .. });
        if is_1045 && !attempt.would_hear {
            let why = attempt.unheard.clone().unwrap_or_default();
            open.push(format!("the server's own reason was not heard: {why}"));
        }
        if is_1045 && causes.is_empty() {
            open.push(
                "error 1045 is a wrong password, or an account that asks for more than was shown (TLS, a \
                 certificate, its names), or no account for this host: the server does not say which"
                    .to_owned(),
            );
        }
        let by_socket = self.facts.target.socket.is_some() && !self.facts.target.is_tcp();
        if by_socket && attempt.ended != Ended::NotTried {
            open.push(
                "the login was tried over TCP: how the account fares over the socket was not"
                    .to_owned(),
            );
        }
        let hides = |kind| matches!(kind, Kind::TlsNotUsed | Kind::CertificateMissing);
        if is_1045 && causes.iter().any(|cause| hides(cause.kind)) && !attempt.password_fits {
            open.push(
                "whether the password is right shows once what is missing is there".to_owned(),
            );
        }
        if !attempt.password_given && !attempt.without_key && attempt.ended == Ended::NotTried {
            let shown = if attempt.shown.is_empty() {
                "nobody logged in"
            } else {
                "the certificate was shown to the server and nobody logged in"
            };
            open.push(format!(
                "no password was given, so {shown} as the account: an empty password would count as a \
                 wrong one, and may lock it (MYTLS_ACCOUNT_PASSWORD, --account-file)"
            ));
        }
        if let Some(count) = attempt.connect_errors {
            let most = self.facts.server.read().and_then(|s| s.variable("max_connect_errors"));
            open.push(format!(
                "the server now counts {count} connections from here that ended before a login, and shuts \
                 this host out at {} (max_connect_errors); a login that succeeds sets that back",
                most.unwrap_or("its limit")
            ));
        }
        open
    }
}
