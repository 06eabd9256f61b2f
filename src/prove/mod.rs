//! The login matrix: each promise about an account is tried against the real server, the login
//! that must work and those that must not.

use std::time::Instant;

use openssl::bn::BigNum;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Crl};
use serde::{Deserialize, Serialize};

use crate::facts::{AccountName, Crl, Flavor, Require};
use crate::remedy::statement::{Dialect, Form};
use crate::secret::Secret;
use crate::wire::{
    self, ClientIdentity, Endpoint, Limits, Login, Outcome, Tls, Trace, Trust, WireError,
};
use crate::x509::Certificate;

mod difference;
mod expected;
mod forge;
mod log;
mod louder;
mod meaning;
pub mod reach;
mod show;
mod subject;
pub mod why;
mod witness;

pub use difference::{Difference, difference};
pub use expected::expected;
pub use log::{Mismatch, Part};
pub use witness::Witness;

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
    /// How a statement is written for it, and names: `None` where none is wanted.
    pub dialect: Option<Dialect>,
    pub account: AccountName,
    /// Without one, what the server decides in the handshake is tried all the same.
    pub password: Option<&'a Secret>,
    pub require: &'a Require,
    /// Whether `require_secure_transport` is on.
    pub transport_enforced: bool,
    /// Under what the server's own certificate has to hold, before anything is sent to it.
    pub trust: Trust,
    /// The certificate that the account is meant for.
    pub identity: ClientIdentity,
    /// The CA that issued it, with its key, where it is at hand: then two more cases can be tried.
    pub ca: Option<(X509, PKey<Private>)>,
    /// The server's revocation lists; empty where it has none.
    pub crls: Vec<Crl>,
    /// The server's TLS is yaSSL's, which speaks TLS 1.0.
    pub old_tls: bool,
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
    /// Where the server's own words were read: `performance_schema.error_log`, a file.
    #[serde(default)]
    pub heard_in: Option<String>,
    /// Why they were not, or not all.
    #[serde(default)]
    pub unheard: Option<String>,
    /// The statement that asks for what the server really saw, where that is not what was expected.
    #[serde(default)]
    pub corrected: Option<Corrected>,
    /// What the server has counted towards `max_connect_errors` for this host when all was done;
    /// `None` where it does not tell.
    #[serde(default)]
    pub connect_errors: Option<u64>,
    /// How many connections it took.
    #[serde(default)]
    pub connections: usize,
}

/// A statement from the server's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    pub statement: String,
    pub undo: String,
    /// What somebody should know before sending it.
    pub warnings: Vec<String>,
}

/// Why a login was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The server's own lines, printable.
    pub lines: Vec<String>,
    /// The two strings that differ, where that was it.
    pub mismatch: Option<Mismatch>,
    /// What it comes to, in a sentence; empty where nothing is to be said.
    pub meaning: String,
}

/// One login: what had to come of it, and what did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub case: Case,
    pub expected: Expected,
    pub happened: Happened,
    #[serde(default)]
    pub reason: Option<Reason>,
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
    /// A certificate of the right CA and subject that is on the server's revocation list.
    Revoked,
}

impl Case {
    pub const ALL: [Self; 7] = [
        Self::RightCertificate,
        Self::NoTls,
        Self::NoCertificate,
        Self::OtherCa,
        Self::OtherSubject,
        Self::Expired,
        Self::Revoked,
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
    /// The certificate was taken in the handshake; what the account makes of it takes its password.
    HandshakeOnly,
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
        match self.happened {
            Happened::NotTried { .. } => false,
            Happened::HandshakeOnly => self.expected == Expected::Refused,
            _ => true,
        }
    }
}

impl Matrix {
    /// Whether every login came out as it had to. The two cases that take the CA's key may be
    /// missing; none of the others may.
    pub fn proved(&self) -> bool {
        let optional = |case| matches!(case, Case::OtherSubject | Case::Expired | Case::Revoked);
        Case::ALL.iter().all(|case| match self.row(*case) {
            Some(row) => row.holds() || (optional(*case) && !row.was_tried()),
            None => *case == Case::Revoked, // the server has no list
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
    witness: &mut Witness,
    told: &mut dyn FnMut(&Row),
    cancelled: &dyn Fn() -> bool,
) -> Matrix {
    let started = Instant::now();
    let mut rows: Vec<Row> = Vec::with_capacity(Case::ALL.len());
    let mut stop: Option<&str> = None;
    let mut connections = 0;
    let mut from = None;
    let cases = Case::ALL.into_iter().filter(|case| *case != Case::Revoked || subject.has_crl());
    for case in cases {
        if stop.is_none() && cancelled() {
            stop = Some("cancelled");
        }
        let mut trace = Trace::default();
        witness.begin();
        let happened = match stop {
            Some(why) => Happened::NotTried { why: why.to_owned() },
            None => attempt(subject, case, &mut trace),
        };
        if case == Case::RightCertificate {
            stop = stop.or(why_stop(&happened));
        }
        let expected = expected(case, subject.require, subject.flavor, subject.transport_enforced);
        let reason = meaning::reason(subject, case, &happened, &trace, witness);
        let row = Row { case, expected, happened, reason };
        told(&row);
        rows.push(row);
        connections += trace.connections.len();
        from = trace.from.or(from);
        let counted = matches!(rows.last(), Some(row) if row.was_refused_in_handshake());
        if counted && rows.first().is_some_and(Row::holds) {
            // only for its effect on the server's count
            let _ = attempt(subject, Case::RightCertificate, &mut Trace::default());
            connections += 1;
        } else if counted && witness.set_back(&subject.endpoint, from) {
            connections += 1;
        }
    }
    Matrix {
        account: subject.account.clone(),
        require: subject.require.describe(),
        against: subject.endpoint.to_string(),
        corrected: rows.first().and_then(|right| corrected(subject, right)),
        rows,
        seconds: started.elapsed().as_secs_f64(),
        heard_in: witness.place(),
        unheard: witness.why_not().map(str::to_owned),
        connect_errors: from.and_then(|from| witness.connect_errors(from)),
        connections,
    }
}

/// The account's clause with what the server saw in it, where the right certificate was refused for
/// that.
fn corrected(subject: &Subject<'_>, right: &Row) -> Option<Corrected> {
    let mismatch = right.reason.as_ref()?.mismatch.as_ref()?;
    let require = mismatch.corrected(subject.require)?;
    let dialect = subject.dialect?;
    let names = std::slice::from_ref(&subject.account);
    let written = dialect.require(names, &require, Form::Alter);
    let undo = dialect.require(names, subject.require, Form::Alter);
    Some(Corrected { statement: written.sql(), undo: undo.sql(), warnings: written.warnings })
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
        | Happened::HandshakeOnly
        | Happened::HandshakeRefused { .. } => None,
    }
}

/// As whom a login is tried that is to go no further than the handshake: nobody.
const NOBODY: &str = "mytls-probe";

fn attempt(subject: &Subject<'_>, case: Case, trace: &mut Trace) -> Happened {
    let by_account = matches!(case, Case::NoTls | Case::NoCertificate | Case::OtherSubject);
    if subject.password.is_none() && by_account {
        return Happened::NotTried { why: "it takes the account's password".to_owned() };
    }
    let identity = match identity(subject, case) {
        Ok(identity) => identity,
        Err(happened) => return happened,
    };
    let tls = Tls {
        identity: identity.as_ref(),
        // A private CA vouches for its servers; of a public one any server may have a certificate.
        check_host: subject.trust.is_public(),
        old_tls: subject.old_tls,
        ..Tls::new(&subject.trust)
    };
    let nothing = Secret::default();
    let login = Login {
        user: if subject.password.is_some() { &subject.account.user } else { NOBODY },
        password: subject.password.unwrap_or(&nothing),
        tls: (case != Case::NoTls).then_some(tls),
    };
    let outcome = wire::traced_login(&subject.endpoint, &login, Limits::default(), trace);
    if subject.password.is_none() {
        return match outcome {
            Ok(Outcome::HandshakeRefused { reason }) => Happened::HandshakeRefused { reason },
            Ok(Outcome::LetIn { .. } | Outcome::Refused { .. }) => Happened::HandshakeOnly,
            // what it asked for then is nobody's plugin
            Err(WireError::Plugin { .. } | WireError::PasswordKept { .. }) => {
                Happened::HandshakeOnly
            }
            Err(error) => Happened::Failed { why: error.why() },
        };
    }
    match outcome {
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

/// Why a login was not tried that needs a certificate made for it.
pub const TAKES_CA_KEY: &str = "it takes the key of the CA";

/// What is shown in this case; or why it cannot be tried.
fn identity(subject: &Subject<'_>, case: Case) -> Result<Option<ClientIdentity>, Happened> {
    let right = &subject.identity;
    let not_tried = |why: &str| Happened::NotTried { why: why.to_owned() };
    let forged = match case {
        Case::NoTls | Case::NoCertificate => return Ok(None),
        Case::RightCertificate => return Ok(Some(right.clone())),
        Case::OtherCa => forge::other_ca(right),
        Case::OtherSubject | Case::Expired | Case::Revoked => {
            let (ca, key) = subject.ca.as_ref().ok_or_else(|| not_tried(TAKES_CA_KEY))?;
            match case {
                Case::Expired => forge::expired(right, ca, key),
                Case::Revoked => {
                    let serial = subject.revoked_serial(ca);
                    let serial = serial
                        .ok_or_else(|| not_tried("the list of this CA revokes nothing yet"))?;
                    forge::revoked(right, ca, key, &serial)
                }
                _ => forge::other_subject(right, ca, key),
            }
        }
    };
    forged.map(Some).map_err(|error| not_made(&error))
}

impl Subject<'_> {
    fn has_crl(&self) -> bool {
        !self.crls.is_empty() && !self.old_tls
    }

    /// A serial number that this CA has revoked, as the server's list says.
    fn revoked_serial(&self, ca: &X509) -> Option<BigNum> {
        let ca = Certificate::from_openssl(ca);
        let list = self.crls.iter().find(|list| list.is_of(&ca))?;
        let list = X509Crl::from_pem(list.pem.as_bytes()).ok()?;
        let revoked = list.get_revoked()?;
        revoked.into_iter().next()?.serial_number().to_bn().ok()
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
