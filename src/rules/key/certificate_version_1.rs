use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, rule};

rule! {
    /// The server's certificate is of version 1.
    ///
    /// ## What it checks
    /// The version of the server's certificate.
    ///
    /// ## Why it matters
    /// Version 1 knows no extensions, so it cannot name hosts the way clients look for them today.
    /// OpenSSL still takes it; clients in Go, Rust and others refuse it. `openssl x509 -req` without
    /// `-extfile` makes such certificates.
    ///
    /// ## How to fix
    /// Issue a new certificate.
    ///
    /// ## Source
    /// RFC 5280 §4.1.2.1.
    pub static CERTIFICATE_VERSION_1 = {
        id: "certificate-version-1",
        step: Key,
        severity: Warning,
        passes_as: "the certificate is of version 3",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    if leaf.version >= 3 {
        return Answer::pass();
    }
    let finding = CERTIFICATE_VERSION_1
        .finding(
            format!("the certificate is of version {}", leaf.version),
            "it cannot name the hosts it is for, and clients in Go, Rust and others refuse it",
        )
        .saw("certificate", leaf.subject.display());
    Answer::fail(finding.remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    #[test]
    fn version_3_passes_and_1_does_not() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
        let facts = testing::with_files(|files| {
            files.certificate.as_mut().unwrap().content.as_mut().unwrap()[0].version = 1;
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].title, "the certificate is of version 1");
    }
}
