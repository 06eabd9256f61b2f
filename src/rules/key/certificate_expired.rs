use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, day, rule};

rule! {
    /// The server's certificate has expired.
    ///
    /// ## What it checks
    /// That `notAfter` of the server's certificate lies ahead.
    ///
    /// ## Why it matters
    /// Servers load an expired certificate (MariaDB without a word, MySQL with a warning), and every
    /// client that verifies stops connecting.
    ///
    /// ## How to fix
    /// Issue a new certificate. When the clock of this host is wrong, mend the clock.
    ///
    /// ## Source
    /// RFC 5280 §4.1.2.5.
    pub static CERTIFICATE_EXPIRED = {
        id: "certificate-expired",
        step: Key,
        severity: Error,
        passes_as: "the certificate has not expired",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    if leaf.not_before > facts.at {
        return Answer::not_applicable("the certificate is not valid yet");
    }
    if leaf.not_after >= facts.at {
        return Answer::Pass(format!("until {}", day(leaf.not_after)));
    }
    let ago = match facts.at.saturating_sub(leaf.not_after) / 86_400 {
        0 => "today".to_owned(),
        1 => "yesterday".to_owned(),
        days => format!("{days} days ago"),
    };
    let finding = CERTIFICATE_EXPIRED
        .finding(
            format!("the certificate expired {ago}"),
            "clients that verify the server refuse it",
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
    fn a_certificate_in_its_time_passes_to_the_second() {
        let mut facts = testing::healthy();
        facts.at = facts.served_leaf().unwrap().not_after;
        assert!(matches!(judge(&facts), Answer::Pass(_)));
        facts.at += 1;
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].title, "the certificate expired today");
    }

    #[test]
    fn expired_says_since_when_and_issues_anew() {
        let mut facts = testing::healthy();
        facts.at = facts.served_leaf().unwrap().not_after + 3 * 86_400;
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].title, "the certificate expired 3 days ago");
        assert!(
            findings[0].remedies[0].actions[0]
                .text
                .contains("--san db1.example,localhost,127.0.0.1")
        );
    }

    #[test]
    fn not_yet_valid_is_another_matter() {
        let mut facts = testing::healthy();
        facts.at = facts.served_leaf().unwrap().not_before - 1;
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
