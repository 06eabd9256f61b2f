//! `mytls` and `mytls sandbox`: the wizard, on a real server or on a throwaway one.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
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
use crate::tui::plain::{self, Plain};
use crate::tui::{self, Start};

/// How the wizard shows itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    pub ascii: bool,
    /// As lines; also where the environment says that nothing can be drawn or looked at.
    pub plain: bool,
}

impl Look {
    /// `ACCESSIBLE` is what other programs of this kind look at, too.
    fn is_plain(self) -> bool {
        let set =
            |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        self.plain
            || set("ACCESSIBLE")
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
    }
}

/// The wizard on the server that was named; without a name it asks.
pub fn run(args: &TargetArgs, look: Look) -> Result<ExitCode, Failure> {
    if !look.is_plain() && !std::io::stdout().is_terminal() {
        return Err(Failure::usage(tui::TuiError::NoTerminal.to_string()));
    }
    let target = args.resolve()?;
    let mut engine = Live::suggesting(target.clone());
    engine.journal = journal::default_file();
    let target = args.is_given().then_some(target);
    open(engine, Start { target, ascii: look.ascii, ..Start::default() }, look)
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
    let look = Look { ascii: false, plain: args.plain };
    let can_draw = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let ended = if args.plain || can_draw {
        wizard_on(&sandbox, !args.keep, look)
    } else {
        checklist_of(&sandbox)
    };
    sandbox.stop();
    if args.keep {
        print(&format!("the folder stays: {}\n", sandbox.dir().display()))?;
    }
    ended
}

fn wizard_on(sandbox: &Arc<Sandbox>, throwaway: bool, look: Look) -> Result<ExitCode, Failure> {
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
    open(engine, Start { target: Some(target), ascii: look.ascii, title, throwaway }, look)
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

fn open(engine: Live, start: Start, look: Look) -> Result<ExitCode, Failure> {
    if look.is_plain() {
        return in_lines(&engine, start);
    }
    let ended = tui::run(Arc::new(engine), start);
    let ended = ended.map_err(|error| Failure::not_examined(error.to_string()))?;
    Ok(ended.signal.map_or(ExitCode::SUCCESS, ended_by))
}

/// The wizard as lines. Ctrl-C stops what is under way, and else the program.
fn in_lines(engine: &Live, start: Start) -> Result<ExitCode, Failure> {
    let failed = |error: std::io::Error| Failure::not_examined(format!("signals: {error}"));
    let interrupted = Arc::new(AtomicBool::new(false));
    let idle = Arc::new(AtomicBool::new(true));
    flag::register_conditional_default(SIGINT, Arc::clone(&idle)).map_err(failed)?;
    flag::register(SIGINT, Arc::clone(&interrupted)).map_err(failed)?;
    // where nobody sees the screen, nobody sees what is typed either
    let terminal = std::io::stdin().is_terminal();
    let mut io = Plain {
        input: &mut std::io::stdin().lock(),
        output: &mut std::io::stdout().lock(),
        secret: terminal.then_some(|question| rpassword::prompt_password(question)),
        interrupted,
        idle,
    };
    match plain::run(engine, start, &mut io) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::not_examined(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// As a shell reports a program that a signal ended.
fn ended_by(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}
