use crate::facts::{Facts, UnreadKind};
use crate::remedy::{Action, Effect, Remedy, shell};
use crate::rules::{Answer, KEEPS_TLS_OFF, rule};

rule! {
    /// The server does not answer.
    ///
    /// ## What it checks
    /// Whether anything answers on the server's socket or port.
    ///
    /// ## Why it matters
    /// MariaDB refuses to start when it cannot use its key and certificate; MySQL starts without
    /// TLS. A server that is down can still be examined from its files, which is where the cause
    /// mostly is.
    ///
    /// ## How to fix
    /// Mend what the other findings name, then start the server. Without other findings, the last
    /// lines of its error log say why it stopped.
    ///
    /// ## Source
    /// MariaDB `sql/mysqld.cc`, `init_ssl()`; MySQL 8 error MY-013595.
    pub static SERVER_NOT_RUNNING = {
        id: "server-not-running",
        step: Server,
        severity: Error,
        passes_as: "the server answers",
        explained_by: KEEPS_TLS_OFF,
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if facts.is_running() {
        return Answer::Pass(version(facts));
    }
    let reasons = [facts.server.reason(), facts.wire.reason()];
    let unreachable =
        reasons.into_iter().flatten().find(|unread| unread.kind == UnreadKind::Unreachable);
    let Some(unreachable) = unreachable else {
        let reason = reasons.into_iter().flatten().next();
        return reason.map_or_else(Answer::pass, Answer::unknown);
    };
    let local = facts.config.read().is_some() || !facts.target.is_tcp();
    if !local {
        // From afar a server that is down, a wrong address and a firewall look the same.
        return Answer::unknown(unreachable);
    }
    let has_files =
        facts.files.read().is_some_and(|files| files.key.is_some() || files.certificate.is_some());
    let cause = if has_files {
        "nothing answers where it should listen; it is examined from its files"
    } else {
        "nothing answers where it should listen"
    };
    let mut finding = SERVER_NOT_RUNNING
        .finding("the server is not running", cause)
        .saw("tried", &unreachable.why);
    let log = facts.log.read().map_or(&[][..], Vec::as_slice);
    // notes are of the time when all was well
    let telling: Vec<&String> = log.iter().filter(|line| !line.contains("[Note]")).collect();
    for line in &telling[telling.len().saturating_sub(3)..] {
        finding = finding.saw("error log", *line);
    }
    let start = Action::shell(shell::START, Effect::None);
    Answer::fail(finding.remedy([Remedy::new("start the server", vec![start])]))
}

fn version(facts: &Facts) -> String {
    let greeting = facts.wire.read().map(|wire| wire.greeting.describe());
    let said =
        facts.server.read().map(|server| format!("{} {}", server.flavor.name(), server.version));
    said.or(greeting).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Source;
    use crate::rules::testing;

    #[test]
    fn a_server_that_answers_passes() {
        assert_eq!(judge(&testing::healthy()), Answer::Pass("MariaDB 10.11.19".into()));
    }

    #[test]
    fn a_refused_connection_is_reported_with_the_log() {
        let mut facts = testing::healthy();
        facts.server = Source::unread(UnreadKind::Unreachable, "nothing answers at /s.sock", "");
        facts.wire = Source::unread(UnreadKind::NotAsked, "", "");
        facts.log = Source::Read(vec!["SSL error: Unable to get private key".into()]);
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert!(
            findings[0]
                .evidence
                .iter()
                .any(|seen| seen.value.contains("Unable to get private key"))
        );
        assert!(findings[0].remedies[0].actions[0].text.contains("systemctl start"));
    }

    #[test]
    fn a_server_that_refuses_our_login_is_running_all_the_same() {
        let mut facts = testing::healthy();
        facts.server = Source::unread(UnreadKind::Refused, "root was refused", "");
        assert!(matches!(judge(&facts), Answer::Pass(_)));
    }

    #[test]
    fn a_server_elsewhere_that_cannot_be_reached_is_not_called_down() {
        let mut facts = testing::healthy();
        facts.target.host = Some("db1.example".into());
        facts.config = Source::unread(UnreadKind::NotAsked, "not on this host", "");
        facts.server = Source::unread(UnreadKind::Unreachable, "the host was not found", "");
        facts.wire = Source::unread(UnreadKind::Unreachable, "the host was not found", "");
        assert_eq!(judge(&facts), Answer::Unknown("the host was not found".into()));
    }

    #[test]
    fn a_timeout_is_not_called_down() {
        let mut facts = testing::healthy();
        facts.server = Source::unread(UnreadKind::Failed, "timed out", "try again");
        facts.wire = Source::unread(UnreadKind::Failed, "timed out", "try again");
        assert_eq!(judge(&facts), Answer::Unknown("timed out".into()));
    }
}
