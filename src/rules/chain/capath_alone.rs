use crate::facts::Facts;
use crate::remedy::certificates::{beside, reissue};
use crate::remedy::{Action, Effect, Remedy, chain_file};
use crate::rules::{Answer, files, rule};

rule! {
    /// yaSSL is given a folder of CAs and no file of them.
    ///
    /// ## What it checks
    /// Whether a server built with yaSSL has `ssl_capath` set and `ssl_ca` not.
    ///
    /// ## Why it matters
    /// yaSSL looks into the folder only after it has read a file. Without one it says
    /// "SSL_CTX_set_default_verify_paths failed", and the server goes on without TLS.
    ///
    /// ## How to fix
    /// Name a file of CAs in `ssl_ca`; the folder may stay.
    ///
    /// ## Source
    /// yaSSL `extra/yassl/src/ssl.cpp`, `SSL_CTX_load_verify_locations()`; tried on MySQL 5.6.24.
    pub static CAPATH_ALONE = {
        id: "capath-alone",
        step: Chain,
        severity: Error,
        passes_as: "a file of CAs stands beside their folder",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if !facts.is_yassl() {
        return Answer::not_applicable("OpenSSL is content with a folder");
    }
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let Some(folder) = &files.capath else {
        return Answer::not_applicable("no ssl_capath is set");
    };
    if files.ca.is_some() {
        return Answer::pass();
    }
    let path = folder.path.display().to_string();
    let set = folder.origin.as_ref().map(|origin| format!("{path}  ({origin})"));
    let finding = CAPATH_ALONE
        .finding(
            "ssl_capath is set without ssl_ca, which yaSSL refuses",
            "yaSSL looks into the folder only after it has read a file, so the server goes on without TLS",
        )
        .saw("ssl_capath", set.unwrap_or(path))
        .saw("ssl_ca", "not set");
    let all: Vec<_> = folder.entries.iter().map(|entry| &entry.certificate).collect();
    let gather = facts.config.read().filter(|_| !all.is_empty()).map(|config| {
        let file = beside(&folder.path, "ca");
        let main = config.origin("ssl_capath").map_or(&config.main_file, |origin| &origin.file);
        Remedy::new(
            "write the CAs of the folder into a file, and name it in ssl_ca",
            vec![
                Action::file(&file, chain_file::pem(&all), Effect::Restart),
                Action::config(main, &[("ssl_ca", &file.display().to_string())]),
            ],
        )
    });
    let reissue = if gather.is_none() { reissue(facts) } else { None };
    Answer::fail(finding.remedy(gather).remedy(reissue))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{CaEntry, CaFolder};
    use crate::rules::testing;

    fn folder(library: &str, with_file: bool) -> Facts {
        let mut facts = testing::with_server(|server| server.tls_library = Some(library.into()));
        let crate::facts::Source::Read(files) = &mut facts.files else { panic!() };
        let certificate = files.ca_certificates()[0].clone();
        let file = "/etc/mysql/tls/trusted/root.pem".into();
        let entries = vec![CaEntry { file, certificate, hashed: false }];
        let path = "/etc/mysql/tls/trusted".into();
        files.capath = Some(CaFolder { path, origin: None, entries });
        if !with_file {
            files.ca = None;
        }
        facts
    }

    #[test]
    fn the_cas_of_the_folder_are_written_into_a_file_beside_it() {
        let Answer::Fail(findings) = judge(&folder("YaSSL", false)) else { panic!() };
        let [write, name] = &findings[0].remedies[0].actions[..] else { panic!() };
        assert!(write.text.starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(name.text, "[mysqld]\nssl_ca = /etc/mysql/tls/trusted-ca.pem\n");
    }

    #[test]
    fn with_a_file_the_folder_may_stay() {
        assert_eq!(judge(&folder("YaSSL", true)), Answer::pass());
    }

    #[test]
    fn openssl_does_not_ask() {
        let answer = judge(&folder("OpenSSL 3.0.19 27 Jan 2026", false));
        assert!(matches!(answer, Answer::NotApplicable(_)));
    }
}
