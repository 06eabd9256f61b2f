//! Is the server there at all?

use std::path::Path;

use crate::facts::{Facts, FileFacts};
use crate::wire::TlsOffer;

pub mod config_refused;
pub mod error_log_goes_nowhere;
pub mod files_denied_by_apparmor;
pub mod files_hidden_by_systemd;
pub mod not_running;
pub mod open_to_all;
pub mod option_in_other_group;
pub mod option_overridden;
pub mod tls_options_incomplete;
pub mod tls_options_refused;

/// Whether a handshake came about: then nothing keeps the server from its files.
fn works(facts: &Facts) -> bool {
    matches!(facts.wire.read().map(|wire| &wire.tls), Some(TlsOffer::Established(_)))
}

/// The three files, as far as the server cannot get at them.
fn out_of_sight(facts: &Facts, hidden: impl Fn(&Path) -> bool) -> Vec<(&'static str, &Path)> {
    fn path<T>(file: Option<&FileFacts<T>>) -> Option<&Path> {
        let real = file?.access.as_ref().and_then(|access| access.real.as_deref());
        real.or(file.map(|file| file.path.as_path()))
    }
    let Some(files) = facts.files.read() else { return Vec::new() };
    let named = [
        ("ssl_key", path(files.key.as_ref())),
        ("ssl_cert", path(files.certificate.as_ref())),
        ("ssl_ca", path(files.ca.as_ref())),
    ];
    let there = named.into_iter().filter_map(|(option, path)| Some((option, path?)));
    there.filter(|(_, path)| hidden(path)).collect()
}
