//! `mytls` and `mytls sandbox`: the wizard, on a real server or on a throwaway one.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::check::{self, Format};
use super::sandbox::{self, SandboxArgs};
use super::target::TargetArgs;
use super::{Failure, print};
use crate::apply::journal;
use crate::checklist::Examination;
use crate::facts::gather::{Cancel, gather};
use crate::sandbox::Sandbox;
use crate::tui::live::Live;
use crate::tui::{self, Start};

/// The wizard on the server that was named; without a name it asks.
pub fn run(args: &TargetArgs, ascii: bool) -> Result<ExitCode, Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(Failure::usage(tui::TuiError::NoTerminal.to_string()));
    }
    let target = args.resolve()?;
    let mut engine = Live::suggesting(target.clone());
    engine.journal = journal::default_file();
    let start = Start { target: args.is_given().then_some(target), ascii, ..Start::default() };
    open(engine, start)
}

/// The wizard on a throwaway server, or its checklist as text where there is no terminal.
pub fn on_sandbox(args: &SandboxArgs) -> Result<ExitCode, Failure> {
    // Before the server starts, so that from then on a signal ends it with us.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Failure::not_examined(format!("signals cannot be waited for: {error}")))?;
    let sandbox = sandbox::start(args).map_err(|error| sandbox::failure(&error))?;
    let sandbox = Arc::new(sandbox);
    if let Some(signal) = signals.pending().next() {
        sandbox.stop();
        return Ok(ended_by(signal));
    }
    let ended = if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        wizard_on(&sandbox, !args.keep)
    } else {
        checklist_of(&sandbox)
    };
    sandbox.stop();
    if args.keep {
        print(&format!("the folder stays: {}\n", sandbox.dir().display()))?;
    }
    ended
}

fn wizard_on(sandbox: &Arc<Sandbox>, throwaway: bool) -> Result<ExitCode, Failure> {
    let mut target = sandbox.target();
    // The CA that made the sandbox's certificates is somebody else's: its key is not at hand.
    target.ca_dir = Some(sandbox.dir().join("own-ca"));
    let mut engine = Live::suggesting(target.clone());
    engine.restart = Some(Arc::clone(sandbox) as Arc<dyn crate::apply::Restart>);
    engine.passwords = sandbox.accounts();
    engine.throwaway = throwaway;
    // what is gone with the sandbox is not for the user's own journal
    let own = sandbox.dir().join("journal.jsonl");
    engine.journal = if throwaway { Some(own) } else { journal::default_file() };
    let title = Some(format!("sandbox: {}", sandbox.fault().name));
    open(engine, Start { target: Some(target), ascii: false, title, throwaway })
}

fn checklist_of(sandbox: &Sandbox) -> Result<ExitCode, Failure> {
    print(&format!(
        "{}, {}: {}\n\n",
        sandbox.server(),
        sandbox.fault().name,
        sandbox.fault().title
    ))?;
    let facts = gather(&sandbox.target(), &Cancel::default(), &mut |_| {});
    check::show(&Examination::judge(facts), Format::Text, false, false)?;
    Ok(ExitCode::SUCCESS)
}

fn open(engine: Live, start: Start) -> Result<ExitCode, Failure> {
    let ended = tui::run(Arc::new(engine), start);
    let ended = ended.map_err(|error| Failure::not_examined(error.to_string()))?;
    Ok(ended.signal.map_or(ExitCode::SUCCESS, ended_by))
}

/// As a shell reports a program that a signal ended.
fn ended_by(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}
