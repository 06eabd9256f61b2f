//! Layouts that real hosts have, on a real server: the fault is named first, each remedy run
//! verbatim closes it, and nobody else's file or folder changes its mode or owner.

mod common;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::lab::{Server, server};
use serde_json::Value;

/// What a layout leaves behind for the check: the rule that has to come first, and the files and
/// folders that nobody may touch.
struct Layout {
    first: &'static str,
    bystanders: Vec<PathBuf>,
}

/// Lays a healthy server out anew for each remedy there is, and runs it.
fn each_remedy_closes(lay_out: impl Fn(&Server) -> Layout) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can give files to other users");
        return;
    }
    for number in 0.. {
        let Some(server) = server("none") else { return };
        server.sandbox.stop_server();
        let laid = lay_out(&server);
        let _ = server.sandbox.restart(); // some do not start like this, and need not
        let report = server.check();
        let first = &report["findings"][0];
        assert_eq!(first["rule"], laid.first, "{report:#}");
        let Some(remedy) = first["remedies"].get(number) else {
            assert_ne!(number, 0, "there is no remedy: {first:#}");
            return;
        };
        let before = state(&laid.bystanders);
        run(&server, remedy);
        assert_eq!(state(&laid.bystanders), before, "{remedy:#}");
        let left = server.check();
        let heavy = left["findings"].as_array().unwrap().iter().filter(|f| f["severity"] != "note");
        let heavy: Vec<_> = heavy.map(|f| &f["rule"]).collect();
        assert!(heavy.is_empty(), "{heavy:?} after {remedy:#}");
    }
}

/// Mode, owner and group of each, and what a file holds.
fn state(paths: &[PathBuf]) -> Vec<(u32, u32, u32, Option<Vec<u8>>)> {
    let of = |path: &PathBuf| {
        let about = fs::metadata(path).unwrap();
        (about.mode(), about.uid(), about.gid(), fs::read(path).ok())
    };
    paths.iter().map(of).collect()
}

fn run(server: &Server, remedy: &Value) {
    let mut restart = false;
    for action in remedy["actions"].as_array().unwrap() {
        let text = action["text"].as_str().unwrap();
        let file = || Path::new(action["file"].as_str().unwrap());
        match action["kind"].as_str().unwrap() {
            "shell" => shell(text),
            "sql" => drop(server.sql(text)),
            "config" => {
                let mut out = fs::OpenOptions::new().append(true).open(file()).unwrap();
                out.write_all(format!("\n{text}").as_bytes()).unwrap();
            }
            "file" => fs::write(file(), text).unwrap(),
            other => panic!("an action of the kind {other}"),
        }
        restart |= action["effect"] == "restart";
    }
    if restart {
        server.sandbox.restart().unwrap();
    }
}

fn shell(text: &str) {
    let bin = Path::new(env!("CARGO_BIN_EXE_mytls")).parent().unwrap().display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let output = Command::new("sh").args(["-c", text]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Mode, and root's group or that of the server.
fn set(path: &Path, mode: u32, owner: u32) {
    chown(path, Some(owner), Some(owner)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Another service's file beside those of the server.
fn bystander(folder: &Path) -> PathBuf {
    let path = folder.join("other-service.conf");
    fs::write(&path, "theirs").unwrap();
    set(&path, 0o640, 0);
    path
}

#[test]
fn a_key_that_is_gone_from_a_folder_of_root() {
    each_remedy_closes(|server| {
        let tls = server.dir().join("tls");
        fs::remove_file(tls.join("server-key.pem")).unwrap();
        set(&tls, 0o755, 0);
        Layout { first: "key-unusable", bystanders: vec![bystander(&tls), tls] }
    });
}

#[test]
fn no_ssl_ca_beside_other_peoples_files() {
    each_remedy_closes(|server| {
        let config = server.dir().join("my.cnf");
        let text = fs::read_to_string(&config).unwrap();
        let kept = text.lines().filter(|line| {
            !["ssl_ca", "ssl_cert", "ssl_key"].iter().any(|option| line.starts_with(option))
        });
        let moved = server.dir().join("server-key.pem");
        fs::rename(server.dir().join("tls/server-key.pem"), &moved).unwrap();
        fs::remove_file(&moved).unwrap();
        let cert = server.dir().join("tls/server-cert.pem");
        let mut text: String = kept.flat_map(|line| [line, "\n"]).collect();
        text += "ssl_cert = ";
        text += cert.to_str().unwrap();
        text += "\nssl_key = ";
        text += moved.to_str().unwrap();
        text.push('\n');
        fs::write(&config, text).unwrap();
        let dir = server.dir().to_owned();
        Layout { first: "key-unusable", bystanders: vec![bystander(&dir), dir] }
    });
}

#[test]
fn one_file_for_all_in_the_wrong_order() {
    each_remedy_closes(|server| {
        let tls = server.dir().join("tls");
        let read = |name: &str| fs::read_to_string(tls.join(name)).unwrap();
        let chain = read("server-cert.pem");
        let end = "-----END CERTIFICATE-----\n";
        let (leaf, issuing) = chain.split_at(chain.find(end).unwrap() + end.len());
        let all = tls.join("all.pem");
        fs::write(&all, format!("{issuing}{leaf}{}", read("server-key.pem"))).unwrap();
        let about = fs::metadata(tls.join("server-key.pem")).unwrap();
        chown(&all, Some(about.uid()), Some(about.gid())).unwrap();
        fs::set_permissions(&all, fs::Permissions::from_mode(0o640)).unwrap();
        let config = server.dir().join("my.cnf");
        let text = fs::read_to_string(&config).unwrap();
        let text = text.replace("server-cert.pem", "all.pem").replace("server-key.pem", "all.pem");
        fs::write(&config, text).unwrap();
        Layout { first: "chain-wrong-order", bystanders: vec![all] }
    });
}

#[test]
fn a_folder_of_the_servers_user_that_nobody_may_enter() {
    each_remedy_closes(|server| {
        let tls = server.dir().join("tls");
        let owner = fs::metadata(server.dir().join("data")).unwrap().uid();
        set(&tls, 0o600, owner);
        Layout { first: "key-unreadable", bystanders: vec![tls.join("server-key.pem")] }
    });
}
