//! What is in force by the server's own word, beside what the wire shows; and who is in without TLS now.

use std::collections::BTreeMap;

use mysql::prelude::Queryable as _;
use mysql::{Conn, Row};
use serde::{Deserialize, Serialize};

use super::names;
use super::result::TlsScan;
use crate::facts::session::words;
use crate::printable::printable;

/// Asked in one session. What the account may not see is said in `unseen`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InForce {
    /// Of the session in which this was asked: `TLSv1.3`, and OpenSSL's name of the suite.
    pub session_version: String,
    pub session_cipher: String,
    /// `tls_version`, `ssl_cipher`, `tls_ciphersuites`, `require_secure_transport` as far as they are set.
    pub variables: BTreeMap<String, String>,
    /// `Ssl_cipher_list`: what the server would take of this session.
    pub cipher_list: Vec<String>,
    /// Sessions over TCP without TLS; `None` where the server does not tell.
    pub plain_sessions: Option<Vec<PlainSession>>,
    /// Where this server replicates from.
    pub channels: Vec<Channel>,
    /// Other ports and cluster traffic, one sentence each.
    pub beside: Vec<String>,
    /// Where the wire and the server's word differ, one sentence each.
    pub differences: Vec<String>,
    pub unseen: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainSession {
    pub user: String,
    pub from: String,
    /// Seconds that the server has counted for what it does now; it does not tell since when it is in.
    pub for_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    pub source: String,
    pub encrypted: bool,
    /// The source's certificate is looked at.
    pub verified: bool,
}

const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('tls_version','ssl_cipher',\
    'tls_ciphersuites','require_secure_transport','max_connect_errors','performance_schema','admin_address',\
    'admin_port','admin_ssl_cert','admin_tls_version','extra_port','mysqlx_port','mysqlx_ssl_cert','wsrep_on',\
    'wsrep_provider_options','group_replication_ssl_mode')";
const STATUS: &str = "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_cipher_list','Ssl_cipher',\
    'Ssl_version','Mysqlx_port')";
const PLAIN: &str = "SELECT PROCESSLIST_USER, PROCESSLIST_HOST, PROCESSLIST_TIME \
    FROM performance_schema.threads WHERE TYPE='FOREGROUND' AND CONNECTION_TYPE='TCP/IP' \
    AND PROCESSLIST_USER IS NOT NULL ORDER BY 1,2";

/// Asks it all; and the server's `max_connect_errors`.
pub fn in_force(conn: &mut Conn) -> (Option<u32>, InForce) {
    let mut unseen = Vec::new();
    let mut variables = pairs(conn, VARIABLES, &mut unseen);
    let status = pairs(conn, STATUS, &mut unseen);
    let said = |name: &str| status.get(name).cloned().unwrap_or_default();
    let limit = variables.get("max_connect_errors").and_then(|limit| limit.parse::<u64>().ok());
    let plain_sessions = if variables.get("performance_schema").is_some_and(|on| on == "ON") {
        plain_sessions(conn, &mut unseen)
    } else {
        unseen.push("sessions without TLS: performance_schema is off".to_owned());
        None
    };
    let (channels, beside) = (channels(conn, &mut unseen), beside(&variables));
    variables.retain(|name, value| KEPT.contains(&name.as_str()) && !value.is_empty());
    let in_force = InForce {
        session_version: said("Ssl_version"),
        session_cipher: said("Ssl_cipher"),
        cipher_list: said("Ssl_cipher_list").split(':').map(str::to_owned).collect(),
        variables,
        plain_sessions,
        channels,
        beside,
        differences: Vec::new(),
        unseen,
    };
    (limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)), in_force)
}

const KEPT: [&str; 4] =
    ["tls_version", "ssl_cipher", "tls_ciphersuites", "require_secure_transport"];

fn pairs(conn: &mut Conn, statement: &str, unseen: &mut Vec<String>) -> BTreeMap<String, String> {
    let rows: Result<Vec<(String, String)>, _> = conn.query(statement);
    let clean = |(name, value): (String, String)| (name, printable(&value).into_owned());
    match rows {
        Ok(rows) => rows.into_iter().map(clean).collect(),
        Err(error) => {
            unseen.push(format!("variables: {}", words(&error)));
            BTreeMap::new()
        }
    }
}

fn plain_sessions(conn: &mut Conn, unseen: &mut Vec<String>) -> Option<Vec<PlainSession>> {
    let one = |(user, host, seconds): (String, Option<String>, Option<u64>)| PlainSession {
        user: printable(&user).into_owned(),
        from: printable(&host.unwrap_or_default()).into_owned(),
        for_seconds: seconds.unwrap_or(0),
    };
    match conn.query_map(PLAIN, one) {
        Ok(sessions) => Some(sessions),
        Err(error) => {
            unseen.push(format!("sessions without TLS: {}", words(&error)));
            None
        }
    }
}

/// `SHOW REPLICA STATUS` under each of its names; those that a server lacks are an error of syntax.
fn channels(conn: &mut Conn, unseen: &mut Vec<String>) -> Vec<Channel> {
    const SYNTAX: u16 = 1064;
    for statement in ["SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS"] {
        match conn.query::<Row, _>(statement) {
            Ok(rows) => return rows.iter().map(channel).collect(),
            Err(mysql::Error::MySqlError(error)) if error.code == SYNTAX => {}
            Err(error) => {
                unseen.push(format!("replication: {}", words(&error)));
                return Vec::new();
            }
        }
    }
    Vec::new()
}

fn channel(row: &Row) -> Channel {
    let column = |new: &str, old: &str| {
        let is = |name: &str| name.eq_ignore_ascii_case(new) || name.eq_ignore_ascii_case(old);
        let at = row.columns_ref().iter().position(|column| is(&column.name_str()))?;
        row.get_opt::<String, _>(at)?.ok()
    };
    let yes = |new: &str, old: &str| column(new, old).is_some_and(|value| value == "Yes");
    let host = column("Source_Host", "Master_Host").unwrap_or_default();
    let port = column("Source_Port", "Master_Port").unwrap_or_default();
    let verifies = yes("Source_SSL_Verify_Server_Cert", "Master_SSL_Verify_Server_Cert");
    let ca = column("Source_SSL_CA_File", "Master_SSL_CA_File").is_some_and(|ca| !ca.is_empty());
    let encrypted = yes("Source_SSL_Allowed", "Master_SSL_Allowed");
    Channel {
        source: printable(&format!("{host}:{port}")).into_owned(),
        encrypted,
        verified: encrypted && (verifies || ca),
    }
}

/// Doors of their own, which are not part of the port that was scanned.
fn beside(variables: &BTreeMap<String, String>) -> Vec<String> {
    let get =
        |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let mut all = Vec::new();
    if get("admin_address").is_some()
        && let Some(port) = get("admin_port")
    {
        let how = match get("admin_ssl_cert") {
            Some(_) => "with a certificate of its own",
            None => "with the same certificate",
        };
        all.push(format!("admin port {port}: {how}; scan it as a server of its own"));
    }
    if let Some(port) = get("extra_port").filter(|port| *port != "0") {
        all.push(format!("extra port {port}: the same TLS; scan it as a server of its own"));
    }
    if let Some(port) = get("mysqlx_port") {
        let how = match get("mysqlx_ssl_cert") {
            Some(_) => "with a certificate of its own",
            None => "with the same certificate",
        };
        all.push(format!("X Protocol, port {port}: TLS where the client asks for it, {how}"));
    }
    if get("wsrep_on") == Some("ON") {
        let options = get("wsrep_provider_options").unwrap_or_default();
        let on = options
            .split(';')
            .filter_map(|option| option.split_once('='))
            .any(|(name, value)| name.trim() == "socket.ssl" && value.trim() == "YES");
        let word = if on { "encrypted" } else { "not encrypted" };
        all.push(format!("Galera, ports 4567 and 4568: {word}"));
    }
    if let Some(mode) = get("group_replication_ssl_mode") {
        all.push(format!("Group Replication between members: ssl_mode {mode}"));
    }
    all
}

impl InForce {
    /// Beside what the wire shows: what differs is said.
    #[must_use]
    pub fn beside(mut self, tls: &TlsScan) -> Self {
        let offered: Vec<&str> = tls
            .versions
            .iter()
            .filter(|version| version.offered)
            .map(|version| version.protocol.name())
            .collect();
        let asked = |name: &str| tls.versions.iter().any(|version| version.protocol.name() == name);
        if let Some(set) = self.variables.get("tls_version") {
            // MariaDB says TLSv1.0
            let set: Vec<String> = set
                .split(',')
                .map(|one| one.trim().replace("TLSv1.0", "TLSv1"))
                .filter(|one| !one.is_empty())
                .collect();
            for one in set.iter().filter(|one| asked(one) && !offered.contains(&one.as_str())) {
                self.differences.push(format!("{one} is in tls_version and is not offered"));
            }
            for one in offered.iter().filter(|one| !set.iter().any(|set| set == *one)) {
                self.differences.push(format!("{one} is offered and is not in tls_version"));
            }
        }
        let listed = |name: &str| self.cipher_list.iter().any(|one| one == name);
        // without TLS in this session there is no such list
        if self.cipher_list.iter().any(|one| !one.is_empty()) {
            let stranger: Vec<&str> = tls
                .versions
                .iter()
                .flat_map(|version| &version.suites)
                .filter(|suite| names::suite(suite.number).is_some_and(|one| one.openssl.is_some()))
                .map(|suite| suite.name.as_str())
                .filter(|name| !listed(name))
                .collect();
            if !stranger.is_empty() {
                self.differences.push(format!(
                    "{} offered and not in Ssl_cipher_list: does somebody stand between, or a proxy?",
                    stranger.join(", ")
                ));
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Protocol;
    use crate::scan::result::VersionScan;

    #[test]
    fn what_differs_is_said_and_nothing_else() {
        let version = |protocol, offered| VersionScan {
            protocol,
            offered,
            suites: Vec::new(),
            order: "unknown".to_owned(),
            complete: true,
        };
        let versions = vec![
            version(Protocol::Tls13, true),
            version(Protocol::Tls12, false),
            version(Protocol::Tls10, true),
        ];
        let tls = TlsScan { versions, ..TlsScan::default() };
        let set =
            BTreeMap::from([("tls_version".to_owned(), "TLSv1.0,TLSv1.2,TLSv1.3".to_owned())]);
        let in_force = InForce { variables: set, ..InForce::default() }.beside(&tls);
        assert_eq!(in_force.differences, ["TLSv1.2 is in tls_version and is not offered"]);
    }

    #[test]
    fn galera_says_itself_whether_it_is_encrypted() {
        let with = |options: &str| {
            let pairs = [("wsrep_on", "ON"), ("wsrep_provider_options", options)];
            beside(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
        };
        assert_eq!(
            with("a = b; socket.ssl = YES; c = d"),
            ["Galera, ports 4567 and 4568: encrypted"]
        );
        assert_eq!(with("socket.ssl = NO"), ["Galera, ports 4567 and 4568: not encrypted"]);
    }
}
