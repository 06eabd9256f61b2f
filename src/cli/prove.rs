//! `mytls prove`: the login that must work and those that must not, against the server itself.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use super::account_login::{LoginArgs, stopped};
use super::check::Format;
use super::target::TargetArgs;
use super::{FINDINGS, Failure, NOT_EXAMINED, print, tell};
use crate::apply::Plan;
use crate::ca::{CaError, Store};
use crate::facts::gather::{Cancel, gather};
use crate::facts::{AccountName, Facts};
use crate::printable::{printable, printable_json};
use crate::prove::{self, Matrix, Needs, Subject, Witness};
use crate::wire::ClientIdentity;

/// Prove that an account needs its certificate: log in with it, and with everything else
///
/// Tries the right certificate, no TLS, no certificate, a CA of the same name, another subject, an
/// expired and a revoked certificate, and reads in the server's log why it refused. While it does,
/// log_error_verbosity (MariaDB: log_warnings) is raised where it is too low to tell, and put back:
/// also on Ctrl-C and SIGTERM; after a kill -9 by the next mytls prove or why-denied of that server.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    mut_arg("user", |login| login.long(None)),
    after_help = "Examples:\n  mytls prove --user app@% --cert app.pem --key app.key -h db1 --ssl-ca ca.pem\n  \
    mytls prove --user app@% --user web@% --ca-dir ~/db-ca -h db1 --ssl-ca ca.pem\n\n\
    -u, -p and --defaults-file are an administrator's, who may read accounts and the log. Without\n\
    the account's password, what the server decides in the handshake is tried all the same; a wrong\n\
    one counts as one failed login (FAILED_LOGIN_ATTEMPTS; MariaDB: max_password_errors).\n\
    With --ca-dir the certificates of its clients are taken, and the cases that take its key.\n\
    Exit status: 0 proven, and it needs a certificate (--at-least); 1 not; 2 bad usage; 3 could not\n\
    be tried."
)]
pub struct ProveArgs {
    /// Account to prove, as user@host; several with --ca-dir
    #[arg(id = "account", long = "user", value_name = "ACCOUNT", required = true)]
    accounts: Vec<AccountName>,
    #[command(flatten)]
    login: LoginArgs,
    /// The least that a login has to need for the exit status 0
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t)]
    at_least: AtLeast,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Print ASCII characters only
    #[arg(long)]
    ascii: bool,
    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum AtLeast {
    None,
    Tls,
    #[default]
    Certificate,
    ItsCertificate,
}

impl AtLeast {
    fn is_met(self, matrix: &Matrix) -> bool {
        let least = match self {
            Self::None => Needs::Nothing,
            Self::Tls => Needs::Tls,
            Self::Certificate => Needs::Certificate,
            Self::ItsCertificate => Needs::ItsCertificate,
        };
        matrix.proved() && matrix.needs() >= least
    }
}

pub fn run(args: &ProveArgs) -> Result<ExitCode, Failure> {
    if args.login.cert.is_some() && args.accounts.len() > 1 {
        return Err(Failure::usage(
            "one certificate is for one account; for several give --ca-dir instead of --cert",
        ));
    }
    let identities = args
        .accounts
        .iter()
        .map(|account| identity(args, account))
        .collect::<Result<Vec<_>, _>>()?;
    let password = args.login.password()?;
    let stopped = stopped()?;
    let facts = gather(&args.target.resolve()?, &Cancel::default(), &mut |_| ());
    let known = accounts(&facts)?;
    let mut matrices = Vec::new();
    let mut witness = Witness::open(&facts, Plan::session_of(&facts).as_ref());
    for (name, (identity, ca)) in args.accounts.iter().zip(identities) {
        let account = known.iter().find(|account| account.name == *name).ok_or_else(|| {
            let server = facts.server.read();
            if server.is_some_and(|server| server.roles.contains(&name.user)) {
                return Failure::usage(format!(
                    "{} is a role, and nobody logs in as one: name an account that it is granted to",
                    printable(&name.user)
                ));
            }
            Failure::usage(format!("there is no account {name}{}", like(known, name)))
        })?;
        let subject = Subject::of(&facts, account, password.as_ref(), identity, ca);
        let mut subject = subject.map_err(Failure::not_examined)?;
        subject.endpoint.bind = args.login.bind_address;
        matrices.push(prove::matrix(&subject, &mut witness, &mut |_| (), &stopped));
    }
    drop(witness); // the server is as it was before anything is printed
    match args.format {
        Format::Text => {
            let texts = matrices.iter().map(|matrix| matrix.text(args.ascii));
            print(&texts.collect::<Vec<_>>().join("\n"))?;
            for matrix in matrices.iter().filter(|matrix| matrix.proved()) {
                if !args.at_least.is_met(matrix) {
                    tell(format_args!(
                        "{}: that is less than was asked for (--at-least): status 1\n",
                        matrix.account
                    ));
                }
            }
        }
        Format::Json => {
            let object = serde_json::json!({
                "schema": 1,
                "tool": concat!("mytls ", env!("CARGO_PKG_VERSION")),
                "proved": matrices.iter().all(|matrix| args.at_least.is_met(matrix)),
                "matrices": matrices.iter().map(Matrix::json).collect::<Vec<_>>(),
            });
            print(&format!("{}\n", printable_json(&format!("{object:#}"))))?;
        }
    }
    let status = if matrices.iter().all(|matrix| args.at_least.is_met(matrix)) {
        0
    } else if matrices.iter().any(Matrix::was_decided) {
        FINDINGS
    } else {
        NOT_EXAMINED
    };
    Ok(ExitCode::from(status))
}

type WithCa = (ClientIdentity, Option<(X509, PKey<Private>)>);

/// The account's certificate, and the CA that issued it where its key is at hand.
fn identity(args: &ProveArgs, account: &AccountName) -> Result<WithCa, Failure> {
    let folder = args.target.ca_dir.as_ref();
    let identity = match (&args.login.cert, folder) {
        (Some(certificate), _) => args.login.identity(certificate)?,
        (None, Some(folder)) => {
            let file =
                |name: &str| -> PathBuf { folder.join("clients").join(&account.user).join(name) };
            ClientIdentity::load(&file("client-cert.pem"), &file("client-key.pem"))
                .map_err(|error| Failure::usage(error.to_string()))?
        }
        (None, None) => {
            return Err(Failure::usage(
                "give the account's certificate with --cert and its key with --key, or a CA of mytls with --ca-dir",
            ));
        }
    };
    let authority = match folder.map(|folder| (folder, Store::open(folder))) {
        // two of the logins take the key; without it they are shown as not tried
        Some((folder, Err(CaError::KeyEncrypted { .. }))) if super::ca::can_be_opened() => {
            Some(super::ca::authority(folder)?)
        }
        Some((_, Ok(store))) => Some(store.authority().clone()),
        _ => None,
    };
    let ca = authority.and_then(|authority| {
        let issued = identity.chain.first()?.verify(&authority.key).unwrap_or(false);
        issued.then(|| (authority.certificate.clone(), authority.key.clone()))
    });
    Ok((identity, ca))
}

/// What the accounts require can only be asked of the server.
fn accounts(facts: &Facts) -> Result<&[crate::facts::Account], Failure> {
    let unread = match facts.server.read() {
        Some(server) => match server.accounts.read() {
            Some(accounts) => return Ok(accounts),
            None => server.accounts.reason(),
        },
        None => facts.server.reason(),
    };
    let why =
        unread.map_or_else(String::new, |unread| format!("{}\n  {}", unread.why, unread.advice));
    Err(Failure::not_examined(format!(
        "what the account requires is not known: {}\n  it takes an administrator's login (-u, -p, --defaults-file)",
        why.trim_end()
    )))
}

/// Accounts of the same user.
fn like(known: &[crate::facts::Account], name: &AccountName) -> String {
    let same = known.iter().filter(|account| account.name.user == name.user);
    let same: Vec<String> = same.map(|account| account.name.to_string()).collect();
    if same.is_empty() { String::new() } else { format!("; there is {}", same.join(", ")) }
}
