//! `mytls config apply`

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::plan::{live, say};
use super::reload::{Served, serves, serves_admin, up_again};
use super::{WishArgs, edited, look, tell_tried};
use crate::apply::accounts::journal_file;
use crate::apply::config::{Done, carry_out, put_back};
use crate::cli::target::TargetArgs;
use crate::cli::{FINDINGS, Failure, print, tell};
use crate::printable::{printable, printable_lines};
use crate::remedy::{lockout, shell};
use crate::trial;

/// Change the options: shown and tried first, noted for mytls undo
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is an option of its own
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  \
    mytls config apply --files /etc/mysql/tls --yes\n  \
    mytls config apply --policy mozilla-intermediate --yes --restart 'systemctl restart mariadb'\n\n\
    Exit status: 0 done, 1 not done and all as before, 2 bad usage, 3 not examined."
)]
pub struct ApplyArgs {
    #[command(flatten)]
    wish: WishArgs,
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Write the files and leave the running server as it is
    #[arg(long, conflicts_with = "restart")]
    files_only: bool,
    /// How to restart it, where it has to be; undone when it comes back wrong
    #[arg(long, value_name = "COMMAND")]
    restart: Option<String>,
    /// Do it without trying it first
    #[arg(long)]
    untried: bool,
    /// Do it even where this very login could not come back
    #[arg(long)]
    lock_me_out: bool,
    #[command(flatten)]
    target: TargetArgs,
}

pub fn run(args: &ApplyArgs) -> Result<ExitCode, Failure> {
    let facts = look(&args.target)?;
    let edit = edited(&facts, &args.wish)?;
    print(&edit.diff())?;
    say(&facts, &edit);
    if edit.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes {
        return Err(Failure::usage("this is what would be changed: say --yes to do it"));
    }
    if let (true, Some((kept, _))) = (args.files_only, edit.persisted.first()) {
        return Err(Failure::usage(format!(
            "{kept} is kept with SET PERSIST, on the running server alone: leave --files-only away"
        )));
    }
    let not = |message: String| Failure { code: FINDINGS, message };
    let enforced = edit.changed.iter().any(|(n, v)| n == "require_secure_transport" && v == "ON");
    if enforced && facts.server.read().is_some() && !args.lock_me_out {
        let forecast = lockout::forecast(&facts, lockout::Proposal::SecureTransport);
        if let Some(why) = forecast.own {
            return Err(not(format!(
                "nothing was changed, because you would be locked out: {why}; log in so that you can come back, or \
                 say --lock-me-out"
            )));
        }
    }
    if args.untried {
        tell(format_args!("not tried, as was wished\n"));
    } else {
        let tried = trial::try_out(&facts, &edit, args.wish.server.as_deref(), &mut |_| ());
        if !tell_tried(&tried) {
            return Err(not(
                "nothing was changed: mend what is bad, or say --untried to do it all the same"
                    .into(),
            ));
        }
    }
    let journal = journal_file().map_err(|error| Failure::not_examined(error.to_string()))?;
    let live = live(&facts, &edit);
    let told = if args.files_only { None } else { live.as_ref().ok() };
    let done = carry_out(&edit, told, &facts, &journal, &mut |_| ());
    report(&done)?;
    if let Some(error) = &done.error {
        return Err(not(not_done(error, &done)));
    }
    let certificate = trial::foresee(&facts, &edit)
        .ok()
        .and_then(|then| Some(then.facts.files.read()?.certificate.as_ref()?.path.clone()));
    if args.files_only {
        tell(format_args!("the running server was left as it is, as was wished\n"));
        return Ok(ExitCode::SUCCESS);
    }
    if told.is_some() {
        let admin = edit.changed.iter().find(|(name, _)| name == "admin_ssl_cert");
        let admin = admin.and_then(|(_, path)| serves_admin(&facts, path.as_ref()));
        let main = serves(&facts, certificate.as_deref());
        let all: Vec<Served> = std::iter::once(main).chain(admin).collect();
        return said(&all, done.id.as_deref());
    }
    let Some(command) = &args.restart else {
        print(&format!("left to do: restart the server: {}\n", shell::RESTART))?;
        return Ok(ExitCode::SUCCESS);
    };
    restart(command, &facts, certificate.as_deref(), &journal, done.id.as_deref())
}

/// Restarts it, and where it does not come back as it should, takes the files back and restarts it again.
fn restart(
    command: &str,
    facts: &crate::facts::Facts,
    certificate: Option<&std::path::Path>,
    journal: &std::path::Path,
    id: Option<&str>,
) -> Result<ExitCode, Failure> {
    tell(format_args!("restarting: {}\n", printable(command)));
    let why = match up_again(command, facts, certificate) {
        Ok(served) => {
            print(&format!("restarted\n{}\n", served.words()))?;
            return Ok(ExitCode::SUCCESS);
        }
        Err(why) => why,
    };
    let back = id.map(|id| put_back(journal, id)).unwrap_or_default();
    report(&Done { id: None, ..back })?;
    tell(format_args!("restarting once more: {}\n", printable(command)));
    let again = match up_again(command, facts, None) {
        Ok(_) => "the server is up again as it was before".to_owned(),
        Err(why) => format!("and it does not come up with the old files either: {why}"),
    };
    Err(Failure {
        code: FINDINGS,
        message: format!("the server did not come back as it should: {why}\n  {again}"),
    })
}

fn report(done: &Done) -> Result<(), Failure> {
    let mut out = String::new();
    for line in &done.lines {
        let _ = writeln!(out, "{}", printable_lines(line));
    }
    if let Some(id) = &done.id {
        let _ = writeln!(out, "to take it back: mytls undo {id}");
    }
    print(&out)
}

fn not_done(error: &str, done: &Done) -> String {
    if done.stuck.is_empty() {
        return format!("not done, and everything is as it was before: {error}");
    }
    let stuck: Vec<String> = done.stuck.iter().map(|line| format!("\n  {line}")).collect();
    format!("not done: {error}\n  what could not be put back:{}", stuck.concat())
}

fn said(all: &[Served], id: Option<&str>) -> Result<ExitCode, Failure> {
    for served in all {
        print(&format!("{}\n", served.words()))?;
    }
    if all.iter().any(Served::is_wrong) {
        let id = id.unwrap_or_default();
        tell(format_args!("if that is not meant: mytls undo {}\n", printable(id)));
        return Ok(ExitCode::from(FINDINGS));
    }
    Ok(ExitCode::SUCCESS)
}
