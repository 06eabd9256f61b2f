//! The only code that changes anything: shows first, keeps a backup, writes atomically, can undo.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::ca::store::Kind;
use crate::ca::{Authority, Destination, Issued};
use crate::facts::session::Route;
use crate::facts::{Facts, Target, Transport};
use crate::remedy::Effect;
use crate::secret::Secret;

pub mod accounts;
pub mod authority;
pub mod back;
mod diff;
pub mod firewall;
pub mod journal;
mod noted;
pub mod register;
pub mod remedy;
pub mod rotate;
mod run;

pub use noted::Noting;
pub use run::{run, run_noted};

/// Everything that is going to be changed, complete, before any of it is.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// `a private CA, and a server certificate from it`
    pub title: String,
    /// A new CA, and what is to be entered in its list, or in that of one that exists.
    pub issue: Option<Issue>,
    /// Something the CA issued is renewed or revoked.
    pub change: Option<Change>,
    pub writes: Vec<Write>,
    /// Shell commands on this host, each with what takes it back.
    pub commands: Vec<Command>,
    /// SQL, each statement as it will be sent, without the closing semicolon.
    pub statements: Vec<Statement>,
    /// What the server needs after the writes.
    pub effect: Effect,
    /// The statement that reloads, where the effect is a reload.
    pub reload: Option<String>,
    /// Whom statements go to; `None` while the server cannot be reached.
    pub session: Option<(Target, Route)>,
    /// The CA that a client has to trust once this is done, when that changes.
    pub trust: Option<PathBuf>,
    /// Opens the CA's key, or protects that of a new one; wiped with the plan.
    pub passphrase: Option<Secret>,
    /// What a person should know before saying yes.
    pub warnings: Vec<String>,
    /// It cannot be undone, or may lock out who does it: asked twice, and this word is to be typed.
    pub asked_again: Option<&'static str>,
    /// What accounts require is changed, with a journal and a reading of its own.
    pub accounts: Option<std::sync::Arc<accounts::AccountPlan>>,
}

/// What a private CA does in the course of a plan. The files it writes are listed among the
/// plan's, for the eye; the store writes them.
#[derive(Clone)]
pub struct Issue {
    pub dir: PathBuf,
    /// `None`: the CA that lies there.
    pub create: Option<Authority>,
    pub certificates: Vec<(Issued, Kind, Vec<String>)>,
    /// Where the files of the server certificate among them lie.
    pub server: Option<Destination>,
}

pub use register::Change;

impl std::fmt::Debug for Issue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // no keys
        f.debug_struct("Issue").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// A file to be written.
#[derive(Clone, Debug)]
pub struct Write {
    pub path: PathBuf,
    pub content: Content,
    /// Permission bits of the new file.
    pub mode: u32,
    /// User and group; `None` keeps those of the file there is, or makes it ours.
    pub owner: Option<(String, String)>,
    /// `server certificate and its chain`, `EC P-256 key, never shown`
    pub what: String,
    /// For a file that exists: what changes, as lines. Empty for a new file and for one that is
    /// replaced as a whole.
    pub diff: Vec<DiffLine>,
    /// Whether a file of this name exists now (a backup of it will be kept).
    pub replaces: bool,
    /// SHA-256 of what was there when the plan was made: what somebody changed since is not
    /// overwritten.
    pub seen: Option<[u8; 32]>,
}

/// What a file will hold. A key is never shown, logged or put on a clipboard.
#[derive(Clone, Debug)]
pub enum Content {
    Text(String),
    Key(Secret),
    /// Written by the CA's store, listed so that nothing is written unseen.
    ByStore,
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub text: String,
    /// The command that takes it back; empty where there is none.
    pub undo: String,
}

/// What was done, in order, and how to take it back.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Applied {
    /// What it was for.
    pub title: String,
    /// One line each, for the report: `wrote /etc/mysql/tls/server.pem (backup …)`.
    pub done: Vec<String>,
    /// Shell commands and statements that undo it, in the order to run them.
    pub undo: Vec<String>,
    /// The same lines as steps, so that `mytls undo` can do them; empty where there are lines alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<back::Step>,
    /// What is left for a person to do, such as a restart; one line each.
    pub left: Vec<String>,
}

/// Why a change was not made, or not to its end.
#[derive(Debug, Error)]
pub enum ApplyError {
    #[error("{0}")]
    Disk(#[from] crate::disk::DiskError),
    #[error("{0}")]
    Ca(#[from] crate::ca::CaError),
    #[error(
        "{} was changed by somebody else since it was read; nothing of it was written: check again",
        path.display()
    )]
    Changed { path: PathBuf },
    #[error("the command failed: {command}: {why}")]
    Command { command: String, why: String },
    #[error("the server refused: {statement}: {why}")]
    Sql { statement: String, why: String },
    #[error("the server does not start again: {0}")]
    Restart(String),
    #[error("there is no session with the server to send statements on; check again first")]
    NoSession,
}

/// What can restart the server on behalf of mytls: the sandbox can, a real server's DBA does it.
pub trait Restart: Send + Sync {
    /// Stops and starts the server, and waits until it answers. The error is what the server said.
    fn restart(&self) -> Result<(), String>;
}

impl Plan {
    /// The way to the server that the facts were gathered on.
    pub fn session_of(facts: &Facts) -> Option<(Target, Route)> {
        use crate::facts::session::{Tls, trust};
        let server = facts.server.read()?;
        let route = match server.session.over {
            Transport::Socket => Route::Socket(facts.target.socket.clone()?),
            Transport::Tcp => {
                let wire = facts.wire.read()?;
                let tls = if server.session.cipher.is_empty() {
                    facts.target.insecure_login.then_some(Tls::Off)?
                } else {
                    let trust = trust(&facts.target, facts.files.read()).ok();
                    Tls::with(&facts.target, facts.handshake()?, trust)?
                };
                Route::Tcp { host: wire.host.clone(), port: wire.port, tls }
            }
        };
        Some((facts.target.clone(), route))
    }

    /// Whether anything would be done at all.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
            && self.statements.is_empty()
            && self.commands.is_empty()
            && self.effect == Effect::None
            && self.accounts.as_ref().is_none_or(|plan| plan.changes.is_empty())
    }
}

impl Write {
    /// A text file as a whole.
    pub fn text(path: &Path, text: String, mode: u32, what: impl Into<String>) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        // A file that is there keeps its mode, and the review shows that one.
        let there = std::fs::metadata(path).ok().map(|about| about.permissions().mode() & 0o7777);
        Self {
            path: path.to_owned(),
            content: Content::Text(text),
            mode: there.unwrap_or(mode),
            owner: None,
            what: what.into(),
            diff: Vec::new(),
            replaces: path.exists(),
            seen: fingerprint(path),
        }
    }

    /// A private key; its text is never shown.
    pub fn key(path: &Path, key: Secret, mode: u32, what: impl Into<String>) -> Self {
        let mut write = Self::text(path, String::new(), mode, what);
        write.content = Content::Key(key);
        // whatever was there before, a new key is nobody else's
        write.mode &= 0o770;
        write
    }

    /// A file that the CA's store writes in the course of the plan.
    fn by_store(path: &Path, mode: u32, what: impl Into<String>) -> Self {
        let mut write = Self::text(path, String::new(), mode, what);
        write.content = Content::ByStore;
        write
    }
}

/// SHA-256 of a file's content; `None` when there is no such file, or it cannot be read.
fn fingerprint(path: &Path) -> Option<[u8; 32]> {
    /// What is written is small; what is larger is another's, and was not there before.
    const LARGEST: u64 = 16 << 20;
    crate::bounded::read(path, LARGEST).ok().map(|bytes| openssl::sha::sha256(&bytes))
}

/// What the server needs afterwards, in words.
pub fn describe(effect: Effect) -> &'static str {
    match effect {
        Effect::None => "nothing else is needed",
        Effect::Reload => "the server reads its files again",
        Effect::Restart => "the server is restarted",
    }
}
