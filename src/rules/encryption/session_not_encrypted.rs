use crate::facts::{Facts, OtherSession, Require, Transport};
use crate::remedy::statement::{Dialect, Form};
use crate::remedy::{Action, Remedy};
use crate::rules::{Answer, Severity, rule};

/// How many sessions are named one by one.
const NAMED: usize = 8;

rule! {
    /// A session travels the network without TLS.
    ///
    /// ## What it checks
    /// Whether mytls's own session is encrypted (`Ssl_cipher`), and which sessions of others came
    /// in over TCP without TLS.
    ///
    /// ## Why it matters
    /// Whoever is on the path reads and changes what these sessions carry. REQUIRE and
    /// `require_secure_transport` are looked at when a session starts, never again: old ones live on.
    ///
    /// ## How to fix
    /// Make the accounts REQUIRE SSL, then end the sessions that came in without; their clients
    /// connect anew, with TLS or not at all.
    ///
    /// ## Source
    /// MySQL manual, "The threads Table" (`CONNECTION_TYPE`), and "Server Status Variables"
    /// (`Ssl_cipher`).
    pub static SESSION_NOT_ENCRYPTED = {
        id: "session-not-encrypted",
        step: Encryption,
        severity: Error,
        passes_as: "sessions are encrypted",
        explained_by: ["tls-off"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(server) = facts.server.read() else {
        return facts.server.reason().map_or_else(Answer::pass, Answer::unknown);
    };
    let mut findings = Vec::new();
    if server.session.over == Transport::Tcp && server.session.cipher.is_empty() {
        findings.push(
            SESSION_NOT_ENCRYPTED
                .finding("this very session is not encrypted", "mytls came in over TCP without TLS")
                .saw("Ssl_cipher", "(empty)"),
        );
    }
    let open: Vec<&OtherSession> = server.sessions.read().map_or_else(Vec::new, |sessions| {
        let in_the_clear = |session: &&OtherSession| session.connection_type == "TCP/IP";
        // what does not leave this host has nobody on its path
        sessions.iter().filter(in_the_clear).filter(|session| !session.is_local()).collect()
    });
    if !open.is_empty() {
        findings.push(others(facts, &open));
    }
    if !findings.is_empty() {
        return Answer::Fail(findings);
    }
    let not_offered = facts.wire.read().is_some_and(|wire| !wire.greeting.offers_tls);
    if not_offered {
        return Answer::not_applicable("TLS is off");
    }
    match (server.session.over, server.sessions.read()) {
        (_, Some(sessions)) => {
            let count = |how: &str| {
                sessions.iter().filter(|session| session.connection_type == how).count()
            };
            // whoever is left of those is on this host
            Answer::Pass(match (count("SSL/TLS"), count("TCP/IP")) {
                (encrypted, 0) => format!("{encrypted} with TLS, none in the clear"),
                (encrypted, here) => format!(
                    "{encrypted} with TLS, none in the clear but for {here} from this host itself"
                ),
            })
        }
        (Transport::Tcp, None) => {
            Answer::Pass(format!("{} {}", server.session.tls_version, server.session.cipher))
        }
        (Transport::Socket, None) => {
            server.sessions.reason().map_or_else(Answer::pass, Answer::unknown)
        }
    }
}

fn others(facts: &Facts, open: &[&OtherSession]) -> crate::rules::Finding {
    let count = open.len();
    let title = match count {
        1 => "1 session came in without TLS".to_owned(),
        count => format!("{count} sessions came in without TLS"),
    };
    let mut finding = SESSION_NOT_ENCRYPTED
        .finding(title, "whoever is on the path reads and changes what they carry")
        .at(Severity::Warning);
    for session in open.iter().take(NAMED) {
        finding = finding.saw(
            &format!("session {}", session.id),
            format!("{} from {}", session.user, session.host),
        );
    }
    if count > NAMED {
        finding = finding.saw("and", format!("{} more", count - NAMED));
    }
    finding.remedy(end_them(facts, open))
}

/// The accounts of these sessions REQUIRE SSL from now on, and the sessions end.
fn end_them(facts: &Facts, open: &[&OtherSession]) -> Option<Remedy> {
    let server = facts.server.read()?;
    let accounts = server.accounts.read()?;
    let theirs = accounts.iter().filter(|account| {
        account.require == Require::None
            && account.is_for_the_network()
            && open.iter().any(|session| session.is_of(&account.name))
    });
    let theirs: Vec<_> = theirs.map(|account| account.name.clone()).collect();
    let mut actions = Vec::new();
    if !theirs.is_empty() {
        actions.push(Action::sql(
            Dialect::of(server).require(&theirs, &Require::Ssl, Form::Alter).sql(),
        ));
    }
    actions.extend(open.iter().map(|session| Action::sql(format!("KILL {};", session.id))));
    let remedy =
        Remedy::new("ask these accounts for TLS, and end the sessions that came without", actions);
    Some(remedy.with_note("their clients lose what they are doing, and connect anew only with TLS"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Source, UnreadKind};
    use crate::rules::testing;

    fn session(id: u64, connection_type: &str) -> OtherSession {
        OtherSession {
            id,
            user: "web".into(),
            host: "10.0.3.7".into(),
            connection_type: connection_type.into(),
            command: String::new(),
            over: None,
        }
    }

    #[test]
    fn encrypted_and_local_sessions_pass() {
        let facts = testing::with_server(|server| {
            server.sessions = Source::Read(vec![session(1, "SSL/TLS"), session(2, "Socket")]);
        });
        assert_eq!(judge(&facts), Answer::Pass("1 with TLS, none in the clear".into()));
    }

    #[test]
    fn sessions_without_tls_that_never_leave_the_host_are_told_all_the_same() {
        let facts = testing::with_server(|server| {
            let here = OtherSession { host: "127.0.0.1".into(), ..session(2, "TCP/IP") };
            server.sessions = Source::Read(vec![session(1, "SSL/TLS"), here]);
        });
        let told = "1 with TLS, none in the clear but for 1 from this host itself";
        assert_eq!(judge(&facts), Answer::Pass(told.into()));
    }

    #[test]
    fn our_own_session_in_the_clear_is_an_error() {
        let facts = testing::with_server(|server| {
            server.session.over = Transport::Tcp;
            server.session.cipher.clear();
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Error);
    }

    #[test]
    fn sessions_of_others_are_named_and_ended_after_their_accounts_ask_for_tls() {
        let facts = testing::with_server(|server| {
            server.accounts = Source::Read(vec![testing::account("web", "10.%", Require::None)]);
            server.sessions = Source::Read(vec![session(7, "TCP/IP"), session(8, "SSL/TLS")]);
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!((findings.len(), findings[0].severity), (1, Severity::Warning));
        let sql: Vec<_> = findings[0].remedies[0].actions.iter().map(|a| a.text.as_str()).collect();
        assert_eq!(sql, ["ALTER USER 'web'@'10.%' REQUIRE SSL;", "KILL 7;"]);
    }

    #[test]
    fn what_cannot_be_seen_is_unknown() {
        let facts = testing::with_server(|server| {
            server.sessions = Source::unread(UnreadKind::NotAsked, "performance_schema is off", "");
        });
        assert_eq!(judge(&facts), Answer::Unknown("performance_schema is off".into()));
    }
}
