//! One connection, from the greeting to the refused login.

use std::io::{self, Read as _};
use std::net::{IpAddr, TcpStream};

use openssl::ssl::{Ssl, SslContext, SslStream};
use serde::Serialize;
use zeroize::Zeroizing;

use super::login::{First, applicant, first};
use super::parts::Parts;
use super::{Met, Part, Play, greeting};
use crate::printable::printable_bytes;
use crate::wire::alert_name;
use crate::wire::packet::Connection;
use crate::wire::stream::{Broken, Channel, Deadline, Timed};
use crate::x509::Certificate;

/// What the other end did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "did")]
pub enum Did {
    /// It came and went, and had not even read the greeting: a port check, a load balancer.
    CameAndWent,
    /// It broke off before it sent a login.
    Refused { how: String },
    /// TLS did not come about for a reason that says nothing about certificates.
    NoHandshake { why: String },
    /// It logged in inside TLS.
    LoginInTls { version: String, cipher: String },
    /// It logged in without TLS.
    LoginInClear,
    /// It waited, and so did we, until our patience was at its end.
    Silent { stage: String },
    /// It does not speak MySQL.
    NotMySql { sent: String },
}

impl Did {
    /// Whether this is an answer to the part that was played.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::LoginInTls { .. } | Self::LoginInClear)
    }

    /// Of several, the one that is told: an answer before none, the more dangerous before the less.
    pub(super) fn gravity(&self) -> u8 {
        match self {
            Self::CameAndWent => 0,
            Self::Silent { .. } => 1,
            Self::NotMySql { .. } => 2,
            Self::NoHandshake { .. } => 3,
            Self::Refused { .. } => 4,
            Self::LoginInTls { .. } => 5,
            Self::LoginInClear => 6,
        }
    }
}

/// No login is longer: user, password, database and what a program says of itself.
const LOGIN_LIMIT: usize = 64 * 1024;

/// Plays the part to the end.
pub fn meet(part: Part, tcp: TcpStream, from: IpAddr, parts: &Parts, play: Play) -> Met {
    let mut met = Met { part, from, did: Did::CameAndWent, applicant: None, certificate: None };
    met.did = act(part, tcp, parts, play, &mut met).unwrap_or_else(|did| did);
    met
}

fn act(part: Part, tcp: TcpStream, parts: &Parts, play: Play, met: &mut Met) -> Result<Did, Did> {
    let context = parts.context(part);
    let failed = |why: String| Did::NoHandshake { why };
    tcp.set_nonblocking(false).map_err(|error| failed(error.to_string()))?;
    let until = Deadline::after(play.patience);
    let mut connection = Connection::new(Channel::Plain(Timed::new(tcp, until)));
    let greeting = greeting::greeting(play.flavor, context.is_some())
        .map_err(|error| failed(error.to_string()))?;
    connection.write(&greeting).map_err(|_| Did::CameAndWent)?;

    let payload = first_packet(&mut connection, part)?;
    match first(&payload) {
        First::Login(applicant) => {
            met.applicant = Some(applicant);
            deny(&mut connection);
            Ok(Did::LoginInClear)
        }
        First::Other => {
            Err(Did::NotMySql { sent: printable_bytes(&payload[..payload.len().min(60)]) })
        }
        First::StartTls => {
            let Some(context) = context else {
                return Ok(Did::Refused { how: "insists on TLS".to_owned() });
            };
            let mut connection = shake_hands(connection, context)?;
            if let Channel::Tls(stream) = &connection.channel {
                met.certificate = shown(stream);
            }
            let login = login_packet(&mut connection)?;
            met.applicant = Some(applicant(&login).unwrap_or_default());
            let did = inside(&connection);
            deny(&mut connection);
            Ok(did)
        }
    }
}

/// The packet that follows the greeting. How a client goes says whether it had read the greeting: who
/// closes with bytes unread makes its system send a reset.
fn first_packet(connection: &mut Connection, part: Part) -> Result<Zeroizing<Vec<u8>>, Did> {
    let mut start = [0; 4];
    let mut length = 0;
    while length < start.len() {
        match connection.channel.read(&mut start[length..]) {
            Ok(0) if length == 0 && part == Part::NoTls => {
                return Err(Did::Refused { how: "went once it had read the greeting".to_owned() });
            }
            Ok(0) => return Err(Did::CameAndWent),
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(Did::Silent { stage: "after the greeting".to_owned() });
            }
            Err(_) => return Err(Did::CameAndWent),
        }
    }
    let [a, b, c, sequence] = start;
    let payload = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
    if sequence != 1 || payload == 0 || payload > LOGIN_LIMIT {
        return Err(Did::NotMySql { sent: printable_bytes(&start) });
    }
    connection.expect(sequence.wrapping_add(1));
    connection.read_payload(payload).map(Zeroizing::new).map_err(|broken| match broken {
        Broken::TimedOut => Did::Silent { stage: "in its first packet".to_owned() },
        _ => Did::NotMySql { sent: "a packet that breaks off".to_owned() },
    })
}

fn shake_hands(connection: Connection, context: &SslContext) -> Result<Connection, Did> {
    let accept = |channel| match channel {
        Channel::Plain(tcp) => {
            let mut stream = SslStream::new(Ssl::new(context)?, tcp)?;
            stream.accept().map_err(|error| Broken::from(&error))?;
            Ok(Channel::Tls(Box::new(stream)))
        }
        Channel::Tls(_) => Err(Broken::Tls("TLS was started twice".to_owned())),
    };
    connection.over(accept).map_err(|broken| match broken {
        Broken::Alert(alert) if is_about_certificates(alert) => {
            Did::Refused { how: format!("in the handshake ({})", alert_name(alert)) }
        }
        Broken::Alert(alert) => Did::NoHandshake {
            why: format!("it ended the handshake with the alert \"{}\"", alert_name(alert)),
        },
        Broken::Closed => Did::Refused { how: "went in the handshake".to_owned() },
        Broken::TimedOut => Did::Silent { stage: "in the handshake".to_owned() },
        Broken::Tls(why) | Broken::Protocol(why) | Broken::Io(why) => Did::NoHandshake { why },
    })
}

/// RFC 8446 §6.2: what a client says that does not like a certificate; 80 (internal error) is what a
/// library sends whose application refused in a callback, 113 what it thinks of a stapled answer.
fn is_about_certificates(alert: u8) -> bool {
    matches!(alert, 42..=46 | 48 | 49 | 80 | 113)
}

/// After the handshake there is time for a last look at the certificate; many check the host's name here.
fn login_packet(connection: &mut Connection) -> Result<Zeroizing<Vec<u8>>, Did> {
    let after = "after the handshake, before a login";
    let left = |broken| match broken {
        Broken::Alert(alert) if is_about_certificates(alert) => {
            Did::Refused { how: format!("{after} ({})", alert_name(alert)) }
        }
        Broken::TimedOut => Did::Silent { stage: "after the handshake".to_owned() },
        _ => Did::Refused { how: format!("went {after}") },
    };
    let header = connection.read_header().map_err(left)?;
    if header.length > LOGIN_LIMIT {
        return Err(Did::NotMySql { sent: format!("a login of {} bytes", header.length) });
    }
    connection.read_payload(header.length).map(Zeroizing::new).map_err(left)
}

fn inside(connection: &Connection) -> Did {
    match &connection.channel {
        Channel::Tls(stream) => {
            let cipher = stream.ssl().current_cipher().map_or("", |cipher| cipher.name());
            let (version, cipher) = (stream.ssl().version_str().to_owned(), cipher.to_owned());
            Did::LoginInTls { version, cipher }
        }
        Channel::Plain(_) => Did::LoginInClear,
    }
}

fn shown(stream: &SslStream<Timed>) -> Option<String> {
    let certificate = stream.ssl().peer_certificate()?;
    Some(Certificate::from_openssl(&certificate).subject.display())
}

/// Whether the other end still reads it does not matter: it has said what was asked.
fn deny(connection: &mut Connection) {
    let _ = connection.write(&greeting::denied());
}
