//! Forms: a few fields, one of them with the focus.
//!
//! Leaving a field backwards never validates and never loses what was typed; an error stands under
//! its field and goes away with the next key.

use std::borrow::Cow;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler as _;

use crate::printable::printable;
use crate::secret::Secret;

/// A form: its fields in order, and which one has the focus.
#[derive(Clone, Debug, Default)]
pub struct Form {
    pub fields: Vec<Field>,
    pub focus: usize,
}

#[derive(Clone, Debug)]
pub struct Field {
    pub label: &'static str,
    /// One line below the form while the field has the focus.
    pub help: Cow<'static, str>,
    pub entry: Entry,
    /// In words that say what to do.
    pub error: Option<String>,
}

#[derive(Clone, Debug)]
pub enum Entry {
    Text(Input),
    /// Digits only.
    Number(Input),
    Secret(Secret),
    Choice {
        options: Vec<&'static str>,
        chosen: usize,
    },
}

impl Field {
    pub fn text(label: &'static str, help: &'static str, value: impl Into<String>) -> Self {
        Self::new(label, help, Entry::Text(Input::new(value.into())))
    }

    pub fn number(label: &'static str, help: &'static str, value: impl Into<String>) -> Self {
        Self::new(label, help, Entry::Number(Input::new(value.into())))
    }

    pub fn secret(label: &'static str, help: &'static str, value: Secret) -> Self {
        Self::new(label, help, Entry::Secret(value))
    }

    pub fn choice(
        label: &'static str,
        help: impl Into<Cow<'static, str>>,
        options: impl Into<Vec<&'static str>>,
        chosen: usize,
    ) -> Self {
        Self::new(label, help, Entry::Choice { options: options.into(), chosen })
    }

    fn new(label: &'static str, help: impl Into<Cow<'static, str>>, entry: Entry) -> Self {
        Self { label, help: help.into(), entry, error: None }
    }

    /// What was typed, without blanks around it; empty for a secret.
    pub fn value(&self) -> &str {
        match &self.entry {
            Entry::Text(input) | Entry::Number(input) => input.value().trim(),
            Entry::Secret(_) => "",
            Entry::Choice { options, chosen } => options.get(*chosen).unwrap_or(&""),
        }
    }

    /// Nothing was typed or chosen.
    pub fn is_untouched(&self) -> bool {
        match &self.entry {
            Entry::Text(input) | Entry::Number(input) => input.value().is_empty(),
            Entry::Secret(secret) => secret.is_empty(),
            Entry::Choice { chosen, .. } => *chosen == 0,
        }
    }

    pub fn set(&mut self, value: &str) {
        match &mut self.entry {
            Entry::Text(input) | Entry::Number(input) => *input = Input::new(value.to_owned()),
            Entry::Secret(secret) => *secret = Secret::new(value),
            Entry::Choice { .. } => {}
        }
    }

    /// The secret, when there is one and it is not empty.
    pub fn secret_value(&self) -> Option<Secret> {
        match &self.entry {
            Entry::Secret(secret) if !secret.is_empty() => Some(secret.clone()),
            _ => None,
        }
    }

    fn insert(&mut self, c: char) {
        match &mut self.entry {
            Entry::Number(_) if !c.is_ascii_digit() => {
                self.error = Some("a number: digits only".to_owned());
            }
            Entry::Text(input) | Entry::Number(input) => {
                input.handle(tui_input::InputRequest::InsertChar(c));
            }
            Entry::Secret(secret) => secret.push(c),
            Entry::Choice { .. } => {}
        }
    }
}

impl Form {
    pub fn new(fields: Vec<Field>) -> Self {
        Self { fields, focus: 0 }
    }

    pub fn focused(&self) -> Option<&Field> {
        self.fields.get(self.focus)
    }

    pub fn is_last(&self) -> bool {
        self.focus + 1 >= self.fields.len()
    }

    /// One field on or back; stays at the ends.
    pub fn go(&mut self, forward: bool) {
        let last = self.fields.len().saturating_sub(1);
        self.focus =
            if forward { (self.focus + 1).min(last) } else { self.focus.saturating_sub(1) };
    }

    pub fn value(&self, at: usize) -> &str {
        self.fields.get(at).map_or("", Field::value)
    }

    /// Puts an error under a field and the focus on it.
    pub fn fail(&mut self, at: usize, error: impl Into<String>) {
        if let Some(field) = self.fields.get_mut(at) {
            field.error = Some(error.into());
            self.focus = at;
        }
    }

    pub fn has_error(&self) -> bool {
        self.fields.iter().any(|field| field.error.is_some())
    }

    /// A key that no binding took: letters are letters here.
    pub fn key(&mut self, key: KeyEvent) {
        let Some(field) = self.fields.get_mut(self.focus) else { return };
        field.error = None;
        let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match (key.code, &mut field.entry) {
            (KeyCode::Char(c), Entry::Secret(_) | Entry::Number(_)) if plain => field.insert(c),
            (KeyCode::Backspace, Entry::Secret(secret)) => secret.pop(),
            (KeyCode::Char('u'), Entry::Secret(secret)) => secret.clear(),
            (code, Entry::Choice { options, chosen }) => match code {
                KeyCode::Right | KeyCode::Char(' ') => {
                    *chosen = (*chosen + 1) % options.len().max(1);
                }
                KeyCode::Left => {
                    *chosen = chosen.checked_sub(1).unwrap_or(options.len().saturating_sub(1));
                }
                _ => {}
            },
            (_, Entry::Text(input) | Entry::Number(input)) => {
                input.handle_event(&Event::Key(key));
            }
            _ => {}
        }
    }

    /// Pasted text: its first line, without what no field wants.
    pub fn paste(&mut self, text: &str) {
        let Some(field) = self.fields.get_mut(self.focus) else { return };
        field.error = None;
        let line = text.trim_start().lines().next().unwrap_or("");
        // a password may end in a blank; a name may not
        let secret = matches!(field.entry, Entry::Secret(_));
        let line = if secret { line } else { line.trim_end() };
        let shown = |c: &char| printable(c.encode_utf8(&mut [0; 4])).chars().eq([*c]);
        for c in line.chars().filter(shown) {
            field.insert(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        Form::new(vec![
            Field::text("host", "", ""),
            Field::number("port", "", ""),
            Field::secret("password", "", Secret::default()),
            Field::choice("key", "", ["a", "b", "c"], 0),
        ])
    }

    fn typed(form: &mut Form, text: &str) {
        for c in text.chars() {
            form.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
    }

    #[test]
    fn a_port_takes_digits_and_says_why_not() {
        let mut form = form();
        form.go(true);
        typed(&mut form, "33");
        typed(&mut form, "x");
        assert_eq!(form.value(1), "33");
        assert_eq!(form.fields[1].error.as_deref(), Some("a number: digits only"));
        typed(&mut form, "06");
        assert_eq!((form.value(1), form.has_error()), ("3306", false), "the error clears");
    }

    #[test]
    fn a_paste_is_one_line_without_control_characters() {
        let mut form = form();
        form.paste("  db1\x1b[2J\u{202E}.example  \nrm -rf\n");
        assert_eq!(form.value(0), "db1[2J.example");
    }

    #[test]
    fn a_password_is_no_text() {
        let mut form = form();
        form.focus = 2;
        form.paste("hunter2 \n");
        typed(&mut form, "!");
        assert_eq!(form.value(2), "");
        assert!(!format!("{form:?}").contains("hunter2"));
        assert_eq!(form.fields[2].secret_value(), Some(Secret::new("hunter2 !")));
        form.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(form.fields[2].secret_value(), None);
    }

    #[test]
    fn a_choice_goes_round() {
        let mut form = form();
        form.focus = 3;
        form.key(KeyEvent::new(KeyCode::Left, KeyModifiers::NONE));
        assert_eq!(form.value(3), "c");
        typed(&mut form, " ");
        assert_eq!(form.value(3), "a");
    }
}
