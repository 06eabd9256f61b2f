//! What can be done with a CA: second opinions on what it issues, renewing, revoking, taking over
//! another one, the way by a request, a passphrase, a backup; and each refusal with its sentence.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use mytls::x509::{Certificate, pem};
use openssl::asn1::{Asn1Time, Asn1Type};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Builder, X509Name, X509ReqBuilder};
use rustls_pki_types::{CertificateDer, UnixTime};

#[path = "common/program.rs"]
mod program;

use program::{command, mytls, ok, openssl, path, refused, text};

/// A folder, and a CA in it.
struct Place {
    folder: tempfile::TempDir,
    ca: String,
}

impl Place {
    fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = path(&folder.path().join("ca")).to_owned();
        Self { folder, ca }
    }

    fn new(more: &[&str]) -> Self {
        let place = Self::bare();
        ok(&[
            &["ca", "create", "--no-passphrase", "--ca-dir", &place.ca, "--name", "Example CA"],
            more,
        ]
        .concat());
        place
    }

    fn at(&self, name: &str) -> String {
        path(&self.folder.path().join(name)).to_owned()
    }

    fn client(&self, user: &str) -> String {
        let out = self.at(user);
        ok(&["ca", "client", "--ca-dir", &self.ca, "--user", user, "--out", &out]);
        format!("{out}/client-cert.pem")
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&ok(&["ca", "list", "--ca-dir", &self.ca, "--format", "json"]))
            .unwrap()
    }

    fn in_ca(&self, name: &str) -> PathBuf {
        Path::new(&self.ca).join(name)
    }
}

fn certificate(file: impl AsRef<Path>) -> X509 {
    pem::certificates(&fs::read(file).unwrap()).unwrap().remove(0)
}

/// Whether `openssl verify` takes it, as strictly as it can.
fn verifies(purpose: &str, trusted: &str, file: &str, more: &[&str]) -> bool {
    let arguments = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", trusted];
    let arguments = [&arguments, more, &["-untrusted", file, file]].concat();
    let output = Command::new("openssl").args(&arguments).output().unwrap();
    output.status.success()
}

/// The verdict of a verifier that shares no line with OpenSSL.
fn webpki(
    file: &str,
    roots: &[X509],
    server: bool,
    crl: Option<&[u8]>,
) -> Result<(), webpki::Error> {
    let chain = pem::certificates(&fs::read(file).unwrap()).unwrap();
    let der = |certificate: &X509| CertificateDer::from(certificate.to_der().unwrap());
    let (roots, chain): (Vec<_>, Vec<_>) =
        (roots.iter().map(der).collect(), chain.iter().map(der).collect());
    let anchors: Vec<_> =
        roots.iter().map(|root| webpki::anchor_from_trusted_cert(root).unwrap()).collect();
    let usage =
        if server { webpki::KeyUsage::server_auth() } else { webpki::KeyUsage::client_auth() };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let lists: Vec<webpki::CertRevocationList> = crl
        .map(|der| webpki::BorrowedCertRevocationList::from_der(der).unwrap().into())
        .into_iter()
        .collect();
    let lists: Vec<&webpki::CertRevocationList> = lists.iter().collect();
    let options = webpki::RevocationOptionsBuilder::new(&lists)
        .ok()
        .map(|options| options.with_depth(webpki::RevocationCheckDepth::EndEntity).build());
    webpki::EndEntityCert::try_from(&chain[0])?
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &chain[1..],
            UnixTime::since_unix_epoch(now),
            usage,
            options,
            None,
        )
        .map(drop)
}

#[test]
fn a_second_verifier_takes_every_kind_of_certificate() {
    for key in ["p256", "p384", "ed25519", "rsa2048"] {
        for more in [&["--key", key][..], &["--key", key, "--intermediate"]] {
            let place = Place::new(more);
            let server = place.at("db1");
            let ca = place.ca.as_str();
            let hosts = ["--san", "db1.example.org,10.0.0.5", "--key", key, "--out", &server];
            ok(&[&["ca", "server", "--ca-dir", ca], &hosts[..]].concat());
            let server = format!("{server}/server-cert.pem");
            let client = place.client("app");
            let trusted = format!("{ca}/ca.pem");
            let root = pem::certificates(&fs::read(&trusted).unwrap()).unwrap().pop().unwrap();
            let roots = [root];
            assert_eq!(webpki(&server, &roots, true, None), Ok(()), "{more:?}");
            assert_eq!(webpki(&client, &roots, false, None), Ok(()), "{more:?}");
            assert!(webpki(&client, &roots, true, None).is_err(), "{more:?}");
            assert!(webpki(&server, &roots, false, None).is_err(), "{more:?}");
            assert!(verifies("sslserver", &trusted, &server, &[]), "{more:?}");
            assert!(verifies("sslclient", &trusted, &client, &[]), "{more:?}");

            let chain = pem::certificates(&fs::read(&server).unwrap()).unwrap();
            let leaf = CertificateDer::from(chain[0].to_der().unwrap());
            let leaf = webpki::EndEntityCert::try_from(&leaf).unwrap();
            let named = |name: &str| {
                let name = name.to_owned().try_into().unwrap();
                leaf.verify_is_valid_for_subject_name(&name).is_ok()
            };
            assert!(named("db1.example.org") && named("10.0.0.5") && !named("db2.example.org"));
        }
    }
}

#[test]
fn what_is_revoked_is_refused_and_the_others_are_not() {
    let place = Place::new(&["--intermediate"]);
    let (app, web) = (place.client("app"), place.client("web"));
    let said = ok(&["ca", "revoke", "--ca-dir", &place.ca, "app", "--reason", "key-compromise"]);
    assert!(said.contains("signed the CRL of Example CA, Example CA root"), "{said}");
    let (trusted, lists) = (format!("{}/ca.pem", place.ca), format!("{}/crl.pem", place.ca));
    let checked = ["-crl_check_all", "-CRLfile", &lists];
    assert!(verifies("sslclient", &trusted, &app, &[]));
    assert!(!verifies("sslclient", &trusted, &app, &checked));
    assert!(verifies("sslclient", &trusted, &web, &checked));
    let crl = openssl::x509::X509Crl::from_pem(&fs::read(&lists).unwrap()).unwrap();
    let der = crl.to_der().unwrap();
    let roots = [pem::certificates(&fs::read(&trusted).unwrap()).unwrap().pop().unwrap()];
    assert_eq!(webpki(&app, &roots, false, Some(&der)), Err(webpki::Error::CertRevoked));
    assert_eq!(webpki(&web, &roots, false, Some(&der)), Ok(()));
    let again = refused(&["ca", "revoke", "--ca-dir", &place.ca, "app"]);
    assert!(again.contains("app is revoked or expired already"), "{again}");
    let nobody = refused(&["ca", "revoke", "--ca-dir", &place.ca, "nobody"]);
    assert!(nobody.contains("no certificate of nobody"), "{nobody}");

    // the root's key is taken away: its list stays, and the own is signed anew
    let root = place.at("root");
    fs::rename(place.in_ca("root"), &root).unwrap();
    let said = ok(&["ca", "crl", "--ca-dir", &place.ca, "--next-update", "1w"]);
    assert!(said.contains("kept the CRL of Example CA root"), "{said}");
    assert!(verifies("sslclient", &trusted, &web, &checked));
    let crls = place.json()["crls"].clone();
    let span = |at: usize| {
        let time = |name: &str| crls[at][name].as_i64().unwrap();
        (time("next_update") - time("this_update")) / 86_400
    };
    assert_eq!((span(0), span(1)), (7, 365));
    fs::remove_file(&lists).unwrap();
    let output = mytls(&["ca", "crl", "--ca-dir", &place.ca]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no CRL of Example CA root"), "{said}");
    assert!(!verifies("sslclient", &trusted, &web, &checked), "one is missing");
    ok(&["ca", "crl", "--ca-dir", &place.ca, "--root-dir", &root]);
    assert!(verifies("sslclient", &trusted, &web, &checked));
    let serial = place.json()["certificates"][1]["serial"].as_str().unwrap().to_lowercase();
    ok(&["ca", "revoke", "--ca-dir", &place.ca, "--serial", &serial]);
    assert!(!verifies("sslclient", &trusted, &web, &checked));
}

#[test]
fn a_list_that_cannot_be_laid_where_it_should_takes_no_revocation_back() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (ca, out, other, list) = (at("ca"), at("app"), at("other.pem"), at("crl.pem"));
    let dir = ["--ca-dir", path(&ca)];
    ok(&[&["ca", "create", "--no-passphrase", "--name", "Own CA"], &dir[..]].concat());
    ok(&[&["ca", "client", "--user", "app", "--out", path(&out)], &dir[..]].concat());
    fs::write(&other, "something else").unwrap();
    let deploy = ["--deploy", path(&other), "--deploy", path(&list)];
    let output = mytls(&[&["ca", "revoke", "app"], &dir[..], &deploy].concat());
    let [said, told] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(1), "{said}{told}");
    assert!(said.contains("revoked the client certificate of app"), "{said}");
    assert!(said.contains("signed the CRL of Own CA"), "{said}");
    assert!(told.contains("something else than lists of this CA"), "{told}");
    assert!(told.contains("the lists are signed") && told.contains("mytls ca crl"), "{told}");
    assert_eq!(fs::read_to_string(&other).unwrap(), "something else");
    let [signed, laid] = [ca.join("crl.pem"), list].map(|file| fs::read(file).unwrap());
    assert_eq!(signed, laid, "the one after it is laid all the same");
}

#[test]
fn what_a_server_cannot_verify_is_not_issued_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (ca, out) = (at("ca"), at("db1"));
    ok(&["ca", "create", "--no-passphrase", "--name", "Own CA", "--ca-dir", path(&ca)]);
    let server = ["ca", "server", "--san", "db1", "--ca-dir", path(&ca), "--out", path(&out)];
    let why = refused(&[&server[..], &["--for", "mysql-5.6"]].concat());
    assert!(why.contains("CN=Own CA") && why.contains("EC P-256"), "{why}");
    assert!(why.contains("mytls ca create --for mysql-5.6"), "{why}");
    assert!(!out.exists(), "nothing was issued");
    ok(&[&server[..], &["--for", "mysql-8.4"]].concat());
}

#[test]
fn a_renewed_certificate_says_the_same_of_the_same() {
    let place = Place::new(&[]);
    place.client("app");
    let (ca, db1) = (place.ca.as_str(), place.at("db1"));
    let server = ["--san", "db1.example.org,10.0.0.5", "--days", "20", "--key", "rsa2048"];
    ok(&[&["ca", "server", "--ca-dir", ca, "--also-client", "--out", &db1], &server[..]].concat());
    let file = format!("{db1}/server-cert.pem");
    let old = certificate(&file);
    let none = ok(&["ca", "renew", "--ca-dir", ca, "--all", "--within", "10d"]);
    assert!(none.contains("nothing expires within 10 days"), "{none}");
    let said = ok(&["ca", "renew", "--ca-dir", ca, "--all", "--within", "30d"]);
    assert!(said.contains("db1.example.org") && !said.contains("app"), "{said}");
    let new = certificate(&file);
    let of = |certificate: &X509| Certificate::from_openssl(certificate);
    let (before, after) = (of(&old), of(&new));
    assert_eq!((&before.subject, &before.dns_names), (&after.subject, &after.dns_names));
    assert_eq!((&before.ip_addresses, before.purposes), (&after.ip_addresses, after.purposes));
    assert!(after.not_after > before.not_after && after.serial != before.serial);
    assert!(!new.public_key().unwrap().public_eq(&old.public_key().unwrap()), "a new key");
    assert!(verifies("sslserver", &format!("{ca}/ca.pem"), &file, &[]));
    let backups = fs::read_dir(&db1).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(backups.filter(|name| name.to_string_lossy().contains(".bak-")).count(), 2);

    let own = place.in_ca("clients/app/client-cert.pem");
    let old = certificate(&own);
    let said = ok(&["ca", "renew", "--ca-dir", ca, "--client", "app", "--same-key"]);
    let backup = said.lines().find_map(|line| line.split_once("client-cert.pem (before: "));
    let backup = backup.unwrap_or_else(|| panic!("{said}")).1.trim_end_matches(')');
    assert_eq!(certificate(backup).to_der().unwrap(), old.to_der().unwrap());
    let new = certificate(&own);
    assert!(new.public_key().unwrap().public_eq(&old.public_key().unwrap()), "the same key");
    assert_ne!(of(&new).serial, of(&old).serial);
    let json = place.json();
    let status: Vec<&str> = json["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["status"].as_str().unwrap())
        .collect();
    assert_eq!(status, ["replaced", "replaced", "valid", "valid"]);

    fs::remove_dir_all(&db1).unwrap();
    let gone = refused(&["ca", "renew", "--ca-dir", ca, "--server", "10.0.0.5"]);
    assert!(gone.contains("--out"), "{gone}");
    let nobody = refused(&["ca", "renew", "--ca-dir", ca, "--client", "nobody"]);
    assert!(nobody.contains("no certificate of nobody"), "{nobody}");
}

#[test]
fn watch_tells_cron_by_its_exit_status() {
    let place = Place::new(&[]);
    place.client("app");
    let watch = |more: &[&str]| {
        let output = mytls(&[&["ca", "watch", "--ca-dir", &place.ca], more].concat());
        (output.status.code().unwrap(), text(&output.stdout))
    };
    let (code, said) = watch(&[]);
    assert_eq!(code, 0);
    assert_eq!(said, "", "cron would mail it");
    let (code, said) = watch(&["--within", "57w"]);
    assert_eq!(code, 1);
    assert!(said.contains(&format!("mytls ca renew --client app --ca-dir {}", place.ca)), "{said}");
    let (code, said) = watch(&["--within", "57w", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, json["due"][0]["name"].as_str()), (1, Some("app")));
    assert_eq!(watch(&["--within", "soon"]).0, 2);
    assert_eq!(mytls(&["ca", "watch", "--ca-dir", &place.at("none")]).status.code(), Some(3));
}

/// A CA as Active Directory names one: attributes that repeat, and a BMPString.
fn foreign_name() -> X509Name {
    let mut name = X509Name::builder().unwrap();
    for (key, value) in [("DC", "com"), ("DC", "example"), ("OU", "a"), ("OU", "b")] {
        let kind = if key == "DC" { Asn1Type::IA5STRING } else { Asn1Type::PRINTABLESTRING };
        name.append_entry_by_text_with_type(key, value, kind).unwrap();
    }
    name.append_entry_by_text_with_type("CN", "\0A\0D\0 \0C\0A", Asn1Type::BMPSTRING).unwrap();
    name.build()
}

struct ForeignCa {
    ca: bool,
    sign: bool,
    days: [i64; 2],
}

impl ForeignCa {
    const SOUND: Self = Self { ca: true, sign: true, days: [-10, 1000] };

    fn make(&self, key: &PKey<Private>) -> X509 {
        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap();
        builder.set_serial_number(&serial).unwrap();
        let name = foreign_name();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_pubkey(key).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let [from, until] = self.days.map(|days| {
            Asn1Time::from_unix(i64::try_from(now.as_secs()).unwrap() + days * 86_400).unwrap()
        });
        builder.set_not_before(&from).unwrap();
        builder.set_not_after(&until).unwrap();
        let mut constraints = BasicConstraints::new();
        constraints.critical();
        if self.ca {
            constraints.ca();
        }
        builder.append_extension(constraints.build().unwrap()).unwrap();
        let mut usage = KeyUsage::new();
        usage.critical().crl_sign();
        if self.sign {
            usage.key_cert_sign();
        }
        builder.append_extension(usage.build().unwrap()).unwrap();
        let identifier =
            SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(identifier).unwrap();
        builder.sign(key, MessageDigest::sha256()).unwrap();
        builder.build()
    }
}

#[test]
fn a_foreign_ca_is_taken_over_with_its_key_in_any_form_and_its_name_to_the_byte() {
    let rsa = Rsa::generate(2048).unwrap();
    let ec = EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap();
    let (rsa_key, ec_key) =
        (PKey::from_rsa(rsa.clone()).unwrap(), PKey::from_ec_key(ec.clone()).unwrap());
    let cipher = Cipher::aes_256_cbc();
    let forms = [
        ("PKCS#8", &rsa_key, rsa_key.private_key_to_pem_pkcs8().unwrap(), false),
        ("PKCS#1", &rsa_key, rsa.private_key_to_pem().unwrap(), false),
        ("SEC1", &ec_key, ec.private_key_to_pem().unwrap(), false),
        (
            "PKCS#8, encrypted",
            &ec_key,
            ec_key.private_key_to_pem_pkcs8_passphrase(cipher, b"secret").unwrap(),
            true,
        ),
        (
            "PKCS#1, encrypted",
            &rsa_key,
            rsa.private_key_to_pem_passphrase(cipher, b"secret").unwrap(),
            true,
        ),
    ];
    for (form, key, written, encrypted) in forms {
        let place = Place::bare();
        let (cert_file, key_file) = (place.at("ca.crt"), place.at("ca.key"));
        let foreign = ForeignCa::SOUND.make(key);
        fs::write(&cert_file, foreign.to_pem().unwrap()).unwrap();
        fs::write(&key_file, written).unwrap();
        let import =
            ["ca", "import", "--ca-dir", &place.ca, "--cert", &cert_file, "--key", &key_file];
        let run = |arguments: &[&str]| with_passphrase(arguments, encrypted.then_some("secret"));
        let said = run(&import).unwrap();
        assert!(said.contains("took over the CA"), "{form}: {said}");
        let kept = fs::read_to_string(place.in_ca("ca-key.pem")).unwrap();
        assert_eq!(kept.contains("ENCRYPTED"), encrypted, "{form}");

        let out = place.at("app");
        let client = ["ca", "client", "--ca-dir", &place.ca, "--user", "app", "--out", &out];
        run(&client).unwrap();
        let file = format!("{out}/client-cert.pem");
        let issued = certificate(&file);
        let [theirs, ours] = [foreign.subject_name(), issued.issuer_name()];
        assert_eq!(theirs.to_der().unwrap(), ours.to_der().unwrap(), "{form}");
        assert!(verifies("sslclient", &cert_file, &file, &[]), "{form}");
        assert_eq!(webpki(&file, &[foreign], false, None), Ok(()), "{form}");
        run(&["ca", "revoke", "--ca-dir", &place.ca, "app"]).unwrap();
        let lists = format!("{}/crl.pem", place.ca);
        let checked = ["-crl_check_all", "-CRLfile", &lists];
        assert!(!verifies("sslclient", &cert_file, &file, &checked), "{form}");
    }
}

/// Runs it with a passphrase on standard input; what it printed, or what it said instead.
fn with_passphrase(arguments: &[&str], passphrase: Option<&str>) -> Result<String, String> {
    let more = passphrase.map(|_| "--passphrase-stdin");
    let mut child = command(arguments)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let line = passphrase.map(|text| format!("{text}\n")).unwrap_or_default();
    // it may have refused already, and nobody reads
    let _ = child.stdin.take().unwrap().write_all(line.as_bytes());
    let output = child.wait_with_output().unwrap();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn what_is_no_ca_to_issue_with_is_not_taken_over() {
    let key = PKey::ec_gen("prime256v1").unwrap();
    let other = PKey::ec_gen("prime256v1").unwrap();
    let sound = ForeignCa::SOUND;
    let cases = [
        (sound.make(&key), &other, "belongs to another certificate"),
        (ForeignCa { ca: false, ..sound }.make(&key), &key, "it is no CA"),
        (ForeignCa { sign: false, ..ForeignCa::SOUND }.make(&key), &key, "keyCertSign"),
        (ForeignCa { days: [-10, -1], ..ForeignCa::SOUND }.make(&key), &key, "expired on"),
    ];
    for (certificate, key, why) in cases {
        let place = Place::bare();
        let (cert_file, key_file) = (place.at("ca.crt"), place.at("ca.key"));
        fs::write(&cert_file, certificate.to_pem().unwrap()).unwrap();
        fs::write(&key_file, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        let said = refused(&[
            "ca", "import", "--ca-dir", &place.ca, "--cert", &cert_file, "--key", &key_file,
        ]);
        assert!(said.contains(why), "{why}: {said}");
        assert!(!Path::new(&place.ca).exists(), "{why}");
    }

    // an issuing CA without the root above it
    let place = Place::new(&["--intermediate"]);
    let chain = pem::certificates(&fs::read(place.in_ca("ca.pem")).unwrap()).unwrap();
    let (alone, root, new) = (place.at("alone.pem"), place.at("root.pem"), place.at("new"));
    fs::write(&alone, chain[0].to_pem().unwrap()).unwrap();
    fs::write(&root, chain[1].to_pem().unwrap()).unwrap();
    let key_file = format!("{}/ca-key.pem", place.ca);
    let import = ["ca", "import", "--ca-dir", &new, "--cert", &alone, "--key", &key_file];
    let said = refused(&import);
    assert!(said.contains("--chain"), "{said}");
    ok(&[&import[..], &["--chain", &root]].concat());
}

#[test]
fn a_passphrase_is_asked_for_and_a_wrong_one_is_said_to_be_wrong() {
    let place = Place::bare();
    let create = ["ca", "create", "--ca-dir", &place.ca, "--name", "Example CA", "--intermediate"];
    with_passphrase(&create, Some("correct horse")).unwrap();
    for key in ["ca-key.pem", "root/ca-key.pem"] {
        let file = path(&place.in_ca(key)).to_owned();
        let shown = openssl(&["pkey", "-in", &file, "-passin", "pass:correct horse", "-pubout"]);
        assert!(shown.contains("PUBLIC KEY"));
        let parsed = openssl(&["asn1parse", "-in", &file]);
        assert!(parsed.contains("PBKDF2") && parsed.contains("aes-256-cbc"), "{parsed}");
    }
    let out = place.at("app");
    let client = ["ca", "client", "--ca-dir", &place.ca, "--user", "app", "--out", &out];
    let wrong = with_passphrase(&client, Some("wrong")).unwrap_err();
    assert!(wrong.contains("the passphrase does not open the key"), "{wrong}");
    let missing = with_passphrase(&client, None).unwrap_err();
    assert!(missing.contains("--passphrase-stdin"), "{missing}");
    assert!(!Path::new(&out).exists(), "nothing half-written");
    with_passphrase(&client, Some("correct horse")).unwrap();
    let by_environment = command(&["ca", "crl", "--ca-dir", &place.ca])
        .env("MYTLS_CA_PASSPHRASE", "correct horse")
        .output();
    let by_environment = by_environment.unwrap();
    assert!(text(&by_environment.stdout).contains("Example CA root"), "the root's key, too");
    for output in [by_environment.stdout, by_environment.stderr] {
        assert!(!text(&output).contains("horse"));
    }
    ok(&["ca", "list", "--ca-dir", &place.ca]);
    ok(&["ca", "watch", "--ca-dir", &place.ca]);
}

#[test]
fn the_way_by_a_request_goes_there_and_back() {
    let place = Place::new(&["--intermediate"]);
    let (dir, signed) = (place.at("db1"), place.at("db1.crt"));
    ok(&["ca", "csr", "--out", &dir, "--san", "db1.example.org,10.0.0.5"]);
    let request = format!("{dir}/server.csr");
    assert!(openssl(&["req", "-in", &request, "-noout", "-verify", "-text"]).contains("DNS:db1"));
    let mode = fs::metadata(format!("{dir}/server-key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let twice = refused(&["ca", "csr", "--out", &dir, "--san", "db1"]);
    assert!(twice.contains("exists already"), "{twice}");

    ok(&["ca", "sign", "--ca-dir", &place.ca, "--csr", &request, "--out", &signed]);
    let chain = format!("{}/ca.pem", place.ca);
    let accept = |certificate: &str, chain: &str| {
        mytls(&["ca", "accept", "--dir", &dir, "--cert", certificate, "--chain", chain])
    };
    let other = place.client("app");
    for (certificate, chain, why) in [
        (other.as_str(), chain.as_str(), "does not belong to the key"),
        (&signed, &other, "the chain ends below"),
    ] {
        let said = text(&accept(certificate, chain).stderr);
        assert!(said.contains(why), "{why}: {said}");
        assert!(!Path::new(&dir).join("server-cert.pem").exists(), "{why}");
    }
    assert!(accept(&signed, &chain).status.success());
    let file = format!("{dir}/server-cert.pem");
    assert!(verifies("sslserver", &format!("{dir}/ca.pem"), &file, &[]));
    assert_eq!(place.json()["certificates"][0]["names"][0], "db1.example.org");
    let renewed = refused(&["ca", "renew", "--ca-dir", &place.ca, "--server", "10.0.0.5"]);
    assert!(
        renewed.contains("for a key that is kept elsewhere") && renewed.contains("--out"),
        "{renewed}"
    );
}

/// A request that the command `openssl` would not make.
fn request(common_name: &str, ca: bool, break_it: bool) -> Vec<u8> {
    let key = PKey::ec_gen("prime256v1").unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text_with_type("CN", common_name, Asn1Type::UTF8STRING).unwrap();
    let mut builder = X509ReqBuilder::new().unwrap();
    builder.set_subject_name(&name.build()).unwrap();
    builder.set_pubkey(&key).unwrap();
    if ca {
        let mut extensions = openssl::stack::Stack::new().unwrap();
        extensions.push(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder.add_extensions(&extensions).unwrap();
    }
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let mut der = builder.build().to_der().unwrap();
    if break_it {
        let last = der.len() - 1;
        der[last] ^= 1;
    }
    der
}

#[test]
fn requests_that_ask_for_too_much_are_refused() {
    let place = Place::new(&[]);
    let (file, out) = (place.at("x.csr"), place.at("x.crt"));
    for (bytes, why) in [
        (request("app", false, true), "its signature is broken"),
        (request("app", true, false), "CA:TRUE"),
        (request("a\x1b[2Jb", false, false), "\\x1B"),
        (request("o'brien", false, false), "do not agree on `'`"),
        (b"nothing".to_vec(), "no certificate request"),
    ] {
        fs::write(&file, bytes).unwrap();
        let said = refused(&["ca", "sign", "--ca-dir", &place.ca, "--csr", &file, "--out", &out]);
        assert!(said.contains(why) && !said.contains('\x1b'), "{why}: {said}");
        assert!(!Path::new(&out).exists());
        assert_eq!(place.json()["certificates"].as_array().unwrap().len(), 0, "{why}");
    }
    fs::write(&file, request("app", false, false)).unwrap();
    ok(&["ca", "sign", "--ca-dir", &place.ca, "--csr", &file, "--out", &out]);
    assert!(verifies("sslclient", &format!("{}/ca.pem", place.ca), &out, &[]));
}

#[test]
fn names_that_cannot_be_are_refused_before_anything_is_written() {
    let place = Place::new(&[]);
    let (ca, out, long) = (place.ca.as_str(), place.at("out"), "x".repeat(300));
    for (name, why) in [
        ("a\x1b[2J", "\\x1B"),
        ("a\nb", "\\x0A"),
        (long.as_str(), "at most 64 characters"),
        ("", "it is empty"),
        ("a/b", "do not agree on `/`"),
    ] {
        let said = refused(&["ca", "client", "--ca-dir", ca, "--user", name, "--out", &out]);
        assert!(said.contains(why) && !said.contains('\x1b'), "{why}: {said}");
    }
    let table = place.at("accounts.csv");
    fs::write(&table, format!("user,host,days\ngood\na/b\n{long}\ngood\nweb,%,0\n")).unwrap();
    let said = refused(&["ca", "client", "--ca-dir", ca, "--from", &table]);
    for line in
        ["nothing was issued", "line 3:", "line 4:", "line 5: good stands in line 2", "line 6:"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    ok(&["ca", "server", "--ca-dir", ca, "--san", "app", "--out", &place.at("db")]);
    let taken =
        refused(&["ca", "client", "--ca-dir", ca, "--user", "app", "--out", &place.at("c")]);
    assert!(taken.contains("a server certificate has it"), "{taken}");
    assert_eq!(place.json()["certificates"].as_array().unwrap().len(), 1);
    assert!(!place.in_ca("clients").exists());
}

#[test]
fn a_table_is_issued_whole_and_once() {
    let place = Place::new(&[]);
    let (table, out) = (place.at("accounts.csv"), place.at("out"));
    fs::write(&table, "user,host,days\napp\nweb,10.0.0.%\nshort,%,7\n").unwrap();
    let issue = ["ca", "client", "--ca-dir", &place.ca, "--from", &table, "--out", &out];
    assert!(ok(&issue).contains("issued 3 client certificates (EC P-256)"));
    let trusted = format!("{}/ca.pem", place.ca);
    for name in ["app", "web@10.0.0.%", "short"] {
        let file = format!("{out}/{name}/client-cert.pem");
        assert!(verifies("sslclient", &trusted, &file, &[]), "{name}");
        let mode = |file: &str| fs::metadata(file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&format!("{out}/{name}/client-key.pem")), 0o600);
        assert_eq!(mode(&format!("{out}/{name}")), 0o700);
    }
    let again = ok(&issue);
    assert!(again.contains("app has a certificate until") && again.contains("issued 0"), "{again}");

    // what was revoked is issued anew, also when an older one of the account is still valid
    ok(&["ca", "revoke", "--ca-dir", &place.ca, "app"]);
    assert!(ok(&issue).contains("issued 1 client certificate"));
    place.client("app");
    let json = place.json();
    let serial = json["certificates"].as_array().unwrap().last().unwrap()["serial"].clone();
    ok(&["ca", "revoke", "--ca-dir", &place.ca, "--serial", serial.as_str().unwrap()]);
    assert!(ok(&issue).contains("issued 1 client certificate"));
    let file = format!("{out}/app/client-cert.pem");
    let lists = format!("{}/crl.pem", place.ca);
    let checked = ["-crl_check", "-CRLfile", &lists];
    assert!(verifies("sslclient", &trusted, &file, &checked), "the one that is handed out");
}

#[test]
fn a_second_certificate_of_an_account_says_that_the_first_stays_valid() {
    let place = Place::new(&[]);
    let client = ["ca", "client", "--ca-dir", &place.ca, "--user", "app", "--out"];
    let issue = |out: &str| ok(&[&client[..], &[&place.at(out)]].concat());
    assert!(!issue("one").contains("had already"));
    let serial = place.json()["certificates"][0]["serial"].as_str().unwrap().to_owned();
    let said = issue("two");
    let revoke = format!("mytls ca revoke --ca-dir {} --serial {serial}", place.ca);
    assert!(said.contains("had already") && said.contains(&revoke), "{said}");
    ok(&["ca", "revoke", "--ca-dir", &place.ca, "app"]);
    assert!(!issue("three").contains("had already"));
}

#[test]
fn a_key_without_a_passphrase_is_made_only_where_somebody_said_so() {
    let place = Place::bare();
    let create = ["ca", "create", "--ca-dir", &place.ca, "--name", "Example CA"];
    let said = refused(&create);
    for way in ["--passphrase-stdin", "MYTLS_CA_PASSPHRASE", "--no-passphrase"] {
        assert!(said.contains(way), "{way}: {said}");
    }
    assert!(!Path::new(&place.ca).exists());
    let given = command(&create).env("MYTLS_CA_PASSPHRASE", "correct horse").output().unwrap();
    assert!(given.status.success(), "{}", text(&given.stderr));
    let key = fs::read_to_string(place.in_ca("ca-key.pem")).unwrap();
    assert!(key.contains("ENCRYPTED"));
    assert!(ok(&create).contains("nothing was changed"), "it is there, and nothing is asked");
}

#[test]
fn a_backup_is_restored_and_goes_on() {
    let place = Place::new(&["--intermediate"]);
    place.client("app");
    let (archive, back) = (place.at("ca.tar"), place.at("back"));
    ok(&["ca", "backup", "--ca-dir", &place.ca, "--out", &archive]);
    assert_eq!(fs::metadata(&archive).unwrap().permissions().mode() & 0o777, 0o600);
    ok(&["ca", "restore", &archive, "--ca-dir", &back]);
    ok(&["ca", "client", "--ca-dir", &back, "--user", "web", "--out", &place.at("web")]);
    assert!(ok(&["ca", "list", "--ca-dir", &back]).contains("clients (2)"));
    let unpacked = place.at("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tar = Command::new("tar").args(["-xf", &archive, "-C", &unpacked]).status().unwrap();
    let sums = ["-c", "--quiet", "SHA256SUMS"];
    let sums = Command::new("sha256sum").args(sums).current_dir(&unpacked).status().unwrap();
    assert!(tar.success() && sums.success());
    fs::write(&archive, "no archive").unwrap();
    let said = refused(&["ca", "restore", &archive, "--ca-dir", &place.at("again")]);
    assert!(said.contains("no backup that can be restored"), "{said}");
}

#[test]
fn a_store_of_an_earlier_version_opens_and_goes_on() {
    let place = Place::new(&[]);
    place.client("app");
    ok(&[
        "ca",
        "server",
        "--ca-dir",
        &place.ca,
        "--san",
        "db1,10.0.0.5",
        "--out",
        &place.at("db1"),
    ]);
    let before = place.json()["certificates"].clone();
    fs::remove_file(place.in_ca("index.jsonl")).unwrap();
    // with its list, and without any
    let old: Vec<serde_json::Value> = before.as_array().unwrap()[..1].to_vec();
    for list in [Some(serde_json::to_string_pretty(&old).unwrap()), None] {
        let file = place.in_ca("index.json");
        match list {
            Some(list) => fs::write(&file, list).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let found = place.json()["certificates"].clone();
        for field in ["serial", "sha256", "names", "kind", "subject", "not_after"] {
            let of = |list: &serde_json::Value| {
                let mut values: Vec<String> =
                    list.as_array().unwrap().iter().map(|e| e[field].to_string()).collect();
                values.sort();
                values
            };
            assert_eq!(of(&found), of(&before), "{field}");
        }
    }
    ok(&["ca", "renew", "--ca-dir", &place.ca, "--client", "app"]);
    assert!(place.in_ca("index.jsonl").exists());
    assert_eq!(place.json()["certificates"].as_array().unwrap().len(), 3);
}

#[test]
fn the_second_waits_for_the_first() {
    let place = Place::new(&[]);
    let file = fs::File::options().write(true).open(place.in_ca(".lock")).unwrap();
    let lock = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).unwrap();
    let out = place.at("app");
    let child = command(&["ca", "client", "--ca-dir", &place.ca, "--user", "app", "--out", &out])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(800));
    assert!(place.json()["certificates"].as_array().unwrap().is_empty(), "looking needs no lock");
    drop(lock);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("waiting for it"), "{}", text(&output.stderr));
}

#[test]
fn a_full_disk_leaves_what_there_was() {
    let place = Place::bare();
    let disk = place.at("disk");
    fs::create_dir(&disk).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=128k", "tmpfs", &disk])
        .stderr(Stdio::null())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no file system can be mounted here");
        return;
    }
    let _unmount = Unmount(disk.clone());
    let ca = format!("{disk}/ca");
    ok(&["ca", "create", "--no-passphrase", "--ca-dir", &ca, "--name", "Example CA"]);
    let list = || ok(&["ca", "list", "--ca-dir", &ca, "--format", "json"]);
    let mut refusal = String::new();
    for n in 0..64 {
        let before: serde_json::Value = serde_json::from_str(&list()).unwrap();
        let (user, out) = (format!("app{n}"), place.at(&format!("app{n}")));
        let output = mytls(&["ca", "client", "--ca-dir", &ca, "--user", &user, "--out", &out]);
        if !output.status.success() {
            refusal = text(&output.stderr);
            let after: serde_json::Value = serde_json::from_str(&list()).unwrap();
            assert_eq!(before["certificates"], after["certificates"], "nothing was entered");
            assert_eq!(after["under_way"].as_array().unwrap().len(), 0);
            break;
        }
    }
    assert!(refusal.contains("the disk is full"), "{refusal}");
    let full = format!("{disk}/another");
    let said =
        refused(&["ca", "create", "--no-passphrase", "--ca-dir", &full, "--name", "Another CA"]);
    assert!(said.contains("the disk is full"), "{said}");
    assert!(!Path::new(&full).exists(), "nothing half-written");
    for n in 0..4 {
        fs::remove_dir_all(format!("{ca}/clients/app{n}")).unwrap();
    }
    ok(&["ca", "client", "--ca-dir", &ca, "--user", "last", "--out", &place.at("last")]);
}

struct Unmount(String);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", &self.0]).status();
    }
}

#[test]
fn a_folder_that_is_not_ours_or_read_only_is_left_alone() {
    let place = Place::new(&[]);
    let out = place.at("app");
    let client = ["ca", "client", "--ca-dir", &place.ca, "--user", "app", "--out", &out];
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&place.ca, Some(65_534), None).unwrap();
        let said = refused(&client);
        assert!(said.contains("belongs to") && said.contains("sudo -u"), "{said}");
        let parent = place.at("theirs");
        fs::create_dir(&parent).unwrap();
        std::os::unix::fs::chown(&parent, Some(65_534), None).unwrap();
        let said = refused(&[
            "ca",
            "create",
            "--no-passphrase",
            "--ca-dir",
            &parent,
            "--name",
            "Example CA",
        ]);
        assert!(said.contains("belongs to"), "{said}");
        std::os::unix::fs::chown(&place.ca, Some(0), None).unwrap();
    } else {
        fs::set_permissions(&place.ca, fs::Permissions::from_mode(0o500)).unwrap();
        let said = refused(&client);
        assert!(said.contains("permission denied"), "{said}");
        fs::set_permissions(&place.ca, fs::Permissions::from_mode(0o700)).unwrap();
    }
    assert!(place.json()["certificates"].as_array().unwrap().is_empty());
    ok(&client);
}
