use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, day, rule};

/// From how many days before the end on there is a warning.
const DAYS: i64 = 30;

rule! {
    /// The server's certificate expires soon.
    ///
    /// ## What it checks
    /// Whether the server's certificate has fewer than 30 days left.
    ///
    /// ## Why it matters
    /// On that day every client that verifies the server stops connecting, mostly all at once.
    ///
    /// ## How to fix
    /// Issue a new certificate and let the server read its files again.
    ///
    /// ## Source
    /// RFC 5280 §4.1.2.5.
    pub static CERTIFICATE_EXPIRING = {
        id: "certificate-expiring",
        step: Key,
        severity: Warning,
        passes_as: "the certificate does not expire soon",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    let left = leaf.not_after.saturating_sub(facts.at);
    if left < 0 {
        return Answer::not_applicable("the certificate has expired");
    }
    let days = left / 86_400;
    if days >= DAYS {
        return Answer::Pass(format!("{days} days left"));
    }
    let title = match days {
        0 => "the certificate expires today".to_owned(),
        1 => "the certificate expires tomorrow".to_owned(),
        days => format!("the certificate expires in {days} days"),
    };
    let finding = CERTIFICATE_EXPIRING
        .finding(title, "from that day on, clients that verify the server refuse it")
        .saw("certificate", leaf.subject.display())
        .saw("valid until", day(leaf.not_after));
    Answer::fail(finding.remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    #[test]
    fn the_warning_begins_below_thirty_days() {
        let mut facts = testing::healthy();
        let end = facts.served_leaf().unwrap().not_after;
        facts.at = end - 30 * 86_400;
        assert_eq!(judge(&facts), Answer::Pass("30 days left".into()));
        facts.at += 1;
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].title, "the certificate expires in 29 days");
    }

    #[test]
    fn an_expired_one_is_not_expiring() {
        let mut facts = testing::healthy();
        facts.at = facts.served_leaf().unwrap().not_after + 1;
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
