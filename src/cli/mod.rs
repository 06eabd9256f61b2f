//! The command line: one file per command; this room owns stdout, stderr and the exit status.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::printable::printable_lines;

mod account_login;
mod accounts;
mod ca;
mod check;
mod config;
mod explain;
mod firewall;
mod grant;
mod listen;
mod manual;
mod prove;
mod reach;
mod report;
mod sandbox;
mod scan;
mod target;
mod undo;
mod why_denied;
mod wizard;

/// Exit status when there is a finding at or above `--fail-on`.
const FINDINGS: u8 = 1;
/// Exit status for bad usage; clap uses the same.
const USAGE: u8 = 2;
/// Exit status when the target could not be examined.
const NOT_EXAMINED: u8 = 3;

/// Takes a MySQL or MariaDB server to TLS that is proven, step by step.
///
/// Without a command, the wizard opens in the terminal.
#[derive(Debug, Parser)]
#[command(
    name = "mytls",
    version,
    disable_help_flag = true,
    args_conflicts_with_subcommands = true,
    after_help = "Try it on a throw-away server:  mytls sandbox --fault mismatched-key"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    target: target::TargetArgs,
    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,
    /// Ask line by line instead of drawing: for screen readers and serial consoles
    #[arg(long)]
    plain: bool,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help, global = true, help_heading = "Options")]
    help: (),
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the checklist once and print it
    Check(check::CheckArgs),
    /// Say what a rule checks, why it matters and how to fix it
    Explain(explain::ExplainArgs),
    /// List all rules
    Rules(explain::RulesArgs),
    /// Print the statement that makes accounts need their certificate
    Grant(grant::GrantArgs),
    /// List accounts and what they require, or make them require something else
    Accounts(Box<accounts::AccountsArgs>),
    /// Take back the last change, or one of those before
    Undo(undo::UndoArgs),
    /// The server's own options about TLS: shown, changed where they count, tried before
    Config(Box<config::ConfigArgs>),
    /// Prove that accounts need their certificate
    Prove(prove::ProveArgs),
    /// Say why an account cannot log in
    WhyDenied(why_denied::WhyDeniedArgs),
    /// A private CA: make one, issue for servers and accounts
    Ca(ca::CaArgs),
    /// Whether an application verifies whom it talks to: a server that plays the wrong ones
    Listen(listen::ListenArgs),
    /// Firewall rules that let known addresses in: shown, applied, taken back
    Firewall(firewall::FirewallArgs),
    /// From another machine: does the port answer, with TLS, and whom does it see?
    Reach(reach::ReachArgs),
    /// What servers offer of TLS, seen from outside, without getting this host blocked
    Scan(Box<scan::ScanArgs>),
    /// Write what was checked, what was changed, and what is still open
    Report(report::ReportArgs),
    /// A throw-away server with a chosen fault, to try things on
    Sandbox(sandbox::SandboxArgs),
    /// Print the manual page of mytls, or of one of its commands
    Man(manual::ManArgs),
    /// Print what lets a shell complete the commands and options
    Completions(manual::CompletionsArgs),
}

/// Why a command did not come to its end, with the exit status that says so.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }

    fn not_examined(message: impl Into<String>) -> Self {
        Self { code: NOT_EXAMINED, message: message.into() }
    }
}

/// Reads the arguments, runs the command, says what went wrong.
pub fn main() -> ExitCode {
    let ran = if target::password_typed(std::env::args_os().skip(1)) {
        Err(Failure::usage(target::PASSWORD_TYPED))
    } else {
        match Cli::try_parse() {
            Ok(cli) => run(cli),
            // of what it repeats, clap takes out escape sequences and nothing else
            Err(error) if error.use_stderr() => {
                tell(format_args!("{}\n", printable_lines(&error.to_string())));
                return ExitCode::from(USAGE);
            }
            Err(help) => help.exit(),
        }
    };
    ran.unwrap_or_else(|failure| {
        tell(format_args!("mytls: {}\n", printable_lines(&failure.message)));
        ExitCode::from(failure.code)
    })
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Rules(args)) => explain::rules(&args),
        Some(Command::Grant(args)) => grant::run(&args),
        Some(Command::Prove(args)) => prove::run(&args),
        Some(Command::WhyDenied(args)) => why_denied::run(&args),
        Some(Command::Accounts(args)) => accounts::run(&args),
        Some(Command::Config(args)) => config::run(&args),
        Some(Command::Undo(args)) => undo::run(&args),
        Some(Command::Ca(args)) => ca::run(&args),
        Some(Command::Listen(args)) => listen::run(&args),
        Some(Command::Firewall(args)) => firewall::run(&args),
        Some(Command::Reach(args)) => reach::run(&args),
        Some(Command::Scan(args)) => scan::run(&args),
        Some(Command::Report(args)) => report::run(&args),
        Some(Command::Man(args)) => manual::man(&args),
        Some(Command::Completions(args)) => manual::completions(&args),
        Some(Command::Sandbox(args)) if args.list => sandbox::list(),
        Some(Command::Sandbox(args)) if args.headless => sandbox::run_headless(&args),
        Some(Command::Sandbox(args)) => wizard::on_sandbox(&args),
        None => wizard::run(&cli.target, wizard::Look { ascii: cli.ascii, plain: cli.plain }),
    }
}

/// Writes to stderr. Whether anybody still reads it changes nothing, where `eprint!` would panic.
fn tell(text: std::fmt::Arguments) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// Writes to stdout; a reader that has gone away (`| head`) ends the program quietly.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure { code: NOT_EXAMINED, message: format!("cannot write to stdout: {error}") })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_fit_together() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
