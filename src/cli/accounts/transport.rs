//! `mytls accounts require-transport`: nobody comes in over the network without TLS any more.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::require::{failed, forecast, undo};
use crate::apply::accounts::journal_file;
use crate::apply::remedy::NotPlanned;
use crate::apply::{self, Content, DiffKind, Noting};
use crate::cli::target::TargetArgs;
use crate::cli::{FINDINGS, Failure, print, tell};
use crate::facts::gather::{Cancel, gather};
use crate::printable::{printable, printable_lines};
use crate::remedy::lockout::{self, Proposal};
use crate::remedy::transport;
use crate::rules::encryption::is_off;

/// Let nobody in over the network without TLS (`require_secure_transport`)
///
/// Shows who would be refused; with --yes does it, for now and for the next start: MySQL 8 keeps it by
/// itself (SET PERSIST), for others the option file is written where it can be read (--server-config).
/// Noted in the journal before it is done: mytls undo takes it back.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls accounts require-transport -h db1 --dry-run\n  \
    mytls accounts require-transport -S /run/mysqld/mysqld.sock --server-config /etc/mysql/my.cnf --yes\n\n\
    Exit status: 0 done, or nothing to do; 1 not, or not to the end; 2 bad usage; 3 the server could\n\
    not be asked."
)]
pub struct TransportArgs {
    /// Show what would be done, and do nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Do it even where this very login could not come back
    #[arg(long)]
    lock_me_out: bool,
    #[command(flatten)]
    target: TargetArgs,
}

pub fn run(args: &TransportArgs) -> Result<ExitCode, Failure> {
    if !args.dry_run && !args.yes {
        return Err(Failure::usage("say --dry-run to see who would be refused, or --yes to do it"));
    }
    let target = args.target.resolve()?;
    let facts = gather(&target, &Cancel::default(), &mut |_| ());
    let server = super::server(&facts)?;
    let not = |message: String| Failure { code: FINDINGS, message };
    if server.variable("require_secure_transport").is_none() {
        return Err(not(format!(
            "a server of version {} has no require_secure_transport (MySQL 5.7.8, MariaDB 10.5.2): \
             make its accounts require TLS with mytls accounts require --level ssl",
            server.version
        )));
    }
    if server.is_on("require_secure_transport") {
        print("nothing to do: require_secure_transport is on\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    if is_off(&facts) {
        return Err(not(
            "TLS is off on this server, so that nobody could come in over the network: switch it on \
             first; mytls check says how"
                .to_owned(),
        ));
    }
    let plan =
        apply::remedy::plan(&facts, &transport::require(&facts)).map_err(|why| match why {
            NotPlanned::ByHand(why) => not(why),
            other => not(format!("{other:?}")), // no certificate and no key is asked for
        })?;
    for statement in &plan.statements {
        print(&format!("+ {};\n", printable(&statement.sql)))?;
    }
    for write in &plan.writes {
        print(&format!("  {}\n", printable(&write.path.display().to_string())))?;
        debug_assert!(!matches!(write.content, Content::Key(_)), "options alone are written");
        for line in write.diff.iter().filter(|line| line.kind != DiffKind::Kept) {
            let sign = if line.kind == DiffKind::Added { '+' } else { '-' };
            print(&format!("{sign} {}\n", printable(&line.text)))?;
        }
    }
    let is_kept = plan.statements.iter().any(|statement| statement.sql.starts_with("SET PERSIST"));
    if is_kept {
        tell(format_args!("note: the server keeps it over a restart (mysqld-auto.cnf)\n"));
    } else if plan.writes.is_empty() {
        tell(format_args!(
            "note: this counts until the next start; for later write require_secure_transport = ON \
             under [mysqld] of its option file, or name that with --server-config\n"
        ));
    }
    let predicted = lockout::forecast(&facts, Proposal::SecureTransport);
    print(&forecast(&predicted))?;
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if let (Some(why), false) = (&predicted.own, args.lock_me_out) {
        return Err(failed(&apply::accounts::AccountsError::OwnSession(why.clone())));
    }
    let journal = journal_file().map_err(|error| failed(&error))?;
    let noting = Noting::begin(&journal, &plan, target.display(), server.identity());
    let noting = noting.map_err(|error| failed(&error.into()))?;
    let (applied, error) = match apply::run_noted(&plan, None, Some(&noting), &mut |_| ()) {
        Ok(applied) => (applied, None),
        Err(both) => (both.0, Some(both.1)),
    };
    let mut out = String::new();
    for line in &applied.done {
        let _ = writeln!(out, "{}", printable_lines(line));
    }
    if let Err(error) = noting.end(&applied, error.is_none()) {
        tell(format_args!("how this ended could not be noted in the journal: {error}\n"));
    }
    if !applied.done.is_empty() {
        let _ = writeln!(out, "to take it back: {}", undo(noting.id(), &args.target.words()));
    }
    print(&out)?;
    match error {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => Err(not(format!("not to the end: {error}"))),
    }
}
