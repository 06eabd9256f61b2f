use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::chain::{cannot_verify, issuers, right_ca_nearby, use_ca};
use crate::rules::{Answer, files, place, rule};

rule! {
    /// The CA was made anew under its old name.
    ///
    /// ## What it checks
    /// Whether `ssl_ca` holds a CA that has the name of the issuer and not its key: by the
    /// signature.
    ///
    /// ## Why it matters
    /// By their names everything fits, and `openssl x509 -subject -issuer` shows no difference.
    /// The signature does not, so clients and server refuse each other: "certificate signature
    /// failure", or "unable to get local issuer certificate". MySQL's own certificates have the
    /// same names on every server of a version.
    ///
    /// ## How to fix
    /// Use the CA that did issue the certificate, or issue it again from the one there is; give
    /// each new CA a name of its own.
    ///
    /// ## Source
    /// RFC 5280 §4.1.2.6: a CA is to use a name for one key; OpenSSL
    /// `X509_V_ERR_CERT_SIGNATURE_FAILURE`.
    pub static CA_REMADE = {
        id: "ca-remade",
        step: Chain,
        severity: Error,
        passes_as: "the CA has the key that signed, not only the name",
        explained_by: ["same-subject-as-ca"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let (Some(certificate), Some(ca), Some(leaf)) = (&files.certificate, &files.ca, files.leaf())
    else {
        return Answer::not_applicable("there is no certificate, or no CA");
    };
    let issuers = issuers(facts);
    let top = issuers.last().map_or(leaf, |issuer| issuer.certificate);
    let namesake = files.ca_certificates().iter().find(|ca| ca.subject == top.issuer);
    let namesake = namesake.filter(|_| !top.self_signed && cannot_verify(facts));
    let Some(namesake) = namesake.filter(|ca| !top.is_signed_by(ca)) else {
        return Answer::pass();
    };
    let finding = CA_REMADE
        .finding(
            "ssl_ca holds a CA of the right name with another key",
            "the CA was made anew under its old name; the one before it issued the certificate",
        )
        .saw("ssl_cert", place(certificate))
        .saw("issued by", top.issuer.display())
        .saw("ssl_ca", place(ca))
        .saw("its key", key(namesake));
    let right = right_ca_nearby(files);
    let finding = match right {
        Some(path) => finding.saw("CA found", format!("{} issued it", path.display())),
        None => finding,
    };
    let right = right.and_then(|path| use_ca(facts, path));
    Answer::fail(finding.remedy(right).remedy(reissue(facts)))
}

fn key(ca: &crate::x509::Certificate) -> String {
    let fingerprint = ca.public_key.as_ref().map(|key| key.spki_sha256.chars().take(16).collect());
    fingerprint.map_or_else(|| "unknown".into(), |print: String| format!("sha256 {print}\u{2026}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;
    use crate::x509::Certificate;

    #[test]
    fn the_same_name_with_another_key_is_found_out() {
        let facts = testing::with_files(|files| {
            let again = crate::x509::testing::root("Example Root").certificate;
            files.ca.as_mut().unwrap().content = Ok(vec![Certificate::from_openssl(&again)]);
            files.under_ca = Some(Err(testing::no_issuer()));
        });
        assert!(matches!(judge(&facts), Answer::Fail(_)));
        let mismatch = (super::super::ca_mismatch::CA_MISMATCH.judge)(&facts);
        assert!(matches!(mismatch, Answer::NotApplicable(_)), "said once");
    }

    #[test]
    fn old_and_new_ca_side_by_side_are_a_rotation() {
        let facts = testing::with_files(|files| {
            let again = crate::x509::testing::root("Example Root").certificate;
            let cas = files.ca.as_mut().unwrap().content.as_mut().unwrap();
            cas.insert(0, Certificate::from_openssl(&again));
        });
        assert_eq!(judge(&facts), Answer::pass());
    }

    #[test]
    fn without_a_ca_there_is_nothing_to_compare() {
        let facts = testing::with_files(|files| files.ca = None);
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
