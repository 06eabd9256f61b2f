//! A remedy as a plan: what its actions would write, run and send on this host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Command, Plan, Statement, Write, diff};
use crate::bounded::{self, Unread};
use crate::facts::Facts;
use crate::printable::printable;
use crate::remedy::{Action, ActionKind, Effect, Place, Remedy, config, shell};

/// Why a remedy is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPlanned {
    /// It cannot be done, or a person has to do it elsewhere; says where and why.
    ByHand(String),
    /// The key of the CA in this folder is under a passphrase, which was not given, or not this one.
    Locked { dir: PathBuf, wrong: bool },
    /// It asks for a new certificate: that is the private CA's work.
    NeedsCertificate,
}

impl From<String> for NotPlanned {
    fn from(why: String) -> Self {
        Self::ByHand(why)
    }
}

impl From<&str> for NotPlanned {
    fn from(why: &str) -> Self {
        Self::ByHand(why.to_owned())
    }
}

/// Turns a remedy into a plan for this host. Reads the option files it edits, writes nothing.
pub fn plan(facts: &Facts, remedy: &Remedy) -> Result<Plan, NotPlanned> {
    let here = facts.files.read().is_some() || facts.config.read().is_some();
    let mut plan = Plan {
        title: remedy.title.clone(),
        effect: remedy.effect(),
        session: Plan::session_of(facts),
        server: facts.identity(),
        ..Plan::default()
    };
    if !remedy.note.is_empty() {
        plan.warnings.push(remedy.note.clone());
    }
    let mut edits: BTreeMap<&Path, Vec<(String, String)>> = BTreeMap::new();
    for action in &remedy.actions {
        match (action.place, action.kind) {
            (Place::ServerSql, _) if plan.session.is_none() => {
                return Err(NotPlanned::ByHand(
                    "there is no session with the server to send it on".into(),
                ));
            }
            (Place::ServerSql, _) => add_sql(&mut plan, action),
            (Place::ServerHost, _) if !here => {
                return Err(NotPlanned::ByHand("it has to be done on the server's host".into()));
            }
            (Place::ServerHost, ActionKind::Shell) if action.text.contains("mytls ca ") => {
                return Err(NotPlanned::NeedsCertificate);
            }
            (Place::ServerHost, ActionKind::Shell) if action.asks => {
                return Err(NotPlanned::ByHand("it asks for a passphrase on a terminal".into()));
            }
            (Place::ServerHost, ActionKind::Shell)
                if matches!(action.text.as_str(), shell::START | shell::RESTART) =>
            {
                // Never by a command of ours: whoever can restart this very server is asked to.
                plan.effect = Effect::Restart;
            }
            (Place::ServerHost | Place::DbaHost, ActionKind::Shell) => {
                plan.commands
                    .push(Command { text: action.text.clone(), undo: action.undo.clone() });
            }
            (Place::ServerHost, ActionKind::Config) => {
                let file = action.file.as_deref().unwrap_or(Path::new(""));
                edits.entry(file).or_default().extend(options(&action.text));
            }
            (Place::ServerHost, ActionKind::File) => {
                let file = action.file.as_deref().unwrap_or(Path::new(""));
                plan.writes.push(Write::text(
                    file,
                    action.text.clone(),
                    0o644,
                    what_it_holds(&action.text),
                ));
            }
            _ => return Err(NotPlanned::ByHand("it has to be done on another host".into())),
        }
    }
    for (file, options) in edits {
        plan.writes.push(edit(facts, file, &options).map_err(NotPlanned::ByHand)?);
    }
    Ok(plan)
}

/// The edit of an option file: each option changed where it takes effect, or added at the end.
pub fn edit(facts: &Facts, file: &Path, options: &[(String, String)]) -> Result<Write, String> {
    const LARGEST: u64 = 1 << 20;
    let shown = printable(&file.display().to_string()).into_owned();
    let old = match bounded::read(file, LARGEST) {
        Ok(bytes) => bytes,
        Err(Unread::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(format!("{shown} cannot be read: {error}")),
    };
    let old = String::from_utf8(old)
        .map_err(|_| format!("{shown} is not written in UTF-8, and is left as it is"))?;
    let line_of = |name: &str| {
        let origin = facts.config.read()?.origin(name)?;
        let same = same_file(&origin.file, file);
        // Only where the line still sets this option: the file may have changed since it was read.
        let line = old.lines().nth(origin.line.checked_sub(1)?)?;
        let spelled = line.split('=').next().unwrap_or_default().trim().replace('-', "_");
        (same && spelled.to_ascii_lowercase().trim_start_matches("loose_") == name)
            .then_some(origin.line)
    };
    let options: Vec<(&str, &str)> =
        options.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let new = config::set(&old, &options, line_of);
    let mut write = Write::text(file, new.clone(), 0o644, "the server's options");
    write.diff = diff::lines(&old, &new);
    Ok(write)
}

fn same_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    real(one) == real(other)
}

/// A reload goes last and is told apart; anything else is a statement like another.
fn add_sql(plan: &mut Plan, action: &Action) {
    let sql = action.text.trim_end().trim_end_matches(';');
    if matches!(sql, "FLUSH SSL" | "ALTER INSTANCE RELOAD TLS") {
        plan.reload = Some(action.text.clone());
        plan.effect = plan.effect.max(Effect::Reload);
        return;
    }
    // Statements of one action stand one after the other, each closed by `;` at a line's end; what
    // takes them back goes with the last.
    let mut undo = action.undo.trim_end().trim_end_matches(';').to_owned();
    let statements = super::back::split(sql);
    for sql in statements.iter().rev() {
        let undo = std::mem::take(&mut undo);
        plan.statements.push(Statement { sql: (*sql).to_owned(), undo });
    }
    let from = plan.statements.len() - statements.len();
    plan.statements[from..].reverse();
}

/// The certificates of a PEM text by name, in its order.
fn what_it_holds(text: &str) -> String {
    let Ok(certificates) = crate::x509::pem::certificates(text.as_bytes()) else {
        return "as a whole, shown in the fix".to_owned();
    };
    let names = certificates.iter().enumerate().map(|(at, certificate)| {
        let name = crate::x509::Name::from_openssl(certificate.subject_name()).short();
        format!("{}. {name}", at + 1)
    });
    names.collect::<Vec<_>>().join("  ")
}

/// The options of a `[mysqld]` snippet.
fn options(text: &str) -> impl Iterator<Item = (String, String)> {
    let lines = text.lines().filter_map(|line| line.split_once(" = "));
    lines.map(|(name, value)| (name.to_owned(), config::unquote(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::DiffKind;
    use crate::facts::Source;
    use crate::rules::testing;

    #[test]
    fn a_config_action_becomes_an_edit_in_place_with_its_diff() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my.cnf");
        std::fs::write(&file, "[mysqld]\nssl-key = /old.pem\n").unwrap();
        let mut facts = testing::healthy();
        facts.config = Source::Read(crate::facts::config::read(Some(&file), None).unwrap());
        let remedy = Remedy::new("x", vec![Action::config(&file, &[("ssl_key", "/new #1.pem")])]);
        let plan = plan(&facts, &remedy).unwrap();
        assert_eq!(plan.effect, Effect::Restart);
        let crate::apply::Content::Text(text) = &plan.writes[0].content else { panic!() };
        assert_eq!(text, "[mysqld]\nssl-key = \"/new #1.pem\"\n");
        let kinds: Vec<_> = plan.writes[0].diff.iter().map(|line| line.kind).collect();
        assert_eq!(kinds, [DiffKind::Kept, DiffKind::Removed, DiffKind::Added]);
    }

    #[test]
    fn certificates_are_left_to_the_ca_and_other_hosts_to_people() {
        let facts = testing::healthy();
        let reissue = crate::remedy::certificates::reissue(&facts).unwrap();
        assert_eq!(plan(&facts, &reissue).unwrap_err(), NotPlanned::NeedsCertificate);
        let mut remote = facts.clone();
        remote.files = Source::unread(crate::facts::UnreadKind::NotAsked, "", "");
        remote.config = Source::unread(crate::facts::UnreadKind::NotAsked, "", "");
        let chmod = Remedy::new("x", vec![Action::shell("chmod 0640 /key", Effect::None)]);
        assert!(matches!(plan(&remote, &chmod), Err(NotPlanned::ByHand(_))));
    }

    #[test]
    fn a_reload_goes_last() {
        let mut facts = testing::healthy();
        facts.target.socket = Some("/s.sock".into());
        let remedy = Remedy::new(
            "x",
            vec![
                Action::file(Path::new("/x.pem"), "PEM", Effect::Reload),
                Action::sql("FLUSH SSL;"),
            ],
        );
        let plan = plan(&facts, &remedy).unwrap();
        assert_eq!((plan.statements.len(), plan.reload.as_deref()), (0, Some("FLUSH SSL;")));
    }
}
