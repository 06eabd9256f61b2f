use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::key::auto_generated::maker;
use crate::rules::{Answer, rule};

rule! {
    /// The server's certificate names no host.
    ///
    /// ## What it checks
    /// That the server's certificate has a host name or an address among its subject alternative
    /// names.
    ///
    /// ## Why it matters
    /// Clients that verify the name look there. Some fall back on the common name (`mysql`,
    /// `mariadb`, Java); Go, Rust and others do not, and refuse the server.
    ///
    /// ## How to fix
    /// Issue a certificate with every name and address that clients type.
    ///
    /// ## Source
    /// RFC 6125 §6.4.4; RFC 9525 §2.
    pub static CERTIFICATE_NAME_MISSING = {
        id: "certificate-name-missing",
        step: Key,
        severity: Warning,
        passes_as: "the certificate names its hosts",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    if !leaf.dns_names.is_empty() || !leaf.ip_addresses.is_empty() {
        return Answer::Pass(leaf.host_names().join(", "));
    }
    if leaf.version < 3 {
        return Answer::not_applicable("a certificate of version 1 cannot name any");
    }
    if maker(leaf).is_some() {
        return Answer::not_applicable("the server made this certificate for itself");
    }
    let finding = CERTIFICATE_NAME_MISSING
        .finding(
            "the certificate names no host",
            "clients that verify the name refuse the server, or make do with its common name",
        )
        .saw("certificate", leaf.subject.display())
        .saw("subject alternative names", "none");
    Answer::fail(finding.remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    #[test]
    fn names_or_addresses_alone_are_enough() {
        let answer = judge(&testing::healthy());
        assert_eq!(answer, Answer::Pass("db1.example, 127.0.0.1".into()));
    }

    #[test]
    fn a_certificate_without_either_is_found() {
        let facts = testing::with_files(|files| {
            let leaf = &mut files.certificate.as_mut().unwrap().content.as_mut().unwrap()[0];
            leaf.dns_names.clear();
            leaf.ip_addresses.clear();
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert!(findings[0].remedies[0].actions[0].text.contains("--san localhost,127.0.0.1"));
    }
}
