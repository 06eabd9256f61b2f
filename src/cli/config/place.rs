//! `mytls config place`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::look;
use crate::cli::target::TargetArgs;
use crate::cli::{FINDINGS, Failure, print};
use crate::facts::Facts;
use crate::facts::place::{self, Place};
use crate::printable::{printable, shown};
use crate::remedy::certificates;

/// Say whether the server may read files where they lie, and what puts them where it may
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls config place /root/server-key.pem /root/server-cert.pem\n\n\
    Permissions, systemd's ProtectHome and its like, the AppArmor profile and the SELinux type are\n\
    looked at. Only commands go to stdout. Exit status: 0 it may read them all, 1 not, 2 bad usage."
)]
pub struct PlaceArgs {
    /// Key, certificate, CA or list
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where they are to lie; without it, where the server's option file has a folder for it
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
}

pub fn run(args: &PlaceArgs) -> Result<ExitCode, Failure> {
    let facts = look(&args.target)?;
    let folder = args.to.clone().unwrap_or_else(|| certificates::default_folder(&facts));
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let mut good = true;
    let mut out: Vec<String> = Vec::new();
    for path in &args.files {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let place = of(&facts, &path);
        let blocked = crate::remedy::place::blockers(&place);
        let mut said = String::new();
        if blocked.is_empty() {
            let user = place.user.as_deref().unwrap_or("the server's user");
            let _ = writeln!(said, "{}: {} may read it", shown(&path), printable(user));
        }
        for line in &blocked {
            let _ = writeln!(said, "{line}");
        }
        crate::cli::tell(format_args!("{said}"));
        good &= blocked.is_empty();
        if !blocked.is_empty() && place.access.is_some() {
            for command in crate::remedy::place::commands(&place, &folder, holds_key(&path)) {
                if !out.contains(&command) {
                    out.push(command);
                }
            }
        }
    }
    if !out.is_empty() {
        print(&format!("{}\n", out.join("\n")))?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

fn of(facts: &Facts, path: &Path) -> Place {
    let user = facts.files.read().and_then(|files| files.server_user.as_deref());
    // units and profiles say nothing about a server that the system does not start
    let is_systems = facts.config.read().is_none_or(|config| config.main_file.starts_with("/etc"));
    let usual = Path::new(if is_systems { "/" } else { "/dev/null" });
    let root = facts.target.system_root.as_deref().unwrap_or(usual);
    place::look(path, user, root)
}

fn holds_key(path: &Path) -> bool {
    // one that cannot be read is taken for one
    crate::facts::files::bytes(path)
        .map_or(true, |bytes| String::from_utf8_lossy(&bytes).contains("PRIVATE KEY-----"))
}

/// What keeps the server from a file that an option is going to name.
pub(super) fn blockers(facts: &Facts, option: &str, path: &Path) -> Vec<String> {
    let blocked = crate::remedy::place::blockers(&of(facts, path));
    blocked.into_iter().map(|line| format!("{option}: {line}")).collect()
}
