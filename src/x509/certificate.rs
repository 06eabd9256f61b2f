//! What a certificate says, as a plain summary.

use std::fmt::Write as _;
use std::net::IpAddr;

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::hash::MessageDigest;
use openssl::x509::{X509, X509ExtendedKeyUsage, X509KeyUsage, X509Ref};
use serde::{Deserialize, Serialize};

use super::{Name, PublicKey, der};

/// A certificate's fields. `pem` holds the whole, so that nothing is lost when facts are saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// As people count: 3 today, 1 for certificates that know no extensions.
    #[serde(default = "three")]
    pub version: i32,
    pub subject: Name,
    pub issuer: Name,
    /// Upper-case hexadecimal, as `openssl x509 -serial` prints it.
    pub serial: String,
    /// Seconds since 1970, UTC; the first second in which it is valid.
    pub not_before: i64,
    /// Seconds since 1970, UTC; the last second in which it is valid.
    pub not_after: i64,
    /// `None` when OpenSSL cannot read the key (an algorithm it does not know).
    pub public_key: Option<PublicKey>,
    /// OpenSSL's name, such as `ecdsa-with-SHA256`.
    pub signature_algorithm: String,
    /// DNS names of the subject alternative name extension.
    pub dns_names: Vec<String>,
    /// IP addresses of the subject alternative name extension.
    pub ip_addresses: Vec<IpAddr>,
    /// What the basic constraints extension says; `None` when there is no such extension.
    pub is_ca: Option<bool>,
    pub path_length: Option<u32>,
    /// `None`: no key usage extension, so any use. Otherwise whether it may sign certificates.
    pub may_sign_certificates: Option<bool>,
    /// `None`: no extended key usage extension, so any purpose.
    pub purposes: Option<Purposes>,
    /// SHA-256 over the DER, lower-case hexadecimal.
    pub sha256: String,
    /// Whether its own key made its signature.
    pub self_signed: bool,
    pub pem: String,
}

/// The extended key usages that matter to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purposes {
    pub server: bool,
    pub client: bool,
}

impl Certificate {
    pub fn from_openssl(x509: &X509Ref) -> Self {
        let key = x509.public_key().ok();
        let names = x509.subject_alt_names();
        let names = || names.iter().flatten();
        Self {
            version: x509.version() + 1,
            subject: Name::from_openssl(x509.subject_name()),
            issuer: Name::from_openssl(x509.issuer_name()),
            serial: x509
                .serial_number()
                .to_bn()
                .map_or_else(|_| "?".into(), |n| hex_upper(&n.to_vec())),
            not_before: unix_seconds(x509.not_before()),
            not_after: unix_seconds(x509.not_after()),
            self_signed: key.as_ref().is_some_and(|key| x509.verify(key).unwrap_or(false)),
            public_key: key.map(|key| PublicKey::from_openssl(&key)),
            signature_algorithm: x509.signature_algorithm().object().to_string(),
            dns_names: names().filter_map(|name| name.dnsname().map(str::to_owned)).collect(),
            ip_addresses: names().filter_map(|name| ip_address(name.ipaddress()?)).collect(),
            is_ca: x509.to_der().ok().and_then(|der| basic_constraints(&der)),
            path_length: x509.pathlen(),
            may_sign_certificates: x509
                .key_usage()
                .map(|usage| usage.contains(X509KeyUsage::KEY_CERT_SIGN)),
            purposes: x509.extended_key_usage().map(|usage| Purposes {
                server: usage.contains(X509ExtendedKeyUsage::SSL_SERVER),
                client: usage.contains(X509ExtendedKeyUsage::SSL_CLIENT),
            }),
            sha256: x509.digest(MessageDigest::sha256()).map_or_else(|_| "?".into(), |d| hex(&d)),
            pem: x509
                .to_pem()
                .map_or_else(|_| String::new(), |pem| String::from_utf8_lossy(&pem).into_owned()),
        }
    }

    /// The certificate itself again; `None` for facts whose `pem` somebody edited.
    pub fn to_openssl(&self) -> Option<X509> {
        X509::from_pem(self.pem.as_bytes()).ok()
    }

    /// Subject and issuer are the same name: a root, or something that looks like one.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether the key of this private key (or certificate) is the one certified here.
    pub fn certifies(&self, key: &PublicKey) -> bool {
        self.public_key.as_ref().is_some_and(|own| own.spki_sha256 == key.spki_sha256)
    }

    /// Whether the other's key made this one's signature; names are not looked at.
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        let (Some(own), Some(issuer)) = (self.to_openssl(), issuer.to_openssl()) else {
            return false;
        };
        issuer.public_key().is_ok_and(|key| own.verify(&key).unwrap_or(false))
    }

    /// All names a client may type to reach the server, DNS names first.
    pub fn host_names(&self) -> Vec<String> {
        let dns = self.dns_names.iter().map(|name| crate::printable::printable(name).into_owned());
        dns.chain(self.ip_addresses.iter().map(IpAddr::to_string)).collect()
    }
}

fn three() -> i32 {
    3
}

/// Seconds since 1970; the certificate's own clock knows no fractions.
pub fn unix_seconds(time: &Asn1TimeRef) -> i64 {
    let diff = Asn1Time::from_unix(0).and_then(|epoch| epoch.diff(time));
    diff.map_or(0, |diff| i64::from(diff.days) * 86_400 + i64::from(diff.secs))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}"); // writing to a String cannot fail
        out
    })
}

/// Upper-case hexadecimal, as OpenSSL prints numbers.
pub fn hex_upper(bytes: &[u8]) -> String {
    hex(bytes).to_uppercase()
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// `cA` of the basic constraints extension (RFC 5280 §4.2.1.9); `None` without the extension.
fn basic_constraints(certificate: &[u8]) -> Option<bool> {
    const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13]; // 2.5.29.19
    const BOOLEAN: u8 = 0x01;
    let value = der::extension(certificate, BASIC_CONSTRAINTS)?;
    let first = der::elements(der::element(value)?.value).next();
    Some(first.is_some_and(|first| first.tag == BOOLEAN && first.value != [0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::testing;

    #[test]
    fn a_root_says_that_it_is_one() {
        let root = Certificate::from_openssl(&testing::root("Example Root").certificate);
        assert_eq!(root.is_ca, Some(true));
        assert!(root.self_signed && root.is_self_issued());
        assert_eq!(root.subject.display(), "CN=Example Root");
        assert_eq!(root.not_after - root.not_before, 86_400 * 365);
    }

    #[test]
    fn a_leaf_names_its_hosts_and_certifies_its_key_alone() {
        let root = testing::root("Example Root");
        let leaf = root.issue_server("db1.example");
        let summary = Certificate::from_openssl(&leaf.certificate);
        assert_eq!(summary.is_ca, Some(false));
        assert_eq!(summary.host_names(), ["db1.example", "127.0.0.1"]);
        assert!(summary.certifies(&PublicKey::from_openssl(&leaf.key)));
        assert!(!summary.certifies(&PublicKey::from_openssl(&root.key)));
        assert_eq!(
            summary.to_openssl().unwrap().to_der().unwrap(),
            leaf.certificate.to_der().unwrap()
        );
    }
}
