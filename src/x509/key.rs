//! Public and private keys, told apart by what they are rather than by their file's name.

use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKeyRef, Private};
use serde::{Deserialize, Serialize};

use super::certificate::{hex, hex_upper};

/// What kind of key it is, as OpenSSL and the servers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    Rsa,
    RsaPss,
    /// An elliptic curve key, with OpenSSL's name of the curve (`prime256v1`, `secp384r1`).
    Ec(String),
    Ed25519,
    Ed448,
    Dsa,
    /// OpenSSL's number for something else.
    Other(i32),
}

/// The public half: what a certificate certifies, and what a private key can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    pub algorithm: KeyAlgorithm,
    /// Size in bits: of the modulus for RSA, of the curve otherwise.
    pub bits: u32,
    /// SHA-256 over the DER `SubjectPublicKeyInfo`, in hexadecimal. Two keys belong together when
    /// these are equal, whatever their kind.
    pub spki_sha256: String,
    /// For RSA, the sum that `openssl x509 -noout -modulus | md5sum` prints, so that a DBA can
    /// check by hand.
    pub modulus_md5: Option<String>,
}

/// What is known of a private key. The key itself is never kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateKey {
    pub public: PublicKey,
    /// The label between the dashes: `PRIVATE KEY` is PKCS#8, `RSA PRIVATE KEY` is PKCS#1.
    pub label: String,
}

impl PublicKey {
    pub fn from_openssl<T: HasPublic>(key: &PKeyRef<T>) -> Self {
        let algorithm = match key.id() {
            Id::RSA => KeyAlgorithm::Rsa,
            Id::RSA_PSS => KeyAlgorithm::RsaPss,
            Id::EC => KeyAlgorithm::Ec(curve_name(key)),
            Id::ED25519 => KeyAlgorithm::Ed25519,
            Id::ED448 => KeyAlgorithm::Ed448,
            Id::DSA => KeyAlgorithm::Dsa,
            other => KeyAlgorithm::Other(other.as_raw()),
        };
        let modulus_md5 = key.rsa().ok().and_then(|rsa| {
            let line = format!("Modulus={}\n", hex_upper(&rsa.n().to_vec()));
            hash(MessageDigest::md5(), line.as_bytes()).ok().map(|sum| hex(&sum))
        });
        let spki = key.public_key_to_der().unwrap_or_default();
        Self {
            algorithm,
            bits: key.bits(),
            spki_sha256: hex(&openssl::sha::sha256(&spki)),
            modulus_md5,
        }
    }

    /// For people: `RSA 2048`, `P-256`, `Ed25519`.
    pub fn describe(&self) -> String {
        match &self.algorithm {
            KeyAlgorithm::Rsa => format!("RSA {}", self.bits),
            KeyAlgorithm::RsaPss => format!("RSA-PSS {}", self.bits),
            KeyAlgorithm::Ec(curve) => match curve.as_str() {
                "prime256v1" => "EC P-256".to_owned(),
                "secp384r1" => "EC P-384".to_owned(),
                "secp521r1" => "EC P-521".to_owned(),
                other => format!("EC {other}"),
            },
            KeyAlgorithm::Ed25519 => "Ed25519".to_owned(),
            KeyAlgorithm::Ed448 => "Ed448".to_owned(),
            KeyAlgorithm::Dsa => format!("DSA {}", self.bits),
            KeyAlgorithm::Other(id) => format!("key type {id}"),
        }
    }
}

impl PrivateKey {
    pub fn from_openssl(key: &PKeyRef<Private>, label: &str) -> Self {
        Self { public: PublicKey::from_openssl(key), label: label.to_owned() }
    }
}

fn curve_name<T: HasPublic>(key: &PKeyRef<T>) -> String {
    let nid = key.ec_key().ok().and_then(|ec| ec.group().curve_name());
    nid.unwrap_or(Nid::UNDEF).short_name().unwrap_or("unnamed curve").to_owned()
}
