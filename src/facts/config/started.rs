//! The option files that a running server was started with, as its command line names them.
//!
//! Source: MySQL manual, "Command-Line Options that Affect Option-File Handling"; MariaDB,
//! "Configuring MariaDB with Option Files"; `get_defaults_options` of both.

use std::path::{Path, PathBuf};

use super::super::{Flavor, ServerConfig, Version};
use super::dialect::{self, Dialect};
use super::{Reading, SEARCHED};

/// What a command line says of option files; nothing of it stands for the usual places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// `--no-defaults`
    pub none: bool,
    /// `--defaults-file`: this one instead of those in the usual places.
    only: Option<PathBuf>,
    /// `--defaults-extra-file`: read last.
    extra: Option<PathBuf>,
    /// `--defaults-group-suffix`: groups with this at their end are read as well.
    suffix: Option<String>,
}

impl Started {
    /// `arguments` are those behind the program's name.
    pub fn with(arguments: &[String]) -> Self {
        let value = |name: &str| {
            let of =
                |word: &'_ String| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned());
            arguments.iter().find_map(of)
        };
        Self {
            // counts as the first alone
            none: arguments.first().is_some_and(|first| first == "--no-defaults"),
            only: value("--defaults-file").map(PathBuf::from),
            extra: value("--defaults-extra-file").map(PathBuf::from),
            suffix: value("--defaults-group-suffix"),
        }
    }

    /// Whether one file is read instead of those in the usual places.
    pub fn is_only(&self) -> bool {
        self.only.is_some()
    }

    /// A file that is named from where the server was started, which nobody knows any more.
    pub fn relative(&self) -> Option<&Path> {
        let mut named = self.only.iter().chain(&self.extra);
        named.find(|path| path.is_relative()).map(PathBuf::as_path)
    }

    /// Reads them as the server of this version does.
    ///
    /// # Errors
    /// A sentence, when there is none, or one cannot be read.
    pub fn read(&self, server: Option<(Flavor, Version)>) -> Result<ServerConfig, String> {
        let mut files: Vec<PathBuf> = match &self.only {
            Some(file) => vec![file.clone()],
            None => SEARCHED.iter().map(PathBuf::from).filter(|file| file.exists()).collect(),
        };
        files.extend(self.extra.clone());
        let Some(main_file) = files.first().cloned() else {
            return Err(format!("no option file at {}", SEARCHED.join(", ")));
        };
        let mut groups = dialect::groups(server);
        if let Some(suffix) = &self.suffix {
            let suffixed: Vec<String> =
                groups.iter().map(|group| format!("{group}{suffix}")).collect();
            groups.extend(suffixed);
        }
        let read = Reading::of(groups, Dialect::of(server)).read(main_file, &files);
        read.map(|(config, _)| config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_says_which_files_and_groups_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let main = file("one.cnf", "[mysqld]\nport=1\nssl_ca=/a\n[mysqld@two]\nport=2\n");
        let extra = file("extra.cnf", "[mysqld]\nssl_ca=/b\n");
        let started = |words: &[String]| Started::with(words).read(None).unwrap();
        let only = started(&[format!("--defaults-file={main}")]);
        assert_eq!((only.get("port"), only.get("ssl_ca")), (Some("1"), Some("/a")));
        assert_eq!(only.main_file.display().to_string(), main);
        let all = started(&[
            format!("--defaults-file={main}"),
            format!("--defaults-extra-file={extra}"),
            "--defaults-group-suffix=@two".to_owned(),
        ]);
        assert_eq!((all.get("port"), all.get("ssl_ca")), (Some("2"), Some("/b")));
        assert!(Started::with(&["--no-defaults".to_owned()]).none);
        assert_eq!(Started::with(&[]), Started::default());
    }
}
