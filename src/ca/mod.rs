//! A private CA: for accounts that are to need *this* certificate and no other.
//!
//! Whoever trusts a public CA trusts everybody it ever certified; `REQUIRE X509` under it lets in
//! half the world. A CA of one's own certifies one's own servers and accounts, and nobody else.
//!
//! [`Authority`] issues in memory; [`Store`] keeps a CA and what it issued as plain files. rcgen
//! builds the parts to be signed, OpenSSL makes the keys and signs, so there is one cryptography.

use std::path::PathBuf;

use thiserror::Error;

use crate::disk::DiskError;
use crate::printable::printable;
use crate::x509::pem::Defect;

pub mod authority;
pub mod files;
pub mod key;
pub mod name;
pub mod pack;
pub mod store;
pub(crate) mod unsound;

pub use authority::{Authority, AuthoritySpec, ClientSpec, Issued, ServerSpec, Validity};
pub use key::KeyKind;
pub use name::{PlainName, San, Subject};
pub use store::{Entry, Kind, Store};

/// Why a CA did not do as it was asked.
#[derive(Debug, Error)]
pub enum CaError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("`{text}` cannot be the name of a CA or an account here: {why}")]
    NotPlain { text: String, why: String },
    #[error("`{text}` is neither a host name nor an IP address: {why}")]
    NotAHost { text: String, why: &'static str },
    #[error("a server certificate needs at least one host name or IP address")]
    NoHost,
    #[error("{key} is no attribute of a name that OpenSSL knows; use C, O, OU, CN or the like, or a dotted identifier", key = printable(key))]
    UnknownAttribute { key: String },
    #[error("the attribute {key} stands twice, which the builder of certificates would lose without a word; give each once", key = printable(key))]
    RepeatedAttribute { key: String },
    #[error("the value `{value}` cannot stand in the attribute {key}: {why}", key = printable(key), value = printable(value))]
    Value { key: String, value: String, why: &'static str },
    #[error("there is no CA in {dir}; create one: mytls ca create --ca-dir {dir} --name 'NAME'", dir = dir.display())]
    NoStore { dir: PathBuf },
    #[error("there is a CA in {dir} already, of the name {name}; nothing was changed. Use it, or choose another folder", dir = dir.display())]
    StoreExists { dir: PathBuf, name: String },
    #[error("{dir} is not empty and holds no CA; choose a folder of its own for the CA", dir = dir.display())]
    NotEmpty { dir: PathBuf },
    #[error("{one} and {other} are the same file, and what is written last would be all that is left in it; name a file of its own for each", one = one.display(), other = other.display())]
    SameFile { one: PathBuf, other: PathBuf },
    #[error("{path}: {defect}", path = path.display())]
    File { path: PathBuf, defect: Defect },
    #[error("the CA's key {path} is protected by a passphrase; give it in the environment variable MYTLS_CA_PASSPHRASE", path = path.display())]
    KeyEncrypted { path: PathBuf },
    #[error("the passphrase does not open the CA's key {path}; try again", path = path.display())]
    Passphrase { path: PathBuf },
    #[error("{path} is not the key of the CA's certificate; put the right one back from your backup", path = path.display())]
    KeyMismatch { path: PathBuf },
    #[error("{path} cannot be read as the CA's list: {why}; put it back from your backup", path = path.display())]
    Index { path: PathBuf, why: String },
    #[error("the name {subject} is taken: a {kind} certificate has it, and a server must be able to tell them apart; choose another name", subject = printable(subject))]
    SubjectTaken { subject: String, kind: &'static str },
    #[error("this key cannot sign certificates here: {what}; use P-256, P-384, Ed25519 or RSA")]
    UnusableKey { what: String },
    #[error(
        "the CA's name cannot be repeated byte for byte in what it issues, so nothing would verify; sign with the tool that made this CA"
    )]
    ForeignName,
    #[error("these dates are out of range")]
    Dates,
    #[error("OpenSSL: {0}")]
    OpenSsl(#[from] openssl::error::ErrorStack),
    #[error("the certificate could not be built: {0}")]
    Build(#[from] rcgen::Error),
}
