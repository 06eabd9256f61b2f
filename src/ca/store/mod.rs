//! A CA and what it issued, as plain files in a folder of its own.
//!
//! ```text
//! ca.pem                   the CA's certificate, then those above it up to the root
//! ca-key.pem               its key, 0600, PKCS#8, under a passphrase if there is one
//! root/                    the root's certificate and key, when the CA is below one: take it offline
//! crl.pem                  lists of what was revoked, one of every CA above
//! index.jsonl              what was issued, revoked and replaced, one event a line
//! issued/SERIAL.pem        every certificate it ever issued
//! clients/NAME/            client-cert.pem, client-key.pem and ca.pem, to be carried to the client
//! pending/SERIAL/          what is being issued at this moment
//! ```

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::authority::pem;
use super::protect::{self, Locked};
use super::{Authority, AuthoritySpec, CaError, PlainName};
use crate::disk::{self, Meta};
use crate::secret::Secret;
use crate::x509::pem as read_pem;

mod catalog;
mod entry;
mod index;
mod issue;
mod lock;
mod pending;
mod place;
mod work;

pub use catalog::{Catalog, RevocationList};
pub use entry::{Elsewhere, Entry, Kind, Revoked};
pub(super) use index::Event;
pub(super) use index::Index;
#[cfg(test)]
pub(super) use index::client_files;
pub(super) use lock::Lock;
pub use pending::Draft;
pub(super) use place::Building;
pub(super) use work::Work;

/// A CA on disk, opened.
pub struct Store {
    dir: PathBuf,
    authority: Authority,
    passphrase: Option<Secret>,
    notes: Vec<String>,
    waiting: fn(&Path),
}

impl Store {
    pub const CA_FILE: &str = "ca.pem";
    pub const KEY_FILE: &str = "ca-key.pem";
    pub const CRL_FILE: &str = "crl.pem";
    /// The folder of the root above an issuing CA.
    pub const ROOT: &str = "root";

    /// Makes a CA in a folder that is empty or does not exist.
    pub fn create(dir: &Path, spec: &AuthoritySpec) -> Result<Self, CaError> {
        place::refuse_taken(dir)?;
        Self::install(dir, Authority::create(spec)?)
    }

    /// Keeps a CA that exists in memory, in a folder that is empty or does not exist.
    pub fn install(dir: &Path, authority: Authority) -> Result<Self, CaError> {
        Self::install_under(dir, authority, None, None)
    }

    /// [`Self::install`] with the root's key kept apart, and all keys under a passphrase.
    pub fn install_under(
        dir: &Path,
        authority: Authority,
        root: Option<&Authority>,
        passphrase: Option<Secret>,
    ) -> Result<Self, CaError> {
        Self::install_with(dir, authority, root, passphrase, &[])
    }

    /// [`Self::install_under`], the list begun with what was revoked before: lists that say so are due.
    pub(super) fn install_with(
        dir: &Path,
        authority: Authority,
        root: Option<&Authority>,
        passphrase: Option<Secret>,
        revoked: &[Event],
    ) -> Result<Self, CaError> {
        let building = Building::begin(dir)?;
        if !revoked.is_empty() {
            building.lay(Index::FILE, &Index::lines(dir, revoked)?, 0o600)?;
            building.lay(pending::LISTS_DUE_FILE, b"", 0o600)?;
        }
        if let Some(root) = root {
            let key = protect::to_pem(&root.key, passphrase.as_ref())?;
            building.lay(&format!("{}/{}", Self::ROOT, Self::KEY_FILE), &key, 0o600)?;
            let certificate = pem(std::slice::from_ref(&root.certificate))?;
            let name = format!("{}/{}", Self::ROOT, Self::CA_FILE);
            building.lay(&name, certificate.as_bytes(), 0o644)?;
        }
        let key = protect::to_pem(&authority.key, passphrase.as_ref())?;
        building.lay(Self::KEY_FILE, &key, 0o600)?;
        building.finish(&authority.ca_pem()?)?;
        let (dir, waiting) = (dir.to_owned(), |_: &Path| ());
        Ok(Self { dir, authority, passphrase, notes: Vec::new(), waiting })
    }

    /// Writes the CA's key anew under this passphrase, or under none, and the root's with it where that
    /// lies in the store and opens with the same. Each file is whole at any moment; killed between the two,
    /// the same again ends it.
    pub fn set_passphrase(&self, new: Option<&Secret>) -> Result<Repassed, CaError> {
        let _work = self.begin()?;
        let mut done = Repassed::default();
        let root = self.dir.join(Self::ROOT).join(Self::KEY_FILE);
        if root.exists() {
            let bytes = zeroize::Zeroizing::new(read(&root)?);
            let opened = [self.passphrase.as_ref(), new]
                .into_iter()
                .find_map(|passphrase| protect::from_pem(&bytes, passphrase).ok());
            match opened {
                Some(key) => {
                    disk::overwrite(&root, &protect::to_pem(&key, new)?, Meta::mode(0o600))?;
                    done.written.push(root);
                }
                None => done.left = Some(root),
            }
        }
        let own = self.dir.join(Self::KEY_FILE);
        disk::overwrite(&own, &protect::to_pem(&self.authority.key, new)?, Meta::mode(0o600))?;
        done.written.push(own);
        Ok(done)
    }

    /// Opens a CA whose key has no passphrase; [`CaError::KeyEncrypted`] asks for one.
    pub fn open(dir: &Path) -> Result<Self, CaError> {
        Self::open_with(dir, None)
    }

    /// Opens a CA, with the passphrase of its key if that has one. What was under way when an
    /// earlier run was stopped is carried to its end or taken back; [`Self::notes`] says what.
    pub fn open_with(dir: &Path, passphrase: Option<&Secret>) -> Result<Self, CaError> {
        Self::open_patiently(dir, passphrase, |_| ())
    }

    /// [`Self::open_with`], and whenever another mytls is at work on the store, `waiting` is told.
    pub fn open_patiently(
        dir: &Path,
        passphrase: Option<&Secret>,
        waiting: fn(&Path),
    ) -> Result<Self, CaError> {
        let mut notes = Vec::new();
        if place::resume(dir)? {
            notes.push("the CA was being made when mytls was stopped: it is complete now".into());
        }
        let chain = read_chain(dir)?;
        if crate::x509::Certificate::from_openssl(&chain[0]).is_ca != Some(true) {
            let path = dir.join(Self::CA_FILE);
            let why = "it is the certificate of no CA; put the right one back from your backup"
                .to_owned();
            return Err(CaError::NotAccepted { path, why });
        }
        let authority = with_key(chain, &dir.join(Self::KEY_FILE), passphrase)?;
        let passphrase = passphrase.cloned();
        let mut store = Self { dir: dir.to_owned(), authority, passphrase, notes, waiting };
        match store.take_up() {
            Ok(notes) => store.notes.extend(notes),
            // To look at it is still possible, on a read-only disk for instance.
            Err(error) => store.notes.push(format!("what was under way stays so: {error}")),
        }
        Ok(store)
    }

    /// Whether the folder holds a CA, readable or not.
    pub fn exists(dir: &Path) -> bool {
        dir.join(Self::CA_FILE).exists()
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What an earlier run had left under way and was done about it; one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(super) fn passphrase(&self) -> Option<&Secret> {
        self.passphrase.as_ref()
    }

    /// The folder with what is to be carried to the client of this account.
    pub fn client_dir(&self, account: &PlainName) -> PathBuf {
        self.dir.join("clients").join(account.as_str())
    }

    /// What was issued, oldest first.
    pub fn list(&self) -> Result<Vec<Entry>, CaError> {
        Ok(Catalog::read(&self.dir)?.entries)
    }

    /// The certificate of an entry, from the copy that was kept of it.
    pub fn certificate(&self, serial: &str) -> Result<openssl::x509::X509, CaError> {
        copy_of(&self.dir, serial)
    }

    /// Takes the lock: from here on the list is as it was read until this ends.
    pub(super) fn begin(&self) -> Result<Work<'_>, CaError> {
        Work::begin(self)
    }

    /// Looks for what was left under way, and ends it, unless another mytls is at work on it.
    fn take_up(&self) -> Result<Vec<String>, CaError> {
        if pending::serials(&self.dir).is_empty() && !pending::lists_are_due(&self.dir) {
            return Ok(Vec::new());
        }
        let Some(lock) = Lock::try_take(&self.dir)? else { return Ok(Vec::new()) };
        Work::take_up(self, lock)
    }
}

/// A certificate that the CA in this folder issued, from the copy that was kept of it.
pub fn copy_of(dir: &Path, serial: &str) -> Result<openssl::x509::X509, CaError> {
    let path = dir.join("issued").join(format!("{serial}.pem"));
    let found = read_pem::certificates(&read(&path)?);
    let mut found = found.map_err(|defect| CaError::File { path, defect })?;
    Ok(found.remove(0)) // there is at least one
}

/// Nobody writes to the store while this lives.
pub(super) fn lock_to_read(dir: &Path, waiting: fn(&Path)) -> Result<Option<Lock>, CaError> {
    is_there(dir)?;
    if refuse_foreign(dir).is_err() && !dir.join(Lock::FILE).exists() {
        // a lock that root made there would keep its owner out
        return Ok(None);
    }
    Lock::take(dir, Lock::PATIENCE, waiting).map(Some)
}

/// A folder that may not be entered is not one without a CA.
fn is_there(dir: &Path) -> Result<(), CaError> {
    match fs::metadata(dir.join(Store::CA_FILE)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(io_fault(dir, error)),
        Err(_) => Err(CaError::NoStore { dir: dir.to_owned() }),
    }
}

/// Which keys were written under another passphrase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repassed {
    pub written: Vec<PathBuf>,
    /// The root's, which does not open with the CA's passphrase.
    pub left: Option<PathBuf>,
}

/// Where the files of a server are laid, for the list to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Certificate, key, and the CA's file if it is written, too; absolute.
    pub files: Vec<PathBuf>,
    /// Whether the server reads these very files.
    pub deployed: bool,
}

/// Certificates of the CA and those above it, itself first; at least one.
pub(super) fn read_chain(dir: &Path) -> Result<Vec<openssl::x509::X509>, CaError> {
    let path = dir.join(Store::CA_FILE);
    is_there(dir)?;
    read_pem::certificates(&read(&path)?).map_err(|defect| CaError::File { path, defect })
}

/// The CA of a chain, with the key of this file.
pub(super) fn with_key(
    mut chain: Vec<openssl::x509::X509>,
    key_file: &Path,
    passphrase: Option<&Secret>,
) -> Result<Authority, CaError> {
    let certificate = chain.remove(0);
    let bytes = zeroize::Zeroizing::new(read(key_file)?);
    let path = || key_file.to_owned();
    let key = protect::from_pem(&bytes, passphrase).map_err(|error| match error {
        Ok(Locked::NoPassphrase) => CaError::KeyEncrypted { path: path() },
        Ok(Locked::Wrong) => CaError::Passphrase { path: path() },
        Err(defect) => CaError::File { path: path(), defect },
    })?;
    if !certificate.public_key()?.public_eq(&key) {
        return Err(CaError::KeyMismatch { path: path() });
    }
    Ok(Authority { certificate, key, chain })
}

/// Files that root writes into somebody's folder, that somebody could not read afterwards.
fn refuse_foreign(dir: &Path) -> Result<(), CaError> {
    let owner = fs::metadata(dir).map_err(|error| io_fault(dir, error))?.uid();
    if owner == nix::unistd::geteuid().as_raw() {
        return Ok(());
    }
    let user = nix::unistd::User::from_uid(owner.into()).ok().flatten();
    let owner = user.map_or_else(|| format!("#{owner}"), |user| user.name);
    Err(CaError::NotYours { dir: dir.to_owned(), owner })
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, CaError> {
    /// An archive of a large CA; a device named by mistake is none.
    const LARGEST: u64 = 256 << 20;
    crate::bounded::read(path, LARGEST).map_err(|error| match error {
        crate::bounded::Unread::Io(error) => io_fault(path, error),
        other => io_fault(path, io::Error::other(other.to_string())),
    })
}

pub(super) fn io_fault(path: &Path, error: io::Error) -> CaError {
    disk::DiskError::new(path, error).into()
}

/// A new name is on the disk only when its folder is.
pub(super) fn sync_folder(folder: &Path) -> Result<(), CaError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| io_fault(folder, error))
}

#[cfg(test)]
mod tests;
