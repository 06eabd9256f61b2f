//! The terminal's modes: pushed one by one, popped in reverse, whatever ends the wizard.
//!
//! ratatui's own guard forgets pasting and signals, and its panic hook tears the screen down when
//! any thread panics, caught or not. Here the modes are on one stack that the guard, the panic hook
//! and nobody else empties.

use std::io::{self, Write, stdout};
use std::sync::Mutex;
use std::sync::mpsc::Sender;
use std::thread::{self, ThreadId};
use std::time::Duration;

use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

/// What was switched on, in order.
static MODES: Mutex<Vec<Mode>> = Mutex::new(Vec::new());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Raw,
    AlternateScreen,
    BracketedPaste,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Raw, Self::AlternateScreen, Self::BracketedPaste];

    fn on(self) -> io::Result<()> {
        match self {
            Self::Raw => enable_raw_mode(),
            Self::AlternateScreen => execute!(stdout(), EnterAlternateScreen),
            Self::BracketedPaste => execute!(stdout(), EnableBracketedPaste),
        }
    }

    fn off(self) -> io::Result<()> {
        match self {
            Self::Raw => disable_raw_mode(),
            Self::AlternateScreen => execute!(stdout(), LeaveAlternateScreen),
            Self::BracketedPaste => execute!(stdout(), DisableBracketedPaste),
        }
    }
}

/// Holds the terminal; gives it back when dropped.
pub struct Guard {
    signals: Option<Handle>,
}

impl Guard {
    /// Takes the terminal. Whatever was switched on is off again when this fails half-way.
    pub fn enter() -> io::Result<Self> {
        on().inspect_err(|_| off())?;
        hook(thread::current().id());
        Ok(Self { signals: None })
    }

    /// Sends signals on, from a thread of their own. The first that asks to end is a message like
    /// any other; the third ends the process at once, should the loop be stuck.
    pub fn watch_signals<M: Send + 'static>(
        &mut self,
        to: Sender<M>,
        message: fn(i32) -> M,
    ) -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT, SIGCONT])?;
        self.signals = Some(signals.handle());
        thread::Builder::new().name("signals".into()).spawn(move || {
            let mut asked = 0;
            for signal in signals.forever() {
                asked += u32::from(signal != SIGCONT);
                if asked > 2 {
                    off();
                    std::process::exit(128 + signal);
                }
                if to.send(message(signal)).is_err() {
                    return;
                }
            }
        })?;
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        off();
        if let Some(signals) = &self.signals {
            signals.close();
        }
        // a hook cannot be changed by a thread that panics; then it has done its work already
        if !thread::panicking() {
            drop(std::panic::take_hook());
        }
    }
}

/// Gives the terminal back, stops the process as Ctrl-Z does everywhere, and takes it again when
/// the shell says `fg`. The caller draws everything anew.
pub fn suspend() -> io::Result<()> {
    off();
    // the whole job: a shell takes its terminal back only when `make`, too, has stopped
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(0), nix::sys::signal::Signal::SIGTSTP)?;
    // The process stops within this sleep, and wakes in it. Where stopping is not possible (no
    // shell to come back from) it just goes on.
    thread::sleep(Duration::from_millis(50));
    on()
}

/// Switches everything on again after somebody else stopped and continued the process.
pub fn take_again() -> io::Result<()> {
    off();
    on()
}

fn on() -> io::Result<()> {
    for mode in Mode::ALL {
        mode.on()?;
        modes(|modes| modes.push(mode));
    }
    Ok(())
}

/// In reverse order, as far as it goes: a terminal that is gone takes no more orders.
fn off() {
    let taken: Vec<Mode> = modes(std::mem::take);
    if taken.is_empty() {
        return;
    }
    for mode in taken.into_iter().rev() {
        let _ = mode.off();
    }
    let _ = execute!(stdout(), Show);
    let _ = stdout().flush();
}

fn modes<T>(change: impl FnOnce(&mut Vec<Mode>) -> T) -> T {
    // a panic while it was held leaves the list as it was: still the best there is
    let mut modes = MODES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    change(&mut modes)
}

/// When the thread that draws panics, the terminal is given back before the message is written.
/// When a job panics the screen stays: the job says so itself.
fn hook(drawing: ThreadId) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if thread::current().id() == drawing {
            off();
            before(info);
        }
    }));
}
