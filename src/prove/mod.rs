//! The login matrix: each promise about an account is tried against the real server, the login
//! that must work and those that must not.

use std::time::Instant;

use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use serde::{Deserialize, Serialize};

use crate::facts::{AccountName, Flavor, Require};
use crate::secret::Secret;
use crate::wire::{self, ClientIdentity, Endpoint, Limits, Login, Outcome, Tls, Trust};

mod expected;
mod forge;
mod log;
pub mod reach;
mod show;

pub use expected::expected;
pub use log::reason_in_log;

/// The one error with which an account's REQUIRE refuses (`ER_ACCESS_DENIED_ERROR`). Others, such as
/// a limit on connections (1226), 1040 or 1129, say nothing about certificates.
const ACCESS_DENIED: u16 = 1045;
/// `require_secure_transport` (`ER_SECURE_TRANSPORT_REQUIRED`).
const INSECURE_TRANSPORT: u16 = 3159;

/// What is to be proven of an account, and with what.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    pub endpoint: Endpoint,
    /// The server's family: it decides whether `REQUIRE CIPHER` alone wants a certificate.
    pub flavor: Flavor,
    pub account: AccountName,
    pub password: &'a Secret,
    pub require: &'a Require,
    /// Whether `require_secure_transport` is on.
    pub transport_enforced: bool,
    /// Under what the server's own certificate has to hold, before anything is sent to it.
    pub trust: Trust,
    /// The certificate that the account is meant for.
    pub identity: ClientIdentity,
    /// The CA that issued it, with its key, where it is at hand: then two more cases can be tried.
    pub ca: Option<(X509, PKey<Private>)>,
}

/// The logins that were tried, and what came of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    pub account: AccountName,
    /// What it REQUIREs, such as `SUBJECT + ISSUER`.
    pub require: String,
    /// The server, as `host:port`.
    pub against: String,
    /// In display order, the right certificate first.
    pub rows: Vec<Row>,
    /// How long it took.
    pub seconds: f64,
}

/// One login: what had to come of it, and what did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub case: Case,
    pub expected: Expected,
    pub happened: Happened,
}

/// With what a login is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    RightCertificate,
    NoTls,
    NoCertificate,
    /// A certificate of the same subject and issuer names, from a CA made up for this.
    OtherCa,
    /// A certificate of the right CA that names somebody else.
    OtherSubject,
    /// A certificate of the right CA and subject, out of date.
    Expired,
}

impl Case {
    pub const ALL: [Self; 6] = [
        Self::RightCertificate,
        Self::NoTls,
        Self::NoCertificate,
        Self::OtherCa,
        Self::OtherSubject,
        Self::Expired,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    LetIn,
    Refused,
}

/// What came of a login. Texts are printable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// As the account meant.
    LetIn {
        account: String,
        /// TLS version; `None` without TLS.
        tls: Option<String>,
        cipher: Option<String>,
    },
    /// Let in, by another account: that proves nothing about the one meant.
    OtherAccount {
        account: String,
    },
    Refused {
        code: u16,
        message: String,
    },
    /// The certificate was refused before the account came into play.
    HandshakeRefused {
        /// The alert's name, such as `unknown ca`.
        reason: String,
    },
    NotTried {
        why: String,
    },
    /// It was tried, and nobody can say what the server makes of it.
    Failed {
        why: String,
    },
}

impl Row {
    /// Whether what happened is what had to happen; `false` also where nothing was found out.
    pub fn holds(&self) -> bool {
        match (&self.happened, self.expected) {
            (Happened::LetIn { .. }, expected) => expected == Expected::LetIn,
            // A certificate that the handshake refuses says nothing about subjects.
            (Happened::HandshakeRefused { .. }, Expected::Refused) => {
                self.case != Case::OtherSubject
            }
            (Happened::Refused { code, .. }, Expected::Refused) => {
                *code == ACCESS_DENIED || (*code == INSECURE_TRANSPORT && self.case == Case::NoTls)
            }
            _ => false,
        }
    }

    fn was_refused_in_handshake(&self) -> bool {
        matches!(self.happened, Happened::HandshakeRefused { .. })
    }

    /// Whether the server was asked at all.
    pub fn was_tried(&self) -> bool {
        !matches!(self.happened, Happened::NotTried { .. })
    }
}

impl Matrix {
    /// Whether every login came out as it had to. The two cases that take the CA's key may be
    /// missing; none of the others may.
    pub fn proved(&self) -> bool {
        let optional = |case| matches!(case, Case::OtherSubject | Case::Expired);
        Case::ALL.iter().all(|case| match self.row(*case) {
            Some(row) => row.holds() || (optional(*case) && !row.was_tried()),
            None => false,
        })
    }

    pub fn row(&self, case: Case) -> Option<&Row> {
        self.rows.iter().find(|row| row.case == case)
    }
}

/// Tries every case, and tells each row as it comes. Between two rows it looks whether it was
/// cancelled; the rest is then not tried.
///
/// The right certificate comes first: while that is not let in, a refusal of anything else proves
/// nothing, and may be one more wrong password towards a locked account. Whenever a certificate was
/// refused in the handshake, which counts towards `max_connect_errors`, the right one logs in once
/// more: that sets the count back to zero. Where the refusal's alert was lost, the login is tried
/// a second time, so that a server whose limit is 1 or 2 (the default is 100) may still shut this
/// host out; loopback addresses are exempt.
pub fn matrix(
    subject: &Subject<'_>,
    told: &mut dyn FnMut(&Row),
    cancelled: &dyn Fn() -> bool,
) -> Matrix {
    let started = Instant::now();
    let mut rows: Vec<Row> = Vec::with_capacity(Case::ALL.len());
    let mut stop: Option<&str> = None;
    for case in Case::ALL {
        if stop.is_none() && cancelled() {
            stop = Some("cancelled");
        }
        let happened = match stop {
            Some(why) => Happened::NotTried { why: why.to_owned() },
            None => attempt(subject, case),
        };
        if case == Case::RightCertificate {
            stop = stop.or(why_stop(&happened));
        }
        let expected = expected(case, subject.require, subject.flavor, subject.transport_enforced);
        let row = Row { case, expected, happened };
        told(&row);
        rows.push(row);
        let counted = matches!(rows.last(), Some(row) if row.was_refused_in_handshake());
        if counted && rows.first().is_some_and(Row::holds) {
            // only for its effect on the server's count
            let _ = attempt(subject, Case::RightCertificate);
        }
    }
    Matrix {
        account: subject.account.clone(),
        require: subject.require.describe(),
        against: subject.endpoint.to_string(),
        rows,
        seconds: started.elapsed().as_secs_f64(),
    }
}

/// Why the other cases cannot prove anything after this outcome of the right certificate.
fn why_stop(right: &Happened) -> Option<&'static str> {
    match right {
        Happened::Refused { .. } => {
            Some("the right certificate was refused, so that another refusal proves nothing")
        }
        Happened::Failed { .. } | Happened::NotTried { .. } => {
            Some("the right certificate could not be tried")
        }
        Happened::LetIn { .. }
        | Happened::OtherAccount { .. }
        | Happened::HandshakeRefused { .. } => None,
    }
}

fn attempt(subject: &Subject<'_>, case: Case) -> Happened {
    let forged = match case {
        Case::NoTls | Case::NoCertificate => None,
        Case::RightCertificate => Some(subject.identity.clone()),
        Case::OtherCa => match forge::other_ca(&subject.identity) {
            Ok(identity) => Some(identity),
            Err(error) => return not_made(&error),
        },
        Case::OtherSubject | Case::Expired => {
            let Some((ca, key)) = &subject.ca else {
                return Happened::NotTried { why: "it takes the key of the CA".to_owned() };
            };
            let forged = match case {
                Case::Expired => forge::expired(&subject.identity, ca, key),
                _ => forge::other_subject(&subject.identity, ca, key),
            };
            match forged {
                Ok(identity) => Some(identity),
                Err(error) => return not_made(&error),
            }
        }
    };
    let tls = Tls {
        identity: forged.as_ref(),
        // A private CA vouches for its servers; of a public one any server may have a certificate.
        check_host: subject.trust.is_public(),
        ..Tls::new(&subject.trust)
    };
    let login = Login {
        user: &subject.account.user,
        password: subject.password,
        tls: (case != Case::NoTls).then_some(tls),
    };
    match wire::login(&subject.endpoint, &login, Limits::default()) {
        Ok(Outcome::LetIn { account, .. }) if !is_account(&account, &subject.account) => {
            Happened::OtherAccount { account }
        }
        Ok(Outcome::LetIn { account, tls }) => {
            let (tls, cipher) = tls.unzip();
            Happened::LetIn { account, tls, cipher }
        }
        Ok(Outcome::Refused { code, message }) => Happened::Refused { code, message },
        Ok(Outcome::HandshakeRefused { reason }) => Happened::HandshakeRefused { reason },
        Err(error) => Happened::Failed { why: error.why() },
    }
}

fn not_made(error: &forge::ForgeError) -> Happened {
    Happened::NotTried { why: error.to_string() }
}

/// Whether `CURRENT_USER()` names this account. Users are told apart by case, hosts are not.
fn is_account(current_user: &str, account: &AccountName) -> bool {
    use crate::printable::printable;
    let (user, host) = current_user.rsplit_once('@').unwrap_or((current_user, ""));
    user == printable(&account.user) && host.eq_ignore_ascii_case(&printable(&account.host))
}

#[cfg(test)]
mod tests;
