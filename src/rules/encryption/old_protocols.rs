use crate::facts::Facts;
use crate::remedy::{Action, Remedy};
use crate::rules::encryption::is_off;
use crate::rules::{Answer, rule};

rule! {
    /// The server still speaks TLS 1.0 or 1.1.
    ///
    /// ## What it checks
    /// `tls_version` of the running server.
    ///
    /// ## Why it matters
    /// Both were withdrawn in 2021: they rest on MD5 and SHA-1. MySQL has had neither since 8.0.28,
    /// and MariaDB does not offer them unless told to since 10.11.6.
    ///
    /// ## How to fix
    /// `tls_version = TLSv1.2,TLSv1.3`, and a restart.
    ///
    /// ## Source
    /// RFC 8996; MySQL manual and MariaDB documentation, "tls_version".
    pub static OLD_PROTOCOLS = {
        id: "old-protocols",
        step: Encryption,
        severity: Warning,
        passes_as: "only TLS 1.2 and later are spoken",
        explained_by: ["tls-off"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if is_off(facts) {
        return Answer::not_applicable("TLS is off, so that no protocol of it is spoken");
    }
    let offered = facts.server.read().and_then(|server| server.variable("tls_version"));
    let Some(offered) = offered else {
        return Answer::not_applicable("the server does not say which protocols it speaks");
    };
    let old: Vec<&str> = offered
        .split(',')
        .map(str::trim)
        .filter(|protocol| matches!(*protocol, "TLSv1" | "TLSv1.0" | "TLSv1.1"))
        .collect();
    if old.is_empty() {
        return Answer::Pass(offered.to_owned());
    }
    let mut finding = OLD_PROTOCOLS
        .finding(
            format!("the server still speaks {}", old.join(" and ")),
            "a client that knows no better, or was talked into it, uses a protocol that is broken",
        )
        .saw("tls_version", offered);
    if let Some(config) = facts.config.read() {
        let file = config.origin("tls_version").map_or(&config.main_file, |origin| &origin.file);
        let action = Action::config(file, &[("tls_version", "TLSv1.2,TLSv1.3")]);
        let remedy = Remedy::new("speak TLS 1.2 and 1.3 only", vec![action]);
        finding = finding
            .remedy([remedy.with_note("clients older than about 2014 cannot connect any more")]);
    }
    Answer::fail(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn speaking(protocols: &str) -> Facts {
        testing::with_server(|server| {
            server.variables.insert("tls_version".into(), protocols.into());
        })
    }

    #[test]
    fn old_ones_are_named_and_new_ones_pass() {
        assert!(matches!(judge(&speaking("TLSv1.2,TLSv1.3")), Answer::Pass(_)));
        let Answer::Fail(findings) = judge(&speaking("TLSv1.1,TLSv1.2")) else { panic!() };
        assert_eq!(findings[0].title, "the server still speaks TLSv1.1");
        let text = &findings[0].remedies[0].actions[0].text;
        assert_eq!(text, "[mysqld]\ntls_version = TLSv1.2,TLSv1.3\n");
    }

    #[test]
    fn where_tls_is_off_none_is_spoken() {
        for protocols in ["TLSv1.1,TLSv1.2", "TLSv1.2,TLSv1.3"] {
            let facts = testing::without_tls(speaking(protocols));
            assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
        }
    }

    #[test]
    fn a_server_that_does_not_say_is_not_judged() {
        assert!(matches!(judge(&testing::healthy()), Answer::NotApplicable(_)));
    }
}
