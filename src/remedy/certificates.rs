//! New certificates for the server, from its own private CA.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::{Action, Effect, Remedy, chain_file, shell, statement};
use crate::ca::{KeyForm, KeyKind, San};
use crate::facts::{Account, Facts, FileFacts, OwnCa, Require, ServerFiles};
use crate::wire::TlsOffer;
use crate::x509::KeyAlgorithm;
use crate::x509::pem::Defect;

/// The three files of the server's TLS: those its options name, or those they should.
pub struct Places {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
    /// The options that do not name their file yet, or one that holds something else, too, with
    /// the file they should name.
    pub unset: Vec<(&'static str, PathBuf)>,
}

impl Places {
    pub fn of(facts: &Facts) -> Option<Self> {
        let files = facts.files.read()?;
        let folder = || default_folder(facts);
        let mut unset = Vec::new();
        let mut place = |option, now: Option<&PathBuf>, name: &str, what: &str| match now {
            Some(now) if !files.is_combined(option) => now.clone(),
            now => {
                let path = now.map_or_else(|| folder().join(name), |now| beside(now, what));
                unset.push((option, path.clone()));
                path
            }
        };
        let ca = place("ssl_ca", path(files.ca.as_ref()), "ca.pem", "ca");
        let certificate =
            place("ssl_cert", path(files.certificate.as_ref()), "server-cert.pem", "chain");
        // an ssl_key that names the certificate names no place for a key
        let key = path(files.key.as_ref()).filter(|path| **path != certificate);
        let key = place("ssl_key", key, "server-key.pem", "key");
        Some(Self { certificate, key, ca, unset })
    }
}

/// Where the file can be written; no file can take the place of a folder.
fn path<T>(file: Option<&FileFacts<T>>) -> Option<&PathBuf> {
    let file = file.filter(|file| !matches!(file.content, Err(Defect::Directory)));
    file.map(|file| &file.path)
}

/// Where new files go: a folder `tls` beside the option file.
pub fn default_folder(facts: &Facts) -> PathBuf {
    let main =
        facts.config.read().map_or(Path::new("/etc/mysql/my.cnf"), |config| &config.main_file);
    main.parent().unwrap_or(Path::new("/etc/mysql")).join("tls")
}

/// Every name and address a client may type that can stand in a certificate: those of the certificate
/// there is, of the server, of its host, and of the target, without repeats.
pub fn server_names(facts: &Facts) -> Vec<String> {
    let mut names = names(facts);
    names.retain(|name| is_usable(name));
    // The first becomes the common name: a name that means this host to others, too, goes before
    // localhost, and a name before an address.
    names.sort_by_key(|name| (name.parse::<IpAddr>().is_ok(), name == "localhost"));
    names
}

/// What the server is called besides, and no certificate can say.
pub fn odd_names(facts: &Facts) -> Vec<String> {
    let mut names = names(facts);
    names.retain(|name| !is_usable(name));
    names
}

/// Such names stand in commands as they are, too.
fn is_usable(name: &str) -> bool {
    name.parse::<San>().is_ok()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-:*_".contains(c))
}

fn names(facts: &Facts) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    };
    if let Some(host) = facts.target.host.as_deref() {
        add(host);
    }
    if let Some(server) = facts.server.read() {
        server
            .variable("hostname")
            .into_iter()
            .chain(server.variable("report_host"))
            .for_each(&mut add);
    }
    for name in &facts.host.names {
        add(name);
    }
    for name in bound(facts) {
        add(&name);
    }
    let served = facts.served_leaf().map(crate::x509::Certificate::host_names);
    served.into_iter().flatten().for_each(|name| add(&name));
    ["localhost", "127.0.0.1"].into_iter().for_each(add);
    names
}

/// The addresses on which the server listens, as others reach them: those it is bound to, by number
/// or by name, or all of its host's. `10.0.0.5/green` is one in a network namespace (MySQL 8.0.22).
fn bound(facts: &Facts) -> Vec<String> {
    let bound = facts.server.read().and_then(|server| server.variable("bind_address"));
    let bound = bound.or_else(|| facts.config.read()?.get("bind_address")).unwrap_or("*");
    let mut names: Vec<String> = Vec::new();
    for word in bound.split(',') {
        let word = word.split('/').next().unwrap_or_default().trim();
        match word.parse::<IpAddr>() {
            Ok(address) if address.is_loopback() => {}
            Ok(address) if !address.is_unspecified() => names.push(address.to_string()),
            Err(_) if !word.is_empty() && word != "*" => names.push(word.to_owned()),
            // `*`, `0.0.0.0` and `::`
            _ => names.extend(facts.host.addresses.iter().map(IpAddr::to_string)),
        }
    }
    names
}

/// A new key and certificate in the place of the old ones: from the CA that clients trust already
/// where mytls keeps it, else from a new one.
pub fn reissue(facts: &Facts) -> Option<Remedy> {
    let places = Places::of(facts)?;
    let files = facts.files.read()?;
    let ca_dir = facts.target.ca_dir.as_ref()?;
    // a CA that this server cannot use stays where it is, for other servers
    let unusable = facts.is_yassl() && files.own_ca.as_ref().is_some_and(|own| !is_rsa(own));
    let ca_dir =
        shell::word(&format!("{}{}", ca_dir.display(), if unusable { "-rsa" } else { "" }));
    let user = files.server_user.as_deref();
    let user =
        user.map_or_else(String::new, |user| format!(" --server-user {}", shell::word(user)));
    // yaSSL takes RSA alone, for the CA that signs clients' certificates, too
    let (kind, form) =
        if facts.is_yassl() { (" --key rsa2048", " --key-form pkcs1") } else { ("", "") };
    let issue = format!(
        "mytls ca server --ca-dir {ca_dir} --san {}{kind}{form} --cert-file {} --key-file {}{user}",
        server_names(facts).join(","),
        shell::path(&places.certificate),
        shell::path(&places.key),
    );
    let known = trusted_own_ca(files) && !unusable;
    let mut remedy = if known && places.unset.is_empty() {
        let command = if missing_from_ca(facts, files) {
            format!("{issue} &&\ncat {ca_dir}/ca.pem >> {}", shell::path(&places.ca))
        } else {
            issue
        };
        Remedy::new(
            "issue a new key and certificate from your own CA, in the place of the old",
            vec![Action::shell(command, effect_of_files(facts))],
        )
    } else {
        let create = match &files.own_ca {
            Some(_) if !unusable => String::new(),
            _ => format!(
                "mytls ca create --ca-dir {ca_dir} --name {}{kind} --no-passphrase &&\n",
                shell::word(&ca_name(facts))
            ),
        };
        let command = format!("{create}{issue} --ca-file {}", shell::path(&places.ca));
        let effect = if places.unset.is_empty() { effect_of_files(facts) } else { Effect::Restart };
        let mut actions = vec![Action::shell(command, effect)];
        if let (false, Some(config)) = (places.unset.is_empty(), facts.config.read()) {
            let unset: Vec<_> = places
                .unset
                .iter()
                .map(|(option, path)| (*option, path.display().to_string()))
                .collect();
            let unset: Vec<_> =
                unset.iter().map(|(option, path)| (*option, path.as_str())).collect();
            actions.push(Action::config(&config.main_file, &unset));
        }
        Remedy::new("make a private CA, and a key and certificate from it", actions)
            .with_note(new_ca_note(facts, &format!("{ca_dir}/ca.pem")))
    };
    if facts.is_yassl() {
        remedy.note = format!(
            "clients need all of {ca_dir}/ca.pem: yaSSL sends its own certificate alone, without the chain"
        );
    }
    remedy.actions.extend(take_effect(facts, remedy.effect()));
    Some(remedy)
}

/// Who has to be given something because of a new CA, by name where the accounts are known.
fn new_ca_note(facts: &Facts, ca_file: &str) -> String {
    const NAMED: usize = 8;
    let clients = format!("clients that verify the server need the new CA: {ca_file}");
    let accounts = facts.server.read().and_then(|server| server.accounts.read());
    let Some(accounts) = accounts else {
        return format!("{clients}; accounts that need a certificate need one of the new CA");
    };
    let bound = |account: &&Account| {
        !account.locked && matches!(account.require, Require::X509 | Require::Specified { .. })
    };
    let names: Vec<String> =
        accounts.iter().filter(bound).map(|account| account.name.to_string()).collect();
    if names.is_empty() {
        return clients;
    }
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let names = names[..names.len().min(NAMED)].join(", ");
    format!("{clients}; and nobody gets in as {names}{more} without a certificate of the new CA")
}

/// Whether the server could not check what the own CA issues: that CA is an intermediate, and
/// `ssl_ca` holds the root above it alone.
fn missing_from_ca(facts: &Facts, files: &ServerFiles) -> bool {
    let Some(own) = &files.own_ca else { return false };
    chain_file::checks_itself(facts)
        && !own.certificate.self_signed
        && !files.ca_certificates().iter().any(|ca| ca.sha256 == own.certificate.sha256)
}

fn is_rsa(own: &OwnCa) -> bool {
    let key = own.certificate.public_key.as_ref();
    key.is_some_and(|key| key.algorithm == KeyAlgorithm::Rsa)
}

/// What kind of key this server can use: P-256 unless it has yaSSL, which knows RSA alone.
pub fn key_kind(facts: &Facts) -> KeyKind {
    if facts.is_yassl() { KeyKind::Rsa2048 } else { KeyKind::default() }
}

/// How this server wants its key written.
pub fn key_form(facts: &Facts) -> KeyForm {
    if facts.is_yassl() { KeyForm::Pkcs1 } else { KeyForm::default() }
}

/// What to call a CA made for this server.
pub fn ca_name(facts: &Facts) -> String {
    let names = server_names(facts);
    let name =
        names.iter().find(|name| name.as_str() != "localhost" && name.parse::<IpAddr>().is_err());
    format!("mytls CA for {}", name.map_or("this server", String::as_str))
}

/// Whether mytls keeps the CA that `ssl_ca` names.
pub fn trusted_own_ca(files: &ServerFiles) -> bool {
    let own = files.own_ca.as_ref();
    own.is_some_and(|own| {
        files.ca_certificates().iter().any(|ca| ca.sha256 == own.certificate.sha256)
            || files.ca_certificates().iter().any(|ca| own.certificate.is_signed_by(ca))
    })
}

/// The statement that makes files count, where the server runs and knows one; none when the
/// remedy needs a restart anyway.
pub fn take_effect(facts: &Facts, effect: Effect) -> Option<Action> {
    let server = facts.server.read()?;
    let reload = statement::reload(server.flavor, server.version)?;
    (effect == Effect::Reload).then(|| Action::sql(reload))
}

/// What new or changed files need before they count: a reload where that is possible now.
pub fn effect_of_files(facts: &Facts) -> Effect {
    // A client that asks for TLS, as most do by themselves, does not get in to say RELOAD.
    if matches!(facts.wire.read().map(|wire| &wire.tls), Some(TlsOffer::Failed { .. })) {
        return Effect::Restart;
    }
    let running = facts.server.read();
    let reloads = running.and_then(|server| statement::reload(server.flavor, server.version));
    if reloads.is_some() { Effect::Reload } else { Effect::Restart }
}

/// `all.pem` and `chain` give `all-chain.pem` in the same folder.
pub fn beside(path: &Path, what: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{what}.pem"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    #[test]
    fn the_servers_user_is_passed_along_and_no_folder_is_touched() {
        let facts = testing::with_files(|files| {
            files.key = None;
            files.ca = None;
        });
        let remedy = reissue(&facts).unwrap();
        let command = &remedy.actions[0].text;
        assert!(command.contains(" --server-user mysql"), "{command}");
        assert!(!command.contains("chgrp") && !command.contains("chmod"), "{command}");
    }

    #[test]
    fn what_listens_everywhere_is_named_by_every_name_and_address_of_its_host() {
        let names = |bind: &str| {
            let mut facts = testing::with_server(|server| {
                server.variables.insert("bind_address".into(), bind.into());
            });
            facts.host.names = vec!["db1.example.org".into(), "db1".into()];
            facts.host.addresses = vec!["10.0.0.5".parse().unwrap()];
            server_names(&facts)
        };
        let all = names("*");
        assert!(all.contains(&"db1.example.org".into()) && all.contains(&"10.0.0.5".into()));
        assert!(names("0.0.0.0").contains(&"10.0.0.5".into()));
        let one = names("127.0.0.1,10.0.0.7");
        assert!(one.contains(&"10.0.0.7".into()) && !one.contains(&"10.0.0.5".into()), "{one:?}");
        assert!(all[0].parse::<IpAddr>().is_err(), "a name goes first: {all:?}");
        let told = names("db7.example.org, 10.0.0.9/green");
        assert!(told.contains(&"db7.example.org".into()) && told.contains(&"10.0.0.9".into()));
        assert!(!told.contains(&"10.0.0.5".into()), "{told:?}");
    }

    #[test]
    fn what_no_certificate_can_say_is_told_apart() {
        let mut facts = testing::with_server(|server| {
            server.variables.insert("report_host".into(), "db..1".into());
            server.variables.insert("hostname".into(), "db1".into());
        });
        facts.host.names = vec!["-db;1".into()];
        assert_eq!(odd_names(&facts), ["db..1", "-db;1"]);
        let names = server_names(&facts);
        assert!(names.contains(&"db1".into()) && names.iter().all(|name| is_usable(name)));
    }

    /// A server with yaSSL, whose CA mytls keeps.
    fn yassl(ca: KeyAlgorithm) -> Facts {
        let mut facts = testing::with_server(|server| server.tls_library = Some("YaSSL".into()));
        let crate::facts::Source::Read(files) = &mut facts.files else { panic!() };
        let mut certificate = files.ca_certificates()[0].clone();
        certificate.public_key.as_mut().unwrap().algorithm = ca;
        let dir = "/var/lib/mytls/ca".into();
        files.own_ca = Some(OwnCa { dir, certificate, clients: Vec::new(), above: Vec::new() });
        facts
    }

    #[test]
    fn yassl_gets_rsa_in_pkcs1_and_clients_are_told_what_they_need() {
        let remedy = reissue(&yassl(KeyAlgorithm::Rsa)).unwrap();
        let command = &remedy.actions[0].text;
        assert!(command.starts_with("mytls ca server --ca-dir /var/lib/mytls/ca "), "{command}");
        assert!(command.contains(" --key rsa2048 --key-form pkcs1 "), "{command}");
        assert!(remedy.note.contains("/var/lib/mytls/ca/ca.pem"), "{}", remedy.note);
        let openssl = reissue(&testing::healthy()).unwrap();
        assert!(!openssl.actions[0].text.contains("--key "));
    }

    #[test]
    fn a_ca_on_a_curve_is_left_alone_and_yassl_gets_one_of_its_own() {
        let curve = KeyAlgorithm::Ec("prime256v1".into());
        let remedy = reissue(&yassl(curve)).unwrap();
        let command = &remedy.actions[0].text;
        let create = "mytls ca create --ca-dir /var/lib/mytls/ca-rsa --name";
        assert!(
            command.starts_with(create) && command.contains(" --key rsa2048 --no-passphrase &&"),
            "{command}"
        );
        assert!(command.contains("mytls ca server --ca-dir /var/lib/mytls/ca-rsa "), "{command}");
        assert!(command.contains(" --ca-file /etc/mysql/tls/ca.pem"), "{command}");
    }

    #[test]
    fn a_combined_file_is_left_for_new_ones_beside_it() {
        let facts = testing::with_files(|files| {
            files.combined = vec!["ssl_key".into(), "ssl_cert".into()];
            let certificate = files.certificate.as_ref().unwrap().path.clone();
            files.key.as_mut().unwrap().path = certificate;
        });
        let places = Places::of(&facts).unwrap();
        assert_eq!(places.certificate, Path::new("/etc/mysql/tls/server-cert-chain.pem"));
        assert_eq!(places.key, Path::new("/etc/mysql/tls/server-cert-key.pem"));
        assert_eq!(places.unset.len(), 2);
    }
}
