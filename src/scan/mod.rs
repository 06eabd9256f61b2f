//! What a server really offers, seen from outside: versions, cipher suites, groups, certificates.
//!
//! Others find out with a hundred unfinished connections, and get their own host shut out of the database:
//! each counts towards `max_connect_errors`. This one asks as few questions as there are answers
//! ([`eliminate`]), counts those that the server counts ([`budget`]), and stops before they do harm.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::wire::{Greeting, Handshake};

pub mod budget;
pub mod codes;
mod eliminate;
mod hello;
pub mod probe;
mod run;
pub mod show;

pub use budget::Budget;
pub use codes::Protocol;
pub use run::{How, ScanError, Told, scan};

/// Everything that was seen of one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// The version of this layout.
    pub schema: u32,
    /// When it began, in seconds since 1970 UTC.
    pub at: i64,
    pub host: String,
    pub port: u16,
    pub greeting: Greeting,
    /// `None`: it offers no TLS.
    pub tls: Option<TlsScan>,
    pub cost: Cost,
    /// What could not be found out, and why; printable sentences.
    pub unknown: Vec<String>,
}

/// What it offers once TLS is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TlsScan {
    /// What a client of today gets, with the chain.
    pub handshake: Handshake,
    /// Every version that was asked about, the oldest first.
    pub protocols: Vec<Offered>,
    /// Groups for the key exchange of TLS 1.3, in the order in which it chose them.
    pub groups: Vec<String>,
    /// Whether it goes by its own order of suites; `None` where that made no difference.
    pub own_order: Option<bool>,
    pub compression: bool,
    /// Sessions can be resumed: by tickets, by numbers.
    pub tickets: bool,
    pub session_ids: bool,
    /// RFC 5746.
    pub secure_renegotiation: Option<bool>,
    /// RFC 7627.
    pub extended_master_secret: Option<bool>,
    /// It asks for a client's certificate: from these CAs, or from any when there is none.
    pub client_certificate: Option<Vec<String>>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    pub version: Protocol,
    /// Empty: it is refused.
    pub suites: Vec<OfferedSuite>,
    /// Every suite was asked about; `false` where the search had to be given up.
    pub complete: bool,
}

/// A suite that it takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OfferedSuite {
    pub code: u16,
    /// Of the registry; `0x1234` where it has none.
    pub name: String,
    /// OpenSSL's, as `ssl_cipher` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openssl: Option<String>,
}

/// What the scan cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub connections: u32,
    /// Of these, such that count towards `max_connect_errors`, unless the client is on the server's host.
    pub unfinished: u32,
    pub seconds: f64,
}

impl OfferedSuite {
    fn of(code: u16) -> Self {
        let known = codes::suite(code);
        let name = known.map_or_else(|| format!("0x{code:04x}"), |suite| suite.name.to_owned());
        let openssl = known.and_then(|suite| suite.openssl).map(str::to_owned);
        Self { code, name, openssl }
    }
}

impl TlsScan {
    pub fn of(&self, version: Protocol) -> Option<&Offered> {
        self.protocols.iter().find(|offered| offered.version == version)
    }
}

/// Whether a server takes a client of this address for one of its own host, whose errors it does not
/// count: exactly these two (`sql/hostname_cache.cc`, `is_ip_loopback`).
pub fn is_exempt(address: IpAddr) -> bool {
    address == IpAddr::from([127, 0, 0, 1]) || address == IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])
}
