//! What the report says in its forms in the same words.

use super::json::rfc3339;
use super::record::{Deed, Record};
use crate::checklist::{Examination, Verdict};
use crate::printable::printable;
use crate::rules::{Answer, Severity};

/// `examined 2026-11-24T12:00:00Z by anna on dba1, logged in as root@localhost`
pub fn examined(examination: &Examination, record: &Record) -> String {
    let facts = &examination.facts;
    let by =
        if record.by.is_empty() { String::new() } else { format!(" by {}", shown(&record.by)) };
    let login = facts.server.read().map_or_else(
        || "without a login".to_owned(),
        |server| format!("logged in as {}", shown(&server.current_user)),
    );
    format!("examined {}{by}, {login}", rfc3339(facts.at))
}

/// `2026-11-24T12:00:00Z, anna on dba1, number 417a9c03d2`; of the walk itself nothing but who.
pub fn when_and_who(deed: &Deed) -> String {
    let mut parts = Vec::new();
    parts.extend(deed.at.map(rfc3339));
    if !deed.by.is_empty() {
        parts.push(shown(&deed.by));
    }
    if !deed.id.is_empty() {
        parts.push(format!("number {}", shown(&deed.id)));
    }
    parts.join(", ")
}

/// What a person still has to look at, one line each, the heavy before the unknown; printable.
pub fn open(examination: &Examination, record: &Record) -> Vec<String> {
    let causes = examination.findings.iter().filter(|finding| finding.because_of.is_none());
    let heavy = causes.filter(|finding| finding.severity > Severity::Note);
    let mut out: Vec<String> =
        heavy.map(|finding| format!("{} ({})", shown(&finding.title), finding.rule)).collect();
    let broken = record.proofs.iter().filter(|proof| !proof.proved);
    out.extend(broken.map(|proof| shown(&proof.summary)));
    let left = record.left.iter();
    out.extend(left.map(|line| format!("left to you, unless it is done by now: {}", shown(line))));
    let unknown = examination.unknown();
    out.extend(
        unknown.map(|(rule, why)| format!("not found out: {}, because {}", rule.id, shown(why))),
    );
    out
}

/// A check's answer as weight, word, and what there is to see.
pub fn answered(answer: &Answer) -> (Verdict, &'static str, &str) {
    match answer {
        Answer::Pass(seen) => (Verdict::Good, "holds", seen),
        Answer::Fail(findings) => {
            let worst = findings.iter().map(|finding| finding.severity).max();
            (worst.map_or(Verdict::Good, weight), "does not hold", "")
        }
        Answer::NotApplicable(why) => (Verdict::NotApplicable, "does not apply", why),
        Answer::Unknown(why) => (Verdict::Unknown, "could not be found out", why),
    }
}

/// A finding as a step would be marked that has only this one.
pub fn weight(severity: Severity) -> Verdict {
    match severity {
        Severity::Error => Verdict::Error,
        Severity::Warning => Verdict::Warning,
        Severity::Note => Verdict::NotApplicable,
    }
}

fn shown(text: &str) -> String {
    printable(text).into_owned()
}
