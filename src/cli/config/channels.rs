//! `mytls config channels`

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Format, look, print_json};
use crate::apply::Plan;
use crate::cli::target::TargetArgs;
use crate::cli::{FINDINGS, Failure, print, tell};
use crate::facts::channels::{self, Channels};
use crate::facts::{Facts, session};
use crate::printable::printable;
use crate::remedy::channel::{self, Channel};

/// Say whether replication and the other ways in are encrypted and verify whom they meet
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls config channels -S /run/mysqld/mysqld.sock\n  \
    mytls config channels --router-config /etc/mysqlrouter/mysqlrouter.conf\n  \
    mytls config channels --proxysql /etc/proxysql/ca.pem | mysql -h 127.0.0.1 -P 6032\n\n\
    Each comes with the statements that make it so. Exit status: 0 all are encrypted and verified, 1 not\n\
    all, 2 bad usage, 3 the server could not be asked."
)]
pub struct ChannelsArgs {
    /// A MySQL Router's option file, looked at instead of a server
    #[arg(long, value_name = "FILE")]
    router_config: Option<PathBuf>,
    /// Print the statements for a ProxySQL whose servers have certificates of this CA
    #[arg(long, value_name = "CA", conflicts_with = "router_config")]
    proxysql: Option<PathBuf>,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    target: TargetArgs,
}

pub fn run(args: &ChannelsArgs) -> Result<ExitCode, Failure> {
    if let Some(ca) = &args.proxysql {
        let ca = std::path::absolute(ca).unwrap_or_else(|_| ca.clone());
        let lines = channel::proxysql(&ca.display().to_string());
        print(&format!("{}\n", lines.join("\n")))?;
        tell(format_args!(
            "note: ProxySQL verifies the CA of its servers and never their names; client certificates end at it, so \
             accounts that REQUIRE one cannot log in through it\n"
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let all = if let Some(file) = &args.router_config {
        channel::router(&channels::router(file).map_err(Failure::not_examined)?)
    } else {
        let facts = look(&args.target)?;
        let server = crate::cli::accounts::server(&facts)?;
        let found = read(&facts)?;
        if !found.unread.is_empty() {
            tell(format_args!("note: replication is not seen: {}\n", found.unread));
        }
        channel::judge(&found, server.flavor, server.version)
    };
    match args.format {
        Format::Text => print(&text(&all))?,
        Format::Json => print_json(&json!({"schema": 1, "channels": all}))?,
    }
    let good = all.iter().all(Channel::is_good);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

pub(super) fn read(facts: &Facts) -> Result<Channels, Failure> {
    let (target, route) = Plan::session_of(facts)
        .ok_or_else(|| Failure::not_examined("there is no session with the server"))?;
    let mut conn =
        session::open(&target, &route).map_err(|error| Failure::not_examined(error.to_string()))?;
    let flavor = crate::cli::accounts::server(facts)?.flavor;
    Ok(channels::read(&mut conn, flavor))
}

fn text(all: &[Channel]) -> String {
    let mut out = String::new();
    if all.is_empty() {
        out += "nothing but the port for everybody: no replication from elsewhere, no group, no X Protocol\n";
    }
    for one in all {
        let _ = writeln!(
            out,
            "{}\n  encrypted: {}    verifies whom it meets: {}",
            one.name,
            one.encrypted.word(),
            one.verifies.word()
        );
        if !one.note.is_empty() {
            let _ = writeln!(out, "  {}", printable(&one.note));
        }
        for line in &one.statements {
            let _ = writeln!(out, "    {}", printable(line));
        }
    }
    out
}
