//! `mytls accounts require`: what `mytls grant` prints, shown as a change, and made.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::json;
use crate::apply::accounts::{self, AccountPlan, AccountsError, Danger, Outcome};
use crate::apply::{DiffKind, DiffLine};
use crate::cli::{FINDINGS, Failure, grant, print, tell};
use crate::facts::gather::{Cancel, gather};
use crate::facts::{AccountName, OtherSession, ServerFacts, Target};
use crate::printable::{printable, printable_lines};
use crate::remedy::lockout::Forecast;
use crate::remedy::shell;

/// Make accounts require something else
///
/// Shows the change, and who would be refused; with --yes makes it. What each account had is noted
/// first (mytls undo takes it back), and what the server stores is read back and compared.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    mut_arg("user", |login| login.long(None)),
    mut_arg("form", |arg| arg.hide(true)),
    mut_arg("dialect", |arg| arg.hide(true)),
    after_help = "Examples:\n  mytls accounts require --cert app.pem --user app@% --dry-run -h db1\n  \
    mytls accounts require --level ssl --user app@% --user web@% --yes -h db1\n  \
    mytls accounts require --ca-dir ~/db-ca --yes -h db1     each its own certificate\n\n\
    The options are those of mytls grant. Exit status: 0 done, or nothing to do; 1 not, or not to\n\
    the end; 2 bad usage; 3 the server could not be asked."
)]
pub struct RequireArgs {
    #[command(flatten)]
    grant: grant::GrantArgs,
    /// Show what would be done, and do nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Do it even where this very login could not come back
    #[arg(long)]
    lock_me_out: bool,
    /// A replica that is to hold the same afterwards, as HOST or HOST:PORT; may be given several times
    #[arg(long, value_name = "HOST")]
    replica: Vec<String>,
}

pub fn run(args: &RequireArgs) -> Result<ExitCode, Failure> {
    if !args.dry_run && !args.yes {
        return Err(Failure::usage(
            "say --dry-run to see what would be done and who would be refused, or --yes to do it",
        ));
    }
    let wanted = grant::wanted(&args.grant)?;
    let plan = accounts::plan(&wanted.facts, &wanted.orders).map_err(|error| failed(&error))?;
    let warnings: Vec<String> = wanted.warnings.iter().chain(&plan.warnings).cloned().collect();
    let as_json = args.grant.wants_json();
    for warning in warnings.iter().filter(|_| !as_json) {
        tell(format_args!("warning: {}\n", printable_lines(warning)));
    }
    if !as_json {
        print(&preview(&plan))?;
    }
    let done = if plan.changes.is_empty() || args.dry_run {
        None
    } else {
        let dangers: &[Danger] = if args.lock_me_out { &[Danger::OwnSession] } else { &[] };
        let journal = accounts::journal_file().map_err(|error| failed(&error))?;
        Some(accounts::apply(&plan, Some(&journal), dangers, &mut |_| ()))
    };
    let changed = done.as_ref().and_then(|done| done.as_ref().ok());
    if let (Some(changed), false) = (changed, as_json) {
        print(&outcome(changed, "changed", &args.grant.target.words()))?;
    }
    let mut replicas = Vec::new();
    for replica in args.replica.iter().filter(|_| changed.is_some()) {
        replicas.push((replica.as_str(), compare(args, replica, &plan)?));
    }
    let server = super::server(&wanted.facts)?;
    if as_json {
        print(&json::report(server, &plan, &warnings, done.as_ref(), &replicas)?)?;
    } else {
        tell_of_replicas(server, &replicas, changed.is_some() && args.replica.is_empty())?;
    }
    let well = match done {
        Some(Err(error)) => return Err(failed(&error)),
        Some(Ok(done)) => done.error.is_none() && replicas.iter().all(|(_, said)| said.is_ok()),
        None => true,
    };
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

fn tell_of_replicas(
    server: &ServerFacts,
    replicas: &[json::Replica<'_>],
    unasked: bool,
) -> Result<(), Failure> {
    for (replica, said) in replicas {
        let shown = printable(replica);
        match said {
            Ok(()) => print(&format!("replica {shown}: holds the same bytes\n"))?,
            Err(why) => tell(format_args!("replica {shown}: {}\n", printable_lines(why))),
        }
    }
    let sessions = server.sessions.read();
    if unasked && sessions.is_some_and(|all| all.iter().any(OtherSession::is_replica)) {
        tell(format_args!(
            "note: this server has replicas; whether they hold the same bytes, mytls accounts require … \
             --replica HOST says, or on each: SELECT user, host, ssl_type, x509_subject, x509_issuer \
             FROM mysql.user\n"
        ));
    }
    Ok(())
}

/// How long a replica may take to have what its source has.
const LAG: Duration = Duration::from_secs(5);

/// Whether a replica holds the same; the inner error says what of it does not, or why that is not known.
fn compare(
    args: &RequireArgs,
    replica: &str,
    plan: &AccountPlan,
) -> Result<Result<(), String>, Failure> {
    let (host, port) = match replica.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => {
            let port = port.parse().map_err(|_| {
                Failure::usage(format!("{}: the port must be a number", printable(replica)))
            })?;
            (host, Some(port))
        }
        _ => (replica, None),
    };
    let target = args.grant.target.resolve()?;
    let target = Target {
        host: Some(host.to_owned()),
        port: port.or(target.port),
        socket: None,
        server_config: None,
        ..target
    };
    let look = || {
        let facts = gather(&target, &Cancel::default(), &mut |_| ());
        match super::server(&facts) {
            Err(failure) => Err(failure.message),
            Ok(_) => {
                accounts::differing_on(&facts, &plan.changes).map_err(|error| error.to_string())
            }
        }
    };
    // a replica is a moment behind
    let deadline = Instant::now() + LAG;
    let mut said = look();
    while said.as_ref().is_ok_and(|differing| !differing.is_empty()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(250));
        said = look();
    }
    Ok(match said {
        Ok(differing) if differing.is_empty() => Ok(()),
        Ok(differing) => Err(format!(
            "holds something else for {} after {} s: it is behind, does not replicate accounts, or was \
             changed by itself",
            list(&differing),
            LAG.as_secs()
        )),
        Err(why) => Err(format!("could not be compared: {why}")),
    })
}

/// A failure with the status that fits: what was refused for a reason of its own is no bad usage.
pub(in crate::cli) fn failed(error: &AccountsError) -> Failure {
    match error {
        AccountsError::OwnSession(_) => Failure {
            code: FINDINGS,
            message: format!(
                "{error}\n  nothing was changed. Log in so that you can come back (TLS: -h and --ssl-ca, \
                 with --ssl-cert where a certificate is required), keep another way in open, or say \
                 --lock-me-out"
            ),
        },
        AccountsError::Missing(_) => Failure::usage(error.to_string()),
        AccountsError::Changed(_) | AccountsError::ByHand(_) | AccountsError::Busy => {
            Failure { code: FINDINGS, message: error.to_string() }
        }
        _ => Failure::not_examined(error.to_string()),
    }
}

/// The change as a diff, and who would be refused.
pub(in crate::cli) fn preview(plan: &AccountPlan) -> String {
    let mut out = String::new();
    if plan.changes.is_empty() {
        out += "nothing to do: every account has this already\n";
    }
    for DiffLine { kind, text, .. } in plan.diff() {
        let sign = match kind {
            DiffKind::Kept => ' ',
            DiffKind::Removed => '-',
            DiffKind::Added => '+',
        };
        let _ = writeln!(out, "{sign} {}", printable(&text));
    }
    out + &forecast(&plan.forecast)
}

pub(super) fn forecast(forecast: &Forecast) -> String {
    let mut out = String::new();
    let groups = [("would be refused", &forecast.refused), ("cannot be seen", &forecast.unclear)];
    for (head, groups) in groups {
        if !groups.is_empty() {
            let _ = writeln!(out, "{head}:");
        }
        for group in groups {
            let _ = writeln!(out, "  {group}");
        }
    }
    for line in forecast.absent.iter().chain(&forecast.notes) {
        let _ = writeln!(out, "note: {}", printable(line));
    }
    if let Some(own) = &forecast.own {
        let _ = writeln!(out, "YOURSELF: {}", printable(own));
    }
    out
}

/// What became of it.
///
/// `way`: the options that lead to this server again.
pub(in crate::cli) fn outcome(done: &Outcome, verb: &str, way: &[String]) -> String {
    let mut out = format!("{verb} and read back: {}\n", count(done.applied.len()));
    if !done.left.is_empty() {
        let _ = writeln!(out, "as before: {}: {}", count(done.left.len()), list(&done.left));
    }
    if !done.odd.is_empty() {
        let _ = writeln!(out, "something else is stored: {}", list(&done.odd));
    }
    if let Some(error) = &done.error {
        let _ = writeln!(out, "not to the end: {}", printable_lines(error));
    }
    let untouched = done.applied.is_empty() && done.odd.is_empty() && !done.left.is_empty();
    if verb == "changed" && !untouched {
        let _ = writeln!(out, "to take it back: {}", undo(&done.id, way));
    }
    out
}

/// The command that takes a change back, as it can be run.
pub(super) fn undo(id: &str, way: &[String]) -> String {
    let way = way.iter().map(|word| shell::word(word));
    let words = [format!("mytls undo {id} --yes")].into_iter().chain(way);
    words.collect::<Vec<_>>().join(" ")
}

fn count(number: usize) -> String {
    format!("{number} account{}", if number == 1 { "" } else { "s" })
}

pub(in crate::cli) fn list(names: &[AccountName]) -> String {
    const SHOWN: usize = 5;
    let first: Vec<String> = names.iter().take(SHOWN).map(ToString::to_string).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
