//! The program as a process: what it says, where, and with which exit status, when what it is given
//! is wrong.

mod common;

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::lab::{Server, mytls, server};
use serde_json::Value;

/// Longer than any of it may take, and short enough to tell "never" from "slowly".
const PATIENCE: Duration = Duration::from_secs(60);

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    /// It did what was asked.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// It refused with this status, said why on stderr, and nothing on stdout.
    #[track_caller]
    fn refused(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert_eq!(self.out, "", "nothing that a pipe would take for a result");
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err
    }
}

/// Runs it to its end, which has to come.
#[track_caller]
fn ended(mut command: Command, typed: &str) -> Said {
    let shown = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let pid = child.id().to_string();
    // one that does not read it closes the pipe
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    let (give, take) = mpsc::channel();
    thread::spawn(move || give.send(child.wait_with_output()));
    let Ok(output) = take.recv_timeout(PATIENCE) else {
        let _ = Command::new("kill").args(["-KILL", &pid]).status();
        panic!("it does not end: {shown}");
    };
    let output = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().expect("no signal ended it");
    Said { code, out: text(output.stdout), err: text(output.stderr) }
}

#[track_caller]
fn run(arguments: &[&str]) -> Said {
    let mut command = mytls();
    command.args(arguments);
    ended(command, "")
}

#[track_caller]
fn says(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "no {wanted:?} in:\n{text}");
    }
}

// --- what answers is not what was meant ---

#[test]
fn a_host_that_is_not_there_is_named_with_what_to_do() {
    let said = run(&["check", "-h", "no-such-host.invalid", "-u", "root"]).refused(3);
    says(&said, &["the host no-such-host.invalid was not found", "check how the host is spelled"]);
}

#[test]
fn a_closed_port_is_named_with_what_to_do() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = run(&["check", "-h", "127.0.0.1", "-P", &port.to_string()]).refused(3);
    says(&said, &[&format!("127.0.0.1:{port} refuses connections"), "is the port right"]);
}

/// Listens, and says this to whoever comes; nothing more, and does not hang up.
fn listens(greets_with: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        let mut guests = Vec::new();
        for mut guest in listener.incoming().map_while(Result::ok) {
            let _ = guest.write_all(greets_with);
            guests.push(guest);
        }
    });
    port
}

#[test]
fn what_is_no_mysql_server_is_called_what_it_is() {
    for (greets_with, is) in [
        (&b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n"[..], "a web server"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "an SSH server"),
    ] {
        let port = listens(greets_with);
        let said = run(&["check", "-h", "127.0.0.1", "-P", &port, "-u", "root"]).refused(3);
        says(&said, &["is no MySQL server but", is, "check the port"]);
    }
    let hostile = listens(b"\x1b]52;c;Z290Y2hh\x07\x1b[2J\r\n");
    let said = run(&["check", "-h", "127.0.0.1", "-P", &hostile]).refused(3);
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_waited_for_no_longer_than_told() {
    let port = listens(b"");
    let started = std::time::Instant::now();
    let said = run(&["check", "-h", "127.0.0.1", "-P", &port, "-u", "root"]).refused(3);
    says(&said, &["accepts connections and then says nothing", "a MySQL server speaks first"]);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn a_socket_that_is_not_there_is_named_with_what_to_do() {
    let port = listens(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let said = run(&["check", "-S", "/no/such.sock", "-P", &port, "-u", "root"]);
    // 1 where this host has a server's option file, so that there is a server to be down
    assert!([1, 3].contains(&said.code), "{}", said.code);
    let said = said.out + &said.err;
    says(&said, &["nothing answers at /no/such.sock: there is no such socket"]);
}

// --- option files ---

fn written(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_server_option_file_that_is_none_is_named_first() {
    let folder = tempfile::tempdir().unwrap();
    let empty = written(folder.path(), "empty.cnf", "");
    let clients = written(folder.path(), "client.cnf", "[client]\nssl-ca=/ca.pem\n");
    let directory = folder.path().to_str().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    for (file, why) in [
        (directory, "is a folder, not an option file"),
        (&empty, "says nothing to the server"),
        (&clients, "no option stands under [mysqld]"),
        ("/no/such.cnf", "/no/such.cnf could not be read: No such file"),
        ("/dev/zero", "is no option file"),
    ] {
        let said = run(&["check", "-P", &port, "--server-config", file]).refused(3);
        says(&said, &[why, "name the server's option file with --server-config"]);
        assert!(said.find(why) < said.find("refuses connections"), "{said}");
    }
}

#[test]
fn a_client_option_file_that_cannot_be_read_is_bad_usage() {
    let folder = tempfile::tempdir().unwrap();
    let bad = written(folder.path(), "bad.cnf", "[client]\nport = 33o6\n");
    says(
        &run(&["check", "--defaults-file", "/no/such.cnf"]).refused(2),
        &["/no/such.cnf could not be read", "--defaults-file"],
    );
    let said = run(&["check", "-h", "127.0.0.1", "--defaults-file", &bad]).refused(2);
    says(&said, &[":2", "a number from 1 to 65535"]);
    let closed = written(folder.path(), "closed.cnf", "[client]\nuser = root\n");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&closed).is_err() {
        // root reads it all the same
        says(&run(&["check", "--defaults-file", &closed]).refused(2), &["Permission denied"]);
    }
}

// --- files that are not what the server's options say they are ---

/// Good files of a server that does not run, one of which is to be replaced.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        let [ca, out] = [files.path("own-ca"), files.path("tls")];
        run(&["ca", "create", "--no-passphrase", "--ca-dir", &ca, "--name", "Test CA"]).ok();
        run(&["ca", "server", "--ca-dir", &ca, "--san", "db1.example", "--out", &out]).ok();
        files
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// What `mytls check` says when this option names that file, as text and as JSON.
    #[track_caller]
    fn check_with(&self, option: &str, file: &str) -> (String, Value) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let socket = self.path("no.sock");
        // whoever runs this may read what it wrote
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
        let mut text = format!("[mysqld]\nport = {port}\nsocket = {socket}\nuser = {user}\n");
        for (name, good) in [
            ("ssl_key", "tls/server-key.pem"),
            ("ssl_cert", "tls/server-cert.pem"),
            ("ssl_ca", "tls/ca.pem"),
        ] {
            let named = if name == option { file.to_owned() } else { self.path(good) };
            text.extend([name, " = ", &named, "\n"]);
        }
        let config = written(self.folder.path(), "my.cnf", text);
        let ca = self.path("own-ca");
        let arguments = ["check", "--server-config", &config, "--ca-dir", &ca];
        let shown = run(&arguments);
        assert_eq!((shown.code, shown.err.as_str()), (1, ""), "{}", shown.out);
        let json = run(&[&arguments[..], &["--format", "json"]].concat());
        assert_eq!(json.code, 1);
        (shown.out, serde_json::from_str(&json.out).unwrap())
    }
}

#[test]
fn each_spoilt_file_names_its_rule_its_defect_and_what_to_do() {
    let files = Files::new();
    let rules = [
        ("ssl_key", "key-unusable"),
        ("ssl_cert", "certificate-unusable"),
        ("ssl_ca", "ca-unusable"),
    ];
    for (option, rule) in rules {
        let good = match option {
            "ssl_key" => "tls/server-key.pem",
            "ssl_cert" => "tls/server-cert.pem",
            _ => "tls/ca.pem",
        };
        let pem = files.bytes(good);
        let kind = if option == "ssl_key" { "pkey" } else { "x509" };
        let der = Command::new("openssl")
            .args([kind, "-in", &files.path(good), "-outform", "DER"])
            .output()
            .unwrap();
        let spoilt: [(&str, Vec<u8>, &str); 5] = [
            ("cut", pem[..pem.len() / 2].to_vec(), "it is cut off: the line -----END"),
            ("der", der.stdout, "it is DER (binary); servers read PEM (text) only"),
            ("empty", Vec::new(), "it is empty"),
            ("html", b"<!DOCTYPE html>\n<html><body>404".to_vec(), "it is a web page"),
            ("prose", b"here was a certificate\n".to_vec(), "it holds no PEM block"),
        ];
        for (name, bytes, defect) in spoilt {
            let file = written(files.folder.path(), name, bytes);
            assert_names(&files, option, &file, rule, defect);
        }
        assert_names(&files, option, &files.path("tls"), rule, "it is a directory, not a file");
        assert_names(&files, option, &files.path("none"), rule, "there is no such file");
    }
    let key = files.path("tls/server-key.pem");
    assert_names(&files, "ssl_cert", &key, "certificate-unusable", "it holds no certificate");
    let certificate = files.path("tls/server-cert.pem");
    assert_names(&files, "ssl_key", &certificate, "key-is-certificate", "names a certificate");
}

#[track_caller]
fn assert_names(files: &Files, option: &str, file: &str, rule: &str, defect: &str) {
    let (text, json) = files.check_with(option, file);
    says(&text, &[&format!("✗ {rule}: "), defect, file, "fix 1:"]);
    let first = &json["findings"][0];
    assert_eq!((first["rule"].as_str(), first["severity"].as_str()), (Some(rule), Some("error")));
    assert_eq!(first["because_of"], Value::Null);
    assert_ne!(first["remedies"], serde_json::json!([]));
    let others = json["findings"].as_array().unwrap()[1..].iter();
    let others: Vec<&Value> = others.filter(|other| other["because_of"] != rule).collect();
    assert!(others.is_empty(), "{option} = {file}: {others:#?}");
}

#[test]
fn a_folder_in_the_place_of_a_key_gets_a_remedy_that_can_be_run() {
    let files = Files::new();
    let (_, json) = files.check_with("ssl_key", &files.path("tls"));
    let remedies = json["findings"][0]["remedies"].as_array().unwrap();
    let texts: Vec<&str> = remedies
        .iter()
        .flat_map(|remedy| remedy["actions"].as_array().unwrap())
        .map(|action| action["text"].as_str().unwrap())
        .collect();
    let into_folder = format!("--key-file {} ", files.path("tls"));
    assert!(!texts.iter().any(|text| text.contains(&into_folder)), "{texts:#?}");
    assert!(texts.iter().any(|text| text.contains("--key-file ")), "{texts:#?}");
}

#[test]
fn a_hostile_name_in_a_certificate_reaches_no_terminal_as_it_is() {
    let files = Files::new();
    let hostile = "evil\x1b]52;c;Z290Y2hh\x07\x1b[2Jroot\u{202e}";
    let (key, certificate) = (files.path("hostile-key.pem"), files.path("hostile.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-utf8", "-days", "9"])
        .args(["-subj", &format!("/CN={hostile}"), "-keyout", &key, "-out", &certificate])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for option in ["ssl_cert", "ssl_ca"] {
        let (text, json) = files.check_with(option, &certificate);
        says(&text, &["evil\\x1B]52;c;Z290Y2hh"]);
        let spoken = text + &json.to_string();
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!spoken.contains(bad), "{option}: {spoken:?}");
    }
}

// --- passwords ---

#[test]
fn a_typed_password_is_refused_and_never_repeated() {
    for arguments in [
        &["check", "-h", "db1", "-pgeheim"][..],
        &["check", "-h", "db1", "--password=geheim"],
        &["check", "-p", "geheim"],
        &["-pgeheim"],
        &["--password", "geheim"],
    ] {
        let said = run(arguments).refused(2);
        says(&said, &["never taken from the command line", "--password-stdin", "MYSQL_PWD"]);
        assert!(!said.contains("geheim"), "{said}");
    }
    let said = run(&["check", "-h", "db1", "-p"]).refused(2);
    says(&said, &["no terminal to ask for the password", "--password-stdin"]);
}

/// `mytls check` on a healthy server over the network, as whoever the option file and `alter` say.
#[track_caller]
fn check_as(server: &Server, options: &str, typed: &str, alter: impl FnOnce(&mut Command)) -> Said {
    let target = server.sandbox.target();
    let folder = tempfile::tempdir().unwrap();
    let options = written(folder.path(), "client.cnf", options);
    let mut command = mytls();
    command.args(["check", "--defaults-file", &options, "-h", "127.0.0.1", "-u", "checker"]);
    command.args(["-P", &target.port.unwrap().to_string(), "--ssl-ca"]).arg(target.ssl_ca.unwrap());
    command.args(["--format", "json"]);
    alter(&mut command);
    ended(command, typed)
}

#[test]
fn a_password_is_taken_from_where_it_may_come_from() {
    let Some(server) = server("none") else { return };
    let password = r#"p#w "q" \ 'z' ;"#;
    server
        .sql(&format!(
            "CREATE USER 'checker'@'%' IDENTIFIED BY '{}' REQUIRE SSL;
             GRANT SELECT ON mysql.* TO 'checker'@'%'",
            password.replace('\\', r"\\").replace('\'', "''")
        ))
        .unwrap();
    let got_in = |said: Said| {
        let err = said.err;
        let report: Value = serde_json::from_str(&said.out).unwrap();
        assert_ne!(report["server"], Value::Null, "{err}");
        let asked = report["unknown"].as_array().unwrap().iter();
        let asked = asked.filter(|unknown| unknown["rule"] == "session-not-encrypted").count();
        assert_eq!((asked, said.code), (0, 0), "{report:#}");
        assert!(!(err + &report.to_string()).contains("p#w"), "it is repeated nowhere");
    };
    got_in(check_as(&server, "", "", |command| {
        command.env("MYSQL_PWD", password);
    }));
    for end in ["\n", "\r\n", ""] {
        got_in(check_as(&server, "", &format!("{password}{end}"), |command| {
            command.arg("--password-stdin");
        }));
    }
    let quoted = format!("\"{}\"", password.replace('\\', r"\\").replace('"', r#"\""#));
    got_in(check_as(&server, &format!("[client]\npassword={quoted} # mine\n"), "", |_| {}));
    got_in(check_as(&server, "", "", |command| {
        command.env("MYSQL_PWD", password).env_remove("HOME");
    }));

    let wrong = check_as(&server, "", "", |command| {
        command.env("MYSQL_PWD", "wrong");
    });
    assert_eq!(wrong.code, 3, "nothing was found wrong, and little was seen: {}", wrong.err);
    says(&wrong.err, &["checker was refused", "1045", "check user and password"]);
    let report: Value = serde_json::from_str(&wrong.out).unwrap();
    assert_ne!(report["unknown"], serde_json::json!([]), "what could not be seen is not fine");
}

// --- what it prints ---

#[test]
fn saved_facts_give_the_same_findings_elsewhere() {
    let files = Files::new();
    let (_, first) = files.check_with("ssl_cert", &files.path("none"));
    let config = files.path("my.cnf");
    let ca = files.path("own-ca");
    let saved = ["check", "--server-config", &config, "--ca-dir", &ca, "--format", "json"];
    let saved = run(&[&saved[..], &["--with-facts"]].concat());
    assert_eq!(saved.code, 1);
    let saved = written(files.folder.path(), "report.json", saved.out);
    // the files themselves may be gone
    fs::remove_dir_all(files.path("tls")).unwrap();
    let again = run(&["check", "--facts", &saved, "--format", "json"]);
    assert_eq!(again.code, 1, "{}", again.err);
    let again: Value = serde_json::from_str(&again.out).unwrap();
    let seen = |report: &Value| {
        let findings = report["findings"].as_array().unwrap().iter();
        findings.map(|f| (f["rule"].clone(), f["evidence"].clone())).collect::<Vec<_>>()
    };
    assert!(!seen(&again).is_empty());
    assert_eq!(seen(&again), seen(&first));
    assert_eq!(again["steps"], first["steps"]);
    assert!(again.get("facts").is_none(), "only when they are asked for");

    let never = run(&["check", "--facts", &saved, "--fail-on", "never"]);
    assert_eq!((never.code, never.err.as_str()), (0, ""));
    says(&never.out, &["✗ certificate-unusable"]);
}

#[test]
fn facts_that_are_none_say_how_to_save_some() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("empty", ""), ("list", "[1, 2]"), ("other", "{\"schema\": 1}")] {
        let file = written(folder.path(), name, text);
        let said = run(&["check", "--facts", &file]).refused(3);
        says(&said, &[&file, "mytls check --format json --with-facts"]);
    }
    says(
        &run(&["check", "--facts", "/no/such.json"]).refused(3),
        &["/no/such.json cannot be read"],
    );
}

#[test]
fn rules_are_listed_and_each_is_explained() {
    let rules: Value = serde_json::from_str(&run(&["rules", "--format", "json"]).ok()).unwrap();
    let ids: Vec<&str> =
        rules.as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    let listed = run(&["rules"]).ok();
    let listed: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(ids, listed);
    assert!(ids.contains(&"key-mismatch"));
    for id in ids {
        says(&run(&["explain", id]).ok(), &[id, "Why it matters", "How to fix", "Source"]);
    }
    let said = run(&["explain", "mismatched-key\x1b[2J"]).refused(2);
    says(&said, &["did you mean key-mismatch?", "mytls rules"]);
    assert!(!said.contains('\x1b'));
}

#[test]
fn the_report_goes_to_stdout_alone_and_is_plain_where_it_is_asked_to_be() {
    let files = Files::new();
    files.check_with("ssl_key", "/no/key.pem");
    let config = files.path("my.cnf");
    let said = run(&["check", "--server-config", &config]);
    assert_eq!((said.code, said.err.as_str()), (1, ""), "no progress where nobody watches");
    assert!(!said.out.contains('\x1b'), "no colour in a pipe");
    let ascii = run(&["check", "--server-config", &config, "--ascii"]).out;
    assert!(ascii.is_ascii(), "{ascii}");
    says(&ascii, &["X key-unusable", "/no/key.pem"]);
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_panic() {
    let files = Files::new();
    files.check_with("ssl_key", "/no/key.pem");
    let mytls = env!("CARGO_BIN_EXE_mytls");
    let config = files.path("my.cnf");
    for (line, code) in [
        (format!("{mytls} check --server-config {config} | head -n 1"), 1),
        (format!("{mytls} rules | true"), 0),
        // stderr, too
        (format!("{mytls} explain no-such-rule 2>&1 | true"), 2),
        (format!("{mytls} check --server-config /no/such.cnf 2>&1 | true"), 3),
    ] {
        let mut shell = Command::new("bash");
        let waits = "sleep 0.2; "; // so that the reader is gone for certain
        let line =
            line.replacen(mytls, &format!("{{ {waits}{mytls}"), 1).replacen(" |", "; } |", 1);
        shell.args(["-c", &format!("{line}; exit ${{PIPESTATUS[0]}}")]).env("HOME", "/nonexistent");
        let said = ended(shell, "");
        assert!(!said.err.contains("panicked"), "{line}: {}", said.err);
        assert_eq!(said.code, code, "{line}: {}", said.err);
    }
}

#[test]
fn without_a_terminal_the_wizard_says_what_to_use_instead() {
    let said = run(&[]).refused(2);
    says(&said, &["needs a terminal", "mytls check"]);
}

#[test]
fn a_slip_in_the_arguments_is_bad_usage() {
    says(&run(&["chek"]).refused(2), &["check"]);
    says(&run(&["check", "--fail-on", "sometimes"]).refused(2), &["error, warning, note, never"]);
    says(&run(&["check", "-P", "70000"]).refused(2), &["70000", "65535"]);
    says(&run(&["sandbox", "--fault", "no-such-fault"]).refused(2), &["mytls sandbox --list"]);
    for command in [&["--help"][..], &["check", "--help"], &["ca", "create", "--help"]] {
        let help = run(command).ok();
        assert!(help.contains("xample") || help.contains("Try it"), "{help}");
    }
}

#[test]
fn a_full_disk_is_said() {
    let mut command = Command::new("sh");
    command.args(["-c", "\"$0\" rules > /dev/full", env!("CARGO_BIN_EXE_mytls")]);
    let said = ended(command, "");
    assert_eq!(said.code, 3);
    says(&said.err, &["cannot write to stdout", "No space left"]);
}

// --- a folder of keys and certificates ---

#[test]
fn a_folder_says_which_files_belong_together() {
    let files = Files::new();
    let ca = files.path("own-ca");
    run(&["ca", "crl", "--ca-dir", &ca]).ok();
    let look = |more: &[&str]| run(&[&["check", "--files", &files.path("")], more].concat());
    let said = look(&[]).ok();
    says(&said, &["✓ tls/server-cert.pem and tls/server-key.pem: "]);
    says(&said, &["7 files, 4 pairs, 1 revocation list, 0 problems\n"]);
    fs::write(files.path("tls/cut.pem"), &files.bytes("own-ca/ca.pem")[..100]).unwrap();
    for gone in ["tls/server-key.pem", "tls/ca.pem"] {
        fs::remove_file(files.path(gone)).unwrap();
    }
    let output = look(&["--ascii"]);
    assert_eq!(output.code, 1);
    says(&output.out, &["1 pair, 1 revocation list, 1 problem\n", "+ own-ca/ca.pem and"]);
}
