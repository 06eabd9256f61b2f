//! `mytls sandbox`: a throwaway server to try things on.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{Failure, print, tell};
use crate::sandbox::{Fault, Sandbox, SandboxError, SandboxOptions, Servers};

#[derive(Clone, Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls sandbox --fault mismatched-key\n  \
    mytls sandbox --fault no-tls --headless\n  mytls sandbox --list\n\n\
    The server is a real one, started as an unprivileged user in a private folder on a free\n\
    port. When the sandbox ends, nothing is left of it."
)]
#[allow(clippy::struct_excessive_bools)] // each is an option of its own
pub struct SandboxArgs {
    /// What is wrong with the server
    #[arg(long, value_name = "NAME", default_value = "none")]
    pub fault: String,
    /// List the faults there are
    #[arg(long)]
    pub list: bool,
    /// The server to start, instead of the first mariadbd or mysqld of this host
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,
    /// Say how to connect, and wait until Ctrl-C, instead of opening the wizard
    #[arg(long)]
    pub headless: bool,
    /// Ask line by line instead of drawing: for screen readers and serial consoles
    #[arg(long, conflicts_with = "headless")]
    pub plain: bool,
    /// Leave the folder when the sandbox ends
    #[arg(long)]
    pub keep: bool,
}

/// Prints name and title of every fault, and for which servers it is unless it is for all.
pub fn list() -> Result<ExitCode, Failure> {
    let faults = Fault::all();
    let width = faults.iter().map(|fault| fault.name.len()).max().unwrap_or(0);
    let line = |fault: &Fault| {
        let Fault { name, title, servers, .. } = fault;
        let only = if *servers == Servers::default() {
            String::new()
        } else {
            format!(" [{servers} only]")
        };
        format!("{name:<width$}  {title}{only}\n")
    };
    print(&faults.iter().map(line).collect::<String>())?;
    Ok(ExitCode::SUCCESS)
}

/// Starts the sandbox that was asked for; says on a terminal what it does meanwhile.
pub fn start(args: &SandboxArgs) -> Result<Sandbox, SandboxError> {
    let options = SandboxOptions {
        fault: Fault::named(&args.fault)?,
        server: args.server.clone(),
        keep: args.keep,
        base_dir: None,
    };
    let talks = io::stderr().is_terminal();
    Sandbox::start(&options, &mut |line| {
        if talks {
            tell(format_args!("{line} …\n"));
        }
    })
}

/// Starts the sandbox, prints how to reach it, and waits for SIGINT, SIGTERM or SIGHUP.
pub fn run_headless(args: &SandboxArgs) -> Result<ExitCode, Failure> {
    // Before the server starts, so that from then on a signal ends it with us.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Failure::not_examined(format!("signals cannot be waited for: {error}")))?;
    let sandbox = start(args).map_err(|error| failure(&error))?;
    print(&how_to_connect(&sandbox))?;
    signals.forever().next();
    sandbox.stop();
    if args.keep {
        print(&format!("the folder stays: {}\n", sandbox.dir().display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What was typed wrong is bad usage; the rest is a sandbox that could not be had.
pub fn failure(error: &SandboxError) -> Failure {
    match error {
        SandboxError::NoSuchFault { .. }
        | SandboxError::NotForThisServer { .. }
        | SandboxError::BadServer { .. } => Failure::usage(error.to_string()),
        _ => Failure::not_examined(error.to_string()),
    }
}

/// The commands that reach the sandbox, with its real paths and port.
pub fn how_to_connect(sandbox: &Sandbox) -> String {
    let (dir, target) = (sandbox.dir().display(), sandbox.target());
    let port = target.port();
    let client = match sandbox.flavor() {
        crate::facts::Flavor::MariaDb => "mariadb",
        crate::facts::Flavor::MySql => "mysql",
    };
    let state = if sandbox.is_running() {
        format!("runs on 127.0.0.1:{port}")
    } else {
        format!("does not start with this fault; its log: {dir}/error.log")
    };
    let fault = sandbox.fault();
    let clients = if sandbox.is_running() {
        format!(
            "  {client} --defaults-file={dir}/client.cnf    as root, over the socket\n  \
             {client} --defaults-file={dir}/app.cnf       as app, with its certificate\n"
        )
    } else {
        String::new()
    };
    format!(
        "{server} {state}\n{fault}: {title}\n\n{clients}  \
         mytls check --defaults-file {dir}/client.cnf -h 127.0.0.1 -P {port} \\\n      \
         -S {dir}/run/mysqld.sock --ssl-ca {dir}/client/ca.pem \\\n      \
         --server-config {dir}/my.cnf --ca-dir {dir}/ca\n\n\
         Ctrl-C ends it.\n",
        server = sandbox.server(),
        fault = fault.name,
        title = fault.title,
    )
}
