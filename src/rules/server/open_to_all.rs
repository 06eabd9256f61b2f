use crate::facts::exposure::{self, Client};
use crate::facts::{Facts, ServerFacts, is_loopback};
use crate::remedy::{Action, Remedy};
use crate::rules::{Answer, rule};

rule! {
    /// The server listens on every address of its host.
    ///
    /// ## What it checks
    /// Whether `bind_address` is `*`, `0.0.0.0` or `::` while accounts may come from the network, and
    /// from where clients do come.
    ///
    /// ## Why it matters
    /// Whoever reaches one of the host's addresses reaches the server: each fault that lies before the
    /// login is then everybody's, and so is guessing of passwords. TLS does not change that. It is the
    /// default, and right where a firewall lets known addresses in alone, which mytls cannot see from
    /// here.
    ///
    /// ## How to fix
    /// Where every client is on this host: `bind_address = 127.0.0.1`. Elsewhere `mytls firewall` writes
    /// the rules for the addresses of those who connect, and `mytls reach` on another host proves them.
    ///
    /// ## Source
    /// MySQL manual, "bind_address"; MariaDB documentation, "Configuring MariaDB for Remote Client
    /// Access".
    pub static OPEN_TO_ALL_ADDRESSES = {
        id: "open-to-all-addresses",
        step: Server,
        severity: Note,
        passes_as: "the server does not listen on every address",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let server = facts.server.read();
    if server.is_some_and(ServerFacts::is_off_the_network) {
        return Answer::not_applicable("the server does not listen on the network");
    }
    let running = server.and_then(|server| server.variable("bind_address"));
    let configured = facts.config.read().and_then(|config| config.get("bind_address"));
    let Some(bound) = running.or(configured) else {
        return Answer::not_applicable("bind_address is not known");
    };
    let everything = |one: &str| matches!(one.trim(), "*" | "0.0.0.0" | "::");
    if !bound.split(',').any(everything) {
        return Answer::Pass(crate::printable::printable(bound).into_owned());
    }
    let Some(server) = server else {
        return Answer::not_applicable("the server does not answer, so its clients are not known");
    };
    let accounts = server.accounts.read().map_or(&[][..], Vec::as_slice);
    let open: Vec<String> = accounts
        .iter()
        .filter(|account| account.is_for_the_network())
        .map(|account| account.name.to_string())
        .collect();
    if server.accounts.read().is_some() && open.is_empty() {
        return Answer::Pass("no account may come from the network".into());
    }
    let clients: &[Client] = server.clients.read().map_or(&[], Vec::as_slice);
    let (addresses, names) = exposure::proposal(clients);
    let all_here = !clients.is_empty() && clients.iter().all(|client| is_loopback(&client.host));
    let mut finding = OPEN_TO_ALL_ADDRESSES
        .finding(
            "the server listens on every address of its host",
            "whoever reaches the host reaches the server, unless a firewall stands before it",
        )
        .saw("bind_address", bound);
    if !addresses.is_empty() {
        finding = finding.saw("clients come from", addresses.to_string());
    }
    if !names.is_empty() {
        finding = finding.saw("and from", names.join(", "));
    }
    for (network, count) in addresses.shared() {
        finding = finding.saw("one network", format!("{network} holds {count} of them"));
    }
    let remedy = match facts.config.read() {
        Some(config) if all_here => {
            let file = config.origin("bind_address").map_or(&config.main_file, |at| &at.file);
            let action = Action::config(file, &[("bind_address", "127.0.0.1")]);
            Some(
                Remedy::new("listen on this host's own address alone", vec![action])
                    .with_note("every client that is or was connected came from this host"),
            )
        }
        _ => None,
    };
    Answer::fail(finding.remedy(remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Require, Source};
    use crate::rules::{Severity, testing};

    fn bound(to: &str, clients: &[&str]) -> Facts {
        let clients = clients.iter().map(|host| Client {
            host: (*host).to_owned(),
            user: "app".into(),
            now: true,
        });
        testing::with_server(|server| {
            server.variables.insert("bind_address".into(), to.into());
            server.clients = Source::Read(clients.collect());
        })
    }

    #[test]
    fn all_addresses_are_noted_with_who_comes() {
        for to in ["*", "0.0.0.0", "::", "127.0.0.1,*"] {
            let Answer::Fail(findings) = judge(&bound(to, &["10.0.0.7"])) else { panic!("{to}") };
            assert_eq!(findings[0].severity, Severity::Note);
            assert!(findings[0].evidence.iter().any(|saw| saw.value == "10.0.0.7"));
            assert!(findings[0].remedies.is_empty(), "a client elsewhere is not shut out");
        }
    }

    #[test]
    fn where_every_client_is_here_it_may_listen_here_alone() {
        let Answer::Fail(findings) = judge(&bound("*", &["localhost", "127.0.0.1"])) else {
            panic!()
        };
        assert!(findings[0].remedies[0].actions[0].text.contains("bind_address = 127.0.0.1"));
        let Answer::Fail(findings) = judge(&bound("*", &[])) else { panic!() };
        assert!(findings[0].remedies.is_empty(), "nobody seen is nobody known");
    }

    #[test]
    fn one_address_no_network_and_no_account_are_well() {
        assert!(matches!(judge(&bound("10.0.0.1", &[])), Answer::Pass(_)));
        let mut local = bound("*", &[]);
        let Source::Read(server) = &mut local.server else { panic!() };
        server.accounts = Source::Read(vec![testing::account("root", "localhost", Require::None)]);
        assert!(matches!(judge(&local), Answer::Pass(_)));
        let mut off = bound("*", &[]);
        let Source::Read(server) = &mut off.server else { panic!() };
        server.variables.insert("skip_networking".into(), "ON".into());
        assert!(matches!(judge(&off), Answer::NotApplicable(_)));
        assert!(matches!(judge(&testing::healthy()), Answer::NotApplicable(_)));
    }
}
