//! `mytls ca list`

use std::path::PathBuf;

use clap::Args;

use super::{Done, Format, now};
use crate::ca::Catalog;
use crate::ca::list::{self, Look};
use crate::cli::Failure;

/// Show the CA and what it issued, what expires next on top
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls ca list --ca-dir ~/db-ca --format json\n\n\
    It needs no passphrase. Dates are days in UTC; in JSON they are seconds since 1970."
)]
pub struct ListArgs {
    /// Folder of the CA
    #[arg(long, value_name = "DIR")]
    ca_dir: PathBuf,
    /// Also what was revoked or replaced
    #[arg(long)]
    all: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &ListArgs) -> Result<Done, Failure> {
    let catalog = Catalog::read(&args.ca_dir)?;
    let ascii = !locale_is_utf8();
    Ok(match args.format {
        Format::Json => list::json(&catalog, now()),
        Format::Text => list::text(&catalog, now(), Look { ascii, all: args.all }),
    }
    .into())
}

/// As the C library decides it: the first of these that is set.
fn locale_is_utf8() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
