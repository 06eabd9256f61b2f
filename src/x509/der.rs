//! The little DER (X.690) that OpenSSL's safe bindings do not offer: which attributes of a name
//! share a SET, whether a certificate says that it is a CA, a name put in the place of another.

/// One element: its tag, its value, and the bytes after it.
pub struct Element<'a> {
    pub tag: u8,
    pub value: &'a [u8],
    pub rest: &'a [u8],
}

/// The first element of `der`; `None` when it is cut off or its length cannot be.
pub fn element(der: &[u8]) -> Option<Element<'_>> {
    let tag = *der.first()?;
    let first = usize::from(*der.get(1)?);
    let (length, start) = if first < 0x80 {
        (first, 2)
    } else {
        let octets = der.get(2..2 + (first & 0x7f))?;
        if octets.is_empty() || octets.len() > 4 {
            return None;
        }
        (octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)), 2 + octets.len())
    };
    let end = start.checked_add(length)?;
    Some(Element { tag, value: der.get(start..end)?, rest: der.get(end..)? })
}

/// The elements inside a value, in order; stops at the first that is broken.
pub fn elements(mut value: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let next = element(value)?;
        value = next.rest;
        Some(next)
    })
}

/// One element with this tag, its value made of these parts.
pub fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut der = vec![tag];
    if let Ok(short @ 0..0x80) = u8::try_from(length) {
        der.push(short);
    } else {
        let octets = length.to_be_bytes();
        let octets = octets.iter().skip_while(|octet| **octet == 0);
        let first = der.len();
        der.push(0x80);
        for octet in octets {
            der[first] += 1; // 8 at most
            der.push(*octet);
        }
    }
    der.reserve(length);
    for part in parts {
        der.extend_from_slice(part);
    }
    der
}

/// The value of the certificate extension with this object identifier (its DER content octets).
pub fn extension<'a>(certificate: &'a [u8], oid: &[u8]) -> Option<&'a [u8]> {
    const EXTENSIONS: u8 = 0xa3; // [3] EXPLICIT, RFC 5280 §4.1
    let tbs = element(element(certificate)?.value)?.value;
    let extensions = elements(tbs).find(|field| field.tag == EXTENSIONS)?.value;
    elements(element(extensions)?.value)
        .find(|extension| elements(extension.value).next().is_some_and(|id| id.value == oid))
        .and_then(|extension| elements(extension.value).last())
        .map(|octets| octets.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_lengths_yield_nothing() {
        for der in [
            &b""[..],
            b"\x30",
            b"\x30\x05\x31",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x88",
            b"\x30\x80",
        ] {
            assert!(element(der).is_none(), "{der:?}");
        }
    }

    #[test]
    fn what_is_encoded_reads_back() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let value = vec![7; length];
            let der = encode(0x30, &[&value[..length / 2], &value[length / 2..]]);
            let back = element(&der).unwrap();
            assert_eq!((back.tag, back.value, back.rest), (0x30, &value[..], &b""[..]));
        }
    }

    #[test]
    fn elements_are_walked_in_order() {
        let tags: Vec<u8> = elements(&[0x02, 1, 7, 0x04, 0, 0x05]).map(|e| e.tag).collect();
        assert_eq!(tags, [0x02, 0x04], "the broken third ends the walk");
    }
}
