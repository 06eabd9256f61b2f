//! The server's own word, over SQL.

use std::collections::BTreeMap;

use mysql::prelude::Queryable as _;
use mysql::{Conn, Row, Value};

use super::{Flavor, ServerFacts, Session, Transport, Version};
use crate::printable::printable;

/// What is asked of `SHOW GLOBAL VARIABLES`. A server lacks some of them, each version others.
const VARIABLES: [&str; 49] = [
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
    "server_uuid",
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
    "log_error_services",
    "log_error_suppression_list",
    "log_syslog",
    "log_warnings",
    "skip_name_resolve",
    "max_connections",
    "max_user_connections",
    "max_connect_errors",
    "performance_schema",
    "sql_mode",
    "admin_ssl_cert",
    "admin_port",
    "admin_address",
    "mysqlx_bind_address",
    "mysqlx_port",
    "extra_port",
    "wsrep_on",
    "check_proxy_users",
    "mysql_native_password_proxy_users",
    "sha256_password_proxy_users",
    "caching_sha2_password_proxy_users",
    "system_versioning_alter_history", // only MariaDB has it, whatever its version text says
];

/// What is asked of `SHOW SESSION STATUS`.
const STATUS: [&str; 11] = [
    "Ssl_cipher",
    "Ssl_version",
    "Ssl_server_not_before",
    "Ssl_server_not_after",
    "Uptime",
    "Tls_library_version",
    OPENSSL_ALONE,
    "Current_tls_ca",
    "Current_tls_cert",
    "Current_tls_key",
    "Current_tls_version",
];

/// A status variable that MySQL 5.6 and 5.7 have when they are built with OpenSSL, and not with yaSSL
/// (manual 5.7, section 6.3.3 "SSL Library-Dependent Capabilities").
const OPENSSL_ALONE: &str = "Rsa_public_key";

/// Asks everything. What the account may not see is left out with the reason.
pub fn read(conn: &mut Conn, over: Transport) -> Result<ServerFacts, mysql::Error> {
    let variables = pairs(conn, "GLOBAL VARIABLES", &VARIABLES)?;
    let variables: BTreeMap<_, _> =
        variables.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let mut status: BTreeMap<_, _> = pairs(conn, "SESSION STATUS", &STATUS)?.into_iter().collect();
    let has_openssl = status.remove(OPENSSL_ALONE).is_some();
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
        // up to 5.7 no variable names the library
        let old = flavor == Flavor::MySql && version < Version(5, 7, 28);
        old.then(|| if has_openssl { "OpenSSL 1" } else { "YaSSL" }.to_owned())
    });
    let seen = super::inventory::read(conn, flavor, text("performance_schema") == "ON");
    let own_account =
        if seen.accounts.read().is_some() { None } else { super::own_account::read(conn, flavor) };
    Ok(ServerFacts {
        own_account,
        flavor,
        version,
        version_text: printable(version_text.trim()).into_owned(),
        tls_library,
        current_user: current_user
            .map(|row| printable(&cell(&row, 0)).into_owned())
            .unwrap_or_default(),
        session,
        accounts: seen.accounts,
        roles: seen.roles,
        sessions: seen.sessions,
        processes: seen.processes,
        unseen: seen.unseen,
        sources: seen.sources,
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

/// A column as text; NULL, and columns that are not there, are empty.
pub(super) fn cell(row: &Row, index: usize) -> String {
    match row.as_ref(index) {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::UInt(number)) => number.to_string(),
        _ => String::new(),
    }
}
