//! `mytls ca pack`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use super::{Done, now, shown, stdin_secret};
use crate::ca::pack::{Account, Client, Form, Pack, PackError, PackSpec, Password};
use crate::ca::{Catalog, Kind, PlainName, San};
use crate::cli::Failure;
use crate::facts::Target;

/// A name that belongs to nobody (RFC 2606), until the server's own is said.
const STAND_IN: &str = "db.example.org";

/// Pack what a client needs: PEM, PKCS#12, a truststore, the settings of its driver
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  \
    mytls ca pack --ca-dir ~/db-ca app --host db1.example.org --tar app.tar\n\n\
    The password of the .p12 files lies beside them in password.txt, 0600."
)]
pub struct PackArgs {
    /// Folder of the CA
    #[arg(long, value_name = "DIR")]
    ca_dir: PathBuf,
    /// Whose certificate: the --user of `mytls ca client`
    name: PlainName,
    #[command(flatten)]
    place: Place,
    /// The server, as the client names it
    #[arg(long, default_value = STAND_IN)]
    host: San,
    /// Its port
    #[arg(long, value_name = "N", default_value_t = Target::DEFAULT_PORT,
        value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Its login name, where that is not NAME up to the @
    #[arg(long, value_name = "NAME")]
    user: Option<PlainName>,
    /// Protection of the .p12 files: 3des for every Java, aes256 from 8u301, 11.0.12 and 16 on
    #[arg(long, value_enum, default_value_t)]
    p12: Form,
    /// Also the key as PKCS#1, for clients with yaSSL (MySQL 5.6 and before); RSA only
    #[arg(long)]
    legacy: bool,
    /// Print the password of the .p12 files instead of laying it beside them
    #[arg(long, conflicts_with = "password_stdin")]
    show_password: bool,
    /// Read the password of the .p12 files from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// Folder for the files; empty or not there yet
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Archive for the files; not there yet
    #[arg(long, value_name = "FILE")]
    tar: Option<PathBuf>,
}

/// Packs, and says what lies where.
pub fn run(args: &PackArgs) -> Result<Done, Failure> {
    let password = match args {
        PackArgs { password_stdin: true, .. } => Password::Given(stdin_secret("password")?),
        PackArgs { show_password: true, .. } => Password::Told,
        _ => Password::InFile,
    };
    let said = pack(args, password).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(said.to_string().into())
}

fn pack(args: &PackArgs, password: Password) -> Result<Zeroizing<String>, PackError> {
    let catalog = Catalog::read(&args.ca_dir)?;
    let client = Client::of_store(&catalog, &args.name, now())?;
    let account = match &args.user {
        Some(user) => Account { user: user.clone(), host: None },
        None => Account::of(&args.name),
    };
    let pack = Pack::make(
        &client,
        &PackSpec {
            name: args.name.clone(),
            account: account.clone(),
            host: args.host.clone(),
            port: args.port,
            form: args.p12,
            pkcs1: args.legacy,
            password,
        },
    )?;
    let place = match (&args.place.out, &args.place.tar) {
        (_, Some(archive)) => {
            pack.write_tar(archive)?;
            archive.as_path()
        }
        (Some(folder), None) => {
            pack.write_folder(folder)?;
            folder
        }
        (None, None) => Path::new(""), // the parser lets this not through
    };
    let mut said = Zeroizing::new(format!("packed for {}: {}\n", args.name, shown(place)));
    for file in pack.files() {
        // writing to a String cannot fail
        let _ = writeln!(said, "  {}", file.name);
    }
    if let Account { user, host: Some(host) } = &account {
        let _ = writeln!(
            said,
            "the login name is {user}, from the host {host}; if it is another: --user NAME"
        );
    }
    if args.host.to_string() == STAND_IN {
        let _ =
            writeln!(said, "README.txt names the server {STAND_IN}; --host puts its own name in");
    }
    let own =
        catalog.entries.iter().filter(|entry| entry.kind == Kind::Server && entry.is_current());
    let own: Vec<&String> = own.flat_map(|entry| &entry.names).collect();
    let host = args.host.to_string();
    let covers = |name: &&String| {
        let wild = || Some(name.strip_prefix('*')? == &host[host.find('.')?..]);
        **name == host || wild().unwrap_or(false)
    };
    if host != STAND_IN && !own.is_empty() && !own.iter().any(covers) {
        let _ = writeln!(
            said,
            "! no server certificate of this CA names {host}: drivers that check the name refuse it;\n  \
             --host puts another name in, mytls ca server --san {host} issues one"
        );
    }
    if let Some(password) = pack.password() {
        let _ = writeln!(said, "password of client.p12 and truststore.p12: {}", password.expose());
    }
    Ok(said)
}
