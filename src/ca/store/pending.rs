//! Issuing so that a stop at any moment loses nothing that was promised.
//!
//! 1. Key, certificate and CA are laid into `pending/SERIAL`, a copy of the certificate into `issued`;
//!    all of it is on the disk before
//! 2. the list gets its line. From here on the certificate is issued.
//! 3. The files move to where they belong, and `pending/SERIAL` is gone.
//!
//! What is found in `pending` by the next run was stopped between 1 and 3: with a line in the list
//! it is carried to its end, without one it is removed, and nobody ever saw it. A server's files are
//! outside of the store: where none was replaced yet, none is, and the certificate is dropped.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::index::{Index, client_files};
use super::{Entry, Kind, io_fault, sync_folder};
use crate::ca::CaError;
use crate::ca::files::Written;
use crate::disk::{self, Meta};
use crate::printable::printable;
use crate::secret::Secret;
use crate::x509::pem;

const FOLDER: &str = "pending";
const ISSUED: &str = "issued";
/// A file that is there while the lists of revoked certificates lag behind.
const LISTS_DUE: &str = "crl";
/// The same, seen from the store.
pub(super) const LISTS_DUE_FILE: &str = "pending/crl";

/// A certificate about to be issued.
pub struct Draft {
    pub(in crate::ca) entry: Entry,
    /// PEM of itself alone.
    pub(in crate::ca) leaf: String,
    /// PEM of itself and the intermediates, for its owner.
    pub(in crate::ca) certificate: String,
    /// `None` when somebody else has the key.
    pub(in crate::ca) key: Option<Secret>,
}

/// Step 1. Whatever goes wrong, nothing of it stays.
pub(super) fn stage(dir: &Path, drafts: &[Draft], ca_pem: &str) -> Result<(), CaError> {
    let staged = write_all(dir, drafts, ca_pem);
    if staged.is_err() {
        for draft in drafts {
            let _ = discard(dir, &draft.entry.serial); // the first failure is what is told
        }
    }
    staged
}

fn write_all(dir: &Path, drafts: &[Draft], ca_pem: &str) -> Result<(), CaError> {
    // So many files are cheaper to bring to the disk together than each on its own.
    const FEW: usize = 4;
    for folder in [FOLDER, ISSUED] {
        disk::create_private_dir(&dir.join(folder))?;
    }
    let each = drafts.len() <= FEW;
    for draft in drafts {
        let own = dir.join(FOLDER).join(&draft.entry.serial);
        let made = fs::DirBuilder::new().mode(0o700).create(&own);
        made.map_err(|error| io_fault(&own, error))?;
        if let Some(key) = &draft.key {
            let [certificate, key_file, ca] = names(draft.entry.kind).map(|name| own.join(name));
            write(&key_file, key.expose().as_bytes(), 0o600, each)?;
            write(&certificate, draft.certificate.as_bytes(), 0o644, each)?;
            write(&ca, ca_pem.as_bytes(), 0o644, each)?;
        }
        let copy = dir.join(ISSUED).join(format!("{}.pem", draft.entry.serial));
        write(&copy, draft.leaf.as_bytes(), 0o644, each)?;
        if each {
            sync_folder(&own)?;
        }
    }
    if each {
        sync_folder(&dir.join(FOLDER))?;
        return sync_folder(&dir.join(ISSUED));
    }
    // Crash-safe although no file is synced by itself: none is named in the list yet, and the list
    // is written only after the whole file system, these files and their folders with it, is on the
    // disk. Stopped before, all of it is rubbish that the next run removes.
    let folder = File::open(dir).map_err(|error| io_fault(dir, error))?;
    nix::unistd::syncfs(&folder).map_err(|errno| io_fault(dir, errno.into()))
}

/// Step 3, for what the store itself keeps: a client's files, or none. Returns where they lie now,
/// and what was written there.
pub(super) fn deliver(
    dir: &Path,
    entry: &Entry,
) -> Result<Option<(PathBuf, Vec<Written>)>, CaError> {
    let from = dir.join(FOLDER).join(&entry.serial);
    let has_key = from.join(names(Kind::Client)[1]).exists();
    let Some(name) = entry.names.first().filter(|_| has_key) else {
        remove(&from)?;
        return Ok(None);
    };
    let clients = dir.join("clients");
    let to = clients.join(name);
    if !clients.is_dir() {
        disk::create_private_dir(&clients)?;
    }
    let mut written = Vec::new();
    if to.exists() {
        // Each file as a whole, what it held kept beside it. Stopped in between, the next run does
        // the same again, and finds those that are in place already as they should be.
        for name in names(Kind::Client) {
            let path = from.join(name);
            if name == CA && trusts_already(&to.join(name), &path)? {
                continue;
            }
            let mode = Meta::mode(Meta::of(&path)?.mode);
            let path = to.join(name);
            let backup = disk::replace(&path, &staged(&from.join(name))?, mode)?;
            written.push(Written { path, backup });
        }
        remove(&from)?;
    } else {
        fs::rename(&from, &to).map_err(|error| io_fault(&to, error))?;
        let new = names(Kind::Client).map(|name| Written { path: to.join(name), backup: None });
        written.extend(new);
    }
    Ok(Some((to, written)))
}

/// Whether a client trusts this CA already, perhaps beside others: the server's own may be another.
fn trusts_already(file: &Path, staged_file: &Path) -> Result<bool, CaError> {
    let Ok(old) = fs::read(file) else { return Ok(false) };
    let (Ok(old), Ok(new)) = (pem::certificates(&old), pem::certificates(&staged(staged_file)?))
    else {
        return Ok(false);
    };
    let der = |x509: &openssl::x509::X509| x509.to_der().unwrap_or_default();
    let old: Vec<Vec<u8>> = old.iter().map(der).collect();
    Ok(new.iter().all(|ca| old.contains(&der(ca))))
}

/// What became of a server's files when they were being laid.
enum Laid {
    /// All are in place, some of them only now.
    Whole,
    /// None was touched.
    Nothing,
}

/// The key is written first: where it is in place, the others follow; where it is not, nothing is.
fn finish_server(dir: &Path, entry: &Entry) -> Result<Laid, CaError> {
    let from = dir.join(FOLDER).join(&entry.serial);
    let [certificate, key, ca] = names(Kind::Server).map(|name| from.join(name));
    let [certificate_file, key_file, others @ ..] = entry.files.as_slice() else {
        return Ok(Laid::Nothing);
    };
    if fs::read(key_file).map(zeroize::Zeroizing::new).ok() != Some(staged(&key)?) {
        return Ok(Laid::Nothing);
    }
    let ca = others.first().map(|path| (path, ca));
    for (path, source) in [(certificate_file, certificate)].into_iter().chain(ca) {
        let meta = if path.exists() { Meta::of(path)? } else { Meta::mode(0o644) };
        disk::replace(path, &staged(&source)?, meta)?;
    }
    Ok(Laid::Whole)
}

fn staged(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, CaError> {
    super::read(path).map(zeroize::Zeroizing::new)
}

/// After [`deliver`]: the moves are on the disk, too.
pub(super) fn sync(dir: &Path) -> Result<(), CaError> {
    let clients = dir.join("clients");
    if clients.is_dir() {
        sync_folder(&clients)?;
    }
    sync_folder(&dir.join(FOLDER))
}

/// Removes what was staged, when it is in its place or is not to be.
pub(super) fn clear(dir: &Path, serial: &str) -> Result<(), CaError> {
    remove(&dir.join(FOLDER).join(serial))
}

/// What is under way, or was when a run was stopped.
pub(super) fn serials(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join(FOLDER)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !name.starts_with('.') && name != LISTS_DUE).collect()
}

/// Notes that the lists of revoked certificates are to be signed anew, before what they lack is
/// entered in the store's list.
pub(super) fn announce_lists(dir: &Path) -> Result<(), CaError> {
    disk::create_private_dir(&dir.join(FOLDER))?;
    Ok(disk::overwrite(&dir.join(FOLDER).join(LISTS_DUE), b"", Meta::mode(0o600))?)
}

pub(super) fn lists_are_due(dir: &Path) -> bool {
    dir.join(FOLDER).join(LISTS_DUE).exists()
}

pub(super) fn lists_are_signed(dir: &Path) -> Result<(), CaError> {
    let path = dir.join(FOLDER).join(LISTS_DUE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_fault(&path, error)),
        _ => Ok(()),
    }
}

/// What was done about something that was stopped.
#[derive(Default)]
pub(super) struct Settled {
    /// A sentence on each, for people.
    pub notes: Vec<String>,
    /// Serial numbers that are in the list and were handed to nobody; to be entered as dropped,
    /// and only then [`clear`]ed.
    pub dropped: Vec<String>,
}

/// Carries what was stopped to its end, or removes it.
pub(super) fn settle(dir: &Path, index: &Index) -> Result<Settled, CaError> {
    let mut settled = Settled::default();
    for entry in fs::read_dir(dir.join(FOLDER)).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            let _ = fs::remove_dir_all(entry.path()); // its removal was begun
        }
    }
    for serial in serials(dir) {
        let Some(entry) = index.get(&serial) else {
            discard(dir, &serial)?;
            settled.notes.push(
                "a certificate was being issued when mytls was stopped: nothing of it is left, \
                 ask for it again"
                    .to_owned(),
            );
            continue;
        };
        if entry.dropped {
            clear(dir, &serial)?;
            continue;
        }
        let whom = format!("the {} certificate of {}", entry.kind.name(), entry.names.join(", "));
        let whom = printable(&whom).into_owned();
        let stopped = "was issued when mytls was stopped";
        settled.notes.push(if is_servers(dir, entry) {
            match finish_server(dir, entry)? {
                Laid::Whole => {
                    clear(dir, &serial)?;
                    format!("{whom} {stopped}: its files are in place now")
                }
                Laid::Nothing => {
                    settled.dropped.push(serial);
                    format!("{whom} {stopped}, and no file was replaced: ask for it again")
                }
            }
        } else if let Some((to, _)) = deliver(dir, entry)? {
            let to = crate::printable::shown(&to);
            format!("{whom} {stopped}: key, certificate and CA are in {to} now")
        } else {
            format!("{whom} {stopped}")
        });
        sync(dir)?;
    }
    Ok(settled)
}

/// Whether a server's key was staged.
fn is_servers(dir: &Path, entry: &Entry) -> bool {
    let key = names(Kind::Server)[1];
    entry.kind == Kind::Server && dir.join(FOLDER).join(&entry.serial).join(key).exists()
}

/// Where the store keeps the files of an entry, if it does.
pub(super) fn place(entry: &Entry) -> Vec<PathBuf> {
    match (entry.kind, entry.names.first()) {
        (Kind::Client, Some(name)) => client_files(&Path::new("clients").join(name)).to_vec(),
        _ => Vec::new(),
    }
}

const CA: &str = "ca.pem";

/// Certificate, key, CA.
fn names(kind: Kind) -> [&'static str; 3] {
    match kind {
        Kind::Server => ["server-cert.pem", "server-key.pem", CA],
        Kind::Client => ["client-cert.pem", "client-key.pem", CA],
    }
}

/// The copy first: while its folder is there, the next run comes by here again.
fn discard(dir: &Path, serial: &str) -> Result<(), CaError> {
    let copy = dir.join(ISSUED).join(format!("{serial}.pem"));
    match fs::remove_file(&copy) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(io_fault(&copy, error));
        }
        _ => {}
    }
    clear(dir, serial)
}

/// Under another name first: a removal that is stopped half way must not look like something staged.
fn remove(folder: &Path) -> Result<(), CaError> {
    let serial = folder.file_name().unwrap_or_default().to_string_lossy();
    let gone = folder.with_file_name(format!(".{serial}"));
    let removed = fs::rename(folder, &gone).and_then(|()| fs::remove_dir_all(&gone));
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_fault(folder, error)),
        _ => Ok(()),
    }
}

/// A new file in a folder that only its owner may enter, private from its first byte if it is to be.
fn write(path: &Path, bytes: &[u8], mode: u32, sync: bool) -> Result<(), CaError> {
    let failed = |error| io_fault(path, error);
    let mut options = File::options();
    options.write(true).create_new(true).mode(mode);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    if sync {
        file.sync_all().map_err(failed)?;
    }
    Ok(())
}
