//! `mytls scan`: what servers offer of TLS, seen from outside.

use std::io::{IsTerminal as _, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use self::cancel::Cancel;
use self::job::{Job, Told};
use self::outcome::Outcome;
use self::saved::Line;
use super::target::TargetArgs;
use super::{Failure, print, tell};
use crate::bounded;
use crate::facts::{Target, session};
use crate::printable::{printable, printable_json, printable_lines};
use crate::scan::{AT_A_TIME, Access, GIVE_UP, Ledger, compare, show, targets};
use crate::wire::{ClientIdentity, Endpoint};

mod cancel;
mod job;
mod outcome;
mod saved;

/// So many servers are each asked in several connections at a time; more are not.
const FEW: usize = 4;

/// See what servers offer of TLS.
///
/// Every version, cipher suite and key exchange group, the chain and the policies it fits, found in a few
/// connections. A connection that is given up before a login counts towards the server's max_connect_errors;
/// from another host than the server's own, as few as possible are, and never so many that it blocks this host. With
/// a login (-u) the count is set back.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls scan db1.example\n  mytls scan db1.example:3307 -u monitor -p --ssl-ca ca.pem\n  \
                  mytls scan --targets hosts.txt --format json > today.ndjson\n  \
                  mytls scan db1.example --compare yesterday.json\n\n\
                  Exit status: 0 scanned, 1 a --policy does not fit or something changed, 2 bad usage, 3 a server could not be scanned, or\n\
                  not wholly; 130 or 143 after Ctrl-C or SIGTERM, with what was found until then."
)]
pub struct ScanArgs {
    /// Servers: HOST, HOST:PORT or NETWORK/BITS
    #[arg(value_name = "HOST[:PORT]")]
    hosts: Vec<String>,
    /// Servers from a file, - for standard input: one a line, or the JSON of ansible-inventory --list
    #[arg(long, value_name = "FILE")]
    targets: Option<PathBuf>,
    /// How to print; JSON is one object for one server, one a line for many
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// One connection at a time, with pauses
    #[arg(long)]
    polite: bool,
    /// So many connections may be given up at a server where there is no login, over all scans until one
    #[arg(long, value_name = "N", default_value_t = GIVE_UP)]
    give_up: u32,
    /// The server's max_connect_errors, where it is known and cannot be asked
    #[arg(long, value_name = "N")]
    max_connect_errors: Option<u32>,
    /// Servers at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    parallel: u16,
    /// Seconds for one connection
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Connect from this address
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,
    /// Say what changed since this scan, saved as JSON
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Leave out servers that were scanned in this file, written with --format json, and append nothing to it
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Exit with 1 where a server does not fit this policy
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Prometheus,
}

pub fn run(args: &ScanArgs) -> Result<ExitCode, Failure> {
    let target = args.target.resolve()?;
    let trust = session::trust(&target, None).map_err(Failure::usage)?;
    let with_login = args.target.user.is_some() || args.target.defaults_file.is_some();
    let mut endpoints = endpoints(args, &target)?;
    let many = endpoints.len() > 1;
    if let Some(file) = &args.resume {
        let mut done = saved::read(file)?;
        done.retain(|_, scan| saved::is_whole(scan));
        endpoints.retain(|endpoint| !done.contains_key(&endpoint.to_string()));
    }
    let before = args.compare.as_deref().map(saved::read).transpose()?;
    let cancel = Cancel::by_signal()?;
    let access = Access {
        target: &target,
        trust: &trust,
        identity: identity(&target)?,
        ledger: Ledger::usual(),
        with_login,
        give_up: args.give_up,
        max_connect_errors: args.max_connect_errors,
        polite: args.polite,
        // of many servers each waits for itself
        at_a_time: if endpoints.len() > FEW { 1 } else { AT_A_TIME },
        timeout: Duration::from_secs(args.timeout),
    };
    let job = Job { access, parallel: args.parallel.into(), cancel };
    let mut failure = None;
    let watched = many && std::io::stderr().is_terminal();
    let total = endpoints.len();
    let mut outcome = Outcome::default();
    job.all(&endpoints, &mut |told| {
        let (endpoint, result) = match told {
            Told::Done(endpoint, result) => (endpoint, *result),
            Told::Left => {
                // whoever keeps the others waiting is not waited for
                let ended = failure
                    .take()
                    .map_or_else(|| outcome.end(args, many, job.cancel.exit_status()), Err);
                let code = ended.unwrap_or_else(|failure: Failure| {
                    tell(format_args!("mytls: {}\n", printable_lines(&failure.message)));
                    failure.code
                });
                std::process::exit(code.into());
            }
        };
        let name = endpoint.to_string();
        let (scan, error) = match result {
            Ok(scan) => (Some(scan), None),
            Err(why) => (None, Some(why)),
        };
        let old = before.as_ref().and_then(|before| before.get(&name));
        let changes = match (&scan, old) {
            (Some(now), Some(old)) => compare::changes(old, now),
            _ => Vec::new(),
        };
        let line = Line { target: name, scan, error, changes };
        if failure.is_none() {
            failure = emit(&line, args.format, many).err();
        }
        outcome.take(&line, args, many);
        if watched {
            tell(format_args!("\r{} of {total}", outcome.servers));
        }
    });
    if watched {
        tell(format_args!("\n"));
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    outcome.end(args, many, job.cancel.exit_status()).map(ExitCode::from)
}

fn emit(line: &Line, format: Format, many: bool) -> Result<(), Failure> {
    let text = match (format, &line.scan) {
        (Format::Json, scan) => {
            // of one server it is the scan itself, spread over lines
            let text = match scan {
                Some(scan) if !many && line.changes.is_empty() => {
                    serde_json::to_string_pretty(scan)
                }
                None if !many => return Ok(()),
                _ => serde_json::to_string(line),
            };
            let text = text.map_err(|error| {
                Failure::not_examined(format!("the result cannot be written: {error}"))
            })?;
            format!("{}\n", printable_json(&text))
        }
        (Format::Text, Some(scan)) if !many => {
            let changes = line
                .changes
                .iter()
                .map(|change| format!("  changed        {}\n", printable(change)));
            format!("{}{}", show::text(scan), changes.collect::<String>())
        }
        _ => return Ok(()),
    };
    print(&text)
}

fn endpoints(args: &ScanArgs, target: &Target) -> Result<Vec<Endpoint>, Failure> {
    let mut all = Vec::new();
    for word in &args.hosts {
        targets::one(word, &mut all).map_err(Failure::usage)?;
    }
    if let Some(file) = &args.targets {
        let bytes = if file == Path::new("-") {
            let mut bytes = Vec::new();
            let limited = std::io::stdin().lock().take(16 << 20).read_to_end(&mut bytes);
            limited.map(|_| bytes).map_err(|error| error.to_string())
        } else {
            bounded::read(file, 16 << 20).map_err(|error| error.to_string())
        };
        let bytes = bytes
            .map_err(|why| Failure::usage(format!("{} cannot be read: {why}", file.display())))?;
        let text = String::from_utf8(bytes).map_err(|_| Failure::usage("the list is not UTF-8"))?;
        all.extend(
            targets::read(&text)
                .map_err(|why| Failure::usage(format!("{}: {why}", file.display())))?,
        );
    }
    if all.is_empty() {
        let host = target.host.clone().ok_or_else(|| {
            Failure::usage("name a server: mytls scan HOST[:PORT], or a list with --targets FILE")
        })?;
        all.push(Endpoint::new(host, target.port.unwrap_or(Endpoint::DEFAULT_PORT)));
    }
    for endpoint in &mut all {
        endpoint.bind = args.bind;
    }
    Ok(all)
}

/// The client certificate for the login.
fn identity(target: &Target) -> Result<Option<ClientIdentity>, Failure> {
    let Some(certificate) = &target.ssl_cert else { return Ok(None) };
    let key = target.ssl_key.as_ref().unwrap_or(certificate);
    ClientIdentity::load(certificate, key)
        .map(Some)
        .map_err(|error| Failure::usage(error.to_string()))
}
