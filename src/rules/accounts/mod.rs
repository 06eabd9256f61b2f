//! Does each account REQUIRE what it should?

pub mod cipher_of_old_protocol;
pub mod issuer_is_root;
pub mod issuer_not_trusted;
pub mod subject_empty;
pub mod subject_never_matches;
pub mod without_require;

use super::{Answer, Finding};
use crate::facts::{Account, Facts, Require, ServerFacts};

/// How many accounts get a finding of one rule; more are more of the same.
const NAMED: usize = 50;

/// Judges every account that names a subject, an issuer or a cipher (handed over in this order).
fn specified(
    facts: &Facts,
    judge: impl Fn(&ServerFacts, &Account, (&str, &str, &str)) -> Option<Finding>,
) -> Answer {
    let Some(server) = facts.server.read() else {
        return facts.server.reason().map_or_else(Answer::pass, Answer::unknown);
    };
    let Some(accounts) = server.accounts.read() else {
        return server.accounts.reason().map_or_else(Answer::pass, Answer::unknown);
    };
    let mut seen = 0;
    let mut findings = Vec::new();
    for account in accounts.iter().filter(|account| !account.locked) {
        if let Require::Specified { subject, issuer, cipher } = &account.require {
            seen += 1;
            findings.extend(judge(server, account, (subject, issuer, cipher)));
        }
    }
    findings.truncate(NAMED);
    match (findings.is_empty(), seen) {
        (false, _) => Answer::Fail(findings),
        (true, 0) => Answer::not_applicable("no account names a certificate"),
        (true, seen) => Answer::Pass(format!("{seen} checked")),
    }
}

#[cfg(test)]
mod testing {
    use crate::facts::{Facts, Require, Source};
    use crate::rules::testing;

    /// A healthy server whose one account requires this.
    pub fn with(require: Require) -> Facts {
        testing::with_server(|server| {
            server.accounts = Source::Read(vec![testing::account("app", "%", require)]);
        })
    }

    pub fn empty() -> Require {
        Require::Specified { subject: String::new(), issuer: String::new(), cipher: String::new() }
    }
}
