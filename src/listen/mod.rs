//! Does an application verify whom it talks to? A server that plays every wrong one, and the right.
//!
//! The port speaks MySQL up to the login and lets nobody in. To each connection it plays one [`Part`]: no
//! TLS at all, a certificate of an unknown CA, another host's, and so on; what the application does with
//! it says whether a man in the middle would be noticed. As the control the right certificate comes last:
//! while an application refuses that, its other refusals prove nothing.
//!
//! It asks for no password and keeps none: of a login packet, the user's name and what the program says of
//! itself are read, and the rest is wiped.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use thiserror::Error;

use crate::facts::Flavor;

mod greeting;
mod login;
mod meet;
mod parts;
mod show;

pub use login::Applicant;
pub use meet::Did;
pub use parts::{Parts, Signer};

/// What the port plays to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The greeting offers no TLS, as a man in the middle would who has no certificate.
    NoTls,
    /// A certificate for the right names, from a CA that was made up for it.
    UnknownCa,
    /// A certificate of the right CA, for another host.
    OtherHost,
    /// A certificate of the right CA for the right names, which ended yesterday.
    Expired,
    /// The same in date, and good for clients only (extended key usage).
    ClientOnly,
    /// The control: nothing is wrong with it.
    Right,
}

impl Part {
    /// In the order in which they are played.
    pub const ALL: [Self; 6] = [
        Self::NoTls,
        Self::UnknownCa,
        Self::OtherHost,
        Self::Expired,
        Self::ClientOnly,
        Self::Right,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Self::NoTls => "no TLS at all",
            Self::UnknownCa => "a CA nobody knows",
            Self::OtherHost => "another host's certificate",
            Self::Expired => "an expired certificate",
            Self::ClientOnly => "a certificate for clients only",
            Self::Right => "the right certificate",
        }
    }
}

/// What one connection came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Met {
    #[serde(skip)]
    pub part: Part,
    pub from: IpAddr,
    #[serde(flatten)]
    pub did: Did,
    /// Who logged in, when somebody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applicant: Option<Applicant>,
    /// The subject of the client's own certificate, if it showed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// One part, and what the application did with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub part: Part,
    /// How many connections met this part.
    pub connections: usize,
    /// The gravest of what they did; `None` when nobody came.
    #[serde(flatten)]
    pub met: Option<Met>,
}

/// What all of it says about the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every wrong server was refused before a login was sent, and the right one was not.
    Verifies,
    /// A login was sent to a server that proved nothing, inside TLS.
    DoesNotVerify,
    /// A login was sent without TLS.
    SendsInClear,
    /// The right certificate was refused, too: the refusals prove nothing.
    RefusesTheRight,
    /// Not every part was met.
    Unfinished,
}

/// The report: a row for each part that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grid {
    pub rows: Vec<Row>,
    /// Connections that were closed at once because too many were open.
    pub turned_away: usize,
}

/// What is played, to whom and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Play {
    /// As which family's server it greets.
    pub flavor: Flavor,
    /// How long one connection may take in all.
    pub patience: Duration,
    /// How many may be open at a time; what comes beyond is closed at once.
    pub at_once: usize,
}

impl Default for Play {
    fn default() -> Self {
        Self { flavor: Flavor::MySql, patience: Duration::from_secs(10), at_once: 64 }
    }
}

/// Why there is nothing to listen on.
#[derive(Debug, Error)]
pub enum ListenError {
    #[error("{at} is in use; name another port with --port, or 0 for any that is free")]
    InUse { at: SocketAddr },
    #[error("cannot listen on {at}: {source}")]
    Bind { at: SocketAddr, source: io::Error },
    #[error("cannot wait for connections: {0}")]
    Wait(io::Error),
}

/// A port that waits for the application.
#[derive(Debug)]
pub struct Stage {
    listener: TcpListener,
    at: SocketAddr,
}

impl Stage {
    /// Takes the port; 0 takes any that is free.
    pub fn open(at: SocketAddr) -> Result<Self, ListenError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse { at },
            _ => ListenError::Bind { at, source },
        };
        let listener = TcpListener::bind(at).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let at = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, at })
    }

    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Plays one part after the other, each until an application has answered it; tells of every
    /// connection as it ends. Looks ten times a second whether it was cancelled; what was met until then
    /// is returned.
    pub fn play(
        &self,
        parts: Parts,
        play: Play,
        told: &mut dyn FnMut(Told<'_>),
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Grid, ListenError> {
        let order = parts.order();
        let mut grid = Grid::empty(&order);
        let guests = Guests::new(parts, play);
        for part in order {
            told(Told::Waiting(part));
            loop {
                self.wait(guests.open() > 0)?;
                // what is over comes before who is new: a client that has gone may be back at once
                for met in guests.results.try_iter() {
                    told(Told::Met(&met));
                    grid.add(met);
                }
                if grid.answered(part) {
                    break;
                }
                if cancelled() {
                    return Ok(grid);
                }
                grid.turned_away += usize::from(self.admit(part, &guests) == Some(false));
            }
        }
        Ok(grid)
    }

    /// For somebody at the door, a tenth of a second at most; while there are guests, less.
    fn wait(&self, has_guests: bool) -> Result<(), ListenError> {
        let mut door = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        let limit = if has_guests { 5u8 } else { 100 };
        match poll(&mut door, PollTimeout::from(limit)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(ListenError::Wait(error.into())),
        }
    }

    /// Takes in one who is at the door; `Some(false)` when there is no room for him.
    fn admit(&self, part: Part, guests: &Guests) -> Option<bool> {
        // an error is one who has gone again, or that no descriptor is free just now: the next may do
        let (tcp, from) = self.listener.accept().ok()?;
        Some(guests.receive(part, tcp, from.ip()))
    }
}

/// What happens, for whoever watches.
#[derive(Debug)]
pub enum Told<'a> {
    /// From now on this part is played.
    Waiting(Part),
    Met(&'a Met),
}

/// The connections that are open, each in a thread of its own.
struct Guests {
    parts: Arc<Parts>,
    play: Play,
    open: Arc<AtomicUsize>,
    sender: Sender<Met>,
    results: Receiver<Met>,
}

/// Counts one guest less when it goes, whatever made it go.
struct Leaving(Arc<AtomicUsize>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Guests {
    fn new(parts: Parts, play: Play) -> Self {
        let (sender, results) = channel();
        Self { parts: Arc::new(parts), play, open: Arc::default(), sender, results }
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// `false` when there are too many.
    fn receive(&self, part: Part, tcp: TcpStream, from: IpAddr) -> bool {
        if self.open() >= self.play.at_once {
            return false;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        let leaving = Leaving(Arc::clone(&self.open));
        let (parts, play, sender) = (Arc::clone(&self.parts), self.play, self.sender.clone());
        let guest = thread::Builder::new().spawn(move || {
            let met = meet::meet(part, tcp, from, &parts, play);
            drop(leaving);
            let _ = sender.send(met); // nobody listens once all is said
        });
        guest.is_ok()
    }
}

impl Grid {
    fn empty(parts: &[Part]) -> Self {
        let rows = parts.iter().map(|part| Row { part: *part, connections: 0, met: None });
        Self { rows: rows.collect(), turned_away: 0 }
    }

    pub fn row(&self, part: Part) -> Option<&Row> {
        self.rows.iter().find(|row| row.part == part)
    }

    /// Whether an application's answer to this part is known.
    fn answered(&self, part: Part) -> bool {
        self.row(part).is_some_and(Row::answered)
    }

    /// The gravest counts: one connection of a pool that sends its login is enough.
    fn add(&mut self, met: Met) {
        let Some(row) = self.rows.iter_mut().find(|row| row.part == met.part) else { return };
        row.connections += 1;
        if row.met.as_ref().is_none_or(|known| known.did.gravity() < met.did.gravity()) {
            row.met = Some(met);
        }
    }

    pub fn verdict(&self) -> Verdict {
        let did = |row: &Row| row.met.as_ref().map(|met| met.did.clone());
        let wrong = || self.rows.iter().filter(|row| row.part != Part::Right);
        if self.rows.iter().any(|row| matches!(did(row), Some(Did::LoginInClear))) {
            return Verdict::SendsInClear;
        }
        if wrong().any(|row| matches!(did(row), Some(Did::LoginInTls { .. }))) {
            return Verdict::DoesNotVerify;
        }
        match self.row(Part::Right).and_then(did) {
            Some(Did::Refused { .. }) => Verdict::RefusesTheRight,
            Some(Did::LoginInTls { .. }) if wrong().all(Row::answered) => Verdict::Verifies,
            _ => Verdict::Unfinished,
        }
    }
}

impl Row {
    /// Whether an application has answered this part.
    pub fn answered(&self) -> bool {
        self.met.as_ref().is_some_and(|met| met.did.is_answer())
    }
}

#[cfg(test)]
mod tests;
