//! A certificate in the place of one that is about to expire: the same name, the same hosts, the
//! same uses.

use std::path::{Path, PathBuf};

use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};

use super::files::{self, ServerFiles, Written};
use super::key::Certified;
use super::store::{Destination, Draft, Kind, read};
use super::{Authority, CaError, Entry, Issued, KeyForm, KeyKind, San, Store, Subject, Validity};
use crate::x509::{Certificate, KeyAlgorithm, PublicKey, pem};

/// How to renew.
#[derive(Clone, Copy, Debug)]
pub struct Renewal {
    /// Certify the key there is once more, instead of a new one.
    pub same_key: bool,
    pub validity: Validity,
}

impl Store {
    /// Issues anew in the place of an entry. The files go where the old ones lie, which are kept
    /// beside them as backups, and for a server also or instead into `out`.
    pub fn renew(
        &self,
        entry: &Entry,
        how: Renewal,
        out: Option<&Path>,
    ) -> Result<(Issued, Vec<Written>), CaError> {
        self.hand_out_again(entry, self.issue_again(entry, how)?, out)
    }

    /// The first half of [`Self::renew`]: the new certificate, in memory.
    pub fn issue_again(&self, entry: &Entry, how: Renewal) -> Result<Issued, CaError> {
        still_current(Some(entry))?;
        let old = self.certificate(&entry.serial)?;
        let key = if how.same_key { self.key_of(entry, &old)? } else { like(&old)?.generate()? };
        let mut issued = self.authority().issue_again(&old, key, how.validity)?;
        issued.key_form = self.form_of(entry);
        Ok(issued)
    }

    /// The second half: it is entered in the list and laid where the old one lies.
    pub fn hand_out_again(
        &self,
        entry: &Entry,
        issued: Issued,
        out: Option<&Path>,
    ) -> Result<(Issued, Vec<Written>), CaError> {
        match entry.kind {
            Kind::Client => self.renew_client(entry, issued, out),
            Kind::Server => self.renew_server(entry, issued, out),
        }
    }

    fn renew_client(
        &self,
        entry: &Entry,
        issued: Issued,
        out: Option<&Path>,
    ) -> Result<(Issued, Vec<Written>), CaError> {
        if entry.files.is_empty() && out.is_none() {
            return Err(CaError::KeyElsewhere { name: entry.names.join(", ") });
        }
        let mut work = self.begin()?;
        still_current(work.index.get(&entry.serial))?;
        let mut draft = Draft::new(&issued, Kind::Client, entry.names.clone(), true)?;
        draft.entry.instead_of = Some(entry.serial.clone());
        let mut kept = work.commit(vec![draft])?;
        drop(work);
        let Some(out) = out else { return Ok((issued, kept)) };
        crate::disk::create_private_dir(out)?;
        let mut written = files::write_client(out, &issued)?;
        kept.retain(|file| file.backup.is_some());
        written.extend(kept);
        Ok((issued, written))
    }

    fn renew_server(
        &self,
        entry: &Entry,
        issued: Issued,
        out: Option<&Path>,
    ) -> Result<(Issued, Vec<Written>), CaError> {
        let to = match out {
            Some(out) => Destination::folder(out),
            None => Destination { files: entry.files.clone(), deployed: entry.deployed },
        };
        let [certificate, key, others @ ..] = to.files.as_slice() else {
            return Err(CaError::KeyElsewhere { name: entry.names.join(", ") });
        };
        if out.is_none() && !(certificate.exists() && key.exists()) {
            return Err(CaError::PlaceUnknown { name: entry.names.join(", ") });
        }
        let at = ServerFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            ca: others.first().cloned(),
            server_user: None,
        };
        let work = self.begin()?;
        still_current(work.index.get(&entry.serial))?;
        let lay = |issued: &Issued| match out {
            Some(out) => {
                crate::disk::create_private_dir(out)?;
                files::write_server(out, issued)
            }
            None => files::replace_server(&at, issued),
        };
        let mut draft = Draft::new(&issued, Kind::Server, entry.names.clone(), true)?;
        draft.entry.instead_of = Some(entry.serial.clone());
        let written = work.hand_out(&issued, draft, &to, lay)?;
        Ok((issued, written))
    }

    /// The key that an entry's certificate belongs to, from where its files lie.
    fn key_of(&self, entry: &Entry, certificate: &X509) -> Result<PKey<Private>, CaError> {
        let path = entry.files.get(1).map(|file| self.dir().join(file));
        let path = path.ok_or_else(|| CaError::KeyElsewhere { name: entry.names.join(", ") })?;
        let bytes = zeroize::Zeroizing::new(read(&path)?);
        let block = pem::private_key(&bytes);
        let block = block.map_err(|defect| CaError::File { path: path.clone(), defect })?;
        if !certificate.public_key()?.public_eq(&block.key) {
            return Err(CaError::OtherKey { path });
        }
        Ok(block.key)
    }

    /// How the key there is written: a server with yaSSL reads PKCS#1 alone.
    fn form_of(&self, entry: &Entry) -> KeyForm {
        let key = entry.files.get(1).and_then(|file| read(&self.dir().join(file)).ok());
        let key = zeroize::Zeroizing::new(key.unwrap_or_default());
        match pem::private_key(&key) {
            Ok(block) if block.label == "RSA PRIVATE KEY" => KeyForm::Pkcs1,
            _ => KeyForm::Pkcs8,
        }
    }
}

impl Destination {
    /// As [`files::write_server`] lays them.
    pub fn folder(out: &Path) -> Self {
        let names = ["server-cert.pem", "server-key.pem", "ca.pem"];
        let out = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
        Self { files: names.map(|name| out.join(name)).to_vec(), deployed: false }
    }

    /// The very files of a server.
    pub fn server(files: &ServerFiles) -> Self {
        let named = [Some(&files.certificate), Some(&files.key), files.ca.as_ref()];
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Self { files: named.into_iter().flatten().map(absolute).collect(), deployed: true }
    }
}

impl Authority {
    /// What a certificate says of its owner, said again for this key and time.
    pub fn issue_again(
        &self,
        old: &X509,
        key: PKey<Private>,
        validity: Validity,
    ) -> Result<Issued, CaError> {
        let said = Certificate::from_openssl(old);
        let public = Certified::new(&key)?;
        // its own name takes the place of this one, byte for byte
        let stand_in = Subject::common_name(&"renewed".parse()?);
        let mut params = self.leaf_params(&stand_in, validity, &public)?;
        let hosts = said.dns_names.iter().map(|name| San::Dns(name.clone()));
        let addresses = said.ip_addresses.iter().copied().map(San::Ip);
        params.subject_alt_names = hosts
            .chain(addresses)
            .map(|name| super::authority::san(&name))
            .collect::<Result<_, CaError>>()?;
        let server = said.purposes.is_none_or(|purposes| purposes.server);
        let client = said.purposes.is_none_or(|purposes| purposes.client);
        let uses = [
            server.then_some(ExtendedKeyUsagePurpose::ServerAuth),
            client.then_some(ExtendedKeyUsagePurpose::ClientAuth),
        ];
        params.extended_key_usages = uses.into_iter().flatten().collect();
        if server && PublicKey::from_openssl(&key).algorithm == KeyAlgorithm::Rsa {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        let subject = old.subject_name().to_der()?;
        let der = self.press()?.certificate_named(&params, &public, &subject)?;
        let key_form = KeyForm::default();
        Ok(Issued { certificate: X509::from_der(&der)?, key, key_form, chain: self.path() })
    }
}

/// The kind of key that a certificate has.
pub(crate) fn like(certificate: &X509) -> Result<KeyKind, CaError> {
    let key = PublicKey::from_openssl(&*certificate.public_key()?);
    let all = <KeyKind as clap::ValueEnum>::value_variants();
    let same = all.iter().find(|kind| kind.describe() == key.describe());
    same.copied().ok_or(CaError::UnusableKey { what: key.describe() })
}

/// Somebody else may have renewed or revoked it since it was looked up.
fn still_current(entry: Option<&Entry>) -> Result<(), CaError> {
    match entry {
        Some(entry) if entry.is_current() => Ok(()),
        Some(entry) => Err(CaError::NotCurrent { name: entry.names.join(", ") }),
        None => Err(CaError::NoSuchCertificate { sought: "this name".to_owned() }),
    }
}
