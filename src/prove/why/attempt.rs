//! The one login that is tried, as the client would make it, with an ear at the server's log.

use super::{Attempt, Ended};
use crate::facts::session::trust;
use crate::facts::{AccountName, Facts, Target};
use crate::printable::printable;
use crate::prove::NOBODY;
use crate::prove::budget::{Booked, Budget};
use crate::prove::log::{Line, Mismatch};
use crate::prove::witness::Witness;
use crate::secret::Secret;
use crate::wire::{self, ClientIdentity, Endpoint, Limits, Login, Outcome, Tls, Trace, WireError};
use crate::x509::Certificate;

/// Who is to log in, and with what.
#[derive(Clone, Debug)]
pub struct Who<'a> {
    pub user: String,
    /// The account that is meant, where its host is known.
    pub account: Option<AccountName>,
    pub password: Option<&'a Secret>,
    pub tls: bool,
    /// The certificate with its key.
    pub identity: Option<ClientIdentity>,
    /// A certificate without its key.
    pub looked_at: Vec<Certificate>,
}

/// Logs in once, and says how it ended. A certificate without its key is shown to nobody.
pub fn try_login(
    facts: &Facts,
    who: &Who<'_>,
    endpoint: &Endpoint,
    witness: &mut Witness,
) -> Result<Attempt, String> {
    let shown = match &who.identity {
        Some(identity) => {
            identity.chain.iter().map(|x509| Certificate::from_openssl(x509)).collect()
        }
        None => who.looked_at.clone(),
    };
    let without_key = who.identity.is_none() && !who.looked_at.is_empty();
    let mut attempt = Attempt {
        user: who.user.clone(),
        account: who.account.clone(),
        tls: who.tls,
        shown,
        without_key,
        password_given: who.password.is_some(),
        ended: Ended::NotTried,
        from: None,
        password_fits: false,
        cipher: None,
        mismatch: None,
        lines: Vec::new(),
        heard_in: witness.place(),
        unheard: witness.why_not().map(str::to_owned),
        would_hear: witness.would_hear(),
        connect_errors: None,
    };
    if without_key {
        return Ok(attempt);
    }
    let trust = trust(&facts.target, facts.files.read())?;
    let nothing = Secret::default();
    let tls = Tls {
        identity: who.identity.as_ref(),
        check_host: trust.is_public(),
        old_tls: facts.is_yassl(),
        ..Tls::new(&trust)
    };
    // An empty password counts as a wrong one, and some accounts lock themselves after a few: without
    // a password nobody logs in as the account.
    let as_nobody = who.password.is_none();
    let login = Login {
        user: if as_nobody { NOBODY } else { &who.user },
        password: who.password.unwrap_or(&nothing),
        tls: who.tls.then_some(tls),
    };
    // a login without a certificate comes to its end, and costs nothing
    let counts = who.identity.is_some() && who.tls;
    let budget = Budget::of(facts.server.read());
    let booked = if counts { budget.take(endpoint) } else { Ok(Booked::default()) };
    let booked = match booked {
        Ok(booked) => booked,
        Err(advice) => {
            let why = "no login was tried, since it could get this host shut out".to_owned();
            attempt.ended = Ended::Failed { why, advice };
            return Ok(attempt);
        }
    };
    let mut trace = Trace::default();
    witness.begin();
    let outcome = wire::traced_login(endpoint, &login, Limits::default(), &mut trace);
    let refused_late = matches!(outcome, Ok(Outcome::HandshakeRefused { .. }));
    let lines = if matches!(outcome, Ok(Outcome::LetIn { .. })) {
        Vec::new()
    } else {
        witness.heard(&trace, refused_late)
    };
    attempt.mismatch = lines.iter().find_map(|line| mismatch(facts, who, &line.text));
    attempt.lines = lines.iter().map(Line::message).collect();
    attempt.password_fits = trace.password_fits || attempt.mismatch.is_some();
    attempt.cipher = trace.cipher.take();
    let asked_for_plugin =
        matches!(outcome, Err(WireError::Plugin { .. } | WireError::PasswordKept { .. }));
    attempt.ended = match outcome {
        Ok(Outcome::LetIn { account, .. }) => Ended::LetIn { account },
        Ok(Outcome::Refused { code, message }) => Ended::Refused { code, message },
        Ok(Outcome::HandshakeRefused { reason }) => Ended::HandshakeRefused { alert: reason },
        Err(WireError::Server { code, message, .. } | WireError::Query { code, message, .. }) => {
            Ended::Refused { code, message }
        }
        Err(WireError::NoTls { .. }) => Ended::NoTls,
        Err(error) => Ended::Failed { why: error.why(), advice: error.advice() },
    };
    if let Ended::Refused { message, .. } = &attempt.ended {
        attempt.from = host(message, login.user);
    }
    let local = trace.from.or(endpoint.bind).map(|ip| ip.to_string());
    if matches!(attempt.ended, Ended::Refused { .. } | Ended::LetIn { .. }) {
        attempt.from = attempt.from.or(local);
    }
    attempt.connect_errors = settle(&attempt.ended, booked, endpoint, &trace, witness);
    let account_decided = match &attempt.ended {
        Ended::LetIn { .. } => true,
        // what it asked for then is nobody's plugin
        Ended::Failed { .. } => asked_for_plugin,
        Ended::Refused { code, .. } => matches!(code, 1045 | 1698 | 1862 | 1820),
        _ => false,
    };
    if as_nobody && account_decided {
        attempt.ended = Ended::NotTried;
        attempt.lines.clear();
    }
    Ok(attempt)
}

/// Sets back what the server counts where it can be; else says how much that is.
fn settle(
    ended: &Ended,
    booked: Booked,
    endpoint: &Endpoint,
    trace: &Trace,
    witness: &mut Witness,
) -> Option<u64> {
    let given_up = matches!(ended, Ended::HandshakeRefused { .. });
    let set_back = given_up && witness.set_back(endpoint, trace.from);
    match ended {
        _ if set_back => booked.set_back(),
        Ended::LetIn { .. } => booked.set_back(),
        Ended::HandshakeRefused { .. } | Ended::Failed { .. } => {
            booked.used(trace.connections.len());
        }
        _ => booked.used(0),
    }
    let asked = given_up && !set_back;
    trace.from.filter(|_| asked).and_then(|from| witness.connect_errors(from)).filter(|n| *n > 0)
}

/// A name may hold the words that stand between two names: what the accounts are known to ask for
/// tells where the first ends.
fn mismatch(facts: &Facts, who: &Who<'_>, line: &[u8]) -> Option<Mismatch> {
    let accounts = facts.server.read().and_then(|server| server.accounts.read());
    let own = accounts
        .into_iter()
        .flatten()
        .filter(|account| account.name.user == who.user || account.name.user.is_empty());
    let read = own.filter_map(|account| {
        let read = Mismatch::read(line, Some(&account.require))?;
        (read.account_says == read.part.of(&account.require)).then_some(read)
    });
    read.max_by_key(|read| read.account_says.len()).or_else(|| Mismatch::read(line, None))
}

/// `… for user 'app'@'10.0.3.7' …`, `Host '10.0.3.7' is not allowed …`: as the server names it.
pub fn host(message: &str, user: &str) -> Option<String> {
    let after = [format!("'{}'@'", printable(user)), "Host '".to_owned()];
    let rest = after.iter().find_map(|start| Some(message.split_once(start.as_str())?.1))?;
    Some(rest.split('\'').next()?.to_owned()).filter(|host| !host.is_empty())
}

/// Where its client connects to: over the network, as every client that needs TLS.
pub fn endpoint(facts: &Facts) -> Endpoint {
    if let Some(wire) = facts.wire.read() {
        return Endpoint::new(wire.host.clone(), wire.port);
    }
    let target = &facts.target;
    let host = target.host.clone().filter(|_| target.is_tcp());
    let running = facts.server.read().and_then(|server| server.variable("port")?.parse().ok());
    let port = target.port.or(running).unwrap_or(Target::DEFAULT_PORT);
    Endpoint::new(host.unwrap_or_else(|| "127.0.0.1".to_owned()), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_says_from_where_it_was() {
        let host = |message: &str| host(message, "app");
        let denied = "Access denied for user 'app'@'10.0.3.7' (using password: YES)";
        assert_eq!(host(denied).as_deref(), Some("10.0.3.7"));
        let unknown = "Host 'db9.example' is not allowed to connect to this MariaDB server";
        assert_eq!(host(unknown).as_deref(), Some("db9.example"));
        assert_eq!(host("Account is locked."), None);
    }
}
