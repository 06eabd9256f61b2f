//! TLS 1.3: suites and groups. The server lists its groups itself where it was met with another than its
//! favourite; where it did not, suite and group are taken out in the same rounds.

use std::thread;

use super::eliminate::Elimination;
use super::hello::Protocol::Tls13;
use super::look::Look;
use super::result::VersionScan;
use super::{family, names};

impl Look<'_> {
    pub fn tls13(&self) -> Vec<VersionScan> {
        let universe: Vec<u16> =
            names::suites().iter().filter(|one| one.is_modern()).map(|one| one.number).collect();
        let likely = self.likely(Tls13);
        let mut suites = Elimination::of(universe, self.guesses(Tls13));
        let mut groups = Elimination::of(names::groups(), Vec::new());
        let mut listed = Vec::new();
        if let Some(first) = self.first.as_ref().filter(|s| s.handshake.version == Tls13.name()) {
            // as the library offers them
            suites.know(first.suite, family::likely_modern(false));
            listed = first.said.as_ref().map(|said| said.groups.clone()).unwrap_or_default();
            if let Some(group) = first.group.as_deref().and_then(of_openssl) {
                groups.know(group, names::groups());
            }
        }
        if !listed.is_empty() {
            return self.tls13_as_listed(suites, &listed);
        }
        if self.prober.is_careful() {
            return self.tls13_carefully(suites, &groups);
        }
        while suites.found().len() < likely.len() {
            let (Some(some), Some(these)) = (suites.next(), groups.next()) else { break };
            let answer = self.ask(Tls13, &some.offered, &these.offered);
            let both = answer.as_ref().ok().and_then(|answer| answer.as_ref());
            if let Some(answer) = both {
                suites.answered(&some, Some(answer.suite));
                groups.answered(&these, answer.group);
            } else {
                // of which of the two there are no more is asked with one of the others put back
                suites.give_up(&some);
                groups.give_up(&these);
                break;
            }
        }
        if suites.found().is_empty() {
            // refused with everything in it: there is no TLS 1.3
            return vec![Self::version(Tls13, &suites, true)];
        }
        let found = suites.found();
        let done = self.side_by_side(
            || {
                self.eliminate(&mut groups, |these| {
                    Ok(self.ask(Tls13, &found, these)?.and_then(|answer| answer.group))
                })
            },
            || {
                let all = names::groups();
                self.eliminate(&mut suites, |some| self.ask_suite(Tls13, some, &all))
            },
        );
        self.note_groups(&groups.found());
        vec![Self::version(Tls13, &suites, done)]
    }

    /// One question tells whether there are groups that the server did not list.
    fn tls13_as_listed(&self, mut suites: Elimination, listed: &[u16]) -> Vec<VersionScan> {
        let others: Vec<u16> =
            names::groups().into_iter().filter(|group| !listed.contains(group)).collect();
        let mut others = Elimination::of(others, Vec::new());
        let known = suites.found();
        let done = self.side_by_side(
            || {
                self.eliminate(&mut others, |these| {
                    Ok(self.ask(Tls13, &known, these)?.and_then(|answer| answer.group))
                })
            },
            || {
                if self.prober.is_careful() {
                    self.carefully(Tls13, &mut suites, listed)
                } else {
                    self.eliminate(&mut suites, |some| self.ask_suite(Tls13, some, listed))
                }
            },
        );
        self.note_groups(&[listed, &others.found()].concat());
        vec![Self::version(Tls13, &suites, done)]
    }

    /// Groups that the library can take are carried through, the rest asked about.
    fn tls13_carefully(&self, mut suites: Elimination, groups: &Elimination) -> Vec<VersionScan> {
        let mut done = self.carefully(Tls13, &mut suites, &names::groups());
        let found = suites.found();
        if !found.is_empty() {
            let open = groups.open();
            let mine = LIBRARY_CURVES.into_iter().filter(|one| open.contains(one)).collect();
            let rest = open.iter().copied().filter(|one| !LIBRARY_CURVES.contains(one)).collect();
            let bare =
                |these: &[u16]| Ok(self.ask(Tls13, &found, these)?.and_then(|answer| answer.group));
            let (mut mine, mut rest) =
                (Elimination::of(mine, Vec::new()), Elimination::of(rest, Vec::new()));
            done &= self.eliminate(&mut mine, |these| {
                match self.prober.carried(Tls13, &found, these)? {
                    Ok(shaken) => {
                        Ok(shaken.and_then(|shaken| of_openssl(shaken.group.as_deref()?)))
                    }
                    Err(()) => bare(these),
                }
            });
            done &= self.eliminate(&mut rest, bare);
            self.note_groups(&[groups.found(), mine.found(), rest.found()].concat());
        }
        vec![Self::version(Tls13, &suites, done)]
    }

    /// Both, at the same time where the way is long; whether both came to their end.
    fn side_by_side(
        &self,
        one: impl FnOnce() -> bool + Send,
        other: impl FnOnce() -> bool,
    ) -> bool {
        if self.workers == 1 {
            let first = one();
            return other() && first;
        }
        thread::scope(|scope| {
            let one = scope.spawn(one);
            let other = other();
            one.join().unwrap_or(false) && other
        })
    }
}

/// Those whose name the library tells after a handshake.
const LIBRARY_CURVES: [u16; 5] = [0x1d, 0x17, 0x1e, 0x19, 0x18];

/// OpenSSL's short name of a group.
fn of_openssl(name: &str) -> Option<u16> {
    Some(match name {
        "X25519" => 0x1d,
        "X448" => 0x1e,
        "prime256v1" => 0x17,
        "secp384r1" => 0x18,
        "secp521r1" => 0x19,
        _ => return None,
    })
}
