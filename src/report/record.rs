//! What a report tells besides the examination: who asked, what was changed, what was proven.

use serde::Serialize;

use crate::apply::Applied;
use crate::apply::journal::{Entry, State};
use crate::prove::{Matrix, Row};

/// Everything besides the examination; empty where nothing was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Who had it written, and where: `anna on dba1`; empty where that is not known.
    pub by: String,
    /// Oldest first.
    pub changes: Vec<Deed>,
    pub proofs: Vec<Proof>,
    /// What a person still has to do, such as a restart.
    pub left: Vec<String>,
    /// The server was a sandbox: it is gone, and with it all that was changed in it.
    pub throwaway: bool,
}

/// One change, with what takes it back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deed {
    /// By which `mytls undo` knows it; empty where the journal does not have it.
    pub id: String,
    /// Seconds since 1970, UTC; `None` for what was done in the walk that is reported.
    pub at: Option<i64>,
    /// Who did it; empty where that was not written down.
    pub by: String,
    pub title: String,
    /// [What became of it](Entry::became): `taken back`, `not all of it`; empty for what is in force.
    pub state: &'static str,
    /// One line each.
    pub done: Vec<String>,
    /// Commands and statements that take it back, in the order to run them.
    pub undo: Vec<String>,
}

impl Deed {
    /// What was done in the walk that is reported.
    pub fn of_walk(applied: &Applied, by: &str) -> Self {
        Self {
            by: by.to_owned(),
            title: applied.title.clone(),
            done: applied.done.clone(),
            undo: applied.undo.clone(),
            ..Self::default()
        }
    }

    /// What the journal has; `None` where nothing was done in the end.
    pub fn of_journal(entry: &Entry) -> Option<Self> {
        /// More accounts are counted rather than listed.
        const FEW: usize = 50;
        let applied = &entry.applied;
        let nothing = applied.done.is_empty() && applied.undo.is_empty();
        if nothing && entry.accounts.is_empty() && !entry.is_cut_off() {
            return None;
        }
        let mut done = applied.done.clone();
        let named = |clause: &crate::apply::accounts::Raw| {
            clause.require().map_or_else(|| "?".to_owned(), |require| require.describe())
        };
        done.extend(entry.accounts.iter().take(FEW).map(|change| {
            let (before, after) = (named(&change.before), named(&change.after));
            format!("{} REQUIRE {after}, before: {before}", change.name)
        }));
        if let Some(more) = entry.accounts.len().checked_sub(FEW).filter(|more| *more > 0) {
            done.push(format!("and {more} more accounts"));
        }
        let mut undo = Vec::new();
        if entry.state != Some(State::Undone) {
            undo.push(format!("mytls undo {} --yes", entry.id));
        }
        Some(Self {
            id: entry.id.clone(),
            at: Some(entry.at),
            by: entry.by.clone(),
            title: applied.title.clone(),
            state: entry.became(),
            done,
            undo,
        })
    }
}

/// A login matrix, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// `app@10.0.%`
    pub account: String,
    /// `SUBJECT + ISSUER`; empty where it is not known.
    pub require: String,
    /// `db1.example:3306`
    pub against: String,
    pub rows: Vec<Login>,
    /// One sentence.
    pub summary: String,
    pub proved: bool,
}

/// A row of the matrix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Login {
    /// `same CA, other subject`
    pub with: String,
    /// `let in`, `refused`
    pub must: String,
    /// `let in`, `refused`, `not tried`
    pub was: String,
    /// Whether it came out as it must; `None` where it was not tried.
    pub holds: Option<bool>,
    /// `TLS 1.3`, `unknown ca`; may be empty.
    pub note: String,
    /// The server's own words, a line each.
    pub server_said: Vec<String>,
}

impl From<&Matrix> for Proof {
    fn from(matrix: &Matrix) -> Self {
        let login = |row: &Row| Login {
            with: row.case.title().to_owned(),
            must: row.expected.title().to_owned(),
            was: row.happened.title().to_owned(),
            holds: row.was_tried().then(|| row.holds()),
            note: row.note(),
            server_said: row.reason.as_ref().map_or_else(Vec::new, |reason| reason.lines.clone()),
        };
        Self {
            account: matrix.account.to_string(),
            require: matrix.require.clone(),
            against: matrix.against.clone(),
            rows: matrix.rows.iter().map(login).collect(),
            summary: matrix.summary(),
            proved: matrix.proved(),
        }
    }
}

impl Login {
    /// `✓` where it came out as it must, `✗` where it did not, `–` where it was not tried.
    pub fn mark(&self) -> &'static str {
        match self.holds {
            Some(true) => "✓",
            Some(false) => "✗",
            None => "–",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::back::Step;

    #[test]
    fn a_change_that_was_cut_off_is_told_and_one_that_came_to_nothing_is_not() {
        let titled = Applied { title: "new files".into(), ..Applied::default() };
        let mut entry = Entry::new("db1".into(), titled);
        entry.ways_back = vec![vec![Step::ByHand { line: "look at it".into() }]];
        let deed = Deed::of_journal(&entry).expect("it was begun");
        assert_eq!(deed.state, "cut off, or still being made");
        assert_eq!(deed.undo, [format!("mytls undo {} --yes", entry.id)]);
        entry.state = Some(State::Undone);
        assert_eq!(Deed::of_journal(&entry), None);
    }
}
