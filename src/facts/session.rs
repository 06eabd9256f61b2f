//! SQL sessions, through the `mysql` crate.
//!
//! The crate adds the system's roots to the CA given and cannot be told otherwise, so whoever
//! opens a session over TCP has verified the server over [`crate::wire`] first.

use std::path::PathBuf;
use std::time::Duration;

use mysql::{ClientIdentity, Conn, OptsBuilder, SslOpts};
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::stack::Stack;
use openssl::x509::X509;
use thiserror::Error;

use super::{Target, UnreadKind};
use crate::printable::printable;

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(15);

/// How the session travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    Socket(PathBuf),
    Tcp { host: String, port: u16, tls: Tls },
}

/// What was found out about the server before this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// It is who it should be, under the CA of the target (or the system's).
    Verified,
    /// Encrypted, to whoever answers; only when the user said so.
    Unverified,
    /// In the clear; only when the user said so.
    Off,
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
    Failed { place: String, why: String },
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
            Self::Denied { .. } | Self::Failed { .. } => "",
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

/// Opens a session; takes no longer than about twenty seconds.
pub fn open(target: &Target, route: &Route) -> Result<Conn, SessionError> {
    let mut opts = OptsBuilder::new()
        // Its default reconnects over the socket and drops TLS without a word.
        .prefer_socket(false)
        .user(target.user.as_deref())
        .pass(target.password.as_ref().map(crate::secret::Secret::expose))
        .tcp_connect_timeout(Some(CONNECT))
        .read_timeout(Some(ANSWER))
        .write_timeout(Some(ANSWER));
    // Holds the identity's file until the session stands.
    let mut identity_file = None;
    let place = match route {
        Route::Socket(path) => {
            opts = opts.socket(path.to_str());
            path.display().to_string()
        }
        Route::Tcp { host, port, tls } => {
            opts = opts.ip_or_hostname(Some(host)).tcp_port(*port);
            if *tls != Tls::Off {
                let (ssl, file) = ssl_opts(target, *tls)?;
                identity_file = file;
                opts = opts.ssl_opts(ssl);
            }
            format!("{host}:{port}")
        }
    };
    let session = Conn::new(opts);
    drop(identity_file);
    session.map_err(|error| explain(&error, target, printable(&place).into_owned()))
}

fn ssl_opts(target: &Target, tls: Tls) -> Result<(SslOpts, Option<IdentityFile>), SessionError> {
    // The name was looked at over the wire, where it can be told apart from the chain.
    let mut ssl = SslOpts::default().with_danger_skip_domain_validation(true);
    if tls == Tls::Unverified {
        ssl = ssl.with_danger_accept_invalid_certs(true);
    } else if let Some(ca) = &target.ssl_ca {
        ssl = ssl.with_root_cert_path(Some(ca.clone()));
    }
    let Some(certificate) = &target.ssl_cert else { return Ok((ssl, None)) };
    let key = target.ssl_key.as_ref().unwrap_or(certificate);
    let file = IdentityFile::write(certificate, key)?;
    let identity = ClientIdentity::new(file.0.clone()).with_password(IdentityFile::PASSWORD);
    Ok((ssl.with_client_identity(Some(identity)), Some(file)))
}

/// The client certificate as the PKCS#12 file that the `mysql` crate wants: in a folder of its
/// own, readable by nobody else, gone when dropped.
struct IdentityFile(PathBuf);

impl IdentityFile {
    /// Protects nothing: the file holds a key that lies readable beside it anyway.
    const PASSWORD: &'static str = "mytls";

    fn write(certificate: &std::path::Path, key: &std::path::Path) -> Result<Self, SessionError> {
        let wrong = |path: &std::path::Path, why: &dyn std::fmt::Display| {
            SessionError::Identity(format!("{}: {why}", printable(&path.display().to_string())))
        };
        let read = |path| super::files::bytes(path).map_err(|defect| wrong(path, &defect));
        let chain = crate::x509::pem::certificates(&read(certificate)?)
            .map_err(|defect| wrong(certificate, &defect))?;
        let private =
            crate::x509::pem::private_key(&read(key)?).map_err(|defect| wrong(key, &defect))?;
        let archive = pkcs12(&chain, &private.key).map_err(|error| wrong(certificate, &error))?;
        let folder =
            std::env::temp_dir().join(format!("mytls-{}-{}", std::process::id(), unique()));
        create_private(&folder, &archive).map_err(|error| wrong(&folder, &error))
    }
}

impl Drop for IdentityFile {
    fn drop(&mut self) {
        if let Some(folder) = self.0.parent() {
            // Nothing can be done about a file that does not go; it is readable by its owner only.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn create_private(folder: &std::path::Path, bytes: &[u8]) -> std::io::Result<IdentityFile> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    std::fs::DirBuilder::new().mode(0o700).create(folder)?;
    let file = IdentityFile(folder.join("identity.p12"));
    let mut out =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file.0)?;
    out.write_all(bytes)?;
    Ok(file)
}

fn unique() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| u64::from(since.subsec_nanos()));
    now << 16 | NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

fn pkcs12(
    chain: &[X509],
    key: &PKey<openssl::pkey::Private>,
) -> Result<Vec<u8>, openssl::error::ErrorStack> {
    let mut others = Stack::new()?;
    for certificate in chain.iter().skip(1) {
        others.push(certificate.clone())?;
    }
    let mut archive = Pkcs12::builder();
    archive.pkey(key).ca(others);
    if let Some(leaf) = chain.first() {
        archive.cert(leaf);
    }
    archive.build2(IdentityFile::PASSWORD)?.to_der()
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
            user: printable(target.user.as_deref().unwrap_or("(no user)")).into_owned(),
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
        _ => SessionError::Failed { place, why: why() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_is_not_there_is_unreachable_and_says_what_to_do() {
        let target = Target { user: Some("root".into()), ..Target::default() };
        let error = open(&target, &Route::Socket("/no/such.sock".into())).err().unwrap();
        assert_eq!(error.kind(), UnreadKind::Unreachable, "{error}");
        assert!(error.to_string().contains("/no/such.sock"), "{error}");
        assert!(error.advice().contains("--server-config"));
    }

    #[test]
    fn the_identity_file_is_private_and_goes() {
        use std::os::unix::fs::PermissionsExt as _;
        let identity = crate::x509::testing::root("x");
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        std::fs::write(&certificate, identity.certificate.to_pem().unwrap()).unwrap();
        std::fs::write(&key, identity.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        let file = IdentityFile::write(&certificate, &key).unwrap();
        let path = file.0.clone();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777,
            0o700
        );
        drop(file);
        assert!(!path.parent().unwrap().exists());
        let error = IdentityFile::write(&key, &key).err().unwrap().to_string();
        assert!(error.contains("holds no certificate"), "{error}");
    }
}
