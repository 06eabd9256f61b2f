//! What earlier scans without a login left counted at a server: nothing takes it away but a good login.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use nix::fcntl::{Flock, FlockArg};

use crate::bounded;
use crate::disk::{self, Meta};

/// A file with a number for each server; shared by all scans of a user on this host.
pub struct Ledger {
    file: PathBuf,
    own: Mutex<()>,
}

impl Ledger {
    pub fn at(file: PathBuf) -> Self {
        Self { file, own: Mutex::new(()) }
    }

    /// The usual place; `None` without a home.
    pub fn usual() -> Option<Self> {
        let dirs = directories::ProjectDirs::from("", "", "mytls")?;
        let folder = dirs.state_dir().unwrap_or_else(|| dirs.cache_dir());
        Some(Self::at(folder.join("given-up.json")))
    }

    /// Books as much as is left of `most` for this server, before it is used; says how much that is.
    /// Where nothing can be kept, each scan stands alone.
    pub fn take(&self, server: &str, most: u32) -> u32 {
        self.change(server, |booked| {
            let left = most.saturating_sub(*booked);
            *booked += left;
            left
        })
        .unwrap_or(most)
    }

    /// Gives back what was not used.
    pub fn give_back(&self, server: &str, unused: u32) {
        let _ = self.change(server, |booked| *booked = booked.saturating_sub(unused));
    }

    /// A login set the server's count back.
    pub fn clear(&self, server: &str) {
        let _ = self.change(server, |booked| *booked = 0);
    }

    fn change<T>(&self, server: &str, change: impl FnOnce(&mut u32) -> T) -> Option<T> {
        let _own = self.own.lock().ok()?;
        let folder = self.file.parent()?;
        fs::create_dir_all(folder).ok()?;
        let lock = fs::File::create(folder.join("given-up.lock")).ok()?;
        let _lock = Flock::lock(lock, FlockArg::LockExclusive).ok()?;
        let mut all = read(&self.file);
        let result = change(all.entry(server.to_owned()).or_default());
        all.retain(|_, booked| *booked > 0);
        let text = serde_json::to_string_pretty(&all).ok()?;
        disk::overwrite(&self.file, text.as_bytes(), Meta::mode(0o600)).ok()?;
        Some(result)
    }
}

fn read(file: &Path) -> BTreeMap<String, u32> {
    const LIMIT: u64 = 8 << 20;
    let bytes = bounded::read(file, LIMIT).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}
