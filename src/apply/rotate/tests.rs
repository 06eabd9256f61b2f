use super::*;
use crate::apply::Content;
use crate::ca::{Authority, AuthoritySpec, KeyKind};
use crate::facts::{Access, FileFacts, Readable};
use crate::rules::testing;
use crate::x509::{OneLine, PrivateKey};

/// Two CAs, and a server with the files of the old one.
struct Place {
    folder: tempfile::TempDir,
    old: Store,
    new: Store,
    facts: Facts,
}

fn readable<T>(path: PathBuf, option: &str, content: T) -> FileFacts<T> {
    let access = Access {
        mode: 0o640,
        owner: "root".into(),
        group: "mysql".into(),
        readable: Readable::Yes,
        open_to_others: false,
        real: None,
    };
    FileFacts {
        option: option.into(),
        path,
        origin: None,
        access: Some(access),
        byte_order_mark: false,
        content: Ok(content),
    }
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let dir = folder.path().join(name);
        Store::create(&dir, &AuthoritySpec::named(&name.parse().unwrap())).unwrap()
    };
    let (old, new) = (make("Old CA"), make("New CA"));
    let hosts = ["db1.example.org".parse().unwrap(), "10.0.0.5".parse().unwrap()];
    let issued = old.issue_server(&hosts, KeyKind::P256, Validity::LEAF).unwrap();
    let other = Authority::create(&AuthoritySpec::named(&"Another CA".parse().unwrap())).unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let trusted = format!("{}{}", other.ca_pem().unwrap(), old.authority().ca_pem().unwrap());
    let ca = put("ca.pem", &trusted);
    let certificate = put("cert.pem", &issued.certificate_pem().unwrap());
    let key = put("key.pem", issued.key_pem().unwrap().expose());
    let mut facts = testing::with_files(|files| {
        let trusted = vec![other.summary(), old.authority().summary()];
        files.ca = Some(readable(ca, "ssl_ca", trusted));
        files.certificate = Some(readable(certificate, "ssl_cert", vec![issued.summary()]));
        let private = PrivateKey::from_openssl(&issued.key, "PRIVATE KEY");
        files.key = Some(readable(key, "ssl_key", private));
        files.combined.clear();
    });
    testing::handshake(&mut facts).chain = vec![issued.summary()];
    Place { folder, old, new, facts }
}

fn text(write: &Write) -> &str {
    match &write.content {
        Content::Text(text) => text,
        Content::Key(key) => key.expose(),
        Content::ByStore => "",
    }
}

fn names(pem: &str) -> Vec<String> {
    let found = pem::certificates(pem.as_bytes()).unwrap();
    found.iter().map(|one| Certificate::from_openssl(one).subject.short()).collect()
}

impl Place {
    fn prepare(&self, step: Step, state: &State) -> Prepared {
        let old = Catalog::read(self.old.dir()).unwrap();
        prepare(step, &self.facts, state, &Pair { old: &old, new: &self.new }).unwrap()
    }

    fn account(&mut self, subject: &str, issuer: &str) {
        let [subject, issuer] = [subject, issuer].map(str::to_owned);
        let require = Require::Specified { subject, issuer, cipher: String::new() };
        let Source::Read(server) = &mut self.facts.server else { panic!() };
        server.accounts = Source::Read(vec![testing::account("app", "%", require)]);
    }
}

fn begun() -> State {
    State::new(Path::new("/old"), 1)
}

#[test]
fn the_new_ca_comes_beside_all_that_is_trusted_and_the_old_one_alone_goes() {
    let place = place();
    let both = place.prepare(Step::ServerTrustsBoth, &begun()).plan;
    assert_eq!(names(text(&both.writes[0])), ["Another CA", "Old CA", "New CA"]);
    assert_eq!((both.effect, both.reload.as_deref()), (Effect::Reload, Some("FLUSH SSL;")));
    std::fs::write(&both.writes[0].path, text(&both.writes[0])).unwrap();
    let again = place.prepare(Step::ServerTrustsBoth, &begun()).plan;
    assert!(again.writes.is_empty() && again.effect == Effect::Reload, "it only has to be read");
    let without = place.prepare(Step::ServerDropsOld, &begun()).plan;
    assert_eq!(names(text(&without.writes[0])), ["Another CA", "New CA"]);
}

#[test]
fn the_server_keeps_its_names_and_gets_a_key_of_its_own() {
    let place = place();
    let prepared = place.prepare(Step::ServerCertificate, &begun());
    let [key, certificate, _] = prepared.plan.writes.as_slice() else { panic!() };
    assert!(key.path.ends_with("key.pem") && certificate.path.ends_with("cert.pem"));
    let leaf = pem::certificates(text(certificate).as_bytes()).unwrap().remove(0);
    let key = pem::private_key(text(key).as_bytes()).unwrap().key;
    assert!(leaf.public_key().unwrap().public_eq(&key));
    let leaf = Certificate::from_openssl(&leaf);
    assert!(leaf.is_signed_by(&place.new.authority().summary()));
    assert_eq!(leaf.host_names(), ["db1.example.org", "10.0.0.5"]);
    assert!(place.new.list().unwrap().is_empty(), "nothing is issued by planning");
    let nothing = Prepared {
        plan: Plan { effect: Effect::None, reload: None, ..prepared.plan.clone() },
        ..prepared
    };
    carry_out(&nothing, &place.new, None, &mut |_| {}).unwrap();
    let entries = place.new.list().unwrap();
    assert!(entries[0].deployed && entries[0].files[0].starts_with(place.folder.path()));
}

#[test]
fn accounts_are_led_from_one_issuer_to_the_other() {
    let mut place = place();
    let issuer = place.old.authority().summary().subject.oneline(OneLine::OpenSsl3);
    place.account("/O=Old CA/CN=app", &issuer);
    let loosened = place.prepare(Step::AccountsLoosened, &begun());
    let [statement] = loosened.plan.statements.as_slice() else { panic!() };
    assert_eq!(statement.sql, "ALTER USER 'app'@'%' REQUIRE\n  SUBJECT '/O=Old CA/CN=app'");
    assert!(statement.undo.ends_with("AND ISSUER '/CN=Old CA'"), "{}", statement.undo);
    let mut state = begun();
    for account in loosened.accounts {
        state.remember(account);
    }
    let old = Catalog::read(place.old.dir()).unwrap();
    place.account("/O=Old CA/CN=app", "");
    let pair = Pair { old: &old, new: &place.new };
    assert_eq!(unbound(&place.facts, &state, &pair), ["app@%"]);
    let bound = place.prepare(Step::AccountsBound, &state);
    assert!(bound.plan.statements[0].sql.ends_with("AND ISSUER '/CN=New CA'"));
    assert_eq!(bound.plan.warnings, Vec::<String>::new());
    place.account("/O=Old CA/CN=app", "/CN=New CA");
    let pair = Pair { old: &old, new: &place.new };
    assert_eq!(unbound(&place.facts, &state, &pair), Vec::<String>::new());
    assert!(place.prepare(Step::AccountsBound, &state).plan.statements.is_empty());
}

#[test]
fn an_account_without_a_subject_is_told_of() {
    let mut place = place();
    place.account("", "/CN=Old CA");
    let loosened = place.prepare(Step::AccountsLoosened, &begun()).plan;
    assert_eq!(loosened.statements[0].sql, "ALTER USER 'app'@'%' REQUIRE X509");
    assert!(loosened.warnings[0].contains("app@% names no SUBJECT"), "{:?}", loosened.warnings);
}
