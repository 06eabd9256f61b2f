//! The one-line form of a name, in the way of each TLS library, and what that form cannot say.
//!
//! `REQUIRE SUBJECT` and `REQUIRE ISSUER` compare, byte by byte, what `X509_NAME_oneline` of the
//! server's TLS library makes of the client certificate's names (`acl_check_ssl` in
//! `sql/auth/sql_authentication.cc`, MariaDB `sql/sql_acl.cc`). The libraries differ, so the form
//! is asked for by [`OneLine`].

use openssl::asn1::Asn1Object;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::name::{Attribute, Name};

/// In whose way the one-line form is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OneLine {
    /// OpenSSL 3 and later: `/` and `+` in values get a backslash, and attributes that share a
    /// relative name are joined with `+`.
    #[serde(rename = "openssl-3")]
    OpenSsl3,
    /// OpenSSL 1.1 and before, and wolfSSL: nothing is escaped but bytes that do not print.
    #[serde(rename = "openssl-1.1")]
    OpenSsl1,
    /// yaSSL: seven attributes only, raw bytes, and the whole name ends at its first NUL.
    #[serde(rename = "yassl")]
    YaSsl,
}

/// Why a name must not stand in `REQUIRE`: written out it would let in others, or nobody.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unwritable {
    #[error(
        "the name is empty, and to servers an empty string means anyone: use a certificate that has a name"
    )]
    Empty,
    #[error(
        "yaSSL looks at CN, SN, C, L, ST, O, OU and e-mail addresses alone, and this name has none of them; nothing would be left of it, which means anyone: use a certificate with a common name"
    )]
    NothingLeft,
    #[error(
        "yaSSL ends a name at its first NUL (a BMPString or UniversalString is full of them), so every name with the same beginning would get in: use a certificate whose name is a UTF8String or PrintableString"
    )]
    Nul,
    #[error(
        "yaSSL gives up on a name with an empty relative name in it, and closes the connection: use a certificate without one"
    )]
    EmptyPart,
    #[error(
        "yaSSL compares the bytes of the name as they are, and a carriage return before a line feed does not get through the mysql client: use a certificate without them"
    )]
    LineEnd,
    #[error(
        "yaSSL compares the bytes of the name as they are, and these are no UTF-8, which a statement cannot carry: use a certificate whose name is a UTF8String or PrintableString"
    )]
    NotUtf8,
    #[error(
        "the name comes to {bytes} bytes, and {who} takes {most}: use a certificate with a shorter name"
    )]
    TooLong { bytes: usize, most: usize, who: &'static str },
}

impl OneLine {
    /// For people: `OpenSSL 3`.
    pub fn label(self) -> &'static str {
        match self {
            Self::OpenSsl3 => "OpenSSL 3 and later",
            Self::OpenSsl1 => "OpenSSL 1.1 and before",
            Self::YaSsl => "yaSSL",
        }
    }
}

impl Name {
    /// The form that a server built with this library compares, as far as it can be written;
    /// `""` for an empty name. What is to stand in a statement comes from [`Self::comparable`].
    pub fn oneline(&self, library: OneLine) -> String {
        match library {
            OneLine::OpenSsl3 => self.openssl(true),
            OneLine::OpenSsl1 => self.openssl(false),
            OneLine::YaSsl => String::from_utf8_lossy(&self.yassl()).into_owned(),
        }
    }

    /// The form that a server built with this library compares, where that lets in this name and
    /// keeps others out.
    ///
    /// # Errors
    /// Why it does not.
    pub fn comparable(&self, library: OneLine) -> Result<String, Unwritable> {
        if self.rdns.iter().all(Vec::is_empty) {
            return Err(Unwritable::Empty);
        }
        if library != OneLine::YaSsl {
            return match self.oneline(library) {
                // X509_NAME_oneline gives up beyond, NAME_ONELINE_MAX
                text if text.len() > 1 << 20 => {
                    Err(Unwritable::TooLong { bytes: text.len(), most: 1 << 20, who: "OpenSSL" })
                }
                text => Ok(text),
            };
        }
        if self.rdns.iter().any(Vec::is_empty) {
            return Err(Unwritable::EmptyPart);
        }
        let bytes = self.encoded_length();
        if bytes > YASSL_LONGEST {
            return Err(Unwritable::TooLong { bytes, most: YASSL_LONGEST, who: "yaSSL" });
        }
        let whole = self.yassl_whole();
        if whole.contains(&0) {
            return Err(Unwritable::Nul);
        }
        if whole.windows(2).any(|two| two == b"\r\n") {
            return Err(Unwritable::LineEnd);
        }
        match String::from_utf8(whole) {
            Ok(text) if text.is_empty() => Err(Unwritable::NothingLeft),
            Ok(text) => Ok(text),
            Err(_) => Err(Unwritable::NotUtf8),
        }
    }

    /// Attributes that a server built with this library does not look at: certificates which
    /// differ in nothing else are the same to it.
    pub fn overlooked(&self, library: OneLine) -> Vec<&Attribute> {
        let attributes = self.rdns.iter().flatten();
        let of_no_account = |attribute: &&Attribute| yassl_key(&attribute.key).is_none();
        match library {
            OneLine::YaSsl => attributes.filter(of_no_account).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the name holds marks that the library leaves as they are, though they mean something in
    /// its form: then another name comes to the same text, and a CA that signs whatever name it is
    /// asked for could be made to sign that one.
    pub fn has_twins(&self, library: OneLine) -> bool {
        let marks: &[u8] = match library {
            OneLine::OpenSsl3 => b"\\",
            OneLine::OpenSsl1 => b"\\/",
            OneLine::YaSsl => b"/",
        };
        let mut values = self.rdns.iter().flatten().map(|attribute| &attribute.value);
        let joined = library != OneLine::OpenSsl3 && self.rdns.iter().any(|rdn| rdn.len() > 1);
        joined || values.any(|value| value.iter().any(|byte| marks.contains(byte)))
    }

    /// Whether the two TLS library generations write this name differently, so that an account
    /// which names it breaks when the server moves from one to the other.
    pub fn differs_between_libraries(&self) -> bool {
        self.oneline(OneLine::OpenSsl3) != self.oneline(OneLine::OpenSsl1)
    }

    /// `X509_NAME_oneline`, `crypto/x509/x509_obj.c`; the escapes came with OpenSSL 3.0.0. What it does to a
    /// GeneralString is left out: OpenSSL reads no certificate with one in a name (B_ASN1_PRINTABLE).
    fn openssl(&self, three: bool) -> String {
        const HEX: [u8; 16] = *b"0123456789ABCDEF";
        let mut out = String::with_capacity(64);
        for rdn in &self.rdns {
            for (i, attribute) in rdn.iter().enumerate() {
                out.push(if three && i > 0 { '+' } else { '/' });
                out.push_str(&attribute.key);
                out.push('=');
                for &byte in &attribute.value {
                    match byte {
                        b'/' | b'+' if three => out.extend(['\\', char::from(byte)]),
                        b' '..=b'~' => out.push(char::from(byte)),
                        _ => {
                            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                            out.push_str("\\x");
                            out.extend(digits.map(char::from));
                        }
                    }
                }
            }
        }
        out
    }

    /// How long the name is as DER, its own tag and length not counted.
    fn encoded_length(&self) -> usize {
        let element = |content: usize| match content {
            0..0x80 => 2 + content,
            0x80..0x100 => 3 + content,
            _ => 4 + content,
        };
        let attribute = |attribute: &Attribute| {
            let id = Asn1Object::from_str(&attribute.key).map_or(0, |id| id.as_slice().len());
            element(element(id) + element(attribute.value.len()))
        };
        self.rdns.iter().map(|rdn| element(rdn.iter().map(attribute).sum())).sum()
    }

    /// As it is compared: as a string of C, which ends at the first NUL, whatever stands behind it.
    fn yassl(&self) -> Vec<u8> {
        let mut whole = self.yassl_whole();
        let end = whole.iter().position(|byte| *byte == 0).unwrap_or(whole.len());
        whole.truncate(end);
        whole
    }

    /// `CertDecoder::GetName`, `extra/yassl/taocrypt/src/asn.cpp`.
    fn yassl_whole(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for attribute in self.rdns.iter().flatten() {
            let Some(key) = yassl_key(&attribute.key) else { continue };
            out.push(b'/');
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            out.extend_from_slice(&attribute.value);
        }
        out
    }
}

/// The longest name that yaSSL's decoder takes, as DER (below `ASN_NAME_MAX`); of a longer one the
/// handshake fails, whatever of it would be kept.
const YASSL_LONGEST: usize = 511;

/// What yaSSL calls an attribute; `None` when it leaves it out.
fn yassl_key(key: &str) -> Option<&str> {
    const KEPT: [&str; 7] = ["CN", "SN", "C", "L", "ST", "O", "OU"];
    match key {
        key if KEPT.contains(&key) => Some(key),
        // its test is the first two bytes of the identifier, 1.2.840…
        "emailAddress" | "unstructuredName" | "unstructuredAddress" => Some("emailAddress"),
        key if key.starts_with("1.2.840.") => Some("emailAddress"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(key: &str, value: &[u8]) -> Attribute {
        let text = String::from_utf8_lossy(value).into_owned();
        Attribute { key: key.into(), value: value.to_vec(), text }
    }

    fn name(parts: &[(&str, &[u8])]) -> Name {
        Name { rdns: parts.iter().map(|(key, value)| vec![attribute(key, value)]).collect() }
    }

    #[test]
    fn what_would_mean_anyone_is_refused() {
        for library in [OneLine::OpenSsl3, OneLine::OpenSsl1, OneLine::YaSsl] {
            assert_eq!(Name::default().comparable(library), Err(Unwritable::Empty));
        }
        let dropped = name(&[("DC", b"org"), ("UID", b"x")]);
        assert_eq!(dropped.comparable(OneLine::YaSsl), Err(Unwritable::NothingLeft));
        assert_eq!(dropped.comparable(OneLine::OpenSsl3).unwrap(), "/DC=org/UID=x");
    }

    #[test]
    fn what_yassl_cannot_compare_is_refused_with_the_reason() {
        let of = |name: &Name| name.comparable(OneLine::YaSsl);
        assert_eq!(of(&name(&[("CN", b"\0J")])), Err(Unwritable::Nul));
        assert_eq!(of(&name(&[("CN", b"Jos\xE9")])), Err(Unwritable::NotUtf8));
        let multi = Name { rdns: vec![vec![attribute("CN", b"a"), attribute("OU", b"b")]] };
        assert_eq!(of(&multi).unwrap(), "/CN=a/OU=b");
        let empty = Name { rdns: vec![vec![attribute("CN", b"a")], Vec::new()] };
        assert_eq!(of(&empty), Err(Unwritable::EmptyPart));
        assert_eq!(of(&name(&[("CN", b"a\r\nb")])), Err(Unwritable::LineEnd));
        // what is not compared counts as well
        let dropped = name(&[("DC", &[b'x'; 300]), ("CN", &[b'x'; 200])]);
        assert!(matches!(of(&dropped), Err(Unwritable::TooLong { .. })));
        assert_eq!(of(&name(&[("CN", &[b'x'; 494])])).unwrap().len(), 498);
        let long = of(&name(&[("CN", &[b'x'; 495])]));
        assert!(matches!(long, Err(Unwritable::TooLong { bytes: 512, .. })), "{long:?}");
        assert_eq!(of(&name(&[("CN", "Jörg".as_bytes())])).unwrap(), "/CN=Jörg");
    }

    #[test]
    fn what_yassl_overlooks_is_named() {
        let name =
            name(&[("DC", b"org"), ("CN", b"x"), ("1.2.840.5", b"y"), ("serialNumber", b"1")]);
        let keys = |library| -> Vec<&str> {
            name.overlooked(library).iter().map(|attribute| attribute.key.as_str()).collect()
        };
        assert_eq!(keys(OneLine::YaSsl), ["DC", "serialNumber"]);
        assert_eq!(keys(OneLine::OpenSsl3), [""; 0]);
    }

    #[test]
    fn marks_that_are_left_as_they_are_have_twins() {
        let twins = |value: &[u8]| {
            [OneLine::OpenSsl3, OneLine::OpenSsl1, OneLine::YaSsl]
                .map(|library| name(&[("CN", value)]).has_twins(library))
        };
        assert_eq!(twins(br"a\xC3"), [true, true, false]);
        assert_eq!(twins(b"a/O=b"), [false, true, true]);
        assert_eq!(twins("Jörg".as_bytes()), [false; 3]);
    }
}
