//! The server's option files, read as the server reads them.
//!
//! Source: MySQL manual, "Using Option Files"; MariaDB, "Configuring MariaDB with Option Files";
//! `mysys/my_default.c` of both, and `my_print_defaults`, to which a test compares this.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{ConfigDefect, ConfigValue, Flavor, Lost, Origin, ServerConfig, Version};
use crate::bounded::{self, Unread};
use crate::printable::printable;

mod dialect;
mod line;
mod name;
mod persisted;
mod started;

use dialect::Dialect;
use line::Line;
pub use persisted::read as read_persisted;
pub use started::Started;

/// No option file is this large; a device or a log named by mistake might be.
const LARGEST: u64 = 1 << 20;
/// Both servers give up on circles of `!include` at this depth.
const DEEPEST: usize = 10;
/// A folder that includes itself doubles at each depth; no server has this many files.
const MOST_FILES: usize = 500;
/// How many settings that do not count are remembered.
const MOST_LOST: usize = 100;
/// Where both families look, in this order.
const SEARCHED: [&str; 3] = ["/etc/my.cnf", "/etc/mysql/my.cnf", "/usr/etc/my.cnf"];
/// Groups of a server, by whatever name; those not read by this one are worth a word.
const LIKE_A_SERVER: [&str; 6] = ["mysql", "mysqld", "mariadb", "mariadbd", "server", "galera"];

/// A line up to its comment: a `#` that stands in no quotes.
pub fn without_comment(line: &str) -> &str {
    // it is cut at a `#`, which is a character of its own
    line.get(..line::without_comment(line.as_bytes()).len()).unwrap_or(line)
}

/// Reads the server's groups of one named file and what it includes, or of the usual places.
/// `server` decides which groups count; without it, those that do whatever the version.
///
/// # Errors
/// A sentence, when the named file cannot be read or is not the server's, or no file was found.
pub fn read(
    named: Option<&Path>,
    server: Option<(Flavor, Version)>,
) -> Result<ServerConfig, String> {
    read_with(named, server, &Overlay::new()).map(|(config, _)| config)
}

/// Files as they are going to be, by their path: read in the place of what is on the disk.
pub type Overlay = BTreeMap<PathBuf, Vec<u8>>;

/// As [`read`], with some files as they are going to be; and what the server is handed by all of
/// them, in order, as `my_print_defaults` prints it.
pub fn read_with(
    named: Option<&Path>,
    server: Option<(Flavor, Version)>,
    overlay: &Overlay,
) -> Result<(ServerConfig, Vec<String>), String> {
    let searched: Vec<PathBuf> = match named {
        Some(file) => vec![file.to_owned()],
        None => SEARCHED.iter().map(PathBuf::from).filter(|file| file.exists()).collect(),
    };
    let Some(main_file) = searched.first().cloned() else {
        return Err(format!("no option file at {}", SEARCHED.join(", ")));
    };
    let mut reading = Reading::of(dialect::groups(server), Dialect::of(server));
    reading.overlay = Some(overlay);
    reading.arguments = Some(Vec::new());
    let (config, arguments) = reading.read(main_file, &searched)?;
    let silent = config.options.is_empty() && config.lost.is_empty() && config.defects.is_empty();
    if let (Some(file), true) = (named, silent) {
        return Err(format!(
            "{} says nothing to the server: no option stands under [mysqld], [server] or [mariadb]",
            printable(&file.display().to_string())
        ));
    }
    Ok((config, arguments))
}

/// Reads a client's groups of one named file, or of the usual places and the user's own file;
/// no file at all is an empty answer.
///
/// # Errors
/// A sentence, when a file that is there cannot be read.
pub fn read_client(named: Option<&Path>) -> Result<ServerConfig, String> {
    const GROUPS: [&str; 5] =
        ["client", "client-server", "mysql", "client-mariadb", "mariadb-client"];
    let own = std::env::home_dir().map(|home| home.join(".my.cnf"));
    let searched: Vec<PathBuf> = match named {
        Some(file) => vec![file.to_owned()],
        None => {
            SEARCHED.iter().map(PathBuf::from).chain(own).filter(|file| file.is_file()).collect()
        }
    };
    let groups = GROUPS.map(str::to_owned).to_vec();
    Reading::of(groups, Dialect::of(None))
        .read(searched.first().cloned().unwrap_or_default(), &searched)
        .map(|(config, _)| config)
}

/// What programs that read these groups are handed by one option file, in order, as
/// `my_print_defaults` prints it.
///
/// # Errors
/// A sentence, when the file cannot be read, or holds a line at which the servers give up.
pub fn arguments(
    file: &Path,
    groups: &[&str],
    server: (Flavor, Version),
) -> Result<Vec<String>, String> {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    let mut reading = Reading::of(groups, Dialect::of(Some(server)));
    reading.arguments = Some(Vec::new());
    if !reading.file(file, 0)? {
        return Err(format!("{}: the servers give up", printable(&file.display().to_string())));
    }
    Ok(reading.arguments.unwrap_or_default())
}

struct Reading<'a> {
    groups: Vec<String>,
    overlay: Option<&'a Overlay>,
    /// The files that are being read, each included by the one before it.
    open: Vec<PathBuf>,
    dialect: Dialect,
    config: ServerConfig,
    /// As [`arguments`] has them, where they are wanted.
    arguments: Option<Vec<String>>,
}

impl Reading<'_> {
    fn of(groups: Vec<String>, dialect: Dialect) -> Self {
        let (overlay, open, config) = (None, Vec::new(), ServerConfig::default());
        Self { groups, overlay, open, dialect, config, arguments: None }
    }

    fn read(
        mut self,
        main_file: PathBuf,
        files: &[PathBuf],
    ) -> Result<(ServerConfig, Vec<String>), String> {
        self.config.main_file = main_file;
        for file in files {
            self.file(file, 0)?;
        }
        Ok((self.config, self.arguments.unwrap_or_default()))
    }

    /// One file and what it includes; whether the servers read it to its end. An error is the
    /// reason why it cannot be read.
    fn file(&mut self, file: &Path, depth: usize) -> Result<bool, String> {
        let shown = printable(&file.display().to_string()).into_owned();
        if self.config.files.len() >= MOST_FILES {
            return Err(format!("{shown} is one of more than {MOST_FILES} option files"));
        }
        let to_be = self.overlay.and_then(|overlay| overlay.get(file));
        let bytes = to_be.map_or_else(|| bounded::read(file, LARGEST), |bytes| Ok(bytes.clone()));
        let bytes = bytes.map_err(|unread| match unread {
            Unread::Directory => format!("{shown} is a folder, not an option file"),
            Unread::Io(error) => format!("{shown} could not be read: {error}"),
            Unread::NotAFile | Unread::TooLarge { .. } => {
                format!("{shown} is no option file: a text file of at most 1 MiB is expected")
            }
        })?;
        if std::fs::metadata(file).is_ok_and(|about| about.permissions().mode() & 0o002 != 0) {
            self.defect(ConfigDefect::WorldWritable { file: file.to_owned() });
            return Ok(true);
        }
        self.config.files.push(file.to_owned());
        if depth > 0 && !self.config.included.iter().any(|included| included == file) {
            self.config.included.push(file.to_owned());
        }
        if self.open.iter().any(|open| open == file)
            && !self.config.circles.iter().any(|known| known == file)
        {
            self.config.circles.push(file.to_owned());
        }
        self.open.push(file.to_owned());
        let read = self.lines(file, &bytes, depth);
        self.open.pop();
        match read {
            Ok(()) => Ok(true),
            Err(given_up) => {
                self.defect(given_up);
                Ok(false)
            }
        }
    }

    /// Stops at a line at which the servers give up.
    fn lines(&mut self, file: &Path, bytes: &[u8], depth: usize) -> Result<(), ConfigDefect> {
        let mut group: Option<String> = None;
        let dialect = self.dialect;
        for (number, line) in dialect.lines(bytes) {
            let origin = || Origin { file: file.to_owned(), line: number };
            match line::parse(line, dialect) {
                Line::Group(name) => group = Some(name),
                // a circle of files, in which even a broken directive is passed over
                Line::Include(_) | Line::IncludeDir(_) | Line::Broken
                    if depth >= DEEPEST && is_directive(line) => {}
                Line::Broken => return Err(ConfigDefect::Broken { at: origin() }),
                Line::Include(path) => {
                    // A file that cannot be read is passed over, by the servers too; and what
                    // they give up there they give up there only.
                    if self.file(&from_root(&path), depth + 1).is_err() {
                        self.defect(ConfigDefect::NotThere { at: origin(), path: path.into() });
                    }
                }
                Line::IncludeDir(path) => {
                    let folder = from_root(&path);
                    let Some(files) = self.option_files(&folder) else {
                        return Err(ConfigDefect::NoFolder { at: origin(), path: folder });
                    };
                    self.config.folders.retain(|known| *known != folder);
                    self.config.folders.push(folder);
                    for included in files {
                        let _ = self.file(&included, depth + 1); // as above
                    }
                }
                Line::Nothing => {}
                Line::Option { name, value } => match &group {
                    None => return Err(ConfigDefect::NoGroup { at: origin() }),
                    Some(group) => self.option(group, &name, value, origin()),
                },
            }
        }
        Ok(())
    }

    fn option(&mut self, group: &str, name: &str, value: Option<String>, origin: Origin) {
        let ours = self.groups.iter().any(|ours| ours.eq_ignore_ascii_case(group));
        if let Some(arguments) = self.arguments.as_mut().filter(|_| ours) {
            let value = value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
            arguments.push(format!("--{name}{value}"));
        }
        let (name, value) = name::canonical(name, value, self.dialect);
        let lost = |value: ConfigValue, group: Option<&str>| Lost {
            name: name.clone(),
            value: value.value,
            origin: value.origin,
            group: group.map(str::to_owned),
        };
        let new = ConfigValue { value, origin };
        let room = name::is_about_tls(&name) && self.config.lost.len() < MOST_LOST;
        if ours {
            let before = self.config.options.insert(name.clone(), new.clone());
            let replaced = before.filter(|before| room && before.value != new.value);
            if let Some(before) = replaced {
                self.config.lost.push(lost(before, None));
            }
        } else if room && is_like_a_server(group) {
            self.config.lost.push(lost(new, Some(group)));
        }
    }

    /// The files of a folder, and those that are going to be there.
    fn option_files(&self, folder: &Path) -> Option<Vec<PathBuf>> {
        let mut files = option_files(folder)?;
        let to_be = self.overlay.into_iter().flat_map(|overlay| overlay.keys());
        let new: Vec<PathBuf> = to_be
            .filter(|file| file.parent() == Some(folder) && !files.contains(file))
            .cloned()
            .collect();
        files.extend(new);
        files.sort();
        Some(files)
    }

    fn defect(&mut self, defect: ConfigDefect) {
        if self.config.defects.len() < MOST_LOST {
            self.config.defects.push(defect);
        }
    }
}

/// `[mysql]`, `[mysqld-8.0]`, `[mariadb-10.6]`, `[mysqld_safe]`: not read, and easily mistaken.
fn is_like_a_server(group: &str) -> bool {
    let group = group.trim().to_ascii_lowercase();
    let stem = group.split(['-', '_']).next().unwrap_or_default();
    let program = matches!(group.as_str(), "mysql" | "mysqld_safe" | "mariadbd-safe");
    let version = group
        .split_once('-')
        .is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()));
    LIKE_A_SERVER.contains(&stem) && (program || version || (stem == group && stem != "mysql"))
}

/// A relative path counts from where the server was started, which for a service is `/`.
fn from_root(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

fn is_directive(line: &[u8]) -> bool {
    line.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'!')
}

/// The `.cnf` files of a folder, by name, `.cnf` itself among them; `None` where there is no such folder.
fn option_files(folder: &Path) -> Option<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).ok()?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.as_os_str().as_encoded_bytes().ends_with(b".cnf"))
        .take(MOST_FILES)
        .collect();
    files.sort();
    Some(files)
}

#[cfg(test)]
mod tests;
