//! Options of the server about TLS: the edit of the file where each takes effect, what the running
//! server is told besides, and the way back.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Applied, ApplyError, Content, Plan, Write, remedy};
use crate::facts::config::Overlay;
use crate::facts::{ConfigDefect, Facts, Flavor, ServerConfig, Source, Version};
use crate::printable::{printable, shown};

mod carry;
pub mod live;

pub use carry::{Done, carry_out, put_back};
pub use live::Live;

/// The file that is made for options that no file has yet: in a folder that is read file by file
/// by name, it is the last.
pub const DROP_IN: &str = "zz-mytls.cnf";

/// What is to be changed, complete, before any of it is.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The options by their names, those that are so already among them.
    pub wanted: Vec<(String, String)>,
    /// Those of them that have another value now.
    pub changed: Vec<(String, String)>,
    pub files: Vec<FileEdit>,
    /// Those that `SET PERSIST` is to keep, because it keeps them now or because that was wished for.
    pub persisted: Vec<(String, String)>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// One file with what it holds now and is going to hold.
#[derive(Clone, Debug)]
pub struct FileEdit {
    pub path: PathBuf,
    /// `None` for a file that is going to be made.
    pub old: Option<String>,
    pub new: String,
    write: Write,
}

impl FileEdit {
    /// As `diff -u` shows it.
    pub fn diff(&self) -> String {
        super::diff::unified(&self.path, self.old.as_deref(), &self.new)
    }
}

/// Why there is no edit; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotEdited {
    #[error("the server's option files could not be read: {0}")]
    NoConfig(String),
    #[error("{0}; mend that first, and nothing is changed until then")]
    Broken(String),
    #[error(
        "{} includes itself: the servers go round ten times and then on, and which line counts in the end is \
         an accident. Take the !include out that leads back to it",
        shown(.0)
    )]
    Circle(PathBuf),
    #[error(
        "{} is marked read-only ({:04o}): somebody does not want it changed. Allow it first: chmod u+w {}",
        shown(.path), .mode, crate::remedy::shell::path(.path)
    )]
    ReadOnly { path: PathBuf, mode: u32 },
    #[error("{0}")]
    File(String),
    #[error(
        "{0} turns TLS off, whatever else is set: take that line out of the file first, and restart the server \
         afterwards"
    )]
    TurnedOff(String),
    #[error(
        "{kept} is kept with SET PERSIST, which only the running server can change, and {other} is not such an \
         option: change them one after the other"
    )]
    Mixed { kept: String, other: String },
    #[error("this server has no SET PERSIST: MySQL has it since 8.0; leave --persist away")]
    NoPersist,
    #[error(
        "{0} takes a new value with a restart alone, and SET PERSIST needs more than that: leave --persist away"
    )]
    NotPersistable(String),
}

/// The server's family and version, as far as it, its greeting or its log says.
pub fn version(facts: &Facts) -> Option<(Flavor, Version)> {
    let server = facts.server.read().map(|server| (server.flavor, server.version));
    let greeted = || {
        let greeting = &facts.wire.read()?.greeting;
        Some((greeting.flavor, greeting.version?))
    };
    let logged = || {
        let config = facts.config.read()?;
        let folder = PathBuf::from(config.get("datadir").unwrap_or_default());
        crate::facts::log::version(&folder.join(config.get("log_error")?))
    };
    server.or_else(greeted).or_else(logged)
}

/// The edit that gives these options these values. Reads the files it edits, writes nothing.
///
/// # Errors
/// Why nothing can be edited, and what to do about it.
pub fn edit(facts: &Facts, wanted: &[(String, String)], persist: bool) -> Result<Edit, NotEdited> {
    let config = match &facts.config {
        Source::Read(config) => config,
        Source::Unread(unread) if unread.advice.is_empty() => {
            return Err(NotEdited::NoConfig(unread.why.clone()));
        }
        Source::Unread(unread) => {
            return Err(NotEdited::NoConfig(format!("{}\n  {}", unread.why, unread.advice)));
        }
    };
    sound(config)?;
    is_on(config, wanted)?;
    let mut edit = Edit {
        wanted: wanted.to_vec(),
        changed: Vec::new(),
        files: Vec::new(),
        persisted: Vec::new(),
        notes: Vec::new(),
    };
    let mut by_file: Vec<(PathBuf, Vec<(String, String)>)> = Vec::new();
    for (name, value) in wanted {
        let one = (name.clone(), value.clone());
        if config.get(name) == Some(value) {
            continue;
        }
        edit.changed.push(one.clone());
        if persist || config.persisted.contains_key(name) {
            if !persist {
                edit.notes.push(format!(
                    "{name} was kept with SET PERSIST, which goes before every option file, and is kept so again"
                ));
            }
            edit.persisted.push(one);
            continue;
        }
        let file = place(config, name);
        match by_file.iter_mut().find(|(known, _)| *known == file) {
            Some((_, options)) => options.push(one),
            None => by_file.push((file, vec![one])),
        }
    }
    check_persist(facts, &edit)?;
    mixed(facts, &edit)?;
    for (file, options) in by_file {
        edit.files.push(file_edit(facts, &file, &options, &mut edit.notes)?);
    }
    let sets = |name: &str| wanted.iter().any(|(known, _)| known == name);
    if sets("admin_ssl_cert") && !sets("admin_ssl_ca") && config.get("admin_ssl_ca").is_none() {
        edit.notes.push(
            "admin_ssl_ca is not set, and ssl_ca does not stand in for it: MySQL 8.1 and later refuses an \
             admin_ssl_cert that no CA there vouches for"
                .to_owned(),
        );
    }
    for lost in &config.lost {
        if let Some(group) =
            lost.group.as_ref().filter(|_| wanted.iter().any(|(n, _)| *n == lost.name))
        {
            edit.notes.push(format!(
                "{}: {} stands under [{}], which this server does not read; that line is left as it is",
                printable(&lost.origin.to_string()),
                lost.name,
                printable(group)
            ));
        }
    }
    Ok(edit)
}

/// Option files at which a server gives up cannot be edited: nobody knows what counts in them.
fn sound(config: &ServerConfig) -> Result<(), NotEdited> {
    if let Some(file) = config.circles.first() {
        return Err(NotEdited::Circle(file.clone()));
    }
    for defect in &config.defects {
        let at = |at: &crate::facts::Origin| printable(&at.to_string()).into_owned();
        let why = match defect {
            ConfigDefect::NoGroup { at: origin } => {
                format!("{}: an option stands before the first group, such as [mysqld]", at(origin))
            }
            ConfigDefect::Broken { at: origin } => {
                format!("{}: this is no line of an option file", at(origin))
            }
            ConfigDefect::NoFolder { at: origin, path } => {
                format!("{}: there is no folder {}", at(origin), shown(path))
            }
            ConfigDefect::WorldWritable { file } => format!(
                "everybody may write to {}, so the server passes it over (chmod o-w)",
                shown(file)
            ),
            // the servers pass over it, and so may we
            ConfigDefect::NotThere { .. } => continue,
        };
        return Err(NotEdited::Broken(why));
    }
    Ok(())
}

/// `skip_ssl` and `ssl = 0` go before every file that is named.
fn is_on(config: &ServerConfig, wanted: &[(String, String)]) -> Result<(), NotEdited> {
    let off = config.get("ssl").map(str::to_ascii_lowercase);
    let is_off = off.is_some_and(|value| matches!(value.as_str(), "0" | "off" | "false"));
    let names_files = wanted.iter().any(|(name, _)| name.starts_with("ssl_"));
    match config.origin("ssl").filter(|_| is_off && names_files) {
        Some(origin) => Err(NotEdited::TurnedOff(printable(&origin.to_string()).into_owned())),
        None => Ok(()),
    }
}

/// What the running server keeps is changed on it, at once; that cannot be done together with what
/// waits for a restart, or without a server that answers.
fn mixed(facts: &Facts, edit: &Edit) -> Result<(), NotEdited> {
    let Some((kept, _)) = edit.persisted.first() else { return Ok(()) };
    let live = facts.server.read().map(|server| Live::of(server, &edit.changed, &edit.persisted));
    let other = match live {
        Some(Ok(_)) => return Ok(()),
        Some(Err(names)) => names.join(", "),
        None => "a server that does not answer".to_owned(),
    };
    Err(NotEdited::Mixed { kept: kept.clone(), other })
}

/// Where an option is set, or is to be set: in its own line, else in a file of its own in the folder
/// that is read last, else at the end of the main file.
fn place(config: &ServerConfig, name: &str) -> PathBuf {
    if let Some(origin) = config.origin(name) {
        return origin.file.clone();
    }
    match config.folders.last() {
        Some(folder) => folder.join(DROP_IN),
        None => config.main_file.clone(),
    }
}

fn check_persist(facts: &Facts, edit: &Edit) -> Result<(), NotEdited> {
    use crate::remedy::options::{Counts, TlsOption};
    if edit.persisted.is_empty() {
        return Ok(());
    }
    let (flavor, version) = version(facts).ok_or(NotEdited::NoPersist)?;
    if flavor != Flavor::MySql || version < Version(8, 0, 0) {
        return Err(NotEdited::NoPersist);
    }
    let fixed = edit.persisted.iter().find(|(name, _)| {
        TlsOption::find(name).is_none_or(|o| o.counts(flavor, version) == Counts::Restarted)
    });
    fixed.map_or(Ok(()), |(name, _)| Err(NotEdited::NotPersistable(name.clone())))
}

fn file_edit(
    facts: &Facts,
    path: &Path,
    options: &[(String, String)],
    notes: &mut Vec<String>,
) -> Result<FileEdit, NotEdited> {
    use std::os::unix::fs::PermissionsExt as _;
    if let Ok(about) = std::fs::metadata(path) {
        let mode = about.permissions().mode() & 0o7777;
        if mode & 0o222 == 0 {
            return Err(NotEdited::ReadOnly { path: path.to_owned(), mode });
        }
    }
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink());
    if is_link {
        match std::fs::canonicalize(path) {
            Ok(real) => notes.push(format!(
                "{} is a link and stays one; {} is what is written",
                shown(path),
                shown(&real)
            )),
            Err(error) => {
                return Err(NotEdited::File(format!(
                    "{} is a link that leads nowhere ({error}): mend it, or name the file itself",
                    shown(path)
                )));
            }
        }
    }
    let write = remedy::edit(facts, path, options).map_err(NotEdited::File)?;
    let old = write.replaces.then(|| std::fs::read_to_string(path).unwrap_or_default());
    // what was edited is what is compared: somebody else may have written in between
    let seen = old.as_ref().map(|old| openssl::sha::sha256(old.as_bytes()));
    let Content::Text(new) = &write.content else {
        return Err(NotEdited::File(format!("{}: no text", shown(path)))); // an edit is one
    };
    if seen != write.seen {
        let changed = ApplyError::Changed { path: path.to_owned() };
        return Err(NotEdited::File(changed.to_string()));
    }
    let new = new.clone();
    Ok(FileEdit { path: path.to_owned(), old, new, write })
}

impl Edit {
    /// The files as they are going to be.
    pub fn overlay(&self) -> Overlay {
        self.files.iter().map(|file| (file.path.clone(), file.new.clone().into_bytes())).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// All changes as `diff -u` shows them.
    pub fn diff(&self) -> String {
        self.files.iter().map(FileEdit::diff).collect()
    }

    /// Only the lines, for whoever puts them in place by other means.
    pub fn snippet(&self) -> String {
        let lines = self
            .wanted
            .iter()
            .map(|(name, value)| format!("{name} = {}\n", crate::remedy::config::quote(value)));
        format!("[mysqld]\n{}", lines.collect::<String>())
    }

    fn plan(&self) -> Plan {
        let names: Vec<&str> = self.changed.iter().map(|(name, _)| name.as_str()).collect();
        Plan {
            title: format!("the server's options: {}", names.join(", ")),
            writes: self.files.iter().map(|file| file.write.clone()).collect(),
            ..Plan::default()
        }
    }
}

/// What takes the files of a change back, without the rest of it.
fn files_alone(applied: &Applied) -> Applied {
    let steps: Vec<_> = applied
        .steps
        .iter()
        .filter(|step| {
            matches!(step, super::back::Step::File { .. } | super::back::Step::Folder { .. })
        })
        .cloned()
        .collect();
    let undo = steps.iter().map(super::back::Step::line).collect();
    Applied { undo, steps, ..Applied::default() }
}

#[cfg(test)]
mod tests;
