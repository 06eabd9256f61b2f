//! `mytls grant` as a process: bad input, and on real servers that nothing changes but the clause.

mod common;
#[path = "common/program.rs"]
mod program;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::lab::{self, Server};
use mytls::sandbox::{Fault, Series};
use program::{mytls, ok, path, refused, text};
use serde_json::Value;

/// A CA with certificates for these accounts.
struct Ca {
    folder: tempfile::TempDir,
}

impl Ca {
    fn new(accounts: &[&str]) -> Self {
        let ca = Self { folder: tempfile::tempdir().unwrap() };
        let dir = ca.dir();
        ok(&["ca", "create", "--ca-dir", path(&dir), "--name", "Own CA", "--no-passphrase"]);
        for account in accounts {
            let out = ca.folder.path().join(account);
            ok(&["ca", "client", "--ca-dir", path(&dir), "--user", account, "--out", path(&out)]);
        }
        ca
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("ca")
    }

    fn cert(&self, account: &str) -> String {
        path(&self.folder.path().join(account).join("client-cert.pem")).to_owned()
    }
}

#[test]
fn what_its_ca_revoked_gets_no_statement() {
    let ca = Ca::new(&["app", "web"]);
    let (dir, cert) = (ca.dir(), ca.cert("app"));
    ok(&["ca", "revoke", "--ca-dir", path(&dir), "app", "--reason", "key-compromise"]);
    let kept = dir.join("clients/app/client-cert.pem");
    let mysql = ["--user", "app", "--dialect", "mysql-9.7", "--tls-library", "openssl-3"];
    // by the folder it lies in, or by the CA that is named
    for cert in [&["--cert", path(&kept)][..], &["--cert", &cert, "--ca-dir", path(&dir)]] {
        let said = refused(&[&["grant"], cert, &mysql].concat());
        assert!(said.contains("revoked it on ") && said.contains("(key-compromise)"), "{said}");
        assert!(said.contains("issue another: mytls ca client --ca-dir"), "{said}");
        let by_issuer = mytls(&[&["grant", "--level", "issuer"], cert, &mysql].concat());
        assert!(by_issuer.status.success(), "it names the CA alone");
        assert!(text(&by_issuer.stderr).contains("warning: the CA in "), "{by_issuer:?}");
    }
    let web = ca.cert("web");
    ok(&[&["grant", "--cert", &web, "--ca-dir", path(&dir)], &mysql[..]].concat());
}

#[test]
fn what_cannot_be_used_is_refused_with_what_to_do() {
    let ca = Ca::new(&["app"]);
    let (dir, cert) = (ca.dir(), ca.cert("app"));
    let (dir, cert) = (path(&dir), cert.as_str());
    let key = cert.replace("client-cert", "client-key");
    let root = format!("{dir}/ca.pem");
    let text_file = format!("{dir}/index.jsonl");
    let long = "a".repeat(33);
    let mysql: &[&str] = &["--dialect", "mysql-9.7", "--tls-library", "openssl-3"];
    let cases: &[(&[&str], &str)] = &[
        (&["--user", "app"], "--cert client-cert.pem, or --ca-dir"),
        (&["--cert", cert], "--user app@10.0.%"),
        (&["--level", "ssl"], "--user app@10.0.%"),
        (&["--cert", "/nowhere", "--user", "app"], "no such file; name the client's certificate"),
        (&["--cert", "/", "--user", "app"], "directory"),
        (&["--cert", &text_file, "--user", "app"], "no PEM block"),
        (&["--cert", &key, "--user", "app"], "it holds no certificate"),
        (&["--cert", &root, "--user", "app"], "that of a CA (CN=Own CA); name the client's own"),
        (&["--cert", cert, "--user", "@"], "the user is missing"),
        (&["--cert", cert, "--user", "'app"], "not closed"),
        (&["--cert", cert, "--user", "app@"], "the host is missing"),
        (&["--cert", cert, "--user", &long], "33 characters, and MySQL 9.7 takes 32"),
        (&["--cert", cert, "--user", "'a\r\nb'"], "RENAME USER"),
        (
            &["--cert", cert, "--user", "app", "--dialect", "oracle-19"],
            "there is no dialect `oracle-19`",
        ),
        (&["--cert", cert, "--user", "app", "--dialect", "mysql-9"], "mysql-9.7"),
        (
            &["--cert", cert, "--user", "app", "--tls-library", "gnutls"],
            "possible values: openssl-3",
        ),
        (&["--cert", cert, "--user", "app", "--form", "grant"], "MySQL 9.7 has no GRANT"),
        (&["--cert", cert, "--user", "app", "--cipher", "aes"], "there is no cipher suite `aes`"),
        (&["--cert", cert, "--user", "app", "--cipher", "AES128-SHA"], "nobody could log in"),
        (
            &["--cert", cert, "--user", "app", "--level", "none", "--cipher", "AES128-GCM-SHA256"],
            "nobody could log in",
        ),
        (
            &["--cert", cert, "--user", "app", "-h", "db1"],
            "leave it out, or the options that name a server",
        ),
        (&["--ca-dir", "/nowhere"], "mytls ca create"),
        (&["--ca-dir", dir, "--user", "web"], "no valid certificate for web@%"),
    ];
    for (arguments, why) in cases {
        let named = arguments.contains(&"--dialect") || arguments.contains(&"/nowhere/x");
        let mut all = vec!["grant"];
        all.extend(*arguments);
        if !named {
            all.extend(mysql);
        }
        let said = refused(&all);
        assert!(said.contains(why), "{arguments:?}: {said}");
        let output = mytls(&all);
        assert_eq!(text(&output.stdout), "", "{arguments:?}: nothing is there to be piped");
    }
    // nobody answers: exit 3, and how to do without
    let output = mytls(&["grant", "--cert", cert, "--user", "app", "-u", "x", "-S", "/nowhere"]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(3) && said.contains("--dialect mysql-9.7"), "{said}");
}

#[test]
fn escape_sequences_do_not_reach_the_terminal_by_way_of_warnings() {
    let ca = Ca::new(&["app"]);
    let output = mytls(&[
        "grant",
        "--cert",
        &ca.cert("app"),
        "--user",
        "\x1b[2Japp",
        "--dialect",
        "mysql-5.6",
        "--form",
        "create",
        "--level",
        "ssl",
    ]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains(r"\x1B[2Japp@% would be open"), "{said}");
    assert!(text(&output.stdout).contains("\x1b[2Japp"), "the statement itself is exact");
}

#[test]
fn where_the_library_is_not_known_the_other_spelling_is_shown() {
    let ca = Ca::new(&[]);
    let dir = ca.dir();
    let request = ca.folder.path().join("odd.csr");
    let key = ca.folder.path().join("odd.key");
    program::openssl(&[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        path(&key),
        "-out",
        path(&request),
        "-subj",
        r"/O=A\/B/CN=app",
    ]);
    let cert = ca.folder.path().join("odd.pem");
    let (ca_pem, ca_key) = (dir.join("ca.pem"), dir.join("ca-key.pem"));
    program::openssl(&[
        "x509",
        "-req",
        "-in",
        path(&request),
        "-CA",
        path(&ca_pem),
        "-CAkey",
        path(&ca_key),
        "-days",
        "9",
        "-out",
        path(&cert),
    ]);
    let with = |server: &[&str]| {
        let output = mytls(&[&["grant", "--cert", path(&cert), "--user", "app"], server].concat());
        (text(&output.stdout), text(&output.stderr))
    };
    let (sql, said) = with(&["--dialect", "mariadb-10.11"]);
    assert!(sql.contains(r"SUBJECT '/O=A\/B/CN=app'"), "{sql}");
    assert!(said.contains("it would be SUBJECT '/O=A/B/CN=app'"), "{said}");
    assert!(said.contains("the login decides"), "{said}");
    let (sql, said) = with(&["--dialect", "mysql-8.0.20", "--tls-library", "openssl-1.1"]);
    assert!(sql.contains("SUBJECT '/O=A/B/CN=app'") && !sql.contains("sql_mode"), "{sql}");
    assert!(said.contains("an upgrade") && !said.contains("not known"), "{said}");
}

#[test]
fn a_whole_ca_is_written_at_once_and_read_by_machines() {
    let ca = Ca::new(&["app", "web", "gone"]);
    let dir = ca.dir();
    ok(&["ca", "revoke", "--ca-dir", path(&dir), "gone"]);
    ok(&[
        "ca",
        "client",
        "--ca-dir",
        path(&dir),
        "--user",
        "batch@10.0.%",
        "--out",
        path(&ca.folder.path().join("b")),
    ]);
    let server = ["--dialect", "mysql-9.7", "--tls-library", "openssl-3"];
    let all = [&["grant", "--ca-dir", path(&dir)], &server[..]].concat();
    assert_eq!(
        ok(&all).lines().filter(|line| line.starts_with("ALTER")).collect::<Vec<_>>(),
        [
            "ALTER USER 'app'@'%' REQUIRE",
            "ALTER USER 'web'@'%' REQUIRE",
            "ALTER USER 'batch'@'10.0.%' REQUIRE"
        ]
    );
    let json: Value =
        serde_json::from_str(&ok(&[&all[..], &["--format", "json"]].concat())).unwrap();
    assert_eq!(json["accounts"].as_array().unwrap().len(), 3);
    assert_eq!(json["accounts"][0]["require"]["specified"]["subject"], "/O=Own CA/CN=app");
    assert_eq!(json["server"]["names"], "openssl-3");
    assert_eq!(json["statements"].as_array().unwrap().len(), 3);
    // several accounts share a statement where they require the same
    let both = [&["grant", "--user", "a", "--user", "b@x", "--level", "ssl"], &server[..]].concat();
    assert_eq!(ok(&both), "ALTER USER 'a'@'%', 'b'@'x' REQUIRE SSL;\n");
}

#[test]
fn nothing_else_about_an_account_changes() {
    for program in lab::servers() {
        let server = program.start(&Fault::named("none").unwrap()).unwrap();
        let series = server.sandbox.series();
        make_rich(&server);
        let before = all_else(&server);
        let ca = server.dir().join("client/app-cert.pem");
        let cert = path(&ca);
        let cipher = match series {
            Series::MySql56 => "AES256-SHA",
            _ => "ECDHE-RSA-AES256-GCM-SHA384",
        };
        let levels = ["subject-issuer", "issuer", "x509", "ssl", "none", "cipher"];
        for level in levels {
            let mut arguments = vec!["--cert", cert, "--user", r"rich\'x@%"];
            match level {
                "cipher" => arguments.extend(["--cipher", cipher]),
                level => arguments.extend(["--level", level]),
            }
            let said = apply(&server, &arguments);
            assert_eq!(all_else(&server), before, "{series} {level}: {said}");
            let required = pipe(&server, "SELECT ssl_type FROM mysql.user WHERE user LIKE 'rich%'");
            let required = required.unwrap();
            let wanted = match level {
                "none" => "",
                "ssl" => "ANY",
                "x509" => "X509",
                _ => "SPECIFIED",
            };
            assert_eq!(required.trim(), wanted, "{series}");
        }
        // a slip of the pen makes no account
        let written = ok(&["grant", "--cert", cert, "--user", "tpyo", "--dialect", series.name()]);
        let said = pipe(&server, &written).unwrap_err();
        assert!(said.contains("1396") || said.contains("1133"), "{series}: {said}");
        let users = || pipe(&server, "SELECT user FROM mysql.user WHERE user = 'tpyo'").unwrap();
        assert_eq!(users(), "", "{series}");
        let asked = server.mytls("grant", &["--cert", cert, "--user", "tpyo"]);
        assert!(text(&asked.stderr).contains("--form create"), "{series}");
        // and make it does, closed from the first moment
        apply(&server, &["--cert", cert, "--user", "tpyo", "--form", "create"]);
        let made = pipe(&server, "SELECT ssl_type FROM mysql.user WHERE user = 'tpyo'").unwrap();
        assert_eq!(made.trim(), "SPECIFIED", "{series}");
        // every account of the CA's folder, found on the server
        let of_ca = server.mytls("grant", &[]);
        assert!(
            text(&of_ca.stdout).contains("'app'@'%' REQUIRE"),
            "{series}: {}",
            text(&of_ca.stderr)
        );
        println!("{series}: the clause alone");
    }
}

/// An account with everything that an account can have here.
fn make_rich(server: &Server) {
    let name = r"'rich\\''x'@'%'";
    let more = match server.sandbox.series() {
        Series::MySql97 => format!(
            "CREATE ROLE helper; GRANT helper TO {name}; ALTER USER {name} DEFAULT ROLE helper; \
             ALTER USER {name} WITH MAX_QUERIES_PER_HOUR 7 PASSWORD EXPIRE INTERVAL 9 DAY \
             FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 4 COMMENT 'it''s rich';"
        ),
        Series::MySql56 => format!("GRANT USAGE ON *.* TO {name} WITH MAX_QUERIES_PER_HOUR 7;"),
        _ => format!(
            "CREATE ROLE helper; GRANT helper TO {name}; SET DEFAULT ROLE helper FOR {name}; \
             ALTER USER {name} WITH MAX_QUERIES_PER_HOUR 7 PASSWORD EXPIRE INTERVAL 9 DAY;"
        ),
    };
    let sql = format!(
        "CREATE USER {name} IDENTIFIED BY 'secret'; GRANT SELECT, INSERT ON shop.* TO {name} WITH GRANT \
         OPTION; {more}"
    );
    pipe(server, &sql).unwrap();
}

/// Every column that is not about TLS, of the account's own row and those of its privileges.
fn all_else(server: &Server) -> String {
    let tables = ["user", "db", "default_roles", "roles_mapping", "role_edges"];
    let mut all = String::new();
    for table in tables {
        let columns = pipe(
            server,
            &format!(
                "SET SESSION group_concat_max_len = 65536; SELECT GROUP_CONCAT(column_name) FROM information_schema.columns WHERE table_schema = \
                 'mysql' AND table_name = '{table}' AND column_name NOT IN ('ssl_type', 'ssl_cipher', \
                 'x509_issuer', 'x509_subject')"
            ),
        );
        let columns = columns.unwrap().trim().to_owned();
        if columns == "NULL" {
            continue; // not on this server
        }
        let user = if table == "role_edges" { "to_user" } else { "user" };
        let rows = format!("SELECT {columns} FROM mysql.{table} WHERE {user} LIKE 'rich%'");
        all += &pipe(server, &rows).unwrap();
    }
    if matches!(server.sandbox.series(), Series::MariaDb1011 | Series::MariaDb118) {
        let rest = "SELECT JSON_REMOVE(Priv, '$.ssl_type', '$.ssl_cipher', '$.x509_issuer', \
                    '$.x509_subject') FROM mysql.global_priv WHERE user LIKE 'rich%'";
        let rest: Value = serde_json::from_str(&pipe(server, rest).unwrap()).unwrap();
        all += &rest.to_string();
    }
    assert!(all.contains("rich"), "{all}");
    all
}

/// What `mytls grant` prints for this server, through the client, whose settings stay as they were.
fn apply(server: &Server, arguments: &[&str]) -> String {
    let output = server.mytls("grant", arguments);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let sql = text(&output.stdout);
    let settings =
        "SELECT @@SESSION.sql_mode, @@SESSION.character_set_client, @@SESSION.sql_log_bin;";
    let told = pipe(server, &format!("{settings}\n{sql}{settings}")).unwrap();
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(told[0], told[1], "{sql}");
    said
}

fn pipe(server: &Server, sql: &str) -> Result<String, String> {
    let plain = (server.sandbox.series() == Series::MySql56).then_some("--skip-ssl");
    let mut child = Command::new(lab::client())
        .arg(format!("--defaults-file={}", server.dir().join("client.cnf").display()))
        .args(plain)
        .args(["--batch", "--skip-column-names", "--default-character-set=utf8mb4"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
