//! What takes a change back, step by step: kept with the change, and carried out while what the
//! change wrote is still there.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use mysql::prelude::Queryable as _;
use serde::{Deserialize, Serialize};

use super::Applied;
use crate::bounded::{self, Unread};
use crate::disk;
use crate::facts::Target;
use crate::facts::session::{self, Route};
use crate::printable::printable;
use crate::remedy::shell;
use crate::x509::certificate::hex;

/// One step of the way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Step {
    /// A file that was written. The backup, where there was something before, holds its owner and
    /// its mode as well.
    File {
        path: PathBuf,
        backup: Option<PathBuf>,
        /// SHA-256 of what was there, in hex; `None` for a new file.
        before: Option<String>,
        /// SHA-256 of what was written.
        after: String,
    },
    /// A folder that was made for a file; it goes once it is empty.
    Folder {
        path: PathBuf,
    },
    /// A folder that has been filled since: it is moved aside, not removed.
    Aside {
        path: PathBuf,
        to: PathBuf,
    },
    Command {
        command: String,
    },
    /// Statements of one session, `;` and a new line between them.
    Sql {
        statements: String,
    },
    /// For a person: what the server needs afterwards, or a file whose name no journal can hold.
    ByHand {
        line: String,
    },
}

impl Step {
    /// What [`disk::replace`] has just done.
    pub(super) fn of_file(path: &Path, backup: Option<PathBuf>) -> Self {
        // a link stays a link: what it leads to was written
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let before = backup.as_deref().and_then(sha256);
        let after = sha256(&path).unwrap_or_default();
        let step = Self::File { path: path.clone(), backup, before, after };
        if path.to_str().is_some() { step } else { Self::ByHand { line: step.line() } }
    }

    /// As a person would do it: a line for a shell, or statements.
    pub(super) fn line(&self) -> String {
        match self {
            Self::File { path, backup: Some(backup), .. } => {
                format!("mv {} {}", shell::path(backup), shell::path(path))
            }
            Self::File { path, backup: None, before: Some(_), .. } => {
                format!("# put back what {} held, from its backup beside it", shell::path(path))
            }
            Self::File { path, backup: None, .. } => format!("rm {}", shell::path(path)),
            Self::Folder { path } => format!("rmdir {}", shell::path(path)),
            Self::Aside { path, to } => format!("mv {} {}", shell::path(path), shell::path(to)),
            Self::Command { command } => command.clone(),
            Self::Sql { statements } => format!("{};", statements.trim_end_matches(';')),
            Self::ByHand { line } => line.clone(),
        }
    }
}

/// Why nothing is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotBack {
    /// There are lines for a person alone.
    ByHand,
    /// These are not as they were left; each with what is the matter.
    Changed(Vec<String>),
}

/// What taking a change back would do.
#[derive(Debug)]
pub struct Back<'a> {
    todo: Vec<Cow<'a, Step>>,
    /// What is as it was before already.
    pub already: Vec<String>,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Outcome {
    pub done: Vec<String>,
    /// Left to a person.
    pub left: Vec<String>,
    /// What went wrong; the other steps were done all the same.
    pub failed: Vec<String>,
}

/// Looks at how things stand. Changes nothing.
pub fn look(applied: &Applied) -> Result<Back<'_>, NotBack> {
    // entries of before there were steps, and of those who write lines alone
    if applied.steps.is_empty() || applied.steps.len() != applied.undo.len() {
        return Err(NotBack::ByHand);
    }
    let mut back = Back { todo: Vec::new(), already: Vec::new() };
    let mut changed = Vec::new();
    for step in &applied.steps {
        let step = with_backup(step);
        match standing(&step) {
            Ok(true) => back.todo.push(step),
            Ok(false) => back.already.push(step.line()),
            Err(why) => changed.push(why),
        }
    }
    if changed.is_empty() { Ok(back) } else { Err(NotBack::Changed(changed)) }
}

/// Of a change that was cut off the backup's name is not known, and what it holds is.
fn with_backup(step: &Step) -> Cow<'_, Step> {
    let Step::File { path, backup: None, before: Some(sum), after } = step else {
        return Cow::Borrowed(step);
    };
    if sum == after {
        return Cow::Borrowed(step);
    }
    let found = disk::backups_of(path).into_iter().find(|kept| sha256(kept).as_ref() == Some(sum));
    Cow::Owned(Step::File {
        path: path.clone(),
        backup: found,
        before: Some(sum.clone()),
        after: after.clone(),
    })
}

/// Whether the step is still to be done; the error says why it must not be.
fn standing(step: &Step) -> Result<bool, String> {
    match step {
        Step::File { path, backup, before, after } => {
            let now = read(path)?;
            let kept = backup.as_deref().map(read).transpose()?.flatten();
            let is_kept = if backup.is_some() { kept == *before } else { before.is_none() };
            if now.as_ref() == Some(after) && is_kept {
                return Ok(true);
            }
            if now == *before {
                return Ok(false);
            }
            let shown = shown(path);
            Err(match (now, backup) {
                (Some(now), Some(backup)) if now == *after => {
                    format!(
                        "{shown}: its backup {} is gone, or is not what it was",
                        self::shown(backup)
                    )
                }
                (Some(now), None) if now == *after => {
                    format!("{shown}: what it held before is kept nowhere beside it")
                }
                (None, _) => format!("{shown}: somebody has removed it since"),
                _ => format!("{shown}: changed since, by somebody else or by a later change"),
            })
        }
        Step::Folder { path } => Ok(path.is_dir()),
        Step::Aside { path, to } if path.exists() && to.exists() => {
            Err(format!("{}: {} is in the way", shown(path), shown(to)))
        }
        Step::Aside { path, .. } => Ok(path.exists()),
        Step::Command { .. } | Step::Sql { .. } | Step::ByHand { .. } => Ok(true),
    }
}

impl Back<'_> {
    pub fn lines(&self) -> Vec<String> {
        self.todo.iter().map(|step| step.line()).collect()
    }

    /// Whether the server is needed for it.
    pub fn has_statements(&self) -> bool {
        self.todo.iter().any(|step| matches!(**step, Step::Sql { .. }))
    }

    /// Does it; without a session, statements are left to a person. A step that fails does not keep
    /// the others from being done.
    pub fn run(&self, session: Option<&(Target, Route)>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut conn = None;
        for step in &self.todo {
            let result = match (step.as_ref(), session) {
                (Step::ByHand { .. }, _) | (Step::Sql { .. }, None) => {
                    outcome.left.push(step.line());
                    continue;
                }
                (Step::Sql { statements }, Some((target, route))) => {
                    if conn.is_none() {
                        conn = Some(session::open(target, route));
                    }
                    match &mut conn {
                        Some(Ok(conn)) => send(conn, statements),
                        Some(Err(error)) => Err(error.to_string()),
                        None => continue, // opened above
                    }
                }
                (Step::File { path, backup, before, .. }, _) => {
                    put_back(path, backup.as_deref(), before.as_ref())
                }
                (Step::Folder { path }, _) => match std::fs::remove_dir(path) {
                    // what others have put there since stays
                    Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
                    other => other.map_err(|error| format!("{}: {error}", shown(path))),
                },
                (Step::Aside { path, to }, _) => {
                    std::fs::rename(path, to).map_err(|error| format!("{}: {error}", shown(path)))
                }
                (Step::Command { command }, _) => {
                    super::run::execute(command).map_err(|error| error.to_string())
                }
            };
            match result {
                Ok(()) => outcome.done.push(step.line()),
                Err(why) => outcome.failed.push(why),
            }
        }
        outcome
    }
}

fn send(conn: &mut mysql::Conn, statements: &str) -> Result<(), String> {
    for statement in split(statements) {
        conn.query_drop(statement)
            .map_err(|error| format!("{}, at {}", session::words(&error), printable(statement)))?;
    }
    Ok(())
}

fn put_back(path: &Path, backup: Option<&Path>, before: Option<&String>) -> Result<(), String> {
    match backup {
        Some(backup) => disk::restore(backup).map(drop).map_err(|error| error.to_string())?,
        None => std::fs::remove_file(path)
            .map_err(|error| disk::DiskError::new(path, error).to_string())?,
    }
    match read(path)? {
        now if now.as_ref() == before => Ok(()),
        _ => Err(format!("{}: put back, and it holds something else", shown(path))),
    }
}

/// The statements of a text, where `;` at a line's end stands between them; not that in a name.
pub(super) fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            // a quote within quotes stands twice, and both together change nothing
            '\'' => quoted = !quoted,
            ';' if !quoted && text[at + 1..].starts_with('\n') => {
                parts.push(&text[from..at]);
                from = at + 2;
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim_end_matches(';'));
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// SHA-256 of a file in hex; `None` when there is none.
fn read(path: &Path) -> Result<Option<String>, String> {
    /// As large as anything that is written, and then some.
    const LARGEST: u64 = 16 << 20;
    match bounded::read(path, LARGEST) {
        Ok(bytes) => Ok(Some(hex(&openssl::sha::sha256(&bytes)))),
        Err(Unread::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: cannot be read: {error}", shown(path))),
    }
}

fn sha256(path: &Path) -> Option<String> {
    read(path).ok().flatten()
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart_where_no_name_holds_the_sign() {
        let text = "SET a = 1;\nALTER USER 'x;\ny''z'@'%' REQUIRE NONE;\nSET b = 2;";
        let parts = ["SET a = 1", "ALTER USER 'x;\ny''z'@'%' REQUIRE NONE", "SET b = 2"];
        assert_eq!(split(text), parts);
        assert_eq!(split("FLUSH SSL;"), ["FLUSH SSL"]);
    }

    #[test]
    fn what_was_taken_back_halfway_is_done_once_more_for_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        let steps = [&one, &two].map(|path| {
            std::fs::write(path, "new").unwrap();
            Step::of_file(path, None)
        });
        let undo = steps.iter().map(Step::line).collect();
        let applied = Applied { steps: steps.to_vec(), undo, ..Applied::default() };
        std::fs::remove_file(&one).unwrap();
        let back = look(&applied).unwrap();
        assert_eq!((back.already.len(), back.lines().len()), (1, 1));
        assert_eq!(back.run(None).failed, Vec::<String>::new());
        assert!(!two.exists());
        std::fs::write(&two, "another's").unwrap();
        let Err(NotBack::Changed(why)) = look(&applied) else { panic!() };
        assert!(why[0].contains("two: changed since"), "{why:?}");
    }
}
