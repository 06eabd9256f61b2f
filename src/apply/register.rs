//! What the private CA has issued, renewed or revoked, as a plan.

use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use super::remedy::NotPlanned;
use super::{Plan, Write};
use crate::ca::crl::{Reason, may_replace};
use crate::ca::list::Status;
use crate::ca::renew::Renewal;
use crate::ca::{CaError, Catalog, Entry, Issued, Kind, Store, Validity};
use crate::disk::Meta;
use crate::facts::Facts;
use crate::printable::printable;
use crate::remedy::{Effect, statement};

/// A change to something that was issued; the store makes it, under its lock.
#[derive(Clone)]
pub enum Change {
    /// The new certificate is made while planning, in memory.
    Renew { dir: PathBuf, entry: Box<Entry>, issued: Box<Issued> },
    Revoke {
        dir: PathBuf,
        entry: Box<Entry>,
        reason: Reason,
        /// The server's own file of lists, where that is another than the CA's.
        deploy: Option<PathBuf>,
    },
}

impl Change {
    pub fn dir(&self) -> &Path {
        match self {
            Self::Renew { dir, .. } | Self::Revoke { dir, .. } => dir,
        }
    }

    /// `the client certificate of app`
    pub fn subject(&self) -> String {
        match self {
            Self::Renew { entry, .. } | Self::Revoke { entry, .. } => subject(entry),
        }
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // no keys
        f.debug_struct("Change").field("dir", &self.dir()).finish_non_exhaustive()
    }
}

/// Another certificate in the place of this one. Its files go where the old ones lie.
///
/// # Errors
/// A sentence that says why it cannot be renewed, and what to do.
pub fn renewal(facts: &Facts, serial: &str, same_key: bool) -> Result<Plan, NotPlanned> {
    let said = |error: CaError| error.to_string();
    let (store, entry) = find(facts, serial)?;
    let dir = store.dir().to_owned();
    if entry.files.is_empty() {
        return Err(NotPlanned::ByHand(format!(
            "{} was signed for a key that is kept elsewhere: ask its owner for a new request, and \
             sign it with mytls ca sign",
            subject(&entry)
        )));
    }
    let paths: Vec<PathBuf> = entry.files.iter().map(|file| dir.join(file)).collect();
    let missing = paths.iter().take(2).find(|path| !path.exists());
    if let Some(path) = missing.filter(|_| entry.kind == Kind::Server) {
        let path = shown(path);
        return Err(format!("{path} is gone: make a new server certificate, with m").into());
    }
    let issued =
        store.issue_again(&entry, Renewal { same_key, validity: Validity::LEAF }).map_err(said)?;
    let new = issued.summary();
    let key = new.public_key.as_ref().map(crate::x509::PublicKey::describe).unwrap_or_default();
    let mut plan = Plan {
        title: format!("renew {}", subject(&entry)),
        session: Plan::session_of(facts),
        passphrase: facts.target.ca_passphrase.clone(),
        ..Plan::default()
    };
    let until = crate::ca::list::day(new.not_after);
    let whose = if same_key { "the same" } else { "a new" };
    let what = [
        format!("the new certificate, until {until}; backup kept"),
        format!("{whose} {key} key, never shown; backup kept"),
        "the CA, unless it stands there already; backup kept".to_owned(),
    ];
    let modes = [0o644, if entry.kind == Kind::Server { 0o640 } else { 0o600 }, 0o644];
    for ((path, what), mode) in paths.iter().zip(what).zip(modes) {
        plan.writes.push(kept(path, mode, what));
    }
    let copy = dir.join(format!("issued/{}.pem", new.serial));
    plan.writes.push(kept(&copy, 0o644, "a copy for the CA's list".to_owned()));
    plan.writes.push(list(&dir));
    if issued.ends_with_ca() {
        plan.warnings.push(super::authority::no_longer(&until));
    }
    if entry.kind == Kind::Client {
        plan.warnings.push(
            "the client goes on with its old certificate until it has these files, and the old one \
             is good until it expires or is revoked"
                .to_owned(),
        );
    } else if reads(facts, &paths[0]) {
        reload(facts, &mut plan);
    } else if entry.deployed {
        plan.warnings.push("the server that reads these files needs a reload then".to_owned());
    } else {
        plan.warnings.push("these files are to be carried to their server".to_owned());
    }
    plan.change = Some(Change::Renew { dir, entry: entry.into(), issued: issued.into() });
    Ok(plan)
}

/// No server that reads the CA's lists takes this certificate any more.
///
/// # Errors
/// A sentence that says why not.
pub fn revocation(facts: &Facts, serial: &str, reason: Reason) -> Result<Plan, NotPlanned> {
    let (store, entry) = find(facts, serial)?;
    match Status::of(&entry, time::OffsetDateTime::now_utc().unix_timestamp()) {
        Status::Valid | Status::Replaced => {}
        Status::Dropped => return Err("it was never handed out: nobody can use it".into()),
        status => return Err(format!("{} is {} already", subject(&entry), status.word()).into()),
    }
    let dir = store.dir().to_owned();
    let mut plan = Plan {
        title: format!("revoke {}", subject(&entry)),
        session: Plan::session_of(facts),
        passphrase: facts.target.ca_passphrase.clone(),
        asked_again: Some("revoke"),
        ..Plan::default()
    };
    let crl = dir.join(Store::CRL_FILE);
    plan.writes.push(kept(&crl, 0o644, "what the CA revoked, signed anew".to_owned()));
    plan.writes.push(list(&dir));
    plan.warnings.push("this cannot be taken back: revoked stays revoked".to_owned());
    let file = shown(&crl);
    let read = facts.files.read().and_then(|files| files.crl.as_ref());
    let mut deploy = None;
    match read.map(|read| &read.path) {
        _ if facts.is_yassl() => plan.warnings.push(
            "this server's library, yaSSL, knows no lists, whatever ssl_crl names: it takes the \
             certificate until the account has another password, or a REQUIRE that it does not meet"
                .to_owned(),
        ),
        Some(path) if same(path, &crl) => reload(facts, &mut plan),
        Some(path) if may_replace(&dir, path) => {
            let what = "the same list, for the server; backup kept".to_owned();
            plan.writes.push(kept(path, 0o644, what));
            deploy = Some(path.clone());
            reload(facts, &mut plan);
        }
        Some(path) => plan.warnings.push(format!(
            "this server reads {}: it takes the certificate until {file} is copied there, and it \
             reloads",
            shown(path)
        )),
        None => plan.warnings.push(format!(
            "this server reads no list: it takes the certificate until its ssl_crl is {file}"
        )),
    }
    let catalog = Catalog::read(&dir).map_err(|error| error.to_string())?;
    let without = (1..catalog.chain.len()).filter(|at| {
        let root = dir.join(Store::ROOT).join(Store::KEY_FILE);
        !catalog.lists.iter().any(|list| list.of == *at) && !root.exists()
    });
    let without: Vec<String> = without.map(|at| catalog.chain[at].subject.short()).collect();
    if !without.is_empty() {
        plan.warnings.push(format!(
            "there is no list of {}, and its key is not here: a server with ssl_crl wants one of \
             every CA, or it refuses everybody",
            printable(&without.join(", "))
        ));
    }
    plan.change = Some(Change::Revoke { dir, entry: entry.into(), reason, deploy });
    Ok(plan)
}

fn find(facts: &Facts, serial: &str) -> Result<(Store, Entry), NotPlanned> {
    let dir = facts.target.ca_dir.as_ref().ok_or("it is not known where the CA is kept")?;
    let store = super::authority::open(&facts.target, dir)?;
    let entries = store.list().map_err(|error| error.to_string())?;
    let entry = entries.into_iter().find(|entry| entry.serial == serial);
    let entry = entry.ok_or("it is not in the CA's list any more; go back and look again")?;
    Ok((store, entry))
}

/// `the client certificate of app`
fn subject(entry: &Entry) -> String {
    let names = entry.names.join(", ");
    format!("the {} certificate of {}", entry.kind.name(), printable(&names))
}

fn list(dir: &Path) -> Write {
    kept(&dir.join("index.jsonl"), 0o600, "the CA's list of what it issued".to_owned())
}

/// A file that the store writes, with mode and owner as they are where there is one.
fn kept(path: &Path, mode: u32, what: String) -> Write {
    let key = mode & 0o004 == 0;
    let mut write = Write::by_store(path, mode, what);
    if key {
        write.mode &= 0o770;
    }
    let owner = Meta::of(path).ok().and_then(|meta| meta.owner);
    write.owner = owner.and_then(|owner| {
        let user = User::from_uid(Uid::from_raw(owner.uid)).ok()??;
        let group = Group::from_gid(Gid::from_raw(owner.gid)).ok()??;
        Some((user.name, group.name))
    });
    write
}

/// Whether this is the certificate that the server was told to present.
fn reads(facts: &Facts, path: &Path) -> bool {
    let files = facts.files.read();
    files.and_then(|files| files.certificate.as_ref()).is_some_and(|file| same(&file.path, path))
}

fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

fn reload(facts: &Facts, plan: &mut Plan) {
    let running = facts.server.read();
    let reload = running.and_then(|server| statement::reload(server.flavor, server.version));
    plan.reload = reload.map(str::to_owned);
    plan.effect = if reload.is_some() { Effect::Reload } else { Effect::Restart };
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::run;
    use crate::ca::{Authority, AuthoritySpec, KeyKind};
    use crate::rules::testing;

    /// A CA with a server and a client, and a server that knows nothing of it.
    fn issued(folder: &Path) -> (Facts, Store) {
        let mut facts = testing::healthy();
        let dir = folder.join("ca");
        let spec = AuthoritySpec::named(&"Example CA".parse().unwrap());
        let store = Store::install(&dir, Authority::create(&spec).unwrap()).unwrap();
        store.issue_client(&"app".parse().unwrap(), KeyKind::P256, Validity::LEAF).unwrap();
        facts.target.ca_dir = Some(dir);
        (facts, store)
    }

    #[test]
    fn planning_writes_nothing_and_every_file_that_changes_was_announced() {
        let folder = tempfile::tempdir().unwrap();
        let (facts, store) = issued(folder.path());
        let old = store.list().unwrap().remove(0);
        let client = store.dir().join("clients/app");
        let certificate = std::fs::read(client.join("client-cert.pem")).unwrap();
        let plan = renewal(&facts, &old.serial, true).unwrap();
        assert_eq!(plan.title, "renew the client certificate of app");
        assert_eq!(std::fs::read(client.join("client-cert.pem")).unwrap(), certificate);
        assert_eq!(store.list().unwrap().len(), 1);
        assert!(!format!("{plan:?}").contains("PRIVATE"));
        let key = plan.writes.iter().find(|write| write.path.ends_with("client-key.pem")).unwrap();
        assert_eq!((key.mode, key.replaces, key.owner.is_some()), (0o600, true, true));

        run(&plan, None, &mut |_| {}).unwrap();
        assert!(plan.writes.iter().all(|write| write.path.exists()), "{:?}", plan.writes);
        let now = store.list().unwrap();
        assert_eq!(now[0].replaced_by.as_ref(), Some(&now[1].serial));
        assert_ne!(std::fs::read(client.join("client-cert.pem")).unwrap(), certificate);
        let again = renewal(&facts, &old.serial, false).unwrap_err();
        assert!(matches!(again, NotPlanned::ByHand(why) if why.contains("revoked or replaced")));
    }

    #[test]
    fn a_revocation_is_asked_twice_and_says_who_will_not_notice() {
        let folder = tempfile::tempdir().unwrap();
        let (mut facts, store) = issued(folder.path());
        let serial = store.list().unwrap()[0].serial.clone();
        let plan = revocation(&facts, &serial, Reason::KeyCompromise).unwrap();
        assert_eq!(plan.asked_again, Some("revoke"));
        assert!(plan.warnings[1].contains("reads no list"), "{:?}", plan.warnings);
        assert!(!store.dir().join("crl.pem").exists());
        run(&plan, None, &mut |_| {}).unwrap();
        assert_eq!(store.list().unwrap()[0].revoked.unwrap().reason, Reason::KeyCompromise);
        let again = revocation(&facts, &serial, Reason::Unspecified).unwrap_err();
        assert_eq!(again, "the client certificate of app is revoked already".into());

        // a server that reads the list of this very CA takes it with a reload
        store.issue_client(&"web".parse().unwrap(), KeyKind::P256, Validity::LEAF).unwrap();
        let web = store.list().unwrap().remove(1).serial;
        let crate::facts::Source::Read(files) = &mut facts.files else { panic!() };
        let ca = files.ca.as_ref().unwrap();
        files.crl = Some(crate::facts::FileFacts {
            option: "ssl_crl".into(),
            path: store.dir().join("crl.pem"),
            origin: None,
            access: ca.access.clone(),
            byte_order_mark: false,
            content: Ok(Vec::new()),
        });
        assert_eq!(revocation(&facts, &web, Reason::Superseded).unwrap().effect, Effect::Reload);

        // yaSSL takes the option and looks at no list
        let crate::facts::Source::Read(server) = &mut facts.server else { panic!() };
        server.tls_library = Some("YaSSL".into());
        let plan = revocation(&facts, &web, Reason::Superseded).unwrap();
        assert_eq!(plan.effect, Effect::None);
        assert!(plan.warnings[1].contains("yaSSL, knows no lists"), "{:?}", plan.warnings);
    }

    #[test]
    fn a_key_under_a_passphrase_asks_for_it_and_is_opened_for_one_change() {
        let folder = tempfile::tempdir().unwrap();
        let (mut facts, _) = issued(folder.path());
        let dir = folder.path().join("locked");
        let spec = AuthoritySpec::named(&"Locked CA".parse().unwrap());
        let authority = Authority::create(&spec).unwrap();
        let passphrase = Some(crate::secret::Secret::new("correct horse"));
        let store = Store::install_under(&dir, authority, None, passphrase.clone()).unwrap();
        store.issue_client(&"app".parse().unwrap(), KeyKind::P256, Validity::LEAF).unwrap();
        let serial = store.list().unwrap()[0].serial.clone();
        facts.target.ca_dir = Some(dir.clone());
        let locked = |wrong| NotPlanned::Locked { dir: dir.clone(), wrong };
        assert_eq!(renewal(&facts, &serial, false).unwrap_err(), locked(false));
        facts.target.ca_passphrase = Some(crate::secret::Secret::new("wrong"));
        assert_eq!(revocation(&facts, &serial, Reason::Superseded).unwrap_err(), locked(true));
        facts.target.ca_passphrase = passphrase;
        let plan = renewal(&facts, &serial, false).unwrap();
        assert!(!format!("{plan:?}").contains("horse"));
        run(&plan, None, &mut |_| {}).unwrap();
        assert_eq!(store.list().unwrap().len(), 2);
    }

    #[test]
    fn a_client_that_trusts_others_too_goes_on_trusting_them() {
        let folder = tempfile::tempdir().unwrap();
        let (facts, store) = issued(folder.path());
        let ca = store.dir().join("clients/app/ca.pem");
        let other = Authority::create(&AuthoritySpec::named(&"Another CA".parse().unwrap()));
        let both = other.unwrap().ca_pem().unwrap() + &std::fs::read_to_string(&ca).unwrap();
        std::fs::write(&ca, &both).unwrap();
        let serial = store.list().unwrap()[0].serial.clone();
        run(&renewal(&facts, &serial, false).unwrap(), None, &mut |_| {}).unwrap();
        assert_eq!(std::fs::read_to_string(&ca).unwrap(), both);
    }
}
