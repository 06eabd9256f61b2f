//! Making the folder of a CA: all of it is laid ready in a folder inside, and then moved to its
//! place, the CA's certificate last. Stopped before that folder is complete, the next run begins
//! anew (nobody has seen anything of it yet); stopped later, the next run moves the rest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::index::Index;
use super::lock::Lock;
use super::{Store, io_fault, sync_folder};
use crate::ca::CaError;
use crate::disk::{self, Meta};
use crate::x509::Certificate;
use crate::x509::pem;

const STAGING: &str = ".creating";

/// A store that is being made.
pub(in crate::ca) struct Building {
    dir: PathBuf,
    /// Whether the folder itself was made for it.
    is_new: bool,
    _lock: Lock,
}

impl Building {
    /// Begins in a folder that is empty, does not exist, or holds what an earlier run left undone.
    pub(in crate::ca) fn begin(dir: &Path) -> Result<Self, CaError> {
        let is_new = !dir.exists();
        if !is_new {
            resume(dir)?;
            refuse_taken(dir)?;
        }
        if !is_new {
            super::refuse_foreign(dir)?; // before anything of it is changed
        }
        disk::create_private_dir(dir)?;
        super::refuse_foreign(dir)?;
        let lock = Lock::take(dir, Lock::PATIENCE, |_| ())?;
        refuse_taken(dir)?; // somebody else may have been quicker
        let building = Self { dir: dir.to_owned(), is_new, _lock: lock };
        remove_all(&building.staging())?;
        disk::create_private_dir(&building.staging())?;
        Ok(building)
    }

    /// Where the files of the store are to be laid; [`Store::CA_FILE`] the last.
    pub(in crate::ca) fn staging(&self) -> PathBuf {
        self.dir.join(STAGING)
    }

    /// Lays one file ready; its folder is made if need be.
    pub(in crate::ca) fn lay(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), CaError> {
        let path = self.staging().join(name);
        if let Some(folder) = path.parent() {
            disk::create_private_dir(folder)?;
        }
        Ok(disk::write_new(&path, bytes, Meta::mode(mode))?)
    }

    /// Brings to the disk whatever was laid ready otherwise than by [`Self::lay`].
    pub(in crate::ca) fn sync(&self) -> Result<(), CaError> {
        let folder = fs::File::open(&self.dir).map_err(|error| io_fault(&self.dir, error))?;
        nix::unistd::syncfs(&folder).map_err(|errno| io_fault(&self.dir, errno.into()))
    }

    /// Lays the CA's certificates ready, which completes it, and moves all to its place.
    pub(in crate::ca) fn finish(mut self, ca_pem: &str) -> Result<(), CaError> {
        if !self.staging().join(Index::FILE).exists() {
            self.lay(Index::FILE, b"", 0o600)?;
        }
        self.lay(Store::CA_FILE, ca_pem.as_bytes(), 0o644)?;
        self.is_new = false; // from here on it is only ever finished
        move_in(&self.dir)
    }
}

impl Drop for Building {
    /// Leaves nothing of a store that could not be made: a full disk, a wrong key.
    fn drop(&mut self) {
        let staging = self.staging();
        if staging.join(Store::CA_FILE).exists() {
            return; // complete: the next run moves it
        }
        let _ = remove_all(&staging);
        if self.is_new {
            let _ = fs::remove_file(self.dir.join(Lock::FILE));
            let _ = fs::remove_dir(&self.dir); // only if it is empty
        }
    }
}

/// Ends what a run that was stopped had begun. `true`: the CA is there now.
pub(super) fn resume(dir: &Path) -> Result<bool, CaError> {
    if !dir.join(STAGING).exists() {
        return Ok(false);
    }
    let Some(_lock) = Lock::try_take(dir)? else {
        return Ok(false); // it was not stopped, it is at work
    };
    if dir.join(STAGING).join(Store::CA_FILE).exists() {
        move_in(dir)?;
        return Ok(true);
    }
    // Either nothing was moved yet, or all was and only the empty folder is left.
    remove_all(&dir.join(STAGING))?;
    Ok(false)
}

pub(super) fn refuse_taken(dir: &Path) -> Result<(), CaError> {
    let file = dir.join(Store::CA_FILE);
    if file.exists() {
        let bytes = fs::read(&file).map_err(|error| io_fault(&file, error))?;
        let name = pem::certificates(&bytes).map_or_else(
            |_| "that cannot be read".to_owned(),
            |found| Certificate::from_openssl(&found[0]).subject.display(),
        );
        return Err(CaError::StoreExists { dir: dir.to_owned(), name });
    }
    let ours = [Lock::FILE, STAGING];
    let others = fs::read_dir(dir).into_iter().flatten().flatten();
    if others.map(|entry| entry.file_name()).any(|name| !ours.iter().any(|own| name == *own)) {
        return Err(CaError::NotEmpty { dir: dir.to_owned() });
    }
    Ok(())
}

fn move_in(dir: &Path) -> Result<(), CaError> {
    let staging = dir.join(STAGING);
    let failed = |error| io_fault(&staging, error);
    let last = staging.join(Store::CA_FILE);
    for entry in fs::read_dir(&staging).map_err(failed)? {
        let from = entry.map_err(failed)?.path();
        if from != last {
            let to = dir.join(from.file_name().unwrap_or_default());
            fs::rename(&from, &to).map_err(|error| io_fault(&to, error))?;
        }
    }
    sync_folder(dir)?;
    let to = dir.join(Store::CA_FILE);
    fs::rename(&last, &to).map_err(|error| io_fault(&to, error))?;
    fs::remove_dir(&staging).map_err(failed)?;
    sync_folder(dir)
}

fn remove_all(folder: &Path) -> Result<(), CaError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_fault(folder, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::{Authority, AuthoritySpec};

    fn authority() -> Authority {
        Authority::create(&AuthoritySpec::named(&"Example CA".parse().unwrap())).unwrap()
    }

    /// A folder as a run left it that was stopped when `laid` was laid ready.
    fn stopped(dir: &Path, laid: &[&str]) {
        disk::create_private_dir(&dir.join(STAGING)).unwrap();
        fs::write(dir.join(Lock::FILE), "1").unwrap();
        for name in laid {
            fs::write(dir.join(STAGING).join(name), "half").unwrap();
        }
    }

    #[test]
    fn what_was_stopped_before_it_was_complete_is_begun_anew() {
        for laid in [&[][..], &["ca-key.pem"], &["ca-key.pem", "index.jsonl"]] {
            let folder = tempfile::tempdir().unwrap();
            let dir = folder.path().join("ca");
            stopped(&dir, laid);
            assert!(matches!(Store::open(&dir).err(), Some(CaError::NoStore { .. })));
            let store = Store::install(&dir, authority()).unwrap();
            assert!(Store::open(store.dir()).is_ok());
            assert!(!dir.join(STAGING).exists());
        }
    }

    #[test]
    fn what_was_stopped_while_it_was_moved_is_moved() {
        for moved in [&[][..], &["ca-key.pem"], &["ca-key.pem", "index.jsonl"]] {
            let folder = tempfile::tempdir().unwrap();
            let dir = folder.path().join("ca");
            Store::install(&dir, authority()).unwrap();
            fs::create_dir(dir.join(STAGING)).unwrap();
            for name in ["ca.pem", "ca-key.pem", "index.jsonl"] {
                if !moved.contains(&name) {
                    fs::rename(dir.join(name), dir.join(STAGING).join(name)).unwrap();
                }
            }
            let store = Store::open(&dir).unwrap();
            assert_eq!(store.notes().len(), 1, "{:?}", store.notes());
            assert!(!dir.join(STAGING).exists());
        }
    }

    #[test]
    fn a_key_alone_is_never_taken_for_a_leftover() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca-key.pem"), "mine").unwrap();
        let error = Store::install(folder.path(), authority()).err().unwrap();
        assert!(matches!(error, CaError::NotEmpty { .. }), "{error}");
        assert_eq!(fs::read(folder.path().join("ca-key.pem")).unwrap(), b"mine");
    }
}
