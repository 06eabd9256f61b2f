use crate::facts::Facts;
use crate::rules::chain::{issuers, reissue_by_another, saw_issuer};
use crate::rules::{Answer, Finding, day, rule};

rule! {
    /// The CA has expired.
    ///
    /// ## What it checks
    /// The last day of the root that the server's certificate leads to. A CA that is there twice counts
    /// by the one that is valid.
    ///
    /// ## Why it matters
    /// Servers load it without a word, and the server's own certificate looks sound. Clients refuse
    /// the whole chain with "certificate has expired", and the server refuses theirs.
    ///
    /// ## How to fix
    /// Make a new CA, trust old and new for a while, and issue the certificates again.
    ///
    /// ## Source
    /// RFC 5280 §4.1.2.5 and §6.1.3; OpenSSL `X509_V_ERR_CERT_HAS_EXPIRED`.
    pub static CA_EXPIRED = {
        id: "ca-expired",
        step: Chain,
        severity: Error,
        passes_as: "the CA is valid",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let issuers = issuers(facts);
    let mut ours = issuers.iter().filter(|issuer| issuer.certificate.self_signed).peekable();
    if ours.peek().is_none() {
        return Answer::not_applicable("the root is not known");
    }
    let found: Vec<Finding> = ours
        .filter(|issuer| issuer.certificate.not_after < facts.at)
        .map(|issuer| {
            let finding = CA_EXPIRED.finding(
                "the CA has expired",
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
    use crate::facts::Source;
    use crate::rules::testing;
    use crate::x509::Certificate;

    fn cas(facts: &mut Facts) -> &mut Vec<Certificate> {
        let Source::Read(files) = &mut facts.files else { panic!() };
        files.ca.as_mut().unwrap().content.as_mut().unwrap()
    }

    #[test]
    fn an_expired_root_is_named_with_its_day() {
        let mut facts = testing::healthy();
        cas(&mut facts)[0].not_after = facts.at - 86_400;
        let at = facts.at;
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].evidence[2].value, day(at - 86_400));
    }

    #[test]
    fn an_expired_ca_that_issued_nothing_here_does_no_harm() {
        let mut facts = testing::healthy();
        let old = crate::x509::testing::root("Old Root").certificate;
        let mut old = Certificate::from_openssl(&old);
        old.not_after = 0;
        cas(&mut facts).insert(0, old);
        assert_eq!(judge(&facts), Answer::pass());
    }

    #[test]
    fn a_root_renewed_under_its_old_key_counts_by_the_valid_one() {
        let mut facts = testing::healthy();
        let mut old = cas(&mut facts)[0].clone();
        (old.not_after, old.sha256) = (0, "another".into());
        cas(&mut facts).insert(0, old);
        assert_eq!(judge(&facts), Answer::pass());
    }

    #[test]
    fn without_a_root_there_is_nothing_to_judge() {
        let facts = testing::with_files(|files| files.ca = None);
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
