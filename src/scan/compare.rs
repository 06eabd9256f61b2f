//! What changed between two scans of a server.

use std::collections::BTreeSet;

use super::result::{Scan, TlsScan};

/// Each change in words, none where nothing changed.
pub fn changes(before: &Scan, now: &Scan) -> Vec<String> {
    let mut all = Vec::new();
    let (old, new) = (&before.greeting, &now.greeting);
    if old.version_text != new.version_text {
        all.push(format!("the server was {}, and is {} now", old.describe(), new.describe()));
    }
    match (&before.tls, &now.tls) {
        (None, None) => {}
        (None, Some(_)) => all.push("TLS is offered now".to_owned()),
        (Some(_), None) => all.push("TLS is not offered any more".to_owned()),
        (Some(before), Some(now)) => between(before, now, &mut all),
    }
    all
}

fn between(before: &TlsScan, now: &TlsScan, all: &mut Vec<String>) {
    for version in &now.versions {
        let name = version.protocol.name();
        // one that was not asked about is no change
        let Some(old) = before.version(version.protocol) else { continue };
        if old.offered != version.offered {
            all.push(format!("{name} {}", if version.offered { "appeared" } else { "vanished" }));
        }
        if !(old.complete && version.complete) {
            continue;
        }
        let names = |version: &super::result::VersionScan| -> Vec<String> {
            version.suites.iter().map(|suite| suite.name.clone()).collect()
        };
        sets(&format!("{name}: the suite"), &names(old), &names(version), all);
        if old.suites != version.suites
            && old.suites.iter().all(|suite| version.suites.contains(suite))
            && old.suites.len() == version.suites.len()
        {
            all.push(format!("{name}: the order of the suites changed"));
        }
    }
    sets("the key exchange group", &before.groups, &now.groups, all);
    certificates(before, now, all);
    if let (Some(old), Some(new)) = (before.asks_certificate, now.asks_certificate)
        && old != new
    {
        all.push(format!("a client certificate is {} asked for", if new { "now" } else { "not" }));
    }
    for verdict in &now.policies {
        let old = before.policies.iter().find(|old| old.policy == verdict.policy);
        if old.is_some_and(|old| old.fits != verdict.fits) {
            let word = if verdict.fits { "fits now" } else { "does not fit any more" };
            all.push(format!("{}: it {word}", verdict.title));
        }
    }
}

fn certificates(before: &TlsScan, now: &TlsScan, all: &mut Vec<String>) {
    let chain = |scan: &TlsScan| {
        scan.handshake.as_ref().map_or_else(Vec::new, |shaken| shaken.chain.clone())
    };
    let (old, new) = (chain(before), chain(now));
    if let (Some(old), Some(new)) = (old.first(), new.first())
        && old.sha256 != new.sha256
    {
        let same_key = match (&old.public_key, &new.public_key) {
            (Some(old), Some(new)) => old.spki_sha256 == new.spki_sha256,
            _ => false,
        };
        all.push(format!(
            "the certificate changed: serial {} to {}, {}",
            old.serial,
            new.serial,
            if same_key { "with the same key" } else { "with another key" }
        ));
    }
    let above = |chain: &[crate::x509::Certificate]| -> Vec<String> {
        chain
            .iter()
            .skip(1)
            .map(|one| format!("{} ({})", one.subject.display(), one.serial))
            .collect()
    };
    sets("in the chain, the CA", &above(&old), &above(&new), all);
}

fn sets(what: &str, before: &[String], now: &[String], all: &mut Vec<String>) {
    let (before, now): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), now.iter().collect());
    all.extend(now.difference(&before).map(|one| format!("{what} {one} appeared")));
    all.extend(before.difference(&now).map(|one| format!("{what} {one} vanished")));
}
