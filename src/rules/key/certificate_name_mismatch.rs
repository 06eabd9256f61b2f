use std::net::IpAddr;

use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::key::certificate_ip_as_name::misplaced;
use crate::rules::{Answer, Severity, rule};
use crate::x509::Certificate;

rule! {
    /// The server's certificate is for another host than the one that was asked for.
    ///
    /// ## What it checks
    /// Whether the certificate presented holds the host name or address given with `-h`. Without
    /// one, over a socket, nothing is compared: it is not known what clients type. An address of
    /// the host itself (127.0.0.1) is what administrators type; there the server's own host name
    /// counts as well, and another one is worth a note: the host may have more names than it knows.
    ///
    /// ## Why it matters
    /// Clients that verify the name refuse the server (`VERIFY_IDENTITY`, and MariaDB's clients from
    /// 11.4 on by default). A wildcard stands for one label: `*.example.com` is neither
    /// `example.com` nor `a.b.example.com`.
    ///
    /// ## How to fix
    /// Connect by a name that the certificate holds, or issue a certificate with this one, too.
    ///
    /// ## Source
    /// RFC 6125 §6.4; OpenSSL, `X509_check_host()`.
    pub static CERTIFICATE_NAME_MISMATCH = {
        id: "certificate-name-mismatch",
        step: Key,
        severity: Error,
        passes_as: "the certificate is for the host that was asked for",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let typed = facts.target.host.as_deref().filter(|_| facts.target.is_tcp());
    let Some(host) = typed else {
        return Answer::not_applicable("no host was named");
    };
    let Some(handshake) = facts.handshake() else {
        return Answer::not_applicable("there was no handshake");
    };
    let Some(leaf) = handshake.chain.first() else {
        return Answer::not_applicable("there is no certificate");
    };
    if handshake.name_matches {
        return Answer::Pass(host.to_owned());
    }
    if leaf.dns_names.is_empty() && leaf.ip_addresses.is_empty() {
        return Answer::not_applicable("the certificate names no host");
    }
    if misplaced(leaf).is_some_and(|ip| ip.to_string() == host) {
        return Answer::not_applicable("the address stands there as a name");
    }
    let ip = host.parse::<IpAddr>().ok();
    let severity = if ip.is_some_and(|ip| ip.is_loopback()) {
        if own_name_fits(facts, leaf) {
            return Answer::Pass("for the server's own name".into());
        }
        // it may have other names, which clients know and nothing here does
        Severity::Note
    } else if ip.is_some() || !host.contains('.') {
        // clients may know a better name than the one typed here
        Severity::Warning
    } else {
        Severity::Error
    };
    let finding = CERTIFICATE_NAME_MISMATCH
        .finding(
            format!("the certificate is not for {host}"),
            "clients that verify the name refuse the server when they connect by this one",
        )
        .saw("asked for", host)
        .saw("names", leaf.host_names().join(", "))
        .at(severity);
    Answer::fail(finding.remedy(reissue(facts)))
}

/// Whether the certificate is for a name that the server calls itself.
fn own_name_fits(facts: &Facts, leaf: &Certificate) -> bool {
    let own = |option: &str| facts.server.read()?.variable(option).map(str::to_ascii_lowercase);
    let own: Vec<String> = ["hostname", "report_host"].into_iter().filter_map(own).collect();
    let fits = |name: &str, own: &str| match (name.strip_prefix("*."), own.split_once('.')) {
        (Some(domain), Some((_, rest))) => domain == rest,
        (None, Some(_)) => name == own,
        // the host does not know its own domain
        (None, None) => name.split('.').next() == Some(own),
        (Some(_), None) => false,
    };
    let names = leaf.dns_names.iter().map(|name| name.to_ascii_lowercase());
    names.into_iter().any(|name| own.iter().any(|own| fits(&name, own)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn asked_for(host: &str, names: &[&str]) -> Facts {
        let mut facts = testing::with_server(|server| {
            server.variables.insert("hostname".into(), "srv17".into());
        });
        facts.target.host = Some(host.into());
        let handshake = testing::handshake(&mut facts);
        handshake.name_matches = false;
        handshake.chain[0].dns_names = names.iter().map(|name| (*name).to_owned()).collect();
        handshake.chain[0].ip_addresses.clear();
        facts
    }

    fn severity(host: &str, names: &[&str]) -> Option<Severity> {
        match judge(&asked_for(host, names)) {
            Answer::Fail(findings) => Some(findings[0].severity),
            _ => None,
        }
    }

    #[test]
    fn a_name_that_matches_passes_and_without_one_nothing_is_said() {
        let mut facts = asked_for("db1.example", &["db1.example"]);
        testing::handshake(&mut facts).name_matches = true;
        assert_eq!(judge(&facts), Answer::Pass("db1.example".into()));
        facts.target.host = None;
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }

    #[test]
    fn a_qualified_name_is_what_clients_type_and_other_words_may_not_be() {
        assert_eq!(severity("db1.example", &["db2.example"]), Some(Severity::Error));
        assert_eq!(severity("a.b.example", &["*.example"]), Some(Severity::Error));
        assert_eq!(severity("10.0.0.5", &["db2.example"]), Some(Severity::Warning));
        assert_eq!(severity("db1", &["db1.example"]), Some(Severity::Warning));
    }

    #[test]
    fn who_asks_for_this_host_itself_means_the_server_by_its_own_name() {
        assert_eq!(severity("127.0.0.1", &["srv17.example"]), None);
        assert_eq!(severity("127.0.0.1", &["*.example"]), Some(Severity::Note));
        assert_eq!(severity("127.0.0.1", &["srv18.example"]), Some(Severity::Note));
    }

    #[test]
    fn the_name_asked_for_is_in_the_new_certificate() {
        let Answer::Fail(findings) = judge(&asked_for("db1.example", &["db2.example"])) else {
            panic!()
        };
        assert!(findings[0].remedies[0].actions[0].text.contains("db1.example"));
    }
}
