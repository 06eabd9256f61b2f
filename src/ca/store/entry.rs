//! What the list says of a certificate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ca::crl::Reason;
use crate::x509::{Certificate, OneLine, PublicKey};

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
    /// The kind of its key: `EC P-256`; empty in lists of earlier versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Where certificate, key and CA lie: certificate first, relative to the store or absolute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
    /// Whether those are the very files that a server reads.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deployed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
    /// Serial of the certificate in whose place it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// Serial of the certificate that was issued in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// It was signed and never handed out: its files could not be written, and its key is no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Server,
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Seconds since 1970, UTC.
    pub at: i64,
    pub reason: Reason,
}

/// A certificate that the CA issued with another tool and that was revoked here: no more is known
/// of it, so it stays in the list of what is revoked for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Upper-case hexadecimal, as OpenSSL writes numbers.
    pub serial: String,
    #[serde(flatten)]
    pub revoked: Revoked,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

impl Entry {
    pub(in crate::ca) fn new(certificate: &Certificate, kind: Kind, names: Vec<String>) -> Self {
        Self {
            serial: certificate.serial.clone(),
            subject: certificate.subject.oneline(OneLine::OpenSsl3),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            sha256: certificate.sha256.clone(),
            key: certificate.public_key.as_ref().map(PublicKey::describe).unwrap_or_default(),
            ..Self::empty(kind, names)
        }
    }

    /// One of which nothing is known yet.
    pub(in crate::ca) fn empty(kind: Kind, names: Vec<String>) -> Self {
        Self {
            serial: String::new(),
            kind,
            subject: String::new(),
            names,
            not_before: 0,
            not_after: 0,
            sha256: String::new(),
            key: String::new(),
            files: Vec::new(),
            deployed: false,
            revoked: None,
            instead_of: None,
            replaced_by: None,
            dropped: false,
        }
    }

    /// Whether it is the one in use: neither revoked nor replaced, and handed out.
    pub fn is_current(&self) -> bool {
        self.revoked.is_none() && self.replaced_by.is_none() && !self.dropped
    }

    /// An entry for a certificate of which only the file is left.
    pub(super) fn found(certificate: &Certificate) -> Self {
        let server = certificate.purposes.is_some_and(|purposes| purposes.server)
            || !certificate.host_names().is_empty() && certificate.purposes.is_none();
        let (kind, names) = if server {
            let addresses = certificate.ip_addresses.iter().map(ToString::to_string);
            let names = certificate.dns_names.iter().cloned().chain(addresses).collect();
            (Kind::Server, names)
        } else {
            (Kind::Client, vec![certificate.subject.short()])
        };
        Self::new(certificate, kind, names)
    }
}
