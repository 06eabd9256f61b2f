//! Single probes for a scan: a hello of somebody else's making, and a handshake with just these suites.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::auth;
use super::flight::Said;
use super::greeting::{self, Hello, Until};
use super::packet::{Connection, ServerError, capability};
use super::probe::{be_refused, describe};
use super::stream::{Broken, Channel, Timed};
use super::tls::{self, Handshaking};
use super::{Endpoint, Greeting, Handshake, Limits, Stage, Trust, WireError};
use crate::wire::tls::Exactly;

/// What is written before the greeting was read, once it is known from an earlier connection.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The capabilities that ask for TLS.
    capabilities: u32,
    /// Send at once. Servers read it in its time; some from before 5.7 would lose it.
    pub early: bool,
}

/// A connection that was carried through to a refused login, which counts as no error.
#[derive(Clone, Debug)]
pub struct Carried {
    pub greeting: Greeting,
    pub opening: Opening,
    /// The address that answered.
    pub address: std::net::IpAddr,
    /// From the first packet to the greeting: the way there and back.
    pub round_trip: Duration,
    pub tls: CarriedTls,
}

#[derive(Clone, Debug)]
pub enum CarriedTls {
    NotOffered,
    Established(Shaken),
    /// The number of the alert, where there was one; it counts as an error.
    Failed(Option<u8>, String),
}

#[derive(Clone, Debug)]
pub struct Shaken {
    pub handshake: Handshake,
    pub suite: u16,
    /// OpenSSL's name of the group: `X25519`, `prime256v1`.
    pub group: Option<String>,
    /// What was said under the cover of TLS 1.3, where it was wanted.
    pub said: Option<Said>,
}

/// A connection that was given up: the server counts that before it closes its end, and not before it has seen
/// ours closed.
pub struct GivenUp(Channel);

impl GivenUp {
    /// Until the server has closed it.
    pub fn wait(mut self) {
        let mut piece = [0; 8192];
        while matches!(self.0.read(&mut piece), Ok(1..)) {}
    }
}

/// Sends a first hello and reads on until `enough` says so; what came after the greeting is returned, also
/// where the server closed the connection behind it.
pub fn hello(
    endpoint: &Endpoint,
    opening: Opening,
    client_hello: &[u8],
    limits: Limits,
    enough: &dyn Fn(&[u8]) -> bool,
    most: usize,
) -> Result<(Vec<u8>, GivenUp), WireError> {
    let until = Until::new(limits);
    let at = endpoint.to_string();
    let request = auth::header(opening.capabilities);
    let mut first = vec![32, 0, 0, 1];
    first.extend(request);
    first.extend(client_hello);
    let mut stream = if opening.early {
        let mut connection = greeting::connect(endpoint, until)?;
        // refused hosts are answered with an error in place of the greeting, and the connection is closed:
        // then the write fails, and what was said can still be read
        let written = connection.channel.write_all(&first);
        greeting::read(&mut connection, &at)?;
        written.map_err(|error| WireError::broken(error.into(), at.clone(), Stage::Handshake))?;
        connection.channel
    } else {
        let (mut connection, _) = greeting::open(endpoint, until, &mut |_| ())?;
        let written = connection.channel.write_all(&first);
        written.map_err(|error| WireError::broken(error.into(), at.clone(), Stage::Handshake))?;
        connection.channel
    };
    let mut heard = Vec::new();
    let mut piece = [0; 8192];
    while !enough(&heard) && heard.len() < most {
        match stream.read(&mut piece).map_err(Broken::from) {
            Ok(0) | Err(Broken::Closed) => break,
            Ok(length) => heard.extend_from_slice(&piece[..length]),
            Err(broken) => return Err(WireError::broken(broken, at, Stage::Handshake)),
        }
    }
    // an error of the server's in the clear
    if let Some(ServerError { code, message }) =
        heard.get(4..).filter(|_| heard[0] < 0x14 || heard[1] != 3).and_then(ServerError::parse)
    {
        // 1043 is how it says that the handshake failed
        if code != 1043 {
            return Err(WireError::Server { at, code, message });
        }
    }
    if let Channel::Plain(stream) = &stream {
        stream.end();
    }
    Ok((heard, GivenUp(stream)))
}

/// Shakes hands with exactly these suites and goes on to a login that is refused.
pub fn carried(
    endpoint: &Endpoint,
    trust: &Trust,
    exactly: Option<&Exactly>,
    limits: Limits,
) -> Result<Carried, WireError> {
    let (carried, farewell) = shaken(endpoint, trust, exactly, limits)?;
    farewell.say();
    Ok(carried)
}

/// The login that is refused, and still has to be made: what is dropped before counts as an error.
pub struct Farewell(Option<(Connection, Hello, bool)>);

impl Farewell {
    pub fn say(self) {
        if let Some((connection, hello, inside_tls)) = self.0 {
            be_refused(connection, &hello, inside_tls);
        }
    }
}

/// As [`carried`], up to the login.
pub fn shaken(
    endpoint: &Endpoint,
    trust: &Trust,
    exactly: Option<&Exactly>,
    limits: Limits,
) -> Result<(Carried, Farewell), WireError> {
    let began = Instant::now();
    let until = Until::new(limits);
    let mut connection = greeting::connect(endpoint, until)?;
    let connected = began.elapsed();
    let address = peer(&connection).unwrap_or_else(|| std::net::Ipv4Addr::UNSPECIFIED.into());
    let hello: Hello = greeting::read(&mut connection, &endpoint.to_string())?;
    // a proxy on the way may answer for the server: the greeting never comes sooner than there and back
    let round_trip = connected.max(began.elapsed().saturating_sub(connected));
    let greeting = hello.greeting.clone();
    let capabilities = auth::capabilities(&hello) | capability::SSL;
    let request = auth::header(capabilities);
    let (tls, farewell) = if greeting.offers_tls {
        let how = Handshaking {
            trust,
            identity: None,
            min_version: None,
            max_version: None,
            lenient: true,
            exactly,
        };
        match tls::start(connection, &request, endpoint, &how) {
            Ok((connection, mut verified)) => {
                let (suite, group) = chosen(&connection);
                let said = verified.said.take();
                let handshake = describe(&connection, verified, trust);
                let shaken = Shaken { handshake, suite, group, said };
                (CarriedTls::Established(shaken), Some((connection, hello, true)))
            }
            Err(Broken::TimedOut) => {
                let at = endpoint.to_string();
                return Err(WireError::TimedOut { at, stage: Stage::Handshake });
            }
            Err(broken) => {
                let alert = if let Broken::Alert(alert) = &broken { Some(*alert) } else { None };
                (CarriedTls::Failed(alert, super::probe::reason(&broken)), None)
            }
        }
    } else {
        (CarriedTls::NotOffered, Some((connection, hello, false)))
    };
    let opening = Opening { capabilities, early: false };
    Ok((Carried { greeting, opening, address, round_trip, tls }, Farewell(farewell)))
}

fn peer(connection: &Connection) -> Option<std::net::IpAddr> {
    let Channel::Plain(stream) = &connection.channel else { return None };
    Timed::peer(stream)
}

fn chosen(connection: &Connection) -> (u16, Option<String>) {
    let Channel::Tls(stream) = &connection.channel else { return (0, None) };
    let suite = stream.ssl().current_cipher().map(openssl::ssl::SslCipherRef::protocol_id);
    let key = stream.ssl().peer_tmp_key().ok();
    let group = key.and_then(|key| match key.ec_key() {
        Ok(key) => Some(key.group().curve_name()?.short_name().ok()?.to_owned()),
        Err(_) => match key.id() {
            openssl::pkey::Id::X25519 => Some("X25519".to_owned()),
            openssl::pkey::Id::X448 => Some("X448".to_owned()),
            _ => None,
        },
    });
    (suite.map_or(0, u16::from_be_bytes), group)
}
