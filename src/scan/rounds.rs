//! One elimination carried out: which rounds are under way at a time, which are carried through to a login, and
//! when to stop.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use super::eliminate::{Elimination, Preference};
use super::hello::Protocol;
use super::look::Look;
use super::prober::Stop;

impl Look<'_> {
    /// Runs an elimination to its end, with as many rounds at a time as there are workers; whether it
    /// came there.
    pub fn eliminate(
        &self,
        elimination: &mut Elimination,
        ask: impl Fn(&[u16]) -> Result<Option<u16>, Stop> + Sync,
    ) -> bool {
        let workers = if self.prober.is_careful() { 1 } else { self.workers };
        let state = Mutex::new((elimination, None::<Stop>));
        let changed = Condvar::new();
        let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            let mut held = lock();
            loop {
                if held.1.is_some() || held.0.is_over() {
                    changed.notify_all();
                    return;
                }
                let Some(round) = held.0.next() else {
                    held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
                    continue;
                };
                drop(held);
                let answer = ask(&round.offered);
                held = lock();
                match answer {
                    Ok(chosen) => held.0.answered(&round, chosen),
                    Err(stop) => {
                        held.0.give_up(&round);
                        held.1.get_or_insert(stop);
                    }
                }
                changed.notify_all();
            }
        };
        if workers == 1 {
            work();
        } else {
            thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
        }
        let (elimination, stopped) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(stop) = &stopped {
            self.leave_out(stop);
        }
        stopped.is_none() && self.decide(elimination, ask)
    }

    /// Asks about pairs until the order is known; a server that goes by the client's has none.
    fn decide(
        &self,
        elimination: &mut Elimination,
        ask: impl Fn(&[u16]) -> Result<Option<u16>, Stop>,
    ) -> bool {
        const MOST: usize = 8;
        for _ in 0..MOST {
            if elimination.preference() != Preference::Server {
                return true;
            }
            let Some(two) = elimination.undecided() else { return true };
            let round = elimination.round_of(two.to_vec());
            match ask(&round.offered) {
                Ok(chosen) => elimination.answered(&round, chosen),
                Err(stop) => {
                    elimination.give_up(&round);
                    self.leave_out(&stop);
                    return false;
                }
            }
        }
        true
    }

    /// As few rounds as can be end without a login. What the library can speak is carried through, as long
    /// as something of that is likely to be left; then one question is about everything else at once.
    pub fn carefully(&self, protocol: Protocol, suites: &mut Elimination, groups: &[u16]) -> bool {
        let (library, likely) = (self.library(protocol), self.likely(protocol));
        let mut surprised = false;
        while !suites.open().is_empty() {
            let mine: Vec<u16> =
                library.iter().copied().filter(|one| suites.open().contains(one)).collect();
            let carries = surprised && !mine.is_empty()
                || mine.iter().any(|one| likely.is_empty() || likely.contains(one));
            let round = suites.round_of(if carries { mine } else { suites.open().to_vec() });
            let chosen = if carries {
                self.carry(protocol, &round.offered, groups)
            } else {
                self.ask_suite(protocol, &round.offered, groups)
            };
            match chosen {
                Ok(chosen) => {
                    surprised |= !carries && chosen.is_some_and(|one| library.contains(&one));
                    suites.answered(&round, chosen);
                }
                Err(stop) => {
                    suites.give_up(&round);
                    self.leave_out(&stop);
                    return false;
                }
            }
        }
        true
    }

    fn carry(
        &self,
        protocol: Protocol,
        offered: &[u16],
        groups: &[u16],
    ) -> Result<Option<u16>, Stop> {
        match self.prober.carried(protocol, offered, &[])? {
            Ok(shaken) => Ok(shaken.map(|shaken| shaken.suite)),
            // too weak for the library, which says no more
            Err(()) => self.ask_suite(protocol, offered, groups),
        }
    }

    fn leave_out(&self, stop: &Stop) {
        let words = match stop {
            Stop::Budget(why) => why.clone(),
            Stop::Failed(error) => error.to_string(),
            Stop::Cancelled => CANCELLED.to_owned(),
        };
        let mut seen = self.seen();
        if !seen.left_out.contains(&words) {
            seen.left_out.push(words);
        }
    }
}

/// What a scan that was cancelled has left out.
pub const CANCELLED: &str = "the scan was cancelled; what stands here is what was found until then";
