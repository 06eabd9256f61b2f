//! Writing the DER (X.690) of a truststore: elements of definite length, each with the values it
//! is made of.

pub const NULL: &[u8] = &[0x05, 0x00];

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0] EXPLICIT`
const CONTEXT_0: u8 = 0xa0;

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

/// `SET OF`: DER wants its members in the order of their encodings.
pub fn set(members: &[&[u8]]) -> Vec<u8> {
    let mut members = members.to_vec();
    members.sort_unstable();
    element(SET, &members.concat())
}

pub fn explicit_0(value: &[u8]) -> Vec<u8> {
    element(CONTEXT_0, value)
}

pub fn octet_string(octets: &[u8]) -> Vec<u8> {
    element(OCTET_STRING, octets)
}

/// UTF-16, big-endian; what a BMPString cannot hold becomes a question mark.
pub fn bmp_string(text: &str) -> Vec<u8> {
    let unit = |c: char| u16::try_from(u32::from(c)).unwrap_or(u16::from(b'?'));
    let units: Vec<u8> = text.chars().flat_map(|c| unit(c).to_be_bytes()).collect();
    element(BMP_STRING, &units)
}

pub fn integer(value: u32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
    let mut content = bytes[first..].to_vec();
    if content[0] & 0x80 != 0 {
        content.insert(0, 0); // otherwise it would be negative
    }
    element(INTEGER, &content)
}

/// An object identifier from its numbers, at least two.
pub fn oid(numbers: &[u32]) -> Vec<u8> {
    let mut content = Vec::new();
    for number in std::iter::once(numbers[0] * 40 + numbers[1]).chain(numbers[2..].iter().copied())
    {
        let mut groups = vec![seven_bits(number)];
        let mut rest = number >> 7;
        while rest > 0 {
            groups.push(seven_bits(rest) | 0x80);
            rest >>= 7;
        }
        content.extend(groups.iter().rev());
    }
    element(OBJECT_IDENTIFIER, &content)
}

fn seven_bits(number: u32) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut length = value.len().to_be_bytes().to_vec();
    length.drain(..length.iter().take_while(|byte| **byte == 0).count());
    if value.len() >= 0x80 {
        // how many octets the length takes, at most eight
        length.insert(0, 0x80 | length.len().to_le_bytes()[0]);
    } else if value.is_empty() {
        length.push(0);
    }
    [&[tag], length.as_slice(), value].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        for (length, head) in [
            (0, &[0x04, 0][..]),
            (127, &[0x04, 127]),
            (128, &[0x04, 0x81, 128]),
            (255, &[0x04, 0x81, 255]),
            (256, &[0x04, 0x82, 1, 0]),
            (70_000, &[0x04, 0x83, 0x01, 0x11, 0x70]),
        ] {
            let written = octet_string(&vec![7; length]);
            assert_eq!(&written[..head.len()], head, "{length}");
            assert_eq!(written.len(), head.len() + length);
        }
    }

    #[test]
    fn numbers_are_never_negative_and_have_no_leading_zero() {
        for (value, content) in [
            (0, &[0][..]),
            (3, &[3]),
            (127, &[127]),
            (128, &[0, 128]),
            (2048, &[8, 0]),
            (u32::MAX, &[0, 255, 255, 255, 255]),
        ] {
            assert_eq!(integer(value), element(INTEGER, content), "{value}");
        }
    }

    #[test]
    fn identifiers_are_those_that_openssl_writes() {
        let openssl = |text: &str| {
            let object = openssl::asn1::Asn1Object::from_str(text).unwrap();
            element(OBJECT_IDENTIFIER, object.as_slice())
        };
        assert_eq!(oid(&[1, 2, 840, 113_549, 1, 9, 20]), openssl("1.2.840.113549.1.9.20"));
        assert_eq!(
            oid(&[2, 16, 840, 1, 113_894, 746_875, 1, 1]),
            openssl("2.16.840.1.113894.746875.1.1")
        );
        assert_eq!(oid(&[2, 5, 29, 37, 0]), openssl("2.5.29.37.0"));
    }

    #[test]
    fn a_set_is_sorted_and_names_are_two_bytes_a_character() {
        assert_eq!(set(&[&[2, 1, 9], &[2, 1, 3]]), [0x31, 6, 2, 1, 3, 2, 1, 9]);
        assert_eq!(bmp_string("Aé€"), [0x1e, 6, 0, 0x41, 0, 0xe9, 0x20, 0xac]);
        assert_eq!(bmp_string("\u{1f600}"), [0x1e, 2, 0, b'?']);
    }
}
