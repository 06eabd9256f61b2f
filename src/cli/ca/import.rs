//! `mytls ca import`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Done, ask, can_ask, day, given_passphrase, now, shown};
use crate::ca::import::Foreign;
use crate::ca::{CaError, Catalog, Store};
use crate::cli::Failure;
use crate::secret::Secret;

/// Take over a CA that was made with something else
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  \
    mytls ca import --ca-dir ~/db-ca --cert ca.crt --key ca.key --chain root.crt\n\n\
    The key may be PKCS#8, PKCS#1 or SEC1; an encrypted one stays under its passphrase. The files\n\
    given are copied and left as they are."
)]
pub struct ImportArgs {
    /// Folder to keep it in; made if it does not exist
    #[arg(long, value_name = "DIR")]
    ca_dir: PathBuf,
    /// Its certificate
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Its private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The CAs above it, up to the root
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
    /// The list of what it revoked so far, to be gone on with
    #[arg(long, value_name = "FILE")]
    crl: Option<PathBuf>,
    /// Read the passphrase of the key from standard input
    #[arg(long)]
    passphrase_stdin: bool,
}

pub fn run(args: &ImportArgs) -> Result<Done, Failure> {
    let (chain, crl) = (args.chain.as_deref(), args.crl.as_deref());
    let foreign = Foreign { certificate: &args.cert, key: &args.key, chain, crl };
    let import =
        |passphrase: Option<&Secret>| Store::import(&args.ca_dir, foreign, passphrase, now());
    let given = given_passphrase(args.passphrase_stdin)?;
    let store = match import(given.as_ref()) {
        Err(CaError::KeyEncrypted { .. }) if can_ask() => {
            import(Some(&ask(&format!("Passphrase of {}: ", shown(&args.key)))?))
        }
        other => other,
    }?;
    let ca = store.authority().summary();
    let (name, until, dir) = (ca.subject.display(), day(ca.not_after), shown(&args.ca_dir));
    let mut text = format!("took over the CA {name}, valid until {until}, into {dir}\n");
    for note in store.notes() {
        let _ = writeln!(text, "! {note}"); // writing to a String cannot fail
    }
    text.push_str(
        "! what it issued before is not known here: mytls ca list does not show it, and mytls ca\n  \
         revoke takes it by its number alone (--serial HEX --issued-elsewhere)\n",
    );
    if args.crl.is_some() {
        let count = Catalog::read(&args.ca_dir)?.elsewhere.len();
        let list = shown(&args.ca_dir.join(Store::CRL_FILE));
        let _ = writeln!(
            text,
            "took over what it revoked, {count} in all, into {list}: revoke and sign here from now on"
        );
    } else {
        text.push_str(
            "! a crl.pem signed here does not repeat its earlier list: if it has one, give it with --crl,\n  \
             or what was revoked gets in again\n",
        );
    }
    Ok(text.into())
}
