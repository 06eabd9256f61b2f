//! Odd CAs, folders of CAs, and revocation lists.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::super::SandboxError;
use super::super::fault::{CrlOf, Holder};
use super::{Pki, odd, spec};
use crate::ca::unsound::Unsound;
use crate::ca::{Authority, AuthoritySpec, CaError, ClientSpec, KeyKind, Subject, Validity};
use crate::disk::DiskError;
use crate::x509::pem;

/// The public CAs of this host's system.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

impl Pki {
    pub(in super::super) fn make_authority(
        &mut self,
        name: Holder,
        by: Option<Holder>,
        subject: Option<Holder>,
        key: Option<KeyKind>,
        days: Option<[i32; 2]>,
        unsound: Unsound,
    ) -> Result<(), SandboxError> {
        let common_name = if name == Holder::Policy { "policy CA" } else { "second root" };
        let key = key.unwrap_or(self.key_kind);
        let mut spec = AuthoritySpec {
            validity: days.map_or(Validity::CA, exact),
            ..spec("mytls sandbox", &format!("mytls sandbox {common_name}"), key)?
        };
        if let Some(of) = subject {
            spec.subject = Subject::from_openssl(self.certificate(of)?.subject_name())?;
        }
        let by = by.map(|by| self.authority(by).cloned()).transpose()?;
        self.made.insert(name, unsound.make(&spec, by.as_ref())?);
        Ok(())
    }

    pub(in super::super) fn write_crls(
        &mut self,
        file: &str,
        crls: &[CrlOf],
    ) -> Result<(), SandboxError> {
        let mut text = Vec::new();
        for CrlOf { of, days } in crls {
            let [from, to] = days.map(seconds);
            let pem = self.authority(*of)?.crl(from, to)?.to_pem();
            text.extend(pem.map_err(CaError::from)?);
        }
        self.write(file, &text, 0o644)
    }

    /// A folder of CAs, each in a file of its own, with or without the links by which OpenSSL finds
    /// them.
    pub(in super::super) fn write_folder(
        &mut self,
        folder: &str,
        certificates: &[Holder],
        hashed: bool,
    ) -> Result<(), SandboxError> {
        let path = self.tls.join(folder);
        let failed = |error| DiskError::new(&path, error);
        std::fs::create_dir_all(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
        for (number, holder) in certificates.iter().enumerate() {
            let name = format!("ca-{}.pem", number + 1);
            self.write_certificates(&format!("{folder}/{name}"), &[*holder])?;
            if hashed {
                let hash = self.certificate(*holder)?.subject_name_hash();
                symlink(&name, path.join(format!("{hash:08x}.0"))).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The account's certificate with this subject, whatever stands in it.
    pub(in super::super) fn issue_client(
        &mut self,
        subject: &[[String; 2]],
    ) -> Result<(), SandboxError> {
        let subject = Subject::exact(subject.iter().map(|[name, value]| (name, value)))?;
        let spec = ClientSpec { subject, key: self.key_kind, validity: Validity::LEAF };
        self.store.issue_client_as(&"app".parse()?, &spec)?;
        Ok(())
    }

    pub(in super::super) fn cross_sign(
        &mut self,
        name: Holder,
        of: Holder,
        by: Holder,
    ) -> Result<(), SandboxError> {
        let of = self.authority(of)?.clone();
        let certificate = odd::cross_sign(&of, self.authority(by)?).map_err(CaError::from)?;
        let chain = self.authority(by)?.path();
        self.made.insert(name, Authority { certificate, key: of.key, chain });
        Ok(())
    }

    /// The first of those that Debian's package `ca-certificates` brings.
    pub(in super::super) fn append_public_ca(&self, file: &str) -> Result<(), SandboxError> {
        let bundle = std::fs::read(BUNDLE).map_err(|_| SandboxError::NoPublicCas)?;
        let all = pem::certificates(&bundle).map_err(|_| SandboxError::NoPublicCas)?;
        let public = all.first().ok_or(SandboxError::NoPublicCas)?;
        let path = self.tls.join(file);
        let mut bytes = std::fs::read(&path).map_err(|error| DiskError::new(&path, error))?;
        bytes.extend(public.to_pem().map_err(CaError::from)?);
        self.write(file, &bytes, 0o644)
    }

    pub(in super::super) fn append_files(
        &self,
        files: &[String],
        to: &str,
    ) -> Result<(), SandboxError> {
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        for file in files {
            let path = self.tls.join(file);
            let one = std::fs::read(&path).map_err(|error| DiskError::new(&path, error))?;
            bytes.extend(zeroize::Zeroizing::new(one).iter());
        }
        self.write_key(to, &bytes)
    }

    /// A text for everybody to read, in a folder for everybody to enter.
    pub(in super::super) fn write_file(&self, file: &str, text: &str) -> Result<(), SandboxError> {
        let path = self.tls.join(file);
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            let failed = |error| DiskError::new(folder, error);
            std::fs::create_dir_all(folder).map_err(failed)?;
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(folder, open).map_err(failed)?;
        }
        self.write(file, text.as_bytes(), 0o644)
    }
}

fn exact(days: [i32; 2]) -> Validity {
    let [not_before, not_after] = days.map(seconds);
    Validity::Exact { not_before, not_after }
}

/// That many days from now, in seconds since 1970.
fn seconds(days: i32) -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp() + i64::from(days) * 86_400
}
