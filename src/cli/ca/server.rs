//! `mytls ca server`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use nix::unistd::{Uid, User};

use super::kinds::Asked;
use super::{Done, StoreArgs, report, still_valid, validity};
use crate::ca::files::{ServerFiles, replace_server, write_server};
use crate::ca::{CaError, Catalog, Destination, Entry, Issued, KeyForm, KeyKind, Kind, San};
use crate::cli::Failure;
use crate::cli::target::TargetArgs;
use crate::disk::{self, DiskError};
use crate::facts::Facts;
use crate::remedy::certificates;
use crate::remedy::key_kinds::{KeyKinds, Product};

/// Issue a certificate for a server
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  \
    mytls ca server --ca-dir ~/db-ca --san db1.example.org,10.0.0.5 --out db1\n  \
    mytls ca server --ca-dir ~/db-ca -S mysqld.sock --cert-file cert.pem --key-file key.pem"
)]
pub struct ServerArgs {
    /// Read the passphrase of the CA's key from standard input
    #[arg(long, conflicts_with = "password_stdin")]
    passphrase_stdin: bool,
    /// Host names and addresses that clients use; or those of the server below
    #[arg(long, value_name = "NAME,IP,...", value_delimiter = ',')]
    san: Vec<San>,
    /// p256, p384, ed25519, rsa2048, rsa3072 or rsa4096; or the best for it
    #[arg(long, value_enum, hide_possible_values = true)]
    key: Option<KeyKind>,
    /// pkcs8, or pkcs1 as yaSSL in MySQL up to 5.6 needs it
    #[arg(long, value_enum, hide_possible_values = true)]
    key_form: Option<KeyForm>,
    /// Instead of asking it: mysql-5.6, mysql-8.4, mariadb-10.11
    #[arg(long = "for", value_name = "SERVER")]
    product: Option<Product>,
    /// How long it is valid
    #[arg(long, default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
    /// Also for connecting to other servers: replication, Galera
    #[arg(long)]
    also_client: bool,
    /// Folder for server-cert.pem, server-key.pem and ca.pem
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "cert_file",
        conflicts_with = "cert_file"
    )]
    out: Option<PathBuf>,
    /// Replace this file with certificate and chain
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// Replace this file with the key
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// Replace this file with the CA's certificates
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    ca_file: Option<PathBuf>,
    /// The user the server runs as, who is to read them
    #[arg(long, value_name = "USER", requires = "cert_file")]
    server_user: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
}

/// What was asked for, completed by what the server says of itself.
struct Wanted {
    sans: Vec<San>,
    key: KeyKind,
    form: KeyForm,
    kinds: KeyKinds,
    /// What nobody typed: how the names came to be, and what counts of two words that differ.
    note: String,
}

impl Wanted {
    fn of(args: &ServerArgs) -> Result<Self, Failure> {
        if !args.target.is_given() && args.san.is_empty() {
            return Err(Failure::usage(
                "name the server's hosts with --san, or the server itself (-S, -h, --server-config): \
                 then those that it has are taken",
            ));
        }
        let Asked { facts, kinds, form, mut note } = Asked::of(&args.target, args.product)?;
        let key = kinds.choose(args.key).map_err(Failure::usage)?;
        let form = args.key_form.unwrap_or(form);
        if !key.can_be(form) {
            return Err(CaError::NotForPkcs1 { kind: key.describe() }.into());
        }
        let mut sans = args.san.clone();
        if let (true, Some(facts)) = (sans.is_empty(), &facts) {
            reached(facts)?;
            let (names, said) = names(facts);
            sans = names;
            note.push_str(&said);
        }
        Ok(Self { sans, key, form, kinds, note })
    }
}

/// The names that the server has, and a sentence on them: what a server is called by others may be
/// no name for a certificate.
fn names(facts: &Facts) -> (Vec<San>, String) {
    let names = certificates::server_names(facts);
    let sans: Vec<San> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let list: Vec<String> = sans.iter().map(San::to_string).collect();
    let mut said =
        format!("names taken from the server: {}; --san names others\n", list.join(", "));
    for name in certificates::odd_names(facts) {
        let Err(why) = name.parse::<San>() else { continue };
        // writing to a String cannot fail
        let _ = writeln!(said, "left out: {why}");
    }
    (sans, said)
}

/// Names that nobody confirmed are not made up: something of the server has to have been seen.
fn reached(facts: &Facts) -> Result<(), Failure> {
    let seen = facts.server.read().is_some()
        || facts.config.read().is_some()
        || facts.wire.read().is_some();
    if seen {
        return Ok(());
    }
    let why = facts.server.reason().map_or("nothing answered", |unread| unread.why.as_str());
    Err(Failure::not_examined(format!(
        "the server cannot be asked for its names: {why}; name them with --san"
    )))
}

pub fn run(args: &ServerArgs) -> Result<Done, Failure> {
    let files = server_files(args)?;
    let wanted = Wanted::of(args)?;
    let dir = ca_dir(args)?;
    // before anybody is asked for a passphrase
    wanted.kinds.check_chain(&Catalog::read(&dir)?.chain).map_err(Failure::usage)?;
    let store = StoreArgs { ca_dir: dir, passphrase_stdin: args.passphrase_stdin }.open()?;
    let named = [&args.out, &args.cert_file, &args.key_file, &args.ca_file];
    for path in named.into_iter().flatten() {
        super::refuse_own(&store, path)?;
    }
    let mut spec = store.authority().server_spec(&wanted.sans, wanted.key, validity(args.days))?;
    spec.also_client = args.also_client;
    spec.key_form = wanted.form;
    // the parser lets nothing through that names neither
    let out = args.out.clone().unwrap_or_default();
    let to = files.as_ref().map_or_else(|| Destination::folder(&out), Destination::server);
    let lay = |issued: &Issued| {
        if let Some(files) = &files {
            return replace_server(files, issued);
        }
        disk::create_private_dir(&out)?;
        write_server(&out, issued)
    };
    let hosts: Vec<String> = wanted.sans.iter().map(San::to_string).collect();
    let mut before = store.list()?;
    let (issued, written) = store.issue_server_to(&spec, &to, lay)?;
    let serial = issued.summary().serial;
    let instead_of = store.list()?.into_iter().find(|entry| entry.serial == serial);
    let instead_of = instead_of.and_then(|entry| entry.instead_of);
    before
        .retain(|entry| is_taken_for(entry, &hosts) || Some(&entry.serial) == instead_of.as_ref());
    before.retain(super::is_accepted);
    let text = report("server", &hosts.join(", "), wanted.key.describe(), &issued, &written);
    Ok((text + &wanted.note + &still_valid(&store, &before)).into())
}

/// Whether clients that look for one of these hosts take it.
fn is_taken_for(entry: &Entry, hosts: &[String]) -> bool {
    entry.kind == Kind::Server && entry.names.iter().any(|name| hosts.contains(name))
}

fn ca_dir(args: &ServerArgs) -> Result<PathBuf, Failure> {
    let dir = args.target.ca_dir.clone();
    dir.ok_or_else(|| Failure::usage("name the folder of the CA with --ca-dir"))
}

/// The very files to be replaced, looked at before anything is issued.
fn server_files(args: &ServerArgs) -> Result<Option<ServerFiles>, CaError> {
    let (Some(certificate), Some(key)) = (args.cert_file.clone(), args.key_file.clone()) else {
        return Ok(None);
    };
    let server_user = args.server_user.as_deref().map(server_user).transpose()?;
    let files = ServerFiles { certificate, key, ca: args.ca_file.clone(), server_user };
    files.check()?;
    Ok(Some(files))
}

/// A user of this host by name, or by number as in the option `user=65534`.
fn server_user(name: &str) -> Result<User, CaError> {
    let by_uid = || name.parse().ok().and_then(|uid| User::from_uid(Uid::from_raw(uid)).ok()?);
    let user = User::from_name(name).ok().flatten().or_else(by_uid);
    let none = || DiskError::NoSuchName { kind: "user", name: name.to_owned() };
    Ok(user.ok_or_else(none)?)
}
