use crate::facts::Facts;
use crate::remedy::transport;
use crate::rules::encryption::{is_off, open_accounts};
use crate::rules::{Answer, rule};

rule! {
    /// The server lets connections in without TLS.
    ///
    /// ## What it checks
    /// Whether `require_secure_transport` is on, or every account that can come from the network
    /// asks for TLS itself.
    ///
    /// ## Why it matters
    /// TLS that is offered but not asked for protects nobody: a client without it, or one that
    /// somebody on the path talked out of it, connects in the clear.
    ///
    /// ## How to fix
    /// `SET GLOBAL require_secure_transport = ON`, and the same in the option file. The socket
    /// stays open to local clients.
    ///
    /// ## Source
    /// MySQL manual and MariaDB documentation, "require_secure_transport" (MySQL 5.7.8, MariaDB
    /// 10.5.2).
    pub static TRANSPORT_NOT_ENFORCED = {
        id: "transport-not-enforced",
        step: Encryption,
        severity: Warning,
        passes_as: "TLS is asked of everybody",
        explained_by: ["tls-off"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(server) = facts.server.read() else {
        return facts.server.reason().map_or_else(Answer::pass, Answer::unknown);
    };
    if server.is_off_the_network() {
        return Answer::not_applicable("the server does not listen on the network");
    }
    if server.variable("require_secure_transport").is_none() {
        return Answer::not_applicable("this server has no require_secure_transport");
    }
    let is_asked = server.is_on("require_secure_transport");
    if is_off(facts) {
        return Answer::not_applicable(if is_asked {
            "TLS is off, so that nobody can log in over the network"
        } else {
            "TLS is off, so that nobody can be asked for it"
        });
    }
    if is_asked {
        return Answer::Pass("require_secure_transport = ON".into());
    }
    let Some(open) = open_accounts(facts) else {
        return server.accounts.reason().map_or_else(Answer::pass, Answer::unknown);
    };
    if open.is_empty() {
        return Answer::Pass("every account from the network asks for it".into());
    }
    let finding = TRANSPORT_NOT_ENFORCED
        .finding(
            "the server lets connections in without TLS",
            "TLS that nobody has to use protects nobody",
        )
        .saw("require_secure_transport", "OFF")
        .saw("accounts without REQUIRE", names(&open));
    let plain: Vec<String> = server
        .sessions
        .read()
        .into_iter()
        .flatten()
        .filter(|session| session.connection_type == "TCP/IP")
        .map(|session| format!("{} from {}", session.user, session.host))
        .collect();
    let finding =
        if plain.is_empty() { finding } else { finding.saw("would be refused", plain.join(", ")) };
    Answer::fail(finding.remedy([transport::require(facts)]))
}

/// The first few by name.
fn names(accounts: &[&crate::facts::Account]) -> String {
    const NAMED: usize = 8;
    let named = accounts.iter().take(NAMED).map(|account| account.name.to_string());
    let more = accounts.len().saturating_sub(NAMED);
    let rest = (more > 0).then(|| format!("{more} more"));
    named.chain(rest).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Require, Source, UnreadKind};
    use crate::rules::testing;

    fn off(accounts: Vec<crate::facts::Account>) -> Facts {
        testing::with_server(|server| {
            server.variables.insert("require_secure_transport".into(), "OFF".into());
            server.accounts = Source::Read(accounts);
        })
    }

    #[test]
    fn on_passes() {
        assert_eq!(
            judge(&testing::healthy()),
            Answer::Pass("require_secure_transport = ON".into())
        );
    }

    #[test]
    fn off_passes_while_every_account_asks_itself() {
        let facts = off(vec![
            testing::account("app", "%", Require::Ssl),
            testing::account("root", "localhost", Require::None),
        ]);
        assert!(matches!(judge(&facts), Answer::Pass(_)));
    }

    #[test]
    fn off_with_an_open_account_is_switched_on_now_and_for_the_next_start() {
        let facts = off(vec![testing::account("app", "%", Require::None)]);
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let actions = &findings[0].remedies[0].actions;
        assert_eq!(actions[0].text, "SET GLOBAL require_secure_transport = ON;");
        assert_eq!(actions[1].text, "[mysqld]\nrequire_secure_transport = ON\n");
        assert_eq!(findings[0].remedies[0].effect(), crate::remedy::Effect::None);
    }

    #[test]
    fn where_tls_is_off_nobody_can_be_asked_for_it() {
        let open = off(vec![testing::account("app", "%", Require::None)]);
        for facts in [testing::healthy(), off(Vec::new()), open] {
            let facts = testing::without_tls(facts);
            assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
        }
    }

    #[test]
    fn a_server_without_the_variable_is_not_asked() {
        let facts = testing::with_server(|server| {
            server.variables.remove("require_secure_transport");
        });
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }

    #[test]
    fn accounts_out_of_sight_leave_it_open() {
        let mut facts = off(Vec::new());
        let Source::Read(server) = &mut facts.server else { panic!() };
        server.accounts = Source::unread(UnreadKind::Refused, "not allowed", "");
        assert!(matches!(judge(&facts), Answer::Unknown(_)));
    }
}
