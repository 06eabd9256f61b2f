//! The sandbox's certificates: root, issuing CA, the server's and the account's, and a stranger.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use super::config::ca_file_needs_intermediates;
use super::fault::{Holder, KeyForm};
use super::odd::{self, OddCertificate, OddKey};
use super::rewrite::{self, Form};
use super::series::Series;
use super::server::{Program, RunAs};
use super::{SandboxError, folder::Folder};
use crate::ca::authority::pem;
use crate::ca::{
    Authority, AuthoritySpec, Issued, KeyKind, San, ServerSpec, Store, Subject, Validity,
};
use crate::disk::{self, Meta};
use crate::x509::OneLine;

mod chain;

pub(super) struct Pki {
    root: Authority,
    store: Store,
    server: Issued,
    /// What keys are made when nothing is said of them.
    key_kind: KeyKind,
    series: Series,
    /// A CA that nobody here trusts; made when a fault asks for it.
    stranger: Option<Authority>,
    /// Beside the issuing one; made when a fault asks for it.
    old_issuing: Option<Authority>,
    /// CAs that a fault made.
    made: BTreeMap<Holder, Authority>,
    tls: PathBuf,
    user: RunAs,
}

impl Pki {
    /// Makes all of it, and lays the server's files into `tls`, the CA into `ca`, and what a client
    /// needs into `client`.
    pub(super) fn create(
        folder: &Folder,
        program: &Program,
        user: &RunAs,
    ) -> Result<Self, SandboxError> {
        let series = program.series();
        // yaSSL knows RSA alone
        let key_kind = match series {
            Series::MySql56 => KeyKind::Rsa2048,
            _ => KeyKind::default(),
        };
        let spec = |name| spec("mytls sandbox", name, key_kind);
        let root = Authority::create(&spec("mytls sandbox root")?)?;
        let issuing = root.issue_authority(&spec("mytls sandbox issuing CA")?)?;
        let store = Store::install(&folder.join("ca"), issuing)?;
        let server = store.issue_server(&hosts(), key_kind, Validity::LEAF)?;
        let account = store.issue_client(&"app".parse()?, key_kind, Validity::LEAF)?;

        let client = folder.join("client");
        disk::create_private_dir(&client)?;
        let put = |name: &str, text: &str, mode| {
            disk::write_new(&client.join(name), text.as_bytes(), Meta::mode(mode))
        };
        put("app-key.pem", account.key_pem()?.expose(), 0o600)?;
        put("app-cert.pem", &account.certificate_pem()?, 0o644)?;
        // yaSSL sends its own certificate and nothing of the chain: there clients need all of it
        let mut trusted = vec![root.certificate.clone()];
        if series == Series::MySql56 {
            trusted.insert(0, store.authority().certificate.clone());
        }
        put("ca.pem", &pem(&trusted)?, 0o644)?;

        folder.create_readable("tls", user)?;
        folder.create_readable("tls/old", user)?;
        let tls = folder.join("tls");
        let mut pki = Self {
            root,
            store,
            server,
            key_kind,
            series,
            stranger: None,
            old_issuing: None,
            made: BTreeMap::new(),
            tls,
            user: user.clone(),
        };
        pki.write_server()?;
        let intermediates = ca_file_needs_intermediates(program);
        let ca: &[Holder] =
            if intermediates { &[Holder::Issuing, Holder::Root] } else { &[Holder::Root] };
        pki.write_certificates("ca.pem", ca)?;
        Ok(pki)
    }

    /// What `REQUIRE` of the account `app` compares: subject and issuer of its certificate.
    pub(super) fn account_names(&self) -> Result<(String, String), SandboxError> {
        let certificate =
            std::fs::read(self.store.client_dir(&"app".parse()?).join("client-cert.pem"));
        let certificate = certificate.ok().and_then(|pem| X509::from_pem(&pem).ok());
        // it was written a moment ago
        let certificate = certificate.ok_or_else(|| self.store_gone())?;
        let summary = crate::x509::Certificate::from_openssl(&certificate);
        // Plain names: every library renders them alike.
        let line = |name: &crate::x509::Name| name.oneline(OneLine::OpenSsl3);
        Ok((line(&summary.subject), line(&summary.issuer)))
    }

    pub(super) fn issue_server(
        &mut self,
        key: Option<KeyKind>,
        by: Holder,
        subject: Holder,
        authority_key: bool,
        days: Option<[i32; 2]>,
        sans: Option<&[String]>,
    ) -> Result<(), SandboxError> {
        const DAY: i64 = 86_400;
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let validity = days.map_or(Validity::LEAF, |[from, to]| Validity::Exact {
            not_before: now + i64::from(from) * DAY,
            not_after: now + i64::from(to) * DAY,
        });
        let named: Option<Result<Vec<San>, _>> =
            sans.map(|sans| sans.iter().map(|san| san.parse()).collect());
        let hosts = named.transpose()?.unwrap_or_else(hosts);
        let own =
            self.store.authority().server_spec(&hosts, key.unwrap_or(self.key_kind), validity)?;
        let subject = match subject {
            Holder::Server => own.subject.clone(),
            other => Subject::from_openssl(self.certificate(other)?.subject_name())?,
        };
        let spec = ServerSpec { subject, ..own };
        let by = self.authority(by)?;
        self.server = if authority_key {
            by.issue_server(&spec)?
        } else {
            by.issue_server_without_authority_key(&spec)?
        };
        self.write_server()
    }

    pub(super) fn issue_odd(
        &mut self,
        by: Holder,
        certificate: &OddCertificate,
    ) -> Result<(), SandboxError> {
        let names: Vec<String> = hosts()
            .iter()
            .map(|san| match san {
                San::Dns(name) => format!("DNS:{name}"),
                San::Ip(ip) => format!("IP:{ip}"),
            })
            .collect();
        let issued = odd::issue(certificate, self.key_kind, self.authority(by)?, &names);
        self.server = issued.map_err(crate::ca::CaError::from)?;
        self.write_server()
    }

    pub(super) fn write_authority_key(
        &mut self,
        file: &str,
        of: Holder,
    ) -> Result<(), SandboxError> {
        let pem = self.authority(of)?.key.private_key_to_pem_pkcs8();
        self.write_key(file, &pem.map_err(crate::ca::CaError::from)?)
    }

    pub(super) fn rewrite(&self, file: &str, form: Form) -> Result<(), SandboxError> {
        let path = self.tls.join(file);
        let bytes = std::fs::read(&path).map_err(|error| disk::DiskError::new(&path, error))?;
        let bytes = rewrite::rewrite(&bytes, form).map_err(crate::ca::CaError::from)?;
        Ok(disk::overwrite(&path, &bytes, Meta::of(&path)?)?)
    }

    pub(super) fn remove(&self, file: &str) -> Result<(), SandboxError> {
        let path = self.tls.join(file);
        Ok(std::fs::remove_file(&path).map_err(|error| disk::DiskError::new(&path, error))?)
    }

    /// `mode` as it stands in the fault's file, in octal.
    pub(super) fn chmod(&self, file: &str, mode: &str) -> Result<(), SandboxError> {
        let path = self.path(file);
        let mode = u32::from_str_radix(mode, 8)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error));
        let done = mode.and_then(|mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
        });
        Ok(done.map_err(|error| disk::DiskError::new(&path, error))?)
    }

    /// Where a file of the `tls` folder lies, or with `.` the folder itself.
    pub(super) fn path(&self, file: &str) -> PathBuf {
        if file == "." { self.tls.clone() } else { self.tls.join(file) }
    }

    pub(super) fn new_key(&self, file: &str, key: Option<OddKey>) -> Result<(), SandboxError> {
        let key = key.unwrap_or(OddKey::Usual(self.key_kind));
        let key = key.generate().map_err(crate::ca::CaError::from)?;
        self.write_key(file, &self.key_pem(&key)?)
    }

    pub(super) fn write_certificates(
        &mut self,
        file: &str,
        holders: &[Holder],
    ) -> Result<(), SandboxError> {
        let certificates: Result<Vec<X509>, SandboxError> =
            holders.iter().map(|holder| self.certificate(*holder)).collect();
        self.write(file, pem(&certificates?)?.as_bytes(), 0o644)
    }

    pub(super) fn key_form(&self, file: &str, form: KeyForm) -> Result<(), SandboxError> {
        let path = self.tls.join(file);
        let key = std::fs::read(&path).map_err(|error| disk::DiskError::new(&path, error))?;
        let written = PKey::private_key_from_pem(&key).and_then(|key| match form {
            KeyForm::Pkcs1 => key.rsa()?.private_key_to_pem(),
            KeyForm::Sec1 => key.ec_key()?.private_key_to_pem(),
            KeyForm::Pkcs8 => key.private_key_to_pem_pkcs8(),
        });
        self.write_key(file, &written.map_err(crate::ca::CaError::from)?)
    }

    pub(super) fn prepend(&self, file: &str, text: &str) -> Result<(), SandboxError> {
        let path = self.tls.join(file);
        let bytes = std::fs::read(&path).map_err(|error| disk::DiskError::new(&path, error))?;
        let bytes = [text.as_bytes(), &bytes].concat();
        Ok(disk::overwrite(&path, &bytes, Meta::of(&path)?)?)
    }

    pub(super) fn encrypt_key(
        &self,
        file: &str,
        passphrase: &str,
        traditional: bool,
    ) -> Result<(), SandboxError> {
        let path = self.tls.join(file);
        let key = std::fs::read(&path).map_err(|error| disk::DiskError::new(&path, error))?;
        let cipher = openssl::symm::Cipher::aes_256_cbc();
        let encrypted = PKey::private_key_from_pem(&key).and_then(|key| {
            if traditional {
                rewrite::encrypt_traditional(&key, passphrase.as_bytes())
            } else {
                key.private_key_to_pem_pkcs8_passphrase(cipher, passphrase.as_bytes())
            }
        });
        self.write_key(file, &encrypted.map_err(crate::ca::CaError::from)?)
    }

    pub(super) fn copy(&self, from: &str, to: &str) -> Result<(), SandboxError> {
        let from = self.tls.join(from);
        let bytes = std::fs::read(&from).map_err(|error| disk::DiskError::new(&from, error))?;
        let meta = Meta::of(&from)?;
        Ok(disk::overwrite(&self.tls.join(to), &bytes, meta)?)
    }

    /// Root's own when the server is somebody else, and nobody's otherwise.
    pub(super) fn deny_server(&self, file: &str) -> Result<(), SandboxError> {
        let path = self.path(file);
        if path.is_dir() {
            let closed = if self.user.owner().is_some() { "0700" } else { "0000" };
            if self.user.owner().is_some() {
                std::os::unix::fs::chown(&path, Some(0), Some(0))
                    .map_err(|error| disk::DiskError::new(&path, error))?;
            }
            return self.chmod(file, closed);
        }
        let bytes = std::fs::read(&path).map_err(|error| disk::DiskError::new(&path, error))?;
        let mode = if self.user.owner().is_some() { 0o600 } else { 0o000 };
        Ok(disk::overwrite(&path, &bytes, Meta::mode(mode))?)
    }

    /// In the form that the server understands: yaSSL knows PKCS#1 alone.
    fn key_pem(&self, key: &PKey<Private>) -> Result<zeroize::Zeroizing<Vec<u8>>, SandboxError> {
        let pem = match (self.series, key.rsa()) {
            (Series::MySql56, Ok(rsa)) => rsa.private_key_to_pem(),
            _ => key.private_key_to_pem_pkcs8(),
        };
        Ok(zeroize::Zeroizing::new(pem.map_err(crate::ca::CaError::from)?))
    }

    fn write_server(&mut self) -> Result<(), SandboxError> {
        let pem = self.key_pem(&self.server.key)?;
        self.write_key("server-key.pem", &pem)?;
        self.write("server-cert.pem", self.server.certificate_pem()?.as_bytes(), 0o644)
    }

    /// As a package would: root's, and readable to the server's group.
    fn write_key(&self, file: &str, bytes: &[u8]) -> Result<(), SandboxError> {
        self.write(file, bytes, if self.user.owner().is_some() { 0o640 } else { 0o600 })
    }

    fn write(&self, file: &str, bytes: &[u8], mode: u32) -> Result<(), SandboxError> {
        let group = |owner: disk::Owner| disk::Owner { uid: 0, ..owner };
        let meta = Meta { mode, owner: self.user.owner().map(group) };
        Ok(disk::overwrite(&self.tls.join(file), bytes, meta)?)
    }

    fn certificate(&mut self, holder: Holder) -> Result<X509, SandboxError> {
        Ok(match holder {
            Holder::Server => self.server.certificate.clone(),
            other => self.authority(other)?.certificate.clone(),
        })
    }

    fn authority(&mut self, holder: Holder) -> Result<&Authority, SandboxError> {
        match holder {
            Holder::Root => Ok(&self.root),
            Holder::Stranger => {
                if self.stranger.is_none() {
                    self.stranger = Some(Authority::create(&spec(
                        "Somebody Else",
                        "Somebody Else Root CA",
                        self.key_kind,
                    )?)?);
                }
                self.stranger.as_ref().ok_or_else(|| self.store_gone())
            }
            Holder::OldIssuing => {
                if self.old_issuing.is_none() {
                    self.old_issuing = Some(odd::rsa_authority(&self.root)?);
                }
                self.old_issuing.as_ref().ok_or_else(|| self.store_gone())
            }
            Holder::Policy | Holder::Other => {
                self.made.get(&holder).ok_or_else(|| self.store_gone())
            }
            Holder::Issuing | Holder::Server => Ok(self.store.authority()),
        }
    }

    fn store_gone(&self) -> SandboxError {
        crate::ca::CaError::NoStore { dir: self.store.dir().to_owned() }.into()
    }
}

fn spec(organization: &str, name: &str, key: KeyKind) -> Result<AuthoritySpec, SandboxError> {
    let subject = Subject::exact([("O", organization), ("CN", name)])?;
    Ok(AuthoritySpec { subject, key, validity: Validity::CA })
}

/// Every name under which this host may be reached by itself.
fn hosts() -> Vec<San> {
    let own = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let mut hosts: Vec<San> =
        ["localhost", "127.0.0.1", "::1"].iter().filter_map(|host| host.parse().ok()).collect();
    hosts.extend(own.and_then(|name| name.parse().ok()).filter(|own| !hosts.contains(own)));
    hosts
}

/// The folder's CA, as `--ca-dir` wants it.
pub(super) fn ca_dir(folder: &Path) -> PathBuf {
    folder.join("ca")
}
