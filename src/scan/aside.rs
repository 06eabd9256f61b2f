//! What came along with the answers that were asked for, and what the server said under the cover of TLS 1.3.

use openssl::x509::X509Name;

use super::answer::Answer;
use super::hello::Protocol;
use super::names;
use super::result::TlsScan;
use crate::printable::printable;
use crate::wire::{CertificateRequest, Said};

/// Notes it; what nobody said stays unknown.
pub fn note(tls: &mut TlsScan, answers: &[Answer], said: Option<&Said>) {
    let old: Vec<&Answer> =
        answers.iter().filter(|one| one.protocol < Some(Protocol::Tls13)).collect();
    if !old.is_empty() {
        tls.session_ids = Some(old.iter().any(|one| one.session_id));
        tls.tickets = Some(old.iter().any(|one| one.ticket));
        tls.compression = Some(old.iter().any(|one| one.compression));
        tls.secure_renegotiation = Some(old.iter().all(|one| one.secure_renegotiation));
        tls.extended_master_secret = Some(old.iter().all(|one| one.extended_master_secret));
        tls.dh_bits = old.iter().filter_map(|one| one.dh_bits).min();
        if old.iter().any(|one| one.complete) {
            tls.asks_certificate = Some(old.iter().any(|one| one.asks_certificate.is_some()));
        }
    }
    let schemes = old.iter().filter_map(|one| one.signature);
    for scheme in said.and_then(|said| said.signature).into_iter().chain(schemes) {
        let name = names::signature_name(scheme);
        if !tls.signs_with.contains(&name) {
            tls.signs_with.push(name);
        }
    }
    let under_cover = said.and_then(|said| said.asks_certificate.as_ref());
    if let Some(said) = said {
        tls.asks_certificate =
            Some(said.asks_certificate.is_some() || tls.asks_certificate == Some(true));
    }
    let asked = old.iter().find_map(|one| one.asks_certificate.as_ref()).or(under_cover);
    if let Some(request) = asked {
        note_request(tls, request);
    }
}

fn note_request(tls: &mut TlsScan, request: &CertificateRequest) {
    tls.client_signatures = request.signatures.iter().map(|s| names::signature_name(*s)).collect();
    tls.client_cas = request
        .authorities
        .iter()
        .filter_map(|der| X509Name::from_der(der).ok())
        .map(|name| printable(&crate::x509::Name::from_openssl(&name).display()).into_owned())
        .collect();
}
