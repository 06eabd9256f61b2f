//! The MySQL protocol up to login, over our own TLS stream.
//!
//! This shows what a client really meets: what the greeting offers, which certificates are
//! presented, and whether they hold under exactly the CA given. Logins made here prove what an
//! account requires. The only query it ever sends asks which account answered.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::facts::{Flavor, Version};
use crate::x509::Certificate;
use crate::x509::chain::VerifyFault;

mod auth;
mod bridge;
mod endpoint;
mod error;
mod flight;
pub(crate) mod greeting;
mod identity;
mod login;
pub(crate) mod packet;
mod probe;
mod raw;
pub(crate) mod stream;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tls;

pub use bridge::{Bridge, Secured};
pub use endpoint::{Endpoint, EndpointError};
pub use error::WireError;
pub(crate) use error::alert_name;
pub(crate) use flight::{CertificateRequest, From, Said};
pub use identity::{ClientIdentity, IdentityError};
pub use login::{Login, Outcome, Tls, Trace, login, traced_login};
pub use probe::{Contact, contact, probe};
pub(crate) use raw::{Carried, CarriedTls, GivenUp, Opening, Shaken, carried, hello, shaken};
pub(crate) use tls::Exactly;
pub use tls::Trust;

/// How long one exchange may take, whatever the other end does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For finding the address and connecting to it.
    pub connect: Duration,
    /// For all of it, that included: no drip of bytes stretches it.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(10) }
    }
}

/// How far an exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Resolve,
    Connect,
    Greeting,
    Handshake,
    Login,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "look up the name",
            Self::Connect => "connect",
            Self::Greeting => "read the greeting",
            Self::Handshake => "TLS handshake",
            Self::Login => "log in",
        })
    }
}

/// What a client sees from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireFacts {
    /// As it was asked for.
    pub host: String,
    pub port: u16,
    pub greeting: Greeting,
    pub tls: TlsOffer,
}

/// The first packet a server sends (Protocol::HandshakeV10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The version text as sent, made printable; cut short where no version is so long.
    pub version_text: String,
    pub flavor: Flavor,
    /// `None` when the text holds no version.
    pub version: Option<Version>,
    /// Whether the server says that it speaks TLS (`CLIENT_SSL`).
    pub offers_tls: bool,
    pub auth_plugin: String,
}

impl Greeting {
    /// `MariaDB 10.11.19`; the text as sent where it holds no version.
    pub fn describe(&self) -> String {
        match self.version {
            Some(version) => format!("{} {version}", self.flavor.name()),
            None => self.version_text.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsOffer {
    /// The greeting lacks `CLIENT_SSL`.
    NotOffered,
    /// It was offered, and the handshake failed.
    Failed {
        reason: String,
    },
    Established(Handshake),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Handshake {
    /// `TLSv1.3`
    pub version: String,
    /// OpenSSL's name of the cipher suite.
    pub cipher: String,
    /// As the server sent it, leaf first.
    pub chain: Vec<Certificate>,
    /// Every fault under exactly the CA given; empty when it is trusted, `None` without a CA.
    /// A wrong host name is not among them: see `name_matches`.
    pub faults: Option<Vec<VerifyFault>>,
    /// Whether the leaf is for the host that was asked for.
    pub name_matches: bool,
}
