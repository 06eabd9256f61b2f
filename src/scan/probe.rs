//! One question to a server: this hello, what do you make of it?
//!
//! There are two ways to ask. A *bare* hello is broken off at the answer: it takes the fewest round trips,
//! offers what no library has any more, and counts towards `max_connect_errors`. A *carried* one is a whole
//! handshake of OpenSSL's that ends with a refused login, and counts nothing.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::Id;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslOptions, SslStream, SslVerifyMode, SslVersion};
use thiserror::Error;

use super::codes::{GROUPS, Protocol, suite, suites};
use super::hello::{self, Answer, Choice, Flight, Offer, Parsed};
use crate::wire::greeting::{self, Until};
use crate::wire::packet::{GREETING_LIMIT, ServerError, capability};
use crate::wire::stream::{Broken, Channel, Deadline, Timed};
use crate::wire::{Endpoint, Limits, WireError, auth, be_refused, reason};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// The server said so in clear text before TLS began: 1129, 1040, 1130, ...
    #[error("the server says: {message} (error {code})")]
    Server { code: u16, message: String },
    #[error("{0}")]
    Unreachable(String),
    /// It is there, and does not do as TLS wants.
    #[error("{0}")]
    Strange(String),
}

impl ProbeError {
    /// Whether to stop asking: every further question would do harm, or be refused as well.
    pub fn ends_it(&self) -> bool {
        matches!(self, Self::Server { .. })
    }
}

impl From<WireError> for ProbeError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Server { code, message, .. } => Self::Server { code, message },
            error if error.is_unreachable() => Self::Unreachable(error.why()),
            error => Self::Strange(error.why()),
        }
    }
}

impl From<ErrorStack> for ProbeError {
    fn from(error: ErrorStack) -> Self {
        Self::Strange(format!("OpenSSL: {error}"))
    }
}

/// More than any server's first flight: a hundred certificates of two kilobytes.
const FLIGHT_LIMIT: usize = 256 * 1024;

/// A bare hello. With `early`, the hello goes out with the connection, before the server has greeted: a
/// round trip less. With `whole`, the rest of the flight is waited for, too.
pub fn bare(
    endpoint: &Endpoint,
    offer: &Offer,
    early: bool,
    whole: bool,
    limits: Limits,
) -> Result<(Answer, Flight), ProbeError> {
    let deadline = Deadline::after(limits.total);
    let connect = Deadline::after(limits.connect).earlier(deadline);
    let tcp = endpoint.connect(connect, &mut |_| ())?;
    let mut stream = Timed::new(tcp, deadline);
    let mut random = [0; 32];
    openssl::rand::rand_bytes(&mut random)?;
    let question = [&request()[..], &offer.record(&random)].concat();
    let mut bytes = Vec::new();
    if early {
        stream.write_all(&question).map_err(broken)?;
        skip_greeting(&mut stream, &mut bytes)?;
    } else {
        skip_greeting(&mut stream, &mut bytes)?;
        stream.write_all(&question).map_err(broken)?;
    }
    loop {
        match hello::parse(&bytes) {
            Parsed::Answer(answer) => {
                let flight = hello::flight(&bytes);
                let more = whole && !flight.done && matches!(answer, Answer::Took(_));
                if !more {
                    return Ok((answer, flight));
                }
            }
            Parsed::Nonsense(why) => return Err(ProbeError::Strange(why.to_owned())),
            Parsed::More => {}
        }
        if bytes.len() > FLIGHT_LIMIT {
            let why = format!("it sent {} bytes and was not done greeting", bytes.len());
            return Err(ProbeError::Strange(why));
        }
        let mut more = [0; 8192];
        match stream.read(&mut more) {
            Ok(0) => return closed(&bytes),
            Ok(read) => bytes.extend_from_slice(&more[..read]),
            Err(error) => match Broken::from(error) {
                Broken::Closed => return closed(&bytes),
                other => return Err(ProbeError::Strange(reason(&other))),
            },
        }
    }
}

/// yaSSL and others close without an alert where they and the client have nothing in common.
fn closed(bytes: &[u8]) -> Result<(Answer, Flight), ProbeError> {
    if bytes.is_empty() {
        return Ok((Answer::Refused(NO_ALERT), Flight::default()));
    }
    match hello::parse(bytes) {
        Parsed::Answer(answer) => Ok((answer, hello::flight(bytes))),
        _ => {
            Err(ProbeError::Strange("it closed the connection in the middle of its answer".into()))
        }
    }
}

/// In the place of an alert's number: the connection was closed without one.
pub const NO_ALERT: u8 = 0;

/// Reads the greeting's packet; what came behind it stays.
fn skip_greeting(stream: &mut Timed, rest: &mut Vec<u8>) -> Result<(), ProbeError> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).map_err(broken)?;
    let [a, b, c, _] = header;
    let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
    if length == 0 || length > GREETING_LIMIT {
        return Err(ProbeError::Strange("it greets like no MySQL".to_owned()));
    }
    let mut greeting = vec![0; length];
    stream.read_exact(&mut greeting).map_err(broken)?;
    rest.clear();
    match ServerError::parse(&greeting) {
        Some(ServerError { code, message }) => Err(ProbeError::Server { code, message }),
        None => Ok(()),
    }
}

fn broken(error: io::Error) -> ProbeError {
    ProbeError::Strange(reason(&Broken::from(error)))
}

/// `Protocol::SSLRequest` with its header: the first packet after the greeting.
fn request() -> [u8; 36] {
    let flags = capability::LONG_PASSWORD
        | capability::PROTOCOL_41
        | capability::SSL
        | capability::TRANSACTIONS
        | capability::SECURE_CONNECTION
        | capability::PLUGIN_AUTH;
    let mut packet = [0; 36];
    packet[..4].copy_from_slice(&[32, 0, 0, 1]);
    packet[4..].copy_from_slice(&auth::header(flags));
    packet
}

/// A handshake of OpenSSL's with what of the offer it can speak, then a refused login. `None` when it
/// can speak none of it.
pub fn carried(
    endpoint: &Endpoint,
    offer: &Offer,
    limits: Limits,
) -> Result<Option<Answer>, ProbeError> {
    let Some(context) = context(offer)? else { return Ok(None) };
    let (mut connection, hello) = greeting::open(endpoint, Until::new(limits), &mut |_| ())?;
    let capabilities = auth::capabilities(&hello) | capability::SSL;
    let strange = |broken: Broken| ProbeError::Strange(reason(&broken));
    connection.write(&auth::header(capabilities)).map_err(strange)?;
    let mut ssl = Ssl::new(&context)?;
    if let Some(name) = &offer.name {
        ssl.set_hostname(name)?;
    }
    let mut taken = None;
    let shaken = connection.over(|channel| match channel {
        Channel::Plain(tcp) => {
            let mut stream = SslStream::new(ssl, tcp)?;
            stream.connect().map_err(|error| Broken::from(&error))?;
            taken = choice(&stream);
            Ok(Channel::Tls(Box::new(stream)))
        }
        Channel::Tls(_) => Err(Broken::Tls("TLS was started twice".to_owned())),
    });
    match (shaken, taken) {
        (Ok(connection), Some(choice)) => {
            be_refused(connection, &hello, true);
            Ok(Some(Answer::Took(choice)))
        }
        (Ok(_), None) => Err(ProbeError::Strange("OpenSSL does not say what was chosen".into())),
        (Err(Broken::Alert(alert)), _) => Ok(Some(Answer::Refused(alert))),
        (Err(Broken::Closed), _) => Ok(Some(Answer::Refused(NO_ALERT))),
        (Err(other), _) => Err(strange(other)),
    }
}

/// The suites that OpenSSL here can speak with a server that has a certificate.
pub fn local(version: Protocol) -> Vec<u16> {
    let speaks = |code: u16| {
        let offer = Offer { newest: version, suites: vec![code], groups: vec![0x17], name: None };
        matches!(context(&offer), Ok(Some(_)))
    };
    let of_version = |suite: &&super::codes::Suite| {
        suite.is_for_tls13() == (version == Protocol::Tls13)
            && !["PSK", "SRP", "KRB5", "NULL", "anon"].iter().any(|no| suite.name.contains(no))
    };
    suites()
        .iter()
        .filter(of_version)
        .map(|suite| suite.code)
        .filter(|code| speaks(*code))
        .collect()
}

fn context(offer: &Offer) -> Result<Option<SslContext>, ErrorStack> {
    let version = match offer.newest {
        Protocol::Ssl3 => return Ok(None),
        Protocol::Tls10 => SslVersion::TLS1,
        Protocol::Tls11 => SslVersion::TLS1_1,
        Protocol::Tls12 => SslVersion::TLS1_2,
        Protocol::Tls13 => SslVersion::TLS1_3,
    };
    let names: Vec<&str> = offer.suites.iter().filter_map(|code| suite(*code)?.openssl).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let names = names.join(":");
    let mut builder = SslContext::builder(SslMethod::tls_client())?;
    builder.set_security_level(0);
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_options(SslOptions::ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
    builder.set_min_proto_version(Some(version))?;
    builder.set_max_proto_version(Some(version))?;
    // a name that it does not know is no error of ours
    let set = match offer.newest {
        Protocol::Tls13 => {
            let known = names.split(':').filter(|name| {
                SslContext::builder(SslMethod::tls_client())
                    .is_ok_and(|mut builder| builder.set_ciphersuites(name).is_ok())
            });
            let known = known.collect::<Vec<_>>().join(":");
            if known.is_empty() {
                return Ok(None);
            }
            builder.set_ciphersuites(&known)
        }
        _ => builder.set_cipher_list(&names),
    };
    if set.is_err() {
        return Ok(None);
    }
    if offer.newest == Protocol::Tls13 {
        let spoken = offer.groups.iter().filter_map(|code| local_group(*code));
        let spoken = spoken.collect::<Vec<_>>().join(":");
        if spoken.is_empty() || builder.set_groups_list(&spoken).is_err() {
            return Ok(None);
        }
    }
    Ok(Some(builder.build()))
}

/// What OpenSSL calls a group, if it has it.
fn local_group(code: u16) -> Option<&'static str> {
    let name = match code {
        0x001d => "X25519",
        0x001e => "X448",
        0x0017 => "P-256",
        0x0018 => "P-384",
        0x0019 => "P-521",
        other => GROUPS.iter().find(|(known, _)| *known == other)?.1,
    };
    let mut builder = SslContext::builder(SslMethod::tls_client()).ok()?;
    builder.set_groups_list(name).ok().map(|()| name)
}

fn choice(stream: &SslStream<Timed>) -> Option<Choice> {
    let ssl = stream.ssl();
    let version = match ssl.version2()? {
        SslVersion::TLS1 => Protocol::Tls10,
        SslVersion::TLS1_1 => Protocol::Tls11,
        SslVersion::TLS1_2 => Protocol::Tls12,
        SslVersion::TLS1_3 => Protocol::Tls13,
        _ => Protocol::Ssl3,
    };
    let cipher = ssl.current_cipher()?;
    let named = |suite: &&super::codes::Suite| {
        suite.openssl == Some(cipher.name()) || Some(suite.name) == cipher.standard_name()
    };
    let suite = suites().iter().find(named)?.code;
    let group = ssl.peer_tmp_key().ok().and_then(|key| match key.id() {
        Id::X25519 => Some(0x001d),
        Id::X448 => Some(0x001e),
        Id::EC => match key.ec_key().ok()?.group().curve_name()? {
            Nid::X9_62_PRIME256V1 => Some(0x0017),
            Nid::SECP384R1 => Some(0x0018),
            Nid::SECP521R1 => Some(0x0019),
            _ => None,
        },
        Id::DH => match key.bits() {
            2048 => Some(0x0100),
            3072 => Some(0x0101),
            4096 => Some(0x0102),
            _ => None,
        },
        _ => None,
    });
    let group = group.filter(|_| version == Protocol::Tls13);
    Some(Choice { version: version.code(), suite, group, ..Choice::default() })
}

/// How long a probe may take, given how long it took to connect.
pub fn limits(connect: Duration) -> Limits {
    let total = Duration::from_secs(10).max(connect * 8);
    Limits { connect: Duration::from_secs(5), total }
}
