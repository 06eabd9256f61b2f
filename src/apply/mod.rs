//! The only code that changes anything: shows first, keeps a backup, writes atomically, can undo.

use std::path::PathBuf;

use thiserror::Error;

use crate::remedy::Effect;
use crate::secret::Secret;

/// Everything that is going to be changed, complete, before any of it is.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// `a private CA, and a server certificate from it`
    pub title: String,
    pub writes: Vec<Write>,
    /// SQL, each statement as it will be sent, without the closing semicolon.
    pub statements: Vec<Statement>,
    /// What the server needs after the writes.
    pub effect: Effect,
    /// What a person should know before saying yes.
    pub warnings: Vec<String>,
}

/// A file to be written.
#[derive(Clone, Debug)]
pub struct Write {
    pub path: PathBuf,
    pub content: Content,
    /// Permission bits of the new file.
    pub mode: u32,
    /// User and group; `None` keeps those of the file there is, or of the folder.
    pub owner: Option<(String, String)>,
    /// `server certificate and its chain`, `P-256 key, never shown`
    pub what: String,
    /// For a file that exists: what changes, as lines (` `, `-`, `+`). Empty for a new file and for
    /// one that is replaced as a whole.
    pub diff: Vec<DiffLine>,
    /// Whether a file of this name exists now (a backup of it will be kept).
    pub replaces: bool,
}

/// What a file will hold. A key is never shown, logged or put on a clipboard.
#[derive(Clone, Debug)]
pub enum Content {
    Text(String),
    Key(Secret),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    /// Line number in the old file (removed, kept) or in the new one (added); from 1.
    pub number: usize,
    pub kind: DiffKind,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffKind {
    Kept,
    Removed,
    Added,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub sql: String,
    /// The statement that takes it back; empty where there is none.
    pub undo: String,
}

/// What was done, in order, and how to take it back.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// One line each, for the report: `wrote /etc/mysql/tls/server.pem (backup …)`.
    pub done: Vec<String>,
    /// Shell commands and statements that undo it, in the order to run them.
    pub undo: Vec<String>,
}

/// Why a change was not made, or not to its end.
#[derive(Debug, Error)]
pub enum ApplyError {
    #[error("{path}: {why}", path = path.display())]
    File { path: PathBuf, why: String },
    #[error("the server refused: {statement}: {why}")]
    Sql { statement: String, why: String },
    #[error("{0}")]
    Other(String),
}

/// What can restart the server on behalf of mytls: the sandbox can, a real server's DBA does it.
pub trait Restart: Send + Sync {
    /// Stops and starts the server, and waits until it answers. The error is what the server said.
    fn restart(&self) -> Result<(), String>;
}

/// What a step of the plan that is under way says.
pub type Told<'a> = &'a mut dyn FnMut(&str);

#[allow(unused)]
pub fn describe(effect: Effect) -> &'static str {
    match effect {
        Effect::None => "nothing else is needed",
        Effect::Reload => "the server reads its files again",
        Effect::Restart => "the server is restarted",
    }
}
