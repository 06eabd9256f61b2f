//! `require_secure_transport`, switched on for now and for the next start.

use super::{Action, Effect, Remedy};
use crate::facts::{Facts, Flavor, ServerConfig, Target, Version};

/// Asks everybody for TLS. Who would be refused, [`super::lockout`] tells.
pub fn require(facts: &Facts) -> Remedy {
    let mut note = "clients without TLS are refused from now on; sessions there are stay, and the \
                    socket stays open"
        .to_owned();
    if facts.server.read().is_some_and(|server| server.sessions.read().is_none()) {
        note.push_str(". Who would be refused cannot be seen: performance_schema is off");
    }
    let server = facts.server.read();
    let persists = server
        .is_some_and(|server| server.flavor == Flavor::MySql && server.version >= SET_PERSIST);
    if persists {
        return Remedy::new("ask everybody for TLS", vec![persisted(facts)]).with_note(note);
    }
    let mut actions = vec![
        Action::sql("SET GLOBAL require_secure_transport = ON;")
            .with_undo("SET GLOBAL require_secure_transport = OFF;"),
    ];
    if let Some(config) = facts.config.read().filter(|config| is_its_own(facts, config)) {
        let file = config
            .origin("require_secure_transport")
            .map_or(&config.main_file, |origin| &origin.file);
        let mut line = Action::config(file, &[("require_secure_transport", "ON")]);
        // The statement before has done it for now; the line is for the next start.
        line.effect = Effect::None;
        actions.push(line);
    }
    Remedy::new("ask everybody for TLS", actions).with_note(note)
}

/// The first MySQL that keeps a variable over its restart by itself (manual 8.0, section 13.7.6.1).
const SET_PERSIST: Version = Version(8, 0, 11);

/// For now and for the next start in one statement; it goes before every option file.
fn persisted(facts: &Facts) -> Action {
    let origin = facts.config.read().and_then(|config| config.origin("require_secure_transport"));
    let was_kept = origin.is_some_and(|origin| origin.file.ends_with("mysqld-auto.cnf"));
    let undo = if was_kept {
        "SET PERSIST require_secure_transport = OFF;"
    } else {
        "SET GLOBAL require_secure_transport = OFF;\nRESET PERSIST IF EXISTS require_secure_transport;"
    };
    Action::sql("SET PERSIST require_secure_transport = ON;").with_undo(undo)
}

/// Whether these options are those of the server that answers: where nobody named the file, it may be
/// that of another server on this host.
fn is_its_own(facts: &Facts, config: &ServerConfig) -> bool {
    let running = facts.server.read().and_then(|server| server.variable("port"));
    let written = config.options.get("port").and_then(|option| option.value.as_deref());
    let usual = Target::DEFAULT_PORT.to_string();
    let named = facts.target.server_config.is_some();
    named || running.is_none_or(|running| running == written.unwrap_or(&usual))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::with_server;

    fn texts(facts: &Facts) -> Vec<String> {
        require(facts).actions.iter().map(|action| action.text.clone()).collect()
    }

    #[test]
    fn it_lasts_over_a_restart_and_no_other_servers_file_is_written() {
        let mut maria = with_server(|server| {
            server.flavor = Flavor::MariaDb;
            server.variables.insert("port".into(), "3399".into());
        });
        maria.target.server_config = None;
        assert_eq!(texts(&maria), ["SET GLOBAL require_secure_transport = ON;"]);
        maria.target.server_config = Some("/etc/mysql/my.cnf".into());
        assert_eq!(texts(&maria).len(), 2, "it was named");
        let of = |version| {
            let facts = with_server(|server| {
                (server.flavor, server.version) = (Flavor::MySql, version);
            });
            texts(&facts)[0].clone()
        };
        assert_eq!(of(Version(8, 0, 11)), "SET PERSIST require_secure_transport = ON;");
        assert_eq!(of(Version(5, 7, 44)), "SET GLOBAL require_secure_transport = ON;");
    }
}
