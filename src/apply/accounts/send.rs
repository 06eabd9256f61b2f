//! The statements of a plan, sent one by one, and what the server then stores.

use std::collections::BTreeMap;

use mysql::prelude::Queryable as _;

use super::{AccountPlan, AccountsError, Change, Outcome, names, raw, stored};
use crate::apply::journal::Entry;
use crate::facts::AccountName;
use crate::facts::session::{self, Session};
use crate::printable::printable_lines;

/// The session if it still stands, and why it ended early.
pub(super) type Sent = (Option<Session>, Option<String>);

pub(super) fn send(mut conn: Session, plan: &AccountPlan, told: &mut dyn FnMut(usize)) -> Sent {
    /// So many accounts are looked at together, right before their statements: one by one it took longer
    /// than the statements themselves.
    const TOGETHER: usize = 50;
    let mut changes = plan.changes.iter().enumerate().peekable();
    let mut now = BTreeMap::new();
    for (at, statement) in plan.statements.iter().enumerate() {
        let its_own = |(_, change): &(usize, &Change)| {
            statement.contains(&crate::remedy::statement::account(&change.name))
        };
        if let Some((number, change)) = changes.next_if(its_own) {
            if number.is_multiple_of(TOGETHER) {
                // many take seconds: what somebody else has changed meanwhile is not run over
                let next = plan.changes[number..].iter().take(TOGETHER).map(|change| &change.name);
                now = match raw::some(&mut conn, &next.collect::<Vec<_>>()) {
                    Ok(now) => now,
                    Err(error) => {
                        let why =
                            format!("the accounts could not be read: {}", session::words(&error));
                        let stands = matches!(error, mysql::Error::MySqlError(_));
                        return (stands.then_some(conn), Some(why));
                    }
                };
            }
            if now.get(&change.name) != Some(&change.before) {
                let why = format!(
                    "{} was changed by somebody else in the meantime: it and what follows it was left alone",
                    change.name
                );
                return (Some(conn), Some(why));
            }
        }
        if let Err(error) = conn.query_drop(statement) {
            let why = refusal(statement, &error);
            let stands = matches!(error, mysql::Error::MySqlError(_));
            return (stands.then_some(conn), Some(why));
        }
        told(at + 1);
    }
    (Some(conn), None)
}

/// Why the server would not, and what to do about it.
fn refusal(statement: &str, error: &mysql::Error) -> String {
    let code = match error {
        mysql::Error::MySqlError(error) => error.code,
        _ => 0,
    };
    let advice = match code {
        1290 | 1836 => {
            ": the server takes no changes (read_only, super_read_only): make them on its source, or \
             switch that off first"
        }
        1227 | 1044 | 1045 | 1142 | 1410 => {
            ": log in as an account with CREATE USER (MySQL up to 5.6: GRANT OPTION and SELECT and \
             UPDATE on mysql.*)"
        }
        1133 => {
            ": MySQL does not find an account whose host holds an escaped wildcard (\\_ or \\%) to alter \
             it: give it another host first (RENAME USER), or make it anew (DROP USER, CREATE USER)"
        }
        1396 => ": it may have been dropped in the meantime, or it is a role",
        0 => ": the connection broke",
        _ => "",
    };
    let statement = printable_lines(statement).split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{}, at {statement}{advice}", session::words(error))
}

/// Reads back what is stored, over a new session where the old one broke.
pub(super) fn verify((conn, error): Sent, plan: &AccountPlan, entry: &Entry) -> Outcome {
    let mut outcome = Outcome { error, ..Outcome::default() };
    let all = plan.changes.iter().map(|change| &change.name);
    let read = match conn {
        Some(mut conn) => stored(&mut conn, all),
        None => session::open(&plan.session.0, &plan.session.1)
            .map_err(AccountsError::from)
            .and_then(|mut conn| stored(&mut conn, all)),
    };
    let now = match read {
        Ok(now) => now,
        Err(error) => {
            let why = outcome.error.take().map_or(String::new(), |why| format!("{why}; "));
            outcome.error = Some(format!(
                "{why}and what the accounts have now could not be read: {error}. The journal has what \
                 each had: mytls undo {} finds out which were changed",
                entry.id
            ));
            return outcome;
        }
    };
    for change in &plan.changes {
        let name = change.name.clone();
        match now.get(&change.name) {
            Some(raw) if *raw == change.after => outcome.applied.push(name),
            Some(raw) if *raw == change.before => outcome.left.push(name),
            _ => outcome.odd.push(name),
        }
    }
    if outcome.error.is_none() && !(outcome.left.is_empty() && outcome.odd.is_empty()) {
        let lost: Vec<AccountName> = outcome.left.iter().chain(&outcome.odd).cloned().collect();
        outcome.error =
            Some(format!("the server said yes and stores something else for {}", names(&lost)));
    }
    outcome
}
