//! How far the server is open, for whoever has named nobody yet.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;

use super::super::check::Format;
use super::super::{Failure, tell};
use super::{FirewallArgs, clients, ports, print_json};
use crate::facts::{Facts, exposure};
use crate::printable::printable;

/// Nobody was named: what listens, and who connects, so that somebody can be.
pub fn show(args: &FirewallArgs, seen: Option<&Facts>) -> Result<ExitCode, Failure> {
    let Some((facts, server)) = seen.and_then(|facts| Some((facts, facts.server.read()?))) else {
        return Err(Failure::usage("name whom to let in with --allow or --from-server"));
    };
    let (proposed, names) = exposure::proposal(clients(seen));
    let accounts = server.accounts.read().map_or(&[][..], Vec::as_slice);
    let wide: Vec<String> = accounts
        .iter()
        .filter(|account| account.is_for_the_network() && account.name.host.contains('%'))
        .map(|account| account.name.to_string())
        .collect();
    if args.format == Format::Json {
        print_json(&json!({
            "schema": 1,
            "bind_address": server.variable("bind_address"),
            "listeners": facts.listeners,
            "ports": ports(args, seen),
            "clients": server.clients,
            "proposal": proposed,
            "names_without_address": names,
            "accounts_of_many_hosts": wide,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = String::new();
    // not on stdout: whoever pipes rules would pipe this. Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "bind_address   {}",
        printable(server.variable("bind_address").unwrap_or("(none)"))
    );
    match (facts.listeners.read(), facts.listeners.reason()) {
        (Some(listeners), _) => {
            for listener in listeners {
                let open = if listener.is_open() { "" } else { "  this host alone" };
                let _ = writeln!(
                    out,
                    "listens        {}  {:?}  {}{open}",
                    listener.address,
                    listener.port,
                    printable(listener.program.as_deref().unwrap_or("another's, or out of sight"))
                );
            }
        }
        (None, Some(unread)) => {
            let _ = writeln!(out, "listens        not known: {}", unread.why);
        }
        (None, None) => {}
    }
    for client in clients(seen) {
        let (user, since) =
            (printable(&client.user), if client.now { "connected" } else { "remembered" });
        let _ = writeln!(out, "{since:<15}{}  {user}", printable(&client.host));
    }
    for (wider, count) in proposed.shared() {
        let _ = writeln!(out, "suggested      {wider}, which {count} clients share");
    }
    if !wide.is_empty() {
        let _ = writeln!(out, "accounts of    {}\n  many hosts", wide.join(", "));
    }
    tell(format_args!("{out}"));
    let allow = if proposed.is_empty() {
        "--allow with the addresses of the clients".to_owned()
    } else {
        format!("--from-server, or --allow {proposed}")
    };
    Err(Failure::usage(format!("nobody is named to let in; go on with {allow}")))
}
