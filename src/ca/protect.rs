//! A CA's key as it lies on the disk: PKCS#8, plain or under a passphrase.

use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::{PKey, Private};
use openssl::symm::{Cipher, encrypt};
use zeroize::Zeroizing;

use super::CaError;
use crate::secret::Secret;
use crate::x509::der::encode;
use crate::x509::pem::{self, Defect};

/// As many as take a tenth of a second, and as OWASP's Password Storage Cheat Sheet asks of
/// PBKDF2-HMAC-SHA256. OpenSSL's own writer takes 2048, which a stolen file does not withstand.
const ITERATIONS: u32 = 600_000;

const SEQUENCE: u8 = 0x30;
const OBJECT: u8 = 0x06;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const NULL: [u8; 2] = [0x05, 0x00];
// RFC 8018, appendix A and B; RFC 3565 for AES
const PBES2: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const HMAC_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09];
const AES_256_CBC: [u8; 9] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];

/// What is to be written: PEM, encrypted when there is a passphrase (PBES2: PBKDF2 with SHA-256,
/// AES-256 in CBC mode), which every OpenSSL since 1.1.0 reads.
pub(super) fn to_pem(
    key: &PKey<Private>,
    passphrase: Option<&Secret>,
) -> Result<Zeroizing<Vec<u8>>, CaError> {
    let Some(passphrase) = passphrase else {
        return Ok(Zeroizing::new(key.private_key_to_pem_pkcs8()?));
    };
    let plain = Zeroizing::new(key.private_key_to_pkcs8()?);
    let (mut salt, mut vector, mut secret) = ([0; 16], [0; 16], Zeroizing::new([0; 32]));
    openssl::rand::rand_bytes(&mut salt)?;
    openssl::rand::rand_bytes(&mut vector)?;
    let text = passphrase.expose().as_bytes();
    pbkdf2_hmac(text, &salt, ITERATIONS as usize, MessageDigest::sha256(), &mut *secret)?;
    let sealed = encrypt(Cipher::aes_256_cbc(), &*secret, Some(&vector), &plain)?;

    let object = |identifier: &[u8]| encode(OBJECT, &[identifier]);
    let hash = encode(SEQUENCE, &[&object(&HMAC_SHA256), &NULL]);
    // its first byte is below 0x80, so it is positive as it stands
    let count = encode(INTEGER, &[&ITERATIONS.to_be_bytes()[1..]]);
    let derive = encode(SEQUENCE, &[&encode(OCTETS, &[&salt]), &count, &hash]);
    let derive = encode(SEQUENCE, &[&object(&PBKDF2), &derive]);
    let cipher = encode(SEQUENCE, &[&object(&AES_256_CBC), &encode(OCTETS, &[&vector])]);
    let scheme = encode(SEQUENCE, &[&derive, &cipher]);
    let scheme = encode(SEQUENCE, &[&object(&PBES2), &scheme]);
    let whole = encode(SEQUENCE, &[&scheme, &encode(OCTETS, &[&sealed])]);
    Ok(Zeroizing::new(pem_block("ENCRYPTED PRIVATE KEY", &whole).into_bytes()))
}

/// The key in a file's bytes: PKCS#8, PKCS#1 or SEC1, plain or encrypted in either form.
/// `Err(Ok(..))` when only the passphrase is missing or wrong.
pub(super) fn from_pem(
    bytes: &[u8],
    passphrase: Option<&Secret>,
) -> Result<PKey<Private>, Result<Locked, Defect>> {
    match (pem::private_key(bytes), passphrase) {
        (Ok(block), _) => Ok(block.key),
        (Err(Defect::Encrypted { .. }), None) => Err(Ok(Locked::NoPassphrase)),
        (Err(Defect::Encrypted { .. }), Some(passphrase)) => {
            let text = passphrase.expose().as_bytes();
            PKey::private_key_from_pem_passphrase(bytes, text).map_err(|_| Ok(Locked::Wrong))
        }
        (Err(other), _) => Err(Err(other)),
    }
}

/// Why an encrypted key stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Locked {
    NoPassphrase,
    Wrong,
}

/// PEM as RFC 7468 §2 wants it: lines of 64 characters.
pub(super) fn pem_block(label: &str, der: &[u8]) -> String {
    let encoded = Zeroizing::new(openssl::base64::encode_block(der));
    let mut text = String::with_capacity(encoded.len() + encoded.len() / 64 + 80);
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::KeyKind;

    #[test]
    fn a_passphrase_closes_and_opens_every_kind_of_key() {
        let right = Secret::new("correct horse");
        for kind in [KeyKind::P256, KeyKind::Ed25519, KeyKind::Rsa2048] {
            let key = kind.generate().unwrap();
            let pem = to_pem(&key, Some(&right)).unwrap();
            assert_eq!(from_pem(&pem, None).err(), Some(Ok(Locked::NoPassphrase)));
            assert_eq!(from_pem(&pem, Some(&Secret::new("x"))).err(), Some(Ok(Locked::Wrong)));
            assert!(from_pem(&pem, Some(&right)).unwrap().public_eq(&key));
        }
    }

    #[test]
    fn blocks_are_what_openssl_writes() {
        let key = KeyKind::P256.generate().unwrap();
        let theirs = key.private_key_to_pem_pkcs8().unwrap();
        let ours = pem_block("PRIVATE KEY", &key.private_key_to_pkcs8().unwrap());
        assert_eq!(ours.as_bytes(), theirs);
    }
}
