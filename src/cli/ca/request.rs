//! `mytls ca csr`, `accept` and `sign`: the ways by a request

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Done, StoreArgs, day, list_files, now, shown, validity};
use crate::ca::request::{self, Wanted};
use crate::ca::{CaError, KeyKind, PlainName, San};
use crate::cli::Failure;
use crate::disk::{self, DiskError, Meta};
use crate::printable::printable;
use crate::x509::OneLine;

/// Make a key, and a request to hand to somebody else's CA
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls ca csr --out db1 --san db1.example.org,10.0.0.5\n  \
    mytls ca csr --out app --user app\n\n\
    Hand in the .csr; the key stays. What comes back goes in with: mytls ca accept"
)]
pub struct CsrArgs {
    /// Folder for the key and the request
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a server: host names and addresses that clients use
    #[arg(
        long,
        value_name = "NAME,IP,...",
        value_delimiter = ',',
        required_unless_present = "user",
        conflicts_with = "user"
    )]
    san: Vec<San>,
    /// For an account: its name
    #[arg(long, value_name = "NAME")]
    user: Option<PlainName>,
    /// Kind of its key
    #[arg(long, value_enum, default_value_t)]
    key: KeyKind,
}

/// Put what a CA sent back beside its key, if it fits
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls ca accept --dir db1 --cert db1.crt --chain company-ca.pem\n\n\
    Key, names, purpose, dates and the chain up to its root are looked at before anything is\n\
    written: NAME-cert.pem with the intermediates, and ca.pem."
)]
pub struct AcceptArgs {
    /// Folder with the key and the request
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The certificate
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The CAs above it, up to the root, in any order
    #[arg(long, value_name = "FILE")]
    chain: PathBuf,
}

/// Sign somebody's request
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls ca sign --ca-dir ~/db-ca --csr db1.csr --out db1-cert.pem\n\n\
    Taken from the request are its key, its common name and its host names; a request whose\n\
    signature is broken, or that asks for a CA, is refused."
)]
pub struct SignArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The request (PKCS#10)
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    /// File for the certificate and the intermediates; must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long it is valid
    #[arg(long, default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
}

pub fn csr(args: &CsrArgs) -> Result<Done, Failure> {
    let wanted = match &args.user {
        Some(user) => Wanted::Client(user.clone()),
        None => Wanted::Server(args.san.clone()),
    };
    let [key, request] = request::make(&args.out, &wanted, args.key)?;
    let (kind, key, request) = (args.key.describe(), shown(&key), shown(&request));
    Ok(format!(
        "made a key ({kind}) and a request\n  {request}   hand this to the CA\n  \
         {key}   give this to nobody\n"
    )
    .into())
}

pub fn accept(args: &AcceptArgs) -> Result<Done, Failure> {
    let (certificate, written) = request::accept(&args.dir, &args.cert, &args.chain, now())?;
    let name = certificate.subject.oneline(OneLine::OpenSsl3);
    let issuer = certificate.issuer.oneline(OneLine::OpenSsl3);
    let until = day(certificate.not_after);
    let mut text = format!("it fits: {}, valid until {until}\n", printable(&name));
    list_files(&mut text, &written);
    let _ = write!(text, "  subject  {}\n  issuer   {}\n", printable(&name), printable(&issuer));
    Ok(text.into())
}

pub fn sign(args: &SignArgs) -> Result<Done, Failure> {
    let store = args.store.open()?;
    super::refuse_own(&store, &args.out)?;
    if std::fs::symlink_metadata(&args.out).is_ok() {
        return Err(CaError::from(DiskError::Exists { path: args.out.clone() }).into());
    }
    disk::folder_of(&args.out).map_err(CaError::from)?;
    let (pem, entry) = store.sign_request(&args.csr, validity(args.days))?;
    disk::write_new(&args.out, pem.as_bytes(), Meta::mode(0o644)).map_err(|error| {
        let kept = shown(&store.dir().join(format!("issued/{}.pem", entry.serial)));
        Failure::usage(format!("{error}; the certificate was issued, it is in {kept}"))
    })?;
    let (kind, names, until) = (entry.kind.name(), entry.names.join(", "), day(entry.not_after));
    let short = if entry.not_after >= store.authority().ends() { super::NO_LONGER } else { "" };
    Ok(format!(
        "issued a {kind} certificate for {}, valid until {until}{short}\n  {}\n  subject  {}\n",
        printable(&names),
        shown(&args.out),
        entry.subject
    )
    .into())
}
