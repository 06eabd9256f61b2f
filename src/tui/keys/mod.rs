//! The keys, as data: dispatch, the footer, the `?` overlay and the README's table are views of
//! one list, so that none of them can lie.

use std::fmt::Write as _;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{Overlay, Place, State};
use crate::rules::Step;

mod table;

pub use table::BINDINGS;
use table::EVERYWHERE;

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Stop,
    Quit,
    Help,
    Redraw,
    Suspend,
    Move,
    Scroll,
    Ends,
    Open,
    Explain,
    Recheck,
    /// The CA there is, or the form that makes one.
    OpenAuthority,
    Make,
    Renew,
    Revoke,
    Filter,
    Sort,
    ShowAll,
    Page,
    Mark,
    MarkShown,
    Cipher,
    WhyDenied,
    /// What the server offers of TLS.
    Scan,
    Copy,
    Next,
    Back,
    Jump,
    EditTarget,
    SaveReport,
    /// Everything that can be done here, found by its words.
    Palette,
    ToggleForm,
    Apply,
    Prove,
    Certificate,
    /// Left or right within a field.
    Turn,
    Write,
    ChooseNumber,
    Submit,
    Close,
}

/// Where keys have a meaning of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Connect,
    /// The first examination is under way.
    Waiting,
    List,
    Accounts,
    Account,
    Report,
    Authority,
    Filter,
    Workshop,
    Fix,
    Review,
    Applying,
    Done,
    Proof,
    /// Help and explanations.
    Text,
    Ask,
    Ways,
    /// Why an account is denied.
    Denied,
    /// What can be done here, looked for by its words.
    Palette,
    /// What the server offers.
    Scan,
}

impl Context {
    pub const ALL: [Self; 20] = [
        Self::Connect,
        Self::Waiting,
        Self::List,
        Self::Accounts,
        Self::Account,
        Self::Report,
        Self::Authority,
        Self::Filter,
        Self::Workshop,
        Self::Fix,
        Self::Review,
        Self::Applying,
        Self::Done,
        Self::Proof,
        Self::Text,
        Self::Ask,
        Self::Ways,
        Self::Denied,
        Self::Palette,
        Self::Scan,
    ];

    /// The context that the next key is for.
    pub fn of(state: &State) -> Self {
        Self::beneath(state, state.top())
    }

    /// The context with this overlay on top.
    pub fn beneath(state: &State, over: Option<&Overlay>) -> Self {
        match over {
            Some(Overlay::Help | Overlay::Explain(_) | Overlay::Card) => Self::Text,
            Some(Overlay::Fix(_)) => Self::Fix,
            Some(Overlay::Review(_)) => Self::Review,
            Some(Overlay::Applying { .. }) => Self::Applying,
            Some(Overlay::Done { .. }) => Self::Done,
            Some(Overlay::Proof(_)) => Self::Proof,
            Some(Overlay::Ways(_)) => Self::Ways,
            Some(Overlay::Denied { .. }) => Self::Denied,
            Some(Overlay::Palette(_)) => Self::Palette,
            Some(Overlay::Scan { .. }) => Self::Scan,
            Some(
                Overlay::Password { .. }
                | Overlay::Passphrase { .. }
                | Overlay::ProofKey { .. }
                | Overlay::Save(_)
                | Overlay::Cipher(_)
                | Overlay::AskWhy { .. }
                | Overlay::Sure { .. },
            ) => Self::Ask,
            None => match &state.place {
                Place::Workshop(_) => Self::Workshop,
                Place::Authority(_) if state.register.as_ref().is_some_and(|r| r.typing) => {
                    Self::Filter
                }
                Place::Authority(_) => Self::Authority,
                Place::Account(_) | Place::Accounts(_) => Self::Account,
                Place::Step(Step::Server) if state.connect.is_some() => Self::Connect,
                Place::Step(_) if state.exam.is_none() => Self::Waiting,
                Place::Step(Step::Accounts) if state.roster.typing => Self::Filter,
                Place::Step(Step::Accounts) => Self::Accounts,
                Place::Step(Step::Report) => Self::Report,
                Place::Step(_) => Self::List,
            },
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Connect => "Which server",
            Self::Waiting => "While the server is checked for the first time",
            Self::List => "A step's list",
            Self::Accounts => "Accounts",
            Self::Account => "The statement of one account, or of those marked",
            Self::Report => "Report",
            Self::Authority => "The private CA and what it issued",
            Self::Filter => "While something is looked for",
            Self::Workshop => "A new CA, or new certificates",
            Self::Fix => "Ways to mend a finding",
            Self::Review => "Before anything is written",
            Self::Applying => "While it is written",
            Self::Done => "After it was written, or was not",
            Self::Proof => "The proof",
            Self::Text => "Help, explanations and certificates",
            Self::Ask => "A password, a file's name, a cipher suite, or a word",
            Self::Denied => "Why an account is denied",
            Self::Palette => "What can be done here, by its words",
            Self::Scan => "What the server offers",
            Self::Ways => "How to renew, why to revoke",
        }
    }

    /// Whether letters are letters.
    fn is_typing(self) -> bool {
        matches!(self, Self::Connect | Self::Workshop | Self::Filter | Self::Ask | Self::Palette)
    }
}

/// A key as it is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Ctrl(char),
    Code(KeyCode),
    /// `1` to `9`.
    Digit,
}

impl Key {
    fn matches(self, event: KeyEvent) -> bool {
        let held = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT);
        match (self, event.code) {
            (Self::Ctrl(c), KeyCode::Char(pressed)) => {
                held == KeyModifiers::CONTROL && pressed == c
            }
            (Self::Char(c), KeyCode::Char(pressed)) => held.is_empty() && pressed == c,
            (Self::Digit, KeyCode::Char(pressed)) => {
                held.is_empty() && pressed.is_ascii_digit() && pressed != '0'
            }
            // Shift-Tab arrives with or without Shift, as the terminal likes
            (Self::Code(code), pressed) => held.is_empty() && pressed == code,
            _ => false,
        }
    }

    /// Aliases for those whose fingers expect them.
    fn is_silent(self) -> bool {
        matches!(self, Self::Char('j' | 'k'))
    }

    fn name(self, ascii: bool) -> String {
        match self {
            Self::Char(' ') => "Space".to_owned(),
            Self::Char(c) => c.to_string(),
            Self::Ctrl(c) => format!("Ctrl-{}", c.to_ascii_uppercase()),
            Self::Digit => "1-9".to_owned(),
            Self::Code(code) => match (code, ascii) {
                (KeyCode::Up, false) => "↑".to_owned(),
                (KeyCode::Down, false) => "↓".to_owned(),
                (KeyCode::Left, false) => "←".to_owned(),
                (KeyCode::Right, false) => "→".to_owned(),
                (KeyCode::Enter, _) => "Enter".to_owned(),
                (KeyCode::BackTab, _) => "Shift-Tab".to_owned(),
                (KeyCode::PageUp, _) => "PgUp".to_owned(),
                (KeyCode::PageDown, _) => "PgDn".to_owned(),
                (code, _) => code.to_string(),
            },
        }
    }
}

fn joined<'a>(keys: impl Iterator<Item = &'a Key>, ascii: bool) -> String {
    let names: Vec<String> = keys.map(|key| key.name(ascii)).collect();
    let arrows = names.iter().all(|name| name.chars().count() == 1 && !name.is_ascii());
    names.join(if arrows { "" } else { " " })
}

/// One line of the table.
pub struct Binding {
    pub keys: &'static [Key],
    /// How many of the keys the footer shows.
    pub shown: usize,
    pub contexts: &'static [Context],
    pub action: Action,
    /// For the footer, as short as can be; empty where it is for the help alone.
    pub label: fn(&State) -> &'static str,
    /// For the help.
    pub doc: &'static str,
    /// The binding exists only while this holds.
    pub only_when: Option<fn(&State) -> bool>,
    /// Why it cannot be done just now.
    pub refused: fn(&State) -> Option<&'static str>,
}

impl Binding {
    /// The keys, as the footer names them: `↑↓`, `Enter`.
    pub fn key_names(&self, ascii: bool) -> String {
        joined(self.keys.iter().take(self.shown), ascii)
    }

    /// All keys but those that only hands know, as the help names them.
    pub fn all_names(&self, ascii: bool) -> String {
        joined(self.keys.iter().filter(|key| !key.is_silent()), ascii)
    }

    fn holds(&self, state: &State) -> bool {
        self.only_when.is_none_or(|when| when(state))
    }
}

/// What a key press comes to.
pub enum Pressed {
    Act(Action),
    /// It is bound, and cannot be done now; says why.
    Refused(&'static str),
    Unbound,
}

/// Looks a key up.
pub fn press(state: &State, event: KeyEvent) -> Pressed {
    let bound = here(state).find(|binding| binding.keys.iter().any(|key| key.matches(event)));
    let Some(binding) = bound else { return Pressed::Unbound };
    match (binding.refused)(state) {
        Some(why) => Pressed::Refused(why),
        None => Pressed::Act(binding.action),
    }
}

/// The bindings that work here and now, in the footer's order.
pub fn here(state: &State) -> impl Iterator<Item = &'static Binding> {
    in_context(state, Context::of(state))
}

/// The same for another context: the help shows the keys of what lies beneath it.
pub fn in_context(state: &State, context: Context) -> impl Iterator<Item = &'static Binding> {
    BINDINGS
        .iter()
        .filter(move |binding| binding.contexts.contains(&context))
        .filter(|binding| binding.holds(state))
}

/// The whole table as Markdown, for the README.
pub fn key_table_markdown() -> String {
    let mut out = String::new();
    for context in Context::ALL {
        let own = |binding: &&Binding| {
            binding.contexts.contains(&context) && binding.contexts.len() < EVERYWHERE.len() - 3
        };
        table(&mut out, context.title(), BINDINGS.iter().filter(own));
    }
    let common = |binding: &&Binding| binding.contexts.len() >= EVERYWHERE.len() - 3;
    table(
        &mut out,
        "Everywhere (letters only where nothing is typed)",
        BINDINGS.iter().filter(common),
    );
    out
}

fn table<'a>(out: &mut String, title: &str, bindings: impl Iterator<Item = &'a Binding>) {
    let rows: Vec<String> = bindings
        .map(|binding| format!("| `{}` | {} |", binding.all_names(false), binding.doc))
        .collect();
    if !rows.is_empty() {
        // writing to a String cannot fail
        let _ = write!(
            out,
            "**{title}**\n\n| Key | What it does |\n|---|---|\n{}\n\n",
            rows.join("\n")
        );
    }
}

/// What the footer ends in, always: how to get help.
pub fn help_key(state: &State) -> &'static str {
    if Context::of(state).is_typing() { "F1" } else { "?" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTER: Key = Key::Code(KeyCode::Enter);

    #[test]
    fn every_binding_is_documented() {
        for binding in BINDINGS {
            let keys = binding.key_names(false);
            assert!(!binding.doc.is_empty(), "{keys}");
            assert!(!binding.doc.ends_with('.'), "{keys}: one phrase, no full stop");
            assert!(binding.shown > 0 && binding.shown <= binding.keys.len(), "{keys}");
            assert!(key_table_markdown().contains(binding.doc), "{keys} is not in the table");
        }
    }

    /// A binding is reachable when no binding before it takes all its keys for good.
    #[test]
    fn every_binding_can_be_reached() {
        for (at, binding) in BINDINGS.iter().enumerate() {
            for context in binding.contexts {
                let earlier = || {
                    let before = BINDINGS[..at].iter();
                    before.filter(|b| b.contexts.contains(context) && b.only_when.is_none())
                };
                let free = |key: &Key| !earlier().any(|b| b.keys.contains(key));
                assert!(binding.keys.iter().any(free), "{context:?}: {}", binding.doc);
                // what the footer promises must not be taken by somebody else
                let promised = &binding.keys[..binding.shown];
                assert!(promised.iter().all(free), "{context:?}: {} is taken", binding.doc);
            }
        }
    }

    #[test]
    fn no_letter_does_anything_while_typing() {
        for binding in BINDINGS {
            let letters = binding.keys.iter().any(|key| matches!(key, Key::Char(_) | Key::Digit));
            let typing = binding.contexts.iter().any(|context| context.is_typing());
            assert!(!(letters && typing), "{}", binding.doc);
        }
    }

    #[test]
    fn writing_is_not_where_enter_is() {
        let enter = |b: &&Binding| b.keys.contains(&ENTER) && b.contexts.contains(&Context::Review);
        assert!(BINDINGS.iter().find(enter).is_none(), "nothing is written by typing ahead");
    }

    #[test]
    fn every_context_has_help_and_a_way_out() {
        for context in Context::ALL {
            let has = |action| {
                BINDINGS.iter().any(|b| b.action == action && b.contexts.contains(&context))
            };
            assert!(has(Action::Help) && has(Action::Quit), "{context:?}");
        }
    }
}
