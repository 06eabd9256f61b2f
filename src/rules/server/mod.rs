//! Is the server there at all?

use std::fmt::Write as _;
use std::path::Path;

use crate::facts::{Facts, FileFacts};
use crate::remedy::{Action, Effect, Remedy, certificates, shell};
use crate::wire::TlsOffer;

pub mod config_refused;
pub mod files_denied_by_apparmor;
pub mod files_hidden_by_systemd;
pub mod not_running;
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

/// Copies of these files where servers keep theirs, and the options that name them.
fn moved(facts: &Facts, files: &[(&str, &Path)]) -> Option<Remedy> {
    let config = facts.config.read()?;
    let folder = certificates::default_folder(facts);
    if files.iter().any(|(_, path)| path.starts_with(&folder)) {
        return None; // that is where they are
    }
    let user = facts.files.read()?.server_user.as_deref().unwrap_or("mysql");
    let mut command = format!("install -d -m 0755 {}", shell::path(&folder));
    let mut options = Vec::new();
    for (option, path) in files {
        let to = folder.join(path.file_name()?);
        let (from, target) = (shell::path(path), shell::path(&to));
        // writing to a String cannot fail
        let _ = match *option {
            "ssl_key" => write!(
                command,
                " &&\ninstall -m 0640 -g \"$(id -gn {})\" {from} {target}",
                shell::word(user)
            ),
            _ => write!(command, " &&\ninstall -m 0644 {from} {target}"),
        };
        options.push((*option, to.display().to_string()));
    }
    let options: Vec<(&str, &str)> =
        options.iter().map(|(option, path)| (*option, path.as_str())).collect();
    let actions =
        vec![Action::shell(command, Effect::Restart), Action::config(&config.main_file, &options)];
    let note = "the old files stay; renew the copies from now on";
    Some(Remedy::new("keep them where servers keep theirs", actions).with_note(note))
}
