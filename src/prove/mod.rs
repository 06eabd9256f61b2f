//! The login matrix: each promise about an account is tried against the real server, the login
//! that must work and those that must not.

use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use serde::{Deserialize, Serialize};

use crate::facts::{AccountName, Crl, Flavor, Require};
use crate::remedy::statement::Dialect;
use crate::secret::Secret;
use crate::wire::{ClientIdentity, Endpoint, Trust};

mod administrator;
mod budget;
mod difference;
mod ear;
mod expected;
mod forge;
mod log;
mod louder;
mod meaning;
pub mod reach;
mod run;
mod show;
mod subject;
pub mod why;
mod witness;

pub use budget::Budget;
pub use difference::{Difference, difference};
pub use expected::expected;
pub use log::{Mismatch, Part};
pub use run::{TAKES_CA_KEY, matrix};
pub use show::Needs;
pub use witness::Witness;

/// The one error with which an account's REQUIRE refuses (`ER_ACCESS_DENIED_ERROR`). Others, such as
/// a limit on connections (1226), 1040 or 1129, say nothing about certificates.
const ACCESS_DENIED: u16 = 1045;
/// As whom a login is tried that is to go no further than the handshake: nobody.
const NOBODY: &str = "mytls-probe";
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
    pub around: Around,
}

/// What is known besides about who answers a login, and what it may cost.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Other accounts that a login of this user may come to, and that answer before this one where
    /// they fit.
    pub before: Vec<AccountName>,
    /// The accounts whose rights a login may be given (`GRANT PROXY`).
    pub proxies: Vec<AccountName>,
    /// Nobody logs in as this: it is a role.
    pub is_role: bool,
    /// A host of the form `10.0.0.0/16` is a network to the server.
    pub lengths: bool,
    /// What somebody should know before reading the matrix.
    pub notes: Vec<String>,
    pub budget: Budget,
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
    /// Whose rights, and whose REQUIRE, a login gets where those are another account's; and that
    /// nobody can log in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
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

/// Whether `CURRENT_USER()` names this account. Users are told apart by case, hosts are not.
fn is_account(current_user: &str, account: &AccountName) -> bool {
    use crate::printable::printable;
    let (user, host) = current_user.rsplit_once('@').unwrap_or((current_user, ""));
    user == printable(&account.user) && host.eq_ignore_ascii_case(&printable(&account.host))
}

#[cfg(test)]
mod tests;
