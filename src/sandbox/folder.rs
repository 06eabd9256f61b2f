//! The sandbox's folder: private, named after who made it, and swept away when that one is gone.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, Uid};

use super::SandboxError;
use super::server::RunAs;
use crate::disk::{self, DiskError, Meta};
use crate::x509::certificate::hex;

const PREFIX: &str = "mytls-sandbox-";
/// Who made the folder: its process and when that started, for processes' numbers come again.
const MAKER: &str = "maker";
/// The server's process.
const SERVER: &str = "server";
/// A socket's path has room for so many bytes (`sun_path`, without its closing zero).
const LONGEST_SOCKET: usize = 107;

/// A folder that is removed when it goes out of scope, unless it is to be kept.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    /// Makes a folder below `base`, after removing those whose makers are gone. The server's user
    /// may enter it, nobody else.
    pub(super) fn create(base: &Path, user: &RunAs, keep: bool) -> Result<Self, SandboxError> {
        sweep(base);
        let mut random = [0; 4];
        openssl::rand::rand_bytes(&mut random).map_err(crate::ca::CaError::from)?;
        let path = base.join(format!("{PREFIX}{}-{}", std::process::id(), hex(&random)));
        make(&path)?;
        let folder = Self { path, keep };
        if folder.socket().as_os_str().len() > LONGEST_SOCKET {
            return Err(SandboxError::LongPath { base: base.to_owned() });
        }
        let me = std::process::id();
        let maker = format!("{me} {}\n", started(me).unwrap_or_default());
        disk::write_new(&folder.join(MAKER), maker.as_bytes(), Meta::mode(0o600))?;
        folder.let_in(user, "")?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.join("run/mysqld.sock")
    }

    pub(super) fn kept(&self) -> bool {
        self.keep
    }

    /// A folder in it that belongs to us and that the server may read.
    pub(super) fn create_readable(&self, name: &str, user: &RunAs) -> Result<(), SandboxError> {
        make(&self.join(name))?;
        self.let_in(user, name)
    }

    /// A folder in it that belongs to the server.
    pub(super) fn create_for(&self, name: &str, user: &RunAs) -> Result<(), SandboxError> {
        let path = self.join(name);
        make(&path)?;
        let owner = user.owner();
        let handed = chown(&path, owner.map(|o| o.uid), owner.map(|o| o.gid));
        Ok(handed.map_err(|error| DiskError::new(&path, error))?)
    }

    /// Notes which process the server is, for the sweep.
    pub(super) fn note_server(&self, pid: u32) -> Result<(), SandboxError> {
        let line = format!("{pid} {}\n", started(pid).unwrap_or_default());
        Ok(disk::overwrite(&self.join(SERVER), line.as_bytes(), Meta::mode(0o600))?)
    }

    fn let_in(&self, user: &RunAs, name: &str) -> Result<(), SandboxError> {
        let path = self.join(name);
        let Some(owner) = user.owner() else {
            return Ok(());
        };
        let opened = chown(&path, None, Some(owner.gid))
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o750)));
        Ok(opened.map_err(|error| DiskError::new(&path, error))?)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.keep {
            // without its maker's mark no sweep touches it
            let _ = fs::remove_file(self.join(MAKER));
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn make(path: &Path) -> Result<(), SandboxError> {
    let done = DirBuilder::new().mode(0o700).create(path);
    Ok(done.map_err(|error| DiskError::new(path, error))?)
}

/// Ends the servers and removes the folders of sandboxes whose makers were killed. What cannot be
/// removed stays; it is no reason to refuse a new sandbox.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    let me = Uid::effective().as_raw();
    for entry in entries.flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir() && found.uid() == me);
        // A folder without the mark is one that is kept, or one that is being made right now.
        let Some(maker) = ours.then(|| Process::read(&path.join(MAKER))).flatten() else {
            continue;
        };
        if maker.is_alive() {
            continue;
        }
        if let Some(server) = Process::read(&path.join(SERVER)).filter(Process::is_alive) {
            // It leads a process group of its own, see `server::start`.
            let _ = killpg(Pid::from_raw(server.pid.cast_signed()), Signal::SIGKILL);
        }
        let _ = fs::remove_dir_all(&path);
    }
}

/// A process, told from a later one of the same number by when it started.
struct Process {
    pid: u32,
    started: String,
}

impl Process {
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let (pid, started) = text.trim_end().split_once(' ')?;
        Some(Self { pid: pid.parse().ok().filter(|pid| *pid > 1)?, started: started.to_owned() })
    }

    fn is_alive(&self) -> bool {
        started(self.pid).is_some_and(|started| started == self.started)
    }
}

/// When a process started, in clock ticks since boot (`/proc/PID/stat`, field 22); `None` when
/// there is none, or only its remains.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name, in parentheses, may hold anything
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18).map(str::to_owned))?
}

/// The folder in which sandboxes are made when nobody says: that for temporary files.
pub(super) fn default_base() -> io::Result<PathBuf> {
    std::env::temp_dir().canonicalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_folder_is_private_and_goes_with_its_value() {
        let base = tempfile::tempdir().unwrap();
        let user = RunAs::choose().unwrap();
        let folder = Folder::create(base.path(), &user, false).unwrap();
        let mode = Meta::of(folder.path()).unwrap().mode;
        assert_eq!(mode & 0o007, 0, "{mode:o}");
        drop(folder);
        assert_eq!(names(base.path()), 0);
    }

    #[test]
    fn only_folders_of_makers_that_are_gone_are_swept() {
        let base = tempfile::tempdir().unwrap();
        let user = RunAs::choose().unwrap();
        let living = Folder::create(base.path(), &user, false).unwrap();
        let kept = Folder::create(base.path(), &user, true).unwrap();
        let kept_path = kept.path().to_owned();
        drop(kept);
        let stale = base.path().join("mytls-sandbox-1-dead");
        fs::create_dir(&stale).unwrap();
        // our own number, but another start: the number was given out again
        fs::write(stale.join(MAKER), format!("{} 1\n", std::process::id())).unwrap();
        fs::create_dir(base.path().join("mytls-sandbox-mine")).unwrap();

        drop(Folder::create(base.path(), &user, false).unwrap());
        assert!(!stale.exists());
        assert!(living.path().exists() && kept_path.exists());
        assert!(base.path().join("mytls-sandbox-mine").exists(), "no mark, no sweep");
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_with_advice() {
        let base = tempfile::tempdir().unwrap();
        let long = base.path().join("x".repeat(90));
        fs::create_dir(&long).unwrap();
        let error = Folder::create(&long, &RunAs::choose().unwrap(), false).unwrap_err();
        assert!(error.to_string().contains("TMPDIR=/tmp"), "{error}");
        assert_eq!(names(&long), 0);
    }
}
