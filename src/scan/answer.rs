//! What a server answers to a first hello, as far as it comes in the clear.
//!
//! RFC 8446 §4.1.3, RFC 5246 §7.4. Nothing is computed: the answer is read up to where it says what was chosen.

use super::hello::Protocol;
use crate::wire::{CertificateRequest, From};

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
    use crate::scan::hello::counted;
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
