//! `mytls accounts`: who may log in and how they come in; and `mytls accounts require`, which
//! changes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::check::Format;
use super::target::TargetArgs;
use super::{Failure, print, tell};
use crate::facts::gather::{Cancel, gather};
use crate::facts::{Account, AccountName, Carrier, Facts, Require, ServerFacts};
use crate::printable::{printable, printable_json};
use crate::remedy::arrivals::Arrivals;

mod json;
mod require;
mod transport;

pub(super) use require::{failed as refused, list, outcome, preview};

/// List accounts: what each requires, and how its sessions come in now
///
/// What the login may not see is left out, with the privilege that would show it.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  mytls accounts -h db1 --filter app\n  \
    mytls accounts -h db1 --format json | jq '.accounts[] | select(.require == \"NONE\")'\n  \
    mytls accounts require --level ssl --user app@% --dry-run -h db1\n\n\
    Exit status: 0 listed, 2 bad usage, 3 the accounts could not be read."
)]
pub struct AccountsArgs {
    #[command(subcommand)]
    command: Option<Change>,
    /// Only those with this text in their line
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Make accounts require something else: shown first, noted for undo, read back
    Require(require::RequireArgs),
    RequireTransport(transport::TransportArgs),
}

pub fn run(args: &AccountsArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        Some(Change::Require(args)) => return require::run(args),
        Some(Change::RequireTransport(args)) => return transport::run(args),
        None => {}
    }
    let facts = gather(&args.target.resolve()?, &Cancel::default(), &mut |_| ());
    let server = server(&facts)?;
    let accounts = server.accounts.read();
    let accounts: Vec<&Account> = accounts
        .into_iter()
        .flatten()
        .chain(&server.own_account)
        .filter(|account| fits(account, args.filter.as_deref()))
        .collect();
    let sessions = Arrivals::of(server);
    let hidden = server.sessions.read().is_none()
        && server.unseen.iter().any(|what| what.contains("sessions"));
    match args.format {
        Format::Text => print(&text(&accounts, &sessions, hidden))?,
        Format::Json => print(&json(server, &accounts, &sessions, hidden)?)?,
    }
    let open =
        accounts.iter().filter(|one| one.is_for_the_network() && one.require == Require::None);
    let open = open.count();
    if open > 0 && args.format == Format::Text {
        tell(format_args!(
            "note: {open} of these may log in from elsewhere and require nothing: mytls check says what each \
             should, mytls accounts require asks for it\n"
        ));
    }
    if let (true, Some(text)) = (accounts.is_empty(), &args.filter) {
        tell(format_args!("no account has {} in its line\n", printable(text)));
    }
    for unseen in unseen(server) {
        tell(format_args!("not seen: {unseen}\n"));
    }
    if server.accounts.read().is_none() {
        return Err(Failure::not_examined(format!(
            "logged in as {}, which may read no account but its own: GRANT SELECT ON mysql.* shows them, \
             and PROCESS and SELECT on performance_schema how their sessions come in",
            server.current_user
        )));
    }
    Ok(ExitCode::SUCCESS)
}

/// The server's own word, or the failure that says why there is none.
pub(super) fn server(facts: &Facts) -> Result<&ServerFacts, Failure> {
    facts.server.read().ok_or_else(|| {
        let unread = facts.server.reason();
        let why = unread.map_or("there is none", |unread| unread.why.as_str());
        let advice = unread.map_or("", |unread| unread.advice.as_str());
        let advice = if advice.is_empty() { String::new() } else { format!("\n  {advice}") };
        Failure::not_examined(format!("the server cannot be asked: {why}{advice}"))
    })
}

/// What is not seen, each with what would show it.
fn unseen(server: &ServerFacts) -> Vec<String> {
    let reasons = [server.accounts.reason(), server.sessions.reason()];
    let reasons = reasons.into_iter().flatten().map(|unread| match unread.advice.as_str() {
        "" => unread.why.clone(),
        advice => format!("{}; {advice}", unread.why),
    });
    reasons.chain(server.unseen.iter().cloned()).collect()
}

fn fits(account: &Account, text: Option<&str>) -> bool {
    let Some(text) = text else { return true };
    let text = text.to_lowercase();
    let AccountName { user, host } = &account.name;
    let require = account.require.describe();
    format!("{user}@{host}").to_lowercase().contains(&text)
        || [account.plugin.as_str(), &require, &state(account)]
            .iter()
            .any(|part| part.to_lowercase().contains(&text))
}

fn state(account: &Account) -> String {
    let more = &account.more;
    let mut words = Vec::new();
    if account.locked && more.is_role {
        words.push("role".to_owned());
    } else if account.locked {
        words.push("locked".to_owned());
    }
    if more.password_expired {
        words.push("password expired".to_owned());
    }
    if !more.roles.is_empty() {
        words.push(format!("roles {}", printable(&more.roles.join(" "))));
    }
    words.join(", ")
}

fn plugins(account: &Account) -> String {
    let mut all = vec![account.plugin.as_str()];
    all.extend(account.more.or_plugins.iter().map(String::as_str));
    let factors = account.more.factors.iter().map(|plugin| format!(" and {plugin}"));
    let text = all.join(" or ") + &factors.collect::<String>();
    printable(&text).into_owned()
}

fn text(accounts: &[&Account], sessions: &Arrivals, hidden: bool) -> String {
    let rows: Vec<[String; 5]> = accounts
        .iter()
        .map(|account| {
            [
                account.name.to_string(),
                account.require.describe(),
                match sessions.words(&account.name) {
                    none if none.is_empty() && hidden => "?".to_owned(),
                    words => words,
                },
                plugins(account),
                state(account),
            ]
        })
        .collect();
    let head = ["ACCOUNT", "REQUIRE", "SESSIONS", "PLUGIN", ""].map(str::to_owned);
    let width = |at: usize| {
        let all = rows.iter().chain([&head]).map(|row| row[at].chars().count());
        all.max().unwrap_or(0).min(60)
    };
    let widths = [width(0), width(1), width(2), width(3)];
    let mut out = String::new();
    for row in [&head].into_iter().chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        line += &row[4];
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

#[derive(Serialize)]
struct Listed<'a> {
    account: String,
    user: &'a str,
    host: &'a str,
    require: String,
    clause: &'a Require,
    plugins: Vec<&'a str>,
    locked: bool,
    #[serde(flatten)]
    more: &'a crate::facts::More,
    /// `None` where those of others are not shown.
    sessions: Option<BTreeMap<Carrier, usize>>,
}

fn json(
    server: &ServerFacts,
    accounts: &[&Account],
    sessions: &Arrivals,
    hidden: bool,
) -> Result<String, Failure> {
    let list = accounts.iter().map(|account| Listed {
        account: account.name.to_string(),
        user: &account.name.user,
        host: &account.name.host,
        require: account.require.describe(),
        clause: &account.require,
        plugins: std::iter::once(&account.plugin)
            .chain(&account.more.or_plugins)
            .map(String::as_str)
            .filter(|plugin| !plugin.is_empty())
            .collect(),
        locked: account.locked,
        more: &account.more,
        sessions: match sessions.by(&account.name) {
            None if hidden => None,
            known => Some(known.cloned().unwrap_or_default()),
        },
    });
    let object = serde_json::json!({
        "schema": 1,
        "tool": concat!("mytls ", env!("CARGO_PKG_VERSION")),
        "server": { "flavor": server.flavor.name(), "version": server.version.to_string() },
        "accounts": list.collect::<Vec<_>>(),
        "unseen": unseen(server),
    });
    let text = serde_json::to_string_pretty(&object)
        .map_err(|error| Failure::not_examined(format!("the list cannot be written: {error}")))?;
    Ok(printable_json(&text) + "\n")
}
