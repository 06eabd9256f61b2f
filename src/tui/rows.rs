//! What stands in a step's list: what is wrong with its consequences beneath it, what could not be
//! found out, what there is to look at, and what holds.

use crate::checklist::Examination;
use crate::facts::AccountName;
use crate::rules::{Answer, Step};

/// One line of a step's list. Indices are into the examination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    Finding {
        index: usize,
        key: RowKey,
        consequence: bool,
    },
    /// A rule that passes, does not apply, or could not tell.
    Outcome {
        index: usize,
        rule: &'static str,
    },
    Info(Info),
    Account {
        index: usize,
        name: AccountName,
    },
}

/// Facts that are shown whatever the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Info {
    Server,
    Wire,
    Config,
    Files,
    Log,
    Certificate,
    Chain,
    Session,
    /// The accounts could not be read.
    NoAccounts,
}

/// What a row is about; stays the same when the examination is done again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowKey {
    Finding { rule: &'static str, nth: usize },
    Outcome(&'static str),
    Info(Info),
    Account(AccountName),
}

impl Row {
    pub fn key(&self) -> RowKey {
        match self {
            Self::Finding { key, .. } => key.clone(),
            Self::Outcome { rule, .. } => RowKey::Outcome(rule),
            Self::Info(info) => RowKey::Info(*info),
            Self::Account { name, .. } => RowKey::Account(name.clone()),
        }
    }
}

/// The list of one step; the accounts are a list of their own, see [`super::roster`].
pub fn rows(exam: &Examination, step: Step) -> Vec<Row> {
    let (mut out, below) = (above(exam, step), below(exam, step));
    out.extend(below);
    out
}

/// What stands above the accounts, and below.
pub fn around_accounts(exam: &Examination) -> (Vec<Row>, Vec<Row>) {
    (above(exam, Step::Accounts), below(exam, Step::Accounts))
}

fn above(exam: &Examination, step: Step) -> Vec<Row> {
    let mut out = findings(exam, step);
    out.extend(outcomes(exam, step, |answer| matches!(answer, Answer::Unknown(_))));
    out.extend(infos(exam, step).into_iter().map(Row::Info));
    out
}

fn below(exam: &Examination, step: Step) -> Vec<Row> {
    let outcomes = |wanted: fn(&Answer) -> bool| outcomes(exam, step, wanted);
    // where there is something to see goes first
    let mut out: Vec<Row> =
        outcomes(|answer| matches!(answer, Answer::Pass(seen) if !seen.is_empty())).collect();
    out.extend(outcomes(|answer| matches!(answer, Answer::Pass(seen) if seen.is_empty())));
    out.extend(outcomes(|answer| matches!(answer, Answer::NotApplicable(_))));
    out
}

fn outcomes(
    exam: &Examination,
    step: Step,
    wanted: fn(&Answer) -> bool,
) -> impl Iterator<Item = Row> + '_ {
    let all = exam.outcomes.iter().enumerate();
    all.filter(move |(_, outcome)| outcome.rule.step == step && wanted(&outcome.answer))
        .map(|(index, outcome)| Row::Outcome { index, rule: outcome.rule.id })
}

/// Causes of this step, each followed by what follows from it wherever that shows; then findings
/// of this step whose cause stands in another one.
fn findings(exam: &Examination, step: Step) -> Vec<Row> {
    let mut out = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    let row = |index: usize, consequence| {
        let rule = exam.findings[index].rule;
        let nth = exam.findings[..index].iter().filter(|f| f.rule == rule).count();
        Row::Finding { index, key: RowKey::Finding { rule, nth }, consequence }
    };
    for (index, finding) in exam.findings.iter().enumerate() {
        if finding.step != step || finding.because_of.is_some() {
            continue;
        }
        out.push(row(index, false));
        if seen.contains(&finding.rule) {
            continue; // several findings of one rule: what follows hangs under the first
        }
        seen.push(finding.rule);
        for (other, follows) in exam.findings.iter().enumerate() {
            if follows.because_of == Some(finding.rule) {
                out.push(row(other, true));
            }
        }
    }
    for (index, finding) in exam.findings.iter().enumerate() {
        let shown = |row: &Row| matches!(row, Row::Finding { index: i, .. } if *i == index);
        if finding.step == step && finding.because_of.is_some() && !out.iter().any(shown) {
            out.push(row(index, true));
        }
    }
    out
}

fn infos(exam: &Examination, step: Step) -> Vec<Info> {
    let facts = &exam.facts;
    match step {
        Step::Server => vec![Info::Server, Info::Wire, Info::Config, Info::Files, Info::Log],
        Step::Key if facts.served_leaf().is_some() => vec![Info::Certificate],
        Step::Chain if !crate::report::chain::sent(facts).is_empty() => vec![Info::Chain],
        Step::Encryption if facts.server.read().is_some() => vec![Info::Session],
        Step::Accounts if facts.server.read().is_none_or(|s| s.accounts.read().is_none()) => {
            vec![Info::NoAccounts]
        }
        _ => Vec::new(),
    }
}
