//! What the CA issues, read again by the `openssl` command and, from outside, by the program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

#[path = "common/program.rs"]
mod program;

use program::{ok, openssl, path, refused};

#[test]
fn openssl_verifies_strictly_what_was_issued_with_every_kind_of_key() {
    for key in ["p256", "p384", "ed25519", "rsa2048"] {
        let folder = tempfile::tempdir().unwrap();
        let [ca, server, client] = ["ca", "server", "client"].map(|name| folder.path().join(name));
        let (ca, server, client) = (path(&ca), path(&server), path(&client));
        ok(&[
            "ca",
            "create",
            "--no-passphrase",
            "--ca-dir",
            ca,
            "--name",
            "Example Database CA",
            "--key",
            key,
        ]);
        let hosts = "db1.example.org,10.0.0.5,::1";
        ok(&["ca", "server", "--ca-dir", ca, "--san", hosts, "--out", server, "--key", key]);
        ok(&["ca", "client", "--ca-dir", ca, "--user", "app", "--out", client, "--key", key]);

        let trusted = format!("{ca}/ca.pem");
        let verify = |purpose: &str, certificate: &str, more: &[&str]| {
            let args = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", &trusted];
            let args = [&args, more, &[certificate]].concat();
            let output = Command::new("openssl").args(&args).output().unwrap();
            output.status.success()
        };
        let (cert, own) =
            (format!("{server}/server-cert.pem"), format!("{client}/client-cert.pem"));
        assert!(verify("sslserver", &cert, &["-verify_hostname", "db1.example.org"]), "{key}");
        assert!(verify("sslserver", &cert, &["-verify_ip", "::1"]), "{key}");
        assert!(!verify("sslserver", &cert, &["-verify_hostname", "db2.example.org"]), "{key}");
        assert!(!verify("sslclient", &cert, &[]), "{key}: a server's is no client's");
        assert!(verify("sslclient", &own, &[]), "{key}");
        assert!(!verify("sslserver", &own, &[]), "{key}: a client's is no server's");

        for (key_file, certificate) in [
            (format!("{server}/server-key.pem"), &cert),
            (format!("{client}/client-key.pem"), &own),
        ] {
            let of_key = openssl(&["pkey", "-in", &key_file, "-pubout"]);
            assert_eq!(
                of_key,
                openssl(&["x509", "-in", certificate, "-noout", "-pubkey"]),
                "{key}"
            );
            let mode = fs::metadata(&key_file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}

#[test]
fn the_extensions_are_those_that_strict_clients_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    let [ca, out] = ["ca", "out"].map(|name| folder.path().join(name));
    let (ca, out) = (path(&ca), path(&out));
    ok(&["ca", "create", "--no-passphrase", "--ca-dir", ca, "--name", "Example CA"]);
    ok(&["ca", "server", "--ca-dir", ca, "--san", "db1", "--key", "rsa2048", "--out", out]);
    let text = |file: &str| openssl(&["x509", "-in", file, "-noout", "-text"]);
    let of_ca = text(&format!("{ca}/ca.pem"));
    for part in [
        "X509v3 Basic Constraints: critical\n                CA:TRUE",
        "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
    ] {
        assert!(of_ca.contains(part), "{part} is missing from {of_ca}");
    }
    let of_server = text(&format!("{out}/server-cert.pem"));
    for part in [
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Key Usage: critical\n                Digital Signature, Key Encipherment",
        "X509v3 Extended Key Usage: \n                TLS Web Server Authentication\n",
        "DNS:db1",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "Version: 3",
    ] {
        assert!(of_server.contains(part), "{part} is missing from {of_server}");
    }
}

#[test]
fn the_printed_subject_and_issuer_are_what_openssl_prints() {
    let folder = tempfile::tempdir().unwrap();
    let [ca, out] = ["ca", "out"].map(|name| folder.path().join(name));
    let (ca, out) = (path(&ca), path(&out));
    ok(&["ca", "create", "--no-passphrase", "--ca-dir", ca, "--name", "Example CA"]);
    let said = ok(&["ca", "client", "--ca-dir", ca, "--user", "app", "--out", out]);
    let own = format!("{out}/client-cert.pem");
    let compat =
        openssl(&["x509", "-in", &own, "-noout", "-subject", "-issuer", "-nameopt", "compat"]);
    let (subject, issuer) = compat.trim().split_once('\n').unwrap();
    let subject = subject.strip_prefix("subject=").unwrap();
    let issuer = issuer.strip_prefix("issuer=").unwrap();
    assert!(said.contains(&format!("subject  {subject}\n")), "{said}");
    assert!(said.contains(&format!("issuer   {issuer}\n")), "{said}");
    let list = ok(&["ca", "list", "--ca-dir", ca]);
    assert!(list.contains("`- clients (1)") && list.contains("app"), "{list}");
    let json: serde_json::Value =
        serde_json::from_str(&ok(&["ca", "list", "--ca-dir", ca, "--format", "json"])).unwrap();
    let serial = openssl(&["x509", "-in", &own, "-noout", "-serial"]);
    let listed = json["certificates"][0]["serial"].as_str().unwrap();
    assert_eq!(serial.trim(), format!("serial={listed}"));
}

#[test]
fn a_key_for_yassl_is_rsa_in_pkcs1() {
    let folder = tempfile::tempdir().unwrap();
    let [ca, out] = ["ca", "out"].map(|name| folder.path().join(name));
    let (ca, out) = (path(&ca), path(&out));
    ok(&[
        "ca",
        "create",
        "--no-passphrase",
        "--ca-dir",
        ca,
        "--name",
        "Example CA",
        "--key",
        "rsa2048",
    ]);
    let server =
        ["ca", "server", "--ca-dir", ca, "--san", "db1", "--out", out, "--key-form", "pkcs1"];
    assert!(refused(&server).contains("--key rsa2048"));
    assert!(!Path::new(out).exists(), "nothing is made of what cannot be");
    ok(&[&server[..], &["--key", "rsa2048"]].concat());
    let key = format!("{out}/server-key.pem");
    assert!(fs::read_to_string(&key).unwrap().starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    let of_key = openssl(&["pkey", "-in", &key, "-pubout"]);
    let certificate = format!("{out}/server-cert.pem");
    assert_eq!(openssl(&["x509", "-in", &certificate, "-noout", "-pubkey"]), of_key);
}

#[test]
fn twice_the_same_destroys_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca");
    let ca = path(&ca);
    let create = ["ca", "create", "--no-passphrase", "--ca-dir", ca, "--name", "Example CA"];
    ok(&create);
    let key = fs::read(format!("{ca}/ca-key.pem")).unwrap();
    assert!(ok(&create).contains("nothing was changed"));
    let other = ["ca", "create", "--no-passphrase", "--ca-dir", ca, "--name", "Other CA"];
    assert!(refused(&other).contains("CN=Example CA"));
    ok(&[&other[..], &["--if-missing"]].concat());
    assert_eq!(fs::read(format!("{ca}/ca-key.pem")).unwrap(), key);

    // As a remedy writes it, into a folder that is not there yet.
    let [cert, key_file, ca_file] =
        ["cert.pem", "key.pem", "ca.pem"].map(|name| folder.path().join("tls").join(name));
    let server = [
        "ca",
        "server",
        "--ca-dir",
        ca,
        "--san",
        "db1",
        "--cert-file",
        path(&cert),
        "--key-file",
        path(&key_file),
        "--ca-file",
        path(&ca_file),
    ];
    ok(&server);
    let first = fs::read_to_string(&cert).unwrap();
    fs::set_permissions(&cert, fs::Permissions::from_mode(0o640)).unwrap();
    let said = ok(&server);
    assert_ne!(fs::read_to_string(&cert).unwrap(), first);
    assert_eq!(fs::metadata(&cert).unwrap().permissions().mode() & 0o777, 0o640, "its mode stays");
    let backup = said.lines().find_map(|line| line.split_once("cert.pem (before: ")).unwrap().1;
    assert_eq!(fs::read_to_string(backup.trim_end_matches(')')).unwrap(), first);
    openssl(&["verify", "-x509_strict", "-CAfile", path(&ca_file), path(&cert)]);
}

#[test]
fn what_cannot_be_done_is_said_in_a_sentence_that_helps() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("none");
    let dir = path(&dir);
    let no_ca = refused(&["ca", "list", "--ca-dir", dir]);
    assert!(no_ca.contains(&format!("mytls ca create --ca-dir {dir}")), "{no_ca}");
    let odd = refused(&["ca", "create", "--no-passphrase", "--ca-dir", dir, "--name", "O'Brien"]);
    assert!(odd.contains("do not agree on `'`"), "{odd}");
    assert!(!Path::new(dir).exists());
    refused(&["ca", "server", "--ca-dir", dir, "--san", "db1"]);
    refused(&["ca", "server", "--ca-dir", dir, "--san", "db1", "--cert-file", "x"]);
    let host = refused(&["ca", "server", "--ca-dir", dir, "--san", "db 1", "--out", "x"]);
    assert!(host.contains("neither a host name nor an IP address"), "{host}");
}

#[test]
fn help_fits_one_screen_and_shows_an_example() {
    const COMMANDS: [&str; 14] = [
        "create", "import", "server", "client", "sign", "csr", "accept", "renew", "revoke", "crl",
        "list", "watch", "backup", "restore",
    ];
    for command in COMMANDS {
        let help = ok(&["ca", command, "--help"]);
        let (_, examples) = help.split_once("Example").expect(command);
        assert!(examples.contains(&format!("mytls ca {command} --")), "{help}");
        // how a server is named is the same everywhere, and nothing to look for here
        let named = |line: &&str| !line.is_empty();
        let shared = help.split_once("\nServer:\n").map_or("", |(_, rest)| rest);
        let shared = shared.lines().take_while(named).count();
        let own = help.lines().count() - shared;
        assert!(own <= 40, "{command} has {own} lines");
    }
    assert!(ok(&["sandbox", "--help"]).lines().count() <= 40);
    let faults = ok(&["sandbox", "--list"]);
    assert!(faults.contains("mismatched-key"));
    assert!(faults.contains(" [mariadb only]") && faults.contains("mysql-5.6 only]"), "{faults}");
    assert!(refused(&["sandbox", "--fault", "nothing", "--headless"]).contains("--list"));
}
