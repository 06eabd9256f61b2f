use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::key::path;
use crate::rules::{Answer, rule};

rule! {
    /// A certificate is signed with SHA-1 or MD5.
    ///
    /// ## What it checks
    /// The signature algorithm of the server's certificate and of the intermediates above it. That
    /// of a root is not looked at: nobody verifies it.
    ///
    /// ## Why it matters
    /// Such signatures can be forged. OpenSSL 3 refuses them at every security level that is in use:
    /// some servers do not load the certificate ("Unable to get certificate"), others do, and clients
    /// of today refuse it ("ca md too weak").
    ///
    /// ## How to fix
    /// Issue a new certificate with SHA-256.
    ///
    /// ## Source
    /// OpenSSL, `SSL_CTX_set_security_level()`; RFC 9155.
    pub static CERTIFICATE_WEAK_SIGNATURE = {
        id: "certificate-weak-signature",
        step: Key,
        severity: Error,
        passes_as: "the signatures are strong",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let path = path(facts);
    let Some(leaf) = path.first() else {
        return Answer::not_applicable("there is no certificate");
    };
    let weak = |algorithm: &str| {
        let algorithm = algorithm.to_ascii_lowercase();
        ["sha1", "md5", "md4", "md2"].iter().any(|digest| algorithm.contains(digest))
    };
    let found =
        path.iter().filter(|one| !one.self_signed).find(|one| weak(&one.signature_algorithm));
    let Some(found) = found else {
        return Answer::Pass(leaf.signature_algorithm.clone());
    };
    let finding = CERTIFICATE_WEAK_SIGNATURE
        .finding(
            "a certificate is signed in a way that can be forged",
            "clients of today refuse it, and so do servers with OpenSSL 3.0",
        )
        .saw("certificate", found.subject.display())
        .saw("signed with", &found.signature_algorithm);
    Answer::fail(finding.remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn signed(at: usize, algorithm: &str) -> Facts {
        testing::with_files(|files| {
            let certificates = files.certificate.as_mut().unwrap().content.as_mut().unwrap();
            certificates[at].signature_algorithm = algorithm.into();
        })
    }

    #[test]
    fn strong_signatures_pass() {
        assert_eq!(judge(&testing::healthy()), Answer::Pass("ecdsa-with-SHA256".into()));
    }

    #[test]
    fn weak_ones_are_found_in_leaf_and_intermediate() {
        for (at, algorithm) in
            [(0, "sha1WithRSAEncryption"), (0, "md5WithRSAEncryption"), (1, "ecdsa-with-SHA1")]
        {
            assert!(matches!(judge(&signed(at, algorithm)), Answer::Fail(_)), "{algorithm}");
        }
    }

    #[test]
    fn how_a_root_signed_itself_does_not_matter() {
        let mut facts = signed(1, "sha1WithRSAEncryption");
        let crate::facts::Source::Read(files) = &mut facts.files else { panic!() };
        files.certificate.as_mut().unwrap().content.as_mut().unwrap()[1].self_signed = true;
        assert!(matches!(judge(&facts), Answer::Pass(_)));
    }
}
