use crate::facts::Facts;
use crate::rules::crl;
use crate::rules::{Answer, place, rule};

rule! {
    /// A CA of `ssl_ca` has no revocation list.
    ///
    /// ## What it checks
    /// Once `ssl_crl` is set: that it holds a list of every CA of `ssl_ca` and `ssl_capath`, the
    /// root included.
    ///
    /// ## Why it matters
    /// The server then asks for a list of each CA of a client's chain. A list of the root alone is
    /// not enough for certificates of an intermediate: they are refused with "unknown ca", as if
    /// the CA were wrong.
    ///
    /// ## How to fix
    /// Append the missing CA's list to the file.
    ///
    /// ## Source
    /// OpenSSL `X509_V_FLAG_CRL_CHECK_ALL`, set by `new_VioSSLFd()`;
    /// `X509_V_ERR_UNABLE_TO_GET_CRL`.
    pub static CRL_MISSING_FOR_CA = {
        id: "crl-missing-for-ca",
        step: Chain,
        severity: Error,
        passes_as: "every CA has its revocation list",
        explained_by: ["crl-of-another-ca", "ca-unusable"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let (file, lists, cas) = match crl::sought(facts) {
        Ok(sought) => sought,
        Err(answer) => return answer,
    };
    let without = cas.iter().filter(|ca| !lists.iter().any(|list| list.is_of(ca)));
    let without: Vec<String> = without.map(|ca| ca.subject.display()).collect();
    if without.is_empty() {
        return Answer::Pass(format!("{} lists", lists.len()));
    }
    let finding = CRL_MISSING_FOR_CA
        .finding(
            "a CA has no revocation list",
            "the server asks for the list of every CA in a client's chain, and refuses the certificate where one is missing",
        )
        .saw("ssl_crl", place(file))
        .saw("no list of", without.join("; "));
    Answer::fail(finding.remedy(crl::remedies(facts, &cas)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{NearbyCrls, Source};
    use crate::rules::crl::testing::{list, with_lists};
    use crate::rules::testing;

    #[test]
    fn a_missing_list_is_found_nearby_and_appended() {
        let mut right = None;
        let mut facts = with_lists(|root| {
            right = Some(list(root, 9));
            Vec::new()
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert!(
            findings[0].remedies[0].actions[0].text.starts_with("sed "),
            "nothing else is known"
        );

        let Source::Read(files) = &mut facts.files else { panic!() };
        let crls = vec![right.unwrap()];
        files.nearby_crls.push(NearbyCrls { path: "/etc/mysql/tls/new.crl".into(), crls });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert!(findings[0].remedies[0].actions[0].text.contains("BEGIN X509 CRL"));
    }

    #[test]
    fn a_list_for_each_passes_and_no_option_is_not_this_rule() {
        assert!(matches!(judge(&with_lists(|root| vec![list(root, 9)])), Answer::Pass(_)));
        assert!(matches!(judge(&testing::healthy()), Answer::NotApplicable(_)));
    }
}
