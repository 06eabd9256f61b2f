use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::ca::{Authority, AuthoritySpec, Issued, KeyKind, Validity, files};

fn name(text: &str) -> PlainName {
    text.parse().unwrap()
}

fn issued(key: KeyKind) -> Issued {
    let root = Authority::create(&AuthoritySpec::named(&name("Root"))).unwrap();
    let ca = root.issue_authority(&AuthoritySpec::named(&name("Issuing"))).unwrap();
    ca.issue_client(&ca.client_spec(&name("app"), key, Validity::LEAF).unwrap()).unwrap()
}

fn spec() -> PackSpec {
    PackSpec {
        name: name("app"),
        account: Account::of(&name("app")),
        host: "db1.example.org".parse().unwrap(),
        port: 3306,
        form: Form::default(),
        pkcs1: false,
        password: Password::InFile,
    }
}

fn text(pack: &Pack, name: &str) -> String {
    let file = pack.files().iter().find(|file| file.name == name);
    String::from_utf8(file.unwrap_or_else(|| panic!("no {name}")).bytes.to_vec()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_certificate_comes_with_its_intermediates_and_without_the_root() {
    let issued = issued(KeyKind::P256);
    let pack = Pack::make(&Client::of(&issued), &spec()).unwrap();
    assert_eq!(text(&pack, "client-cert.pem"), issued.certificate_pem().unwrap());
    assert_eq!(text(&pack, "client-cert.pem").matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(text(&pack, "ca.pem"), issued.ca_pem().unwrap());
    assert_eq!(text(&pack, "client-key.pem"), issued.key_pem().unwrap().expose());
    let both = text(&pack, "client-key.pem") + &text(&pack, "client-cert.pem");
    assert_eq!(text(&pack, "client.pem"), both);
}

#[test]
fn the_store_opens_with_its_password_alone_and_holds_all_of_it() {
    let issued = issued(KeyKind::P256);
    for form in [Form::TripleDes, Form::Aes256] {
        let pack = Pack::make(&Client::of(&issued), &PackSpec { form, ..spec() }).unwrap();
        let password = text(&pack, "password.txt");
        let bytes = &pack.files().iter().find(|file| file.name == "client.p12").unwrap().bytes;
        let store = Pkcs12::from_der(bytes).unwrap();
        let found = store.parse2(password.trim()).unwrap();
        assert!(found.pkey.unwrap().public_eq(&issued.key));
        assert_eq!(found.cert.unwrap().to_der().unwrap(), issued.certificate.to_der().unwrap());
        assert_eq!(found.ca.unwrap().len(), 2);
        assert!(store.parse2("").is_err());
    }
}

#[test]
fn a_password_is_in_its_file_or_told_or_known_and_nowhere_else() {
    let client = Client::of(&issued(KeyKind::P256));
    let make = |password| Pack::make(&client, &PackSpec { password, ..spec() }).unwrap();
    let in_file = make(Password::InFile);
    assert!(in_file.password().is_none());
    let invented = text(&in_file, "password.txt");
    assert_eq!(invented.trim().len(), 32);
    assert_ne!(text(&make(Password::InFile), "password.txt"), invented, "another each time");
    let told = make(Password::Told);
    let given = make(Password::Given(Secret::new("correct horse")));
    assert_eq!(told.password().unwrap().expose().len(), 32);
    assert!(given.password().is_none());
    for (pack, password) in [
        (&in_file, invented.trim()),
        (&told, told.password().unwrap().expose()),
        (&given, "correct horse"),
    ] {
        let holding = pack.files().iter().filter(|file| {
            file.bytes.windows(password.len()).any(|part| part == password.as_bytes())
        });
        let holding: Vec<_> = holding.map(|file| file.name).collect();
        assert!(holding.iter().all(|name| *name == "password.txt"), "{holding:?}");
    }
    let empty = PackSpec { password: Password::Given(Secret::default()), ..spec() };
    assert!(matches!(Pack::make(&client, &empty), Err(PackError::EmptyPassword)));
}

#[test]
fn pkcs1_is_for_rsa_alone() {
    let old = PackSpec { pkcs1: true, ..spec() };
    let pack = Pack::make(&Client::of(&issued(KeyKind::Rsa2048)), &old).unwrap();
    assert!(text(&pack, "client-key-pkcs1.pem").starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    assert!(text(&pack, "README.txt").contains("client-key-pkcs1.pem"));
    let other = Pack::make(&Client::of(&issued(KeyKind::P256)), &old);
    assert!(matches!(other, Err(PackError::NoPkcs1)));
}

#[test]
fn the_readme_names_server_account_and_certificate_and_leaves_no_mark_open() {
    let client = Client::of(&issued(KeyKind::P256));
    let six = PackSpec { host: "::1".parse().unwrap(), port: 3307, ..spec() };
    let readme = text(&Pack::make(&client, &six).unwrap(), "README.txt");
    for part in [
        "subject      /O=Issuing/CN=app",
        "issuer       /CN=Issuing",
        "EC P-256",
        "    host = \"::1\"",
        "jdbc:mariadb://[::1]:3307/",
        "=== PyMySQL (Python)",
    ] {
        assert!(readme.contains(part), "{part} is missing from\n{readme}");
    }
    for mark in ["@HOST", "@PORT", "@USER", "@NAME", "@ADDRESS"] {
        assert!(!readme.contains(mark), "{mark}");
    }
    assert!(readme.lines().all(|line| line.chars().count() <= 110), "{readme}");
}

#[test]
fn user_and_host_are_taken_apart_and_a_file_with_blanks_in_its_name_is_quoted() {
    let account = |text: &str| Account::of(&name(text));
    assert_eq!(account("app"), Account { user: name("app"), host: None });
    let rep = Account { user: name("rep"), host: Some("10.0.0.%".into()) };
    assert_eq!(account("rep@10.0.0.%"), rep);
    assert_eq!(account("a@b@10.0.0.%").user, name("a@b"));
    for odd in ["@host", "app@"] {
        assert_eq!(account(odd), Account { user: name(odd), host: None });
    }

    let client = Client::of(&issued(KeyKind::P256));
    let spec = PackSpec { name: name("rep@10.0.0.%"), account: rep, ..spec() };
    let readme = text(&Pack::make(&client, &spec).unwrap(), "README.txt");
    assert!(readme.starts_with("What rep needs"), "{readme}");
    assert!(readme.contains("account      'rep'@'10.0.0.%'\n"), "{readme}");
    assert!(readme.contains("mysql --defaults-file=rep@10.0.0.%.cnf -p"), "{readme}");
    let others = readme.replace("'rep'@'10.0.0.%'", "").replace("rep@10.0.0.%.cnf", "");
    assert!(!others.contains("10.0.0.%"), "{others}");

    for odd in ["night batch", "a;b"] {
        let spec = PackSpec { name: name(odd), ..spec.clone() };
        let readme = text(&Pack::make(&client, &spec).unwrap(), "README.txt");
        for program in ["mysql", "mariadb"] {
            let command = format!("{program} --defaults-file='{odd}.cnf' -p");
            assert!(readme.contains(&command), "{readme}");
        }
    }
}

#[test]
fn a_folder_is_whole_and_private_and_nothing_is_lost_under_it() {
    let base = tempfile::tempdir().unwrap();
    let pack = Pack::make(&Client::of(&issued(KeyKind::P256)), &spec()).unwrap();
    let folder = base.path().join("deep/app");
    pack.write_folder(&folder).unwrap();
    assert_eq!(mode(&folder), 0o700);
    for file in pack.files() {
        assert_eq!(fs::read(folder.join(file.name)).unwrap(), *file.bytes);
        assert_eq!(mode(&folder.join(file.name)), 0o600, "{}", file.name);
    }
    assert_eq!(fs::read_dir(base.path().join("deep")).unwrap().count(), 1, "nothing beside it");

    let again = pack.write_folder(&folder).unwrap_err();
    assert!(matches!(again, PackError::Taken { .. }), "{again}");
    let empty = base.path().join("empty");
    fs::create_dir(&empty).unwrap();
    pack.write_folder(&empty).unwrap();
    assert_eq!(mode(&empty), 0o700);
    for place in [".", "..", "/"] {
        assert!(matches!(pack.write_folder(Path::new(place)), Err(PackError::Taken { .. })));
    }
    let file = base.path().join("file");
    fs::write(&file, b"mine").unwrap();
    assert!(pack.write_folder(&file).is_err());
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 3);
}

#[test]
fn an_archive_holds_the_same_under_the_name_of_the_client() {
    let base = tempfile::tempdir().unwrap();
    let pack = Pack::make(&Client::of(&issued(KeyKind::P256)), &spec()).unwrap();
    let path = base.path().join("app.tar");
    pack.write_tar(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(pack.write_tar(&path).is_err(), "it is there already");
    let mut archive = tar::Archive::new(fs::File::open(&path).unwrap());
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        found.push((path, entry.header().mode().unwrap(), bytes));
    }
    assert_eq!((found[0].0.as_str(), found[0].1), ("app/", 0o700));
    for (file, (path, mode, bytes)) in pack.files().iter().zip(&found[1..]) {
        assert_eq!((format!("app/{}", file.name), 0o600), (path.clone(), *mode));
        assert_eq!(*file.bytes, *bytes);
    }
    assert_eq!(found.len(), pack.files().len() + 1);
}

#[test]
fn what_a_server_would_refuse_is_not_packed() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("app");
    fs::create_dir(&folder).unwrap();
    let read = || Client::read(&folder).err().map(|error| error.to_string());
    assert!(read().unwrap().contains("mytls ca client"), "nothing was issued");

    let good = issued(KeyKind::P256);
    files::write_client(&folder, &good).unwrap();
    assert_eq!(read(), None);
    assert_eq!(Client::read(&folder).unwrap().chain.len(), 2);

    let other = issued(KeyKind::P256);
    let key = folder.join("client-key.pem");
    fs::write(&key, other.key_pem().unwrap().expose()).unwrap();
    assert!(read().unwrap().contains("is not the key of the certificate"));
    fs::write(&key, good.key_pem().unwrap().expose()).unwrap();
    fs::write(folder.join("ca.pem"), other.ca_pem().unwrap()).unwrap();
    assert!(read().unwrap().contains("would be refused by a server"));

    let ca = Authority::create(&AuthoritySpec::named(&name("CA"))).unwrap();
    let past = Validity::Exact { not_before: 0, not_after: 86_400 };
    let old = ca.client_spec(&name("app"), KeyKind::P256, past).unwrap();
    let server = ca.server_spec(&["db1".parse().unwrap()], KeyKind::P256, Validity::LEAF).unwrap();
    for (issued, why) in [
        (ca.issue_client(&old).unwrap(), "expired"),
        (ca.issue_server(&server).unwrap(), "purpose"),
    ] {
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        files::write_client(&folder, &issued).unwrap();
        assert!(read().unwrap().contains(why), "{:?}", read());
    }
}
