//! How many unfinished connections may still be made before a server shuts this host out.
//!
//! `max_connect_errors` counts them per client host, and nothing but a good login of that host (or
//! somebody with the right to flush) sets it back: not time. So what earlier scans left behind is
//! remembered, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use crate::disk::{self, DiskError, Meta};

/// Where nobody knows the limit: even one of 10, as it was before 5.6.6, is not reached.
const CAREFUL: u32 = 9;

/// Shared by all that ask one server.
#[derive(Debug)]
pub struct Budget {
    /// `None`: nobody counts.
    limit: Option<u32>,
    spent: AtomicU32,
    /// Spent by this scan, whatever was set back.
    all: AtomicU32,
}

impl Budget {
    /// On the server's own host, whose errors are not counted.
    pub fn unlimited() -> Self {
        Self { limit: None, spent: AtomicU32::new(0), all: AtomicU32::new(0) }
    }

    /// With what is known of the limit, and what was left behind before.
    pub fn new(limit: Option<u32>, before: u32) -> Self {
        // half of it: others on this host make errors, too
        let limit = limit.map_or(CAREFUL, |limit| (limit / 2).max(1));
        Self { limit: Some(limit), spent: AtomicU32::new(before), all: AtomicU32::new(0) }
    }

    /// Whether one more may be made; it counts as made.
    pub fn take(&self) -> bool {
        let Some(limit) = self.limit else {
            self.all.fetch_add(1, Ordering::Relaxed);
            return true;
        };
        let more = |spent: u32| (spent < limit).then_some(spent + 1);
        let taken = self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if taken {
            self.all.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// It came to a good end after all.
    pub fn give_back(&self) {
        let less = |spent: u32| spent.checked_sub(1);
        let _ = self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        let _ = self.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// A good login: the server begins to count again.
    pub fn reset(&self) {
        self.spent.store(0, Ordering::Relaxed);
    }

    /// What the server still holds against this host, as far as it is known.
    pub fn spent(&self) -> u32 {
        if self.limit.is_none() { 0 } else { self.spent.load(Ordering::Relaxed) }
    }

    /// Made by this scan.
    pub fn unfinished(&self) -> u32 {
        self.all.load(Ordering::Relaxed)
    }
}

/// What scans left behind, by server, in the user's state folder.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    #[serde(default)]
    unfinished: BTreeMap<String, u32>,
}

impl Ledger {
    pub fn default_file() -> Option<PathBuf> {
        let project = directories::ProjectDirs::from("", "", "mytls")?;
        let folder = project.state_dir().unwrap_or_else(|| project.data_local_dir());
        Some(folder.join("scans.json"))
    }

    /// What cannot be read is as good as nothing.
    pub fn read(file: &Path) -> Self {
        let bytes = crate::bounded::read(file, 16 << 20).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    pub fn of(&self, server: &str) -> u32 {
        self.unfinished.get(server).copied().unwrap_or(0)
    }

    /// Notes how many unfinished connections a server holds against this host now.
    pub fn note(file: &Path, server: &str, spent: u32) -> Result<(), DiskError> {
        if let Some(folder) = file.parent() {
            disk::create_private_dir(folder)?;
        }
        // read again: another scan may have written meanwhile
        let mut ledger = Self::read(file);
        if spent == 0 {
            ledger.unfinished.remove(server);
        } else {
            ledger.unfinished.insert(server.to_owned(), spent);
        }
        let text = serde_json::to_vec_pretty(&ledger).unwrap_or_default();
        disk::overwrite(file, &text, Meta::mode(0o600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_behind_counts_and_a_login_sets_it_back() {
        let budget = Budget::new(None, 7);
        assert!(budget.take() && budget.take());
        assert!(!budget.take(), "a limit of 10 would be reached");
        budget.give_back();
        assert!(budget.take());
        budget.reset();
        assert_eq!((budget.spent(), budget.unfinished()), (0, 2));
        let known = Budget::new(Some(100), 0);
        assert_eq!((0..100).filter(|_| known.take()).count(), 50);
        let here = Budget::unlimited();
        assert!((0..1000).all(|_| here.take()));
        assert_eq!(here.spent(), 0);
    }

    #[test]
    fn the_ledger_survives_and_forgets_what_was_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/scans.json");
        assert_eq!(Ledger::read(&file).of("db1:3306"), 0);
        Ledger::note(&file, "db1:3306", 3).unwrap();
        Ledger::note(&file, "db2:3306", 1).unwrap();
        assert_eq!(Ledger::read(&file).of("db1:3306"), 3);
        Ledger::note(&file, "db1:3306", 0).unwrap();
        assert_eq!(
            (Ledger::read(&file).of("db1:3306"), Ledger::read(&file).of("db2:3306")),
            (0, 1)
        );
        std::fs::write(&file, "{").unwrap();
        assert_eq!(Ledger::read(&file).of("db2:3306"), 0);
    }
}
