//! Looking at a server from outside, without a password.

use std::net::SocketAddr;

use super::auth::{self, AuthError, Credentials, Overheard, Reply};
use super::error::{alert_text, tls_text};
use super::greeting::{self, Hello, Until};
use super::packet::{Connection, capability};
use super::stream::{Broken, Channel};
use super::tls::{self, Handshaking, Verified};
use super::{Endpoint, Handshake, Limits, Stage, TlsOffer, Trust, WireError, WireFacts};
use crate::printable::printable;
use crate::secret::Secret;
use crate::x509::Certificate;

/// The account that does not exist, as which a probe says goodbye.
const NOBODY: &str = "mytls-probe";

/// Reads the greeting, shakes hands as far as the server lets it, and ends with a login that is
/// refused: a connection given up before that counts towards `max_connect_errors`, after which the
/// whole host is shut out (`sql/hostname_cache.cc`). Old versions, small keys and untrusted
/// certificates do not stop it; they are what it looks for. Nothing secret is sent.
pub fn probe(
    endpoint: &Endpoint,
    trust: &Trust,
    limits: Limits,
    told: &mut dyn FnMut(Stage),
) -> Result<WireFacts, WireError> {
    contact(endpoint, trust, limits, told).map(|contact| contact.facts)
}

/// What [`probe`] sees, and how the two ends see each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    pub facts: WireFacts,
    /// The own end of the connection, and the server's.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// With which words the login as nobody was refused; they name the client as the server sees it.
    pub refusal: Option<String>,
}

/// As [`probe`].
pub fn contact(
    endpoint: &Endpoint,
    trust: &Trust,
    limits: Limits,
    told: &mut dyn FnMut(Stage),
) -> Result<Contact, WireError> {
    let (connection, hello) = greeting::open(endpoint, Until::new(limits), told)?;
    let addresses = connection.channel.addresses();
    let mut refusal = None;
    let tls = if hello.greeting.offers_tls {
        told(Stage::Handshake);
        let how = Handshaking {
            trust,
            identity: None,
            min_version: None,
            max_version: None,
            lenient: true,
            exactly: None,
        };
        let request = auth::header(auth::capabilities(&hello) | capability::SSL);
        match tls::start(connection, &request, endpoint, &how) {
            Ok((connection, verified)) => {
                let handshake = describe(&connection, verified, trust);
                told(Stage::Login);
                refusal = be_refused(connection, &hello, true);
                TlsOffer::Established(handshake)
            }
            Err(broken) => TlsOffer::Failed { reason: reason(&broken) },
        }
    } else {
        told(Stage::Login);
        refusal = be_refused(connection, &hello, false);
        TlsOffer::NotOffered
    };
    let greeting = hello.greeting;
    let facts = WireFacts { host: endpoint.host.clone(), port: endpoint.port, greeting, tls };
    Ok(Contact { facts, addresses, refusal })
}

pub(super) fn describe(connection: &Connection, verified: Verified, trust: &Trust) -> Handshake {
    let Channel::Tls(stream) = &connection.channel else {
        // tls::start returns no other
        return Handshake::default();
    };
    let ssl = stream.ssl();
    Handshake {
        version: ssl.version_str().to_owned(),
        cipher: ssl.current_cipher().map(|cipher| cipher.name().to_owned()).unwrap_or_default(),
        chain: ssl
            .peer_cert_chain()
            .map_or_else(Vec::new, |chain| chain.iter().map(Certificate::from_openssl).collect()),
        faults: match trust {
            Trust::Unverified => None,
            Trust::Only(_) | Trust::System => Some(verified.faults),
        },
        name_matches: verified.name_matches,
    }
}

/// Logs in as nobody. Whatever comes of it, everything worth knowing is known already, but for the
/// words of the refusal.
pub(super) fn be_refused(
    mut connection: Connection,
    hello: &Hello,
    inside_tls: bool,
) -> Option<String> {
    if greeting::too_old(hello).is_some() {
        return None;
    }
    let capabilities = auth::capabilities(hello) | if inside_tls { capability::SSL } else { 0 };
    let nothing = Secret::default();
    let credentials = Credentials { user: NOBODY, password: &nothing, may_tell: true };
    match auth::authenticate(
        &mut connection,
        hello,
        capabilities,
        credentials,
        &mut Overheard::default(),
    ) {
        // an anonymous account let it in
        Ok(Reply::LetIn) => {
            connection.quit();
            None
        }
        Ok(Reply::Refused(error)) => Some(error.message),
        Err(
            AuthError::AtOnce(_) | AuthError::Later(_) | AuthError::Plugin(_) | AuthError::Kept(_),
        ) => None,
    }
}

pub(super) fn reason(broken: &Broken) -> String {
    match broken {
        Broken::TimedOut => {
            "the server did not finish it in time; is it overloaded, or a proxy?".to_owned()
        }
        Broken::Closed => {
            "the server closed the connection in the middle of it; its error log may say why"
                .to_owned()
        }
        Broken::Alert(alert) => alert_text(*alert),
        Broken::Tls(why) => tls_text(why),
        Broken::Protocol(why) | Broken::Io(why) => printable(why).into_owned(),
    }
}
