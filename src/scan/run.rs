//! The scan of one server: searches side by side, on one budget.

use std::net::ToSocketAddrs as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::budget::Budget;
use super::codes::{GROUPS, Protocol, group, suites};
use super::eliminate::{Search, split};
use super::hello::{Answer, Choice, Flight, Offer};
use super::probe::{self, ProbeError};
use super::{Cost, Offered, OfferedSuite, Scan, TlsScan};
use crate::wire::{Endpoint, Handshake, Limits, Stage, TlsOffer, Trust, WireError};
use crate::x509::Name;

/// How it is gone about.
pub struct How<'a> {
    pub trust: &'a Trust,
    /// Break hellos off at their answer; else handshakes are carried through where they can be.
    pub bare: bool,
    /// A good login, which sets the server's count back; `None` where there is none.
    pub login: Option<&'a (dyn Fn() -> Result<(), String> + Sync)>,
    /// Between two connections, for servers that are busy.
    pub pause: Duration,
    /// Connections at a time, at most.
    pub at_once: usize,
    /// Looks whether it was cancelled.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// What happens, for whoever waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// So many connections were made.
    Connections(u32),
}

/// Why there is no scan, or why it was broken off.
#[derive(Debug, Error)]
pub enum ScanError {
    #[error("{0}")]
    Wire(#[from] WireError),
    #[error(
        "{0}; nothing more was asked, since every further connection would be refused or do harm"
    )]
    Stopped(ProbeError),
    #[error("cancelled")]
    Cancelled,
    #[error(
        "this host has left {spent} unfinished connections with {server}, and a few more might shut it out \
         (max_connect_errors): log in once from here, or give the scan a login (-u, -p), which sets the \
         count back"
    )]
    Spent { server: String, spent: u32 },
}

/// A round trip as long as this is worth some more connections.
const LONG_ROUND_TRIP: Duration = Duration::from_millis(5);

/// Scans a server: its greeting, one whole handshake, then the searches.
pub fn scan(
    endpoint: &Endpoint,
    how: &How<'_>,
    budget: &Budget,
    told: &(dyn Fn(Told) + Sync),
) -> Result<Scan, ScanError> {
    let (began, at) = (Instant::now(), now());
    let endpoint = &resolved(endpoint);
    let mut connecting = (None, None);
    let seen =
        crate::wire::probe(endpoint, how.trust, Limits::default(), &mut |stage| match stage {
            Stage::Connect => connecting.0 = Some(Instant::now()),
            Stage::Greeting => connecting.1 = Some(Instant::now()),
            _ => {}
        })?;
    let round_trip = match connecting {
        (Some(from), Some(to)) => to.saturating_duration_since(from),
        _ => Duration::ZERO,
    };
    let asker = Asker {
        endpoint,
        how,
        budget,
        told,
        round_trip,
        connections: AtomicU32::new(1),
        stopped: Mutex::new(None),
        unknown: Mutex::new(Vec::new()),
        flight: Mutex::new(None),
        name: endpoint.ip().is_none().then(|| endpoint.host.clone()),
    };
    told(Told::Connections(1));
    let handshake = match seen.tls {
        TlsOffer::NotOffered => None,
        TlsOffer::Established(handshake) => Some(handshake),
        TlsOffer::Failed { reason } => {
            asker.note(format!("a handshake of OpenSSL's fails: {reason}"));
            Some(Handshake::default())
        }
    };
    let tls = handshake.map(|handshake| asker.searches(handshake)).transpose()?;
    let cost = Cost {
        connections: asker.connections.load(Ordering::Relaxed),
        unfinished: budget.unfinished(),
        seconds: began.elapsed().as_secs_f64(),
    };
    let mut unknown = asker.unknown.into_inner().unwrap_or_default();
    unknown.dedup();
    Ok(Scan {
        schema: 1,
        at,
        host: seen.host,
        port: seen.port,
        greeting: seen.greeting,
        tls,
        cost,
        unknown,
    })
}

/// With its address looked up once; certificates are held against the name all the same.
fn resolved(endpoint: &Endpoint) -> Endpoint {
    // kept as it is where the name is to be sent; the system remembers what it looked up
    let _ = (endpoint.host.as_str(), endpoint.port).to_socket_addrs();
    endpoint.clone()
}

struct Asker<'a> {
    endpoint: &'a Endpoint,
    how: &'a How<'a>,
    budget: &'a Budget,
    told: &'a (dyn Fn(Told) + Sync),
    round_trip: Duration,
    connections: AtomicU32,
    /// Why nothing more is asked.
    stopped: Mutex<Option<ScanError>>,
    unknown: Mutex<Vec<String>>,
    /// The first flight that was read whole.
    flight: Mutex<Option<Flight>>,
    name: Option<String>,
}

impl Asker<'_> {
    fn searches(&self, handshake: Handshake) -> Result<TlsScan, ScanError> {
        let codes = |for_tls13: bool| -> Vec<u16> {
            let wanted = suites().iter().filter(|suite| suite.is_for_tls13() == for_tls13);
            wanted.map(|suite| suite.code).collect()
        };
        let (new, old) = (codes(true), codes(false));
        let groups: Vec<u16> = GROUPS.iter().map(|(code, _)| *code).collect();
        let parts = if self.round_trip > LONG_ROUND_TRIP && self.how.bare {
            self.how.at_once.saturating_sub(2).max(1)
        } else {
            1
        };
        let search =
            |version, suites: &[u16]| Search::new(version, suites, &groups, self.name.clone());
        let (tls13, tls12, older) = thread::scope(|scope| {
            let tls13 = scope.spawn(|| self.run(search(Protocol::Tls13, &new)));
            let parts = split(Protocol::Tls12, &old, &groups, parts);
            let tls12: Vec<_> =
                parts.into_iter().map(|part| scope.spawn(|| self.run(part))).collect();
            let older = scope.spawn(|| self.older(&old, &groups));
            // a panic in one of them is a fault of ours, and goes on here
            let tls12: Vec<Search> = tls12.into_iter().map(joined).collect();
            (joined(tls13), tls12, joined(older))
        });
        if let Some(stopped) = lock(&self.stopped).take() {
            return Err(stopped);
        }
        let first = tls12.iter().find_map(|part| part.first.clone());
        let own_order = own_order(&tls12, &older, &old);
        let mut protocols = older.iter().map(offered).collect::<Vec<_>>();
        protocols.push(joint(Protocol::Tls12, &tls12));
        protocols.push(offered(&tls13));
        // what was refused with a newer one was not asked about by itself
        for version in Protocol::ALL {
            if protocols.iter().all(|offered| offered.version != version) {
                protocols.push(Offered { version, suites: Vec::new(), complete: true });
            }
        }
        protocols.sort_by_key(|offered| offered.version);
        let first = first.or_else(|| older.iter().find_map(|search| search.first.clone()));
        let said = |of: fn(&Choice) -> bool| first.as_ref().map(of);
        let bare = self.how.bare;
        Ok(TlsScan {
            handshake,
            protocols,
            groups: tls13.groups().iter().map(|code| group(*code)).collect(),
            own_order,
            compression: said(|choice| choice.compression != 0) == Some(true),
            tickets: said(|choice| choice.ticket) == Some(true),
            session_ids: said(|choice| choice.session_id) == Some(true),
            secure_renegotiation: said(|choice| choice.secure_renegotiation).filter(|_| bare),
            extended_master_secret: said(|choice| choice.extended_master_secret).filter(|_| bare),
            client_certificate: lock(&self.flight).take().and_then(|flight| {
                Some(flight.client_cas?.iter().map(|der| ca_name(der)).collect())
            }),
        })
    }

    /// From TLS 1.1 down: what is refused there is refused for everything older, too.
    fn older(&self, suites: &[u16], groups: &[u16]) -> Vec<Search> {
        let mut found = Vec::new();
        let mut newest = Some(Protocol::Tls11);
        while let Some(version) = newest {
            let mut search = Search::new(version, suites, groups, self.name.clone());
            let Some(offer) = search.offer() else { break };
            match self.ask(&offer, false) {
                Some(Answer::Took(choice)) => match Protocol::of(choice.version) {
                    Some(chosen) if chosen <= version => {
                        if chosen != version {
                            search = Search::new(chosen, suites, groups, self.name.clone());
                        }
                        search.answered(&Answer::Took(choice));
                        found.push(self.run(search));
                        newest = chosen.older();
                    }
                    _ => break,
                },
                Some(Answer::Refused(_))
                    if version > Protocol::Ssl3 && version == Protocol::Tls11 =>
                {
                    // a server of SSLv3 alone may not answer a newer hello
                    break;
                }
                Some(Answer::Refused(_)) | None => break,
            }
        }
        found
    }

    /// One search to its end.
    fn run(&self, mut search: Search) -> Search {
        while let Some(offer) = search.offer() {
            let whole = search.first.is_none() && offer.newest == Protocol::Tls12;
            match self.ask(&offer, whole) {
                Some(Answer::Took(choice))
                    if Protocol::of(choice.version) != Some(offer.newest) =>
                {
                    // it went down a version: nothing is left in this one
                    search.answered(&Answer::Refused(probe::NO_ALERT));
                }
                Some(answer) => search.answered(&answer),
                None => break,
            }
        }
        search
    }

    /// Asks one question. `None`: it was not asked, or there is no answer; then the reason was noted.
    fn ask(&self, offer: &Offer, whole: bool) -> Option<Answer> {
        if lock(&self.stopped).is_some() {
            return None;
        }
        if (self.how.cancelled)() {
            return self.stop(ScanError::Cancelled);
        }
        if !self.how.pause.is_zero() {
            thread::sleep(self.how.pause);
        }
        let limits = probe::limits(self.round_trip);
        if !self.how.bare {
            // what OpenSSL speaks is carried through; the rest, and the end, takes a bare hello
            match self.counted(|| probe::carried(self.endpoint, offer, limits)) {
                Ok(Some(Answer::Took(choice))) => return Some(Answer::Took(choice)),
                Ok(Some(Answer::Refused(_))) => {
                    self.budget.take();
                }
                Ok(None) => {}
                Err(error) => return self.failed(error),
            }
        }
        if !self.affordable() {
            return None;
        }
        match self.counted(|| probe::bare(self.endpoint, offer, true, whole, limits)) {
            Ok((Answer::Took(choice), _)) if !choice.fits(offer) => {
                self.note(format!(
                    "it answers with a suite or a version that it was not offered (0x{:04x})",
                    choice.suite
                ));
                Some(Answer::Refused(probe::NO_ALERT))
            }
            Ok((answer, flight)) => {
                if flight.done {
                    lock(&self.flight).get_or_insert(flight);
                }
                Some(answer)
            }
            Err(error) => self.failed(error),
        }
    }

    /// Whether one more unfinished connection may be made, after a good login if need be.
    fn affordable(&self) -> bool {
        if self.budget.take() {
            return true;
        }
        if let Some(login) = self.how.login {
            match login() {
                Ok(()) => {
                    self.budget.reset();
                    return self.budget.take();
                }
                Err(why) => {
                    self.note(format!("the login that would set the count back fails: {why}"));
                }
            }
        }
        let (server, spent) = (self.endpoint.to_string(), self.budget.spent());
        self.stop(ScanError::Spent { server, spent }).is_some()
    }

    fn counted<T>(&self, ask: impl FnOnce() -> T) -> T {
        let made = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        (self.told)(Told::Connections(made));
        ask()
    }

    fn failed(&self, error: ProbeError) -> Option<Answer> {
        if error.ends_it() {
            return self.stop(ScanError::Stopped(error));
        }
        self.note(error.to_string());
        None
    }

    fn stop(&self, why: ScanError) -> Option<Answer> {
        lock(&self.stopped).get_or_insert(why);
        None
    }

    fn note(&self, why: String) {
        lock(&self.unknown).push(why);
    }
}

fn joined<T>(handle: thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn offered(search: &Search) -> Offered {
    joint(search.version(), std::slice::from_ref(search))
}

/// The parts of a search taken together.
fn joint(version: Protocol, parts: &[Search]) -> Offered {
    let suites = parts.iter().flat_map(Search::suites).map(|code| OfferedSuite::of(*code));
    Offered { version, suites: suites.collect(), complete: parts.iter().all(Search::is_over) }
}

/// Whether what was taken follows the order in which it was offered: then the client's counts.
fn own_order(tls12: &[Search], older: &[Search], offered: &[u16]) -> Option<bool> {
    let place = |code: &u16| offered.iter().position(|other| other == code);
    let longest = tls12.iter().chain(older).max_by_key(|search| search.suites().len())?;
    let places: Vec<usize> = longest.suites().iter().filter_map(place).collect();
    (places.len() > 2).then(|| !places.is_sorted())
}

/// A name of a CA as the server wrote it.
fn ca_name(der: &[u8]) -> String {
    openssl::x509::X509Name::from_der(der).map_or_else(
        |_| "a name that is garbled".to_owned(),
        |name| Name::from_openssl(&name).display(),
    )
}

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}
