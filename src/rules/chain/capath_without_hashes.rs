use crate::facts::{CaEntry, Facts};
use crate::remedy::certificates::{effect_of_files, take_effect};
use crate::remedy::{Action, Remedy, shell};
use crate::rules::{Answer, Severity, files, rule};

rule! {
    /// The folder of `ssl_capath` lacks the links by which OpenSSL finds a CA.
    ///
    /// ## What it checks
    /// That each certificate in the folder can be found there under the hash of its subject, such
    /// as `5ed36f99.0`.
    ///
    /// ## Why it matters
    /// OpenSSL looks for `HASH.N` and for nothing else: a CA that was merely copied into the folder
    /// is not there for the server, without a message. It then refuses the clients' certificates
    /// with "unknown ca".
    ///
    /// ## How to fix
    /// Run `openssl rehash` on the folder, again after every change.
    ///
    /// ## Source
    /// OpenSSL, `SSL_CTX_load_verify_locations(3)` and `openssl-rehash(1)`.
    pub static CAPATH_WITHOUT_HASHES = {
        id: "capath-without-hashes",
        step: Chain,
        severity: Error,
        passes_as: "every CA of ssl_capath can be found",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if facts.is_yassl() {
        return Answer::not_applicable("yaSSL reads every file of the folder");
    }
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let Some(folder) = files.capath.as_ref().filter(|folder| !folder.entries.is_empty()) else {
        return Answer::not_applicable("no folder of CAs is set, or there is none in it");
    };
    let lost: Vec<&CaEntry> = folder.entries.iter().filter(|entry| !entry.hashed).collect();
    let in_ca_file = |entry: &&CaEntry| {
        files.ca_certificates().iter().any(|ca| ca.sha256 == entry.certificate.sha256)
    };
    if lost.iter().all(in_ca_file) {
        return Answer::Pass(format!("{} CAs", folder.entries.len()));
    }
    // With some found and others not, the others may be leftovers that nobody needs.
    let severity = match (lost.len() == folder.entries.len(), &files.ca) {
        (true, None) => Severity::Error,
        (true, Some(_)) => Severity::Warning,
        (false, _) => Severity::Note,
    };
    let names: Vec<String> = lost
        .iter()
        .take(5)
        .map(|entry| {
            let file = entry.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            format!("{file} ({})", entry.certificate.subject.short())
        })
        .collect();
    let path = folder.path.display().to_string();
    let set = folder.origin.as_ref().map(|origin| format!("{path}  ({origin})"));
    let finding = CAPATH_WITHOUT_HASHES
        .finding(
            "the server does not find the CAs in its folder",
            "OpenSSL looks for names made of the subject's hash, and there are none",
        )
        .at(severity)
        .saw("ssl_capath", set.unwrap_or(path))
        .saw("not found", names.join(", "));
    let effect = effect_of_files(facts);
    let rehash = Action::shell(format!("openssl rehash {}", shell::path(&folder.path)), effect);
    let actions = std::iter::once(rehash).chain(take_effect(facts, effect)).collect();
    Answer::fail(finding.remedy([Remedy::new("make the links", actions)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::CaFolder;
    use crate::rules::testing;

    fn folder(hashed: bool, with_file: bool) -> Facts {
        testing::with_files(|files| {
            let root = crate::x509::testing::root("In The Folder").certificate;
            let certificate = crate::x509::Certificate::from_openssl(&root);
            let entry = CaEntry { file: "/etc/mysql/ca/root.pem".into(), certificate, hashed };
            files.capath =
                Some(CaFolder { path: "/etc/mysql/ca".into(), origin: None, entries: vec![entry] });
            if !with_file {
                files.ca = None;
            }
        })
    }

    #[test]
    fn yassl_does_not_look_for_names() {
        let mut facts = folder(false, false);
        let crate::facts::Source::Read(server) = &mut facts.server else { panic!() };
        server.tls_library = Some("YaSSL".into());
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }

    fn severity(facts: &Facts) -> Option<Severity> {
        match judge(facts) {
            Answer::Fail(findings) => Some(findings[0].severity),
            _ => None,
        }
    }

    #[test]
    fn a_folder_without_links_is_an_error_where_it_is_all_there_is() {
        assert_eq!(severity(&folder(false, false)), Some(Severity::Error));
        assert_eq!(severity(&folder(false, true)), Some(Severity::Warning));
        let Answer::Fail(findings) = judge(&folder(false, false)) else { panic!() };
        assert_eq!(findings[0].remedies[0].actions[0].text, "openssl rehash /etc/mysql/ca");
    }

    #[test]
    fn a_folder_with_links_passes() {
        assert_eq!(severity(&folder(true, false)), None);
    }

    #[test]
    fn no_folder_is_not_this_rule() {
        assert!(matches!(judge(&testing::healthy()), Answer::NotApplicable(_)));
    }
}
