//! The CA, and the way from it to the server's certificate.

pub mod ca_mismatch;
pub mod ca_unusable;
pub mod incomplete;
pub mod same_subject_as_ca;
pub mod wrong_order;

use crate::facts::{Facts, Holds, ServerFiles};
use crate::remedy::{Action, Remedy};
use crate::x509::chain::{Purpose, verify};

/// A CA file lying nearby under which the server's certificate does verify.
fn right_ca_nearby(files: &ServerFiles) -> Option<&std::path::Path> {
    let leaf = files.leaf()?.to_openssl()?;
    let others: Vec<_> =
        files.certificates().iter().filter_map(crate::x509::Certificate::to_openssl).collect();
    let found = files.nearby.iter().find(|near| match &near.holds {
        Holds::Certificates(certificates) => {
            let trusted: Vec<_> =
                certificates.iter().filter_map(crate::x509::Certificate::to_openssl).collect();
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
