//! CAs as nobody should make them: for the sandbox, which shows what comes of it.

use openssl::x509::X509;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyUsagePurpose};

use super::CaError;
use super::authority::{Authority, AuthoritySpec, ca_params};
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
        let mut params = ca_params(spec, &Certified::new(&key)?, by)?;
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
