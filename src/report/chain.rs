//! The chain as a picture: what stands where, what must, and what signs the last of it.

use crate::facts::Facts;
use crate::x509::Certificate;
use crate::x509::chain::path;

/// The certificates in the order they stand in: in the server's file, else as a client got them.
pub fn sent(facts: &Facts) -> &[Certificate] {
    let file = facts.files.read().map_or(&[][..], |files| files.certificates());
    if !file.is_empty() {
        return file;
    }
    facts.handshake().map_or(&[], |handshake| handshake.chain.as_slice())
}

/// What is drawn of a chain.
pub struct Drawing<'a> {
    pub from: &'static str,
    pub certificates: &'a [Certificate],
    /// The order in which they must stand, from the leaf upwards.
    pub must: Vec<usize>,
    /// What signs the last of them, and where it was found.
    pub top: Option<(String, &'static str)>,
}

/// `None` where there is no certificate.
pub fn drawing(facts: &Facts) -> Option<Drawing<'_>> {
    let certificates = sent(facts);
    let files = facts.files.read();
    let from_file = files.is_some_and(|files| !files.certificates().is_empty());
    let (leaf, signers) = match files {
        Some(files) if from_file => (files.leaf_index()?, files.signers.clone()),
        _ => (crate::x509::chain::leaf(certificates, None)?, by_name(certificates)),
    };
    let must = path(leaf, &signers);
    let last = certificates.get(*must.last()?)?;
    let cas = files.map_or(&[][..], |files| files.ca_certificates());
    let top = (!last.is_self_issued()).then(|| {
        let known = cas.iter().any(|ca| ca.subject == last.issuer);
        let trusted = files.and_then(|files| files.under_ca.as_ref()).is_none_or(Result::is_ok);
        let where_ = match (known, trusted) {
            (true, true) => "in ssl_ca",
            (true, false) => "ssl_ca has another one of this name",
            (false, _) if cas.is_empty() => "not in the file",
            (false, _) => "not in ssl_ca",
        };
        (last.issuer.short(), where_)
    });
    let from = if from_file { "as it stands in ssl_cert" } else { "as sent by the server" };
    Some(Drawing { from, certificates, must, top })
}

/// Who signed whom by the names alone: enough for a drawing of what came over the wire.
fn by_name(certificates: &[Certificate]) -> Vec<Option<usize>> {
    let issuer = |child: &Certificate| {
        certificates
            .iter()
            .position(|other| other.sha256 != child.sha256 && other.subject == child.issuer)
    };
    certificates.iter().map(issuer).collect()
}
