//! Small certificates for the unit tests of this and other rooms, made by OpenSSL alone.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

/// A certificate and its key.
pub struct Identity {
    pub certificate: X509,
    pub key: PKey<Private>,
}

/// A self-signed CA, valid from yesterday for a year.
pub fn root(cn: &str) -> Identity {
    let key = key();
    let certificate = build(&name(cn), &name(cn), &key, &key, |builder| {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    });
    Identity { certificate, key }
}

impl Identity {
    #[must_use]
    pub fn issue_ca(&self, cn: &str) -> Identity {
        self.issue(cn, |builder| {
            builder
                .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
                .unwrap();
        })
    }

    #[must_use]
    /// A server certificate for this DNS name and 127.0.0.1.
    pub fn issue_server(&self, cn: &str) -> Identity {
        self.issue(cn, |builder| {
            builder.append_extension(BasicConstraints::new().build().unwrap()).unwrap();
            let names = SubjectAlternativeName::new()
                .dns(cn)
                .ip("127.0.0.1")
                .build(&builder.x509v3_context(None, None))
                .unwrap();
            builder.append_extension(names).unwrap();
        })
    }

    fn issue(&self, cn: &str, extend: impl FnOnce(&mut X509Builder)) -> Identity {
        let key = key();
        let issuer = self.certificate.subject_name();
        let certificate = build(&name(cn), issuer, &key, &self.key, extend);
        Identity { certificate, key }
    }
}

fn build(
    subject: &X509Name,
    issuer: &openssl::x509::X509NameRef,
    key: &PKey<Private>,
    signer: &PKey<Private>,
    extend: impl FnOnce(&mut X509Builder),
) -> X509 {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    let now = now();
    builder.set_not_before(&Asn1Time::from_unix(now - 86_400).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now + 364 * 86_400).unwrap()).unwrap();
    extend(&mut builder);
    builder.sign(signer, MessageDigest::sha256()).unwrap();
    builder.build()
}

pub fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn name(cn: &str) -> X509Name {
    let mut builder = X509NameBuilder::new().unwrap();
    builder.append_entry_by_nid(Nid::COMMONNAME, cn).unwrap();
    builder.build()
}
