use crate::facts::Facts;
use crate::rules::chain::{cannot_verify, issuers, reissue_by_another, saw_issuer};
use crate::rules::{Answer, Finding, rule};

rule! {
    /// A CA is none: its certificate does not say that it may issue others.
    ///
    /// ## What it checks
    /// That every certificate between the server's own and the root says `CA:TRUE` in its basic
    /// constraints.
    ///
    /// ## Why it matters
    /// Servers load such a chain without a word. Clients refuse it with "invalid CA certificate",
    /// since otherwise everybody with a certificate could issue more of them; the server refuses
    /// the clients' certificates for the same reason.
    ///
    /// ## How to fix
    /// Issue the certificates again from a CA made as one: `basicConstraints = critical, CA:TRUE`.
    ///
    /// ## Source
    /// RFC 5280 §4.2.1.9; OpenSSL `X509_V_ERR_INVALID_CA`.
    pub static CA_NOT_A_CA = {
        id: "ca-not-a-ca",
        step: Chain,
        severity: Error,
        passes_as: "every CA of the chain is one",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let issuers = issuers(facts);
    if issuers.is_empty() {
        return Answer::not_applicable("no CA is known that issued the certificate");
    }
    // A root of version 1 has no such field, and is trusted nevertheless.
    let found = issuers.iter().filter(|issuer| issuer.certificate.is_ca == Some(false));
    let found: Vec<Finding> = found
        .map(|issuer| {
            let finding = CA_NOT_A_CA.finding(
                "the CA's certificate does not say that it is a CA",
                "clients refuse everything it issued: \"invalid CA certificate\"",
            );
            let finding = saw_issuer(finding, issuer).saw("basic constraints", "CA:FALSE");
            finding.remedy(reissue_by_another(facts, issuer.certificate))
        })
        .collect();
    if found.is_empty() || !cannot_verify(facts) { Answer::pass() } else { Answer::Fail(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::chain::testing::{break_issuer, no_certificate};
    use crate::rules::testing;

    #[test]
    fn a_ca_that_is_none_is_named_with_the_file_it_stands_in() {
        let facts = break_issuer(|ca| ca.is_ca = Some(false));
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].evidence[0].value, "CN=Issuing CA");
        assert!(findings[0].evidence[1].value.starts_with("/etc/mysql/tls/server-cert.pem"));
        assert!(!findings[0].remedies.is_empty());
    }

    #[test]
    fn a_sound_chain_and_an_old_root_without_extensions_pass() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
        assert_eq!(judge(&break_issuer(|ca| ca.is_ca = None)), Answer::pass());
    }

    #[test]
    fn without_an_issuer_there_is_nothing_to_judge() {
        assert!(matches!(judge(&no_certificate()), Answer::NotApplicable(_)));
    }
}
