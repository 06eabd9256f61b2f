//! `mytls explain` and `mytls rules`: what the rules are, offline.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::check::Format;
use super::{Failure, print};
use crate::printable::printable;
use crate::rules::messages::{self, Message};
use crate::rules::{self, Rule, Step};

/// Say what a rule checks and how to fix it, or what is behind a client's or server's message.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls explain key-mismatch\n  \
                  mytls explain 'ERROR 2026 (HY000): SSL connection error: …'"
)]
pub struct ExplainArgs {
    /// The rule's id as `mytls check` prints it, or an error message of any client or server
    #[arg(required = true, value_name = "RULE|MESSAGE")]
    pub what: Vec<String>,
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
    let asked = args.what.join(" ");
    if let Some(rule) = rules::find(asked.trim()) {
        print(&explanation(rule))?;
        return Ok(ExitCode::SUCCESS);
    }
    let meanings = messages::meanings(&asked);
    if !meanings.is_empty() {
        print(&led_back(&meanings))?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown = printable(&asked);
    if asked.contains(char::is_whitespace) {
        return Err(Failure::usage(format!(
            "this message is not known: {shown}\n  give it whole, as the client or the log has it; \
             or let mytls look for itself: mytls check"
        )));
    }
    let near = nearest(&asked).map(|id| format!("; did you mean {id}?")).unwrap_or_default();
    Err(Failure::usage(format!("there is no rule {shown}{near} (mytls rules lists them all)")))
}

/// What a message means, and the causes behind it.
fn led_back(meanings: &[Message]) -> String {
    let mut out = String::new();
    for (at, message) in meanings.iter().enumerate() {
        let lead = if at == 0 { "" } else { "\nor: " };
        // writing to a String cannot fail
        let _ = writeln!(out, "{lead}{}\n", message.means);
        for cause in &message.causes {
            let rule = cause.rule.as_ref().map(|rule| format!("  [{rule}]")).unwrap_or_default();
            let _ = writeln!(out, "  - {}{rule}", cause.why);
        }
    }
    let first = meanings.iter().flat_map(|message| &message.causes).find_map(|c| c.rule.as_deref());
    if let Some(rule) = first {
        let _ = writeln!(
            out,
            "\nmytls check finds out which of them it is; mytls explain {rule} says more of one."
        );
        let is_of_accounts = rules::find(rule).is_some_and(|rule| rule.step == Step::Accounts);
        if is_of_accounts {
            out += "mytls why-denied --user USER --cert FILE tries the account's own login, and tells the password \
                    from the certificate.\n";
        }
    }
    out
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
            let wide = rules::ALL.iter().map(|rule| rule.id.len()).max().unwrap_or_default();
            let lines = rules::ALL.iter().map(|rule| {
                let title = rule.doc.lines().next().unwrap_or_default().trim();
                format!(
                    "{:<wide$}  {:<7}  {:<17}  {title}\n",
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
    // in characters: `mismatched` and `mismatch` have eight in common
    let common =
        |one: &str, other: &str| one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let score = |id: &str| -> usize {
        let best = |word: &&str| id.split('-').map(|part| common(part, word)).max().unwrap_or(0);
        words.iter().map(best).filter(|common| *common > 2).sum()
    };
    // of two that are as near, the one with less besides
    let best =
        rules::ALL.iter().map(|rule| rule.id).min_by_key(|id| (Reverse(score(id)), id.len()))?;
    (score(best) > 0).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_finds_the_rule() {
        assert_eq!(nearest("mismatch-key"), Some("key-mismatch"));
        assert_eq!(nearest("mismatched-key"), Some("key-mismatch"));
        assert_eq!(nearest("cert-expired"), Some("certificate-expired"));
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
