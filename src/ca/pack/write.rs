//! A pack on its way: as a folder, or as one archive. Whole or not at all.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
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
        let new = New(parent.join(hidden(name)?));
        disk::create_private_dir(&new.0)?;
        for file in &self.files {
            disk::write_new(&new.0.join(file.name), &file.bytes, Meta::mode(0o600))?;
        }
        // an empty folder gives way
        fs::rename(&new.0, folder).map_err(failed)?;
        // its name is on the disk only when the folder above is
        fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
        std::mem::forget(new);
        Ok(())
    }

    /// Writes one archive, 0600, whose files lie in a folder with the name of the client. It must
    /// not exist yet.
    pub fn write_tar(&self, path: &Path) -> Result<(), PackError> {
        Ok(disk::write_new(path, &self.tar(path)?, Meta::mode(0o600))?)
    }

    fn tar(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, DiskError> {
        // Large enough from the start, so that no part of a key stays behind where it grew.
        let size: usize = self.files.iter().map(|file| file.bytes.len() + 1024).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(size + 4096));
        let mut archive = tar::Builder::new(&mut *bytes);
        let failed = |error| DiskError::new(path, error);
        let mut header = header(0o700);
        header.set_entry_type(tar::EntryType::Directory);
        archive
            .append_data(&mut header, format!("{}/", self.name), std::io::empty())
            .map_err(failed)?;
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

/// How the names of folders in the making begin, beside `name`.
fn beginning(name: &OsStr) -> OsString {
    let mut beginning = OsString::from(".");
    beginning.push(name);
    beginning.push(".packing-");
    beginning
}

/// A name beside it that nobody looks for, and which says who makes it.
fn hidden(name: &OsStr) -> Result<OsString, ErrorStack> {
    let mut random = [0; 6];
    openssl::rand::rand_bytes(&mut random)?;
    let mut hidden = beginning(name);
    hidden.push(format!("{}-{}", std::process::id(), hex(&random)));
    Ok(hidden)
}

/// Removes what was in the making when its maker was killed: there are keys in it. What cannot be
/// removed stays, and is no reason not to pack.
fn sweep(parent: &Path, name: &OsStr) {
    let beginning = beginning(name);
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let own = entry.file_name();
        let maker = own
            .as_encoded_bytes()
            .strip_prefix(beginning.as_encoded_bytes())
            .and_then(|rest| std::str::from_utf8(rest).ok()?.split_once('-')?.0.parse().ok());
        let gone = |maker| kill(Pid::from_raw(maker), None) == Err(Errno::ESRCH);
        // of the entry itself: a link is none of ours
        if maker.is_some_and(gone) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A folder in the making, removed again unless it becomes the real one.
struct New(PathBuf);

impl Drop for New {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
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
        // no process has this number: it is past what the kernel gives out
        let dead = make(".app.packing-4194305-0a1b2c3d4e5f");
        let at_work = make(&format!(".app.packing-{}-0a1b2c3d4e5f", std::process::id()));
        let others = [make(".web.packing-4194305-0a1b2c3d4e5f"), make(".app.old"), make("app")];
        let link = folder.path().join(".app.packing-4194305-link");
        std::os::unix::fs::symlink(&others[2], &link).unwrap();
        sweep(folder.path(), OsStr::new("app"));
        assert!(!dead.exists() && at_work.exists() && link.exists());
        assert!(others.iter().all(|other| other.join("client-key.pem").exists()));
    }
}
