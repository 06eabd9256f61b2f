//! `mytls report` on a real server: what was changed, what was proven and what is open are there in
//! every form, and no secret is.

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use common::lab::{self, Server, server};
use serde_json::Value;

/// With a home of its own, so that the journal is the test's.
fn mytls(server: &Server, arguments: &[&str]) -> Output {
    let target = server.sandbox.target();
    lab::mytls()
        .args(arguments)
        .arg("--defaults-file")
        .arg(server.dir().join("client.cnf"))
        .args(["-h", "127.0.0.1", "-P", &target.port.unwrap().to_string(), "-S"])
        .arg(target.socket.unwrap())
        .arg("--ssl-ca")
        .arg(target.ssl_ca.unwrap())
        .env("HOME", server.base())
        .env_remove("XDG_STATE_HOME")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_change_its_proof_and_what_is_open_are_in_every_form() {
    let Some(server) = server("account-without-require") else { return };
    let file = |name: &str| server.dir().join(name).display().to_string();
    let (cert, key) = (file("client/app-cert.pem"), file("client/app-key.pem"));
    let before = text(&mytls(&server, &["report"]));
    assert!(before.contains("Nothing that mytls knows of."), "{before}");
    assert!(before.contains("account-without-require"), "{before}");

    text(&mytls(&server, &["accounts", "require", "--user", "app@%", "--cert", &cert, "--yes"]));
    let account = file("app.cnf");
    let prove = ["prove", "--user", "app@%", "--cert", &cert, "--key", &key];
    let ca = file("ca");
    let prove = [&prove[..], &["--ca-dir", &ca, "--account-file", &account]].concat();
    let prove = [&prove[..], &["--format", "json"]].concat();
    let proof = server.base().join("proof.json");
    std::fs::write(&proof, text(&mytls(&server, &prove))).unwrap();
    let proof = proof.display().to_string();

    let report = |form| mytls(&server, &["report", "--proof", &proof, "--format", form]);
    let (page, markdown) = (text(&report("html")), text(&report("markdown")));
    let object: Value = serde_json::from_str(&text(&report("json"))).unwrap();
    for report in [&page, &markdown] {
        for part in [
            "REQUIRE SUBJECT + ISSUER, before: NONE",
            "mytls undo ",
            "Proved: app@% needs its certificate.",
        ] {
            // Markdown writes some signs with a backslash before them
            assert!(report.replace('\\', "").contains(part), "{part} is missing from\n{report}");
        }
    }
    assert!(page.starts_with("<!DOCTYPE html>"), "{page}");
    assert_eq!(object["proofs"][0]["proved"], true);
    let change = &object["changes"][0];
    assert!(change["by"].as_str().unwrap().contains(" on "), "{change}");
    assert!(change["at"].as_i64().unwrap() > 1_700_000_000, "{change}");

    let secrets = secrets(&server);
    assert!(!secrets.is_empty());
    for report in [page, markdown, object.to_string()] {
        for secret in &secrets {
            assert!(!report.contains(secret), "a password is in the report");
        }
        assert!(!report.contains("PRIVATE KEY"));
    }

    // taken back, it says so
    text(&mytls(&server, &["undo", "--yes"]));
    assert!(text(&mytls(&server, &["report"])).contains("(taken back)"));
}

/// The passwords in the sandbox's option files.
fn secrets(server: &Server) -> Vec<String> {
    let read = |name: &str| std::fs::read_to_string(server.dir().join(name)).unwrap();
    let files = [read("client.cnf"), read("app.cnf"), read("web.cnf")];
    let lines = files.iter().flat_map(|text| text.lines());
    let values = lines.filter_map(|line| line.trim().strip_prefix("password"));
    let values =
        values.map(|value| value.trim_start_matches([' ', '=']).trim_matches('"').to_owned());
    values.filter(|value| value.len() > 4).collect()
}

#[test]
fn files_are_new_private_and_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let facts = folder.path().join("facts.json");
    std::fs::write(&facts, saved_facts()).unwrap();
    let run = |arguments: &[&str]| {
        let output = lab::mytls().arg("report").arg("--facts").arg(&facts).args(arguments).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let at = |name: &str| folder.path().join(name).display().to_string();

    let page = at("report.html");
    assert_eq!(run(&["--out", &page]).0, Some(0));
    let mode = std::fs::metadata(&page).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (code, said) = run(&["--out", &page]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("exists already and is left as it is"), "{said}");

    let (code, said) = run(&["--out", &at("report.pdf")]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("name it .html, .md or .json"), "{said}");

    let (code, said) = run(&["--out", "/dev/full"]);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = run(&["--out", &at("no/such/folder/report.html")]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("does not exist"), "{said}");

    for (name, content) in
        [("empty", ""), ("other", "{\"matrices\": 7}"), ("cut", "{\"matrices\": [{")]
    {
        std::fs::write(at(name), content).unwrap();
        let (code, said) = run(&["--proof", &at(name)]);
        assert_eq!(code, Some(2), "{name}: {said}");
        assert!(said.contains("is no proof") && said.contains("mytls prove"), "{name}: {said}");
    }
    let (code, said) = run(&["--proof", "/dev/zero"]);
    assert_eq!(code, Some(2), "{said}");
}

/// Facts of a folder without a server, as `mytls check` saves them.
fn saved_facts() -> Vec<u8> {
    let output = lab::mytls()
        .args(["check", "--format", "json", "--with-facts", "--server-config"])
        .arg(config())
        .output()
        .unwrap();
    assert!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// An option file of a server that is down.
fn config() -> std::path::PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report-my.cnf");
    std::fs::write(&file, "[mysqld]\nport = 1\nsocket = /nowhere/mysqld.sock\n").unwrap();
    file
}

#[test]
fn manual_and_completions_name_every_command() {
    let run = |arguments: &[&str]| {
        let output = lab::mytls().args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let page = run(&["man"]);
    assert!(page.contains(".TH mytls 1"), "{page}");
    for command in ["check", "accounts", "report", "scan", "why\\-denied"] {
        assert!(page.contains(&format!("mytls\\-{command}")), "{command} is missing from\n{page}");
    }
    assert!(run(&["man", "ca", "create"]).contains("mytls\\-ca\\-create"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).contains("why-denied"), "{shell}");
    }
    let script = run(&["completions", "bash"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &script).unwrap();
    let checked = Command::new("bash").arg("-n").arg(file.path()).status().unwrap();
    assert!(checked.success(), "bash takes it");
    let output = lab::mytls().args(["man", "no-such"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
