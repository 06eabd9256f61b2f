//! `mytls ca pack` as a process, and its files read again by the programs they are meant for.

mod common;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::lab;

/// A CA that issued a certificate for `app`.
struct Issued {
    folder: tempfile::TempDir,
}

impl Issued {
    fn new(key: &str) -> Self {
        let issued = Self { folder: tempfile::tempdir().unwrap() };
        let (ca, out) = (issued.path("ca"), issued.path("issued"));
        ok(lab::mytls()
            .args(["ca", "create", "--no-passphrase", "--name", "Example CA", "--ca-dir"])
            .arg(&ca));
        let mut client = lab::mytls();
        client.args(["ca", "client", "--user", "app", "--key", key, "--ca-dir"]).arg(&ca);
        ok(client.arg("--out").arg(out));
        issued
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pack(&self, arguments: &[&str]) -> Command {
        let mut mytls = lab::mytls();
        mytls.current_dir(self.folder.path()).args(["ca", "pack", "--ca-dir", "ca", "app"]);
        mytls.args(arguments);
        mytls
    }
}

fn ok(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{command:?}");
    text(&output.stderr)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What `openssl pkcs12 -info` says of a store; no configuration, so no legacy provider.
fn openssl(store: &Path, password: &str) -> Output {
    let mut command = Command::new("openssl");
    command.args(["pkcs12", "-info", "-nodes", "-passin", "env:STORE_PASSWORD", "-in"]).arg(store);
    command.env("OPENSSL_CONF", "/dev/null").env("STORE_PASSWORD", password).output().unwrap()
}

#[test]
fn openssl_reads_both_stores_without_its_legacy_provider() {
    let protections = [
        ("3des", "pbeWithSHA1And3-KeyTripleDES-CBC", "MAC: sha1,"),
        ("aes256", "PBES2, PBKDF2, AES-256-CBC", "MAC: sha256,"),
    ];
    for key in ["p256", "ed25519", "rsa2048"] {
        let issued = Issued::new(key);
        for (form, protection, sum) in protections {
            ok(&mut issued.pack(&["--out", form, "--p12", form]));
            let folder = issued.path(form);
            let password = fs::read_to_string(folder.join("password.txt")).unwrap();
            let output = openssl(&folder.join("client.p12"), password.trim());
            let (found, said) = (text(&output.stdout), text(&output.stderr));
            assert!(output.status.success(), "{key} {form}: {said}");
            assert!(said.contains(&format!("Shrouded Keybag: {protection}")), "{said}");
            assert!(said.contains(&format!("PKCS7 Encrypted data: {protection}")), "{said}");
            assert!(said.contains(sum), "{said}");
            assert_eq!(found.matches("BEGIN CERTIFICATE").count(), 2, "its own and the CA's");
            assert_eq!(found.matches("BEGIN PRIVATE KEY").count(), 1);

            let output = openssl(&folder.join("truststore.p12"), password.trim());
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert!(text(&output.stderr).contains(sum));
            let found = text(&output.stdout);
            assert_eq!(found.matches("BEGIN CERTIFICATE").count(), 1);
            assert!(found.contains("2.16.840.1.113894.746875.1.1"), "{found}");
            assert!(!openssl(&folder.join("client.p12"), "another").status.success());
            assert!(!openssl(&folder.join("truststore.p12"), "another").status.success());
        }
    }
}

#[test]
fn java_finds_a_key_in_the_one_and_a_trusted_ca_in_the_other() {
    if Command::new("keytool").arg("-help").output().is_err() {
        assert!(!lab::in_ci(), "in CI there has to be a keytool: scripts/clients java");
        eprintln!("skipped: there is no keytool here; scripts/clients java brings one");
        return;
    }
    let issued = Issued::new("p256");
    for form in ["3des", "aes256"] {
        ok(&mut issued.pack(&["--out", form, "--p12", form]));
        let folder = issued.path(form);
        let password = fs::read_to_string(folder.join("password.txt")).unwrap();
        let list = |store: &str, password: &str| {
            let mut keytool = Command::new("keytool");
            keytool.args(["-list", "-storetype", "PKCS12", "-storepass:env", "STORE_PASSWORD"]);
            keytool.env("STORE_PASSWORD", password).args(["-J-Duser.language=en", "-keystore"]);
            keytool.arg(folder.join(store)).output().unwrap()
        };
        for (store, entry) in [("client.p12", "app, "), ("truststore.p12", "ca-1, ")] {
            let output = list(store, password.trim());
            let said = text(&output.stdout);
            assert!(output.status.success(), "{form}: {said}");
            let kind = if store == "client.p12" { "PrivateKeyEntry" } else { "trustedCertEntry" };
            assert!(said.contains("contains 1 entry"), "{said}");
            assert!(said.contains(entry) && said.contains(kind), "{said}");
            assert!(!list(store, "another").status.success(), "{form}: a wrong password");
        }
    }
}

#[test]
fn an_archive_is_what_tar_unpacks_to_the_same_files() {
    let issued = Issued::new("rsa2048");
    let said = ok(&mut issued.pack(&["--tar", "app.tar", "--legacy", "--host", "db1.example.org"]));
    assert!(said.contains("packed for app: app.tar"), "{said}");
    assert_eq!(mode(&issued.path("app.tar")), 0o600);
    ok(Command::new("tar").arg("-xf").arg("app.tar").current_dir(issued.folder.path()));
    let folder = issued.path("app");
    assert_eq!(mode(&folder), 0o700);
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    let wanted = [
        "README.txt",
        "ca.pem",
        "client-cert.pem",
        "client-key-pkcs1.pem",
        "client-key.pem",
        "client.p12",
        "client.pem",
        "password.txt",
        "truststore.p12",
    ];
    assert_eq!(names, wanted);
    let keys = ["client-key.pem", "client-key-pkcs1.pem", "client.pem"];
    let public = |name: &str| {
        ok(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(folder.join(name)))
    };
    assert!(keys.iter().all(|name| public(name) == public("client-key.pem")));
    let old = fs::read_to_string(folder.join("client-key-pkcs1.pem")).unwrap();
    assert!(old.starts_with("-----BEGIN RSA PRIVATE KEY-----"), "PKCS#1");
    let verify = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca.pem"];
    ok(Command::new("openssl").args(verify).arg("client-cert.pem").current_dir(&folder));
}

#[test]
fn the_password_goes_where_it_was_asked_to_and_nowhere_else() {
    let issued = Issued::new("p256");
    let said = ok(&mut issued.pack(&["--out", "in-file"]));
    let password = fs::read_to_string(issued.path("in-file/password.txt")).unwrap();
    assert!(!said.contains(password.trim()));

    let said = ok(&mut issued.pack(&["--out", "shown", "--show-password"]));
    let (_, shown) = said.rsplit_once(": ").unwrap();
    assert!(openssl(&issued.path("shown/client.p12"), shown.trim()).status.success());
    assert!(!issued.path("shown/password.txt").exists());

    let mut given = issued.pack(&["--out", "given", "--password-stdin"]);
    let mut child = given.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"corr\xc3\xa9ct horse\r\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(!text(&output.stdout).contains("horse"));
    assert!(!issued.path("given/password.txt").exists());
    for store in ["client.p12", "truststore.p12"] {
        let store = issued.path("given").join(store);
        assert!(openssl(&store, "corréct horse").status.success(), "{}", store.display());
    }

    let typed = refused(&mut issued.pack(&["--out", "typed", "--password=secret"]));
    assert!(typed.contains("never taken from the command line"), "{typed}");
    let both = ["--out", "both", "--show-password", "--password-stdin"];
    refused(&mut issued.pack(&both));
    let mut empty = issued.pack(&["--out", "empty", "--password-stdin"]);
    assert!(refused(empty.stdin(Stdio::null())).contains("there is no password on standard input"));
    assert!(["typed", "both", "empty"].iter().all(|name| !issued.path(name).exists()));
}

#[test]
fn nothing_is_overwritten_and_every_refusal_says_what_to_do() {
    let issued = Issued::new("p256");
    ok(&mut issued.pack(&["--out", "app"]));
    let before = fs::read(issued.path("app/client.p12")).unwrap();
    assert!(refused(&mut issued.pack(&["--out", "app"])).contains("is in use"));
    assert_eq!(fs::read(issued.path("app/client.p12")).unwrap(), before);
    ok(&mut issued.pack(&["--tar", "app.tar"]));
    assert!(refused(&mut issued.pack(&["--tar", "app.tar"])).contains("exists already"));

    let pkcs1 = refused(&mut issued.pack(&["--out", "old", "--legacy"]));
    assert!(pkcs1.contains("--key rsa2048"), "{pkcs1}");
    let nowhere = refused(&mut issued.pack(&[]));
    assert!(nowhere.contains("--out") && nowhere.contains("--tar"), "{nowhere}");
    refused(&mut issued.pack(&["--out", "x", "--tar", "y"]));
    refused(&mut issued.pack(&["--out", "x", "--port", "0"]));
    let host = refused(&mut issued.pack(&["--out", "x", "--host", "db1\"; evil"]));
    assert!(host.contains("neither a host name nor an IP address"), "{host}");
    let user = refused(&mut issued.pack(&["--out", "x", "--user", "o'brien"]));
    assert!(user.contains("do not agree on `'`"), "{user}");

    let pack = |name: &str, dir: &str| {
        let mut mytls = lab::mytls();
        mytls.current_dir(issued.folder.path()).args(["ca", "pack", "--out", "x", name]);
        refused(mytls.args(["--ca-dir", dir]))
    };
    assert!(pack("nobody", "ca").contains("mytls ca client"), "{}", pack("nobody", "ca"));
    assert!(pack("app", "none").contains("mytls ca create"));
    assert!(pack("../app", "ca").contains("cannot be a name"));
    assert!(!issued.path("x").exists() && !issued.path("old").exists());
}

#[test]
fn what_is_no_good_any_more_is_not_packed_and_needs_no_passphrase_to_be_found_out() {
    let issued = Issued::new("p256");
    let ca = |arguments: &[&str]| {
        let mut mytls = lab::mytls();
        mytls.current_dir(issued.folder.path()).arg("ca").args(arguments);
        mytls.args(["--ca-dir", "ca"]);
        mytls
    };
    ok(&mut ca(&["revoke", "app"]));
    fs::rename(issued.path("ca/ca-key.pem"), issued.path("key")).unwrap();
    let revoked = refused(&mut issued.pack(&["--out", "x"]));
    assert!(revoked.contains("was revoked on"), "{revoked}");
    assert!(revoked.contains("mytls ca client --ca-dir ca --user app --out"), "{revoked}");
    // the list of what was issued is lost, that of what was revoked is not
    fs::rename(issued.path("ca/index.jsonl"), issued.path("index")).unwrap();
    assert!(refused(&mut issued.pack(&["--out", "x"])).contains("was revoked"));
    fs::rename(issued.path("index"), issued.path("ca/index.jsonl")).unwrap();
    fs::rename(issued.path("key"), issued.path("ca/ca-key.pem")).unwrap();
    ok(&mut ca(&["client", "--user", "app", "--out", "new"]));
    ok(&mut issued.pack(&["--out", "good"]));

    let old = issued.path("old");
    fs::create_dir(&old).unwrap();
    let kept = issued.path("ca/clients/app");
    for name in ["client-cert.pem", "client-key.pem"] {
        fs::copy(kept.join(name), old.join(name)).unwrap();
    }
    ok(&mut ca(&["renew", "--client", "app"]));
    ok(&mut issued.pack(&["--out", "renewed"]));
    for name in ["client-cert.pem", "client-key.pem"] {
        fs::copy(old.join(name), kept.join(name)).unwrap();
    }
    let replaced = refused(&mut issued.pack(&["--out", "x"]));
    assert!(replaced.contains("was replaced by"), "{replaced}");
    assert!(!issued.path("x").exists());
}

#[test]
fn the_host_of_an_account_is_no_part_of_its_login_name() {
    let issued = Issued::new("p256");
    fs::write(issued.path("accounts.csv"), "rep,10.0.0.%,90\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut mytls = lab::mytls();
        mytls.current_dir(issued.folder.path()).args(["ca"]).args(arguments);
        mytls.args(["--ca-dir", "ca"]);
        mytls
    };
    ok(&mut run(&["client", "--from", "accounts.csv"]));
    let said = refused(&mut run(&["pack", "rep", "--out", "rep"]));
    assert!(said.contains("mytls ca pack --ca-dir ca rep@10.0.0.%"), "{said}");
    let said = ok(&mut run(&["pack", "rep@10.0.0.%", "--out", "rep"]));
    assert!(said.contains("the login name is rep, from the host 10.0.0.%"), "{said}");
    let readme = fs::read_to_string(issued.path("rep/README.txt")).unwrap();
    assert!(readme.contains("user = \"rep\"") && !readme.contains("\"rep@"), "{readme}");
    ok(&mut run(&["pack", "rep@10.0.0.%", "--user", "rep@corp", "--out", "corp"]));
    let readme = fs::read_to_string(issued.path("corp/README.txt")).unwrap();
    assert!(readme.contains("user = \"rep@corp\""), "{readme}");
}

#[test]
fn help_fits_one_screen_and_shows_an_example() {
    let help = ok(lab::mytls().args(["ca", "pack", "--help"]));
    assert!(help.contains("mytls ca pack --ca-dir"), "{help}");
    assert!(help.lines().count() <= 40, "{help}");
}
