use crate::facts::Facts;
use crate::rules::crl;
use crate::rules::{Answer, place, rule};

rule! {
    /// The revocation list is that of another CA.
    ///
    /// ## What it checks
    /// That the lists of `ssl_crl` were made by CAs of `ssl_ca`: by name and signature.
    ///
    /// ## Why it matters
    /// With `ssl_crl` set the server asks for a list of every CA in a client's chain. Where only
    /// another's is there, it refuses every certificate: clients see "unknown ca".
    ///
    /// ## How to fix
    /// Put the list of your own CA into the file.
    ///
    /// ## Source
    /// RFC 5280 §6.3.3; OpenSSL `X509_V_ERR_UNABLE_TO_GET_CRL`.
    pub static CRL_OF_ANOTHER_CA = {
        id: "crl-of-another-ca",
        step: Chain,
        severity: Error,
        passes_as: "the revocation lists are of the CAs in ssl_ca",
        explained_by: ["ca-unusable", "ca-mismatch", "ca-remade"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let (file, lists, cas) = match crl::sought(facts) {
        Ok(sought) => sought,
        Err(answer) => return answer,
    };
    if lists.is_empty() {
        return Answer::not_applicable("there is no revocation list in the file");
    }
    if lists.iter().any(|list| cas.iter().any(|ca| list.is_of(ca))) {
        return Answer::pass();
    }
    let issuers: Vec<String> = lists.iter().map(|list| list.issuer.display()).collect();
    let names: Vec<String> = cas.iter().map(|ca| ca.subject.display()).collect();
    let namesake = lists.iter().any(|list| cas.iter().any(|ca| ca.subject == list.issuer));
    let finding = CRL_OF_ANOTHER_CA
        .finding(
            "the revocation list is that of another CA",
            if namesake {
                "it has the name of the CA in ssl_ca, and another key signed it; every client certificate is refused"
            } else {
                "the server asks for a list of each of its CAs, and refuses every client certificate"
            },
        )
        .saw("ssl_crl", place(file))
        .saw("made by", issuers.join("; "))
        .saw("ssl_ca", names.join("; "));
    Answer::fail(finding.remedy(crl::remedies(facts, &cas)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::crl::testing::{list, root, with_lists};
    use crate::rules::testing;

    #[test]
    fn a_strangers_list_is_named() {
        let facts = with_lists(|_| vec![list(&root("Other"), 9)]);
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].evidence[1].value, "CN=Other");
    }

    #[test]
    fn the_right_list_passes_and_none_is_not_this_rule() {
        assert_eq!(judge(&with_lists(|root| vec![list(root, 9)])), Answer::pass());
        assert!(matches!(judge(&testing::healthy()), Answer::NotApplicable(_)));
    }
}
