//! Carrying a plan out, one thing after the other, remembering how to take each back.

use std::path::{Path, PathBuf};

use mysql::Conn;
use mysql::prelude::Queryable as _;

use super::back::Step;
use super::{Applied, ApplyError, Change, Content, Issue, Noting, Plan, Restart, Write};
use crate::ca::crl::{Update, hand_over};
use crate::ca::store::{Kind, Store};
use crate::disk::{self, Meta};
use crate::facts::session::{self, Session};
use crate::printable::{printable, printable_lines};
use crate::remedy::{Effect, shell};
use crate::secret::Secret;

/// Does all that the plan says, telling each thing as it is done. When it ends early, what was
/// done until then comes with the error, and with it the way back.
pub fn run(
    plan: &Plan,
    restart: Option<&dyn Restart>,
    told: &mut dyn FnMut(&str),
) -> Result<Applied, Box<(Applied, ApplyError)>> {
    run_noted(plan, restart, None, told)
}

/// The same with an entry of the journal, that was begun for it and is still to be ended.
pub fn run_noted(
    plan: &Plan,
    restart: Option<&dyn Restart>,
    noting: Option<&Noting>,
    told: &mut dyn FnMut(&str),
) -> Result<Applied, Box<(Applied, ApplyError)>> {
    let applied = Applied { title: plan.title.clone(), ..Applied::default() };
    let mut run = Run { applied, told, at_last: None, noting, next: 0 };
    let result = run.all(plan, restart);
    // The last change is the first to be taken back, and only then does the server look again.
    run.applied.steps.reverse();
    run.applied.steps.extend(run.at_last.take());
    run.applied.undo = run.applied.steps.iter().map(Step::line).collect();
    match result {
        Ok(()) => Ok(run.applied),
        Err(error) => Err(Box::new((run.applied, error))),
    }
}

struct Run<'a> {
    applied: Applied,
    /// What makes the way back count.
    at_last: Option<Step>,
    told: &'a mut dyn FnMut(&str),
    noting: Option<&'a Noting>,
    /// The number of the thing that is done next.
    next: usize,
}

impl Run<'_> {
    fn all(&mut self, plan: &Plan, restart: Option<&dyn Restart>) -> Result<(), ApplyError> {
        if let Some(issue) = &plan.issue {
            self.next()?;
            self.issue(issue, plan.passphrase.as_ref())?;
        }
        if let Some(change) = &plan.change {
            self.next()?;
            self.change(change, plan.passphrase.as_ref())?;
        }
        let from = self.applied.steps.len();
        for write in &plan.writes {
            if let Err(error) = self.next().and_then(|()| self.write(write)) {
                self.put_back(from);
                return Err(error);
            }
        }
        for command in &plan.commands {
            self.next()?;
            execute(&command.text)?;
            let undo = Some(command.undo.clone()).filter(|undo| !undo.is_empty());
            self.done(
                format!("ran {}", printable_lines(&command.text).replace('\n', " ")),
                undo.map(|command| Step::Command { command }),
            );
        }
        // The session may end with a restart; statements that need a running server go first.
        let mut conn = None;
        for statement in &plan.statements {
            let conn = connect(&mut conn, plan)?;
            self.next()?;
            send(conn, &statement.sql)?;
            // as it stands: a line's end may be one in a name
            let undo = Some(statement.undo.clone()).filter(|undo| !undo.is_empty());
            self.done(
                format!("sent {}", one_line(&statement.sql)),
                undo.map(|statements| Step::Sql { statements }),
            );
        }
        match (plan.effect, &plan.reload, restart) {
            (Effect::None, ..) => {}
            (Effect::Reload, Some(reload), _) => {
                let conn = connect(&mut conn, plan)?;
                let statement = reload.trim_end_matches(';');
                send(conn, statement)?;
                self.done(format!("the server read its files again ({statement})"), None);
                self.at_last = Some(Step::Sql { statements: reload.clone() });
            }
            (Effect::Reload | Effect::Restart, _, Some(restart)) => {
                (self.told)("restarting the server");
                drop(conn.take());
                self.at_last = Some(by_hand("# then restart the server"));
                restart.restart().map_err(|why| ApplyError::Restart(printable_lines(&why)))?;
                self.done("restarted the server".to_owned(), None);
            }
            (Effect::Reload | Effect::Restart, _, None) => {
                self.applied.left.push(format!("restart the server: {}", shell::RESTART));
                self.at_last = Some(by_hand(shell::RESTART));
            }
        }
        Ok(())
    }

    /// Notes that the next thing is about to be done. What cannot be noted is not done.
    fn next(&mut self) -> Result<(), ApplyError> {
        if let Some(noting) = self.noting {
            noting.reach(self.next)?;
        }
        self.next += 1;
        Ok(())
    }

    fn issue(&mut self, issue: &Issue, passphrase: Option<&Secret>) -> Result<(), ApplyError> {
        let dir = &issue.dir;
        let store = match &issue.create {
            Some(authority) => {
                let store =
                    Store::install_under(dir, authority.clone(), None, passphrase.cloned())?;
                // what it has issued since would go with it
                let away = PathBuf::from(format!("{}.taken-back", dir.display()));
                let undo = Step::Aside { path: dir.clone(), to: away };
                self.done(format!("made a private CA in {}", shown(dir)), Some(undo));
                store
            }
            None => Store::open_with(dir, passphrase)?,
        };
        for (issued, kind, names) in &issue.certificates {
            match (kind, &issue.server) {
                (Kind::Server, Some(to)) => store.record_server(issued, names.clone(), to)?,
                _ => store.record(issued, *kind, names.clone())?,
            }
            let subject = issued.summary().subject.display();
            self.done(format!("issued a {} certificate: {subject}", kind.name()), None);
        }
        Ok(())
    }

    fn change(&mut self, change: &Change, passphrase: Option<&Secret>) -> Result<(), ApplyError> {
        let store = Store::open_with(change.dir(), passphrase)?;
        match change {
            Change::Renew { entry, issued, .. } => {
                let (issued, written) = store.hand_out_again(entry, (**issued).clone(), None)?;
                let serial = issued.summary().serial;
                self.done(format!("renewed {}: serial {serial}", change.subject()), None);
                for file in &written {
                    let path = &file.path;
                    let (what, undo) = match &file.backup {
                        Some(backup) => (
                            format!("wrote {} (before: {})", shown(path), shown(backup)),
                            Some(Step::of_file(path, Some(backup.clone()))),
                        ),
                        None => (format!("wrote {}", shown(path)), None),
                    };
                    self.done(what, undo);
                }
            }
            Change::Revoke { entry, reason, deploy, dir } => {
                let serials = [entry.serial.clone()];
                let signed = store.revoke(&serials, *reason, &Update::default())?;
                self.done(format!("revoked {} ({})", change.subject(), reason.name()), None);
                let lists = printable(&signed.signed.join(", ")).into_owned();
                let file = shown(&change.dir().join(Store::CRL_FILE));
                self.done(format!("signed the list of {lists} anew: {file}"), None);
                if let Some(server) = deploy {
                    // no way back is offered: with the old list it would be let in again
                    let what = match hand_over(dir, server)? {
                        Some(backup) => format!(" (before: {})", shown(&backup)),
                        None => String::new(),
                    };
                    self.done(format!("wrote {}{what}", shown(server)), None);
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, write: &Write) -> Result<(), ApplyError> {
        let path = &write.path;
        let bytes = match &write.content {
            Content::Text(text) => text.as_bytes(),
            Content::Key(key) => key.expose().as_bytes(),
            Content::ByStore => return Ok(()), // the store has written it
        };
        if super::fingerprint(path) != write.seen {
            return Err(ApplyError::Changed { path: path.clone() });
        }
        let meta = match &write.owner {
            Some((user, group)) => Meta::named(write.mode, user, group)?,
            None if path.exists() => Meta { mode: write.mode, ..Meta::of(path)? },
            None => Meta::mode(write.mode),
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            create_folder(folder, meta)?;
            self.applied.steps.push(Step::Folder { path: folder.to_owned() });
        }
        match disk::replace(path, bytes, meta)? {
            Some(backup) => {
                let what = format!("wrote {} (before: {})", shown(path), shown(&backup));
                self.done(what, Some(Step::of_file(path, Some(backup))));
            }
            None if write.replaces => self.done(format!("{} was so already", shown(path)), None),
            None => self.done(format!("wrote {}", shown(path)), Some(Step::of_file(path, None))),
        }
        Ok(())
    }

    /// A key without its certificate is worse than neither: when one file cannot be written, those
    /// before it are put back.
    fn put_back(&mut self, from: usize) {
        for step in self.applied.steps.split_off(from).into_iter().rev() {
            let Step::File { path, backup, .. } = &step else {
                self.applied.steps.insert(from, step);
                continue;
            };
            let back = match backup {
                Some(backup) => disk::restore(backup).map(drop),
                None => {
                    std::fs::remove_file(path).map_err(|error| disk::DiskError::new(path, error))
                }
            };
            match back {
                Ok(()) => self.done(format!("put {} back as it was", shown(path)), None),
                Err(error) => {
                    self.done(format!("could not be put back: {error}"), None);
                    self.applied.steps.insert(from, step);
                }
            }
        }
    }

    fn done(&mut self, what: String, undo: Option<Step>) {
        (self.told)(&what);
        self.applied.done.push(what);
        self.applied.steps.extend(undo);
    }
}

fn by_hand(line: &str) -> Step {
    Step::ByHand { line: line.to_owned() }
}

/// A folder for the server's files: its group may enter, nobody else.
fn create_folder(folder: &Path, meta: Meta) -> Result<(), ApplyError> {
    use std::os::unix::fs::PermissionsExt as _;
    disk::create_private_dir(folder)?;
    let failed = |error| disk::DiskError::new(folder, error);
    if let Some(owner) = meta.owner {
        std::os::unix::fs::chown(folder, None, Some(owner.gid)).map_err(failed)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o750)).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn execute(command: &str) -> Result<(), ApplyError> {
    let failed = |why: String| ApplyError::Command { command: one_line(command), why };
    let output = std::process::Command::new("sh")
        .args(["-e", "-c", command])
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = printable_lines(&String::from_utf8_lossy(&output.stderr));
    Err(failed(format!("{} ({})", said.trim(), output.status)))
}

fn connect<'a>(conn: &'a mut Option<Session>, plan: &Plan) -> Result<&'a mut Session, ApplyError> {
    if conn.is_none() {
        let (target, route) = plan.session.as_ref().ok_or(ApplyError::NoSession)?;
        let opened = session::open(target, route);
        let opened = opened.map_err(|error| ApplyError::Sql {
            statement: "(log in)".to_owned(),
            why: error.to_string(),
        })?;
        *conn = Some(opened);
    }
    conn.as_mut().ok_or(ApplyError::NoSession)
}

fn send(conn: &mut Conn, sql: &str) -> Result<(), ApplyError> {
    conn.query_drop(sql)
        .map_err(|error| ApplyError::Sql { statement: one_line(sql), why: session::words(&error) })
}

fn one_line(text: &str) -> String {
    printable_lines(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

#[cfg(test)]
mod tests;
