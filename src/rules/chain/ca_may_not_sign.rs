use crate::facts::Facts;
use crate::rules::chain::{cannot_verify, issuers, reissue_by_another, saw_issuer};
use crate::rules::{Answer, Finding, rule};

rule! {
    /// A CA's key may not be used to sign certificates.
    ///
    /// ## What it checks
    /// That the key usage of every CA of the chain, where it has one, includes `keyCertSign`.
    ///
    /// ## Why it matters
    /// OpenSSL does not take such a CA for the issuer at all: "unable to get local issuer
    /// certificate" or "invalid CA certificate", although the CA is there and its name and key are
    /// right.
    ///
    /// ## How to fix
    /// Issue the certificates again from a CA whose key usage is `keyCertSign, cRLSign`.
    ///
    /// ## Source
    /// RFC 5280 §4.2.1.3; OpenSSL `X509_V_ERR_KEYUSAGE_NO_CERTSIGN`.
    pub static CA_MAY_NOT_SIGN = {
        id: "ca-may-not-sign",
        step: Chain,
        severity: Error,
        passes_as: "every CA of the chain may sign certificates",
        explained_by: ["ca-not-a-ca"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let issuers = issuers(facts);
    if issuers.is_empty() {
        return Answer::not_applicable("no CA is known that issued the certificate");
    }
    let may_not = issuers.iter().filter(|i| i.certificate.may_sign_certificates == Some(false));
    let found: Vec<Finding> = may_not
        .map(|issuer| {
            let finding = CA_MAY_NOT_SIGN.finding(
                "the CA's key may not be used to sign certificates",
                "clients do not take it for the issuer, although its name and key are right",
            );
            let finding = saw_issuer(finding, issuer).saw("key usage", "without keyCertSign");
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
    fn a_key_usage_without_certificate_signing_is_found() {
        let facts = break_issuer(|ca| ca.may_sign_certificates = Some(false));
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].evidence[0].value, "CN=Issuing CA");
    }

    #[test]
    fn a_ca_without_a_key_usage_may_do_anything() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
        assert_eq!(judge(&break_issuer(|ca| ca.may_sign_certificates = None)), Answer::pass());
    }

    #[test]
    fn without_an_issuer_there_is_nothing_to_judge() {
        assert!(matches!(judge(&no_certificate()), Answer::NotApplicable(_)));
    }
}
