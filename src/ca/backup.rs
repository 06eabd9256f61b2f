//! A CA in one archive, and back.
//!
//! The archive is a plain `tar` of the store with `SHA256SUMS` in front, as `sha256sum -c` reads it.
//! It holds the private keys as the store does: in the clear unless they are under a passphrase.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use super::store::{Building, Catalog, Index, io_fault, read};
use super::{CaError, Store};
use crate::disk::{self, Meta};
use crate::x509::certificate::hex;
use crate::x509::pem;

const SUMS: &str = "SHA256SUMS";

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    pub files: usize,
    /// Certificates in the list.
    pub certificates: usize,
}

/// Writes a store into an archive that only its owner may read, and reads it back. No key is
/// opened, so no passphrase is needed; a mytls that is at work on the store is waited for.
pub fn back_up(dir: &Path, out: &Path, waiting: fn(&Path)) -> Result<Contents, CaError> {
    let _lock = super::store::lock_to_read(dir, waiting)?;
    let catalog = Catalog::read(dir)?;
    let mut files = Vec::new();
    collect(dir, Path::new(""), &mut files)?;
    let mut archive = tar::Builder::new(Vec::new());
    let mut sums = String::new();
    let mut kept = Vec::new();
    for name in files {
        let path = dir.join(&name);
        let bytes = zeroize::Zeroizing::new(read(&path)?);
        let shown = name.to_str().ok_or_else(|| backup(&path, "its name is not UTF-8"))?;
        let sum = hex(&openssl::sha::sha256(&bytes));
        sums.push_str(&[&sum, "  ", shown, "\n"].concat());
        kept.push((name.clone(), bytes, Meta::of(&path)?.mode));
    }
    let failed = |error| io_fault(out, error);
    append(&mut archive, Path::new(SUMS), sums.as_bytes(), 0o600).map_err(failed)?;
    for (name, bytes, mode) in &kept {
        append(&mut archive, name, bytes, *mode).map_err(failed)?;
    }
    let bytes = zeroize::Zeroizing::new(archive.into_inner().map_err(failed)?);
    disk::write_new(out, &bytes, Meta::mode(0o600))?;
    // as whoever restores it one day will read it
    if examined(out)?.len() != kept.len() {
        return Err(backup(out, "it does not hold what was written to it"));
    }
    Ok(Contents { files: kept.len(), certificates: catalog.entries.len() })
}

/// Makes a store of an archive, in a folder that is empty or does not exist. Every sum is compared
/// and the CA has to be readable before anything is in its place.
pub fn restore(archive: &Path, dir: &Path) -> Result<Contents, CaError> {
    let files = examined(archive)?;
    let building = Building::begin(dir)?;
    let ca = Path::new(Store::CA_FILE);
    for (name, file) in files.iter().filter(|(name, _)| name.as_path() != ca) {
        let path = building.staging().join(name);
        if let Some(folder) = path.parent() {
            disk::create_private_dir(folder)?;
        }
        write(&path, &file.bytes, file.mode).map_err(|error| io_fault(&path, error))?;
    }
    building.sync()?;
    let pem = files.get(ca).map(|file| String::from_utf8_lossy(&file.bytes).into_owned());
    building.finish(&pem.unwrap_or_default())?;
    let catalog = Catalog::read(dir)?;
    Ok(Contents { files: files.len(), certificates: catalog.entries.len() })
}

/// The files of an archive, when a store can be made of them.
fn examined(archive: &Path) -> Result<BTreeMap<PathBuf, Kept>, CaError> {
    let files = unpack(&zeroize::Zeroizing::new(read(archive)?));
    let files = files.map_err(|why| backup(archive, &why))?;
    let ca = files.get(Path::new(Store::CA_FILE));
    let ca = ca.ok_or_else(|| backup(archive, "there is no CA in it"))?;
    let chain = pem::certificates(&ca.bytes);
    let chain = chain.map_err(|defect| backup(archive, &format!("its ca.pem: {defect}")))?;
    let key = files.get(Path::new(Store::KEY_FILE));
    let key = key.ok_or_else(|| backup(archive, "the CA's key is not in it"))?;
    match pem::private_key(&key.bytes) {
        Ok(block) if chain[0].public_key()?.public_eq(&block.key) => {}
        Ok(_) => return Err(backup(archive, "its key is not that of its CA")),
        Err(pem::Defect::Encrypted { .. }) => {} // only its passphrase could say more
        Err(defect) => return Err(backup(archive, &format!("its ca-key.pem: {defect}"))),
    }
    if let Some(list) = files.get(Path::new(Index::FILE)) {
        Index::parse(archive, &list.bytes).map_err(|error| backup(archive, &error.to_string()))?;
    }
    Ok(files)
}

struct Kept {
    bytes: zeroize::Zeroizing<Vec<u8>>,
    mode: u32,
}

/// The files of an archive, each with the sum that it is to have, and each sum with its file.
fn unpack(bytes: &[u8]) -> Result<BTreeMap<PathBuf, Kept>, String> {
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(bytes);
    let broken = |error: io::Error| format!("it is damaged: {error}");
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || entry.header().entry_type() != tar::EntryType::Regular {
            return Err(format!("{} in it is no plain file within it", name.display()));
        }
        let mode = entry.header().mode().map_err(broken)? & 0o644;
        let mode = if is_key(&name) { mode & 0o600 } else { mode };
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        entry.read_to_end(&mut bytes).map_err(broken)?;
        files.insert(name, Kept { bytes, mode });
    }
    let sums = files.remove(Path::new(SUMS)).ok_or("it is no backup of mytls: no SHA256SUMS")?;
    let sums = String::from_utf8_lossy(&sums.bytes).into_owned();
    let sums: BTreeMap<&Path, &str> = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (Path::new(name), sum))
        .collect();
    if let Some(name) = sums.keys().find(|name| !files.contains_key(**name)) {
        return Err(format!("{} is missing from it", name.display()));
    }
    for (name, file) in &files {
        if sums.get(name.as_path()) != Some(&hex(&openssl::sha::sha256(&file.bytes)).as_str()) {
            return Err(format!("{} in it is not what was backed up", name.display()));
        }
    }
    Ok(files)
}

/// Keys are closed to everybody else whatever an archive says.
fn is_key(name: &Path) -> bool {
    name.to_string_lossy().contains("-key.pem") || name.to_string_lossy().contains("index.")
}

/// All regular files but the lock and what is half-written.
fn collect(dir: &Path, within: &Path, files: &mut Vec<PathBuf>) -> Result<(), CaError> {
    let folder = dir.join(within);
    let failed = |error| io_fault(&folder, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            // a key on a stick is a link here; what it leads to is kept, one step down
            let name = within.join(entry.file_name());
            let path = dir.join(&name);
            let kind = fs::metadata(&path).map_err(|error| io_fault(&path, error))?.file_type();
            let linked = entry.file_type().map_err(failed)?.is_symlink();
            if linked && kind.is_dir() && within != Path::new("") {
                return Err(backup(
                    &path,
                    "it is a link to a folder, which would be followed for ever",
                ));
            }
            names.push((name, kind));
        }
    }
    names.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, kind) in names {
        if kind.is_dir() {
            collect(dir, &name, files)?;
        } else if kind.is_file() {
            files.push(name);
        }
    }
    Ok(())
}

fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    name: &Path,
    bytes: &[u8],
    mode: u32,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode & 0o777);
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    header.set_mtime(u64::try_from(now).unwrap_or_default());
    archive.append_data(&mut header, name, bytes)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut options = File::options();
    let mut file = options.write(true).create_new(true).mode(mode & 0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)
}

fn backup(path: &Path, why: &str) -> CaError {
    CaError::Backup { path: path.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::{AuthoritySpec, KeyKind, Validity};

    fn store(folder: &Path) -> Store {
        let spec = AuthoritySpec::named(&"Example CA".parse().unwrap());
        let store = Store::create(&folder.join("ca"), &spec).unwrap();
        store.issue_client(&"app".parse().unwrap(), KeyKind::P256, Validity::LEAF).unwrap();
        store
    }

    #[test]
    fn a_backup_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let out = folder.path().join("ca.tar");
        let made = back_up(store.dir(), &out, |_| ()).unwrap();
        assert_eq!((made.certificates, Meta::of(&out).unwrap().mode), (1, 0o600));
        let back = folder.path().join("back");
        assert_eq!(restore(&out, &back).unwrap(), made);
        let restored = Store::open(&back).unwrap();
        assert_eq!(restored.list().unwrap(), store.list().unwrap());
        assert_eq!(Meta::of(&back.join("clients/app/client-key.pem")).unwrap().mode, 0o600);
        let error = restore(&out, &back).unwrap_err();
        assert!(matches!(error, CaError::StoreExists { .. }), "{error}");
        let error = back_up(store.dir(), &out, |_| ()).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
    }

    #[test]
    fn a_damaged_archive_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let out = folder.path().join("ca.tar");
        back_up(store.dir(), &out, |_| ()).unwrap();
        let good = fs::read(&out).unwrap();
        let back = folder.path().join("back");
        let at = |text: &[u8]| good.windows(text.len()).rposition(|part| part == text).unwrap();
        let mut flipped = good.clone();
        flipped[at(b"BEGIN CERTIFICATE") + 40] ^= 1;
        for bad in [flipped, good[..good.len() / 2].to_vec(), b"nothing".to_vec(), Vec::new()] {
            fs::write(&out, bad).unwrap();
            let error = restore(&out, &back).unwrap_err().to_string();
            assert!(error.contains("no backup that can be restored"), "{error}");
            assert!(!back.exists());
        }
    }

    #[test]
    fn an_archive_cannot_write_outside_its_folder() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..9].copy_from_slice(b"../escape");
        header.set_size(1);
        header.set_mode(0o600);
        header.set_cksum();
        archive.append(&header, &b"x"[..]).unwrap();
        assert!(unpack(&archive.into_inner().unwrap()).is_err());
    }
}
