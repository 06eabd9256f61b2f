//! Accounts and sessions, as much of them as the account that asks may see.
//!
//! Rows are taken one by one as they arrive, so that a server with very many accounts costs no more
//! memory than what is kept of each.

use std::collections::HashMap;

use mysql::prelude::Queryable as _;
use mysql::{Conn, Row};

use super::server::cell;
use super::session::words;
use super::{Account, AccountName, Flavor, More, OtherSession, Require, Source, UnreadKind};

/// More accounts than this are not read: what is kept of each takes about half a kilobyte.
const MOST: usize = 1_000_000;

const NO_SUCH_COLUMN: u16 = 1054;
const NO_SUCH_TABLE: u16 = 1146;
const SYNTAX: u16 = 1064;

/// All that [`read`] found.
pub struct Seen {
    pub accounts: Source<Vec<Account>>,
    pub roles: Vec<String>,
    pub sessions: Source<Vec<OtherSession>>,
    pub processes: Vec<OtherSession>,
    pub unseen: Vec<String>,
    pub sources: Vec<String>,
}

pub fn read(conn: &mut Conn, flavor: Flavor, performance_schema: bool) -> Seen {
    let mut unseen = Vec::new();
    let mut role_names = Vec::new();
    let accounts = read_accounts(conn, flavor, &mut unseen, &mut role_names);
    let accounts = accounts.unwrap_or_else(|error| {
        Source::unread(
            UnreadKind::Refused,
            format!("the accounts could not be read: {}", words(&error)),
            "log in as an account with SELECT on the mysql schema",
        )
    });
    let sessions = sessions(conn, performance_schema);
    let mut processes = Vec::new();
    if sessions.read().is_none() {
        match process_list(conn) {
            Ok(found) => processes = found,
            Err(error) => unseen.push(format!("the process list: {}", words(&error))),
        }
        if !has_process(conn) {
            unseen.push(
                "sessions of other accounts: they take the PROCESS privilege (GRANT PROCESS ON *.*)"
                    .to_owned(),
            );
        }
    }
    let sources = sources(conn, flavor).unwrap_or_else(|error| {
        unseen.push(format!(
            "whether this server is a replica itself: {}; it takes REPLICATION CLIENT (MariaDB: \
             SLAVE MONITOR)",
            words(&error)
        ));
        Vec::new()
    });
    Seen { accounts, roles: role_names, sessions, processes, unseen, sources }
}

fn read_accounts(
    conn: &mut Conn,
    flavor: Flavor,
    unseen: &mut Vec<String>,
    role_names: &mut Vec<String>,
) -> Result<Source<Vec<Account>>, mysql::Error> {
    let columns: Vec<Row> = conn.query("SHOW COLUMNS FROM mysql.user")?;
    let columns: Vec<String> =
        columns.iter().map(|row| cell(row, 0).to_ascii_lowercase()).collect();
    let column = |name: &'static str| {
        if columns.iter().any(|column| column == name) { name } else { "''" }
    };
    let mut hidden = hidden(conn, flavor, &columns)?;
    let mut roles = Roles::read(conn, flavor, unseen);
    let statement = format!(
        "SELECT user, host, {} FROM mysql.user",
        [
            "ssl_type",
            "x509_subject",
            "x509_issuer",
            "ssl_cipher",
            "plugin",
            "account_locked",
            "is_role",
            "password_expired",
            "password_lifetime",
            "repl_slave_priv",
            "max_user_connections",
            "default_role",
        ]
        .map(column)
        .join(", ")
    );
    let mut accounts = Vec::new();
    for row in conn.query_iter(statement)? {
        let row = row?;
        if cell(&row, 8) == "Y" {
            role_names.push(cell(&row, 0));
            continue; // MariaDB's roles are no accounts: nobody logs in as one
        }
        if accounts.len() == MOST {
            return Ok(Source::unread(
                UnreadKind::Failed,
                format!("there are more than {MOST} accounts, and none was read"),
                "",
            ));
        }
        accounts.push(account(&row, &mut hidden, &mut roles));
    }
    accounts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Source::Read(accounts))
}

fn account(row: &Row, hidden: &mut HashMap<AccountName, Hidden>, roles: &mut Roles) -> Account {
    let name = AccountName::new(cell(row, 0), cell(row, 1));
    let (subject, issuer, cipher) = (cell(row, 3), cell(row, 4), cell(row, 5));
    let require = match cell(row, 2).as_str() {
        "ANY" => Require::Ssl,
        "X509" => Require::X509,
        "SPECIFIED" => Require::Specified { subject, issuer, cipher },
        _ => Require::None,
    };
    let hidden = hidden.remove(&name).unwrap_or_default();
    let mut more = More {
        or_plugins: hidden.or_plugins,
        factors: hidden.factors,
        password_expired: cell(row, 9) == "Y" || hidden.password_expired,
        password_lifetime: cell(row, 10).parse().ok().or(hidden.password_lifetime),
        is_role: roles.granted.contains(&name),
        roles: roles.of.remove(&name).unwrap_or_default(),
        default_roles: roles.default.remove(&name).unwrap_or_default(),
        proxies: roles.proxies.remove(&name).unwrap_or_default(),
        may_replicate: cell(row, 11) == "Y",
        max_user_connections: cell(row, 12).parse().unwrap_or(0),
    };
    let default_role = cell(row, 13);
    if !default_role.is_empty() {
        more.default_roles.push(default_role);
    }
    let locked = cell(row, 7) == "Y" || hidden.locked;
    Account { name, require, plugin: cell(row, 6), locked, more }
}

/// What MariaDB (10.4 and later) keeps in a JSON column and its view `mysql.user` does not show; and
/// what MySQL keeps in one beside.
#[derive(Default)]
struct Hidden {
    locked: bool,
    password_expired: bool,
    password_lifetime: Option<u32>,
    or_plugins: Vec<String>,
    factors: Vec<String>,
}

fn hidden(
    conn: &mut Conn,
    flavor: Flavor,
    columns: &[String],
) -> Result<HashMap<AccountName, Hidden>, mysql::Error> {
    const HIDDEN: &str = "SELECT user, host, JSON_VALUE(Priv, '$.account_locked'), \
        JSON_VALUE(Priv, '$.password_last_changed'), JSON_VALUE(Priv, '$.password_lifetime'), \
        JSON_EXTRACT(Priv, '$.auth_or[*].plugin') FROM mysql.global_priv \
        WHERE JSON_VALUE(Priv, '$.account_locked') = 1 \
        OR JSON_VALUE(Priv, '$.password_last_changed') = 0 \
        OR JSON_EXISTS(Priv, '$.password_lifetime') OR JSON_EXISTS(Priv, '$.auth_or')";
    let mut found = HashMap::new();
    if flavor != Flavor::MariaDb {
        // MySQL up to 5.7 has neither the column nor factors
        const FACTORS: &str = "SELECT user, host, \
            JSON_EXTRACT(User_attributes, '$.multi_factor_authentication[*].plugin') FROM mysql.user \
            WHERE JSON_EXTRACT(User_attributes, '$.multi_factor_authentication') IS NOT NULL";
        if columns.iter().any(|column| column == "user_attributes") {
            for row in conn.query_iter(FACTORS)? {
                let row = row?;
                let factors = serde_json::from_str(&cell(&row, 2)).unwrap_or_default();
                let hidden = Hidden { factors, ..Hidden::default() };
                found.insert(AccountName::new(cell(&row, 0), cell(&row, 1)), hidden);
            }
        }
        return Ok(found);
    }
    let rows = match conn.query_iter(HIDDEN) {
        Ok(rows) => rows,
        // before 10.4 there is no such table, and no lock
        Err(mysql::Error::MySqlError(error)) if error.code == NO_SUCH_TABLE => return Ok(found),
        Err(error) => return Err(error),
    };
    for row in rows {
        let row = row?;
        let hidden = Hidden {
            locked: cell(&row, 2) == "1",
            password_expired: cell(&row, 3) == "0",
            password_lifetime: cell(&row, 4)
                .parse()
                .ok()
                .filter(|days: &i64| *days >= 0)
                .and_then(|days| days.try_into().ok()),
            or_plugins: serde_json::from_str(&cell(&row, 5)).unwrap_or_default(),
            factors: Vec::new(),
        };
        found.insert(AccountName::new(cell(&row, 0), cell(&row, 1)), hidden);
    }
    Ok(found)
}

/// Who was granted which role.
#[derive(Default)]
struct Roles {
    of: HashMap<AccountName, Vec<String>>,
    default: HashMap<AccountName, Vec<String>>,
    granted: std::collections::HashSet<AccountName>,
    proxies: HashMap<AccountName, Vec<AccountName>>,
}

impl Roles {
    fn read(conn: &mut Conn, flavor: Flavor, unseen: &mut Vec<String>) -> Self {
        let mut roles = Self::default();
        if let Err(error) = roles.fill(conn, flavor) {
            unseen.push(format!("roles: {}; they take SELECT on the mysql schema", words(&error)));
        }
        roles
    }

    fn fill(&mut self, conn: &mut Conn, flavor: Flavor) -> Result<(), mysql::Error> {
        // the one without a name stands for everybody, and is root's
        const PROXIES: &str = "SELECT User, Host, Proxied_user, Proxied_host \
            FROM mysql.proxies_priv WHERE Proxied_user <> ''";
        each(conn, PROXIES, |row| {
            let proxied = AccountName::new(cell(row, 2), cell(row, 3));
            let name = AccountName::new(cell(row, 0), cell(row, 1));
            self.proxies.entry(name).or_default().push(proxied);
        })?;
        if flavor == Flavor::MariaDb {
            return each(conn, "SELECT User, Host, Role FROM mysql.roles_mapping", |row| {
                let name = AccountName::new(cell(row, 0), cell(row, 1));
                self.of.entry(name).or_default().push(cell(row, 2));
            });
        }
        each(conn, "SELECT TO_USER, TO_HOST, FROM_USER, FROM_HOST FROM mysql.role_edges", |row| {
            let role = AccountName::new(cell(row, 2), cell(row, 3));
            let name = AccountName::new(cell(row, 0), cell(row, 1));
            self.of.entry(name).or_default().push(role.to_string());
            self.granted.insert(role);
        })?;
        each(
            conn,
            "SELECT USER, HOST, DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST FROM mysql.default_roles",
            |row| {
                let role = AccountName::new(cell(row, 2), cell(row, 3)).to_string();
                let name = AccountName::new(cell(row, 0), cell(row, 1));
                self.default.entry(name).or_default().push(role);
            },
        )
    }
}

/// Every row of a table that older servers lack.
fn each(conn: &mut Conn, statement: &str, mut take: impl FnMut(&Row)) -> Result<(), mysql::Error> {
    let rows = match conn.query_iter(statement) {
        Ok(rows) => rows,
        Err(mysql::Error::MySqlError(error))
            if matches!(error.code, NO_SUCH_TABLE | NO_SUCH_COLUMN) =>
        {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for row in rows {
        take(&row?);
    }
    Ok(())
}

fn sessions(conn: &mut Conn, performance_schema: bool) -> Source<Vec<OtherSession>> {
    const SESSIONS: &str = "SELECT PROCESSLIST_ID, PROCESSLIST_USER, PROCESSLIST_HOST, \
        CONNECTION_TYPE, PROCESSLIST_COMMAND FROM performance_schema.threads \
        WHERE TYPE = 'FOREGROUND' AND PROCESSLIST_ID IS NOT NULL \
        AND PROCESSLIST_USER IS NOT NULL AND PROCESSLIST_ID <> CONNECTION_ID() \
        AND CONNECTION_TYPE IS NOT NULL";
    if !performance_schema {
        return Source::unread(
            UnreadKind::NotAsked,
            "performance_schema is off, so the server does not tell which sessions use TLS",
            "set performance_schema=ON in the option file and restart",
        );
    }
    match conn.query_map(SESSIONS, |row: Row| other_session(&row)) {
        Ok(sessions) => Source::Read(sessions),
        // up to MySQL 5.6 and MariaDB 10.4
        Err(mysql::Error::MySqlError(error)) if error.code == NO_SUCH_COLUMN => Source::unread(
            UnreadKind::NotAsked,
            "a server of this version does not tell which sessions use TLS",
            "",
        ),
        Err(error) => Source::unread(
            UnreadKind::Refused,
            format!("the sessions could not be read: {}", words(&error)),
            "log in as an account with SELECT on performance_schema and PROCESS",
        ),
    }
}

/// Threads of the server's own, and connections that have not logged in yet.
const NO_LOGIN: &str = "('system user', 'event_scheduler', 'unauthenticated user')";

fn process_list(conn: &mut Conn) -> Result<Vec<OtherSession>, mysql::Error> {
    let statement = format!(
        "SELECT ID, USER, HOST, '', COMMAND FROM information_schema.PROCESSLIST \
         WHERE ID <> CONNECTION_ID() AND USER NOT IN {NO_LOGIN}"
    );
    conn.query_map(statement, |row: Row| other_session(&row))
}

fn has_process(conn: &mut Conn) -> bool {
    let held = conn.query_first::<u64, _>(
        "SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'PROCESS'",
    );
    // where even that is not told, nothing is claimed
    held.map_or(true, |held| held != Some(0))
}

fn other_session(row: &Row) -> OtherSession {
    OtherSession {
        id: cell(row, 0).parse().unwrap_or(0),
        user: cell(row, 1),
        host: cell(row, 2),
        connection_type: cell(row, 3),
        command: cell(row, 4),
    }
}

/// Where this server's own replication comes from.
fn sources(conn: &mut Conn, flavor: Flavor) -> Result<Vec<String>, mysql::Error> {
    let statements: &[&str] = match flavor {
        Flavor::MariaDb => &["SHOW ALL SLAVES STATUS", "SHOW SLAVE STATUS"],
        Flavor::MySql => &["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"],
    };
    let mut rows: Result<Vec<Row>, mysql::Error> = Ok(Vec::new());
    for statement in statements {
        rows = conn.query(statement);
        if !matches!(&rows, Err(mysql::Error::MySqlError(error)) if error.code == SYNTAX) {
            break;
        }
    }
    let column = |row: &Row, names: [&str; 2]| {
        let at = row.columns_ref().iter().position(|column| {
            names.iter().any(|name| column.name_str().eq_ignore_ascii_case(name))
        });
        at.map(|at| cell(row, at)).unwrap_or_default()
    };
    Ok(rows?
        .iter()
        .map(|row| {
            let host = column(row, ["Source_Host", "Master_Host"]);
            format!("{host}:{}", column(row, ["Source_Port", "Master_Port"]))
        })
        .collect())
}
