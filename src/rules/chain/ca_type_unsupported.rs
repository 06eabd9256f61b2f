use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, Severity, files, place, rule};
use crate::x509::{Certificate, KeyAlgorithm};

rule! {
    /// yaSSL cannot check what a CA of this kind signed.
    ///
    /// ## What it checks
    /// Of a server built with yaSSL: that the CAs of `ssl_ca` have RSA keys.
    ///
    /// ## Why it matters
    /// The server loads such a CA without a word and has TLS. Then it breaks off with every client
    /// that shows a certificate of this CA, in the clear: the client says "wrong version number".
    ///
    /// ## How to fix
    /// Issue the certificates from a CA with an RSA key, those of the clients, too.
    ///
    /// ## Source
    /// yaSSL `taocrypt/src/asn.cpp`, `CertDecoder::ConfirmSignature()`; tried on MySQL 5.6.24.
    pub static CA_TYPE_UNSUPPORTED = {
        id: "ca-type-unsupported",
        step: Chain,
        severity: Error,
        passes_as: "the CAs are of a kind that this server can use",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if !facts.is_yassl() {
        return Answer::not_applicable("OpenSSL knows every kind");
    }
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let (Some(file), all) = (&files.ca, files.ca_certificates()) else {
        return Answer::not_applicable("no ssl_ca is set");
    };
    let lost: Vec<&Certificate> = all.iter().filter(|ca| !is_rsa(ca)).collect();
    if lost.is_empty() {
        return Answer::pass();
    }
    let mut finding = CA_TYPE_UNSUPPORTED
        .finding(
            "this server's TLS library, yaSSL, cannot use a CA of this kind",
            "the server breaks off with every client that shows a certificate of this CA",
        )
        // in a bundle the others do their work
        .at(if lost.len() == all.len() { Severity::Error } else { Severity::Warning })
        .saw("ssl_ca", place(file));
    for ca in lost.iter().take(3) {
        let key = ca.public_key.as_ref().map(crate::x509::PublicKey::describe).unwrap_or_default();
        finding = finding.saw("CA", format!("{}  ({key})", ca.subject.display()));
    }
    Answer::fail(finding.remedy(reissue(facts)))
}

fn is_rsa(ca: &Certificate) -> bool {
    ca.public_key.as_ref().is_some_and(|key| key.algorithm == KeyAlgorithm::Rsa)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn trusting(library: &str, keys: &[KeyAlgorithm]) -> Facts {
        let mut facts = testing::with_server(|server| server.tls_library = Some(library.into()));
        let crate::facts::Source::Read(files) = &mut facts.files else { panic!() };
        let one = files.ca_certificates()[0].clone();
        let cas = keys.iter().map(|key| {
            let mut ca = one.clone();
            ca.public_key.as_mut().unwrap().algorithm = key.clone();
            ca
        });
        files.ca.as_mut().unwrap().content = Ok(cas.collect());
        facts
    }

    fn curve() -> KeyAlgorithm {
        KeyAlgorithm::Ec("prime256v1".into())
    }

    #[test]
    fn a_ca_on_a_curve_is_of_no_use_to_yassl() {
        for (keys, severity) in [
            (vec![curve()], Severity::Error),
            (vec![curve(), KeyAlgorithm::Rsa], Severity::Warning),
        ] {
            let Answer::Fail(findings) = judge(&trusting("YaSSL", &keys)) else { panic!() };
            assert_eq!(findings[0].severity, severity);
            assert_eq!(findings[0].evidence[1].value, "CN=Example Root  (EC P-256)");
        }
    }

    #[test]
    fn rsa_passes() {
        assert_eq!(judge(&trusting("YaSSL", &[KeyAlgorithm::Rsa])), Answer::pass());
    }

    #[test]
    fn openssl_knows_every_kind() {
        let answer = judge(&trusting("OpenSSL 3.0.19 27 Jan 2026", &[curve()]));
        assert!(matches!(answer, Answer::NotApplicable(_)));
    }
}
