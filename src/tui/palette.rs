//! The command palette: everything that can be done here, found by its words.
//!
//! It has no commands of its own. It lists the bindings of what lies beneath it and presses the key
//! of the one that is chosen, so that it cannot do what a key does not, nor leave one out.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::form::{Field, Form};
use super::keys::{self, Action, Context, Key};
use super::state::{Overlay, State};
use crate::rules::Step;

/// What is looked for, and which of those found is chosen.
#[derive(Clone, Debug)]
pub struct Palette {
    pub form: Form,
    pub chosen: usize,
}

/// Something that can be done.
pub struct Command {
    /// The keys that do it, for those who come back.
    pub keys: String,
    pub words: String,
    /// As the footer names it; may be empty.
    pub label: &'static str,
    /// The key to press for it.
    pub event: KeyEvent,
    /// Why it cannot be done just now.
    pub refused: Option<&'static str>,
}

impl Default for Palette {
    fn default() -> Self {
        let field = Field::text("do", "type words of it; Enter does what is chosen", "");
        Self { form: Form::new(vec![field]), chosen: 0 }
    }
}

impl Palette {
    /// One up or down among those found.
    pub fn step(&mut self, forward: bool, found: usize) {
        let last = found.saturating_sub(1);
        self.chosen =
            if forward { self.chosen + 1 } else { self.chosen.saturating_sub(1) }.min(last);
    }
}

/// The commands with all the words that were typed, those that can be done first.
pub fn found(state: &State, palette: &Palette) -> Vec<Command> {
    let words: Vec<String> =
        palette.form.value(0).split_whitespace().map(str::to_lowercase).collect();
    let fits = |command: &Command| {
        let text = format!("{} {} {}", command.label, command.words, command.keys).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let mut found: Vec<Command> = commands(state).into_iter().filter(fits).collect();
    found.sort_by_key(|command| command.refused.is_some()); // stable: as in the footer
    found
}

/// Everything that the keys of what lies beneath the palette do.
fn commands(state: &State) -> Vec<Command> {
    let beneath = match state.top() {
        Some(Overlay::Palette(_)) => state.layers.iter().rev().nth(1).map(|layer| &layer.over),
        top => top,
    };
    let context = Context::beneath(state, beneath);
    let mut out = Vec::new();
    for binding in keys::in_context(state, context) {
        match binding.action {
            // moving about is for the fingers
            Action::Move
            | Action::Scroll
            | Action::Ends
            | Action::Page
            | Action::Turn
            | Action::ChooseNumber
            | Action::Palette => {}
            Action::Jump => out.extend(Step::ALL.iter().enumerate().map(|(at, step)| {
                let number = char::from_digit(u32::try_from(at + 1).unwrap_or(0), 10);
                let number = number.unwrap_or('1');
                Command {
                    keys: number.to_string(),
                    words: format!("go to {}", step.title()),
                    label: "",
                    event: KeyEvent::new(KeyCode::Char(number), KeyModifiers::NONE),
                    refused: None,
                }
            })),
            action => {
                let Some(event) = binding.keys.iter().find_map(|key| event(*key)) else { continue };
                // what is written is said yes to in front of its review, with its own key
                let by_key = (action == Action::Write).then_some("press w in front of the review");
                out.push(Command {
                    keys: binding.all_names(state.ascii),
                    words: binding.doc.to_owned(),
                    label: (binding.label)(state),
                    event,
                    refused: by_key.or_else(|| (binding.refused)(state)),
                });
            }
        }
    }
    out
}

/// A press of this key; `None` for one that stands for several.
fn event(key: Key) -> Option<KeyEvent> {
    let (code, held) = match key {
        Key::Char(c) => (KeyCode::Char(c), KeyModifiers::NONE),
        Key::Ctrl(c) => (KeyCode::Char(c), KeyModifiers::CONTROL),
        Key::Code(code) => (code, KeyModifiers::NONE),
        Key::Digit => return None,
    };
    Some(KeyEvent::new(code, held))
}
