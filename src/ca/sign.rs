//! Signing what rcgen built, under the CA's name exactly as its certificate has it.
//!
//! rcgen keeps a name as a map from attribute to value, so that of `DC=com, DC=example` only one
//! `DC` is left, and a BMPString comes out as something else: a certificate whose issuer is not its
//! CA's subject to the byte verifies nowhere. So rcgen builds the parts with a name that stands for
//! the CA's; here the CA's own bytes take its place, and OpenSSL signs the whole.

use openssl::pkey::{PKeyRef, Private};
use openssl::x509::X509Ref;
use rcgen::{
    CertificateParams, CertificateRevocationListParams, DnType, Issuer, KeyIdMethod, PublicKeyData,
    SignatureAlgorithm, SigningKey,
};

use super::CaError;
use super::key::{Certified, Signing};
use crate::x509::der::{element, elements, encode};

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
/// Where the issuer stands in `TBSCertificate` (RFC 5280 §4.1), counted from 0.
const ISSUER: usize = 3;
const SUBJECT: usize = 5;
/// Where the issuer stands in `TBSCertList` (RFC 5280 §5.1), whose version is given.
const LIST_ISSUER: usize = 2;

/// A CA ready to sign: what is the same for everything that it signs, made once.
pub(super) struct Press<'a> {
    signing: Signing<'a>,
    /// Its subject as DER.
    name: Vec<u8>,
    identifier: Vec<u8>,
    issuer: Issuer<'static, Unsigned>,
}

impl<'a> Press<'a> {
    pub(super) fn new(certificate: &X509Ref, key: &'a PKeyRef<Private>) -> Result<Self, CaError> {
        let signing = Signing::new(key)?;
        let public = Certified::new(key)?;
        let mut stand_in = CertificateParams::default();
        stand_in.distinguished_name.push(DnType::CommonName, "the CA");
        let identifier = match certificate.subject_key_id() {
            Some(identifier) => identifier.as_slice().to_vec(),
            None => public.identifier(),
        };
        stand_in.key_identifier_method = KeyIdMethod::PreSpecified(identifier.clone());
        let issuer = Issuer::new(stand_in, Unsigned(public));
        Ok(Self { signing, name: certificate.subject_name().to_der()?, identifier, issuer })
    }

    /// Of its key, as it is to stand in what it signs.
    pub(super) fn identifier(&self) -> KeyIdMethod {
        KeyIdMethod::PreSpecified(self.identifier.clone())
    }

    /// Signs a certificate for this key; returns its DER.
    pub(super) fn certificate(
        &self,
        params: &CertificateParams,
        key: &Certified,
    ) -> Result<Vec<u8>, CaError> {
        let built = params.signed_by(key, &self.issuer)?;
        self.finish(built.der(), &[(ISSUER, &self.name)])
    }

    /// [`Self::certificate`] with a subject that is copied byte for byte.
    pub(super) fn certificate_named(
        &self,
        params: &CertificateParams,
        key: &Certified,
        subject: &[u8],
    ) -> Result<Vec<u8>, CaError> {
        let built = params.signed_by(key, &self.issuer)?;
        self.finish(built.der(), &[(ISSUER, &self.name), (SUBJECT, subject)])
    }

    /// Signs a list of revoked certificates; returns its DER.
    pub(super) fn list(
        &self,
        params: &CertificateRevocationListParams,
    ) -> Result<Vec<u8>, CaError> {
        let built = params.signed_by(&self.issuer)?;
        self.finish(built.der(), &[(LIST_ISSUER, &self.name)])
    }

    /// Puts each field given in its place, and signs.
    fn finish(&self, built: &[u8], fields: &[(usize, &[u8])]) -> Result<Vec<u8>, CaError> {
        let whole = element(built).ok_or(CaError::ForeignName)?;
        let mut parts = elements(whole.value);
        let (Some(body), Some(algorithm)) = (parts.next(), parts.next()) else {
            return Err(CaError::ForeignName);
        };
        let raw: Vec<Vec<u8>> = elements(body.value)
            .enumerate()
            .map(|(at, field)| match fields.iter().find(|(place, _)| *place == at) {
                Some((_, bytes)) => bytes.to_vec(),
                None => encode(field.tag, &[field.value]),
            })
            .collect();
        let raw: Vec<&[u8]> = raw.iter().map(Vec::as_slice).collect();
        let body = encode(SEQUENCE, &raw);
        let signature = encode(BIT_STRING, &[&[0], &self.signing.sign(&body)?]);
        let algorithm = encode(algorithm.tag, &[algorithm.value]);
        Ok(encode(SEQUENCE, &[&body, &algorithm, &signature]))
    }
}

/// Says how the CA signs, and leaves the signature empty: it is made once the name is in its place.
struct Unsigned(Certified);

impl PublicKeyData for Unsigned {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl SigningKey for Unsigned {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(Vec::new())
    }
}
