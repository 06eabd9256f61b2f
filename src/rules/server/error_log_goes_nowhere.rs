use crate::facts::{Facts, LogPlace, ServerConfig};
use crate::remedy::{Action, Remedy};
use crate::rules::{Answer, rule};

rule! {
    /// What the server writes into its error log is thrown away.
    ///
    /// ## What it checks
    /// Where the lines end up: the file of `log_error`, or what the server's process has for its
    /// standard error when none is set.
    ///
    /// ## Why it matters
    /// Why TLS is off, and which name of a certificate did not fit, is told there and nowhere else: a
    /// client sees error 1045 whatever the reason. A start script that sends the output of the
    /// server to /dev/null is enough.
    ///
    /// ## How to fix
    /// Name a file with `log_error`, or let systemd's journal have it.
    ///
    /// ## Source
    /// MySQL manual, "Error Log Configuration"; MariaDB, "Error Log".
    pub static ERROR_LOG_GOES_NOWHERE = {
        id: "error-log-goes-nowhere",
        step: Server,
        severity: Warning,
        passes_as: "the error log can be read",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let place = match (facts.log_place.read(), facts.log_place.reason()) {
        (Some(place), _) => place,
        (None, why) => {
            return Answer::not_applicable(why.map_or("it was not asked", |why| why.why.as_str()));
        }
    };
    let LogPlace::Nowhere { how } = place else { return Answer::Pass(place.describe()) };
    let finding = ERROR_LOG_GOES_NOWHERE
        .finding(
            "the error log goes nowhere",
            "the server tells nobody why it refuses a certificate, or why TLS is off",
        )
        .saw("error log", how);
    let config = facts.config.read();
    Answer::fail(finding.remedy(config.and_then(|config| into_a_file(facts, config))))
}

fn into_a_file(facts: &Facts, config: &ServerConfig) -> Option<Remedy> {
    let server = facts.server.read()?;
    let folder = server.variable("datadir")?.trim_end_matches('/');
    let file = format!("{folder}/error.log");
    let actions = vec![Action::config(&config.main_file, &[("log_error", &file)])];
    Some(Remedy::new("write it into a file of the data folder", actions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Source;
    use crate::rules::testing;

    fn with(place: LogPlace) -> Facts {
        let mut facts = testing::with_server(|server| {
            server.variables.insert("datadir".into(), "/var/lib/mysql/".into());
        });
        facts.log_place = Source::Read(place);
        facts
    }

    #[test]
    fn a_log_that_is_thrown_away_gets_a_file() {
        let facts = with(LogPlace::Nowhere { how: "log_error is /dev/null".into() });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].evidence[0].value, "log_error is /dev/null");
        let text = &findings[0].remedies[0].actions[0].text;
        assert_eq!(text, "[mysqld]\nlog_error = /var/lib/mysql/error.log\n");
    }

    #[test]
    fn a_log_that_somebody_can_read_passes_and_one_out_of_sight_is_left_alone() {
        assert_eq!(judge(&with(LogPlace::Syslog)), Answer::Pass("the system's log".into()));
        let mut facts = with(LogPlace::Syslog);
        facts.log_place = Source::unread(crate::facts::UnreadKind::NotAsked, "elsewhere", "");
        assert_eq!(judge(&facts), Answer::NotApplicable("elsewhere".into()));
    }
}
