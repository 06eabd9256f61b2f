//! `mytls accounts` on real servers: what it lists, with every privilege and with few, and of many.

mod common;

use std::process::Output;

use common::lab::{self, Server};
use mytls::sandbox::{Fault, Series};
use serde_json::Value;

const MANY: usize = 20_000;

fn accounts(server: &Server, user: Option<&str>, arguments: &[&str]) -> Output {
    let target = server.sandbox.target();
    let mut command = lab::mytls();
    command.arg("accounts").arg("-S").arg(target.socket.clone().unwrap());
    match user {
        None => command.arg("--defaults-file").arg(server.dir().join("client.cnf")),
        Some(user) => command.args(["-u", user]).env("MYSQL_PWD", "correct horse"),
    };
    command.args(arguments).output().unwrap()
}

fn listed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn one(list: &Value, account: &str) -> Value {
    let all = list["accounts"].as_array().unwrap();
    all.iter().find(|one| one["account"] == account).unwrap_or_else(|| panic!("{account}")).clone()
}

fn shows(series: Series, locks: &[&str], many: &str) {
    let Some(program) = lab::servers().into_iter().find(|program| program.series == series) else {
        return;
    };
    let server = program.start(&Fault::none()).unwrap();
    for statement in locks {
        server.sql(statement).unwrap();
    }
    let list = listed(&accounts(&server, None, &["--format", "json"]));
    assert_eq!(one(&list, "app@%")["require"], "SUBJECT + ISSUER");
    assert_eq!(one(&list, "shut@%")["locked"], true);
    assert_eq!(one(&list, "old@%")["password_expired"], true);
    assert_eq!(one(&list, "clerk@%")["roles"].as_array().unwrap().len(), 1);
    assert_eq!(one(&list, "repl@%")["may_replicate"], true);
    assert_eq!(list["unseen"].as_array().unwrap().len(), 0, "{}", list["unseen"]);

    // with next to no privileges: says so, and what would show more
    let output = accounts(&server, Some("few"), &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("GRANT SELECT ON mysql.*") && said.contains("PROCESS"), "{said}");

    // its own it sees all the same
    let own = listed(&accounts(&server, Some("few"), &["--format", "json"]));
    assert_eq!(own["accounts"].as_array().unwrap().len(), 1, "{own}");
    let own = one(&own, "few@localhost");
    assert_eq!((&own["require"], &own["locked"]), (&"NONE".into(), &false.into()), "{own}");
    let row = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(row.contains("few@localhost  NONE"), "{row}");

    server.sql(many).unwrap();
    let output = accounts(&server, None, &["--filter", "many1234"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // the head, many1234 itself, and many12340 to many12349
    assert_eq!(text.lines().count(), 12, "{text}");
    let list = listed(&accounts(&server, None, &["--format", "json"]));
    assert!(list["accounts"].as_array().unwrap().len() > MANY);
}

#[test]
fn mariadb_lists_what_may_be_seen() {
    shows(
        Series::MariaDb1011,
        &[
            "CREATE USER 'shut'@'%' ACCOUNT LOCK",
            "CREATE USER 'old'@'%' IDENTIFIED BY 'correct horse' PASSWORD EXPIRE",
            "CREATE ROLE clerks",
            "CREATE USER 'clerk'@'%'",
            "GRANT clerks TO 'clerk'@'%'",
            "CREATE USER 'repl'@'%'",
            "GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%'",
            "CREATE USER 'few'@'localhost' IDENTIFIED BY 'correct horse'",
        ],
        &format!(
            "INSERT INTO mysql.global_priv SELECT '%', CONCAT('many', seq), Priv \
             FROM mysql.seq_1_to_{MANY}, mysql.global_priv WHERE User = 'clerk'"
        ),
    );
}

#[test]
fn mysql_lists_what_may_be_seen() {
    let columns = "Host, ssl_cipher, x509_issuer, x509_subject, plugin, authentication_string";
    shows(
        Series::MySql97,
        &[
            "CREATE USER 'shut'@'%' ACCOUNT LOCK",
            "CREATE USER 'old'@'%' IDENTIFIED BY 'correct horse' PASSWORD EXPIRE",
            "CREATE ROLE clerks",
            "CREATE USER 'clerk'@'%'",
            "GRANT clerks TO 'clerk'@'%'",
            "CREATE USER 'repl'@'%'",
            "GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%'",
            "CREATE USER 'few'@'localhost' IDENTIFIED BY 'correct horse'",
        ],
        &format!(
            "SET SESSION cte_max_recursion_depth = {MANY}; INSERT INTO mysql.user (User, {columns}) \
             WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < {MANY}) \
             SELECT CONCAT('many', n), {columns} FROM seq, mysql.user WHERE User = 'clerk'"
        ),
    );
}

/// Up to MySQL 5.6 the clause of one's own account stands in its grants. One that REQUIREs anything cannot
/// come in here: today's OpenSSL does not speak to yaSSL for a session, and the socket has no TLS.
#[test]
fn an_old_mysql_shows_somebody_without_privileges_their_own_account() {
    let programs = lab::servers();
    let Some(program) = programs.into_iter().find(|one| one.series == Series::MySql56) else {
        return;
    };
    let server = program.start(&Fault::none()).unwrap();
    let account = "'few'@'localhost' IDENTIFIED BY 'correct horse'";
    server.sql(&format!("GRANT USAGE ON *.* TO {account} WITH MAX_USER_CONNECTIONS 9")).unwrap();
    let output = accounts(&server, Some("few"), &["--format", "json"]);
    assert_eq!(output.status.code(), Some(3), "it may see no other");
    let few = one(&listed(&output), "few@localhost");
    assert_eq!((&few["require"], &few["locked"]), (&"NONE".into(), &false.into()), "{few}");
    server.sql(&format!("GRANT USAGE ON *.* TO {account} REQUIRE SSL")).unwrap();
    let output = accounts(&server, Some("few"), &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("1045") || said.contains("Access denied"), "{said}");
}
