//! `mytls listen` as a process, in front of real clients and of those that mean no good.

#[path = "clients/carry.rs"]
mod carry;
mod common;
#[path = "clients/known.rs"]
mod known;
#[path = "common/program.rs"]
mod program;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use carry::Ready;
use common::lab;
use known::{CLIENTS, Client, How};
use program::{command, refused, text};
use serde_json::Value;

/// A listener that runs, and what it said when it began.
struct Listener {
    child: Child,
    at: SocketAddr,
    ca: PathBuf,
    /// Of its own, for what it writes.
    _folder: tempfile::TempDir,
}

impl Listener {
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let mut mytls = command(&["listen", "--format", "json", "--wait", "60"]);
        if !options.contains(&"--port") {
            mytls.args(["--port", "0"]);
        }
        mytls.args(options).stdout(Stdio::piped()).stderr(Stdio::piped());
        if !options.contains(&"--ca-dir") {
            mytls.arg("--ca-out").arg(&ca);
        }
        let mut child = mytls.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let at = first.strip_prefix("listening on ").unwrap_or_else(|| panic!("{first}"));
        let at = at.split(';').next().unwrap().parse().unwrap();
        std::thread::spawn(move || for _ in lines {});
        Self { child, at, ca, _folder: folder }
    }

    fn connect(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.at).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        tcp
    }

    /// The exit status and the report, once every part was met.
    fn end(mut self) -> (i32, Value) {
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let status = self.child.wait().unwrap();
        assert!(!self.ca.exists(), "the CA of a day is taken away again");
        (status.code().unwrap(), serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}")))
    }

    /// The same for one that is told to stop before every part was met.
    fn stop(self) -> (i32, Value) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.end()
    }
}

/// What was done with each part, in order.
fn done(report: &Value) -> Vec<&str> {
    let rows = report["rows"].as_array().unwrap();
    rows.iter().map(|row| row["did"].as_str().unwrap_or("nobody")).collect()
}

/// The command-line client of this host or of a server that was unpacked; `None` where there is none.
fn client(name: &str) -> Option<Command> {
    let brought = lab::cache("MYTLS_CLIENTS", "clients").join(name);
    if !brought.exists() {
        assert!(!lab::in_ci(), "in CI every client has to be there: {name}");
        eprintln!("skipped: {name}; scripts/clients brings it");
        return None;
    }
    let mut client = Command::new(brought);
    client.env("MYSQL_PWD", "hunter2").arg("--no-defaults");
    Some(client)
}

fn six_times(listener: &Listener, name: &str, options: &[String]) {
    for _ in 0..6 {
        let mut client = client(name).unwrap();
        client.args(["--protocol=tcp", "-h", "localhost", "-u", "app", "-P"]);
        client.arg(listener.at.port().to_string()).args(options);
        let output = client.output().unwrap();
        assert!(!output.status.success(), "nobody is let in: {}", text(&output.stdout));
    }
}

#[test]
fn a_client_that_verifies_is_told_from_one_that_does_not() {
    let shows = |listener: &Listener, name: &str| {
        let ca = format!("--ssl-ca={}", listener.ca.display());
        let verify = match name {
            "mysql/mysql" => "--ssl-mode=VERIFY_IDENTITY",
            _ => "--ssl-verify-server-cert",
        };
        [ca, verify.to_owned()]
    };
    for (name, family) in
        [("mysql/mysql", "mysql"), ("mariadb/10.11", "mariadb"), ("mariadb/11.8", "mariadb")]
    {
        if client(name).is_none() {
            continue;
        }
        let listener = Listener::start(&["--as", family]);
        let options = shows(&listener, name);
        six_times(&listener, name, &options);
        let (code, report) = listener.end();
        assert_eq!((code, &report["verdict"]), (0, &"verifies".into()), "{name}: {report:#}");
        let refused = "refused";
        assert_eq!(done(&report), [refused, refused, refused, refused, refused, "login-in-tls"]);
    }
    // By default the client of MySQL takes TLS where it is offered, and looks at no certificate.
    if client("mysql/mysql").is_some() {
        let listener = Listener::start(&[]);
        six_times(&listener, "mysql/mysql", &[]);
        let (code, report) = listener.end();
        assert_eq!((code, &report["verdict"]), (1, &"sends-in-clear".into()));
        let login = "login-in-tls";
        assert_eq!(done(&report), ["login-in-clear", login, login, login, login, login]);
        let applicant = &report["rows"][0]["applicant"];
        assert_eq!((&applicant["user"], &applicant["program"]), (&"app".into(), &"mysql".into()));
        assert!(applicant["library"].as_str().unwrap().starts_with("libmysql "), "{applicant}");
        assert!(!report.to_string().contains("hunter2"));
    }
}

/// Every client as it comes, and with the settings of its pack: the page says what it did with each
/// part, and with the settings it verifies.
#[test]
fn every_client_verifies_with_its_settings_and_the_page_says_what_it_does_without() {
    let clients: Vec<&Client> = CLIENTS.iter().filter(|client| client.is_here()).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ca, pack) = (file("ca"), file("pack"));
    program::ok(&["ca", "create", "--ca-dir", &ca, "--name", "CA", "--no-passphrase"]);
    program::ok(&["ca", "client", "--ca-dir", &ca, "--user", "app", "--out", &file("issued")]);
    program::ok(&["ca", "pack", "app", "--ca-dir", &ca, "--host", "localhost", "--out", &pack]);
    let rows = lab::side_by_side(&clients, |client| {
        // free a moment ago, and compiled into some
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = client.driver();
        let [plain, full] =
            [("plain", &driver.plain), ("full", &driver.settings)].map(|(name, text)| {
                let settings = text
                    .replace("@ADDRESS@", &format!("localhost:{port}"))
                    .replace("@HOST@", "localhost")
                    .replace("@PORT@", &port.to_string())
                    .replace("@USER@", "app");
                let place = folder.path().join(name).join(client.name.replace(['/', ' '], "-"));
                let mut settings = client.over_tcp(&settings);
                if matches!(client.how, How::Options) {
                    // from the environment it would be no password for MariaDB's client from 11.4 on
                    settings += "password = hunter2\n";
                }
                let ready = Ready::make(client, place, &settings);
                let family = if client.settings.contains("mariadb") { "mariadb" } else { "mysql" };
                let port = port.to_string();
                let mut listener =
                    Listener::start(&["--ca-dir", &ca, "--port", &port, "--as", family]);
                // six starts do it, but for clients that try twice and go without a word
                for starts in 0.. {
                    if listener.child.try_wait().unwrap().is_some() {
                        break;
                    }
                    assert!(starts < 15, "{}: it does not come to an end", client.name);
                    let mut started = ready.command("settings", "hunter2", false);
                    let output = started.current_dir(&pack).output().unwrap();
                    assert!(!output.status.success(), "{}: nobody is let in", client.name);
                }
                listener.end()
            });
        assert_eq!(
            (full.0, &full.1["verdict"]),
            (0, &"verifies".into()),
            "{}: {:#}",
            client.name,
            full.1
        );
        let cells: Vec<&str> = done(&plain.1).into_iter().map(in_words).collect();
        format!("| {} | {} | {} |\n", client.name, client.version(), cells.join(" | "))
    });
    if clients.len() < CLIENTS.len() {
        return; // the page tells of all of them
    }
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/listen.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once("-->\n").unwrap();
    let (there, after) = rest.split_once("<!-- /clients -->").unwrap();
    let heads = "| as it comes | version | no TLS | unknown CA | other host | expired | for clients only | right |\n\
                 |---|---|---|---|---|---|---|---|\n";
    if std::env::var_os("UPDATE").is_some() {
        let table = format!("{heads}{}", rows.concat());
        std::fs::write(&page, format!("{before}-->\n{table}<!-- /clients -->{after}")).unwrap();
        return;
    }
    // another version may do otherwise
    let known = |row: &&String| {
        let start: Vec<&str> = row.split('|').take(3).collect();
        there.contains(&start.join("|"))
    };
    for row in rows.iter().filter(known) {
        assert!(
            there.contains(row),
            "{row}write it anew: UPDATE=1 cargo test --test listen\n{there}"
        );
    }
}

fn in_words(did: &str) -> &str {
    match did {
        "login-in-clear" => "**in the clear**",
        "login-in-tls" => "logs in",
        "refused" => "refuses",
        other => other,
    }
}

#[test]
fn the_ca_of_a_store_signs_and_nothing_of_it_is_kept() {
    if client("mysql/mysql").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("ca");
    let dir = dir.to_str().unwrap();
    let created = ["ca", "create", "--ca-dir", dir, "--name", "CA", "--intermediate"];
    program::ok(&[&created[..], &["--no-passphrase"]].concat());
    let out = folder.path().join("app");
    let out = out.to_str().unwrap();
    program::ok(&["ca", "client", "--ca-dir", dir, "--user", "app", "--out", out]);
    let listed = || program::ok(&["ca", "list", "--ca-dir", dir, "--format", "json"]);
    let before = listed();

    let listener = Listener::start(&["--ca-dir", dir]);
    let options = [
        "--ssl-mode=VERIFY_IDENTITY".to_owned(),
        format!("--ssl-ca={dir}/ca.pem"),
        format!("--ssl-cert={out}/client-cert.pem"),
        format!("--ssl-key={out}/client-key.pem"),
    ];
    six_times(&listener, "mysql/mysql", &options);
    let (code, report) = listener.end();
    assert_eq!((code, &report["verdict"]), (0, &"verifies".into()), "{report:#}");
    // it shows its certificate to the one server that it takes for the right one
    let shown = |row: usize| report["rows"][row]["certificate"].as_str();
    assert_eq!((shown(1), shown(5)), (None, Some("O=CA, CN=app")));
    let entries = |list: &str| serde_json::from_str::<Value>(list).unwrap()["entries"].clone();
    assert_eq!(entries(&listed()), entries(&before));
}

#[test]
fn a_right_certificate_that_is_refused_makes_no_proof() {
    if client("mysql/mysql").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("other");
    let dir = dir.to_str().unwrap();
    program::ok(&["ca", "create", "--ca-dir", dir, "--name", "Other", "--no-passphrase"]);
    let listener = Listener::start(&[]);
    let options = ["--ssl-mode=VERIFY_CA".to_owned(), format!("--ssl-ca={dir}/ca.pem")];
    six_times(&listener, "mysql/mysql", &options);
    let (code, report) = listener.end();
    assert_eq!((code, &report["verdict"]), (3, &"refuses-the-right".into()));
}

#[test]
fn who_speaks_something_else_is_no_answer() {
    let listener = Listener::start(&["--patience", "1"]);
    let say = |bytes: &[u8]| {
        let mut tcp = listener.connect();
        let mut greeting = [0; 4];
        tcp.read_exact(&mut greeting).unwrap();
        tcp.write_all(bytes).unwrap();
        // until it is closed
        let _ = tcp.read_to_end(&mut Vec::new());
    };
    say(b"GET / HTTP/1.1\r\nHost: \x1b]0;x\x07\r\n\r\n");
    say(b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"); // a TLS hello without asking for it
    say(b"\xff\xff\xff\x01whole gigabytes");
    say(b"\x05\x00\x00\x01ab"); // and silence: cut off by our patience
    drop(listener.connect()); // goes with the greeting unread
    let (code, report) = listener.stop();
    assert_eq!((code, &report["verdict"]), (3, &"unfinished".into()), "{report:#}");
    assert_eq!(done(&report)[0], "not-my-sql");
    assert!(!report.to_string().contains('\u{1b}'));
}

#[test]
fn a_thousand_at_once_are_met_in_bounded_room() {
    let listener = Listener::start(&["--only", "no-tls"]);
    let memory = |field: &str| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", listener.child.id()));
        let status = status.unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let mut held = Vec::new();
    for _ in 0..1000 {
        // what the door has no room for just now is refused by the system, not by us
        if let Ok(tcp) = TcpStream::connect_timeout(&listener.at, Duration::from_secs(5)) {
            held.push(tcp);
        }
    }
    assert!(memory("Threads:") <= 70, "{} threads", memory("Threads:"));
    assert!(memory("VmRSS:") < 60_000, "{} kB", memory("VmRSS:"));
    drop(held);
    // it still answers
    let mut tcp = listener.connect();
    let mut packet = vec![0; 4];
    tcp.read_exact(&mut packet).unwrap();
    packet.resize(usize::from(packet[0]), 0);
    tcp.read_exact(&mut packet).unwrap();
    tcp.shutdown(std::net::Shutdown::Write).unwrap();
    let (_, report) = listener.end();
    assert_eq!(done(&report), ["refused"]);
    assert!(report["turned_away"].as_u64().unwrap() > 0, "{report:#}");
}

#[test]
fn what_is_typed_wrong_is_said() {
    assert!(refused(&["listen", "--name", "not a name"]).contains("not a name"));
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there.pem");
    std::fs::write(&there, "mine").unwrap();
    let said = refused(&["listen", "--port", "0", "--ca-out", there.to_str().unwrap()]);
    assert!(said.contains("--ca-out"), "{said}");
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "mine");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = command(&["listen", "--port", &port]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("is in use") && said.contains("--port"), "{said}");
}
