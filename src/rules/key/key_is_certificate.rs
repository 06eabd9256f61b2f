use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::remedy::{Action, Remedy};
use crate::rules::key::key_mismatch::key_nearby;
use crate::rules::key::option_file;
use crate::rules::key::swapped::{is_certificate, swapped};
use crate::rules::{Answer, files, place, rule};

rule! {
    /// `ssl_key` names a certificate.
    ///
    /// ## What it checks
    /// Whether the file of `ssl_key` holds a certificate and no private key.
    ///
    /// ## Why it matters
    /// The server says "Unable to get private key", as for a key that is missing or closed, and
    /// offers no TLS; MariaDB does not start.
    ///
    /// ## How to fix
    /// Point `ssl_key` at the key that belongs to the certificate, or issue a new pair. A key cannot
    /// be computed from a certificate.
    ///
    /// ## Source
    /// OpenSSL, `SSL_CTX_use_PrivateKey_file()`.
    pub static KEY_IS_CERTIFICATE = {
        id: "key-is-certificate",
        step: Key,
        severity: Error,
        passes_as: "ssl_key names no certificate",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let Some(file) = &files.key else {
        return Answer::not_applicable("no ssl_key is set");
    };
    if !file.content.as_ref().is_err_and(is_certificate) {
        return Answer::pass();
    }
    if swapped(files) {
        return Answer::not_applicable("key and certificate are swapped");
    }
    let mut finding = KEY_IS_CERTIFICATE
        .finding(
            "ssl_key names a certificate, not a key",
            "the server finds no private key there, so it cannot offer TLS",
        )
        .saw("ssl_key", place(file));
    let nearby = key_nearby(facts);
    if let Some(path) = nearby {
        finding = finding.saw("key found", format!("{} matches ssl_cert", path.display()));
    }
    let point = nearby.map(|path| {
        let path = path.display().to_string();
        let action = Action::config(option_file(facts, "ssl_key"), &[("ssl_key", path.as_str())]);
        Remedy::new("point ssl_key at the key that matches the certificate", vec![action])
    });
    Answer::fail(finding.remedy(point).remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Holds, Nearby};
    use crate::rules::testing;
    use crate::x509::pem::Defect;

    fn certificate_as_key() -> Facts {
        testing::with_files(|files| {
            let key = files.private_key().unwrap().clone();
            let file = files.key.as_mut().unwrap();
            let (wanted, found) = ("private key".into(), "CERTIFICATE".into());
            file.content = Err(Defect::WrongKind { wanted, found });
            let path = "/etc/mysql/tls/server.key".into();
            files.nearby.push(Nearby { path, holds: Holds::Key(key) });
        })
    }

    #[test]
    fn a_key_passes() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }

    #[test]
    fn the_key_that_matches_is_offered_first() {
        let Answer::Fail(findings) = judge(&certificate_as_key()) else { panic!() };
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "[mysqld]\nssl_key = /etc/mysql/tls/server.key\n"
        );
    }

    #[test]
    fn a_new_key_never_takes_the_place_of_the_certificate() {
        let mut facts = certificate_as_key();
        let crate::facts::Source::Read(files) = &mut facts.files else { panic!() };
        files.nearby.clear();
        files.key.as_mut().unwrap().path = files.certificate.as_ref().unwrap().path.clone();
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let actions = &findings[0].remedies[0].actions;
        assert!(actions[0].text.contains("--key-file /etc/mysql/tls/server-key.pem"));
        assert!(actions[1].text.contains("ssl_key = /etc/mysql/tls/server-key.pem"));
    }
}
