use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, day, rule};

rule! {
    /// The server's certificate is not valid today.
    ///
    /// ## What it checks
    /// That now lies between `notBefore` and `notAfter` of the server's certificate.
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
        passes_as: "the certificate is valid today",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    let (title, cause) = if leaf.not_after < facts.at {
        let days = facts.at.saturating_sub(leaf.not_after) / 86_400;
        let ago = match days {
            0 => "today".to_owned(),
            1 => "yesterday".to_owned(),
            days => format!("{days} days ago"),
        };
        (format!("the certificate expired {ago}"), "clients that verify the server refuse it")
    } else if leaf.not_before > facts.at {
        (
            format!("the certificate is not valid before {}", day(leaf.not_before)),
            "clients that verify the server refuse it; the clock here or where it was issued may be wrong",
        )
    } else {
        return Answer::Pass(format!("until {}", day(leaf.not_after)));
    };
    let finding = CERTIFICATE_EXPIRED
        .finding(title, cause)
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
    fn not_yet_valid_is_told_apart() {
        let mut facts = testing::healthy();
        facts.at = facts.served_leaf().unwrap().not_before - 1;
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert!(findings[0].title.contains("not valid before"));
    }
}
