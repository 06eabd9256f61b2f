//! `mytls ca client`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    Done, NO_LONGER, StoreArgs, day, is_accepted, now, report, shown, still_valid, validity,
};
use crate::bounded;
use crate::ca::batch::{self, Row};
use crate::ca::files::write_client;
use crate::ca::{CaError, Entry, KeyKind, Kind, PlainName, Store};
use crate::cli::Failure;
use crate::disk::{self, DiskError};
use crate::x509::OneLine;

/// Issue a certificate for an account, or for each of a table
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls ca client --ca-dir ~/db-ca --user app --out app-tls\n  \
    mytls ca client --ca-dir ~/db-ca --from accounts.csv\n\n\
    The table has the columns user[,host][,days]. Every file of an account is in\n\
    clients/NAME of the CA's folder. The printed subject and issuer are what REQUIRE of the\n\
    account compares."
)]
pub struct ClientArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The account's name: ASCII, without / + \ ' "
    #[arg(long, value_name = "NAME", required_unless_present = "from", requires = "out")]
    user: Option<PlainName>,
    /// A table of accounts; those that have a good certificate are passed over
    #[arg(long, value_name = "CSV", conflicts_with = "user")]
    from: Option<PathBuf>,
    /// Folder for client-cert.pem, client-key.pem and ca.pem; with --from a folder of such folders
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Kind of its key
    #[arg(long, value_enum, default_value_t)]
    key: KeyKind,
    /// How long it is valid
    #[arg(long, default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
}

pub fn run(args: &ClientArgs) -> Result<Done, Failure> {
    match (&args.user, &args.from, &args.out) {
        (Some(user), _, Some(out)) => one(args, user, out),
        (_, Some(table), _) => many(args, table),
        _ => Err(Failure::usage("name an account with --user, or a table with --from")),
    }
}

fn one(args: &ClientArgs, user: &PlainName, out: &Path) -> Result<Done, Failure> {
    let store = args.store.open()?;
    super::refuse_own(&store, out)?;
    let mut before = store.list()?;
    before.retain(|entry| lets_in(entry, user));
    disk::create_private_dir(out).map_err(CaError::from)?;
    let issued = store.issue_client(user, args.key, validity(args.days))?;
    let written = write_client(out, &issued).map_err(|error| {
        let kept = shown(&store.client_dir(user));
        Failure::usage(format!("{error}; the certificate was issued, its files are in {kept}"))
    })?;
    let report = report("client", user.as_str(), args.key.describe(), &issued, &written);
    let summary = issued.summary();
    let text = format!(
        "{report}  subject  {}\n  issuer   {}\n",
        summary.subject.oneline(OneLine::OpenSsl3),
        summary.issuer.oneline(OneLine::OpenSsl3)
    );
    let kept = if store.authority().kept_subject(user, &issued) {
        "  the subject is the one that its certificate had before, for REQUIRE SUBJECT\n"
    } else {
        ""
    };
    Ok((text + kept + &still_valid(&store, &before)).into())
}

/// Whether servers let this account in with it.
fn lets_in(entry: &Entry, user: &PlainName) -> bool {
    entry.kind == Kind::Client
        && entry.names.first().is_some_and(|name| name == user.as_str())
        && is_accepted(entry)
}

fn many(args: &ClientArgs, table: &Path) -> Result<Done, Failure> {
    /// A line for each of a million accounts.
    const LARGEST: u64 = 64 << 20;
    let unread = |why: String| Failure::usage(format!("{}: {why}", shown(table)));
    let bytes = bounded::read(table, LARGEST).map_err(|error| unread(error.to_string()))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| unread("it is not written in UTF-8; save it so".to_owned()))?;
    let rows = batch::parse(&text).map_err(|bad| {
        let mut message = format!("{} cannot be used, nothing was issued:", shown(table));
        for bad in bad {
            let _ = write!(message, "\n  line {}: {}", bad.line, bad.why);
        }
        Failure::usage(message)
    })?;
    let store = args.store.open()?;
    let batch = store.issue_clients(&rows, args.key, args.days, now())?;
    let mut text = String::new();
    // writing to a String cannot fail
    for (name, until) in &batch.had {
        let _ = writeln!(text, "{name} has a certificate until {}: left as it is", day(*until));
    }
    if let Some(out) = &args.out {
        copy_out(&store, &rows, out)?;
    }
    let folder = args.out.clone().unwrap_or_else(|| store.dir().join("clients"));
    let _ = writeln!(
        text,
        "issued {} client certificate{} ({}), each in {}/NAME",
        batch.issued.len(),
        if batch.issued.len() == 1 { "" } else { "s" },
        args.key.describe(),
        shown(&folder)
    );
    text.push_str(&no_longer(&store, &batch.issued));
    Ok(text.into())
}

/// A sentence on those of a batch that were to live longer than their CA.
pub(super) fn no_longer(store: &Store, issued: &[Entry]) -> String {
    let ends = store.authority().ends();
    let short = issued.iter().filter(|entry| entry.not_after >= ends).count();
    if short == 0 {
        return String::new();
    }
    let whose =
        if short == issued.len() { "valid".to_owned() } else { format!("{short} of them valid") };
    format!("{whose} until {}{NO_LONGER}\n", day(ends))
}

/// The files of every account of the table, also of those that had theirs.
pub(super) fn copy_out(store: &Store, rows: &[Row], out: &Path) -> Result<(), CaError> {
    for row in rows {
        let (from, to) = (store.client_dir(&row.name), out.join(row.name.as_str()));
        disk::create_private_dir(&to)?;
        for name in ["client-key.pem", "client-cert.pem", "ca.pem"] {
            let path = from.join(name);
            let bytes = std::fs::read(&path).map(zeroize::Zeroizing::new);
            let bytes = bytes.map_err(|error| DiskError::new(&path, error))?;
            let mode = disk::Meta::of(&path)?.mode;
            disk::replace(&to.join(name), &bytes, disk::Meta::mode(mode))?;
        }
    }
    Ok(())
}
