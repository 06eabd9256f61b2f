//! The kinds of keys that a server can use, and why the others are not offered.

use crate::ca::KeyKind;
use crate::facts::{Facts, Flavor};

/// What may be chosen for a server, the recommended first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyKinds {
    /// At least one.
    pub kinds: Vec<KeyKind>,
    /// Why not others: half a sentence.
    pub why: &'static str,
}

/// For this server. One that could not be asked is taken for one of today.
///
/// Measured on MySQL 5.6 (yaSSL), MySQL 9.7 and MariaDB 10.11 and 11.8 (OpenSSL 3): whatever is left
/// out here loads perhaps, and then every handshake fails.
pub fn key_kinds(facts: &Facts) -> KeyKinds {
    use KeyKind::{Ed25519, P256, P384, Rsa2048, Rsa3072, Rsa4096};
    let server = facts.server.read();
    let library = server.and_then(|server| server.tls_library.as_deref()).unwrap_or_default();
    let library = library.to_ascii_lowercase();
    if facts.is_yassl() {
        let why = "RSA alone: yaSSL, the TLS library of this server, knows nothing else";
        return KeyKinds { kinds: vec![Rsa2048, Rsa3072, Rsa4096], why };
    }
    // Ed25519 in certificates came with OpenSSL 1.1.1
    let old = ["openssl 0.", "openssl 1.0", "openssl 1.1.0", "wolfssl"];
    if old.iter().any(|old| library.starts_with(old)) {
        let why =
            "no Ed25519: the TLS library of this server is too old for it, or not built for it";
        return KeyKinds { kinds: vec![P256, P384, Rsa2048, Rsa3072, Rsa4096], why };
    }
    let why = match server.map(|server| server.flavor) {
        Some(Flavor::MySql) => {
            "no Ed448 and no secp256k1: with those every handshake of MySQL fails"
        }
        _ => "no secp256k1: with it every handshake fails",
    };
    KeyKinds { kinds: vec![P256, P384, Ed25519, Rsa2048, Rsa3072, Rsa4096], why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Source;
    use crate::rules::testing;

    #[test]
    fn yassl_takes_rsa_alone_and_old_openssl_no_ed25519() {
        let offered = |library: &str| {
            let mut facts = testing::healthy();
            let Source::Read(server) = &mut facts.server else { panic!() };
            server.tls_library = Some(library.into());
            key_kinds(&facts)
        };
        let rsa = offered("YaSSL");
        assert!(rsa.kinds.iter().all(|kind| kind.describe().starts_with("RSA")), "{rsa:?}");
        assert!(rsa.why.contains("yaSSL"));
        assert!(!offered("OpenSSL 1.0.2k-fips").kinds.contains(&KeyKind::Ed25519));
        assert!(!offered("WolfSSL 5.6.4").kinds.contains(&KeyKind::Ed25519));
        for library in ["OpenSSL 1.1.1w", "OpenSSL 3.0.19 27 Jan 2026"] {
            let offered = offered(library);
            assert_eq!((offered.kinds.len(), offered.kinds[0]), (6, KeyKind::P256));
        }
    }
}
