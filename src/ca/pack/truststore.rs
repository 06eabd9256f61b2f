//! `truststore.p12`: CAs that a Java program is to trust, as PKCS#12 (RFC 7292).
//!
//! Java takes a certificate of a PKCS#12 file for trusted only where it carries an attribute of
//! Oracle's, which OpenSSL's bindings cannot set: so this file is written here. Certificates are
//! no secret and stand in it as they are; what the password is for is the sum over them.

use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest};
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::x509::X509Ref;
use zeroize::Zeroizing;

use super::der::{self, bmp_string, explicit_0, octet_string, oid, sequence, set};
use super::{Form, ITERATIONS};
use crate::secret::Secret;

const PKCS7_DATA: &[u32] = &[1, 2, 840, 113_549, 1, 7, 1];
const CERTIFICATE_BAG: &[u32] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 3];
const X509_CERTIFICATE: &[u32] = &[1, 2, 840, 113_549, 1, 9, 22, 1];
const FRIENDLY_NAME: &[u32] = &[1, 2, 840, 113_549, 1, 9, 20];
/// Without it Java sees an empty store: `sun.security.pkcs12.PKCS12KeyStore`.
const TRUSTED_KEY_USAGE: &[u32] = &[2, 16, 840, 1, 113_894, 746_875, 1, 1];
const ANY_EXTENDED_KEY_USAGE: &[u32] = &[2, 5, 29, 37, 0];
const SHA1: &[u32] = &[1, 3, 14, 3, 2, 26];
const SHA256: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];

/// A store with these certificates as trusted entries, each under a name of its own.
pub fn truststore(
    certificates: &[impl AsRef<X509Ref>],
    password: &Secret,
    form: Form,
) -> Result<Vec<u8>, ErrorStack> {
    let mut bags = Vec::new();
    for (at, certificate) in certificates.iter().enumerate() {
        bags.push(bag(certificate.as_ref(), &format!("ca-{}", at + 1))?);
    }
    let bags: Vec<&[u8]> = bags.iter().map(Vec::as_slice).collect();
    let contents = sequence(&[&data(&sequence(&bags))]);

    let mut salt = [0; 16];
    openssl::rand::rand_bytes(&mut salt)?;
    let sum = sum(&contents, password, &salt, form)?;
    let algorithm = match form {
        Form::TripleDes => SHA1,
        Form::Aes256 => SHA256,
    };
    let algorithm = sequence(&[&oid(algorithm), der::NULL]);
    let mac = sequence(&[
        &sequence(&[&algorithm, &octet_string(&sum)]),
        &octet_string(&salt),
        &der::integer(ITERATIONS),
    ]);
    Ok(sequence(&[&der::integer(3), &data(&contents), &mac]))
}

/// `ContentInfo` of the type data (RFC 5652 §4).
fn data(contents: &[u8]) -> Vec<u8> {
    sequence(&[&oid(PKCS7_DATA), &explicit_0(&octet_string(contents))])
}

fn bag(certificate: &X509Ref, name: &str) -> Result<Vec<u8>, ErrorStack> {
    let der = octet_string(&certificate.to_der()?);
    let certificate = sequence(&[&oid(X509_CERTIFICATE), &explicit_0(&der)]);
    let name = sequence(&[&oid(FRIENDLY_NAME), &set(&[&bmp_string(name)])]);
    let trusted = sequence(&[&oid(TRUSTED_KEY_USAGE), &set(&[&oid(ANY_EXTENDED_KEY_USAGE)])]);
    Ok(sequence(&[&oid(CERTIFICATE_BAG), &explicit_0(&certificate), &set(&[&name, &trusted])]))
}

/// HMAC over the contents under a key made from the password (RFC 7292 §4 and appendix B.2).
fn sum(contents: &[u8], password: &Secret, salt: &[u8], form: Form) -> Result<Vec<u8>, ErrorStack> {
    let digest = match form {
        Form::TripleDes => MessageDigest::sha1(),
        Form::Aes256 => MessageDigest::sha256(),
    };
    let key = Zeroizing::new(mac_key(password, salt, digest)?);
    let key = PKey::hmac(&key)?;
    Signer::new(digest, &key)?.sign_oneshot_to_vec(contents)
}

/// As long as the digest: then the derivation ends with its first block.
fn mac_key(password: &Secret, salt: &[u8], digest: MessageDigest) -> Result<Vec<u8>, ErrorStack> {
    const BLOCK: usize = 64; // of SHA-1 and SHA-256
    const FOR_A_MAC: u8 = 3;
    let units = password.expose().encode_utf16().chain(Some(0));
    let password: Zeroizing<Vec<u8>> = Zeroizing::new(units.flat_map(u16::to_be_bytes).collect());
    let repeated = |bytes: &[u8]| -> Zeroizing<Vec<u8>> {
        let length = bytes.len().div_ceil(BLOCK) * BLOCK;
        Zeroizing::new(bytes.iter().copied().cycle().take(length).collect())
    };
    let mut hasher = Hasher::new(digest)?;
    hasher.update(&[FOR_A_MAC; BLOCK])?;
    hasher.update(&repeated(salt))?;
    hasher.update(&repeated(&password))?;
    let mut key = hasher.finish()?.to_vec();
    for _ in 1..ITERATIONS {
        hasher.update(&key)?;
        key = hasher.finish()?.to_vec();
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use openssl::pkcs12::Pkcs12;

    use super::*;
    use crate::ca::{Authority, AuthoritySpec};

    #[test]
    fn openssl_finds_the_sum_right_and_every_certificate() {
        let root = Authority::create(&AuthoritySpec::named(&"Root".parse().unwrap())).unwrap();
        let issuing = AuthoritySpec::named(&"Issuing".parse().unwrap());
        let path = root.issue_authority(&issuing).unwrap().path();
        for form in [Form::TripleDes, Form::Aes256] {
            for password in ["x", "correct horse", &"long ".repeat(20)] {
                let store = truststore(&path, &Secret::new(password), form).unwrap();
                let store = Pkcs12::from_der(&store).unwrap();
                let found = store.parse2(password).unwrap();
                let der = |ca: &X509Ref| ca.to_der().unwrap();
                let mut there: Vec<Vec<u8>> = found.ca.unwrap().iter().map(der).collect();
                let mut wanted: Vec<Vec<u8>> = path.iter().map(|ca| der(ca)).collect();
                there.sort();
                wanted.sort();
                assert_eq!(there, wanted);
                assert!(found.pkey.is_none());
                assert!(store.parse2(&format!("{password}.")).is_err(), "a wrong password");
            }
        }
    }

    #[test]
    fn every_certificate_says_that_it_is_trusted_for_everything() {
        let root = Authority::create(&AuthoritySpec::named(&"Root".parse().unwrap())).unwrap();
        let store = truststore(&root.path(), &Secret::new("x"), Form::TripleDes).unwrap();
        let attribute = sequence(&[&oid(TRUSTED_KEY_USAGE), &set(&[&oid(ANY_EXTENDED_KEY_USAGE)])]);
        assert!(store.windows(attribute.len()).any(|part| part == attribute));
    }
}
