//! Ctrl-C and SIGTERM: the first ends the scan where it is, and what was found is still printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::super::Failure;

/// Whether the scan was cancelled, and by which signal.
#[derive(Default)]
pub struct Cancel {
    set: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Cancel {
    /// From now on the first signal is noted, and the second ends the program at once.
    pub fn by_signal() -> Result<Arc<Self>, Failure> {
        let cancel = Self::default();
        for signal in [SIGINT, SIGTERM] {
            let number = usize::try_from(signal).unwrap_or_default();
            // in this order: the first signal arms the end for the second
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&cancel.set))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&cancel.signal), number))
                .and_then(|_| flag::register(signal, Arc::clone(&cancel.set)))
                .map_err(|error| {
                    Failure::not_examined(format!("signals cannot be caught: {error}"))
                })?;
        }
        Ok(Arc::new(cancel))
    }

    pub fn is_set(&self) -> bool {
        self.set.load(Ordering::Relaxed)
    }

    pub fn flag(&self) -> &AtomicBool {
        &self.set
    }

    /// As shells have it: 128 and the signal.
    pub fn exit_status(&self) -> Option<u8> {
        let signal = self.is_set().then(|| self.signal.load(Ordering::Relaxed))?;
        u8::try_from(128 + signal).ok()
    }
}
