//! What a server says under the cover of TLS 1.3 in its first flight, and the library keeps to itself: the
//! groups it has, and whether and how it asks for a client certificate.
//!
//! RFC 8446 §4.2.7: a server that was met with another group than its favourite lists all of its groups,
//! its favourite first, in `EncryptedExtensions`. The library tells the secret of the handshake's traffic to
//! whoever wants to log it (§7.1 `server_handshake_traffic_secret`), so what passed can be read again.

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{Cipher, decrypt_aead};

/// Read from the first flight; empty where the server said nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// All groups, in the server's order. Empty: it did not list them.
    pub groups: Vec<u16>,
    pub asks_certificate: Option<CertificateRequest>,
    /// With which scheme it signed.
    pub signature: Option<u16>,
}

/// What a server says when it asks for a client certificate (RFC 5246 §7.4.4, RFC 8446 §4.3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateRequest {
    pub signatures: Vec<u16>,
    /// Names of CAs, as DER.
    pub authorities: Vec<Vec<u8>>,
}

/// Reads the flight again. `line` is what the library logs of the secret; `None` where it is of another kind
/// of handshake, or the bytes are not what they should be.
pub fn read(mut bytes: &[u8], suite: u16, line: &str) -> Option<Said> {
    let (cipher, digest, key_length) = match suite {
        0x1301 => (Cipher::aes_128_gcm(), MessageDigest::sha256(), 16),
        0x1302 => (Cipher::aes_256_gcm(), MessageDigest::sha384(), 32),
        0x1303 => (Cipher::chacha20_poly1305(), MessageDigest::sha256(), 32),
        _ => return None,
    };
    let secret = secret(line)?;
    let key = expand(&secret, "key", digest, key_length).ok()?;
    let iv = expand(&secret, "iv", digest, 12).ok()?;
    let mut plain = Vec::new();
    let mut number = 0_u64;
    while let [kind, major, minor, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (content, after) = rest.split_at_checked(length)?;
        if *kind == 0x17 {
            let mut nonce = iv.clone();
            for (byte, mask) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
                *byte ^= mask;
            }
            let (sealed, tag) = content.split_at_checked(length.checked_sub(16)?)?;
            let head = [*kind, *major, *minor, *high, *low];
            // the first that does not open belongs to what comes after the handshake
            let Ok(mut opened) = decrypt_aead(cipher, &key, Some(&nonce), &head, sealed, tag)
            else {
                break;
            };
            number += 1;
            while opened.last() == Some(&0) {
                opened.pop();
            }
            if opened.pop() != Some(0x16) {
                break;
            }
            plain.extend(opened);
        }
        bytes = after;
    }
    messages(&plain)
}

fn messages(plain: &[u8]) -> Option<Said> {
    let mut said = Said::default();
    let mut from = From(plain);
    while let Some(kind) = from.byte() {
        let length = from.take(3)?;
        let length =
            usize::from(length[0]) << 16 | usize::from(length[1]) << 8 | usize::from(length[2]);
        let mut content = From(from.take(length)?);
        match kind {
            8 => said.groups = extension(content.counted()?, 10).map(u16s).unwrap_or_default(),
            13 => {
                let own = content.byte()?;
                content.take(usize::from(own))?;
                said.asks_certificate = Some(request(content.counted()?));
            }
            15 => said.signature = content.number(),
            20 => return Some(said),
            _ => {}
        }
    }
    None
}

fn request(extensions: &[u8]) -> CertificateRequest {
    let signatures = extension(extensions, 13).map(u16s).unwrap_or_default();
    let mut authorities = Vec::new();
    let mut names = From(extension(extensions, 47).unwrap_or_default());
    while let Some(name) = names.counted() {
        authorities.push(name.to_vec());
    }
    CertificateRequest { signatures, authorities }
}

/// The list within the extension of this kind.
fn extension(all: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut from = From(all);
    loop {
        let kind = from.number()?;
        let content = from.counted()?;
        if kind == wanted {
            return From(content).counted();
        }
    }
}

fn u16s(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect()
}

/// `SERVER_HANDSHAKE_TRAFFIC_SECRET`, the client's random, and the secret, the two in hexadecimal.
fn secret(line: &str) -> Option<Vec<u8>> {
    let hex = line.strip_prefix("SERVER_HANDSHAKE_TRAFFIC_SECRET ")?.split(' ').nth(1)?;
    let bytes = hex.as_bytes().chunks_exact(2);
    bytes.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect()
}

/// HKDF-Expand-Label without a context (RFC 8446 §7.1), as far as one block of the digest goes.
fn expand(
    secret: &[u8],
    label: &str,
    digest: MessageDigest,
    length: u8,
) -> Result<Vec<u8>, ErrorStack> {
    let mut info = vec![0, length];
    let label = [b"tls13 ", label.as_bytes()].concat();
    info.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
    info.extend(label);
    info.extend([0, 1]);
    let key = PKey::hmac(secret)?;
    let mut block = Signer::new(digest, &key)?.sign_oneshot_to_vec(&info)?;
    block.truncate(usize::from(length));
    Ok(block)
}

/// Reads from the front; every step may find it too short.
pub struct From<'a>(pub &'a [u8]);

impl<'a> From<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    pub fn number(&mut self) -> Option<u16> {
        self.take(2).map(|two| u16::from_be_bytes([two[0], two[1]]))
    }

    /// What follows a length of two bytes.
    pub fn counted(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::Random;

    const LINE: &str = "SERVER_HANDSHAKE_TRAFFIC_SECRET 00 \
                        b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38";

    #[test]
    fn the_keys_are_those_of_the_rfc() {
        // RFC 8448 §3: {server} derive write traffic keys for handshake data
        let secret = secret(LINE).unwrap();
        let key = expand(&secret, "key", MessageDigest::sha256(), 16).unwrap();
        assert_eq!(key[..4], [0x3f, 0xce, 0x51, 0x60]);
        let iv = expand(&secret, "iv", MessageDigest::sha256(), 12).unwrap();
        assert_eq!(iv[..4], [0x5d, 0x31, 0x3e, 0xb2]);
    }

    #[test]
    fn groups_and_the_request_are_read() {
        let mut plain = vec![8, 0, 0, 12, 0, 10, 0, 10, 0, 6, 0, 4, 0, 0x1d, 0, 0x17];
        plain.extend([13, 0, 0, 11, 0, 0, 8, 0, 13, 0, 4, 0, 2, 8, 4]);
        plain.extend([15, 0, 0, 4, 8, 4, 0, 0, 20, 0, 0, 0]);
        let said = messages(&plain).unwrap();
        assert_eq!(said.groups, [0x1d, 0x17]);
        assert_eq!(said.signature, Some(0x0804));
        assert_eq!(said.asks_certificate.unwrap().signatures, [0x0804]);
        assert_eq!(messages(&plain[..plain.len() - 4]), None, "it does not end before Finished");
    }

    #[test]
    fn nothing_that_comes_makes_it_panic() {
        let mut random = Random(0x666c_6967);
        for _ in 0..3_000 {
            let noise: Vec<u8> = (0..random.below(200)).map(|_| random.byte()).collect();
            let _ = messages(&noise);
            let mut record = vec![0x17, 3, 3, 0, u8::try_from(random.below(60)).unwrap()];
            record.extend(noise);
            let _ = read(&record, 0x1301, LINE);
        }
    }
}
