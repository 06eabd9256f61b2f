use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, rule};

rule! {
    /// The server's certificate was not made for servers.
    ///
    /// ## What it checks
    /// That the extended key usage of the server's certificate, where it has one, names
    /// `serverAuth`.
    ///
    /// ## Why it matters
    /// The server loads a client's certificate without a word, and every client that verifies
    /// refuses it ("unsuitable certificate purpose").
    ///
    /// ## How to fix
    /// Issue a certificate for the server.
    ///
    /// ## Source
    /// RFC 5280 §4.2.1.12.
    pub static CERTIFICATE_WRONG_PURPOSE = {
        id: "certificate-wrong-purpose",
        step: Key,
        severity: Error,
        passes_as: "the certificate may be used by a server",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    let Some(purposes) = leaf.purposes else {
        return Answer::Pass("for any purpose".into());
    };
    if purposes.server {
        return Answer::pass();
    }
    let finding = CERTIFICATE_WRONG_PURPOSE
        .finding(
            if purposes.client {
                "the server uses the certificate of a client"
            } else {
                "the certificate was not made for servers"
            },
            "clients that verify the server refuse it (\"unsuitable certificate purpose\")",
        )
        .saw("certificate", leaf.subject.display())
        .saw("extended key usage", if purposes.client { "clientAuth" } else { "no serverAuth" });
    Answer::fail(finding.remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;
    use crate::x509::certificate::Purposes;

    fn purposes(purposes: Option<Purposes>) -> Answer {
        judge(&testing::with_files(|files| {
            let leaf = &mut files.certificate.as_mut().unwrap().content.as_mut().unwrap()[0];
            leaf.purposes = purposes;
        }))
    }

    #[test]
    fn no_extension_and_both_purposes_pass() {
        assert!(matches!(purposes(None), Answer::Pass(_)));
        assert!(matches!(purposes(Some(Purposes { server: true, client: true })), Answer::Pass(_)));
    }

    #[test]
    fn a_certificate_of_a_client_is_told_apart_from_others() {
        let title = |client| match purposes(Some(Purposes { server: false, client })) {
            Answer::Fail(findings) => findings[0].title.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(title(true), "the server uses the certificate of a client");
        assert_eq!(title(false), "the certificate was not made for servers");
    }
}
