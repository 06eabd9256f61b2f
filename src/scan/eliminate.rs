//! Finding what a server accepts, and in which order: offer all, take out what was chosen, until refused.
//!
//! Nothing here touches the network. Several offers may be under way at a time: each takes out what those
//! before it will probably be answered with. A guess that was wrong costs a connection and never a fact.

use std::collections::BTreeSet;

/// One round: what to offer, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    pub offered: Vec<u16>,
    guess: Option<u16>,
}

/// The state of one elimination.
#[derive(Clone, Debug)]
pub struct Elimination {
    /// Not answered yet, in the order in which they are offered.
    open: Vec<u16>,
    /// What was chosen, and what it was chosen from.
    found: Vec<(u16, Vec<u16>)>,
    /// The same of every answer, also where what was chosen was known already.
    answers: Vec<(u16, Vec<u16>)>,
    /// What servers of this family like best.
    likely: Vec<u16>,
    under_way: Vec<Option<u16>>,
    rounds: usize,
}

/// Whose order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    Server,
    Client,
    /// Too few were found to tell.
    Unknown,
}

impl Elimination {
    pub fn of(universe: Vec<u16>, likely: Vec<u16>) -> Self {
        let (found, answers, under_way) = (Vec::new(), Vec::new(), Vec::new());
        Self { open: universe, found, answers, likely, under_way, rounds: 0 }
    }

    /// What is known to be accepted already, chosen from this.
    pub fn know(&mut self, chosen: u16, from: Vec<u16>) {
        self.answers.push((chosen, from.clone()));
        if self.open.contains(&chosen) {
            self.open.retain(|one| *one != chosen);
            self.found.push((chosen, from));
        }
    }

    /// The next round; `None` while one has to wait for what is under way, or when all is known.
    pub fn next(&mut self) -> Option<Round> {
        let guessed: Vec<u16> = self.under_way.iter().flatten().copied().collect();
        // where one is under way whose answer nobody guesses, all is said that can be asked now
        if guessed.len() < self.under_way.len() {
            return None;
        }
        let offered: Vec<u16> =
            self.open.iter().copied().filter(|one| !guessed.contains(one)).collect();
        if offered.is_empty() {
            return None;
        }
        // whose order counts is asked once, and first: guesses hang on it
        let guess = if self.rounds == 0 {
            None
        } else {
            self.likely.iter().copied().find(|one| offered.contains(one))
        };
        Some(self.round(offered, guess))
    }

    /// A round with just these, alone.
    pub fn round_of(&mut self, offered: Vec<u16>) -> Round {
        self.round(offered, None)
    }

    fn round(&mut self, mut offered: Vec<u16>, guess: Option<u16>) -> Round {
        // a server that has an order of its own answers the same whichever way round it is asked
        let turned = if self.likely.is_empty() { self.rounds % 2 == 1 } else { self.rounds == 0 };
        if turned {
            offered.reverse();
        }
        self.rounds += 1;
        self.under_way.push(guess);
        Round { offered, guess }
    }

    /// The answer to a round: what was chosen, or that nothing was.
    pub fn answered(&mut self, round: &Round, chosen: Option<u16>) {
        self.give_up(round);
        match chosen {
            Some(chosen) if round.offered.contains(&chosen) => {
                self.know(chosen, round.offered.clone());
            }
            // one that was not offered says as much as none: it would be chosen for ever
            Some(_) | None => self.open.retain(|one| !round.offered.contains(one)),
        }
    }

    /// There is no answer.
    pub fn give_up(&mut self, round: &Round) {
        if let Some(at) = self.under_way.iter().position(|guess| *guess == round.guess) {
            self.under_way.remove(at);
        }
    }

    pub fn is_over(&self) -> bool {
        self.open.is_empty() && self.under_way.is_empty()
    }

    /// What nobody has asked about to the end.
    pub fn open(&self) -> &[u16] {
        &self.open
    }

    pub fn likely(&mut self, likely: Vec<u16>) {
        self.likely = likely;
    }

    /// What is accepted, the server's favourite first, as far as the answers tell.
    pub fn found(&self) -> Vec<u16> {
        self.sorted().0
    }

    /// Two of which no answer tells which the server likes better: after guesses that were wrong.
    pub fn undecided(&self) -> Option<[u16; 2]> {
        self.sorted().1
    }

    /// Whatever was chosen comes before all else that is accepted and was offered with it.
    fn sorted(&self) -> (Vec<u16>, Option<[u16; 2]>) {
        let mut left: Vec<u16> = self.found.iter().map(|(chosen, _)| *chosen).collect();
        let (mut sorted, mut undecided) = (Vec::new(), None);
        while !left.is_empty() {
            let is_behind = |one: &u16| {
                self.answers.iter().any(|(chosen, from)| {
                    chosen != one && left.contains(chosen) && from.contains(one)
                })
            };
            let first: Vec<u16> = left.iter().copied().filter(|one| !is_behind(one)).collect();
            if let [one, other, ..] = first[..] {
                undecided.get_or_insert([one, other]);
            }
            // one that contradicts itself has no order: as it was met
            let next = first.first().copied().unwrap_or(left[0]);
            left.retain(|one| *one != next);
            sorted.push(next);
        }
        (sorted, undecided)
    }

    /// Whether the server went by its own order or by that of the offers, which came both ways round.
    pub fn preference(&self) -> Preference {
        const ENOUGH: usize = 3;
        if self.found.len() < ENOUGH {
            return Preference::Unknown;
        }
        let all: BTreeSet<u16> = self.found.iter().map(|(chosen, _)| *chosen).collect();
        let first = |from: &[u16]| from.iter().copied().find(|one| all.contains(one));
        if self.found.iter().all(|(chosen, from)| first(from) == Some(*chosen)) {
            Preference::Client
        } else {
            Preference::Server
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::Random;

    /// A server with this order; answers rounds in the order in which they were asked, so many at a time.
    fn run(
        mut elimination: Elimination,
        accepts: &[u16],
        at_a_time: usize,
        own: bool,
    ) -> (Elimination, usize) {
        let mut asked = 0;
        let mut pending: Vec<Round> = Vec::new();
        loop {
            while pending.len() < at_a_time {
                let Some(round) = elimination.next() else { break };
                asked += 1;
                assert!(asked < 1000, "no end");
                pending.push(round);
            }
            if pending.is_empty() {
                break;
            }
            let round = pending.remove(0);
            let chosen = if own {
                accepts.iter().copied().find(|one| round.offered.contains(one))
            } else {
                round.offered.iter().copied().find(|one| accepts.contains(one))
            };
            elimination.answered(&round, chosen);
        }
        assert!(elimination.is_over());
        while let Some(two) = elimination.undecided().filter(|_| own) {
            asked += 1;
            assert!(asked < 2000, "no end");
            let round = elimination.round_of(two.to_vec());
            let chosen = accepts.iter().copied().find(|one| two.contains(one));
            elimination.answered(&round, chosen);
        }
        (elimination, asked)
    }

    #[test]
    fn one_at_a_time_takes_one_more_than_there_are() {
        let accepts = [5, 3, 9, 1];
        let (found, asked) = run(Elimination::of((0..300).collect(), vec![]), &accepts, 1, true);
        assert_eq!((found.found(), asked), (accepts.to_vec(), 5));
        assert_eq!(found.preference(), Preference::Server);
    }

    #[test]
    fn the_order_of_the_client_is_seen_for_what_it_is() {
        let (found, _) = run(Elimination::of((0..300).collect(), vec![]), &[5, 3, 9, 1], 1, false);
        assert_eq!(found.preference(), Preference::Client);
    }

    #[test]
    fn right_guesses_cost_nothing_and_keep_the_order() {
        let accepts = [5, 3, 9, 1];
        let start = Elimination::of((0..300).collect(), accepts.to_vec());
        let (found, asked) = run(start, &accepts, 5, true);
        assert_eq!((found.found(), asked), (accepts.to_vec(), 5));
    }

    #[test]
    fn whatever_is_guessed_set_and_order_are_right() {
        let mut random = Random(0x656c_696d);
        for _ in 0..500 {
            let mut pick = |most| -> Vec<u16> {
                let list: BTreeSet<u16> =
                    (0..random.below(most)).map(|_| u16::from(random.byte())).collect();
                list.into_iter().collect()
            };
            let (mut accepts, likely) = (pick(30), pick(30));
            if accepts.len() % 2 == 0 {
                accepts.reverse();
            }
            let at_a_time = 1 + likely.len() % 7;
            let start = Elimination::of((0..256).collect(), likely);
            let (found, _) = run(start, &accepts, at_a_time, true);
            assert_eq!(found.found(), accepts);
        }
    }
}
