//! What `mytls reach` saw on other machines, held against the set.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::super::check::Format;
use super::super::{FINDINGS, Failure, print};
use super::{FirewallArgs, print_json};
use crate::bounded;
use crate::printable::printable;
use crate::prove::reach::Reach;
use crate::remedy::firewall::Wish;

/// `--reach`: what was seen elsewhere, held against the set.
pub fn judge(args: &FirewallArgs, wish: &Wish) -> Result<ExitCode, Failure> {
    let mut rows = Vec::new();
    for file in &args.reach {
        let report = report(file)?;
        let mut judged = report.judge(&wish.allow);
        if !wish.ports().contains(&report.port) {
            judged.pass = false;
            judged.why = format!("it is about port {}, for which no rules are wanted", report.port);
        }
        rows.push((file, report, judged));
    }
    let pass = rows.iter().all(|(_, _, judged)| judged.pass);
    match args.format {
        Format::Text => {
            let mut out = String::new();
            for (file, _, judged) in &rows {
                let mark = if judged.pass { "✓ pass" } else { "✗ FAIL" };
                let line = format!("{}: {}", file.display(), judged.why);
                // writing to a String cannot fail
                let _ = writeln!(out, "{mark}  {}", printable(&line));
            }
            print(&out)?;
        }
        Format::Json => {
            let list = rows.iter().map(|(file, report, judged)| {
                json!({"file": file.display().to_string(), "report": report, "judged": judged})
            });
            let list: serde_json::Value = list.collect();
            print_json(&json!({"schema": 1, "allow": wish.allow, "pass": pass, "reach": list}))?;
        }
    }
    Ok(if pass { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

fn report(file: &Path) -> Result<Reach, Failure> {
    const LARGEST: u64 = 1 << 20;
    let shown = printable(&file.display().to_string()).into_owned();
    let no = |why: String| {
        Failure::not_examined(format!(
            "{shown} {why}; write it with: mytls reach HOST:PORT --format json > FILE"
        ))
    };
    let bytes =
        bounded::read(file, LARGEST).map_err(|error| no(format!("cannot be read: {error}")))?;
    let report: Reach = serde_json::from_slice(&bytes).map_err(|error| {
        no(format!("is no report of mytls reach ({})", printable(&error.to_string())))
    })?;
    if report.schema != Reach::SCHEMA {
        return Err(no(format!(
            "was written by another version of mytls (schema {})",
            report.schema
        )));
    }
    Ok(report)
}
