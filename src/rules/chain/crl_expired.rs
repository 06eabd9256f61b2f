use crate::facts::{Crl, Facts};
use crate::rules::crl;
use crate::rules::{Answer, Finding, day, place, rule};

rule! {
    /// A revocation list has expired.
    ///
    /// ## What it checks
    /// The "next update" of the newest list of each CA of `ssl_ca`.
    ///
    /// ## Why it matters
    /// From that moment on the server refuses every certificate of that CA: all of its clients are
    /// locked out at once.
    ///
    /// ## How to fix
    /// Put a fresh list into the file and reload TLS; do so before each "next update".
    ///
    /// ## Source
    /// RFC 5280 §5.1.2.5; OpenSSL `X509_V_ERR_CRL_HAS_EXPIRED`.
    pub static CRL_EXPIRED = {
        id: "crl-expired",
        step: Chain,
        severity: Error,
        passes_as: "every revocation list is fresh",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let (file, lists, cas) = match crl::sought(facts) {
        Ok(sought) => sought,
        Err(answer) => return answer,
    };
    let newest = |ca| lists.iter().filter(|list| list.is_of(ca)).max_by_key(|list| until(list));
    let newest: Vec<&Crl> = cas.iter().filter_map(|ca| newest(*ca)).collect();
    if newest.is_empty() {
        return Answer::not_applicable("there is no revocation list of a CA in ssl_ca");
    }
    let expired: Vec<&&Crl> = newest.iter().filter(|list| until(list) < facts.at).collect();
    if expired.is_empty() {
        let first = newest.iter().map(|list| until(list)).min().unwrap_or(i64::MAX);
        return if first == i64::MAX {
            Answer::pass()
        } else {
            Answer::Pass(format!("until {}", day(first)))
        };
    }
    let found: Vec<Finding> = expired
        .into_iter()
        .map(|list| {
            CRL_EXPIRED
                .finding(
                    "a revocation list has expired",
                    "the server refuses every certificate of this CA: all clients that need one are locked out",
                )
                .saw("ssl_crl", place(file))
                .saw("made by", list.issuer.display())
                .saw("next update", day(until(list)))
                .remedy(crl::remedies(facts, &cas))
        })
        .collect();
    Answer::Fail(found)
}

/// The last second in which it counts.
fn until(list: &Crl) -> i64 {
    list.next_update.unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::crl::testing::{list, with_lists};
    use crate::rules::testing;

    #[test]
    fn an_old_list_is_named_with_its_day() {
        let facts = with_lists(|root| vec![list(root, -3)]);
        assert!(matches!(judge(&facts), Answer::Fail(_)));
    }

    #[test]
    fn a_fresh_one_beside_it_counts() {
        let facts = with_lists(|root| vec![list(root, -3), list(root, 9)]);
        assert!(matches!(judge(&facts), Answer::Pass(_)));
    }

    #[test]
    fn no_list_is_not_this_rule() {
        assert!(matches!(judge(&testing::healthy()), Answer::NotApplicable(_)));
    }
}
