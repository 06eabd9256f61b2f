//! CAs as nobody should make them, and revocation lists: for the sandbox, which shows what comes of
//! it.

use openssl::x509::{X509, X509Crl};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, KeyIdMethod,
    KeyUsagePurpose, SerialNumber,
};
use time::OffsetDateTime;

use super::CaError;
use super::authority::{Authority, AuthoritySpec, ca_params, serial};
use super::key::{Certified, Signing};

/// What is the matter with a CA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsound {
    /// Whether it says that it is a CA.
    pub ca: bool,
    /// Whether its key usage lets it sign certificates.
    pub may_sign: bool,
    /// How many further CAs there may be below it.
    pub path_length: Option<u8>,
}

impl Unsound {
    /// Makes a CA with these faults, below another or as a root.
    pub(crate) fn make(
        self,
        spec: &AuthoritySpec,
        by: Option<&Authority>,
    ) -> Result<Authority, CaError> {
        let key = spec.key.generate()?;
        let issuer = by.map(|by| by.certificate.as_ref());
        let mut params = ca_params(spec, &Certified::new(&key)?, issuer)?;
        self.apply(&mut params);
        let certificate = match by {
            Some(by) => by.sign(&params, &key)?,
            None => X509::from_der(params.self_signed(&Signing::new(&key)?)?.der())?,
        };
        let chain = by.map(Authority::path).unwrap_or_default();
        Ok(Authority { certificate, key, chain })
    }

    fn apply(self, params: &mut CertificateParams) {
        params.is_ca = match (self.ca, self.path_length) {
            (false, _) => IsCa::ExplicitNoCa,
            (true, None) => IsCa::Ca(BasicConstraints::Unconstrained),
            (true, Some(length)) => IsCa::Ca(BasicConstraints::Constrained(length)),
        };
        if !self.may_sign {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        }
    }
}

impl Authority {
    /// Its list of revoked certificates, none, valid from and until these seconds since 1970.
    pub(crate) fn crl(&self, this_update: i64, next_update: i64) -> Result<X509Crl, CaError> {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| CaError::Dates);
        let identifier = self.certificate.subject_key_id().map(|id| id.as_slice().to_vec());
        let list = CertificateRevocationListParams {
            this_update: at(this_update)?,
            next_update: at(next_update)?,
            crl_number: SerialNumber::from(serial()?),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::PreSpecified(identifier.unwrap_or_default()),
        };
        Ok(X509Crl::from_der(list.signed_by(&self.issuer()?)?.der())?)
    }
}
