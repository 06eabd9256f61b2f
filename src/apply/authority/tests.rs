use super::*;
use crate::apply::{Content, run};
use crate::facts::{Source, files};
use crate::remedy::Effect;
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
    assert_eq!(plan.title, "a private CA, a server certificate and a client certificate for app");
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
    assert_eq!((again.effect, again.writes.iter().any(|w| w.path == ca)), (Effect::None, false));
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
