//! Listening to the server while logins are tried: its error log, wherever that can be read.

use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable as _;

use super::administrator::Administrator;
use super::ear::{self, Ear};
use super::log::Line;
use super::louder::Louder;
use crate::facts::session::{self, Route, Session};
use crate::facts::{Facts, Target};
use crate::wire::{Endpoint, Trace};

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
        let too_quiet = too_quiet.or_else(|| ear::filtered(server));
        let asked = session.as_mut().map_or(Err(None), |session| ear::table(session, server));
        let (ear, deaf) = match asked {
            Ok(since) => (Ear::Table { since }, None),
            Err(no_table) => match ear::elsewhere(facts, server) {
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
            Ear::File { path, from, .. } => *from = ear::length(path),
            Ear::Journal { since, .. } => *since = ear::now(),
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
                self.session.as_mut().map(|s| ear::from_table(s, since, trace)).unwrap_or_default()
            }
            Ear::File { path, from, numbered, of_system } => {
                let bytes = ear::tail(path, *from).unwrap_or_default();
                ear::lines(&bytes, *numbered, *of_system)
            }
            Ear::Journal { pid, since } => ear::lines(&ear::journal(*pid, since), true, false),
            Ear::Deaf => Vec::new(),
        };
        let of_login = |line: &Line| {
            line.connection.is_none_or(|number| trace.connections.contains(&number))
                || ear::aborted(&line.text)
                    .is_some_and(|number| trace.connections.contains(&number))
        };
        lines.into_iter().filter(|line| line.is_about_login() && of_login(line)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::ear::{filtered, lines, tail};
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
