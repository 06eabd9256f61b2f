//! Distinguished names, and the one-line form in which servers compare them.
//!
//! `REQUIRE SUBJECT` and `REQUIRE ISSUER` compare, byte by byte, what `X509_NAME_oneline` of the
//! server's TLS library makes of the client certificate's names (`acl_check_ssl` in
//! `sql/auth/sql_authentication.cc`, MariaDB `sql/sql_acl.cc`). The libraries differ, so the form
//! is asked for by [`OneLine`].

use std::fmt::Write as _;

use openssl::nid::Nid;
use openssl::x509::X509NameRef;
use serde::{Deserialize, Serialize};

use super::der::{element, elements};
use crate::printable::printable;

/// A distinguished name: relative names in the order in which the certificate encodes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Name {
    /// Each relative name is a SET; more than one attribute in it is rare, and a trap.
    pub rdns: Vec<Vec<Attribute>>,
}

/// One attribute of a name, such as `CN=db1.example`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attribute {
    /// OpenSSL's short name (`CN`, `O`, `emailAddress`), or the dotted object identifier.
    pub key: String,
    /// The bytes of the value as they stand in the certificate, whatever its string type.
    #[serde(with = "hex")]
    pub value: Vec<u8>,
    /// The value as text, decoded from its string type; for people, not for comparing.
    pub text: String,
}

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

impl Name {
    pub fn from_openssl(name: &X509NameRef) -> Self {
        let attributes = name.entries().map(|entry| {
            let object = entry.object();
            let key = match object.nid() {
                Nid::UNDEF => object.to_string(),
                nid => nid.short_name().map_or_else(|_| object.to_string(), str::to_owned),
            };
            let value = entry.data().as_slice().to_vec();
            let text = entry.data().to_string();
            let text = text.unwrap_or_else(|_| String::from_utf8_lossy(&value).into_owned());
            Attribute { key, value, text }
        });
        // Only the encoding says which attributes share a SET. A name that OpenSSL parsed cannot
        // fail to encode; should it ever, every attribute stands alone, as nearly always.
        let sizes = name.to_der().ok().and_then(|der| set_sizes(&der)).unwrap_or_default();
        let mut rdns: Vec<Vec<Attribute>> = Vec::new();
        let mut room = 0;
        let mut sizes = sizes.into_iter();
        for attribute in attributes {
            if room == 0 {
                room = sizes.next().unwrap_or(1).max(1);
                rdns.push(Vec::with_capacity(room));
            }
            room -= 1;
            if let Some(rdn) = rdns.last_mut() {
                rdn.push(attribute);
            }
        }
        Self { rdns }
    }

    /// The form that a server built with this library compares; `""` for an empty name.
    pub fn oneline(&self, library: OneLine) -> String {
        match library {
            OneLine::OpenSsl3 => self.openssl(true),
            OneLine::OpenSsl1 => self.openssl(false),
            OneLine::YaSsl => self.yassl(),
        }
    }

    /// `X509_NAME_oneline`, `crypto/x509/x509_obj.c`; the escapes came with OpenSSL 3.0.0.
    fn openssl(&self, three: bool) -> String {
        let mut out = String::new();
        for rdn in &self.rdns {
            for (i, attribute) in rdn.iter().enumerate() {
                out.push(if three && i > 0 { '+' } else { '/' });
                out.push_str(&attribute.key);
                out.push('=');
                for &byte in &attribute.value {
                    match byte {
                        b'/' | b'+' if three => out.extend(['\\', char::from(byte)]),
                        b' '..=b'~' => out.push(char::from(byte)),
                        // writing to a String cannot fail
                        _ => drop(write!(out, "\\x{byte:02X}")),
                    }
                }
            }
        }
        out
    }

    /// `CertDecoder::GetName`, `extra/yassl/taocrypt/src/asn.cpp`.
    fn yassl(&self) -> String {
        const KEPT: [&str; 7] = ["CN", "SN", "C", "L", "ST", "O", "OU"];
        let mut out = Vec::new();
        for attribute in self.rdns.iter().flatten() {
            let key = match attribute.key.as_str() {
                key if KEPT.contains(&key) => key,
                // its test is the first two bytes of the identifier, 1.2.840…
                "emailAddress" | "unstructuredName" | "unstructuredAddress" => "emailAddress",
                key if key.starts_with("1.2.840.") => "emailAddress",
                _ => continue,
            };
            out.push(b'/');
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            out.extend_from_slice(&attribute.value);
        }
        // it is compared as a string of C, which ends at the first NUL, whatever stands behind it
        let end = out.iter().position(|byte| *byte == 0).unwrap_or(out.len());
        String::from_utf8_lossy(&out[..end]).into_owned()
    }

    /// For people: `CN=db1.example, O=Example`, made printable. Never for comparing.
    pub fn display(&self) -> String {
        if self.rdns.is_empty() {
            return "(empty name)".to_owned();
        }
        let rdns = self.rdns.iter().map(|rdn| {
            let attributes = rdn.iter().map(|a| format!("{}={}", a.key, printable(&a.text)));
            attributes.collect::<Vec<_>>().join("+")
        });
        rdns.collect::<Vec<_>>().join(", ")
    }

    /// The last common name, made printable; the whole name where there is none.
    pub fn short(&self) -> String {
        let cn = self.rdns.iter().flatten().rev().find(|a| a.key == "CN");
        cn.map_or_else(|| self.display(), |a| printable(&a.text).into_owned())
    }

    /// Whether the two TLS library generations write this name differently, so that an account
    /// which names it breaks when the server moves from one to the other.
    pub fn differs_between_libraries(&self) -> bool {
        self.oneline(OneLine::OpenSsl3) != self.oneline(OneLine::OpenSsl1)
    }
}

/// How many attributes each SET of a DER-encoded name holds.
fn set_sizes(name: &[u8]) -> Option<Vec<usize>> {
    let sets = elements(element(name)?.value);
    Some(sets.map(|set| elements(set.value).count()).collect())
}

/// Bytes as lower-case hexadecimal in saved facts.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::super::certificate::hex(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        if !text.is_ascii() || text.len() % 2 != 0 {
            return Err(D::Error::custom("expected pairs of hexadecimal digits"));
        }
        let pairs = (0..text.len()).step_by(2);
        pairs
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(D::Error::custom))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use openssl::asn1::Asn1Type;
    use openssl::x509::X509NameBuilder;

    use super::*;

    fn name(entries: &[(&str, &str)]) -> Name {
        let mut builder = X509NameBuilder::new().unwrap();
        for (key, value) in entries {
            builder.append_entry_by_text(key, value).unwrap();
        }
        Name::from_openssl(&builder.build())
    }

    #[test]
    fn ascii_is_the_same_everywhere() {
        let name = name(&[("C", "SE"), ("O", "Example"), ("CN", "app")]);
        for library in [OneLine::OpenSsl3, OneLine::OpenSsl1, OneLine::YaSsl] {
            assert_eq!(name.oneline(library), "/C=SE/O=Example/CN=app");
        }
        assert!(!name.differs_between_libraries());
    }

    #[test]
    fn slash_and_plus_are_escaped_by_openssl_3_only() {
        let name = name(&[("O", "A/B + C"), ("CN", "x")]);
        assert_eq!(name.oneline(OneLine::OpenSsl3), r"/O=A\/B \+ C/CN=x");
        assert_eq!(name.oneline(OneLine::OpenSsl1), "/O=A/B + C/CN=x");
        assert!(name.differs_between_libraries());
    }

    #[test]
    fn bytes_that_do_not_print_become_upper_case_hex() {
        let name = name(&[("CN", "José")]);
        assert_eq!(name.oneline(OneLine::OpenSsl3), r"/CN=Jos\xC3\xA9");
        assert_eq!(name.oneline(OneLine::YaSsl), "/CN=José");
    }

    #[test]
    fn bmp_strings_are_compared_as_their_bytes() {
        let mut builder = X509NameBuilder::new().unwrap();
        builder
            .append_entry_by_nid_with_type(Nid::COMMONNAME, "\0J\0K", Asn1Type::BMPSTRING)
            .unwrap();
        let name = Name::from_openssl(&builder.build());
        assert_eq!(name.oneline(OneLine::OpenSsl3), r"/CN=\x00J\x00K");
        assert_eq!(name.display(), "CN=JK");
    }

    #[test]
    fn for_yassl_a_name_ends_at_its_first_nul_with_all_that_follows() {
        let mut builder = X509NameBuilder::new().unwrap();
        for (key, value) in [(Nid::ORGANIZATIONALUNITNAME, "\0a"), (Nid::COMMONNAME, "\0J")] {
            builder.append_entry_by_nid_with_type(key, value, Asn1Type::BMPSTRING).unwrap();
        }
        assert_eq!(Name::from_openssl(&builder.build()).oneline(OneLine::YaSsl), "/OU=");
    }

    #[test]
    fn unknown_identifiers_stand_as_numbers_and_yassl_drops_what_it_does_not_know() {
        let name =
            name(&[("DC", "org"), ("1.2.3.4.5", "odd"), ("CN", "x"), ("emailAddress", "a@b")]);
        assert_eq!(name.oneline(OneLine::OpenSsl3), "/DC=org/1.2.3.4.5=odd/CN=x/emailAddress=a@b");
        assert_eq!(name.oneline(OneLine::YaSsl), "/CN=x/emailAddress=a@b");
    }

    #[test]
    fn attributes_of_one_set_are_joined_with_a_plus_by_openssl_3() {
        // SEQUENCE { SET { CN=a, OU=b } }, as DER sorts it
        let der: &[u8] = &[
            0x30, 0x18, 0x31, 0x16, 0x30, 0x08, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x01, b'a',
            0x30, 0x0a, 0x06, 0x03, 0x55, 0x04, 0x0b, 0x0c, 0x03, b'b', b'b', b'b',
        ];
        assert_eq!(set_sizes(der), Some(vec![2]));
        let attribute = |key: &str, value: &str| Attribute {
            key: key.into(),
            value: value.as_bytes().to_vec(),
            text: value.into(),
        };
        let name = Name { rdns: vec![vec![attribute("CN", "a"), attribute("OU", "bbb")]] };
        assert_eq!(name.oneline(OneLine::OpenSsl3), "/CN=a+OU=bbb");
        assert_eq!(name.oneline(OneLine::OpenSsl1), "/CN=a/OU=bbb");
    }

    #[test]
    fn names_survive_being_saved() {
        let before = name(&[("CN", "José\x1b[2J")]);
        let json = serde_json::to_string(&before).unwrap();
        assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), before);
        assert_eq!(before.display(), "CN=José\\x1B[2J", "and are shown without escape sequences");
    }
}
