//! What was changed, kept on disk, so that it can be taken back after the program has ended.

use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Applied;
use super::accounts::Change;
use super::back::Step;
use crate::disk::{self, DiskError};
use crate::facts::host;
use crate::x509::certificate::hex;

/// One change with its undo; a line of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// By which it is asked for; of entries that were written before there were any, `#` and the
    /// number of the line.
    #[serde(default)]
    pub id: String,
    /// Seconds since 1970, UTC.
    pub at: i64,
    /// The server it was made on, as the target was displayed.
    pub target: String,
    /// The same server, whichever way it is reached; empty where that was not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// Who made it, and where: `anna on dba1`; empty in entries that were written before it was kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    pub applied: Applied,
    /// What accounts required before and after. Such an entry is written before the change, and
    /// what became of it is [marked](mark) later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<Change>,
    /// Of a change that is noted before it is made: for each thing that it does, in their order, what
    /// takes it back. Until its end is noted, [`Applied::steps`] are those of what it came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways_back: Vec<Vec<Step>>,
    /// What follows when all of them were taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_last: Option<Step>,
    /// As far as it was marked; of an entry whose program was killed, `None`.
    #[serde(skip)]
    pub state: Option<State>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Applied,
    /// Some of it was done and some not.
    Partly,
    Undone,
}

/// A line that says what became of an entry above it.
#[derive(Serialize, Deserialize)]
struct Mark {
    of: String,
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<State>,
    /// Of [`Entry::ways_back`], the number of what is done next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reached: Option<usize>,
    /// What was done in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied: Option<Applied>,
}

impl Entry {
    /// A change that is made now.
    pub fn new(target: String, applied: Applied) -> Self {
        let mut random = [0; 4];
        // without randomness the time is all there is to tell entries apart
        let _ = openssl::rand::rand_bytes(&mut random);
        let at = now();
        let id = format!("{}{}", at % 1000, hex(&random).to_ascii_lowercase());
        Self { id, at, target, by: host::who(), applied, ..Self::default() }
    }

    /// Whether its program ended in the middle of it, or is in the middle of it now. Entries from before
    /// there were marks have neither accounts nor ways back, and were written when all was done.
    pub fn is_cut_off(&self) -> bool {
        self.state.is_none() && !(self.accounts.is_empty() && self.ways_back.is_empty())
    }

    /// What became of it, in words; empty for what is in force.
    pub fn became(&self) -> &'static str {
        match self.state {
            Some(State::Undone) => "taken back",
            Some(State::Partly) => "not all of it",
            None if self.is_cut_off() => "cut off, or still being made",
            Some(State::Applied) | None => "",
        }
    }

    /// Whether it was made on this server, whichever way that is reached now: by its identity, or
    /// by the target's words where either is not known.
    pub fn is_of(&self, server: &str, target: &str) -> bool {
        if self.server.is_empty() || server.is_empty() {
            return self.target == target;
        }
        self.server == server
    }

    fn heed(&mut self, mark: Mark) {
        if let Some(number) = mark.reached {
            let upto = self.ways_back.len().min(number + 1);
            let steps = self.ways_back[..upto].iter().flatten().rev().cloned();
            self.applied.steps = steps.chain(self.at_last.clone()).collect();
            self.applied.undo = self.applied.steps.iter().map(Step::line).collect();
        }
        if let Some(applied) = mark.applied {
            self.applied = applied;
        }
        if mark.state.is_some() {
            self.state = mark.state;
        }
    }
}

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

/// Where the journal is: the user's state folder; `None` without a home.
pub fn default_file() -> Option<PathBuf> {
    let project = directories::ProjectDirs::from("", "", "mytls")?;
    let folder = project.state_dir().unwrap_or_else(|| project.data_local_dir());
    Some(folder.join("journal.jsonl"))
}

/// Adds one entry: a single write to the end, so that two programs do not mix their lines.
pub fn append(file: &Path, entry: &Entry) -> Result<(), DiskError> {
    add(file, entry)
}

/// Adds what became of an entry.
pub fn mark(file: &Path, id: &str, state: State) -> Result<(), DiskError> {
    add(file, &Mark { state: Some(state), ..Mark::of(id) })
}

/// Adds that this thing of an entry is done next.
pub(super) fn reached(file: &Path, id: &str, number: usize) -> Result<(), DiskError> {
    add(file, &Mark { reached: Some(number), ..Mark::of(id) })
}

/// Adds how the change of an entry ended.
pub(super) fn ended(
    file: &Path,
    id: &str,
    state: State,
    applied: Applied,
) -> Result<(), DiskError> {
    add(file, &Mark { state: Some(state), applied: Some(applied), ..Mark::of(id) })
}

impl Mark {
    fn of(id: &str) -> Self {
        Self { of: id.to_owned(), at: now(), state: None, reached: None, applied: None }
    }
}

fn add(file: &Path, line: &impl Serialize) -> Result<(), DiskError> {
    let failed = |error| DiskError::new(file, error);
    if let Some(folder) = file.parent() {
        disk::create_private_dir(folder)?;
    }
    let mut line = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
    line.push(b'\n');
    let mut out = std::fs::OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .mode(0o600)
        .open(file)
        .map_err(failed)?;
    // what a power cut tore off would swallow this one
    if !ends_a_line(&out).map_err(failed)? {
        line.insert(0, b'\n');
    }
    out.write_all(&line).and_then(|()| out.sync_data()).map_err(failed)
}

fn ends_a_line(file: &std::fs::File) -> std::io::Result<bool> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    Ok(last == *b"\n")
}

/// All entries, oldest first; a line that cannot be read (a crash cut it off) is passed over.
pub fn read(file: &Path) -> Result<Vec<Entry>, DiskError> {
    let bytes = match std::fs::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| DiskError::new(file, error))?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Ok(mut entry) = serde_json::from_str::<Entry>(line) {
            if entry.id.is_empty() {
                entry.id = format!("#{}", number + 1);
                entry.state = Some(State::Applied); // written when it was done
            }
            entries.push(entry);
        } else if let Ok(mark) = serde_json::from_str::<Mark>(line)
            && let Some(entry) = entries.iter_mut().rev().find(|entry| entry.id == mark.of)
        {
            entry.heed(mark);
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn entries_come_back_and_a_torn_line_loses_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/journal.jsonl");
        assert_eq!(read(&file).unwrap(), []);
        let applied = Applied { undo: vec!["rm /x".into()], ..Applied::default() };
        let mut entry = Entry::new("db1".into(), applied);
        append(&file, &entry).unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(&file)
            .unwrap()
            .write_all(b"\xff\n{\"at\":")
            .unwrap();
        append(&file, &entry).unwrap();
        assert_eq!(read(&file).unwrap(), [entry.clone(), entry.clone()]);
        let old =
            r#"{"at":1,"target":"db1","applied":{"title":"x","done":[],"undo":[],"left":[]}}"#;
        let mut out = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
        writeln!(out, "{old}").unwrap();
        mark(&file, &entry.id, State::Undone).unwrap();
        let found = read(&file).unwrap();
        entry.state = Some(State::Undone);
        assert_eq!((&found[1], found[2].id.as_str()), (&entry, "#5"));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
