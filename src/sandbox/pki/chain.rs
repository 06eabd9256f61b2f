//! Odd CAs, folders of CAs, and revocation lists.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::super::SandboxError;
use super::super::fault::{CrlOf, Holder};
use super::{Pki, spec};
use crate::ca::unsound::Unsound;
use crate::ca::{AuthoritySpec, CaError, Subject, Validity};
use crate::disk::DiskError;

impl Pki {
    pub(in super::super) fn make_authority(
        &mut self,
        name: Holder,
        by: Option<Holder>,
        subject: Option<Holder>,
        days: Option<[i32; 2]>,
        unsound: Unsound,
    ) -> Result<(), SandboxError> {
        let common_name = if name == Holder::Policy { "policy CA" } else { "second root" };
        let mut spec = AuthoritySpec {
            validity: days.map_or(Validity::CA, exact),
            ..spec("mytls sandbox", &format!("mytls sandbox {common_name}"), self.key_kind)?
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
}

fn exact(days: [i32; 2]) -> Validity {
    let [not_before, not_after] = days.map(seconds);
    Validity::Exact { not_before, not_after }
}

/// That many days from now, in seconds since 1970.
fn seconds(days: i32) -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp() + i64::from(days) * 86_400
}
