//! `mytls firewall`: who may reach the server, as rules.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;
use time::OffsetDateTime;

use super::check::Format;
use super::target::TargetArgs;
use super::{FINDINGS, Failure, NOT_EXAMINED, print, tell};
use crate::apply::firewall::{self, Change, FirewallError, Waiting};
use crate::facts::exposure::{self, Client};
use crate::facts::gather::{Cancel, gather};
use crate::facts::network::{AddressSet, Network};
use crate::facts::{Facts, Target};
use crate::printable::{printable, printable_json};
use crate::remedy::firewall::{Tool, Wish};

mod exposed;
mod judge;

/// Firewall rules that let a set of known addresses reach the server, and nobody else.
///
/// Prints them on stdout alone, to be looked at or piped; --apply loads them, and they go back unless
/// they are confirmed in time. They stand by themselves and speak of the server's ports alone.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls firewall -S /run/mysqld/mysqld.sock              what listens, and who connects\n  \
                  mytls firewall --allow 10.0.0.0/24,2001:db8::/64 | nft -f -\n  \
                  mytls firewall --from-server --allow 10.0.9.0/24 --apply\n  \
                  mytls firewall --allow 10.0.0.0/24 --reach web1.json   what `mytls reach` saw on another machine\n  \
                  mytls firewall --remove | nft -f -\n\n\
                  Exit status: 0 done, 1 not as wished (--reach) or gone back, 2 bad usage, 3 not done."
)]
pub struct FirewallArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Addresses and networks that may connect, with commas between them
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    allow: Vec<String>,
    /// Let in those who connect now or did, as the server knows them
    #[arg(long)]
    from_server: bool,
    /// The ports to close; without it, those on which clients reach the server
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    ports: Vec<u16>,
    /// So many connections at a time for one address (nft and iptables)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// For what the rules are written
    #[arg(long, value_enum, value_name = "TOOL", default_value = "nft")]
    tool: Tool,
    /// Take the rules away instead
    #[arg(long, conflicts_with_all = ["allow", "from_server", "limit", "ports"])]
    remove: bool,
    /// Load them on this host (nft and iptables)
    #[arg(long)]
    apply: bool,
    /// With --apply: unless confirmed within so many seconds, everything goes back
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    confirm_within: u64,
    /// Keep what --apply loaded; from another session this proves that one still gets in
    #[arg(long, conflicts_with_all = ["allow", "from_server", "limit", "ports", "remove", "apply"])]
    confirm: bool,
    /// Hold what `mytls reach --format json` saw elsewhere against the set; may be given more than once
    #[arg(long, value_name = "FILE", conflicts_with_all = ["remove", "apply"])]
    reach: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

impl From<FirewallError> for Failure {
    fn from(error: FirewallError) -> Self {
        Self { code: NOT_EXAMINED, message: error.to_string() }
    }
}

pub fn run(args: &FirewallArgs) -> Result<ExitCode, Failure> {
    let tool = args.tool;
    if args.confirm {
        firewall::confirm()?;
        tell(format_args!("kept, and noted in the journal with its undo\n"));
        return Ok(ExitCode::SUCCESS);
    }
    if args.remove {
        return remove(args, tool);
    }
    let named = !args.allow.is_empty() || args.from_server;
    let seen = if args.from_server || !named || args.target.is_given() {
        Some(gather(&args.target.resolve()?, &Cancel::default(), &mut |_| ()))
    } else {
        None
    };
    if let Some(facts) = &seen {
        answered(facts, args.from_server || !named)?;
    }
    if !named {
        return exposed::show(args, seen.as_ref());
    }
    let (wish, notes) = wish(args, seen.as_ref())?;
    if !args.reach.is_empty() {
        return judge::judge(args, &wish);
    }
    let rules = tool.rules(&wish);
    for note in notes.iter().chain(&tool.notes(&wish)) {
        tell(format_args!("note: {note}\n"));
    }
    if let Some(facts) = &seen {
        for left in left_out(facts, &wish.allow) {
            tell(format_args!("warning: {left}\n"));
        }
    }
    show(args, tool, &wish, &rules, &notes)?;
    if args.apply {
        return apply(args, tool, rules);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the server said enough, and has a network side at all.
fn answered(facts: &Facts, needed: bool) -> Result<(), Failure> {
    match (facts.server.read(), facts.server.reason()) {
        (Some(server), _) if server.is_off_the_network() => Err(Failure::usage(
            "the server listens on its socket alone (skip_networking): nobody reaches it over the network, \
             and there is nothing to write rules for",
        )),
        (None, Some(unread)) if needed => Err(Failure::not_examined(format!(
            "{}, so who connects is not known: {}\n  or name the addresses with --allow",
            unread.why, unread.advice
        ))),
        _ => Ok(()),
    }
}

/// The set and the ports, and what is to be said of them.
fn wish(args: &FirewallArgs, seen: Option<&Facts>) -> Result<(Wish, Vec<String>), Failure> {
    let texts = args.allow.iter().map(String::as_str);
    let (named, mut notes) =
        AddressSet::read(texts).map_err(|error| Failure::usage(error.to_string()))?;
    let mut networks: Vec<Network> = named.networks().to_vec();
    if args.from_server {
        let clients = clients(seen);
        let (proposed, unknown) = exposure::proposal(clients);
        for (wider, count) in proposed.shared() {
            notes.push(format!(
                "{count} clients share {wider}: --allow {wider} lets the next one of them in, too"
            ));
        }
        if !unknown.is_empty() {
            notes.push(format!(
                "of these clients only the name is known; add their addresses with --allow: {}",
                printable(&unknown.join(", "))
            ));
        }
        networks.extend(proposed.networks());
    }
    let allow = AddressSet::new(networks);
    if allow.is_empty() {
        return Err(Failure::usage(
            "nobody but this host connects to the server, as far as it remembers, so nobody would be let in: \
             name the addresses with --allow",
        ));
    }
    let ports = ports(args, seen);
    let server = seen.and_then(|facts| facts.server.read());
    if let Some(bound) = server.and_then(|server| server.variable("bind_address"))
        && bound.split(',').all(|one| crate::facts::is_loopback(one.trim()))
    {
        notes.push(format!(
            "the server listens on {} alone (bind_address): nobody from elsewhere reaches it, whatever the rules",
            printable(bound)
        ));
    }
    if server.is_some_and(|server| server.is_on("wsrep_on")) {
        notes.push(
            "Galera's ports (4444, 4567, 4568) are left as they are: close them to all but the nodes by rules of their own"
                .to_owned(),
        );
    }
    let wish = Wish::new(allow, ports, args.limit).ok_or_else(|| {
        Failure::usage(format!("name 1 to {} ports, none of them 0", Wish::MOST_PORTS))
    })?;
    Ok((wish, notes))
}

fn ports(args: &FirewallArgs, seen: Option<&Facts>) -> Vec<u16> {
    if !args.ports.is_empty() {
        return args.ports.clone();
    }
    let server = seen.and_then(|facts| facts.server.read());
    let listeners = seen.and_then(|facts| facts.listeners.read()).map_or(&[][..], Vec::as_slice);
    let known = server.map(|server| exposure::client_ports(server, listeners)).unwrap_or_default();
    if known.is_empty() { vec![args.target.port.unwrap_or(Target::DEFAULT_PORT)] } else { known }
}

fn clients(seen: Option<&Facts>) -> &[Client] {
    let server = seen.and_then(|facts| facts.server.read());
    server.and_then(|server| server.clients.read()).map_or(&[], Vec::as_slice)
}

/// Who is connected now, and could not connect again.
fn left_out(facts: &Facts, allow: &AddressSet) -> Vec<String> {
    let mut told = BTreeSet::new();
    for client in clients(Some(facts)).iter().filter(|client| client.now) {
        let address = client.host.parse::<std::net::IpAddr>().ok();
        if address.is_some_and(|address| !address.is_loopback() && !allow.contains(address)) {
            told.insert(format!(
                "{} is connected from {} now, which is not in the set: it cannot connect again",
                printable(&client.user),
                printable(&client.host)
            ));
        }
    }
    told.into_iter().collect()
}

fn show(
    args: &FirewallArgs,
    tool: Tool,
    wish: &Wish,
    rules: &str,
    notes: &[String],
) -> Result<(), Failure> {
    match args.format {
        Format::Text => print(rules),
        Format::Json => print_json(&json!({
            "schema": 1,
            "tool": args.tool.to_possible_value().map(|value| value.get_name().to_owned()),
            "allow": wish.allow,
            "ports": wish.ports(),
            "limit": wish.limit,
            "rules": rules,
            "run": tool.runner(),
            "removal": tool.removal(),
            "show": tool.show(),
            "notes": notes.iter().cloned().chain(tool.notes(wish)).collect::<Vec<_>>(),
        })),
    }
}

fn print_json(object: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{}\n", printable_json(&format!("{object:#}"))))
}

fn remove(args: &FirewallArgs, tool: Tool) -> Result<ExitCode, Failure> {
    let rules = tool.removal();
    if !args.apply {
        print(&rules)?;
        return Ok(ExitCode::SUCCESS);
    }
    let change = Change::prepare(tool, rules)?;
    if !change.replaces() {
        tell(format_args!("there are no rules of mytls here; nothing was changed\n"));
        return Ok(ExitCode::SUCCESS);
    }
    change.carry_out(&place(args), now())?;
    tell(format_args!("removed, and noted in the journal with its undo\n"));
    Ok(ExitCode::SUCCESS)
}

fn apply(args: &FirewallArgs, tool: Tool, rules: String) -> Result<ExitCode, Failure> {
    let change = Change::prepare(tool, rules)?;
    let within = Duration::from_secs(args.confirm_within);
    let until = Instant::now() + within;
    let waiting = change.load(within, &place(args), now())?;
    tell(format_args!(
        "loaded; they go back in {} seconds unless you confirm them. Try a client now, then type yes here,\n\
         or run this in another session: mytls firewall --confirm\n",
        args.confirm_within
    ));
    if std::io::stdin().is_terminal() {
        tell(format_args!("keep them? [yes] "));
    }
    let said = wait(&waiting, until);
    match said {
        Said::Yes => match firewall::confirm() {
            Ok(()) => {
                tell(format_args!("kept, and noted in the journal with its undo\n"));
                Ok(ExitCode::SUCCESS)
            }
            Err(FirewallError::NothingWaits) => Ok(went_back(&waiting)),
            Err(error) => Err(error.into()),
        },
        // it cannot be but that somebody killed it
        Said::Nothing if waiting.is_waiting() && Instant::now() > until => {
            Err(Failure::not_examined(
                "the switch that takes the rules back is gone, and they are still loaded: keep them with \
                 mytls firewall --confirm, or after that remove them with mytls firewall --remove --apply",
            ))
        }
        Said::Nothing if waiting.is_waiting() => {
            tell(format_args!("not confirmed: they go back by themselves\n"));
            Ok(ExitCode::from(FINDINGS))
        }
        Said::Nothing => Ok(went_back(&waiting)),
    }
}

fn went_back(waiting: &Waiting) -> ExitCode {
    if waiting.was_confirmed() {
        tell(format_args!("confirmed elsewhere, and kept\n"));
        return ExitCode::SUCCESS;
    }
    tell(format_args!("not confirmed in time: what was there before is back\n"));
    ExitCode::from(FINDINGS)
}

enum Said {
    Yes,
    Nothing,
}

/// Reads lines until one says yes, nobody can say anything more, or it is over.
fn wait(waiting: &Waiting, until: Instant) -> Said {
    const LOOK: Duration = Duration::from_millis(200);
    const GRACE: Duration = Duration::from_secs(2); // the switch sleeps as long as this waits
    let stdin = std::io::stdin();
    while waiting.is_waiting() && Instant::now() < until + GRACE {
        let mut ready = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO);
        match poll(&mut ready, timeout) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            Ok(_) => {}
            Err(_) => return Said::Nothing,
        }
        let mut line = String::new();
        match stdin.lock().read_line(&mut line) {
            Ok(0) | Err(_) => return Said::Nothing,
            Ok(_) if matches!(line.trim().to_ascii_lowercase().as_str(), "yes" | "y") => {
                return Said::Yes;
            }
            Ok(_) => tell(format_args!("type yes to keep them\n")),
        }
    }
    Said::Nothing
}

fn place(args: &FirewallArgs) -> String {
    args.target.resolve().map_or_else(|_| "localhost".to_owned(), |target| target.display())
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}
