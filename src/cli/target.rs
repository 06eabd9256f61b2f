//! The options that name a server, spelled as the `mysql` client spells them.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::facts::{ServerConfig, Target, config};
use crate::secret::Secret;

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct TargetArgs {
    /// Host name or address; without it, the socket on this host
    #[arg(short = 'h', long, value_name = "NAME")]
    pub host: Option<String>,
    /// Port
    #[arg(short = 'P', long, value_name = "N")]
    pub port: Option<u16>,
    /// Socket of a server on this host
    #[arg(short = 'S', long, value_name = "FILE")]
    pub socket: Option<PathBuf>,
    /// User to log in as
    #[arg(short = 'u', long, value_name = "NAME")]
    pub user: Option<String>,
    /// Ask for the password; it is never given as an argument
    #[arg(short = 'p', long)]
    pub password: bool,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password")]
    pub password_stdin: bool,
    /// Read client options from this file only
    #[arg(long, value_name = "FILE")]
    pub defaults_file: Option<PathBuf>,
    /// The only CA to trust (PEM)
    #[arg(long, value_name = "FILE")]
    pub ssl_ca: Option<PathBuf>,
    /// Client certificate for the login (PEM)
    #[arg(long, value_name = "FILE")]
    pub ssl_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE")]
    pub ssl_key: Option<PathBuf>,
    /// The server's option file: also examines a server that is down
    #[arg(long, value_name = "FILE")]
    pub server_config: Option<PathBuf>,
    /// The root of the server's container, for its units and profiles
    #[arg(long, value_name = "DIR")]
    pub system_root: Option<PathBuf>,
    /// Where the private CA of this server is kept
    #[arg(long, value_name = "DIR")]
    pub ca_dir: Option<PathBuf>,
    /// Log in over TCP even if nobody vouches for the server
    #[arg(long)]
    pub insecure_login: bool,
}

/// What somebody is told who typed a password.
pub const PASSWORD_TYPED: &str = "a password is never taken from the command line, where every user of this host could read it \
     (ps, shell history). Give -p alone to be asked for it, or use --password-stdin, an option file \
     (~/.my.cnf, --defaults-file) or MYSQL_PWD; and change the one that was just typed";

/// Whether the arguments hold a password as the `mysql` client takes it: `-psecret`,
/// `--password=secret`, or as a word after them. Looked for before anything else reads the
/// arguments, since whoever complains about one repeats it.
pub fn password_typed(arguments: impl IntoIterator<Item = OsString>) -> bool {
    let mut asked = false;
    for argument in arguments {
        let argument = argument.to_string_lossy();
        let glued = argument.starts_with("-p") || argument.starts_with("--password=");
        let after = asked && !argument.starts_with('-');
        asked = argument == "-p" || argument == "--password";
        if after || (glued && !asked) {
            return true;
        }
    }
    false
}

impl TargetArgs {
    /// The arguments, completed from option files and environment as the `mysql` client does.
    pub fn resolve(&self) -> Result<Target, Failure> {
        let file = config::read_client(self.defaults_file.as_deref()).map_err(|why| {
            Failure::usage(format!("{why}; name a file that is readable with --defaults-file"))
        })?;
        let option = |name: &str| file.get(name).map(str::to_owned);
        let path = |own: &Option<PathBuf>, name: &str| {
            own.clone().or_else(|| option(name).map(PathBuf::from))
        };
        let host = self.host.clone().or_else(|| option("host"));
        // A socket on the command line means this host, whatever the option file says.
        let host = host.filter(|_| self.host.is_some() || self.socket.is_none());
        let socket = if self.host.is_some() && self.host.as_deref() != Some("localhost") {
            self.socket.clone()
        } else {
            path(&self.socket, "socket")
        };
        let port = match self.port {
            Some(port) => Some(port),
            // of an option file it is for the network; over a socket the server's own word counts
            None if host.as_deref().is_none_or(|host| host == "localhost") => None,
            None => option("port").map(|port| number(&port, &file)).transpose()?,
        };
        let os_user =
            || nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|u| u.name);
        Ok(Target {
            host,
            port,
            socket,
            user: self.user.clone().or_else(|| option("user")).or_else(os_user),
            password: self.secret(&file)?,
            ssl_ca: path(&self.ssl_ca, "ssl_ca"),
            ssl_cert: path(&self.ssl_cert, "ssl_cert"),
            ssl_key: path(&self.ssl_key, "ssl_key"),
            server_config: self.server_config.as_deref().map(absolute),
            system_root: self.system_root.as_deref().map(absolute),
            insecure_login: self.insecure_login,
            ca_dir: self.ca_dir.as_deref().map(absolute),
            ca_passphrase: None,
        })
    }

    /// Whether any server was named, as against "the one on this host".
    pub fn is_given(&self) -> bool {
        self.host.is_some()
            || self.port.is_some()
            || self.socket.is_some()
            || self.defaults_file.is_some()
            || self.server_config.is_some()
            || self.user.is_some()
    }

    /// The same arguments again, for a command to be typed later and elsewhere on this host. How the
    /// password is given is not among them.
    pub fn words(&self) -> Vec<String> {
        let text = |name: &str, value: &Option<String>| Some((name.to_owned(), value.clone()?));
        let file = |name: &str, value: &Option<PathBuf>| {
            let value = absolute(value.as_ref()?).display().to_string();
            Some((name.to_owned(), value))
        };
        let port = self.port.map(|port| port.to_string());
        let pairs = [
            // like the `mysql` client, it is to be read before all others
            file("--defaults-file", &self.defaults_file),
            text("-h", &self.host),
            text("-P", &port),
            file("-S", &self.socket),
            text("-u", &self.user),
            file("--ssl-ca", &self.ssl_ca),
            file("--ssl-cert", &self.ssl_cert),
            file("--ssl-key", &self.ssl_key),
            file("--server-config", &self.server_config),
        ];
        let mut words: Vec<String> =
            pairs.into_iter().flatten().flat_map(|(name, value)| [name, value]).collect();
        if self.insecure_login {
            words.push("--insecure-login".to_owned());
        }
        words
    }

    /// From standard input, a prompt, the option file or `MYSQL_PWD`: the first that is there.
    fn secret(&self, file: &ServerConfig) -> Result<Option<Secret>, Failure> {
        let unread = |error: std::io::Error| {
            Failure::usage(format!("the password could not be read: {error}"))
        };
        if self.password_stdin {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map_err(unread)?;
            return Ok(Some(Secret::new(line.trim_end_matches(['\r', '\n']))));
        }
        if self.password {
            if !std::io::stderr().is_terminal() {
                return Err(Failure::usage(
                    "there is no terminal to ask for the password on: use --password-stdin, an option file or MYSQL_PWD",
                ));
            }
            return rpassword::prompt_password("Password: ")
                .map(|text| Some(Secret::new(text)))
                .map_err(unread);
        }
        let from_file = file.options.get("password").and_then(|option| option.value.clone());
        let from_env = || std::env::var("MYSQL_PWD").ok();
        Ok(from_file.or_else(from_env).map(Secret::new))
    }
}

/// What remedies name has to mean the same file to a server, which stands in another folder.
fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn number(port: &str, file: &ServerConfig) -> Result<u16, Failure> {
    port.parse().map_err(|_| {
        let origin = file.origin("port").map(ToString::to_string).unwrap_or_default();
        Failure::usage(format!("{origin}: the port must be a number from 1 to 65535"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_password_is_seen_in_every_spelling_and_nothing_else_is_taken_for_one() {
        let typed = |line: &str| password_typed(line.split(' ').map(OsString::from));
        for line in
            ["check -psecret", "--password=secret", "check -p secret", "--password secret -h a"]
        {
            assert!(typed(line), "{line}");
        }
        for line in
            ["check -p", "-p -h db1", "check --password-stdin", "-P 3306 -u p", "ca --name p"]
        {
            assert!(!typed(line), "{line}");
        }
    }
}
