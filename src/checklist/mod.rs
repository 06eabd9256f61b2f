//! The steps, their verdicts, and what is still to do.

use std::borrow::Cow;

use crate::facts::Facts;
use crate::printable::printable;
use crate::remedy::config::unpersist;
use crate::rules::{self, Answer, Finding, Rule, Severity, Step};

pub mod policy;

/// Facts and what the rules say of them.
#[derive(Clone, Debug)]
pub struct Examination {
    pub facts: Facts,
    /// Every rule's answer, in display order.
    pub outcomes: Vec<Outcome>,
    /// Everything that is wrong: causes first, each followed by its consequences, the heavier
    /// before the lighter, and otherwise in the order of the steps.
    pub findings: Vec<Finding>,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub rule: &'static Rule,
    pub answer: Answer,
}

/// What a step comes to. The order is that of growing weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No rule applies.
    NotApplicable,
    /// Every rule that applies passes, and at least one does; notes do no harm.
    Good,
    /// Something could not be found out, and nothing else is wrong.
    Unknown,
    Warning,
    Error,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::NotApplicable => "not applicable",
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Examination {
    /// Runs every rule over the facts; pure.
    pub fn judge(facts: Facts) -> Self {
        let answer = |rule: &Rule| {
            let mut answer = printed((rule.judge)(&facts));
            if let Answer::Fail(findings) = &mut answer {
                let remedies = findings.iter_mut().flat_map(|finding| &mut finding.remedies);
                remedies.for_each(|remedy| unpersist(&facts, remedy));
            }
            answer
        };
        let outcomes: Vec<Outcome> =
            rules::ALL.iter().map(|rule| Outcome { rule, answer: answer(rule) }).collect();
        let found = outcomes.iter().flat_map(|outcome| match &outcome.answer {
            Answer::Fail(findings) => findings.as_slice(),
            _ => &[],
        });
        let findings = arrange(found.cloned().collect());
        Self { facts, outcomes, findings }
    }

    /// What the step comes to: the heaviest of its findings' and unknowns' weights.
    pub fn verdict(&self, step: Step) -> Verdict {
        if step == Step::Report {
            return Step::ALL[..5]
                .iter()
                .map(|step| self.verdict(*step))
                .max()
                .unwrap_or(Verdict::Good);
        }
        let outcomes = self.outcomes.iter().filter(|outcome| outcome.rule.step == step);
        let verdicts = outcomes.map(|outcome| match &outcome.answer {
            Answer::Pass(_) => Verdict::Good,
            Answer::NotApplicable(_) => Verdict::NotApplicable,
            Answer::Unknown(_) => Verdict::Unknown,
            Answer::Fail(findings) => match findings.iter().map(|finding| finding.severity).max() {
                Some(Severity::Error) => Verdict::Error,
                Some(Severity::Warning) => Verdict::Warning,
                Some(Severity::Note) | None => Verdict::Good,
            },
        });
        verdicts.max().unwrap_or(Verdict::NotApplicable)
    }

    /// The heaviest finding, if there is any.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// The rules whose question could not be answered, with the reason.
    pub fn unknown(&self) -> impl Iterator<Item = (&'static Rule, &str)> {
        self.outcomes.iter().filter_map(|outcome| match &outcome.answer {
            Answer::Unknown(why) => Some((outcome.rule, why.as_str())),
            _ => None,
        })
    }

    /// What would let mytls see more, one sentence each, without repeats.
    pub fn advice(&self) -> Vec<&str> {
        let facts = &self.facts;
        let server = facts.server.read();
        let reasons = [
            facts.config.reason(),
            facts.files.reason(),
            facts.wire.reason(),
            facts.server.reason(),
            server.and_then(|server| server.accounts.reason()),
            server.and_then(|server| server.sessions.reason()),
        ];
        let mut advice = Vec::new();
        for reason in reasons.into_iter().flatten().filter(|reason| !reason.advice.is_empty()) {
            if !advice.contains(&reason.advice.as_str()) {
                advice.push(reason.advice.as_str());
            }
        }
        advice
    }

    /// Whether anything at all could be looked at.
    pub fn saw_anything(&self) -> bool {
        let files = self.facts.files.read();
        let any_file =
            files.is_some_and(|f| f.key.is_some() || f.certificate.is_some() || f.ca.is_some());
        self.facts.is_running() || any_file || self.facts.config.read().is_some()
    }
}

/// The answer with its words made printable, whatever a rule quotes in them; what is to be run
/// stays as it is, since it would do something else.
fn printed(answer: Answer) -> Answer {
    let tame = |text: &mut String| {
        if let Cow::Owned(printed) = printable(text) {
            *text = printed;
        }
    };
    match answer {
        Answer::Fail(mut findings) => {
            for finding in &mut findings {
                tame(&mut finding.title);
                tame(&mut finding.cause);
                for seen in &mut finding.evidence {
                    tame(&mut seen.label);
                    tame(&mut seen.value);
                }
            }
            Answer::Fail(findings)
        }
        Answer::Pass(mut words) => {
            tame(&mut words);
            Answer::Pass(words)
        }
        Answer::NotApplicable(mut why) => {
            tame(&mut why);
            Answer::NotApplicable(why)
        }
        Answer::Unknown(mut why) => {
            tame(&mut why);
            Answer::Unknown(why)
        }
    }
}

/// Hangs consequences under their causes, and puts causes in the order of their weight.
fn arrange(mut findings: Vec<Finding>) -> Vec<Finding> {
    let causes: Vec<&'static str> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.rule)
        .collect();
    for finding in &mut findings {
        let explained_by = rules::find(finding.rule).map_or(&[][..], |rule| rule.explained_by);
        finding.because_of = explained_by
            .iter()
            .find(|rule| **rule != finding.rule && causes.contains(rule))
            .copied()
            .or(finding.because_of.filter(|rule| causes.contains(rule)));
    }
    // A consequence of a consequence hangs under the first cause.
    let roots: Vec<(&'static str, Option<&'static str>)> =
        findings.iter().map(|finding| (finding.rule, finding.because_of)).collect();
    for finding in &mut findings {
        while let Some(cause) = finding.because_of {
            match roots.iter().find(|(rule, _)| *rule == cause).and_then(|(_, above)| *above) {
                Some(above) if above != finding.rule => finding.because_of = Some(above),
                _ => break,
            }
        }
    }
    let (consequences, mut causes): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.because_of.is_some());
    causes.sort_by_key(|finding| std::cmp::Reverse(finding.severity)); // stable: steps keep their order
    let mut arranged = Vec::with_capacity(causes.len() + consequences.len());
    let mut placed: Vec<&'static str> = Vec::new();
    for cause in causes {
        let rule = cause.rule;
        arranged.push(cause);
        if !placed.contains(&rule) {
            placed.push(rule);
            arranged.extend(consequences.iter().filter(|c| c.because_of == Some(rule)).cloned());
        }
    }
    arranged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Require, Source, UnreadKind};
    use crate::rules::testing;
    use crate::wire::TlsOffer;
    use crate::x509::PrivateKey;

    fn ids(examination: &Examination) -> Vec<(&str, Option<&str>)> {
        examination.findings.iter().map(|finding| (finding.rule, finding.because_of)).collect()
    }

    #[test]
    fn a_healthy_server_yields_no_finding_and_every_step_is_good() {
        let examination = Examination::judge(testing::healthy());
        assert_eq!(ids(&examination), []);
        for step in Step::ALL {
            assert_eq!(examination.verdict(step), Verdict::Good, "{step:?}");
        }
        assert_eq!(examination.worst(), None);
    }

    #[test]
    fn a_mismatched_key_is_one_error_with_its_consequences_under_it() {
        let mut facts = testing::with_files(|files| {
            let key = crate::x509::testing::root("other").key;
            files.key.as_mut().unwrap().content = Ok(PrivateKey::from_openssl(&key, "PRIVATE KEY"));
        });
        let Source::Read(wire) = &mut facts.wire else { panic!() };
        wire.tls = TlsOffer::NotOffered;
        let Source::Read(server) = &mut facts.server else { panic!() };
        server.variables.insert("require_secure_transport".into(), "OFF".into());
        server.accounts = Source::Read(vec![testing::account("app", "%", Require::None)]);
        let examination = Examination::judge(facts);
        assert_eq!(
            ids(&examination),
            [
                ("key-mismatch", None),
                ("tls-off", Some("key-mismatch")),
                ("account-without-require", Some("key-mismatch")),
            ]
        );
        assert_eq!(examination.verdict(Step::Report), Verdict::Error);
    }

    #[test]
    fn a_server_that_is_down_for_its_key_is_one_error() {
        let mut facts = testing::with_files(|files| {
            let key = crate::x509::testing::root("other").key;
            files.key.as_mut().unwrap().content = Ok(PrivateKey::from_openssl(&key, "PRIVATE KEY"));
        });
        facts.server = Source::unread(UnreadKind::Unreachable, "nothing answers", "");
        facts.wire = Source::unread(UnreadKind::Unreachable, "nothing answers", "");
        let examination = Examination::judge(facts);
        assert_eq!(
            ids(&examination),
            [("key-mismatch", None), ("server-not-running", Some("key-mismatch"))]
        );
        assert_eq!(examination.verdict(Step::Accounts), Verdict::Unknown);
    }

    #[test]
    fn errors_stand_before_warnings_whatever_their_step() {
        let mut facts = testing::with_server(|server| {
            server.variables.insert("require_secure_transport".into(), "OFF".into());
            server.accounts = Source::Read(vec![testing::account("app", "%", Require::None)]);
        });
        facts.at = facts.served_leaf().unwrap().not_after - 5 * 86_400;
        let examination = Examination::judge(facts);
        assert_eq!(
            ids(&examination),
            [
                ("account-without-require", None),
                ("certificate-expiring", None),
                ("transport-not-enforced", None)
            ]
        );
    }

    #[test]
    fn saved_facts_give_the_same_findings() {
        let facts = testing::with_files(|files| files.under_ca = Some(Err(testing::no_issuer())));
        let json = serde_json::to_string(&facts).unwrap();
        let again: Facts = serde_json::from_str(&json).unwrap();
        let (before, after) = (Examination::judge(facts), Examination::judge(again));
        assert_eq!(before.findings, after.findings);
        assert!(!before.findings.is_empty());
    }
}
