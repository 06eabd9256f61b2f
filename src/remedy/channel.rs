//! Whether replication, Group Replication, the port for administration, the X Protocol, Galera, a
//! Router and ProxySQL are encrypted and verify whom they talk to, and the statements that make it so.
//!
//! Source: MySQL manual, "CHANGE REPLICATION SOURCE TO", "Securing Group Communication Connections with SSL",
//! "Administrative Connection Management", "Using Encrypted Connections with X Plugin"; MariaDB, "Replication
//! with Secure Connections"; MySQL Router 9.7, "Configuration File Options"; ProxySQL, "SSL Support".

use serde::Serialize;

use crate::facts::channels::{Channels, Routing, Source, says_source};
use crate::facts::{Flavor, Version};
use crate::printable::printable;

/// One way, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Channel {
    /// `replication from db1:3306`
    pub name: String,
    pub encrypted: Answer,
    /// Whether the end that connects verifies whom it meets.
    pub verifies: Answer,
    /// What there is to know, one sentence; may be empty.
    pub note: String,
    /// Statements or option lines that make it encrypted and verified, to be run in order.
    pub statements: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Yes,
    No,
    /// The other end decides, or it is not seen from here.
    Open,
}

impl Answer {
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Open => "the client decides",
        }
    }

    fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl Channel {
    pub fn is_good(&self) -> bool {
        self.encrypted != Answer::No && self.verifies != Answer::No
    }
}

/// Every channel that the server has, those of nobody's use left out.
pub fn judge(found: &Channels, flavor: Flavor, version: Version) -> Vec<Channel> {
    let mut all: Vec<Channel> =
        found.sources.iter().map(|source| replication(source, found, flavor, version)).collect();
    all.extend(group(found));
    all.extend(admin(found));
    all.extend(x_protocol(found));
    all.extend(galera(found));
    all
}

/// A literal of SQL, backslashes and quotes as both families want them by default.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn replication(source: &Source, found: &Channels, flavor: Flavor, version: Version) -> Channel {
    let modern = says_source(flavor, version);
    let word = if modern { "SOURCE" } else { "MASTER" };
    let mysql = flavor == Flavor::MySql;
    // a name stands behind the statement in MySQL, and behind its verb in MariaDB
    let channel = literal(&source.channel);
    let (before, after) = match (source.channel.is_empty(), mysql) {
        (true, _) => (String::new(), String::new()),
        (false, true) => (String::new(), format!(" FOR CHANNEL {channel}")),
        (false, false) => (format!(" {channel}"), String::new()),
    };
    let own_ca = found.variables.get("ssl_ca").map(String::as_str).unwrap_or_default();
    let ca = [source.ca.as_str(), own_ca].into_iter().find(|ca| !ca.is_empty());
    let mut settings = vec![format!("{word}_SSL = 1")];
    settings.extend(ca.map(|ca| format!("{word}_SSL_CA = {}", literal(ca))));
    settings.push(format!("{word}_SSL_VERIFY_SERVER_CERT = 1"));
    let verifies = source.verifies_name && (!source.ca.is_empty() || !mysql);
    let statements = if source.encrypted && verifies {
        Vec::new()
    } else {
        let (replica, io) = match (modern, mysql) {
            (true, _) => ("REPLICA", " IO_THREAD"),
            (false, true) => ("SLAVE", " IO_THREAD"),
            (false, false) => ("SLAVE", ""),
        };
        let change = if modern { "CHANGE REPLICATION SOURCE" } else { "CHANGE MASTER" };
        let mut all = vec![format!("STOP {replica}{before}{io}{after};")];
        all.push(format!("{change}{before} TO {}{after};", settings.join(", ")));
        all.push(format!("START {replica}{before}{io}{after};"));
        all
    };
    let mut notes = Vec::new();
    if source.encrypted && source.ca.is_empty() && mysql {
        notes.push("no CA is named, so anybody may play the source".to_owned());
    } else if source.encrypted && !source.verifies_name {
        notes.push(if source.ca.is_empty() {
            "neither CA nor name is verified".to_owned()
        } else {
            "the CA is verified, and the name is not: any server of this CA may play the source"
                .to_owned()
        });
    }
    if !statements.is_empty() && ca.is_none() {
        notes.push(format!(
            "name the CA of the source's certificate as {word}_SSL_CA as well: none is known here"
        ));
    }
    let at = format!("{}:{}", printable(&source.host), printable(&source.port));
    let named = match source.channel.as_str() {
        "" => String::new(),
        channel => format!(" ({})", printable(channel)),
    };
    Channel {
        name: format!("replication from {at}{named}"),
        encrypted: Answer::of(source.encrypted),
        verifies: Answer::of(source.encrypted && verifies),
        note: notes.join("; "),
        statements,
    }
}

fn group(found: &Channels) -> Vec<Channel> {
    if !found.plugins.iter().any(|plugin| plugin == "GROUP_REPLICATION") {
        return Vec::new();
    }
    let value = |name: &str| found.variables.get(name).map(String::as_str).unwrap_or_default();
    let mode = value("group_replication_ssl_mode");
    let set = |lines: &[&str]| -> Vec<String> {
        lines.iter().map(|line| format!("SET PERSIST group_replication_{line};")).collect()
    };
    let members = Channel {
        name: "group replication between members".to_owned(),
        encrypted: Answer::of(!matches!(mode, "" | "DISABLED")),
        verifies: Answer::of(mode == "VERIFY_IDENTITY"),
        note: format!(
            "group_replication_ssl_mode is {}; a member cannot change it while it is in the group, and all need the \
             same: STOP GROUP_REPLICATION on each first",
            printable(if mode.is_empty() { "not set" } else { mode })
        ),
        statements: match mode {
            "VERIFY_IDENTITY" => Vec::new(),
            _ => set(&["ssl_mode = 'VERIFY_IDENTITY'"]),
        },
    };
    let on = |name: &str| matches!(value(name), "ON" | "1");
    let (used, verified) = (
        on("group_replication_recovery_use_ssl"),
        on("group_replication_recovery_ssl_verify_server_cert"),
    );
    let ca = value("group_replication_recovery_ssl_ca");
    let own = value("ssl_ca");
    let mut lines = Vec::new();
    if !(used && verified && !ca.is_empty()) {
        lines = set(&["recovery_use_ssl = ON", "recovery_ssl_verify_server_cert = ON"]);
        if ca.is_empty() && !own.is_empty() {
            lines
                .push(format!("SET PERSIST group_replication_recovery_ssl_ca = {};", literal(own)));
        }
    }
    let recovery = Channel {
        name: "group replication, recovery of a member".to_owned(),
        encrypted: Answer::of(used),
        verifies: Answer::of(used && verified && !ca.is_empty()),
        note: String::new(),
        statements: lines,
    };
    vec![members, recovery]
}

fn admin(found: &Channels) -> Option<Channel> {
    let value = |name: &str| found.variables.get(name).map(String::as_str).unwrap_or_default();
    if value("admin_address").is_empty() {
        return None;
    }
    let own = !value("admin_ssl_cert").is_empty();
    let main = found.tls.get("mysql_main").copied().unwrap_or(!value("ssl_cert").is_empty());
    let on = if own { found.tls.get("mysql_admin").copied().unwrap_or(true) } else { main };
    Some(Channel {
        name: format!("administration, port {}", printable(value("admin_port"))),
        encrypted: if on { Answer::Open } else { Answer::No },
        verifies: Answer::Open,
        note: if own {
            "it has a certificate of its own (admin_ssl_*)".to_owned()
        } else {
            "without admin_ssl_* of its own it takes those of the port for everybody".to_owned()
        },
        statements: Vec::new(),
    })
}

fn x_protocol(found: &Channels) -> Option<Channel> {
    if !found.plugins.iter().any(|plugin| plugin == "MYSQLX") {
        return None;
    }
    let value = |name: &str| found.variables.get(name).map(String::as_str).unwrap_or_default();
    let own = !value("mysqlx_ssl_cert").is_empty();
    let main = !value("ssl_cert").is_empty();
    Some(Channel {
        name: format!("X Protocol, port {}", printable(value("mysqlx_port"))),
        encrypted: if own || main { Answer::Open } else { Answer::No },
        verifies: Answer::Open,
        note: if own {
            "it has a certificate of its own (mysqlx_ssl_*), read at a start alone".to_owned()
        } else {
            "without mysqlx_ssl_* of its own it takes ssl_*, as they were at the start".to_owned()
        },
        statements: Vec::new(),
    })
}

fn galera(found: &Channels) -> Option<Channel> {
    let value = |name: &str| found.variables.get(name).map(String::as_str).unwrap_or_default();
    if value("wsrep_on") != "ON" {
        return None;
    }
    let options = value("wsrep_provider_options");
    let option = |name: &str| {
        let pairs = options.split(';').filter_map(|pair| pair.split_once('='));
        pairs.map(|(n, v)| (n.trim(), v.trim())).find(|(n, _)| *n == name).map(|(_, v)| v)
    };
    let on = option("socket.ssl").is_some_and(|on| on.eq_ignore_ascii_case("yes"))
        || option("socket.ssl_key").is_some_and(|key| !key.is_empty());
    let ca = option("socket.ssl_ca").is_some_and(|ca| !ca.is_empty());
    let mut statements = Vec::new();
    if !(on && ca) {
        let (ca, cert, key) = (value("ssl_ca"), value("ssl_cert"), value("ssl_key"));
        let line = format!(
            "wsrep_provider_options = \"socket.ssl_ca={ca};socket.ssl_cert={cert};socket.ssl_key={key}\""
        );
        if [ca, cert, key].iter().all(|path| !path.is_empty()) {
            statements.push(line);
        }
    }
    Some(Channel {
        name: "Galera between nodes".to_owned(),
        encrypted: Answer::of(on),
        verifies: Answer::of(on && ca),
        note: "an option line: every node is stopped and started with it, and the certificate needs both purposes; \
               what stands in wsrep_provider_options now belongs into the same line"
            .to_owned(),
        statements,
    })
}

/// A Router's routes: towards its clients, and towards its servers.
pub fn router(routes: &[Routing]) -> Vec<Channel> {
    let mut all = Vec::new();
    for route in routes {
        let value = |name: &str, usual: &'static str| -> String {
            route.options.get(name).map_or(usual, String::as_str).to_uppercase()
        };
        let client = value("client_ssl_mode", "PREFERRED");
        // what it is when no line says so
        let server = value("server_ssl_mode", "AS_CLIENT");
        let verify = value("server_ssl_verify", "DISABLED");
        let through = client == "PASSTHROUGH";
        let head = format!("[{}]", route.section);
        all.push(Channel {
            name: format!("Router {} from clients", route.section),
            encrypted: match client.as_str() {
                "REQUIRED" => Answer::Yes,
                "DISABLED" => Answer::No,
                _ => Answer::Open,
            },
            verifies: Answer::Open,
            note: if through {
                "TLS passes through to the server, client certificates and all".to_owned()
            } else {
                "the Router ends TLS: client certificates do not reach the server, and accounts that REQUIRE one \
                 cannot log in through it (client_ssl_mode=PASSTHROUGH lets them)"
                    .to_owned()
            },
            statements: match client.as_str() {
                "DISABLED" => vec![head.clone(), "client_ssl_mode=REQUIRED".to_owned()],
                _ => Vec::new(),
            },
        });
        let encrypted = match server.as_str() {
            "REQUIRED" => Answer::Yes,
            "DISABLED" => Answer::No,
            _ => Answer::Open,
        };
        let ca = !route.options.get("server_ssl_ca").is_none_or(String::is_empty);
        let good = verify == "VERIFY_IDENTITY" && encrypted == Answer::Yes;
        all.push(Channel {
            name: format!("Router {} to its servers", route.section),
            encrypted: if through { Answer::Open } else { encrypted },
            verifies: if through { Answer::Open } else { Answer::of(good && ca) },
            note: format!("server_ssl_mode={server}, server_ssl_verify={verify}"),
            statements: if through || (good && ca) {
                Vec::new()
            } else {
                let mut lines = vec![
                    head,
                    "server_ssl_mode=REQUIRED".to_owned(),
                    "server_ssl_verify=VERIFY_IDENTITY".to_owned(),
                ];
                if !ca {
                    lines.push("server_ssl_ca=/etc/mysqlrouter/ca.pem".to_owned());
                }
                lines
            },
        });
    }
    all
}

/// What ProxySQL is told, on its port for administration; it verifies the CA of its servers, never their
/// names.
pub fn proxysql(ca: &str) -> Vec<String> {
    vec![
        format!("SET mysql-ssl_p2s_ca = {};", literal(ca)),
        "SET mysql-have_ssl = 'true';".to_owned(),
        "UPDATE mysql_servers SET use_ssl = 1;".to_owned(),
        "UPDATE mysql_users SET use_ssl = 1;".to_owned(),
        "LOAD MYSQL VARIABLES TO RUNTIME; SAVE MYSQL VARIABLES TO DISK;".to_owned(),
        "LOAD MYSQL SERVERS TO RUNTIME; SAVE MYSQL SERVERS TO DISK;".to_owned(),
        "LOAD MYSQL USERS TO RUNTIME; SAVE MYSQL USERS TO DISK;".to_owned(),
    ]
}

#[cfg(test)]
mod tests;
