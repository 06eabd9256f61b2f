//! A private CA, a server certificate and a client certificate from it, as a plan.
//!
//! Keys are made while planning, in memory only; nothing touches the disk before the plan is run.

use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};

use super::remedy::{NotPlanned, edit};
use super::{Issue, Plan, Write};
use crate::ca::{
    Authority, AuthoritySpec, CaError, Catalog, Destination, Issued, KeyKind, Kind, PlainName, San,
    Store, Subject, Validity,
};
use crate::facts::{Facts, Require, ServerFacts, Target, files};
use crate::printable::printable;
use crate::remedy::certificates::{self, ca_name, server_names};
use crate::remedy::key_kinds::key_kinds;
use crate::remedy::{Effect, statement};
use crate::secret::Secret;

/// What is wanted of the workshop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// Common name of the CA; that of the CA there is, to use it again.
    pub ca_name: String,
    pub key: KeyKind,
    /// Host names and addresses; empty: no server certificate.
    pub server_names: Vec<String>,
    /// The user a client certificate is for; empty: none.
    pub client: String,
    /// Where the server's key, certificate and CA go.
    pub folder: PathBuf,
    /// Of a new CA's key; without it whoever reads the file has the key.
    pub passphrase: Option<Secret>,
}

impl Wishes {
    /// What is sensible for this server, from what is known of it.
    pub fn sensible(facts: &Facts, client: Option<&str>) -> Self {
        let own = facts.target.ca_dir.as_deref().filter(|dir| Store::exists(dir)).and_then(name_of);
        let from_network = || {
            let accounts = facts.server.read()?.accounts.read()?;
            let account = accounts
                .iter()
                .find(|a| !a.name.is_local() && !a.locked && !a.name.user.is_empty());
            account.map(|account| account.name.user.clone())
        };
        let in_place = facts
            .files
            .read()
            .and_then(|files| files.certificate.as_ref())
            .and_then(|file| Some(file.path.parent()?.to_owned()));
        Self {
            ca_name: own.unwrap_or_else(|| ca_name(facts)),
            key: certificates::key_kind(facts),
            server_names: server_names(facts),
            client: client
                .map(str::to_owned)
                .or_else(from_network)
                .unwrap_or_else(|| "app".to_owned()),
            folder: in_place.unwrap_or_else(|| certificates::default_folder(facts)),
            passphrase: None,
        }
    }
}

/// Plans it all. Reads the CA there is and the option file; writes nothing.
///
/// # Errors
/// A sentence that says which wish cannot be met, and why.
pub fn plan(facts: &Facts, wishes: &Wishes) -> Result<Plan, NotPlanned> {
    let said = |error: CaError| error.to_string();
    let (dir, existing) = place(facts, &wishes.ca_name)?;
    let kinds = key_kinds(facts);
    kinds.choose(Some(wishes.key))?;
    let (authority, create) = if let Some(store) = existing {
        kinds.check_chain(&Catalog::read(&dir).map_err(said)?.chain)?;
        (store.authority().clone(), None)
    } else {
        let name: PlainName = wishes.ca_name.trim().parse().map_err(said)?;
        let spec = AuthoritySpec {
            subject: Subject::common_name(&name),
            key: wishes.key,
            validity: Validity::CA,
        };
        let authority = Authority::create(&spec).map_err(said)?;
        (authority.clone(), Some(authority))
    };
    let passphrase = match create {
        Some(_) => wishes.passphrase.clone(),
        None => facts.target.ca_passphrase.clone(),
    };
    let mut plan = Plan {
        session: Plan::session_of(facts),
        server: facts.identity(),
        passphrase,
        ..Plan::default()
    };
    let mut certificates = Vec::new();
    if create.is_some() {
        let kind = wishes.key.describe();
        plan.writes.push(Write::by_store(
            &dir.join(Store::CA_FILE),
            0o644,
            "the CA, for every client",
        ));
        let under = if plan.passphrase.is_some() { " under your passphrase" } else { "" };
        let what = format!("its {kind} key{under}, never shown");
        plan.writes.push(Write::by_store(&dir.join(Store::KEY_FILE), 0o600, what));
    }
    if !wishes.server_names.is_empty() {
        let sans: Result<Vec<San>, String> =
            wishes.server_names.iter().map(|name| name.trim().parse().map_err(said)).collect();
        let spec = authority.server_spec(&sans?, wishes.key, Validity::LEAF).map_err(said)?;
        let mut issued = authority.issue_server(&spec).map_err(said)?;
        issued.key_form = certificates::key_form(facts);
        server_files(facts, wishes, &issued, &mut plan)?;
        certificates.push((issued, Kind::Server, wishes.server_names.clone()));
    }
    if !wishes.client.trim().is_empty() {
        let name: PlainName = wishes.client.trim().parse().map_err(said)?;
        let issued = authority.issue_client_in(&dir, &name, wishes.key, Validity::LEAF);
        let issued = issued.map_err(said)?;
        let trusted = if wishes.server_names.is_empty() {
            trust_beside(facts, &authority, &mut plan)
        } else {
            None
        };
        let folder = dir.join("clients").join(name.as_str());
        client_files(&folder, &name, &issued, trusted, &mut plan)?;
        certificates.push((issued, Kind::Client, vec![name.to_string()]));
    }
    for (issued, ..) in &certificates {
        let file = format!("issued/{}.pem", issued.summary().serial);
        plan.writes.push(Write::by_store(&dir.join(file), 0o644, "a copy for the CA's list"));
    }
    plan.writes.push(Write::by_store(
        &dir.join("index.jsonl"),
        0o600,
        "the CA's list of what it issued",
    ));
    plan.title = title(create.is_some(), !wishes.server_names.is_empty(), wishes.client.trim());
    if create.is_some() && !wishes.server_names.is_empty() {
        plan.trust = Some(dir.join(Store::CA_FILE));
        plan.warnings.extend(left_behind(facts, &authority, &dir));
    }
    let server = (!wishes.server_names.is_empty())
        .then(|| Destination { files: server_paths(wishes).to_vec(), deployed: true });
    plan.issue = Some(Issue { dir, create, certificates, server });
    Ok(plan)
}

/// Opens the CA of this target to work with it.
pub(super) fn open(target: &Target, dir: &Path) -> Result<Store, NotPlanned> {
    Store::open_with(dir, target.ca_passphrase.as_ref()).map_err(|error| match error {
        CaError::KeyEncrypted { .. } => NotPlanned::Locked { dir: dir.to_owned(), wrong: false },
        CaError::Passphrase { .. } => NotPlanned::Locked { dir: dir.to_owned(), wrong: true },
        error => NotPlanned::ByHand(error.to_string()),
    })
}

/// The folder for the CA of this name, and the CA if it is there already.
fn place(facts: &Facts, name: &str) -> Result<(PathBuf, Option<Store>), NotPlanned> {
    let dir = facts.target.ca_dir.clone();
    let dir = dir.ok_or("this user has no home folder to keep a CA in; name one with --ca-dir")?;
    if !Store::exists(&dir) {
        return Ok((dir, None));
    }
    let theirs = name_of(&dir).unwrap_or_default();
    if theirs == name.trim() {
        let store = open(&facts.target, &dir)?;
        return Ok((dir, Some(store)));
    }
    Err(NotPlanned::ByHand(format!(
        "{} holds the CA {theirs} already: use that name, or another folder with --ca-dir",
        printable(&dir.display().to_string())
    )))
}

/// What the CA in this folder is called; for that its key is not needed.
fn name_of(dir: &Path) -> Option<String> {
    Some(Catalog::read(dir).ok()?.chain.first()?.subject.short())
}

/// Key, certificate and CA in the server's folder, and the options that name them.
fn server_files(
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
fn server_paths(wishes: &Wishes) -> [PathBuf; 3] {
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

fn client_files(
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
fn trust_beside(facts: &Facts, authority: &Authority, plan: &mut Plan) -> Option<String> {
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

/// Who trusts or needs another CA, and would be left behind by a new one.
fn left_behind(facts: &Facts, authority: &Authority, dir: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    if facts.files.read().is_some_and(|files| !files.ca_certificates().is_empty()) {
        let ca = printable(&dir.join(Store::CA_FILE).display().to_string()).into_owned();
        warnings.push(format!(
            "clients that verify the server need the new CA before they connect again: {ca}"
        ));
    }
    let accounts = facts.server.read().and_then(|server| server.accounts.read());
    let own = authority.summary().subject;
    let own =
        [crate::x509::OneLine::OpenSsl3, crate::x509::OneLine::OpenSsl1].map(|l| own.oneline(l));
    let bound = accounts.into_iter().flatten().filter(|account| match &account.require {
        Require::X509 => true,
        Require::Specified { issuer, subject, .. } => {
            (!issuer.is_empty() || !subject.is_empty()) && !own.contains(issuer)
        }
        Require::None | Require::Ssl => false,
    });
    let bound: Vec<String> = bound.map(|account| account.name.to_string()).collect();
    if !bound.is_empty() {
        warnings.push(format!(
            "refused until they have certificates of the new CA: {}",
            bound.join(", ")
        ));
    } else if accounts.is_none() {
        warnings.push(
            "every certificate of the old CA stops working; which accounts need one cannot be \
             asked now: look at step 5, Accounts, afterwards"
                .to_owned(),
        );
    }
    warnings
}

fn title(new: bool, server: bool, client: &str) -> String {
    let mut parts = Vec::new();
    if new {
        parts.push("a private CA".to_owned());
    }
    if server {
        parts.push("a server certificate".to_owned());
    }
    if !client.is_empty() {
        parts.push(format!("a client certificate for {client}"));
    }
    match parts.as_slice() {
        [.., before, last] if parts.len() == 2 => format!("{before} and {last}"),
        [a, b, c] => format!("{a}, {b} and {c}"),
        parts => parts.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::{Content, run};
    use crate::facts::Source;
    use crate::rules::testing;

    /// A server whose option file and folders lie in a temporary folder, without TLS.
    fn bare(folder: &Path) -> Facts {
        let mut facts = testing::healthy();
        let file = folder.join("my.cnf");
        std::fs::write(&file, "[mysqld]\nport = 3306\n").unwrap();
        facts.config = Source::Read(crate::facts::config::read(Some(&file), None).unwrap());
        facts.files = Source::Read(crate::facts::ServerFiles::default());
        facts.target.ca_dir = Some(folder.join("ca"));
        facts
    }

    #[test]
    fn planning_writes_nothing_and_running_gives_a_chain_that_verifies() {
        let folder = tempfile::tempdir().unwrap();
        let facts = bare(folder.path());
        let wishes = Wishes::sensible(&facts, None);
        assert_eq!(wishes.client, "app");
        let mut plan = plan(&facts, &wishes).unwrap();
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "only the option file is there"
        );
        assert_eq!(
            plan.title,
            "a private CA, a server certificate and a client certificate for app"
        );
        assert_eq!(plan.effect, Effect::Restart);
        plan.effect = Effect::None; // nobody restarts anything here
        run(&plan, None, &mut |_| {}).unwrap();
        for write in &plan.writes {
            assert!(write.path.exists(), "{} was announced and is not there", write.path.display());
        }
        let config = crate::facts::config::read(Some(&folder.path().join("my.cnf")), None).unwrap();
        let sought = files::Sought::new(|_| None, false, Some(&config), None);
        let files = files::read(&sought);
        assert_eq!(files.under_ca, Some(Ok(())));
        assert!(files.leaf().unwrap().certifies(&files.private_key().unwrap().public));
    }

    #[test]
    fn the_ca_there_is_is_used_again_and_another_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let facts = bare(folder.path());
        let mut wishes = Wishes::sensible(&facts, Some("app"));
        let mut first = plan(&facts, &wishes).unwrap();
        first.effect = Effect::None;
        run(&first, None, &mut |_| {}).unwrap();
        wishes.client = "web".into();
        let again = plan(&facts, &Wishes { server_names: Vec::new(), ..wishes.clone() }).unwrap();
        assert_eq!(again.title, "a client certificate for web");
        assert!(again.issue.as_ref().unwrap().create.is_none());
        wishes.ca_name = "Another".into();
        assert!(format!("{:?}", plan(&facts, &wishes).unwrap_err()).contains("holds the CA"));
    }

    #[test]
    fn a_client_certificate_alone_is_trusted_beside_what_the_server_trusts() {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ssl_ca.pem");
        let mut facts = testing::healthy();
        facts.target.ca_dir = Some(folder.path().join("ca"));
        let Source::Read(files) = &mut facts.files else { panic!() };
        let file = files.ca.as_mut().unwrap();
        std::fs::write(&ca, &file.content.as_ref().unwrap()[0].pem).unwrap();
        file.path.clone_from(&ca);
        let wishes = Wishes { server_names: Vec::new(), ..Wishes::sensible(&facts, Some("app")) };
        let plan = plan(&facts, &wishes).unwrap();
        assert!(!plan.writes.iter().any(|write| write.what.contains("server certificate")));
        assert_eq!(plan.effect, Effect::Reload);
        run(&Plan { effect: Effect::None, reload: None, ..plan }, None, &mut |_| {}).unwrap();
        let trusted = crate::x509::pem::certificates(&std::fs::read(&ca).unwrap()).unwrap();
        assert_eq!(trusted.len(), 2);
        let client = folder.path().join("ca/clients/app");
        assert_eq!(std::fs::read(client.join("ca.pem")).unwrap(), std::fs::read(&ca).unwrap());
        let own = std::fs::read(client.join("client-cert.pem")).unwrap();
        let own = crate::x509::pem::certificates(&own).unwrap();
        assert!(own[0].verify(&trusted[1].public_key().unwrap()).unwrap());

        // asked for again, the server has it already
        let Source::Read(files) = &mut facts.files else { panic!() };
        let both = trusted.iter().map(|ca| crate::x509::Certificate::from_openssl(ca));
        files.ca.as_mut().unwrap().content = Ok(both.collect());
        let again = super::plan(&facts, &Wishes { client: "web".into(), ..wishes }).unwrap();
        assert_eq!(
            (again.effect, again.writes.iter().any(|w| w.path == ca)),
            (Effect::None, false)
        );
    }

    #[test]
    fn a_ca_that_the_server_cannot_verify_issues_nothing_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut facts = bare(folder.path());
        let wishes = Wishes::sensible(&facts, Some("app"));
        let mut first = plan(&facts, &wishes).unwrap();
        first.effect = Effect::None;
        run(&first, None, &mut |_| {}).unwrap();
        let Source::Read(server) = &mut facts.server else { panic!() };
        server.tls_library = Some("YaSSL".into());
        let refused = |wishes: &Wishes| format!("{:?}", plan(&facts, wishes).unwrap_err());
        let why = refused(&Wishes { server_names: Vec::new(), ..wishes.clone() });
        assert!(why.contains("this server cannot use EC P-256") && why.contains("RSA"), "{why}");
        let why = refused(&Wishes { key: KeyKind::Rsa2048, ..wishes });
        assert!(why.contains("whose own key is EC P-256"), "{why}");
        assert!(why.contains("mytls ca create --for mysql-5.6"), "{why}");
    }

    #[test]
    fn no_key_is_shown_by_a_plan() {
        let folder = tempfile::tempdir().unwrap();
        let facts = bare(folder.path());
        let plan = plan(&facts, &Wishes::sensible(&facts, None)).unwrap();
        assert!(plan.writes.iter().any(|write| matches!(write.content, Content::Key(_))));
        assert!(!format!("{plan:?}").contains("PRIVATE KEY"));
    }

    #[test]
    fn accounts_of_the_old_ca_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut facts = bare(folder.path());
        let Source::Read(server) = &mut facts.server else { panic!() };
        server.accounts = Source::Read(vec![
            testing::account("app", "%", Require::X509),
            testing::account("web", "%", Require::Ssl),
        ]);
        let plan = plan(&facts, &Wishes::sensible(&facts, None)).unwrap();
        assert_eq!(plan.warnings, ["refused until they have certificates of the new CA: app@%"]);
    }
}
