//! `require_secure_transport`, switched on for now and for the next start.

use super::{Action, Effect, Place, Remedy};
use crate::facts::Facts;

/// Whether this remedy asks everybody for TLS: who would be refused is then to be said beforehand.
pub fn is_asked(remedy: &Remedy) -> bool {
    let asks = |action: &Action| action.text.contains("require_secure_transport = ON");
    remedy.actions.iter().any(|action| action.place == Place::ServerSql && asks(action))
}

/// Asks everybody for TLS. Who would be refused, [`super::lockout`] tells.
pub fn require(facts: &Facts) -> Remedy {
    let mut note = "clients without TLS are refused from now on; sessions there are stay, and the \
                    socket stays open"
        .to_owned();
    if facts.server.read().is_some_and(|server| server.sessions.read().is_none()) {
        note.push_str(". Who would be refused cannot be seen: performance_schema is off");
    }
    let mut actions = vec![
        Action::sql("SET GLOBAL require_secure_transport = ON;")
            .with_undo("SET GLOBAL require_secure_transport = OFF;"),
    ];
    if let Some(config) = facts.config.read() {
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
