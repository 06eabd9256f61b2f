//! What the private CA of a server keeps of an account.

use std::path::{Path, PathBuf};

use crate::ca::{CaError, Catalog, PlainName, Store, day};
use crate::facts::{AccountName, Facts, Target, files};
use crate::printable::printable;
use crate::wire::ClientIdentity;
use crate::x509::{Certificate, pem};

/// A file of the client certificate that the private CA of this server made for an account.
pub fn client_file(target: &Target, account: &AccountName, name: &str) -> Option<PathBuf> {
    let account: PlainName = account.user.parse().ok()?;
    let dir = target.ca_dir.as_ref()?.join("clients").join(account.as_str());
    Some(dir.join(name)).filter(|path| path.is_file())
}

pub fn certificate(path: &Path) -> Option<Certificate> {
    let found = files::bytes(path).and_then(|bytes| pem::certificates(&bytes)).ok()?;
    found.first().map(|x509| Certificate::from_openssl(x509))
}

/// Why a client certificate is not to be offered: the private CA that issued it has revoked it. A
/// server without `ssl_crl` lets it in all the same.
pub fn revoked(facts: &Facts, certificate: &Certificate) -> Option<String> {
    let catalog = Catalog::read(facts.target.ca_dir.as_ref()?).ok()?;
    let on = day(catalog.revoked(certificate)?.at);
    let reads_list = facts.files.read().is_some_and(|files| files.crl.is_some());
    let rest =
        if reads_list { "" } else { "; this server reads no list (ssl_crl) and takes it still" };
    Some(format!(
        "the certificate of {} was revoked on {on} and is not used; c makes another{rest}",
        printable(&certificate.subject.short())
    ))
}

/// The private CA with its key, where it is the one that issued this certificate.
pub fn signing_ca(
    target: &Target,
    identity: &ClientIdentity,
) -> Option<(openssl::x509::X509, openssl::pkey::PKey<openssl::pkey::Private>)> {
    let store = Store::open_with(target.ca_dir.as_ref()?, target.ca_passphrase.as_ref()).ok()?;
    let authority = store.authority();
    let issued = identity.chain.first()?.verify(&authority.key).unwrap_or(false);
    issued.then(|| (authority.certificate.clone(), authority.key.clone()))
}

/// Whether the CA that issued the account's certificate has its key under a passphrase that the target
/// does not hold; `true` when it holds one that does not open it.
pub fn locked_key(target: &Target, account: &AccountName) -> Option<bool> {
    let own = certificate(&client_file(target, account, "client-cert.pem")?)?;
    let dir = target.ca_dir.as_ref()?;
    let issued_it = Catalog::read(dir).ok()?.chain.first()?.subject == own.issuer;
    match Store::open_with(dir, target.ca_passphrase.as_ref()) {
        Err(CaError::KeyEncrypted { .. }) if issued_it => Some(false),
        Err(CaError::Passphrase { .. }) if issued_it => Some(true),
        _ => None,
    }
}
