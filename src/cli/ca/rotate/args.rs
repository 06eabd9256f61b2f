//! The arguments of `mytls ca rotate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::ca::{KeyKind, PlainName};
use crate::cli::ca::Format;
use crate::cli::target::TargetArgs;

/// Replace the CA with a new one, nobody locked out on the way
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  \
    mytls ca rotate start --ca-dir ~/db-ca --to ~/db-ca-2 -S /run/mysqld/mysqld.sock\n  \
    mytls ca rotate next --to ~/db-ca-2\n\n\
    Ten steps in five stages: make the new CA; server and clients trust both; the server's\n\
    certificate; the clients' certificates; drop the old CA. Each is shown until you say --yes,\n\
    and the next is offered when the running server shows that it took effect. Stopped at any\n\
    moment, it goes on from there."
)]
pub struct RotateArgs {
    #[command(subcommand)]
    pub(super) command: RotateCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum RotateCommand {
    Start(StartArgs),
    Next(NextArgs),
    Status(StatusArgs),
}

/// Make the new CA and begin
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls ca rotate start --ca-dir ~/db-ca --to ~/db-ca-2 --yes\n\n\
    A CA that lies in the new folder already (mytls ca create, mytls ca import) is used."
)]
pub(super) struct StartArgs {
    /// Folder of the new CA; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub(super) to: PathBuf,
    /// Name of the new CA; the old one's with a number
    #[arg(long)]
    pub(super) name: Option<PlainName>,
    /// Kind of its key; like the old one's
    #[arg(long, value_enum)]
    pub(super) key: Option<KeyKind>,
    /// A root and an issuing CA below it, the root's key apart in root/
    #[arg(long)]
    pub(super) intermediate: bool,
    /// Read a passphrase for its key from standard input, instead of asking for one
    #[arg(long, conflicts_with = "no_passphrase")]
    pub(super) passphrase_stdin: bool,
    /// Do not protect its key with a passphrase, and do not ask
    #[arg(long)]
    pub(super) no_passphrase: bool,
    /// Do it
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Show the next step, or do it
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls ca rotate next --to ~/db-ca-2 --yes\n\n\
    The server is the one that was named before, unless it is named again. Exit status 1: the step\n\
    was done, and the running server does not show it yet."
)]
pub(super) struct NextArgs {
    /// Folder of the new CA
    #[arg(long, value_name = "DIR")]
    pub(super) to: PathBuf,
    /// Do what is shown
    #[arg(long)]
    pub(super) yes: bool,
    /// Every client is as far as it has to be, which mytls cannot see
    #[arg(long)]
    pub(super) clients_ready: bool,
    /// Read the passphrase of the new CA's key from standard input
    #[arg(long)]
    pub(super) passphrase_stdin: bool,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Say where it stands and what comes next
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls ca rotate status --to ~/db-ca-2 --format json\n\n\
    It reads what was noted and asks no server; mytls ca rotate next does."
)]
pub(super) struct StatusArgs {
    /// Folder of the new CA
    #[arg(long, value_name = "DIR")]
    pub(super) to: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}
