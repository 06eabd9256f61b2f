//! What happens to a CA that somebody treats badly: lost files, wrong folders, foreign ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

#[path = "common/program.rs"]
mod program;

use program::{command, mytls, ok, openssl, path, refused, text};

/// A folder with a CA in it that has issued for `app`.
struct Place {
    folder: tempfile::TempDir,
    ca: String,
}

impl Place {
    fn new(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = path(&folder.path().join("ca")).to_owned();
        let place = Self { folder, ca };
        let create = ["ca", "create", "--no-passphrase", "--ca-dir", &place.ca, "--name", "CA"];
        ok(&[&create[..], more].concat());
        place.client("app");
        place
    }

    fn at(&self, name: &str) -> String {
        path(&self.folder.path().join(name)).to_owned()
    }

    fn client(&self, user: &str) {
        ok(&["ca", "client", "--ca-dir", &self.ca, "--user", user, "--out", &self.at(user)]);
    }

    fn ca(&self, words: &[&str]) -> (i32, String) {
        let output = mytls(&[&["ca"], words, &["--ca-dir", &self.ca]].concat());
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    }

    fn crl(&self) -> String {
        openssl(&["crl", "-in", &format!("{}/crl.pem", self.ca), "-noout", "-text"])
    }
}

#[test]
fn a_lost_index_forgets_no_revocation_and_no_number() {
    let place = Place::new(&[]);
    ok(&["ca", "revoke", "--ca-dir", &place.ca, "app"]);
    ok(&["ca", "crl", "--ca-dir", &place.ca]);
    assert!(place.crl().contains("CRL Number: \n                2"), "{}", place.crl());
    fs::remove_file(Path::new(&place.ca).join("index.jsonl")).unwrap();
    ok(&["ca", "crl", "--ca-dir", &place.ca]);
    let said = place.crl();
    assert!(said.contains("Serial Number:"), "app is revoked still: {said}");
    assert!(said.contains("CRL Number: \n                3"), "{said}");
}

#[test]
fn a_ca_that_may_not_sign_lists_says_so_before_anything_is_entered_and_goes_on_issuing() {
    let place = Place::new(&[]);
    let (key, cert, other) = (place.at("k.pem"), place.at("c.pem"), place.at("other"));
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        &key,
        "-out",
        &cert,
        "-subj",
        "/CN=Other",
        "-days",
        "100",
        "-addext",
        "keyUsage=critical,keyCertSign",
    ]);
    let said = ok(&["ca", "import", "--ca-dir", &other, "--cert", &cert, "--key", &key]);
    assert!(said.contains("lacks cRLSign"), "{said}");
    let client = |user: &str| {
        ok(&["ca", "client", "--ca-dir", &other, "--user", user, "--out", &place.at(user)]);
    };
    client("one");
    assert!(refused(&["ca", "revoke", "--ca-dir", &other, "one"]).contains("cRLSign"));
    client("two");
    let list = ok(&["ca", "list", "--ca-dir", &other, "--format", "json"]);
    assert!(!list.contains("\"revoked\": {"), "nothing was entered: {list}");
}

#[test]
fn a_root_that_is_away_locked_or_another_is_told_apart() {
    let place = Place::new(&["--intermediate"]);
    let watched = || place.ca(&["watch", "--within", "1d"]).0;
    assert_eq!(watched(), 0, "both lists were signed when the CA was made");
    let (root, list) = (Path::new(&place.ca).join("root"), Path::new(&place.ca).join("crl.pem"));

    // under a passphrase that nobody gives, it is as good as away
    let key = root.join("ca-key.pem");
    let plain = fs::read(&key).unwrap();
    let locked = place.at("locked.pem");
    openssl(&["pkcs8", "-topk8", "-in", path(&key), "-passout", "pass:x", "-out", &locked]);
    fs::copy(&locked, &key).unwrap();
    let (code, said) = place.ca(&["revoke", "app"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("kept the CRL of CA root"), "{said}");
    place.client("web");
    fs::write(&key, plain).unwrap();

    let elsewhere = place.at("nowhere");
    let (code, said) = place.ca(&["crl", "--root-dir", &elsewhere]);
    assert!(code == 2 && said.contains("there is no ca.pem"), "{said}");
    let stranger = Place::new(&[]);
    let (code, said) = place.ca(&["crl", "--root-dir", &stranger.ca]);
    assert!(code == 2 && said.contains("is not the one above"), "{said}");

    // its list lost and its key away: what is left would lock everybody out
    fs::rename(&root, place.at("stick")).unwrap();
    fs::remove_file(&list).unwrap();
    let server = place.at("servers-crl.pem");
    let (code, said) = place.ca(&["crl", "--deploy", &server]);
    assert!(code == 1 && said.contains("refuses everybody"), "{said}");
    assert!(!said.contains("give this to every server") && !Path::new(&server).exists(), "{said}");
    assert_eq!(watched(), 1);
    let (code, said) = place.ca(&["crl", "--root-dir", &place.at("stick"), "--deploy", &server]);
    assert!(code == 0 && Path::new(&server).exists(), "{said}");
    assert_eq!(watched(), 0);
}

#[test]
fn a_backup_follows_what_lies_on_a_stick_and_is_read_as_it_will_be_restored() {
    let place = Place::new(&["--intermediate"]);
    let root = Path::new(&place.ca).join("root");
    fs::rename(&root, place.at("stick")).unwrap();
    std::os::unix::fs::symlink(place.at("stick"), &root).unwrap();
    let (archive, back) = (place.at("b.tar"), place.at("back"));
    ok(&["ca", "backup", "--ca-dir", &place.ca, "--out", &archive]);
    ok(&["ca", "restore", &archive, "--ca-dir", &back]);
    assert!(Path::new(&back).join("root/ca-key.pem").exists());

    // a list that nobody can read is found before the folder is there
    fs::write(Path::new(&place.ca).join("index.jsonl"), "{\"broken\n\n").unwrap();
    let said = refused(&["ca", "backup", "--ca-dir", &place.ca, "--out", &place.at("c.tar")]);
    assert!(said.contains("cannot be read"), "{said}");
}

#[test]
fn the_cas_own_files_are_no_place_for_a_servers() {
    let place = Place::new(&[]);
    let own = |name: &str| path(&Path::new(&place.ca).join(name)).to_owned();
    let server = ["ca", "server", "--ca-dir", &place.ca, "--san", "db1"];
    let before = fs::read(own("ca.pem")).unwrap();
    for more in [
        vec!["--cert-file".to_owned(), own("ca.pem"), "--key-file".to_owned(), own("ca-key.pem")],
        vec!["--out".to_owned(), place.ca.clone()],
    ] {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let said = refused(&[&server[..], &more].concat());
        assert!(said.contains("folder of the CA itself"), "{said}");
    }
    assert_eq!(fs::read(own("ca.pem")).unwrap(), before);
    // somebody did it all the same, by hand
    fs::copy(format!("{}/client-cert.pem", place.at("app")), own("ca.pem")).unwrap();
    let said =
        refused(&["ca", "client", "--ca-dir", &place.ca, "--user", "x", "--out", &place.at("x")]);
    assert!(said.contains("certificate of no CA"), "{said}");
}

#[test]
fn folders_of_others_are_left_as_they_are_and_a_closed_one_is_no_empty_one() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: it takes root to make folders of others");
        return;
    }
    let place = Place::new(&[]);
    let theirs = place.at("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(&theirs, Some(65_534), None).unwrap();
    refused(&["ca", "create", "--no-passphrase", "--ca-dir", &theirs, "--name", "CA"]);
    assert_eq!(fs::metadata(&theirs).unwrap().permissions().mode() & 0o777, 0o755);

    // as nobody, who may not enter the folder of root's CA, and may run the program
    fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.at("mytls");
    fs::copy(env!("CARGO_BIN_EXE_mytls"), &program).unwrap();
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", &program])
        .args(["ca", "list", "--ca-dir", &place.ca])
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(said.contains("permission denied") && !said.contains("there is no CA"), "{said}");
    // a backup by root leaves nothing that would keep the owner out
    let other = Place::new(&[]);
    let _ = fs::remove_file(Path::new(&other.ca).join(".lock"));
    std::os::unix::fs::chown(&other.ca, Some(65_534), None).unwrap();
    ok(&["ca", "backup", "--ca-dir", &other.ca, "--out", &other.at("b.tar")]);
    assert!(!Path::new(&other.ca).join(".lock").exists());
}

#[test]
fn what_was_about_to_be_revoked_is_not_said_to_be() {
    let place = Place::new(&[]);
    fs::create_dir_all(Path::new(&place.ca).join("pending")).unwrap();
    fs::write(Path::new(&place.ca).join("pending/crl"), "").unwrap();
    let (_, said) = place.ca(&["client", "--user", "web", "--out", &place.at("web")]);
    assert!(said.contains("0 are revoked"), "{said}");
    let output = command(&["ca", "list", "--ca-dir", &place.ca]).output().unwrap();
    assert!(output.status.success());
}

#[test]
fn a_passphrase_is_put_on_changed_and_taken_off() {
    let place = Place::new(&["--intermediate"]);
    let root = Path::new(&place.ca).join("root/ca-key.pem");
    let own = Path::new(&place.ca).join("ca-key.pem");
    let say = |lines: &str, more: &[&str]| {
        let mut mytls = command(&[&["ca", "passphrase", "--ca-dir", &place.ca], more].concat());
        let mut child = mytls
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let locked = |file: &Path| fs::read_to_string(file).unwrap().contains("ENCRYPTED");
    let (code, said) = say("first\n", &["--passphrase-stdin"]);
    assert!(code == 0 && said.contains("under the new passphrase"), "{said}");
    assert!(locked(&root) && locked(&own));
    assert!(refused(&["ca", "crl", "--ca-dir", &place.ca]).contains("passphrase"));
    let (code, said) = say("wrong\nsecond\n", &["--passphrase-stdin"]);
    assert!(code == 2 && said.contains("does not open"), "{said}");
    let (code, said) = say("first\nsecond\n", &["--passphrase-stdin"]);
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("second") && !said.contains("first"), "{said}");
    let (code, said) = say("second\n", &["--passphrase-stdin", "--none"]);
    assert!(code == 0 && said.contains("has no passphrase now"), "{said}");
    assert!(!locked(&root) && !locked(&own));
    place.client("web");
    assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_never_ends_and_what_is_too_weak_is_refused() {
    let place = Place::new(&[]);
    let said = refused(&["ca", "client", "--ca-dir", &place.ca, "--from", "/dev/zero"]);
    assert!(said.contains("/dev/zero") && said.contains("device"), "{said}");
    let (key, cert, csr) = (place.at("k.pem"), place.at("c.pem"), place.at("r.pem"));
    openssl(&[
        "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", &key, "-out", &cert, "-subj",
        "/CN=Weak", "-days", "9",
    ]);
    let other = place.at("other");
    let said = refused(&["ca", "import", "--ca-dir", &other, "--cert", &cert, "--key", &key]);
    assert!(said.contains("1024 bits") && !Path::new(&other).exists(), "{said}");
    openssl(&["req", "-new", "-key", &key, "-out", &csr, "-subj", "/CN=app"]);
    let sign = ["ca", "sign", "--ca-dir", &place.ca, "--csr", &csr, "--out", &place.at("x.pem")];
    assert!(refused(&sign).contains("1024 bits"));
    let own = format!("{}/x.pem", place.ca);
    let sign = ["ca", "sign", "--ca-dir", &place.ca, "--csr", &csr, "--out", &own];
    assert!(refused(&sign).contains("folder of the CA itself"));
    let client = ["ca", "client", "--ca-dir", &place.ca, "--user", "y", "--out", &place.ca];
    assert!(refused(&client).contains("folder of the CA itself"));
}
