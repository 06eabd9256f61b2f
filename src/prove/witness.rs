//! Listening to the server while logins are tried: its error log, wherever that can be read.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable as _;

use super::log::Line;
use super::louder::Louder;
use crate::facts::session::{self, Route, Session, trust};
use crate::facts::{
    AccountName, Facts, Flavor, LogPlace, ServerFacts, Target, Version, has_length,
};
use crate::secret::Secret;
use crate::wire::{self, Endpoint, Limits, Login, Outcome, Tls, Trace, Trust};

/// Where a system writes what its programs say to syslog.
const SYSLOGS: [&str; 3] = ["/var/log/syslog", "/var/log/messages", "/var/log/daemon.log"];
/// Of one log no more is read than this, from where it ended before.
const MOST: u64 = 1 << 20;

/// Hears what the server writes about logins. Dropping it makes the server as talkative as before.
pub struct Witness {
    ear: Ear,
    louder: Option<Louder>,
    /// As an administrator.
    session: Option<Session>,
    /// The same, to log in from where others did.
    admin: Option<Administrator>,
    /// Why nothing, or less, is heard.
    why_not: Option<String>,
}

enum Ear {
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

impl Witness {
    /// Finds the best place to listen, and makes the server say why it refuses where it would not.
    /// `way` leads to the server as an administrator; without one, only nothing is heard.
    pub fn open(facts: &Facts, way: Option<&(Target, Route)>) -> Self {
        let Some(server) = facts.server.read() else {
            return Self::deaf("nobody is logged in who could read the server's log");
        };
        let mut session = way.and_then(|(target, route)| session::open(target, route).ok());
        let louder = session.as_mut().zip(way);
        let louder = louder.map_or(Ok(None), |(session, way)| Louder::set(session, server, way));
        let (louder, too_quiet) = match louder {
            Ok(louder) => (louder, None),
            Err(why) => (None, Some(why)),
        };
        let too_quiet = too_quiet.or_else(|| filtered(server));
        let asked = session.as_mut().map_or(Err(None), |session| table(session, server));
        let (ear, deaf) = match asked {
            Ok(since) => (Ear::Table { since }, None),
            Err(no_table) => match elsewhere(facts, server) {
                (Ear::Deaf, why) => (Ear::Deaf, Some(no_table.or(why).unwrap_or_default())),
                (ear, _) => (ear, None),
            },
        };
        let admin = Administrator::of(facts);
        Self { ear, louder, session, admin, why_not: deaf.or(too_quiet) }
    }

    /// Hears nothing, for this reason.
    pub fn deaf(why: impl Into<String>) -> Self {
        Self { ear: Ear::Deaf, louder: None, session: None, admin: None, why_not: Some(why.into()) }
    }

    /// Where it listens; `None` where it hears nothing.
    pub fn place(&self) -> Option<String> {
        match &self.ear {
            Ear::Table { .. } => Some("performance_schema.error_log".to_owned()),
            Ear::File { path, .. } => {
                Some(crate::printable::printable(&path.display().to_string()).into_owned())
            }
            Ear::Journal { .. } => Some("the system's journal".to_owned()),
            Ear::Deaf => None,
        }
    }

    /// Whether a refused name would have been heard: it listens, and the server says it.
    pub fn would_hear(&self) -> bool {
        !matches!(self.ear, Ear::Deaf) && self.why_not.is_none()
    }

    /// Why nothing is heard, or not the reasons.
    pub fn why_not(&self) -> Option<&str> {
        self.why_not.as_deref()
    }

    /// What was changed at the server for the while.
    pub fn note(&self) -> Option<String> {
        self.louder.as_ref().map(Louder::describe)
    }

    /// How many errors towards `max_connect_errors` the server has counted for this address:
    /// `None` where it does not tell, 0 where it does not know of any.
    pub fn connect_errors(&mut self, from: IpAddr) -> Option<u64> {
        const SUM: &str = "SELECT COALESCE(SUM(SUM_CONNECT_ERRORS), 0) FROM performance_schema.host_cache WHERE IP =";
        let session = self.session.as_mut()?;
        // without it the table is there, and empty: that says nothing
        let told: Option<u8> = session.query_first("SELECT @@GLOBAL.performance_schema").ok()?;
        if told != Some(1) {
            return None;
        }
        // an address holds no quotes
        session.query_first(format!("{SUM} '{from}'")).ok()?
    }

    /// Logs in as the administrator from where a certificate was refused, which sets the server's
    /// count of errors for that address back to zero. Whether it did.
    pub fn set_back(&self, endpoint: &Endpoint, from: Option<IpAddr>) -> bool {
        self.admin.as_ref().zip(from).is_some_and(|(admin, from)| admin.log_in(endpoint, from))
    }

    /// From here on: what was written before is no longer of interest.
    pub fn begin(&mut self) {
        match &mut self.ear {
            Ear::File { path, from, .. } => *from = length(path),
            Ear::Journal { since, .. } => *since = now(),
            Ear::Table { .. } | Ear::Deaf => {}
        }
    }

    /// What the server has written about this login since [`Self::begin`], oldest first. It writes
    /// before it answers, save where it closes the connection in the handshake: `late` waits for
    /// that a little.
    pub fn heard(&mut self, trace: &Trace, late: bool) -> Vec<Line> {
        const PATIENCE: Duration = Duration::from_millis(250);
        let until = Instant::now() + PATIENCE;
        loop {
            let lines = self.read(trace);
            let is_deaf = matches!(self.ear, Ear::Deaf);
            if !late || is_deaf || !lines.is_empty() || Instant::now() >= until {
                return lines;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn read(&mut self, trace: &Trace) -> Vec<Line> {
        let lines = match &mut self.ear {
            Ear::Table { since } => {
                self.session.as_mut().map(|s| from_table(s, since, trace)).unwrap_or_default()
            }
            Ear::File { path, from, numbered, of_system } => {
                let bytes = tail(path, *from).unwrap_or_default();
                lines(&bytes, *numbered, *of_system)
            }
            Ear::Journal { pid, since } => lines(&journal(*pid, since), true, false),
            Ear::Deaf => Vec::new(),
        };
        let of_login = |line: &Line| {
            line.connection.is_none_or(|number| trace.connections.contains(&number))
                || aborted(&line.text).is_some_and(|number| trace.connections.contains(&number))
        };
        lines.into_iter().filter(|line| line.is_about_login() && of_login(line)).collect()
    }
}

/// Who may log in for the sake of the server's counts.
struct Administrator {
    user: String,
    password: Secret,
    trust: Trust,
    old_tls: bool,
    /// The account that answers this login, and all of the same user, in the server's order: from
    /// elsewhere another may answer, which has another password.
    own: String,
    accounts: Vec<AccountName>,
}

impl Administrator {
    fn of(facts: &Facts) -> Option<Self> {
        let target = &facts.target;
        let server = facts.server.read()?;
        let user = target.user.clone()?;
        let known = server.accounts.read()?.iter().map(|account| &account.name);
        let mut accounts: Vec<AccountName> = known
            .filter(|name| name.user == user || name.user.is_empty())
            // one that no host has is no account of any
            .filter(|name| server.knows_lengths() || !has_length(&name.host))
            .cloned()
            .collect();
        accounts.sort_by_key(|name| std::cmp::Reverse(server.rank(name)));
        Some(Self {
            own: server.current_user.clone(),
            accounts,
            user,
            password: target.password.clone()?,
            trust: trust(target, facts.files.read()).ok()?,
            old_tls: facts.is_yassl(),
        })
    }

    fn log_in(&self, endpoint: &Endpoint, from: IpAddr) -> bool {
        let from = from.to_string();
        let answers = self.accounts.iter().find(|name| name.admits(&from));
        if answers.is_none_or(|name| name.to_string() != self.own) {
            return false;
        }
        let tls = Tls {
            check_host: self.trust.is_public(),
            old_tls: self.old_tls,
            ..Tls::new(&self.trust)
        };
        let login = Login { user: &self.user, password: &self.password, tls: Some(tls) };
        let outcome =
            wire::traced_login(endpoint, &login, Limits::default(), &mut Trace::default());
        matches!(outcome, Ok(Outcome::LetIn { .. }))
    }
}

/// What keeps the reasons out of a log that is loud enough (MySQL 8.0 and later).
fn filtered(server: &ServerFacts) -> Option<String> {
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
fn table(session: &mut Session, server: &ServerFacts) -> Result<String, Option<String>> {
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
fn elsewhere(facts: &Facts, server: &ServerFacts) -> (Ear, Option<String>) {
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

fn from_table(session: &mut Session, since: &str, trace: &Trace) -> Vec<Line> {
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

fn lines(bytes: &[u8], numbered: bool, of_system: bool) -> Vec<Line> {
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
fn aborted(text: &[u8]) -> Option<u32> {
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once("Aborted connection ")?;
    rest.split(' ').next()?.parse().ok()
}

fn journal(pid: u32, since: &str) -> Vec<u8> {
    let output = Command::new("journalctl")
        .args(["--quiet", "--no-pager", "--output=cat", "--lines=500", "--since", since])
        .arg(format!("_PID={pid}"))
        .stdin(Stdio::null())
        .output();
    output.map(|output| output.stdout).unwrap_or_default()
}

/// As `journalctl --since` takes it.
fn now() -> String {
    format!("@{}", std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()))
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |about| about.len())
}

fn tail(path: &Path, from: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    // it was made anew meanwhile
    let from = if length(path) < from { 0 } else { from };
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_logins_and_of_other_programs_are_left_out() {
        let log = b"2026-01-05 10:00:00 7 [Warning] Access denied for user 'app'@'h'\n\
            2026-01-05 10:00:00 8 [Warning] Access denied for user 'web'@'h'\n\
            2026-01-05 10:00:00 7 [Note] InnoDB: something\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("error.log");
        std::fs::write(&path, b"2026-01-05 09:00:00 7 [Warning] Access denied long ago\n").unwrap();
        let ear = Ear::File { path: path.clone(), from: 0, numbered: true, of_system: false };
        let mut witness = Witness { ear, louder: None, session: None, admin: None, why_not: None };
        witness.begin();
        let mut file = File::options().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, log).unwrap();
        let trace = Trace { connections: vec![7], ..Trace::default() };
        let heard = witness.heard(&trace, false);
        let heard: Vec<String> = heard.iter().map(Line::message).collect();
        assert_eq!(heard, ["[Warning] Access denied for user 'app'@'h'"]);

        let syslog = b"Nov 24 10:00:00 db1 mysqld[31]: [Note] [MY-010291] X.509 subject mismatch: should be '/CN=a' but is '/CN=b'\n\
            Nov 24 10:00:00 db1 sshd[7]: Access denied\n";
        let of_server = lines(syslog, true, true);
        assert_eq!(of_server.len(), 1);
        assert_eq!(of_server[0].connection, None);
        assert!(super::super::log::Mismatch::read(&of_server[0].text, None).is_some());
    }

    #[test]
    fn a_log_that_leaves_the_reasons_out_is_not_taken_for_silence() {
        let with = |name: &str, value: &str| {
            let facts = crate::rules::testing::with_server(|server| {
                server.variables.insert(name.to_owned(), value.to_owned());
            });
            filtered(facts.server.read().unwrap()).is_some()
        };
        let list = "log_error_suppression_list";
        assert!(with(list, "MY-010055,MY-010291") && with(list, "10289"));
        assert!(!with(list, "MY-010055") && !with(list, ""));
        let services = "log_error_services";
        assert!(!with(services, "log_filter_internal; log_sink_internal"));
        assert!(with(services, "log_filter_dragnet; log_sink_internal") && with(services, "none"));
    }

    #[test]
    fn a_log_that_was_made_anew_is_read_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("error.log");
        std::fs::write(&path, b"new\n").unwrap();
        assert_eq!(tail(&path, 400).unwrap(), b"new\n");
    }
}
