//! Taking back what the journal says of accounts, whatever became of it.

use std::collections::BTreeSet;
use std::path::Path;

use super::{AccountPlan, AccountsError, Change, Danger, Outcome, Raw};
use crate::apply::Plan;
use crate::apply::journal::{self, Entry, State};
use crate::facts::{AccountName, Facts, session};
use crate::remedy::lockout::{Proposal, forecast};
use crate::remedy::statement::{Dialect, Form};

/// How an account of an entry stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As the change left it: can be taken back.
    Applied,
    /// As before: the change never got to it, or was taken back.
    Before,
    /// Somebody has changed it since; what it had then is not what they want now.
    Changed,
    Gone,
}

/// What taking an entry back would do.
#[derive(Clone, Debug)]
pub struct TakeBack {
    pub id: String,
    /// The way back, as a plan of its own.
    pub plan: AccountPlan,
    pub before: Vec<AccountName>,
    pub changed: Vec<AccountName>,
    pub gone: Vec<AccountName>,
    /// All that the entry is about.
    all: Vec<Change>,
}

/// Looks at how the entry's accounts stand, and writes the way back for those that stand as the
/// change left them. Changes nothing.
pub fn take_back(facts: &Facts, entry: &Entry) -> Result<TakeBack, AccountsError> {
    let server = facts.server.read().ok_or(AccountsError::NoSession)?;
    let (target, route) = Plan::session_of(facts).ok_or(AccountsError::NoSession)?;
    let mut conn = session::open(&target, &route)?;
    let now = super::stored(&mut conn, entry.accounts.iter().map(|change| &change.name))?;
    let (mut before, mut changed, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    let mut back = Vec::new();
    for change in &entry.accounts {
        let name = change.name.clone();
        match standing(change, now.get(&change.name)) {
            Standing::Applied => back.push(Change {
                name,
                before: change.after.clone(),
                after: change.before.clone(),
            }),
            Standing::Before => before.push(name),
            Standing::Changed => changed.push(name),
            Standing::Gone => gone.push(name),
        }
    }
    let (statements, warnings) = super::statements(Dialect::of(server), &mut back, Form::Alter);
    let orders: Vec<_> = back
        .iter()
        .map(|change| (change.name.clone(), change.after.require().unwrap_or_default()))
        .collect();
    let plan = AccountPlan {
        title: format!("takes back {}: {}", entry.id, entry.applied.title),
        changes: back,
        unchanged: Vec::new(),
        statements,
        undo: Vec::new(),
        warnings,
        forecast: forecast(facts, Proposal::Require(&orders)),
        session: (target, route),
        server: server.identity(),
    };
    let all = entry.accounts.clone();
    Ok(TakeBack { id: entry.id.clone(), plan, before, changed, gone, all })
}

fn standing(change: &Change, now: Option<&Raw>) -> Standing {
    match now {
        None => Standing::Gone,
        Some(raw) if *raw == change.after => Standing::Applied,
        Some(raw) if *raw == change.before => Standing::Before,
        Some(_) => Standing::Changed,
    }
}

impl TakeBack {
    /// Does it. It is no entry of its own: taken back again, an entry would be applied anew; and cut
    /// off, it is simply done once more.
    pub fn run(
        &self,
        journal: &Path,
        dangers: &[Danger],
        told: &mut dyn FnMut(usize),
    ) -> Result<Outcome, AccountsError> {
        if let (Some(why), false) = (&self.plan.forecast.own, dangers.contains(&Danger::OwnSession))
        {
            return Err(AccountsError::OwnSession(why.clone()));
        }
        let (target, route) = &self.plan.session;
        let _lock = super::lock::take(journal, &self.plan.place())?;
        let mut conn = session::open(target, route)?;
        // since it was looked at, another program may have gone on with the change itself
        let now = super::stored(&mut conn, self.all.iter().map(|change| &change.name))?;
        let stands = |change: &&Change| standing(change, now.get(&change.name));
        let seen: BTreeSet<&AccountName> =
            self.plan.changes.iter().map(|change| &change.name).collect();
        let moved: Vec<AccountName> = self
            .all
            .iter()
            .filter(|change| (stands(change) == Standing::Applied) != seen.contains(&change.name))
            .map(|change| change.name.clone())
            .collect();
        if !moved.is_empty() {
            return Err(AccountsError::Changed(moved));
        }
        let sent = super::send(conn, &self.plan, told);
        let entry = Entry { id: self.id.clone(), ..Entry::default() };
        let mut outcome = super::verify(sent, &self.plan, &entry);
        outcome.id.clone_from(&self.id);
        let whole = outcome.error.is_none() && self.changed.is_empty();
        let state = if whole { State::Undone } else { State::Partly };
        journal::mark(journal, &self.id, state)?;
        Ok(outcome)
    }
}
