//! `mytls ca renew`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Done, FINDINGS, StoreArgs, day, days, now, report, shown, tell, validity};
use crate::ca::renew::Renewal;
use crate::ca::{CaError, Entry, Kind, Store, watch};
use crate::cli::Failure;
use crate::printable::printable;
use crate::remedy::shell;
use crate::x509::PublicKey;

/// Issue certificates in the place of those that are about to expire
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls ca renew --ca-dir ~/db-ca --client app\n  \
    mytls ca renew --ca-dir ~/db-ca --all --within 30d\n\n\
    Name, hosts and uses stay. The files go where the old ones lie, which are kept beside them as\n\
    NAME.bak-TIME. A server reads its new files after a reload."
)]
pub struct RenewArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    which: Which,
    /// With --all: what expires within this time
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = days)]
    within: u32,
    /// Keep the key, and certify it once more
    #[arg(long)]
    same_key: bool,
    /// How long it is valid
    #[arg(long, default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
    /// Folder for the new files
    #[arg(long, value_name = "DIR", conflicts_with = "all")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The account whose certificate is to be renewed
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// The server, by one of the names of its certificate
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// All that expire soon
    #[arg(long)]
    all: bool,
}

pub fn run(args: &RenewArgs) -> Result<Done, Failure> {
    if args.which.all && args.days <= args.within {
        return Err(Failure::usage(format!(
            "what lives {} days is due again at once when all is renewed that expires within {}: make \
             --days the longer of the two",
            args.days, args.within
        )));
    }
    let store = args.store.open()?;
    let (entries, bound) = chosen(&store, args)?;
    let mut done = Done { text: String::new(), code: 0 };
    if !bound.is_empty() {
        tell(format_args!("mytls: {}\n", cannot_be_longer(&store, &bound)));
        done.code = FINDINGS;
    } else if entries.is_empty() {
        return Ok(format!("nothing expires within {} days\n", args.within).into());
    }
    for entry in &entries {
        match renew(&store, entry, args) {
            Ok(text) => done.text.push_str(&text),
            Err(error) if args.which.all => {
                tell(format_args!("mytls: {error}\n"));
                done.code = FINDINGS;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

/// Of certificates that live as long as their CA already.
fn cannot_be_longer(store: &Store, entries: &[Entry]) -> String {
    const SHOWN: usize = 5;
    let names = entries.iter().take(SHOWN).map(|entry| entry.names.join(", "));
    let names = printable(&names.collect::<Vec<_>>().join(", ")).into_owned();
    let more = match entries.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (ends, dir) = (day(store.authority().ends()), shell::path(store.dir()));
    format!(
        "{names}{more}: not renewed, for nothing outlives its CA, which ends on {ends}. Replace the CA: \
         mytls ca rotate start --ca-dir {dir} --to DIR"
    )
}

fn renew(store: &Store, entry: &Entry, args: &RenewArgs) -> Result<String, CaError> {
    let how = Renewal { same_key: args.same_key, validity: validity(args.days) };
    let (issued, written) = store.renew(entry, how, args.out.as_deref())?;
    let key = PublicKey::from_openssl(&issued.key).describe();
    let mut text = report(entry.kind.name(), &entry.names.join(", "), &key, &issued, &written);
    if entry.deployed && args.out.is_none() {
        text.push_str("  the server takes it with ALTER INSTANCE RELOAD TLS or FLUSH SSL\n");
    }
    let serial = &entry.serial;
    let dir = shown(store.dir());
    if entry.kind == Kind::Server && !entry.deployed {
        text.push_str("  carry the files to the server, and have it reload\n");
    }
    if entry.kind == Kind::Client {
        text.push_str(
            "  the client takes it when its files are replaced: carry them there (mytls ca pack)\n",
        );
    }
    let _ = write!(
        text,
        "  the old one stays valid until {}, unless you revoke it when the new one is in use:\n    \
         mytls ca revoke --ca-dir {dir} --serial {serial}\n",
        day(entry.not_after)
    );
    Ok(text)
}

/// What is to be renewed, and what of that which expires soon cannot be made any longer.
fn chosen(store: &Store, args: &RenewArgs) -> Result<(Vec<Entry>, Vec<Entry>), CaError> {
    let mut entries = store.list()?;
    let (kind, name) = match (&args.which.client, &args.which.server) {
        (Some(name), _) => (Kind::Client, name),
        (_, Some(name)) => (Kind::Server, name),
        (None, None) => {
            let within = i64::from(args.within) * 86_400;
            let due = watch::expiring(&entries, now(), within);
            let due = due.filter(|(_, place)| *place == watch::Place::Newest);
            let ends = store.authority().ends();
            return Ok(due.map(|(entry, _)| entry.clone()).partition(|one| one.not_after < ends));
        }
    };
    entries.retain(Entry::is_current);
    // the newest, when somebody issued twice
    let newest =
        entries.into_iter().rfind(|entry| entry.kind == kind && entry.names.contains(name));
    let none = || CaError::NoSuchCertificate { sought: name.clone() };
    Ok((vec![newest.ok_or_else(none)?], Vec::new()))
}
