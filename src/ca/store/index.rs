//! The list of what a CA issued: `index.jsonl`, one event a line, only ever lengthened.
//!
//! A line is on the disk before what it tells of is handed out. A process that is killed while it
//! writes leaves at most a last line that is cut off: that line was promised to nobody, is reported,
//! and is cut away before the next is written.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::{Elsewhere, Entry, Kind, Revoked};
use super::lock::Lock;
use super::{RevocationList, Store, io_fault, read_chain};
use crate::ca::CaError;
use crate::ca::crl::{self, Reason};
use crate::disk::{self, Meta};
use crate::x509::Certificate;
use crate::x509::certificate::unix_seconds;

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::ca) enum Event {
    /// With it the one that it takes the place of is replaced.
    Issued(Entry),
    /// It never was; the one that it was to replace is not.
    Dropped { serial: String },
    /// Of a serial number that no line before it issued: another tool did.
    Revoked { serial: String, at: i64, reason: Reason },
    /// Lists of revoked certificates with this number were signed.
    Crl { number: u64 },
}

/// All lines taken together.
#[derive(Clone, Debug, Default)]
pub(in crate::ca) struct Index {
    /// Oldest first.
    pub entries: Vec<Entry>,
    by_serial: HashMap<String, usize>,
    /// Revoked, and not among the entries; oldest first.
    pub elsewhere: Vec<Elsewhere>,
    /// Of the lists that were signed last; 0 before the first.
    pub crl_number: u64,
    /// The last line is cut off; this many bytes before it are whole.
    pub torn: Option<u64>,
}

impl Index {
    pub(in crate::ca) const FILE: &str = "index.jsonl";
    /// What earlier versions kept: one array of entries, written anew each time.
    const OLD_FILE: &str = "index.json";

    /// Reads the list; a store that has none yet has it made up from what there is.
    pub(in crate::ca) fn read(dir: &Path) -> Result<Self, CaError> {
        let path = dir.join(Self::FILE);
        match fs::read(&path) {
            Ok(bytes) => Self::parse(&path, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::gather(dir),
            Err(error) => Err(io_fault(&path, error)),
        }
    }

    pub(in crate::ca) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CaError> {
        let mut index = Self::default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < bytes.len() {
            index.torn = Some(whole as u64);
        }
        for (number, line) in bytes[..whole].split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let event = serde_json::from_slice(line).map_err(|error| CaError::Index {
                path: path.to_owned(),
                line: number + 1,
                why: error.to_string(),
            })?;
            index.apply(event);
        }
        Ok(index)
    }

    /// What a store without a list holds: the old list, and every certificate that was kept.
    fn gather(dir: &Path) -> Result<Self, CaError> {
        let mut index = Self::default();
        let old = dir.join(Self::OLD_FILE);
        if let Ok(bytes) = fs::read(&old) {
            let entries: Vec<Entry> = serde_json::from_slice(&bytes).map_err(|error| {
                CaError::Index { path: old.clone(), line: error.line(), why: error.to_string() }
            })?;
            for entry in entries {
                index.apply(Event::Issued(entry));
            }
        }
        let mut found = Vec::new();
        for file in fs::read_dir(dir.join("issued")).into_iter().flatten().flatten() {
            let bytes = fs::read(file.path()).unwrap_or_default();
            let Ok(certificates) = crate::x509::pem::certificates(&bytes) else { continue };
            let entry = Entry::found(&Certificate::from_openssl(&certificates[0]));
            if !index.by_serial.contains_key(&entry.serial) {
                found.push(entry);
            }
        }
        found.sort_by(|a, b| (a.not_before, &a.serial).cmp(&(b.not_before, &b.serial)));
        for entry in found {
            index.apply(Event::Issued(entry));
        }
        index.revoke_as_listed(dir);
        for entry in &mut index.entries {
            let folder = Path::new("clients").join(entry.names.first().map_or("", String::as_str));
            let files = client_files(&folder);
            if entry.kind == Kind::Client && dir.join(&files[0]).exists() {
                entry.files = files.to_vec();
            }
        }
        Ok(index)
    }

    /// What the signed lists say was revoked, and the number that they have: with the index lost,
    /// nobody else remembers.
    fn revoke_as_listed(&mut self, dir: &Path) {
        let same = |one: &str, other: &str| {
            one.trim_start_matches('0').eq_ignore_ascii_case(other.trim_start_matches('0'))
        };
        let chain = read_chain(dir).unwrap_or_default();
        for list in crl::lists_in(&fs::read(dir.join(Store::CRL_FILE)).unwrap_or_default()) {
            self.crl_number = self.crl_number.max(crl::number_of(&list).unwrap_or(0));
            // those of the CAs above are about other certificates
            if RevocationList::of(&list, &chain).is_none_or(|list| list.of != 0) {
                continue;
            }
            for revoked in list.get_revoked().into_iter().flatten() {
                let Ok(serial) = revoked.serial_number().to_bn().map(|bn| crl::hex(&bn)) else {
                    continue;
                };
                let own = self.entries.iter().find(|entry| same(&entry.serial, &serial));
                let serial = own.map_or(serial, |entry| entry.serial.clone());
                let at = unix_seconds(revoked.revocation_date());
                self.apply(Event::Revoked { serial, at, reason: Reason::Unspecified });
            }
        }
    }

    /// Writes a list that was made up from the folders down, whole or not at all.
    pub(super) fn settle_down(&self, _: &Lock, dir: &Path) -> Result<(), CaError> {
        let path = dir.join(Self::FILE);
        if path.exists() {
            return Ok(());
        }
        let mut lines = Vec::new();
        let mut written =
            self.entries.iter().try_for_each(|entry| write_line(&mut lines, &WrittenEntry(entry)));
        for Elsewhere { serial, revoked: Revoked { at, reason } } in &self.elsewhere {
            let event = Event::Revoked { serial: serial.clone(), at: *at, reason: *reason };
            written = written.and_then(|()| write_line(&mut lines, &event));
        }
        written.map_err(|error| io_fault(&path, error))?;
        Ok(disk::overwrite(&path, &lines, Meta::mode(0o600))?)
    }

    /// These events as lines.
    pub(super) fn lines(dir: &Path, events: &[Event]) -> Result<Vec<u8>, CaError> {
        let mut lines = Vec::new();
        let written = events.iter().try_for_each(|event| write_line(&mut lines, event));
        written.map_err(|error| io_fault(&dir.join(Self::FILE), error))?;
        Ok(lines)
    }

    /// Lengthens the list by these events, which are on the disk when it returns; all of them or
    /// none, unless the process or the machine is stopped.
    pub(in crate::ca) fn append(
        &mut self,
        _: &Lock,
        dir: &Path,
        events: Vec<Event>,
    ) -> Result<(), CaError> {
        let path = dir.join(Self::FILE);
        let failed = |error| io_fault(&path, error);
        let lines = Self::lines(dir, &events)?;
        let mut file = File::options().append(true).open(&path).map_err(failed)?;
        let before = match self.torn {
            Some(whole) => whole,
            None => file.metadata().map_err(failed)?.len(),
        };
        let write = |file: &mut File| {
            file.set_len(before)?;
            file.write_all(&lines)?;
            file.sync_all()
        };
        if let Err(error) = write(&mut file) {
            let _ = file.set_len(before); // a full disk: what was written of the lines goes again
            return Err(failed(error));
        }
        self.torn = None;
        for event in events {
            self.apply(event);
        }
        Ok(())
    }

    pub(in crate::ca) fn get(&self, serial: &str) -> Option<&Entry> {
        self.by_serial.get(serial).map(|at| &self.entries[*at])
    }

    /// The kind of certificate that has a subject, for every subject.
    pub(in crate::ca) fn kinds(&self) -> HashMap<&str, Kind> {
        let live = self.entries.iter().filter(|entry| !entry.dropped);
        live.map(|entry| (entry.subject.as_str(), entry.kind)).collect()
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Issued(entry) => {
                if let Some(old) = entry.instead_of.clone().and_then(|old| self.get_mut(&old)) {
                    old.replaced_by = Some(entry.serial.clone());
                }
                self.by_serial.insert(entry.serial.clone(), self.entries.len());
                self.entries.push(entry);
            }
            Event::Dropped { serial } => {
                let dropped = self.get_mut(&serial).and_then(|entry| {
                    entry.dropped = true;
                    entry.instead_of.clone()
                });
                if let Some(old) = dropped.and_then(|old| self.get_mut(&old)) {
                    old.replaced_by = old.replaced_by.take().filter(|by| *by != serial);
                }
            }
            Event::Revoked { serial, at, reason } => {
                let revoked = Revoked { at, reason };
                if let Some(entry) = self.get_mut(&serial) {
                    entry.revoked = Some(revoked);
                } else if self.elsewhere.iter().all(|one| one.serial != serial) {
                    self.elsewhere.push(Elsewhere { serial, revoked });
                }
            }
            Event::Crl { number } => self.crl_number = self.crl_number.max(number),
        }
    }

    fn get_mut(&mut self, serial: &str) -> Option<&mut Entry> {
        self.by_serial.get(serial).map(|at| &mut self.entries[*at])
    }
}

/// Certificate, key and CA of a client in its folder.
pub(in crate::ca) fn client_files(folder: &Path) -> [PathBuf; 3] {
    ["client-cert.pem", "client-key.pem", "ca.pem"].map(|name| folder.join(name))
}

/// An entry as the event that brings it in, without a copy of it.
struct WrittenEntry<'a>(&'a Entry);

impl Serialize for WrittenEntry<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map([("issued", self.0)])
    }
}

fn write_line(lines: &mut Vec<u8>, event: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *lines, event)?;
    lines.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn entry(serial: &str) -> Entry {
        let subject = format!("/CN={serial}");
        let names = vec![serial.to_owned()];
        Entry { serial: serial.to_owned(), subject, ..Entry::empty(Kind::Client, names) }
    }

    fn begun() -> (tempfile::TempDir, Lock, Index) {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path(), Duration::ZERO, |_| ()).unwrap();
        let index = Index::default();
        index.settle_down(&lock, folder.path()).unwrap();
        (folder, lock, index)
    }

    #[test]
    fn events_add_up() {
        let (folder, lock, mut index) = begun();
        let dir = folder.path();
        let reason = Reason::KeyCompromise;
        let next = Entry { instead_of: Some("A1".into()), ..entry("B2") };
        let never = Entry { instead_of: Some("B2".into()), ..entry("C3") };
        let events = vec![
            Event::Issued(entry("A1")),
            Event::Issued(next),
            Event::Revoked { serial: "A1".into(), at: 7, reason },
            Event::Issued(never),
            Event::Crl { number: 3 },
        ];
        index.append(&lock, dir, events).unwrap();
        let read = Index::read(dir).unwrap();
        assert_eq!(read.entries, index.entries);
        let first = read.get("A1").unwrap();
        assert_eq!(first.revoked, Some(Revoked { at: 7, reason }));
        assert_eq!((first.replaced_by.as_deref(), read.crl_number), (Some("B2"), 3));
        assert!(!read.get("B2").unwrap().is_current());
        index.append(&lock, dir, vec![Event::Dropped { serial: "C3".into() }]).unwrap();
        let read = Index::read(dir).unwrap();
        assert!(read.get("B2").unwrap().is_current() && !read.get("C3").unwrap().is_current());
    }

    #[test]
    fn a_last_line_cut_off_at_any_byte_is_survived_and_cut_away() {
        let (folder, lock, mut index) = begun();
        let dir = folder.path();
        index.append(&lock, dir, vec![Event::Issued(entry("A1"))]).unwrap();
        let path = dir.join(Index::FILE);
        let first = fs::read(&path).unwrap();
        index.append(&lock, dir, vec![Event::Issued(entry("B2"))]).unwrap();
        let both = fs::read(&path).unwrap();
        for length in first.len() + 1..both.len() {
            fs::write(&path, &both[..length]).unwrap();
            let mut torn = Index::read(dir).unwrap();
            assert_eq!((torn.entries.len(), torn.torn), (1, Some(first.len() as u64)), "{length}");
            torn.append(&lock, dir, vec![Event::Issued(entry("C3"))]).unwrap();
            let healed = Index::read(dir).unwrap();
            assert_eq!((healed.entries.len(), healed.torn), (2, None));
            assert!(healed.get("C3").is_some() && healed.get("B2").is_none());
        }
    }

    #[test]
    fn a_broken_line_in_the_middle_is_named() {
        let (folder, lock, mut index) = begun();
        index.append(&lock, folder.path(), vec![Event::Issued(entry("A1"))]).unwrap();
        let path = folder.path().join(Index::FILE);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}{{\"issued\":\n{text}")).unwrap();
        let error = Index::read(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("line 2 of the CA's list"), "{error}");
    }
}
