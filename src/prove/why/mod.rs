//! Why an account cannot log in: what was tried and what is known, led back to the reason.
//!
//! [`try_login`] makes the one login and listens to the server's log; [`examine`] is pure.
//!
//! A server decides in this order, and both families answer 1045 for steps 3 to 5
//! (`acl_authenticate` in `sql/auth/sql_authentication.cc`, MariaDB `sql/sql_acl.cc`): 1. whether
//! it has room for this host; 2. TLS, and the certificate in the handshake; 3. which account answers;
//! 4. its password; 5. its REQUIRE; 6. its lock; 7. `require_secure_transport` (some MariaDB: before
//! 3); 8. whether its password has expired; 9. its limits.

use serde::Serialize;

use super::log::Mismatch;
use super::meaning::Shown;
use super::subject::proxy_note;
use crate::facts::{Account, AccountName, ActsAs, Facts, Flavor};
use crate::printable::printable;
use crate::remedy::Remedy;
use crate::x509::Certificate;

mod account;
pub mod answering;
mod attempt;
mod certificate;
mod cure;
mod decide;
mod open;
mod show;
#[cfg(test)]
mod tests;
mod unmet;

pub(super) use attempt::host;
pub use attempt::{Who, endpoint, try_login};

#[allow(clippy::struct_excessive_bools, reason = "each is one thing that was or was not so")]
/// A login that was tried, and what came of it. Texts are printable but for names that servers
/// compare.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attempt {
    pub user: String,
    /// The account that is meant, where its host was named.
    pub account: Option<AccountName>,
    pub tls: bool,
    /// What was shown, leaf first; empty without a certificate.
    pub shown: Vec<Certificate>,
    /// A certificate without its key, which can only be looked at: no login was tried with it.
    pub without_key: bool,
    pub password_given: bool,
    pub ended: Ended,
    /// The client's host as the server names it in its refusal.
    pub from: Option<String>,
    /// The server let out that the password is right.
    pub password_fits: bool,
    /// The cipher suite, where the connection came that far.
    pub cipher: Option<String>,
    pub mismatch: Option<Mismatch>,
    /// The server's own lines.
    pub lines: Vec<String>,
    /// Where they were read.
    pub heard_in: Option<String>,
    /// Why they were not, or not all.
    pub unheard: Option<String>,
    /// A name that did not fit would have been heard.
    pub would_hear: bool,
    /// What the server has counted towards `max_connect_errors` for this address, where it could
    /// not be set back.
    pub connect_errors: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    LetIn {
        account: String,
    },
    /// By an error packet, before or after the greeting.
    Refused {
        code: u16,
        message: String,
    },
    HandshakeRefused {
        alert: String,
    },
    /// TLS was wanted, and the server has none.
    NoTls,
    /// It was not possible to find out.
    Failed {
        why: String,
        advice: String,
    },
    #[default]
    NotTried,
}

/// What keeps an account out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    HostBlocked,
    ServerFull,
    TlsOff,
    CertificateUntrusted,
    ChainIncomplete,
    CertificatePurpose,
    CertificateRevoked,
    CrlExpired,
    CrlMissing,
    CertificateExpired,
    CertificateNotYetValid,
    HostPattern,
    NoSuchAccount,
    Role,
    OtherAccount,
    AnonymousAccount,
    Plugin,
    Password,
    TlsNotUsed,
    CertificateMissing,
    Cipher,
    Issuer,
    Subject,
    Locked,
    LockedByFailures,
    TransportEnforced,
    PasswordExpired,
    ConnectionLimit,
}

/// One thing that keeps the account out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cause {
    pub kind: Kind,
    /// In a sentence, printable.
    pub what: String,
    /// What shows it: pairs of label and value, printable.
    pub evidence: Vec<(String, String)>,
    /// The two strings, one below the other, where the first difference is the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<super::Difference>,
    pub remedies: Vec<Remedy>,
    /// What to do where nothing can be run for it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Cause {
    fn new(kind: Kind, what: impl Into<String>) -> Self {
        let what = what.into();
        let (evidence, remedies) = (Vec::new(), Vec::new());
        Self { kind, what, evidence, difference: None, remedies, advice: String::new() }
    }

    fn saw(mut self, label: &str, value: impl AsRef<str>) -> Self {
        self.evidence.push((label.to_owned(), printable(value.as_ref()).into_owned()));
        self
    }

    fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    fn cured(mut self, remedies: impl IntoIterator<Item = Remedy>) -> Self {
        self.remedies.extend(remedies);
        self
    }
}

/// Why an account was denied.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Denial {
    /// `app@10.0.%`, the account that answers; the user where that is not known.
    pub account: String,
    /// What the server said.
    pub answer: String,
    /// Whether it was let in after all.
    pub let_in: bool,
    /// The first is the reason; others would keep it out, too, once that one is mended.
    pub causes: Vec<Cause>,
    /// Whose rights and whose REQUIRE a login of it has, where those are another account's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What would tell more.
    pub open: Vec<String>,
    /// The server's own lines, and where they were read.
    pub log: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_in: Option<String>,
}

/// What the server has against this chain before any account is looked at, in sentences: empty also
/// where its files are not known.
pub fn against(facts: &Facts, shown: &[Certificate]) -> Vec<String> {
    let attempt = Attempt { shown: shown.to_vec(), ..Attempt::default() };
    certificate::faults(facts, &attempt).into_iter().map(|cause| cause.what).collect()
}

/// Leads a login back to what kept it out. `facts` are those of an administrator where there is one;
/// what is missing in them is said in [`Denial::open`].
pub fn examine(facts: &Facts, attempt: &Attempt) -> Denial {
    let accounts = facts.server.read().and_then(|server| server.accounts.read());
    let from = attempt.from.as_deref();
    let server = facts.server.read().filter(|_| accounts.is_some());
    let answering = server.map(|server| answering::candidates(server, &attempt.user, from));
    let answers = answering.as_ref().and_then(|candidates| candidates.first().copied());
    let case = Case { facts, attempt, accounts: accounts.map(Vec::as_slice), answering, answers };
    let mut causes = case.causes();
    if causes.is_empty() && !matches!(attempt.ended, Ended::LetIn { .. }) {
        // what can be said without a login, or of a login of which the server says nothing
        causes = certificate::faults(facts, attempt);
    }
    let let_in = matches!(attempt.ended, Ended::LetIn { .. }) && causes.is_empty();
    let account = match answers {
        Some(account) => account.name.to_string(),
        None => attempt
            .account
            .as_ref()
            .map_or_else(|| printable(&attempt.user).into_owned(), ToString::to_string),
    };
    Denial {
        account,
        answer: attempt.answer(),
        let_in,
        notes: case.notes(&causes),
        open: case.open(&causes),
        causes,
        log: attempt.lines.clone(),
        heard_in: attempt.heard_in.clone(),
    }
}

impl Attempt {
    /// In the server's words.
    pub fn answer(&self) -> String {
        match &self.ended {
            Ended::LetIn { account } => format!("let in, as {account}"),
            Ended::Refused { code, message } => format!("error {code}: {message}"),
            Ended::HandshakeRefused { alert } => format!("refused in the handshake: {alert}"),
            Ended::NoTls => "the server offers no TLS".to_owned(),
            Ended::Failed { why, .. } => why.clone(),
            Ended::NotTried => "no login was tried".to_owned(),
        }
    }

    fn shown(&self) -> Shown {
        match (self.tls, self.shown.is_empty()) {
            (false, _) => Shown::Nothing,
            (true, true) => Shown::Tls,
            (true, false) => Shown::Certificate,
        }
    }
}

struct Case<'a> {
    facts: &'a Facts,
    attempt: &'a Attempt,
    accounts: Option<&'a [Account]>,
    /// Those that may answer, the first does; `None` where the accounts are not known.
    answering: Option<Vec<&'a Account>>,
    answers: Option<&'a Account>,
}

impl Case<'_> {
    fn notes(&self, causes: &[Cause]) -> Vec<String> {
        let account = self.answers.or_else(|| self.only_one());
        let note = self
            .facts
            .server
            .read()
            .zip(account)
            .and_then(|(server, account)| proxy_note(&account.name, &server.acts_as(account)));
        let fits = account.filter(|_| self.attempt.ended == Ended::NotTried && causes.is_empty());
        let fits = fits.map(|account| {
            format!(
                "as far as it can be read nothing keeps {} out: its host fits, it is not locked, and what it \
                 REQUIREs ({}) is what was shown",
                account.name,
                self.counts(account).require.describe()
            )
        });
        note.into_iter().chain(fits).collect()
    }

    /// The account whose REQUIRE counts when this one answers.
    fn counts<'b>(&'b self, account: &'b Account) -> &'b Account {
        match self.facts.server.read().map(|server| server.acts_as(account)) {
            Some(ActsAs::Other(proxied)) => proxied,
            _ => account,
        }
    }

    fn admits(&self, account: &AccountName) -> bool {
        let from = self.attempt.from.as_deref();
        self.facts.server.read().is_none_or(|server| answering::admits(server, account, from))
    }

    fn flavor(&self) -> Option<Flavor> {
        let server = self.facts.server.read().map(|server| server.flavor);
        server.or_else(|| self.facts.wire.read().map(|wire| wire.greeting.flavor))
    }
}
