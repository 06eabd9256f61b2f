//! Kinds of keys, and OpenSSL's keys as rcgen wants to see them.

use clap::ValueEnum;
use openssl::bn::BigNumContext;
use openssl::ec::{EcGroup, EcKey, PointConversionForm};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::CaError;
use crate::x509::PublicKey;

/// What kind of key to make. P-256 is the fastest, and every server takes it but those with yaSSL
/// (MySQL 5.6 and before), which take RSA alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum KeyKind {
    #[default]
    P256,
    P384,
    Ed25519,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

/// How a private key is written in PEM: `BEGIN PRIVATE KEY`, which OpenSSL reads whatever kind of key
/// is in it, or `BEGIN RSA PRIVATE KEY`, the one form that yaSSL reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lowercase")]
pub enum KeyForm {
    // said above and not here: the command line would print it, and its help is to fit a screen
    #[default]
    Pkcs8,
    Pkcs1,
}

impl KeyKind {
    /// Whether a key of this kind can be written so.
    pub fn can_be(self, form: KeyForm) -> bool {
        form == KeyForm::Pkcs8 || matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    /// Makes a key. RSA takes from a fraction of a second (2048) to seconds (4096).
    pub fn generate(self) -> Result<PKey<Private>, ErrorStack> {
        let ec =
            |curve| PKey::from_ec_key(EcKey::generate(EcGroup::from_curve_name(curve)?.as_ref())?);
        let rsa = |bits| PKey::from_rsa(Rsa::generate(bits)?);
        match self {
            Self::P256 => ec(Nid::X9_62_PRIME256V1),
            Self::P384 => ec(Nid::SECP384R1),
            Self::Ed25519 => PKey::generate_ed25519(),
            Self::Rsa2048 => rsa(2048),
            Self::Rsa3072 => rsa(3072),
            Self::Rsa4096 => rsa(4096),
        }
    }

    /// For people, in the words of [`PublicKey::describe`].
    pub fn describe(self) -> &'static str {
        match self {
            Self::P256 => "EC P-256",
            Self::P384 => "EC P-384",
            Self::Ed25519 => "Ed25519",
            Self::Rsa2048 => "RSA 2048",
            Self::Rsa3072 => "RSA 3072",
            Self::Rsa4096 => "RSA 4096",
        }
    }
}

/// Why a key made elsewhere is no good: OpenSSL refuses RSA below 2048 bits at its usual level.
pub(super) fn too_weak<T: HasPublic>(key: &PKeyRef<T>) -> Option<String> {
    let weak = matches!(key.id(), Id::RSA | Id::RSA_PSS) && key.bits() < 2048;
    weak.then(|| {
        format!("its key, RSA with {} bits, is refused by today's servers and clients", key.bits())
    })
}

/// The public half of an OpenSSL key, for rcgen to certify.
pub(super) struct Certified {
    /// The content of the `subjectPublicKey` bit string (RFC 5280 §4.1.2.7).
    bits: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
}

impl Certified {
    pub(super) fn new<T: HasPublic>(key: &PKeyRef<T>) -> Result<Self, CaError> {
        let algorithm = match (key.id(), key.bits()) {
            (Id::RSA, _) => &rcgen::PKCS_RSA_SHA256,
            (Id::ED25519, _) => &rcgen::PKCS_ED25519,
            (Id::EC, 256) => &rcgen::PKCS_ECDSA_P256_SHA256,
            (Id::EC, 384) => &rcgen::PKCS_ECDSA_P384_SHA384,
            _ => {
                let what = PublicKey::from_openssl(key).describe();
                return Err(CaError::UnusableKey { what });
            }
        };
        let bits = match key.id() {
            Id::RSA => key.rsa()?.public_key_to_der_pkcs1()?,
            Id::ED25519 => key.raw_public_key()?,
            _ => {
                let (key, form) = (key.ec_key()?, PointConversionForm::UNCOMPRESSED);
                let curve = key.group().curve_name();
                if !matches!(curve, Some(Nid::X9_62_PRIME256V1 | Nid::SECP384R1)) {
                    return Err(CaError::UnusableKey { what: "an unusual curve".to_owned() });
                }
                key.public_key().to_bytes(key.group(), form, &mut *BigNumContext::new()?)?
            }
        };
        Ok(Self { bits, algorithm })
    }

    /// The private half as PKCS#8 (RFC 5958, RFC 5915 within it), as OpenSSL writes it. For P-256 it is
    /// put together here: OpenSSL 3 takes an eighth of the time for it that making and certifying the
    /// key takes.
    pub(super) fn pkcs8(&self, key: &PKeyRef<Private>) -> Result<Zeroizing<Vec<u8>>, CaError> {
        const LONG: usize = 32;
        const BEFORE_PRIVATE: &[u8] =
            b"\x30\x81\x87\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\
            \x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x6d\x30\x6b\x02\x01\x01\x04\x20";
        const BEFORE_PUBLIC: &[u8] = b"\xa1\x44\x03\x42\x00";
        if self.algorithm != &rcgen::PKCS_ECDSA_P256_SHA256 || self.bits.len() != 2 * LONG + 1 {
            return Ok(Zeroizing::new(key.private_key_to_pkcs8()?));
        }
        let length = BEFORE_PRIVATE.len() + LONG + BEFORE_PUBLIC.len() + self.bits.len();
        let number = Zeroizing::new(key.ec_key()?.private_key().to_vec_padded(32)?);
        let mut whole = Zeroizing::new(Vec::with_capacity(length));
        for part in [BEFORE_PRIVATE, &number[..], BEFORE_PUBLIC, &self.bits] {
            whole.extend_from_slice(part);
        }
        Ok(whole)
    }

    /// The key identifier: 160 bits of SHA-256 over the key (RFC 7093 §2, method 1).
    pub(super) fn identifier(&self) -> Vec<u8> {
        openssl::sha::sha256(&self.bits)[..20].to_vec()
    }
}

impl PublicKeyData for Certified {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

/// A private key that signs what rcgen built.
pub(super) struct Signing<'a> {
    key: &'a PKeyRef<Private>,
    public: Certified,
}

impl<'a> Signing<'a> {
    pub(super) fn new(key: &'a PKeyRef<Private>) -> Result<Self, CaError> {
        Ok(Self { key, public: Certified::new(key)? })
    }
}

impl PublicKeyData for Signing<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.public.algorithm()
    }
}

impl SigningKey for Signing<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let algorithm = self.algorithm();
        let sign = || {
            let mut signer = if algorithm == &rcgen::PKCS_ED25519 {
                Signer::new_without_digest(self.key)?
            } else if algorithm == &rcgen::PKCS_ECDSA_P384_SHA384 {
                Signer::new(MessageDigest::sha384(), self.key)?
            } else {
                Signer::new(MessageDigest::sha256(), self.key)?
            };
            signer.sign_oneshot_to_vec(message)
        };
        sign().map_err(|_: ErrorStack| rcgen::Error::RemoteKeyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_written_as_openssl_writes_it() {
        // often enough for numbers that begin with zeros
        for _ in 0..600 {
            let key = KeyKind::P256.generate().unwrap();
            let own = Certified::new(&key).unwrap().pkcs8(&key).unwrap();
            assert_eq!(*own, key.private_key_to_pkcs8().unwrap());
        }
        for kind in [KeyKind::P384, KeyKind::Ed25519, KeyKind::Rsa2048] {
            let key = kind.generate().unwrap();
            let own = Certified::new(&key).unwrap().pkcs8(&key).unwrap();
            assert_eq!(*own, key.private_key_to_pkcs8().unwrap());
        }
    }
}
