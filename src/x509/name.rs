//! Distinguished names. How servers compare them is said in [`super::oneline`].

use openssl::asn1::Asn1ObjectRef;
use openssl::nid::Nid;
use openssl::x509::X509NameRef;
use serde::{Deserialize, Serialize};

use super::der::{element, elements};
use crate::printable::printable;

/// A distinguished name: relative names in the order in which the certificate encodes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Name {
    /// Each relative name is a SET; more than one attribute in it, or none, is rare, and a trap.
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

impl Name {
    pub fn from_openssl(name: &X509NameRef) -> Self {
        let mut attributes = name.entries().map(|entry| {
            let object = entry.object();
            let key = match object.nid() {
                Nid::UNDEF => dotted(object),
                nid => nid.short_name().map_or_else(|_| dotted(object), str::to_owned),
            };
            let value = entry.data().as_slice().to_vec();
            let text = entry.data().to_string();
            let text = text.unwrap_or_else(|_| String::from_utf8_lossy(&value).into_owned());
            Attribute { key, value, text }
        });
        // Only the encoding says which attributes share a SET. A name that OpenSSL parsed cannot
        // fail to encode; should it ever, every attribute stands alone, as nearly always.
        let sizes = name.to_der().ok().and_then(|der| set_sizes(&der)).unwrap_or_default();
        let mut rdns: Vec<Vec<Attribute>> =
            sizes.into_iter().map(|size| attributes.by_ref().take(size).collect()).collect();
        rdns.extend(attributes.map(|attribute| vec![attribute]));
        Self { rdns }
    }

    /// For people: `CN=db1.example, O=Example`, made printable. Never for comparing.
    pub fn display(&self) -> String {
        let filled = || self.rdns.iter().filter(|rdn| !rdn.is_empty());
        if filled().next().is_none() {
            return "(empty name)".to_owned();
        }
        let rdns = filled().map(|rdn| {
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
}

/// An identifier in numbers, cut where `X509_NAME_oneline` cuts it: after 79 characters.
fn dotted(object: &Asn1ObjectRef) -> String {
    let text = object.to_string();
    text.strip_suffix("...").map_or_else(|| text.clone(), str::to_owned)
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
    use crate::x509::OneLine;

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
