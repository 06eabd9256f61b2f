//! The running server takes new values over: `SET GLOBAL`, then it reads its files again. What it
//! refuses is put back, so that its next start does not come up without TLS.
//!
//! Measured on MySQL 9.7: after a reload that was refused, the old certificate stays in use, and the
//! variables keep the new, bad values; the next start takes those.

use mysql::prelude::Queryable as _;
use mysql::{Conn, Row, Value};
use thiserror::Error;

use crate::facts::session;
use crate::facts::{Flavor, ServerFacts, Version};
use crate::printable::printable;
use crate::remedy::options::{Counts, TlsOption};
use crate::remedy::statement;

/// What the running server is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Name and value, in the order in which they are set.
    pub set: Vec<(String, String)>,
    /// Those of them that it is to keep over restarts.
    pub persist: Vec<String>,
    /// `ALTER INSTANCE RELOAD TLS`, `FLUSH SSL`, …, without the closing semicolon.
    pub reload: Vec<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LiveError {
    #[error("the server refused {statement}: {why}")]
    Refused {
        statement: String,
        why: String,
        /// What could not be put back, and why; empty where everything was.
        stuck: Vec<String>,
    },
}

/// The variables as they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before(Vec<(String, Option<String>, bool)>);

impl Live {
    /// How these changes come to count without a restart.
    ///
    /// # Errors
    /// The options that need one.
    pub fn of(
        server: &ServerFacts,
        changed: &[(String, String)],
        persisted: &[(String, String)],
    ) -> Result<Self, Vec<String>> {
        let (flavor, version) = (server.flavor, server.version);
        let mut live = Self::default();
        let mut restart = Vec::new();
        for (name, value) in changed {
            let option = TlsOption::find(name);
            let counts = option.map_or(Counts::Restarted, |o| o.counts(flavor, version));
            match counts {
                Counts::AtOnce => {}
                Counts::Reloaded => live.reload_with(reload(flavor, version)),
                Counts::AdminReloaded => live.reload_with(Some(ADMIN)),
                Counts::Restarted => {
                    restart.push(name.clone());
                    continue;
                }
            }
            live.set.push((name.clone(), value.clone()));
        }
        live.persist = persisted.iter().map(|(name, _)| name.clone()).collect();
        if !restart.is_empty() {
            return Err(restart);
        }
        // whoever asks for TLS last asks when there is some
        live.set.sort_by_key(|(name, _)| name == "require_secure_transport");
        Ok(live)
    }

    /// The files are read again, and no variable is changed.
    pub fn reload(server: &ServerFacts) -> Option<Self> {
        let reload = vec![reload(server.flavor, server.version)?];
        Some(Self { reload, ..Self::default() })
    }

    fn reload_with(&mut self, statement: Option<&'static str>) {
        self.reload.extend(statement.filter(|statement| !self.reload.contains(statement)));
    }

    /// What is sent, in order, for the eye.
    pub fn statements(&self) -> Vec<String> {
        let (late, early): (Vec<_>, Vec<_>) =
            self.set.iter().partition(|(name, _)| name == "require_secure_transport");
        let set = |(name, value): &(String, String)| set(name, Some(value), self.persists(name));
        let reloads = self.reload.iter().map(|reload| (*reload).to_owned());
        early.into_iter().map(set).chain(reloads).chain(late.into_iter().map(set)).collect()
    }

    fn persists(&self, name: &str) -> bool {
        self.persist.iter().any(|persisted| persisted == name)
    }

    /// How the variables stand that are going to be set.
    pub fn before(&self, conn: &mut Conn) -> Result<Before, mysql::Error> {
        let mut before = Vec::new();
        let has_table =
            "SELECT COUNT(*) FROM performance_schema.persisted_variables WHERE VARIABLE_NAME = ?";
        for (name, _) in &self.set {
            let row: Option<Row> = conn.query_first(format!("SELECT @@GLOBAL.{name}"))?;
            let value = row.as_ref().and_then(|row| match row.as_ref(0) {
                Some(Value::NULL) | None => None,
                Some(_) => Some(text(row, name)),
            });
            let kept = self.persists(name)
                && conn.exec_first::<u64, _, _>(has_table, (name,))?.is_some_and(|n| n > 0);
            before.push((name.clone(), value, kept));
        }
        Ok(Before(before))
    }

    /// Does it. When the server refuses, the variables are what they were before.
    pub fn switch(&self, conn: &mut Conn, before: &Before) -> Result<(), LiveError> {
        // what stands between quotes then means itself
        let _ = conn.query_drop(PLAIN);
        for statement in self.statements() {
            if let Err(error) = conn.query_drop(&statement) {
                let why = session::words(&error);
                let stuck = before.restore(conn, self);
                return Err(LiveError::Refused {
                    statement: printable(&statement).into_owned(),
                    why,
                    stuck,
                });
            }
        }
        Ok(())
    }

    /// The statements that bring the variables back, and make them count.
    pub fn undo(&self, before: &Before) -> Vec<String> {
        if before.0.is_empty() {
            return self.reload.iter().map(|reload| (*reload).to_owned()).collect();
        }
        let mut out = vec![PLAIN.to_owned()];
        out.extend(before.statements(self));
        let had_none = |names: [&str; 2]| names.iter().all(|name| before.was_empty(name));
        for reload in &self.reload {
            if *reload == ADMIN && had_none(["admin_ssl_cert", "admin_ssl_key"]) {
                // it had those of the other port, which it gets again at a start alone; until
                // then it keeps what it has, rather than none
                continue;
            }
            // where there was no certificate there is nothing to load, and TLS is to go off again
            let bare = *reload != ADMIN && had_none(["ssl_cert", "ssl_key"]);
            out.push(format!("{reload}{}", if bare { " NO ROLLBACK ON ERROR" } else { "" }));
        }
        out
    }
}

impl Before {
    fn was_empty(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|(known, value, _)| known == name && value.as_ref().is_none_or(String::is_empty))
    }

    fn statements(&self, live: &Live) -> Vec<String> {
        let mut out = Vec::new();
        // TLS is asked for no longer before anything else is taken back
        for (name, value, kept) in self.0.iter().rev() {
            if live.persists(name) && !kept {
                out.push(format!("RESET PERSIST IF EXISTS {name}"));
            }
            out.push(set(name, value.as_deref(), live.persists(name) && *kept));
        }
        out
    }

    /// What could not be put back.
    fn restore(&self, conn: &mut Conn, live: &Live) -> Vec<String> {
        let mut stuck = Vec::new();
        for statement in self.statements(live) {
            if let Err(error) = conn.query_drop(&statement) {
                stuck.push(format!("{}: {}", printable(&statement), session::words(&error)));
            }
        }
        stuck
    }
}

/// Backslashes in the values that follow mean themselves.
const PLAIN: &str = "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'";
const ADMIN: &str = "ALTER INSTANCE RELOAD TLS FOR CHANNEL mysql_admin";

fn reload(flavor: Flavor, version: Version) -> Option<&'static str> {
    statement::reload(flavor, version).map(|statement| statement.trim_end_matches(';'))
}

/// A value that was NULL is the default: an empty list of suites is another thing than none.
fn set(name: &str, value: Option<&str>, persist: bool) -> String {
    let scope = if persist { "PERSIST" } else { "GLOBAL" };
    let value = match value {
        Some(word @ ("ON" | "OFF")) => word.to_owned(),
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => "DEFAULT".to_owned(),
    };
    format!("SET {scope} {name} = {value}")
}

fn text(row: &Row, name: &str) -> String {
    let value = match row.as_ref(0) {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::UInt(number)) => number.to_string(),
        _ => String::new(),
    };
    let is_switch = TlsOption::find(name)
        .is_some_and(|option| option.kind == crate::remedy::options::Kind::Switch);
    match (is_switch, value.as_str()) {
        (true, "1") => "ON".to_owned(),
        (true, "0") => "OFF".to_owned(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn mysql() -> ServerFacts {
        let facts = testing::with_server(|server| {
            server.flavor = Flavor::MySql;
            server.version = Version(9, 7, 4);
        });
        facts.server.read().unwrap().clone()
    }

    fn changes(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn mysql_takes_new_files_without_a_restart_and_asks_for_tls_last() {
        let wanted = changes(&[
            ("require_secure_transport", "ON"),
            ("ssl_ca", "/it's"),
            ("ssl_key", "/k"),
            ("admin_ssl_key", "/a"),
        ]);
        let live = Live::of(&mysql(), &wanted, &[]).unwrap();
        assert_eq!(
            live.statements(),
            [
                "SET GLOBAL ssl_ca = '/it''s'",
                "SET GLOBAL ssl_key = '/k'",
                "SET GLOBAL admin_ssl_key = '/a'",
                "ALTER INSTANCE RELOAD TLS",
                "ALTER INSTANCE RELOAD TLS FOR CHANNEL mysql_admin",
                "SET GLOBAL require_secure_transport = ON",
            ]
        );
        let before = Before(vec![
            ("ssl_ca".into(), None, false),
            ("require_secure_transport".into(), Some("OFF".into()), false),
        ]);
        assert_eq!(
            live.undo(&before)[1..4],
            [
                "SET GLOBAL require_secure_transport = OFF",
                "SET GLOBAL ssl_ca = DEFAULT",
                "ALTER INSTANCE RELOAD TLS",
            ]
        );
        // a certificate where there was none: off on the one port, and left till the next start on the other
        let names = ["admin_ssl_key", "admin_ssl_cert", "ssl_key", "ssl_cert"];
        let before = Before(names.map(|name| (name.into(), None, false)).to_vec());
        let undo = live.undo(&before);
        assert_eq!(undo[5..], ["ALTER INSTANCE RELOAD TLS NO ROLLBACK ON ERROR"], "{undo:?}");
    }

    #[test]
    fn what_is_kept_is_persisted_and_what_was_not_kept_before_is_taken_out() {
        let wanted = changes(&[("tls_version", "TLSv1.3")]);
        let live = Live::of(&mysql(), &wanted, &wanted).unwrap();
        assert_eq!(live.statements()[0], "SET PERSIST tls_version = 'TLSv1.3'");
        let before = |kept| Before(vec![("tls_version".into(), Some("TLSv1.2".into()), kept)]);
        assert_eq!(live.undo(&before(false))[1], "RESET PERSIST IF EXISTS tls_version");
        assert_eq!(live.undo(&before(true))[1], "SET PERSIST tls_version = 'TLSv1.2'");
    }

    #[test]
    fn mariadb_needs_a_restart_for_all_but_one() {
        let facts = testing::healthy();
        let server = facts.server.read().unwrap();
        let wanted = changes(&[("ssl_ca", "/x"), ("require_secure_transport", "ON")]);
        assert_eq!(Live::of(server, &wanted, &[]), Err(vec!["ssl_ca".to_owned()]));
        assert!(Live::of(server, &wanted[1..], &[]).unwrap().reload.is_empty());
    }
}
