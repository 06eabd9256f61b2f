//! The lists, laid where a server reads them.

use std::path::{Path, PathBuf};

use openssl::x509::{X509, X509Crl};

use super::lists_in;
use crate::ca::CaError;
use crate::ca::store::{RevocationList, Store, read_chain};
use crate::disk::{self, DiskError, Meta};

/// Lays the CA's lists into the file that a server reads as `ssl_crl`, with its owner and mode as they
/// are; `None` for the backup when the file was not there, or held them already. A file that holds
/// anything but lists of this CA and the CAs above it is left as it is: the lists of others would be lost.
pub fn hand_over(dir: &Path, file: &Path) -> Result<Option<PathBuf>, CaError> {
    let lists = bounded(&dir.join(Store::CRL_FILE))?;
    match std::fs::symlink_metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            disk::write_new(file, &lists, Meta::mode(0o644))?;
            return Ok(None);
        }
        _ => {}
    }
    let there = bounded(file)?;
    if !replaceable(&there, &read_chain(dir)?) {
        let why = "it holds something else than lists of this CA; name another file, or join the lists by hand";
        return Err(CaError::NotAccepted { path: file.to_owned(), why: why.to_owned() });
    }
    Ok(disk::replace(file, &lists, Meta::of(file)?)?)
}

/// Whether nothing is lost when the lists of this CA take the place of what the file holds.
pub fn may_replace(dir: &Path, file: &Path) -> bool {
    let held = || -> Result<bool, CaError> { Ok(replaceable(&bounded(file)?, &read_chain(dir)?)) };
    held().unwrap_or(false)
}

/// Lists of these CAs, and no other block.
fn replaceable(there: &[u8], chain: &[X509]) -> bool {
    let blocks = String::from_utf8_lossy(there).matches("-----BEGIN ").count();
    let lists = lists_in(there);
    let ours = |list: &X509Crl| RevocationList::of(list, chain).is_some();
    let known = blocks > 0 || there.trim_ascii().is_empty(); // a list in DER has no block either
    known && blocks == lists.len() && lists.iter().all(ours)
}

fn bounded(path: &Path) -> Result<Vec<u8>, CaError> {
    /// A list of a million serials.
    const LARGEST: u64 = 64 << 20;
    crate::bounded::read(path, LARGEST)
        .map_err(|error| DiskError::new(path, std::io::Error::other(error.to_string())).into())
}
