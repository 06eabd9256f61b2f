//! A CA and what it issued as a tree with lifetimes: the lines of `mytls ca list` and of the
//! wizard's screen. A line is a few numbers; its text is made only when it is shown.

use super::list::Status;
use super::store::{Catalog, Entry, Kind};

/// The lines, from the root down.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    pub lines: Vec<Branch>,
    /// How many entries were not kept.
    pub left_out: usize,
    pub time: TimeLine,
}

/// A line of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    pub what: What,
    pub depth: usize,
    /// For each depth a bit: whether something of that depth follows before the tree goes up again.
    follows: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Its place in [`Catalog::chain`].
    Ca(usize),
    /// How many of a kind stand below.
    Title(Kind, usize),
    /// Its place in [`Catalog::entries`].
    Entry(usize, Status),
}

/// What stands on top within its kind; what is in use always stands before what is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What expires next.
    #[default]
    Expiry,
    Name,
}

/// One measure for all bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLine {
    /// Seconds since 1970, UTC.
    pub from: i64,
    pub until: i64,
    pub now: i64,
}

impl Tree {
    /// Each CA under the one that signed it, servers and clients under the last.
    pub fn grow(
        catalog: &Catalog,
        now: i64,
        order: Order,
        keep: impl Fn(&Entry, Status) -> bool,
    ) -> Self {
        let mut tree = Self::default();
        let depth = catalog.chain.len();
        for (at, place) in (0..depth).rev().enumerate() {
            tree.push(What::Ca(place), at);
        }
        for kind in [Kind::Server, Kind::Client] {
            let all = catalog.entries.iter().enumerate();
            let own = all.filter(|(_, entry)| entry.kind == kind);
            let mut kept: Vec<(usize, Status)> = Vec::new();
            for (at, entry) in own {
                let status = Status::of(entry, now);
                if keep(entry, status) {
                    kept.push((at, status));
                } else {
                    tree.left_out += 1;
                }
            }
            if kept.is_empty() {
                continue;
            }
            let entry = |at: usize| &catalog.entries[at];
            kept.sort_by(|(a, one), (b, other)| {
                let (a, b) = (entry(*a), entry(*b));
                let rest = match order {
                    Order::Expiry => a.not_after.cmp(&b.not_after).then(a.names.cmp(&b.names)),
                    Order::Name => a.names.cmp(&b.names).then(a.not_after.cmp(&b.not_after)),
                };
                (*one != Status::Valid).cmp(&(*other != Status::Valid)).then(rest)
            });
            tree.push(What::Title(kind, kept.len()), depth);
            for (at, status) in kept {
                tree.push(What::Entry(at, status), depth + 1);
            }
        }
        let mut follows = 0_u32;
        for line in tree.lines.iter_mut().rev() {
            let bit = bit(line.depth);
            follows &= bit | bit.saturating_sub(1); // whatever is deeper is another branch's
            line.follows = follows;
            follows |= bit;
        }
        let lives = || tree.lines.iter().filter_map(|line| line.life(catalog));
        let from = lives().map(|(from, _)| from).min().unwrap_or(now).min(now);
        let until = lives().map(|(_, until)| until).max().unwrap_or(now).max(now + 1);
        tree.time = TimeLine { from, until, now };
        tree
    }

    /// A time line for what was issued: a CA outlives it many times over, and on one line with it
    /// every other bar is a dot.
    pub fn time_of_entries(&self, catalog: &Catalog) -> TimeLine {
        let entries = self.lines.iter().filter(|line| matches!(line.what, What::Entry(..)));
        let lives: Vec<(i64, i64)> = entries.filter_map(|line| line.life(catalog)).collect();
        let from = lives.iter().map(|(from, _)| *from).min();
        let until = lives.iter().map(|(_, until)| *until).max();
        let now = self.time.now;
        match (from, until) {
            (Some(from), Some(until)) => {
                TimeLine { from: from.min(now), until: until.max(now + 1), now }
            }
            _ => self.time,
        }
    }

    fn push(&mut self, what: What, depth: usize) {
        self.lines.push(Branch { what, depth, follows: 0 });
    }
}

/// A chain of CAs deeper than 32 loses the strokes of its innermost, and no more.
fn bit(depth: usize) -> u32 {
    u32::try_from(depth).ok().and_then(|depth| 1_u32.checked_shl(depth)).unwrap_or(0)
}

impl Branch {
    /// What stands before its name: `│  ├─ `, three columns for each depth.
    pub fn trunk(&self, ascii: bool) -> String {
        let [branch, last, past] =
            if ascii { ["|- ", "`- ", "|  "] } else { ["├─ ", "└─ ", "│  "] };
        let follows = |depth: usize| self.follows & bit(depth) != 0;
        let mut text = String::new();
        for depth in 1..self.depth {
            text.push_str(if follows(depth) { past } else { "   " });
        }
        if self.depth > 0 {
            text.push_str(if follows(self.depth) { branch } else { last });
        }
        text
    }

    /// From when until when, seconds since 1970, UTC; `None` for a title.
    pub fn life(&self, catalog: &Catalog) -> Option<(i64, i64)> {
        match self.what {
            What::Ca(at) => catalog.chain.get(at).map(|ca| (ca.not_before, ca.not_after)),
            What::Title(..) => None,
            What::Entry(at, _) => {
                catalog.entries.get(at).map(|entry| (entry.not_before, entry.not_after))
            }
        }
    }
}

impl TimeLine {
    /// A lifetime of so many columns, today marked; an arrow where it goes on outside the line.
    pub fn bar(&self, life: (i64, i64), columns: usize, ascii: bool) -> String {
        let last = columns.saturating_sub(1);
        let column = |at: i64| {
            let span = i128::from((self.until - self.from).max(1));
            let place = i128::from(at - self.from) * last as i128 / span;
            usize::try_from(place.clamp(0, last as i128)).unwrap_or(0)
        };
        let (from, until, today) = (column(life.0), column(life.1), column(self.now));
        let [full, empty, mark] = if ascii { ['=', '.', '|'] } else { ['━', '·', '┃'] };
        let [before, after] = if ascii { ['<', '>'] } else { ['◀', '▶'] };
        (0..columns)
            .map(|at| match at {
                at if at == today => mark,
                0 if life.0 < self.from && life.1 > self.from => before,
                at if at == last && life.1 > self.until => after,
                at if (from..=until).contains(&at) => full,
                _ => empty,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, kind: Kind, until: i64) -> Entry {
        let mut entry = Entry::empty(kind, vec![name.to_owned()]);
        (entry.serial, entry.not_after) = (name.to_owned(), until);
        entry
    }

    fn catalog(entries: Vec<Entry>) -> Catalog {
        Catalog { entries, dir: "/ca".into(), ..Catalog::default() }
    }

    #[test]
    fn what_is_in_use_and_expires_next_stands_on_top() {
        let mut gone = entry("a", Kind::Client, 10);
        gone.replaced_by = Some("b".into());
        let catalog = catalog(vec![
            entry("late", Kind::Client, 90),
            gone,
            entry("soon", Kind::Client, 50),
            entry("db", Kind::Server, 70),
        ]);
        let names = |order| {
            let tree = Tree::grow(&catalog, 20, order, |_, _| true);
            let name = |line: &Branch| match line.what {
                What::Entry(at, _) => catalog.entries[at].names[0].clone(),
                What::Title(kind, count) => format!("{} {count}", kind.name()),
                What::Ca(_) => "CA".to_owned(),
            };
            tree.lines.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(Order::Expiry), ["server 1", "db", "client 3", "soon", "late", "a"]);
        assert_eq!(names(Order::Name), ["server 1", "db", "client 3", "late", "soon", "a"]);
        let valid = Tree::grow(&catalog, 20, Order::Expiry, |_, status| status == Status::Valid);
        assert_eq!((valid.lines.len(), valid.left_out), (5, 1));
    }

    #[test]
    fn bars_share_one_line_with_today_marked() {
        let time = TimeLine { from: 0, until: 100, now: 50 };
        assert_eq!(time.bar((0, 100), 11, false), "━━━━━┃━━━━━");
        assert_eq!(time.bar((60, 80), 11, false), "·····┃━━━··");
        assert_eq!(time.bar((-9, 200), 11, false), "◀━━━━┃━━━━▶");
        assert_eq!(time.bar((-9, -5), 11, false), "━····┃·····");
        assert_eq!(time.bar((0, 20), 11, true), "===..|.....");
        assert_eq!(
            (time.bar((0, 9), 0, true), time.bar((0, 9), 1, true)),
            (String::new(), "|".into())
        );
    }
}
