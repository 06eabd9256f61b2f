//! The first packet a server sends, and everything else that may stand in its place.
//!
//! MySQL Source Code Documentation, "Protocol::HandshakeV10".

use std::io::Read;
use std::net::IpAddr;
use std::time::Duration;

use super::packet::{Connection, Cursor, GREETING_LIMIT, Header, ServerError, capability};
use super::stream::{Broken, Channel, Deadline, Timed};
use super::{Endpoint, Greeting, Limits, Stage, WireError};
use crate::facts::{Flavor, Version};
use crate::printable::{printable, printable_bytes};

/// A greeting, and what the login needs of it.
pub struct Hello {
    pub greeting: Greeting,
    pub capabilities: u32,
    /// The server's number of this connection, as its log has it.
    pub connection: u32,
    /// From where, as this host sees it.
    pub from: Option<IpAddr>,
    pub nonce: [u8; 20],
    /// As it came.
    pub payload: Vec<u8>,
}

impl Hello {
    /// The payload for a client behind whom somebody else does TLS: it offers none.
    pub fn without_tls(&self) -> Vec<u8> {
        let mut payload = self.payload.clone();
        // protocol version, text and NUL, connection id, nonce, filler: then the lower flags
        let text = payload.iter().skip(1).position(|byte| *byte == 0).unwrap_or(0);
        let [low, high, ..] = capability::SSL.to_le_bytes();
        for (byte, flags) in payload.iter_mut().skip(1 + text + 1 + 4 + 8 + 1).zip([low, high]) {
            *byte &= !flags;
        }
        payload
    }
}

/// The deadline of one exchange, set when it begins.
#[derive(Clone, Copy)]
pub struct Until {
    connect: Deadline,
    total: Deadline,
}

impl Until {
    pub fn new(limits: Limits) -> Self {
        let total = Deadline::after(limits.total);
        Self { connect: Deadline::after(limits.connect).earlier(total), total }
    }
}

/// Connects and reads the greeting.
pub fn open(
    endpoint: &Endpoint,
    until: Until,
    told: &mut dyn FnMut(Stage),
) -> Result<(Connection, Hello), WireError> {
    let tcp = endpoint.connect(until.connect, told)?;
    told(Stage::Greeting);
    let from = tcp.local_addr().ok().map(|address| address.ip());
    let mut connection = Connection::new(Channel::Plain(Timed::new(tcp, until.total)));
    let mut hello = read(&mut connection, &endpoint.to_string())?;
    hello.from = from;
    Ok((connection, hello))
}

/// Connects, and reads nothing yet.
pub fn connect(endpoint: &Endpoint, until: Until) -> Result<Connection, WireError> {
    let tcp = endpoint.connect(until.connect, &mut |_| ())?;
    Ok(Connection::new(Channel::Plain(Timed::new(tcp, until.total))))
}

pub fn read(connection: &mut Connection, at: &str) -> Result<Hello, WireError> {
    let broken = |broken| WireError::broken(broken, at.to_owned(), Stage::Greeting);
    let header = connection.read_header().map_err(broken)?;
    if header.sequence != 0 || header.length > GREETING_LIMIT || header.length == 0 {
        return Err(not_mysql(at, header, &some_more(connection)));
    }
    let payload = connection.read_payload(header.length).map_err(broken)?;
    if let Some(ServerError { code, message }) = ServerError::parse(&payload) {
        return Err(WireError::Server { at: at.to_owned(), code, message });
    }
    match payload[0] {
        10 => parse(&payload).ok_or_else(|| WireError::Protocol {
            at: at.to_owned(),
            why: "its greeting is cut short or garbled".to_owned(),
        }),
        9 => Err(WireError::Protocol {
            at: at.to_owned(),
            why: "it is older than MySQL 3.21 (protocol 9)".to_owned(),
        }),
        _ => Err(not_mysql(at, header, &payload)),
    }
}

/// What else has come, or comes at once.
fn some_more(connection: &mut Connection) -> Vec<u8> {
    const AT_ONCE: Duration = Duration::from_millis(250);
    if let Channel::Plain(stream) = &mut connection.channel {
        stream.hurry(AT_ONCE);
    }
    let mut more = [0; 60];
    let length = connection.channel.read(&mut more).unwrap_or(0);
    more[..length].to_vec()
}

fn not_mysql(at: &str, header: Header, rest: &[u8]) -> WireError {
    const SHOWN: usize = 60;
    let start: Vec<u8> = header.bytes.iter().chain(rest).copied().take(SHOWN).collect();
    let what = match start.as_slice() {
        [b'S', b'S', b'H', b'-', ..] => "an SSH server",
        [b'H', b'T', b'T', b'P', ..] => "a web server (HTTP)",
        // an alert, or a handshake message, of TLS from the first byte
        [0x15 | 0x16, 3, ..] => "a server that speaks TLS from the first byte",
        [b'2', b'2', b'0', b' ' | b'-', ..] => "a mail or FTP server",
        [b'+', b'O', b'K', b' ', ..] | [b'*', b' ', b'O', b'K', ..] => "a mail server",
        [b'R', b'F', b'B', b' ', ..] => "a VNC server",
        [b'-', b'E', b'R', b'R', ..] => "a Redis server",
        // length 5, type 11 (notice): MySQL's X Protocol says so before it is asked
        [5, 0, 0, 0, 0x0b, ..] => "MySQL's X Protocol, which has a port of its own",
        _ => "something else",
    };
    let first = printable_bytes(&start);
    WireError::NotMySql { at: at.to_owned(), what: what.to_owned(), first }
}

/// Reads the payload of a greeting; `None` when it is cut short.
pub(crate) fn parse(payload: &[u8]) -> Option<Hello> {
    const LONGEST_VERSION: usize = 100;
    let mut from = Cursor(payload);
    from.take(1)?; // the protocol's version, seen before
    let version_text = String::from_utf8_lossy(from.until_nul()?).into_owned();
    let connection = u32::from_le_bytes(from.array()?);
    let mut nonce = [0; 20];
    nonce[..8].copy_from_slice(from.take(8)?);
    from.take(1)?; // filler
    let low = u16::from_le_bytes(from.array()?);
    let mut capabilities = u32::from(low);
    let mut extended = [0; 4];
    let mut auth_plugin = String::new();
    // MySQL before 4.1 ends here.
    if !from.0.is_empty() {
        from.take(3)?; // character set, status
        capabilities |= u32::from(u16::from_le_bytes(from.array()?)) << 16;
        let [nonce_length] = from.array()?;
        from.take(6)?; // reserved
        extended = from.array()?; // MariaDB's own capabilities; zeros elsewhere
        if capabilities & capability::SECURE_CONNECTION != 0 {
            let rest = from.take(usize::from(nonce_length).saturating_sub(8).max(13))?;
            nonce[8..].copy_from_slice(&rest[..12]);
        }
        if capabilities & capability::PLUGIN_AUTH != 0 {
            // some servers forget the NUL at its end
            let name = from.0.split(|byte| *byte == 0).next()?;
            auth_plugin = printable_bytes(name);
        }
    }
    let known = Version::parse(&version_text);
    // A MariaDB that was given another version text still gives itself away.
    let is_mariadb = capabilities & capability::LONG_PASSWORD == 0 && extended != [0; 4];
    let flavor = match known {
        _ if is_mariadb => Flavor::MariaDb,
        Some((flavor, _)) => flavor,
        None if version_text.to_ascii_lowercase().contains("mariadb") => Flavor::MariaDb,
        None => Flavor::MySql,
    };
    let shown: String = version_text.chars().take(LONGEST_VERSION).collect();
    let auth_plugin = auth_plugin.chars().take(LONGEST_VERSION).collect();
    let greeting = Greeting {
        version_text: printable(&shown).into_owned(),
        flavor,
        version: known.map(|(_, version)| version),
        offers_tls: capabilities & capability::SSL != 0,
        auth_plugin,
    };
    Some(Hello { greeting, capabilities, connection, from: None, nonce, payload: payload.to_vec() })
}

/// An answer that has to be a packet of ours: why it is not.
pub fn too_old(hello: &Hello) -> Option<Broken> {
    (hello.capabilities & capability::PROTOCOL_41 == 0)
        .then(|| Broken::Protocol("it is older than MySQL 4.1".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::{GREETING_CAPABILITIES, Random, greeting};

    #[test]
    fn greetings_of_both_families_are_read() {
        let hello = parse(&greeting("9.7.4", GREETING_CAPABILITIES)).unwrap();
        assert_eq!(
            (hello.greeting.flavor, hello.greeting.version),
            (Flavor::MySql, Some(Version(9, 7, 4)))
        );
        assert!(hello.greeting.offers_tls);
        assert_eq!(hello.greeting.auth_plugin, "mysql_native_password");
        assert_eq!(&hello.nonce, b"abcdefghijklmnopqrst");
        let without = greeting("9.7.4", GREETING_CAPABILITIES & !capability::SSL);
        assert_eq!(hello.without_tls(), without, "the flag, and nothing else");

        let text = "5.5.5-10.11.19-MariaDB-deb12";
        let hello = parse(&greeting(text, GREETING_CAPABILITIES & !capability::SSL)).unwrap();
        assert_eq!(hello.greeting.version, Some(Version(10, 11, 19)));
        assert_eq!(hello.greeting.flavor, Flavor::MariaDb);
        assert!(!hello.greeting.offers_tls);
    }

    #[test]
    fn a_greeting_from_before_plugins_is_read() {
        let mut old = b"\x0a5.0.96\0\x01\0\0\0abcdefgh\0\x2c\xa2\x08\x02\0".to_vec();
        old.extend([0; 13]);
        old.extend_from_slice(b"ijklmnopqrst\0");
        let hello = parse(&old).unwrap();
        assert_eq!(hello.greeting.version, Some(Version(5, 0, 96)));
        assert_eq!(hello.greeting.auth_plugin, "");
        assert_eq!(&hello.nonce, b"abcdefghijklmnopqrst");
    }

    #[test]
    fn escape_codes_and_endless_texts_are_tamed() {
        let text = format!("8.0.36\x1b]0;owned\x07{}", "x".repeat(10_000));
        let hello = parse(&greeting(&text, GREETING_CAPABILITIES)).unwrap();
        assert!(hello.greeting.version_text.starts_with("8.0.36\\x1B]0;owned\\x07xxx"));
        assert!(hello.greeting.version_text.len() < 200);
    }

    #[test]
    fn no_cut_of_a_greeting_is_taken_for_one_with_a_plugin() {
        let whole = greeting("9.7.4", GREETING_CAPABILITIES);
        for end in 0..whole.len() - "mysql_native_password\0".len() {
            // where an old server's greeting ends, a cut one cannot be told from it
            if let Some(hello) = parse(&whole[..end]) {
                assert_eq!(hello.greeting.auth_plugin, "", "cut at {end}");
            }
        }
    }

    #[test]
    fn no_greeting_however_mutated_makes_it_panic() {
        let mut random = Random(0x6d79_746c);
        for _ in 0..5_000 {
            let mut bytes = greeting("5.5.5-10.11.19-MariaDB", GREETING_CAPABILITIES);
            for _ in 0..random.below(12) {
                let at = random.below(bytes.len());
                bytes[at] = random.byte();
            }
            if random.below(3) == 0 {
                bytes.truncate(random.below(bytes.len()));
            }
            let _ = parse(&bytes);
            let noise: Vec<u8> = (0..random.below(120)).map(|_| random.byte()).collect();
            let _ = (parse(&noise), ServerError::parse(&noise), Cursor(&noise).counted());
        }
    }
}
