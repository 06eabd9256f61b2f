use crate::facts::{Access, Facts, Readable, ServerFiles};
use crate::remedy::certificates::{effect_of_files, reissue, take_effect};
use crate::remedy::{Action, Remedy, shell};
use crate::rules::key::swapped::swapped;
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
        explained_by: [],
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
    if closed_with_the_key(files, file.access.as_ref()) {
        return Answer::not_applicable("the folder is closed, as it is for the key");
    }
    if let Some(Readable::No { blocked_at }) = file.access.as_ref().map(|access| &access.readable) {
        let finding = CERTIFICATE_UNUSABLE
            .finding(
                "the server may not read its certificate",
                "the server cannot load its certificate, so it cannot offer TLS",
            )
            .saw("ssl_cert", place(file))
            .saw("closed at", blocked_at.display().to_string());
        let rights = if *blocked_at == file.path { "a+r" } else { "a+x" };
        let effect = effect_of_files(facts);
        let open = Action::shell(format!("chmod {rights} {}", shell::path(blocked_at)), effect);
        let actions = std::iter::once(open).chain(take_effect(facts, effect)).collect();
        return Answer::fail(
            finding.remedy([Remedy::new("open it; a certificate is no secret", actions)]),
        );
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

/// Whether the folder that shuts the server out is the one that keeps it from its key.
pub(in crate::rules) fn closed_with_the_key(files: &ServerFiles, access: Option<&Access>) -> bool {
    let closed = |access: Option<&Access>| match access.map(|access| &access.readable) {
        Some(Readable::No { blocked_at }) => Some(blocked_at.clone()),
        _ => None,
    };
    let key = closed(files.key.as_ref().and_then(|file| file.access.as_ref()));
    key.is_some() && key == closed(access)
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let blocked_at = file.path.clone();
            file.access.as_mut().unwrap().readable = Readable::No { blocked_at };
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "chmod a+r /etc/mysql/tls/server-cert.pem"
        );
    }
}
