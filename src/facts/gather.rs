//! Reading all sources of one target.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Facts, Target};

/// One thing that gathering does, for the eye of whoever waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `read the server's options`, `connect`, `TLS handshake`, `log in`, …
    pub stage: &'static str,
    pub state: ProgressState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgressState {
    Started,
    /// With a few words of result.
    Done(String),
    Failed(String),
}

/// Told to stop; looked at between stages.
#[derive(Debug, Default)]
pub struct Cancel(AtomicBool);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads everything there is to read about the target. Never fails: what could not be read says
/// so in the facts. Takes at most about half a minute, whatever the other end does.
pub fn gather(target: &Target, cancel: &Cancel, progress: &mut dyn FnMut(Progress)) -> Facts {
    let _ = (target, cancel, progress);
    unimplemented!()
}
