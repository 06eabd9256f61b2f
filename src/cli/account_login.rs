//! What the account's own client has, for commands that log in as it: certificate, key, password.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::Failure;
use crate::bounded;
use crate::facts::config;
use crate::printable::printable;
use crate::secret::Secret;
use crate::wire::ClientIdentity;
use crate::x509::{Certificate, pem};

/// The environment variable of the account's password.
pub const VARIABLE: &str = "MYTLS_ACCOUNT_PASSWORD";

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "The account's login")]
pub struct LoginArgs {
    /// The account's certificate (PEM), with the CAs between below it
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Its private key (PEM); without it, the certificate's file, or client-key.pem beside client-cert.pem
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// An option file of the account's client, for its password; or `MYTLS_ACCOUNT_PASSWORD`
    #[arg(long, value_name = "FILE")]
    pub account_file: Option<PathBuf>,
    /// Ask for the account's password
    #[arg(long, conflicts_with = "account_file")]
    pub ask_account_password: bool,
    /// This host's address to come from
    #[arg(long, value_name = "ADDRESS")]
    pub bind_address: Option<std::net::IpAddr>,
}

impl LoginArgs {
    /// From a prompt, the account's option file, or the environment; never an argument.
    pub fn password(&self) -> Result<Option<Secret>, Failure> {
        if self.ask_account_password {
            if !std::io::stderr().is_terminal() {
                return Err(Failure::usage(format!(
                    "there is no terminal to ask for the account's password on: use --account-file or {VARIABLE}"
                )));
            }
            let asked = rpassword::prompt_password("Password of the account: ");
            return asked.map(|text| Some(Secret::new(text))).map_err(|error| {
                Failure::usage(format!("the password could not be read: {error}"))
            });
        }
        if let Some(path) = &self.account_file {
            let file = config::read_client(Some(path)).map_err(Failure::usage)?;
            let password = file.options.get("password").and_then(|option| option.value.clone());
            return Ok(password.map(Secret::new));
        }
        Ok(std::env::var(VARIABLE).ok().map(Secret::new))
    }

    /// The certificate with its key.
    pub fn identity(&self, certificate: &Path) -> Result<ClientIdentity, Failure> {
        let beside = self.key.is_none().then(|| key_beside(certificate)).flatten();
        let key = self.key.as_deref().or(beside.as_deref()).unwrap_or(certificate);
        ClientIdentity::load(certificate, key).map_err(|error| {
            let missing = self.key.is_none();
            let advice = if missing { "; give its private key with --key" } else { "" };
            Failure::usage(format!("{error}{advice}"))
        })
    }

    /// The certificate with its key, or alone where there is none to be had.
    pub fn shown(&self) -> Result<(Option<ClientIdentity>, Vec<Certificate>), Failure> {
        let Some(certificate) = &self.cert else {
            return match &self.key {
                Some(_) => {
                    Err(Failure::usage("--key is the key of a certificate: give that with --cert"))
                }
                None => Ok((None, Vec::new())),
            };
        };
        let bytes = bounded::read(certificate, 1 << 20).map_err(|error| {
            let path = printable(&certificate.display().to_string()).into_owned();
            Failure::usage(format!("the certificate {path} cannot be read: {error}"))
        })?;
        let holds_key = pem::private_key(&bytes).is_ok();
        if self.key.is_some() || holds_key || key_beside(certificate).is_some() {
            return Ok((Some(self.identity(certificate)?), Vec::new()));
        }
        let chain = pem::certificates(&bytes).map_err(|defect| {
            let path = printable(&certificate.display().to_string()).into_owned();
            Failure::usage(format!("the certificate {path}: {defect}"))
        })?;
        Ok((None, chain.iter().map(|x509| Certificate::from_openssl(x509)).collect()))
    }
}

/// `client-key.pem` beside `client-cert.pem`, as `mytls ca client` writes them; unless the certificate's file
/// holds a key itself.
fn key_beside(certificate: &Path) -> Option<PathBuf> {
    let bytes = bounded::read(certificate, 1 << 20).ok()?;
    if pem::private_key(&bytes).is_ok() {
        return None;
    }
    let name = certificate.file_name()?.to_str()?;
    let at = name.rfind("cert")?;
    let key = format!("{}key{}", &name[..at], &name[at + "cert".len()..]);
    Some(certificate.with_file_name(key)).filter(|path| path.is_file())
}

/// Whether somebody wants this to end: then it ends between two logins, and what was changed at the
/// server is put back first. A second signal ends it at once.
pub fn stopped() -> Result<impl Fn() -> bool, Failure> {
    let told = Arc::new(AtomicBool::new(false));
    let failed = |error: std::io::Error| {
        Failure::not_examined(format!("signals cannot be waited for: {error}"))
    };
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&told))
            .map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&told)).map_err(failed)?;
    }
    Ok(move || told.load(Ordering::Relaxed))
}
