//! One server scanned: what it may cost, the first handshake, and all that follows.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::prober::{Budget, Count, Prober, is_loopback};
use super::result::Scan;
use super::slots::Slots;
use super::{family, look};
use crate::printable::printable;
use crate::wire::{self, Carried, CarriedTls, Endpoint, Exactly, Limits, Trust, WireError};

/// A login; the error says why it did not work.
pub type LogIn<'a> = &'a (dyn Fn() -> Result<(), String> + Sync);

/// How to scan.
pub struct How<'a> {
    pub trust: &'a Trust,
    pub limits: Limits,
    /// One connection at a time, with pauses.
    pub polite: bool,
    /// Connections at a time, at most.
    pub at_a_time: usize,
    /// What may be given up before a login where there is none and this host is no loopback: asked of whoever
    /// keeps count over several scans, with the server's address and limit.
    pub give_up: &'a (dyn Fn(&str, u32) -> u32 + Sync),
    /// Sets the server's count back.
    pub login: Option<ByLogin<'a>>,
    /// Hears how many connections have been made so far.
    pub told: &'a (dyn Fn(u32) + Sync),
}

/// A login that works, and what is known of it.
#[derive(Clone, Copy)]
pub struct ByLogin<'a> {
    pub login: LogIn<'a>,
    /// The number after which the count has to be set back.
    pub most: u32,
    /// It was made just now: the count begins at nothing.
    pub fresh: bool,
}

/// Scans one server. An error means that nothing was found out; what is missing in a scan is said in it.
pub fn scan(endpoint: &Endpoint, how: &How<'_>, cancel: &AtomicBool) -> Result<Scan, WireError> {
    let began = Instant::now();
    // under the system's CAs the chain is held afterwards: reading them all would keep the hello waiting
    let given = if *how.trust == Trust::System { &Trust::Unverified } else { how.trust };
    let (first, farewell) = wire::shaken(endpoint, given, Some(&as_ever()), how.limits)?;
    let mut by_address = Endpoint::new(first.address.to_string(), endpoint.port);
    by_address.bind = endpoint.bind;
    let mut opening = first.opening;
    opening.early = !family::may_lose_what_comes_early(&first.greeting);
    let at_a_time = if how.polite { 1 } else { how.at_a_time.max(1) };
    let prober = Prober {
        budget: budget(endpoint, &by_address, &first, how),
        endpoint: by_address,
        name: endpoint.ip().is_none().then(|| endpoint.host.clone()),
        opening,
        limits: how.limits,
        polite: how.polite,
        cancel,
        told: how.told,
        count: Mutex::new(Count::default()),
        slots: Slots::new(at_a_time),
        left: Mutex::default(),
    };
    {
        let mut count = prober.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.cost.connections = 1;
        if let Some(by) = &how.login {
            count.cost.connections += u32::from(by.fresh);
            count.cost.resets += u32::from(by.fresh);
            // nobody knows what was left behind here before: the first thing is a login
            count.since_reset = if by.fresh { 0 } else { by.most.max(1) };
        }
    }
    let look = |shaken| {
        let (tls, left) = look::look(&prober, at_a_time, &first.greeting, first.round_trip, shaken);
        (Some(tls), left)
    };
    let (tls, mut left_out) = thread::scope(|scope| {
        // while it is refused, the others are on their way
        let slot = prober.slots.take();
        scope.spawn(move || {
            farewell.say();
            drop(slot);
        });
        match &first.tls {
            CarriedTls::NotOffered => (None, Vec::new()),
            CarriedTls::Established(shaken) => look(Ok(shaken.clone())),
            CarriedTls::Failed(_, why) => {
                // it was counted, if nothing forbids it: there is no way to know before
                let _ = prober.spend();
                look(Err(why.clone()))
            }
        }
    });
    left_out.extend(prober.settle());
    let mut cost = prober.count.lock().unwrap_or_else(PoisonError::into_inner).cost;
    cost.milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Scan {
        schema: 1,
        at: time::OffsetDateTime::now_utc().unix_timestamp(),
        host: printable(&endpoint.host).into_owned(),
        port: endpoint.port,
        address: first.address.to_string(),
        greeting: first.greeting,
        tls,
        cost,
        in_force: None,
        left_out,
    })
}

/// As a client of today shakes hands, but for the group: a server that is met with another than its favourite
/// lists all it has.
fn as_ever() -> Exactly {
    let groups = ["P-256", "X25519", "P-384", "P-521", "X448", "ffdhe2048", "ffdhe3072"];
    Exactly { groups: groups.map(str::to_owned).to_vec(), overhear: true, ..Exactly::default() }
}

fn budget<'a>(
    endpoint: &Endpoint,
    by_address: &Endpoint,
    first: &Carried,
    how: &How<'a>,
) -> Budget<'a> {
    match &how.login {
        _ if is_loopback(first.address) && endpoint.bind.is_none_or(is_loopback) => Budget::Free,
        Some(by) => Budget::Reset { most: by.most.max(1), login: by.login },
        None => {
            let limit = family::assumed_limit(&first.greeting);
            Budget::Fixed((how.give_up)(&by_address.to_string(), limit))
        }
    }
}
