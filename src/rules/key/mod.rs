//! The private key and the certificate: usable, readable, in date, and made for each other.

pub mod certificate_expired;
pub mod certificate_expiring;
pub mod certificate_unusable;
pub mod key_encrypted;
pub mod key_mismatch;
pub mod key_unreadable;
pub mod key_unusable;

use crate::facts::{Blocker, FileFacts, Readable, ServerFiles};
use crate::rules::Finding;

/// What shuts the server's user out of a file.
fn blockers<T>(file: Option<&FileFacts<T>>) -> &[Blocker] {
    match file.and_then(|file| file.access.as_ref()).map(|access| &access.readable) {
        Some(Readable::No { blockers }) => blockers,
        _ => &[],
    }
}

/// What shuts the server's user out of this file, and is not for an earlier rule to name: that of
/// the key names all that stands in the way of a file it shares a closed folder with.
pub(super) fn own_blockers<'a, T>(
    file: &'a FileFacts<T>,
    earlier: &[&[Blocker]],
) -> Vec<&'a Blocker> {
    let own = blockers(Some(file));
    if earlier.iter().any(|earlier| own.iter().any(|one| earlier.contains(one))) {
        return Vec::new();
    }
    own.iter().collect()
}

/// The blockers of key and certificate, for the rules that come after theirs.
pub(super) fn blockers_before_ca(files: &ServerFiles) -> [&[Blocker]; 2] {
    [blockers(files.key.as_ref()), blockers(files.certificate.as_ref())]
}

/// Each blocker with its mode and owner as evidence.
pub(super) fn show_blockers(finding: Finding, blockers: &[&Blocker]) -> Finding {
    blockers.iter().fold(finding, |finding, blocker| {
        let Blocker { mode, owner, group, .. } = blocker;
        let path = blocker.path.display();
        finding.saw("closed at", format!("{path}  ({mode:04o} {owner}:{group})"))
    })
}
