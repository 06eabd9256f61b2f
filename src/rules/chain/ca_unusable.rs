use crate::facts::{Facts, Readable};
use crate::remedy::certificates::{effect_of_files, reissue, take_effect};
use crate::remedy::{Action, Remedy, shell};
use crate::rules::chain::{right_ca_nearby, use_ca};
use crate::rules::key::certificate_unusable::closed_with_the_key;
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
    /// verified without it.
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
    if closed_with_the_key(files, file.access.as_ref()) {
        return Answer::not_applicable("the folder is closed, as it is for the key");
    }
    if let Some(Readable::No { blocked_at }) = file.access.as_ref().map(|access| &access.readable) {
        let finding = CA_UNUSABLE
            .finding(
                "the server may not read its CA file",
                "the server cannot load its CA, so it cannot offer TLS",
            )
            .saw("ssl_ca", place(file))
            .saw("closed at", blocked_at.display().to_string());
        let rights = if *blocked_at == file.path { "a+r" } else { "a+x" };
        let effect = effect_of_files(facts);
        let open = Action::shell(format!("chmod {rights} {}", shell::path(blocked_at)), effect);
        let actions = std::iter::once(open).chain(take_effect(facts, effect)).collect();
        return Answer::fail(finding.remedy([Remedy::new("open it; a CA is no secret", actions)]));
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
            "the server cannot load its CA, so it cannot offer TLS or verify clients",
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
