//! Reading whole files that somebody else names, without waiting or filling the memory.
//!
//! A path in an option file may lead to a pipe that nobody writes to, to `/dev/zero`, or to a
//! forgotten log of many gigabytes. Such a file is opened without waiting, looked at once it is
//! open, so that nothing can be put in its place, and read up to a limit.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;
use thiserror::Error;

/// Why a file was not read.
#[derive(Debug, Error)]
pub enum Unread {
    #[error("it is a folder")]
    Directory,
    #[error("it is a device, a socket or a pipe")]
    NotAFile,
    #[error("it is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Opens a regular file for reading; never waits.
pub fn open(path: &Path) -> Result<File, Unread> {
    // A socket cannot be opened, and says so in words that nobody understands.
    let is_file = |about: &std::fs::Metadata| match about {
        about if about.is_dir() => Err(Unread::Directory),
        about if about.is_file() => Ok(()),
        _ => Err(Unread::NotAFile),
    };
    is_file(&std::fs::metadata(path)?)?;
    let without_waiting = OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().read(true).custom_flags(without_waiting).open(path)?;
    is_file(&file.metadata()?)?;
    Ok(file)
}

/// The whole file, of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    read_into(path, limit, &mut bytes)?;
    Ok(bytes)
}

/// The same at the end of `bytes`, which may be a kind of memory that is wiped: it is made large
/// enough at once, so that no copy is left behind.
pub fn read_into(path: &Path, limit: u64, bytes: &mut Vec<u8>) -> Result<(), Unread> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > limit {
        return Err(Unread::TooLarge { limit });
    }
    // one more than it holds: with no room left, the end would be looked for in a larger buffer
    bytes.reserve_exact(usize::try_from(length).unwrap_or(0) + 1);
    file.take(length).read_to_end(bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for_and_what_is_huge_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        std::os::unix::fs::symlink(path("pipe"), path("link")).unwrap();
        for special in ["pipe", "socket", "link"] {
            assert!(matches!(read(&path(special), 9), Err(Unread::NotAFile)), "{special}");
        }
        for device in ["/dev/zero", "/dev/null"] {
            assert!(matches!(read(Path::new(device), 9), Err(Unread::NotAFile)), "{device}");
        }
        assert!(matches!(read(folder.path(), 9), Err(Unread::Directory)));
        assert!(matches!(read(&path("none"), 9), Err(Unread::Io(_))));
        // ten gigabytes, none of them on the disk
        File::create(path("huge")).unwrap().set_len(10 << 30).unwrap();
        assert!(matches!(read(&path("huge"), 1 << 20), Err(Unread::TooLarge { .. })));
        std::fs::write(path("small"), "123456789").unwrap();
        assert_eq!(read(&path("small"), 9).unwrap(), b"123456789");
        assert!(matches!(read(&path("small"), 8), Err(Unread::TooLarge { limit: 8 })));
    }
}
