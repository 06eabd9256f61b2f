use crate::facts::Facts;
use crate::remedy::access;
use crate::remedy::certificates::reissue;
use crate::rules::chain::{right_ca_nearby, use_ca};
use crate::rules::key::{blockers_before_ca, own_blockers, show_blockers};
use crate::rules::{Answer, files, place, rule};
use crate::x509::pem::Defect;

rule! {
    /// The CA file cannot be used.
    ///
    /// ## What it checks
    /// That the file of `ssl_ca` exists, holds certificates in PEM form, and is open to the user
    /// the server runs as.
    ///
    /// ## Why it matters
    /// The server answers a missing or empty CA file with "SSL_CTX_set_default_verify_paths
    /// failed", which names the wrong thing, and then has no TLS; client certificates cannot be
    /// verified without it. One built with yaSSL says nothing, has TLS, and breaks off with every
    /// client that shows a certificate.
    ///
    /// ## How to fix
    /// Point `ssl_ca` at the CA that issued the server's and the clients' certificates.
    ///
    /// ## Source
    /// `vio/viosslfactories.cc`, `new_VioSSLFd()`; MySQL manual, "ssl_ca".
    pub static CA_UNUSABLE = {
        id: "ca-unusable",
        step: Chain,
        severity: Error,
        passes_as: "the CA file holds a CA",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let Some(file) = &files.ca else {
        return Answer::not_applicable("no ssl_ca is set");
    };
    let closed = own_blockers(file, &blockers_before_ca(files));
    if !closed.is_empty() {
        let finding = CA_UNUSABLE
            .finding(
                "the server may not read its CA file",
                "the server cannot load its CA, so it cannot offer TLS",
            )
            .saw("ssl_ca", place(file));
        let user = files.server_user.as_deref().unwrap_or("the server's user");
        let finding = show_blockers(finding, &closed);
        return Answer::fail(finding.remedy([access::open(facts, user, &closed)]));
    }
    let defect = match &file.content {
        Ok(certificates) => {
            let names = certificates.iter().map(|ca| ca.subject.short());
            return Answer::Pass(names.collect::<Vec<_>>().join(", "));
        }
        Err(Defect::Denied) => {
            return Answer::Unknown(format!(
                "mytls may not read {}; run it as root or as the server's user",
                crate::printable::printable(&file.path.display().to_string())
            ));
        }
        Err(defect) => defect,
    };
    let finding = CA_UNUSABLE
        .finding(
            "the CA file holds no usable certificate",
            if facts.is_yassl() {
                "yaSSL says nothing of it and offers TLS, but breaks off with every client that shows a certificate"
            } else {
                "the server cannot load its CA, so it cannot offer TLS or verify clients"
            },
        )
        .saw("ssl_ca", place(file))
        .saw("problem", defect.to_string());
    let nearby = right_ca_nearby(files).and_then(|path| use_ca(facts, path));
    Answer::fail(finding.remedy(nearby).remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    #[test]
    fn a_ca_passes_with_its_name() {
        assert_eq!(judge(&testing::healthy()), Answer::Pass("Example Root".into()));
    }

    #[test]
    fn an_empty_file_is_named_for_what_it_is() {
        let facts =
            testing::with_files(|files| files.ca.as_mut().unwrap().content = Err(Defect::Empty));
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].evidence[1].value, "it is empty");
    }

    #[test]
    fn no_ca_is_not_this_rule() {
        let facts = testing::with_files(|files| files.ca = None);
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
