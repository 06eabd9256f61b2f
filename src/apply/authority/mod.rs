//! A private CA, a server certificate and a client certificate from it, as a plan.
//!
//! Keys are made while planning, in memory only; nothing touches the disk before the plan is run.

use std::path::{Path, PathBuf};

use self::files::{client_files, server_files, server_paths, trust_beside};
use super::remedy::NotPlanned;
use super::{Issue, Plan, Write};
use crate::ca::{
    Authority, AuthoritySpec, CaError, Catalog, Destination, KeyKind, Kind, PlainName, San, Store,
    Subject, Validity, day,
};
use crate::facts::{Facts, Require, Target};
use crate::printable::printable;
use crate::remedy::certificates::{self, ca_name, server_names};
use crate::remedy::key_kinds::key_kinds;
use crate::secret::Secret;

mod files;

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
    let mut plan = Plan { session: Plan::session_of(facts), passphrase, ..Plan::default() };
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
    if certificates.iter().any(|(issued, ..)| issued.ends_with_ca()) {
        plan.warnings.push(no_longer(&day(authority.ends())));
    }
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

/// Of what was to live longer than its CA.
pub(super) fn no_longer(until: &str) -> String {
    format!("valid until {until}, when its CA ends: a longer life takes a new CA (mytls ca rotate)")
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
mod tests;
