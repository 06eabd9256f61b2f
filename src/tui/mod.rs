//! The wizard: the same checklist, walked in a terminal.
//!
//! It goes round in one direction. A [`state::Msg`] comes in on one channel, from the keyboard, a
//! signal, the clock or a job; [`update`](update::update) changes the [`state::State`] and hands
//! back [`state::Effect`]s; this loop runs them, and [`draw`](screen::draw) shows what is now so.
//! Whatever takes time is a job on a thread of its own, asked through an [`engine::Engine`].

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Stdout, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{Clear, ClearType};
use signal_hook::consts::SIGCONT;
use thiserror::Error;

use crate::disk::{self, Meta};
use crate::facts::Target;
use crate::facts::gather::Cancel;
use crate::report;
use crate::rules::Severity;
use engine::Engine;
use state::{Effect, Job, JobId, Msg, OfferKey, Outcome, State, Told};

mod clipboard;
pub mod copy;
pub mod engine;
pub mod form;
mod guard;
pub mod keys;
mod known;
pub mod live;
pub mod palette;
pub mod plain;
pub mod register;
pub mod roster;
pub mod rows;
pub mod screen;
pub mod state;
pub mod text;
pub mod theme;
pub mod update;

pub use keys::key_table_markdown;

/// What the wizard starts with.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// `None`: it asks.
    pub target: Option<Target>,
    /// Draw in ASCII, whatever the locale says.
    pub ascii: bool,
    /// Shown beside the program's name, such as the sandbox's fault.
    pub title: Option<String>,
    /// The server, and all that is changed in it, goes when the wizard ends.
    pub throwaway: bool,
}

/// How the wizard ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// What was left on the normal screen.
    pub lines: Vec<String>,
    /// The signal that ended it; a program ends with 128 and this.
    pub signal: Option<i32>,
    /// The heaviest finding of the last examination.
    pub worst: Option<Severity>,
}

#[derive(Debug, Error)]
pub enum TuiError {
    #[error("the wizard needs a terminal; without one, `mytls check` prints the same checklist")]
    NoTerminal,
    #[error("the terminal does not answer: {0}")]
    Terminal(#[from] io::Error),
}

/// How often the wheel turns while a job runs.
const TICK: Duration = Duration::from_millis(100);

/// Runs the wizard until somebody leaves it, and prints where the server stands then. The terminal
/// is as it was, however this ends.
pub fn run(engine: Arc<dyn Engine>, start: Start) -> Result<Ended, TuiError> {
    if !stdout().is_terminal() {
        return Err(TuiError::NoTerminal);
    }
    let (to, from) = mpsc::channel();
    let mut guard = guard::Guard::enter()?;
    guard.watch_signals(to.clone(), Msg::Signal)?;
    read_input(to.clone())?;

    let mut state = State::new(start.target, engine.can_restart());
    state.title = start.title;
    state.throwaway = start.throwaway;
    state.ascii = start.ascii || !theme::locale_is_utf8(|name| std::env::var(name).ok());
    let mut runner = Runner { engine, to, jobs: HashMap::new() };
    let went = turn(&mut state, &mut runner, &from);
    drop(guard);
    for cancel in runner.jobs.values() {
        cancel.cancel(); // never joined: one that looks a name up may take a minute
    }
    went?;

    let ended = Ended {
        lines: screen::report::last_words(&state),
        signal: state.signal,
        worst: state.exam.as_ref().and_then(|exam| exam.worst()),
    };
    print(&ended.lines);
    Ok(ended)
}

/// The loop: messages in, state changed, effects run, screen drawn.
fn turn(state: &mut State, runner: &mut Runner, from: &Receiver<Msg>) -> io::Result<()> {
    let mut terminal = anew()?;
    let size = terminal.size()?;
    update::update(state, Msg::Resize(size.width, size.height));
    let mut next = Some(Msg::Start);
    let mut tick = Instant::now() + TICK;
    loop {
        // everything that waits is taken in before the screen is drawn once
        while let Some(msg) = next.take().or_else(|| from.try_recv().ok()) {
            if matches!(msg, Msg::Signal(SIGCONT)) {
                guard::take_again()?;
                terminal = anew()?;
                continue;
            }
            for effect in update::update(state, msg) {
                match effect {
                    Effect::Run(id, job) => runner.start(id, job),
                    Effect::Cancel(id) => runner.cancel(id),
                    Effect::Copy(text) => runner.copy(text),
                    Effect::Redraw => terminal = anew()?,
                    Effect::Suspend => {
                        guard::suspend()?;
                        terminal = anew()?;
                    }
                    Effect::Quit => return Ok(()),
                }
            }
        }
        terminal.draw(|frame| screen::draw(state, frame))?;
        next = if state.job.is_some() {
            match from.recv_timeout(tick.saturating_duration_since(Instant::now())) {
                Ok(msg) => Some(msg),
                Err(RecvTimeoutError::Timeout) => {
                    tick = Instant::now() + TICK;
                    Some(Msg::Tick)
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        } else {
            let msg = from.recv().ok();
            tick = Instant::now() + TICK;
            msg
        };
    }
}

/// A screen that remembers nothing, so that all of it is drawn. `Terminal::clear` asks the terminal
/// where its cursor is, and the answer would go to the thread that reads the keyboard.
fn anew() -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    execute!(stdout(), Clear(ClearType::All))?;
    Terminal::new(CrosstermBackend::new(stdout()))
}

/// The one thread that reads the keyboard. It ends with the process: a blocked read has no other
/// end.
fn read_input(to: Sender<Msg>) -> io::Result<()> {
    let read = move || {
        while let Ok(event) = event::read() {
            let msg = match event {
                Event::Key(key) => Msg::Key(key),
                Event::Paste(text) => Msg::Paste(text),
                Event::Resize(columns, rows) => Msg::Resize(columns, rows),
                _ => continue,
            };
            if to.send(msg).is_err() {
                return;
            }
        }
        // the terminal is gone
        let _ = to.send(Msg::Signal(signal_hook::consts::SIGHUP));
    };
    thread::Builder::new().name("keyboard".into()).spawn(read).map(drop)
}

/// Runs jobs, and knows how to stop them.
struct Runner {
    engine: Arc<dyn Engine>,
    to: Sender<Msg>,
    jobs: HashMap<JobId, Arc<Cancel>>,
}

impl Runner {
    fn start(&mut self, id: JobId, job: Job) {
        let cancel = Arc::new(Cancel::default());
        self.jobs.insert(id, Arc::clone(&cancel));
        let (engine, to) = (Arc::clone(&self.engine), self.to.clone());
        let run = move || {
            let told = |told| drop(to.send(Msg::Told(id, told)));
            let done = || perform(engine.as_ref(), job, &cancel, &told);
            // a fault of ours must not take the screen with it
            let outcome = catch_unwind(AssertUnwindSafe(done)).unwrap_or_else(|panic| {
                Outcome::Broken(format!("a fault in mytls itself: {}", reason(panic.as_ref())))
            });
            drop(to.send(Msg::Ended(id, outcome)));
        };
        if let Err(error) = thread::Builder::new().name(format!("job {id}")).spawn(run) {
            let outcome = Outcome::Broken(format!("no thread could be started: {error}"));
            drop(self.to.send(Msg::Ended(id, outcome)));
        }
    }

    fn cancel(&mut self, id: JobId) {
        if let Some(cancel) = self.jobs.remove(&id) {
            cancel.cancel();
        }
    }

    /// tmux is another program and may take its time; the terminal is written to right here.
    fn copy(&self, text: String) {
        let to = self.to.clone();
        match clipboard::Way::here() {
            clipboard::Way::Terminal => {
                let said = clipboard::copy(&text, clipboard::Way::Terminal, &mut stdout());
                drop(to.send(Msg::Copied(said)));
            }
            clipboard::Way::Tmux => drop(thread::spawn(move || {
                let said = clipboard::copy(&text, clipboard::Way::Tmux, &mut io::sink());
                drop(to.send(Msg::Copied(said)));
            })),
        }
    }
}

/// Does one job, on its own thread.
pub fn perform(engine: &dyn Engine, job: Job, cancel: &Cancel, told: &dyn Fn(Told)) -> Outcome {
    match job {
        Job::Suggest => Outcome::Suggested(engine.suggest_target()),
        Job::Examine(target) => {
            let mut progress = |progress| told(Told::Progress(progress));
            Outcome::Examined(Box::new(engine.examine(&target, cancel, &mut progress)))
        }
        Job::Defaults { exam, user } => {
            let form = engine.authority_form(&exam, user.as_deref());
            Outcome::Defaults(form, engine.key_kinds(&exam))
        }
        Job::Authority { exam } => Outcome::Authority(engine.authority(&exam)),
        Job::Issued { exam, serial } => Outcome::Issued(engine.issued(&exam, &serial)),
        Job::PlanRenewal { exam, serial, same_key } => {
            Outcome::Planned(engine.plan_renewal(&exam, &serial, same_key))
        }
        Job::PlanRevocation { exam, serial, reason } => {
            Outcome::Planned(engine.plan_revocation(&exam, &serial, reason))
        }
        Job::PlanAuthority { exam, form } => Outcome::Planned(engine.plan_authority(&exam, &form)),
        Job::PlanRemedy { exam, remedy } => Outcome::Planned(engine.plan_remedy(&exam, &remedy)),
        Job::Offer { exam, key: OfferKey { whose, level, form, cipher } } => {
            Outcome::Offered(engine.offer(&exam, whose.names(), level, form, cipher.as_deref()))
        }
        Job::ClientFiles { exam, account } => {
            let files = engine.client_files(&exam, &account);
            Outcome::ClientFiles(account, files)
        }
        Job::WhyDenied { exam, account, mut login } => {
            login.password = login.password.or_else(|| engine.known_password(&account));
            Outcome::Denied(engine.why_denied(&exam, &account, &login))
        }
        Job::Scan { exam } => {
            // heard from several threads
            let (give, take) = mpsc::channel::<String>();
            let scanned = thread::scope(|scope| {
                let scan = scope.spawn(move || {
                    let say = |word: &str| drop(give.send(word.to_owned()));
                    engine.scan(&exam, cancel, &say).map(Box::new)
                });
                for word in take {
                    told(Told::Line(word));
                }
                scan.join()
            });
            let broken = || Err("the scan broke; a fault of mytls".to_owned());
            Outcome::Scanned(scanned.unwrap_or_else(|_| broken()))
        }
        Job::PlanAccounts { exam, orders, form } => {
            Outcome::Planned(engine.plan_accounts(&exam, &orders, form))
        }
        Job::Apply { target, plan } => {
            let mut line = |line: &str| told(Told::Line(line.to_owned()));
            Outcome::Applied(engine.apply(&target, &plan, &mut line))
        }
        Job::Prove { exam, account, password, without_key } => {
            let Some(password) = password.or_else(|| engine.known_password(&account)) else {
                return Outcome::PasswordNeeded(account);
            };
            let locked = (!without_key).then(|| engine.locked_key(&exam, &account)).flatten();
            if let Some(wrong) = locked {
                return Outcome::PassphraseNeeded { account, wrong };
            }
            let mut row = |row| told(Told::Row(row));
            Outcome::Proved(engine.prove(&exam, &account, &password, cancel, &mut row))
        }
        Job::Save { exam, done, proofs, path } => Outcome::Saved(
            save(
                &engine.report(
                    &exam,
                    &done,
                    &proofs,
                    report::Form::named(&path).unwrap_or(report::Form::Markdown),
                ),
                &path,
            )
            .map(|()| path),
        ),
    }
}

/// Writes the report, readable by its owner alone; whole or not at all, and never over a file that
/// exists.
fn save(report: &str, path: &std::path::Path) -> Result<(), String> {
    disk::write_new(path, report.as_bytes(), Meta::mode(0o600)).map_err(|error| error.to_string())
}

/// What a panic said.
fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
    crate::printable::printable_lines(text)
}

/// To the normal screen, where it stays. A closed terminal is no error any more.
fn print(lines: &[String]) {
    use std::io::Write as _;
    let mut out = stdout().lock();
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
}
