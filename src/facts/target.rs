//! Which server is meant, and how to reach it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// A server to examine. What is `None` was not said; the gatherers fill in what `mysql` would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Target {
    /// `None` or `localhost`: this host, over the socket, as for the `mysql` client.
    pub host: Option<String>,
    pub port: Option<u16>,
    pub socket: Option<PathBuf>,
    pub user: Option<String>,
    #[serde(skip)]
    pub password: Option<Secret>,
    /// The CA that a client here trusts; the only one, when given.
    pub ssl_ca: Option<PathBuf>,
    pub ssl_cert: Option<PathBuf>,
    pub ssl_key: Option<PathBuf>,
    /// The server's option file, when its usual places are not meant.
    pub server_config: Option<PathBuf>,
    /// The folder below which the system's own settings lie (systemd's units, AppArmor's profiles),
    /// when it is not `/`: the root of a container, or of a host that was mounted.
    pub system_root: Option<PathBuf>,
    /// Log in over TCP even where nobody could say who is listening.
    pub insecure_login: bool,
    /// Where mytls keeps the private CA of this server.
    pub ca_dir: Option<PathBuf>,
    /// The passphrase of that CA's key, for as long as something is planned that needs it.
    #[serde(skip)]
    pub ca_passphrase: Option<Secret>,
}

impl Target {
    pub const DEFAULT_PORT: u16 = 3306;

    /// Whether a connection to it leaves over the network, as far as its name tells.
    pub fn is_tcp(&self) -> bool {
        self.host.as_deref().is_some_and(|host| host != "localhost")
    }

    pub fn port(&self) -> u16 {
        self.port.unwrap_or(Self::DEFAULT_PORT)
    }

    /// `db1.example:3306` or the socket's path; made printable.
    pub fn display(&self) -> String {
        let text = match (&self.host, &self.socket) {
            (Some(host), _) if self.is_tcp() => format!("{host}:{}", self.port()),
            (_, Some(socket)) => socket.display().to_string(),
            _ => "localhost".to_owned(),
        };
        crate::printable::printable(&text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_target_holds_no_password() {
        let target = Target {
            password: Some(Secret::new("hunter2")),
            ca_passphrase: Some(Secret::new("hunter2")),
            ..Target::default()
        };
        assert!(!serde_json::to_string(&target).unwrap().contains("hunter2"));
        assert!(!format!("{target:?}").contains("hunter2"));
    }
}
