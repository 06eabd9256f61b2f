use crate::facts::{Facts, ServerFiles};
use crate::remedy::{Action, Remedy};
use crate::rules::key::option_file;
use crate::rules::{Answer, files, place, rule};
use crate::x509::pem::Defect;

rule! {
    /// `ssl_cert` names the key, and `ssl_key` the certificate.
    ///
    /// ## What it checks
    /// Whether the file of `ssl_cert` holds a private key while that of `ssl_key` holds a
    /// certificate.
    ///
    /// ## Why it matters
    /// The server says "Unable to get certificate", which sounds like a damaged file, and offers no
    /// TLS; MariaDB does not start.
    ///
    /// ## How to fix
    /// Swap the two options.
    ///
    /// ## Source
    /// OpenSSL, `SSL_CTX_use_certificate_chain_file()` and `SSL_CTX_use_PrivateKey_file()`.
    pub static CERTIFICATE_AND_KEY_SWAPPED = {
        id: "certificate-and-key-swapped",
        step: Key,
        severity: Error,
        passes_as: "key and certificate are each in their place",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let (Some(key), Some(certificate)) = (&files.key, &files.certificate) else {
        return Answer::not_applicable("ssl_cert and ssl_key are not both set");
    };
    if !swapped(files) {
        return Answer::pass();
    }
    let (cert_path, key_path) =
        (certificate.path.display().to_string(), key.path.display().to_string());
    let swap = Action::config(
        option_file(facts, "ssl_key"),
        &[("ssl_cert", key_path.as_str()), ("ssl_key", cert_path.as_str())],
    );
    let finding = CERTIFICATE_AND_KEY_SWAPPED
        .finding(
            "ssl_cert names the key, and ssl_key the certificate",
            "the server finds neither where it looks, so it cannot offer TLS",
        )
        .saw("ssl_cert", place(certificate))
        .saw("holds", "a private key")
        .saw("ssl_key", place(key))
        .saw("holds", "a certificate");
    Answer::fail(finding.remedy([Remedy::new("swap the two options", vec![swap])]))
}

/// Whether each of the two files holds what belongs into the other.
pub(super) fn swapped(files: &ServerFiles) -> bool {
    let key = files.key.as_ref().and_then(|file| file.content.as_ref().err());
    let certificate = files.certificate.as_ref().and_then(|file| file.content.as_ref().err());
    let holds_key = |found: &str| found.contains("PRIVATE KEY");
    key.is_some_and(is_certificate)
        && matches!(certificate, Some(Defect::WrongKind { found, .. }) if holds_key(found))
}

/// What a key file that holds a certificate is found to be.
pub(super) fn is_certificate(defect: &Defect) -> bool {
    let certificate = |found: &str| found.to_ascii_uppercase().contains("CERTIFICATE");
    matches!(defect, Defect::WrongKind { found, .. } if certificate(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn wrong(wanted: &str, found: &str) -> Defect {
        Defect::WrongKind { wanted: wanted.into(), found: found.into() }
    }

    #[test]
    fn each_in_its_place_passes() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }

    #[test]
    fn swapped_files_are_swapped_back_by_the_options() {
        let facts = testing::with_files(|files| {
            files.key.as_mut().unwrap().content = Err(wrong("private key", "CERTIFICATE"));
            files.certificate.as_mut().unwrap().content = Err(wrong("certificate", "PRIVATE KEY"));
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "[mysqld]\nssl_cert = /etc/mysql/tls/server-key.pem\n\
             ssl_key = /etc/mysql/tls/server-cert.pem\n"
        );
    }

    #[test]
    fn a_certificate_as_key_alone_is_another_matter() {
        let facts = testing::with_files(|files| {
            files.key.as_mut().unwrap().content = Err(wrong("private key", "CERTIFICATE"));
        });
        assert_eq!(judge(&facts), Answer::pass());
    }
}
