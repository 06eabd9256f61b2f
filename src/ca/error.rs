//! Why a CA did not do as it was asked.

use std::path::PathBuf;

use thiserror::Error;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::disk::DiskError;
use crate::printable::{printable, shown};
use crate::x509::pem::Defect;

/// Why a CA did not do as it was asked.
#[derive(Debug, Error)]
pub enum CaError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("`{text}` cannot be a name in a certificate here: {why}", text = printable(text))]
    NotPlain { text: String, why: String },
    #[error("`{text}` is neither a host name nor an IP address: {why}", text = printable(text))]
    NotAHost { text: String, why: &'static str },
    #[error("a server certificate needs at least one host name or IP address")]
    NoHost,
    #[error("{key} is no attribute of a name that OpenSSL knows; use C, O, OU, CN or the like, or a dotted identifier", key = printable(key))]
    UnknownAttribute { key: String },
    #[error("the attribute {key} stands twice, which the builder of certificates would lose without a word; give each once", key = printable(key))]
    RepeatedAttribute { key: String },
    #[error("the value `{value}` cannot stand in the attribute {key}: {why}", key = printable(key), value = printable(value))]
    Value { key: String, value: String, why: &'static str },
    #[error("there is no CA in {dir}; create one: mytls ca create --ca-dir {dir} --name 'NAME'", dir = shown(dir))]
    NoStore { dir: PathBuf },
    #[error("there is a CA in {dir} already, of the name {name}; nothing was changed. Use it, or choose another folder", name = printable(name), dir = shown(dir))]
    StoreExists { dir: PathBuf, name: String },
    #[error("{dir} is not empty and holds no CA; choose a folder of its own for the CA", dir = shown(dir))]
    NotEmpty { dir: PathBuf },
    #[error("{one} and {other} are the same file, and what is written last would be all that is left in it; name a file of its own for each", one = shown(one), other = shown(other))]
    SameFile { one: PathBuf, other: PathBuf },
    #[error("{path}: {defect}", path = shown(path))]
    File { path: PathBuf, defect: Defect },
    #[error("the key {path} is protected by a passphrase; type it where there is a terminal, or give it with --passphrase-stdin or in the environment variable MYTLS_CA_PASSPHRASE", path = shown(path))]
    KeyEncrypted { path: PathBuf },
    #[error("the passphrase does not open the key {path}; try again", path = shown(path))]
    Passphrase { path: PathBuf },
    #[error("{path} is not the key of the CA's certificate; put the right one back from your backup", path = shown(path))]
    KeyMismatch { path: PathBuf },
    #[error("line {line} of the CA's list {path} cannot be read: {why}; put the list back from your backup", path = shown(path))]
    Index { path: PathBuf, line: usize, why: String },
    #[error("another mytls{whose} is writing to {dir} and has not ended for {seconds} s; try again when it has", dir = shown(dir), whose = holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Busy { dir: PathBuf, holder: Option<u32>, seconds: u64 },
    #[error("{dir} belongs to {owner}, whose files these are to stay: run as that user, for instance with sudo -u {owner}", dir = shown(dir))]
    NotYours { dir: PathBuf, owner: String },
    #[error("there is no certificate of {sought} in the list of this CA; mytls ca list shows what there is", sought = printable(sought))]
    NoSuchCertificate { sought: String },
    #[error("it is not known where the files of {name} lie, or they are gone; say where to put new ones with --out", name = printable(name))]
    PlaceUnknown { name: String },
    #[error("{name} was signed for a key that is kept elsewhere: ask its owner for a new request, and sign that with mytls ca sign; or make it a new key here, with --out", name = printable(name))]
    KeyElsewhere { name: String },
    #[error("{path} is not the key of this certificate any more; renew with a new key: leave --same-key out", path = shown(path))]
    OtherKey { path: PathBuf },
    #[error("the certificate of {name} was revoked or replaced; issue a new one", name = printable(name))]
    NotCurrent { name: String },
    #[error("{path} cannot be taken over as a CA: {why}", path = shown(path), why = printable(why))]
    NotImportable { path: PathBuf, why: String },
    #[error("the request {path} is refused: {why}", path = shown(path), why = printable(why))]
    Request { path: PathBuf, why: String },
    #[error("{path} is not accepted: {why}", path = shown(path), why = printable(why))]
    NotAccepted { path: PathBuf, why: String },
    #[error("{path} is no backup that can be restored: {why}; nothing was changed", path = shown(path), why = printable(why))]
    Backup { path: PathBuf, why: String },
    #[error("where the rotation stands cannot be read from {path}: {why}; put the file back from your backup", path = shown(path), why = printable(why))]
    Rotation { path: PathBuf, why: String },
    #[error("the CA {name} may not sign lists of revoked certificates: its key usage lacks cRLSign", name = printable(name))]
    MayNotSignLists { name: String },
    #[error(
        "{name} stands twice among those who are to have a certificate, and one would get in as the other; nothing was issued"
    )]
    Repeated { name: super::PlainName },
    #[error("the serial number {serial} was used already; nothing was issued")]
    SerialTaken { serial: String },
    #[error("the name {subject} is taken: a {kind} certificate has it, and a server must be able to tell them apart; choose another name", subject = printable(subject))]
    SubjectTaken { subject: String, kind: &'static str },
    #[error("this key cannot sign certificates here: {what}; use P-256, P-384, Ed25519 or RSA")]
    UnusableKey { what: String },
    #[error(
        "a key of the kind {kind} cannot be written as PKCS#1, which is for RSA alone; ask for one with --key rsa2048"
    )]
    NotForPkcs1 { kind: &'static str },
    #[error(
        "the CA's name cannot be repeated byte for byte in what it issues, so nothing would verify; sign with the tool that made this CA"
    )]
    ForeignName,
    #[error("these dates are out of range")]
    Dates,
    #[error("this machine's clock says {day}, so whatever is issued now would be invalid for everybody else; set the clock first", day = day(*now))]
    Clock { now: i64 },
    #[error("this machine's clock says {now}, and the CA is valid from {begins} on; set the clock first", now = day(*now), begins = day(*begins))]
    BeforeItsCa { now: i64, begins: i64 },
    #[error("the CA {name} expired on {ended}, so nothing that is issued below it is accepted; replace it: mytls ca rotate", name = printable(name), ended = day(*ended))]
    Expired { name: String, ended: i64 },
    #[error("the root above it would be called `{name} root`, and a certificate's name has at most {longest} characters; choose a name of at most {most}", longest = super::PlainName::LONGEST, most = super::PlainName::LONGEST - " root".len())]
    NoNameForRoot { name: super::PlainName },
    #[error("OpenSSL: {0}")]
    OpenSsl(#[from] openssl::error::ErrorStack),
    #[error("the certificate could not be built: {0}")]
    Build(#[from] rcgen::Error),
}

/// `2027-12-24`, in UTC.
pub fn day(seconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day]");
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&format).ok()).unwrap_or_else(|| seconds.to_string())
}
