//! The one seam between the wizard and everything that reads or changes the world.
//!
//! The wizard decides nothing about TLS: it asks an [`Engine`], always on a thread of its own, and
//! shows the answer. So screens and keys are tested with literals, and the real engine is wired in
//! at one place.

use std::path::PathBuf;

pub use crate::apply::remedy::NotPlanned;
use crate::apply::{Applied, Plan};
use crate::ca::Catalog;
pub use crate::ca::KeyKind;
pub use crate::ca::crl::Reason;
use crate::checklist::Examination;
use crate::facts::gather::{Cancel, Progress};
use crate::facts::{AccountName, Require, Target};
pub use crate::prove::why::Denial;
use crate::remedy::Remedy;
pub use crate::remedy::key_kinds::KeyKinds;
pub use crate::remedy::offer::Level;
use crate::report;
use crate::scan::Scan;
use crate::secret::Secret;
use crate::x509::Certificate;

/// What the wizard can ask for. Every method may block and is called on a job's thread, but for
/// [`Engine::can_restart`]. Error texts are shown as they are: one or two sentences that say what
/// to do, made printable.
pub trait Engine: Send + Sync {
    /// Gathers and judges. Stops early, with whatever it has, when cancelled.
    fn examine(
        &self,
        target: &Target,
        cancel: &Cancel,
        told: &mut dyn FnMut(Progress),
    ) -> Examination;

    /// Defaults for the workshop, real values all of them. `user` is the account the client
    /// certificate is for, when the wizard comes from one.
    fn authority_form(&self, exam: &Examination, user: Option<&str>) -> AuthorityForm;

    /// The kinds of keys that this server can use.
    fn key_kinds(&self, exam: &Examination) -> KeyKinds;

    /// The private CA that is kept for this server, and what it issued; `None` where there is none.
    fn authority(&self, exam: &Examination) -> Result<Option<Catalog>, String>;

    /// A certificate that it issued, by serial number.
    fn issued(&self, exam: &Examination, serial: &str) -> Result<Certificate, String>;

    /// What another certificate in the place of this one would write. Touches nothing.
    fn plan_renewal(
        &self,
        exam: &Examination,
        serial: &str,
        same_key: bool,
    ) -> Result<Plan, NotPlanned>;

    /// What revoking this certificate would write. Touches nothing.
    fn plan_revocation(
        &self,
        exam: &Examination,
        serial: &str,
        reason: Reason,
    ) -> Result<Plan, NotPlanned>;

    /// What a private CA, a server certificate and a client certificate would write, and the edit
    /// of the server's options. Touches nothing.
    fn plan_authority(&self, exam: &Examination, form: &AuthorityForm) -> Result<Plan, NotPlanned>;

    /// What one remedy would do. Touches nothing.
    fn plan_remedy(&self, exam: &Examination, remedy: &Remedy) -> Result<Plan, NotPlanned>;

    /// The statements that make accounts require this much, in the server's dialect; `cipher` is a
    /// suite that is asked for as well.
    fn offer(
        &self,
        exam: &Examination,
        accounts: &[AccountName],
        level: Level,
        form: StatementForm,
        cipher: Option<&str>,
    ) -> Result<Offer, String>;

    /// What making accounts require this would send, and who would be refused. Reads what the
    /// server stores, changes nothing.
    fn plan_accounts(
        &self,
        exam: &Examination,
        orders: &[(AccountName, Require)],
        form: StatementForm,
    ) -> Result<Plan, NotPlanned>;

    /// Carries a plan out, the reload or restart included where that is possible. `told` gets a
    /// line for each thing done. On failure: what was done all the same, and why it ended.
    #[allow(clippy::result_large_err)] // once for each change
    fn apply(
        &self,
        target: &Target,
        plan: &Plan,
        told: &mut dyn FnMut(&str),
    ) -> Result<Applied, (Applied, String)>;

    /// Whether this engine can restart the server itself (the sandbox can).
    fn can_restart(&self) -> bool;

    /// Tries the logins that must work and those that must not, on the live server.
    fn prove(
        &self,
        exam: &Examination,
        account: &AccountName,
        password: &Secret,
        cancel: &Cancel,
        told: &mut dyn FnMut(ProofRow),
    ) -> Result<Proof, String>;

    /// Whether the key of the CA that issued this account's certificate is under a passphrase that is
    /// not at hand, so that some of the logins cannot be tried; `true` when the one that is at hand does
    /// not open it.
    fn locked_key(&self, exam: &Examination, account: &AccountName) -> Option<bool>;

    /// Certificate and key of an account's client, where they lie in the CA of this server.
    fn client_files(&self, exam: &Examination, account: &AccountName)
    -> Option<(PathBuf, PathBuf)>;

    /// Makes the one login that the account's client makes, and says what keeps it out.
    fn why_denied(
        &self,
        exam: &Examination,
        account: &AccountName,
        login: &ClientLogin,
    ) -> Result<Denial, String>;

    /// What the server offers of TLS, as a client meets it: every version, suite and group. `told` gets a word
    /// on its way. Stops early when cancelled.
    fn scan(
        &self,
        exam: &Examination,
        cancel: &Cancel,
        told: &(dyn Fn(&str) + Sync),
    ) -> Result<Scan, String>;

    /// A password known already (the sandbox's), so that nobody is asked for it.
    fn known_password(&self, account: &AccountName) -> Option<Secret>;

    /// The report of the walk, as it is to stand in a file.
    fn report(
        &self,
        exam: &Examination,
        done: &[Applied],
        proofs: &[Proof],
        form: report::Form,
    ) -> String;

    /// What the form of the first screen starts with (option files, the usual socket).
    fn suggest_target(&self) -> Target;
}

/// How the statement is written, where the server's dialect leaves a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatementForm {
    #[default]
    Alter,
    Grant,
}

impl StatementForm {
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Alter => Self::Grant,
            Self::Grant => Self::Alter,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Alter => "ALTER USER",
            Self::Grant => "GRANT",
        }
    }
}

/// A statement ready to be sent, and what it comes to.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// May be several lines; works verbatim on this server.
    pub statement: String,
    /// The statement that takes it back.
    pub undo: String,
    /// Subject and issuer in the form this server compares; empty where the level has none.
    pub subject: String,
    pub issuer: String,
    /// The client certificate the names were read from.
    pub certificate: Option<PathBuf>,
    /// What somebody with the password could still do.
    pub explain: String,
    /// Who would be refused from now on, one line each.
    pub warnings: Vec<String>,
    /// What each account is to require.
    pub orders: Vec<(AccountName, Require)>,
}

/// What an account's client comes with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLogin {
    pub tls: bool,
    pub certificate: Option<PathBuf>,
    /// `None`: in the certificate's file, or nowhere; then the certificate is only looked at.
    pub key: Option<PathBuf>,
    pub password: Option<Secret>,
}

/// One login that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofRow {
    /// `same CA, other subject`
    pub case: String,
    /// Whether it must be let in.
    pub expected_in: bool,
    /// `let in`, `refused`, `not tried`
    pub happened: String,
    /// Whether it happened as it must; `None` when it was not tried.
    pub holds: Option<bool>,
    /// `TLSv1.3`, `unknown ca`; may be empty.
    pub detail: String,
    /// Why it was refused, in the server's words and ours.
    pub reason: Option<crate::prove::Reason>,
}

/// All logins of one account, tried on the live server.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    pub account: AccountName,
    /// The address they were tried against.
    pub against: String,
    pub rows: Vec<ProofRow>,
    pub seconds: f64,
    /// Where the server's own words were read; else why they were not.
    pub heard: Result<String, String>,
    /// The statement that asks for what the server really saw, where it saw something else than
    /// the account says.
    pub corrected: Option<crate::prove::Corrected>,
}

impl Proof {
    /// Every row was tried and happened as it must.
    pub fn holds(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.holds == Some(true))
    }

    /// Everything went as it must that could be tried without the key of the CA, which lies under a
    /// passphrase or elsewhere: nothing is known against the account.
    pub fn holds_but_for_key(&self) -> bool {
        let as_it_must = |row: &ProofRow| match row.holds {
            Some(holds) => holds,
            None => row.detail == crate::prove::TAKES_CA_KEY,
        };
        self.rows.iter().any(|row| row.holds == Some(true)) && self.rows.iter().all(as_it_must)
    }

    /// `4 of 6 logins went as they must`, and why the others were not tried.
    pub fn words(&self) -> String {
        let kept = self.rows.iter().filter(|row| row.holds == Some(true)).count();
        let all = self.rows.len();
        let left = all - kept;
        let rest = if self.holds_but_for_key() && left > 0 {
            format!("; the other {left} need the CA's key, and with it its passphrase")
        } else {
            String::new()
        };
        format!("{kept} of {all} logins went as they must{rest}")
    }

    /// What went otherwise than it must, in a sentence:
    /// `app@% does not get in with its certificate`.
    pub fn broken(&self) -> Option<String> {
        let row = self.rows.iter().find(|row| row.holds == Some(false))?;
        let case = match row.case.as_str() {
            "the right certificate" => "its certificate",
            case => case,
        };
        let gets = if row.expected_in { "does not get in" } else { "gets in" };
        Some(format!("{} {gets} with {case}", self.account))
    }
}

/// What the workshop asks before it plans a private CA and its certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorityForm {
    /// Common name of the CA.
    pub ca_name: String,
    pub key: KeyKind,
    /// Every name and address clients use for the server, separated by commas.
    pub server_names: String,
    /// The user the client certificate is for; becomes its common name.
    pub client_account: String,
    /// Where the server's key, certificate and CA go.
    pub folder: PathBuf,
    /// There is no CA yet: this one is made, and its key may get a passphrase.
    pub is_new: bool,
    pub passphrase: Option<Secret>,
}
