//! The work of a scan: so many servers at a time, and when to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::cancel::Cancel;
use crate::scan::{Access, Scan};
use crate::wire::Endpoint;

/// What a scan tells whoever waits for it.
pub enum Told<'a> {
    Done(&'a Endpoint, Box<Result<Scan, String>>),
    /// It was cancelled, and some servers keep their threads waiting: nothing more comes.
    Left,
}

/// How all servers are scanned.
pub struct Job<'a> {
    pub access: Access<'a>,
    /// So many at a time.
    pub parallel: usize,
    pub cancel: Arc<Cancel>,
}

impl Job<'_> {
    /// Scans all of them, so many at a time; each is told when it is done. Once cancelled, no other is begun,
    /// and those under way have a moment to end.
    pub fn all(&self, endpoints: &[Endpoint], told: &mut dyn FnMut(Told<'_>)) {
        const MOMENT: Duration = Duration::from_secs(2);
        const LOOK: Duration = Duration::from_millis(50);
        let workers = self.parallel.min(endpoints.len());
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..workers {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    while let Some(endpoint) = endpoints.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if self.cancel.is_set() {
                            return;
                        }
                        let scan = self.access.scan(endpoint, self.cancel.flag(), &|_| ());
                        // nobody listens any more when the program ends
                        let _ = sender.send((endpoint, scan));
                    }
                });
            }
            drop(sender);
            let mut since = None;
            loop {
                match receiver.recv_timeout(LOOK) {
                    Ok((endpoint, result)) => told(Told::Done(endpoint, Box::new(result))),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                }
                if self.cancel.is_set() && since.get_or_insert_with(Instant::now).elapsed() > MOMENT
                {
                    return told(Told::Left);
                }
            }
        });
    }
}
