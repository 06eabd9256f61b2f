//! Server certificates and keys that no CA of today would make, built by OpenSSL alone: what has
//! gone wrong on real servers went wrong with these.

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::dsa::Dsa;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, PKeyRef, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use serde::Deserialize;

use crate::ca::{Authority, Issued, KeyForm, KeyKind};

/// A certificate for the server in which something is odd; what is not said is as usual.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OddCertificate {
    /// By default of the kind that the sandbox uses on this server.
    pub key: Option<OddKey>,
    /// Subject alternative names, `DNS:db1` or `IP:10.0.0.1`; none at all when empty, those of
    /// this host when not said.
    pub names: Option<Vec<String>>,
    /// Extended key usages by OpenSSL's short names: `serverAuth`, `clientAuth`, `emailProtection`.
    pub purposes: Option<Vec<String>>,
    pub digest: Digest,
    /// Of version 1, which knows no extensions.
    pub version1: bool,
    /// It says that it is a CA.
    pub ca: bool,
}

/// A kind of key: of those mytls makes, or one of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OddKey {
    Usual(KeyKind),
    Odd(Odd),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Odd {
    Rsa1024,
    Dsa2048,
    Secp256k1,
    Ed448,
    /// RSA that signs with PSS alone.
    RsaPss2048,
}

/// What the signature is made over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    #[default]
    Sha256,
    Sha1,
    Md5,
}

impl OddKey {
    pub(super) fn generate(self) -> Result<PKey<Private>, ErrorStack> {
        match self {
            Self::Usual(kind) => kind.generate(),
            Self::Odd(Odd::Rsa1024) => PKey::from_rsa(Rsa::generate(1024)?),
            Self::Odd(Odd::Dsa2048) => PKey::from_dsa(Dsa::generate(2048)?),
            Self::Odd(Odd::Secp256k1) => {
                let group = EcGroup::from_curve_name(Nid::SECP256K1)?;
                PKey::from_ec_key(EcKey::generate(&group)?)
            }
            Self::Odd(Odd::Ed448) => PKey::generate_ed448(),
            Self::Odd(Odd::RsaPss2048) => {
                let mut context = PkeyCtx::new_id(Id::RSA_PSS)?;
                context.keygen_init()?;
                context.set_rsa_keygen_bits(2048)?;
                context.keygen()
            }
        }
    }
}

/// Issues it, with what is usual here where nothing is said.
pub(super) fn issue(
    odd: &OddCertificate,
    usual_key: KeyKind,
    by: &Authority,
    usual_names: &[String],
) -> Result<Issued, ErrorStack> {
    const DAY: i64 = 86_400;
    let key = odd.key.unwrap_or(OddKey::Usual(usual_key)).generate()?;
    let names = odd.names.as_deref().unwrap_or(usual_names);
    let mut subject = X509NameBuilder::new()?;
    subject.append_entry_by_nid(Nid::ORGANIZATIONNAME, "mytls sandbox")?;
    subject.append_entry_by_nid(Nid::COMMONNAME, "server")?;
    let subject = subject.build();
    let now = time::OffsetDateTime::now_utc().unix_timestamp();

    let mut builder = X509::builder()?;
    builder.set_version(if odd.version1 { 0 } else { 2 })?;
    let serial = serial()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(by.certificate.subject_name())?;
    builder.set_pubkey(&key)?;
    let (from, until) = (Asn1Time::from_unix(now - DAY)?, Asn1Time::from_unix(now + 365 * DAY)?);
    builder.set_not_before(&from)?;
    builder.set_not_after(&until)?;
    if !odd.version1 {
        extend(&mut builder, odd, by, names)?;
    }
    builder.sign(&by.key, digest(odd.digest, &by.key))?;
    Ok(Issued { certificate: builder.build(), key, key_form: KeyForm::default(), chain: by.path() })
}

/// The CA's name and key once more, signed by another CA.
pub(super) fn cross_sign(of: &Authority, by: &Authority) -> Result<X509, ErrorStack> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let serial = serial()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(of.certificate.subject_name())?;
    builder.set_issuer_name(by.certificate.subject_name())?;
    builder.set_pubkey(&of.key)?;
    builder.set_not_before(of.certificate.not_before())?;
    builder.set_not_after(of.certificate.not_after())?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
    identify(&mut builder, by)?;
    builder.sign(&by.key, digest(Digest::Sha256, &by.key))?;
    Ok(builder.build())
}

/// A CA beside `usual`, under the same root and with an RSA key: what MD5 can be signed with.
pub(super) fn rsa_authority(root: &Authority) -> Result<Authority, crate::ca::CaError> {
    let subject = crate::ca::Subject::exact([
        ("O", "mytls sandbox"),
        ("CN", "mytls sandbox old issuing CA"),
    ])?;
    root.issue_authority(&crate::ca::AuthoritySpec {
        subject,
        key: KeyKind::Rsa2048,
        validity: crate::ca::Validity::CA,
    })
}

fn extend(
    builder: &mut X509Builder,
    odd: &OddCertificate,
    by: &Authority,
    names: &[String],
) -> Result<(), ErrorStack> {
    let mut constraints = BasicConstraints::new();
    let mut usage = KeyUsage::new();
    constraints.critical();
    usage.critical().digital_signature();
    if odd.ca {
        constraints.ca();
        usage.key_cert_sign();
    }
    builder.append_extension(constraints.build()?)?;
    builder.append_extension(usage.build()?)?;
    let usual = ["serverAuth".to_owned()];
    let mut purposes = ExtendedKeyUsage::new();
    for purpose in odd.purposes.as_deref().unwrap_or(&usual) {
        purposes.other(purpose);
    }
    builder.append_extension(purposes.build()?)?;
    if !names.is_empty() {
        let mut alternative = SubjectAlternativeName::new();
        for name in names {
            match name.split_once(':') {
                Some(("IP", ip)) => alternative.ip(ip),
                Some(("DNS", dns)) => alternative.dns(dns),
                _ => alternative.dns(name),
            };
        }
        let context = builder.x509v3_context(Some(&by.certificate), None);
        let extension = alternative.build(&context)?;
        builder.append_extension(extension)?;
    }
    identify(builder, by)
}

/// The identifiers of its key and of its issuer's.
fn identify(builder: &mut X509Builder, by: &Authority) -> Result<(), ErrorStack> {
    let context = builder.x509v3_context(Some(&by.certificate), None);
    let own = SubjectKeyIdentifier::new().build(&context)?;
    let theirs = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
    builder.append_extension(own)?;
    builder.append_extension(theirs)
}

fn serial() -> Result<Asn1Integer, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(120, MsbOption::ONE, false)?;
    serial.to_asn1_integer()
}

fn digest(wanted: Digest, key: &PKeyRef<Private>) -> MessageDigest {
    match wanted {
        // these two sign the message itself
        Digest::Sha256 if matches!(key.id(), Id::ED25519) => MessageDigest::null(),
        Digest::Sha256 => MessageDigest::sha256(),
        Digest::Sha1 => MessageDigest::sha1(),
        Digest::Md5 => MessageDigest::md5(),
    }
}
