//! Taking over a CA that was made with something else.

use std::path::Path;

use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Crl, X509KeyUsage};

use super::crl::{self, Update, lists_in, number_of};
use super::protect::{self, Locked};
use super::store::read;
use super::{Authority, CaError, ClientSpec, KeyKind, Store, Subject, Validity};
use crate::printable::shown;
use crate::secret::Secret;
use crate::x509::chain::{self, Purpose};
use crate::x509::{Certificate, pem};

/// The files of a CA as somebody else keeps them.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a> {
    pub certificate: &'a Path,
    /// PKCS#8, PKCS#1 or SEC1, plain or encrypted.
    pub key: &'a Path,
    /// The CAs above it, in any order; `None` when it is a root, or they stand in its own file.
    pub chain: Option<&'a Path>,
    /// What it revoked so far: its list, PEM or DER.
    pub crl: Option<&'a Path>,
}

impl Store {
    /// Makes a store of a CA that exists; its key stays under the passphrase that it has.
    pub fn import(
        dir: &Path,
        foreign: Foreign,
        passphrase: Option<&Secret>,
        now: i64,
    ) -> Result<Self, CaError> {
        let authority = foreign.examine(passphrase, now)?;
        let list = foreign.crl.map(|path| last_list(path, &authority)).transpose()?;
        let revoked = list.as_ref().map(crl::earlier).transpose()?.unwrap_or_default();
        let bytes = zeroize::Zeroizing::new(read(foreign.key)?);
        let is_encrypted = matches!(protect::from_pem(&bytes, None), Err(Ok(_)));
        let given = passphrase.is_some();
        let passphrase = passphrase.filter(|_| is_encrypted).cloned();
        let may_list =
            |ca: &X509| ca.key_usage().is_none_or(|usage| usage.contains(X509KeyUsage::CRL_SIGN));
        let may_list = may_list(&authority.certificate);
        let mut store = Self::install_with(dir, authority, None, passphrase, &revoked)?;
        if !may_list {
            store.note(
                "its key usage lacks cRLSign: it issues, and nothing that it issued can be revoked"
                    .to_owned(),
            );
        }
        if given && !is_encrypted {
            store.note(
                "the key has no passphrase, and none was put on it: what was given was not used"
                    .to_owned(),
            );
        }
        if list.is_some() {
            store.sign_lists(&Update { now, ..Update::default() })?;
        }
        Ok(store)
    }
}

/// The list that the CA signed last, of those in a file.
fn last_list(path: &Path, authority: &Authority) -> Result<X509Crl, CaError> {
    let bytes = read(path)?;
    let mut lists = lists_in(&bytes);
    lists.extend(X509Crl::from_der(&bytes).ok());
    let key = authority.certificate.public_key()?;
    let mut own: Vec<X509Crl> =
        lists.into_iter().filter(|list| list.verify(&key).unwrap_or(false)).collect();
    own.sort_by_key(number_of);
    let why = "there is no list of revoked certificates in it that this CA signed".to_owned();
    own.pop().ok_or_else(|| CaError::NotAccepted { path: path.to_owned(), why })
}

impl Foreign<'_> {
    /// Everything that would make what this CA issues worthless, before it is taken over.
    fn examine(&self, passphrase: Option<&Secret>, now: i64) -> Result<Authority, CaError> {
        let no = |why: String| CaError::NotImportable { path: self.certificate.to_owned(), why };
        let mut found = certificates(self.certificate)?;
        let key = self.read_key(passphrase)?;
        let own = found.iter().position(|certificate| {
            certificate.public_key().is_ok_and(|public| public.public_eq(&key))
        });
        let Some(own) = own else {
            let subject = Certificate::from_openssl(&found[0]).subject.display();
            return Err(no(format!(
                "the key {} belongs to another certificate than {subject}",
                shown(self.key)
            )));
        };
        found.swap(0, own);
        if let Some(path) = self.chain {
            found.extend(certificates(path)?);
        }
        if let Some(why) = super::key::too_weak(&key) {
            return Err(no(why));
        }
        let said = Certificate::from_openssl(&found[0]);
        if said.is_ca != Some(true) {
            return Err(no("it is no CA: it lacks CA:TRUE".to_owned()));
        }
        if found[0].key_usage().is_some_and(|usage| !usage.contains(X509KeyUsage::KEY_CERT_SIGN)) {
            return Err(no("it may not sign certificates: its key usage lacks keyCertSign".into()));
        }
        let signers = chain::signers(&found);
        let path: Vec<X509> =
            chain::path(0, &signers).into_iter().map(|at| found[at].clone()).collect();
        for ca in &path {
            let ca = Certificate::from_openssl(ca);
            if now > ca.not_after {
                let (name, on) = (ca.subject.display(), super::error::day(ca.not_after));
                return Err(no(format!("{name} expired on {on}: nothing below it is accepted")));
            }
        }
        // at least itself
        let top = Certificate::from_openssl(&path[path.len() - 1]);
        if !top.self_signed {
            return Err(no(format!(
                "nothing given signed {}: the CAs above it up to the root are needed, too; name \
                 their file with --chain",
                top.subject.display()
            )));
        }
        let authority = Authority { certificate: path[0].clone(), key, chain: path[1..].to_vec() };
        authority
            .try_out(now)
            .map_err(|why| no(format!("what it issues does not verify: {why}")))?;
        Ok(authority)
    }

    fn read_key(&self, passphrase: Option<&Secret>) -> Result<PKey<Private>, CaError> {
        let path = || self.key.to_owned();
        let bytes = zeroize::Zeroizing::new(read(self.key)?);
        protect::from_pem(&bytes, passphrase).map_err(|error| match error {
            Ok(Locked::NoPassphrase) => CaError::KeyEncrypted { path: path() },
            Ok(Locked::Wrong) => CaError::Passphrase { path: path() },
            Err(defect) => CaError::File { path: path(), defect },
        })
    }
}

impl Authority {
    /// Issues a certificate that nobody keeps, and verifies it as a server would.
    fn try_out(&self, now: i64) -> Result<(), String> {
        let said = |error: CaError| error.to_string();
        let validity = Validity::From { now, days: 1 };
        let subject = Subject::common_name(&"trial".parse().map_err(said)?);
        let spec = ClientSpec { subject, key: KeyKind::P256, validity };
        let issued = self.issue_client(&spec).map_err(said)?;
        let (root, others) = issued.chain.split_last().ok_or("it has no chain")?;
        let trusted = std::slice::from_ref(root);
        chain::verify(&issued.certificate, others, trusted, Purpose::Client)
            .map_err(|fault| fault.text)
    }
}

fn certificates(path: &Path) -> Result<Vec<X509>, CaError> {
    let found = pem::certificates(&read(path)?);
    found.map_err(|defect| CaError::File { path: path.to_owned(), defect })
}
