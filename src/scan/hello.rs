//! A client's first message, in our own bytes, and what a server answers.
//!
//! A library offers what it speaks itself; whether a server still takes what libraries gave up years ago
//! shows only to a hello that was written by hand. RFC 8446 §4.1, RFC 5246 §7.4.1, RFC 6101 §5.6.1.

use super::codes::{Protocol, suite};
use crate::wire::packet::Cursor;

/// What is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// No server answers with a newer version.
    pub newest: Protocol,
    pub suites: Vec<u16>,
    pub groups: Vec<u16>,
    /// The host's name, for servers that look at it; never an address.
    pub name: Option<String>,
}

/// What a server made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Took(Choice),
    /// With an alert: its number.
    Refused(u8),
}

/// What a server hello says.
#[allow(clippy::struct_excessive_bools)] // each is an extension of its own
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    pub version: u16,
    pub suite: u16,
    /// Of TLS 1.3: the group in which it wants the client's share.
    pub group: Option<u16>,
    pub compression: u8,
    /// It gave the session a number by which it may be resumed.
    pub session_id: bool,
    pub ticket: bool,
    pub secure_renegotiation: bool,
    pub extended_master_secret: bool,
}

/// Extensions (IANA "TLS ExtensionType Values").
mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const GROUPS: u16 = 10;
    pub const POINT_FORMATS: u16 = 11;
    pub const SIGNATURES: u16 = 13;
    pub const EXTENDED_MASTER_SECRET: u16 = 23;
    pub const TICKET: u16 = 35;
    pub const VERSIONS: u16 = 43;
    pub const KEY_SHARE: u16 = 51;
    pub const RENEGOTIATION: u16 = 0xff01;
}

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// Every kind of signature there is: which of them a server uses goes by its key.
const SIGNATURES: [u16; 24] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401,
    0x0501, 0x0601, 0x0303, 0x0301, 0x0302, 0x0402, 0x0502, 0x0602, 0x0203, 0x0201, 0x0202, 0x0101,
];

impl Offer {
    /// The record with the hello. TLS 1.3 is offered without a key share: a server that takes it names
    /// suite and group in a request for another hello, and signs nothing.
    pub fn record(&self, random: &[u8; 32]) -> Vec<u8> {
        let legacy = self.newest.min(Protocol::Tls12);
        let mut body = legacy.code().to_be_bytes().to_vec();
        body.extend_from_slice(random);
        body.push(0); // no session is resumed
        let suites: Vec<u8> = self.suites.iter().flat_map(|code| code.to_be_bytes()).collect();
        counted(&mut body, &suites);
        match self.newest {
            // RFC 8446 §4.1.2: anything but "none" alone is refused
            Protocol::Tls13 => body.extend([1, 0]),
            // DEFLATE, or none: a server that still compresses would take it
            _ => body.extend([2, 1, 0]),
        }
        if self.newest > Protocol::Ssl3 {
            counted(&mut body, &self.extensions());
        }
        let mut message = vec![CLIENT_HELLO, 0];
        counted(&mut message, &body);
        // the version of the first record is never newer: some middle boxes insist
        let record_version = legacy.min(Protocol::Tls10);
        let mut record = vec![HANDSHAKE];
        record.extend(record_version.code().to_be_bytes());
        counted(&mut record, &message);
        record
    }

    fn extensions(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut add = |kind: u16, content: &[u8]| {
            out.extend(kind.to_be_bytes());
            counted(&mut out, content);
        };
        if let Some(name) = &self.name {
            let mut entry = vec![0];
            counted(&mut entry, name.as_bytes());
            add(extension::SERVER_NAME, &list(&entry));
        }
        let groups: Vec<u8> = self.groups.iter().flat_map(|code| code.to_be_bytes()).collect();
        add(extension::GROUPS, &list(&groups));
        add(extension::POINT_FORMATS, &[1, 0]);
        let signatures: Vec<u8> = SIGNATURES.iter().flat_map(|code| code.to_be_bytes()).collect();
        add(extension::SIGNATURES, &list(&signatures));
        if self.newest == Protocol::Tls13 {
            add(extension::VERSIONS, &[2, 3, 4]);
            add(extension::KEY_SHARE, &[0, 0]);
        } else {
            add(extension::EXTENDED_MASTER_SECRET, &[]);
            add(extension::TICKET, &[]);
            add(extension::RENEGOTIATION, &[0]);
        }
        out
    }
}

fn list(content: &[u8]) -> Vec<u8> {
    let mut list = Vec::new();
    counted(&mut list, content);
    list
}

/// With two bytes of length before it. Nothing here is as long as 64 KiB.
fn counted(out: &mut Vec<u8>, content: &[u8]) {
    out.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(content);
}

/// How far what came from a server is from an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    Answer(Answer),
    More,
    /// It is no TLS; half a sentence.
    Nonsense(&'static str),
}

/// Reads records from the front until the server's hello is whole, or an alert stands there.
pub fn parse(bytes: &[u8]) -> Parsed {
    /// RFC 8446 §5.1: 2^14, and what ciphers add; before a cipher nothing is added.
    const LONGEST_RECORD: usize = (1 << 14) + 2048;
    let mut rest = Cursor(bytes);
    let mut handshake: Vec<u8> = Vec::new();
    loop {
        let Some([kind, major, _, high, low]) = rest.array() else { return Parsed::More };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if major != 3 || !matches!(kind, ALERT | HANDSHAKE) {
            return Parsed::Nonsense(
                "it answered in clear text, or something else, where TLS begins",
            );
        }
        if length == 0 || length > LONGEST_RECORD {
            return Parsed::Nonsense("it sent a record of a length that TLS does not have");
        }
        let Some(content) = rest.take(length) else {
            return Parsed::More;
        };
        if kind == ALERT {
            // a warning (level 1), such as an unknown name, is not the end of it
            match content {
                [1, 112, ..] => continue,
                [_, alert, ..] => return Parsed::Answer(Answer::Refused(*alert)),
                _ => return Parsed::Nonsense("it sent half an alert"),
            }
        }
        handshake.extend_from_slice(content);
        let Some(([message, first, high, low], body)) = handshake.split_first_chunk::<4>() else {
            continue;
        };
        let length = usize::from(*first) << 16 | usize::from(u16::from_be_bytes([*high, *low]));
        if *message != SERVER_HELLO || length > LONGEST_RECORD {
            return Parsed::Nonsense("its first message is no server hello");
        }
        if let Some(hello) = body.get(..length) {
            return match choice(hello) {
                Some(choice) => Parsed::Answer(Answer::Took(choice)),
                None => Parsed::Nonsense("its server hello is garbled"),
            };
        }
    }
}

/// What else a server of TLS 1.2 and before says in its first flight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// It asked for a client's certificate: the DER names of the CAs from which, often none.
    pub client_cas: Option<Vec<Vec<u8>>>,
    /// The flight is whole.
    pub done: bool,
}

/// Reads on behind the server's hello, as far as records have come.
pub fn flight(bytes: &[u8]) -> Flight {
    const CERTIFICATE_REQUEST: u8 = 13;
    const HELLO_DONE: u8 = 14;
    let mut records = Cursor(bytes);
    let mut handshake: Vec<u8> = Vec::new();
    while let Some([kind, _, _, high, low]) = records.array() {
        let Some(content) = records.take(usize::from(u16::from_be_bytes([high, low]))) else {
            break;
        };
        if kind != HANDSHAKE {
            break;
        }
        handshake.extend_from_slice(content);
    }
    let mut flight = Flight::default();
    let mut messages = Cursor(&handshake);
    while let Some([kind, first, high, low]) = messages.array() {
        let length = usize::from(first) << 16 | usize::from(u16::from_be_bytes([high, low]));
        let Some(body) = messages.take(length) else { break };
        match kind {
            CERTIFICATE_REQUEST => flight.client_cas = Some(client_cas(body)),
            HELLO_DONE => flight.done = true,
            _ => {}
        }
    }
    flight
}

/// RFC 5246 §7.4.4; before TLS 1.2 without the kinds of signatures, which an odd length gives away.
fn client_cas(body: &[u8]) -> Vec<Vec<u8>> {
    let of = |with_signatures: bool| {
        let mut rest = Cursor(body);
        let [types] = rest.array()?;
        rest.take(usize::from(types))?;
        if with_signatures {
            let length = u16::from_be_bytes(rest.array()?);
            rest.take(usize::from(length))?;
        }
        let length = u16::from_be_bytes(rest.array()?);
        let mut names = Cursor(rest.take(usize::from(length))?);
        let mut cas = Vec::new();
        while !names.0.is_empty() {
            let length = u16::from_be_bytes(names.array()?);
            cas.push(names.take(usize::from(length))?.to_vec());
        }
        rest.0.is_empty().then_some(cas)
    };
    of(true).or_else(|| of(false)).unwrap_or_default()
}

fn choice(hello: &[u8]) -> Option<Choice> {
    let mut rest = Cursor(hello);
    let legacy = u16::from_be_bytes(rest.array()?);
    rest.take(32)?; // random
    let [length] = rest.array()?;
    let session_id = !rest.take(usize::from(length))?.is_empty();
    let suite = u16::from_be_bytes(rest.array()?);
    let [compression] = rest.array()?;
    let mut choice =
        Choice { version: legacy, suite, compression, session_id, ..Choice::default() };
    if rest.0.is_empty() {
        return Some(choice);
    }
    let length = u16::from_be_bytes(rest.array()?);
    let mut extensions = Cursor(rest.take(usize::from(length))?);
    while !extensions.0.is_empty() {
        let kind = u16::from_be_bytes(extensions.array()?);
        let length = u16::from_be_bytes(extensions.array()?);
        let mut content = Cursor(extensions.take(usize::from(length))?);
        match kind {
            extension::VERSIONS => choice.version = u16::from_be_bytes(content.array()?),
            extension::KEY_SHARE => choice.group = Some(u16::from_be_bytes(content.array()?)),
            extension::TICKET => choice.ticket = true,
            extension::RENEGOTIATION => choice.secure_renegotiation = true,
            extension::EXTENDED_MASTER_SECRET => choice.extended_master_secret = true,
            _ => {}
        }
    }
    Some(choice)
}

impl Choice {
    /// Whether it is one of those that were offered: a server that takes what nobody offered would be
    /// asked for ever.
    pub fn fits(&self, offer: &Offer) -> bool {
        let version = Protocol::of(self.version);
        let of_version = suite(self.suite)
            .is_none_or(|suite| suite.is_for_tls13() == (version == Some(Protocol::Tls13)));
        offer.suites.contains(&self.suite)
            && version.is_some_and(|version| version <= offer.newest)
            && of_version
            && self.group.is_none_or(|group| offer.groups.contains(&group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::codes::{GROUPS, suites};
    use crate::wire::testing::Random;

    fn offer(newest: Protocol) -> Offer {
        let suites = suites().iter().map(|suite| suite.code).collect();
        let groups = GROUPS.iter().map(|(code, _)| *code).collect();
        Offer { newest, suites, groups, name: Some("db1.example".to_owned()) }
    }

    /// A server hello in as many records as there are pieces.
    fn answer(version: u16, suite: u16, extensions: &[(u16, &[u8])], pieces: usize) -> Vec<u8> {
        let mut body = version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.push(0);
        body.extend(suite.to_be_bytes());
        body.push(0);
        let mut all = Vec::new();
        for (kind, content) in extensions {
            all.extend(kind.to_be_bytes());
            counted(&mut all, content);
        }
        counted(&mut body, &all);
        let mut message = vec![SERVER_HELLO, 0];
        counted(&mut message, &body);
        let size = message.len().div_ceil(pieces);
        let record = |piece: &[u8]| {
            let mut record = vec![HANDSHAKE, 3, 3];
            counted(&mut record, piece);
            record
        };
        message.chunks(size).flat_map(record).collect()
    }

    #[test]
    fn a_hello_offers_everything_in_one_record() {
        for newest in Protocol::ALL {
            let record = offer(newest).record(&[0; 32]);
            let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
            assert_eq!(record.len(), 5 + length);
            assert_eq!(record[0], HANDSHAKE);
            let legacy = newest.min(Protocol::Tls12).code().to_be_bytes();
            assert_eq!(record[9..11], legacy, "{newest}");
            let named = record.windows(11).any(|window| window == b"db1.example");
            assert_eq!(named, newest > Protocol::Ssl3, "SSLv3 has no extensions");
        }
    }

    #[test]
    fn an_answer_is_read_whole_or_in_pieces() {
        let extensions: &[(u16, &[u8])] =
            &[(extension::VERSIONS, &[3, 4]), (extension::KEY_SHARE, &[0, 0x1d])];
        for pieces in [1, 2, 7] {
            let bytes = answer(0x0303, 0x1302, extensions, pieces);
            let Parsed::Answer(Answer::Took(choice)) = parse(&bytes) else { panic!("{pieces}") };
            assert_eq!((choice.version, choice.suite), (0x0304, 0x1302));
            assert_eq!(choice.group, Some(0x1d));
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end]), Parsed::More, "cut at {end}");
            }
        }
        let old = answer(0x0301, 0x002f, &[(extension::RENEGOTIATION, &[0])], 1);
        let Parsed::Answer(Answer::Took(choice)) = parse(&old) else { panic!() };
        assert!(choice.secure_renegotiation && choice.group.is_none());
        assert!(choice.fits(&offer(Protocol::Tls11)) && !choice.fits(&offer(Protocol::Ssl3)));
    }

    #[test]
    fn alerts_clear_text_and_noise_are_told_apart() {
        assert_eq!(parse(&[21, 3, 1, 0, 2, 2, 40]), Parsed::Answer(Answer::Refused(40)));
        let warned = [&[21, 3, 1, 0, 2, 1, 112][..], &answer(0x0303, 0xc02f, &[], 1)].concat();
        assert!(matches!(parse(&warned), Parsed::Answer(Answer::Took(_))), "it goes on");
        assert!(matches!(parse(b"\x4e\x00\x00\x02\xff\x15\x04"), Parsed::Nonsense(_)));
        assert!(matches!(parse(b"HTTP/1.1 400"), Parsed::Nonsense(_)));
        assert!(matches!(parse(&[22, 3, 3, 0xff, 0xff]), Parsed::Nonsense(_)));
        let mut random = Random(3);
        let valid = answer(0x0303, 0xc02f, &[(extension::TICKET, &[])], 2);
        for _ in 0..5_000 {
            let mut bytes = valid.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = random.byte();
            }
            bytes.truncate(random.below(valid.len() + 1));
            let _ = parse(&bytes);
            let noise: Vec<u8> = (0..random.below(100)).map(|_| random.byte()).collect();
            let _ = parse(&noise);
        }
    }
}
