//! What accounts require, changed and taken back on real servers, to the byte; and after the program
//! was killed in the middle.

mod common;

use std::process::{Command, Output, Stdio};

use common::lab::{self, Server};
use mytls::sandbox::{Fault, Series};

const MANY: usize = 1000;

fn of(series: Series) -> Option<Server> {
    let program = lab::servers().into_iter().find(|program| program.series == series)?;
    Some(program.start(&Fault::named("none").unwrap()).unwrap())
}

/// `mytls` on this server, with a journal of its own.
fn mytls(server: &Server, words: &[&str], arguments: &[&str]) -> Command {
    let socket = server.sandbox.target().socket.clone().unwrap();
    let mut command = lab::mytls();
    command
        .args(words)
        .arg("--defaults-file")
        .arg(server.dir().join("client.cnf"))
        .arg("-S")
        .arg(socket)
        .args(arguments)
        .env("HOME", server.base())
        .env("XDG_STATE_HOME", server.base().join("state"));
    command
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

fn run(server: &Server, words: &[&str], arguments: &[&str], status: i32) -> String {
    let output = mytls(server, words, arguments).output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(status), "{words:?} {arguments:?}: {said}");
    said
}

/// The raw columns of every account, and what the server says of each; the parts that are no
/// business of REQUIRE with them.
fn stored(server: &Server, show: &[&str]) -> String {
    let columns = "user, host, ssl_type, HEX(ssl_cipher), HEX(x509_issuer), HEX(x509_subject), plugin, \
                   authentication_string, max_user_connections";
    let mut text =
        server.sql(&format!("SELECT {columns} FROM mysql.user ORDER BY user, host")).unwrap();
    for account in show {
        text += &server.sql(&format!("SHOW CREATE USER {account}")).unwrap();
    }
    text
}

const ODD: [&str; 5] = [
    "'o''neil'@'%'",
    "'a\"b`c'@'10.0.%'",
    "'line\nfeed'@'%'",
    "'back\\\\slash'@'%'",
    "'per%cent'@'10.0.0.0/255.255.0.0'",
];

fn by_name(series: Series) {
    let Some(server) = of(series) else { return };
    for account in ODD {
        server.sql(&format!("CREATE USER {account} REQUIRE X509")).unwrap();
    }
    server
        .sql("CREATE USER 'bound'@'%' REQUIRE SUBJECT '/O=A\\\\\\\\xC3B/CN=x' AND ISSUER '/CN=CA' AND CIPHER 'AES128-SHA'")
        .unwrap();
    server.sql("CREATE USER 'hollow'@'%' REQUIRE SUBJECT ''").unwrap();
    let show = [ODD.as_slice(), &["'bound'@'%'", "'hollow'@'%'"]].concat();
    let before = stored(&server, &show);
    let mut arguments = vec!["--level", "ssl", "--yes"];
    let names: Vec<String> = show.iter().map(|name| name.replace("\\\\", "\\")).collect();
    for name in &names {
        arguments.extend(["--user", name]);
    }
    let told = run(&server, &["accounts", "require"], &arguments, 0);
    assert!(told.contains("changed and read back: 7 accounts"), "{told}");
    assert!(told.contains("- REQUIRE X509") && told.contains("+ REQUIRE SSL"), "{told}");
    assert_ne!(stored(&server, &show), before);
    let told = run(&server, &["undo"], &["--yes"], 0);
    assert!(told.contains("taken back and read back: 7 accounts"), "{told}");
    assert_eq!(stored(&server, &show), before, "{told}");
    // nothing is left to be taken back
    assert!(run(&server, &["undo"], &["--yes"], 0).contains("nothing to do"));

    // the same for a machine to read: first what would be, then what was done
    let report = |more: &[&str]| -> serde_json::Value {
        let arguments = [&arguments[..2], &arguments[3..], &["--format", "json"], more].concat();
        let output = mytls(&server, &["accounts", "require"], &arguments).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)))
    };
    let shown = report(&["--dry-run"]);
    let all = shown["accounts"].as_array().unwrap();
    assert_eq!((all.len(), &all[0]["outcome"]), (7, &"not done".into()), "{shown:#}");
    assert_eq!(all[0]["after_clause"], "REQUIRE SSL");
    assert!(shown["statements"].to_string().contains("REQUIRE SSL") && shown["applied"].is_null());
    assert!(shown["forecast"]["refused"].is_array(), "{shown:#}");
    assert_eq!(stored(&server, &show), before);
    let done = report(&["--yes"]);
    assert_eq!((&done["applied"], &done["verified"]), (&7.into(), &true.into()), "{done:#}");
    let all = done["accounts"].as_array().unwrap();
    assert!(all.iter().all(|one| one["outcome"] == "changed"), "{done:#}");
    run(&server, &["undo", done["undo"].as_str().unwrap()], &["--yes"], 0);
    assert_eq!(stored(&server, &show), before);

    // what somebody has changed since is not run over
    run(&server, &["accounts", "require"], &arguments, 0);
    server.sql("ALTER USER 'bound'@'%' REQUIRE NONE").unwrap();
    let changed = stored(&server, &show);
    let told = run(&server, &["undo"], &["--yes"], 1);
    assert!(told.contains("changed by somebody else since") && told.contains("bound@%"), "{told}");
    assert_eq!(stored(&server, &show), changed, "nothing at all was taken back");
    run(&server, &["undo"], &["--yes", "--others"], 1);
    server.sql("ALTER USER 'bound'@'%' REQUIRE SUBJECT '/O=A\\\\\\\\xC3B/CN=x' AND ISSUER '/CN=CA' AND CIPHER 'AES128-SHA'").unwrap();
    assert_eq!(stored(&server, &show), before, "the others were");

    // root over the socket, without TLS: not without being asked twice
    let root = ["--level", "x509", "--user", "root@localhost", "--yes"];
    let told = run(&server, &["accounts", "require"], &root, 1);
    assert!(told.contains("YOURSELF") && told.contains("--lock-me-out"), "{told}");
    assert_eq!(stored(&server, &show), before);
    // nobody of that name, and a server that takes no changes
    let none = ["--level", "ssl", "--user", "nobody@%", "--yes"];
    let told = run(&server, &["accounts", "require"], &none, 2);
    assert!(told.contains("nobody@%"), "{told}");
    if series == Series::MySql97 {
        server.sql("SET GLOBAL super_read_only = ON").unwrap();
        let told = run(&server, &["accounts", "require"], &arguments, 1);
        assert!(told.contains("super_read_only") && told.contains("as before: 7"), "{told}");
        assert!(!told.contains("to take it back"), "{told}");
        server.sql("SET GLOBAL read_only = OFF").unwrap();
        assert_eq!(stored(&server, &show), before);
    }
    one_at_a_time(&server);
    by_server(&server);
}

/// While one program changes accounts, no other takes anything back.
fn one_at_a_time(server: &Server) {
    server.sql("CREATE USER 'one'@'%', 'two'@'%'").unwrap();
    let require = |user: &str| {
        // the same account twice is one change
        let arguments = ["--level", "ssl", "--yes", "--user", user, "--user", user];
        let told = run(server, &["accounts", "require"], &arguments, 0);
        assert!(told.contains("changed and read back: 1 account\n"), "{told}");
    };
    require("one@%");
    let state = server.base().join("state/mytls");
    let files = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
    let lock = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "lock"));
    let file = std::fs::File::open(lock.expect("there is a lock")).unwrap();
    let other = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).unwrap();
    let told = run(server, &["undo"], &["--yes"], 1);
    assert!(told.contains("another mytls is changing accounts"), "{told}");
    drop(other);
    require("two@%");
}

/// What is left of a change is not in the way of what is older, and another way to the same server
/// is the same server.
fn by_server(server: &Server) {
    let kind = |user: &str| {
        server.sql(&format!("SELECT ssl_type FROM mysql.user WHERE user = '{user}'")).unwrap()
    };
    server.sql("ALTER USER 'two'@'%' REQUIRE X509").unwrap();
    run(server, &["undo"], &["--yes", "--others"], 1);
    assert_eq!((kind("one").as_str(), kind("two").as_str()), ("ANY", "X509"));
    // a change of another server, later than those
    let journal = server.base().join("state/mytls/journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let mut entries = text.lines().filter(|line| line.contains("\"accounts\""));
    let mut last: serde_json::Value = serde_json::from_str(entries.next_back().unwrap()).unwrap();
    last["id"] = "elsewhere".into();
    last["server"] = "another".into();
    last["target"] = "another".into();
    std::fs::write(&journal, format!("{text}{last}\n")).unwrap();
    let target = server.sandbox.target();
    let output = lab::mytls()
        .args(["undo", "--yes", "--defaults-file"])
        .arg(server.dir().join("client.cnf"))
        .args(["-h", "127.0.0.1", "-P", &target.port().to_string(), "--ssl-ca"])
        .arg(target.ssl_ca.unwrap())
        .env("HOME", server.base())
        .env("XDG_STATE_HOME", server.base().join("state"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!((kind("one").as_str(), kind("two").as_str()), ("", "X509"));
    run(server, &["undo", "elsewhere"], &["--yes"], 2);
}

fn killed(series: Series) {
    let Some(server) = of(series) else { return };
    let users: Vec<String> = (0..MANY).map(|number| format!("u{number}@%")).collect();
    for users in users.chunks(100) {
        let list: Vec<String> =
            users.iter().map(|user| format!("'{}'@'%'", user.trim_end_matches("@%"))).collect();
        server.sql(&format!("CREATE USER {} REQUIRE X509", list.join(", "))).unwrap();
    }
    let before = stored(&server, &["'u0'@'%'", "'u999'@'%'"]);
    let mut arguments = vec!["--level", "ssl", "--yes"];
    for user in &users {
        arguments.extend(["--user", user]);
    }
    let changed = || {
        let count = server.sql("SELECT COUNT(*) FROM mysql.user WHERE ssl_type = 'ANY'").unwrap();
        count.parse::<usize>().unwrap()
    };
    let mut child = mytls(&server, &["accounts", "require"], &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while changed() < 50 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // the statement that the server was at when the program died may still end
    std::thread::sleep(std::time::Duration::from_millis(300));
    let cut = changed();
    assert!((50..MANY).contains(&cut), "killed in the middle, after {cut}");
    let listed = run(&server, &["undo"], &["--list"], 0);
    assert!(listed.contains("cut off"), "{listed}");
    let told = run(&server, &["undo"], &["--yes"], 0);
    assert!(told.contains(&format!("taken back and read back: {cut} accounts")), "{told}");
    assert!(told.contains("as before already"), "{told}");
    assert_eq!(stored(&server, &["'u0'@'%'", "'u999'@'%'"]), before);
}

#[test]
fn mariadb_accounts_come_back_byte_for_byte() {
    by_name(Series::MariaDb1011);
}

#[test]
fn mysql_accounts_come_back_byte_for_byte() {
    by_name(Series::MySql97);
}

#[test]
fn mariadb_comes_back_after_a_kill_in_the_middle() {
    killed(Series::MariaDb1011);
}

#[test]
fn mysql_comes_back_after_a_kill_in_the_middle() {
    killed(Series::MySql97);
}
