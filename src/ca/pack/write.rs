//! A pack on its way: as a folder, or as one archive. Whole or not at all.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use openssl::error::ErrorStack;
use zeroize::Zeroizing;

use super::{Pack, PackError};
use crate::disk::{self, DiskError, Meta};
use crate::x509::certificate::hex;

impl Pack {
    /// Writes the files into a folder that is empty or does not exist: 0700, each file 0600. The
    /// folder appears under its name when everything is in it.
    pub fn write_folder(&self, folder: &Path) -> Result<(), PackError> {
        let failed = |error| DiskError::new(folder, error);
        let taken = || PackError::Taken { path: folder.to_owned() };
        // `.` is where somebody stands, who would stand nowhere once it were replaced
        let name = folder.file_name().ok_or_else(taken)?;
        if folder.symlink_metadata().is_ok() {
            let mut entries = fs::read_dir(folder).map_err(|_| taken())?;
            if entries.next().is_some() {
                return Err(taken());
            }
        }
        let parent = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        sweep(parent, name);
        let new = New::make(parent, name)?;
        for file in &self.files {
            disk::write_new(&new.path.join(file.name), &file.bytes, Meta::mode(0o600))?;
        }
        // an empty folder gives way
        fs::rename(&new.path, folder).map_err(failed)?;
        new.keep();
        // its name is on the disk only when the folder above is
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
        Ok(())
    }

    /// Writes one archive, 0600, whose files lie in a folder with the name of the client. It must
    /// not exist yet.
    pub fn write_tar(&self, path: &Path) -> Result<(), PackError> {
        let exists = || DiskError::Exists { path: path.to_owned() };
        let failed = |error| DiskError::new(path, error);
        let folder = disk::folder_of(path)?;
        let name = path.file_name().ok_or_else(exists)?;
        sweep(&folder, name);
        if path.symlink_metadata().is_ok() {
            return Err(exists().into());
        }
        // in a folder of its own, which is locked: what is left of it is known for what it is
        let new = New::make(&folder, name)?;
        let archive = new.path.join(name);
        disk::write_new(&archive, &self.tar(path)?, Meta::mode(0o600))?;
        // a link does not replace what somebody else put there meanwhile
        match fs::hard_link(&archive, path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(exists().into());
            }
            // a file system without hard links
            Err(_) => fs::rename(&archive, path).map_err(failed)?,
        }
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(())
    }

    fn tar(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, DiskError> {
        // Large enough from the start, so that no part of a key stays behind where it grew.
        let size: usize = self.files.iter().map(|file| file.bytes.len() + 1024).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(size + 4096));
        let mut archive = tar::Builder::new(&mut *bytes);
        let failed = |error| DiskError::new(path, error);
        let mut header = header(0o700);
        header.set_entry_type(tar::EntryType::Directory);
        archive.append_data(&mut header, format!("{}/", self.name), io::empty()).map_err(failed)?;
        for file in &self.files {
            let mut header = self::header(0o600);
            header.set_size(file.bytes.len() as u64);
            let name = format!("{}/{}", self.name, file.name);
            archive.append_data(&mut header, name, file.bytes.as_slice()).map_err(failed)?;
        }
        archive.into_inner().map_err(failed)?;
        Ok(bytes)
    }
}

fn header(mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(0);
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    header.set_mtime(u64::try_from(now).unwrap_or_default());
    header
}

/// A folder in the making, under a name that nobody looks for; removed again unless it becomes the
/// real one. It is locked as long as somebody is at work in it: a lock ends with the process that
/// holds it, and a number of that process means nothing in another container.
struct New {
    path: PathBuf,
    done: bool,
    /// None on a file system without locks on folders, as some of the network are.
    lock: Option<Flock<File>>,
}

impl New {
    fn make(parent: &Path, name: &OsStr) -> Result<Self, PackError> {
        /// How often a sweep can come between making the folder and locking it.
        const ATTEMPTS: usize = 10;
        let mut last = io::Error::from(io::ErrorKind::Interrupted);
        let mut path = parent.to_owned();
        for _ in 0..ATTEMPTS {
            path = parent.join(hidden(name)?);
            disk::create_private_dir(&path)?;
            let mut new = Self { path: path.clone(), done: false, lock: None };
            match lock(&path) {
                Ok(Some(lock)) => {
                    new.lock = Some(lock);
                    return Ok(new);
                }
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => last = error,
                Err(_) => return Ok(new),
            }
        }
        Err(DiskError::new(&path, last).into())
    }

    /// It has its name now, and stays.
    fn keep(mut self) {
        self.done = true;
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The lock of a folder; `None` when somebody else holds it, or it is another folder by now.
fn lock(folder: &Path) -> io::Result<Option<Flock<File>>> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW; // a link is none of ours
    let file = File::options().read(true).custom_flags(flags.bits()).open(folder)?;
    let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
        Err((_, errno)) => return Err(errno.into()),
    };
    let (locked, there) = (lock.metadata()?, fs::symlink_metadata(folder)?);
    let same = (locked.dev(), locked.ino()) == (there.dev(), there.ino());
    Ok(same.then_some(lock))
}

/// How the names of folders in the making begin, beside `name`.
fn beginning(name: &OsStr) -> OsString {
    let mut beginning = OsString::from(".");
    beginning.push(name);
    beginning.push(".packing-");
    beginning
}

fn hidden(name: &OsStr) -> Result<OsString, ErrorStack> {
    let mut random = [0; 6];
    openssl::rand::rand_bytes(&mut random)?;
    let mut hidden = beginning(name);
    hidden.push(hex(&random));
    Ok(hidden)
}

/// Removes what was in the making when its maker was killed: there are keys in it. What cannot be
/// removed stays, and is no reason not to pack.
fn sweep(parent: &Path, name: &OsStr) {
    let beginning = beginning(name);
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let own = entry.file_name();
        if own.as_encoded_bytes().starts_with(beginning.as_encoded_bytes()) {
            let lock = lock(&path);
            let without = lock.is_err() && is_forsaken(&path);
            if without || matches!(lock, Ok(Some(_))) {
                let _ = fs::remove_dir_all(&path);
            }
        } else if is_unlocked(own.as_encoded_bytes(), name) && is_forsaken(&path) {
            let _ = fs::remove_dir_all(&path);
            let _ = fs::remove_file(&path);
        }
    }
}

/// `.NAME.0a1b2c3d4e5f`, as the first versions named what they made and did not lock.
fn is_unlocked(own: &[u8], name: &OsStr) -> bool {
    let rest = own.strip_prefix(b".").and_then(|own| own.strip_prefix(name.as_encoded_bytes()));
    let random = rest.and_then(|rest| rest.strip_prefix(b"."));
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    random.is_some_and(|random| random.len() == 12 && random.iter().all(is_hex))
}

/// Without a lock: ours, private, and untouched for longer than anybody packs.
fn is_forsaken(path: &Path) -> bool {
    const LONG: Duration = Duration::from_secs(3600);
    let Ok(about) = fs::symlink_metadata(path) else { return false };
    let age = about.modified().ok().and_then(|at| at.elapsed().ok());
    (about.is_dir() || about.is_file())
        && about.uid() == nix::unistd::geteuid().as_raw()
        && about.mode().trailing_zeros() >= 6 // nobody else's
        && age.is_some_and(|age| age > LONG)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_a_killed_run_left_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("client-key.pem"), "key").unwrap();
            path
        };
        let dead = [make(".app.packing-0a1b2c3d4e5f"), make(".app.packing-4194305-0a1b2c3d4e5f")];
        let at_work = New::make(folder.path(), OsStr::new("app")).unwrap();
        let others = [make(".web.packing-0a1b2c3d4e5f"), make(".app.old"), make("app")];
        let link = folder.path().join(".app.packing-link");
        std::os::unix::fs::symlink(&others[2], &link).unwrap();
        sweep(folder.path(), OsStr::new("app"));
        assert!(dead.iter().all(|dead| !dead.exists()) && at_work.path.exists() && link.exists());
        assert!(others.iter().all(|other| other.join("client-key.pem").exists()));
        let path = at_work.path.clone();
        drop(at_work);
        assert!(!path.exists(), "and what was begun in vain is gone");
    }

    #[test]
    fn what_nobody_locks_is_swept_when_it_is_old_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, mode, hours: u64| {
            let path = folder.path().join(name);
            fs::write(&path, "key").unwrap();
            let file = File::open(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).unwrap();
            path
        };
        let old = make(".app.tar.0a1b2c3d4e5f", 0o600, 2);
        let kept = [
            make(".app.tar.1a1b2c3d4e5f", 0o600, 0),
            make(".app.tar.2a1b2c3d4e5f", 0o644, 2),
            make(".app.tar.notours", 0o600, 2),
            make(".web.tar.0a1b2c3d4e5f", 0o600, 2),
        ];
        sweep(folder.path(), OsStr::new("app.tar"));
        assert!(!old.exists());
        assert!(kept.iter().all(|kept| kept.exists()));
    }
}
