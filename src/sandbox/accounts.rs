//! The sandbox's accounts: root, and two applications that need their certificates.

use std::path::Path;
use std::time::Duration;

use mysql::prelude::Queryable as _;
use mysql::{Conn, OptsBuilder};

use super::SandboxError;
use super::pki::Pki;
use super::series::Series;
use crate::disk::{self, Meta};
use crate::printable::printable;
use crate::secret::Secret;
use crate::x509::certificate::hex;

const TIMEOUT: Option<Duration> = Some(Duration::from_secs(20));

/// The passwords.
pub(super) struct Accounts {
    pub(super) root: Secret,
    pub(super) app: Secret,
    pub(super) web: Secret,
}

impl Accounts {
    pub(super) fn invent() -> Result<Self, SandboxError> {
        let password = || {
            let mut random = [0; 16];
            openssl::rand::rand_bytes(&mut random).map_err(crate::ca::CaError::from)?;
            Ok::<_, SandboxError>(Secret::new(hex(&random)))
        };
        Ok(Self { root: password()?, app: password()?, web: password()? })
    }

    /// What the server runs before it lets anybody in: root gets a password, and the accounts
    /// without one go. One statement to a line, as both families want it.
    pub(super) fn init_file(&self, series: Series) -> String {
        let root = self.root.expose();
        let mut text = String::new();
        let strangers = "User = '' OR (User = 'root' AND Host <> 'localhost')";
        match series {
            Series::MariaDb1011 | Series::MariaDb118 => {
                text = format!(
                    "DELETE FROM mysql.global_priv WHERE {strangers};\nFLUSH PRIVILEGES;\n"
                );
            }
            Series::MySql97 => {}
            Series::MySql56 => {
                // GRANT makes the account that is not there, and ALTER USER cannot set a password
                return format!(
                    "DELETE FROM mysql.user WHERE {strangers};\nFLUSH PRIVILEGES;\n\
                     SET PASSWORD FOR 'root'@'localhost' = PASSWORD('{root}');\n\
                     GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' IDENTIFIED BY '{root}' \
                     WITH GRANT OPTION;\n"
                );
            }
        }
        // With skip_name_resolve a connection to 127.0.0.1 is none from localhost.
        for line in [
            format!("ALTER USER 'root'@'localhost' IDENTIFIED BY '{root}';\n"),
            format!("CREATE USER 'root'@'127.0.0.1' IDENTIFIED BY '{root}';\n"),
            "GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n".to_owned(),
        ] {
            text += &line;
        }
        text
    }

    /// Creates `app@%`, which needs exactly its certificate, and `web@%`, which needs one of this CA.
    pub(super) fn create(
        &self,
        socket: &Path,
        pki: &Pki,
        series: Series,
    ) -> Result<(), SandboxError> {
        let (app, web) = (self.app.expose(), self.web.expose());
        let (subject, issuer) = pki.account_names()?;
        let statements = [
            "CREATE DATABASE shop".to_owned(),
            format!("CREATE USER 'app'@'%' IDENTIFIED BY '{app}'"),
            require(series, "app", &format!("SUBJECT '{subject}' AND ISSUER '{issuer}'")),
            "GRANT ALL PRIVILEGES ON shop.* TO 'app'@'%'".to_owned(),
            format!("CREATE USER 'web'@'%' IDENTIFIED BY '{web}'"),
            require(series, "web", "X509"),
            "GRANT SELECT ON shop.* TO 'web'@'%'".to_owned(),
        ];
        run(socket, &self.root, &statements)
    }

    /// Option files for `--defaults-file`: `client.cnf` is the administrator's way in over the
    /// socket; `app.cnf` and `web.cnf` are what the applications have.
    pub(super) fn write_client_files(
        &self,
        folder: &Path,
        socket: &Path,
        port: u16,
        series: Series,
    ) -> Result<(), SandboxError> {
        let (client, socket) = (folder.join("client"), socket.display());
        let client = client.display();
        let application = |user: &str, password: &Secret| {
            format!(
                "[client]\nuser = {user}\npassword = {}\nhost = 127.0.0.1\nport = {port}\n\
                 ssl-ca = {client}/ca.pem\nssl-cert = {client}/app-cert.pem\n\
                 ssl-key = {client}/app-key.pem\n",
                password.expose()
            )
        };
        // No ssl-ca for root: MariaDB's client would verify over the socket, too, and shut the
        // administrator out of a server whose certificate has expired.
        let mut root = format!(
            "[client]\nuser = root\npassword = {}\nsocket = {socket}\n",
            self.root.expose()
        );
        if series == Series::MySql56 {
            // it asks for TLS over the socket, too, and no OpenSSL of today comes to terms with yaSSL
            root += "[client-mariadb]\nskip-ssl\n";
        }
        for (name, text) in [
            ("client.cnf", root),
            ("app.cnf", application("app", &self.app)),
            ("web.cnf", application("web", &self.web)),
        ] {
            let text = zeroize::Zeroizing::new(text);
            disk::write_new(&folder.join(name), text.as_bytes(), Meta::mode(0o600))?;
        }
        Ok(())
    }
}

/// The statement that makes `user@%` need this. Before MySQL 5.7 only GRANT says so.
pub(super) fn require(series: Series, user: &str, require: &str) -> String {
    match series {
        Series::MySql56 => format!("GRANT USAGE ON *.* TO '{user}'@'%' REQUIRE {require}"),
        _ => format!("ALTER USER '{user}'@'%' REQUIRE {require}"),
    }
}

/// Runs statements as root over the socket.
pub(super) fn run(socket: &Path, root: &Secret, statements: &[String]) -> Result<(), SandboxError> {
    let refused = |statement: &str, error: mysql::Error| SandboxError::Sql {
        // a password may stand in it
        statement: statement.split(" IDENTIFIED BY ").next().unwrap_or_default().to_owned(),
        why: printable(&error.to_string()).into_owned(),
    };
    let mut conn = connect(socket, root).map_err(|error| refused("log in as root", error))?;
    for statement in statements {
        conn.query_drop(statement).map_err(|error| refused(statement, error))?;
    }
    Ok(())
}

/// Whether the server answers, be it with a refusal.
pub(super) fn answers(socket: &Path, root: &Secret) -> bool {
    matches!(connect(socket, root), Ok(_) | Err(mysql::Error::MySqlError(_)))
}

fn connect(socket: &Path, root: &Secret) -> mysql::Result<Conn> {
    let options = OptsBuilder::new()
        .ip_or_hostname(None::<String>)
        .socket(Some(socket.to_string_lossy()))
        .user(Some("root"))
        .pass(Some(root.expose()))
        .read_timeout(TIMEOUT)
        .write_timeout(TIMEOUT);
    Conn::new(options)
}
