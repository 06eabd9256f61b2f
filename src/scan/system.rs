//! Whether a chain holds under the CAs of this system.
//!
//! The system's bundle holds some hundred and fifty CAs, and reading them all as certificates takes longer than a
//! whole scan: only those are read that a certificate of the chain names as its issuer.

use std::path::{Path, PathBuf};

use openssl::ssl::SslFiletype;
use openssl::stack::Stack;
use openssl::x509::store::{X509Lookup, X509StoreBuilder};
use openssl::x509::{X509, X509Name, X509StoreContext};

use crate::bounded;
use crate::x509::Certificate;

/// No bundle is larger.
const LIMIT: u64 = 16 << 20;

/// The faults, none where it holds; `None` without a chain, or where the system's CAs cannot be read.
pub fn faults(chain: &[Certificate]) -> Option<Vec<String>> {
    let certificates: Vec<X509> = chain.iter().filter_map(Certificate::to_openssl).collect();
    let (leaf, above) = certificates.split_first()?;
    let mut store = X509StoreBuilder::new().ok()?;
    let bundle = bounded::read(&place("SSL_CERT_FILE", "cert.pem"), LIMIT).unwrap_or_default();
    for ca in issuers_in(&bundle, &certificates) {
        // one that is there twice is there
        let _ = store.add_cert(ca);
    }
    let folder = place("SSL_CERT_DIR", "certs");
    if bundle.is_empty() && !folder.is_dir() {
        return None;
    }
    // its files are named by their subject, and are read when they are looked for
    store
        .add_lookup(X509Lookup::hash_dir())
        .and_then(|dir| dir.add_dir(folder.to_str().unwrap_or_default(), SslFiletype::PEM))
        .ok()?;
    let mut others = Stack::new().ok()?;
    for certificate in above {
        others.push(certificate.clone()).ok()?;
    }
    let verdict = X509StoreContext::new().ok()?.init(&store.build(), leaf, &others, |store| {
        let holds = store.verify_cert()?;
        Ok((holds, store.error()))
    });
    let (holds, error) = verdict.ok()?;
    Some(if holds { Vec::new() } else { vec![error.error_string().to_owned()] })
}

/// Where OpenSSL looks: as this variable says, or in its own folder.
fn place(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    // OPENSSLDIR: "/usr/lib/ssl"
    let own = openssl::version::dir().split('"').nth(1).unwrap_or("/etc/ssl");
    Path::new(own).join(name)
}

/// Those certificates of a PEM file whose subject is the issuer of one of these.
fn issuers_in(bundle: &[u8], chain: &[X509]) -> Vec<X509> {
    let wanted: Vec<X509Name> = chain
        .iter()
        .filter_map(|certificate| {
            X509Name::from_der(&certificate.issuer_name().to_der().ok()?).ok()
        })
        .collect();
    let text = String::from_utf8_lossy(bundle);
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    blocks
        .filter_map(|block| {
            let body = block.split("-----END").next()?;
            let base64: String = body.split_ascii_whitespace().collect();
            let der = openssl::base64::decode_block(&base64).ok()?;
            let subject = X509Name::from_der(subject(&der)?).ok()?;
            let named = wanted
                .iter()
                .any(|name| name.try_cmp(&subject).is_ok_and(std::cmp::Ordering::is_eq));
            if named { X509::from_der(&der).ok() } else { None }
        })
        .collect()
}

/// The subject in the DER of a certificate (RFC 5280 §4.1): after version, serial number, algorithm, issuer
/// and dates.
fn subject(der: &[u8]) -> Option<&[u8]> {
    let certificate = element(der)?.1;
    let mut rest = element(certificate)?.1;
    if rest.first() == Some(&0xa0) {
        rest = element(rest)?.2;
    }
    for _ in 0..4 {
        rest = element(rest)?.2;
    }
    Some(element(rest)?.0)
}

/// The first element: all of it, its content, and what follows it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let [_, short, ..] = der else { return None };
    let (start, length) = if *short < 0x80 {
        (2, usize::from(*short))
    } else {
        let bytes = der.get(2..2 + usize::from(*short & 0x7f))?;
        let length = bytes
            .iter()
            .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?;
        (2 + bytes.len(), length)
    };
    let end = start.checked_add(length)?;
    Some((der.get(..end)?, der.get(start..end)?, der.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::Random;

    #[test]
    fn the_issuer_is_found_in_a_bundle_and_nobody_else() {
        let (ca, other) = (self_signed("An Issuer"), self_signed("Another"));
        let bundle = [other.to_pem().unwrap(), ca.to_pem().unwrap()].concat();
        let found = issuers_in(&bundle, std::slice::from_ref(&ca));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_der().unwrap(), ca.to_der().unwrap());
        let der = ca.to_der().unwrap();
        assert_eq!(subject(&der).unwrap(), ca.subject_name().to_der().unwrap());
    }

    #[test]
    fn what_is_cut_or_garbled_is_no_certificate() {
        let der = self_signed("x").to_der().unwrap();
        let mut random = Random(0x7379_7374);
        for _ in 0..2_000 {
            let mut bytes = der[..random.below(der.len())].to_vec();
            if !bytes.is_empty() {
                let at = random.below(bytes.len());
                bytes[at] = random.byte();
            }
            let _ = subject(&bytes);
        }
        let all: Vec<u8> = vec![0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(subject(&all), None);
    }

    fn self_signed(name: &str) -> X509 {
        use openssl::asn1::Asn1Time;
        use openssl::hash::MessageDigest;
        use openssl::pkey::PKey;
        let key = PKey::generate_ed25519().unwrap();
        let mut subject = X509Name::builder().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(&subject).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        builder.sign(&key, MessageDigest::null()).unwrap();
        builder.build()
    }
}
