//! Logging in as an account, and finding out as which.

use std::net::IpAddr;

use openssl::ssl::SslVersion;

use super::auth::{self, AuthError, Credentials, Overheard, Reply};
use super::error::alert_name;
use super::greeting::{self, Hello, Until};
use super::packet::{Connection, Cursor, ServerError, capability};
use super::stream::{Broken, Channel};
use super::tls::{self, Handshaking, Verified};
use super::{ClientIdentity, Endpoint, Limits, Stage, Trust, WireError};
use crate::printable::printable_bytes;
use crate::secret::Secret;

/// A login to try.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub user: &'a str,
    pub password: &'a Secret,
    /// `None`: without TLS. The password itself is never sent then, only proofs of knowing it.
    pub tls: Option<Tls<'a>>,
}

/// How a login uses TLS. There is no way back to clear text.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// The server's certificate has to hold under this, or nothing is sent.
    pub trust: &'a Trust,
    /// The client's own certificate.
    pub identity: Option<&'a ClientIdentity>,
    /// Whether the server's certificate has to be for the host of the endpoint; not looked at
    /// where nobody verifies.
    pub check_host: bool,
    pub min_version: Option<SslVersion>,
    pub max_version: Option<SslVersion>,
    /// For a server of yaSSL alone: takes the TLS 1.0 and the old ciphers that today's OpenSSL
    /// does without. Whom it trusts stays as strict.
    pub old_tls: bool,
}

impl<'a> Tls<'a> {
    pub fn new(trust: &'a Trust) -> Self {
        Self {
            trust,
            identity: None,
            check_host: true,
            min_version: None,
            max_version: None,
            old_tls: false,
        }
    }
}

/// What the server made of a login. Texts are printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    LetIn {
        /// `CURRENT_USER()`: the account that answered, which need not be the one meant.
        account: String,
        /// The version and cipher suite of TLS.
        tls: Option<(String, String)>,
    },
    /// By an error packet, such as 1045.
    Refused { code: u16, message: String },
    /// Before the account came into play: the client's certificate, or its absence, was refused.
    HandshakeRefused {
        /// The alert's name, such as `unknown ca`.
        reason: String,
    },
}

/// How a login went, besides what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The server's numbers of the connections that were made, as its log has them.
    pub connections: Vec<u32>,
    /// This host's end of the last of them.
    pub from: Option<IpAddr>,
    /// The server found the password right before it refused for another reason. `false` says
    /// nothing: not every plugin, and not every login, lets it out.
    pub password_fits: bool,
    /// OpenSSL's name of the cipher suite of the last connection.
    pub cipher: Option<String>,
}

/// Logs in, asks who answered, and leaves. Errors are what kept it from being tried or answered;
/// a refusal is an [`Outcome`].
///
/// Under TLS 1.3 a server refuses a client certificate after the client has finished its
/// handshake (RFC 8446 §4.4.2.4), and the alert may be lost with the connection. Then the login is
/// tried once more with TLS 1.2, where the alert arrives in the handshake.
pub fn login(endpoint: &Endpoint, login: &Login<'_>, limits: Limits) -> Result<Outcome, WireError> {
    traced_login(endpoint, login, limits, &mut Trace::default())
}

/// [`login`], and how it went.
pub fn traced_login(
    endpoint: &Endpoint,
    login: &Login<'_>,
    limits: Limits,
    trace: &mut Trace,
) -> Result<Outcome, WireError> {
    let until = Until::new(limits);
    let first = attempt(endpoint, login, until, trace)?;
    let (Attempt::Lost, Some(tls)) = (&first, login.tls) else {
        return Ok(first.into_outcome());
    };
    if tls.min_version == Some(SslVersion::TLS1_3) || tls.max_version == Some(SslVersion::TLS1_2) {
        return Ok(first.into_outcome());
    }
    let older = Tls { max_version: Some(SslVersion::TLS1_2), ..tls };
    match attempt(endpoint, &Login { tls: Some(older), ..*login }, until, trace) {
        Ok(Attempt::Decided(Outcome::HandshakeRefused { reason })) if reason == alert_name(70) => {
            Ok(first.into_outcome()) // it speaks TLS 1.3 only
        }
        Ok(second) => Ok(second.into_outcome()),
        Err(_) => Ok(first.into_outcome()),
    }
}

enum Attempt {
    Decided(Outcome),
    /// The server closed the connection when it had seen the client's certificate.
    Lost,
}

impl Attempt {
    fn into_outcome(self) -> Outcome {
        match self {
            Self::Decided(outcome) => outcome,
            Self::Lost => Outcome::HandshakeRefused {
                reason: "the connection was closed, without an alert".to_owned(),
            },
        }
    }

    fn alert(alert: u8) -> Self {
        Self::Decided(Outcome::HandshakeRefused { reason: alert_name(alert) })
    }
}

fn attempt(
    endpoint: &Endpoint,
    login: &Login<'_>,
    until: Until,
    trace: &mut Trace,
) -> Result<Attempt, WireError> {
    let at = endpoint.to_string();
    let (connection, hello) = greeting::open(endpoint, until, &mut |_| ())?;
    trace.connections.push(hello.connection);
    trace.from = hello.from;
    if let Some(old) = greeting::too_old(&hello) {
        return Err(WireError::broken(old, at, Stage::Greeting));
    }
    let mut capabilities = auth::capabilities(&hello);
    let shows_certificate = login.tls.is_some_and(|tls| tls.identity.is_some());
    let mut connection = match login.tls {
        None => connection,
        Some(tls) => {
            capabilities |= capability::SSL;
            match start_tls(connection, &hello, &auth::header(capabilities), endpoint, tls) {
                Ok(connection) => connection,
                Err(TlsFault::Told(error)) => return Err(error),
                Err(TlsFault::Broken(Broken::Alert(alert))) => return Ok(Attempt::alert(alert)),
                Err(TlsFault::Broken(Broken::Closed)) if shows_certificate => {
                    return Ok(Attempt::Lost);
                }
                // yaSSL takes no certificate that does not verify, and its server then says so with
                // an error packet (1043) outside TLS
                Err(TlsFault::Broken(Broken::Tls(why)))
                    if tls.old_tls && shows_certificate && why == "wrong version number" =>
                {
                    let reason = "an error in clear text in the middle of the handshake".to_owned();
                    return Ok(Attempt::Decided(Outcome::HandshakeRefused { reason }));
                }
                Err(TlsFault::Broken(broken)) => {
                    return Err(WireError::broken(broken, at, Stage::Handshake));
                }
            }
        }
    };
    trace.cipher = established(&connection).map(|(_, cipher)| cipher);
    let may_tell = login.tls.is_some_and(|tls| !matches!(tls.trust, Trust::Unverified));
    let credentials = Credentials { user: login.user, password: login.password, may_tell };
    let mut overheard = Overheard::default();
    let reply =
        auth::authenticate(&mut connection, &hello, capabilities, credentials, &mut overheard);
    trace.password_fits |= overheard.password_fits;
    match reply {
        Ok(Reply::LetIn) => {}
        Ok(Reply::Refused(ServerError { code, message })) => {
            return Ok(Attempt::Decided(Outcome::Refused { code, message }));
        }
        Err(AuthError::AtOnce(Broken::Alert(alert))) => return Ok(Attempt::alert(alert)),
        Err(AuthError::AtOnce(Broken::Closed)) if shows_certificate => return Ok(Attempt::Lost),
        Err(AuthError::AtOnce(broken) | AuthError::Later(broken)) => {
            return Err(WireError::broken(broken, at, Stage::Login));
        }
        Err(AuthError::Plugin(plugin)) => return Err(WireError::Plugin { at, plugin }),
        Err(AuthError::Kept(plugin)) => return Err(WireError::PasswordKept { at, plugin }),
    }
    let tls = established(&connection);
    let account = current_user(&mut connection, &at)?;
    connection.quit();
    Ok(Attempt::Decided(Outcome::LetIn { account, tls }))
}

pub enum TlsFault {
    Broken(Broken),
    Told(WireError),
}

/// Goes on inside TLS, with a server that nothing speaks against; else nothing but this request,
/// which has the `CLIENT_SSL` flag, was sent.
pub fn start_tls(
    connection: Connection,
    hello: &Hello,
    request: &[u8; 32],
    endpoint: &Endpoint,
    tls: Tls<'_>,
) -> Result<Connection, TlsFault> {
    let at = endpoint.to_string();
    if !hello.greeting.offers_tls {
        return Err(TlsFault::Told(WireError::NoTls { at }));
    }
    let how = Handshaking {
        trust: tls.trust,
        identity: tls.identity,
        min_version: tls.min_version,
        max_version: tls.max_version,
        lenient: tls.old_tls,
        exactly: None,
    };
    let (connection, verified) =
        tls::start(connection, request, endpoint, &how).map_err(TlsFault::Broken)?;
    let faults = objections(&verified, tls, endpoint);
    if faults.is_empty() {
        Ok(connection)
    } else {
        Err(TlsFault::Told(WireError::Untrusted { at, faults }))
    }
}

/// Why nothing may be sent to this server.
fn objections(verified: &Verified, tls: Tls<'_>, endpoint: &Endpoint) -> Vec<String> {
    if matches!(tls.trust, Trust::Unverified) {
        return Vec::new();
    }
    let mut faults: Vec<String> = verified.faults.iter().map(|fault| fault.text.clone()).collect();
    faults.dedup();
    if tls.check_host && !verified.name_matches {
        faults.push(format!("it is not for {}", printable_bytes(endpoint.host.as_bytes())));
    }
    faults
}

fn established(connection: &Connection) -> Option<(String, String)> {
    match &connection.channel {
        Channel::Plain(_) => None,
        Channel::Tls(stream) => {
            let cipher = stream.ssl().current_cipher().map_or("", |cipher| cipher.name());
            Some((stream.ssl().version_str().to_owned(), cipher.to_owned()))
        }
    }
}

/// The one question that is ever asked.
fn current_user(connection: &mut Connection, at: &str) -> Result<String, WireError> {
    const COM_QUERY: u8 = 3;
    const MOST_PACKETS: usize = 6; // count, column, EOF, row, EOF
    let broken = |broken| WireError::broken(broken, at.to_owned(), Stage::Login);
    connection.command(COM_QUERY, b"SELECT CURRENT_USER()").map_err(broken)?;
    let mut answer = None;
    for number in 0..MOST_PACKETS {
        let packet = connection.read().map_err(broken)?;
        match packet.as_slice() {
            [ServerError::MARK, ..] => {
                let error = ServerError::parse(&packet);
                let (code, message) = error.map_or((0, String::new()), |e| (e.code, e.message));
                return Err(WireError::Query { at: at.to_owned(), code, message });
            }
            [0xfe, rest @ ..] if rest.len() < 8 && answer.is_some() => break,
            [0xfe, rest @ ..] if rest.len() < 8 => {}
            row if number >= 3 => answer = Cursor(row).counted().map(printable_bytes),
            _ => {}
        }
    }
    answer.ok_or_else(|| WireError::Protocol {
        at: at.to_owned(),
        why: "it did not answer SELECT CURRENT_USER()".to_owned(),
    })
}
