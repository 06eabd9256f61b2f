//! A client's certificate and key, read from their files.

use std::fmt;
use std::path::{Path, PathBuf};

use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::bounded;
use crate::printable::printable;
use crate::x509::Name;
use crate::x509::pem::{self, Defect};

/// What a client shows of itself: its certificate first, then those that lead to the CA, and the
/// key that belongs to the first.
#[derive(Clone)]
pub struct ClientIdentity {
    pub chain: Vec<X509>,
    pub key: PKey<Private>,
}

/// Why a client certificate cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdentityError {
    #[error("the client certificate {}: {defect}", shown(path))]
    Certificate { path: PathBuf, defect: Defect },
    #[error("the client key {}: {defect}", shown(path))]
    Key { path: PathBuf, defect: Defect },
    #[error(
        "the client key {} does not belong to the (first) certificate of {}; name the key that was \
         made with it",
        shown(key),
        shown(certificate)
    )]
    Mismatch { certificate: PathBuf, key: PathBuf },
}

impl ClientIdentity {
    /// Reads a PEM certificate (with the chain that follows it) and its PEM key.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let path = certificate.to_path_buf();
        let chain = read(certificate)
            .and_then(|bytes| pem::certificates(&bytes))
            .map_err(|defect| IdentityError::Certificate { path, defect })?;
        let path = key.to_path_buf();
        let block = read(key)
            .and_then(|bytes| pem::private_key(&bytes))
            .map_err(|defect| IdentityError::Key { path, defect })?;
        let identity = Self { chain, key: block.key };
        if !identity.belongs() {
            let (certificate, key) = (certificate.to_path_buf(), key.to_path_buf());
            return Err(IdentityError::Mismatch { certificate, key });
        }
        Ok(identity)
    }

    /// Whether the key is the one that the first certificate certifies.
    pub fn belongs(&self) -> bool {
        let public = self.chain.first().and_then(|leaf| leaf.public_key().ok());
        public.is_some_and(|public| public.public_eq(&self.key))
    }
}

/// Shows whose it is, and nothing of the key.
impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject =
            self.chain.first().map(|leaf| Name::from_openssl(leaf.subject_name()).display());
        f.debug_struct("ClientIdentity").field("subject", &subject).finish_non_exhaustive()
    }
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

/// The file's bytes, wiped when dropped: a key may be among them.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Defect> {
    const LIMIT: u64 = 1024 * 1024;
    let mut bytes = Zeroizing::default();
    bounded::read_into(path, LIMIT, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::testing;

    #[test]
    fn each_fault_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let (one, two) = (testing::root("one"), testing::root("two"));
        let certificate = write("one.pem", &one.certificate.to_pem().unwrap());
        let key = write("one.key", &one.key.private_key_to_pem_pkcs8().unwrap());
        let other = write("two.key", &two.key.private_key_to_pem_pkcs8().unwrap());
        let empty = write("empty", b"");

        let identity = ClientIdentity::load(&certificate, &key).unwrap();
        assert_eq!(identity.chain.len(), 1);
        assert!(!format!("{identity:?}").contains("PRIVATE"));

        let fault = |a: &Path, b: &Path| ClientIdentity::load(a, b).unwrap_err().to_string();
        let missing = fault(&folder.path().join("none"), &key);
        assert!(missing.ends_with("none: there is no such file"), "{missing}");
        assert!(fault(&certificate, folder.path()).ends_with("it is a directory, not a file"));
        assert!(fault(&certificate, &empty).ends_with("empty: it is empty"));
        assert!(fault(&certificate, &other).contains("two.key does not belong"));
        assert!(fault(&key, &key).contains("it holds no certificate; it holds PRIVATE KEY"));
    }
}
