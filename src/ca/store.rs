//! A CA and what it issued, as plain files in a folder of its own.
//!
//! ```text
//! ca.pem                   the CA's certificate, then those above it up to the root
//! ca-key.pem               its key, 0600
//! index.json               what was issued, oldest first
//! issued/SERIAL.pem        every certificate it ever issued
//! clients/NAME/            client-cert.pem, client-key.pem and ca.pem, to be carried to the client
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use openssl::pkey::{PKey, Private};
use serde::{Deserialize, Serialize};

use super::authority::pem;
use super::{
    Authority, AuthoritySpec, CaError, ClientSpec, Issued, KeyKind, PlainName, San, ServerSpec,
    Validity, files,
};
use crate::disk::{self, Meta};
use crate::secret::Secret;
use crate::x509::pem::{self as read_pem, Defect};
use crate::x509::{Certificate, OneLine};

/// A CA on disk, opened.
pub struct Store {
    dir: PathBuf,
    authority: Authority,
}

/// One certificate of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Upper-case hexadecimal; the name of its file under `issued`.
    pub serial: String,
    pub kind: Kind,
    /// As OpenSSL 3 servers compare it: `/O=Example CA/CN=app`.
    pub subject: String,
    /// The account, or the server's host names and addresses.
    pub names: Vec<String>,
    /// Seconds since 1970, UTC.
    pub not_before: i64,
    /// Seconds since 1970, UTC; the last second in which it is valid.
    pub not_after: i64,
    /// SHA-256 over the DER, lower-case hexadecimal.
    pub sha256: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Server,
    Client,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

impl Store {
    pub const CA_FILE: &str = "ca.pem";
    pub const KEY_FILE: &str = "ca-key.pem";

    /// Makes a CA in a folder that is empty or does not exist.
    pub fn create(dir: &Path, spec: &AuthoritySpec) -> Result<Self, CaError> {
        Self::refuse_taken(dir)?;
        Self::install(dir, Authority::create(spec)?)
    }

    /// Keeps a CA that exists in memory, in a folder that is empty or does not exist.
    pub fn install(dir: &Path, authority: Authority) -> Result<Self, CaError> {
        Self::refuse_taken(dir)?;
        disk::create_private_dir(dir)?;
        let key = authority.key.private_key_to_pem_pkcs8().map(zeroize::Zeroizing::new)?;
        // The certificate last: without it the folder is no CA, and nothing was lost.
        disk::write_new(&dir.join(Self::KEY_FILE), &key, Meta::mode(0o600))?;
        let certificates = pem(&authority.path())?;
        disk::write_new(&dir.join(Self::CA_FILE), certificates.as_bytes(), Meta::mode(0o644))?;
        Ok(Self { dir: dir.to_owned(), authority })
    }

    /// Opens a CA whose key has no passphrase; [`CaError::KeyEncrypted`] asks for one.
    pub fn open(dir: &Path) -> Result<Self, CaError> {
        Self::open_with(dir, None)
    }

    /// Opens a CA, with the passphrase of its key if that has one.
    pub fn open_with(dir: &Path, passphrase: Option<&Secret>) -> Result<Self, CaError> {
        let (ca_file, key_file) = (dir.join(Self::CA_FILE), dir.join(Self::KEY_FILE));
        if !ca_file.exists() {
            return Err(CaError::NoStore { dir: dir.to_owned() });
        }
        let defect = |path: &Path| {
            let path = path.to_owned();
            move |defect| CaError::File { path, defect }
        };
        let bytes = read(&ca_file)?;
        let mut chain = read_pem::certificates(&bytes).map_err(defect(&ca_file))?;
        let certificate = chain.remove(0); // there is at least one
        let bytes = zeroize::Zeroizing::new(read(&key_file)?);
        let key = match (read_pem::private_key(&bytes), passphrase) {
            (Ok(block), _) => block.key,
            (Err(Defect::Encrypted { .. }), None) => {
                return Err(CaError::KeyEncrypted { path: key_file });
            }
            (Err(Defect::Encrypted { .. }), Some(passphrase)) => decrypt(&bytes, passphrase)
                .ok_or_else(|| CaError::Passphrase { path: key_file.clone() })?,
            (Err(other), _) => return Err(defect(&key_file)(other)),
        };
        if !certificate.public_key()?.public_eq(&key) {
            return Err(CaError::KeyMismatch { path: key_file });
        }
        Ok(Self { dir: dir.to_owned(), authority: Authority { certificate, key, chain } })
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

    /// The folder with what is to be carried to the client of this account.
    pub fn client_dir(&self, account: &PlainName) -> PathBuf {
        self.dir.join("clients").join(account.as_str())
    }

    /// Issues a server certificate, named after the first of its hosts, and enters it in the list.
    pub fn issue_server(
        &self,
        sans: &[San],
        key: KeyKind,
        validity: Validity,
    ) -> Result<Issued, CaError> {
        self.issue_server_as(&self.authority.server_spec(sans, key, validity)?)
    }

    /// [`Self::issue_server`] with every detail given.
    pub fn issue_server_as(&self, spec: &ServerSpec) -> Result<Issued, CaError> {
        let issued = self.authority.issue_server(spec)?;
        self.record(&issued, Kind::Server, spec.sans.iter().map(San::to_string).collect())?;
        Ok(issued)
    }

    /// Issues the certificate of an account, enters it in the list, and lays what the client needs
    /// into [`Self::client_dir`]; what lay there before is kept as a backup.
    pub fn issue_client(
        &self,
        account: &PlainName,
        key: KeyKind,
        validity: Validity,
    ) -> Result<Issued, CaError> {
        self.issue_client_as(account, &self.authority.client_spec(account, key, validity)?)
    }

    /// [`Self::issue_client`] with every detail given.
    pub fn issue_client_as(
        &self,
        account: &PlainName,
        spec: &ClientSpec,
    ) -> Result<Issued, CaError> {
        let issued = self.authority.issue_client(spec)?;
        self.record(&issued, Kind::Client, vec![account.to_string()])?;
        let folder = self.client_dir(account);
        disk::create_private_dir(&folder)?;
        files::write_client(&folder, &issued)?;
        Ok(issued)
    }

    /// Enters a certificate of this CA in its list, and keeps a copy of it.
    pub fn record(&self, issued: &Issued, kind: Kind, names: Vec<String>) -> Result<(), CaError> {
        let _lock = self.lock()?;
        let mut entries = self.list()?;
        let entry = Entry::new(&issued.summary(), kind, names);
        let own = self.authority.summary().subject.oneline(OneLine::OpenSsl3);
        let taken = entries.iter().find(|old| old.subject == entry.subject && old.kind != kind);
        if let Some(taken) = taken {
            return Err(CaError::SubjectTaken { subject: entry.subject, kind: taken.kind.name() });
        }
        if own == entry.subject {
            return Err(CaError::SubjectTaken { subject: own, kind: "CA" });
        }
        let folder = self.dir.join("issued");
        disk::create_private_dir(&folder)?;
        let copy = folder.join(format!("{}.pem", entry.serial));
        disk::write_new(
            &copy,
            pem(std::slice::from_ref(&issued.certificate))?.as_bytes(),
            Meta::mode(0o644),
        )?;
        entries.push(entry);
        let json = serde_json::to_vec_pretty(&entries).map_err(|error| self.index_fault(&error))?;
        Ok(disk::overwrite(&self.index_file(), &json, Meta::mode(0o600))?)
    }

    /// What was issued, oldest first.
    pub fn list(&self) -> Result<Vec<Entry>, CaError> {
        let path = self.index_file();
        if !path.exists() {
            return Ok(Vec::new());
        }
        serde_json::from_slice(&read(&path)?).map_err(|error| self.index_fault(&error))
    }

    fn refuse_taken(dir: &Path) -> Result<(), CaError> {
        if Self::exists(dir) {
            let name = read_pem::certificates(&read(&dir.join(Self::CA_FILE))?).map_or_else(
                |_| "that cannot be read".to_owned(),
                |found| Certificate::from_openssl(&found[0]).subject.display(),
            );
            return Err(CaError::StoreExists { dir: dir.to_owned(), name });
        }
        if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(CaError::NotEmpty { dir: dir.to_owned() });
        }
        Ok(())
    }

    fn index_file(&self) -> PathBuf {
        self.dir.join("index.json")
    }

    fn index_fault(&self, error: &serde_json::Error) -> CaError {
        CaError::Index { path: self.index_file(), why: error.to_string() }
    }

    /// One at a time: the list is read, lengthened and written. The lock ends with the process.
    fn lock(&self) -> Result<Flock<File>, CaError> {
        let path = self.dir.join(".lock");
        let open = File::options().create(true).append(true).open(&path);
        let file = open.map_err(|error| io_fault(&path, error))?;
        Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| io_fault(&path, errno.into()))
    }
}

impl Entry {
    fn new(certificate: &Certificate, kind: Kind, names: Vec<String>) -> Self {
        Self {
            serial: certificate.serial.clone(),
            kind,
            subject: certificate.subject.oneline(OneLine::OpenSsl3),
            names,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            sha256: certificate.sha256.clone(),
        }
    }
}

fn decrypt(pem: &[u8], passphrase: &Secret) -> Option<PKey<Private>> {
    PKey::private_key_from_pem_passphrase(pem, passphrase.expose().as_bytes()).ok()
}

fn read(path: &Path) -> Result<Vec<u8>, CaError> {
    fs::read(path).map_err(|error| io_fault(path, error))
}

fn io_fault(path: &Path, error: io::Error) -> CaError {
    disk::DiskError::new(path, error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> PlainName {
        text.parse().unwrap()
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let spec = AuthoritySpec::named(&name("Example CA"));
        let store = Store::create(&folder.path().join("ca"), &spec).unwrap();
        (folder, store)
    }

    #[test]
    fn what_is_made_can_be_opened_and_continued() {
        let (_folder, made) = store();
        made.issue_server(&["db1".parse().unwrap()], KeyKind::P256, Validity::LEAF).unwrap();
        let opened = Store::open(made.dir()).unwrap();
        opened.issue_client(&name("app"), KeyKind::Ed25519, Validity::LEAF).unwrap();
        let list = opened.list().unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].names, ["db1"]);
        assert_eq!(list[1].subject, "/O=Example CA/CN=app");
        assert_eq!(list[1].kind, Kind::Client);
        let copy = made.dir().join(format!("issued/{}.pem", list[1].serial));
        let copy = read_pem::certificates(&fs::read(copy).unwrap()).unwrap();
        assert_eq!(Certificate::from_openssl(&copy[0]).sha256, list[1].sha256);
    }

    #[test]
    fn keys_and_folders_are_private_from_the_start() {
        let (_folder, store) = store();
        store.issue_client(&name("app"), KeyKind::P256, Validity::LEAF).unwrap();
        let mode = |path: &str| Meta::of(&store.dir().join(path)).unwrap().mode;
        assert_eq!(mode(""), 0o700);
        assert_eq!(mode("ca-key.pem"), 0o600);
        assert_eq!(mode("clients/app"), 0o700);
        assert_eq!(mode("clients/app/client-key.pem"), 0o600);
        assert_eq!(mode("clients/app/client-cert.pem"), 0o644);
    }

    #[test]
    fn a_second_ca_does_not_take_the_place_of_the_first() {
        let (_folder, store) = store();
        let before = fs::read(store.dir().join("ca-key.pem")).unwrap();
        let spec = AuthoritySpec::named(&name("Other CA"));
        let error = Store::create(store.dir(), &spec).err().unwrap();
        assert!(matches!(&error, CaError::StoreExists { name, .. } if name == "CN=Example CA"));
        assert_eq!(fs::read(store.dir().join("ca-key.pem")).unwrap(), before);

        let full = tempfile::tempdir().unwrap();
        fs::write(full.path().join("data"), b"mine").unwrap();
        let error = Store::create(full.path(), &spec).err().unwrap();
        assert!(matches!(error, CaError::NotEmpty { .. }), "{error}");
    }

    #[test]
    fn a_new_certificate_of_an_account_keeps_the_old_one() {
        let (_folder, store) = store();
        store.issue_client(&name("app"), KeyKind::P256, Validity::LEAF).unwrap();
        store.issue_client(&name("app"), KeyKind::P256, Validity::LEAF).unwrap();
        let files = fs::read_dir(store.client_dir(&name("app"))).unwrap();
        let backups = files
            .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains(".bak-"));
        assert_eq!(backups.count(), 2, "of the key and of the certificate; the CA is the same");
    }

    #[test]
    fn server_client_and_ca_never_share_a_name() {
        let (_folder, store) = store();
        store.issue_server(&["app".parse().unwrap()], KeyKind::P256, Validity::LEAF).unwrap();
        let taken = store.issue_client(&name("app"), KeyKind::P256, Validity::LEAF).err().unwrap();
        assert!(taken.to_string().contains("a server certificate has it"), "{taken}");
    }

    #[test]
    fn an_encrypted_key_asks_for_its_passphrase() {
        let (_folder, store) = store();
        let key = store.authority().key.clone();
        let cipher = openssl::symm::Cipher::aes_256_cbc();
        let pem = key.private_key_to_pem_pkcs8_passphrase(cipher, b"right").unwrap();
        fs::write(store.dir().join("ca-key.pem"), pem).unwrap();
        let open = |passphrase: Option<&str>| {
            Store::open_with(store.dir(), passphrase.map(Secret::new).as_ref())
        };
        assert!(matches!(open(None).err(), Some(CaError::KeyEncrypted { .. })));
        assert!(matches!(open(Some("wrong")).err(), Some(CaError::Passphrase { .. })));
        assert!(open(Some("right")).is_ok());
    }

    #[test]
    fn a_key_of_another_ca_is_noticed() {
        let (_folder, one) = store();
        let (_other, two) = store();
        fs::copy(two.dir().join("ca-key.pem"), one.dir().join("ca-key.pem")).unwrap();
        assert!(matches!(Store::open(one.dir()).err(), Some(CaError::KeyMismatch { .. })));
        let nowhere = Store::open(Path::new("/nonexistent/ca")).err().unwrap().to_string();
        assert!(nowhere.contains("mytls ca create --ca-dir /nonexistent/ca"), "{nowhere}");
    }
}
