//! The steps, their verdicts, and what is still to do.

use crate::facts::Facts;
use crate::rules::{Answer, Finding, Rule, Severity, Step};

/// Facts and what the rules say of them.
#[derive(Clone, Debug)]
pub struct Examination {
    pub facts: Facts,
    /// Every rule's answer, in display order.
    pub outcomes: Vec<Outcome>,
    /// Everything that is wrong: causes first, each followed by its consequences, then warnings
    /// and notes.
    pub findings: Vec<Finding>,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub rule: &'static Rule,
    pub answer: Answer,
}

/// What a step comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Every rule that applies passes, and at least one does.
    Good,
    /// No rule applies.
    NotApplicable,
    /// Something could not be found out, and nothing else is wrong.
    Unknown,
    Warning,
    Error,
}

impl Examination {
    /// Runs every rule over the facts; pure.
    pub fn judge(facts: Facts) -> Self {
        let _ = facts;
        unimplemented!()
    }

    pub fn verdict(&self, step: Step) -> Verdict {
        let _ = step;
        unimplemented!()
    }

    /// The heaviest finding, if there is any.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}
