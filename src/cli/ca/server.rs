//! `mytls ca server`

use std::path::PathBuf;

use clap::Args;
use nix::unistd::{Uid, User};

use super::{Done, StoreArgs, report, validity};
use crate::ca::files::{ServerFiles, replace_server, write_server};
use crate::ca::{CaError, Destination, Issued, KeyForm, KeyKind, San};
use crate::cli::Failure;
use crate::disk::{self, DiskError};

/// Issue a certificate for a server
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  \
    mytls ca server --ca-dir ~/db-ca --san db1.example.org,10.0.0.5 --out db1\n  \
    mytls ca server --ca-dir ~/db-ca --san db1.example.org \\\n      \
    --cert-file /etc/mysql/tls/server-cert.pem --key-file /etc/mysql/tls/server-key.pem\n\n\
    What the files held before is kept beside them as NAME.bak-TIME."
)]
pub struct ServerArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Host names and addresses that clients use
    #[arg(long, value_name = "NAME,IP,...", value_delimiter = ',', required = true)]
    san: Vec<San>,
    /// Kind of its key
    #[arg(long, value_enum, default_value_t)]
    key: KeyKind,
    /// Form of its key; yaSSL, in MySQL up to 5.6, needs an RSA key in pkcs1
    #[arg(long, value_enum, default_value_t)]
    key_form: KeyForm,
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
    /// Replace this file with certificate and chain, keeping its owner and mode
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// Replace this file with the key
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// Replace this file with the CA's certificates
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    ca_file: Option<PathBuf>,
    /// The user the server runs as: new files are made readable for it, a key for nobody else
    #[arg(long, value_name = "USER", requires = "cert_file")]
    server_user: Option<String>,
}

pub fn run(args: &ServerArgs) -> Result<Done, Failure> {
    let files = server_files(args)?;
    if !args.key.can_be(args.key_form) {
        return Err(CaError::NotForPkcs1 { kind: args.key.describe() }.into());
    }
    let store = args.store.open()?;
    let mut spec = store.authority().server_spec(&args.san, args.key, validity(args.days))?;
    spec.also_client = args.also_client;
    spec.key_form = args.key_form;
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
    let (issued, written) = store.issue_server_to(&spec, &to, lay)?;
    let hosts: Vec<String> = args.san.iter().map(San::to_string).collect();
    let key = args.key.describe();
    Ok(report("server", &hosts.join(", "), key, &issued, &written).into())
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
