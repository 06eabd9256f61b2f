//! Carrying an edit out: the files, the journal, the running server, and back where it refuses.

use std::path::Path;

use super::live::{Before, LiveError};
use super::{Edit, Live, files_alone};
use crate::apply::back::{self, Step};
use crate::apply::journal::{self, State};
use crate::apply::{self, Applied, Noting, Plan};
use crate::facts::session::{self, Session};
use crate::facts::{Facts, ServerFacts};
use crate::printable::shown;
use crate::remedy::shell;

/// What became of an edit.
#[derive(Debug, Default)]
pub struct Done {
    /// One line each, of what was done and, where it was refused, put back.
    pub lines: Vec<String>,
    /// By which `mytls undo` knows it; `None` where nothing is left to be taken back.
    pub id: Option<String>,
    /// Why it did not come to its end. Then everything is as it was before, unless [`Self::stuck`] says
    /// otherwise.
    pub error: Option<String>,
    /// What could not be put back.
    pub stuck: Vec<String>,
}

/// Does it. `live` is what the running server is told; `None`: it is to be restarted, which is left
/// to others.
///
/// When a file cannot be written, those before it are put back; when the server refuses, its
/// variables and the files are, so that its next start is like its last one.
pub fn carry_out(
    edit: &Edit,
    live: Option<&Live>,
    facts: &Facts,
    journal: &Path,
    told: &mut dyn FnMut(&str),
) -> Done {
    let mut done = Done::default();
    // the running server is looked at before anything is written: without it nothing is done
    let mut running = match live.map(|live| look(live, facts)).transpose() {
        Ok(running) => running,
        Err(why) => {
            done.error = Some(format!("{why}; nothing was written"));
            return done;
        }
    };
    // noted before anything is written: who is stopped half way can still go back
    let plan = edit.plan();
    let server = facts.server.read().map(ServerFacts::identity).unwrap_or_default();
    let noting = match Noting::begin(journal, &plan, facts.target.display(), server) {
        Ok(noting) => noting,
        Err(error) => {
            done.error = Some(format!(
                "this could not be noted in the journal: {error}; nothing was written"
            ));
            return done;
        }
    };
    let mark = |state| journal::mark(journal, noting.id(), state);
    let mut applied = match apply::run_noted(&plan, None, Some(&noting), told) {
        Ok(applied) => applied,
        Err(both) => {
            done.lines.clone_from(&both.0.done);
            done.error = Some(both.1.to_string());
            let ended = noting.end(&both.0, false);
            let all_back = both.0.steps.is_empty();
            // an entry without a mark is one that was cut off, and so it is
            let _ = ended.and_then(|()| if all_back { mark(State::Undone) } else { Ok(()) });
            return done;
        }
    };
    done.lines.append(&mut applied.done.clone());
    let last = match (live, &running) {
        (Some(live), Some((_, before))) => Some(live.undo(before))
            .filter(|all| !all.is_empty())
            .map(|all| Step::Sql { statements: all.join(";\n") + ";" }),
        _ => Some(Step::ByHand { line: shell::RESTART.to_owned() }),
    };
    applied.steps.extend(last);
    applied.undo = applied.steps.iter().map(Step::line).collect();
    if let Err(error) = noting.end(&applied, true) {
        // what cannot be noted could not be taken back
        done.error = Some(format!("this could not be noted in the journal: {error}"));
        put_back_files(&applied, &mut done);
        return done;
    }
    let id = noting.id().to_owned();
    if let (Some(live), Some((conn, before))) = (live, &mut running)
        && let Err(LiveError::Refused { statement, why, stuck }) = live.switch(conn, before)
    {
        done.error = Some(format!("the server refused {statement}: {why}"));
        done.lines.push("the server's variables are what they were before".to_owned());
        done.stuck = stuck;
        put_back_files(&applied, &mut done);
        let state = if done.stuck.is_empty() { State::Undone } else { State::Partly };
        let _ = mark(state); // as above
        done.id = (!done.stuck.is_empty()).then_some(id);
        return done;
    }
    for statement in live.into_iter().flat_map(Live::statements) {
        done.lines.push(format!("sent {}", crate::printable::printable(&statement)));
    }
    done.id = Some(id);
    done
}

/// Takes the files of a change back that turned out to be no good, by its number in the journal.
pub fn put_back(journal: &Path, id: &str) -> Done {
    let mut done = Done::default();
    let entries = journal::read(journal).unwrap_or_default();
    let Some(entry) = entries.into_iter().find(|entry| entry.id == id) else {
        done.stuck.push(format!("{} has no change {id}", shown(journal)));
        return done;
    };
    put_back_files(&entry.applied, &mut done);
    let state = if done.stuck.is_empty() { State::Undone } else { State::Partly };
    let _ = journal::mark(journal, id, state);
    done
}

fn look(live: &Live, facts: &Facts) -> Result<(Session, Before), String> {
    let (target, route) =
        Plan::session_of(facts).ok_or("there is no session with the server to tell it on")?;
    let mut conn = session::open(&target, &route).map_err(|error| error.to_string())?;
    let before = live.before(&mut conn).map_err(|error| session::words(&error))?;
    Ok((conn, before))
}

fn put_back_files(applied: &Applied, done: &mut Done) {
    let files = files_alone(applied);
    if files.steps.is_empty() {
        return;
    }
    match back::look(&files) {
        Ok(back) => {
            let outcome = back.run(None);
            let paths = files.steps.iter().filter_map(|step| match step {
                Step::File { path, .. } => Some(shown(path)),
                _ => None,
            });
            let paths: Vec<String> = paths.collect();
            if outcome.failed.is_empty() {
                done.lines.push(format!("put back as it was: {}", paths.join(", ")));
            }
            done.stuck.extend(outcome.failed);
        }
        Err(back::NotBack::Changed(why)) => done.stuck.extend(why),
        Err(back::NotBack::ByHand) => done.stuck.extend(files.undo),
    }
}
