//! What a scan found. Every text in it is printable, and it can be saved and compared.

use serde::{Deserialize, Serialize};

use super::force::InForce;
use super::hello::Protocol;
use super::policy::Verdict;
use crate::wire::{Greeting, Handshake};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    pub schema: u32,
    /// Seconds since 1970, UTC.
    pub at: i64,
    pub host: String,
    pub port: u16,
    /// The address that answered.
    pub address: String,
    pub greeting: Greeting,
    /// `None`: the greeting offers no TLS.
    pub tls: Option<TlsScan>,
    pub cost: Cost,
    /// By the server's own word; `None` without a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force: Option<InForce>,
    /// What could not be asked, and why; empty for a whole scan.
    pub left_out: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TlsScan {
    /// From the newest on; versions that nobody could ask about are missing.
    pub versions: Vec<VersionScan>,
    /// Key exchange groups, the server's favourite first.
    pub groups: Vec<String>,
    /// One of the groups withstands a quantum computer.
    pub post_quantum: bool,
    /// With which schemes it was seen to sign.
    pub signs_with: Vec<String>,
    /// What this host's library agreed on with it, and the chain; `None` where that failed.
    pub handshake: Option<Handshake>,
    /// Why it failed.
    pub handshake_failed: Option<String>,
    /// Faults under the CAs of this system; empty where it holds. `None`: no chain, or no such CAs.
    pub system_faults: Option<Vec<String>>,
    /// `None`: it does not say so in the clear (TLS 1.3).
    pub asks_certificate: Option<bool>,
    /// Subjects of the CAs it names for client certificates.
    pub client_cas: Vec<String>,
    /// Signature schemes it takes of client certificates.
    pub client_signatures: Vec<String>,
    /// Sessions are kept under a number (up to TLS 1.2).
    pub session_ids: Option<bool>,
    pub tickets: Option<bool>,
    pub compression: Option<bool>,
    /// RFC 5746; without it a client may be led into another's session.
    pub secure_renegotiation: Option<bool>,
    pub extended_master_secret: Option<bool>,
    /// The shortest prime of its own that it was seen to use.
    pub dh_bits: Option<usize>,
    pub policies: Vec<Verdict>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionScan {
    pub protocol: Protocol,
    pub offered: bool,
    /// In the server's order, where it has one.
    pub suites: Vec<SuiteSeen>,
    /// `server`, `client`, `unknown`: whose order of suites counts.
    pub order: String,
    /// Every suite was asked about.
    pub complete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteSeen {
    pub number: u16,
    /// As `ssl_cipher` takes it.
    pub name: String,
    pub iana: String,
}

/// What a scan cost the server and left behind in its books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    pub connections: u32,
    /// Given up before a login: each counts towards `max_connect_errors` where this host is no loopback.
    pub given_up: u32,
    /// Logins that set the count back to zero.
    pub resets: u32,
    pub milliseconds: u64,
}

impl TlsScan {
    pub fn version(&self, protocol: Protocol) -> Option<&VersionScan> {
        self.versions.iter().find(|version| version.protocol == protocol)
    }
}
