//! What to do about it: statements, option lines, files and commands, written from facts.
//!
//! Everything here is text that works as it stands, with real names filled in. Nothing is run.

use std::path::{Path, PathBuf};

use serde::Serialize;

pub mod access;
pub mod arrivals;
pub mod certificates;
pub mod chain_file;
pub mod channel;
pub mod cipher;
pub mod config;
pub mod firewall;
pub mod key_kinds;
pub mod level;
pub mod lockout;
pub mod offer;
pub mod options;
pub mod place;
pub mod rotation;
pub mod shell;
pub mod statement;
pub mod transport;

/// One way to make a finding go away: its actions, taken in order, do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// What it does: `point ssl_key at the key that matches`.
    pub title: String,
    pub actions: Vec<Action>,
    /// What a person should know before choosing it; may be empty.
    pub note: String,
}

/// Something to run, or to write, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Action {
    #[serde(rename = "where")]
    pub place: Place,
    pub kind: ActionKind,
    /// The file that is written (`config`: appended to; `file`: replaced).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    pub text: String,
    pub effect: Effect,
    /// What takes it back, of the same kind; empty where nothing is known that does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub undo: String,
    /// Whether it asks for something, such as a passphrase, and so needs a terminal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub asks: bool,
}

impl Remedy {
    pub fn new(title: impl Into<String>, actions: Vec<Action>) -> Self {
        Self { title: title.into(), actions, note: String::new() }
    }

    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// The most that the server needs after any of the actions.
    pub fn effect(&self) -> Effect {
        self.actions.iter().map(|action| action.effect).max().unwrap_or_default()
    }
}

impl Action {
    /// Says what takes it back.
    #[must_use]
    pub fn with_undo(mut self, undo: impl Into<String>) -> Self {
        self.undo = undo.into();
        self
    }

    /// Says that it asks for something on a terminal.
    #[must_use]
    pub fn that_asks(mut self) -> Self {
        self.asks = true;
        self
    }

    /// A command for a shell on the server's host.
    pub fn shell(text: impl Into<String>, effect: Effect) -> Self {
        let (place, kind) = (Place::ServerHost, ActionKind::Shell);
        Self {
            place,
            kind,
            file: None,
            text: text.into(),
            effect,
            undo: String::new(),
            asks: false,
        }
    }

    /// A statement for the server, with its closing semicolon.
    pub fn sql(text: impl Into<String>) -> Self {
        let (place, kind) = (Place::ServerSql, ActionKind::Sql);
        Self {
            place,
            kind,
            file: None,
            text: text.into(),
            effect: Effect::None,
            undo: String::new(),
            asks: false,
        }
    }

    /// Lines for the end of an option file; where an option is set twice, the last wins.
    pub fn config(file: &Path, options: &[(&str, &str)]) -> Self {
        let (place, kind) = (Place::ServerHost, ActionKind::Config);
        let lines =
            options.iter().map(|(name, value)| format!("{name} = {}\n", config::quote(value)));
        let text = format!("[mysqld]\n{}", lines.collect::<String>());
        Self {
            place,
            kind,
            file: Some(file.to_owned()),
            text,
            effect: Effect::Restart,
            undo: String::new(),
            asks: false,
        }
    }

    /// The whole content of a file.
    pub fn file(file: &Path, text: impl Into<String>, effect: Effect) -> Self {
        let (place, kind) = (Place::ServerHost, ActionKind::File);
        Self {
            place,
            kind,
            file: Some(file.to_owned()),
            text: text.into(),
            effect,
            undo: String::new(),
            asks: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    ServerHost,
    ClientHost,
    ServerSql,
    DbaHost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionKind {
    Shell,
    Sql,
    /// Lines for the end of an option file, with their group.
    Config,
    /// The whole content of a file.
    File,
}

/// What the server needs afterwards, before the change counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    #[default]
    None,
    Reload,
    Restart,
}
