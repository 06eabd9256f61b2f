//! The first hello, byte for byte ours.
//!
//! RFC 8446 §4.1, RFC 5246 §7.4, RFC 6101 for SSLv3. Nothing is computed and no secret is made, so versions and
//! suites that the library of this host has no longer are offered all the same.

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

    pub fn of_wire(bytes: [u8; 2]) -> Option<Self> {
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
pub fn counted(into: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    into.extend(length.to_be_bytes());
    into.extend(&bytes[..usize::from(length)]);
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
