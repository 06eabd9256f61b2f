//! One server's probes: what each costs is counted before it is made, over all threads.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use openssl::ssl::SslVersion;

use super::answer::{self, Answer, FLIGHT_LIMIT, Heard};
use super::hello::{self, Offer, Protocol};
use super::names;
use super::result::Cost;
use super::slots::Slots;
use crate::wire::{
    self, CarriedTls, Endpoint, Exactly, GivenUp, Limits, Opening, Shaken, Trust, WireError,
};

/// How much harm may be done.
pub enum Budget<'a> {
    /// Nothing is counted: this host is the server's loopback.
    Free,
    /// A login sets the count back; it is made before so many are counted.
    Reset { most: u32, login: &'a (dyn Fn() -> Result<(), String> + Sync) },
    /// So many, and then no more.
    Fixed(u32),
}

/// Why a probe was not made, or came to no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// The server would soon shut this host out.
    Budget(String),
    Failed(WireError),
    Cancelled,
}

pub struct Prober<'a> {
    /// By address, so that all probes meet the same server.
    pub endpoint: Endpoint,
    /// The name that was typed, where it is one.
    pub name: Option<String>,
    pub opening: Opening,
    pub limits: Limits,
    pub budget: Budget<'a>,
    pub polite: bool,
    pub cancel: &'a AtomicBool,
    /// Hears how many connections have been made so far.
    pub told: &'a (dyn Fn(u32) + Sync),
    pub count: Mutex<Count>,
    pub slots: Slots,
    /// Given up, and perhaps not counted yet: a login before that would not set it back.
    pub left: Mutex<Vec<GivenUp>>,
}

#[derive(Clone, Debug, Default)]
pub struct Count {
    pub cost: Cost,
    /// Since the last login that succeeded.
    pub since_reset: u32,
    /// The first thing that makes all further probes pointless.
    stopped: Option<Stop>,
}

/// Between two connections of a polite scan.
const PACE: Duration = Duration::from_millis(300);

impl Prober<'_> {
    /// A bare hello: the fastest, and counted by the server as an error.
    pub fn bare(&self, offer: &Offer<'_>) -> Result<Option<Answer>, Stop> {
        let _slot = self.slots.take();
        self.spend()?;
        let mut random = [0; 32];
        openssl::rand::rand_bytes(&mut random).map_err(|error| self.failed(&error.to_string()))?;
        let bytes = hello::client_hello(offer, random);
        let enough = |heard: &[u8]| match answer::heard(heard) {
            Heard::More => false,
            // what else comes in the clear is in the same flight
            Heard::Answer(answer) => answer.complete,
            Heard::Alert(_) | Heard::Other(_) => true,
        };
        let (heard, left) =
            wire::hello(&self.endpoint, self.opening, &bytes, self.limits, &enough, FLIGHT_LIMIT)
                .map_err(|error| self.stop(error))?;
        if let Budget::Reset { .. } = self.budget {
            self.left.lock().unwrap_or_else(PoisonError::into_inner).push(left);
        }
        match answer::heard(&heard) {
            Heard::Answer(answer) => Ok(Some(answer)),
            // an alert, or closed without a word: older servers have no alert for it
            Heard::Alert(_) | Heard::More => Ok(None),
            Heard::Other(_) if heard.get(4) == Some(&0xff) => Ok(None),
            Heard::Other(what) => Err(self.failed(&format!("in the TLS handshake it sent {what}"))),
        }
    }

    /// A handshake with the library, carried through to a refused login: counted only where it fails.
    /// `Err(None)`: the library itself gave up, and does not know what was chosen.
    pub fn carried(
        &self,
        protocol: Protocol,
        suites: &[u16],
        groups: &[u16],
    ) -> Result<Result<Option<Shaken>, ()>, Stop> {
        let Some(version) = library_version(protocol) else { return Ok(Err(())) };
        let exactly = Exactly {
            version: Some(version),
            suites: suites.iter().filter_map(|one| names::suite(*one)?.openssl).collect(),
            groups: groups.iter().map(|group| names::group_name(*group)).collect(),
            overhear: false,
        };
        let _slot = self.slots.take();
        self.spend()?;
        let trust = Trust::Unverified;
        let carried = wire::carried(&self.endpoint, &trust, Some(&exactly), self.limits)
            .map_err(|error| self.stop(error))?;
        match carried.tls {
            CarriedTls::Established(shaken) => {
                self.refund();
                Ok(Ok(Some(shaken)))
            }
            CarriedTls::Failed(Some(_), _) => Ok(Ok(None)),
            CarriedTls::Failed(None, _) => Ok(Err(())),
            CarriedTls::NotOffered => Err(self.failed("it offers TLS no more")),
        }
    }

    /// Counts what is about to be made; logs in before the server's limit comes near.
    pub fn spend(&self) -> Result<(), Stop> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Stop::Cancelled);
        }
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stop) = &count.stopped {
            return Err(stop.clone());
        }
        if self.polite {
            // with the count held: one at a time
            thread::sleep(PACE);
        }
        match &self.budget {
            Budget::Reset { most, login } if count.since_reset >= *most => {
                count.cost.connections += 1;
                login().map_err(|why| {
                    Stop::Budget(format!("the login that sets the count back failed: {why}"))
                })?;
                count.cost.resets += 1;
                count.since_reset = 0;
            }
            Budget::Fixed(most) if count.since_reset >= *most => {
                return Err(Stop::Budget(format!(
                    "without a login {most} more connections could be given up at this server, and are used up. Each \
                     counts towards its max_connect_errors, which would shut this host out, and no waiting takes it \
                     back: give a login (-u), which does, or allow more with --give-up where the limit is known"
                )));
            }
            Budget::Free | Budget::Reset { .. } | Budget::Fixed(_) => {}
        }
        count.since_reset += 1;
        count.cost.given_up += 1;
        count.cost.connections += 1;
        (self.told)(count.cost.connections);
        Ok(())
    }

    /// It was carried through: the server counts nothing.
    pub fn refund(&self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.since_reset = count.since_reset.saturating_sub(1);
        count.cost.given_up = count.cost.given_up.saturating_sub(1);
    }

    /// The last login, which leaves the count at zero.
    pub fn settle(&self) -> Option<String> {
        let Budget::Reset { login, .. } = &self.budget else { return None };
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        if count.since_reset == 0 {
            return None;
        }
        count.cost.connections += 1;
        for left in self.left.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            left.wait();
        }
        match login() {
            Ok(()) => {
                count.cost.resets += 1;
                count.since_reset = 0;
                None
            }
            Err(why) => Some(format!("the login that sets the server's count back failed: {why}")),
        }
    }

    fn failed(&self, why: &str) -> Stop {
        let at = self.endpoint.to_string();
        self.stop(WireError::Protocol { at, why: why.to_owned() })
    }

    /// Nothing more is asked of a server that shuts this host out, is full, or does not answer.
    fn stop(&self, error: WireError) -> Stop {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.stopped.get_or_insert(Stop::Failed(error)).clone()
    }

    pub fn is_careful(&self) -> bool {
        matches!(self.budget, Budget::Fixed(_))
    }
}

/// As a server sees loopback (`is_ip_loopback`): these two and no other.
pub fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets() == [127, 0, 0, 1],
        IpAddr::V6(v6) => v6.is_loopback(),
    }
}

fn library_version(protocol: Protocol) -> Option<SslVersion> {
    match protocol {
        Protocol::Ssl3 => None,
        Protocol::Tls10 => Some(SslVersion::TLS1),
        Protocol::Tls11 => Some(SslVersion::TLS1_1),
        Protocol::Tls12 => Some(SslVersion::TLS1_2),
        Protocol::Tls13 => Some(SslVersion::TLS1_3),
    }
}
