//! `mytls config`: the server's own options about TLS, changed where they take effect.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::check::Format;
use super::target::TargetArgs;
use super::{FINDINGS, Failure, print, tell};
use crate::apply::config::{Edit, NotEdited, edit, version};
use crate::checklist::policy::Policy;
use crate::facts::gather::{Cancel, gather};
use crate::facts::{Facts, Flavor, Version};
use crate::printable::{printable, printable_json, printable_lines, shown};
use crate::remedy::options;
use crate::trial::{Outcome, Tried};

mod apply;
mod channels;
mod place;
mod plan;
mod reload;
mod show;

/// The server's own options about TLS: shown, changed where they take effect, tried before, taken back
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  \
    mytls config show -S /run/mysqld/mysqld.sock --policy mozilla-intermediate\n  \
    mytls config plan --files /etc/mysql/tls --set require_secure_transport=ON\n  \
    mytls config apply --files /etc/mysql/tls --yes\n  mytls config reload\n\n\
    Each command has a --help of its own."
)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: Change,
}

#[derive(Debug, Subcommand)]
enum Change {
    Show(show::ShowArgs),
    Plan(plan::PlanArgs),
    Apply(apply::ApplyArgs),
    Reload(reload::ReloadArgs),
    Place(place::PlaceArgs),
    Channels(channels::ChannelsArgs),
}

/// What is wished for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of the server")]
struct WishArgs {
    /// An option with its value; may be given more than once
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Take ca.pem, server-cert.pem, server-key.pem (and crl.pem) of this folder
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// What meets a policy; mytls config show --help names them
    #[arg(long, value_name = "NAME")]
    policy: Vec<Policy>,
    /// Keep it with SET PERSIST instead of in a file (MySQL 8.0 and later)
    #[arg(long)]
    persist: bool,
    /// The server's own program, for the dry start, where it is not found
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
}

pub fn run(args: &ConfigArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        Change::Show(args) => show::run(args),
        Change::Plan(args) => plan::run(args),
        Change::Apply(args) => apply::run(args),
        Change::Reload(args) => reload::run(args),
        Change::Place(args) => place::run(args),
        Change::Channels(args) => channels::run(args),
    }
}

/// Looks at the server and at its option files.
fn look(target: &TargetArgs) -> Result<Facts, Failure> {
    Ok(gather(&target.resolve()?, &Cancel::default(), &mut |_| ()))
}

/// The family and version, without which no option can be named.
fn server_of(facts: &Facts) -> Result<(Flavor, Version), Failure> {
    version(facts).ok_or_else(|| {
        let unread = facts.server.reason();
        let why = unread.map_or("", |unread| unread.why.as_str());
        let advice = unread.map_or("", |unread| unread.advice.as_str());
        Failure::not_examined(format!(
            "which server this is cannot be told, so neither can its options: {why}\n  {advice}"
        ))
    })
}

/// The options with their values.
fn wanted(wish: &WishArgs, facts: &Facts) -> Result<Vec<(String, String)>, Failure> {
    let (flavor, version) = server_of(facts)?;
    let mut words = Vec::new();
    if let Some(folder) = &wish.files {
        words.extend(of_folder(folder)?);
    }
    for policy in &wish.policy {
        let lines = policy.lines(facts);
        words.extend(lines.into_iter().map(|(name, value)| format!("{name}={value}")));
    }
    // what is said goes before what follows from a folder or a policy
    for word in &wish.set {
        let name = |word: &str| {
            word.split('=').next().unwrap_or_default().trim().replace('-', "_").to_lowercase()
        };
        let own = name(word);
        if wish.set.iter().filter(|other| name(other) == own).count() == 1 {
            words.retain(|other| name(other) != own);
        }
        words.push(word.clone());
    }
    if words.is_empty() && wish.policy.is_empty() {
        return Err(Failure::usage(
            "nothing is wished for: say --set NAME=VALUE, --files DIR (mytls ca server --out DIR makes one) or --policy NAME",
        ));
    }
    options::parse(&words, flavor, version).map_err(|error| Failure::usage(error.to_string()))
}

/// The files of a folder by the names that mytls gives them.
fn of_folder(folder: &std::path::Path) -> Result<Vec<String>, Failure> {
    const NAMES: [(&str, &str, bool); 4] = [
        ("ssl_ca", "ca.pem", true),
        ("ssl_cert", "server-cert.pem", true),
        ("ssl_key", "server-key.pem", true),
        ("ssl_crl", "crl.pem", false),
    ];
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut words = Vec::new();
    for (option, name, needed) in NAMES {
        let path = folder.join(name);
        if path.is_file() {
            words.push(format!("{option}={}", path.display()));
        } else if needed {
            return Err(Failure::usage(format!(
                "{} is not there: --files wants ca.pem, server-cert.pem and server-key.pem in one folder; name \
                 files of other names with --set ssl_ca=… --set ssl_cert=… --set ssl_key=…",
                shown(&path)
            )));
        }
    }
    Ok(words)
}

fn edited(facts: &Facts, wish: &WishArgs) -> Result<Edit, Failure> {
    let wanted = wanted(wish, facts)?;
    edit(facts, &wanted, wish.persist).map_err(|error| match error {
        NotEdited::NoPersist | NotEdited::NotPersistable(_) => Failure::usage(error.to_string()),
        NotEdited::NoConfig(_) => Failure::not_examined(error.to_string()),
        _ => Failure { code: FINDINGS, message: error.to_string() },
    })
}

/// What came of trying it, on stderr; whether it may be done.
fn tell_tried(tried: &[Tried]) -> bool {
    for one in tried {
        let (mark, lines) = match &one.outcome {
            Outcome::Good(lines) => ("good", lines.clone()),
            Outcome::Bad(lines) => ("BAD", lines.clone()),
            Outcome::Skipped(why) => ("not tried", vec![why.clone()]),
        };
        let mut lines = lines.iter();
        let first = lines.next().map(String::as_str).unwrap_or_default();
        tell(format_args!("{}: {mark}: {}\n", one.how, printable_lines(first)));
        for line in lines {
            tell(format_args!("    {}\n", printable(line)));
        }
    }
    !tried.iter().any(Tried::is_bad)
}

fn print_json(object: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{}\n", printable_json(&format!("{object:#}"))))
}

fn note(text: &str) {
    tell(format_args!("note: {}\n", printable(text)));
}
