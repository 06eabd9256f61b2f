//! `mytls ca backup` and `restore`

use std::path::PathBuf;

use clap::Args;

use super::{Done, shown, waiting};
use crate::ca::backup;
use crate::cli::Failure;

/// Write the CA and all it issued into one archive, and read it back
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls ca backup --ca-dir ~/db-ca --out /media/usb/db-ca.tar\n\n\
    The archive holds the private keys as the CA's folder does: keep it as safe as that."
)]
pub struct BackupArgs {
    /// Folder of the CA
    #[arg(long, value_name = "DIR")]
    ca_dir: PathBuf,
    /// The archive; must not exist
    #[arg(long, value_name = "FILE.tar")]
    out: PathBuf,
}

/// Make a CA's folder of an archive, after every sum in it was compared
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls ca restore --ca-dir ~/db-ca /media/usb/db-ca.tar"
)]
pub struct RestoreArgs {
    /// The archive that mytls ca backup wrote
    #[arg(value_name = "FILE.tar")]
    archive: PathBuf,
    /// Folder to make; empty or not there
    #[arg(long, value_name = "DIR")]
    ca_dir: PathBuf,
}

pub fn run(args: &BackupArgs) -> Result<Done, Failure> {
    let made = backup::back_up(&args.ca_dir, &args.out, waiting)?;
    Ok(format!(
        "wrote {} files with {} certificates into {} and read them back\n",
        made.files,
        made.certificates,
        shown(&args.out)
    )
    .into())
}

pub fn restore(args: &RestoreArgs) -> Result<Done, Failure> {
    let made = backup::restore(&args.archive, &args.ca_dir)?;
    Ok(format!(
        "restored {} files with {} certificates into {}\n",
        made.files,
        made.certificates,
        shown(&args.ca_dir)
    )
    .into())
}
