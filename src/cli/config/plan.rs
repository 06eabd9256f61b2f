//! `mytls config plan`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Format, WishArgs, edited, look, note, print_json, server_of, tell_tried};
use crate::apply::config::{Edit, Live};
use crate::cli::target::TargetArgs;
use crate::cli::{FINDINGS, Failure, print, tell};
use crate::facts::{Facts, Source};
use crate::printable::printable;
use crate::remedy::{lockout, shell};
use crate::trial;

/// Show what would be changed, as a diff; changes nothing
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  \
    mytls config plan --files /etc/mysql/tls -S /run/mysqld/mysqld.sock\n  \
    mytls config plan --policy mozilla-intermediate --snippet > tls.cnf\n  \
    mytls config plan --set ssl_crl=/etc/mysql/tls/crl.pem --try\n\
    The diff alone goes to stdout. Exit status: 0 shown, 1 it is bad, 2 bad usage, 3 not examined."
)]
pub struct PlanArgs {
    #[command(flatten)]
    wish: WishArgs,
    /// Only the lines, for Ansible and the like
    #[arg(long)]
    snippet: bool,
    /// Try it as well: rules, the server's own check, a dry start
    #[arg(long = "try", conflicts_with = "snippet")]
    tried: bool,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    target: TargetArgs,
}

pub fn run(args: &PlanArgs) -> Result<ExitCode, Failure> {
    let facts = look(&args.target)?;
    if args.snippet && facts.config.read().is_none() {
        return snippet(args, &facts);
    }
    let edit = edited(&facts, &args.wish)?;
    if args.snippet {
        print(&edit.snippet())?;
        return Ok(ExitCode::SUCCESS);
    }
    let tried = if args.tried {
        let program = args.wish.server.as_deref();
        trial::try_out(&facts, &edit, program, &mut |_| ())
    } else {
        Vec::new()
    };
    let good = !tried.iter().any(trial::Tried::is_bad);
    match args.format {
        Format::Text => {
            print(&edit.diff())?;
            say(&facts, &edit);
            tell_tried(&tried);
        }
        Format::Json => print_json(&json!({
            "schema": 1,
            "diff": edit.diff(),
            "snippet": edit.snippet(),
            "options": edit.wanted.iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Vec<_>>(),
            "changed": edit.changed.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "files": edit.files.iter().map(|file| &file.path).collect::<Vec<_>>(),
            "statements": live(&facts, &edit).map(|live| live.statements()).unwrap_or_default(),
            "restart": live(&facts, &edit).err().unwrap_or_default(),
            "notes": edit.notes,
            "tried": tried,
        }))?,
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

/// The lines for a server whose option files are elsewhere.
fn snippet(args: &PlanArgs, facts: &Facts) -> Result<ExitCode, Failure> {
    server_of(facts)?;
    let wanted = super::wanted(&args.wish, facts)?;
    let lines = wanted
        .iter()
        .map(|(name, value)| format!("{name} = {}\n", crate::remedy::config::quote(value)));
    print(&format!("[mysqld]\n{}", lines.collect::<String>()))?;
    Ok(ExitCode::SUCCESS)
}

/// How the change comes to count; the error names the options that need a restart.
pub(super) fn live(facts: &Facts, edit: &Edit) -> Result<Live, Vec<String>> {
    match &facts.server {
        Source::Read(server) => Live::of(server, &edit.changed, &edit.persisted),
        Source::Unread(_) => Err(edit.changed.iter().map(|(name, _)| name.clone()).collect()),
    }
}

/// What there is to know besides the diff.
pub(super) fn say(facts: &Facts, edit: &Edit) {
    if edit.is_empty() {
        tell(format_args!("nothing to do: every option has this value already\n"));
        return;
    }
    for line in &edit.notes {
        note(line);
    }
    match live(facts, edit) {
        Ok(live) => {
            for statement in live.statements() {
                tell(format_args!("then, on the running server: {};\n", printable(&statement)));
            }
        }
        Err(names) => {
            tell(format_args!("then a restart, for {}: {}\n", names.join(", "), shell::RESTART));
        }
    }
    let enforced = edit.changed.iter().any(|(n, v)| n == "require_secure_transport" && v == "ON");
    if enforced && facts.server.read().is_some() {
        for line in lockout::forecast(facts, lockout::Proposal::SecureTransport).warnings() {
            tell(format_args!("warning: {}\n", printable(&line)));
        }
    }
    for (name, path) in edit.changed.iter().filter(|(_, value)| value.starts_with('/')) {
        let blockers = super::place::blockers(facts, name, path.as_ref());
        for line in &blockers {
            tell(format_args!("warning: {}\n", printable(line)));
        }
        if !blockers.is_empty() {
            let path = shell::word(path);
            tell(format_args!("  mytls config place {} says what lets it in\n", printable(&path)));
        }
    }
}
