use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, rule};

rule! {
    /// The server's certificate has the same subject as its CA.
    ///
    /// ## What it checks
    /// Whether subject and issuer of the server's certificate are the same name although its own
    /// key did not sign it.
    ///
    /// ## Why it matters
    /// A client that builds the chain takes the certificate for its own issuer, and fails with
    /// "self-signed certificate" although the CA is right. The manuals warn of equal common names;
    /// it is the whole name that counts.
    ///
    /// ## How to fix
    /// Issue the server's certificate with a subject of its own, such as the host's name.
    ///
    /// ## Source
    /// MySQL manual, "Creating SSL Certificates and Keys Using openssl"; RFC 5280 §6.1.
    pub static SAME_SUBJECT_AS_CA = {
        id: "same-subject-as-ca",
        step: Chain,
        severity: Error,
        passes_as: "the certificate and its CA have different names",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    if leaf.self_signed {
        return Answer::not_applicable("the certificate is its own CA");
    }
    if !leaf.is_self_issued() {
        return Answer::pass();
    }
    let finding = SAME_SUBJECT_AS_CA
        .finding(
            "the server's certificate has the same subject as its CA",
            "clients take it for self-signed and refuse it",
        )
        .saw("subject", leaf.subject.display())
        .saw("issuer", leaf.issuer.display());
    Answer::fail(finding.remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn leaf(facts: &mut Facts) -> &mut crate::x509::Certificate {
        let crate::facts::Source::Read(files) = &mut facts.files else { panic!() };
        &mut files.certificate.as_mut().unwrap().content.as_mut().unwrap()[0]
    }

    #[test]
    fn different_names_pass() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }

    #[test]
    fn the_whole_name_counts() {
        let mut facts = testing::healthy();
        let leaf = leaf(&mut facts);
        leaf.subject = leaf.issuer.clone();
        assert!(matches!(judge(&facts), Answer::Fail(_)));
    }

    #[test]
    fn a_self_signed_certificate_is_its_own_ca() {
        let mut facts = testing::healthy();
        let leaf = leaf(&mut facts);
        leaf.subject = leaf.issuer.clone();
        leaf.self_signed = true;
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
