//! The private key and the certificate: usable, readable, in date, and made for each other.

pub mod certificate_expired;
pub mod certificate_expiring;
pub mod certificate_unusable;
pub mod key_encrypted;
pub mod key_mismatch;
pub mod key_unreadable;
pub mod key_unusable;
