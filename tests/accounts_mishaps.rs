//! What goes wrong while accounts are changed on real servers: it is said what was changed and what
//! was not, and how to get back.

mod common;

use std::process::{Command, Stdio};

use common::lab::{self, Server};
use mytls::sandbox::{Fault, Series};

const MANY: usize = 1000;

/// `mytls` as root over the socket, or as the clerk.
fn mytls(server: &Server, words: &[&str], clerk: bool, arguments: &[&str]) -> Command {
    let mut command = lab::mytls();
    command.args(words);
    if clerk {
        command.args(["-u", "clerk"]).env("MYSQL_PWD", "correct horse");
    } else {
        command.arg("--defaults-file").arg(server.dir().join("client.cnf"));
    }
    command
        .arg("-S")
        .arg(server.sandbox.target().socket.unwrap())
        .args(arguments)
        .env("XDG_STATE_HOME", server.base().join("state"));
    command
}

fn run(server: &Server, words: &[&str], clerk: bool, arguments: &[&str], status: i32) -> String {
    let output = mytls(server, words, clerk, arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.code(), Some(status), "{words:?} {arguments:?}: {said}");
    said
}

fn stored(server: &Server) -> String {
    let columns = "user, host, ssl_type, HEX(ssl_cipher), HEX(x509_issuer), HEX(x509_subject)";
    server.sql(&format!("SELECT {columns} FROM mysql.user ORDER BY user, host")).unwrap()
}

/// The server ends while a thousand accounts are being changed.
fn goes_away(server: &Server) {
    let users: Vec<String> = (0..MANY).map(|number| format!("u{number}")).collect();
    for users in users.chunks(100) {
        let list: Vec<String> = users.iter().map(|user| format!("'{user}'@'%'")).collect();
        server.sql(&format!("CREATE USER {} REQUIRE X509", list.join(", "))).unwrap();
    }
    let before = stored(server);
    let names: Vec<String> = users.iter().map(|user| format!("{user}@%")).collect();
    let mut arguments = vec!["--level", "ssl", "--yes"];
    arguments.extend(names.iter().flat_map(|name| ["--user", name]));
    let count = "SELECT COUNT(*) FROM mysql.user WHERE user LIKE 'u%' AND ssl_type = 'ANY'";
    let changed = || server.sql(count).unwrap().parse::<usize>().unwrap();
    let mut child = mytls(server, &["accounts", "require"], false, &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while changed() < 50 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    server.sandbox.stop_server();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("not to the end: "), "{said}");
    assert!(said.contains("could not be read") && said.contains("mytls undo "), "{said}");
    // while it is away nothing can be taken back, and that is said
    let away = run(server, &["undo"], false, &["--yes"], 3);
    assert!(away.contains("cannot be asked"), "{away}");
    server.sandbox.restart().unwrap();
    let cut = changed();
    assert!((50..MANY).contains(&cut), "in the middle: {cut}");
    let said = run(server, &["undo"], false, &["--yes"], 0);
    assert!(said.contains(&format!("taken back and read back: {cut} accounts")), "{said}");
    assert_eq!(stored(server), before);
}

/// The clerk changes accounts on a server that takes no changes, without the privilege, and with it
/// where one of them is out of reach.
fn privileges(server: &Server, series: Series) {
    let clerk = "'clerk'@'localhost'";
    server.sql(&format!("CREATE USER {clerk} IDENTIFIED BY 'correct horse'")).unwrap();
    server.sql(&format!("GRANT SELECT ON mysql.* TO {clerk}")).unwrap();
    server.sql(&format!("GRANT PROCESS ON *.* TO {clerk}")).unwrap();
    for name in ["a", "b", "c"] {
        server.sql(&format!("CREATE USER '{name}'@'%' REQUIRE X509")).unwrap();
    }
    let before = stored(server);
    let some = ["--level", "ssl", "--user", "a@%", "--user", "b@%", "--user", "c@%", "--yes"];
    let said = run(server, &["accounts", "require"], true, &some, 1);
    assert!(said.contains("CREATE USER") && said.contains("as before: 3 accounts"), "{said}");
    assert_eq!(stored(server), before);

    server.sql(&format!("GRANT CREATE USER ON *.* TO {clerk}")).unwrap();
    server.sql("SET GLOBAL read_only = ON").unwrap();
    let said = run(server, &["accounts", "require"], true, &some, 1);
    assert!(said.contains("read_only") && said.contains("as before: 3 accounts"), "{said}");
    server.sql("SET GLOBAL read_only = OFF").unwrap();
    assert_eq!(stored(server), before);

    if series == Series::MySql97 {
        // one who may change accounts, but not those of the system's
        server.sql("GRANT SYSTEM_USER ON *.* TO 'b'@'%'").unwrap();
        let said = run(server, &["accounts", "require"], true, &some, 1);
        assert!(said.contains("changed and read back: 1 account\n"), "{said}");
        assert!(said.contains("as before: 2 accounts: b@%, c@%"), "{said}");
        assert!(said.contains("SYSTEM_USER"), "{said}");
        let said = run(server, &["undo"], true, &["--yes"], 0);
        assert!(said.contains("taken back and read back: 1 account\n"), "{said}");
        assert_eq!(stored(server), before);
    }
}

/// As long as the server takes them, and with what it takes.
fn odd_names(server: &Server, series: Series) {
    let long = if series == Series::MySql97 { 32 } else { 80 };
    let names =
        ["x".repeat(long), "ü".repeat(long), "a\tb\n;\n'`\"\\%_".to_owned(), "x y@z".to_owned()];
    let quoted = names.clone().map(|name| name.replace('\'', "''"));
    for name in &quoted {
        let name = name.replace('\\', "\\\\");
        server
            .sql(&format!("SET NAMES utf8mb4; CREATE USER '{name}'@'10.0.%' REQUIRE X509"))
            .unwrap();
    }
    let before = stored(server);
    let accounts = quoted.map(|name| format!("'{name}'@'10.0.%'"));
    let mut arguments = vec!["--level", "ssl", "--yes"];
    arguments.extend(accounts.iter().flat_map(|name| ["--user", name]));
    let said = run(server, &["accounts", "require"], false, &arguments, 0);
    assert!(said.contains("changed and read back: 4 accounts"), "{said}");
    assert_ne!(stored(server), before);
    let said = run(server, &["undo"], false, &["--yes"], 0);
    assert!(said.contains("taken back and read back: 4 accounts"), "{said}");
    assert_eq!(stored(server), before);
    // longer than any account: there is none, and nothing else is changed
    let longer = format!("{}@10.0.%", "x".repeat(long + 1));
    let none = ["--level", "ssl", "--user", &longer, "--user", &accounts[0], "--yes"];
    let said = run(server, &["accounts", "require"], false, &none, 2);
    assert!(said.contains("no account") || said.contains("33 characters"), "{said}");
    assert!(said.contains(&longer), "{said}");
    assert_eq!(stored(server), before);
}

/// What cannot be seen is said to be so.
fn without_performance_schema(server: &Server) {
    let config = server.dir().join("my.cnf");
    let text = std::fs::read_to_string(&config).unwrap();
    let off = text.replace("performance_schema = ON", "performance_schema = OFF");
    assert_ne!(off, text);
    std::fs::write(&config, off).unwrap();
    server.sandbox.restart().unwrap();
    let said = run(server, &["accounts"], false, &[], 0);
    assert!(said.contains("not seen: performance_schema is off"), "{said}");
    assert!(said.contains("app@%"), "{said}");
    let asked = ["--level", "ssl", "--user", "a@%", "--dry-run"];
    let said = run(server, &["accounts", "require"], false, &asked, 0);
    assert!(
        said.contains("how sessions come in is not known: performance_schema is off"),
        "{said}"
    );

    let target = server.sandbox.target();
    let ca_dir = target.ca_dir.unwrap();
    let port = target.port.unwrap().to_string();
    let ca = target.ssl_ca.unwrap();
    let proof = [
        "--user",
        "app@%",
        "-h",
        "127.0.0.1",
        "-P",
        &port,
        "--ssl-ca",
        ca.to_str().unwrap(),
        "--ca-dir",
        ca_dir.to_str().unwrap(),
    ];
    let output = mytls(server, &["prove"], false, &proof).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Not proved: not every login") && said.contains("error.log"), "{said}");
}

fn all(series: Series) {
    let Some(program) = lab::servers().into_iter().find(|program| program.series == series) else {
        return;
    };
    let server = program.start(&Fault::none()).unwrap();
    privileges(&server, series);
    odd_names(&server, series);
    goes_away(&server);
    without_performance_schema(&server);
}

#[test]
fn mariadb_says_what_went_wrong() {
    all(Series::MariaDb1011);
}

#[test]
fn mysql_says_what_went_wrong() {
    all(Series::MySql97);
}
