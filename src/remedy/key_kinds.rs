//! The kinds of keys that a server can use, and why the others are not offered.

use std::str::FromStr;

use crate::ca::{KeyForm, KeyKind};
use crate::facts::{Facts, Flavor, Version};
use crate::x509::{Certificate, KeyAlgorithm, PublicKey};

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
    let server = facts.server.read();
    let library = server.and_then(|server| server.tls_library.as_deref()).unwrap_or_default();
    let library = if facts.is_yassl() { "yassl" } else { library };
    of_library(&library.to_ascii_lowercase(), server.map(|server| server.flavor))
}

/// For a server that cannot be asked, by its family and version: `mysql-5.6`, `mariadb-11.8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    pub flavor: Flavor,
    pub version: Version,
}

impl FromStr for Product {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a server is a family and a version, such as mysql-8.4 or mariadb-10.11";
        let (family, version) = text.split_once('-').ok_or_else(wrong)?;
        let flavor = match family.to_ascii_lowercase().as_str() {
            "mysql" => Flavor::MySql,
            "mariadb" => Flavor::MariaDb,
            _ => return Err(wrong().to_owned()),
        };
        let (_, version) = Version::parse(version).ok_or_else(wrong)?;
        Ok(Self { flavor, version })
    }
}

impl Product {
    /// Community builds of MySQL up to 5.6 have yaSSL, those of 5.7 OpenSSL 1.0 or yaSSL: there the
    /// kinds that both take.
    pub fn key_kinds(self) -> KeyKinds {
        let library = match (self.flavor, self.version) {
            (Flavor::MySql, version) if version < Version(8, 0, 0) => "yassl",
            (Flavor::MariaDb, version) if version < Version(10, 4, 0) => "openssl 1.0",
            _ => "openssl",
        };
        of_library(library, Some(self.flavor))
    }

    /// The form in which it reads a key.
    pub fn key_form(self) -> KeyForm {
        match self.flavor {
            Flavor::MySql if self.version < Version(8, 0, 0) => KeyForm::Pkcs1,
            _ => KeyForm::default(),
        }
    }
}

impl KeyKinds {
    /// The one that was asked for, or the recommended; the error says what there is instead.
    pub fn choose(&self, asked: Option<KeyKind>) -> Result<KeyKind, String> {
        let Some(kind) = asked else { return Ok(self.kinds.first().copied().unwrap_or_default()) };
        if self.kinds.contains(&kind) {
            return Ok(kind);
        }
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.describe()).collect();
        Err(format!(
            "this server cannot use {}: {}. It takes {}",
            kind.describe(),
            self.why,
            kinds.join(", ")
        ))
    }

    /// Whether the server can verify what these CAs signed; the error says which of them is in the
    /// way, and what to do.
    pub fn check_chain(&self, chain: &[Certificate]) -> Result<(), String> {
        for ca in chain {
            let Some(key) = ca.public_key.as_ref().filter(|key| !self.verifies(key)) else {
                continue;
            };
            let curves = self.kinds.contains(&KeyKind::P256);
            let how = if curves { "--key p256" } else { "--for mysql-5.6" };
            return Err(format!(
                "this server cannot use what the CA {} issues, whose own key is {}: {}. Make a CA for \
                 it in another folder: mytls ca create {how} --ca-dir DIR --name NAME",
                ca.subject.display(),
                key.describe(),
                self.why
            ));
        }
        Ok(())
    }

    /// Sizes and curves do not matter for a CA, but the family does.
    fn verifies(&self, key: &PublicKey) -> bool {
        use KeyKind::{Ed25519, P256, P384, Rsa2048, Rsa3072, Rsa4096};
        let any = |kinds: &[KeyKind]| kinds.iter().any(|kind| self.kinds.contains(kind));
        match key.algorithm {
            KeyAlgorithm::Rsa => any(&[Rsa2048, Rsa3072, Rsa4096]),
            KeyAlgorithm::Ec(_) | KeyAlgorithm::Dsa | KeyAlgorithm::Other(_) => any(&[P256, P384]),
            // the three came to OpenSSL together
            KeyAlgorithm::RsaPss | KeyAlgorithm::Ed25519 | KeyAlgorithm::Ed448 => any(&[Ed25519]),
        }
    }
}

fn of_library(library: &str, flavor: Option<Flavor>) -> KeyKinds {
    use KeyKind::{Ed25519, P256, P384, Rsa2048, Rsa3072, Rsa4096};
    if library.starts_with("yassl") {
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
    let why = match flavor {
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
    fn a_server_is_named_by_family_and_version_and_says_why_not() {
        let of = |text: &str| text.parse::<Product>().unwrap();
        let why = of("mysql-5.6").key_kinds().choose(Some(KeyKind::P256)).unwrap_err();
        assert!(why.contains("yaSSL") && why.contains("RSA 2048"), "{why}");
        assert_eq!(of("MySQL-5.6.51").key_kinds().choose(None), Ok(KeyKind::Rsa2048));
        assert_eq!(of("mysql-5.6").key_form(), KeyForm::Pkcs1);
        assert_eq!(
            of("mysql-8.4").key_kinds().choose(Some(KeyKind::Ed25519)),
            Ok(KeyKind::Ed25519)
        );
        assert!(of("mariadb-10.3").key_kinds().choose(Some(KeyKind::Ed25519)).is_err());
        assert_eq!(of("mariadb-11.8").key_form(), KeyForm::Pkcs8);
        for odd in ["", "mysql", "oracle-19", "mysql-", "mysql-x"] {
            assert!(odd.parse::<Product>().unwrap_err().contains("mysql-8.4"), "{odd}");
        }
    }

    #[test]
    fn every_ca_of_the_chain_has_to_be_one_that_the_server_can_verify() {
        use crate::ca::{Authority, AuthoritySpec};
        let made = |kind, above: Option<&Authority>| {
            let name = format!("{kind:?} CA").parse().unwrap();
            let spec = AuthoritySpec { key: kind, ..AuthoritySpec::named(&name) };
            above.map_or_else(|| Authority::create(&spec), |ca| ca.issue_authority(&spec)).unwrap()
        };
        let (rsa, curve) = (made(KeyKind::Rsa2048, None), made(KeyKind::P256, None));
        let under = made(KeyKind::Rsa2048, Some(&curve));
        let kinds = |text: &str| text.parse::<Product>().unwrap().key_kinds();
        let yassl = kinds("mysql-5.6");
        let path = |ca: &Authority| -> Vec<Certificate> {
            ca.path().iter().map(|ca| Certificate::from_openssl(ca)).collect()
        };
        assert_eq!(yassl.check_chain(&path(&rsa)), Ok(()));
        for ca in [&curve, &under] {
            let why = yassl.check_chain(&path(ca)).unwrap_err();
            assert!(why.contains("CN=P256 CA") && why.contains("yaSSL"), "{why}");
            assert!(why.contains("mytls ca create --for mysql-5.6 "), "{why}");
            assert_eq!(kinds("mysql-8.4").check_chain(&path(ca)), Ok(()));
        }
        let edwards = made(KeyKind::Ed25519, None);
        let why = kinds("mariadb-10.3").check_chain(&path(&edwards)).unwrap_err();
        assert!(why.contains("mytls ca create --key p256 "), "{why}");
    }

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
