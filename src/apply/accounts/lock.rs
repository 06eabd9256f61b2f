//! One change of a server's accounts at a time: the lock ends with the process that holds it.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::AccountsError;
use crate::disk::{self, DiskError};

/// Held from before the accounts are read until what is stored was read back. `server` tells apart
/// those that may be changed at the same time.
pub(super) fn take(journal: &Path, server: &str) -> Result<Flock<File>, AccountsError> {
    const LONGEST: usize = 150;
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = server.chars().map(word).take(LONGEST).collect();
    let path = journal.with_file_name(format!("accounts-{name}.lock"));
    if let Some(folder) = path.parent() {
        disk::create_private_dir(folder)?;
    }
    let mut options = File::options();
    let file = options.create(true).write(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| DiskError::new(&path, error))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => AccountsError::Busy,
        errno => DiskError::new(&path, errno.into()).into(),
    })
}
