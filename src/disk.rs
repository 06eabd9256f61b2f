//! Writing files so that a crash, a full disk or a curious neighbour finds nothing half-done.
//!
//! Every file appears under its name complete or not at all, is never more readable than it will
//! be in the end, and is on the disk when the call returns. What it replaces is kept beside it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};
use thiserror::Error;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::x509::certificate::hex;

/// What stands between a file's name and the time of its backup.
const BACKUP: &str = ".bak-";

/// Mode and owner of a file to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits, such as `0o640`.
    pub mode: u32,
    /// `None`: whoever runs mytls.
    pub owner: Option<Owner>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// Why nothing was written; the file of that name, if any, is as it was.
#[derive(Debug, Error)]
pub enum DiskError {
    #[error("{path} exists already and is left as it is; choose another place, or move it away", path = show(path))]
    Exists { path: PathBuf },
    #[error("{path} is a directory; name a file in it", path = show(path))]
    Directory { path: PathBuf },
    #[error("{path} is a device, a socket or a pipe; name a file", path = show(path))]
    Special { path: PathBuf },
    #[error("the folder {path} does not exist; create it first", path = show(path))]
    NoFolder { path: PathBuf },
    #[error("{path}: permission denied; run as its owner or with sudo", path = show(path))]
    Denied { path: PathBuf },
    #[error("{path} belongs to another user, and only root may keep it so; run with sudo", path = show(path))]
    Owner { path: PathBuf },
    #[error("{path} was not written: the disk is full; make room and try again", path = show(path))]
    Full { path: PathBuf },
    #[error("{path} is on a file system that is read-only; remount it or choose another place", path = show(path))]
    ReadOnly { path: PathBuf },
    #[error("there is no {kind} named {name} on this host; create it or name another", name = crate::printable::printable(name))]
    NoSuchName { kind: &'static str, name: String },
    #[error("{path}: {source}", path = show(path))]
    Io { path: PathBuf, source: io::Error },
}

impl DiskError {
    /// What the system said of this path, in words that say what to do.
    pub fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            _ => Self::Io { path, source },
        }
    }
}

fn show(path: &Path) -> String {
    crate::printable::printable(&path.display().to_string()).into_owned()
}

impl Meta {
    /// This mode, owned by whoever runs mytls.
    pub fn mode(mode: u32) -> Self {
        Self { mode, owner: None }
    }

    /// Those of a file there is; a link's are those of what it leads to.
    pub fn of(path: &Path) -> Result<Self, DiskError> {
        let found = fs::metadata(path).map_err(|error| fault(path, error))?;
        let owner = Owner { uid: found.uid(), gid: found.gid() };
        Ok(Self { mode: found.mode() & 0o7777, owner: Some(owner) })
    }

    /// This mode, owned by the user and group of these names.
    pub fn named(mode: u32, user: &str, group: &str) -> Result<Self, DiskError> {
        let no = |kind, name: &str| DiskError::NoSuchName { kind, name: name.to_owned() };
        let user_found = User::from_name(user).ok().flatten().ok_or_else(|| no("user", user))?;
        let group_found = Group::from_name(group).ok().flatten();
        let group_found = group_found.ok_or_else(|| no("group", group))?;
        let owner = Owner { uid: user_found.uid.as_raw(), gid: group_found.gid.as_raw() };
        Ok(Self { mode, owner: Some(owner) })
    }
}

/// Writes a file that must not exist yet.
pub fn write_new(path: &Path, bytes: &[u8], meta: Meta) -> Result<(), DiskError> {
    let folder = folder_of(path)?;
    if fs::symlink_metadata(path).is_ok() {
        return Err(DiskError::Exists { path: path.to_owned() });
    }
    let temporary = Temporary::write(path, &folder, bytes, meta)?;
    // A hard link, unlike a rename, does not replace what somebody else put there meanwhile.
    match fs::hard_link(&temporary.0, path) {
        Ok(()) => drop(temporary),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(DiskError::Exists { path: path.to_owned() });
        }
        // a file system without hard links
        Err(_) => temporary.rename_to(path)?,
    }
    sync_folder(&folder)
}

/// Writes a file as a whole, whether it exists or not, and keeps what it held as
/// `NAME.bak-<UTC yyyymmddThhmmssZ>` beside it. Returns where the backup is: `None` when there was
/// no such file, or when it is already as wanted. A link stays, and what it leads to is written.
pub fn replace(path: &Path, bytes: &[u8], meta: Meta) -> Result<Option<PathBuf>, DiskError> {
    let path = &target_of(path)?;
    let folder = folder_of(path)?;
    let exists = path.exists();
    if exists && is_already(path, bytes, meta) {
        return Ok(None);
    }
    let temporary = Temporary::write(path, &folder, bytes, meta)?;
    let backup = if exists { Some(back_up(path)?) } else { None };
    temporary.rename_to(path)?;
    sync_folder(&folder)?;
    Ok(backup)
}

/// [`replace`] without a backup: for a file that mytls alone writes and can write again.
pub fn overwrite(path: &Path, bytes: &[u8], meta: Meta) -> Result<(), DiskError> {
    let path = &target_of(path)?;
    let folder = folder_of(path)?;
    Temporary::write(path, &folder, bytes, meta)?.rename_to(path)?;
    sync_folder(&folder)
}

/// Puts a backup that [`replace`] made back in its place. Returns which file that is.
pub fn restore(backup: &Path) -> Result<PathBuf, DiskError> {
    let name = backup.as_os_str().as_encoded_bytes();
    let end = name.windows(BACKUP.len()).rposition(|part| part == BACKUP.as_bytes());
    let Some(end) = end else {
        let why = "its name is not that of a backup; nothing was restored";
        return Err(fault(backup, io::Error::other(why)));
    };
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(&name[..end]));
    fs::rename(backup, &path).map_err(|error| fault(backup, error))?;
    sync_folder(&folder_of(&path)?)?;
    Ok(path)
}

/// What [`replace`] has kept of this file, the newest first.
pub fn backups_of(path: &Path) -> Vec<PathBuf> {
    let Some((folder, name)) = path.parent().zip(path.file_name()) else { return Vec::new() };
    let start = [name.as_bytes(), BACKUP.as_bytes()].concat();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of_it = entries.filter(|entry| entry.file_name().as_bytes().starts_with(&start));
    let mut found: Vec<PathBuf> = of_it.map(|entry| entry.path()).collect();
    found.sort();
    found.reverse();
    found
}

/// Creates a folder that only its owner may enter (0700), and the folders above it. One that
/// exists is left as it is, unless it is empty: then it is made private, too.
pub fn create_private_dir(path: &Path) -> Result<(), DiskError> {
    if path.is_dir() {
        let mut entries = fs::read_dir(path).map_err(|error| fault(path, error))?;
        let own = |about: fs::Metadata| about.uid() == nix::unistd::geteuid().as_raw();
        if entries.next().is_none() && fs::metadata(path).is_ok_and(own) {
            let private = Permissions::from_mode(0o700);
            fs::set_permissions(path, private).map_err(|error| fault(path, error))?;
        }
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| fault(path, error))?;
    // the umask may have taken away more than asked for
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(|error| fault(path, error))?;
    sync_folder(&folder_of(path)?)
}

/// A file under a name that nobody looks for, removed again unless it becomes the real one.
struct Temporary(PathBuf);

impl Temporary {
    fn write(path: &Path, folder: &Path, bytes: &[u8], meta: Meta) -> Result<Self, DiskError> {
        let mut random = [0; 6];
        openssl::rand::rand_bytes(&mut random)
            .map_err(|error| fault(path, io::Error::other(error)))?;
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}", hex(&random)));
        let temporary = Self(folder.join(name));

        // Nobody else may read it before it has its owner, and it has its owner and its mode
        // before it holds a byte.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(meta.mode & 0o600)
            .open(&temporary.0)
            .map_err(|error| fault(path, error))?;
        let written = || {
            if let Some(owner) = meta.owner {
                own(&file, owner)?;
            }
            file.set_permissions(Permissions::from_mode(meta.mode))
        };
        written().map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => DiskError::Owner { path: path.to_owned() },
            _ => fault(path, error),
        })?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| fault(path, error))?;
        Ok(temporary)
    }

    fn rename_to(self, path: &Path) -> Result<(), DiskError> {
        fs::rename(&self.0, path).map_err(|error| fault(path, error))?;
        std::mem::forget(self); // there is nothing left under the temporary name
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Hands an open file to its owner; asks for nothing when it is so already.
fn own(file: &File, owner: Owner) -> io::Result<()> {
    let now = file.metadata()?;
    let uid = (now.uid() != owner.uid).then_some(owner.uid);
    let gid = (now.gid() != owner.gid).then_some(owner.gid);
    if uid.is_none() && gid.is_none() {
        return Ok(());
    }
    fchown(file, uid, gid)
}

/// Keeps what the file holds now under another name, with its mode and owner.
fn back_up(path: &Path) -> Result<PathBuf, DiskError> {
    const MOST_IN_A_SECOND: u32 = 1000;
    let stamp = format_description!("[year][month][day]T[hour][minute][second]Z");
    // the format has no part that could be missing from a date
    let stamp = OffsetDateTime::now_utc().format(&stamp).unwrap_or_default();
    for n in 1..=MOST_IN_A_SECOND {
        let mut backup = path.as_os_str().to_owned();
        backup.push(format!("{BACKUP}{stamp}"));
        if n > 1 {
            backup.push(format!("-{n}"));
        }
        let backup = PathBuf::from(backup);
        let linked = fs::hard_link(path, &backup);
        // A file system without hard links, or a kernel that forbids them for other people's files.
        let kept = match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                let bytes = fs::read(path).map_err(|error| fault(path, error))?;
                write_new(&backup, &bytes, Meta::of(path)?)
            }
            Err(error) => Err(fault(&backup, error)),
            Ok(()) => Ok(()),
        };
        match kept {
            Ok(()) => return Ok(backup),
            Err(DiskError::Exists { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Err(DiskError::Exists { path: path.to_owned() })
}

fn is_already(path: &Path, bytes: &[u8], meta: Meta) -> bool {
    let Ok(now) = Meta::of(path) else {
        return false;
    };
    let me = Owner { uid: Uid::effective().as_raw(), gid: Gid::effective().as_raw() };
    let same_owner = now.owner == Some(meta.owner.unwrap_or(me));
    same_owner && now.mode == meta.mode && fs::read(path).is_ok_and(|now| now == bytes)
}

/// Where a link leads, all the way; the path itself when it is no link. Refuses what cannot be
/// replaced by a file.
fn target_of(path: &Path) -> Result<PathBuf, DiskError> {
    const MOST_LINKS: usize = 40; // as many as the kernel follows
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(found) = fs::symlink_metadata(&path) else {
            return Ok(path); // to be created; the folder is looked at next
        };
        if !found.is_symlink() {
            return match found.file_type() {
                kind if kind.is_file() => Ok(path),
                kind if kind.is_dir() => Err(DiskError::Directory { path }),
                _ => Err(DiskError::Special { path }),
            };
        }
        let target = fs::read_link(&path).map_err(|error| fault(&path, error))?;
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    Err(fault(&path, io::Error::other("the link leads in a circle; name the file itself")))
}

/// The folder that a file is in or is to be in; it has to exist.
pub fn folder_of(path: &Path) -> Result<PathBuf, DiskError> {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Err(DiskError::Directory { path: path.to_owned() }),
    };
    if !folder.is_dir() {
        return Err(DiskError::NoFolder { path: folder.to_owned() });
    }
    Ok(folder.to_owned())
}

/// A new name is on the disk only when its folder is.
fn sync_folder(folder: &Path) -> Result<(), DiskError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| fault(folder, error))
}

fn fault(path: &Path, error: io::Error) -> DiskError {
    DiskError::new(path, error)
}

#[cfg(test)]
mod tests;
