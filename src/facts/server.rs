//! The server's own word, over SQL.

use std::collections::BTreeMap;

use mysql::prelude::Queryable as _;
use mysql::{Conn, Row, Value};

use super::{
    Account, AccountName, Flavor, OtherSession, Require, ServerFacts, Session, Source, Transport,
    UnreadKind, Version,
};
use crate::printable::printable;

/// What is asked of `SHOW GLOBAL VARIABLES`. A server lacks some of them, each version others.
const VARIABLES: [&str; 36] = [
    "version",
    "version_comment",
    "version_ssl_library",
    "have_ssl",
    "ssl_ca",
    "ssl_capath",
    "ssl_cert",
    "ssl_key",
    "ssl_crl",
    "ssl_crlpath",
    "ssl_cipher",
    "tls_version",
    "tls_ciphersuites",
    "require_secure_transport",
    "auto_generate_certs",
    "datadir",
    "pid_file",
    "socket",
    "port",
    "bind_address",
    "skip_networking",
    "hostname",
    "report_host",
    "log_error",
    "log_bin",
    "log_error_verbosity",
    "performance_schema",
    "sql_mode",
    "admin_ssl_cert",
    "admin_port",
    "admin_address",
    "mysqlx_bind_address",
    "mysqlx_port",
    "extra_port",
    "wsrep_on",
    "system_versioning_alter_history", // only MariaDB has it, whatever its version text says
];

/// What is asked of `SHOW SESSION STATUS`.
const STATUS: [&str; 10] = [
    "Ssl_cipher",
    "Ssl_version",
    "Ssl_server_not_before",
    "Ssl_server_not_after",
    "Uptime",
    "Tls_library_version",
    "Current_tls_ca",
    "Current_tls_cert",
    "Current_tls_key",
    "Current_tls_version",
];

/// Asks everything. What the account may not see is left out with the reason.
pub fn read(conn: &mut Conn, over: Transport) -> Result<ServerFacts, mysql::Error> {
    let variables = pairs(conn, "GLOBAL VARIABLES", &VARIABLES)?;
    let variables: BTreeMap<_, _> =
        variables.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let status: BTreeMap<_, _> = pairs(conn, "SESSION STATUS", &STATUS)?.into_iter().collect();
    let current_user = conn.query_first::<Row, _>("SELECT CURRENT_USER()")?;
    let text = |name: &str| variables.get(name).map(String::as_str).unwrap_or_default();
    let version_text = format!("{} {}", text("version"), text("version_comment"));
    let (flavor, version) =
        Version::parse(text("version")).unwrap_or((Flavor::MySql, Version(0, 0, 0)));
    let flavor = match flavor {
        Flavor::MySql if variables.contains_key("system_versioning_alter_history") => {
            Flavor::MariaDb
        }
        Flavor::MySql if text("version_comment").to_ascii_lowercase().contains("mariadb") => {
            Flavor::MariaDb
        }
        other => other,
    };
    let said = |name: &str| status.get(name).cloned().unwrap_or_default();
    let session = Session { over, cipher: said("Ssl_cipher"), tls_version: said("Ssl_version") };
    let tls_library = [variables.get("version_ssl_library"), status.get("Tls_library_version")];
    let tls_library = tls_library.into_iter().flatten().find(|text| !text.is_empty());
    let tls_library = tls_library.map(|text| printable(text).into_owned()).or_else(|| {
        // Up to 5.6, Oracle's own binaries are built with yaSSL, and no variable says so; what
        // tells is that a library of OpenSSL's always sets ssl_cipher's status counters.
        (flavor == Flavor::MySql && version < ServerFacts::NO_YASSL).then(|| "YaSSL".to_owned())
    });
    Ok(ServerFacts {
        flavor,
        version,
        version_text: printable(version_text.trim()).into_owned(),
        tls_library,
        current_user: current_user
            .map(|row| printable(&cell(&row, 0)).into_owned())
            .unwrap_or_default(),
        session,
        accounts: accounts(conn, flavor),
        sessions: sessions(conn, text("performance_schema")),
        clients: super::exposure::clients(conn, text("performance_schema")),
        variables: variables.clone(),
        status,
    })
}

fn pairs(
    conn: &mut Conn,
    what: &str,
    names: &[&str],
) -> Result<Vec<(String, String)>, mysql::Error> {
    let names = names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(",");
    let rows: Vec<Row> = conn.query(format!("SHOW {what} WHERE Variable_name IN ({names})"))?;
    Ok(rows.iter().map(|row| (cell(row, 0), cell(row, 1))).collect())
}

fn accounts(conn: &mut Conn, flavor: Flavor) -> Source<Vec<Account>> {
    read_accounts(conn, flavor).map_or_else(
        |error| {
            Source::unread(
                UnreadKind::Refused,
                format!("the accounts could not be read: {}", super::session::words(&error)),
                "log in as an account with SELECT on the mysql schema",
            )
        },
        Source::Read,
    )
}

fn read_accounts(conn: &mut Conn, flavor: Flavor) -> Result<Vec<Account>, mysql::Error> {
    let columns: Vec<Row> = conn.query("SHOW COLUMNS FROM mysql.user")?;
    let columns: Vec<String> =
        columns.iter().map(|row| cell(row, 0).to_ascii_lowercase()).collect();
    let column = |name: &'static str| {
        if columns.iter().any(|column| column == name) { name } else { "''" }
    };
    let locked = locked_in_mariadb(conn, flavor)?;
    let rows: Vec<Row> = conn.query(format!(
        "SELECT user, host, {}, {}, {}, {}, {}, {}, {} FROM mysql.user",
        column("ssl_type"),
        column("x509_subject"),
        column("x509_issuer"),
        column("ssl_cipher"),
        column("plugin"),
        column("account_locked"),
        column("is_role"),
    ))?;
    let accounts = rows.iter().filter(|row| cell(row, 8) != "Y").map(|row| {
        let name = AccountName::new(cell(row, 0), cell(row, 1));
        let (subject, issuer, cipher) = (cell(row, 3), cell(row, 4), cell(row, 5));
        let require = match cell(row, 2).as_str() {
            "ANY" => Require::Ssl,
            "X509" => Require::X509,
            "SPECIFIED" => Require::Specified { subject, issuer, cipher },
            _ => Require::None,
        };
        let locked = cell(row, 7) == "Y" || locked.contains(&name);
        Account { name, require, plugin: cell(row, 6), locked }
    });
    let mut accounts: Vec<Account> = accounts.collect();
    accounts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(accounts)
}

/// MariaDB (10.4 and later) keeps the lock in a JSON column that its view does not show.
fn locked_in_mariadb(conn: &mut Conn, flavor: Flavor) -> Result<Vec<AccountName>, mysql::Error> {
    if flavor != Flavor::MariaDb {
        return Ok(Vec::new());
    }
    let rows = conn.query::<Row, _>(
        "SELECT user, host FROM mysql.global_priv WHERE JSON_VALUE(Priv, '$.account_locked') = 1",
    );
    match rows {
        Ok(rows) => {
            Ok(rows.iter().map(|row| AccountName::new(cell(row, 0), cell(row, 1))).collect())
        }
        // before 10.4 there is no such table, and no lock
        Err(mysql::Error::MySqlError(error)) if error.code == 1146 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn sessions(conn: &mut Conn, performance_schema: &str) -> Source<Vec<OtherSession>> {
    const NO_SUCH_COLUMN: u16 = 1054;
    const SESSIONS: &str = "SELECT PROCESSLIST_ID, PROCESSLIST_USER, PROCESSLIST_HOST, CONNECTION_TYPE \
        FROM performance_schema.threads WHERE TYPE = 'FOREGROUND' AND PROCESSLIST_ID IS NOT NULL \
        AND PROCESSLIST_USER IS NOT NULL AND PROCESSLIST_ID <> CONNECTION_ID()";
    if performance_schema != "ON" {
        return Source::unread(
            UnreadKind::NotAsked,
            "performance_schema is off, so the server does not tell which sessions use TLS",
            "set performance_schema=ON in the option file and restart",
        );
    }
    match conn.query::<Row, _>(SESSIONS) {
        Ok(rows) => Source::Read(rows.iter().map(other_session).collect()),
        // up to MySQL 5.6 and MariaDB 10.4
        Err(mysql::Error::MySqlError(error)) if error.code == NO_SUCH_COLUMN => Source::unread(
            UnreadKind::NotAsked,
            "a server of this version does not tell which sessions use TLS",
            "",
        ),
        Err(error) => Source::unread(
            UnreadKind::Refused,
            format!("the sessions could not be read: {}", super::session::words(&error)),
            "log in as an account with SELECT on performance_schema and PROCESS",
        ),
    }
}

fn other_session(row: &Row) -> OtherSession {
    OtherSession {
        id: cell(row, 0).parse().unwrap_or(0),
        user: cell(row, 1),
        host: cell(row, 2),
        connection_type: cell(row, 3),
    }
}

/// A column as text; NULL, and columns that are not there, are empty.
fn cell(row: &Row, index: usize) -> String {
    match row.as_ref(index) {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::UInt(number)) => number.to_string(),
        _ => String::new(),
    }
}
