//! `mytls reach`: the proof from outside, on another machine.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use time::OffsetDateTime;

use super::check::Format;
use super::{FINDINGS, Failure, print};
use crate::printable::{printable, printable_json};
use crate::prove::reach::{Reach, Tls, reach};
use crate::wire::{Endpoint, Limits};

/// See from this machine whether a server's port answers, whether TLS is offered, and as whom the
/// server sees this machine.
///
/// It needs no account and no password, and ends with a refused login, so that the server does not count
/// it against this host.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls reach db1.example:3306\n  \
                  mytls reach 10.0.0.5:3306 --format json > web1.json    then, for the server:\n  \
                  mytls firewall --allow 10.0.0.0/24 --reach web1.json\n\n\
                  Exit status: 0 the port answers, 1 it does not, 2 bad usage."
)]
pub struct ReachArgs {
    /// The server's name or address, and its port
    #[arg(value_name = "HOST[:PORT]")]
    at: Endpoint,
    /// How long an answer is waited for, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

pub fn run(args: &ReachArgs) -> Result<ExitCode, Failure> {
    let connect = Duration::from_secs(args.timeout);
    let limits = Limits { connect, total: connect * 2 };
    let found = reach(&args.at, limits, OffsetDateTime::now_utc().unix_timestamp());
    match args.format {
        Format::Text => print(&text(&found))?,
        Format::Json => {
            let object = serde_json::to_string_pretty(&found).map_err(|error| {
                Failure::not_examined(format!("the report cannot be written: {error}"))
            })?;
            print(&format!("{}\n", printable_json(&object)))?;
        }
    }
    Ok(if found.outcome.gets_through() { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

fn text(found: &Reach) -> String {
    let mut out = format!("{}\n", printable(&found.why));
    let mut line = |label: &str, value: &str| {
        // writing to a String cannot fail
        let _ = writeln!(out, "  {label:<15}{}", printable(value));
    };
    if let Some(server) = &found.server {
        line("server", server);
    }
    match &found.tls {
        Some(Tls::Works(version)) => line("TLS", version),
        Some(Tls::NotOffered) => line("TLS", "not offered"),
        Some(Tls::Fails(why)) => line("TLS", &format!("offered, and the handshake fails: {why}")),
        None => {}
    }
    if let Some(local) = found.local {
        line("from", &local.to_string());
    }
    if let Some(seen) = &found.seen_as {
        line("seen by it as", seen);
    }
    line("time", &format!("{} ms", found.milliseconds));
    out
}
