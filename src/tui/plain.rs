//! The wizard as lines: for screen readers, serial consoles, and terminals that cannot draw.
//!
//! It is another view of the same state. What is shown is printed once and stays; what is done is
//! the same key, written on a line of its own, or the words of what it does. Nothing moves, nothing
//! is drawn over, and no line is there for its looks alone.

use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::engine::Engine;
use super::form::{Entry, Form};
use super::keys::{self, Action};
use super::palette::{self, Palette};
use super::state::{Effect, Job, JobId, Msg, Outcome, Place, State, Told};
use super::{Ended, Start, perform, screen, update};
use crate::facts::gather::{Cancel, ProgressState};
use crate::printable::printable;
use crate::rules::Step;
use crate::secret::Secret;

/// Wide enough that little is cut; a terminal breaks what is longer than itself.
const COLUMNS: u16 = 160;
/// A list of accounts is shown so many lines at a time.
const ROWS: u16 = 48;

/// Where lines come from and go to.
pub struct Plain<'a> {
    pub input: &'a mut dyn BufRead,
    pub output: &'a mut dyn Write,
    /// Asks for a secret without showing it; `None`: it is a line as any other.
    pub secret: Option<fn(&str) -> io::Result<String>>,
    /// Set by Ctrl-C while something is under way.
    pub interrupted: Arc<AtomicBool>,
    /// Cleared while something is under way: Ctrl-C then stops that, else the program.
    pub idle: Arc<AtomicBool>,
}

/// Runs the wizard until somebody leaves it or the input ends.
///
/// # Errors
/// When nothing can be written any more.
pub fn run(engine: &dyn Engine, start: Start, io: &mut Plain) -> io::Result<Ended> {
    let mut state = State::new(start.target, engine.can_restart());
    state.title = start.title;
    state.throwaway = start.throwaway;
    state.ascii = start.ascii;
    state.size = (COLUMNS, ROWS);
    let mut told = Shown::default();
    let mut quit = take(&mut state, Msg::Start, engine, io)?;
    while !quit {
        let is_new = told.show(&state, io.output)?;
        if let Some(form) = state.form_mut().filter(|_| is_new) {
            form.focus = 0; // a screen shows the fields before it, too
        }
        quit = match answer(&mut state, io)? {
            Answer::End => true,
            Answer::Nothing => false,
            Answer::Keys(keys) => {
                let mut quit = false;
                for key in keys {
                    quit = quit || take(&mut state, Msg::Key(key), engine, io)?;
                }
                quit
            }
        };
        if let Some(toast) = state.toast.take() {
            writeln!(io.output, "{toast}")?;
        }
    }
    let ended = Ended {
        lines: screen::report::last_words(&state).iter().map(|line| in_words(line)).collect(),
        signal: state.signal,
        worst: state.exam.as_ref().and_then(|exam| exam.worst()),
    };
    for line in &ended.lines {
        writeln!(io.output, "{line}")?;
    }
    Ok(ended)
}

/// Takes a message in and does all that comes of it; whether that is the end.
fn take(state: &mut State, msg: Msg, engine: &dyn Engine, io: &mut Plain) -> io::Result<bool> {
    let mut messages = vec![msg];
    while let Some(msg) = messages.pop() {
        for effect in update::update(state, msg) {
            match effect {
                Effect::Quit => return Ok(true),
                Effect::Run(id, job) => {
                    let outcome = work(state, id, job, engine, io)?;
                    messages.push(Msg::Ended(id, outcome));
                }
                // there is nothing to copy from but the lines themselves
                Effect::Copy(text) => writeln!(io.output, "{text}")?,
                Effect::Cancel(_) | Effect::Redraw | Effect::Suspend => {}
            }
        }
    }
    Ok(false)
}

/// Does a job on a thread of its own, says what it says, and has it stopped by Ctrl-C.
fn work(
    state: &mut State,
    id: JobId,
    job: Job,
    engine: &dyn Engine,
    io: &mut Plain,
) -> io::Result<Outcome> {
    const LOOK: Duration = Duration::from_millis(100);
    let cancel = Cancel::default();
    let can_be_stopped = state.job.as_ref().is_none_or(|job| job.what.can_be_stopped());
    if let Some(job) = state.job.as_ref().filter(|job| job.id == id) {
        writeln!(io.output, "{} …", job.what.title())?;
    }
    io.idle.store(false, Ordering::Relaxed);
    let (to, from) = mpsc::channel();
    let outcome = thread::scope(|scope| {
        let (to, cancel) = (to, &cancel);
        let job = scope.spawn(move || perform(engine, job, cancel, &|told| drop(to.send(told))));
        loop {
            match from.recv_timeout(LOOK) {
                Ok(told) => {
                    say(&told, io.output)?;
                    update::update(state, Msg::Told(id, told));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if can_be_stopped && io.interrupted.swap(false, Ordering::Relaxed) {
                writeln!(io.output, "stopping …")?;
                cancel.cancel();
            }
        }
        let broken = |_| Outcome::Broken("a fault in mytls itself".to_owned());
        Ok(job.join().unwrap_or_else(broken))
    });
    io.idle.store(true, Ordering::Relaxed);
    io.interrupted.store(false, Ordering::Relaxed);
    outcome
}

fn say(told: &Told, out: &mut dyn Write) -> io::Result<()> {
    match told {
        Told::Progress(progress) => match &progress.state {
            ProgressState::Started => Ok(()),
            ProgressState::Done(what) | ProgressState::Failed(what) => {
                writeln!(out, "  {}: {}", progress.stage, printable(what))
            }
        },
        Told::Line(line) => writeln!(out, "  {}", printable(line)),
        // the page of the proof has them all
        Told::Row(_) => Ok(()),
    }
}

/// What was shown last, so that only what is new is said.
#[derive(Default)]
struct Shown {
    verdicts: String,
    lines: Vec<String>,
    /// Where that was, under how many layers, and whether something is asked for there.
    at: Option<(Place, usize, bool)>,
}

impl Shown {
    /// Whether this is another place than before.
    fn show(&mut self, state: &State, out: &mut dyn Write) -> io::Result<bool> {
        let verdicts = verdicts(state);
        if verdicts != self.verdicts {
            writeln!(out, "\n{verdicts}")?;
            self.verdicts = verdicts;
        }
        let lines: Vec<String> =
            screen::in_lines(state).iter().map(|line| in_words(line)).collect();
        let at = Some((state.place.clone(), state.layers.len(), state.form().is_some()));
        let here = self.at == at;
        let known = |line: &String| {
            let was = self.lines.iter().any(|known| bare(known) == bare(line));
            here && was && (bare(line) == line.trim() || self.lines.contains(line))
        };
        if lines != self.lines {
            writeln!(out)?;
            let mut blank = true;
            for line in lines.iter().filter(|line| line.is_empty() || !known(line)) {
                // one blank line is a pause, more are noise
                if !(blank && line.is_empty()) {
                    writeln!(out, "{line}")?;
                }
                blank = line.is_empty();
            }
        }
        self.lines = lines;
        self.at = at;
        Ok(!here)
    }
}

/// The line without the word that says that it is selected.
fn bare(line: &str) -> &str {
    let line = line.trim();
    line.strip_prefix("selected: ").unwrap_or(line)
}

/// Every step with its verdict, and the one that is shown.
fn verdicts(state: &State) -> String {
    if state.exam.is_none() {
        return String::new();
    }
    let word = |step: Step| super::theme::verdict(state.verdict(step)).2;
    let all = Step::ALL.iter().enumerate();
    let all = all.map(|(at, step)| format!("{} {}: {}", at + 1, step.title(), word(*step)));
    format!("{}. You are at {}.", all.collect::<Vec<_>>().join("; "), state.step().title())
}

/// The line without what is there for the eye, its signs as words.
fn in_words(line: &str) -> String {
    let line: String = line
        .chars()
        .map(|c| match c {
            '─' | '━' | '│' | '┃' | '┌' | '└' | '├' | '┐' | '┘' => ' ',
            c => c,
        })
        .collect();
    let indent = line.len() - line.trim_start().len();
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        words.push(match word {
            "✓" => "ok:",
            "✗" => "wrong:",
            "!" => "warning:",
            "?" => "not known:",
            "–" => "not applicable:",
            "·" => "-",
            "▶" => "selected:",
            "◀" => "this is",
            "≠" => "differs",
            "→" => "to",
            "←" => "from",
            "…" => "more:",
            "(•)" => "chosen:",
            "(" | ")" => "",
            word => word,
        });
    }
    let text = words.join(" ");
    if text.is_empty() { text } else { format!("{}{text}", " ".repeat(indent.min(8))) }
}

enum Answer {
    Keys(Vec<KeyEvent>),
    Nothing,
    /// Nothing more comes in.
    End,
}

/// Asks what to do, or for the field that has the focus.
fn answer(state: &mut State, io: &mut Plain) -> io::Result<Answer> {
    if state.form().is_some() {
        return field(state, io);
    }
    writeln!(io.output, "{}", choices(state))?;
    let Some(line) = ask("> ", io)? else { return Ok(Answer::End) };
    let line = line.trim();
    if let Some(keys) = named(line) {
        return Ok(Answer::Keys(keys));
    }
    let mut wanted = Palette::default();
    wanted.form.fields[0].set(line);
    let found = palette::found(state, &wanted);
    match found.as_slice() {
        [] => writeln!(
            io.output,
            "nothing here has the words {}; ? lists what can be done",
            printable(line)
        )?,
        [one] => match one.refused {
            Some(why) => writeln!(io.output, "{why}")?,
            None => return Ok(Answer::Keys(vec![one.event])),
        },
        several => {
            for command in several {
                writeln!(io.output, "  {}: {}", command.keys, command.words)?;
            }
        }
    }
    Ok(Answer::Nothing)
}

/// `Enter mend…, n next, b back; ? lists all`
fn choices(state: &State) -> String {
    let shown = keys::here(state).filter(|binding| !(binding.label)(state).is_empty());
    let shown = shown.filter(|binding| binding.action != Action::Help);
    let words = shown.map(|b| format!("{} {}", key_words(&b.key_names(false)), (b.label)(state)));
    format!("\nKeys: {}; {} all", words.collect::<Vec<_>>().join(", "), keys::help_key(state))
}

/// Keys by the names that can be typed here.
fn key_words(names: &str) -> String {
    match names {
        "↑↓" => "up or down".to_owned(),
        "←→" => "left or right".to_owned(),
        names => names.to_owned(),
    }
}

/// A key by its name, `down 3` for three of them, nothing for Enter.
fn named(line: &str) -> Option<Vec<KeyEvent>> {
    const MOST: usize = 1000;
    let key = |code| vec![KeyEvent::new(code, KeyModifiers::NONE)];
    let mut chars = line.chars();
    if let (Some(one), None) = (chars.next(), chars.next()) {
        return Some(key(KeyCode::Char(one)));
    }
    let (name, times) = match line.split_once(' ') {
        Some((name, times)) => (name, times.trim().parse().ok()?),
        None => (line, 1_usize),
    };
    let code = match name.to_ascii_lowercase().as_str() {
        "" | "enter" => KeyCode::Enter,
        "esc" | "back" => KeyCode::Esc,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "pgup" => KeyCode::PageUp,
        "pgdn" => KeyCode::PageDown,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "space" => KeyCode::Char(' '),
        "f1" => KeyCode::F(1),
        "quit" => return Some(vec![KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)]),
        _ => return None,
    };
    Some(key(code).repeat(times.min(MOST)))
}

/// Asks for the field that has the focus; a single full stop goes back.
fn field(state: &mut State, io: &mut Plain) -> io::Result<Answer> {
    let enter = Answer::Keys(vec![KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)]);
    let back = Answer::Keys(vec![KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)]);
    let Some(focused) = state.form().and_then(Form::focused) else { return Ok(back) };
    if let Some(error) = &focused.error {
        writeln!(io.output, "not so: {}", printable(error))?;
    }
    let (label, help) = (focused.label, printable(&focused.help).into_owned());
    if state.form().is_some_and(|form| form.focus == 0) {
        writeln!(io.output, "Enter keeps what stands in brackets, a single . goes back.")?;
    }
    if !help.is_empty() {
        writeln!(io.output, "({help})")?;
    }
    let line = match &focused.entry {
        Entry::Secret(_) => match io.secret {
            Some(secret) => Some(secret(&format!("{label}: "))?),
            None => ask(&format!("{label}: "), io)?,
        },
        Entry::Choice { options, chosen } => {
            let now = options.get(*chosen).unwrap_or(&"");
            let question = format!("{label}, one of {} [{now}]: ", options.join(", "));
            ask(&question, io)?
        }
        Entry::Text(input) | Entry::Number(input) => {
            let question = format!("{label} [{}]: ", printable(input.value()));
            ask(&question, io)?
        }
    };
    let Some(line) = line else { return Ok(Answer::End) };
    if line == "." {
        return Ok(back);
    }
    let Some(form) = state.form_mut() else { return Ok(back) };
    let focus = form.focus;
    let Some(field) = form.fields.get_mut(focus).filter(|_| !line.is_empty()) else {
        return Ok(enter);
    };
    field.error = None;
    match &mut field.entry {
        Entry::Choice { options, chosen } => {
            let wanted = line.to_lowercase();
            let Some(at) = options.iter().position(|option| option.to_lowercase() == wanted) else {
                field.error = Some(format!("one of {}", options.join(", ")));
                return Ok(Answer::Nothing);
            };
            *chosen = at;
        }
        Entry::Secret(secret) => *secret = Secret::new(&line),
        Entry::Number(_) if !line.chars().all(|c| c.is_ascii_digit()) => {
            field.error = Some("a number: digits only".to_owned());
            return Ok(Answer::Nothing);
        }
        Entry::Number(_) | Entry::Text(_) => field.set(&line),
    }
    Ok(enter)
}

/// A line, without its end; `None` when nothing more comes.
fn ask(question: &str, io: &mut Plain) -> io::Result<Option<String>> {
    write!(io.output, "{question}")?;
    io.output.flush()?;
    let mut line = String::new();
    if io.input.read_line(&mut line)? == 0 {
        writeln!(io.output)?;
        return Ok(None);
    }
    Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_and_words_are_not_keys() {
        let code = |line: &str| named(line).map(|keys| (keys[0].code, keys.len()));
        assert_eq!(code("n"), Some((KeyCode::Char('n'), 1)));
        assert_eq!(code(""), Some((KeyCode::Enter, 1)));
        assert_eq!(code("down 3"), Some((KeyCode::Down, 3)));
        assert_eq!(code("down 99999999"), Some((KeyCode::Down, 1000)));
        assert_eq!(code("down x"), None);
        assert_eq!(code("explain"), None);
    }

    #[test]
    fn signs_are_words_and_what_is_drawn_is_gone() {
        assert_eq!(in_words("── the key ─────"), "   the key");
        assert_eq!(in_words(" ▶ ✗ the key belongs"), " selected: wrong: the key belongs");
        assert_eq!(in_words("─────"), "");
    }
}
