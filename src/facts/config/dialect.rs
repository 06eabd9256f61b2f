//! What the families and versions do differently with the same option file.
//!
//! Measured on MariaDB 10.11 and 11.8, MySQL 5.6 and 9.7; where a version between them changed its
//! ways, by `mysys/my_default.cc`, `mysys/my_getopt.cc` and MySQL's worklog 6978.

use super::{Flavor, Version};

#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    /// `SSL_KEY` is `ssl_key`; of the names of groups this is true everywhere.
    pub ignores_case: bool,
    /// `ssl-ce` is `ssl_cert`.
    pub takes_prefixes: bool,
    /// A line goes on as one of its own after this many bytes, and the last byte of an `!include`
    /// is taken for the line's end, whether it is or not.
    pub cuts_lines: Option<usize>,
}

impl Dialect {
    /// Without a server, whatever any of them understands.
    pub fn of(server: Option<(Flavor, Version)>) -> Self {
        const FGETS: usize = 4094; // a buffer of 4096, of which fgets() is told 4095
        match server {
            None => Self { ignores_case: true, takes_prefixes: true, cuts_lines: None },
            Some((Flavor::MariaDb, _)) => {
                Self { ignores_case: true, takes_prefixes: true, cuts_lines: Some(FGETS) }
            }
            Some((Flavor::MySql, version)) => Self {
                ignores_case: false,
                takes_prefixes: version < Version(5, 7, 0),
                cuts_lines: Some(FGETS).filter(|_| version < Version(9, 0, 0)),
            },
        }
    }

    /// The lines of a file, each with its number and with its line end.
    pub fn lines<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, &'a [u8])> {
        let longest = self.cuts_lines.unwrap_or(usize::MAX);
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
        lines.flat_map(move |(at, line)| line.chunks(longest).map(move |part| (at + 1, part)))
    }
}

/// The groups that a server reads: `load_default_groups` in `sql/mysqld.cc`. Without a server, those
/// that either family reads whatever its version.
pub(super) fn groups(server: Option<(Flavor, Version)>) -> Vec<String> {
    let mut groups = vec!["mysqld".to_owned(), "server".to_owned()];
    let mariadb = server.is_none_or(|(flavor, _)| flavor == Flavor::MariaDb);
    if mariadb {
        let own = ["mariadb", "mariadbd", "client-server", "galera"];
        groups.extend(own.map(str::to_owned));
    }
    if let Some((_, Version(major, minor, _))) = server {
        groups.push(format!("mysqld-{major}.{minor}"));
        if mariadb {
            groups.push(format!("mariadb-{major}.{minor}"));
            groups.push(format!("mariadbd-{major}.{minor}"));
        }
        if mariadb && major > 10 {
            groups.push(format!("mariadb-{major}"));
            groups.push(format!("mariadbd-{major}"));
        }
    }
    groups
}
