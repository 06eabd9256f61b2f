use std::path::Path;

use crate::facts::{Facts, Holds};
use crate::remedy::certificates::reissue;
use crate::remedy::{Action, Remedy};
use crate::rules::{Answer, files, place, rule};
use crate::x509::PublicKey;

rule! {
    /// The private key belongs to another certificate.
    ///
    /// ## What it checks
    /// That the public half of `ssl_key` is the key that `ssl_cert` certifies: compared whole, so
    /// for RSA, elliptic curves and Ed25519 alike. For RSA the two sums are shown that
    /// `openssl x509 -noout -modulus -in CERT | md5sum` and
    /// `openssl rsa -noout -modulus -in KEY | md5sum` print.
    ///
    /// ## Why it matters
    /// With another certificate's key the server cannot prove who it is. MySQL starts with TLS
    /// off, and clients that merely prefer TLS go on in the clear; MariaDB does not start. The log
    /// says "Unable to get private key" and not why.
    ///
    /// ## How to fix
    /// Point `ssl_key` at the key the certificate was made with, or issue a new pair. A key cannot
    /// be computed from a certificate.
    ///
    /// ## Source
    /// OpenSSL, `SSL_CTX_use_PrivateKey_file()`; RFC 5280 §4.1.2.7.
    pub static KEY_MISMATCH = {
        id: "key-mismatch",
        step: Key,
        severity: Error,
        passes_as: "the key belongs to the certificate",
        explained_by: ["option-overridden"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let (Some(key), Some(key_file)) = (files.private_key(), &files.key) else {
        return Answer::not_applicable("there is no key to compare");
    };
    let (Some(leaf), Some(certificate_file)) = (files.leaf(), &files.certificate) else {
        return Answer::not_applicable("there is no certificate to compare");
    };
    if leaf.certifies(&key.public) {
        return Answer::Pass(sum(&key.public));
    }
    let Some(certified) = &leaf.public_key else {
        return Answer::Unknown("OpenSSL cannot read the certificate's key".into());
    };
    let mut finding = KEY_MISMATCH
        .finding(
            "the key belongs to another certificate",
            "the server cannot prove that the certificate is its own, so it cannot offer TLS",
        )
        .saw("certificate", place(certificate_file))
        .saw("", sum(certified))
        .saw("key", place(key_file))
        .saw("", format!("{}  \u{2260}", sum(&key.public)));
    let nearby = key_nearby(facts);
    if let Some(path) = nearby {
        finding = finding.saw("key found", format!("{} matches this certificate", path.display()));
    }
    let point = nearby.and_then(|path| {
        let config = facts.config.read()?;
        let origin = config.origin("ssl_key").map_or(&config.main_file, |origin| &origin.file);
        let action = Action::config(origin, &[("ssl_key", &path.display().to_string())]);
        Some(Remedy::new("point ssl_key at the key that matches", vec![action]))
    });
    Answer::fail(finding.remedy(point).remedy(reissue(facts)))
}

/// For RSA the sum that a DBA can compute; otherwise the start of the key's SHA-256.
fn sum(key: &PublicKey) -> String {
    match &key.modulus_md5 {
        Some(md5) => format!("{}, modulus md5 {md5}", key.describe()),
        None => format!(
            "{}, public key sha256 {}\u{2026}",
            key.describe(),
            key.spki_sha256.chars().take(16).collect::<String>()
        ),
    }
}

/// A key lying nearby that does belong to the server's certificate.
pub(super) fn key_nearby(facts: &Facts) -> Option<&Path> {
    let files = facts.files.read()?;
    let leaf = files.leaf()?;
    let found = files.nearby.iter().find(|near| match &near.holds {
        Holds::Key(key) => leaf.certifies(&key.public),
        Holds::Certificates(_) => false,
    });
    found.map(|near| near.path.as_path())
}

#[cfg(test)]
mod tests {
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;

    use super::*;
    use crate::facts::Nearby;
    use crate::rules::testing;
    use crate::x509::PrivateKey;

    fn other_key() -> PrivateKey {
        let key = crate::x509::testing::root("other").key;
        PrivateKey::from_openssl(&key, "PRIVATE KEY")
    }

    #[test]
    fn the_right_key_passes() {
        assert!(matches!(judge(&testing::healthy()), Answer::Pass(_)));
    }

    #[test]
    fn a_key_of_the_same_kind_and_size_is_found_out() {
        let facts =
            testing::with_files(|files| files.key.as_mut().unwrap().content = Ok(other_key()));
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].title, "the key belongs to another certificate");
        assert_eq!(findings[0].remedies.len(), 1, "no key was found nearby");
    }

    #[test]
    fn the_key_that_matches_is_looked_for_and_offered_first() {
        let facts = testing::with_files(|files| {
            let right = files.private_key().unwrap().clone();
            files.key.as_mut().unwrap().content = Ok(other_key());
            files.nearby.push(Nearby {
                path: "/etc/mysql/old/server.key".into(),
                holds: Holds::Key(right),
            });
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let first = &findings[0].remedies[0].actions[0];
        assert_eq!(first.text, "[mysqld]\nssl_key = /etc/mysql/old/server.key\n");
        assert_eq!(first.file.as_deref(), Some(Path::new("/etc/mysql/my.cnf")));
    }

    #[test]
    fn for_rsa_the_sums_of_the_checklist_are_shown() {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let key = PrivateKey::from_openssl(&key, "PRIVATE KEY");
        let md5 = key.public.modulus_md5.clone().unwrap();
        let facts = testing::with_files(|files| files.key.as_mut().unwrap().content = Ok(key));
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let shown = findings[0]
            .evidence
            .iter()
            .any(|seen| seen.value.contains(&format!("modulus md5 {md5}")));
        assert!(shown, "{:?}", findings[0].evidence);
    }

    #[test]
    fn a_key_that_matches_a_later_certificate_is_a_matter_of_order() {
        let facts = testing::with_files(|files| {
            let certificates = files.certificate.as_mut().unwrap().content.as_mut().unwrap();
            certificates.reverse();
        });
        assert!(matches!(judge(&facts), Answer::Pass(_)));
    }
}
