//! Certificates whose names no CA in its senses would sign, always the same ones: every string type,
//! every mark that a shell, a client, a lexer or a TLS library stumbles over.

#![allow(dead_code, reason = "each test uses its part")]

use std::sync::atomic::{AtomicU32, Ordering};

use mytls::x509::{Certificate, Name, OneLine};
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use openssl::x509::{X509, X509Name};

/// Attributes of a relative name: object identifier (its DER content), string type, bytes.
type Attribute = (&'static [u8], u8, Vec<u8>);
type Rdns = Vec<Vec<Attribute>>;

const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const T61: u8 = 0x14;
const IA5: u8 = 0x16;
const UNIVERSAL: u8 = 0x1c;
const BMP: u8 = 0x1e;

const CN: &[u8] = &[0x55, 4, 3];
const O: &[u8] = &[0x55, 4, 10];
const OU: &[u8] = &[0x55, 4, 11];
const C: &[u8] = &[0x55, 4, 6];
const ST: &[u8] = &[0x55, 4, 8];
const L: &[u8] = &[0x55, 4, 7];
const SURNAME: &[u8] = &[0x55, 4, 4];
const SERIAL: &[u8] = &[0x55, 4, 5];
const TITLE: &[u8] = &[0x55, 4, 12];
const GIVEN: &[u8] = &[0x55, 4, 42];
const ORGANIZATION_ID: &[u8] = &[0x55, 4, 97];
const DC: &[u8] = &[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25];
const UID: &[u8] = &[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1];
const EMAIL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 9, 1];
const UNSTRUCTURED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 9, 2];
/// 1.2.3.4.5
const UNKNOWN: &[u8] = &[0x2a, 3, 4, 5];
/// 1.2.840.1.2.3, which yaSSL takes for an e-mail address.
const UNKNOWN_US: &[u8] = &[0x2a, 0x86, 0x48, 1, 2, 3];
/// More than the 79 characters that OpenSSL has room for.
const UNKNOWN_LONG: &[u8] = &[
    0x2a, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff,
    0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff,
    0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f,
];
const ALL: [&[u8]; 18] = [
    CN,
    O,
    OU,
    C,
    ST,
    L,
    SURNAME,
    SERIAL,
    TITLE,
    GIVEN,
    ORGANIZATION_ID,
    DC,
    UID,
    EMAIL,
    UNSTRUCTURED,
    UNKNOWN,
    UNKNOWN_US,
    UNKNOWN_LONG,
];

/// What stands in the names: letters, and everything that somebody gives a meaning to.
const PIECES: [&str; 40] = [
    "a", "app", "Z9", " ", "  ", "/", "+", "\\", "\\\\", "'", "''", "\"", "`", "%", "_", ",", "=",
    ";", "--", " -- ", "#", "/*", "*/", "$(id)", "\\x41", "\\'", "\\n", "\n", "\r\n", "\t",
    "\u{7f}", "\0", "ä", "é", "ß", "Ж", "漢", "😀", "\u{202e}", "/CN=root",
];

/// A name, and one that differs from it in one byte, each with the same key of the same CA.
pub struct Pair {
    pub right: X509,
    /// `None` where there is nothing in the name that could differ.
    pub neighbour: Option<X509>,
}

/// A CA with an odd name of its own, and the key of everything that it issues.
pub struct Issuer {
    pub certificate: X509,
    key: PKey<Private>,
    pub leaf_key: PKey<Private>,
    serial: AtomicU32,
}

impl Issuer {
    /// `keys` makes them, of a kind that the server reads.
    pub fn new(keys: impl Fn() -> PKey<Private>) -> Self {
        let name: Rdns = vec![
            vec![(O, UTF8, "Böcker/Söhne + Cie".into())],
            vec![(CN, UTF8, r"odd \ CA".into())],
        ];
        let key = keys();
        let name = X509Name::from_der(&encode(&name)).unwrap();
        let certificate = sign(&name, &name, 1, &key, &key, true);
        Self { certificate, key, leaf_key: keys(), serial: 1.into() }
    }

    fn issue(&self, name: &X509Name) -> X509 {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed) + 1;
        let issuer = self.certificate.subject_name();
        sign(name, issuer, serial, &self.leaf_key, &self.key, false)
    }

    /// A certificate with this common name.
    pub fn plain(&self, name: &str) -> X509 {
        let name: Rdns = vec![vec![(CN, UTF8, name.into())]];
        self.issue(&X509Name::from_der(&encode(&name)).unwrap())
    }

    /// So many pairs; the first are of one oddity each, the others of several by chance. `kept`
    /// says in whose way the neighbour has to differ.
    pub fn pairs(&self, count: usize, kept: OneLine) -> Vec<Pair> {
        let mut chance = Chance(0x6d79_746c_7320_3535);
        let mut names = single_oddities();
        while names.len() < count {
            let name = random(&mut chance);
            // OpenSSL reads some of them as no name at all, and neither would a server
            if X509Name::from_der(&encode(&name)).is_ok() {
                names.push(name);
            }
        }
        let pair = |rdns: Rdns| {
            let name = X509Name::from_der(&encode(&rdns)).unwrap();
            let neighbour = neighbour(&rdns, kept, &mut chance).map(|name| self.issue(&name));
            Pair { right: self.issue(&name), neighbour }
        };
        names.into_iter().map(pair).collect()
    }
}

/// What a certificate is to a server of this library; an empty text where it is nothing.
pub fn subject(certificate: &X509, library: OneLine) -> String {
    Certificate::from_openssl(certificate).subject.comparable(library).unwrap_or_default()
}

fn single_oddities() -> Vec<Rdns> {
    let one = |key, kind, value: Vec<u8>| vec![vec![(key, kind, value)]];
    let cn = |text: &str| one(CN, UTF8, text.into());
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
    let wider =
        |text: &str| -> Vec<u8> { text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect() };
    let mut names: Vec<Rdns> = vec![
        Vec::new(),
        one(CN, BMP, wide("José 漢")),
        one(CN, UNIVERSAL, wider("José 😀")),
        one(CN, T61, b"Jos\xe9".to_vec()),
        one(CN, T61, "José".into()),
        one(EMAIL, IA5, b"a@b.example".to_vec()),
        one(UNKNOWN, UTF8, b"odd".to_vec()),
        one(UNKNOWN_US, UTF8, b"odd".to_vec()),
        one(UNKNOWN_LONG, UTF8, b"odd".to_vec()),
        one(CN, PRINTABLE, Vec::new()),
        cn("a\0b"),
        cn("app\n"),
        cn("app\r\nx"),
        cn(" app "),
        cn(r"app\"),
        cn(r"app\'"),
        cn("'"),
        cn("''; DROP USER 'root'@'localhost'; -- "),
        cn("A/B Corp"),
        cn("A+B"),
        cn(&"x".repeat(494)),
        cn(&"x".repeat(495)),
        cn(&"x".repeat(2048)),
        cn(&"ж".repeat(1024)),
        one(CN, BMP, wide(&"漢/".repeat(512))),
        vec![vec![(OU, UTF8, b"DBA".to_vec()), (CN, UTF8, b"alice".to_vec())]],
        vec![
            vec![(DC, IA5, b"org".to_vec())],
            vec![(DC, IA5, b"acme".to_vec())],
            vec![(UID, UTF8, b"alice".to_vec()), (CN, UTF8, b"alice".to_vec())],
            vec![(EMAIL, IA5, b"a+b@c/d".to_vec())],
        ],
        vec![vec![(CN, UTF8, b"x".to_vec())], Vec::new(), vec![(O, UTF8, b"y".to_vec())]],
    ];
    names.extend(ALL.iter().map(|key| one(key, UTF8, "v/+\\'é".into())));
    names.extend(PIECES.iter().map(|piece| cn(&format!("a{piece}b"))));
    // what the client, or a lexer in another character set, might take for the end of the text
    names.extend((0..=0x7f_u8).map(|byte| one(CN, UTF8, vec![b'<', byte, b'>'])));
    names
}

fn random(chance: &mut Chance) -> Rdns {
    let sets = 1 + chance.below(4);
    (0..sets)
        .map(|_| {
            let attributes = if chance.below(5) == 0 { 2 + chance.below(2) } else { 1 };
            let mut set: Vec<Attribute> = (0..attributes).map(|_| attribute(chance)).collect();
            // a SET is sorted by its encoding
            set.sort_by_key(encode_attribute);
            set
        })
        .collect()
}

fn attribute(chance: &mut Chance) -> Attribute {
    // mostly what is in use, so that yaSSL has something to compare
    let usual = [CN, O, OU, C, ST, L];
    let key = if chance.below(3) > 0 { usual[chance.below(6)] } else { ALL[chance.below(18)] };
    let text: String = (0..=chance.below(6)).map(|_| PIECES[chance.below(40)]).collect();
    let latin = |text: &str| text.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
    let ascii = |text: &str| text.bytes().filter(u8::is_ascii).collect();
    let (kind, value): (u8, Vec<u8>) = match chance.below(12) {
        0 => (BMP, text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        1 => (UNIVERSAL, text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect()),
        2 => (T61, latin(&text)),
        4 => (IA5, ascii(&text)),
        5 => (PRINTABLE, ascii(&text)),
        _ => (UTF8, text.into()),
    };
    (key, kind, value)
}

/// The same name but for one byte, which the library has to notice.
fn neighbour(rdns: &Rdns, kept: OneLine, chance: &mut Chance) -> Option<X509Name> {
    let line = |name: &X509Name| Name::from_openssl(name).comparable(kept);
    let right = line(&X509Name::from_der(&encode(rdns)).unwrap());
    let mut places: Vec<(usize, usize, usize)> = Vec::new();
    for (set, attributes) in rdns.iter().enumerate() {
        for (at, (_, _, value)) in attributes.iter().enumerate() {
            places.extend((0..value.len()).map(|byte| (set, at, byte)));
        }
    }
    for _ in 0..200.min(places.len() * 8) {
        let (set, at, byte) = places[chance.below(places.len())];
        let mut other = rdns.clone();
        let value = &mut other[set][at].2[byte];
        *value = match chance.below(4) {
            0 => *value ^ 0x20, // the other case
            1 => value.wrapping_add(1),
            _ => b"abz09"[chance.below(5)],
        };
        other[set].sort_by_key(encode_attribute);
        let Ok(name) = X509Name::from_der(&encode(&other)) else { continue };
        match line(&name) {
            Ok(found) if Ok(&found) != right.as_ref() => return Some(name),
            _ => {}
        }
    }
    None
}

fn encode(rdns: &Rdns) -> Vec<u8> {
    let sets: Vec<u8> = rdns
        .iter()
        .flat_map(|set| tlv(0x31, &set.iter().flat_map(encode_attribute).collect::<Vec<u8>>()))
        .collect();
    tlv(0x30, &sets)
}

fn encode_attribute((key, kind, value): &Attribute) -> Vec<u8> {
    tlv(0x30, &[tlv(6, key), tlv(*kind, value)].concat())
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let mut der = vec![tag];
    if length < 0x80 {
        der.push(u8::try_from(length).unwrap());
    } else {
        der.push(0x82);
        der.extend(u16::try_from(length).unwrap().to_be_bytes());
    }
    der.extend_from_slice(value);
    der
}

fn sign(
    name: &X509Name,
    issuer: &openssl::x509::X509NameRef,
    serial: u32,
    public: &PKey<Private>,
    key: &PKey<Private>,
    ca: bool,
) -> X509 {
    const DAY: i64 = 86_400;
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial: Asn1Integer = BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(name).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(public).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(now - DAY).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now + 90 * DAY).unwrap()).unwrap();
    if ca {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        let usage = KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap();
        builder.append_extension(usage).unwrap();
    } else {
        builder.append_extension(ExtendedKeyUsage::new().client_auth().build().unwrap()).unwrap();
    }
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// Always the same numbers (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}
