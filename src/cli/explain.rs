//! `mytls explain` and `mytls rules`: what the rules are, offline.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::check::Format;
use super::{Failure, print};
use crate::printable::printable;
use crate::rules::{self, Rule};

/// Say what a rule checks, why it matters and how to fix it.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, after_help = "Example:\n  mytls explain key-mismatch")]
pub struct ExplainArgs {
    /// The rule's id, as `mytls check` prints it
    pub rule: String,
}

/// List all rules.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls rules --format json | jq -r '.[].id'"
)]
pub struct RulesArgs {
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

pub fn run(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let Some(rule) = rules::find(&args.rule) else {
        let shown = printable(&args.rule);
        let near =
            nearest(&args.rule).map(|id| format!("; did you mean {id}?")).unwrap_or_default();
        return Err(Failure::usage(format!(
            "there is no rule {shown}{near} (mytls rules lists them all)"
        )));
    };
    print(&explanation(rule))?;
    Ok(ExitCode::SUCCESS)
}

/// The whole explanation of a rule as text.
pub fn explanation(rule: &Rule) -> String {
    let mut out = format!(
        "{} ({}, {})\n\n{}\n",
        rule.id,
        severity(rule),
        rule.step.title(),
        rule.doc.lines().next().unwrap_or_default().trim()
    );
    for heading in Rule::SECTIONS {
        let body = rule.section(heading).unwrap_or_default();
        // writing to a String cannot fail
        let _ = write!(out, "\n{heading}\n");
        for line in body.lines() {
            let _ = writeln!(out, "  {}", line.replace('`', ""));
        }
    }
    out
}

pub fn rules(args: &RulesArgs) -> Result<ExitCode, Failure> {
    match args.format {
        Format::Text => {
            let lines = rules::ALL.iter().map(|rule| {
                let title = rule.doc.lines().next().unwrap_or_default().trim();
                format!(
                    "{:<24}  {:<7}  {:<17}  {title}\n",
                    rule.id,
                    severity(rule),
                    rule.step.title()
                )
            });
            print(&lines.collect::<String>())?;
        }
        Format::Json => {
            let list = rules::ALL.iter().map(|rule| {
                serde_json::json!({
                    "id": rule.id,
                    "step": rule.step,
                    "severity": rule.severity,
                    "title": rule.doc.lines().next().unwrap_or_default().trim(),
                    "checks": rule.section("What it checks"),
                    "why": rule.section("Why it matters"),
                    "fix": rule.section("How to fix"),
                    "source": rule.section("Source"),
                })
            });
            print(&format!("{:#}\n", list.collect::<serde_json::Value>()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn severity(rule: &Rule) -> &'static str {
    match rule.severity {
        rules::Severity::Error => "error",
        rules::Severity::Warning => "warning",
        rules::Severity::Note => "note",
    }
}

/// The rule whose id shares most words with what was typed.
fn nearest(typed: &str) -> Option<&'static str> {
    let words: Vec<&str> =
        typed.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| w.len() > 2).collect();
    let score = |id: &str| words.iter().filter(|word| id.contains(**word)).count();
    let best = rules::ALL.iter().map(|rule| rule.id).max_by_key(|id| score(id))?;
    (score(best) > 0).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_finds_the_rule() {
        assert_eq!(nearest("mismatch-key"), Some("key-mismatch"));
        assert_eq!(nearest("xyz"), None);
    }

    #[test]
    fn every_explanation_has_its_sections() {
        for rule in rules::ALL {
            let text = explanation(rule);
            assert!(Rule::SECTIONS.iter().all(|heading| text.contains(heading)), "{text}");
        }
    }
}
