//! Names as a CA writes them: subjects, the plain names of accounts, the hosts of a server.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use openssl::asn1::Asn1Object;
use openssl::x509::X509NameRef;
use rcgen::string::{Ia5String, PrintableString};
use rcgen::{DistinguishedName, DnType, DnValue};

use super::CaError;
use crate::printable::printable;
use crate::x509::der::{element, elements};

/// A name that every server compares in the same way, whatever its TLS library, and that needs no
/// escaping in a statement, a log or a dump: printable ASCII without `/ + \ ' "`.
///
/// `REQUIRE SUBJECT` compares a rendering in which libraries disagree about `/` and `+`, in which
/// everything but ASCII becomes `\xHH`, and whose backslashes and quotes MySQL loses on the way to
/// a replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlainName(String);

impl PlainName {
    /// As many characters as X.509 allows for a common name (RFC 5280, `ub-common-name`).
    pub const LONGEST: usize = 64;

    /// What an account is called in its certificate: its user; `user@host` where it has a host that is
    /// not `%`. A netmask's `/` becomes `_`: `net@10.1.0.0/16` is `net@10.1.0.0_16`.
    pub fn of_account(user: &str, host: &str) -> Result<Self, CaError> {
        match host {
            "" | "%" => user.parse(),
            host => match host.split_once('/') {
                Some((net, mask)) if is_netmask(net, mask) => format!("{user}@{net}_{mask}"),
                _ => format!("{user}@{host}"),
            }
            .parse(),
        }
    }

    /// The host behind the last `@`, as the server writes it: [`Self::of_account`] the other way.
    pub fn host(&self) -> Option<String> {
        let (_, host) = self.0.rsplit_once('@').filter(|(_, host)| !host.is_empty())?;
        Some(match host.split_once('_') {
            Some((net, mask)) if is_netmask(net, mask) => format!("{net}/{mask}"),
            _ => host.to_owned(),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `10.1.0.0/255.255.0.0`, and since MySQL 8.0.23 `10.1.0.0/16`.
fn is_netmask(net: &str, mask: &str) -> bool {
    net.parse::<IpAddr>().is_ok()
        && (mask.parse::<IpAddr>().is_ok() || mask.parse::<u8>().is_ok_and(|bits| bits <= 128))
}

impl FromStr for PlainName {
    type Err = CaError;

    fn from_str(text: &str) -> Result<Self, CaError> {
        let no = |why: String| Err(CaError::NotPlain { text: printable(text).into_owned(), why });
        if text.is_empty() {
            return no("it is empty".to_owned());
        }
        if text.chars().count() > Self::LONGEST {
            return no(format!("a certificate's name has at most {} characters", Self::LONGEST));
        }
        if text != text.trim() || text.starts_with('.') {
            return no("it begins or ends with a space, or begins with a dot".to_owned());
        }
        let odd = text.chars().find(|c| !matches!(c, ' '..='~') || r#"/+\'""#.contains(*c));
        if let Some(odd) = odd {
            return no(format!(
                "servers and their replicas do not agree on `{}` in a certificate's name; use \
                 ASCII letters, digits, spaces and marks other than / + \\ ' \"",
                printable(odd.encode_utf8(&mut [0; 4]))
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PlainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The distinguished name of a certificate to be: attributes in the order in which they are
/// encoded, each in a relative name of its own, no attribute twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(DistinguishedName);

impl Subject {
    /// `O=<organization>, CN=<name>`, the usual form of what mytls issues.
    pub fn of(organization: &PlainName, name: &PlainName) -> Self {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::OrganizationName, organization.as_str());
        subject.push(DnType::CommonName, name.as_str());
        Self(subject)
    }

    /// `CN=<name>`, the usual form of a CA's own name.
    pub fn common_name(name: &PlainName) -> Self {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, name.as_str());
        Self(subject)
    }

    /// Exactly these attributes and values, by OpenSSL's short names or dotted identifiers, in
    /// this order; umlauts, slashes and quotes are taken as they are.
    pub fn exact<K: AsRef<str>, V: AsRef<str>>(
        parts: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, CaError> {
        let mut subject = DistinguishedName::new();
        for (key, value) in parts {
            let (key, value) = (key.as_ref(), value.as_ref());
            let kind = attribute(key)?;
            if subject.get(&kind).is_some() {
                return Err(CaError::RepeatedAttribute { key: key.to_owned() });
            }
            let value = string(key, value)?;
            subject.push(kind, value);
        }
        Ok(Self(subject))
    }

    /// The same name again, read from a certificate.
    pub(crate) fn from_openssl(name: &X509NameRef) -> Result<Self, CaError> {
        const UTF8: u8 = 0x0c;
        const PRINTABLE: u8 = 0x13;
        const IA5: u8 = 0x16;
        let foreign = || CaError::ForeignName;
        let der = name.to_der()?;
        let mut subject = DistinguishedName::new();
        for set in elements(element(&der).ok_or_else(foreign)?.value) {
            let mut attributes = elements(set.value);
            let (Some(attribute), None) = (attributes.next(), attributes.next()) else {
                return Err(CaError::ForeignName);
            };
            let mut parts = elements(attribute.value);
            let (Some(oid), Some(value)) = (parts.next(), parts.next()) else {
                return Err(CaError::ForeignName);
            };
            let kind = DnType::from_oid(&arcs(oid.value).ok_or_else(foreign)?);
            if subject.get(&kind).is_some() {
                return Err(CaError::ForeignName);
            }
            let text = std::str::from_utf8(value.value).map_err(|_| foreign())?;
            let value = match value.tag {
                UTF8 => DnValue::Utf8String(text.to_owned()),
                PRINTABLE => DnValue::PrintableString(text.try_into()?),
                IA5 => DnValue::Ia5String(text.try_into()?),
                _ => return Err(CaError::ForeignName),
            };
            subject.push(kind, value);
        }
        Ok(Self(subject))
    }

    pub(super) fn to_rcgen(&self) -> DistinguishedName {
        self.0.clone()
    }
}

/// OpenSSL's name of an attribute, or a dotted identifier, as rcgen's type.
fn attribute(key: &str) -> Result<DnType, CaError> {
    let unknown = || CaError::UnknownAttribute { key: key.to_owned() };
    let object = Asn1Object::from_str(key).map_err(|_| unknown())?;
    let oid = arcs(object.as_slice()).ok_or_else(unknown)?;
    Ok(DnType::from_oid(&oid))
}

/// The numbers of an encoded object identifier (X.690 §8.19).
fn arcs(content: &[u8]) -> Option<Vec<u64>> {
    let mut numbers = Vec::new();
    let mut number: u64 = 0;
    for byte in content {
        number = number.checked_mul(128)? + u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let first = *numbers.first()?;
    let top = (first / 40).min(2);
    numbers[0] = first - top * 40;
    numbers.insert(0, top);
    Some(numbers)
}

/// The value in the string type that RFC 5280 (Appendix A.1) gives its attribute.
fn string(key: &str, value: &str) -> Result<DnValue, CaError> {
    let no = |why| CaError::Value { key: key.to_owned(), value: value.to_owned(), why };
    if value.is_empty() {
        return Err(no("it is empty"));
    }
    match key {
        "C" => {
            let value: PrintableString = value.try_into().map_err(|_| no("ASCII only"))?;
            if value.as_str().len() != 2 {
                return Err(no("a country is two letters, such as UA"));
            }
            Ok(DnValue::PrintableString(value))
        }
        "emailAddress" | "DC" => {
            let value: Ia5String = value.try_into().map_err(|_| no("ASCII only"))?;
            Ok(DnValue::Ia5String(value))
        }
        _ => Ok(DnValue::Utf8String(value.to_owned())),
    }
}

/// A name under which clients reach a server: an entry of the subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum San {
    /// In lower case; `*.example.org` is taken, too.
    Dns(String),
    Ip(IpAddr),
}

impl FromStr for San {
    type Err = CaError;

    fn from_str(text: &str) -> Result<Self, CaError> {
        let no = |why| CaError::NotAHost { text: printable(text).into_owned(), why };
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Ok(Self::Ip(ip));
        }
        if !text.is_ascii() {
            return Err(no("write it as DNS does, in its xn-- form"));
        }
        if text.is_empty() || text.len() > 253 {
            return Err(no("a host name has 1 to 253 characters"));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(no("an IPv4 address is four numbers up to 255"));
        }
        let name = text.strip_prefix("*.").unwrap_or(text);
        let is_label = |label: &str| {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=63).contains(&label.len())
                && label.bytes().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !name.split('.').all(is_label) {
            return Err(no("it is made of labels of letters, digits and -, with dots between"));
        }
        Ok(Self::Dns(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_say_why_not() {
        for good in ["app", "Example Database CA", "svc-billing@eu", "a,b=c"] {
            assert_eq!(good.parse::<PlainName>().unwrap().as_str(), good);
        }
        let why = |text: &str| text.parse::<PlainName>().unwrap_err().to_string();
        assert!(why("Jörg").contains("do not agree on `ö`"), "{}", why("Jörg"));
        for odd in
            ["a/b", "a+b", r"a\b", "o'brien", "a\"b", "a\tb", "", " a", "..", &"x".repeat(65)]
        {
            assert!(odd.parse::<PlainName>().is_err(), "{odd:?}");
        }
        assert!(why("a\x1b[2J").contains("\\x1B"), "the terminal is spared: {}", why("a\x1b[2J"));
    }

    #[test]
    fn an_account_is_called_by_its_user_and_its_host_and_a_netmask_has_no_slash() {
        let name = |user, host| PlainName::of_account(user, host).map(|name| name.to_string());
        let back = |name: &str| name.parse::<PlainName>().unwrap().host();
        assert_eq!(name("app", "%").unwrap(), "app");
        assert_eq!(name("app", "10.0.%").unwrap(), "app@10.0.%");
        for (host, written) in [
            ("10.1.0.0/255.255.0.0", "net@10.1.0.0_255.255.0.0"),
            ("10.1.0.0/16", "net@10.1.0.0_16"),
            ("db_1", "net@db_1"),
        ] {
            assert_eq!(name("net", host).unwrap(), written);
            assert_eq!(back(written).as_deref(), Some(host));
        }
        assert_eq!(back("app"), None);
        for (user, host) in [("a/b", "%"), ("a", "b/16"), ("a", "10.0.0.0/x"), ("10.0.0.0/8", "%")]
        {
            assert!(name(user, host).is_err(), "{user}@{host}");
        }
        let why = name("a/b", "%").unwrap_err().to_string();
        assert!(why.starts_with("`a/b` cannot be a name in a certificate"), "{why}");
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        let san = |text: &str| text.parse::<San>();
        assert_eq!(san("DB1.Example").unwrap(), San::Dns("db1.example".into()));
        assert_eq!(san("*.example.org").unwrap().to_string(), "*.example.org");
        assert_eq!(san("my_db").unwrap().to_string(), "my_db", "as Docker names them");
        assert_eq!(san("::1").unwrap(), San::Ip("::1".parse().unwrap()));
        assert_eq!(san("[fe80::1]").unwrap(), San::Ip("fe80::1".parse().unwrap()));
        for odd in ["", "10.0.0.256", "a b", "-a", "a..b", "a/b", "bücher.example", "https://db"] {
            assert!(san(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn exact_subjects_take_anything_but_what_would_be_lost() {
        let exact = |parts: &[(&str, &str)]| Subject::exact(parts.iter().copied());
        assert!(exact(&[("C", "UA"), ("emailAddress", "a@b"), ("1.2.3.4.5", "Ü")]).is_ok());
        let twice = exact(&[("OU", "a"), ("OU", "b")]).unwrap_err();
        assert!(twice.to_string().contains("OU stands twice"), "{twice}");
        assert!(exact(&[("NoSuchThing", "x")]).is_err());
        assert!(exact(&[("C", "Ukraine")]).is_err());
        assert!(exact(&[("CN", "")]).is_err());
    }

    #[test]
    fn identifiers_are_decoded() {
        assert_eq!(arcs(&[0x55, 0x04, 0x03]), Some(vec![2, 5, 4, 3]));
        assert_eq!(arcs(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]), Some(vec![1, 2, 840, 113_549]));
        assert_eq!(arcs(&[]), None);
    }
}
