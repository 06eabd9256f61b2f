//! The chain file as it must be: the server's own certificate first, then its issuers upwards.

use std::path::Path;

use super::certificates::{beside, effect_of_files, take_effect};
use super::{Action, Effect};
use crate::facts::{Facts, FileFacts, Flavor, Holds, ServerFiles, Version};
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

/// Writes these certificates into the file of `ssl_cert`, and `ssl_ca` as well where a text for it
/// is given. A file that holds more than certificates of its option is left as it is: they go
/// into a new one beside it, and the option is pointed there. `None` where the option file that
/// would have to say so is not known.
pub fn write(facts: &Facts, chain: &[&Certificate], ca: Option<String>) -> Option<Vec<Action>> {
    let files = facts.files.read()?;
    let texts = [
        files.certificate.as_ref().map(|file| (file, pem(chain), "chain")),
        files.ca.as_ref().zip(ca).map(|(file, text)| (file, text, "ca")),
    ];
    let (mut actions, mut options) = (Vec::new(), Vec::new());
    let effect = effect_of_files(facts);
    for (file, text, what) in texts.into_iter().flatten() {
        if files.is_combined(&file.option) {
            let new = beside(&file.path, what);
            options.push(point_at(facts, file, &new)?);
            actions.push(Action::file(&new, text, Effect::Restart));
        } else {
            actions.push(Action::file(&file.path, text, effect));
        }
    }
    if options.is_empty() {
        actions.extend(take_effect(facts, effect));
    }
    actions.append(&mut options);
    Some(actions)
}

fn point_at<T>(facts: &Facts, file: &FileFacts<T>, new: &Path) -> Option<Action> {
    let config = facts.config.read();
    let main = config.map(|config| config.main_file.as_path());
    let origin = config.and_then(|config| config.origin(&file.option)).or(file.origin.as_ref());
    let config = origin.map(|origin| origin.file.as_path()).or(main)?;
    Some(Action::config(config, &[(file.option.as_str(), &new.display().to_string())]))
}

/// What `ssl_ca` has to hold, so that a MySQL of 8.1 or later can check its own
/// certificate: it takes no intermediate from `ssl_cert` for that, and answers "Invalid
/// certificates" when it is to read its files again.
/// `None` where it holds them, or the server does not ask. A client that shows a certificate of
/// these intermediates was trusted before: the root above them is in there.
pub fn ca_with_intermediates(facts: &Facts, chain: &[&Certificate]) -> Option<String> {
    if !checks_itself(facts) {
        return None;
    }
    let file = facts.files.read()?.ca.as_ref()?;
    let there = file.content.as_ref().ok()?;
    let missing = chain.iter().skip(1).filter(|ca| !there.contains(ca));
    let mut all: Vec<&Certificate> = missing.copied().collect();
    if all.is_empty() {
        return None;
    }
    all.extend(there);
    Some(pem(&all))
}

/// Whether the server checks its own certificate under `ssl_ca` alone, as [`ca_with_intermediates`]
/// says; `false` where nobody knows what server it is.
pub fn checks_itself(facts: &Facts) -> bool {
    let known = facts.server.read().map(|server| (server.flavor, server.version)).or_else(|| {
        let greeting = &facts.wire.read()?.greeting;
        Some((greeting.flavor, greeting.version?))
    });
    known.is_some_and(|(flavor, version)| flavor == Flavor::MySql && version >= Version(8, 1, 0))
}

/// The PEM text of a chain.
pub fn pem(chain: &[&Certificate]) -> String {
    chain.iter().map(|certificate| certificate.pem.as_str()).collect()
}

fn is_root(certificate: &Certificate) -> bool {
    certificate.self_signed
}
