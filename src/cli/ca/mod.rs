//! `mytls ca`: a private CA from the command line, one file a command.

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use time::OffsetDateTime;

use super::{FINDINGS, Failure, NOT_EXAMINED, print, tell};
use crate::ca::error::day;
use crate::ca::files::Written;
use crate::ca::{CaError, Entry, Issued, Store, Validity};
use crate::printable::printable;
use crate::secret::Secret;

mod backup;
mod client;
mod clients;
mod create;
mod import;
mod kinds;
mod list;
mod pack;
mod passphrase;
mod renew;
mod request;
mod revoke;
mod rotate;
mod server;
mod watch;

/// Where the passphrase of a CA's key may stand.
const PASSPHRASE: &str = "MYTLS_CA_PASSPHRASE";

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct CaArgs {
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Debug, Subcommand)]
enum CaCommand {
    Create(create::CreateArgs),
    Import(import::ImportArgs),
    Server(server::ServerArgs),
    Client(client::ClientArgs),
    Clients(clients::ClientsArgs),
    Pack(pack::PackArgs),
    Sign(request::SignArgs),
    Csr(request::CsrArgs),
    Accept(request::AcceptArgs),
    Renew(renew::RenewArgs),
    Revoke(revoke::RevokeArgs),
    Crl(revoke::CrlArgs),
    Rotate(rotate::RotateArgs),
    Passphrase(passphrase::PassphraseArgs),
    List(list::ListArgs),
    Watch(watch::WatchArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
}

/// Which CA, and how its key is opened.
#[derive(Debug, Args)]
struct StoreArgs {
    /// Folder of the CA
    #[arg(long, value_name = "DIR")]
    ca_dir: PathBuf,
    /// Read the passphrase of its key from standard input
    #[arg(long)]
    passphrase_stdin: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

/// Does what was asked and prints what was done. Whatever was there before is still there.
pub fn run(args: &CaArgs) -> Result<ExitCode, Failure> {
    let done = match &args.command {
        CaCommand::Create(args) => create::run(args),
        CaCommand::Import(args) => import::run(args),
        CaCommand::Server(args) => server::run(args),
        CaCommand::Client(args) => client::run(args),
        CaCommand::Clients(args) => clients::run(args),
        CaCommand::Pack(args) => pack::run(args),
        CaCommand::Sign(args) => request::sign(args),
        CaCommand::Csr(args) => request::csr(args),
        CaCommand::Accept(args) => request::accept(args),
        CaCommand::Renew(args) => renew::run(args),
        CaCommand::Revoke(args) => revoke::run(args),
        CaCommand::Crl(args) => revoke::crl(args),
        CaCommand::Rotate(args) => rotate::run(args),
        CaCommand::Passphrase(args) => passphrase::run(args),
        CaCommand::List(args) => list::run(args),
        CaCommand::Watch(args) => watch::run(args),
        CaCommand::Backup(args) => backup::run(args),
        CaCommand::Restore(args) => backup::restore(args),
    }?;
    print(&done.text)?;
    Ok(ExitCode::from(done.code))
}

/// What a command has to say, and its exit status.
struct Done {
    text: String,
    code: u8,
}

impl From<String> for Done {
    fn from(text: String) -> Self {
        Self { text, code: 0 }
    }
}

impl From<CaError> for Failure {
    fn from(error: CaError) -> Self {
        Self::usage(error.to_string())
    }
}

impl StoreArgs {
    /// Opens the CA, with the passphrase of its key if that has one; says what an earlier run had
    /// left under way.
    fn open(&self) -> Result<Store, Failure> {
        let open =
            |passphrase: Option<&Secret>| Store::open_patiently(&self.ca_dir, passphrase, waiting);
        let given = given_passphrase(self.passphrase_stdin)?;
        let store = match open(given.as_ref()) {
            Err(CaError::KeyEncrypted { .. }) if can_ask() => {
                open(Some(&ask(&format!("Passphrase of the CA in {}: ", shown(&self.ca_dir)))?))
            }
            other => other,
        }?;
        for note in store.notes() {
            tell(format_args!("mytls: {note}\n"));
        }
        Ok(store)
    }
}

/// The CA of this folder, for what is signed beside its store.
pub(super) fn authority(dir: &Path) -> Result<crate::ca::Authority, Failure> {
    let store = StoreArgs { ca_dir: dir.to_owned(), passphrase_stdin: false }.open()?;
    Ok(store.authority().clone())
}

/// The CA's own files are no place for those of others; what is handed out has a folder beside them.
fn refuse_own(store: &Store, path: &Path) -> Result<(), Failure> {
    let real = |path: &Path| path.canonicalize().ok();
    let own = real(store.dir());
    let there = real(path).or_else(|| real(path.parent().filter(|p| !p.as_os_str().is_empty())?));
    match (there, own) {
        (Some(there), Some(own))
            if there.starts_with(&own) && !there.starts_with(own.join("handed-out")) =>
        {
            Err(Failure::usage(format!(
                "{} is in the folder of the CA itself, whose files it would replace; name another place",
                shown(path)
            )))
        }
        _ => Ok(()),
    }
}

/// Whether a passphrase can be had: from the environment, or somebody who types it.
pub(super) fn can_be_opened() -> bool {
    can_ask() || std::env::var(PASSPHRASE).is_ok_and(|text| !text.is_empty())
}

/// From standard input or the environment.
fn given_passphrase(stdin: bool) -> Result<Option<Secret>, Failure> {
    if stdin {
        return Ok(Some(stdin_secret("passphrase")?));
    }
    Ok(std::env::var(PASSPHRASE).ok().filter(|text| !text.is_empty()).map(Secret::new))
}

/// One line; `what` is "passphrase" or "password".
fn stdin_secret(what: &str) -> Result<Secret, Failure> {
    /// No secret is longer; a device would never end.
    const LONGEST: u64 = 64 * 1024;
    let mut line = zeroize::Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .take(LONGEST)
        .read_line(&mut line)
        .map_err(|error| Failure::usage(format!("the {what} could not be read: {error}")))?;
    let text = line.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Failure::usage(format!("there is no {what} on standard input")));
    }
    Ok(Secret::new(text))
}

fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn ask(prompt: &str) -> Result<Secret, Failure> {
    rpassword::prompt_password(prompt)
        .map(Secret::new)
        .map_err(|error| Failure::usage(format!("the passphrase could not be read: {error}")))
}

fn waiting(dir: &Path) {
    tell(format_args!("mytls: another mytls is at work on {}; waiting for it\n", shown(dir)));
}

/// Seconds since 1970, UTC.
fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// For so many days from now.
fn validity(days: u32) -> Validity {
    Validity::From { now: now(), days }
}

/// `30d`, `4w` or `30`, in days.
fn days(text: &str) -> Result<u32, String> {
    let (number, each) = match text.strip_suffix(['d', 'w']) {
        Some(number) if text.ends_with('w') => (number, 7),
        Some(number) => (number, 1),
        None => (text, 1),
    };
    let days = number.parse::<u32>().ok().and_then(|number| number.checked_mul(each));
    days.filter(|days| (1..=36_500).contains(days))
        .ok_or_else(|| "a time is a number of days or weeks, such as 30d or 4w".to_owned())
}

fn report(role: &str, whom: &str, key: &str, issued: &Issued, written: &[Written]) -> String {
    let (whom, until) = (printable(whom), day(issued.summary().not_after));
    let short = if issued.ends_with_ca() { NO_LONGER } else { "" };
    let mut text =
        format!("issued a {role} certificate for {whom} ({key}), valid until {until}{short}\n");
    list_files(&mut text, written);
    text
}

/// What is said behind the date of a certificate that was to live longer.
const NO_LONGER: &str =
    ", when its CA ends and it with that: a longer life takes a new CA (mytls ca rotate)";

/// A sentence on each of those that somebody has beside the new one, the newest first.
fn still_valid(store: &Store, before: &[Entry]) -> String {
    const SHOWN: usize = 5;
    let mut text = String::new();
    for Entry { serial, not_after, .. } in before.iter().rev().take(SHOWN) {
        // writing to a String cannot fail
        let _ = writeln!(
            text,
            "  the certificate {serial} that it had already stays valid until {}, unless you \
             revoke it:\n    mytls ca revoke --ca-dir {} --serial {serial}",
            day(*not_after),
            shown(store.dir())
        );
    }
    if before.len() > SHOWN {
        let _ = writeln!(text, "  and so do {} more: mytls ca list --all", before.len() - SHOWN);
    }
    text
}

/// Whether the other side takes it.
fn is_accepted(entry: &Entry) -> bool {
    entry.revoked.is_none() && !entry.dropped && entry.not_after >= now()
}

fn list_files(text: &mut String, written: &[Written]) {
    for file in written {
        let path = shown(&file.path);
        // writing to a String cannot fail
        let _ = match &file.backup {
            Some(backup) => writeln!(text, "  {path} (before: {})", shown(backup)),
            None => writeln!(text, "  {path}"),
        };
    }
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_days_or_weeks() {
        assert_eq!((days("30d"), days("4w"), days("7")), (Ok(30), Ok(28), Ok(7)));
        for odd in ["", "d", "0", "-1", "30h", "36501", "9999999999w"] {
            assert!(days(odd).is_err(), "{odd}");
        }
    }
}
