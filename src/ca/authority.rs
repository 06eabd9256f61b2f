//! A CA in memory, and what it issues.

use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Ref};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod,
    KeyUsagePurpose, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::key::{Certified, Signing};
use super::sign::Press;
use super::{CaError, KeyForm, KeyKind, PlainName, San, Subject};
use crate::secret::Secret;
use crate::x509::certificate::unix_seconds;
use crate::x509::{Certificate, KeyAlgorithm, PublicKey};

/// A CA: its certificate, its key, and the CAs above it.
#[derive(Clone)]
pub struct Authority {
    pub certificate: X509,
    pub key: PKey<Private>,
    /// Its issuer first, the root last; empty when it is a root itself.
    pub chain: Vec<X509>,
}

/// A certificate as it came from a CA, with its key.
#[derive(Clone)]
pub struct Issued {
    pub certificate: X509,
    pub key: PKey<Private>,
    pub key_form: KeyForm,
    /// The CA that issued it first, the root last.
    pub chain: Vec<X509>,
}

/// What a new CA is to be.
#[derive(Clone, Debug)]
pub struct AuthoritySpec {
    pub subject: Subject,
    pub key: KeyKind,
    pub validity: Validity,
}

/// What a server's certificate is to be.
#[derive(Clone, Debug)]
pub struct ServerSpec {
    pub subject: Subject,
    /// The names that clients type, at least one.
    pub sans: Vec<San>,
    pub key: KeyKind,
    pub key_form: KeyForm,
    pub validity: Validity,
    /// Also for connecting to other servers (replication, Galera, Group Replication).
    pub also_client: bool,
}

/// What an account's certificate is to be.
#[derive(Clone, Debug)]
pub struct ClientSpec {
    pub subject: Subject,
    pub key: KeyKind,
    pub validity: Validity,
}

/// From when until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// From five minutes ago (clocks differ) for this many days, but no longer than the CA and those
    /// above it.
    Days(u32),
    /// The same with the time told: seconds since 1970, UTC.
    From { now: i64, days: u32 },
    /// Exactly these, in seconds since 1970, both included; the CA's own dates are not looked at.
    Exact { not_before: i64, not_after: i64 },
}

impl Validity {
    /// Ten years, for a CA: its certificate has to be on every client.
    pub const CA: Self = Self::Days(3650);
    /// A year and a month, for what is issued.
    pub const LEAF: Self = Self::Days(397);
}

impl AuthoritySpec {
    /// The usual private CA: `CN=<name>`, P-256, ten years.
    pub fn named(name: &PlainName) -> Self {
        let subject = Subject::common_name(name);
        Self { subject, key: KeyKind::default(), validity: Validity::CA }
    }
}

impl Authority {
    /// Makes a root: a CA that signed itself.
    pub fn create(spec: &AuthoritySpec) -> Result<Self, CaError> {
        let key = spec.key.generate()?;
        let signing = Signing::new(&key)?;
        let params = ca_params(spec, &Certified::new(&key)?, None)?;
        let certificate = X509::from_der(params.self_signed(&signing)?.der())?;
        Ok(Self { certificate, key, chain: Vec::new() })
    }

    /// Makes a CA below this one, which can issue no further CAs (path length 0).
    pub fn issue_authority(&self, spec: &AuthoritySpec) -> Result<Self, CaError> {
        let key = spec.key.generate()?;
        let mut params = ca_params(spec, &Certified::new(&key)?, Some(self))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let certificate = self.sign(&params, &key)?;
        Ok(Self { certificate, key, chain: self.path() })
    }

    pub fn issue_server(&self, spec: &ServerSpec) -> Result<Issued, CaError> {
        self.issue_server_with(spec, |_| ())
    }

    /// As `openssl x509 -req` made certificates before OpenSSL 3.2: nothing in it says by which key
    /// it was signed. For the sandbox, which shows what comes of it.
    pub(crate) fn issue_server_without_authority_key(
        &self,
        spec: &ServerSpec,
    ) -> Result<Issued, CaError> {
        self.issue_server_with(spec, |params| params.use_authority_key_identifier_extension = false)
    }

    /// With a server's names, and good for clients only: no client that looks takes it for a server's.
    pub(crate) fn issue_server_for_clients_only(
        &self,
        spec: &ServerSpec,
    ) -> Result<Issued, CaError> {
        let clients = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue_server_with(spec, |params| params.extended_key_usages = clients)
    }

    fn issue_server_with(
        &self,
        spec: &ServerSpec,
        alter: impl FnOnce(&mut CertificateParams),
    ) -> Result<Issued, CaError> {
        if spec.sans.is_empty() {
            return Err(CaError::NoHost);
        }
        let key = spec.key.generate()?;
        let mut params = self.leaf_params(&spec.subject, spec.validity, &Certified::new(&key)?)?;
        params.subject_alt_names = spec.sans.iter().map(san).collect::<Result<_, CaError>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if spec.also_client {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        if PublicKey::from_openssl(&key).algorithm == KeyAlgorithm::Rsa {
            // for the RSA key exchange of TLS 1.2 clients that know nothing better
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        alter(&mut params);
        let certificate = self.sign(&params, &key)?;
        Ok(Issued { certificate, key, key_form: spec.key_form, chain: self.path() })
    }

    pub fn issue_client(&self, spec: &ClientSpec) -> Result<Issued, CaError> {
        let key = spec.key.generate()?;
        let mut params = self.leaf_params(&spec.subject, spec.validity, &Certified::new(&key)?)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = self.sign(&params, &key)?;
        Ok(Issued { certificate, key, key_form: KeyForm::default(), chain: self.path() })
    }

    /// The subject for something it issues: `O=<the CA's organization or name>, CN=<name>`.
    pub fn subject_for(&self, name: &PlainName) -> Result<Subject, CaError> {
        Ok(Self::subject_under(self.house().as_ref(), name))
    }

    pub(super) fn subject_under(house: Option<&PlainName>, name: &PlainName) -> Subject {
        house.map_or_else(|| Subject::common_name(name), |house| Subject::of(house, name))
    }

    /// The organization, or else the common name: what stands before the names it certifies.
    pub(super) fn house(&self) -> Option<PlainName> {
        let own = self.summary().subject;
        let of = |key| own.rdns.iter().flatten().find(|attribute| attribute.key == key);
        of("O").or_else(|| of("CN")).and_then(|house| house.text.parse().ok())
    }

    /// What a server certificate for these hosts usually is: named after the first of them.
    pub fn server_spec(
        &self,
        sans: &[San],
        key: KeyKind,
        validity: Validity,
    ) -> Result<ServerSpec, CaError> {
        let first = sans.first().ok_or(CaError::NoHost)?.to_string();
        // A common name has 64 characters at most; clients look at the alternative names anyway.
        let short = first.split('.').next().filter(|_| first.len() > PlainName::LONGEST);
        let subject = self.subject_for(&short.unwrap_or(&first).parse()?)?;
        let key_form = KeyForm::default();
        Ok(ServerSpec { subject, sans: sans.to_vec(), key, key_form, validity, also_client: false })
    }

    /// What the certificate of an account usually is.
    pub fn client_spec(
        &self,
        account: &PlainName,
        key: KeyKind,
        validity: Validity,
    ) -> Result<ClientSpec, CaError> {
        Ok(ClientSpec { subject: self.subject_for(account)?, key, validity })
    }

    /// What a client or server is to trust, and a server's `ssl_ca` is to hold: this CA and those
    /// above it. With the intermediates in it, MySQL 8.1 and later can check its own certificate.
    pub fn ca_pem(&self) -> Result<String, CaError> {
        pem(&self.path())
    }

    pub fn summary(&self) -> Certificate {
        Certificate::from_openssl(&self.certificate)
    }

    /// Itself first, the root last.
    pub fn path(&self) -> Vec<X509> {
        self.links().cloned().collect()
    }

    fn links(&self) -> impl Iterator<Item = &X509> {
        std::iter::once(&self.certificate).chain(&self.chain)
    }

    /// When it, or the first of those above it, expires, and nothing that it issued is taken any more:
    /// seconds since 1970, UTC.
    pub fn ends(&self) -> i64 {
        self.links().map(|ca| unix_seconds(ca.not_after())).min().unwrap_or(i64::MAX)
    }

    /// What everything that is no CA has.
    pub(super) fn leaf_params(
        &self,
        subject: &Subject,
        validity: Validity,
        key: &Certified,
    ) -> Result<CertificateParams, CaError> {
        let mut params = base_params(subject, validity, key, Some(self))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Ok(params)
    }

    pub(super) fn sign(
        &self,
        params: &CertificateParams,
        key: &PKey<Private>,
    ) -> Result<X509, CaError> {
        Ok(X509::from_der(&self.press()?.certificate(params, &Certified::new(key)?)?)?)
    }

    /// The very seconds of a validity under this CA.
    pub(super) fn exact(&self, validity: Validity) -> Result<Validity, CaError> {
        let (from, until) = dates(validity, Some(self))?;
        let (not_before, not_after) = (from.unix_timestamp(), until.unix_timestamp());
        Ok(Validity::Exact { not_before, not_after })
    }

    /// Itself, ready to sign.
    pub(super) fn press(&self) -> Result<Press<'_>, CaError> {
        Press::new(&self.certificate, &self.key)
    }
}

impl Issued {
    /// What goes into a server's `ssl_cert` or a client's `ssl-cert`: itself first, then the CAs
    /// above it but for the root, which the other side has to have anyway.
    pub fn certificate_pem(&self) -> Result<String, CaError> {
        let intermediates = self.chain.iter().filter(|ca| !is_root(ca)).cloned();
        pem(&std::iter::once(self.certificate.clone()).chain(intermediates).collect::<Vec<_>>())
    }

    /// The key in its form, unencrypted, as servers need it.
    pub fn key_pem(&self) -> Result<Secret, CaError> {
        let pem = match self.key_form {
            KeyForm::Pkcs8 => self.key.private_key_to_pem_pkcs8()?,
            KeyForm::Pkcs1 => self.key.rsa()?.private_key_to_pem()?,
        };
        Ok(Secret::new(String::from_utf8_lossy(&pem)))
    }

    /// The CAs to trust: see [`Authority::ca_pem`].
    pub fn ca_pem(&self) -> Result<String, CaError> {
        pem(&self.chain)
    }

    /// Whether it lives as long as its CA and no longer: it was to live longer.
    pub fn ends_with_ca(&self) -> bool {
        let until = unix_seconds(self.certificate.not_after());
        self.chain.iter().any(|ca| unix_seconds(ca.not_after()) <= until)
    }

    pub fn summary(&self) -> Certificate {
        Certificate::from_openssl(&self.certificate)
    }
}

/// Certificates as PEM, one after the other.
pub(crate) fn pem(certificates: &[X509]) -> Result<String, CaError> {
    let mut text = String::new();
    for certificate in certificates {
        text.push_str(&String::from_utf8_lossy(&certificate.to_pem()?));
    }
    Ok(text)
}

/// Whether it signed itself; a name of its own as issuer is not enough.
pub(super) fn is_root(certificate: &X509Ref) -> bool {
    certificate.public_key().is_ok_and(|key| certificate.verify(&key).unwrap_or(false))
}

pub(super) fn ca_params(
    spec: &AuthoritySpec,
    key: &Certified,
    above: Option<&Authority>,
) -> Result<CertificateParams, CaError> {
    let mut params = base_params(&spec.subject, spec.validity, key, above)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// What every certificate has: serial, dates, name, and the identifiers of both keys.
fn base_params(
    subject: &Subject,
    validity: Validity,
    key: &Certified,
    above: Option<&Authority>,
) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from(serial()?));
    (params.not_before, params.not_after) = dates(validity, above)?;
    params.distinguished_name = subject.to_rcgen();
    params.use_authority_key_identifier_extension = true;
    params.key_identifier_method = KeyIdMethod::PreSpecified(key.identifier());
    Ok(params)
}

/// 16 random bytes, positive and always of the same length (RFC 5280 §4.1.2.2 allows 20).
pub(super) fn serial() -> Result<Vec<u8>, CaError> {
    let mut serial = vec![0; 16];
    openssl::rand::rand_bytes(&mut serial)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
}

/// A clock before this is wrong, and a CA made by it would have expired when the clock is set
/// right: 2025-01-01.
const NOT_EARLIER: i64 = 1_735_689_600;

/// A clock that is wrong for sure.
pub(crate) fn refuse_clock(now: i64) -> Result<(), CaError> {
    if now < NOT_EARLIER { Err(CaError::Clock { now }) } else { Ok(()) }
}

fn dates(
    validity: Validity,
    above: Option<&Authority>,
) -> Result<(OffsetDateTime, OffsetDateTime), CaError> {
    let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| CaError::Dates);
    let (now, days) = match validity {
        Validity::Exact { not_before, not_after } => {
            return Ok((at(not_before)?, at(not_after)?));
        }
        Validity::Days(days) => (OffsetDateTime::now_utc().unix_timestamp(), days),
        Validity::From { now, days } => (now, days),
    };
    refuse_clock(now)?;
    let now_at = at(now)?;
    let mut until = now_at.checked_add(Duration::days(i64::from(days))).ok_or(CaError::Dates)?;
    for ca in above.into_iter().flat_map(Authority::links) {
        let [begins, ends] = [ca.not_before(), ca.not_after()].map(unix_seconds);
        if now < begins {
            return Err(CaError::BeforeItsCa { now, begins });
        }
        if now > ends {
            let name = crate::x509::Name::from_openssl(ca.subject_name()).short();
            return Err(CaError::Expired { name, ended: ends });
        }
        until = until.min(at(ends)?);
    }
    Ok((now_at - Duration::minutes(5), until))
}

pub(super) fn san(san: &San) -> Result<SanType, CaError> {
    Ok(match san {
        San::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        San::Ip(ip) => SanType::IpAddress(*ip),
    })
}

#[cfg(test)]
mod tests;
