//! Plain certificates and keys, read without OpenSSL's decoders.
//!
//! To say which key belongs to which certificate takes a public key's bytes on both sides and a date,
//! and OpenSSL 3 spends most of a millisecond on finding out how to read them. What is encoded in the one
//! usual way (RFC 5280, 5958, 8017, 5915) is read here; of anything else, `None`, and OpenSSL has
//! the word. Nothing is said of signatures, nor of whether the halves of a key fit.

use openssl::x509::X509Name;

use super::Name;
use super::der::{Element, element, elements};

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;

/// `rsaEncryption`, 1.2.840.113549.1.1.1, with its NULL.
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
/// `id-ecPublicKey`, 1.2.840.10045.2.1.
const EC: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
/// The named curves that TLS uses, with the bytes of a point that is not compressed.
const CURVES: [(&[u8], usize); 3] = [
    (b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 65), // P-256
    (b"\x06\x05\x2b\x81\x04\x00\x22", 97),             // P-384
    (b"\x06\x05\x2b\x81\x04\x00\x23", 133),            // P-521
];

/// What pairing needs of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainCertificate {
    /// The DER of its `SubjectPublicKeyInfo`.
    pub spki: Vec<u8>,
    pub subject: Name,
    /// Seconds since 1970, UTC.
    pub not_after: i64,
}

/// Reads the DER of a certificate.
pub fn certificate(der: &[u8]) -> Option<PlainCertificate> {
    let [tbs, algorithm, signature] = parts(only(der, SEQUENCE)?)?;
    tags([&tbs, &algorithm, &signature], [SEQUENCE, SEQUENCE, BIT_STRING])?;
    let mut fields = elements(tbs.value);
    // version 3, or 1 where it is left out
    let first = fields.next()?;
    let serial = if first.tag == 0xa0 { fields.next()? } else { first };
    let [_, _, validity, subject, spki] = [(); 5].map(|()| fields.next());
    let (validity, subject, spki) = (validity?, subject?, spki?);
    tags([&serial, &validity, &subject, &spki], [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE])?;
    let [_, not_after] = parts(validity.value)?;
    let subject = X509Name::from_der(&encoded(SEQUENCE, subject.value)).ok()?;
    Some(PlainCertificate {
        spki: is_plain(spki.value).then(|| encoded(SEQUENCE, spki.value))?,
        subject: Name::from_openssl(&subject),
        not_after: seconds(&not_after)?,
    })
}

/// The DER of the `SubjectPublicKeyInfo` that belongs to a private key, whose DER stood under this
/// label.
pub fn public_half(label: &str, der: &[u8]) -> Option<Vec<u8>> {
    match label {
        "RSA PRIVATE KEY" => rsa(der),
        "EC PRIVATE KEY" => ec(der, None),
        "PRIVATE KEY" => {
            let [version, algorithm, key] = parts(only(der, SEQUENCE)?)?;
            tags([&version, &algorithm, &key], [INTEGER, SEQUENCE, OCTET_STRING])?;
            if version.value != [0] {
                return None;
            }
            match algorithm.value.strip_prefix(EC) {
                Some(curve) => ec(key.value, Some(curve)),
                None => (algorithm.value == RSA).then(|| rsa(key.value))?,
            }
        }
        _ => None,
    }
}

/// `RSAPrivateKey`, of two primes.
fn rsa(der: &[u8]) -> Option<Vec<u8>> {
    let numbers: [Element; 9] = parts(only(der, SEQUENCE)?)?;
    let sound = numbers.iter().all(|number| number.tag == INTEGER && is_positive(number.value));
    if !sound || numbers[0].value != [0] {
        return None;
    }
    let [_, modulus, exponent, ..] = numbers;
    let inner = [encoded(INTEGER, modulus.value), encoded(INTEGER, exponent.value)].concat();
    Some(spki(RSA, &encoded(SEQUENCE, &inner)))
}

/// `ECPrivateKey` that tells its public point; the curve stands inside where it does not outside.
fn ec(der: &[u8], curve: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut fields = elements(only(der, SEQUENCE)?);
    let (version, secret) = (fields.next()?, fields.next()?);
    tags([&version, &secret], [INTEGER, OCTET_STRING])?;
    if version.value != [1] {
        return None;
    }
    let (mut curve, mut point) = (curve, None);
    for field in fields {
        match field.tag {
            0xa0 if curve.is_none_or(|curve| curve == field.value) => curve = Some(field.value),
            0xa1 => point = only(field.value, BIT_STRING)?.strip_prefix(&[0]),
            _ => return None,
        }
    }
    let algorithm = [EC, curve?].concat();
    let spki = spki(&algorithm, point?);
    is_plain(only(&spki, SEQUENCE)?).then_some(spki)
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let key = [&[0], key].concat();
    encoded(SEQUENCE, &[encoded(SEQUENCE, algorithm), encoded(BIT_STRING, &key)].concat())
}

/// Whether a `SubjectPublicKeyInfo` is encoded in the way in which OpenSSL encodes it, so that
/// equal keys have equal bytes.
fn is_plain(spki: &[u8]) -> bool {
    let plain = || {
        let [algorithm, key] = parts(spki)?;
        tags([&algorithm, &key], [SEQUENCE, BIT_STRING])?;
        let key = key.value.strip_prefix(&[0])?;
        if algorithm.value == RSA {
            let [modulus, exponent] = parts(only(key, SEQUENCE)?)?;
            tags([&modulus, &exponent], [INTEGER, INTEGER])?;
            let inner = [modulus.value, exponent.value]
                .map(|number| is_positive(number).then(|| encoded(INTEGER, number)));
            let [modulus, exponent] = inner;
            return Some(key == encoded(SEQUENCE, &[modulus?, exponent?].concat()));
        }
        let curve = algorithm.value.strip_prefix(EC)?;
        let (_, length) = CURVES.iter().find(|(known, _)| *known == curve)?;
        Some(key.len() == *length && key[0] == 4)
    };
    plain() == Some(true)
}

/// A number that is not negative, in the fewest bytes.
fn is_positive(number: &[u8]) -> bool {
    match number {
        [] => false,
        [0, next, ..] => *next >= 0x80,
        [first, ..] => *first < 0x80,
    }
}

/// The value of the one element that this is.
fn only(der: &[u8], tag: u8) -> Option<&[u8]> {
    let element = element(der)?;
    (element.tag == tag && element.rest.is_empty()).then_some(element.value)
}

/// The elements of a value, of which there are that many and nothing after them.
fn parts<const N: usize>(mut value: &[u8]) -> Option<[Element<'_>; N]> {
    let parts = [(); N].map(|()| {
        let next = element(value)?;
        value = next.rest;
        Some(next)
    });
    if !value.is_empty() || parts.iter().any(Option::is_none) {
        return None;
    }
    // none is `None`
    Some(parts.map(|part| part.unwrap_or(Element { tag: 0, value: &[], rest: &[] })))
}

fn tags<const N: usize>(elements: [&Element; N], tags: [u8; N]) -> Option<()> {
    (elements.map(|element| element.tag) == tags).then_some(())
}

/// An element in DER.
fn encoded(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let start = length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1);
    let mut out = Vec::with_capacity(value.len() + 6);
    out.push(tag);
    if value.len() >= 0x80 {
        // at most eight
        out.push(0x80 | u8::try_from(length.len() - start).unwrap_or(0));
    }
    out.extend_from_slice(&length[start..]);
    out.extend_from_slice(value);
    out
}

/// RFC 5280 §4.1.2.5: `YYMMDDHHMMSSZ`, up to 2049, or `YYYYMMDDHHMMSSZ`.
fn seconds(time: &Element) -> Option<i64> {
    let text = time.value.strip_suffix(b"Z")?;
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |sum, d| sum * 10 + u32::from(d - b'0'));
    let (year, rest) = match (time.tag, text.len()) {
        (UTC_TIME, 12) => {
            let year = number(&text[..2]);
            (if year < 50 { 2000 + year } else { 1900 + year }, &text[2..])
        }
        (GENERALIZED_TIME, 14) => (number(&text[..4]), &text[4..]),
        _ => return None,
    };
    let part = |at: usize| u8::try_from(number(&rest[at..at + 2])).ok();
    let month = time::Month::try_from(part(0)?).ok()?;
    let date = time::Date::from_calendar_date(i32::try_from(year).ok()?, month, part(2)?).ok()?;
    let time = time::Time::from_hms(part(4)?, part(6)?, part(8)?).ok()?;
    Some(date.with_time(time).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use openssl::asn1::Asn1Time;
    use openssl::ec::{Asn1Flag, EcGroup, EcKey, PointConversionForm};
    use openssl::nid::Nid;
    use openssl::pkey::{PKey, Private};
    use openssl::rsa::Rsa;
    use openssl::x509::X509;

    use super::*;
    use crate::x509::certificate::unix_seconds;
    use crate::x509::testing;

    fn ec_key(curve: Nid) -> PKey<Private> {
        let group = EcGroup::from_curve_name(curve).unwrap();
        PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
    }

    #[test]
    fn keys_in_every_usual_form_are_read_as_openssl_reads_them() {
        let curves = [Nid::X9_62_PRIME256V1, Nid::SECP384R1, Nid::SECP521R1];
        for key in curves.map(ec_key) {
            let wanted = Some(key.public_key_to_der().unwrap());
            let sec1 = key.ec_key().unwrap().private_key_to_der().unwrap();
            assert_eq!(public_half("EC PRIVATE KEY", &sec1), wanted);
            assert_eq!(public_half("PRIVATE KEY", &key.private_key_to_pkcs8().unwrap()), wanted);
        }
        for bits in [1024, 2048, 3072] {
            let rsa = Rsa::generate(bits).unwrap();
            let pkcs1 = rsa.private_key_to_der().unwrap();
            let key = PKey::from_rsa(rsa).unwrap();
            let wanted = Some(key.public_key_to_der().unwrap());
            assert_eq!(public_half("RSA PRIVATE KEY", &pkcs1), wanted);
            assert_eq!(public_half("PRIVATE KEY", &key.private_key_to_pkcs8().unwrap()), wanted);
            for end in 0..pkcs1.len() {
                assert_eq!(public_half("RSA PRIVATE KEY", &pkcs1[..end]), None);
            }
        }
    }

    #[test]
    fn what_is_written_otherwise_is_left_to_openssl() {
        let ed25519 = PKey::generate_ed25519().unwrap().private_key_to_pkcs8().unwrap();
        assert_eq!(public_half("PRIVATE KEY", &ed25519), None);
        let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        group.set_asn1_flag(Asn1Flag::EXPLICIT_CURVE);
        let explicit = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        assert_eq!(public_half("PRIVATE KEY", &explicit.private_key_to_pkcs8().unwrap()), None);
        let key = ec_key(Nid::X9_62_PRIME256V1).ec_key().unwrap();
        let form = PointConversionForm::COMPRESSED;
        let mut context = openssl::bn::BigNumContext::new().unwrap();
        let point = key.public_key().to_bytes(key.group(), form, &mut context).unwrap();
        let compressed = spki(&[EC, CURVES[0].0].concat(), &point);
        assert!(!is_plain(only(&compressed, SEQUENCE).unwrap()));

        assert_eq!(
            public_half("PRIVATE KEY", &ec_key(Nid::SECP256K1).private_key_to_pkcs8().unwrap()),
            None
        );
    }

    #[test]
    fn a_certificate_is_read_as_openssl_reads_it() {
        let identity = testing::root("Root").issue_server("db1");
        let x509 = &identity.certificate;
        let plain = certificate(&x509.to_der().unwrap()).unwrap();
        assert_eq!(plain.spki, identity.key.public_key_to_der().unwrap());
        assert_eq!(plain.subject, Name::from_openssl(x509.subject_name()));
        assert_eq!(plain.not_after, unix_seconds(x509.not_after()));
    }

    #[test]
    fn damaged_ones_are_read_as_openssl_reads_them_or_not_at_all() {
        let identity = testing::root("Root").issue_server("db1");
        let whole = identity.certificate.to_der().unwrap();
        let key = identity.key.private_key_to_pkcs8().unwrap();
        let mut read = 0;
        for case in 0..20_000 {
            let mut noise = crate::facts::noise::Noise::new(case);
            let bytes = noise.damage(&whole);
            if let Some(plain) = certificate(&bytes)
                && let Ok(x509) = X509::from_der(&bytes)
            {
                read += 1;
                assert_eq!(plain.subject, Name::from_openssl(x509.subject_name()));
                if let Ok(key) = x509.public_key() {
                    assert_eq!(plain.spki, key.public_key_to_der().unwrap());
                }
                let openssl = unix_seconds(x509.not_after());
                assert_eq!(plain.not_after, openssl);
            }
            let bytes = noise.damage(&key);
            if let Some(half) = public_half("PRIVATE KEY", &bytes)
                && let Ok(key) = PKey::private_key_from_pkcs8(&bytes)
            {
                assert_eq!(half, key.public_key_to_der().unwrap());
            }
            let bytes = noise.bytes(200);
            assert_eq!((certificate(&bytes), public_half("PRIVATE KEY", &bytes)), (None, None));
        }
        assert!(read > 100, "nothing of it was left sound: {read}");
    }

    #[test]
    fn both_kinds_of_time_are_read() {
        let of = |tag, value: &[u8]| seconds(&Element { tag, value, rest: &[] });
        for (tag, text, iso) in [
            (UTC_TIME, "491231235959Z", "20491231235959Z"),
            (UTC_TIME, "500101000000Z", "19500101000000Z"),
            (GENERALIZED_TIME, "20500229000000Z", ""),
            (GENERALIZED_TIME, "99991231235959Z", "99991231235959Z"),
            (UTC_TIME, "2601010000Z", ""),
            (UTC_TIME, "260101000000+0100", ""),
        ] {
            let openssl = Asn1Time::from_str(iso).ok().map(|time| unix_seconds(&time));
            assert_eq!(of(tag, text.as_bytes()), openssl, "{text}");
        }
    }
}
