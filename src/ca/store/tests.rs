use super::*;
use crate::ca::{KeyKind, Validity};
use crate::disk::Meta;
use crate::x509::Certificate;

fn name(text: &str) -> PlainName {
    text.parse().unwrap()
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let spec = AuthoritySpec::named(&name("Example CA"));
    let store = Store::create(&folder.path().join("ca"), &spec).unwrap();
    (folder, store)
}

#[test]
fn what_is_made_can_be_opened_and_continued() {
    let (_folder, made) = store();
    made.issue_server(&["db1".parse().unwrap()], KeyKind::P256, Validity::LEAF).unwrap();
    let opened = Store::open(made.dir()).unwrap();
    opened.issue_client(&name("app"), KeyKind::Ed25519, Validity::LEAF).unwrap();
    let list = opened.list().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[0].names, ["db1"]);
    assert_eq!(list[1].subject, "/O=Example CA/CN=app");
    assert_eq!(list[1].kind, Kind::Client);
    let copy = made.dir().join(format!("issued/{}.pem", list[1].serial));
    let copy = read_pem::certificates(&fs::read(copy).unwrap()).unwrap();
    assert_eq!(Certificate::from_openssl(&copy[0]).sha256, list[1].sha256);
}

#[test]
fn keys_and_folders_are_private_from_the_start() {
    let (_folder, store) = store();
    store.issue_client(&name("app"), KeyKind::P256, Validity::LEAF).unwrap();
    let mode = |path: &str| Meta::of(&store.dir().join(path)).unwrap().mode;
    assert_eq!(mode(""), 0o700);
    assert_eq!(mode("ca-key.pem"), 0o600);
    assert_eq!(mode("clients/app"), 0o700);
    assert_eq!(mode("clients/app/client-key.pem"), 0o600);
    assert_eq!(mode("clients/app/client-cert.pem"), 0o644);
}

#[test]
fn a_second_ca_does_not_take_the_place_of_the_first() {
    let (_folder, store) = store();
    let before = fs::read(store.dir().join("ca-key.pem")).unwrap();
    let spec = AuthoritySpec::named(&name("Other CA"));
    let error = Store::create(store.dir(), &spec).err().unwrap();
    assert!(matches!(&error, CaError::StoreExists { name, .. } if name == "CN=Example CA"));
    assert_eq!(fs::read(store.dir().join("ca-key.pem")).unwrap(), before);

    let full = tempfile::tempdir().unwrap();
    fs::write(full.path().join("data"), b"mine").unwrap();
    let error = Store::create(full.path(), &spec).err().unwrap();
    assert!(matches!(error, CaError::NotEmpty { .. }), "{error}");
}

#[test]
fn a_new_certificate_of_an_account_keeps_the_old_one() {
    let (_folder, store) = store();
    store.issue_client(&name("app"), KeyKind::P256, Validity::LEAF).unwrap();
    store.issue_client(&name("app"), KeyKind::P256, Validity::LEAF).unwrap();
    let files = fs::read_dir(store.client_dir(&name("app"))).unwrap();
    let backups =
        files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains(".bak-"));
    assert_eq!(backups.count(), 2, "of the key and of the certificate; the CA is the same");
}

#[test]
fn server_client_and_ca_never_share_a_name() {
    let (_folder, store) = store();
    store.issue_server(&["app".parse().unwrap()], KeyKind::P256, Validity::LEAF).unwrap();
    let taken = store.issue_client(&name("app"), KeyKind::P256, Validity::LEAF).err().unwrap();
    assert!(taken.to_string().contains("a server certificate has it"), "{taken}");
}

#[test]
fn an_encrypted_key_asks_for_its_passphrase() {
    let (_folder, store) = store();
    let key = store.authority().key.clone();
    let cipher = openssl::symm::Cipher::aes_256_cbc();
    let pem = key.private_key_to_pem_pkcs8_passphrase(cipher, b"right").unwrap();
    fs::write(store.dir().join("ca-key.pem"), pem).unwrap();
    let open = |passphrase: Option<&str>| {
        Store::open_with(store.dir(), passphrase.map(Secret::new).as_ref())
    };
    assert!(matches!(open(None).err(), Some(CaError::KeyEncrypted { .. })));
    assert!(matches!(open(Some("wrong")).err(), Some(CaError::Passphrase { .. })));
    assert!(open(Some("right")).is_ok());
}

#[test]
fn a_key_of_another_ca_is_noticed() {
    let (_folder, one) = store();
    let (_other, two) = store();
    fs::copy(two.dir().join("ca-key.pem"), one.dir().join("ca-key.pem")).unwrap();
    assert!(matches!(Store::open(one.dir()).err(), Some(CaError::KeyMismatch { .. })));
    let nowhere = Store::open(Path::new("/nonexistent/ca")).err().unwrap().to_string();
    assert!(nowhere.contains("mytls ca create --ca-dir /nonexistent/ca"), "{nowhere}");
}
