//! What of a private CA's certificates is written where server and client read it.

use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};

use super::Wishes;
use crate::apply::remedy::edit;
use crate::apply::{Plan, Write};
use crate::ca::{Authority, CaError, Issued, PlainName};
use crate::facts::{Facts, ServerFacts, files};
use crate::remedy::{Effect, statement};
use crate::secret::Secret;

/// Key, certificate and CA in the server's folder, and the options that name them.
pub(super) fn server_files(
    facts: &Facts,
    wishes: &Wishes,
    issued: &Issued,
    plan: &mut Plan,
) -> Result<(), String> {
    let said = |error: CaError| error.to_string();
    let owner = server_owner(facts);
    let [certificate, key, ca] = server_paths(wishes);
    let kind = wishes.key.describe();
    let chain = if issued.chain.len() > 1 { "certificate and its chain" } else { "certificate" };
    let key_mode = if owner.is_some() { 0o640 } else { 0o600 };
    let mut writes = vec![
        Write::text(
            &certificate,
            issued.certificate_pem().map_err(said)?,
            0o644,
            format!("server {chain}"),
        ),
        Write::key(&key, server_key(facts, issued)?, key_mode, format!("{kind} key, never shown")),
        Write::text(&ca, issued.ca_pem().map_err(said)?, 0o644, "the CA, for verifying clients"),
    ];
    for write in writes.iter_mut().filter(|write| !write.replaces) {
        write.owner.clone_from(&owner);
    }
    plan.writes.append(&mut writes);

    let files = facts.files.read();
    let now = |option: &str| match option {
        "ssl_ca" => files.and_then(|files| files.ca.as_ref()).map(|file| file.path.clone()),
        "ssl_cert" => {
            files.and_then(|files| files.certificate.as_ref()).map(|file| file.path.clone())
        }
        _ => files.and_then(|files| files.key.as_ref()).map(|file| file.path.clone()),
    };
    let wanted = [("ssl_ca", &ca), ("ssl_cert", &certificate), ("ssl_key", &key)];
    let options: Vec<(String, String)> = wanted
        .iter()
        .filter(|(option, path)| now(option).as_ref() != Some(path))
        .map(|(option, path)| ((*option).to_owned(), path.display().to_string()))
        .collect();
    if options.is_empty() {
        let running = facts.server.read();
        let reload = running.and_then(|server| statement::reload(server.flavor, server.version));
        plan.reload = reload.map(str::to_owned);
        plan.effect = if reload.is_some() { Effect::Reload } else { Effect::Restart };
        return Ok(());
    }
    let config = facts.config.read().ok_or(
        "the server's option file is not known, so it cannot be told of new files; name it with --server-config",
    )?;
    let mut by_file: Vec<(&Path, Vec<(String, String)>)> = Vec::new();
    for option in options {
        let file =
            config.origin(&option.0).map_or(&config.main_file, |origin| &origin.file).as_path();
        match by_file.iter_mut().find(|(known, _)| *known == file) {
            Some((_, options)) => options.push(option),
            None => by_file.push((file, vec![option])),
        }
    }
    for (file, options) in by_file {
        plan.writes.push(edit(facts, file, &options)?);
    }
    plan.effect = Effect::Restart;
    Ok(())
}

/// Certificate, key and CA in the server's folder.
pub(super) fn server_paths(wishes: &Wishes) -> [PathBuf; 3] {
    ["server-cert.pem", "server-key.pem", "ca.pem"].map(|name| wishes.folder.join(name))
}

/// The key in the form that this server reads: yaSSL knows PKCS#1 alone.
fn server_key(facts: &Facts, issued: &Issued) -> Result<Secret, String> {
    let yassl = facts.server.read().is_some_and(ServerFacts::is_yassl);
    match issued.key.rsa() {
        Ok(rsa) if yassl => {
            let pem = rsa.private_key_to_pem().map_err(|error| error.to_string())?;
            Ok(Secret::new(String::from_utf8_lossy(&zeroize::Zeroizing::new(pem))))
        }
        _ => issued.key_pem().map_err(|error| error.to_string()),
    }
}

pub(super) fn client_files(
    folder: &Path,
    name: &PlainName,
    issued: &Issued,
    trusted: Option<String>,
    plan: &mut Plan,
) -> Result<(), String> {
    let said = |error: CaError| error.to_string();
    let trusted = trusted.map_or_else(|| issued.ca_pem().map_err(said), Ok)?;
    plan.writes.push(Write::text(
        &folder.join("client-cert.pem"),
        issued.certificate_pem().map_err(said)?,
        0o644,
        format!("client certificate of {name}"),
    ));
    plan.writes.push(Write::key(
        &folder.join("client-key.pem"),
        issued.key_pem().map_err(said)?,
        0o600,
        "its key, never shown",
    ));
    plan.writes.push(Write::text(
        &folder.join("ca.pem"),
        trusted,
        0o644,
        "the CA, for verifying the server",
    ));
    Ok(())
}

/// Where the server keeps its certificate: it takes client certificates of this CA too, beside those
/// of the CAs in its `ssl_ca`. Returns what `ssl_ca` holds then: it vouches for the server as well.
pub(super) fn trust_beside(
    facts: &Facts,
    authority: &Authority,
    plan: &mut Plan,
) -> Option<String> {
    let file = facts.files.read().and_then(|files| files.ca.as_ref());
    let text = file.and_then(|file| String::from_utf8(files::bytes(&file.path).ok()?).ok());
    let (Some(file), Some(old)) = (file, text) else {
        plan.warnings.push(
            "the server refuses this certificate until its ssl_ca holds your CA, too".to_owned(),
        );
        return None;
    };
    let own = &authority.summary().sha256;
    let trusts = |cas: &Vec<crate::x509::Certificate>| cas.iter().any(|ca| ca.sha256 == *own);
    if file.content.as_ref().is_ok_and(trusts) {
        return Some(old);
    }
    let pem = authority.summary().pem;
    let mut new = old.trim_end().to_owned();
    new = format!("{new}\n{}\n", pem.trim());
    let what = "the CAs that client certificates may come from: yours beside the others";
    plan.writes.push(Write::text(&file.path, new.clone(), 0o644, what));
    let running = facts.server.read();
    let reload = running.and_then(|server| statement::reload(server.flavor, server.version));
    plan.reload = reload.map(str::to_owned);
    plan.effect = if reload.is_some() { Effect::Reload } else { Effect::Restart };
    Some(new)
}

/// `root:mysql` for a server that runs as `mysql`; `None` when only root could make it so.
fn server_owner(facts: &Facts) -> Option<(String, String)> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let user = facts.files.read()?.server_user.as_deref()?;
    let user = User::from_name(user).ok()??;
    let group = Group::from_gid(user.gid).ok()??;
    Some(("root".to_owned(), group.name))
}
