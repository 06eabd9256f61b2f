//! Certificates from somebody else's CA, and certificates for somebody else's key: the way by a
//! request (PKCS#10, RFC 2986). The private key never travels.

use std::path::{Path, PathBuf};

use openssl::pkey::{PKey, Public};
use openssl::x509::{X509, X509Req};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyUsagePurpose};

use super::error::day;
use super::files::{Written, write_all};
use super::key::{Certified, Signing};
use super::store::{Draft, Entry, Kind, read};
use super::{CaError, KeyKind, PlainName, San, Store, Subject, Validity};
use crate::disk::{self, Meta};
use crate::x509::chain::{self, Purpose};
use crate::x509::der::{Element, element, elements};
use crate::x509::{Certificate, KeyAlgorithm, PublicKey, pem};

/// For whom a certificate is asked.
#[derive(Clone, Debug)]
pub enum Wanted {
    Server(Vec<San>),
    Client(PlainName),
}

impl Wanted {
    fn kind(&self) -> Kind {
        match self {
            Self::Server(_) => Kind::Server,
            Self::Client(_) => Kind::Client,
        }
    }

    fn subject(&self) -> Result<Subject, CaError> {
        match self {
            Self::Client(name) => Ok(Subject::common_name(name)),
            Self::Server(names) => {
                let first = names.first().ok_or(CaError::NoHost)?.to_string();
                let short = first.split('.').next().filter(|_| first.len() > PlainName::LONGEST);
                Ok(Subject::common_name(&short.unwrap_or(&first).parse()?))
            }
        }
    }
}

/// Makes a key and a request for it; returns where they lie.
pub fn make(out: &Path, wanted: &Wanted, key: KeyKind) -> Result<[PathBuf; 2], CaError> {
    let role = wanted.kind().name();
    let [key_file, request_file] =
        [format!("{role}-key.pem"), format!("{role}.csr")].map(|name| out.join(name));
    let key = key.generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = wanted.subject()?.to_rcgen();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match wanted {
        Wanted::Server(_) => ExtendedKeyUsagePurpose::ServerAuth,
        Wanted::Client(_) => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    if let Wanted::Server(names) = wanted {
        let names = names.iter().map(super::authority::san);
        params.subject_alt_names = names.collect::<Result<_, CaError>>()?;
    }
    let request = params.serialize_request(&Signing::new(&key)?)?.pem()?;
    let key = zeroize::Zeroizing::new(key.private_key_to_pem_pkcs8()?);
    disk::create_private_dir(out)?;
    disk::write_new(&key_file, &key, Meta::mode(0o600))?;
    if let Err(error) = disk::write_new(&request_file, request.as_bytes(), Meta::mode(0o644)) {
        let _ = std::fs::remove_file(&key_file); // it was made a moment ago for this request alone
        return Err(error.into());
    }
    Ok([key_file, request_file])
}

/// Puts a certificate beside the key and the request that it was asked with, once everything fits:
/// the key, the names, the purpose, the dates, and the chain up to its root.
pub fn accept(
    dir: &Path,
    certificate: &Path,
    chain_file: &Path,
    now: i64,
) -> Result<(Certificate, Vec<Written>), CaError> {
    let no = |why: String| CaError::NotAccepted { path: certificate.to_owned(), why };
    let asked = Asked::find(dir)?;
    let key_file = dir.join(format!("{}-key.pem", asked.kind.name()));
    let bytes = zeroize::Zeroizing::new(read(&key_file)?);
    let key = pem::private_key(&bytes);
    let key = key.map_err(|defect| CaError::File { path: key_file.clone(), defect })?.key;

    let mut found = certificates(certificate)?;
    let own = found.iter().position(|c| c.public_key().is_ok_and(|public| public.public_eq(&key)));
    let Some(own) = own else {
        return Err(no(format!(
            "it does not belong to the key {}",
            crate::printable::shown(&key_file)
        )));
    };
    found.swap(0, own);
    found.extend(certificates(chain_file)?);
    let said = Certificate::from_openssl(&found[0]);
    fits(&asked, &said, now).map_err(no)?;

    let path: Vec<&X509> =
        chain::path(0, &chain::signers(&found)).into_iter().map(|at| &found[at]).collect();
    for ca in &path[1..] {
        let ca = Certificate::from_openssl(ca);
        if now > ca.not_after {
            let (name, ended) = (ca.subject.display(), day(ca.not_after));
            return Err(no(format!("the CA {name} above it expired on {ended}")));
        }
    }
    let path: Vec<X509> = path.into_iter().cloned().collect();
    let top = Certificate::from_openssl(&path[path.len() - 1]);
    if path.len() < 2 || !top.self_signed {
        let (name, file) = (top.issuer.display(), crate::printable::shown(chain_file));
        return Err(no(format!("the chain ends below {name}: it has to be in {file}, too")));
    }
    let (root, others) = (&path[path.len() - 1..], &path[1..path.len() - 1]);
    let purpose = if asked.kind == Kind::Server { Purpose::Server } else { Purpose::Client };
    chain::verify(&path[0], others, root, purpose)
        .map_err(|fault| no(format!("it does not verify under its chain: {}", fault.text)))?;

    let text = |certificates: &[X509]| super::authority::pem(certificates);
    let written = write_all(&[
        (
            &dir.join(format!("{}-cert.pem", asked.kind.name())),
            &text(&path[..path.len() - 1])?,
            Meta::mode(0o644),
        ),
        (&dir.join("ca.pem"), &text(&path[1..])?, Meta::mode(0o644)),
    ])?;
    Ok((said, written))
}

/// What of the request the certificate does not give.
fn fits(asked: &Asked, said: &Certificate, now: i64) -> Result<(), String> {
    if said.is_ca == Some(true) {
        return Err("it is a CA; a server or an account needs one that is none".to_owned());
    }
    let given = |name: &San| match name {
        San::Dns(name) => said.dns_names.iter().any(|given| given.eq_ignore_ascii_case(name)),
        San::Ip(ip) => said.ip_addresses.contains(ip),
    };
    let missing: Vec<String> =
        asked.names.iter().filter(|name| !given(name)).map(ToString::to_string).collect();
    if !missing.is_empty() {
        return Err(format!("it was asked for {} and does not name it", missing.join(", ")));
    }
    let suits = said.purposes.is_none_or(|purposes| match asked.kind {
        Kind::Server => purposes.server,
        Kind::Client => purposes.client,
    });
    if !suits {
        return Err(format!("its extended key usage is not that of a {}", asked.kind.name()));
    }
    if now > said.not_after {
        return Err(format!("it expired on {}", day(said.not_after)));
    }
    if now < said.not_before {
        return Err(format!("it is valid from {} on", day(said.not_before)));
    }
    Ok(())
}

impl Store {
    /// Signs somebody's request: the name and the hosts that it asks for, nothing else of it.
    /// Returns the certificate and the intermediates above it as PEM.
    pub fn sign_request(
        &self,
        file: &Path,
        validity: Validity,
    ) -> Result<(String, Entry), CaError> {
        let asked = Asked::read(file)?;
        let refuse = |why: &str| CaError::Request { path: file.to_owned(), why: why.to_owned() };
        if asked.is_ca {
            return Err(refuse("it asks for a certificate of a CA (CA:TRUE)"));
        }
        let name = asked.common_name.as_deref().ok_or_else(|| refuse("it names nobody: no CN"))?;
        let name: PlainName = name.parse().map_err(|error: CaError| refuse(&error.to_string()))?;
        let public = Certified::new(&asked.key)?;
        let subject = self.authority().subject_for(&name)?;
        let mut params = self.authority().leaf_params(&subject, validity, &public)?;
        let names = asked.names.iter().map(super::authority::san);
        params.subject_alt_names = names.collect::<Result<_, CaError>>()?;
        params.extended_key_usages = vec![match asked.kind {
            Kind::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Kind::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let rsa = PublicKey::from_openssl(&asked.key).algorithm == KeyAlgorithm::Rsa;
        if rsa && asked.kind == Kind::Server {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        let der = self.authority().press()?.certificate(&params, &public)?;
        let certificate = X509::from_der(&der)?;
        let names = match asked.kind {
            Kind::Server => asked.names.iter().map(San::to_string).collect(),
            Kind::Client => vec![name.to_string()],
        };
        let entry = Entry::new(&Certificate::from_openssl(&certificate), asked.kind, names);
        let leaf = super::authority::pem(std::slice::from_ref(&certificate))?;
        let whole = format!("{leaf}{}", self.authority().intermediates_pem()?);
        let draft = Draft { entry: entry.clone(), certificate: whole.clone(), leaf, key: None };
        self.begin()?.commit(vec![draft])?;
        Ok((whole, entry))
    }
}

/// A request, read and its signature verified.
struct Asked {
    kind: Kind,
    common_name: Option<String>,
    names: Vec<San>,
    is_ca: bool,
    key: PKey<Public>,
}

impl Asked {
    /// The request that lies in a folder.
    fn find(dir: &Path) -> Result<Self, CaError> {
        let there =
            [Kind::Server, Kind::Client].map(|kind| dir.join(format!("{}.csr", kind.name())));
        let file = there.iter().find(|file| file.exists()).unwrap_or(&there[0]);
        Self::read(file)
    }

    fn read(file: &Path) -> Result<Self, CaError> {
        let no = |why: &str| CaError::Request { path: file.to_owned(), why: why.to_owned() };
        let bytes = read(file)?;
        let request = X509Req::from_pem(&bytes).or_else(|_| X509Req::from_der(&bytes));
        let request = request.map_err(|_| no("it is no certificate request (PKCS#10)"))?;
        let key = request.public_key().map_err(|_| no("its key cannot be read"))?;
        if let Some(why) = super::key::too_weak(&key) {
            return Err(no(&why));
        }
        if !request.verify(&key).unwrap_or(false) {
            return Err(no(
                "its signature is broken: it was changed on its way, or whoever sent it \
                           does not have the key",
            ));
        }
        let der = request.to_der()?;
        let mut names = Vec::new();
        let (mut is_ca, mut uses) = (false, None);
        for (identifier, value) in extensions(&der) {
            match identifier {
                BASIC_CONSTRAINTS => is_ca = says_ca(value),
                ALTERNATIVE_NAMES => names = alternative_names(value).map_err(no)?,
                EXTENDED_KEY_USAGE => uses = Some(value),
                _ => {}
            }
        }
        let contains = |oid: &[u8]| {
            let uses = uses.and_then(element).map(|list| list.value).unwrap_or_default();
            elements(uses).any(|one| one.value == oid)
        };
        let server = contains(SERVER_AUTH) || uses.is_none() && !names.is_empty();
        let said = crate::x509::Name::from_openssl(request.subject_name());
        let common_name = said.rdns.iter().flatten().rfind(|attribute| attribute.key == "CN");
        Ok(Self {
            kind: if server { Kind::Server } else { Kind::Client },
            common_name: common_name.map(|attribute| attribute.text.clone()),
            names,
            is_ca,
            key,
        })
    }
}

const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// `extensionRequest` of PKCS#9 (RFC 2985 §5.4.2).
const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];

/// Identifier and value of each extension that a request asks for.
fn extensions(request: &[u8]) -> Vec<(&[u8], &[u8])> {
    const ATTRIBUTES: u8 = 0xa0;
    let body = element(request).and_then(|whole| element(whole.value));
    let attributes = body.and_then(|body| elements(body.value).find(|part| part.tag == ATTRIBUTES));
    let attributes = attributes.map(|part| part.value).unwrap_or_default();
    elements(attributes)
        .filter(|attribute| {
            elements(attribute.value).next().is_some_and(|id| id.value == EXTENSION_REQUEST)
        })
        .filter_map(|attribute| elements(attribute.value).nth(1))
        .filter_map(|set| element(set.value))
        .flat_map(|list| elements(list.value).collect::<Vec<_>>())
        .filter_map(|extension| {
            let identifier = elements(extension.value).next()?.value;
            Some((identifier, elements(extension.value).last()?.value))
        })
        .collect()
}

fn says_ca(value: &[u8]) -> bool {
    const BOOLEAN: u8 = 0x01;
    let parts = element(value).map(|list| list.value).unwrap_or_default();
    elements(parts).any(|part| part.tag == BOOLEAN && part.value != [0])
}

fn alternative_names(value: &[u8]) -> Result<Vec<San>, &'static str> {
    const DNS: u8 = 0x82;
    const IP: u8 = 0x87;
    let list = element(value).ok_or("its alternative names cannot be read")?.value;
    let name = |part: Element| match (part.tag, part.value) {
        (DNS, text) => {
            let text = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            text.ok_or("one of its alternative names is no host name")
        }
        (IP, octets) => {
            let four = <[u8; 4]>::try_from(octets).map(std::net::IpAddr::from);
            let ip = four.or_else(|_| <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from));
            ip.map(San::Ip).map_err(|_| "one of its alternative names is no IP address")
        }
        _ => Err("one of its alternative names is neither a host name nor an IP address"),
    };
    elements(list).map(name).collect()
}

fn certificates(path: &Path) -> Result<Vec<X509>, CaError> {
    let found = pem::certificates(&read(path)?);
    found.map_err(|defect| CaError::File { path: path.to_owned(), defect })
}
