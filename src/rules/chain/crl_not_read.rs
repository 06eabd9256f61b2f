use crate::facts::Facts;
use crate::remedy::Remedy;
use crate::rules::crl::disable;
use crate::rules::{Answer, rule};

rule! {
    /// Revocation lists are set, and yaSSL reads none.
    ///
    /// ## What it checks
    /// Whether a server built with yaSSL has `ssl_crl` or `ssl_crlpath` set.
    ///
    /// ## Why it matters
    /// yaSSL knows no revocation lists, and the server does not say so: it does not even mind that
    /// the file is missing. A certificate that was revoked still lets its owner in.
    ///
    /// ## How to fix
    /// Take the option out, so that nobody relies on it, and drop the accounts whose certificates
    /// were revoked or let them REQUIRE a new one.
    ///
    /// ## Source
    /// MySQL manual 5.6, "ssl_crl": it has no effect with yaSSL; tried on MySQL 5.6.24.
    pub static CRL_NOT_READ = {
        id: "crl-not-read",
        step: Chain,
        severity: Warning,
        passes_as: "no revocation lists are set that nobody reads",
        explained_by: ["tls-off"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if !facts.is_yassl() {
        return Answer::not_applicable("OpenSSL reads revocation lists");
    }
    let Some(config) = facts.config.read() else {
        return Answer::not_applicable("the server's option files were not read");
    };
    let set: Vec<(&str, &str)> = ["ssl_crl", "ssl_crlpath"]
        .into_iter()
        .filter_map(|option| Some((option, config.get(option)?)))
        .collect();
    if set.is_empty() {
        return Answer::pass();
    }
    let mut finding = CRL_NOT_READ.finding(
        "revocation lists are set, and this server reads none",
        "yaSSL knows no revocation lists: a certificate that was revoked still lets its owner in",
    );
    let mut actions = Vec::new();
    for (option, value) in set {
        finding = finding.saw(option, value);
        actions.extend(disable(config, option));
    }
    let remedy = Remedy::new("take the option out, so that nobody relies on it", actions)
        .with_note(
            "drop the accounts whose certificates were revoked, or let them REQUIRE a new one",
        );
    Answer::fail(finding.remedy([remedy]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn with_list(library: &str) -> Facts {
        let mut facts = testing::with_server(|server| server.tls_library = Some(library.into()));
        testing::set_option(&mut facts, "ssl_crl", "/etc/mysql/tls/crl.pem");
        facts
    }

    #[test]
    fn a_list_that_is_not_read_is_named_and_taken_out() {
        let Answer::Fail(findings) = judge(&with_list("YaSSL")) else { panic!() };
        assert_eq!(findings[0].evidence[0].value, "/etc/mysql/tls/crl.pem");
        assert!(
            findings[0].remedies[0].actions[0]
                .text
                .starts_with("sed -i.bak --follow-symlinks '20s/^/# /'")
        );
    }

    #[test]
    fn without_a_list_it_passes() {
        let facts = testing::with_server(|server| server.tls_library = Some("YaSSL".into()));
        assert_eq!(judge(&facts), Answer::pass());
    }

    #[test]
    fn openssl_reads_them() {
        let answer = judge(&with_list("OpenSSL 3.0.19 27 Jan 2026"));
        assert!(matches!(answer, Answer::NotApplicable(_)));
    }
}
