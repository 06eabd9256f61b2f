//! The other ways into and out of a server: replication, Group Replication, the port for
//! administration, the X Protocol, Galera; and a Router's option file.

use std::collections::BTreeMap;
use std::path::Path;

use mysql::prelude::Queryable as _;
use mysql::{Conn, Row};
use serde::Serialize;

use super::server::cell;
use super::{Flavor, Version};
use crate::bounded;
use crate::printable::printable;

/// What was read of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Channels {
    /// The servers that this one replicates from.
    pub sources: Vec<Source>,
    /// Why [`Self::sources`] could not be read; empty where they were.
    pub unread: String,
    /// `performance_schema.tls_channel_status`: whether TLS is on, by channel (MySQL 8.0.21).
    pub tls: BTreeMap<String, bool>,
    /// Variables about them that the server has, by name.
    pub variables: BTreeMap<String, String>,
    /// Names of plugins that are active, in upper case.
    pub plugins: Vec<String>,
}

/// One connection to a source of replication.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Empty for the one without a name.
    pub channel: String,
    pub host: String,
    pub port: String,
    pub user: String,
    pub encrypted: bool,
    pub verifies_name: bool,
    pub ca: String,
    pub certificate: String,
    pub key: String,
    /// It runs, or would.
    pub running: bool,
}

/// Reads all of it; what the login may not see is said in [`Channels::unread`].
pub fn read(conn: &mut Conn, flavor: Flavor) -> Channels {
    const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE \
        Variable_name LIKE 'group_replication%' OR Variable_name LIKE 'admin\\_%' OR \
        Variable_name LIKE 'mysqlx%' OR Variable_name LIKE 'wsrep%' OR \
        Variable_name IN ('ssl_ca', 'ssl_cert', 'ssl_key', 'extra_port')";
    const TLS: &str = "SELECT CHANNEL, VALUE FROM performance_schema.tls_channel_status \
                       WHERE PROPERTY = 'Enabled'";
    const PLUGINS: &str =
        "SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_STATUS = 'ACTIVE'";
    let mut found = Channels::default();
    let rows: Vec<Row> = conn.query(VARIABLES).unwrap_or_default();
    found.variables = rows.iter().map(|row| (cell(row, 0).to_lowercase(), cell(row, 1))).collect();
    let rows: Vec<Row> = conn.query(TLS).unwrap_or_default();
    found.tls = rows.iter().map(|row| (cell(row, 0), cell(row, 1) == "Yes")).collect();
    let rows: Vec<Row> = conn.query(PLUGINS).unwrap_or_default();
    found.plugins = rows.iter().map(|row| cell(row, 0).to_uppercase()).collect();
    match sources(conn, flavor) {
        Ok(sources) => found.sources = sources,
        Err(why) => found.unread = why,
    }
    found
}

fn sources(conn: &mut Conn, flavor: Flavor) -> Result<Vec<Source>, String> {
    let statements: [&str; 2] = match flavor {
        Flavor::MariaDb => ["SHOW ALL SLAVES STATUS", "SHOW SLAVE STATUS"],
        Flavor::MySql => ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"],
    };
    let mut why = String::new();
    for statement in statements {
        match conn.query::<Row, _>(statement) {
            Ok(rows) => return Ok(rows.iter().map(source).collect()),
            Err(error) => why = super::session::words(&error),
        }
    }
    Err(why)
}

/// MySQL calls it a source since 8.0.22, MariaDB and older ones a master.
fn source(row: &Row) -> Source {
    let by_name = |names: &[&str]| {
        let columns = row.columns_ref();
        let at = columns.iter().position(|column| {
            names.iter().any(|name| column.name_str().eq_ignore_ascii_case(name))
        });
        at.map(|at| cell(row, at)).unwrap_or_default()
    };
    let either = |name: &str| by_name(&[&format!("Source_{name}"), &format!("Master_{name}")]);
    let io = by_name(&["Replica_IO_Running", "Slave_IO_Running"]);
    Source {
        channel: by_name(&["Channel_Name", "Connection_name"]),
        host: either("Host"),
        port: either("Port"),
        user: either("User"),
        encrypted: either("SSL_Allowed").eq_ignore_ascii_case("yes"),
        verifies_name: either("SSL_Verify_Server_Cert").eq_ignore_ascii_case("yes"),
        ca: either("SSL_CA_File"),
        certificate: either("SSL_Cert"),
        key: either("SSL_Key"),
        running: io != "No" && !io.is_empty(),
    }
}

/// A `[routing…]` section of a MySQL Router's option file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Routing {
    /// `routing:primary`
    pub section: String,
    /// By name in lower case; those of `[DEFAULT]` among them, where the section does not say otherwise.
    pub options: BTreeMap<String, String>,
}

/// The routes of a Router.
///
/// # Errors
/// A sentence, when the file cannot be read or has none.
pub fn router(file: &Path) -> Result<Vec<Routing>, String> {
    const LARGEST: u64 = 1 << 20;
    let shown = crate::printable::shown(file);
    let bytes = bounded::read(file, LARGEST).map_err(|error| format!("{shown}: {error}"))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut sections: Vec<Routing> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let section = printable(name.trim()).into_owned();
            sections.push(Routing { section, ..Routing::default() });
        } else if let (Some((name, value)), Some(section)) =
            (line.split_once('='), sections.last_mut())
        {
            let value = printable(value.trim()).into_owned();
            section.options.insert(name.trim().to_lowercase(), value);
        }
    }
    let defaults = sections.iter().find(|one| one.section.eq_ignore_ascii_case("default"));
    let defaults = defaults.map(|one| one.options.clone()).unwrap_or_default();
    sections.retain(|one| one.section == "routing" || one.section.starts_with("routing:"));
    for section in &mut sections {
        for (name, value) in &defaults {
            section.options.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    if sections.is_empty() {
        return Err(format!(
            "{shown} has no section [routing:…]: name a MySQL Router's mysqlrouter.conf"
        ));
    }
    Ok(sections)
}

/// Whether a name's statement is spelled with SOURCE (MySQL 8.0.23 and later) or with MASTER.
pub fn says_source(flavor: Flavor, version: Version) -> bool {
    flavor == Flavor::MySql && version >= Version(8, 0, 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_have_the_defaults_and_other_sections_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mysqlrouter.conf");
        std::fs::write(
            &file,
            "[DEFAULT]\nclient_ssl_mode = PREFERRED\n# x\n[logger]\nlevel=INFO\n\
             [routing:rw]\nserver_ssl_mode=PREFERRED\n[routing:ro]\nclient_ssl_mode=PASSTHROUGH\n",
        )
        .unwrap();
        let routes = router(&file).unwrap();
        assert_eq!(routes.len(), 2);
        assert_eq!(routes[0].options["client_ssl_mode"], "PREFERRED");
        assert_eq!(routes[1].options["client_ssl_mode"], "PASSTHROUGH");
        std::fs::write(&file, "[mysqld]\nx=1\n").unwrap();
        assert!(router(&file).unwrap_err().contains("mysqlrouter.conf"));
    }
}
