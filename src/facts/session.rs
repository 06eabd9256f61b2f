//! SQL sessions, through the `mysql` crate.
//!
//! The crate's own TLS adds the system's roots to the CA given and cannot be told otherwise, so
//! over TCP it goes through a [`Bridge`]: the connection that is verified is the one that is used.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::time::Duration;

use mysql::{Conn, OptsBuilder};
use openssl::x509::X509;
use thiserror::Error;

use super::{ServerFiles, Target, UnreadKind};
use crate::printable::printable;
use crate::wire::{Bridge, ClientIdentity, Endpoint, Handshake, Limits, Secured, Trust, WireError};
use crate::x509::{Certificate, pem};

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(15);
const LIMITS: Limits = Limits { connect: CONNECT, total: ANSWER };

/// How the session travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    Socket(PathBuf),
    Tcp { host: String, port: u16, tls: Tls },
}

/// Whom to talk to over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Who is verified under exactly these CAs.
    Verified { trust: Trust, check_host: bool },
    /// Encrypted, to whoever answers; only when the user said so.
    Unverified,
    /// In the clear; only when the user said so.
    Off,
}

impl Tls {
    /// How to talk to a server that was seen like this under these CAs; `None`: not at all, unless
    /// the user says so.
    pub fn with(target: &Target, seen: &Handshake, trust: Option<Trust>) -> Option<Self> {
        let trust = trust.filter(|_| seen.faults.as_ref().is_some_and(Vec::is_empty));
        if let Some(trust) = trust {
            // As VERIFY_CA for a CA of one's own that was given; any other vouches for names only.
            let check_host = target.ssl_ca.is_none() || trust.is_public();
            if seen.name_matches || !check_host {
                return Some(Self::Verified { trust, check_host });
            }
        }
        target.insecure_login.then_some(Self::Unverified)
    }
}

/// Why there is no session. The text says what to do.
#[derive(Debug, Error)]
pub enum SessionError {
    #[error("{user} was refused: {message} ({code})")]
    Denied { user: String, code: u16, message: String },
    #[error("nothing answers at {place}: {why}")]
    Unreachable { place: String, why: String },
    #[error("the client certificate for this login cannot be used: {0}")]
    Identity(String),
    #[error("the session with {place} failed: {why}")]
    Failed { place: String, why: String, advice: String },
}

impl SessionError {
    pub fn kind(&self) -> UnreadKind {
        match self {
            Self::Denied { .. } => UnreadKind::Refused,
            Self::Unreachable { .. } => UnreadKind::Unreachable,
            Self::Identity(_) | Self::Failed { .. } => UnreadKind::Failed,
        }
    }

    /// What to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Denied { code: 1045, .. } => {
                "check user and password (option file, MYSQL_PWD or prompt); if the account \
                 REQUIREs a certificate, give --ssl-cert and --ssl-key"
            }
            Self::Denied { code: 1129, .. } => {
                "this host is blocked after too many broken connections: on the server, run \
                 TRUNCATE TABLE performance_schema.host_cache (MariaDB: FLUSH HOSTS)"
            }
            Self::Denied { code: 1130, .. } => {
                "the server has no account for this host: log in from a host it knows, or on the \
                 server itself with -S"
            }
            Self::Denied { .. } => "",
            Self::Failed { advice, .. } => advice,
            Self::Unreachable { .. } => {
                "check that the server runs, and that host, port or socket are right; for a server \
                 that is down, name its option file with --server-config"
            }
            Self::Identity(_) => {
                "give a PEM certificate with --ssl-cert and its key with --ssl-key"
            }
        }
        .to_owned()
    }
}

/// A session with the server; statements go through [`Conn`].
pub struct Session {
    conn: Conn,
    /// What carries it, when it is not a socket of the server's; dropped after it.
    _bridge: Option<Bridge>,
}

impl Deref for Session {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

/// The CAs under which a server has to verify: exactly those given; without, the server's own
/// `ssl_ca`, where its files are here; else the system's. The error says what is wrong with those
/// given.
pub fn trust(target: &Target, files: Option<&ServerFiles>) -> Result<Trust, String> {
    if let Some(path) = &target.ssl_ca {
        let given = super::files::bytes(path).and_then(|bytes| pem::certificates(&bytes));
        return given.map(Trust::Only).map_err(|defect| {
            format!("the CA {} cannot be used: {defect}", printable(&path.display().to_string()))
        });
    }
    let of_server: Vec<X509> = files
        .map(|files| files.ca_certificates().iter().filter_map(Certificate::to_openssl).collect())
        .unwrap_or_default();
    Ok(if of_server.is_empty() { Trust::System } else { Trust::Only(of_server) })
}

/// Opens a session; takes no longer than about twenty seconds. Over TCP nothing of the login is
/// sent before the server was verified on that same connection.
pub fn open(target: &Target, route: &Route) -> Result<Session, SessionError> {
    let opts = OptsBuilder::new()
        // Its default reconnects over the socket and drops TLS without a word.
        .prefer_socket(false)
        .user(target.user.as_deref())
        .pass(target.password.as_ref().map(crate::secret::Secret::expose))
        .tcp_connect_timeout(Some(CONNECT))
        .read_timeout(Some(ANSWER))
        .write_timeout(Some(ANSWER));
    let (opts, bridge, place) = match route {
        Route::Socket(path) => (opts.socket(path.to_str()), None, path.display().to_string()),
        Route::Tcp { host, port, tls } => {
            let endpoint = Endpoint::new(host, *port);
            let place = endpoint.to_string();
            if let Some(secured) = secured(target, tls)? {
                let bridge = Bridge::open(&endpoint, secured, LIMITS)
                    .map_err(|error| off_the_wire(error, target, place.clone()))?;
                (opts.socket(bridge.socket().to_str()), Some(bridge), place)
            } else {
                (opts.ip_or_hostname(Some(host)).tcp_port(*port), None, place)
            }
        }
    };
    match Conn::new(opts) {
        Ok(conn) => Ok(Session { conn, _bridge: bridge }),
        Err(error) => Err(match bridge.and_then(|bridge| bridge.fault()) {
            Some(fault) => off_the_wire(fault, target, place),
            None => explain(&error, target, printable(&place).into_owned()),
        }),
    }
}

/// What the connection has to hold to; `None` when it is in the clear.
fn secured(target: &Target, tls: &Tls) -> Result<Option<Secured>, SessionError> {
    let (trust, check_host) = match tls {
        Tls::Verified { trust, check_host } => (trust.clone(), *check_host),
        Tls::Unverified => (Trust::Unverified, false),
        Tls::Off => return Ok(None),
    };
    let identity = match &target.ssl_cert {
        None => None,
        Some(certificate) => {
            let key = target.ssl_key.as_ref().unwrap_or(certificate);
            let loaded = ClientIdentity::load(certificate, key);
            Some(loaded.map_err(|error| SessionError::Identity(error.to_string()))?)
        }
    };
    Ok(Some(Secured { trust, check_host, identity, max_version: None }))
}

/// What the wire said, in its own words.
fn off_the_wire(error: WireError, target: &Target, place: String) -> SessionError {
    match error {
        WireError::Server { code, message, .. } => {
            SessionError::Denied { user: shown_user(target), code, message }
        }
        WireError::Refused { .. } => {
            SessionError::Unreachable { place, why: "nobody listens there".to_owned() }
        }
        error if error.is_unreachable() => SessionError::Unreachable { place, why: error.why() },
        error => SessionError::Failed { place, why: error.why(), advice: error.advice() },
    }
}

fn shown_user(target: &Target) -> String {
    printable(target.user.as_deref().unwrap_or("(no user)")).into_owned()
}

/// What a server or the library said, without the library's dressing; printable.
pub fn words(error: &mysql::Error) -> String {
    let text = match error {
        mysql::Error::MySqlError(refusal) => format!("{} ({})", refusal.message, refusal.code),
        mysql::Error::IoError(error) => error.to_string(),
        other => other.to_string(),
    };
    printable(&text).into_owned()
}

fn explain(error: &mysql::Error, target: &Target, place: String) -> SessionError {
    use std::io::ErrorKind;
    let why = || words(error);
    match error {
        mysql::Error::MySqlError(refusal) => SessionError::Denied {
            user: shown_user(target),
            code: refusal.code,
            message: printable(&refusal.message).into_owned(),
        },
        mysql::Error::DriverError(mysql::DriverError::CouldNotConnect(told)) => {
            let kind = told.as_ref().map(|(.., kind)| *kind);
            let why = match kind {
                Some(ErrorKind::NotFound) => "there is no such socket".to_owned(),
                Some(ErrorKind::ConnectionRefused) => "nobody listens there".to_owned(),
                Some(ErrorKind::PermissionDenied) => "this user may not use it".to_owned(),
                Some(kind) => kind.to_string(),
                None => why(),
            };
            SessionError::Unreachable { place, why }
        }
        mysql::Error::DriverError(mysql::DriverError::ConnectTimeout) => {
            SessionError::Unreachable { place, why: "no answer in time".to_owned() }
        }
        mysql::Error::IoError(io)
            if matches!(io.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
        {
            SessionError::Unreachable { place, why: why() }
        }
        _ => SessionError::Failed { place, why: why(), advice: String::new() },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::facts::gather::Cancel;
    use crate::wire::testing;
    use crate::x509::testing::{self as certificates, Identity};

    #[test]
    fn a_socket_that_is_not_there_is_unreachable_and_says_what_to_do() {
        let target = Target { user: Some("root".into()), ..Target::default() };
        let error = open(&target, &Route::Socket("/no/such.sock".into())).err().unwrap();
        assert_eq!(error.kind(), UnreadKind::Unreachable, "{error}");
        assert!(error.to_string().contains("/no/such.sock"), "{error}");
        assert!(error.advice().contains("--server-config"));
    }

    /// A server that shows its own certificate to the first who comes, and another's to the second;
    /// and what that one sends it inside TLS.
    fn two_faced(first: &Identity, second: &Identity) -> (Endpoint, mpsc::Receiver<Vec<u8>>) {
        let faces = [testing::acceptor(first, None), testing::acceptor(second, None)];
        let (sender, received) = mpsc::channel();
        let met = AtomicUsize::new(0);
        let endpoint = testing::serve(move |tcp| {
            let number = met.fetch_add(1, Ordering::Relaxed);
            let Some(mut stream) = testing::greet_with_tls(tcp, &faces[number.min(1)]) else {
                return;
            };
            let sent = testing::receive(&mut stream);
            if number > 0 {
                sender.send(sent).unwrap();
            }
            // whoever has left does not read it
            let _ = stream.write_all(&testing::denied(3));
        });
        (endpoint, received)
    }

    fn target(endpoint: &Endpoint, ca: &std::path::Path) -> Target {
        Target {
            host: Some(endpoint.host.clone()),
            port: Some(endpoint.port),
            user: Some("app".to_owned()),
            password: Some(crate::secret::Secret::new("correct horse")),
            ssl_ca: Some(ca.to_owned()),
            ..Target::default()
        }
    }

    fn gather(target: &Target) -> (UnreadKind, String) {
        let facts = super::super::gather::gather(target, &Cancel::default(), &mut |_| ());
        let unread = facts.server.reason().expect("no session").clone();
        (unread.kind, format!("{}; {}", unread.why, unread.advice))
    }

    #[test]
    fn a_stranger_on_the_second_connection_gets_no_login() {
        let (root, other) = (certificates::root("Root"), certificates::root("Other"));
        let (endpoint, received) = two_faced(&root.issue_server("db1"), &other.issue_server("db1"));
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), root.certificate.to_pem().unwrap()).unwrap();
        let (kind, why) = gather(&target(&endpoint, ca.path()));
        assert_eq!(kind, UnreadKind::Failed, "{why}");
        assert!(why.contains("is not trusted") && why.contains("nothing was sent"), "{why}");
        let sent = received.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(sent, b"", "nothing at all inside TLS");
    }

    #[test]
    fn under_a_public_bundle_the_name_has_to_match() {
        let root = certificates::root("Root");
        let server = root.issue_server("db1");
        let ca = tempfile::NamedTempFile::new().unwrap();
        let mut bundle = root.certificate.to_pem().unwrap();
        let open_as = |bundle: &[u8], patience: u64| {
            std::fs::write(ca.path(), bundle).unwrap();
            let (endpoint, received) = two_faced(&server, &server);
            // leads to 127.0.0.1, for which the certificate is, and is another name
            let target = Target { host: Some("127.1".to_owned()), ..target(&endpoint, ca.path()) };
            (gather(&target).1, received.recv_timeout(Duration::from_secs(patience)))
        };
        let (why, sent) = open_as(&bundle, 30);
        assert!(!sent.unwrap().is_empty(), "a CA of one's own vouches for the server: {why}");
        for number in 0..20 {
            bundle
                .extend(certificates::root(&format!("CA {number}")).certificate.to_pem().unwrap());
        }
        let (why, sent) = open_as(&bundle, 1);
        assert!(why.contains("is not for 127.1") && sent.is_err(), "{why}");
    }

    #[test]
    fn the_session_itself_looks_at_the_name() {
        let root = certificates::root("Root");
        let server = root.issue_server("db1");
        let (endpoint, received) = two_faced(&server, &server);
        let trust = Trust::Only(vec![root.certificate.clone()]);
        let ca = tempfile::NamedTempFile::new().unwrap();
        let target = target(&endpoint, ca.path());
        let route = |host: &str, check_host| Route::Tcp {
            host: host.to_owned(),
            port: endpoint.port,
            tls: Tls::Verified { trust: trust.clone(), check_host },
        };
        let denied = open(&target, &route("127.0.0.1", true)).err().unwrap();
        assert!(matches!(denied, SessionError::Denied { code: 1045, .. }), "{denied}");
        let misnamed = open(&target, &route("localhost", true)).err().unwrap();
        assert!(misnamed.to_string().contains("it is not for localhost"), "{misnamed}");
        assert_eq!(received.recv_timeout(Duration::from_secs(20)).unwrap(), b"");
    }
}
