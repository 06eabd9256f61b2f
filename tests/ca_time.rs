//! What a CA does about its own end, and on a machine whose clock is wrong; and what it does about
//! certificates that it issued before mytls kept it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "common/program.rs"]
mod program;

use program::{command, mytls, ok, openssl, path, refused, text};
use serde_json::Value;

const DAY: i64 = 86_400;

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
        place
    }

    fn at(&self, name: &str) -> String {
        path(&self.folder.path().join(name)).to_owned()
    }

    fn ca(&self, words: &[&str]) -> String {
        ok(&[&["ca"], words, &["--ca-dir", &self.ca]].concat())
    }

    fn refused(&self, words: &[&str]) -> String {
        refused(&[&["ca"], words, &["--ca-dir", &self.ca]].concat())
    }

    fn client(&self, user: &str, more: &[&str]) -> String {
        self.ca(&[&["client", "--user", user, "--out", &self.at(user)], more].concat())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.ca(&["list", "--format", "json"])).unwrap()
    }

    fn serials(&self) -> Vec<String> {
        let certificates = self.json()["certificates"].as_array().unwrap().clone();
        certificates.iter().map(|one| one["serial"].as_str().unwrap().to_owned()).collect()
    }

    /// Everything in the folder of the CA, to see that nothing changed.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::from(&self.ca)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with(".lock") {
                    found.push((path.clone(), fs::read(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }
}

/// The clock of a program, put in its place by the dynamic linker; `cc` linked this test as well.
struct Clock {
    library: PathBuf,
}

impl Clock {
    fn make(folder: &Path) -> Self {
        let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
        fs::write(
            &source,
            "#define _GNU_SOURCE\n#include <stdlib.h>\n#include <time.h>\n#include <unistd.h>\n\
             #include <sys/syscall.h>\n\
             int clock_gettime(clockid_t clock, struct timespec *at) {\n\
             \x20   if (clock != CLOCK_REALTIME) return syscall(SYS_clock_gettime, clock, at);\n\
             \x20   at->tv_sec = atoll(getenv(\"CLOCK_SAYS\"));\n    at->tv_nsec = 0;\n    return 0;\n}\n",
        )
        .unwrap();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", text(&built.stderr));
        Self { library }
    }

    /// Exit status, and what was said on both.
    fn at(&self, seconds: i64, arguments: &[&str]) -> (i32, String) {
        let output = command(arguments)
            .env("LD_PRELOAD", &self.library)
            .env("CLOCK_SAYS", seconds.to_string())
            .output()
            .unwrap();
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    }
}

#[test]
fn what_was_to_outlive_the_ca_says_so_and_is_not_renewed_every_day() {
    let place = Place::new(&["--days", "20"]);
    let short = "when its CA ends and it with that: a longer life takes a new CA (mytls ca rotate)";
    assert!(place.client("app", &[]).contains(short));
    assert!(!place.client("brief", &["--days", "5"]).contains(short));
    let server = ["server", "--san", "db1", "--out", &place.at("db1")];
    assert!(place.ca(&server).contains(short));
    let table = place.at("accounts.csv");
    fs::write(&table, "one\ntwo,%,3\n").unwrap();
    let said = place.ca(&["client", "--from", &table]);
    assert!(said.contains("1 of them valid until ") && said.contains(short), "{said}");
    assert!(place.ca(&["renew", "--client", "brief"]).contains(short), "asked for by name");

    let before = place.files();
    let all = ["ca", "renew", "--all", "--ca-dir", &place.ca];
    let output = mytls(&all);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("app, db1, one, brief: not renewed, for nothing outlives its CA"),
        "{said}"
    );
    assert!(said.contains("mytls ca rotate start --ca-dir"), "{said}");
    assert!(text(&output.stdout).contains("issued a client certificate for two"), "{output:?}");
    assert_ne!(place.files(), before, "what is to end before the CA was renewed");
    let before = place.files();
    assert_eq!(mytls(&all).status.code(), Some(1));
    assert_eq!(place.files(), before, "and the next day nothing is");
    let again = refused(&[&all[..], &["--within", "60d", "--days", "60"]].concat());
    assert!(again.contains("due again at once"), "{again}");

    // the CA itself is what there is to do something about
    let watched = mytls(&["ca", "watch", "--ca-dir", &place.ca]);
    let said = text(&watched.stdout);
    assert!(
        said.contains(&format!(": mytls ca rotate start --to DIR --ca-dir {}", place.ca)),
        "{said}"
    );
    assert!(said.contains("client app expires on ") && said.contains(", with its CA\n"), "{said}");
    assert!(!said.contains("mytls ca renew"), "{said}");
}

#[test]
fn an_expired_ca_is_marked_wherever_it_is_listed_and_issues_nothing() {
    let place = Place::new(&["--days", "20"]);
    place.client("app", &[]);
    place.ca(&["crl"]);
    let clock = Clock::make(place.folder.path());
    let today = place.json()["at"].as_i64().unwrap();
    let later = today + 40 * DAY;
    let list = ["ca", "list", "--ca-dir", &place.ca];
    let (code, said) = clock.at(today, &list);
    assert!(code == 0 && !said.contains("expired"), "{said}");
    let (code, said) = clock.at(later, &list);
    assert!(code == 0 && said.contains("expired  root CA"), "{said}");
    let first = said.lines().next().unwrap();
    assert!(
        first.starts_with("CA CA expired on ") && first.ends_with("below it is refused"),
        "{said}"
    );
    assert!(said.contains("next update was due by "), "{said}");
    let (_, said) = clock.at(later, &[&list[..], &["--format", "json"]].concat());
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["cas"][0]["status"], "expired");
    assert_eq!(json["crls"][0]["status"], "expired");
    assert_eq!(place.json()["cas"][0]["status"], "valid");
    let (code, said) = clock.at(later, &["ca", "watch", "--ca-dir", &place.ca]);
    assert!(code == 1 && said.contains("CA CA expired on "), "{said}");

    let before = place.files();
    let out = place.at("late");
    for words in [
        &["client", "--user", "late", "--out", &out][..],
        &["server", "--san", "db1", "--out", &out],
        &["renew", "--client", "app"],
    ] {
        let (code, said) = clock.at(later, &[&["ca"], words, &["--ca-dir", &place.ca]].concat());
        assert!(code == 2 && said.contains("the CA CA expired on "), "{words:?}: {said}");
        assert!(said.contains("mytls ca rotate"), "{said}");
    }
    assert_eq!(place.files(), before);
}

#[test]
fn a_clock_at_1970_is_told_and_nothing_is_written_by_it() {
    let place = Place::new(&[]);
    place.client("app", &[]);
    place.ca(&["crl"]);
    let clock = Clock::make(place.folder.path());
    let before = place.files();
    let (code, said) = clock.at(7, &["ca", "list", "--ca-dir", &place.ca]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("this machine's clock says 1970-01-01, so nothing below"), "{said}");
    assert!(said.contains("app"), "{said}");
    let (code, said) = clock.at(7, &["ca", "watch", "--ca-dir", &place.ca]);
    assert!(code == 3 && said.contains("this machine's clock says 1970-01-01"), "{said}");
    let (other, out, table) = (place.at("other"), place.at("out"), place.at("accounts.csv"));
    fs::write(&table, "web\n").unwrap();
    let (cert, key) = (format!("{}/ca.pem", place.ca), format!("{}/ca-key.pem", place.ca));
    for words in [
        &["client", "--user", "web", "--out", &out, "--ca-dir", &place.ca][..],
        &["client", "--from", &table, "--ca-dir", &place.ca],
        &["server", "--san", "db1", "--out", &out, "--ca-dir", &place.ca],
        &["renew", "--client", "app", "--ca-dir", &place.ca],
        &["revoke", "app", "--ca-dir", &place.ca],
        &["crl", "--ca-dir", &place.ca],
        &["create", "--no-passphrase", "--name", "Other", "--ca-dir", &other],
        &["import", "--cert", &cert, "--key", &key, "--ca-dir", &other],
    ] {
        let (code, said) = clock.at(7, &[&["ca"], words].concat());
        assert!(code == 2 && said.contains("clock says 1970-01-01"), "{words:?}: {said}");
    }
    assert_eq!(place.files(), before);
    assert!(!Path::new(&other).exists());
}

#[test]
fn a_name_that_leaves_no_room_for_the_roots_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let dir = path(&folder.path().join("ca")).to_owned();
    let create = |length: usize| {
        let name = "x".repeat(length);
        let words = ["ca", "create", "--no-passphrase", "--intermediate", "--ca-dir", &dir];
        mytls(&[&words[..], &["--name", &name]].concat())
    };
    for length in [62, 60] {
        let output = create(length);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("the root above it would be called") && said.contains("at most 59"),
            "{said}"
        );
        assert!(!Path::new(&dir).exists());
    }
    assert!(create(59).status.success());
    let root = openssl(&["x509", "-in", &format!("{dir}/root/ca.pem"), "-noout", "-subject"]);
    assert!(root.trim_end().ends_with(&format!("{} root", "x".repeat(59))), "{root}");
}

#[test]
fn what_another_tool_issued_is_revoked_by_its_number_and_stays_so() {
    let elsewhere = Place::new(&[]);
    elsewhere.client("gone", &[]);
    elsewhere.client("leaver", &[]);
    elsewhere.client("stayer", &[]);
    elsewhere.ca(&["revoke", "gone", "--reason", "superseded"]);
    let [_, leaver, _] = <[String; 3]>::try_from(elsewhere.serials()).unwrap();
    let (cert, key) = (format!("{}/ca.pem", elsewhere.ca), format!("{}/ca-key.pem", elsewhere.ca));
    let (list, here) = (format!("{}/crl.pem", elsewhere.ca), elsewhere.at("here"));
    let import = ["ca", "import", "--cert", &cert, "--key", &key, "--ca-dir", &here];

    // a list of somebody else is none of this CA's
    let stranger = Place::new(&[]);
    stranger.ca(&["crl"]);
    let others = format!("{}/crl.pem", stranger.ca);
    let said = refused(&[&import[..], &["--crl", &others]].concat());
    assert!(said.contains("no list of revoked certificates in it that this CA signed"), "{said}");
    assert!(!Path::new(&here).exists());
    let said = ok(&[&import[..], &["--crl", &list]].concat());
    assert!(said.contains("took over what it revoked, 1 in all"), "{said}");

    let revoke = ["ca", "revoke", "--ca-dir", &here, "--serial"];
    let said = refused(&[&revoke[..], &[&leaver]].concat());
    assert!(said.contains("add --issued-elsewhere"), "{said}");
    let said = refused(&[&revoke[..], &["no-number", "--issued-elsewhere"]].concat());
    assert!(said.contains("is no serial number"), "{said}");
    let colons: Vec<&str> = (0..leaver.len()).step_by(2).map(|at| &leaver[at..at + 2]).collect();
    let colons = colons.join(":").to_lowercase();
    let whole = [&revoke[..], &[&colons, "--issued-elsewhere"]].concat();
    let said = ok(&[&whole[..], &["--reason", "key-compromise"]].concat());
    assert!(said.contains(&format!("revoked the serial number {leaver}")), "{said}");
    assert!(refused(&whole).contains("is revoked or expired already"));

    let crl = format!("{here}/crl.pem");
    let verifies = |user: &str| {
        let file = format!("{}/client-cert.pem", elsewhere.at(user));
        let words = ["verify", "-crl_check", "-CRLfile", &crl, "-CAfile", &cert, &file];
        Command::new("openssl").args(words).output().unwrap().status.success()
    };
    let as_it_must = || {
        assert_eq!(["gone", "leaver", "stayer"].map(verifies), [false, false, true]);
        let text = openssl(&["crl", "-in", &crl, "-noout", "-text"]);
        assert!(text.contains("Superseded") && text.contains("Key Compromise"), "{text}");
    };
    as_it_must();
    let listed = ok(&["ca", "list", "--ca-dir", &here]);
    assert!(listed.contains("2 revoked that another tool issued"), "{listed}");
    let json = ok(&["ca", "list", "--ca-dir", &here, "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["revoked_elsewhere"][1]["serial"], leaver.as_str());
    // a backup keeps it, and it outlives the list of what was issued
    let (archive, back) = (elsewhere.at("b.tar"), elsewhere.at("back"));
    ok(&["ca", "backup", "--ca-dir", &here, "--out", &archive]);
    ok(&["ca", "restore", &archive, "--ca-dir", &back]);
    assert!(ok(&["ca", "list", "--ca-dir", &back, "--all"]).contains(&leaver));
    fs::remove_file(Path::new(&here).join("index.jsonl")).unwrap();
    ok(&["ca", "crl", "--ca-dir", &here]);
    assert_eq!(["gone", "leaver", "stayer"].map(verifies), [false, false, true]);
}

#[test]
fn a_second_certificate_for_a_server_says_what_becomes_of_the_first() {
    let place = Place::new(&[]);
    let server =
        |san: &str, out: &str| place.ca(&["server", "--san", san, "--out", &place.at(out)]);
    assert!(!server("db1,10.0.0.5", "one").contains("had already"));
    let first = place.serials().remove(0);
    let revoke = format!("mytls ca revoke --ca-dir {} --serial {first}", place.ca);
    let said = server("10.0.0.5,db1", "one");
    assert!(said.contains("had already stays valid until ") && said.contains(&revoke), "{said}");
    // it lies in the place of the first, which is renewed no more
    assert_eq!(place.json()["certificates"][0]["status"], "replaced");
    // another server with one of its names has files of its own
    let said = server("db1,db2", "two");
    assert!(said.contains("had already"), "{said}");
    let status = |at: usize| place.json()["certificates"][at]["status"].clone();
    assert_eq!((status(1), status(2)), ("valid".into(), "valid".into()));
    // a folder that is carried away is used again for another server
    assert!(!server("db9", "two").contains("had already"));
    assert_eq!(status(2), "valid");
    let renewed = place.ca(&["renew", "--all", "--within", "390d", "--days", "500"]);
    assert_eq!(renewed, "nothing expires within 390 days\n");
    let within = mytls(&[
        "ca", "renew", "--all", "--within", "400d", "--days", "500", "--ca-dir", &place.ca,
    ]);
    assert_eq!(text(&within.stdout).matches("issued a server certificate").count(), 3);

    // the very files of a server, whatever names it had before
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| place.at(name));
    let deploy =
        |san: &str| place.ca(&["server", "--san", san, "--cert-file", &cert, "--key-file", &key]);
    deploy("db5");
    let before = place.serials().pop().unwrap();
    let said = deploy("db6");
    assert!(said.contains(&format!("the certificate {before} that it had already")), "{said}");
    let certificates = place.json()["certificates"].as_array().unwrap().clone();
    let old = certificates.iter().find(|one| one["serial"] == before.as_str()).unwrap();
    assert_eq!(old["status"], "replaced");
    let nobody = place.refused(&["revoke", "nobody"]);
    assert!(!nobody.contains("--issued-elsewhere"), "that is for numbers: {nobody}");
}
