use crate::facts::Facts;
use crate::remedy::access;
use crate::remedy::certificates::reissue;
use crate::rules::key::swapped::swapped;
use crate::rules::key::{blockers, own_blockers, show_blockers};
use crate::rules::{Answer, files, place, rule};
use crate::x509::pem::Defect;

rule! {
    /// The certificate file holds no usable certificate, or the server may not read it.
    ///
    /// ## What it checks
    /// That the file of `ssl_cert` exists, holds certificates in PEM form, and is open to the user
    /// the server runs as.
    ///
    /// ## Why it matters
    /// Servers answer a missing, closed, empty, binary or damaged file with the same "Unable to get
    /// certificate". MySQL then starts without TLS; MariaDB does not start.
    ///
    /// ## How to fix
    /// Put the certificate there again, in PEM form (`openssl x509 -inform DER -in CERT -out
    /// CERT.pem` converts), or issue a new one.
    ///
    /// ## Source
    /// OpenSSL, `SSL_CTX_use_certificate_chain_file()`; RFC 7468.
    pub static CERTIFICATE_UNUSABLE = {
        id: "certificate-unusable",
        step: Key,
        severity: Error,
        passes_as: "the certificate file holds a certificate",
        explained_by: ["option-overridden"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let Some(file) = &files.certificate else {
        return Answer::not_applicable("no ssl_cert is set");
    };
    if swapped(files) {
        return Answer::not_applicable("key and certificate are swapped");
    }
    let closed = own_blockers(file, &[blockers(files.key.as_ref())]);
    if !closed.is_empty() {
        let finding = CERTIFICATE_UNUSABLE
            .finding(
                "the server may not read its certificate",
                "the server cannot load its certificate, so it cannot offer TLS",
            )
            .saw("ssl_cert", place(file));
        let user = files.server_user.as_deref().unwrap_or("the server's user");
        let finding = show_blockers(finding, &closed);
        return Answer::fail(finding.remedy([access::open(facts, user, &closed)]));
    }
    let defect = match &file.content {
        Ok(certificates) => {
            let leaf = files.leaf().or(certificates.first());
            let names = leaf.map(|leaf| leaf.host_names().join(", ")).unwrap_or_default();
            let kind = leaf
                .and_then(|leaf| leaf.public_key.as_ref())
                .map(crate::x509::PublicKey::describe);
            return Answer::Pass(format!("{}, for {names}", kind.unwrap_or_default()));
        }
        Err(Defect::Denied) => {
            return Answer::Unknown(format!(
                "mytls may not read {}; run it as root or as the server's user",
                crate::printable::printable(&file.path.display().to_string())
            ));
        }
        Err(defect) => defect,
    };
    let finding = CERTIFICATE_UNUSABLE
        .finding(
            "the certificate file holds no usable certificate",
            "the server cannot load its certificate, so it cannot offer TLS",
        )
        .saw("ssl_cert", place(file))
        .saw("problem", defect.to_string());
    Answer::fail(finding.remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Blocker, Class, Readable};
    use crate::rules::testing;

    #[test]
    fn a_certificate_passes_with_its_names() {
        let answer = judge(&testing::healthy());
        assert_eq!(answer, Answer::Pass("EC P-256, for db1.example, 127.0.0.1".into()));
    }

    #[test]
    fn a_file_cut_in_half_says_so() {
        let facts = testing::with_files(|files| {
            let cut_off = Defect::CutOff { label: "CERTIFICATE".into() };
            files.certificate.as_mut().unwrap().content = Err(cut_off);
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert!(findings[0].evidence[1].value.contains("-----END CERTIFICATE----- is missing"));
        assert!(findings[0].remedies[0].actions[0].text.contains("mytls ca server"));
    }

    #[test]
    fn a_closed_file_is_opened() {
        let facts = testing::with_files(|files| {
            let file = files.certificate.as_mut().unwrap();
            let blocker = Blocker {
                path: file.path.clone(),
                is_folder: false,
                mode: 0o600,
                owner: "root".into(),
                group: "root".into(),
                class: Class::Other,
            };
            file.access.as_mut().unwrap().readable = Readable::No { blockers: vec![blocker] };
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "chgrp \"$(id -gn mysql)\" /etc/mysql/tls/server-cert.pem && chmod g+r /etc/mysql/tls/server-cert.pem"
        );
    }
}
