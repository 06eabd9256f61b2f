use std::path::{Path, PathBuf};

use crate::facts::Facts;
use crate::remedy::certificates::{effect_of_files, take_effect};
use crate::remedy::{Action, Remedy, shell};
use crate::rules::{Answer, files, rule};

rule! {
    /// A byte order mark keeps this server from reading a file.
    ///
    /// ## What it checks
    /// Whether key, certificate or CA of a server built with yaSSL begin with the byte order mark
    /// that editors of Windows write.
    ///
    /// ## Why it matters
    /// The mark is invisible. OpenSSL reads past it; yaSSL does not find the first block, and says
    /// that it is unable to get the key or the certificate.
    ///
    /// ## How to fix
    /// Take the three bytes off.
    ///
    /// ## Source
    /// RFC 7468 §2; RFC 3629 §6.
    pub static BYTE_ORDER_MARK = {
        id: "byte-order-mark",
        step: Key,
        severity: Error,
        passes_as: "no byte order mark is in the way",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if !facts.is_yassl() {
        return Answer::not_applicable("OpenSSL reads past it");
    }
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let key = files.key.as_ref().filter(|file| file.byte_order_mark).map(|file| &file.path);
    let certificate =
        files.certificate.as_ref().filter(|file| file.byte_order_mark).map(|file| &file.path);
    let ca = files.ca.as_ref().filter(|file| file.byte_order_mark).map(|file| &file.path);
    let marked: Vec<&Path> =
        [key, certificate, ca].into_iter().flatten().map(PathBuf::as_path).collect();
    if marked.is_empty() {
        return Answer::pass();
    }
    let mut finding = BYTE_ORDER_MARK.finding(
        "a byte order mark hides what a file holds from yaSSL",
        "the server cannot read it, and goes on without TLS",
    );
    for path in &marked {
        finding = finding.saw("begins with EF BB BF", path.display().to_string());
    }
    let effect = effect_of_files(facts);
    let paths: Vec<String> = marked.iter().map(|path| shell::path(path)).collect();
    let strip =
        format!("LC_ALL=C sed -i --follow-symlinks '1s/^\\xEF\\xBB\\xBF//' {}", paths.join(" "));
    let mut actions = vec![Action::shell(strip, effect)];
    actions.extend(take_effect(facts, effect));
    Answer::fail(finding.remedy([Remedy::new("take the mark off", actions)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Source;
    use crate::rules::testing;

    fn marked(library: &str) -> Facts {
        let mut facts = testing::with_files(|files| {
            files.key.as_mut().unwrap().byte_order_mark = true;
        });
        let Source::Read(server) = &mut facts.server else { panic!() };
        server.tls_library = Some(library.into());
        facts
    }

    #[test]
    fn only_yassl_stumbles_over_it() {
        let Answer::Fail(findings) = judge(&marked("YaSSL 2.3.7")) else { panic!() };
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "LC_ALL=C sed -i --follow-symlinks '1s/^\\xEF\\xBB\\xBF//' /etc/mysql/tls/server-key.pem"
        );
        assert!(matches!(judge(&marked("OpenSSL 3.0.19")), Answer::NotApplicable(_)));
    }

    #[test]
    fn without_it_yassl_is_content() {
        let facts = testing::with_server(|server| server.tls_library = Some("YaSSL".into()));
        assert_eq!(judge(&facts), Answer::pass());
    }
}
