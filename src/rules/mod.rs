//! The diagnostics: one rule per file, each a pure function from [`Facts`] to an [`Answer`].

use serde::Serialize;

use crate::facts::Facts;
use crate::remedy::Remedy;

/// A step of the checklist, in the order in which it is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Server,
    Key,
    Chain,
    Encryption,
    Accounts,
    Report,
}

impl Step {
    pub const ALL: [Self; 6] =
        [Self::Server, Self::Key, Self::Chain, Self::Encryption, Self::Accounts, Self::Report];

    pub fn title(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Key => "Key & certificate",
            Self::Chain => "CA & chain",
            Self::Encryption => "Encryption",
            Self::Accounts => "Accounts",
            Self::Report => "Report",
        }
    }
}

/// How bad it is. The order is that of growing weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// It works, and is unsafe or will stop working.
    Warning,
    /// Clients or the server fail, or the promise of TLS is broken.
    Error,
}

/// A rule: what it is about, its explanation, and its judgement.
#[derive(Debug)]
pub struct Rule {
    /// Kebab-case, states what is wrong, stable for ever.
    pub id: &'static str,
    pub step: Step,
    /// The heaviest severity its findings have.
    pub severity: Severity,
    /// What holds when the rule passes: `the key belongs to the certificate`.
    pub passes_as: &'static str,
    /// Rules whose errors explain this one: then it is a consequence, not a cause.
    pub explained_by: &'static [&'static str],
    /// The doc comment, with its sections.
    pub doc: &'static str,
    /// The source file, for the test that every file is listed.
    pub file: &'static str,
    pub judge: fn(&Facts) -> Answer,
}

/// What a rule answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It holds; a few words of evidence for the eye (`RSA 2048, 0640 root:mysql`), may be empty.
    Pass(String),
    Fail(Vec<Finding>),
    /// The question does not arise here.
    NotApplicable(String),
    /// It could not be found out; says why, and what would help.
    Unknown(String),
}

/// Something wrong, with its cause and what to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub rule: &'static str,
    pub step: Step,
    pub severity: Severity,
    /// Lower case, no full stop: `the key belongs to another certificate`.
    pub title: String,
    /// What was seen, as pairs of label and value, made printable.
    pub evidence: Vec<Evidence>,
    /// What it means, in a sentence or two.
    pub cause: String,
    /// Alternatives, the best first.
    pub remedies: Vec<Remedy>,
    /// The rule whose finding explains this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because_of: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    pub label: String,
    pub value: String,
}
