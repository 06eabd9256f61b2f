//! `mytls ca create`

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;

use super::kinds::Asked;
use super::{Done, PASSPHRASE, ask, can_ask, day, given_passphrase, shown, validity};
use crate::ca::crl::Update;
use crate::ca::{Authority, AuthoritySpec, CaError, KeyKind, PlainName, Store};
use crate::cli::Failure;
use crate::cli::target::TargetArgs;
use crate::remedy::key_kinds::Product;
use crate::secret::Secret;
use crate::x509::Certificate;
use crate::x509::pem;

/// Make a CA in a folder of its own
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls ca create --ca-dir ~/db-ca --name 'Example Database CA'\n  \
    mytls ca create --ca-dir ~/db-ca --name 'Example Database CA' -S /run/mysqld/mysqld.sock\n\n\
    A folder that holds a CA of this name already is left as it is. With --intermediate, carry\n\
    the folder root/ away when it is made: it is needed again only for its CRL, once a year."
)]
pub struct CreateArgs {
    /// Name of the CA: ASCII, without / + \ ' "
    #[arg(long)]
    pub(super) name: PlainName,
    /// Kind of its key; without it the best for the server, or p256
    #[arg(long, value_enum)]
    pub(super) key: Option<KeyKind>,
    /// For which server, where none is asked: mysql-5.6, mysql-8.4, mariadb-10.11
    #[arg(long = "for", value_name = "SERVER")]
    pub(super) product: Option<Product>,
    /// How long it is valid
    #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub(super) days: u32,
    /// A root and an issuing CA below it, the root's key apart in root/
    #[arg(long)]
    pub(super) intermediate: bool,
    /// Leave a CA that is there already as it is, whatever its name
    #[arg(long)]
    pub(super) if_missing: bool,
    /// Read a passphrase for its key from standard input
    #[arg(long, conflicts_with_all = ["no_passphrase", "password_stdin"])]
    pub(super) passphrase_stdin: bool,
    /// Do not protect its key with a passphrase, and do not ask
    #[arg(long)]
    pub(super) no_passphrase: bool,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

pub fn run(args: &CreateArgs) -> Result<Done, Failure> {
    let ca_dir = args.target.ca_dir.clone();
    let ca_dir = ca_dir.ok_or_else(|| Failure::usage("name the folder of the CA with --ca-dir"))?;
    let dir = shown(&ca_dir);
    if Store::exists(&ca_dir) {
        // Asked for again, as scripts do: what is wanted is there.
        let found = existing(&ca_dir)?;
        let same = found.subject.rdns.iter().flatten().any(|attribute| {
            attribute.key == "CN" && attribute.value == args.name.as_str().as_bytes()
        });
        let name = found.subject.display();
        if !same && !args.if_missing {
            return Err(CaError::StoreExists { dir: ca_dir, name }.into());
        }
        let text = format!("there is a CA in {dir} already: {name}; nothing was changed\n");
        return Ok(text.into());
    }
    let root_name = root_name(args)?;
    let (key, note) = key(args)?;
    let passphrase = passphrase(args)?;
    let is_protected = passphrase.is_some();
    let (authority, root) = make(args, key, root_name.as_ref())?;
    let store = Store::install_under(&ca_dir, authority, root.as_ref(), passphrase)?;
    if root.is_some() {
        // while the root's key is at hand: its list is asked for together with the CA's, one day
        store.sign_lists(&Update::default())?;
    }
    let until = day(store.authority().summary().not_after);
    let (name, key) = (&args.name, key.describe());
    let mut text = format!(
        "made the CA {name} ({key}), valid until {until}\n  \
         {dir}/{}       give this to every server and client\n  \
         {dir}/{}   give this to nobody; keep a copy in a safe place\n",
        Store::CA_FILE,
        Store::KEY_FILE
    );
    if root.is_some() {
        let root = format!("{dir}/{}/", Store::ROOT);
        let _ =
            writeln!(text, "  {root}        the root and its key: carry this folder away, offline");
    }
    if is_protected {
        text.push_str(
            "without the passphrase its key is lost: nothing and nobody can replace it\n",
        );
    }
    Ok((text + &note).into())
}

/// The CA that is there, without its key.
fn existing(dir: &Path) -> Result<Certificate, CaError> {
    let path = dir.join(Store::CA_FILE);
    let bytes = std::fs::read(&path).map_err(|error| crate::disk::DiskError::new(&path, error))?;
    let found = pem::certificates(&bytes).map_err(|defect| CaError::File { path, defect })?;
    Ok(Certificate::from_openssl(&found[0]))
}

/// What was asked for, if the server it is for can use it; and a sentence on how that was found out.
fn key(args: &CreateArgs) -> Result<(KeyKind, String), Failure> {
    let asked = Asked::of(&args.target, args.product)?;
    if let (Some(facts), None) = (&asked.facts, args.product)
        && !facts.is_running()
    {
        let why = facts.server.reason().map_or("nothing answered", |unread| unread.why.as_str());
        return Err(Failure::not_examined(format!(
            "the server cannot be asked which keys it can use: {why}; nothing was made. Say which \
             server it is with --for"
        )));
    }
    let key = asked.kinds.choose(args.key).map_err(Failure::usage)?;
    Ok((key, asked.note))
}

/// What the root above an issuing CA is called, where there is to be one.
fn root_name(args: &CreateArgs) -> Result<Option<PlainName>, CaError> {
    let long = |_| CaError::NoNameForRoot { name: args.name.clone() };
    args.intermediate.then(|| format!("{} root", args.name).parse().map_err(long)).transpose()
}

/// The CA that issues, and the root above it.
fn make(
    args: &CreateArgs,
    key: KeyKind,
    root: Option<&PlainName>,
) -> Result<(Authority, Option<Authority>), CaError> {
    let spec = |name: &PlainName| AuthoritySpec {
        key,
        validity: validity(args.days),
        ..AuthoritySpec::named(name)
    };
    let Some(root) = root else { return Ok((Authority::create(&spec(&args.name))?, None)) };
    let root = Authority::create(&spec(root))?;
    Ok((root.issue_authority(&spec(&args.name))?, Some(root)))
}

/// Asked for twice, since nobody sees what is typed; none when nothing is typed. Where nobody can be
/// asked, a key without one is made only for those who say so.
fn passphrase(args: &CreateArgs) -> Result<Option<Secret>, Failure> {
    if args.no_passphrase {
        return Ok(None);
    }
    let given = given_passphrase(args.passphrase_stdin)?;
    if given.is_some() {
        return Ok(given);
    }
    if !can_ask() {
        return Err(Failure::usage(format!(
            "there is no terminal to ask for the passphrase of the CA's key on, and nothing was \
             made; give one with --passphrase-stdin or in the environment variable {PASSPHRASE}, or \
             say --no-passphrase"
        )));
    }
    let first = ask("Passphrase for the CA's key (Enter: none): ")?;
    if first.is_empty() {
        return Ok(None);
    }
    if ask("The same again: ")? != first {
        return Err(Failure::usage("the two passphrases differ; nothing was made"));
    }
    Ok(Some(first))
}
