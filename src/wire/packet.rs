//! Packets: three bytes of length, one of sequence, then the payload.
//!
//! MySQL Source Code Documentation, "MySQL Packets". Nothing is allocated for a length before the
//! bytes have come, and no packet here has a reason to be large.

use std::io::{Read, Write};

use zeroize::Zeroizing;

use super::stream::{Broken, Channel};
use crate::printable::printable_bytes;

/// No greeting is longer.
pub const GREETING_LIMIT: usize = 64 * 1024;
/// No answer to a login or to the one query is longer.
pub const REPLY_LIMIT: usize = 1024 * 1024;

/// The capability flags that matter here (`include/mysql/… mysql_com.h`).
pub mod capability {
    /// MariaDB calls it `CLIENT_MYSQL`, and leaves it out of its greeting.
    pub const LONG_PASSWORD: u32 = 1;
    pub const CONNECT_WITH_DB: u32 = 8;
    pub const PROTOCOL_41: u32 = 0x200;
    pub const SSL: u32 = 0x800;
    pub const TRANSACTIONS: u32 = 0x2000;
    pub const SECURE_CONNECTION: u32 = 0x8000;
    pub const PLUGIN_AUTH: u32 = 0x8_0000;
    /// The login says of the program what it likes to say.
    pub const CONNECT_ATTRS: u32 = 0x10_0000;
    /// The answer to the nonce is counted as strings are, and may be longer than 255 bytes.
    pub const PLUGIN_AUTH_LENENC: u32 = 0x20_0000;
}

/// A connection that speaks in packets.
pub struct Connection<C = Channel> {
    pub channel: C,
    /// The number that the next packet has to bear.
    sequence: u8,
}

/// The first four bytes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub length: usize,
    pub sequence: u8,
    pub bytes: [u8; 4],
}

impl<C: Read + Write> Connection<C> {
    pub fn new(channel: C) -> Self {
        Self { channel, sequence: 0 }
    }

    /// The number that the next packet bears, where whoever reads packets has read one himself.
    pub fn expect(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    pub fn read_header(&mut self) -> Result<Header, Broken> {
        let mut bytes = [0; 4];
        self.channel.read_exact(&mut bytes)?;
        let [a, b, c, sequence] = bytes;
        self.sequence = sequence.wrapping_add(1);
        let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        Ok(Header { length, sequence, bytes })
    }

    /// The bytes that a header announced; grows as they come.
    pub fn read_payload(&mut self, length: usize) -> Result<Vec<u8>, Broken> {
        let mut payload = Vec::new();
        let limit = u64::try_from(length).unwrap_or(u64::MAX);
        (&mut self.channel).take(limit).read_to_end(&mut payload)?;
        if payload.len() < length { Err(Broken::Closed) } else { Ok(payload) }
    }

    /// One packet, which may be empty: so a client answers that has no password.
    pub fn read_any(&mut self) -> Result<Vec<u8>, Broken> {
        let header = self.read_header()?;
        if header.length > REPLY_LIMIT {
            return Err(Broken::Protocol(format!("a packet of {} bytes came", header.length)));
        }
        self.read_payload(header.length)
    }

    /// One packet; an empty one is none of the protocol's answers.
    pub fn read(&mut self) -> Result<Vec<u8>, Broken> {
        let payload = self.read_any()?;
        if payload.is_empty() {
            return Err(Broken::Protocol("an empty packet came".to_owned()));
        }
        Ok(payload)
    }

    /// Sends one packet of less than 64 KiB.
    pub fn write(&mut self, payload: &[u8]) -> Result<(), Broken> {
        let length = u16::try_from(payload.len())
            .map_err(|_| Broken::Protocol("the login is longer than 64 KiB".to_owned()))?;
        let [low, high] = length.to_le_bytes();
        // a password may be in it
        let mut packet = Zeroizing::new(Vec::with_capacity(payload.len() + 4));
        packet.extend([low, high, 0, self.sequence]);
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.channel.write_all(&packet)?;
        self.channel.flush()?;
        Ok(())
    }
}

impl Connection {
    /// Goes on over another channel (TLS), with the count of packets kept.
    pub fn over(
        self,
        wrap: impl FnOnce(Channel) -> Result<Channel, Broken>,
    ) -> Result<Self, Broken> {
        Ok(Self { channel: wrap(self.channel)?, sequence: self.sequence })
    }

    /// Begins a command: its packets count from 0 again.
    pub fn command(&mut self, code: u8, argument: &[u8]) -> Result<(), Broken> {
        self.sequence = 0;
        self.write(&[&[code], argument].concat())
    }

    /// Says goodbye; whoever does not listen any more does not matter.
    pub fn quit(mut self) {
        const COM_QUIT: u8 = 1;
        let _ = self.command(COM_QUIT, &[]);
        if let Channel::Tls(mut stream) = self.channel {
            let _ = stream.shutdown();
        }
    }
}

/// An error packet (`ERR_Packet`): before the login it has no SQLSTATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    pub code: u16,
    /// Made printable, and cut short where no message is so long.
    pub message: String,
}

impl ServerError {
    pub const MARK: u8 = 0xff;

    /// Reads the payload of an error packet; `None` when it is something else.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        const LONGEST: usize = 512; // MYSQL_ERRMSG_SIZE
        let [Self::MARK, low, high, rest @ ..] = payload else {
            return None;
        };
        let message = if rest.first() == Some(&b'#') { rest.get(6..)? } else { rest };
        Some(Self {
            code: u16::from_le_bytes([*low, *high]),
            message: printable_bytes(&message[..message.len().min(LONGEST)]),
        })
    }
}

/// Reads from the front of a payload; every step may find it too short.
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Up to the next NUL, which is passed over.
    pub fn until_nul(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(text)
    }

    /// A length-encoded string; `None` also for NULL.
    pub fn counted(&mut self) -> Option<&'a [u8]> {
        let length = match self.array::<1>()? {
            [short @ 0..=0xfa] => u64::from(short),
            [0xfc] => u64::from(u16::from_le_bytes(self.array()?)),
            [0xfd] => {
                let [a, b, c] = self.array()?;
                u64::from(u32::from_le_bytes([a, b, c, 0]))
            }
            [0xfe] => u64::from_le_bytes(self.array()?),
            [_] => return None,
        };
        self.take(usize::try_from(length).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_with_and_without_their_state() {
        let early = ServerError::parse(b"\xff\x6a\x04Host 'x' is not allowed").unwrap();
        assert_eq!((early.code, early.message.as_str()), (1130, "Host 'x' is not allowed"));
        let late = ServerError::parse(b"\xff\x15\x04#28000Access denied\x1b[2J").unwrap();
        assert_eq!((late.code, late.message.as_str()), (1045, "Access denied\\x1B[2J"));
        assert_eq!(ServerError::parse(b"\xff\x15"), None);
        assert_eq!(ServerError::parse(b"\x00ok"), None);
    }

    #[test]
    fn counted_strings_do_not_reach_past_the_end() {
        assert_eq!(Cursor(b"\x02abc").counted(), Some(&b"ab"[..]));
        assert_eq!(Cursor(b"\xfc\x03\x00abc").counted(), Some(&b"abc"[..]));
        assert_eq!(Cursor(b"\xfd\x01\x00\x00a").counted(), Some(&b"a"[..]));
        for bytes in
            [&b""[..], b"\x05abc", b"\xfb", b"\xfc\xff", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert_eq!(Cursor(bytes).counted(), None, "{bytes:?}");
        }
    }
}
