//! `mytls scan`: what a server offers, seen from outside.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::check::Format;
use super::target::TargetArgs;
use super::{Failure, print};
use crate::facts::session;
use crate::printable::printable_json;
use crate::scan::{Budget, How, ScanError, is_exempt, scan};
use crate::wire::{Endpoint, Trust};

/// See what a server offers: versions, cipher suites, groups, certificates.
///
/// Needs no login. It makes as few connections as there are answers, and carries them to a refused login
/// where it can, because those that are broken off count towards max_connect_errors.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls scan db1.example --ssl-ca ca.pem\n  \
                  mytls scan 10.0.0.5:3307 --format json | jq '.tls.protocols[].version'\n\n\
                  Exit status: 0 it was scanned, 2 bad usage, 3 it could not be."
)]
pub struct ScanArgs {
    /// The server: host or host:port
    #[arg(value_name = "HOST[:PORT]", required = true)]
    servers: Vec<Endpoint>,
    /// Go slowly: one connection at a time, and a pause between two
    #[arg(long)]
    polite: bool,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    target: TargetArgs,
}

pub fn run(args: &ScanArgs) -> Result<ExitCode, Failure> {
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stopped)).map_err(|error| {
            Failure::not_examined(format!("signals cannot be waited for: {error}"))
        })?;
    }
    let target = args.target.resolve()?;
    let trust = session::trust(&target, None).map_err(Failure::usage)?;
    for server in &args.servers {
        let scan = one(server, &trust, args, &stopped)
            .map_err(|error| Failure::not_examined(format!("{server}: {error}")))?;
        match args.format {
            Format::Text => print(&scan.text())?,
            Format::Json => {
                let json = serde_json::to_string_pretty(&scan).unwrap_or_default();
                print(&(printable_json(&json) + "\n"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn one(
    server: &Endpoint,
    trust: &Trust,
    args: &ScanArgs,
    stopped: &AtomicBool,
) -> Result<crate::scan::Scan, ScanError> {
    let cancelled = || stopped.load(Ordering::Relaxed);
    let here = server.ip().is_some_and(is_exempt) && server.bind.is_none();
    let budget = if here { Budget::unlimited() } else { Budget::new(None, 0) };
    let how = How {
        trust,
        bare: here,
        login: None,
        pause: if args.polite { Duration::from_millis(200) } else { Duration::ZERO },
        at_once: 6,
        cancelled: &cancelled,
    };
    scan(server, &how, &budget, &|_| ())
}
