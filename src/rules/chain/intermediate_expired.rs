use crate::facts::Facts;
use crate::rules::chain::{issuers, reissue_by_another, saw_issuer};
use crate::rules::{Answer, Finding, day, rule};

rule! {
    /// An intermediate CA has expired.
    ///
    /// ## What it checks
    /// The last day of each CA between the server's certificate and the root.
    ///
    /// ## Why it matters
    /// Servers load it without a word, and the server's own certificate looks sound. Clients refuse
    /// the whole chain with "certificate has expired", and the server refuses theirs.
    ///
    /// ## How to fix
    /// Put the intermediate's successor into the chain, or issue the certificate again from a CA that is
    /// valid.
    ///
    /// ## Source
    /// RFC 5280 §4.1.2.5 and §6.1.3; OpenSSL `X509_V_ERR_CERT_HAS_EXPIRED`.
    pub static INTERMEDIATE_EXPIRED = {
        id: "intermediate-expired",
        step: Chain,
        severity: Error,
        passes_as: "every intermediate CA is valid",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let issuers = issuers(facts);
    let mut ours = issuers.iter().filter(|issuer| !issuer.certificate.self_signed).peekable();
    if ours.peek().is_none() {
        return Answer::not_applicable("no intermediate is known");
    }
    let found: Vec<Finding> = ours
        .filter(|issuer| issuer.certificate.not_after < facts.at)
        .map(|issuer| {
            let finding = INTERMEDIATE_EXPIRED.finding(
                "an intermediate CA has expired",
                "clients refuse the chain, though the server's own certificate may still be valid",
            );
            let finding =
                saw_issuer(finding, issuer).saw("expired on", day(issuer.certificate.not_after));
            finding.remedy(reissue_by_another(facts, issuer.certificate))
        })
        .collect();
    if found.is_empty() { Answer::pass() } else { Answer::Fail(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::chain::testing::break_issuer;
    use crate::rules::testing;

    #[test]
    fn an_expired_intermediate_is_named() {
        let facts = break_issuer(|ca| ca.not_after = 1_000_000_000);
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].evidence[0].value, "CN=Issuing CA");
        assert_eq!(findings[0].evidence[2].value, "2001-09-09");
    }

    #[test]
    fn a_valid_one_passes() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }

    #[test]
    fn a_server_under_the_root_itself_has_none() {
        let facts = testing::with_files(|files| {
            let root = crate::x509::testing::root("R");
            let leaf = root.issue_server("db1").certificate;
            let summary = crate::x509::Certificate::from_openssl;
            files.certificate.as_mut().unwrap().content = Ok(vec![summary(&leaf)]);
            files.ca.as_mut().unwrap().content = Ok(vec![summary(&root.certificate)]);
            files.signers = vec![None];
        });
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
