//! `mytls undo` of what the wizard did to files, options and statements on real servers: every byte,
//! owner and mode comes back.

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::lab::{self, Server};
use mysql::prelude::Queryable as _;
use mytls::apply::{self, journal};
use mytls::checklist::Examination;
use mytls::facts::gather::{Cancel, gather};
use mytls::facts::session::{self, Route};
use mytls::sandbox::{Fault, Series};

/// Every file that is no data of the server's: mode, user, group and content.
fn files(folder: &Path, into: &mut BTreeMap<PathBuf, (u32, u32, u32, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, about) = (entry.path(), entry.metadata().unwrap());
        let name = entry.file_name().into_string().unwrap();
        if about.is_dir() && !matches!(name.as_str(), "data" | "run" | "state") {
            files(&path, into);
        } else if about.is_file() && !name.ends_with("error.log") {
            let meta = (about.mode(), about.uid(), about.gid());
            into.insert(path.clone(), (meta.0, meta.1, meta.2, std::fs::read(&path).unwrap()));
        }
    }
}

/// Mode, owner, group and bytes by path.
type Files = BTreeMap<PathBuf, (u32, u32, u32, Vec<u8>)>;

fn state(server: &Server) -> (Files, String) {
    let mut all = BTreeMap::new();
    files(server.dir(), &mut all);
    let columns = "user, host, ssl_type, HEX(x509_issuer), HEX(x509_subject), HEX(ssl_cipher)";
    let accounts = format!("SELECT {columns} FROM mysql.user ORDER BY user, host");
    let variable = "SHOW GLOBAL VARIABLES LIKE 'require_secure_transport'";
    (all, server.sql(&accounts).unwrap() + &server.sql(variable).unwrap())
}

fn undo(server: &Server, arguments: &[&str], status: i32) -> String {
    let target = server.sandbox.target();
    let mut command: Command = lab::mytls();
    command
        .arg("undo")
        .args(arguments)
        .arg("--defaults-file")
        .arg(server.dir().join("client.cnf"))
        .args(["-h", "127.0.0.1", "-P", &target.port.unwrap().to_string()])
        .arg("-S")
        .arg(target.socket.unwrap())
        .env("XDG_STATE_HOME", server.base().join("state"));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
    said
}

/// Applies every remedy that can be one after the other, as the wizard does. How many there were.
fn apply_all(server: &Server, journal_file: &Path) -> usize {
    let target = server.sandbox.target();
    let mut applied = 0;
    for _ in 0..4 {
        let exam = Examination::judge(gather(&target, &Cancel::default(), &mut |_| ()));
        let remedies = exam.findings.iter().flat_map(|finding| &finding.remedies);
        let mut plans = remedies.filter_map(|remedy| apply::remedy::plan(&exam.facts, remedy).ok());
        // an account first, then what is written to options as well
        let plan =
            if applied == 0 { plans.next() } else { plans.max_by_key(|plan| plan.writes.len()) };
        let Some(plan) = plan else { break };
        let done = apply::run(&plan, Some(&server.sandbox), &mut |_| ()).unwrap();
        assert_eq!(done.steps.len(), done.undo.len());
        journal::append(journal_file, &journal::Entry::new(target.display(), done)).unwrap();
        applied += 1;
    }
    applied
}

fn comes_back(series: Series, fault: &str, at_least: usize) -> Option<Server> {
    let program = lab::servers().into_iter().find(|program| program.series == series)?;
    let server = program.start(&Fault::named(fault).unwrap()).unwrap();
    server.sql("CREATE USER 'line\nfeed;\n''x'@'%'").unwrap();
    let before = state(&server);
    let journal_file = server.base().join("state/mytls/journal.jsonl");
    let applied = apply_all(&server, &journal_file);
    assert!(applied >= at_least, "{fault}: {applied}");
    assert_ne!(state(&server), before, "{fault}");
    let done = journal::read(&journal_file).unwrap();
    let done: Vec<&str> =
        done.iter().flat_map(|one| &one.applied.undo).map(String::as_str).collect();
    if fault == "transport-not-enforced" {
        let of = |part: &str| assert!(done.iter().any(|line| line.contains(part)), "{done:?}");
        let _ = ["line\nfeed;\n''x", "require_secure_transport = OFF"].map(of);
        of(if series == Series::MySql97 { "RESET PERSIST" } else { "my.cnf.bak-" });
    }

    // a file that somebody has touched since keeps everything as it is
    let entries = journal::read(&journal_file).unwrap();
    let last = entries.last().unwrap();
    let written = last.applied.steps.iter().find_map(|step| match step {
        apply::back::Step::File { path, .. } => Some(path.clone()),
        _ => None,
    });
    if let Some(path) = written {
        let ours = std::fs::read(&path).unwrap();
        std::fs::write(&path, [ours.as_slice(), b"\n# theirs\n"].concat()).unwrap();
        let touched = state(&server);
        let said = undo(&server, &["--yes"], 1);
        assert!(
            said.contains("changed since") && said.contains("nothing was taken back"),
            "{said}"
        );
        assert_eq!(state(&server), touched, "{fault}");
        std::fs::write(&path, ours).unwrap();
    }

    let shown = state(&server);
    assert!(undo(&server, &["--dry-run"], 0).contains("would be done"));
    assert_eq!(state(&server), shown, "a dry run does nothing");
    let mut said = String::new();
    for _ in 0..applied {
        said += &undo(&server, &["--yes"], 0);
    }
    let after = state(&server);
    assert_eq!(after.1, before.1, "{fault}: {said}");
    for (path, was) in &before.0 {
        assert!(after.0.get(path) == Some(was), "{fault}: {}: {said}", path.display());
    }
    let more: Vec<&PathBuf> = after.0.keys().filter(|path| !before.0.contains_key(*path)).collect();
    assert!(more.is_empty(), "{fault}: {more:?}: {said}");
    assert!(undo(&server, &["--yes"], 0).contains("nothing to do"));
    Some(server)
}

#[test]
fn mysql_gets_options_accounts_and_variables_back() {
    comes_back(Series::MySql97, "transport-not-enforced", 2);
}

#[test]
fn mariadb_gets_options_accounts_and_variables_back() {
    let Some(server) = comes_back(Series::MariaDb1011, "transport-not-enforced", 2) else { return };
    // the server is away: files go back when asked for alone
    let journal_file = server.base().join("state/mytls/journal.jsonl");
    assert!(apply_all(&server, &journal_file) > 0);
    server.sandbox.stop_server();
    let said = undo(&server, &["--yes"], 3);
    assert!(said.contains("nothing was taken back; --without-server"), "{said}");
    let said = undo(&server, &["--yes", "--without-server"], 1);
    assert!(said.contains("left to you"), "{said}");
}

#[test]
fn mariadb_gets_the_bytes_of_a_certificate_back() {
    comes_back(Series::MariaDb1011, "chain-with-stranger", 1);
}

#[test]
fn an_entry_of_lines_alone_is_shown() {
    let Some(server) = lab::server("none") else { return };
    let folder = server.base().join("state/mytls");
    std::fs::create_dir_all(&folder).unwrap();
    let applied = r#"{"title":"x","done":[],"undo":["rm /x"],"left":[]}"#;
    let entry =
        |target: &str| format!("{{\"at\":1,\"target\":{target:?},\"applied\":{applied}}}\n");
    std::fs::write(folder.join("journal.jsonl"), entry("db1")).unwrap();
    let said = undo(&server, &["--yes"], 2);
    assert!(said.contains("nothing of ") && said.contains("--list"), "{said}");
    let here = format!("127.0.0.1:{}", server.sandbox.target().port.unwrap());
    std::fs::write(folder.join("journal.jsonl"), entry(&here)).unwrap();
    let said = undo(&server, &["--yes"], 1);
    assert!(said.starts_with("rm /x\n") && said.contains("does not run them"), "{said}");
}

/// `mytls accounts require-transport`, with a session that would be refused, and back.
fn transport(series: Series) {
    let Some(program) = lab::servers().into_iter().find(|program| program.series == series) else {
        return;
    };
    let server = program.start(&Fault::named("transport-not-enforced").unwrap()).unwrap();
    let before = state(&server);
    let target = server.sandbox.target();
    let run = |arguments: &[&str], status: i32| {
        let mut command = lab::mytls();
        command
            .args(["accounts", "require-transport", "--defaults-file"])
            .arg(server.dir().join("client.cnf"))
            .args(["-h", "127.0.0.1", "-P", &target.port.unwrap().to_string(), "-S"])
            .arg(target.socket.as_ref().unwrap())
            .arg("--server-config")
            .arg(target.server_config.as_ref().unwrap())
            .args(arguments)
            .env("XDG_STATE_HOME", server.base().join("state"));
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        said
    };
    run(&[], 2);
    let password = server.sandbox.accounts()[1].1.expose().to_owned();
    let options = mysql::OptsBuilder::new()
        .ip_or_hostname(Some("127.0.0.1"))
        .tcp_port(target.port.unwrap())
        .prefer_socket(false)
        .user(Some("web"))
        .pass(Some(password));
    let plain = mysql::Conn::new(options).unwrap();
    let said = run(&["--dry-run"], 0);
    assert!(said.contains("1 session of `web` comes in without TLS from 127.0.0.1"), "{said}");
    let persists = series == Series::MySql97;
    let statement = if persists { "PERSIST" } else { "GLOBAL" };
    let statement = format!("+ SET {statement} require_secure_transport = ON;");
    assert!(said.contains(&statement), "{said}");
    assert_eq!(said.contains("\n+ require_secure_transport = ON"), !persists, "{said}");
    assert_eq!(state(&server), before, "a dry run does nothing");
    let said = run(&["--yes"], 0);
    assert!(said.contains("to take it back: mytls undo "), "{said}");
    let on = "SELECT @@GLOBAL.require_secure_transport";
    assert_eq!(server.sql(on).unwrap(), "1");
    assert!(run(&["--yes"], 0).contains("nothing to do"));
    drop(plain);
    server.sandbox.restart().unwrap();
    assert_eq!(server.sql(on).unwrap(), "1", "for the next start, too");
    undo(&server, &["--yes"], 0);
    assert_eq!(server.sql(on).unwrap(), "0");
    let (after, options) = (state(&server), target.server_config.unwrap());
    assert_eq!(after.1, before.1);
    assert!(after.0[&options] == before.0[&options], "its options are as they were");
    server.sandbox.restart().unwrap();
    assert_eq!(server.sql(on).unwrap(), "0");
}

#[test]
fn mariadb_takes_tls_alone_and_back() {
    transport(Series::MariaDb1011);
}

#[test]
fn mysql_takes_tls_alone_and_back() {
    transport(Series::MySql97);
}

/// Whose own session comes in without TLS is asked a second time, and nothing is done before.
#[test]
fn whoever_would_lock_themselves_out_has_to_say_so() {
    let programs = lab::servers();
    let Some(program) = programs.into_iter().find(|one| one.series == Series::MariaDb1011) else {
        return;
    };
    // TLS is on, and nothing that today's clients speak
    let old = "title = \"\"\ndescription = \"\"\n[[changes]]\ndo = \"set-option\"\nname = \"tls_version\"\n\
               value = \"TLSv1.1\"\n[[changes]]\ndo = \"remove-options\"\nnames = [\"require_secure_transport\"]\n";
    let server = program.start(&Fault::from_toml("old", old).unwrap()).unwrap();
    let target = server.sandbox.target();
    // the client of the other tests wants TLS over the socket, too
    let socket = Route::Socket(target.socket.clone().unwrap());
    let root = std::cell::RefCell::new(session::open(&target, &socket).unwrap());
    for statement in [
        "CREATE USER 'adm'@'%' IDENTIFIED BY 'correct horse'",
        "GRANT ALL ON *.* TO 'adm'@'%' WITH GRANT OPTION",
    ] {
        root.borrow_mut().query_drop(statement).unwrap();
    }
    let run = |arguments: &[&str]| {
        let output = lab::mytls()
            .args(["accounts", "require-transport", "-h", "127.0.0.1", "-u", "adm", "-P"])
            .arg(target.port.unwrap().to_string())
            .arg("--server-config")
            .arg(target.server_config.as_ref().unwrap())
            .arg("--insecure-login")
            .args(arguments)
            .env("MYSQL_PWD", "correct horse")
            .env("XDG_STATE_HOME", server.base().join("state"))
            .output()
            .unwrap();
        let said = [output.stdout.clone(), output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let on = || -> String {
        let on = root.borrow_mut().query_first("SELECT @@GLOBAL.require_secure_transport");
        on.unwrap().unwrap()
    };
    let (status, said) = run(&["--yes"]);
    assert_eq!((status, on().as_str()), (Some(1), "0"), "{said}");
    assert!(said.contains("YOURSELF") && said.contains("--lock-me-out"), "{said}");
    let journal_file = server.base().join("state/mytls/journal.jsonl");
    assert_eq!(journal::read(&journal_file).unwrap(), [], "nothing was begun");
    let (status, said) = run(&["--yes", "--lock-me-out"]);
    assert_eq!((status, on().as_str()), (Some(0), "1"), "{said}");
    assert_eq!(run(&["--dry-run"]).0, Some(3), "and so it is");
}

/// The change that [`a_change_that_was_cut_off_comes_back`] cuts off, in a process of its own.
#[test]
#[ignore = "is run by another test"]
fn cut_off() {
    use mytls::apply::{Command, Noting, Plan, Write};
    let Some(folder) = std::env::var_os("MYTLS_TEST_CUT_OFF").map(PathBuf::from) else { return };
    let text = |name: &str| Write::text(&folder.join(name), "after".into(), 0o600, "a text");
    let command = |text: String, undo: String| Command { text, undo };
    let made = folder.join("made").display().to_string();
    let plan = Plan {
        title: "cut off".into(),
        writes: vec![text("old"), text("sub/new")],
        commands: vec![
            command(format!("touch {made}"), format!("rm {made}")),
            command("kill -9 $PPID".into(), "true".into()),
            command("true".into(), format!("touch {made}-never")),
        ],
        ..Plan::default()
    };
    let journal_file = folder.join("state/mytls/journal.jsonl");
    let noting = Noting::begin(&journal_file, &plan, "db1".into(), String::new()).unwrap();
    let _ = apply::run_noted(&plan, None, Some(&noting), &mut |_| ());
    panic!("it was to end before");
}

#[test]
fn a_change_that_was_cut_off_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("old"), "before").unwrap();
    std::fs::write(file("old.bak-20200101T000000Z"), "long ago").unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cut_off", "--ignored"])
        .env("MYTLS_TEST_CUT_OFF", folder.path())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(std::os::unix::process::ExitStatusExt::signal(&status) == Some(9), "{status}");
    assert_eq!(std::fs::read(file("old")).unwrap(), b"after");
    assert!(file("sub/new").exists() && file("made").exists());
    let undo = |arguments: &[&str], expected: i32| {
        let mut command = lab::mytls();
        command.arg("undo").args(arguments).env("XDG_STATE_HOME", file("state"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(expected), "{said}");
        said
    };
    let listed = undo(&["--list"], 0);
    assert!(listed.contains("cut off (cut off, or still being made)"), "{listed}");
    let id = listed.split(' ').next().unwrap().to_owned();
    // what somebody else has written since is not run over
    std::fs::write(file("sub/new"), "theirs").unwrap();
    assert!(undo(&[&id, "--yes"], 1).contains("nothing was taken back"));
    std::fs::write(file("sub/new"), "after").unwrap();
    let said = undo(&[&id, "--yes"], 0);
    assert!(!said.contains("never"), "{said}");
    assert_eq!(std::fs::read(file("old")).unwrap(), b"before");
    assert!(!file("sub").exists() && !file("made").exists(), "{said}");
    assert!(undo(&["--list"], 0).contains("(taken back)"));
}
