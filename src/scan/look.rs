//! One server's TLS looked at: which versions are asked about side by side, and what comes of all answers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::answer::Answer;
use super::eliminate::{Elimination, Preference};
use super::hello::{Offer, Protocol};
use super::prober::{Budget, Prober, Stop};
use super::result::{SuiteSeen, TlsScan, VersionScan};
use super::{aside, family, names, policy, system};
use crate::wire::{Greeting, Shaken};

/// What the probes saw by the way.
#[derive(Default)]
pub struct Seen {
    pub tls: TlsScan,
    answers: Vec<Answer>,
    pub left_out: Vec<String>,
}

/// One server being looked at.
pub struct Look<'a> {
    pub prober: &'a Prober<'a>,
    /// Rounds of one elimination that are under way at a time.
    pub workers: usize,
    seen: Mutex<Seen>,
    /// Every suite before TLS 1.3 that is offered.
    pub old_suites: Vec<u16>,
    pub first: Option<Shaken>,
    own_lists: bool,
}

/// Looks at everything; `at_a_time` connections at most, and one where the server is near, for then
/// waiting costs less than guessing does.
pub fn look(
    prober: &Prober<'_>,
    at_a_time: usize,
    greeting: &Greeting,
    round_trip: Duration,
    first: Result<Shaken, String>,
) -> (TlsScan, Vec<String>) {
    const NEAR: Duration = Duration::from_millis(3);
    // what is under way during a login is counted after it
    let tight = matches!(&prober.budget, Budget::Reset { most, .. }
        if usize::try_from(*most).unwrap_or(usize::MAX) < 2 * at_a_time);
    let workers = if prober.polite || round_trip < NEAR || tight { 1 } else { at_a_time.max(1) };
    let mut seen = Seen::default();
    let first = match first {
        Ok(shaken) => {
            seen.tls.system_faults = system::faults(&shaken.handshake.chain);
            seen.tls.handshake = Some(shaken.handshake.clone());
            Some(shaken)
        }
        Err(why) => {
            seen.tls.handshake_failed = Some(why);
            None
        }
    };
    let modern = first
        .as_ref()
        .is_some_and(|shaken| matches!(shaken.handshake.version.as_str(), "TLSv1.2" | "TLSv1.3"));
    let old_suites = if family::may_be_yassl(greeting) && !modern {
        family::of_yassl()
    } else {
        family::old_suites()
    };
    let own_lists = family::has_own_lists(greeting);
    let look = Look { prober, workers, seen: Mutex::new(seen), old_suites, first, own_lists };
    let mut versions = look.versions();
    versions.sort_by_key(|version| std::cmp::Reverse(version.protocol));
    if !versions.iter().any(|version| version.protocol == Protocol::Tls13 && version.offered) {
        look.old_groups(&versions);
    }
    let said = look.first.as_ref().and_then(|first| first.said.clone());
    let Seen { mut tls, answers, left_out } =
        look.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    tls.versions = versions;
    aside::note(&mut tls, &answers, said.as_ref());
    tls.post_quantum = tls.groups.iter().any(|group| names::is_post_quantum(group));
    tls.policies = policy::judge(&tls);
    (tls, left_out)
}

impl Look<'_> {
    /// Side by side where the way is long, the one with the most rounds first.
    fn versions(&self) -> Vec<VersionScan> {
        let old = || self.upward_to(Protocol::Tls12);
        if self.workers == 1 {
            return [self.tls13(), old(), self.older()].concat();
        }
        thread::scope(|scope| {
            let old = scope.spawn(old);
            let modern = scope.spawn(|| self.tls13());
            let older = scope.spawn(|| self.older());
            let all = [modern, old, older].map(|handle| handle.join().unwrap_or_default());
            all.concat()
        })
    }

    pub fn ask(
        &self,
        protocol: Protocol,
        suites: &[u16],
        groups: &[u16],
    ) -> Result<Option<Answer>, Stop> {
        let host = self.prober.name.as_deref();
        let answer = self.prober.bare(&Offer { protocol, suites, groups, host })?;
        if let Some(answer) = &answer {
            self.seen().answers.push(answer.clone());
        }
        Ok(answer)
    }

    /// As [`Self::ask`]; the suite, where one of this version was chosen.
    pub fn ask_suite(
        &self,
        protocol: Protocol,
        suites: &[u16],
        groups: &[u16],
    ) -> Result<Option<u16>, Stop> {
        let answer = self.ask(protocol, suites, groups)?;
        let chosen = answer.filter(|answer| answer.protocol == Some(protocol));
        Ok(chosen.map(|answer| answer.suite))
    }

    pub fn version(protocol: Protocol, found: &Elimination, complete: bool) -> VersionScan {
        let order = found.preference();
        let mut numbers = found.found();
        if order == Preference::Client {
            // in what order they were met says nothing
            let place = |one: &u16| names::suites().iter().position(|suite| suite.number == *one);
            numbers.sort_by_key(place);
        }
        let suites: Vec<SuiteSeen> = numbers
            .into_iter()
            .map(|number| SuiteSeen {
                number,
                name: names::suite_name(number),
                iana: names::suite(number).map_or_else(String::new, |suite| suite.iana.to_owned()),
            })
            .collect();
        let order = match order {
            Preference::Server => "server",
            Preference::Client => "client",
            Preference::Unknown => "unknown",
        };
        let offered = !suites.is_empty();
        VersionScan { protocol, offered, suites, order: order.to_owned(), complete }
    }

    /// What this host's library can offer of a version.
    pub fn library(&self, protocol: Protocol) -> Vec<u16> {
        let modern = protocol == Protocol::Tls13;
        let known = names::suites().iter().filter(|one| one.is_modern() == modern);
        known
            .filter(|one| one.openssl.is_some() && super::library::has(one.number))
            .map(|one| one.number)
            .filter(|one| modern || self.old_suites.contains(one))
            .collect()
    }

    /// What a server of this kind likes best, so that several rounds can be under way.
    pub fn likely(&self, protocol: Protocol) -> Vec<u16> {
        let Some(first) = &self.first else { return Vec::new() };
        match protocol {
            Protocol::Tls13 => family::likely_modern(self.own_lists),
            older => family::likely(first.handshake.chain.first(), older, self.own_lists),
        }
    }

    /// What to guess: nothing, where one round is asked after the other.
    pub fn guesses(&self, protocol: Protocol) -> Vec<u16> {
        if self.workers == 1 || self.prober.is_careful() {
            return Vec::new();
        }
        self.likely(protocol)
    }

    pub fn note_groups(&self, groups: &[u16]) {
        self.seen().tls.groups = groups.iter().map(|group| names::group_name(*group)).collect();
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
