//! The wizard without a terminal: keys as a string, jobs done at once.

use std::cell::RefCell;

use mytls::facts::Target;
use mytls::facts::gather::Cancel;
use mytls::tui::engine::Engine;
use mytls::tui::state::{Effect, Msg, State};
use mytls::tui::update::update;
use mytls::tui::{perform, screen};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub struct Walker<E> {
    pub state: State,
    pub engine: E,
    /// What was copied, the last one last.
    pub copied: Vec<String>,
    pub quit: bool,
    /// Jobs that wait to be done; done at once unless held.
    pub held: Option<Vec<Effect>>,
}

impl<E: Engine> Walker<E> {
    pub fn new(engine: E, target: Option<Target>) -> Self {
        let state = State::new(target, engine.can_restart());
        let mut walker = Self { state, engine, copied: Vec::new(), quit: false, held: None };
        walker.take(Msg::Start);
        walker
    }

    /// Presses keys: `n n <enter> w`, a name in angle brackets for keys that are no letters,
    /// `'text'` for what is typed as it stands.
    pub fn walk(&mut self, keys: &str) -> &mut Self {
        let mut rest = keys;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix('\'') {
                let (text, after) = after.split_once('\'').expect("a closing quote");
                text.chars().for_each(|c| self.press(KeyCode::Char(c), KeyModifiers::NONE));
                rest = after;
            } else if let Some(after) = rest.strip_prefix('<') {
                let (name, after) = after.split_once('>').expect("a closing bracket");
                let (code, modifiers) = named(name);
                self.press(code, modifiers);
                rest = after;
            } else {
                if c != ' ' {
                    self.press(KeyCode::Char(c), KeyModifiers::NONE);
                }
                rest = &rest[c.len_utf8()..];
            }
        }
        self
    }

    fn press(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        self.take(Msg::Key(KeyEvent::new(code, modifiers)));
    }

    /// Takes a message in and does what comes of it, to the end.
    pub fn take(&mut self, msg: Msg) {
        let effects = update(&mut self.state, msg);
        match &mut self.held {
            Some(held) => held.extend(effects),
            None => effects.into_iter().for_each(|effect| self.run(effect)),
        }
    }

    /// Does what was held back.
    pub fn let_go(&mut self) {
        for effect in self.held.take().unwrap_or_default() {
            self.run(effect);
        }
    }

    fn run(&mut self, effect: Effect) {
        match effect {
            Effect::Run(id, job) => {
                let told = RefCell::new(Vec::new());
                let outcome = perform(&self.engine, job, &Cancel::default(), &|said| {
                    told.borrow_mut().push(said);
                });
                for said in told.into_inner() {
                    self.take(Msg::Told(id, said));
                }
                self.take(Msg::Ended(id, outcome));
            }
            Effect::Copy(text) => self.copied.push(text),
            Effect::Quit => self.quit = true,
            Effect::Cancel(_) | Effect::Redraw | Effect::Suspend => {}
        }
    }

    pub fn resize(&mut self, columns: u16, rows: u16) -> &mut Self {
        self.take(Msg::Resize(columns, rows));
        self
    }

    /// What stands on the screen, cell by cell.
    pub fn buffer(&self) -> Buffer {
        let (columns, rows) = self.state.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("it cannot fail");
        terminal.draw(|frame| screen::draw(&self.state, frame)).expect("it cannot fail");
        terminal.backend().buffer().clone()
    }

    /// The screen as lines, without blanks at their ends.
    pub fn screen(&self) -> String {
        text_of(&self.buffer())
    }

    #[track_caller]
    pub fn sees(&mut self, text: &str) -> &mut Self {
        let screen = self.screen();
        assert!(screen.contains(text), "no {text:?} on:\n{screen}");
        self
    }

    #[track_caller]
    pub fn does_not_see(&mut self, text: &str) -> &mut Self {
        let screen = self.screen();
        assert!(!screen.contains(text), "there is {text:?} on:\n{screen}");
        self
    }
}

pub fn text_of(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            // the cell after a wide character holds nothing of its own
            if skip == 0 {
                line.push_str(symbol);
                skip = ratatui::text::Span::raw(symbol).width().saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn named(name: &str) -> (KeyCode, KeyModifiers) {
    let none = KeyModifiers::NONE;
    match name {
        "enter" => (KeyCode::Enter, none),
        "esc" => (KeyCode::Esc, none),
        "space" => (KeyCode::Char(' '), none),
        "tab" => (KeyCode::Tab, none),
        "backtab" => (KeyCode::BackTab, KeyModifiers::SHIFT),
        "up" => (KeyCode::Up, none),
        "down" => (KeyCode::Down, none),
        "left" => (KeyCode::Left, none),
        "right" => (KeyCode::Right, none),
        "pgup" => (KeyCode::PageUp, none),
        "pgdn" => (KeyCode::PageDown, none),
        "home" => (KeyCode::Home, none),
        "end" => (KeyCode::End, none),
        "backspace" => (KeyCode::Backspace, none),
        "f1" => (KeyCode::F(1), none),
        other => match other.strip_prefix("c-").and_then(|c| c.chars().next()) {
            Some(c) => (KeyCode::Char(c), KeyModifiers::CONTROL),
            None => panic!("no key is called <{other}>"),
        },
    }
}
