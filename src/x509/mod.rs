//! Keys, certificates, chains and names, all read-only.
//!
//! What is kept of each is a plain, serialisable summary, so that facts saved on one machine can
//! be judged on another. OpenSSL does the parsing and the cryptography; what it cannot say (the
//! one-line name that servers compare, why a file is not the PEM it claims to be) is said here.

pub mod certificate;
pub mod chain;
pub(crate) mod der;
pub mod key;
pub mod name;
pub mod oneline;
pub mod pem;
pub mod plain;
#[cfg(test)]
pub mod testing;

pub use certificate::Certificate;
pub use key::{KeyAlgorithm, PrivateKey, PublicKey};
pub use name::Name;
pub use oneline::{OneLine, Unwritable};
