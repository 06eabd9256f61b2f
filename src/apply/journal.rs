//! What was changed, kept on disk, so that it can be taken back after the program has ended.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Applied;
use crate::disk::{self, DiskError};

/// One change with its undo; a line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Seconds since 1970, UTC.
    pub at: i64,
    /// The server it was made on, as the target was displayed.
    pub target: String,
    pub applied: Applied,
}

/// Where the journal is: the user's state folder; `None` without a home.
pub fn default_file() -> Option<PathBuf> {
    let project = directories::ProjectDirs::from("", "", "mytls")?;
    let folder = project.state_dir().unwrap_or_else(|| project.data_local_dir());
    Some(folder.join("journal.jsonl"))
}

/// Adds one entry: a single write to the end, so that two programs do not mix their lines.
pub fn append(file: &Path, entry: &Entry) -> Result<(), DiskError> {
    let failed = |error| DiskError::new(file, error);
    if let Some(folder) = file.parent() {
        disk::create_private_dir(folder)?;
    }
    let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
    line.push(b'\n');
    let mut out = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(file)
        .map_err(failed)?;
    out.write_all(&line).and_then(|()| out.sync_data()).map_err(failed)
}

/// All entries, oldest first; a line that cannot be read (a crash cut it off) is passed over.
pub fn read(file: &Path) -> Result<Vec<Entry>, DiskError> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| DiskError::new(file, error))?,
    };
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
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
        let entry = Entry { at: 1, target: "db1".into(), applied };
        append(&file, &entry).unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(&file)
            .unwrap()
            .write_all(b"{\"at\":\n")
            .unwrap();
        append(&file, &entry).unwrap();
        assert_eq!(read(&file).unwrap(), [entry.clone(), entry]);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
