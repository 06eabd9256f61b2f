use crate::facts::{Account, Facts, Require, ServerFacts};
use crate::remedy::statement::{Dialect, Form};
use crate::remedy::{Action, Remedy};
use crate::rules::{Answer, Finding, Severity, rule};

/// How many accounts get a finding of their own; the rest share one.
const NAMED: usize = 50;

rule! {
    /// An account that can come from the network does not ask for TLS.
    ///
    /// ## What it checks
    /// The `REQUIRE` clause of every account that is not locked and not bound to this host.
    ///
    /// ## Why it matters
    /// With REQUIRE NONE the password alone opens the account, from anywhere its host pattern
    /// allows, encrypted or not. Where the server itself insists on TLS
    /// (`require_secure_transport`), the way is safe and the password is still enough.
    ///
    /// ## How to fix
    /// `REQUIRE SSL` asks for encryption; `REQUIRE SUBJECT ... AND ISSUER ...` for one certificate.
    /// The Accounts step of the wizard writes the statement, and proves it.
    ///
    /// ## Source
    /// MySQL manual, "CREATE USER SSL/TLS Options"; `acl_check_ssl()`.
    pub static ACCOUNT_WITHOUT_REQUIRE = {
        id: "account-without-require",
        step: Accounts,
        severity: Error,
        passes_as: "every account from the network asks for TLS",
        explained_by: ["tls-off"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(server) = facts.server.read() else {
        return facts.server.reason().map_or_else(Answer::pass, Answer::unknown);
    };
    let Some(accounts) = server.accounts.read() else {
        return server.accounts.reason().map_or_else(Answer::pass, Answer::unknown);
    };
    if server.is_off_the_network() {
        return Answer::not_applicable("the server does not listen on the network");
    }
    let from_network: Vec<&Account> =
        accounts.iter().filter(|account| account.is_for_the_network()).collect();
    let open: Vec<&Account> =
        from_network.iter().copied().filter(|account| account.require == Require::None).collect();
    if open.is_empty() {
        return match from_network.len() {
            0 => Answer::not_applicable("no account can come from the network"),
            count => Answer::Pass(format!("{count} checked")),
        };
    }
    let (named, rest) = open.split_at(open.len().min(NAMED));
    let mut findings: Vec<Finding> =
        named.iter().map(|account| finding(server, &[account])).collect();
    if !rest.is_empty() {
        findings.push(finding(server, rest));
    }
    Answer::Fail(findings)
}

fn finding(server: &ServerFacts, accounts: &[&Account]) -> Finding {
    let enforced = server.is_on("require_secure_transport");
    let who = match accounts {
        [one] => one.name.to_string(),
        many => format!("{} more accounts", many.len()),
    };
    let mut finding = if enforced {
        ACCOUNT_WITHOUT_REQUIRE
            .finding(
                format!("for {who} the password alone is enough"),
                "the server asks everybody for TLS, and this account for no certificate",
            )
            .at(Severity::Note)
    } else {
        ACCOUNT_WITHOUT_REQUIRE.finding(
            format!("{who} may log in without TLS"),
            "its password and data may travel in the clear, and nothing tells anybody",
        )
    };
    if let [one] = accounts {
        finding = finding.saw("account", one.name.to_string()).saw("now", "REQUIRE NONE");
    }
    let sessions = server.sessions.read().into_iter().flatten();
    let plain: Vec<String> = sessions
        .filter(|session| session.connection_type == "TCP/IP")
        .filter(|session| accounts.iter().any(|account| session.is_of(&account.name)))
        .map(|session| format!("{} from {}", session.user, session.host))
        .collect();
    if !plain.is_empty() {
        finding = finding.saw("without TLS now", plain.join(", "));
    }
    let names: Vec<_> = accounts.iter().map(|account| account.name.clone()).collect();
    let dialect = Dialect::of(server);
    let sql = dialect.require(&names, &Require::Ssl, Form::Alter).sql();
    let undo = dialect.require(&names, &Require::None, Form::Alter).sql();
    let note = if server.sessions.read().is_none() {
        "who is connected without TLS now cannot be seen: performance_schema is off"
    } else if plain.is_empty() {
        "REQUIRE X509 or SUBJECT + ISSUER ask for a certificate as well"
    } else {
        "the sessions without TLS stay until they end, and cannot come back without it"
    };
    finding.remedy([Remedy::new("ask the account for TLS", vec![Action::sql(sql).with_undo(undo)])
        .with_note(note)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Flavor, OtherSession, Source, UnreadKind, Version};
    use crate::rules::testing;

    fn with(enforced: &str, accounts: Vec<Account>) -> Facts {
        testing::with_server(|server| {
            server.variables.insert("require_secure_transport".into(), enforced.into());
            server.accounts = Source::Read(accounts);
        })
    }

    #[test]
    fn accounts_that_ask_pass_and_local_or_locked_ones_do_not_matter() {
        let mut locked = testing::account("old", "%", Require::None);
        locked.locked = true;
        let facts = with(
            "OFF",
            vec![
                testing::account("app", "%", Require::X509),
                testing::account("root", "localhost", Require::None),
                locked,
            ],
        );
        assert_eq!(judge(&facts), Answer::Pass("1 checked".into()));
    }

    #[test]
    fn an_open_account_gets_the_statement_of_its_servers_dialect() {
        let mut facts = with("OFF", vec![testing::account("app", "10.0.%", Require::None)]);
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Error);
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "ALTER USER 'app'@'10.0.%' REQUIRE SSL;"
        );

        let Source::Read(server) = &mut facts.server else { panic!() };
        (server.flavor, server.version) = (Flavor::MySql, Version(5, 6, 24));
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert!(findings[0].remedies[0].actions[0].text.contains("GRANT USAGE ON *.*"));
    }

    #[test]
    fn where_the_server_insists_it_is_worth_a_note_only() {
        let facts = with("ON", vec![testing::account("app", "%", Require::None)]);
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Note);
    }

    #[test]
    fn sessions_that_would_be_locked_out_are_named() {
        let mut facts = with("OFF", vec![testing::account("app", "%", Require::None)]);
        let Source::Read(server) = &mut facts.server else { panic!() };
        server.sessions = Source::Read(vec![OtherSession {
            id: 1,
            user: "app".into(),
            host: "10.0.3.7".into(),
            connection_type: "TCP/IP".into(),
            command: String::new(),
            over: None,
        }]);
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].evidence[2].value, "app from 10.0.3.7");
    }

    #[test]
    fn many_accounts_share_a_finding() {
        let accounts = (0..500).map(|n| testing::account(&format!("u{n}"), "%", Require::None));
        let Answer::Fail(findings) = judge(&with("OFF", accounts.collect())) else { panic!() };
        assert_eq!(findings.len(), NAMED + 1);
        assert_eq!(findings[NAMED].title, "450 more accounts may log in without TLS");
    }

    #[test]
    fn accounts_out_of_sight_are_unknown() {
        let facts = testing::with_server(|server| {
            server.accounts = Source::unread(UnreadKind::Refused, "not allowed", "");
        });
        assert!(matches!(judge(&facts), Answer::Unknown(_)));
    }
}
