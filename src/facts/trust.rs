//! What the server trusts besides `ssl_ca`: the folder of `ssl_capath`, and the revocation lists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use openssl::x509::{X509, X509Crl};
use serde::{Deserialize, Serialize};

use super::{Origin, files};
use crate::x509::certificate::unix_seconds;
use crate::x509::pem;
use crate::x509::{Certificate, Name};

/// How many files of a folder are looked at.
const FOLDER_FILES: usize = 500;

/// The folder that `ssl_capath` names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaFolder {
    /// Absolute: a relative value counts from the data folder, as for the server.
    pub path: PathBuf,
    pub origin: Option<Origin>,
    /// What lies in it, each certificate once.
    pub entries: Vec<CaEntry>,
}

/// A certificate in a folder of CAs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaEntry {
    pub file: PathBuf,
    pub certificate: Certificate,
    /// Whether OpenSSL finds it: it looks for `HASH.N` alone, the hash being the subject's.
    pub hashed: bool,
}

/// A certificate revocation list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crl {
    pub issuer: Name,
    /// Seconds since 1970, UTC.
    pub this_update: i64,
    /// From when on it is refused, and with it every certificate of its issuer.
    pub next_update: Option<i64>,
    pub pem: String,
}

/// Revocation lists that lie near the server's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearbyCrls {
    pub path: PathBuf,
    pub crls: Vec<Crl>,
}

/// The public CAs as systems have them in one file.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];
/// What the administrator of this host added to them.
const ADDED: &str = "/usr/local/share/ca-certificates";

/// Which of these are in the system's bundle, and were not put there by the administrator.
pub fn public(certificates: &[Certificate]) -> Vec<usize> {
    if certificates.is_empty() {
        return Vec::new();
    }
    let text = |path: &Path| {
        files::bytes(path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    };
    let bundle = BUNDLES.iter().map(|path| text(Path::new(path))).find(|text| !text.is_empty());
    let Some(bundle) = bundle else { return Vec::new() };
    let added: String = std::fs::read_dir(ADDED)
        .into_iter()
        .flatten()
        .flatten()
        .take(FOLDER_FILES)
        .map(|entry| text(&entry.path()))
        .collect();
    // All are written alike, in lines of 64: what stands between the marks is enough to find one.
    let body = |pem: &str| {
        let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        lines.join("\n")
    };
    let is_public = |certificate: &Certificate| {
        let body = body(&certificate.pem);
        !body.is_empty() && bundle.contains(&body) && !added.contains(&body)
    };
    (0..certificates.len()).filter(|at| is_public(&certificates[*at])).collect()
}

impl CaFolder {
    /// Those that the server finds.
    pub fn trusted(&self) -> impl Iterator<Item = &Certificate> {
        self.entries.iter().filter(|entry| entry.hashed).map(|entry| &entry.certificate)
    }
}

impl Crl {
    fn from_openssl(crl: &X509Crl) -> Self {
        Self {
            issuer: Name::from_openssl(crl.issuer_name()),
            this_update: unix_seconds(crl.last_update()),
            next_update: crl.next_update().map(unix_seconds),
            pem: crl
                .to_pem()
                .map_or_else(|_| String::new(), |pem| String::from_utf8_lossy(&pem).into_owned()),
        }
    }

    /// Whether it names this certificate.
    pub fn revokes(&self, certificate: &Certificate) -> bool {
        let (Some(own), Ok(crl)) =
            (certificate.to_openssl(), X509Crl::from_pem(self.pem.as_bytes()))
        else {
            return false;
        };
        self.issuer == certificate.issuer
            && matches!(crl.get_by_cert(&own), openssl::x509::CrlStatus::Revoked(_))
    }

    /// Whether this CA made it: by name and signature.
    pub fn is_of(&self, ca: &Certificate) -> bool {
        if self.issuer != ca.subject {
            return false;
        }
        let key = ca.to_openssl().and_then(|ca| ca.public_key().ok());
        let (Some(key), Ok(crl)) = (key, X509Crl::from_pem(self.pem.as_bytes())) else {
            return false;
        };
        crl.verify(&key).unwrap_or(false)
    }
}

/// The certificates of a folder, and which of them OpenSSL finds there.
pub(super) fn folder(path: &Path, origin: Option<Origin>) -> CaFolder {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .take(FOLDER_FILES)
        .collect();
    paths.sort();
    let mut found = BTreeSet::new();
    let mut all: Vec<(PathBuf, Certificate)> = Vec::new();
    for file in paths {
        let Ok(x509s) = files::bytes(&file).and_then(|bytes| pem::certificates(&bytes)) else {
            continue;
        };
        for x509 in &x509s {
            let certificate = Certificate::from_openssl(x509);
            if is_hash_of(&file, x509) {
                found.insert(certificate.sha256.clone());
            }
            if !all.iter().any(|(_, known)| known.sha256 == certificate.sha256) {
                all.push((file.clone(), certificate));
            }
        }
    }
    let entries = all.into_iter().map(|(file, certificate)| {
        let hashed = found.contains(&certificate.sha256);
        CaEntry { file, certificate, hashed }
    });
    CaFolder { path: path.to_owned(), origin, entries: entries.collect() }
}

fn is_hash_of(file: &Path, x509: &X509) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let number = name.strip_prefix(&format!("{:08x}.", x509.subject_name_hash()));
    number.is_some_and(|number| number.parse::<u16>().is_ok())
}

/// Every revocation list of a PEM file.
pub(crate) fn crls(bytes: &[u8]) -> Vec<Crl> {
    const BEGIN: &str = "-----BEGIN X509 CRL-----";
    const END: &str = "-----END X509 CRL-----";
    let text = String::from_utf8_lossy(bytes);
    // What comes after the last END is no block; of two BEGINs before an END, the first is cut off.
    let ended = text.split_inclusive(END).filter(|part| part.ends_with(END));
    let blocks = ended.filter_map(|part| {
        let start = part.rfind(BEGIN)?;
        X509Crl::from_pem(&part.as_bytes()[start..]).ok()
    });
    blocks.map(|crl| Crl::from_openssl(&crl)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::testing;

    #[test]
    fn a_folder_is_read_by_its_hash_names_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (testing::root("One").certificate, testing::root("Two").certificate);
        let write = |name: &str, x509: &X509| {
            std::fs::write(dir.path().join(name), x509.to_pem().unwrap()).unwrap();
        };
        write("one.pem", &one);
        write(&format!("{:08x}.0", one.subject_name_hash()), &one);
        write("two.pem", &two);
        write(&format!("{:08x}.old", two.subject_name_hash()), &two);
        let folder = folder(dir.path(), None);
        let hashed: Vec<_> =
            folder.entries.iter().map(|e| (e.certificate.subject.short(), e.hashed)).collect();
        assert_eq!(hashed.len(), 2);
        assert!(hashed.contains(&("One".into(), true)) && hashed.contains(&("Two".into(), false)));
        assert_eq!(folder.trusted().count(), 1);
    }

    #[test]
    fn a_list_names_what_its_ca_revoked_and_no_other() {
        use crate::ca::crl::{Edition, Reason, RevokedSerial};
        use crate::ca::{Authority, AuthoritySpec, KeyKind, Validity};
        let make = |name: &str| Authority::create(&AuthoritySpec::named(&name.parse().unwrap()));
        let (ca, other) = (make("One").unwrap(), make("Two").unwrap());
        let issue = |user: &str| {
            let spec = ca.client_spec(&user.parse().unwrap(), KeyKind::P256, Validity::LEAF);
            ca.issue_client(&spec.unwrap()).unwrap()
        };
        let (gone, stays) = (issue("gone"), issue("stays"));
        let serial = gone.certificate.serial_number().to_bn().unwrap().to_vec();
        let revoked = [RevokedSerial { serial, at: 1_800_000_000, reason: Reason::Superseded }];
        let edition = Edition { number: 1, this_update: 1_800_000_000, next_update: 1_900_000_000 };
        let list =
            |by: &Authority| Crl::from_openssl(&by.revocation_list(edition, &revoked).unwrap());
        assert!(list(&ca).revokes(&gone.summary()) && !list(&ca).revokes(&stays.summary()));
        assert!(!list(&other).revokes(&gone.summary()), "the same number of another CA");
    }

    #[test]
    fn broken_lists_are_no_lists() {
        for text in [
            "",
            "-----BEGIN X509 CRL-----\nAAAA\n",
            "-----BEGIN X509 CRL-----\n!!\n-----END X509 CRL-----",
        ] {
            assert_eq!(crls(text.as_bytes()), [], "{text}");
        }
    }
}
