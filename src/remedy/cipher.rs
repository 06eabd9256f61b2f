//! `REQUIRE CIPHER`: one cipher suite, by the name that the server's library gives it.
//!
//! Servers compare what `SSL_get_cipher()` says. OpenSSL has names of its own up to TLS 1.2
//! (`ECDHE-RSA-AES256-GCM-SHA384`) and those of the standard for TLS 1.3 (`TLS_AES_256_GCM_SHA384`,
//! RFC 8446 appendix B.4); yaSSL has OpenSSL's. A suite belongs to one side of that divide, so
//! the clause always shuts out the other.

use openssl::ssl::{SslContext, SslMethod, cipher_name};
use thiserror::Error;

use super::statement::Dialect;
use crate::facts::{Flavor, ServerFacts, Version};
use crate::printable::printable;
use crate::x509::OneLine;

/// A cipher suite that exists, as servers compare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cipher {
    name: String,
    /// Whether it is one of TLS 1.3.
    new: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadCipher {
    #[error(
        "there is no cipher suite `{name}`; `openssl ciphers -v ALL` and SHOW STATUS LIKE 'Ssl_cipher' show what they are called{hint}"
    )]
    Unknown { name: String, hint: String },
    #[error("`{name}` never comes about on this server, so nobody could log in: {why}")]
    NeverSpoken { name: String, why: &'static str },
}

impl Cipher {
    /// # Errors
    /// That there is none of this name, and which may be meant.
    pub fn parse(text: &str) -> Result<Self, BadCipher> {
        if let Some(name) = exists(text) {
            return Ok(name);
        }
        let upper = text.trim().to_ascii_uppercase();
        let meant = exists(&upper).map(|cipher| cipher.name).or_else(|| {
            // the standard's name of an older one
            let own = cipher_name(&upper);
            exists(own).map(|cipher| cipher.name)
        });
        let hint = meant.map_or_else(String::new, |meant| format!("; servers call it {meant}"));
        Err(BadCipher::Unknown { name: printable(text).into_owned(), hint })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What somebody should know who asks for it.
    ///
    /// # Errors
    /// Why it never comes about on this server.
    pub fn cautions(
        &self,
        dialect: Dialect,
        server: Option<&ServerFacts>,
    ) -> Result<Vec<String>, BadCipher> {
        if let Some(why) = self.never(dialect, server) {
            return Err(BadCipher::NeverSpoken { name: self.name.clone(), why });
        }
        let mut words = vec![if self.new {
            format!(
                "only TLS 1.3 has {}: clients that come with TLS 1.2 or before are refused",
                self.name
            )
        } else {
            format!(
                "TLS 1.3 does not have {}: clients that speak it, as most do, are refused with error \
                 1045 unless they are held to TLS 1.2 (mysql --tls-version=TLSv1.2)",
                self.name
            )
        }];
        words.push(
            "what ciphers are spoken is better said once for the whole server: ssl_cipher, \
             tls_ciphersuites, tls_version"
                .to_owned(),
        );
        Ok(words)
    }

    fn never(&self, dialect: Dialect, server: Option<&ServerFacts>) -> Option<&'static str> {
        let old_mysql = dialect.flavor == Flavor::MySql && dialect.version < Version(8, 0, 16);
        let versions = server.and_then(|server| server.variable("tls_version"));
        if self.new {
            if dialect.names == OneLine::YaSsl || old_mysql {
                return Some("it does not speak TLS 1.3");
            }
            return versions
                .filter(|versions| !versions.contains("TLSv1.3"))
                .map(|_| "its tls_version leaves out TLS 1.3");
        }
        if versions == Some("TLSv1.3") {
            return Some("its tls_version is TLS 1.3 alone");
        }
        let chosen = dialect.flavor == Flavor::MySql && dialect.version >= Version(8, 4, 0);
        let modern = self.name.starts_with("ECDHE-") || self.name.starts_with("DHE-");
        let modern =
            modern && ["GCM", "CCM", "CHACHA20"].iter().any(|mode| self.name.contains(mode));
        (chosen && !modern).then_some("MySQL 8.4 and later take no cipher of this kind")
    }
}

/// The suite of exactly this name.
fn exists(name: &str) -> Option<Cipher> {
    const NEW: [&str; 5] = [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    ];
    // what old servers speak and OpenSSL is mostly built without
    const GONE: [&str; 12] = [
        "RC4-MD5",
        "RC4-SHA",
        "DES-CBC-SHA",
        "DES-CBC3-SHA",
        "EDH-RSA-DES-CBC-SHA",
        "EDH-RSA-DES-CBC3-SHA",
        "EDH-DSS-DES-CBC-SHA",
        "EDH-DSS-DES-CBC3-SHA",
        "DHE-DSS-RC4-SHA",
        "ECDHE-RSA-RC4-SHA",
        "ECDHE-RSA-DES-CBC3-SHA",
        "ECDHE-ECDSA-DES-CBC3-SHA",
    ];
    let new = NEW.contains(&name);
    (new || GONE.contains(&name) || openssl_has(name))
        .then(|| Cipher { name: name.to_owned(), new })
}

/// Whether OpenSSL has it. Its lists take groups as well, such as `HIGH` and `AES128`; what has a
/// hyphen in it and no other mark is a name.
fn openssl_has(name: &str) -> bool {
    let marks = |c: char| c == '-' || c.is_ascii_uppercase() || c.is_ascii_digit();
    let plain = name.contains('-') && !name.starts_with('-') && name.chars().all(marks);
    plain
        && SslContext::builder(SslMethod::tls())
            .and_then(|mut context| context.set_cipher_list(name))
            .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    const OLD: &str = "ECDHE-RSA-AES256-GCM-SHA384";
    const NEW: &str = "TLS_AES_256_GCM_SHA384";

    fn dialect(version: Version) -> Dialect {
        Dialect::new(Flavor::MySql, version, Some("OpenSSL 3.0.19"))
    }

    #[test]
    fn names_are_those_that_servers_compare() {
        for name in [OLD, NEW, "AES128-SHA", "RC4-SHA", "DHE-RSA-AES256-SHA"] {
            assert_eq!(Cipher::parse(name).unwrap().name(), name);
        }
        for (typed, meant) in [
            ("tls_aes_256_gcm_sha384", NEW),
            ("ecdhe-rsa-aes256-gcm-sha384", OLD),
            ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", OLD),
        ] {
            let said = Cipher::parse(typed).unwrap_err().to_string();
            assert!(said.ends_with(&format!("servers call it {meant}")), "{typed}: {said}");
        }
        for bad in
            ["", "HIGH", "AES128", "-AES128-SHA", "AES128-SHA:HIGH", "ECDHE-RSA-AES257", "x'y"]
        {
            let said = Cipher::parse(bad).unwrap_err().to_string();
            assert!(said.contains("there is no cipher suite"), "{bad}: {said}");
        }
    }

    #[test]
    fn what_it_shuts_out_is_said() {
        let said = |name, version| {
            Cipher::parse(name).unwrap().cautions(dialect(version), None).map(|all| all[0].clone())
        };
        assert!(said(OLD, Version(9, 7, 4)).unwrap().contains("held to TLS 1.2"));
        assert!(said(NEW, Version(9, 7, 4)).unwrap().contains("only TLS 1.3"));
        assert!(
            said(NEW, Version(5, 7, 40)).unwrap_err().to_string().contains("not speak TLS 1.3")
        );
        assert!(said("AES128-SHA", Version(9, 7, 4)).is_err());
        assert!(said("AES128-SHA", Version(8, 0, 36)).is_ok());
    }

    #[test]
    fn what_the_server_leaves_out_never_comes_about() {
        let facts = |versions: &str| {
            testing::with_server(|server| {
                server.variables.insert("tls_version".into(), versions.into());
            })
        };
        for (name, versions, good) in [
            (OLD, "TLSv1.3", false),
            (NEW, "TLSv1.2", false),
            (OLD, "TLSv1.2,TLSv1.3", true),
            (NEW, "TLSv1.2,TLSv1.3", true),
        ] {
            let facts = facts(versions);
            let server = facts.server.read().unwrap();
            let said = Cipher::parse(name).unwrap().cautions(Dialect::of(server), Some(server));
            assert_eq!(said.is_ok(), good, "{name} {versions}: {said:?}");
        }
    }
}
