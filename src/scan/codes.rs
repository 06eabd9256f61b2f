//! Code points of TLS: versions, cipher suites, groups.
//!
//! Source: the IANA registries "TLS Cipher Suites" and "TLS Supported Groups".

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A version of the protocol, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    #[serde(rename = "SSLv3")]
    Ssl3,
    #[serde(rename = "TLSv1.0")]
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

    /// As it stands in a hello.
    pub fn code(self) -> u16 {
        match self {
            Self::Ssl3 => 0x0300,
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }

    pub fn of(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.code() == code)
    }

    /// The next older one.
    pub fn older(self) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|other| *other < self)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Ssl3 => "SSLv3",
            Self::Tls10 => "TLSv1.0",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A cipher suite of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    pub code: u16,
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`
    pub name: &'static str,
    /// What OpenSSL, and with it `ssl_cipher`, calls it: `ECDHE-RSA-AES128-GCM-SHA256`.
    pub openssl: Option<&'static str>,
}

impl Suite {
    /// Suites of TLS 1.3 say nothing of keys, and are of no use before it.
    pub fn is_for_tls13(&self) -> bool {
        self.code >> 8 == 0x13 || matches!(self.code, 0xc0b4 | 0xc0b5)
    }
}

/// All of them, by their code points.
pub fn suites() -> &'static [Suite] {
    static SUITES: LazyLock<Vec<Suite>> = LazyLock::new(|| {
        let line = |line: &'static str| {
            let mut words = line.split(' ');
            let code = u16::from_str_radix(words.next()?, 16).ok()?;
            let (name, openssl) = (words.next()?, words.next()?);
            Some(Suite { code, name, openssl: Some(openssl).filter(|name| *name != "-") })
        };
        include_str!("../../assets/tls/suites.txt").lines().filter_map(line).collect()
    });
    &SUITES
}

/// The suite of this code point; `None` for one that the registry does not know.
pub fn suite(code: u16) -> Option<&'static Suite> {
    let at = suites().binary_search_by_key(&code, |suite| suite.code).ok()?;
    suites().get(at)
}

/// The groups for a key exchange that a server may be offered, hybrids with ML-KEM first.
pub const GROUPS: [(u16, &str); 23] = [
    (0x11ec, "X25519MLKEM768"),
    (0x11eb, "SecP256r1MLKEM768"),
    (0x11ed, "SecP384r1MLKEM1024"),
    (0x6399, "X25519Kyber768Draft00"),
    (0x0200, "MLKEM512"),
    (0x0201, "MLKEM768"),
    (0x0202, "MLKEM1024"),
    (0x001d, "x25519"),
    (0x0017, "secp256r1"),
    (0x001e, "x448"),
    (0x0019, "secp521r1"),
    (0x0018, "secp384r1"),
    (0x001f, "brainpoolP256r1tls13"),
    (0x0020, "brainpoolP384r1tls13"),
    (0x0021, "brainpoolP512r1tls13"),
    (0x0029, "curveSM2"),
    (0x0016, "secp256k1"),
    (0x0015, "secp224r1"),
    (0x0100, "ffdhe2048"),
    (0x0101, "ffdhe3072"),
    (0x0102, "ffdhe4096"),
    (0x0103, "ffdhe6144"),
    (0x0104, "ffdhe8192"),
];

/// The group's name; its number where it has none here.
pub fn group(code: u16) -> String {
    let known = GROUPS.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| format!("0x{code:04x}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_read_whole_and_in_order() {
        let text = include_str!("../../assets/tls/suites.txt");
        let lines = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(suites().len(), lines, "each line is one suite");
        assert!(suites().is_sorted_by_key(|suite| suite.code));
        let known = suite(0xc02f).unwrap();
        assert_eq!(known.name, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(known.openssl, Some("ECDHE-RSA-AES128-GCM-SHA256"));
        assert!(suite(0x1301).unwrap().is_for_tls13() && !known.is_for_tls13());
        assert_eq!(suite(0xfefe), None);
    }

    #[test]
    fn versions_go_down_one_by_one() {
        let mut versions = vec![Protocol::Tls13];
        while let Some(older) = versions.last().and_then(|version| version.older()) {
            versions.push(older);
        }
        assert_eq!(versions.len(), 5);
        assert!(versions.iter().all(|version| Protocol::of(version.code()) == Some(*version)));
    }
}
