//! What a client needs, packed: every form in which drivers want a certificate, and how to say so.
//!
//! ```text
//! ca.pem                  the CAs to trust
//! client-cert.pem         the certificate, then the intermediate CAs
//! client-key.pem          its key, PKCS#8
//! client-key-pkcs1.pem    the same as PKCS#1: RSA, for clients with yaSSL, when asked for
//! client.pem              key and certificates in one file
//! client.p12              key, certificates and CAs as PKCS#12
//! truststore.p12          the CAs to trust as PKCS#12, as Java wants them
//! password.txt            the password of both .p12 files, unless it was given or shown
//! README.txt              the settings of every driver
//! ```
//!
//! A pack is made from what a CA issued; the CA's own key is not needed for it.

use std::path::PathBuf;

use clap::ValueEnum;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::stack::Stack;
use thiserror::Error;
use zeroize::Zeroizing;

use super::authority::pem;
use super::{CaError, PlainName, San};
use crate::disk::DiskError;
use crate::printable::printable;
use crate::secret::Secret;
use crate::x509::certificate::hex;
use crate::x509::pem::Defect;

mod client;
mod der;
pub mod driver;
mod readme;
mod truststore;
mod write;

pub use client::Client;
pub use driver::Driver;

/// How often a password is hashed before it is used. It has 128 random bits, so this is as much as
/// no reader objects to, not what protects it.
const ITERATIONS: u32 = 2048;

/// What is to be packed.
#[derive(Clone, Debug)]
pub struct PackSpec {
    /// Whose certificate it is.
    pub name: PlainName,
    /// The account it is for.
    pub account: Account,
    pub host: San,
    pub port: u16,
    pub form: Form,
    /// Also the RSA key as PKCS#1.
    pub pkcs1: bool,
    pub password: Password,
}

/// An account as a client and its server know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What the client logs in as.
    pub user: PlainName,
    /// From where, as the server is told: `10.0.0.%`; `None`: from anywhere, or not known.
    pub host: Option<String>,
}

impl Account {
    /// Of a certificate's name: what stands behind its last `@` is the host, as a table's row with a
    /// host is named.
    pub fn of(name: &PlainName) -> Self {
        let parts = name.as_str().rsplit_once('@');
        let parts = parts.and_then(|(user, _)| Some((user.parse().ok()?, name.host()?)));
        match parts {
            Some((user, host)) => Self { user, host: Some(host) },
            None => Self { user: name.clone(), host: None },
        }
    }
}

/// Where the password of the PKCS#12 files comes from, and where it goes.
#[derive(Clone, Debug)]
pub enum Password {
    /// Invented, and laid beside them.
    InFile,
    /// Invented, and told to whoever packs: see [`Pack::password`].
    Told,
    /// Known to whoever packs.
    Given(Secret),
}

/// How the PKCS#12 files are protected.
///
/// Triple DES and SHA-1 are what every reader knows: Java since PKCS#12 files can hold CAs (8), .NET,
/// OpenSSL 3 without its legacy provider; but none in FIPS mode. AES-256 and SHA-256 came to Java with
/// 8u301, 11.0.12 and 16 (JDK-8267701). Either way the password has 128 random bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    #[default]
    #[value(name = "3des")]
    TripleDes,
    #[value(name = "aes256")]
    Aes256,
}

/// The files, in memory.
pub struct Pack {
    name: PlainName,
    files: Vec<PackedFile>,
    password: Option<Secret>,
}

/// One file of a pack.
pub struct PackedFile {
    pub name: &'static str,
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Why nothing was packed.
#[derive(Debug, Error)]
pub enum PackError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Ca(#[from] CaError),
    #[error("OpenSSL: {0}")]
    OpenSsl(#[from] ErrorStack),
    #[error("there is no certificate of {name}; {what}", name = printable(name))]
    Unknown { name: String, what: String },
    #[error("the certificate of {name} {why}, and is not packed; issue another: {command}", name = printable(name))]
    NotValid { name: String, why: String, command: String },
    #[error("there is no {path}; issue a certificate first: mytls ca client --user NAME", path = show(path))]
    Missing { path: PathBuf },
    #[error("{path}: {defect}", path = show(path))]
    File { path: PathBuf, defect: Defect },
    #[error("{key} is not the key of the certificate in {certificate}; issue a new pair: mytls ca client", key = show(key), certificate = show(certificate))]
    KeyMismatch { key: PathBuf, certificate: PathBuf },
    #[error("{path} would be refused by a server: {why}", path = show(path))]
    Refused { path: PathBuf, why: String },
    #[error(
        "only an RSA key can be written as PKCS#1, and this is another; issue one with --key rsa2048"
    )]
    NoPkcs1,
    #[error("the password for the PKCS#12 files is empty; Java refuses such a file")]
    EmptyPassword,
    #[error("{path} is in use; name a folder that is not there yet, or move this one away", path = show(path))]
    Taken { path: PathBuf },
}

fn show(path: &std::path::Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

impl Pack {
    pub fn make(client: &Client, spec: &PackSpec) -> Result<Self, PackError> {
        let password = match &spec.password {
            Password::Given(password) => password.clone(),
            Password::InFile | Password::Told => invent()?,
        };
        if password.is_empty() {
            return Err(PackError::EmptyPassword);
        }
        let key = Zeroizing::new(client.key.private_key_to_pem_pkcs8()?);
        let certificates = pem(&client.presented())?;
        let both = Zeroizing::new([&key, certificates.as_bytes()].concat());
        let trusted = truststore::truststore(&client.trusted, &password, spec.form)?;

        let mut pack = Self { name: spec.name.clone(), files: Vec::new(), password: None };
        pack.add("ca.pem", pem(&client.trusted)?.into_bytes());
        pack.add("client-cert.pem", certificates.into_bytes());
        pack.files.push(PackedFile { name: "client-key.pem", bytes: key });
        if spec.pkcs1 {
            let rsa = client.key.rsa().map_err(|_| PackError::NoPkcs1)?;
            pack.add("client-key-pkcs1.pem", rsa.private_key_to_pem()?);
        }
        pack.files.push(PackedFile { name: "client.pem", bytes: both });
        pack.add("client.p12", pkcs12(client, spec, &password)?);
        pack.add("truststore.p12", trusted);
        if let Password::InFile = spec.password {
            pack.add("password.txt", format!("{}\n", password.expose()).into_bytes());
        }
        pack.add("README.txt", readme::readme(client, spec).into_bytes());
        if let Password::Told = spec.password {
            pack.password = Some(password);
        }
        Ok(pack)
    }

    pub fn files(&self) -> &[PackedFile] {
        &self.files
    }

    /// The invented password, when it is not among the files.
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    fn add(&mut self, name: &'static str, bytes: Vec<u8>) {
        self.files.push(PackedFile { name, bytes: Zeroizing::new(bytes) });
    }
}

/// A word for a shell, in quotes where it needs them.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/@%+=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// 128 random bits in hexadecimal: nothing that a URL, a shell or an option file would trip over.
fn invent() -> Result<Secret, ErrorStack> {
    let mut random = Zeroizing::new([0; 16]);
    openssl::rand::rand_bytes(&mut *random)?;
    Ok(Secret::new(hex(&*random)))
}

/// `client.p12`: the key with its certificate, the intermediates and the CAs.
fn pkcs12(client: &Client, spec: &PackSpec, password: &Secret) -> Result<Vec<u8>, ErrorStack> {
    let mut above = Stack::new()?;
    for certificate in &client.chain {
        above.push(certificate.clone())?;
    }
    let mut builder = Pkcs12::builder();
    builder.name(spec.name.as_str()).pkey(&client.key).cert(&client.certificate).ca(above);
    builder.key_iter(ITERATIONS).mac_iter(ITERATIONS);
    match spec.form {
        Form::TripleDes => {
            let algorithm = Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC;
            builder.key_algorithm(algorithm).cert_algorithm(algorithm);
            builder.mac_md(openssl::hash::MessageDigest::sha1());
        }
        Form::Aes256 => {
            builder.key_algorithm(Nid::AES_256_CBC).cert_algorithm(Nid::AES_256_CBC);
            builder.mac_md(openssl::hash::MessageDigest::sha256());
        }
    }
    builder.build2(password.expose())?.to_der()
}

/// `EC P-256` and the like, for people.
fn describe(client: &Client) -> String {
    crate::x509::PublicKey::from_openssl(&client.key).describe()
}

#[cfg(test)]
mod tests;
