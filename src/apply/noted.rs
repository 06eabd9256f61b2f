//! A change of files, commands and statements that is in the journal before it is made: whatever ends the
//! program in the middle, what was done until then can be taken back.
//!
//! Written first are the steps that would take everything back; then, before each thing is done, how far it
//! is; and at last what was done indeed.

use std::path::{Path, PathBuf};

use super::back::Step;
use super::journal::{self, Entry, State};
use super::{Applied, Content, Plan, fingerprint};
use crate::disk::DiskError;
use crate::remedy::{Effect, shell};
use crate::x509::certificate::hex;

/// An entry of the journal for a change that is being made.
#[derive(Debug)]
pub struct Noting {
    journal: PathBuf,
    id: String,
}

impl Noting {
    /// Enters the change, before any of it is made. `target` is the server as it was named, `server`
    /// its [identity](crate::facts::ServerFacts::identity), empty where that is not known.
    pub fn begin(
        journal: &Path,
        plan: &Plan,
        target: String,
        server: String,
    ) -> Result<Self, DiskError> {
        let applied = Applied { title: plan.title.clone(), ..Applied::default() };
        let (ways_back, at_last) = ways_back(plan);
        let entry = Entry { server, ways_back, at_last, ..Entry::new(target, applied) };
        journal::append(journal, &entry)?;
        Ok(Self { journal: journal.to_owned(), id: entry.id })
    }

    /// By which `mytls undo` finds it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The thing of this number, from 0, is done next.
    pub(super) fn reach(&self, number: usize) -> Result<(), DiskError> {
        journal::reached(&self.journal, &self.id, number)
    }

    /// What was done, and whether that is all of it.
    pub fn end(&self, applied: &Applied, whole: bool) -> Result<(), DiskError> {
        let state = match (whole, applied.done.is_empty()) {
            (true, _) => State::Applied,
            (false, true) => State::Undone,
            (false, false) => State::Partly,
        };
        journal::ended(&self.journal, &self.id, state, applied.clone())
    }
}

/// For each thing that the plan does, in its order, what takes it back; and what follows at the end.
fn ways_back(plan: &Plan) -> (Vec<Vec<Step>>, Option<Step>) {
    let mut all = Vec::new();
    if let Some(issue) = &plan.issue {
        let aside = issue.create.is_some().then(|| {
            let to = PathBuf::from(format!("{}.taken-back", issue.dir.display()));
            Step::Aside { path: issue.dir.clone(), to }
        });
        all.push(aside.into_iter().collect());
    }
    if let Some(change) = &plan.change {
        let folder = shell::path(change.dir());
        let line = format!("# how far it came: mytls ca list --ca-dir {folder}");
        all.push(vec![Step::ByHand { line }]);
    }
    for write in &plan.writes {
        let after = match &write.content {
            Content::Text(text) => text.as_bytes(),
            Content::Key(key) => key.expose().as_bytes(),
            Content::ByStore => {
                all.push(Vec::new()); // it keeps a list of its own
                continue;
            }
        };
        let folder = write.path.parent().filter(|folder| !folder.exists());
        let folder = folder.map(|path| Step::Folder { path: path.to_owned() });
        let path = std::fs::canonicalize(&write.path).unwrap_or_else(|_| write.path.clone());
        let file = Step::File {
            // its name is known when it is written
            backup: None,
            before: fingerprint(&path).map(|sum| hex(&sum)),
            after: hex(&openssl::sha::sha256(after)),
            path,
        };
        all.push(folder.into_iter().chain([file]).collect());
    }
    let unless_empty = |undo: &String| Some(undo.clone()).filter(|undo| !undo.is_empty());
    for command in &plan.commands {
        let step = unless_empty(&command.undo).map(|command| Step::Command { command });
        all.push(step.into_iter().collect());
    }
    for statement in &plan.statements {
        let step = unless_empty(&statement.undo).map(|statements| Step::Sql { statements });
        all.push(step.into_iter().collect());
    }
    let at_last = match (plan.effect, &plan.reload) {
        (Effect::None, _) => None,
        (Effect::Reload, Some(reload)) => Some(Step::Sql { statements: reload.clone() }),
        _ => Some(Step::ByHand { line: shell::RESTART.to_owned() }),
    };
    (all, at_last)
}
