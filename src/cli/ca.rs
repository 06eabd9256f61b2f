//! `mytls ca`: a private CA from the command line.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use nix::unistd::{Uid, User};
use time::OffsetDateTime;
use time::macros::format_description;

use super::{Failure, print};
use crate::ca::files::{ServerFiles, Written, replace_server, write_client, write_server};
use crate::ca::{AuthoritySpec, CaError, Entry, Issued, KeyKind, PlainName, San, Store, Validity};
use crate::disk::DiskError;
use crate::printable::printable;
use crate::secret::Secret;
use crate::x509::OneLine;

mod pack;

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct CaArgs {
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Debug, Subcommand)]
enum CaCommand {
    /// Make a CA in a folder of its own
    #[command(
        disable_help_flag = true,
        after_help = "Example:\n  mytls ca create --ca-dir ~/db-ca --name 'Example Database CA'\n\n\
        A folder that holds a CA of this name already is left as it is."
    )]
    Create(CreateArgs),
    /// Issue a certificate for a server
    #[command(
        disable_help_flag = true,
        after_help = "Examples:\n  \
        mytls ca server --ca-dir ~/db-ca --san db1.example.org,10.0.0.5 --out db1\n  \
        mytls ca server --ca-dir ~/db-ca --san db1.example.org \\\n      \
        --cert-file /etc/mysql/tls/server-cert.pem --key-file /etc/mysql/tls/server-key.pem\n\n\
        What the files held before is kept beside them as NAME.bak-TIME."
    )]
    Server(ServerArgs),
    /// Issue a certificate for an account
    #[command(
        disable_help_flag = true,
        after_help = "Example:\n  mytls ca client --ca-dir ~/db-ca --user app --out app-tls\n\n\
        The printed subject and issuer are what REQUIRE of the account compares."
    )]
    Client(ClientArgs),
    /// Pack what a client needs: PEM, PKCS#12, a truststore, the settings of its driver
    #[command(
        disable_help_flag = true,
        after_help = "Example:\n  \
        mytls ca pack --ca-dir ~/db-ca app --host db1.example.org --tar app.tar\n\n\
        The password of the .p12 files lies beside them in password.txt, 0600."
    )]
    Pack(pack::PackArgs),
    /// List what was issued
    #[command(
        disable_help_flag = true,
        after_help = "Example:\n  mytls ca list --ca-dir ~/db-ca --format json"
    )]
    List(ListArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Folder of the CA; made if it does not exist
    #[arg(long, value_name = "DIR")]
    ca_dir: PathBuf,
    /// Name of the CA: ASCII, without / + \ ' "
    #[arg(long)]
    name: PlainName,
    /// Kind of its key
    #[arg(long, value_enum, default_value_t)]
    key: KeyKind,
    /// How long it is valid
    #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
    /// Leave a CA that is there already as it is, whatever its name
    #[arg(long)]
    if_missing: bool,
}

#[derive(Debug, Args)]
struct ServerArgs {
    /// Folder of the CA
    #[arg(long, value_name = "DIR")]
    ca_dir: PathBuf,
    /// Host names and addresses that clients use
    #[arg(long, value_name = "NAME,IP,...", value_delimiter = ',', required = true)]
    san: Vec<San>,
    /// Kind of its key
    #[arg(long, value_enum, default_value_t)]
    key: KeyKind,
    /// How long it is valid
    #[arg(long, default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
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

#[derive(Debug, Args)]
struct ClientArgs {
    /// Folder of the CA
    #[arg(long, value_name = "DIR")]
    ca_dir: PathBuf,
    /// The account's name: ASCII, without / + \ ' "
    #[arg(long, value_name = "NAME")]
    user: PlainName,
    /// Folder for client-cert.pem, client-key.pem and ca.pem
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Kind of its key
    #[arg(long, value_enum, default_value_t)]
    key: KeyKind,
    /// How long it is valid
    #[arg(long, default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Folder of the CA
    #[arg(long, value_name = "DIR")]
    ca_dir: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: ListFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    #[default]
    Text,
    Json,
}

/// Does what was asked and prints what was done. Whatever was there before is still there.
pub fn run(args: &CaArgs) -> Result<ExitCode, Failure> {
    let done = match &args.command {
        CaCommand::Create(args) => create(args),
        CaCommand::Server(args) => server(args),
        CaCommand::Client(args) => client(args),
        CaCommand::Pack(args) => return pack::run(args),
        CaCommand::List(args) => list(args),
    };
    print(&done.map_err(|error| Failure::usage(error.to_string()))?)?;
    Ok(ExitCode::SUCCESS)
}

fn create(args: &CreateArgs) -> Result<String, CaError> {
    let validity = Validity::Days(args.days);
    let spec = AuthoritySpec { key: args.key, validity, ..AuthoritySpec::named(&args.name) };
    let dir = shown(&args.ca_dir);
    if Store::exists(&args.ca_dir) {
        // Asked for again, as scripts do: what is wanted is there.
        let store = open(&args.ca_dir)?;
        let found = store.authority().summary();
        let same = found.subject.rdns.iter().flatten().any(|attribute| {
            attribute.key == "CN" && attribute.value == args.name.as_str().as_bytes()
        });
        let name = found.subject.display();
        if !same && !args.if_missing {
            return Err(CaError::StoreExists { dir: args.ca_dir.clone(), name });
        }
        return Ok(format!("there is a CA in {dir} already: {name}; nothing was changed\n"));
    }
    let store = Store::create(&args.ca_dir, &spec)?;
    let until = day(store.authority().summary().not_after);
    let (name, key) = (&args.name, args.key.describe());
    Ok(format!(
        "made the CA {name} ({key}), valid until {until}\n  \
         {dir}/{}       give this to every server and client\n  \
         {dir}/{}   give this to nobody; keep a copy in a safe place\n",
        Store::CA_FILE,
        Store::KEY_FILE
    ))
}

fn server(args: &ServerArgs) -> Result<String, CaError> {
    let files = server_files(args)?;
    let store = open(&args.ca_dir)?;
    if let Some(out) = &args.out {
        crate::disk::create_private_dir(out)?;
    }
    let issued = store.issue_server(&args.san, args.key, Validity::Days(args.days))?;
    let written = match &files {
        Some(files) => replace_server(files, &issued)?,
        // the parser lets nothing else through
        None => write_server(&args.out.clone().unwrap_or_default(), &issued)?,
    };
    let hosts: Vec<String> = args.san.iter().map(San::to_string).collect();
    Ok(report("server", &hosts.join(", "), args.key, &issued, &written))
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

fn client(args: &ClientArgs) -> Result<String, CaError> {
    let store = open(&args.ca_dir)?;
    crate::disk::create_private_dir(&args.out)?;
    let issued = store.issue_client(&args.user, args.key, Validity::Days(args.days))?;
    let written = write_client(&args.out, &issued)?;
    let report = report("client", args.user.as_str(), args.key, &issued, &written);
    let summary = issued.summary();
    Ok(format!(
        "{report}  subject  {}\n  issuer   {}\n",
        summary.subject.oneline(OneLine::OpenSsl3),
        summary.issuer.oneline(OneLine::OpenSsl3)
    ))
}

fn list(args: &ListArgs) -> Result<String, CaError> {
    let entries = open(&args.ca_dir)?.list()?;
    if args.format == ListFormat::Json {
        // plain strings and numbers: there is nothing in it that could not be written
        return Ok(serde_json::to_string_pretty(&entries).unwrap_or_default() + "\n");
    }
    if entries.is_empty() {
        return Ok("nothing was issued yet\n".to_owned());
    }
    let names = |entry: &Entry| printable(&entry.names.join(", ")).into_owned();
    let width = entries.iter().map(|entry| names(entry).chars().count()).max().unwrap_or(0);
    let width = width.clamp("for".len(), 40);
    let mut text = format!("{:<6}  {:<width$}  {:<10}  serial\n", "kind", "for", "until");
    for entry in &entries {
        let (kind, until) = (entry.kind.name(), day(entry.not_after));
        // writing to a String cannot fail
        let _ = writeln!(text, "{kind:<6}  {:<width$}  {until}  {}", names(entry), entry.serial);
    }
    Ok(text)
}

/// Opens the CA, with the passphrase from the environment if its key has one.
fn open(dir: &Path) -> Result<Store, CaError> {
    let passphrase = std::env::var("MYTLS_CA_PASSPHRASE").ok().map(Secret::new);
    Store::open_with(dir, passphrase.as_ref())
}

fn report(role: &str, whom: &str, key: KeyKind, issued: &Issued, written: &[Written]) -> String {
    let (key, until) = (key.describe(), day(issued.summary().not_after));
    let mut text = format!("issued a {role} certificate for {whom} ({key}), valid until {until}\n");
    for file in written {
        let path = shown(&file.path);
        // writing to a String cannot fail
        let _ = match &file.backup {
            Some(backup) => writeln!(text, "  {path} (before: {})", shown(backup)),
            None => writeln!(text, "  {path}"),
        };
    }
    text
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

/// `2027-12-24`
fn day(seconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day]");
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&format).ok()).unwrap_or_else(|| seconds.to_string())
}
