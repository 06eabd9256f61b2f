//! The CA, and the way from it to the server's certificate.

pub mod ca_expired;
pub mod ca_may_not_sign;
pub mod ca_mismatch;
pub mod ca_not_a_ca;
pub mod ca_not_set;
pub mod ca_only_intermediate;
pub mod ca_remade;
pub mod ca_type_unsupported;
pub mod ca_unusable;
pub mod capath_alone;
pub mod capath_without_hashes;
pub mod crl_expired;
pub mod crl_missing_for_ca;
pub mod crl_not_read;
pub mod crl_of_another_ca;
pub mod has_stranger;
pub mod incomplete;
pub mod intermediate_expired;
pub mod not_in_ca;
pub mod path_length_exceeded;
pub mod public_ca;
pub mod same_subject_as_ca;
pub mod wrong_order;

use crate::facts::{Facts, Holds, ServerFiles};
use crate::remedy::certificates::reissue;
use crate::remedy::{Action, Remedy};
use crate::rules::{Answer, Finding, Rule, place};
use crate::x509::Certificate;
use crate::x509::chain::{Purpose, verify};

/// A CA above the server's certificate, and where it was found.
struct Issuer<'a> {
    certificate: &'a Certificate,
    /// `ssl_cert`, `ssl_ca`, `ssl_capath`, or `presented` for what a server far away sent.
    found_in: &'static str,
    place: String,
}

/// The CAs from the one that issued the server's certificate upwards, as far as they are known:
/// each made the signature of the one before. Where there are several of a name and key, the one
/// that is valid now goes first, then the one that the server trusts, as OpenSSL does it.
fn issuers(facts: &Facts) -> Vec<Issuer<'_>> {
    let known = known_cas(facts);
    let mut path: Vec<Issuer> = Vec::new();
    let Some(leaf) = facts.served_leaf() else { return path };
    loop {
        let last = path.last().map_or(leaf, |issuer| issuer.certificate);
        if last.self_signed {
            return path;
        }
        let new = |candidate: &&Issuer| {
            let sha256 = &candidate.certificate.sha256;
            *sha256 != leaf.sha256 && !path.iter().any(|link| link.certificate.sha256 == *sha256)
        };
        let made_it = |candidate: &&Issuer| {
            candidate.certificate.subject == last.issuer && last.is_signed_by(candidate.certificate)
        };
        let next = known.iter().filter(new).filter(made_it).min_by_key(|candidate| {
            let expired = candidate.certificate.not_after < facts.at;
            (expired, !matches!(candidate.found_in, "ssl_ca" | "ssl_capath"))
        });
        match next {
            Some(Issuer { certificate, found_in, place }) => {
                path.push(Issuer { certificate, found_in, place: place.clone() });
            }
            None => return path,
        }
    }
}

/// Every certificate that may be an issuer.
fn known_cas(facts: &Facts) -> Vec<Issuer<'_>> {
    let Some(files) = facts.files.read() else {
        let sent = facts.handshake().map_or(&[][..], |handshake| handshake.chain.as_slice());
        let place = "as the server sent it".to_owned();
        let issuer =
            |certificate| Issuer { certificate, found_in: "presented", place: place.clone() };
        return sent.iter().map(issuer).collect();
    };
    let from = |found_in, place: String| {
        move |certificate| Issuer { certificate, found_in, place: place.clone() }
    };
    let chain = files.certificate.as_ref().map(place).unwrap_or_default();
    let ca = files.ca.as_ref().map(place).unwrap_or_default();
    let folder = files.capath.as_ref().map(|folder| folder.path.display().to_string());
    let chain = files.certificates().iter().map(from("ssl_cert", chain));
    let ca = files.ca_certificates().iter().map(from("ssl_ca", ca));
    let in_folder = files.capath.iter().flat_map(crate::facts::CaFolder::trusted);
    chain.chain(ca).chain(in_folder.map(from("ssl_capath", folder.unwrap_or_default()))).collect()
}

fn saw_issuer(finding: Finding, issuer: &Issuer) -> Finding {
    finding.saw("CA", issuer.certificate.subject.display()).saw(issuer.found_in, &issuer.place)
}

/// Whether OpenSSL refuses the chain, dates aside: what a CA says of itself is no fault while
/// nobody minds.
fn cannot_verify(facts: &Facts) -> bool {
    if let Some(files) = facts.files.read() {
        return matches!(files.under_ca, Some(Err(_)));
    }
    let faults = facts.handshake().and_then(|handshake| handshake.faults.as_ref());
    faults.is_some_and(|faults| faults.iter().any(|fault| !fault.is_about_time()))
}

/// Whether another rule knows better why the chain does not verify.
fn is_explained(facts: &Facts) -> bool {
    let better: [&Rule; 5] = [
        &ca_not_a_ca::CA_NOT_A_CA,
        &ca_may_not_sign::CA_MAY_NOT_SIGN,
        &path_length_exceeded::PATH_LENGTH_EXCEEDED,
        &ca_remade::CA_REMADE,
        &ca_only_intermediate::CA_ONLY_INTERMEDIATE,
    ];
    cannot_verify(facts) && better.iter().any(|rule| matches!((rule.judge)(facts), Answer::Fail(_)))
}

/// New certificates, unless mytls would issue them from the very CA that is at fault, or from one
/// below it.
fn reissue_by_another(facts: &Facts, fault: &Certificate) -> Option<Remedy> {
    let own = facts.files.read()?.own_ca.as_ref();
    let same = own.is_some_and(|own| {
        let mut path = std::iter::once(&own.certificate).chain(&own.above);
        path.any(|ca| ca.sha256 == fault.sha256)
    });
    if same { None } else { reissue(facts) }
}

/// A CA file lying nearby under which the server's certificate does verify.
fn right_ca_nearby(files: &ServerFiles) -> Option<&std::path::Path> {
    let leaf = files.leaf()?.to_openssl()?;
    let others: Vec<_> = files.certificates().iter().filter_map(Certificate::to_openssl).collect();
    let found = files.nearby.iter().find(|near| match &near.holds {
        Holds::Certificates(certificates) => {
            let trusted: Vec<_> = certificates.iter().filter_map(Certificate::to_openssl).collect();
            certificates.iter().any(|certificate| certificate.is_ca == Some(true))
                && verify(&leaf, &others, &trusted, Purpose::Server).is_ok()
        }
        Holds::Key(_) => false,
    });
    found.map(|near| near.path.as_path())
}

/// Points `ssl_ca` at a file.
fn use_ca(facts: &Facts, path: &std::path::Path) -> Option<Remedy> {
    let main = &facts.config.read()?.main_file;
    let file = facts.config.read()?.origin("ssl_ca").map_or(main, |origin| &origin.file);
    let action = Action::config(file, &[("ssl_ca", &path.display().to_string())]);
    Some(Remedy::new("point ssl_ca at the CA that issued the certificate", vec![action]))
}

#[cfg(test)]
mod testing {
    use crate::facts::Facts;
    use crate::rules::testing;
    use crate::x509::Certificate;

    /// The healthy server with its intermediate changed, and refused for it.
    pub fn break_issuer(change: impl FnOnce(&mut Certificate)) -> Facts {
        testing::with_files(|files| {
            change(&mut files.certificate.as_mut().unwrap().content.as_mut().unwrap()[1]);
            files.under_ca = Some(Err(testing::no_issuer()));
        })
    }

    pub fn no_certificate() -> Facts {
        let mut facts = testing::with_files(|files| files.certificate = None);
        facts.wire = crate::facts::Source::unread(crate::facts::UnreadKind::NotAsked, "", "");
        facts
    }
}
