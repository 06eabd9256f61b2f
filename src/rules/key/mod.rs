//! The private key and the certificate: usable, readable, in date, and made for each other.

use std::path::Path;

use crate::facts::Facts;
use crate::x509::{Certificate, chain};

pub mod auto_generated;
pub mod byte_order_mark;
pub mod certificate_expired;
pub mod certificate_expiring;
pub mod certificate_ip_as_name;
pub mod certificate_is_ca;
pub mod certificate_name_mismatch;
pub mod certificate_name_missing;
pub mod certificate_not_yet_valid;
pub mod certificate_unusable;
pub mod certificate_version_1;
pub mod certificate_weak_signature;
pub mod certificate_wrong_purpose;
pub mod key_encrypted;
pub mod key_format_unsupported;
pub mod key_is_certificate;
pub mod key_mismatch;
pub mod key_next_to_ca_key;
pub mod key_type_unsupported;
pub mod key_unreadable;
pub mod key_unusable;
pub mod key_weak;
pub mod key_world_readable;
pub mod swapped;

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

/// The option file in which `option` stands, or should.
fn option_file<'a>(facts: &'a Facts, option: &str) -> &'a Path {
    facts.config.read().map_or(Path::new("/etc/mysql/my.cnf"), |config| {
        config.origin(option).map_or(&config.main_file, |origin| &origin.file)
    })
}

/// What `openssl pkey` has to be told so that this server can read the key that it writes.
fn openssl_form(facts: &Facts) -> &'static str {
    if facts.is_yassl() { " -traditional" } else { "" }
}

/// The server's certificate and those above it, from its file or as they were presented.
fn path(facts: &Facts) -> Vec<&Certificate> {
    let from_files = facts.files.read().and_then(|files| {
        let leaf = files.leaf_index()?;
        let path = chain::path(leaf, &files.signers).into_iter();
        Some(path.filter_map(|at| files.certificates().get(at)).collect())
    });
    let presented = || facts.handshake().map(|handshake| handshake.chain.iter().collect());
    from_files.or_else(presented).unwrap_or_default()
}
