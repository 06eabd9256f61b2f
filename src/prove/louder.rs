//! Makes a server say why it refuses, for a moment, and as talkative as it was before.
//!
//! MySQL 8.0 and later log which name did not fit only with `log_error_verbosity` 3 (default 2);
//! MariaDB with `log_warnings` 1 or more, and which login it was with 2 (its default).

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use mysql::prelude::Queryable as _;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::facts::session::{self, Route, Session};
use crate::facts::{Flavor, ServerFacts, Target, Version};

/// Set for as long as this lives.
pub struct Louder {
    change: Change,
    /// A session of its own for the way back: the other may be in the middle of something.
    session: Session,
    note: Option<PathBuf>,
    /// Shared by all that listen; whoever is the last to leave sets it back.
    listening: Option<Flock<File>>,
}

/// What was changed; kept in a file for as long as it is, since nobody puts back what a process
/// that was killed has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    target: String,
    variable: String,
    before: String,
    /// Of the process that changed it.
    pid: u32,
}

impl Louder {
    /// Raises the variable where it is too low; `None` where it is not. The error says what is
    /// missing for it.
    pub fn set(
        session: &mut Session,
        server: &ServerFacts,
        way: &(Target, Route),
    ) -> Result<Option<Self>, String> {
        let (variable, enough) = wanted(server);
        let target = way.0.display();
        let mut level = || -> Result<i64, String> {
            let now: Option<i64> = session
                .query_first(format!("SELECT @@GLOBAL.{variable}"))
                .map_err(|error| session::words(&error))?;
            Ok(now.unwrap_or(0))
        };
        let left = || left_behind(&target).filter(|left| left.variable == variable);
        // whoever raised it noted so before: without a note it is loud of its own, and stays so
        if level()? >= enough && left().is_none() {
            return Ok(None);
        }
        let listening = listen(&target);
        let now = level()?;
        let left = left();
        if now >= enough && left.is_none() {
            return Ok(None);
        }
        let before = left.map_or_else(|| now.to_string(), |left| left.before);
        let change =
            Change { target, variable: variable.to_owned(), before, pid: std::process::id() };
        let back = session::open(&way.0, &way.1).map_err(|error| error.to_string())?;
        let note = note_file(&change.target);
        let is_new = note.as_ref().is_some_and(|note| !note.exists());
        if let Some(note) = &note {
            change.keep(note);
        }
        if let Err(error) = session.query_drop(format!("SET GLOBAL {variable} = {enough}")) {
            if is_new {
                // nothing was changed
                let _ = note.as_ref().map(std::fs::remove_file);
            }
            return Err(format!(
                "the server keeps the reason to itself ({variable} is {now}), and raising it was \
                 refused: {}",
                session::words(&error)
            ));
        }
        Ok(Some(Self { change, session: back, note, listening }))
    }

    /// For people.
    pub fn describe(&self) -> String {
        let Change { variable, before, .. } = &self.change;
        format!("{variable} is raised while the logins are tried, and set back to {before}")
    }
}

impl Drop for Louder {
    fn drop(&mut self) {
        let Change { variable, before, .. } = &self.change;
        let others = self
            .listening
            .as_ref()
            .is_some_and(|lock| lock.relock(FlockArg::LockExclusiveNonblock).is_err());
        if others {
            return; // the note tells them what it was
        }
        // both are numbers and names of our own
        let back = self.session.query_drop(format!("SET GLOBAL {variable} = {before}"));
        if let (Ok(()), Some(note)) = (back, &self.note) {
            // what cannot be removed is only done once more
            let _ = std::fs::remove_file(note);
        }
    }
}

impl Change {
    /// As far as it can be kept: without a home there is no place for it.
    fn keep(&self, file: &Path) {
        let Ok(text) = serde_json::to_vec(self) else { return };
        if let Some(folder) = file.parent() {
            let _ = disk::create_private_dir(folder);
        }
        let _ = std::fs::write(file, text);
    }
}

fn wanted(server: &ServerFacts) -> (&'static str, i64) {
    if server.flavor == Flavor::MySql && server.version >= Version(5, 7, 2) {
        ("log_error_verbosity", 3)
    } else {
        ("log_warnings", 2)
    }
}

/// Says that somebody listens to this server, for as long as the lock is held; it ends with the
/// process. Without a home there is none.
fn listen(target: &str) -> Option<Flock<File>> {
    let path = note_file(target)?.with_extension("lock");
    disk::create_private_dir(path.parent()?).ok()?;
    let mut options = File::options();
    let file = options.create(true).write(true).truncate(false).mode(0o600).open(path).ok()?;
    // whoever sets it back holds it for one statement
    Flock::lock(file, FlockArg::LockShared).ok()
}

/// What others that listen to this server have raised, or one that was killed has left.
fn left_behind(target: &str) -> Option<Change> {
    let text = crate::bounded::read(&note_file(target)?, 4_096).ok()?;
    let change: Change = serde_json::from_slice(&text).ok()?;
    let sound = change.target == target && change.before.parse::<u32>().is_ok();
    sound.then_some(change)
}

/// One file a server, beside the journal of changes.
fn note_file(target: &str) -> Option<PathBuf> {
    let project = directories::ProjectDirs::from("", "", "mytls")?;
    let folder = project.state_dir().unwrap_or_else(|| project.data_local_dir());
    let name: String =
        target.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    Some(folder.join(format!("verbosity-{name}.json")))
}
