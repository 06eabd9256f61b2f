//! Which suites and groups a server takes, by offering all and taking away what it chose.
//!
//! A server's answer names one suite, and in TLS 1.3 one group. So with `n` accepted suites it takes `n`
//! answers and a refusal. In TLS 1.3 suites and groups are taken away together; when that is refused, one
//! that is known to be good is put back before the refusal is believed.

use super::codes::Protocol;
use super::hello::{Answer, Choice, Offer};

/// The search in one version.
#[derive(Clone, Debug)]
pub struct Search {
    version: Protocol,
    suites: Pool,
    groups: Pool,
    stage: Stage,
    name: Option<String>,
    /// What the first answer said beside its choice.
    pub first: Option<Choice>,
    /// The alert of the refusal with which it began, where the version is not offered.
    pub refused: Option<u8>,
}

/// What may be taken, and what was: in the order in which the server took it.
#[derive(Clone, Debug, Default)]
struct Pool {
    left: Vec<u16>,
    taken: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Suites, and in TLS 1.3 groups with them.
    Together,
    /// Suites alone, with a group that is good.
    Suites,
    /// Groups alone, with a suite that is good.
    Groups,
    Over,
}

impl Pool {
    fn take(&mut self, code: u16) {
        if let Some(at) = self.left.iter().position(|left| *left == code) {
            self.left.remove(at);
            self.taken.push(code);
        }
    }
}

impl Search {
    /// Before TLS 1.3 the groups stay as they are: what a server chooses among them is not said in its
    /// hello.
    pub fn new(version: Protocol, suites: &[u16], groups: &[u16], name: Option<String>) -> Self {
        let pool = |codes: &[u16]| Pool { left: codes.to_vec(), taken: Vec::new() };
        Self {
            version,
            suites: pool(suites),
            groups: pool(groups),
            stage: Stage::Together,
            name,
            first: None,
            refused: None,
        }
    }

    /// The next hello; `None` when everything is known.
    pub fn offer(&self) -> Option<Offer> {
        let good = |pool: &Pool| pool.taken.first().copied().into_iter().collect::<Vec<u16>>();
        let (suites, groups) = match (self.stage, self.version) {
            (Stage::Over, _) => return None,
            (Stage::Suites, _) => (self.suites.left.clone(), good(&self.groups)),
            (Stage::Groups, _) => (good(&self.suites), self.groups.left.clone()),
            (Stage::Together, _) => (self.suites.left.clone(), self.groups.left.clone()),
        };
        Some(Offer { newest: self.version, suites, groups, name: self.name.clone() })
    }

    /// Takes the answer to [`Self::offer`].
    pub fn answered(&mut self, answer: &Answer) {
        match answer {
            Answer::Took(choice) => self.took(choice),
            Answer::Refused(alert) => self.refused(*alert),
        }
    }

    fn took(&mut self, choice: &Choice) {
        if self.first.is_none() {
            self.first = Some(choice.clone());
        }
        self.suites.take(choice.suite);
        if let Some(group) = choice.group.filter(|_| self.version == Protocol::Tls13) {
            self.groups.take(group);
        }
        if self.is_exhausted() {
            self.next_stage();
        }
    }

    fn refused(&mut self, alert: u8) {
        if self.first.is_none() {
            self.refused = Some(alert);
            self.stage = Stage::Over;
        } else {
            self.next_stage();
        }
    }

    /// Nothing is left to be offered in this stage.
    fn is_exhausted(&self) -> bool {
        match (self.stage, self.version) {
            (Stage::Together, Protocol::Tls13) => {
                self.suites.left.is_empty() || self.groups.left.is_empty()
            }
            (Stage::Together | Stage::Suites, _) => self.suites.left.is_empty(),
            (Stage::Groups, _) => self.groups.left.is_empty(),
            (Stage::Over, _) => true,
        }
    }

    fn next_stage(&mut self) {
        self.stage = match (self.stage, self.version) {
            (Stage::Together, Protocol::Tls13) if !self.groups.taken.is_empty() => Stage::Suites,
            (Stage::Suites, Protocol::Tls13) => Stage::Groups,
            _ => Stage::Over,
        };
        if self.stage != Stage::Over && self.is_exhausted() {
            self.next_stage();
        }
    }

    pub fn version(&self) -> Protocol {
        self.version
    }

    /// In the order in which the server took them.
    pub fn suites(&self) -> &[u16] {
        &self.suites.taken
    }

    pub fn groups(&self) -> &[u16] {
        &self.groups.taken
    }

    /// What has not been refused yet; empty when the search came to its end.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }
}

/// The same as several searches that can go on side by side: each with a part of the suites, the parts
/// taking turns so that what is chosen often is spread over all.
pub fn split(version: Protocol, suites: &[u16], groups: &[u16], parts: usize) -> Vec<Search> {
    let part = |start: usize| {
        let own: Vec<u16> = suites.iter().copied().skip(start).step_by(parts.max(1)).collect();
        Search::new(version, &own, groups, None)
    };
    (0..parts.max(1)).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::codes::GROUPS;

    /// A server that takes these, the first it finds in its own order.
    struct Server {
        version: Protocol,
        suites: Vec<u16>,
        groups: Vec<u16>,
    }

    impl Server {
        fn answer(&self, offer: &Offer) -> Answer {
            let choose = |own: &[u16], offered: &[u16]| {
                own.iter().copied().find(|code| offered.contains(code))
            };
            let (suite, group) =
                (choose(&self.suites, &offer.suites), choose(&self.groups, &offer.groups));
            match (suite, group) {
                (Some(suite), Some(group)) => Answer::Took(Choice {
                    version: self.version.code(),
                    suite,
                    group: (self.version == Protocol::Tls13).then_some(group),
                    ..Choice::default()
                }),
                _ => Answer::Refused(40),
            }
        }

        /// What a search finds, and how many questions it took.
        fn searched(&self, suites: &[u16]) -> (Vec<u16>, Vec<u16>, usize) {
            let groups: Vec<u16> = GROUPS.iter().map(|(code, _)| *code).collect();
            let mut search = Search::new(self.version, suites, &groups, None);
            let mut asked = 0;
            while let Some(offer) = search.offer() {
                asked += 1;
                assert!(asked < 100, "it does not end");
                search.answered(&self.answer(&offer));
            }
            assert!(search.is_over());
            (search.suites().to_vec(), search.groups().to_vec(), asked)
        }
    }

    const ALL_13: [u16; 5] = [0x1301, 0x1302, 0x1303, 0x1304, 0x1305];

    #[test]
    fn before_tls_1_3_each_suite_takes_one_answer_and_the_end_a_refusal() {
        let suites = vec![0xc030, 0xc02f, 0x009d];
        let server =
            Server { version: Protocol::Tls12, suites: suites.clone(), groups: vec![0x17] };
        let all = [0x009c, 0x009d, 0xc02f, 0xc030];
        assert_eq!(server.searched(&all), (suites.clone(), vec![], 4), "in the server's order");
        assert_eq!(server.searched(&suites), (suites, vec![], 3), "nothing is left to be refused");
    }

    #[test]
    fn in_tls_1_3_suites_and_groups_are_found_together() {
        let (suites, groups) = (vec![0x1302, 0x1303, 0x1301], vec![0x1d, 0x17, 0x18]);
        let server =
            Server { version: Protocol::Tls13, suites: suites.clone(), groups: groups.clone() };
        let (found_suites, found_groups, asked) = server.searched(&ALL_13);
        assert_eq!((found_suites, found_groups), (suites, groups));
        assert_eq!(asked, 3 + 3, "three together, then a refusal of each");
    }

    #[test]
    fn more_suites_than_groups_and_the_other_way_round_are_found_all() {
        for (suites, groups) in [
            (vec![0x1301, 0x1302, 0x1303, 0x1304], vec![0x17]),
            (vec![0x1301], vec![0x1d, 0x17, 0x1e, 0x19, 0x18, 0x100]),
            (ALL_13.to_vec(), GROUPS.iter().map(|(code, _)| *code).collect()),
        ] {
            let server =
                Server { version: Protocol::Tls13, suites: suites.clone(), groups: groups.clone() };
            let (found_suites, found_groups, _) = server.searched(&ALL_13);
            assert_eq!((found_suites, found_groups), (suites, groups));
        }
    }

    #[test]
    fn a_version_that_is_not_offered_takes_one_question() {
        let server = Server { version: Protocol::Tls11, suites: vec![], groups: vec![] };
        assert_eq!(server.searched(&[0x2f]), (vec![], vec![], 1));
    }

    #[test]
    fn parts_hold_everything_once() {
        let suites: Vec<u16> = (0..37).collect();
        let mut all: Vec<u16> = split(Protocol::Tls12, &suites, &[], 8)
            .iter()
            .flat_map(|search| search.offer().unwrap().suites)
            .collect();
        all.sort_unstable();
        assert_eq!(all, suites);
    }
}
