//! What accounts REQUIRE, changed and taken back: the exact way back is in the journal before the
//! first statement is sent, and what the server stores is read back afterwards.
//!
//! A change that was cut off needs nothing to be resumed: the journal holds what each account had
//! and was to have, and the server says which of them it has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mysql::Conn;
use serde::{Deserialize, Serialize};
use thiserror::Error;

mod lock;
pub mod raw;
mod send;
mod undo;

use send::{send, verify};

pub use raw::Raw;
pub use undo::{Standing, TakeBack, take_back};

use super::journal::{self, Entry};
use super::{Applied, DiffKind, DiffLine};
use crate::disk::DiskError;
use crate::facts::session::{self, Route};
use crate::facts::{AccountName, Facts, Require, Target};
use crate::remedy::lockout::{self, Forecast, Proposal};
use crate::remedy::statement::{Dialect, Form};

/// One account, before and after; as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub name: AccountName,
    pub before: Raw,
    pub after: Raw,
}

/// Everything that is going to be sent, before any of it is.
#[derive(Clone, Debug)]
pub struct AccountPlan {
    pub title: String,
    /// Those that change, in the order of the statements: what closes goes before what opens.
    pub changes: Vec<Change>,
    /// Those that have what was asked for already.
    pub unchanged: Vec<AccountName>,
    pub statements: Vec<String>,
    /// What gives the accounts back what they had, for people: `mytls undo` writes its own.
    pub undo: Vec<String>,
    pub warnings: Vec<String>,
    pub forecast: Forecast,
    pub session: (Target, Route),
    /// The server, whichever way it is reached; empty where it does not tell.
    pub server: String,
}

/// What somebody has to say yes to in so many words, apart from the change itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Danger {
    /// The session that makes the change could not come back.
    OwnSession,
}

/// What became of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// By which `mytls undo` finds it.
    pub id: String,
    /// Read back, and stored as was asked for.
    pub applied: Vec<AccountName>,
    /// As they were before.
    pub left: Vec<AccountName>,
    /// Neither: what the server stored is something else.
    pub odd: Vec<AccountName>,
    /// Why it ended early.
    pub error: Option<String>,
}

#[derive(Debug, Error)]
pub enum AccountsError {
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("there is no session with the server to send statements on")]
    NoSession,
    #[error("{0}")]
    Session(#[from] session::SessionError),
    #[error("what the accounts require could not be read: {why}; it takes SELECT on mysql.user")]
    Read { why: String },
    #[error("the server has no account {}; mytls accounts lists those it has", names(.0))]
    Missing(Vec<AccountName>),
    #[error("what is stored for {} was written by hand, and no statement could bring it back: set its REQUIRE yourself", names(.0))]
    ByHand(Vec<AccountName>),
    #[error("{} changed since this was shown; nothing was changed: look again", names(.0))]
    Changed(Vec<AccountName>),
    #[error(
        "another mytls is changing accounts of this server at this moment; nothing was changed: wait until it has ended"
    )]
    Busy,
    #[error("not done, because {0}")]
    OwnSession(String),
    #[error(
        "nothing was changed, because there is no folder for the journal that takes it back: set HOME or XDG_STATE_HOME"
    )]
    NoJournal,
}

/// `app@%, web@10.0.% and 3 more`
fn names(names: &[AccountName]) -> String {
    const SHOWN: usize = 3;
    let first: Vec<String> = names.iter().take(SHOWN).map(ToString::to_string).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// What would be sent so that these accounts require that. Reads what is stored, changes nothing.
pub fn plan(
    facts: &Facts,
    orders: &[(AccountName, Require)],
) -> Result<AccountPlan, AccountsError> {
    plan_as(facts, orders, Form::Alter)
}

/// The same with the statements written in this form, where the server has it.
pub fn plan_as(
    facts: &Facts,
    orders: &[(AccountName, Require)],
    form: Form,
) -> Result<AccountPlan, AccountsError> {
    let server = facts.server.read().ok_or(AccountsError::NoSession)?;
    let (target, route) = super::Plan::session_of(facts).ok_or(AccountsError::NoSession)?;
    let mut conn = session::open(&target, &route)?;
    let stored = stored(&mut conn, orders.iter().map(|(name, _)| name))?;
    let (mut missing, mut by_hand, mut unchanged) = (Vec::new(), Vec::new(), Vec::new());
    let mut changes = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, require) in orders.iter().filter(|(name, _)| seen.insert(name)) {
        let Some(before) = stored.get(name) else {
            missing.push(name.clone());
            continue;
        };
        let after = Raw::of(require);
        if *before == after {
            unchanged.push(name.clone());
        } else if before.require().is_none() {
            by_hand.push(name.clone());
        } else {
            changes.push(Change { name: name.clone(), before: before.clone(), after });
        }
    }
    if !missing.is_empty() {
        return Err(AccountsError::Missing(missing));
    }
    if !by_hand.is_empty() {
        return Err(AccountsError::ByHand(by_hand));
    }
    let dialect = Dialect::of(server);
    let (statements, mut warnings) = statements(dialect, &mut changes, form);
    let mut back: Vec<Change> = changes.iter().map(Change::reversed).collect();
    let (undo, _) = self::statements(dialect, &mut back, form);
    let opened: Vec<AccountName> = changes
        .iter()
        .filter(|change| strength(&change.after) < strength(&change.before))
        .map(|change| change.name.clone())
        .collect();
    if !opened.is_empty() {
        warnings.push(format!("asks for less than before: {}", names(&opened)));
    }
    let orders: Vec<(AccountName, Require)> = changes
        .iter()
        .filter_map(|change| Some((change.name.clone(), change.after.require()?)))
        .collect();
    let title = match changes.as_slice() {
        [one] => format!("what {} requires", one.name),
        more => format!("what {} accounts require", more.len()),
    };
    Ok(AccountPlan {
        title,
        changes,
        unchanged,
        statements,
        undo,
        warnings,
        forecast: lockout::forecast(facts, Proposal::Require(&orders)),
        session: (target, route),
        server: server.identity(),
    })
}

/// One statement for each change, and around them what the session needs; the changes come to stand
/// in the order of the statements. Each replaces a whole clause, so an account is never open in
/// between.
fn statements(dialect: Dialect, changes: &mut [Change], form: Form) -> (Vec<String>, Vec<String>) {
    changes.sort_by_key(|change| strength(&change.after) < strength(&change.before));
    let orders: Vec<(&AccountName, Require)> = changes
        .iter()
        .map(|change| {
            // a hollow clause is put in its place below
            (&change.name, change.after.require().unwrap_or_default())
        })
        .collect();
    let orders = orders.iter().map(|(name, require)| (std::slice::from_ref(*name), require));
    let mut written = dialect.script(orders, form);
    for change in changes.iter().filter(|change| change.after.is_hollow()) {
        // what the statements of this program never ask for, and an account may have all the same
        let name = crate::remedy::statement::account(&change.name);
        for statement in &mut written.statements {
            if let Some(head) = statement.strip_suffix(" REQUIRE X509")
                && head.ends_with(&format!(" {name}"))
            {
                *statement = format!("{head} REQUIRE SUBJECT ''");
            }
        }
    }
    (written.statements, written.warnings)
}

fn strength(raw: &Raw) -> u8 {
    match raw.kind.as_str() {
        // to MariaDB an empty name is any TLS
        _ if raw.is_hollow() => 1,
        "" => 0,
        "ANY" => 1,
        "X509" => 2,
        _ => 3,
    }
}

impl AccountPlan {
    /// What has to be acknowledged besides the change itself.
    pub fn danger(&self) -> Option<Danger> {
        self.forecast.own.as_ref().map(|_| Danger::OwnSession)
    }

    /// What a lock of this server's accounts is named after.
    fn place(&self) -> String {
        if self.server.is_empty() { self.session.0.display() } else { self.server.clone() }
    }

    /// The clauses before and after, as a diff.
    pub fn diff(&self) -> Vec<DiffLine> {
        self.changes.iter().zip(1..).flat_map(|(change, number)| change.diff(number)).collect()
    }
}

impl Change {
    fn reversed(&self) -> Self {
        Self { name: self.name.clone(), before: self.after.clone(), after: self.before.clone() }
    }

    pub fn diff(&self, number: usize) -> Vec<DiffLine> {
        let line = |kind, raw: &Raw| DiffLine { number, kind, text: raw.clause() };
        vec![
            DiffLine { number, kind: DiffKind::Kept, text: self.name.to_string() },
            line(DiffKind::Removed, &self.before),
            line(DiffKind::Added, &self.after),
        ]
    }
}

/// Does it: notes the way back, sends, reads back. `dangers` are those that somebody has said yes
/// to. An error of this function means that nothing was changed.
pub fn apply(
    plan: &AccountPlan,
    journal: Option<&Path>,
    dangers: &[Danger],
    told: &mut dyn FnMut(usize),
) -> Result<Outcome, AccountsError> {
    if let (Some(why), false) = (&plan.forecast.own, dangers.contains(&Danger::OwnSession)) {
        return Err(AccountsError::OwnSession(why.clone()));
    }
    let journal = journal.ok_or(AccountsError::NoJournal)?;
    let (target, route) = &plan.session;
    let _lock = lock::take(journal, &plan.place())?;
    let mut conn = session::open(target, route)?;
    let now = stored(&mut conn, plan.changes.iter().map(|change| &change.name))?;
    let moved: Vec<AccountName> = plan
        .changes
        .iter()
        .filter(|change| now.get(&change.name) != Some(&change.before))
        .map(|change| change.name.clone())
        .collect();
    if !moved.is_empty() {
        return Err(AccountsError::Changed(moved));
    }
    let mut entry =
        Entry::new(target.display(), Applied { title: plan.title.clone(), ..Applied::default() });
    entry.accounts.clone_from(&plan.changes);
    entry.server.clone_from(&plan.server);
    journal::append(journal, &entry)?;
    let sent = send(conn, plan, told);
    let mut outcome = verify(sent, plan, &entry);
    outcome.id.clone_from(&entry.id);
    let state = match (outcome.applied.is_empty(), &outcome.error) {
        (_, None) => journal::State::Applied,
        (true, Some(_)) if outcome.odd.is_empty() && outcome.left.len() == plan.changes.len() => {
            journal::State::Undone
        }
        _ => journal::State::Partly,
    };
    if let Err(error) = journal::mark(journal, &entry.id, state) {
        outcome.error.get_or_insert(format!(
            "done, and the journal could not be told so: {error}; mytls undo finds out by itself"
        ));
    }
    Ok(outcome)
}

fn stored<'a>(
    conn: &mut Conn,
    names: impl Iterator<Item = &'a AccountName>,
) -> Result<std::collections::BTreeMap<AccountName, Raw>, AccountsError> {
    let names: BTreeSet<&AccountName> = names.collect();
    raw::read(conn, &names).map_err(|error| AccountsError::Read { why: session::words(&error) })
}

/// Where a replica stores something else than was applied here; empty when it holds the same bytes.
/// Waits a little for what is on its way.
pub fn differing_on(facts: &Facts, changes: &[Change]) -> Result<Vec<AccountName>, AccountsError> {
    const PATIENCE: u32 = 20;
    let (target, route) = super::Plan::session_of(facts).ok_or(AccountsError::NoSession)?;
    let mut conn = session::open(&target, &route)?;
    let mut differing = Vec::new();
    for _ in 0..PATIENCE {
        let now = stored(&mut conn, changes.iter().map(|change| &change.name))?;
        differing = changes
            .iter()
            .filter(|change| now.get(&change.name) != Some(&change.after))
            .map(|change| change.name.clone())
            .collect();
        if differing.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(250));
    }
    Ok(differing)
}

/// The journal, or why there is none.
pub fn journal_file() -> Result<PathBuf, AccountsError> {
    journal::default_file().ok_or(AccountsError::NoJournal)
}
