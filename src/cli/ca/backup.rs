//! `mytls ca backup` and `restore`

use std::path::PathBuf;

use clap::Args;

use super::{Done, shown, waiting};
use crate::ca::{Catalog, Store, backup};
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
    let key = |folder: &std::path::Path| std::fs::read_to_string(folder.join(Store::KEY_FILE)).ok();
    let mut notes = String::new();
    let has_root = Catalog::read(&args.ca_dir)?.chain.len() > 1;
    if has_root && key(&args.ca_dir.join(Store::ROOT)).is_none() {
        notes.push_str(
            "! the root's key is not in it: it is not in this folder; back it up where it is\n",
        );
    }
    if key(&args.ca_dir).is_some_and(|key| !key.contains("ENCRYPTED")) {
        notes.push_str("! the CA's key is in it in the clear: whoever reads the archive can log in as anybody\n");
    }
    Ok(format!(
        "wrote {} files with {} certificates into {} and read them back\n{notes}",
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
