//! The sandbox's my.cnf, and changes to its lines.

use std::fmt::Write as _;
use std::path::Path;

use super::series::Series;
use super::server::Program;
use crate::facts::{Flavor, Version};

/// The option file of a healthy server.
pub(super) fn my_cnf(program: &Program, folder: &Path, socket: &Path, port: u16) -> String {
    let folder = folder.display();
    let mut text = format!(
        "# The server of a mytls sandbox; it is thrown away when the sandbox ends.\n\
         [mysqld]\n\
         datadir = {folder}/data\n\
         tmpdir = {folder}/run\n\
         socket = {socket}\n\
         pid_file = {folder}/run/mysqld.pid\n\
         log_error = {folder}/error.log\n\
         tmpdir = {folder}/tmp\n\
         bind_address = 127.0.0.1\n\
         port = {port}\n\
         skip_name_resolve\n\
         performance_schema = ON\n\
         \n\
         # small, quick, and not made to survive a power cut\n\
         innodb_buffer_pool_size = 16M\n\
         innodb_flush_method = nosync\n\
         max_connections = 60\n",
        socket = socket.display(),
    );
    let own: &[&str] = match program.series() {
        // left to itself it makes its own certificates, and a server that was never given any
        // could not be shown
        Series::MySql97 => &[
            "loose_auto_generate_certs = OFF",
            "loose_mysqlx = OFF",
            "loose_disable_log_bin",
            "secure_file_priv = NULL",
        ],
        // its log files are made at the first start, 48 MB each if nobody says otherwise
        Series::MySql56 => &["innodb_log_file_size = 4M", "explicit_defaults_for_timestamp = ON"],
        Series::MariaDb1011 | Series::MariaDb118 => {
            &["innodb_log_file_size = 4M", "loose_debug_no_sync"]
        }
    };
    for line in own {
        let _ = writeln!(text, "{line}"); // writing to a String cannot fail
    }
    let _ = write!(
        text,
        "\n# TLS\n\
         ssl_ca = {folder}/tls/ca.pem\n\
         ssl_cert = {folder}/tls/server-cert.pem\n\
         ssl_key = {folder}/tls/server-key.pem\n"
    );
    // came with 5.7
    if program.series() != Series::MySql56 {
        text += "require_secure_transport = ON\n";
    }
    text
}

/// MySQL 8.1 and later check their own certificate when TLS is reloaded, with the CA file alone:
/// there the intermediates have to be in it.
pub(super) fn ca_file_needs_intermediates(program: &Program) -> bool {
    program.flavor == Flavor::MySql && program.version >= Version(8, 1, 0)
}

/// The text with this option set, in its old place or at the end.
pub(super) fn set(text: &str, name: &str, value: &str) -> String {
    let line = format!("{name} = {value}");
    let mut found = false;
    let mut lines: Vec<&str> = Vec::new();
    for old in text.lines() {
        if option(old) != canonical(name) {
            lines.push(old);
        } else if !found {
            found = true;
            lines.push(&line);
        }
    }
    if !found {
        lines.push(&line);
    }
    lines.join("\n") + "\n"
}

/// The text without these options.
pub(super) fn remove(text: &str, names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| canonical(name)).collect();
    text.lines()
        .filter(|line| !names.contains(&option(line)))
        .fold(String::new(), |text, line| text + line + "\n")
}

/// The name of the option that a line sets, as [`canonical`] writes it.
fn option(line: &str) -> String {
    canonical(line.split_once('=').map_or(line, |(name, _)| name).trim())
}

/// Servers read `-` and `_` alike, and `loose_` is about unknown options only.
fn canonical(name: &str) -> String {
    let name = name.replace('-', "_");
    name.strip_prefix("loose_").map_or_else(|| name.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_set_in_place_and_removed_whatever_their_spelling() {
        let text = "[mysqld]\nssl-ca=/a\nport = 1\nloose_ssl_ca = /b\n";
        assert_eq!(set(text, "ssl_ca", "/c"), "[mysqld]\nssl_ca = /c\nport = 1\n");
        assert_eq!(set(text, "ssl_key", "/k"), format!("{text}ssl_key = /k\n"));
        assert_eq!(remove(text, &["ssl_ca".to_owned()]), "[mysqld]\nport = 1\n");
    }
}
