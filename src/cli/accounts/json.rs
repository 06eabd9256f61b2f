//! `mytls accounts require --format json`: one object, whatever comes of it.

use serde_json::{Value, json};

use crate::apply::accounts::{AccountPlan, AccountsError, Change, Outcome};
use crate::cli::Failure;
use crate::facts::{AccountName, ServerFacts};
use crate::printable::printable_json;

/// What a replica holds afterwards: the same, or why that is not known or not so.
pub(super) type Replica<'a> = (&'a str, Result<(), String>);

/// The change, who would be refused, and what came of it; `done` is `None` where nothing was to be done.
pub(super) fn report(
    server: &ServerFacts,
    plan: &AccountPlan,
    warnings: &[String],
    done: Option<&Result<Outcome, AccountsError>>,
    replicas: &[Replica<'_>],
) -> Result<String, Failure> {
    let outcome = done.and_then(|done| done.as_ref().ok());
    let error = match done {
        Some(Err(error)) => Some(error.to_string()),
        _ => outcome.and_then(|outcome| outcome.error.clone()),
    };
    let accounts = plan.changes.iter().map(|change| account(change, outcome));
    let unchanged = plan.unchanged.iter().map(|name| {
        json!({ "account": name.to_string(), "user": name.user, "host": name.host, "outcome": "as asked already" })
    });
    let object = json!({
        "schema": 1,
        "tool": concat!("mytls ", env!("CARGO_PKG_VERSION")),
        "server": { "flavor": server.flavor.name(), "version": server.version.to_string() },
        "accounts": accounts.chain(unchanged).collect::<Vec<_>>(),
        "statements": plan.statements,
        "forecast": plan.forecast,
        "warnings": warnings,
        "undo": outcome.map(|outcome| &outcome.id),
        "applied": outcome.map(|outcome| outcome.applied.len()),
        "verified": outcome.map(|outcome| {
            outcome.error.is_none() && outcome.applied.len() == plan.changes.len()
        }),
        "error": error,
        "replicas": replicas.iter().map(|(name, said)| json!({
            "replica": name,
            "same": said.is_ok(),
            "why": said.as_ref().err(),
        })).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&object)
        .map_err(|error| Failure::not_examined(format!("the report cannot be written: {error}")))?;
    Ok(printable_json(&text) + "\n")
}

fn account(change: &Change, outcome: Option<&Outcome>) -> Value {
    let is_in = |list: &[AccountName]| list.contains(&change.name);
    let became = outcome.map(|outcome| match outcome {
        all if is_in(&all.applied) => "changed",
        all if is_in(&all.left) => "as before",
        all if is_in(&all.odd) => "something else",
        _ => "not known",
    });
    json!({
        "account": change.name.to_string(),
        "user": change.name.user,
        "host": change.name.host,
        "before": change.before,
        "before_clause": change.before.clause(),
        "after": change.after,
        "after_clause": change.after.clause(),
        "outcome": became.unwrap_or("not done"),
    })
}
