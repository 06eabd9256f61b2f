//! Families of servers: what those without a modern TLS library can bear, and what is likely of the others.

use super::hello::Protocol;
use super::names;
use crate::facts::{Flavor, Version};
use crate::wire::Greeting;
use crate::x509::{Certificate, KeyAlgorithm};

/// Every suite before TLS 1.3.
pub fn old_suites() -> Vec<u16> {
    names::suites().iter().filter(|one| !one.is_modern()).map(|one| one.number).collect()
}

/// All that yaSSL has; it takes no hello with many more.
pub fn of_yassl() -> Vec<u16> {
    vec![
        0x39, 0x38, 0x33, 0x32, 0x35, 0x2f, 0x16, 0x13, 0x0a, 0x05, 0x04, 0x15, 0x12, 0x09, 0x74,
        0x73, 0x72, 0x79, 0x78, 0x77, 0x7e, 0x7d, 0x7c,
    ]
}

/// MySQL before 5.7.28 and MariaDB before 10.4 may have been built with it.
pub fn may_be_yassl(greeting: &Greeting) -> bool {
    match (greeting.flavor, greeting.version) {
        (Flavor::MariaDb, Some(version)) => version < Version(10, 4, 0),
        (_, Some(version)) => version < Version(5, 7, 28),
        (_, None) => false,
    }
}

/// `max_connect_errors` where nobody changed it.
pub fn assumed_limit(greeting: &Greeting) -> u32 {
    let early = greeting.version.is_some_and(|version| version < Version(5, 6, 6));
    if early && greeting.flavor == Flavor::MySql { 10 } else { 100 }
}

/// Before 5.7 what came along with the request was read with it, and lost.
pub fn may_lose_what_comes_early(greeting: &Greeting) -> bool {
    may_be_yassl(greeting)
}

/// Whether it has lists of suites of its own where nobody chose any (MySQL 8.0 and later: manual, section
/// 8.3.2 "Encrypted Connection TLS Protocols and Ciphers").
pub fn has_own_lists(greeting: &Greeting) -> bool {
    greeting.flavor == Flavor::MySql && greeting.version >= Some(Version(8, 0, 0))
}

/// Suites of TLS 1.3 that a server has where nobody chose any, its favourite first.
pub fn likely_modern(own_lists: bool) -> Vec<u16> {
    if own_lists { vec![0x1301, 0x1302, 0x1303, 0x1304] } else { vec![0x1302, 0x1303, 0x1301] }
}

/// What MySQL has of TLS 1.2 where nobody chose any, in its order.
const OWN_LIST: [u16; 13] = [
    0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca9, 0xcca8, 0xc0ad, 0xc0ac, 0x9e, 0x9f, 0xccaa, 0xc09f,
    0xc09e,
];

/// What a server with a certificate like this one likes best of the older versions, in OpenSSL's order or
/// its own.
pub fn likely(leaf: Option<&Certificate>, protocol: Protocol, own_lists: bool) -> Vec<u16> {
    let key = leaf.and_then(|leaf| leaf.public_key.as_ref());
    let rsa =
        key.is_some_and(|key| matches!(key.algorithm, KeyAlgorithm::Rsa | KeyAlgorithm::RsaPss));
    let fits = |iana: &str| {
        let kind = if rsa { "_RSA_WITH_" } else { "_ECDSA_WITH_" };
        let usual = iana.contains("_AES_") || iana.contains("CHACHA20");
        let rare = ["CCM", "PSK", "DSS", "anon", "SRP", "RMD", "TLS_ECDH_", "TLS_DH_"]
            .iter()
            .any(|part| iana.contains(part));
        let new = iana.contains("GCM")
            || iana.contains("CHACHA")
            || iana.ends_with("SHA256")
            || iana.ends_with("SHA384");
        iana.contains(kind) && usual && !rare && (protocol == Protocol::Tls12 || !new)
    };
    if own_lists && protocol == Protocol::Tls12 {
        let kind = if rsa { "RSA_WITH_" } else { "_ECDSA_WITH_" };
        let has = |number: &u16| names::suite(*number).is_some_and(|one| one.iana.contains(kind));
        return OWN_LIST.into_iter().filter(has).collect();
    }
    names::suites().iter().filter(|one| fits(one.iana)).map(|one| one.number).collect()
}
