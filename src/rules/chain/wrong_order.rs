use crate::facts::Facts;
use crate::remedy::{Remedy, chain_file};
use crate::rules::{Answer, Severity, files, place, rule};
use crate::x509::{Certificate, chain};

rule! {
    /// The chain file is in the wrong order.
    ///
    /// ## What it checks
    /// That the server's own certificate stands first in `ssl_cert`, and that each one after it
    /// issued the one before: by their signatures, not only their names.
    ///
    /// ## Why it matters
    /// The server takes the first certificate for its own. With a CA first the key does not match
    /// it: "Unable to get private key", and no TLS. Intermediates in the wrong order reach the
    /// client as they stand, and stricter clients refuse them; a server built with yaSSL sends
    /// none.
    ///
    /// ## How to fix
    /// Write the file again: the server's certificate, then its issuer, then the issuer's issuer.
    ///
    /// ## Source
    /// RFC 8446 §4.4.2, RFC 5246 §7.4.2; OpenSSL, `SSL_CTX_use_certificate_chain_file()`.
    pub static CHAIN_WRONG_ORDER = {
        id: "chain-wrong-order",
        step: Chain,
        severity: Error,
        passes_as: "the chain is in order",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let (Some(file), Some(leaf)) = (&files.certificate, files.leaf_index()) else {
        return Answer::not_applicable("there is no certificate");
    };
    let certificates = files.certificates();
    let path = chain::path(leaf, &files.signers);
    // What does not belong to the path is another rule's.
    if leaf == 0 && path.is_sorted() {
        let names = path.iter().map(|at| certificates[*at].subject.short());
        return Answer::Pass(names.collect::<Vec<_>>().join(" \u{2190} "));
    }
    let first_is_wrong = leaf != 0;
    let unsent = !first_is_wrong && facts.is_yassl();
    let right = chain_file::ordered(files);
    let finding = CHAIN_WRONG_ORDER
        .finding(
            if first_is_wrong {
                "the server's own certificate does not stand first in the chain file"
            } else {
                "the chain file is in the wrong order"
            },
            if first_is_wrong {
                "the server takes the first certificate for its own, and its key does not match that one"
            } else if unsent {
                "yaSSL sends the first certificate alone, so it does no harm until an upgrade"
            } else {
                "clients get the chain as it stands, and stricter ones refuse it"
            },
        )
        .at(if unsent { Severity::Note } else { Severity::Error })
        .saw("ssl_cert", place(file))
        .saw("as it is", names(certificates.iter()))
        .saw("must be", names(right.iter().copied()));
    let actions = chain_file::write(facts, &right, None);
    let title = if files.is_combined("ssl_cert") {
        "write the chain in the right order into a file of its own; this one holds more than it"
    } else {
        "write the chain file in the right order"
    };
    Answer::fail(finding.remedy(actions.map(|actions| Remedy::new(title, actions))))
}

fn names<'a>(certificates: impl Iterator<Item = &'a Certificate>) -> String {
    let names =
        certificates.enumerate().map(|(at, c)| format!("{}. {}", at + 1, c.subject.short()));
    names.collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    #[test]
    fn leaf_first_passes() {
        let answer = judge(&testing::healthy());
        assert_eq!(answer, Answer::Pass("db1.example \u{2190} Issuing CA".into()));
    }

    #[test]
    fn ca_first_is_put_right() {
        let facts = testing::with_files(|files| {
            files.certificate.as_mut().unwrap().content.as_mut().unwrap().reverse();
            files.signers = vec![None, Some(0)];
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].evidence[1].value, "1. Issuing CA  2. db1.example");
        assert_eq!(findings[0].evidence[2].value, "1. db1.example  2. Issuing CA");
        let healthy = testing::healthy();
        let right: String =
            healthy.files.read().unwrap().certificates().iter().map(|c| c.pem.clone()).collect();
        assert_eq!(findings[0].remedies[0].actions[0].text, right);
    }

    #[test]
    fn yassl_sends_no_intermediates_and_minds_the_first_alone() {
        for (swap, severity) in [([0, 1], Severity::Error), ([1, 2], Severity::Note)] {
            let facts = testing::with_server(|server| server.tls_library = Some("YaSSL".into()));
            let Facts { files: crate::facts::Source::Read(mut files), .. } = facts.clone() else {
                panic!()
            };
            let root = files.ca_certificates()[0].clone();
            let certificates = files.certificate.as_mut().unwrap().content.as_mut().unwrap();
            certificates.push(root);
            certificates.swap(swap[0], swap[1]);
            let x509s: Vec<_> = certificates.iter().filter_map(Certificate::to_openssl).collect();
            files.signers = chain::signers(&x509s);
            let facts = Facts { files: crate::facts::Source::Read(files), ..facts };
            let Answer::Fail(findings) = judge(&facts) else { panic!() };
            assert_eq!(findings[0].severity, severity);
        }
    }

    #[test]
    fn a_file_that_holds_the_key_too_is_not_written_over() {
        let facts = testing::with_files(|files| {
            files.certificate.as_mut().unwrap().content.as_mut().unwrap().reverse();
            files.signers = vec![None, Some(0)];
            files.combined = vec!["ssl_key".into(), "ssl_cert".into()];
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let actions = &findings[0].remedies[0].actions;
        let file = |at: usize| actions[at].file.as_deref().unwrap().display().to_string();
        assert_eq!(file(0), "/etc/mysql/tls/server-cert-chain.pem");
        assert_eq!(file(1), "/etc/mysql/my.cnf");
        assert!(actions[1].text.contains("ssl_cert = /etc/mysql/tls/server-cert-chain.pem"));
        assert_eq!(actions.len(), 2);
    }

    #[test]
    fn without_a_certificate_there_is_no_order() {
        let facts = testing::with_files(|files| files.certificate = None);
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
