//! The end of the server's error log: why TLS is off, or why it did not start.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::{Flavor, Version};
use crate::bounded::Unread;
use crate::printable::printable;

/// How much of the log's end is read.
const TAIL: u64 = 64 << 10;
/// How many lines are kept, the newest.
const LINES: usize = 12;

/// Lines about TLS and failed starts since the last start, oldest first, made printable.
pub fn read(path: &Path) -> Result<Vec<String>, String> {
    tail(path).map(|text| telling(&text)).map_err(|error| {
        format!(
            "the error log {} could not be read: {error}",
            printable(&path.display().to_string())
        )
    })
}

/// The version of the server that started last, as the log's end says.
pub fn version(path: &Path) -> Option<(Flavor, Version)> {
    let text = tail(path).ok()?;
    let started = text.lines().rev().find(|line| line.contains(" starting as process "))?;
    // `mariadbd (server 10.11.19-MariaDB) starting as`, `mysqld (mysqld 9.7.4) starting as`
    let (before, _) = started.rsplit_once(" starting as process ")?;
    let (_, said) = before.rsplit_once('(')?;
    let (program, version) = said.trim_end_matches(')').split_once(' ')?;
    let (flavor, version) = Version::parse(version)?;
    let mariadb = started.contains("mariadbd") || program == "server";
    Some((if mariadb { Flavor::MariaDb } else { flavor }, version))
}

fn tail(path: &Path) -> Result<String, Unread> {
    let mut file = crate::bounded::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn telling(log: &str) -> Vec<String> {
    // The first line either family writes when it starts.
    let is_start =
        |line: &str| line.contains(" starting as process ") || line.contains("MY-010116");
    let lines: Vec<&str> = log.lines().collect();
    let start = lines.iter().rposition(|line| is_start(line)).unwrap_or(0);
    let told = lines[start..].iter().filter(|line| tells(line));
    let told: Vec<String> = told.map(|line| printable(line).into_owned()).collect();
    told[told.len().saturating_sub(LINES)..].to_vec()
}

fn tells(line: &str) -> bool {
    const WORDS: [&str; 8] = [
        "SSL",
        "TLS",
        "certificate",
        "private key",
        "[ERROR]",
        "Aborting",
        "ready for connections",
        "509 ",
    ];
    WORDS.iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_tells_since_the_last_start_is_kept() {
        let log = "x [ERROR] old trouble\n\
             2026-11-22 [Note] Starting MariaDB 10.11.19 source revision as process 1\n\
             2026-11-22 [Note] /usr/sbin/mariadbd (server 10.11.19) starting as process 7 ...\n\
             2026-11-22 [Note] InnoDB: Buffer pool\n\
             SSL error: Unable to get private key from '/k\x1b[2J'\n\
             2026-11-22 [ERROR] Aborting\n";
        assert_eq!(
            telling(log),
            [
                "SSL error: Unable to get private key from '/k\\x1B[2J'",
                "2026-11-22 [ERROR] Aborting"
            ]
        );
    }

    #[test]
    fn the_version_is_that_of_the_last_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("error.log");
        let lines = [
            (
                "/usr/sbin/mariadbd (server 10.11.19-MariaDB-0+deb12u1) starting as process 7 ...",
                Flavor::MariaDb,
                Version(10, 11, 19),
            ),
            (
                "[System] [MY-010116] [Server] /usr/sbin/mysqld (mysqld 9.7.4) starting as process 9",
                Flavor::MySql,
                Version(9, 7, 4),
            ),
        ];
        for (line, flavor, number) in lines {
            std::fs::write(&path, format!("old (mysqld 5.6.1) starting as process 1\n{line}\nx\n"))
                .unwrap();
            assert_eq!(version(&path), Some((flavor, number)));
        }
        assert_eq!(version(Path::new("/no/such.err")), None);
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("error.log");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(read(&pipe).unwrap_err().contains("it is a device, a socket or a pipe"));
    }

    #[test]
    fn a_missing_log_says_its_name() {
        assert!(read(Path::new("/no/such.err")).unwrap_err().contains("/no/such.err"));
    }
}
