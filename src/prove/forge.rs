//! Certificates that must not be let in, each wrong in one thing only. They are made in memory,
//! for the key of the right one, and never leave this process but in a handshake.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, BigNumRef, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name, X509NameRef, X509Ref};
use thiserror::Error;

use crate::wire::ClientIdentity;
use crate::x509::Name;

/// Why a certificate could not be made.
#[derive(Debug, Error)]
pub enum ForgeError {
    #[error("the right certificate is missing")]
    NoLeaf,
    #[error("the CA at hand ({at_hand}) is not the one that issued the certificate ({issuer})")]
    NotTheIssuer { at_hand: String, issuer: String },
    #[error("the CA's key does not belong to the CA's certificate")]
    NotTheKey,
    #[error("OpenSSL could not make the certificate: {0}")]
    OpenSsl(#[from] ErrorStack),
}

/// Subject and issuer byte for byte as in the right certificate, from a CA made up for it.
pub fn other_ca(right: &ClientIdentity) -> Result<ClientIdentity, ForgeError> {
    let leaf = right.chain.first().ok_or(ForgeError::NoLeaf)?;
    let ca_key = key_like(&right.key)?;
    let issuer = leaf.issuer_name();
    let mut ca = begin(issuer, issuer, &ca_key, Validity::Now)?;
    ca.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    ca.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
    let identifier = SubjectKeyIdentifier::new().build(&ca.x509v3_context(None, None))?;
    ca.append_extension(identifier)?;
    let ca = finish(ca, &ca_key)?;
    let leaf = client(leaf.subject_name(), &ca, &ca_key, &right.key, Validity::Now, None)?;
    Ok(ClientIdentity { chain: vec![leaf, ca], key: right.key.clone() })
}

/// From the right CA, naming somebody who does not exist. It could log in where any certificate
/// of this CA will do, so it is good for an hour only.
pub fn other_subject(
    right: &ClientIdentity,
    ca: &X509Ref,
    ca_key: &PKeyRef<Private>,
) -> Result<ClientIdentity, ForgeError> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "mytls proof of another subject")?;
    from_right_ca(right, ca, ca_key, Some(&name.build()), Validity::Now, None)
}

/// From the right CA, for the right subject, and out of date for a month.
pub fn expired(
    right: &ClientIdentity,
    ca: &X509Ref,
    ca_key: &PKeyRef<Private>,
) -> Result<ClientIdentity, ForgeError> {
    from_right_ca(right, ca, ca_key, None, Validity::Past, None)
}

/// From the right CA, for the right subject, under a serial number that the CA has revoked.
pub fn revoked(
    right: &ClientIdentity,
    ca: &X509Ref,
    ca_key: &PKeyRef<Private>,
    serial: &BigNumRef,
) -> Result<ClientIdentity, ForgeError> {
    from_right_ca(right, ca, ca_key, None, Validity::Now, Some(serial))
}

fn from_right_ca(
    right: &ClientIdentity,
    ca: &X509Ref,
    ca_key: &PKeyRef<Private>,
    subject: Option<&X509NameRef>,
    validity: Validity,
    serial: Option<&BigNumRef>,
) -> Result<ClientIdentity, ForgeError> {
    let leaf = right.chain.first().ok_or(ForgeError::NoLeaf)?;
    let public = ca.public_key()?;
    if !public.public_eq(ca_key) {
        return Err(ForgeError::NotTheKey);
    }
    if !leaf.verify(&public).unwrap_or(false) {
        return Err(ForgeError::NotTheIssuer {
            at_hand: Name::from_openssl(ca.subject_name()).display(),
            issuer: Name::from_openssl(leaf.issuer_name()).display(),
        });
    }
    let subject = subject.unwrap_or(leaf.subject_name());
    let forged = client(subject, ca, ca_key, &right.key, validity, serial)?;
    let mut chain = right.chain.clone();
    chain[0] = forged;
    Ok(ClientIdentity { chain, key: right.key.clone() })
}

#[derive(Clone, Copy)]
enum Validity {
    /// From a day ago, for clocks that differ, to an hour from now.
    Now,
    /// Ended a month ago.
    Past,
}

fn client(
    subject: &X509NameRef,
    ca: &X509Ref,
    ca_key: &PKeyRef<Private>,
    key: &PKeyRef<Private>,
    validity: Validity,
    serial: Option<&BigNumRef>,
) -> Result<X509, ErrorStack> {
    let mut builder = begin(subject, ca.subject_name(), key, validity)?;
    if let Some(serial) = serial {
        builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    }
    builder.append_extension(BasicConstraints::new().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().client_auth().build()?)?;
    if ca.subject_key_id().is_some() {
        let context = builder.x509v3_context(Some(ca), None);
        let identifier = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
        builder.append_extension(identifier)?;
    }
    finish(builder, ca_key)
}

fn begin<K: HasPublic>(
    subject: &X509NameRef,
    issuer: &X509NameRef,
    key: &PKeyRef<K>,
    validity: Validity,
) -> Result<X509Builder, ErrorStack> {
    const HOUR: i64 = 3_600;
    const DAY: i64 = 24 * HOUR;
    let mut serial = BigNum::new()?;
    serial.rand(159, MsbOption::MAYBE_ZERO, false)?; // RFC 5280 §4.1.2.2: at most 20 octets
    let (from, to) = match validity {
        Validity::Now => (-DAY, HOUR),
        Validity::Past => (-60 * DAY, -30 * DAY),
    };
    let now = now();
    let mut builder = X509::builder()?;
    builder.set_version(2)?; // v3
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&*Asn1Time::from_unix(now + from)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(now + to)?)?;
    Ok(builder)
}

fn finish(mut builder: X509Builder, key: &PKeyRef<Private>) -> Result<X509, ErrorStack> {
    let digest = match key.id() {
        Id::ED25519 | Id::ED448 => MessageDigest::null(), // they hash for themselves
        _ => MessageDigest::sha256(),
    };
    builder.sign(key, digest)?;
    Ok(builder.build())
}

/// A new key of a kind that the server can read, since it reads the client's.
fn key_like(key: &PKeyRef<Private>) -> Result<PKey<Private>, ErrorStack> {
    match key.id() {
        Id::RSA | Id::RSA_PSS => PKey::from_rsa(Rsa::generate(2048)?),
        _ => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
            PKey::from_ec_key(EcKey::generate(&group)?)
        }
    }
}

fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    i64::try_from(since).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::chain::{Purpose, verify};
    use crate::x509::{Certificate, testing};

    fn right() -> (testing::Identity, ClientIdentity) {
        let root = testing::root("Proof Root");
        let leaf = root.issue_server("app");
        let identity = ClientIdentity { chain: vec![leaf.certificate], key: leaf.key };
        (root, identity)
    }

    #[test]
    fn the_other_ca_differs_in_nothing_but_its_key() {
        let (root, right) = right();
        let forged = other_ca(&right).unwrap();
        let names = |identity: &ClientIdentity| {
            let leaf = &identity.chain[0];
            [leaf.subject_name(), leaf.issuer_name()].map(|name| name.to_der().unwrap())
        };
        assert_eq!(names(&forged), names(&right));
        assert!(forged.belongs());
        let leaf = &forged.chain[0];
        let own = std::slice::from_ref(&forged.chain[1]);
        assert_eq!(verify(leaf, &[], own, Purpose::Client), Ok(()));
        assert!(verify(leaf, own, &[root.certificate], Purpose::Client).is_err());
    }

    #[test]
    fn the_right_ca_vouches_for_another_subject_and_for_the_past() {
        let (root, right) = right();
        let trusted = std::slice::from_ref(&root.certificate);
        let other = other_subject(&right, &root.certificate, &root.key).unwrap();
        assert_eq!(verify(&other.chain[0], &[], trusted, Purpose::Client), Ok(()));
        let summary = Certificate::from_openssl(&other.chain[0]);
        assert_ne!(summary.subject, Name::from_openssl(right.chain[0].subject_name()));
        assert!(summary.not_after < testing::now() + 2 * 3_600, "it is not good for long");

        let old = expired(&right, &root.certificate, &root.key).unwrap();
        let summary = Certificate::from_openssl(&old.chain[0]);
        assert_eq!(summary.subject, Name::from_openssl(right.chain[0].subject_name()));
        assert!(summary.not_after < testing::now());
        assert_eq!(verify(&old.chain[0], &[], trusted, Purpose::Client), Ok(()), "dates aside");
    }

    #[test]
    fn a_ca_that_did_not_issue_the_certificate_proves_nothing() {
        let (root, right) = right();
        let other = testing::root("Proof Root");
        let error = expired(&right, &other.certificate, &other.key).unwrap_err();
        assert!(matches!(error, ForgeError::NotTheIssuer { .. }), "{error}");
        let error = expired(&right, &root.certificate, &other.key).unwrap_err();
        assert!(matches!(error, ForgeError::NotTheKey), "{error}");
    }
}
