//! `mytls config show`

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Format, look, print_json, server_of};
use crate::checklist::policy::{Judged, Met, Policy};
use crate::cli::target::TargetArgs;
use crate::cli::{FINDINGS, Failure, print};
use crate::facts::Facts;
use crate::printable::printable;
use crate::remedy::options::{self, TlsOption};

/// Show the options about TLS: what counts, where it is set, what runs; and hold it against policies
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls config show -S /run/mysqld/mysqld.sock\n  \
    mytls config show --policy cis-mysql-8 --policy pci-dss-4\n\n\
    Policies: mozilla-intermediate, mozilla-modern, pci-dss-4, cis-mysql-8, cis-mariadb-10. Exit status:\n\
    0 shown and all met, 1 something of a policy is not met, 2 bad usage, 3 nothing could be read."
)]
pub struct ShowArgs {
    /// Say what of a policy is met, and the lines that meet the rest; may be given more than once
    #[arg(long, value_name = "NAME")]
    policy: Vec<Policy>,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    target: TargetArgs,
}

/// An option, as it stands in the files and as it runs.
struct Row {
    name: &'static str,
    written: Option<String>,
    place: Option<String>,
    running: Option<String>,
}

pub fn run(args: &ShowArgs) -> Result<ExitCode, Failure> {
    let facts = look(&args.target)?;
    let (flavor, version) = server_of(&facts)?;
    let here = options::ALL.iter().filter(|option| option.is_in(flavor, version));
    let rows: Vec<Row> = here.map(|option| row(&facts, option)).collect();
    let wants_channels = !args.policy.is_empty() && facts.server.read().is_some();
    let channels = if wants_channels { super::channels::read(&facts).ok() } else { None };
    let judged: Vec<(Policy, Vec<Judged>)> = args
        .policy
        .iter()
        .map(|policy| (*policy, policy.judge(&facts, channels.as_ref())))
        .collect();
    match args.format {
        Format::Text => print(&text(&facts, &rows, &judged))?,
        Format::Json => print_json(&json!({
            "schema": 1,
            "server": {"flavor": flavor.name(), "version": version.to_string()},
            "options": rows.iter().map(|row| json!({
                "name": row.name, "written": row.written, "at": row.place, "running": row.running,
            })).collect::<Vec<_>>(),
            "policies": judged.iter().map(|(policy, items)| json!({
                "policy": policy.name(), "title": policy.title(), "source": policy.source(), "items": items,
            })).collect::<Vec<_>>(),
        }))?,
    }
    let unmet = judged.iter().flat_map(|(_, items)| items);
    let unmet = unmet.filter(|item| matches!(item.answer, Met::No(_))).count();
    Ok(if unmet == 0 { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

fn row(facts: &Facts, option: &TlsOption) -> Row {
    let config = facts.config.read();
    let running = facts.server.read().and_then(|server| server.variable(option.name));
    Row {
        name: option.name,
        written: config.and_then(|config| config.get(option.name)).map(str::to_owned),
        place: config
            .and_then(|config| config.effective_origin(option.name))
            .map(ToString::to_string),
        running: running.map(str::to_owned),
    }
}

fn text(facts: &Facts, rows: &[Row], judged: &[(Policy, Vec<Judged>)]) -> String {
    let mut out = String::new();
    if let Some(unread) = facts.config.reason() {
        let _ = writeln!(out, "option files: {}", unread.why);
    }
    let set = rows.iter().filter(|row| row.written.is_some() || row.running.is_some());
    for row in set {
        let value = row.running.as_ref().or(row.written.as_ref());
        let value = printable(value.map_or("", String::as_str));
        let place = row.place.as_deref().map_or("", |place| place);
        let _ = writeln!(out, "{:<26} {value}", row.name);
        if !place.is_empty() {
            let _ = writeln!(out, "{:<26}   {}", "", printable(place));
        }
        if let (Some(written), Some(running)) = (&row.written, &row.running)
            && !same(written, running)
        {
            let _ = writeln!(
                out,
                "{:<26}   the file says {}: it counts from the next start",
                "",
                printable(written)
            );
        }
    }
    let unset: Vec<&str> = rows
        .iter()
        .filter(|row| row.written.is_none() && row.running.is_none())
        .map(|row| row.name)
        .collect();
    if !unset.is_empty() {
        let text = format!("not set: {}", unset.join(", "));
        let _ = writeln!(
            out,
            "{}",
            textwrap::fill(&text, textwrap::Options::new(100).subsequent_indent("  "))
        );
    }
    for (policy, items) in judged {
        let _ = writeln!(out, "\n{} ({})", policy.title(), policy.source());
        for item in items {
            let (mark, why) = match &item.answer {
                Met::Yes(why) => ("met", why),
                Met::No(why) => ("NOT MET", why),
                Met::NotApplicable(why) => ("not applicable", why),
                Met::Unknown(why) => ("unknown", why),
            };
            let _ = writeln!(out, "  {mark}: {}", item.title);
            let _ = writeln!(out, "      {}", printable(why));
            for (name, value) in &item.lines {
                let _ = writeln!(out, "      {name} = {value}");
            }
        }
    }
    out
}

/// `ON` and `1`, a list in another order of case: the same value in two spellings.
fn same(one: &str, other: &str) -> bool {
    let plain = |text: &str| match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "true" => "on".to_owned(),
        "0" | "off" | "false" => "off".to_owned(),
        other => other.replace(' ', ""),
    };
    plain(one) == plain(other)
}
