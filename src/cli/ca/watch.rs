//! `mytls ca watch`

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{Done, FINDINGS, Format, NOT_EXAMINED, days, now, shown};
use crate::ca::Catalog;
use crate::ca::authority::refuse_clock;
use crate::ca::watch::{self, Due};
use crate::cli::Failure;
use crate::printable::{printable, printable_json};

/// Say what is due: for cron
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls ca watch --ca-dir /srv/db-ca --within 30d\n\n\
    Exit status: 0 nothing is due, 1 a certificate, a CA or a list of revoked certificates is,\n\
    2 bad usage, 3 the CA could not be read. It needs no passphrase."
)]
pub struct WatchArgs {
    /// Folder of the CA
    #[arg(long, value_name = "DIR")]
    ca_dir: PathBuf,
    /// How long before it expires something is due
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = days)]
    within: u32,
    /// Print nothing when nothing is due, as where standard output is no terminal
    #[arg(long)]
    quiet: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Serialize)]
struct Json<'a> {
    schema: u32,
    at: i64,
    within_days: u32,
    due: &'a [Due],
}

pub fn run(args: &WatchArgs) -> Result<Done, Failure> {
    let catalog = Catalog::read(&args.ca_dir)
        .map_err(|error| Failure { code: NOT_EXAMINED, message: error.to_string() })?;
    let now = now();
    refuse_clock(now)
        .map_err(|error| Failure { code: NOT_EXAMINED, message: error.to_string() })?;
    let due = watch::due(&catalog, now, i64::from(args.within) * 86_400);
    let code = if due.is_empty() { 0 } else { FINDINGS };
    if args.format == Format::Json {
        let json = Json { schema: 1, at: now, within_days: args.within, due: &due };
        // plain strings and numbers: there is nothing in it that could not be written
        let json = serde_json::to_string_pretty(&json).unwrap_or_default();
        return Ok(Done { text: printable_json(&json) + "\n", code });
    }
    let mut text = String::new();
    // writing to a String cannot fail
    for due in &due {
        let _ = write!(text, "{}", due.sentence(now));
        match &due.remedy {
            Some(remedy) => {
                let (remedy, dir) = (printable(remedy), shown(&args.ca_dir));
                let _ = writeln!(text, ": {remedy} --ca-dir {dir}");
            }
            None => text.push('\n'),
        }
    }
    // cron mails whatever is printed
    if due.is_empty() && !args.quiet && std::io::stdout().is_terminal() {
        let _ = write!(text, "nothing is due within {} days", args.within);
        match watch::next(&catalog, now) {
            Some(next) => drop(writeln!(text, "; next: {}", next.sentence(now))),
            None => text.push('\n'),
        }
    }
    Ok(Done { text, code })
}
