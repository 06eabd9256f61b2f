//! What went wrong between here and the server, in words that say what to do.

use std::error::Error;
use std::fmt;

use super::Stage;
use super::stream::Broken;
use crate::printable::printable;

/// Why a server could not be examined or logged in to. `at` is the endpoint, made printable, as
/// is every other text. The message is [`Self::why`] and [`Self::advice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The host's name leads to no address.
    Resolve {
        host: String,
        why: String,
    },
    /// Nothing listens there.
    Refused {
        at: String,
    },
    /// The network says that there is no way.
    Unreachable {
        at: String,
        why: String,
    },
    TimedOut {
        at: String,
        stage: Stage,
    },
    /// The other end closed or reset the connection.
    Closed {
        at: String,
        stage: Stage,
    },
    /// Something else than a MySQL server answered.
    NotMySql {
        at: String,
        /// `an SSH server`; `something else` when it was not recognised.
        what: String,
        /// Its first bytes.
        first: String,
    },
    /// The server sent an error in place of its greeting.
    Server {
        at: String,
        code: u16,
        message: String,
    },
    /// It speaks the protocol, up to a point.
    Protocol {
        at: String,
        why: String,
    },
    /// The TLS handshake failed on this side.
    Tls {
        at: String,
        why: String,
    },
    /// TLS was asked for, and the server offers none.
    NoTls {
        at: String,
    },
    /// The server's certificate does not hold under the CA given; nothing was sent to it.
    Untrusted {
        at: String,
        faults: Vec<String>,
    },
    /// The server asked for the password itself over a connection on which it is not given.
    PasswordKept {
        at: String,
        plugin: String,
    },
    /// The account's authentication plugin is one that is not spoken here.
    Plugin {
        at: String,
        plugin: String,
    },
    /// The login was accepted, and the question which account it is was not.
    Query {
        at: String,
        code: u16,
        message: String,
    },
    Io {
        at: String,
        stage: Stage,
        why: String,
    },
}

impl WireError {
    /// Nothing was reached: the server is down, or the address is wrong.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Resolve { .. }
                | Self::Refused { .. }
                | Self::Unreachable { .. }
                | Self::TimedOut { stage: Stage::Resolve | Stage::Connect, .. }
        )
    }

    /// What happened.
    pub fn why(&self) -> String {
        match self {
            Self::Resolve { host, why } => {
                format!("the host {} was not found ({})", printable(host), printable(why))
            }
            Self::Refused { at } => format!("{at} refuses connections"),
            Self::Unreachable { at, why } => format!("{at} cannot be reached ({why})"),
            Self::TimedOut { at, stage: Stage::Resolve } => {
                format!("looking up the address of {at} took too long")
            }
            Self::TimedOut { at, stage: Stage::Connect } => format!("{at} does not answer"),
            Self::TimedOut { at, stage: Stage::Greeting } => {
                format!("{at} accepts connections and then says nothing in time")
            }
            Self::TimedOut { at, stage } => format!("{at} stopped answering during the {stage}"),
            Self::Closed { at, stage: Stage::Greeting } => {
                format!("{at} closed the connection without a greeting")
            }
            Self::Closed { at, stage } => format!("{at} closed the connection during the {stage}"),
            Self::NotMySql { at, what, first } => {
                format!("{at} is no MySQL server but {what}: it says “{first}”")
            }
            Self::Server { at, code, message } => {
                format!("{at} turns mytls away with error {code}: {message}")
            }
            Self::Protocol { at, why } => format!("{at} breaks the MySQL protocol: {why}"),
            Self::Tls { at, why } => format!("the TLS handshake with {at} failed: {why}"),
            Self::NoTls { at } => format!("{at} does not offer TLS"),
            Self::Untrusted { at, faults } => {
                format!("the certificate of {at} is not trusted: {}", faults.join("; "))
            }
            Self::PasswordKept { at, plugin } => {
                format!("{at} asked for the password itself ({plugin}), and it was not sent")
            }
            Self::Plugin { at, plugin } => {
                format!("{at} wants the authentication plugin {plugin}, which mytls does not speak")
            }
            Self::Query { at, code, message } => {
                format!("{at} accepted the login and then answered error {code}: {message}")
            }
            Self::Io { at, stage, why } => format!("{at}: {why} (at: {stage})"),
        }
    }

    /// What to do about it.
    pub fn advice(&self) -> String {
        let advice = match self {
            Self::Resolve { .. } => "check how the host is spelled, or give its address",
            Self::Refused { .. } => {
                "is the server running, is the port right, and does its bind_address allow it?"
            }
            Self::Unreachable { .. } => "check the address, and the network between here and there",
            Self::TimedOut { stage: Stage::Resolve, .. } => {
                "check this host's name servers, or give the server's address"
            }
            Self::TimedOut { stage: Stage::Connect, .. } => {
                "is the host up, is the address right, and does a firewall drop the packets?"
            }
            Self::TimedOut { stage: Stage::Greeting, .. } => {
                "a MySQL server speaks first: is this the port of something else (HTTP, PostgreSQL \
                 and plain TLS wait for the client), or is the server overloaded?"
            }
            Self::TimedOut { .. } => "is the server overloaded? try again, and read its error log",
            Self::Closed { stage: Stage::Greeting, .. } => {
                "the server may be starting or stopping, or a proxy stands there with no server \
                 behind it; read the error log of what listens there"
            }
            Self::Closed { .. } => "the server's error log may say why",
            Self::NotMySql { .. } => "check the port; MySQL and MariaDB listen on 3306 by default",
            Self::Server { code, .. } => return server_advice(*code).to_owned(),
            Self::Protocol { .. } => "check the port, and what stands between here and the server",
            Self::Tls { .. } => "check which TLS versions and ciphers the server allows",
            Self::NoTls { .. } => {
                "its key, certificate or CA could not be used; its error log says why"
            }
            Self::Untrusted { .. } => "nothing was sent; check the CA given, and the host's name",
            Self::PasswordKept { .. } => {
                "that takes TLS with a server certificate that was verified: give the CA"
            }
            Self::Plugin { .. } => "log in with the mysql client, or use another account",
            Self::Query { .. } => "log in once with the mysql client and see what it asks for",
            Self::Io { .. } => "try again",
        };
        advice.to_owned()
    }

    pub(super) fn broken(broken: Broken, at: String, stage: Stage) -> Self {
        match broken {
            Broken::TimedOut => Self::TimedOut { at, stage },
            Broken::Closed => Self::Closed { at, stage },
            Broken::Alert(alert) => Self::Tls { at, why: alert_text(alert) },
            Broken::Tls(why) => Self::Tls { at, why: tls_text(&why) },
            Broken::Protocol(why) => Self::Protocol { at, why },
            Broken::Io(why) => Self::Io { at, stage, why: printable(&why).into_owned() },
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.why(), self.advice())
    }
}

impl Error for WireError {}

/// Errors that a server sends before anybody could log in (`share/errmsg-utf8.txt`).
fn server_advice(code: u16) -> &'static str {
    match code {
        1040 => "all its connections are in use; raise max_connections or end idle sessions",
        1129 => {
            "too many connections from this host ended early; unblock it on the server with \
             TRUNCATE TABLE performance_schema.host_cache (MySQL) or FLUSH HOSTS (MariaDB)"
        }
        1130 => "no account may come from this host; create one for this host's address",
        1053 => "it is shutting down; try again when it runs",
        1203 => "this user has all the connections it may have",
        _ => "the server's error log may say more",
    }
}

/// The name of a TLS alert, as RFC 8446 §6 and RFC 5246 §7.2 have it, in words.
pub(crate) fn alert_name(alert: u8) -> String {
    let name = match alert {
        0 => "close notify",
        10 => "unexpected message",
        20 => "bad record mac",
        40 => "handshake failure",
        42 => "bad certificate",
        43 => "unsupported certificate",
        44 => "certificate revoked",
        45 => "certificate expired",
        46 => "certificate unknown",
        47 => "illegal parameter",
        48 => "unknown ca",
        49 => "access denied",
        50 => "decode error",
        51 => "decrypt error",
        70 => "protocol version",
        71 => "insufficient security",
        80 => "internal error",
        86 => "inappropriate fallback",
        90 => "user canceled",
        109 => "missing extension",
        112 => "unrecognized name",
        116 => "certificate required",
        other => return format!("alert {other}"),
    };
    name.to_owned()
}

/// An alert of the server's, and what it means when a client meets it.
pub(super) fn alert_text(alert: u8) -> String {
    let means = match alert {
        40 => "the server and mytls have no cipher suite, curve or kind of signature in common",
        42 | 43 | 46 => "the server cannot use the certificate that was shown to it",
        45 => "the certificate that was shown to the server is out of date",
        48 => "the server does not trust the CA of the certificate that was shown to it",
        70 => "the server and mytls have no TLS version in common",
        71 => "the server wants stronger keys or ciphers",
        80 => "something failed inside the server; its error log may say what",
        116 => "the server insists on a client certificate",
        _ => return format!("the server's alert says: {}", alert_name(alert)),
    };
    format!("{means} (alert: {})", alert_name(alert))
}

/// OpenSSL's reason for giving up on its side, with what it usually means.
pub(super) fn tls_text(reason: &str) -> String {
    let reason = printable(reason);
    let means = match reason.as_ref() {
        "wrong version number" | "packet length too long" | "record layer failure" => {
            "the server answered in clear text where TLS should begin"
        }
        "unsupported protocol" | "no protocols available" => {
            "the server and mytls have no TLS version in common"
        }
        "dh key too small" | "ee key too small" | "ca key too small" | "ca md too weak" => {
            "the keys or signatures are weaker than OpenSSL accepts here"
        }
        "excessive message size" => {
            "the server sent certificates, or another message, larger than TLS libraries take"
        }
        "unsafe legacy renegotiation disabled" => {
            "the server knows only the unsafe way to renegotiate (a TLS library before 2010)"
        }
        _ => return reason.into_owned(),
    };
    format!("{means} ({reason})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_reached_counts_as_unreachable() {
        let at = || "db1:3306".to_owned();
        assert!(WireError::Refused { at: at() }.is_unreachable());
        assert!(WireError::TimedOut { at: at(), stage: Stage::Connect }.is_unreachable());
        assert!(!WireError::TimedOut { at: at(), stage: Stage::Greeting }.is_unreachable());
        assert!(!WireError::NoTls { at: at() }.is_unreachable());
    }

    #[test]
    fn messages_say_what_happened_and_what_to_do() {
        let error = WireError::Refused { at: "db1:3306".into() };
        assert_eq!(
            error.to_string(),
            "db1:3306 refuses connections; is the server running, is the port right, and does its \
             bind_address allow it?"
        );
        let blocked = WireError::Server { at: "db1:3306".into(), code: 1129, message: "x".into() };
        assert!(blocked.to_string().contains("FLUSH HOSTS"), "{blocked}");
    }
}
