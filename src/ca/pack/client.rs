//! What was issued to a client: read from its files, and looked at before it is packed.

use std::fs;
use std::io;
use std::path::Path;

use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyParam;
use openssl::x509::{X509, X509PurposeId, X509StoreContext};
use zeroize::Zeroizing;

use super::{Account, PackError, word};
use crate::ca::error::day;
use crate::ca::list::Status;
use crate::ca::{Catalog, Entry, Issued, Kind, PlainName};
use crate::disk::DiskError;
use crate::printable::shown;
use crate::x509::Certificate;
use crate::x509::pem as read_pem;

/// A certificate with its key, and the CAs above it.
pub struct Client {
    pub key: PKey<Private>,
    pub certificate: X509,
    /// Its issuer first, the root last.
    pub chain: Vec<X509>,
    /// The CAs to trust: what `ca.pem` holds.
    pub trusted: Vec<X509>,
}

impl Client {
    /// What a CA keeps for the client of this name; `now` in seconds since 1970. What the CA's list
    /// calls revoked, replaced or expired is refused with what to do.
    pub fn of_store(catalog: &Catalog, name: &PlainName, now: i64) -> Result<Self, PackError> {
        let folder = catalog.dir.join("clients").join(name.as_str());
        let path = folder.join("client-cert.pem");
        if !path.exists() {
            let what = instead(catalog, name);
            return Err(PackError::Unknown { name: name.to_string(), what });
        }
        let found = read_pem::certificates(&read(&path)?);
        let found = found.map_err(|defect| PackError::File { path, defect })?;
        let certificate = Certificate::from_openssl(&found[0]); // there is at least one
        match why_not(catalog, &certificate, now) {
            Some(why) => {
                let command = issue(catalog, name);
                Err(PackError::NotValid { name: name.to_string(), why, command })
            }
            None => Self::read(&folder),
        }
    }

    /// Reads `client-cert.pem`, `client-key.pem` and `ca.pem` of a folder, as a CA leaves them
    /// there. Refuses what a server would refuse: a key of another certificate, one that is not
    /// valid now, or not for clients, or not of these CAs.
    pub fn read(folder: &Path) -> Result<Self, PackError> {
        let [certificate_file, key_file, ca_file] =
            ["client-cert.pem", "client-key.pem", "ca.pem"].map(|name| folder.join(name));
        let defect = |path: &Path| {
            let path = path.to_owned();
            move |defect| PackError::File { path, defect }
        };
        let mut presented =
            read_pem::certificates(&read(&certificate_file)?).map_err(defect(&certificate_file))?;
        let certificate = presented.remove(0); // there is at least one
        let key = read_pem::private_key(&read(&key_file)?).map_err(defect(&key_file))?.key;
        let trusted = read_pem::certificates(&read(&ca_file)?).map_err(defect(&ca_file))?;
        if !certificate.public_key()?.public_eq(&key) {
            let certificate = certificate_file;
            return Err(PackError::KeyMismatch { key: key_file, certificate });
        }
        let chain = verify(&certificate, &presented, &trusted)?
            .map_err(|why| PackError::Refused { path: certificate_file, why })?;
        Ok(Self { key, certificate, chain, trusted })
    }

    pub fn of(issued: &Issued) -> Self {
        let Issued { certificate, key, chain, .. } = issued.clone();
        Self { key, certificate, trusted: chain.clone(), chain }
    }

    /// What is sent in a handshake: the certificate, then the intermediates; the root the other
    /// side has to have anyway.
    pub(super) fn presented(&self) -> Vec<X509> {
        let intermediates = self.chain.split_last().map_or(&[][..], |(_, below)| below);
        std::iter::once(&self.certificate).chain(intermediates).cloned().collect()
    }
}

/// Why nobody should be given this certificate, as the CA's list and its list of revoked
/// certificates know it.
fn why_not(catalog: &Catalog, certificate: &Certificate, now: i64) -> Option<String> {
    let entry = catalog.entries.iter().find(|entry| entry.sha256 == certificate.sha256);
    match entry.map(|entry| (Status::of(entry, now), entry)) {
        Some((Status::Revoked, Entry { revoked: Some(revoked), .. })) => {
            return Some(format!("was revoked on {}", day(revoked.at)));
        }
        Some((Status::Replaced, Entry { replaced_by: Some(by), .. })) => {
            return Some(format!("was replaced by {by}"));
        }
        _ => {}
    }
    // by a list that was there before mytls took the CA over, for instance
    let mut lists = catalog.lists.iter().filter(|list| list.of == 0);
    if lists.any(|list| list.serials.contains(&certificate.serial)) {
        return Some("was revoked".to_owned());
    }
    let ended = certificate.not_after;
    (ended < now).then(|| format!("expired on {}", day(ended)))
}

/// What to do when there is no certificate of this name.
fn instead(catalog: &Catalog, name: &PlainName) -> String {
    let mut alike: Vec<&str> = Vec::new();
    for entry in catalog.entries.iter().filter(|one| one.kind == Kind::Client && one.is_current()) {
        let Some(other) = entry.names.first() else { continue };
        let user = other.parse().map(|other| Account::of(&other).user.to_string());
        let same = |text: &str| text.eq_ignore_ascii_case(name.as_str());
        if (same(other) || user.is_ok_and(|user| same(&user)))
            && other != name.as_str()
            && !alike.contains(&other.as_str())
        {
            alike.push(other);
        }
    }
    if alike.is_empty() {
        return format!("issue one first: {}", issue(catalog, name));
    }
    let command = |name: &&str| format!("mytls ca pack --ca-dir {} {}", dir(catalog), word(name));
    let commands: Vec<String> = alike.iter().map(command).collect();
    format!("there is one of {}: {}", alike.join(", "), commands.join(", or "))
}

fn issue(catalog: &Catalog, name: &PlainName) -> String {
    let user = word(name.as_str());
    format!("mytls ca client --ca-dir {} --user {user} --out FOLDER", dir(catalog))
}

fn dir(catalog: &Catalog) -> String {
    word(&shown(&catalog.dir))
}

/// The way from a client's certificate up to a root, or why a server would not find it.
fn verify(
    certificate: &X509,
    others: &[X509],
    trusted: &[X509],
) -> Result<Result<Vec<X509>, String>, PackError> {
    let mut builder = X509StoreBuilder::new()?;
    for ca in trusted {
        builder.add_cert(ca.clone())?;
    }
    let mut param = X509VerifyParam::new()?;
    param.set_purpose(X509PurposeId::SSL_CLIENT)?;
    builder.set_param(&param)?;
    let store = builder.build();
    let mut untrusted = Stack::new()?;
    for other in others {
        untrusted.push(other.clone())?;
    }
    let found = X509StoreContext::new()?.init(&store, certificate, &untrusted, |context| {
        if !context.verify_cert()? {
            return Ok(Err(context.error().error_string().to_owned()));
        }
        let chain = context.chain().into_iter().flatten();
        Ok(Ok(chain.skip(1).map(ToOwned::to_owned).collect()))
    })?;
    Ok(found)
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PackError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Zeroizing::new(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(PackError::Missing { path: path.to_owned() })
        }
        Err(error) => Err(DiskError::new(path, error).into()),
    }
}
