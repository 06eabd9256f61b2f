//! Where a server's error log can be listened to, and what of it is one login's.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mysql::prelude::Queryable as _;

use super::log::Line;
use crate::facts::session::{self, Session};
use crate::facts::{Facts, Flavor, LogPlace, ServerFacts, Version};
use crate::wire::Trace;

/// Where a system writes what its programs say to syslog.
const SYSLOGS: [&str; 3] = ["/var/log/syslog", "/var/log/messages", "/var/log/daemon.log"];
/// Of one log no more is read than this, from where it ended before.
const MOST: u64 = 1 << 20;

pub(super) enum Ear {
    /// `performance_schema.error_log`, from this moment on.
    Table {
        since: String,
    },
    /// A file, from this byte on.
    File {
        path: PathBuf,
        from: u64,
        numbered: bool,
        of_system: bool,
    },
    /// The journal of this process, from this cursor on.
    Journal {
        pid: u32,
        since: String,
    },
    Deaf,
}

/// What keeps the reasons out of a log that is loud enough (MySQL 8.0 and later).
pub(super) fn filtered(server: &ServerFacts) -> Option<String> {
    /// Ciphers, issuer, subject: `MY-010289` and the two that follow.
    const MISMATCHES: std::ops::RangeInclusive<u32> = 10_289..=10_291;
    let list = server.variable("log_error_suppression_list").unwrap_or_default();
    let is_one = |entry: &str| {
        let digits = entry.trim().trim_start_matches(|c: char| !c.is_ascii_digit());
        entry.contains("X509") || digits.parse().is_ok_and(|code| MISMATCHES.contains(&code))
    };
    if list.to_ascii_uppercase().split(',').any(is_one) {
        return Some(format!(
            "the server keeps the reason out of its log (log_error_suppression_list = {list})"
        ));
    }
    let services = server.variable("log_error_services")?;
    if services.contains("dragnet") {
        return Some("what the server logs is filtered by rules (log_filter_dragnet)".to_owned());
    }
    (!services.contains("log_sink_"))
        .then(|| format!("the server's log goes nowhere (log_error_services = {services})"))
}

/// The moment from which on the table is read; why there is none, where there could be.
pub(super) fn table(session: &mut Session, server: &ServerFacts) -> Result<String, Option<String>> {
    const NEWEST: &str = "SELECT CAST(COALESCE(MAX(LOGGED), '1970-01-02') AS CHAR) FROM performance_schema.error_log";
    if server.flavor != Flavor::MySql || server.version < Version(8, 0, 22) {
        return Err(None);
    }
    if !server.is_on("performance_schema") {
        return Err(Some(
            "performance_schema is off, so the server's log cannot be asked for".into(),
        ));
    }
    match session.query_first::<String, _>(NEWEST) {
        Ok(Some(since)) => Ok(since),
        Ok(None) => Err(None),
        Err(error) => Err(Some(format!(
            "performance_schema.error_log cannot be read ({}); it takes SELECT on performance_schema.*",
            session::words(&error)
        ))),
    }
}

/// Where the log goes when the table does not hold it.
pub(super) fn elsewhere(facts: &Facts, server: &ServerFacts) -> (Ear, Option<String>) {
    // up to 5.6 the number in a line is that of the process
    let numbered = server.flavor == Flavor::MariaDb || server.version >= Version(5, 7, 2);
    let file = |path: &Path, of_system: bool| match File::open(path) {
        Ok(_) => {
            let (path, from) = (path.to_owned(), length(path));
            (Ear::File { path, from, numbered, of_system }, None)
        }
        Err(error) => {
            let shown = crate::printable::printable(&path.display().to_string()).into_owned();
            let why = format!("the error log {shown} cannot be read here: {error}");
            (Ear::Deaf, Some(why))
        }
    };
    let place = match (facts.log_place.read(), facts.log_place.reason()) {
        (Some(place), _) => place,
        (None, why) => return (Ear::Deaf, why.map(|why| why.why.clone())),
    };
    match place {
        LogPlace::File { path, .. } if facts.files.read().is_none() => {
            let shown = crate::printable::printable(&path.display().to_string()).into_owned();
            (Ear::Deaf, Some(format!("the error log is {shown} on the server's own host")))
        }
        LogPlace::File { path, .. } => file(path, false),
        LogPlace::Journal { pid } if Path::new("/run/systemd/journal").exists() => {
            (Ear::Journal { pid: *pid, since: now() }, None)
        }
        LogPlace::Syslog => match SYSLOGS.iter().map(Path::new).find(|path| path.exists()) {
            Some(path) => file(path, true),
            None => (Ear::Deaf, Some("the system's log was not found here".to_owned())),
        },
        other => (Ear::Deaf, Some(format!("the error log goes to {}", other.describe()))),
    }
}

pub(super) fn from_table(session: &mut Session, since: &str, trace: &Trace) -> Vec<Line> {
    if trace.connections.is_empty() {
        return Vec::new();
    }
    let numbers: Vec<String> = trace.connections.iter().map(u32::to_string).collect();
    let query = format!(
        "SELECT THREAD_ID, PRIO, ERROR_CODE, DATA FROM performance_schema.error_log \
         WHERE LOGGED >= '{since}' AND THREAD_ID IN ({}) ORDER BY LOGGED",
        numbers.join(",")
    );
    let rows = session.query::<(u32, String, String, Vec<u8>), _>(query).unwrap_or_default();
    let line = |(number, priority, code, data): (u32, String, String, Vec<u8>)| {
        let text = [format!(" [{priority}] [{code}] ").as_bytes(), data.as_slice()].concat();
        Line { connection: Some(number), text }
    };
    rows.into_iter().map(line).collect()
}

pub(super) fn lines(bytes: &[u8], numbered: bool, of_system: bool) -> Vec<Line> {
    let servers = |line: &&[u8]| {
        let has = |name: &[u8]| line.windows(name.len()).any(|window| window == name);
        !of_system || has(b"mysqld") || has(b"mariadbd") || has(b"mysql")
    };
    // the number before a bracket of a line of syslog is not the connection's
    let numbered = numbered && !of_system;
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .filter(servers)
        .map(|line| Line::read(line, numbered))
        .collect()
}

/// MariaDB writes `Aborted connection 7 to db: …` under the number 7, older ones under none.
pub(super) fn aborted(text: &[u8]) -> Option<u32> {
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once("Aborted connection ")?;
    rest.split(' ').next()?.parse().ok()
}

pub(super) fn journal(pid: u32, since: &str) -> Vec<u8> {
    let output = Command::new("journalctl")
        .args(["--quiet", "--no-pager", "--output=cat", "--lines=500", "--since", since])
        .arg(format!("_PID={pid}"))
        .stdin(Stdio::null())
        .output();
    output.map(|output| output.stdout).unwrap_or_default()
}

/// As `journalctl --since` takes it.
pub(super) fn now() -> String {
    format!("@{}", std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()))
}

pub(super) fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |about| about.len())
}

pub(super) fn tail(path: &Path, from: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    // it was made anew meanwhile
    let from = if length(path) < from { 0 } else { from };
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}
