use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, rule};

rule! {
    /// The server's own certificate is that of a CA.
    ///
    /// ## What it checks
    /// Whether the certificate that the server's key belongs to says that it is a CA.
    ///
    /// ## Why it matters
    /// Whoever gets hold of the server's key can issue certificates in the name of any server and any
    /// account, for everybody who trusts this CA. OpenSSL takes such a certificate from a server;
    /// clients in Rust and others refuse it.
    ///
    /// ## How to fix
    /// Issue a certificate for the server, and keep the CA's key somewhere else.
    ///
    /// ## Source
    /// RFC 5280 §4.2.1.9; CA/Browser Forum Baseline Requirements §7.1.2.7.8.
    pub static CERTIFICATE_IS_CA = {
        id: "certificate-is-ca",
        step: Key,
        severity: Warning,
        passes_as: "the certificate is no CA",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    if leaf.is_ca != Some(true) {
        return Answer::pass();
    }
    let key = facts.files.read().and_then(|files| files.private_key());
    let in_use = facts.handshake().and_then(|handshake| handshake.chain.first());
    let is_its_own = match (key, in_use) {
        (Some(key), _) => leaf.certifies(&key.public),
        (None, in_use) => in_use.is_some_and(|in_use| in_use.sha256 == leaf.sha256),
    };
    if !is_its_own {
        return Answer::not_applicable("the server has no key to this certificate");
    }
    let finding = CERTIFICATE_IS_CA
        .finding(
            "the server's own certificate is that of a CA",
            "with the server's key certificates can be issued in anybody's name",
        )
        .saw("certificate", leaf.subject.display())
        .saw("basic constraints", "CA:TRUE");
    Answer::fail(finding.remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn a_ca() -> Facts {
        testing::with_files(|files| {
            files.certificate.as_mut().unwrap().content.as_mut().unwrap()[0].is_ca = Some(true);
        })
    }

    #[test]
    fn a_servers_certificate_passes_and_a_cas_does_not() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
        assert!(matches!(judge(&a_ca()), Answer::Fail(_)));
    }

    #[test]
    fn a_ca_whose_key_is_not_here_is_not_the_servers_own() {
        let mut facts = a_ca();
        let crate::facts::Source::Read(files) = &mut facts.files else { panic!() };
        let other = crate::x509::testing::root("other").key;
        files.key.as_mut().unwrap().content =
            Ok(crate::x509::PrivateKey::from_openssl(&other, "PRIVATE KEY"));
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
