//! `mytls prove` on real servers: the matrix with the server's own reasons, wherever its log goes,
//! and a server that is afterwards as talkative as before.

mod common;

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::lab::{self, Program, Server};
use mytls::facts::Flavor;
use mytls::sandbox::{Fault, Series};
use serde_json::Value;

/// With changes to the option file.
fn start(program: &Program, changes: &str) -> Server {
    let text = format!("title = \"a server\"\ndescription = \"\"\n{changes}");
    let fault = Fault::from_toml("set-up", &text).unwrap();
    program.start(&fault).unwrap_or_else(|error| panic!("{}: {error}", program.series))
}

fn set(name: &str, value: &str) -> String {
    format!("[[changes]]\ndo = \"set-option\"\nname = \"{name}\"\nvalue = \"{value}\"\n")
}

fn command(server: &Server, arguments: &[&str]) -> Command {
    let target = server.sandbox.target();
    let mut command = lab::mytls();
    command
        .args(["prove", "--user", "app@%", "-h", "127.0.0.1", "-P"])
        .arg(target.port().to_string())
        .arg("-S")
        .arg(target.socket.unwrap())
        .arg("--ssl-ca")
        .arg(target.ssl_ca.unwrap())
        .arg("--server-config")
        .arg(target.server_config.unwrap())
        .args(arguments)
        .env("HOME", server.base());
    command
}

/// As the administrator, with the account's certificate and password.
fn prove(server: &Server, arguments: &[&str]) -> Output {
    let file = |name: &str| server.dir().join(name).display().to_string();
    command(server, &[])
        .arg("--defaults-file")
        .arg(file("client.cnf"))
        .args(["--cert", &file("client/app-cert.pem"), "--key", &file("client/app-key.pem")])
        .args(["--account-file", &file("app.cnf")])
        .args(arguments)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

fn matrix(server: &Server, arguments: &[&str]) -> Value {
    let ca = server.sandbox.target().ca_dir.unwrap().display().to_string();
    let arguments = [&["--format", "json", "--ca-dir", &ca], arguments].concat();
    json(&prove(server, &arguments))["matrices"][0].clone()
}

fn row<'a>(matrix: &'a Value, case: &str) -> &'a Value {
    let rows = matrix["rows"].as_array().unwrap();
    rows.iter().find(|row| row["case"] == case).unwrap_or_else(|| panic!("{case}: {matrix:#}"))
}

/// What asks for another subject than the certificate's, in words of this server.
fn require(server: &Server, clause: &str) {
    let head = match server.sandbox.series() {
        Series::MySql56 => "GRANT USAGE ON *.* TO 'app'@'%'",
        _ => "ALTER USER 'app'@'%'",
    };
    server.sql(&format!("{head} REQUIRE {clause}")).unwrap();
}

fn verbosity(server: &Server) -> String {
    let name = match server.sandbox.series() {
        Series::MySql97 => "log_error_verbosity",
        _ => "log_warnings",
    };
    server.sql(&format!("SELECT @@GLOBAL.{name}")).unwrap()
}

#[test]
fn every_refusal_comes_with_the_servers_own_reason() {
    for program in lab::servers() {
        let server = start(&program, "");
        let (series, before) = (program.series, verbosity(&server));
        let matrix = matrix(&server, &[]);
        assert_eq!(matrix["proved"], true, "{series}: {matrix:#}");
        let rows = matrix["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 6, "{series}: there is no revocation list");
        assert!(rows.iter().all(|row| row["holds"] == true), "{series}: {matrix:#}");
        for row in rows.iter().filter(|row| row["expected"] == "refused") {
            let reason = &row["reason"];
            assert!(!reason["meaning"].as_str().unwrap().is_empty(), "{series}: {row:#}");
            // Some refusals in the handshake are logged by nobody, and 3159 says it all itself.
            if row["happened"]["refused"]["code"] == 1045 {
                assert!(!reason["lines"].as_array().unwrap().is_empty(), "{series}: {row:#}");
            }
        }
        let other = row(&matrix, "other-subject");
        let mismatch = &other["reason"]["mismatch"];
        assert_eq!(mismatch["part"], "subject", "{series}: {other:#}");
        assert_eq!(mismatch["server_saw"], "/CN=mytls proof of another subject");
        assert_eq!(mismatch["account_says"], "/O=mytls sandbox/CN=app");
        assert_eq!(other["difference"]["at"], 1, "{series}: {other:#}");
        assert_eq!(verbosity(&server), before, "{series}");
        let heard = matrix["heard_in"].as_str().unwrap();
        let table = series == Series::MySql97;
        assert_eq!(heard == "performance_schema.error_log", table, "{series}: {heard}");

        // two accounts at once, by the certificates of the CA: web's is not there
        let none = prove(&server, &["--user", "web@%"]);
        assert_eq!(none.status.code(), Some(2), "one certificate is for one account");
    }
}

#[test]
fn what_the_server_saw_becomes_the_statement_that_works() {
    for program in lab::servers() {
        let server = start(&program, "");
        require(&server, "SUBJECT '/O=mytls sandbox/CN=App'");
        let output = prove(&server, &[]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("the password is right; the SUBJECT is not"), "{text}");
        assert!(text.contains("^ “a” where the account has “A”: capitals count"), "{text}");
        let matrix = matrix(&server, &[]);
        let statement = matrix["corrected"]["statement"].as_str().unwrap();
        server.sql(statement).unwrap();
        let output = prove(&server, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_wrong_password_and_a_wrong_certificate_are_told_apart() {
    for program in lab::servers() {
        let server = start(&program, "");
        let wrong = |arguments: &[&str]| {
            let file = server.base().join("wrong.cnf");
            fs::write(&file, "[client]\npassword = wrong\n").unwrap();
            let account = ["--account-file", file.to_str().unwrap()];
            // the last counts for none of them: it is given once
            let path = |name: &str| server.dir().join(name).display().to_string();
            let output = command(&server, &["--format", "json"])
                .arg("--defaults-file")
                .arg(path("client.cnf"))
                .args(["--cert", &path("client/app-cert.pem")])
                .args(["--key", &path("client/app-key.pem")])
                .args(account)
                .args(arguments)
                .output()
                .unwrap();
            json(&output)["matrices"][0].clone()
        };
        let meaning = |matrix: &Value| {
            let right = row(matrix, "right-certificate");
            right["reason"]["meaning"].as_str().unwrap_or_else(|| panic!("{right:#}")).to_owned()
        };
        assert!(meaning(&wrong(&[])).starts_with("the password is wrong"), "{}", program.series);
        require(&server, "SUBJECT '/CN=other'");
        let both = meaning(&wrong(&[]));
        assert!(both.starts_with("the password is wrong"), "{}: {both}", program.series);
        let certificate = meaning(&matrix(&server, &[]));
        assert!(certificate.starts_with("the password is right"), "{certificate}");
    }
}

#[test]
fn a_revoked_certificate_is_tried_where_there_is_a_list() {
    let lists = "[[changes]]\ndo = \"write-crls\"\nfile = \"crl.pem\"\n\
                 crls = [{ of = \"issuing\" }, { of = \"root\" }]\n"
        .to_owned()
        + &set("ssl_crl", "../tls/crl.pem");
    for program in lab::servers() {
        if program.series == Series::MySql56 {
            continue; // yaSSL reads no lists
        }
        let server = start(&program, &lists);
        let empty = matrix(&server, &[]);
        let why = &row(&empty, "revoked")["happened"]["not_tried"]["why"];
        assert_eq!(why, "the list of this CA revokes nothing yet");

        let path = server.dir().join("tls/crl.pem");
        let text = fs::read_to_string(&path).unwrap();
        let (_, root) = text.trim_end().rsplit_once("-----BEGIN").unwrap();
        let store = mytls::ca::Store::open(&server.sandbox.target().ca_dir.unwrap()).unwrap();
        let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        let edition =
            mytls::ca::crl::Edition { number: 7, this_update: now - 60, next_update: now + 86_400 };
        let revoked = mytls::ca::crl::RevokedSerial {
            serial: vec![0x42; 9],
            at: now - 60,
            reason: mytls::ca::crl::Reason::KeyCompromise,
        };
        let list = store.authority().revocation_list(edition, &[revoked]).unwrap();
        let list = String::from_utf8(list.to_pem().unwrap()).unwrap();
        fs::write(&path, format!("{list}-----BEGIN{root}\n")).unwrap();
        server.sandbox.restart().unwrap();
        let matrix = matrix(&server, &[]);
        assert_eq!(matrix["proved"], true, "{matrix:#}");
        let reason = &row(&matrix, "revoked")["happened"]["handshake_refused"]["reason"];
        assert_eq!(reason, "certificate revoked", "{}", program.series);
    }
}

#[test]
fn the_log_is_found_where_it_really_goes() {
    for program in lab::servers() {
        let table = program.series == Series::MySql97;
        // The server's standard error is led into error.log by whoever started it.
        let no_table = if table { set("performance_schema", "OFF") } else { String::new() };
        let by_stderr =
            no_table.clone() + "[[changes]]\ndo = \"remove-options\"\nnames = [\"log_error\"]\n";
        let by_name = no_table;
        let thrown_away = Fault::named("error-log-goes-nowhere").unwrap();
        for (what, changes) in [("by stderr", by_stderr), ("by name", by_name)] {
            let server = start(&program, &changes);
            let matrix = matrix(&server, &[]);
            let heard = matrix["heard_in"].as_str().unwrap_or_else(|| panic!("{matrix:#}"));
            assert!(heard.ends_with("/error.log"), "{} {what}: {heard}", program.series);
            let other = &row(&matrix, "other-subject")["reason"]["mismatch"];
            assert_eq!(other["part"], "subject", "{} {what}: {matrix:#}", program.series);
        }
        let server = program.start(&thrown_away).unwrap();
        let matrix = matrix(&server, &[]);
        assert_eq!(matrix["proved"], true, "what is decided needs no log: {matrix:#}");
        // MySQL keeps its last lines in a table, wherever the log goes
        if !table {
            assert_eq!(matrix["heard_in"], Value::Null, "{}", program.series);
            assert!(matrix["unheard"].as_str().unwrap().contains("nowhere"), "{matrix:#}");
        }
        let report = server.check();
        let rules: Vec<&Value> =
            report["findings"].as_array().unwrap().iter().map(|found| &found["rule"]).collect();
        assert!(rules.iter().any(|rule| *rule == "error-log-goes-nowhere"), "{rules:?}");
    }
}

/// While it waits for a login, the variable is raised; Ctrl-C and SIGTERM put it back, and of a
/// kill -9 the next run does.
#[test]
fn the_server_is_as_talkative_as_before_whatever_ends_the_proof() {
    for program in lab::servers() {
        let server = start(&program, "");
        let variable = match program.series {
            Series::MySql97 => "log_error_verbosity",
            _ => "log_warnings",
        };
        server.sql(&format!("SET GLOBAL {variable} = 1")).unwrap();
        for signal in ["-INT", "-TERM", "-KILL"] {
            // it is over in a moment: again, until it was met in the middle
            let met = (0..40).any(|_| stopped_half_way(&server, signal));
            assert!(met, "{}: {signal} always came too late", program.series);
            if signal == "-KILL" {
                assert_ne!(verbosity(&server), "1", "nobody could put it back yet");
                assert!(prove(&server, &[]).status.success());
            }
            assert_eq!(verbosity(&server), "1", "{} after {signal}", program.series);
        }
    }
}

/// Starts a proof, and ends it as soon as the server is seen to say more than it did.
fn stopped_half_way(server: &Server, signal: &str) -> bool {
    let file = |name: &str| server.dir().join(name).display().to_string();
    let mut child = command(server, &[])
        .arg("--defaults-file")
        .arg(file("client.cnf"))
        .args(["--cert", &file("client/app-cert.pem"), "--key", &file("client/app-key.pem")])
        .args(["--account-file", &file("app.cnf")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    let mut raised = false;
    while !raised && Instant::now() < until && child.try_wait().unwrap().is_none() {
        raised = verbosity(server) != "1";
    }
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    let ended = child.wait().unwrap();
    raised && sent.success() && (signal != "-KILL" || ended.code().is_none()) && {
        signal != "-KILL" || verbosity(server) != "1"
    }
}

#[test]
fn without_a_password_the_handshake_is_tried_all_the_same() {
    for program in lab::servers() {
        let server = start(&program, "");
        let file = |name: &str| server.dir().join(name).display().to_string();
        let output = command(&server, &["--format", "json"])
            .arg("--defaults-file")
            .arg(file("client.cnf"))
            .args(["--cert", &file("client/app-cert.pem"), "--key", &file("client/app-key.pem")])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let matrix = json(&output)["matrices"][0].clone();
        assert_eq!(row(&matrix, "right-certificate")["happened"], "handshake_only", "{matrix:#}");
        let other = &row(&matrix, "other-ca")["happened"];
        assert_ne!(other["handshake_refused"], Value::Null, "{}: {matrix:#}", program.series);
        assert_ne!(row(&matrix, "no-tls")["happened"]["not_tried"], Value::Null);
    }
}

#[test]
fn what_is_missing_or_wrong_is_said_before_anything_is_tried() {
    let Some(server) = lab::server("none") else { return };
    let file = |name: &str| server.dir().join(name).display().to_string();
    let cnf = file("client.cnf");
    let run = |arguments: &[&str]| {
        let output = command(&server, &["--defaults-file", &cnf]).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let certificate = file("client/app-cert.pem");
    // its key is looked for beside it
    let alone = server.base().join("alone.pem");
    fs::copy(&certificate, &alone).unwrap();
    let (code, said) = run(&["--cert", alone.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("give its private key with --key"), "{said}");
    let other = server.base().join("other.key");
    let key = mytls::ca::KeyKind::default().generate().unwrap();
    fs::write(&other, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    let (code, said) = run(&["--cert", &certificate, "--key", other.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("does not belong to the (first) certificate"), "{said}");
    let (code, said) = run(&[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--cert"), "{said}");

    // an administrator who may see nothing
    server.sql("CREATE USER 'look'@'localhost' IDENTIFIED BY 'look'").unwrap();
    let limited = server.base().join("look.cnf");
    fs::write(&limited, "[client]\nuser = look\npassword = look\n").unwrap();
    let output = command(&server, &["--defaults-file", limited.to_str().unwrap()])
        .args(["--cert", &certificate, "--key", &file("client/app-key.pem")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("SELECT on the mysql schema"), "{said}");

    // one who may see the accounts and not make the server say more
    if server.sandbox.flavor() == Flavor::MariaDb {
        server
            .sql("SET GLOBAL log_warnings = 0; GRANT SELECT ON mysql.* TO 'look'@'localhost'")
            .unwrap();
        let output = command(&server, &["--defaults-file", limited.to_str().unwrap()])
            .args(["--cert", &certificate, "--key", &file("client/app-key.pem")])
            .args(["--account-file", &file("app.cnf")])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("(log_warnings is 0), and raising it was refused"), "{text}");
        assert_eq!(output.status.code(), Some(0), "what it decides is proven all the same: {text}");
    }
}

/// One that greets and hangs up in the middle of the login.
#[test]
fn a_server_that_drops_the_connection_half_way_is_no_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let mut tcp = tcp.unwrap();
            let mut greeting =
                b"\x0a8.4.0\0\x07\0\0\0abcdefgh\0\x01\xa2\x2d\x02\0\x08\0\x15".to_vec();
            greeting.extend([0; 10]);
            greeting.extend(b"ijklmnopqrst\0mysql_native_password\0");
            let length = u8::try_from(greeting.len()).unwrap();
            // whoever has left does not read it
            let _ = tcp.write_all(&[&[length, 0, 0, 0], greeting.as_slice()].concat());
        }
    });
    let output = lab::mytls()
        .args(["why-denied", "--user", "app", "--no-tls", "-h", "127.0.0.1", "-P", &port])
        .env("MYTLS_ACCOUNT_PASSWORD", "secret")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("closed the connection during the log in"), "{text}");
    assert!(text.contains("as an administrator"), "{text}");
}
