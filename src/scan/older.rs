//! The versions before TLS 1.3, down to SSLv3.

use super::eliminate::Elimination;
use super::hello::Protocol;
use super::look::Look;
use super::names;
use super::result::VersionScan;

impl Look<'_> {
    pub fn upward_to(&self, protocol: Protocol) -> Vec<VersionScan> {
        let mut suites = Elimination::of(self.old_suites.clone(), Vec::new());
        let first = self.first.as_ref();
        if let Some(first) = first.filter(|shaken| shaken.handshake.version == protocol.name()) {
            suites.know(first.suite, self.library(protocol));
        }
        self.suites_of(protocol, suites)
    }

    /// All versions before TLS 1.2: a hello with the highest of them tells which, if any.
    pub fn older(&self) -> Vec<VersionScan> {
        let mut found = Vec::new();
        let mut top = Protocol::Tls11;
        loop {
            let offers = self.old_suites.clone();
            let Ok(answer) = self.ask(top, &offers, &names::groups()) else { return found };
            let chosen = answer.and_then(|answer| Some((answer.protocol?, answer.suite)));
            let Some((protocol, suite)) = chosen.filter(|(protocol, _)| *protocol <= top) else {
                found.extend(down_from(top).map(VersionScan::none));
                return found;
            };
            found.extend(down_from(top).filter(|one| *one > protocol).map(VersionScan::none));
            let mut suites = Elimination::of(offers.clone(), Vec::new());
            suites.know(suite, offers);
            found.extend(self.suites_of(protocol, suites));
            let Some(below) = down_from(protocol).nth(1) else { return found };
            top = below;
        }
    }

    fn suites_of(&self, protocol: Protocol, mut suites: Elimination) -> Vec<VersionScan> {
        let all = names::groups();
        suites.likely(self.guesses(protocol));
        let done = if self.prober.is_careful() {
            self.carefully(protocol, &mut suites, &all)
        } else {
            self.eliminate(&mut suites, |some| self.ask_suite(protocol, some, &all))
        };
        vec![Self::version(protocol, &suites, done)]
    }

    /// The groups of a server without TLS 1.3, from its part of the key exchange.
    pub fn old_groups(&self, versions: &[VersionScan]) {
        let Some(version) = versions.iter().find(|version| version.offered) else { return };
        let suites: Vec<u16> = version
            .suites
            .iter()
            .filter(|suite| suite.iana.contains("_ECDHE_"))
            .map(|suite| suite.number)
            .collect();
        if suites.is_empty() {
            return;
        }
        let mut groups = Elimination::of(names::groups(), Vec::new());
        self.eliminate(&mut groups, |these| {
            Ok(self.ask(version.protocol, &suites, these)?.and_then(|answer| answer.group))
        });
        self.note_groups(&groups.found());
    }
}

impl VersionScan {
    fn none(protocol: Protocol) -> Self {
        let order = "unknown".to_owned();
        Self { protocol, offered: false, suites: Vec::new(), order, complete: true }
    }
}

fn down_from(top: Protocol) -> impl Iterator<Item = Protocol> {
    Protocol::ALL.into_iter().rev().filter(move |one| *one <= top)
}
