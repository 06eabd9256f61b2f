//! `mytls undo`: takes back what the journal has.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::accounts::{list, outcome, preview, refused as failed};
use super::target::TargetArgs;
use super::{FINDINGS, Failure, print, tell};
use crate::apply::Plan;
use crate::apply::accounts::{self, Danger, TakeBack};
use crate::apply::back::{self, NotBack};
use crate::apply::journal::{self, Entry, State};
use crate::facts::gather::{Cancel, gather};
use crate::facts::{Facts, Target};
use crate::printable::{printable, printable_lines};

/// Take back the last change of a server, or one of those before
///
/// Accounts are taken back to the very bytes they had; those that somebody has changed since are
/// not touched, and then nothing is, unless --others. A change that was cut off is recognised: what
/// it never got to is left alone. Files go back to what they held, with owner and mode, as long as
/// they are what the change wrote.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls undo --list\n  mytls undo -h db1 --dry-run\n  mytls undo 417a9c03d2 -h db1 --yes\n\n\
    Exit status: 0 taken back, or nothing to do; 1 not, or not all; 2 bad usage; 3 the server could\n\
    not be asked."
)]
#[allow(clippy::struct_excessive_bools)] // each is an option of its own
pub struct UndoArgs {
    /// Which change; without it the last that was not taken back
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// List the changes instead
    #[arg(long, conflicts_with = "id")]
    list: bool,
    /// Show what would be done, and do nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Take back the other accounts where some were changed by somebody else since
    #[arg(long)]
    others: bool,
    /// Do it even where this very login could not come back
    #[arg(long)]
    lock_me_out: bool,
    /// Take back the files of a change alone, where the server does not answer
    #[arg(long)]
    without_server: bool,
    #[command(flatten)]
    target: TargetArgs,
}

pub fn run(args: &UndoArgs) -> Result<ExitCode, Failure> {
    let file = accounts::journal_file().map_err(|error| failed(&error))?;
    let entries = journal::read(&file).map_err(|error| Failure::not_examined(error.to_string()))?;
    if args.list {
        print(&listed(&entries))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.dry_run && !args.yes {
        let what = match &args.id {
            Some(id) => format!("the change is {}", line(named(id, &entries)?)),
            None => "the last change of that server is meant".to_owned(),
        };
        return Err(Failure::usage(format!(
            "{what}: say --dry-run to see what taking it back would do, or --yes to do it"
        )));
    }
    if let Some(id) = &args.id {
        let entry = named(id, &entries)?;
        if entry.accounts.is_empty() {
            return steps_back(args, entry, &file);
        }
        let target = args.target.resolve()?;
        let facts = gather(&target, &Cancel::default(), &mut |_| ());
        only_of(entry, &target, &facts)?;
        return accounts_back(args, &take_back(&facts, entry)?, &file);
    }
    last_back(args, &entries, &file)
}

/// The last change of this server that has something left to be taken back.
fn last_back(args: &UndoArgs, entries: &[Entry], file: &Path) -> Result<ExitCode, Failure> {
    let open = |entry: &&Entry| {
        let something = !(entry.accounts.is_empty() && entry.applied.undo.is_empty());
        something && entry.state != Some(State::Undone)
    };
    if !entries.iter().any(|entry| open(&entry)) {
        print("nothing to do: the journal has nothing that could be taken back\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let target = args.target.resolve()?;
    let facts = gather(&target, &Cancel::default(), &mut |_| ());
    let mut doubtful: Vec<&Entry> = Vec::new();
    for entry in entries.iter().rev().filter(open) {
        if !is_of(entry, &target, &facts) {
            doubtful.extend(Some(entry).filter(|entry| may_be_of(entry, &target, &facts)));
            continue;
        }
        if let Some(later) = doubtful.first() {
            return Err(Failure::usage(format!(
                "whether the last change was made on this server is not known:\n  {}\nand the last \
                 that was is\n  {}\nname the one that is meant: mytls undo {} or mytls undo {}",
                line(later),
                line(entry),
                printable(&later.id),
                printable(&entry.id)
            )));
        }
        if entry.accounts.is_empty() {
            return steps_back(args, entry, file);
        }
        let back = take_back(&facts, entry)?;
        // the rest of it somebody else has changed: it is not in the way of what is older
        let is_rest = entry.state == Some(State::Partly) && back.plan.changes.is_empty();
        if !is_rest {
            return accounts_back(args, &back, file);
        }
    }
    if facts.server.read().is_none() {
        super::accounts::server(&facts)?;
    }
    let mut message = format!(
        "the journal has nothing of {} that could be taken back; mytls undo --list shows what it has",
        target.display()
    );
    for entry in doubtful {
        let (id, line) = (printable(&entry.id), line(entry));
        let _ = write!(message, "\n  it may be this one: mytls undo {id}\n    {line}");
    }
    Err(Failure::usage(message))
}

/// Whether it was made on this server, whichever way that is reached now.
fn is_of(entry: &Entry, target: &Target, facts: &Facts) -> bool {
    entry.is_of(&facts.identity(), &target.display())
}

/// Whether it may have been made on this server for all that is known: what it was made on did not say
/// which it is, or this one does not, and their names do not tell them apart.
fn may_be_of(entry: &Entry, target: &Target, facts: &Facts) -> bool {
    let unknown = entry.server.is_empty() || facts.identity().is_empty();
    let port = |shown: &str| shown.rsplit_once(':')?.1.parse::<u16>().ok();
    let running = facts.server.read().and_then(|server| server.variable("port")?.parse().ok());
    unknown
        && match (port(&entry.target), port(&target.display()).or(running)) {
            (Some(then), Some(now)) => then == now,
            _ => true,
        }
}

/// Refuses what was made on another server.
fn only_of(entry: &Entry, target: &Target, facts: &Facts) -> Result<(), Failure> {
    if is_of(entry, target, facts) {
        return Ok(());
    }
    super::accounts::server(facts)?;
    Err(Failure::usage(format!(
        "that change was made on {}, and this is {}: name that server",
        printable(&entry.target),
        target.display()
    )))
}

fn named<'a>(id: &str, entries: &'a [Entry]) -> Result<&'a Entry, Failure> {
    entries.iter().find(|entry| entry.id == id).ok_or_else(|| {
        Failure::usage(format!(
            "the journal has no change {}; mytls undo --list shows those it has",
            printable(id)
        ))
    })
}

fn take_back(facts: &Facts, entry: &Entry) -> Result<TakeBack, Failure> {
    super::accounts::server(facts)?;
    accounts::take_back(facts, entry).map_err(|error| failed(&error))
}

/// A change to files, commands and statements: taken back where everything is as it was left.
fn steps_back(args: &UndoArgs, entry: &Entry, journal: &Path) -> Result<ExitCode, Failure> {
    let back = match back::look(&entry.applied) {
        Ok(back) => back,
        Err(NotBack::ByHand) => return by_hand(entry),
        Err(NotBack::Changed(why)) => {
            let mut message = "not as the change left it:".to_owned();
            for line in why {
                let _ = write!(message, "\n  {line}");
            }
            message += "\n  nothing was taken back; the lines that would be are:";
            for line in &entry.applied.undo {
                let _ = write!(message, "\n    {}", printable_lines(line));
            }
            return Err(Failure { code: FINDINGS, message });
        }
    };
    for line in &back.already {
        tell(format_args!("as before already: {}\n", printable_lines(line)));
    }
    if args.dry_run {
        print(&indented("would be done", &back.lines()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let session = if back.has_statements() && !args.without_server {
        let target = args.target.resolve()?;
        let facts = gather(&target, &Cancel::default(), &mut |_| ());
        if facts.server.read().is_some() {
            only_of(entry, &target, &facts)?;
        }
        let there = super::accounts::server(&facts).map(|_| Plan::session_of(&facts));
        let there = there.map_err(|failure| Failure {
            message: format!(
                "{}\n  nothing was taken back; --without-server takes back the files, and leaves the \
                 statements to you",
                failure.message
            ),
            ..failure
        });
        there?
    } else {
        None
    };
    let done = back.run(session.as_ref());
    print(&indented("done", &done.done))?;
    print(&indented("left to you", &done.left))?;
    for why in &done.failed {
        tell(format_args!("not done: {}\n", printable_lines(why)));
    }
    let skipped = back.has_statements() && session.is_none();
    let well = done.failed.is_empty() && !skipped;
    let state = if well { State::Undone } else { State::Partly };
    journal::mark(journal, &entry.id, state)
        .map_err(|error| Failure::not_examined(error.to_string()))?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

fn indented(head: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines = lines.iter().map(|line| format!("  {}\n", printable_lines(line)));
    format!("{head}:\n{}", lines.collect::<String>())
}

/// What has lines alone is shown: whether the files are still as they were written then, the journal
/// does not know.
fn by_hand(entry: &Entry) -> Result<ExitCode, Failure> {
    print(&format!("{}\n", entry.applied.undo.join("\n")))?;
    tell(format_args!(
        "{}: these lines take it back, in this order; mytls does not run them, because the journal \
         cannot tell whether things are still as they were left\n",
        line(entry)
    ));
    Ok(ExitCode::from(FINDINGS))
}

fn accounts_back(args: &UndoArgs, back: &TakeBack, journal: &Path) -> Result<ExitCode, Failure> {
    for warning in &back.plan.warnings {
        tell(format_args!("warning: {}\n", printable_lines(warning)));
    }
    if !back.before.is_empty() {
        tell(format_args!("as before already: {}\n", list(&back.before)));
    }
    if !back.gone.is_empty() {
        tell(format_args!("dropped since: {}\n", list(&back.gone)));
    }
    if !back.changed.is_empty() {
        let message =
            format!("changed by somebody else since, and left alone: {}", list(&back.changed));
        if !args.others {
            return Err(Failure {
                code: FINDINGS,
                message: format!("{message}\n  nothing was changed; --others takes back the rest"),
            });
        }
        tell(format_args!("{message}\n"));
    }
    if back.plan.changes.is_empty() {
        print("nothing to do: every account has what it had before\n")?;
        let well = back.changed.is_empty();
        if !args.dry_run {
            // what somebody else has changed is then not in the way of what is older
            let state = if well { State::Undone } else { State::Partly };
            journal::mark(journal, &back.id, state)
                .map_err(|error| Failure::not_examined(error.to_string()))?;
        }
        return Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) });
    }
    print(&preview(&back.plan))?;
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let dangers: &[Danger] = if args.lock_me_out { &[Danger::OwnSession] } else { &[] };
    let done = back.run(journal, dangers, &mut |_| ()).map_err(|error| failed(&error))?;
    print(&outcome(&done, "taken back", &[]))?;
    let well = done.error.is_none() && back.changed.is_empty();
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

fn listed(entries: &[Entry]) -> String {
    let mut out = String::new();
    for entry in entries {
        let _ = writeln!(out, "{}", line(entry));
    }
    if out.is_empty() { "nothing was changed yet\n".to_owned() } else { out }
}

fn line(entry: &Entry) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(entry.at).ok();
    let at = at.map_or_else(String::new, |at| {
        format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
    });
    let state = match entry.became() {
        "" => String::new(),
        became => format!(" ({became})"),
    };
    let (target, title) = (printable(&entry.target), printable(&entry.applied.title));
    format!("{}  {at}  {target}  {title}{state}", printable(&entry.id))
}
