//! What the new CA is to be, and what it must not be.

use crate::ca::renew::like;
use crate::ca::{Catalog, KeyKind, PlainName};
use crate::cli::Failure;
use crate::x509::Certificate;

/// Two CAs that no server could tell apart, or that are trusted together anyway.
pub fn refuse_alike(old: &Catalog, new: &Catalog) -> Result<(), Failure> {
    if old.chain[0].subject == new.chain[0].subject {
        let name = old.chain[0].subject.display();
        return Err(Failure::usage(format!(
            "both CAs have the name {name}: an account's REQUIRE ISSUER could not tell them apart; \
             give the new one another"
        )));
    }
    let shared = |ca: &&Certificate| new.chain.iter().any(|other| other.sha256 == ca.sha256);
    match old.chain.iter().find(shared) {
        None => Ok(()),
        Some(ca) => Err(Failure::usage(format!(
            "both are below {}: whoever trusts that trusts both, so there is nothing to rotate. \
             Issue from the new one, and revoke the old one's certificate with the CA above",
            ca.subject.display()
        ))),
    }
}

/// As asked for, or the old one's with a number.
pub fn name(asked: Option<&PlainName>, old: &Catalog) -> Result<PlainName, Failure> {
    if let Some(name) = asked {
        return Ok(name.clone());
    }
    let old = old.chain[0].subject.short();
    let (stem, number) = match old.rsplit_once(' ') {
        Some((stem, number)) => (stem, number.parse::<u32>().ok()),
        None => (old.as_str(), None),
    };
    let name = match number {
        Some(number) => format!("{stem} {}", number.saturating_add(1)),
        None => format!("{old} 2"),
    };
    name.parse().map_err(|_| Failure::usage("name the new CA with --name"))
}

/// What the old one has, servers and clients can read.
pub fn key(old: &Catalog) -> KeyKind {
    old.chain[0].to_openssl().and_then(|old| like(&old).ok()).unwrap_or_default()
}
