//! A private CA: for accounts that are to need *this* certificate and no other.
//!
//! Whoever trusts a public CA trusts everybody it ever certified; `REQUIRE X509` under it lets in
//! half the world. A CA of one's own certifies one's own servers and accounts, and nobody else.
//!
//! [`Authority`] issues in memory; [`Store`] keeps a CA and what it issued as plain files. rcgen
//! builds the parts to be signed, OpenSSL makes the keys and signs, so there is one cryptography.

pub mod authority;
pub mod backup;
pub mod batch;
pub mod crl;
pub mod error;
pub mod files;
pub mod import;
pub mod key;
pub mod list;
pub mod name;
pub mod pack;
mod protect;
pub mod renew;
pub mod request;
pub mod rotate;
mod same_name;
mod sign;
pub mod store;
pub mod tree;
pub(crate) mod unsound;
pub mod watch;

pub use authority::{Authority, AuthoritySpec, ClientSpec, Issued, ServerSpec, Validity};
pub use error::{CaError, day};
pub use key::{KeyForm, KeyKind};
pub use name::{PlainName, San, Subject};
pub use store::{Catalog, Destination, Draft, Entry, Kind, Revoked, Store};
