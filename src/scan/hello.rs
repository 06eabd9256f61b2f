//! The first hello, byte for byte ours, and what a server answers to it.
//!
//! RFC 8446 §4.1, RFC 5246 §7.4, RFC 6101 for SSLv3. Nothing is computed and no secret is made: the answer is
//! read up to where it says what was chosen, so versions and suites that the library of this host has
//! no longer are found all the same.

use serde::{Deserialize, Serialize};

/// A version of the protocol, under the name that both families' `tls_version` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    #[serde(rename = "SSLv3")]
    Ssl3,
    #[serde(rename = "TLSv1")]
    Tls10,
    #[serde(rename = "TLSv1.1")]
    Tls11,
    #[serde(rename = "TLSv1.2")]
    Tls12,
    #[serde(rename = "TLSv1.3")]
    Tls13,
}

impl Protocol {
    pub const ALL: [Self; 5] = [Self::Ssl3, Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ssl3 => "SSLv3",
            Self::Tls10 => "TLSv1",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    fn wire(self) -> [u8; 2] {
        match self {
            Self::Ssl3 => [3, 0],
            Self::Tls10 => [3, 1],
            Self::Tls11 => [3, 2],
            Self::Tls12 => [3, 3],
            Self::Tls13 => [3, 4],
        }
    }

    fn of_wire(bytes: [u8; 2]) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.wire() == bytes)
    }
}

/// What a hello offers. Up to TLS 1.2 the version is the highest; TLS 1.3 is offered alone.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    pub protocol: Protocol,
    pub suites: &'a [u16],
    pub groups: &'a [u16],
    /// The name typed, where it is one.
    pub host: Option<&'a str>,
}

/// The choice of a server, and what came with it in the clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a bit of the answer")]
pub struct Answer {
    pub protocol: Option<Protocol>,
    pub suite: u16,
    pub group: Option<u16>,
    /// Of a finite field, where the server named its own prime.
    pub dh_bits: Option<usize>,
    pub compression: bool,
    /// The server gave the session a number to come back with.
    pub session_id: bool,
    pub ticket: bool,
    pub secure_renegotiation: bool,
    pub extended_master_secret: bool,
    /// With which scheme the server signed its part of the key exchange.
    pub signature: Option<u16>,
    pub asks_certificate: Option<CertificateRequest>,
    /// `ServerHelloDone` was seen, or, in TLS 1.3, all that comes in the clear.
    pub complete: bool,
}

/// What a server says when it asks for a client certificate (RFC 5246 §7.4.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateRequest {
    pub signatures: Vec<u16>,
    /// Names of CAs, as DER.
    pub authorities: Vec<Vec<u8>>,
}

/// What the bytes that have come so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Not enough of them.
    More,
    Answer(Answer),
    Alert(u8),
    /// No TLS, or nothing that may stand here.
    Other(&'static str),
}

/// Nothing before the choice of a server is longer; certificates may come after.
pub const FLIGHT_LIMIT: usize = 256 * 1024;

/// Schemes of every kind: a server that finds none of its own answers with an alert.
const SIGNATURES: [u16; 26] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401,
    0x0501, 0x0601, 0x081a, 0x081b, 0x081c, 0x0904, 0x0905, 0x0906, 0x0303, 0x0301, 0x0203, 0x0201,
    0x0402, 0x0202,
];

/// The record that holds this hello.
pub fn client_hello(offer: &Offer<'_>, random: [u8; 32]) -> Vec<u8> {
    let modern = offer.protocol == Protocol::Tls13;
    let mut body = Vec::with_capacity(1024);
    body.extend(if modern { [3, 3] } else { offer.protocol.wire() });
    body.extend(random);
    body.push(0); // no session to come back to
    let mut suites = u16s(offer.suites);
    if !modern {
        suites.extend([0x00, 0xff]); // TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746)
    }
    counted(&mut body, &suites);
    // DEFLATE (RFC 3749), of which TLS 1.3 knows nothing
    body.extend(if modern { &[1, 0][..] } else { &[2, 1, 0][..] });
    if offer.protocol != Protocol::Ssl3 {
        counted(&mut body, &extensions(offer));
    }
    let mut record = vec![0x16, 3, u8::from(offer.protocol != Protocol::Ssl3)];
    let mut handshake = vec![1, 0];
    counted(&mut handshake, &body);
    counted(&mut record, &handshake);
    record
}

fn extensions(offer: &Offer<'_>) -> Vec<u8> {
    let mut all = Vec::new();
    let mut add = |kind: u16, content: &[u8]| {
        all.extend(kind.to_be_bytes());
        counted(&mut all, content);
    };
    if let Some(host) = offer.host {
        let mut name = vec![0];
        counted(&mut name, host.as_bytes());
        let mut list = Vec::new();
        counted(&mut list, &name);
        add(0, &list);
    }
    if !offer.groups.is_empty() {
        let mut list = Vec::new();
        counted(&mut list, &u16s(offer.groups));
        add(10, &list);
    }
    if offer.protocol >= Protocol::Tls12 {
        let mut list = Vec::new();
        counted(&mut list, &u16s(&SIGNATURES));
        add(13, &list);
    }
    if offer.protocol == Protocol::Tls13 {
        add(43, &[2, 3, 4]);
        add(45, &[1, 1]);
        // no share: the server has to name a group, and signs nothing for it (RFC 8446 §4.2.8)
        add(51, &[0, 0]);
    } else {
        add(11, &[3, 0, 1, 2]);
        add(35, &[]);
        add(23, &[]);
    }
    all
}

fn u16s(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// The bytes with their length, in two bytes, before them; what is longer is cut.
fn counted(into: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    into.extend(length.to_be_bytes());
    into.extend(&bytes[..usize::from(length)]);
}

/// Reads what has come. An answer that is not complete may become so with more bytes.
pub fn heard(mut bytes: &[u8]) -> Heard {
    let mut handshake = Vec::new();
    let mut alert = None;
    let mut seen = false;
    while let [kind, 3, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length > (1 << 14) + 2048 {
            return Heard::Other("a TLS record that is longer than any may be");
        }
        seen = true;
        let Some((content, after)) = rest.split_at_checked(length) else {
            break;
        };
        match (*kind, content) {
            (0x16, []) => return Heard::Other("an empty handshake record"),
            (0x16, content) => handshake.extend_from_slice(content),
            (0x15, [_, description, ..]) => {
                alert = Some(*description);
                break;
            }
            (0x14 | 0x17, _) => break,
            _ => return Heard::Other("a TLS record of an unknown kind"),
        }
        bytes = after;
    }
    if !seen && bytes.len() >= 2 && !(matches!(bytes[0], 0x14..=0x17) && bytes[1] == 3) {
        return Heard::Other("something that is no TLS");
    }
    match (messages(&handshake), alert) {
        (Some(Ok(answer)), _) => Heard::Answer(answer),
        (Some(Err(why)), _) => Heard::Other(why),
        (None, Some(alert)) => Heard::Alert(alert),
        (None, None) => Heard::More,
    }
}

/// `None`: the server hello is not there yet.
fn messages(mut bytes: &[u8]) -> Option<Result<Answer, &'static str>> {
    let mut answer: Option<Answer> = None;
    while let [kind, a, b, c, rest @ ..] = bytes {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        if answer.is_none() && (*kind != 2 || length > 4096) {
            return Some(Err("a handshake that does not begin with a server hello"));
        }
        let Some((content, after)) = rest.split_at_checked(length) else { break };
        match (*kind, &mut answer) {
            (2, None) => match server_hello(content) {
                Some(hello) => answer = Some(hello),
                None => return Some(Err("a server hello that is cut short or garbled")),
            },
            (12, Some(answer)) => key_exchange(content, answer),
            (13, Some(answer)) => {
                answer.asks_certificate =
                    certificate_request(content, answer.protocol == Some(Protocol::Tls12));
            }
            (14, Some(answer)) => answer.complete = true,
            _ => {}
        }
        bytes = after;
    }
    answer.map(Ok)
}

/// Reads from the front; every step may find it too short.
struct From<'a>(&'a [u8]);

impl<'a> From<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|two| u16::from_be_bytes([two[0], two[1]]))
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }
}

fn server_hello(content: &[u8]) -> Option<Answer> {
    let mut from = From(content);
    let version = from.take(2)?;
    let mut protocol = Protocol::of_wire([version[0], version[1]])?;
    from.take(32)?;
    let length = from.byte()?;
    let session_id = from.take(usize::from(length))?;
    let mut answer = Answer {
        suite: from.number()?,
        session_id: !session_id.is_empty(),
        compression: from.byte()? != 0,
        ..Answer::default()
    };
    if !from.0.is_empty() {
        let mut extensions = From(from.counted()?);
        while !extensions.0.is_empty() {
            let kind = extensions.number()?;
            let mut content = From(extensions.counted()?);
            match kind {
                23 => answer.extended_master_secret = true,
                35 => answer.ticket = true,
                0xff01 => answer.secure_renegotiation = true,
                43 if content.0 == [3, 4] => protocol = Protocol::Tls13,
                51 => answer.group = content.number(),
                _ => {}
            }
        }
    }
    answer.complete = protocol == Protocol::Tls13;
    answer.protocol = Some(protocol);
    Some(answer)
}

/// `ServerKeyExchange`: a named curve, or a prime. Which of them it is only its form tells.
fn key_exchange(content: &[u8], answer: &mut Answer) {
    let mut from = From(content);
    let signed = if content.first() == Some(&3) && content.len() > 4 {
        let group = u16::from_be_bytes([content[1], content[2]]);
        answer.group = Some(group);
        from.take(3);
        from.byte().and_then(|length| from.take(usize::from(length)))
    } else {
        let Some(prime) = from.counted() else { return };
        let zeros = prime.iter().take_while(|byte| **byte == 0).count();
        let top = prime.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
        answer.dh_bits = Some(((prime.len() - zeros) * 8).saturating_sub(top));
        from.counted().and_then(|_| from.counted())
    };
    if signed.is_some() && answer.protocol == Some(Protocol::Tls12) {
        answer.signature = from.number();
    }
}

fn certificate_request(content: &[u8], names_schemes: bool) -> Option<CertificateRequest> {
    let mut from = From(content);
    let types = from.byte()?;
    from.take(usize::from(types))?;
    let mut request = CertificateRequest::default();
    if names_schemes {
        let list = from.counted()?;
        request.signatures =
            list.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
    }
    let mut names = From(from.counted()?);
    while !names.0.is_empty() {
        request.authorities.push(names.counted()?.to_vec());
    }
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::Random;

    fn record(kind: u8, content: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 3, 3];
        counted(&mut record, content);
        record
    }

    fn hello_of(version: [u8; 2], suite: u16, extensions: &[u8]) -> Vec<u8> {
        let mut body = version.to_vec();
        body.extend([7; 32]);
        body.push(0);
        body.extend(suite.to_be_bytes());
        body.push(0);
        counted(&mut body, extensions);
        let mut message = vec![2, 0];
        counted(&mut message, &body);
        record(0x16, &message)
    }

    #[test]
    fn a_retry_names_suite_and_group() {
        let bytes = hello_of([3, 3], 0x1302, &[0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 0x1d]);
        let Heard::Answer(answer) = heard(&bytes) else { panic!("{:?}", heard(&bytes)) };
        assert_eq!(answer.protocol, Some(Protocol::Tls13));
        assert_eq!((answer.suite, answer.group, answer.complete), (0x1302, Some(0x1d), true));
        for end in 0..bytes.len() {
            assert_eq!(heard(&bytes[..end]), Heard::More, "cut at {end}");
        }
    }

    #[test]
    fn a_curve_and_a_prime_are_read() {
        let mut bytes = hello_of([3, 3], 0xc030, &[0xff, 1, 0, 1, 0]);
        let mut exchange = vec![12, 0, 0, 12, 3, 0, 0x17, 2, 9, 9, 8, 4, 0, 2, 1, 1];
        exchange.extend([14, 0, 0, 0]);
        bytes.extend(record(0x16, &exchange));
        let Heard::Answer(answer) = heard(&bytes) else { panic!() };
        assert_eq!((answer.group, answer.signature), (Some(0x17), Some(0x0804)));
        assert!(answer.complete && answer.secure_renegotiation);
        let mut answer = Answer::default();
        key_exchange(&[0, 3, 0, 0x7f, 0xff, 0, 1, 2, 0, 1, 3], &mut answer);
        assert_eq!(answer.dh_bits, Some(15));
    }

    #[test]
    fn alerts_and_strangers_are_told_apart() {
        assert_eq!(heard(&record(0x15, &[2, 40])), Heard::Alert(40));
        assert!(matches!(heard(b"HTTP/1.1 400"), Heard::Other(_)));
        assert!(matches!(heard(&[0x16, 3, 3, 0xff, 0xff]), Heard::Other(_)));
        let endless = record(0x16, &[]).repeat(1000);
        assert!(matches!(heard(&endless), Heard::Other(_)));
    }

    #[test]
    fn openssl_takes_every_hello_for_one() {
        for protocol in Protocol::ALL {
            let suites: Vec<u16> = (0..370).collect();
            let offer = Offer { protocol, suites: &suites, groups: &[0x1d], host: Some("db1") };
            let record = client_hello(&offer, [1; 32]);
            let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
            assert_eq!(record.len(), 5 + length);
            let inner = usize::from(u16::from_be_bytes([record[7], record[8]]));
            assert_eq!(length, 4 + inner);
        }
    }

    #[test]
    fn no_answer_however_mutated_makes_it_panic() {
        let mut random = Random(0x7363_616e);
        let mut whole = hello_of([3, 3], 0x9f, &[0xff, 1, 0, 1, 0, 0, 35, 0, 0]);
        let rest =
            [12, 0, 0, 9, 0, 1, 7, 0, 1, 2, 0, 1, 3, 13, 0, 0, 9, 1, 1, 0, 2, 4, 1, 0, 2, 0, 0];
        whole.extend(record(0x16, &rest));
        for _ in 0..5_000 {
            let mut bytes = whole.clone();
            for _ in 0..random.below(12) {
                let at = random.below(bytes.len());
                bytes[at] = random.byte();
            }
            if random.below(3) == 0 {
                bytes.truncate(random.below(bytes.len()));
            }
            let _ = heard(&bytes);
            let noise: Vec<u8> = (0..random.below(120)).map(|_| random.byte()).collect();
            let _ = heard(&noise);
        }
    }
}
