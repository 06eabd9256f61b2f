//! What to do about it: statements, option lines, files and commands, written from facts.
//!
//! Everything here is text that works as it stands, with real names filled in. Nothing is run.

use serde::Serialize;

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
    pub file: Option<std::path::PathBuf>,
    pub text: String,
    pub effect: Effect,
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
