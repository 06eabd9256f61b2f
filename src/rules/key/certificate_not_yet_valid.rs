use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, day, rule};

rule! {
    /// The server's certificate is not valid yet.
    ///
    /// ## What it checks
    /// That `notBefore` of the server's certificate has passed, by the clock of this host.
    ///
    /// ## Why it matters
    /// Servers load such a certificate (MariaDB without a word, MySQL with a warning), and every
    /// client that verifies refuses it.
    ///
    /// ## How to fix
    /// Mend the clock, here or where the certificate was issued; otherwise issue a new certificate.
    ///
    /// ## Source
    /// RFC 5280 §4.1.2.5.
    pub static CERTIFICATE_NOT_YET_VALID = {
        id: "certificate-not-yet-valid",
        step: Key,
        severity: Error,
        passes_as: "the certificate is valid already",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    if leaf.not_before <= facts.at {
        return Answer::Pass(format!("since {}", day(leaf.not_before)));
    }
    let finding = CERTIFICATE_NOT_YET_VALID
        .finding(
            format!("the certificate is not valid before {}", day(leaf.not_before)),
            "clients that verify the server refuse it; the clock here, or where it was issued, may \
             be wrong",
        )
        .saw("certificate", leaf.subject.display())
        .saw("valid", format!("{} to {}", day(leaf.not_before), day(leaf.not_after)))
        .saw("today", day(facts.at));
    Answer::fail(finding.remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    #[test]
    fn it_counts_from_its_first_second_on() {
        let mut facts = testing::healthy();
        facts.at = facts.served_leaf().unwrap().not_before;
        assert!(matches!(judge(&facts), Answer::Pass(_)));
        facts.at -= 1;
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert!(findings[0].title.contains("not valid before"));
        assert!(findings[0].remedies[0].actions[0].text.contains("mytls ca server"));
    }
}
