use super::*;
use crate::x509::OneLine;

fn dialect(flavor: Flavor, version: Version) -> Dialect {
    Dialect { flavor, version, names: OneLine::OpenSsl3, names_known: true }
}

fn subject(subject: &str) -> Require {
    Require::Specified { subject: subject.into(), issuer: "/CN=CA".into(), cipher: String::new() }
}

#[test]
fn every_family_gets_the_form_its_grammar_has() {
    let app = [AccountName::new("app", "10.0.%")];
    let sql = |flavor, version, form| {
        dialect(flavor, version).require(&app, &Require::Ssl, form).statements
    };
    let alter = ["ALTER USER 'app'@'10.0.%' REQUIRE SSL"];
    assert_eq!(sql(Flavor::MySql, Version(9, 7, 4), Form::Grant), alter);
    assert_eq!(sql(Flavor::MySql, Version(26, 7, 0), Form::Alter), alter);
    assert_eq!(sql(Flavor::MariaDb, Version(12, 1, 2), Form::Alter), alter);
    assert_eq!(
        sql(Flavor::MariaDb, Version(10, 11, 19), Form::Create),
        ["CREATE USER 'app'@'10.0.%' REQUIRE SSL"]
    );
}

#[test]
fn a_grant_makes_no_account_by_a_slip_of_the_pen_and_create_makes_it_closed() {
    let app = [AccountName::new("app", "%")];
    let sql = |flavor, version, form| {
        dialect(flavor, version).require(&app, &Require::X509, form).statements
    };
    let back = "SET SESSION sql_mode = @mytls_sql_mode";
    let grant = [
        "SET @mytls_sql_mode = @@SESSION.sql_mode, \
         SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',NO_AUTO_CREATE_USER')",
        "GRANT USAGE ON *.* TO 'app'@'%' REQUIRE X509",
        back,
    ];
    assert_eq!(sql(Flavor::MySql, Version(5, 6, 24), Form::Alter), grant);
    assert_eq!(sql(Flavor::MariaDb, Version(10, 11, 19), Form::Grant), grant);
    let create = [
        "SET @mytls_sql_mode = @@SESSION.sql_mode, \
         SESSION sql_mode = REPLACE(@@SESSION.sql_mode, 'NO_AUTO_CREATE_USER', '')",
        "GRANT USAGE ON *.* TO 'app'@'%' REQUIRE X509",
        back,
    ];
    assert_eq!(sql(Flavor::MySql, Version(5, 6, 24), Form::Create), create);
}

#[test]
fn what_is_made_without_a_password_is_said() {
    let app = [AccountName::new("app", "%")];
    let warnings = |require| {
        let dialect = dialect(Flavor::MySql, Version(9, 7, 4));
        dialect.require(&app, &require, Form::Create).warnings
    };
    assert!(warnings(Require::X509)[0].contains("no password"));
    assert!(warnings(Require::Ssl)[1].contains("app@% would be open to anybody"));
}

#[test]
fn subject_and_issuer_stand_on_lines_of_their_own() {
    let app = [AccountName::new("app", "%")];
    let written = dialect(Flavor::MariaDb, Version(10, 11, 19)).require(
        &app,
        &subject("/C=SE/CN=app"),
        Form::Alter,
    );
    assert_eq!(
        written.sql(),
        "ALTER USER 'app'@'%' REQUIRE\n  SUBJECT '/C=SE/CN=app'\n  AND ISSUER '/CN=CA';"
    );
    assert_eq!(written.warnings, Vec::<String>::new());
}

#[test]
fn backslashes_are_kept_from_the_lexer_by_the_sql_mode_which_is_put_back() {
    let app = [AccountName::new(r"app\", "%")];
    let of = |flavor, version| {
        dialect(flavor, version).require(&app, &subject(r"/CN=Jos\xC3\xA9"), Form::Alter)
    };
    let written = of(Flavor::MySql, Version(9, 7, 4));
    assert_eq!(
        written.statements,
        [
            "SET @mytls_sql_mode = @@SESSION.sql_mode, SESSION sql_mode = \
             CONCAT(@@SESSION.sql_mode, ',NO_BACKSLASH_ESCAPES')",
            "ALTER USER 'app\\'@'%' REQUIRE\n  SUBJECT '/CN=Jos\\xC3\\xA9'\n  AND ISSUER '/CN=CA'",
            "SET SESSION sql_mode = @mytls_sql_mode",
        ]
    );
    assert_eq!(written.change_at(), 1);
    assert!(written.warnings[0].contains("pt-show-grants"), "{:?}", written.warnings);
    // its dumps are right
    assert_eq!(of(Flavor::MariaDb, Version(10, 11, 19)).warnings, [""; 0]);
    assert_eq!(of(Flavor::MariaDb, Version(10, 6, 5)).warnings.len(), 1);
}

#[test]
fn what_is_not_ascii_is_read_as_utf_8() {
    let app = [AccountName::new("Jörg", "%")];
    let written =
        dialect(Flavor::MySql, Version(9, 7, 4)).require(&app, &Require::Ssl, Form::Alter);
    assert_eq!(
        written.sql(),
        "SET @mytls_charset = @@SESSION.character_set_client, SESSION character_set_client = \
         utf8mb4;\nALTER USER 'Jörg'@'%' REQUIRE SSL;\n\
         SET SESSION character_set_client = @mytls_charset;"
    );
}

#[test]
fn an_apostrophe_is_doubled_and_on_mysql_kept_out_of_the_binary_log() {
    let (neil, plain) = ([AccountName::new("o'neil", "%")], [AccountName::new("app", "%")]);
    let (odd, require) = (subject("/CN=O'Neil"), subject("/CN=app"));
    let written = |flavor, version| {
        let orders: [Order; 2] = [(&neil, &odd), (&plain, &require)];
        dialect(flavor, version).script(orders, Form::Alter)
    };
    let mysql = written(Flavor::MySql, Version(9, 7, 4));
    let [logged, off, unlogged, on] = &mysql.statements[..] else { panic!("{mysql:#?}") };
    assert!(logged.starts_with("ALTER USER 'app'@'%'"), "the others are in the log: {logged}");
    assert!(off.ends_with("SESSION sql_log_bin = 0") && on.ends_with("= @mytls_log_bin"));
    assert!(unlogged.contains("'o''neil'@'%'") && unlogged.contains("'/CN=O''Neil'"));
    assert_eq!(mysql.change_at(), 2);
    let said = mysql.warnings.join("\n");
    assert!(
        said.contains("1064") && said.contains("o'neil@%") && !said.contains("app@%"),
        "{said}"
    );
    let mariadb = written(Flavor::MariaDb, Version(10, 11, 19));
    assert_eq!((mariadb.statements.len(), mariadb.warnings.len()), (2, 0));
}

#[test]
fn of_many_accounts_the_first_are_named() {
    let many: Vec<_> = (0..5).map(|at| AccountName::new(format!("a{at}"), "%")).collect();
    let odd = subject("/CN=O'Neil");
    let written = dialect(Flavor::MySql, Version(9, 7, 4)).require(&many, &odd, Form::Alter);
    assert!(written.warnings[0].contains("a0@%, a1@%, a2@% and 2 more"));
}

#[test]
fn nothing_asked_for_never_becomes_an_empty_string() {
    let nothing =
        Require::Specified { subject: String::new(), issuer: String::new(), cipher: String::new() };
    assert_eq!(clause(&nothing), " X509");
}

#[test]
fn reload_is_known_where_it_exists() {
    assert_eq!(reload(Flavor::MySql, Version(5, 7, 40)), None);
    assert_eq!(reload(Flavor::MySql, Version(26, 7, 0)), Some("ALTER INSTANCE RELOAD TLS;"));
    assert_eq!(reload(Flavor::MariaDb, Version(10, 11, 19)), Some("FLUSH SSL;"));
}
