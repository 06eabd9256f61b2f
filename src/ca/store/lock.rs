//! One mytls at a time: the lock of a store, which ends with the process that holds it.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::io_fault;
use crate::ca::CaError;

/// The right to write to a store, as long as this lives.
#[derive(Debug)]
pub(in crate::ca) struct Lock(#[allow(dead_code, reason = "held for its drop")] Flock<File>);

impl Lock {
    pub(super) const FILE: &str = ".lock";
    /// A batch of thousands takes seconds.
    pub(in crate::ca) const PATIENCE: Duration = Duration::from_secs(30);

    /// Takes the lock of this folder; `waiting` is told once that somebody else holds it.
    pub(in crate::ca) fn take(
        dir: &Path,
        patience: Duration,
        waiting: fn(&Path),
    ) -> Result<Self, CaError> {
        const PAUSE: Duration = Duration::from_millis(20);
        let since = Instant::now();
        let mut file = open(dir)?;
        let mut told = false;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(held(lock)),
                Err((file, Errno::EWOULDBLOCK | Errno::EINTR)) => file,
                Err((_, errno)) => return Err(io_fault(&dir.join(Self::FILE), errno.into())),
            };
            if since.elapsed() >= patience {
                let seconds = patience.as_secs();
                return Err(CaError::Busy { dir: dir.to_owned(), holder: holder(&file), seconds });
            }
            if !told && since.elapsed() > Duration::from_millis(300) {
                told = true;
                waiting(dir);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// `None` when somebody else holds it.
    pub(super) fn try_take(dir: &Path) -> Result<Option<Self>, CaError> {
        match Self::take(dir, Duration::ZERO, |_| ()) {
            Ok(lock) => Ok(Some(lock)),
            Err(CaError::Busy { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

fn open(dir: &Path) -> Result<File, CaError> {
    let path = dir.join(Lock::FILE);
    let mut options = File::options();
    options.create(true).read(true).write(true).truncate(false).mode(0o600);
    options.open(&path).map_err(|error| io_fault(&path, error))
}

/// Writes down who holds it: only to be named to whoever waits, so it may fail.
fn held(mut lock: Flock<File>) -> Lock {
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())
    };
    let _ = write(&mut lock);
    Lock(lock)
}

fn holder(mut file: &File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_waits_is_told_and_gives_up_with_the_name_of_the_first() {
        use std::sync::atomic::{AtomicU32, Ordering};
        static TOLD: AtomicU32 = AtomicU32::new(0);
        let waiting = |_: &Path| {
            TOLD.fetch_add(1, Ordering::Relaxed);
        };
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path(), Duration::ZERO, |_| ()).unwrap();
        assert!(Lock::try_take(folder.path()).unwrap().is_none());
        let error = Lock::take(folder.path(), Duration::from_millis(500), waiting).unwrap_err();
        let own = format!("(process {})", std::process::id());
        assert!(error.to_string().contains(&own), "{error}");
        assert_eq!(TOLD.load(Ordering::Relaxed), 1);
        drop(first);
        assert!(Lock::try_take(folder.path()).unwrap().is_some());
    }
}
