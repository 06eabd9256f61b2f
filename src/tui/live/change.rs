//! What accounts require, changed: the journal first, then the statements, then read back.

use std::collections::HashSet;

use super::Live;
use crate::apply::accounts::{self, AccountPlan, Danger};
use crate::apply::{Applied, Plan};
use crate::facts::AccountName;

impl Live {
    /// What accounts require: journal, statements, read back. The second question, where there was
    /// one, has been answered by whoever hands the plan on.
    #[allow(clippy::result_large_err)] // once for each change
    pub(super) fn apply_to_accounts(
        &self,
        plan: &Plan,
        accounts: &AccountPlan,
        told: &mut dyn FnMut(&str),
    ) -> Result<Applied, (Applied, String)> {
        let mut applied = Applied { title: plan.title.clone(), ..Applied::default() };
        let dangers: &[Danger] =
            if plan.asked_again.is_some() { &[Danger::OwnSession] } else { &[] };
        let all = accounts.statements.len();
        let mut sent = |at: usize| {
            // not a line for each of a hundred thousand
            if at == all || at.is_multiple_of(1000) {
                told(&format!("sent {at} of {all} statements"));
            }
        };
        let done = accounts::apply(accounts, self.journal.as_deref(), dangers, &mut sent);
        let done = match done {
            Ok(done) => done,
            Err(error) => return Err((applied, error.to_string())),
        };
        deeds(&mut applied, accounts, &done, self.throwaway);
        match done.error {
            Some(why) => Err((applied, why)),
            None => Ok(applied),
        }
    }
}

/// What was done to accounts, and what takes it back, as the report has it.
fn deeds(applied: &mut Applied, plan: &AccountPlan, done: &accounts::Outcome, throwaway: bool) {
    /// More are not listed one by one.
    const FEW: usize = 20;
    let stored: HashSet<&AccountName> = done.applied.iter().collect();
    let few = plan.changes.len() <= FEW;
    if few {
        let changes = plan.changes.iter().filter(|change| stored.contains(&change.name));
        applied.done.extend(changes.map(|change| {
            let require = change.after.require().unwrap_or_default();
            format!("{} REQUIRE {}, read back", change.name, require.describe())
        }));
    } else if !stored.is_empty() {
        applied.done.push(format!("{} accounts changed and read back", stored.len()));
    }
    for (words, names) in [("as before", &done.left), ("something else is stored", &done.odd)] {
        if !names.is_empty() {
            let first: Vec<String> = names.iter().take(3).map(ToString::to_string).collect();
            let more = if names.len() > 3 { ", …" } else { "" };
            applied.left.push(format!("{words}: {} ({}{more})", names.len(), first.join(", ")));
        }
    }
    if stored.is_empty() && done.odd.is_empty() {
        return;
    }
    if few && done.error.is_none() {
        if !throwaway {
            applied.done.push(format!("noted in the journal: mytls undo {}", done.id));
        }
        applied.undo = plan.undo.iter().map(|statement| format!("{statement};")).collect();
    } else {
        applied.undo.push(format!("mytls undo {}", done.id));
    }
}
