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

use super::log::{Mismatch, Part};
use super::meaning::{Blame, Heard, Shown, whom};
use crate::facts::{Account, AccountName, Facts, Flavor, Require};
use crate::printable::printable;
use crate::remedy::Remedy;
use crate::remedy::statement::Dialect;
use crate::x509::Certificate;

mod account;
pub mod answering;
mod attempt;
mod certificate;
mod cure;
mod show;
#[cfg(test)]
mod tests;

pub(super) use attempt::host;
pub use attempt::{Who, endpoint, try_login};

#[allow(clippy::struct_excessive_bools, reason = "each is one thing that was or was not so")]
/// A login that was tried, and what came of it. Texts are printable but for names that servers
/// compare.
#[derive(Clone, Debug, PartialEq)]
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

#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// What would tell more.
    pub open: Vec<String>,
    /// The server's own lines, and where they were read.
    pub log: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_in: Option<String>,
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
    fn causes(&self) -> Vec<Cause> {
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

    fn refused(&self, code: u16, message: &str) -> Vec<Cause> {
        let one = |cause: Cause| vec![cause.saw("the server", message)];
        match code {
            1129 => one(self.blocked()),
            1040 => one(self.full()),
            1130 => one(self.host_pattern()),
            1226 | 1203 => one(self.limit(code, message)),
            3118 | 4151 => {
                let unmet = self.answers.map_or_else(Vec::new, |account| self.unmet(account));
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
    fn and_later(&self, mut causes: Vec<Cause>) -> Vec<Cause> {
        const OTHERS: [Kind; 4] =
            [Kind::HostPattern, Kind::NoSuchAccount, Kind::OtherAccount, Kind::AnonymousAccount];
        let Some(account) = self.answers else { return causes };
        if causes.is_empty() || causes.iter().any(|cause| OTHERS.contains(&cause.kind)) {
            return causes;
        }
        if account.locked && causes.iter().all(|cause| cause.kind != Kind::Locked) {
            causes.push(self.locked(Kind::Locked));
        }
        if account.more.password_expired {
            causes.push(self.password_expired());
        }
        causes
    }

    /// Error 1045, behind which is the account that answers, its password or its REQUIRE.
    fn access_denied(&self, code: u16, message: &str) -> Vec<Cause> {
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
                Some(_) if !answering::admits(meant, attempt.from.as_deref()) => {
                    self.host_pattern()
                }
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
        if !attempt.tls && enforced && account.require == Require::None {
            return vec![Self::transport()]; // MariaDB 10.11 says 1045 where 11.8 says 3159
        }
        let unmet = self.unmet(account);
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
        let blame = whom(attempt.shown(), &account.require, heard);
        if would_be_logged && blame == Blame::Password {
            causes.insert(0, self.password(account, candidates));
        }
        causes
    }

    /// What the account asks for and was not there, in the server's order.
    fn unmet(&self, account: &Account) -> Vec<Cause> {
        let (attempt, require) = (self.attempt, &account.require);
        let mariadb = self.flavor() == Some(Flavor::MariaDb);
        let shown = attempt.shown();
        let names_nothing = |subject: &str, issuer: &str| subject.is_empty() && issuer.is_empty();
        let needs_certificate = match require {
            Require::None | Require::Ssl => false,
            Require::X509 => true,
            Require::Specified { subject, issuer, .. } => {
                !(mariadb && names_nothing(subject, issuer))
            }
        };
        if *require != Require::None && shown == Shown::Nothing {
            return vec![Self::tls_not_used(account)];
        }
        if needs_certificate && shown != Shown::Certificate {
            // the server looks at the cipher first
            let cipher = self.part(account, Part::Cipher);
            return cipher.into_iter().chain([self.certificate_missing(account)]).collect();
        }
        let Require::Specified { subject, issuer, cipher } = require else { return Vec::new() };
        if names_nothing(subject, issuer) && cipher.is_empty() && !mariadb {
            let what = format!("{} asks for an empty name, which no certificate has", account.name);
            return vec![Cause::new(Kind::Subject, what).cured(cure::require(self, account, None))];
        }
        [Part::Cipher, Part::Issuer, Part::Subject]
            .into_iter()
            .filter_map(|part| self.part(account, part))
            .collect()
    }

    /// One part of REQUIRE that does not fit, by the server's own word or by what was shown.
    fn part(&self, account: &Account, part: Part) -> Option<Cause> {
        let asked = part.of(&account.require);
        if asked.is_empty() {
            return None;
        }
        let told = self.attempt.mismatch.as_ref().filter(|mismatch| mismatch.part == part);
        let (saw, whose) = match told {
            Some(mismatch) => (mismatch.server_saw.clone(), "the server saw"),
            None if part == Part::Cipher => (self.expected(part)?, "the connection has"),
            None => (self.expected(part)?, "the certificate says"),
        };
        if saw == asked {
            return None;
        }
        let kind = match part {
            Part::Cipher => Kind::Cipher,
            Part::Issuer => Kind::Issuer,
            Part::Subject => Kind::Subject,
        };
        let word = part.word();
        let what = match part {
            Part::Cipher => {
                format!("the connection uses another cipher than {} asks for", account.name)
            }
            _ => format!(
                "the {} that {} asks for is not that of this certificate",
                word, account.name
            ),
        };
        let mut cause = Cause::new(kind, what).saw(whose, &saw).saw("the account says", asked);
        cause.difference = super::difference(asked.as_bytes(), saw.as_bytes());
        let guessed = told.is_none() && part != Part::Cipher;
        if guessed && self.facts.server.read().is_some_and(|s| !Dialect::of(s).names_known) {
            cause = cause.advise(
                "the server did not say what it saw, and how its TLS library writes names is a guess",
            );
        }
        let cure = cure::require(self, account, told);
        Some(cause.cured(cure.map(|cure| match part {
            Part::Cipher => Remedy { title: "ask the account for this cipher".to_owned(), ..cure },
            Part::Issuer | Part::Subject => cure,
        })))
    }

    /// What a server of this kind makes of what was shown.
    fn expected(&self, part: Part) -> Option<String> {
        let leaf = self.attempt.shown.first();
        let names = Dialect::of(self.facts.server.read()?).names;
        match part {
            Part::Cipher => self.attempt.cipher.clone(),
            Part::Issuer => leaf.map(|leaf| leaf.issuer.oneline(names)),
            Part::Subject => leaf.map(|leaf| leaf.subject.oneline(names)),
        }
    }

    /// Without a login: the certificate, and what the account says of it.
    fn looked_at(&self) -> Vec<Cause> {
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
            causes.extend(self.unmet(account));
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
    fn only_one(&self) -> Option<&Account> {
        let meant = |account: &&Account| match &self.attempt.account {
            Some(meant) => account.name == *meant,
            None => account.name.user == self.attempt.user,
        };
        let mut all = self.accounts?.iter().filter(meant);
        all.next().filter(|_| all.next().is_none())
    }

    /// 1045, and nobody who may look at the accounts.
    fn unseen(&self, message: &str) -> Vec<Cause> {
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

    fn let_in_as(&self, current_user: &str) -> Option<Cause> {
        let meant = self.attempt.account.as_ref();
        let is_anonymous = current_user.starts_with('@') && !self.attempt.user.is_empty();
        let other = meant.is_some_and(|meant| !super::is_account(current_user, meant));
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

    fn open(&self, causes: &[Cause]) -> Vec<String> {
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
        let hides = |kind| matches!(kind, Kind::TlsNotUsed | Kind::CertificateMissing);
        if is_1045 && causes.iter().any(|cause| hides(cause.kind)) && !attempt.password_fits {
            open.push(
                "whether the password is right shows once what is missing is there".to_owned(),
            );
        }
        if !attempt.password_given && !attempt.without_key && attempt.ended == Ended::NotTried {
            open.push(
                "no password was given, so the certificate was shown to the server and nobody logged in \
                 as the account: an empty password would count as a wrong one, and may lock it \
                 (MYTLS_ACCOUNT_PASSWORD, --account-file)"
                    .to_owned(),
            );
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

    fn flavor(&self) -> Option<Flavor> {
        let server = self.facts.server.read().map(|server| server.flavor);
        server.or_else(|| self.facts.wire.read().map(|wire| wire.greeting.flavor))
    }
}
