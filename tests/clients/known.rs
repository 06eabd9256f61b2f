//! The clients that are tried, as `scripts/clients` brings them.

#![allow(dead_code, reason = "each test uses its part")]

use std::fs;
use std::path::PathBuf;

use mytls::ca::pack::{Driver, driver};
use mytls::sandbox::Series;

use crate::common::lab;

/// A client as `scripts/clients` brings it.
pub struct Client {
    /// As it is listed, and the folder in which its settings are laid.
    pub name: &'static str,
    /// Which settings of the README: the name of a file of `assets/clients`.
    pub settings: &'static str,
    /// Its line in the `versions` of its folder.
    version: &'static str,
    pub program: &'static str,
    pub how: How,
}

/// How the settings are carried out.
#[derive(Clone, Copy)]
pub enum How {
    /// They are an option file.
    Options,
    /// They are a part of a program that is read by the one under `tests/clients`.
    Script(&'static str),
    Go,
    /// `program` is the driver.
    Java,
}

pub const CLIENTS: &[Client] = &[
    Client {
        name: "mysql",
        settings: "mysql",
        version: "mysql",
        program: "mysql/mysql",
        how: How::Options,
    },
    Client {
        name: "mariadb 10.11",
        settings: "mariadb",
        version: "mariadb 10",
        program: "mariadb/10.11",
        how: How::Options,
    },
    Client {
        name: "mariadb 11.8",
        settings: "mariadb",
        version: "mariadb 11",
        program: "mariadb/11.8",
        how: How::Options,
    },
    Client {
        name: "PyMySQL",
        settings: "pymysql",
        version: "PyMySQL",
        program: "python/python3",
        how: How::Script("run.py"),
    },
    Client {
        name: "mysql-connector-python",
        settings: "mysql-connector-python",
        version: "mysql-connector-python",
        program: "python/python3",
        how: How::Script("run.py"),
    },
    Client {
        name: "mysqlclient (Python)",
        settings: "mysqlclient",
        version: "mysqlclient",
        program: "mysqlclient/python3",
        how: How::Script("run.py"),
    },
    Client {
        name: "mysqli (PHP)",
        settings: "php-mysqli",
        version: "php",
        program: "php/php",
        how: How::Script("run.php"),
    },
    Client {
        name: "PDO (PHP)",
        settings: "php-pdo",
        version: "php",
        program: "php/php",
        how: How::Script("run.php"),
    },
    Client {
        name: "mysql2 (Node.js)",
        settings: "mysql2",
        version: "mysql2 (node)",
        program: "node/node",
        how: How::Script("run.js"),
    },
    Client {
        name: "mariadb (Node.js)",
        settings: "node-mariadb",
        version: "mariadb (node)",
        program: "node/node",
        how: How::Script("run.js"),
    },
    Client {
        name: "go-sql-driver/mysql",
        settings: "go",
        version: "go-sql-driver/mysql",
        program: "go/go",
        how: How::Go,
    },
    Client {
        name: "MariaDB Connector/J 2.7",
        settings: "mariadb-connector-j-2",
        version: "MariaDB Connector/J 2",
        program: "java/mariadb-2.7.jar",
        how: How::Java,
    },
    Client {
        name: "MariaDB Connector/J 3",
        settings: "mariadb-connector-j",
        version: "MariaDB Connector/J 3",
        program: "java/mariadb-3.jar",
        how: How::Java,
    },
];

impl Client {
    /// Whether `scripts/clients` brought it. In CI it has to be there; elsewhere it is said.
    pub fn is_here(&self) -> bool {
        let here = brought(self.program).exists();
        assert!(here || !lab::in_ci(), "in CI every client has to be there: {}", self.name);
        if !here {
            eprintln!("skipped: {}; scripts/clients brings it", self.name);
        }
        here
    }

    /// Whether the two have a version of TLS in common. MySQL 5.6 speaks 1.0 alone, and the clients of
    /// today do not, unless the library beneath them is told to.
    pub fn speaks_to(&self, series: Series) -> bool {
        series != Series::MySql56
            || matches!(self.how, How::Java)
            || self.program == "mariadb/10.11"
    }

    /// As it was when it was brought.
    pub fn version(&self) -> String {
        let folder = brought(self.program);
        let versions = fs::read_to_string(folder.parent().unwrap().join("versions")).unwrap();
        let version = versions.lines().find(|line| line.starts_with(self.version)).unwrap();
        version.rsplit(' ').next().unwrap().to_owned()
    }

    /// What is known of the driver whose settings it carries out.
    pub fn driver(&self) -> Driver {
        driver::all().into_iter().find(|driver| driver.name == self.settings).unwrap()
    }

    /// The settings as they stand in a README.
    pub fn settings_in(&self, readme: &str) -> String {
        let title = self.driver().title;
        let (_, after) = readme.split_once(&format!("=== {title}\n")).unwrap();
        let block = after.trim_start_matches('\n').lines();
        let block = block.take_while(|line| line.is_empty() || line.starts_with("    "));
        let lines: Vec<&str> = block.map(|line| line.strip_prefix("    ").unwrap_or("")).collect();
        self.over_tcp(&(lines.join("\n") + "\n"))
    }

    /// As the note beside the settings says, where for the name localhost the socket is taken.
    pub fn over_tcp(&self, settings: &str) -> String {
        if self.driver().note.contains("takes the socket") {
            settings.replace("localhost", "127.0.0.1")
        } else {
            settings.to_owned()
        }
    }
}

/// Where `scripts/clients` put it.
pub fn brought(name: &str) -> PathBuf {
    lab::cache("MYTLS_CLIENTS", "clients").join(name)
}
