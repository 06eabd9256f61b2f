//! The chain file as it must be: the server's own certificate first, then its issuers upwards.

use crate::facts::{Holds, ServerFiles};
use crate::x509::{Certificate, chain};

/// The file's certificates in the right order, without what belongs to no link of the chain.
pub fn ordered(files: &ServerFiles) -> Vec<&Certificate> {
    let certificates = files.certificates();
    let Some(leaf) = files.leaf_index() else { return Vec::new() };
    let path = chain::path(leaf, &files.signers);
    // A root at the end is of no use to a client, which must have it already; leave it out unless
    // it is the leaf itself.
    let path = path
        .into_iter()
        .enumerate()
        .filter(|(depth, at)| *depth == 0 || !is_root(&certificates[*at]));
    path.map(|(_, at)| &certificates[at]).collect()
}

/// [`ordered`], with the intermediates that are missing and lie nearby.
pub fn completed(files: &ServerFiles) -> Vec<&Certificate> {
    let mut chain = ordered(files);
    let nearby = || {
        files.nearby.iter().flat_map(|near| match &near.holds {
            Holds::Certificates(certificates) => certificates.as_slice(),
            Holds::Key(_) => &[],
        })
    };
    while let Some(last) = chain.last().filter(|last| !last.is_self_issued()) {
        let issuer = nearby().find(|candidate| {
            candidate.subject == last.issuer
                && !is_root(candidate)
                && !chain.contains(candidate)
                && last.is_signed_by(candidate)
        });
        match issuer {
            Some(issuer) => chain.push(issuer),
            None => break,
        }
    }
    chain
}

/// The PEM text of a chain.
pub fn pem(chain: &[&Certificate]) -> String {
    chain.iter().map(|certificate| certificate.pem.as_str()).collect()
}

fn is_root(certificate: &Certificate) -> bool {
    certificate.self_signed
}
