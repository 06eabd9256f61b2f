//! All that the wizard knows: changed by [`super::update`] alone, drawn by [`super::screen`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use ratatui::crossterm::event::KeyEvent;

use super::engine::{
    AuthorityForm, ClientLogin, Denial, KeyKinds, Level, NotPlanned, Offer, Proof, ProofRow,
    Reason, StatementForm,
};
use super::form::Form;
use super::palette::Palette;
use super::register::Register;
use super::roster::{self, Roster};
use super::rows::{Row, RowKey};
use crate::apply::{Applied, Plan};
use crate::ca::Catalog;
use crate::checklist::{Examination, Verdict};
use crate::facts::gather::{Progress, ProgressState};
use crate::facts::{Account, AccountName, Require, Target};
use crate::remedy::Remedy;
use crate::rules::{Finding, Rule, Step};
use crate::scan::Scan;
use crate::secret::Secret;
use crate::x509::Certificate;

/// The wizard between two messages.
#[derive(Debug)]
pub struct State {
    /// Shown beside the program's name, such as the sandbox's fault.
    pub title: Option<String>,
    pub ascii: bool,
    /// The server goes when the wizard ends: nothing has to be taken back.
    pub throwaway: bool,
    /// Whether mytls can restart the server itself.
    pub can_restart: bool,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    pub target: Option<Target>,
    pub exam: Option<Arc<Examination>>,
    /// What the examination under way has said so far.
    pub progress: Vec<Progress>,
    pub place: Place,
    /// What lies over the place, the last one on top.
    pub layers: Vec<Layer>,
    pub selected: BTreeMap<Step, RowKey>,
    /// How far the details of the place are scrolled, in lines.
    pub scroll: u16,
    /// Steps to be checked again, because something before them was changed since.
    pub stale: BTreeSet<Step>,
    /// The form of the first screen; open while there is one.
    pub connect: Option<Form>,
    /// The answers of a connect form that was sent off, to come back to.
    pub connect_kept: Option<Form>,
    pub workshop: Option<Form>,
    /// The CA there is, and what it issued.
    pub register: Option<Register>,
    /// What is being read of it beside the job.
    pub fetching: Option<(JobId, Fetch)>,
    /// The list of the accounts.
    pub roster: Roster,
    pub level: Level,
    /// The cipher suite that is asked for as well.
    pub cipher: Option<String>,
    pub statement_form: StatementForm,
    pub offers: BTreeMap<OfferKey, Result<Offer, String>>,
    /// The job that is waited for.
    pub job: Option<Running>,
    /// The statement that is being written beside it.
    pub offering: Option<(JobId, OfferKey)>,
    pub last_job: JobId,
    pub done: Vec<Applied>,
    /// The last proof of each account, and whether it still speaks of the server as it is.
    pub proofs: Vec<(Proof, bool)>,
    /// What is being planned with the CA's key, in case that asks for its passphrase.
    pub planning: Option<Planning>,
    /// Passwords that were asked for, so that they are asked for once.
    pub passwords: BTreeMap<AccountName, Secret>,
    /// A word about the last key; gone with the next.
    pub toast: Option<String>,
    /// A signal that waits for a write to end.
    pub signal: Option<i32>,
}

/// What a statement was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OfferKey {
    pub whose: Whose,
    pub level: Level,
    pub form: StatementForm,
    pub cipher: Option<String>,
}

/// The accounts that a statement is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    One(AccountName),
    Marked(Arc<Batch>),
}

impl Whose {
    pub fn names(&self) -> &[AccountName] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Marked(batch) => &batch.names,
        }
    }
}

/// Accounts that were marked together; told apart by their number, for there may be very many.
#[derive(Debug)]
pub struct Batch {
    pub id: u64,
    pub names: Vec<AccountName>,
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Batch {}

impl PartialOrd for Batch {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Batch {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

pub type JobId = u64;

/// Where one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Step(Step),
    /// One account's statement.
    Account(AccountName),
    /// The statements of those that were marked.
    Accounts(Arc<Batch>),
    /// The private CA there is; leads back to where it was opened.
    Authority(Box<Place>),
    /// The form that makes a CA and certificates; leads back to where it was opened.
    Workshop(Box<Place>),
}

/// Something over the place, and how far it is scrolled.
#[derive(Debug)]
pub struct Layer {
    pub over: Overlay,
    pub scroll: u16,
}

#[derive(Debug)]
pub enum Overlay {
    Help,
    Explain(&'static Rule),
    Fix(Fix),
    Review(Arc<Plan>),
    /// Something is being written; its lines so far.
    Applying {
        plan: Arc<Plan>,
        lines: Vec<String>,
    },
    /// What was written, what is left to do, and why it came not to its end.
    Done {
        title: String,
        done: Applied,
        /// Why it ended early.
        failed: Option<String>,
    },
    Proof(ProofView),
    /// Asks for an account's password.
    Password {
        account: AccountName,
        form: Form,
    },
    /// Asks for the passphrase of the CA's key, without which this cannot be planned.
    Passphrase {
        planning: Planning,
        form: Form,
    },
    /// Asks for the passphrase of the CA's key, without which some logins of the proof cannot be tried.
    ProofKey {
        account: AccountName,
        form: Form,
    },
    /// Asks where the report goes.
    Save(Form),
    /// Everything that can be done here, found by its words.
    Palette(Palette),
    /// Asks for a cipher suite.
    Cipher(Form),
    /// Asks what a client that is denied comes with.
    AskWhy {
        account: AccountName,
        form: Form,
    },
    /// Why an account is denied; `None` while that is being found out.
    Denied {
        account: AccountName,
        answer: Option<Result<Denial, String>>,
    },
    /// What the server offers; `None` while that is being found out.
    Scan {
        /// The last word on its way.
        so_far: String,
        answer: Option<Result<Box<Scan>, String>>,
    },
    /// How one is to be renewed, or why it is revoked.
    Ways(Ways),
    /// All of the certificate under the cursor.
    Card,
    /// Asked a second time: a word is to be typed.
    Sure {
        plan: Arc<Plan>,
        word: &'static str,
        form: Form,
    },
}

/// What is planned with the key of the CA.
#[derive(Clone, Debug)]
pub enum Planning {
    Authority(AuthorityForm),
    Renewal { serial: String, same_key: bool },
    Revocation { serial: String, reason: Reason },
}

impl Planning {
    pub fn job(self, exam: Arc<Examination>) -> Job {
        match self {
            Self::Authority(form) => Job::PlanAuthority { exam, form },
            Self::Renewal { serial, same_key } => Job::PlanRenewal { exam, serial, same_key },
            Self::Revocation { serial, reason } => Job::PlanRevocation { exam, serial, reason },
        }
    }
}

/// A choice before something the CA issued is changed.
#[derive(Clone, Debug)]
pub struct Ways {
    pub what: Changing,
    pub serial: String,
    /// `client app`
    pub name: String,
    pub chosen: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changing {
    Renew,
    Revoke,
}

impl Changing {
    /// What there is to choose from, and what each means.
    pub fn ways(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Renew => &[
                ("a new key", "the old key opens nothing any more once the old one expired"),
                ("the same key", "for a key that cannot be replaced; it only lives longer"),
            ],
            Self::Revoke => &[
                ("no reason said", "it is refused all the same"),
                ("key compromise", "somebody else may have the key"),
                ("superseded", "another certificate took its place"),
                ("cessation of operation", "its account or server is no more"),
                ("privilege withdrawn", "its owner may no longer do what it was for"),
            ],
        }
    }

    /// In the order of [`Self::ways`].
    pub const REASONS: [Reason; 5] = [
        Reason::Unspecified,
        Reason::KeyCompromise,
        Reason::Superseded,
        Reason::CessationOfOperation,
        Reason::PrivilegeWithdrawn,
    ];
}

/// What can be read of the CA beside a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetch {
    Catalog,
    /// A certificate, by its serial number.
    Card(String),
}

/// The ways to mend one finding.
#[derive(Debug)]
pub struct Fix {
    pub finding: Finding,
    pub chosen: usize,
    /// Why the chosen one has to be done by hand, when it has.
    pub by_hand: Option<String>,
}

impl Fix {
    pub fn remedy(&self) -> Option<&Remedy> {
        self.finding.remedies.get(self.chosen)
    }
}

#[derive(Debug)]
pub struct ProofView {
    pub account: AccountName,
    pub rows: Vec<ProofRow>,
    /// `None` while it is under way.
    pub ended: Option<Result<Proof, String>>,
}

impl ProofView {
    /// It came to no verdict at all.
    pub fn failed(&self) -> bool {
        matches!(self.ended, Some(Err(_)))
    }
}

/// A job under way.
#[derive(Clone, Debug)]
pub struct Running {
    pub id: JobId,
    pub what: Doing,
    /// Tenths of a second.
    pub ticks: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Examining,
    Planning,
    Applying,
    Proving,
    Saving,
    Looking,
    /// For what keeps an account out.
    Asking,
    Scanning,
}

impl Doing {
    /// Half a write is worse than a slow one.
    pub fn can_be_stopped(self) -> bool {
        self != Self::Applying
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Examining => "checking",
            Self::Planning => "working out what it would write",
            Self::Applying => "writing",
            Self::Proving => "trying the logins",
            Self::Saving => "writing the report",
            Self::Looking => "looking for defaults",
            Self::Asking => "trying the login",
            Self::Scanning => "asking what the server offers",
        }
    }
}

/// What happened.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and never many")]
pub enum Msg {
    Start,
    Key(KeyEvent),
    Paste(String),
    Resize(u16, u16),
    /// A tenth of a second went by while a job runs.
    Tick,
    Told(JobId, Told),
    Ended(JobId, Outcome),
    Copied(Result<String, String>),
    Signal(i32),
}

/// What a job says on its way.
#[derive(Debug)]
pub enum Told {
    Progress(Progress),
    Line(String),
    Row(ProofRow),
}

/// How a job ended.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and never many")]
pub enum Outcome {
    Examined(Box<Examination>),
    Suggested(Target),
    Defaults(AuthorityForm, KeyKinds),
    Authority(Result<Option<Catalog>, String>),
    Issued(Result<Certificate, String>),
    Planned(Result<Plan, NotPlanned>),
    Offered(Result<Offer, String>),
    Applied(Result<Applied, (Applied, String)>),
    Proved(Result<Proof, String>),
    PasswordNeeded(AccountName),
    /// Of the CA's key; `wrong`: the one that was given does not open it.
    PassphraseNeeded {
        account: AccountName,
        wrong: bool,
    },
    Saved(Result<PathBuf, String>),
    ClientFiles(AccountName, Option<(PathBuf, PathBuf)>),
    Denied(Result<Denial, String>),
    Scanned(Result<Box<Scan>, String>),
    /// The job broke; a fault of this program.
    Broken(String),
}

/// What the loop is to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and never many")]
pub enum Effect {
    Run(JobId, Job),
    Cancel(JobId),
    Copy(String),
    Redraw,
    Suspend,
    Quit,
}

/// Something that takes time, with all that it needs.
#[derive(Debug)]
pub enum Job {
    Suggest,
    Examine(Target),
    Defaults {
        exam: Arc<Examination>,
        user: Option<String>,
    },
    PlanAuthority {
        exam: Arc<Examination>,
        form: AuthorityForm,
    },
    PlanRemedy {
        exam: Arc<Examination>,
        remedy: Remedy,
    },
    Authority {
        exam: Arc<Examination>,
    },
    Issued {
        exam: Arc<Examination>,
        serial: String,
    },
    PlanRenewal {
        exam: Arc<Examination>,
        serial: String,
        same_key: bool,
    },
    PlanRevocation {
        exam: Arc<Examination>,
        serial: String,
        reason: Reason,
    },
    Offer {
        exam: Arc<Examination>,
        key: OfferKey,
    },
    ClientFiles {
        exam: Arc<Examination>,
        account: AccountName,
    },
    WhyDenied {
        exam: Arc<Examination>,
        account: AccountName,
        login: ClientLogin,
    },
    Scan {
        exam: Arc<Examination>,
    },
    PlanAccounts {
        exam: Arc<Examination>,
        orders: Vec<(AccountName, Require)>,
        form: StatementForm,
    },
    Apply {
        target: Target,
        plan: Arc<Plan>,
    },
    Prove {
        exam: Arc<Examination>,
        account: AccountName,
        password: Option<Secret>,
        /// Leave out the logins that need the CA's key, where that is under a passphrase.
        without_key: bool,
    },
    Save {
        exam: Arc<Examination>,
        done: Vec<Applied>,
        proofs: Vec<Proof>,
        path: PathBuf,
    },
}

impl State {
    pub fn new(target: Option<Target>, can_restart: bool) -> Self {
        Self {
            title: None,
            ascii: false,
            throwaway: false,
            can_restart,
            size: (80, 24),
            target,
            exam: None,
            progress: Vec::new(),
            place: Place::Step(Step::Server),
            layers: Vec::new(),
            selected: BTreeMap::new(),
            scroll: 0,
            stale: BTreeSet::new(),
            connect: None,
            connect_kept: None,
            workshop: None,
            register: None,
            fetching: None,
            roster: Roster::default(),
            level: Level::SubjectAndIssuer,
            cipher: None,
            statement_form: StatementForm::default(),
            offers: BTreeMap::new(),
            job: None,
            offering: None,
            last_job: 0,
            done: Vec::new(),
            proofs: Vec::new(),
            planning: None,
            passwords: BTreeMap::new(),
            toast: None,
            signal: None,
        }
    }

    /// The step one is at, also inside an account or the workshop.
    pub fn step(&self) -> Step {
        fn of(place: &Place) -> Step {
            match place {
                Place::Step(step) => *step,
                Place::Account(_) | Place::Accounts(_) => Step::Accounts,
                Place::Authority(from) | Place::Workshop(from) => of(from),
            }
        }
        of(&self.place)
    }

    pub fn top(&self) -> Option<&Overlay> {
        self.layers.last().map(|layer| &layer.over)
    }

    /// What the steps come to; `None` before there is an examination, or where something was
    /// changed since.
    pub fn verdict(&self, step: Step) -> Option<Verdict> {
        if self.stale.contains(&step) {
            return None;
        }
        let exam = self.exam.as_ref()?;
        if step == Step::Accounts {
            return Some(exam.verdict(step).max(self.proven()));
        }
        if step != Step::Report {
            return Some(exam.verdict(step));
        }
        // the report has no rules of its own: it is good when there is nothing left to do
        let all = Step::ALL.iter().filter(|step| **step != Step::Report);
        let good = |step: &Step| {
            !self.stale.contains(step)
                && matches!(self.verdict(*step), Some(Verdict::Good | Verdict::NotApplicable))
        };
        all.into_iter().all(good).then_some(Verdict::Good)
    }

    /// What the proofs that still speak of this server say of its accounts.
    fn proven(&self) -> Verdict {
        let current = self.proofs.iter().filter(|(_, current)| *current).map(|(proof, _)| proof);
        let verdict = |proof: &Proof| match (proof.broken().is_some(), proof.holds_but_for_key()) {
            (true, _) => Verdict::Error,
            (false, false) => Verdict::Unknown,
            (false, true) => Verdict::NotApplicable,
        };
        current.map(verdict).max().unwrap_or(Verdict::NotApplicable)
    }

    /// The lines of a step's list; those of the accounts are in the roster.
    pub fn rows(&self, step: Step) -> Vec<Row> {
        self.exam.as_ref().map_or_else(Vec::new, |exam| super::rows::rows(exam, step))
    }

    /// Which of the rows is selected: the one chosen before if it is still there, else the first.
    pub fn selected_index(&self, rows: &[Row]) -> usize {
        let key = self.selected.get(&self.step());
        key.and_then(|key| rows.iter().position(|row| row.key() == *key)).unwrap_or(0)
    }

    pub fn selected_row(&self) -> Option<Row> {
        let Place::Step(step) = self.place else { return None };
        if step == Step::Accounts {
            return self.roster.row(self.accounts());
        }
        let rows = self.rows(step);
        rows.get(self.selected_index(&rows)).cloned()
    }

    /// The finding under the cursor.
    pub fn selected_finding(&self) -> Option<&Finding> {
        match self.selected_row()? {
            Row::Finding { index, .. } => self.exam.as_ref()?.findings.get(index),
            _ => None,
        }
    }

    /// Selects a line of a step by what it is about.
    pub fn select(&mut self, step: Step, key: RowKey) {
        match (&self.exam, step) {
            (Some(exam), Step::Accounts) => self.roster.select(roster::accounts(exam), &key),
            _ => drop(self.selected.insert(step, key)),
        }
    }

    /// All accounts the server told of.
    pub fn accounts(&self) -> &[Account] {
        self.exam.as_ref().map_or(&[], |exam| roster::accounts(exam))
    }

    pub fn account(&self, name: &AccountName) -> Option<&Account> {
        self.accounts().iter().find(|account| account.name == *name)
    }

    /// The account one looks at, or whose row is selected.
    pub fn current_account(&self) -> Option<AccountName> {
        match (&self.place, self.selected_row()) {
            (Place::Account(name), _) => Some(name.clone()),
            (_, Some(Row::Account { name, .. })) => Some(name),
            _ => None,
        }
    }

    pub fn offer_key(&self) -> Option<OfferKey> {
        let whose = match &self.place {
            Place::Account(name) => Whose::One(name.clone()),
            Place::Accounts(batch) => Whose::Marked(Arc::clone(batch)),
            _ => return None,
        };
        let cipher = self.cipher.clone().filter(|_| self.level != Level::None);
        Some(OfferKey { whose, level: self.level, form: self.form_in_effect(), cipher })
    }

    pub fn offer(&self) -> Option<&Result<Offer, String>> {
        self.offers.get(&self.offer_key()?)
    }

    pub fn proof(&self, account: &AccountName) -> Option<&(Proof, bool)> {
        self.proofs.iter().find(|(proof, _)| proof.account == *account)
    }

    pub fn is_doing(&self, what: Doing) -> bool {
        self.job.as_ref().is_some_and(|job| job.what == what)
    }

    /// The stage that the examination is at.
    pub fn under_way(&self) -> Option<&'static str> {
        let mut open = self.progress.iter().rev();
        open.find(|progress| progress.state == ProgressState::Started).map(|p| p.stage)
    }

    /// Whether letters go into a field.
    pub fn is_typing(&self) -> bool {
        self.form().is_some()
    }

    /// The form that has the keyboard.
    pub fn form(&self) -> Option<&Form> {
        self.form_under(self.top())
    }

    /// The same when the help is looked at: the form that lies beneath it.
    pub fn form_beneath_help(&self) -> Option<&Form> {
        let overs = self.layers.iter().rev().map(|layer| &layer.over);
        self.form_under(overs.into_iter().find(|over| !matches!(over, Overlay::Help)))
    }

    fn form_under<'a>(&'a self, top: Option<&'a Overlay>) -> Option<&'a Form> {
        match top {
            Some(
                Overlay::Password { form, .. }
                | Overlay::Passphrase { form, .. }
                | Overlay::ProofKey { form, .. }
                | Overlay::Save(form)
                | Overlay::Cipher(form)
                | Overlay::AskWhy { form, .. }
                | Overlay::Sure { form, .. },
            ) => Some(form),
            Some(Overlay::Palette(palette)) => Some(&palette.form),
            Some(_) => None,
            None => match &self.place {
                Place::Step(Step::Accounts) if self.roster.typing => Some(&self.roster.filter),
                Place::Workshop(_) => self.workshop.as_ref(),
                Place::Authority(_) => {
                    self.register.as_ref().filter(|r| r.typing).map(|r| &r.filter)
                }
                Place::Step(Step::Server) => self.connect.as_ref(),
                _ => None,
            },
        }
    }

    pub fn form_mut(&mut self) -> Option<&mut Form> {
        match self.layers.last_mut().map(|layer| &mut layer.over) {
            Some(
                Overlay::Password { form, .. }
                | Overlay::Passphrase { form, .. }
                | Overlay::ProofKey { form, .. }
                | Overlay::Save(form)
                | Overlay::Cipher(form)
                | Overlay::AskWhy { form, .. }
                | Overlay::Sure { form, .. },
            ) => Some(form),
            Some(Overlay::Palette(palette)) => Some(&mut palette.form),
            Some(_) => None,
            None => match &self.place {
                Place::Step(Step::Accounts) if self.roster.typing => Some(&mut self.roster.filter),
                Place::Workshop(_) => self.workshop.as_mut(),
                Place::Authority(_) => {
                    self.register.as_mut().filter(|r| r.typing).map(|r| &mut r.filter)
                }
                Place::Step(Step::Server) => self.connect.as_mut(),
                _ => None,
            },
        }
    }
}
