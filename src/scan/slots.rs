//! How many connections are open at a server at a time.

use std::sync::{Condvar, Mutex, PoisonError};

/// So many, and whoever comes then waits.
pub struct Slots {
    free: Mutex<usize>,
    changed: Condvar,
}

/// One of them; free again when dropped.
pub struct Slot<'a>(&'a Slots);

impl Slots {
    pub fn new(most: usize) -> Self {
        Self { free: Mutex::new(most.max(1)), changed: Condvar::new() }
    }

    pub fn take(&self) -> Slot<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .changed
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.changed.notify_one();
    }
}
