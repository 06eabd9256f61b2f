//! Reading PEM files as the servers do, and saying what is wrong with one that is not.
//!
//! Servers answer every defect with the same "Unable to get private key" or "Unable to get
//! certificate"; here each has a name of its own ([`Defect`]).

use std::io::ErrorKind;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounded::Unread;
use crate::printable::printable;

/// Why nothing usable was found in a file.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Defect {
    #[error("there is no such file")]
    Missing,
    #[error("it is a directory, not a file")]
    Directory,
    #[error("it is neither a file nor a link to one")]
    NotAFile,
    #[error("mytls may not read it")]
    Denied,
    #[error("it is larger than {limit} bytes, which no key or chain is")]
    TooLarge { limit: u64 },
    #[error("it could not be read: {0}")]
    Io(String),
    #[error("it is empty")]
    Empty,
    #[error("it is DER (binary); servers read PEM (text) only")]
    Der,
    #[error("it is a web page saved as a file")]
    Html,
    #[error("it is cut off: the line -----END {label}----- is missing", label = printable(label))]
    CutOff { label: String },
    #[error("it holds no {wanted}; it holds {found}", found = printable(found))]
    WrongKind { wanted: String, found: String },
    #[error("it holds no PEM block (no line -----BEGIN ...-----)")]
    NoPem,
    #[error("its {label} block cannot be decoded: {why}", label = printable(label))]
    Broken { label: String, why: String },
    #[error("the key is encrypted with a passphrase ({form})")]
    Encrypted { form: String },
}

impl From<Unread> for Defect {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Directory => Self::Directory,
            Unread::NotAFile => Self::NotAFile,
            Unread::TooLarge { limit } => Self::TooLarge { limit },
            Unread::Io(error) => match error.kind() {
                ErrorKind::NotFound => Self::Missing,
                ErrorKind::PermissionDenied => Self::Denied,
                _ => Self::Io(error.to_string()),
            },
        }
    }
}

/// A private key as it stood in its file.
pub struct KeyBlock {
    pub key: PKey<Private>,
    /// The label between the dashes.
    pub label: String,
}

/// All certificates of the file, in its order; at least one.
pub fn certificates(bytes: &[u8]) -> Result<Vec<X509>, Defect> {
    const WANTED: &str = "certificate";
    let blocks = blocks(bytes, WANTED)?;
    let is_certificate =
        |label: &str| matches!(label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE");
    let found: Result<Vec<X509>, Defect> = blocks
        .iter()
        .filter(|block| is_certificate(&block.label))
        .map(|block| {
            X509::from_pem(block.text.as_bytes())
                .map_err(|error| Defect::Broken { label: block.label.clone(), why: reason(&error) })
        })
        .collect();
    match found {
        Ok(certificates) if certificates.is_empty() => Err(wrong_kind(WANTED, &blocks)),
        other => other,
    }
}

/// The first private key of the file.
pub fn private_key(bytes: &[u8]) -> Result<KeyBlock, Defect> {
    const WANTED: &str = "private key";
    let blocks = blocks(bytes, WANTED)?;
    let Some(block) = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")) else {
        return Err(wrong_kind(WANTED, &blocks));
    };
    if block.label == "ENCRYPTED PRIVATE KEY" {
        return Err(Defect::Encrypted { form: "PKCS#8".to_owned() });
    }
    if block.text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Defect::Encrypted { form: "the old form with DEK-Info".to_owned() });
    }
    // The empty passphrase keeps OpenSSL from asking for one on the terminal.
    let key = PKey::private_key_from_pem_passphrase(block.text.as_bytes(), b"")
        .map_err(|error| Defect::Broken { label: block.label.clone(), why: reason(&error) })?;
    Ok(KeyBlock { key, label: block.label.clone() })
}

struct Block {
    label: String,
    /// From the BEGIN line to the END line.
    text: String,
}

/// The label and the DER of every block of a file in which nothing is out of the ordinary; `None`
/// where anything is, and [`certificates`] or [`private_key`] say what.
pub fn plain_blocks(bytes: &[u8]) -> Option<Vec<(&str, Vec<u8>)>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    let mut blocks = Vec::new();
    let mut base64 = String::with_capacity(text.len());
    while let Some(line) = lines.next() {
        let Some(label) = label(line, "BEGIN") else { continue };
        base64.clear();
        loop {
            let line = lines.next()?;
            if line.starts_with('-') {
                (self::label(line, "END")? == label).then_some(())?;
                break;
            }
            base64.push_str(line);
        }
        blocks.push((label, openssl::base64::decode_block(&base64).ok()?));
    }
    (!blocks.is_empty()).then_some(blocks)
}

/// The PEM blocks of a file (RFC 7468, read leniently: text may stand around them).
fn blocks(bytes: &[u8], wanted: &str) -> Result<Vec<Block>, Defect> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Defect::Empty);
    }
    let text = String::from_utf8_lossy(bytes);
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        // A byte order mark may stand before the first line; OpenSSL reads past it.
        let Some(label) = label(line.trim_start_matches('\u{feff}'), "BEGIN") else {
            continue;
        };
        let mut text = format!("-----BEGIN {label}-----\n");
        loop {
            let Some(line) = lines.next() else {
                return Err(Defect::CutOff { label: label.to_owned() });
            };
            text.push_str(line.trim_end());
            text.push('\n');
            if self::label(line, "END") == Some(label) {
                break;
            }
            if self::label(line, "BEGIN").is_some() {
                return Err(Defect::CutOff { label: label.to_owned() });
            }
        }
        blocks.push(Block { label: label.to_owned(), text });
    }
    if !blocks.is_empty() {
        return Ok(blocks);
    }
    let start = text.trim_start().get(..64.min(text.trim_start().len())).unwrap_or_default();
    let start = start.to_ascii_lowercase();
    if start.starts_with("<!doctype") || start.starts_with("<html") || start.starts_with("<?xml") {
        return Err(Defect::Html);
    }
    if X509::from_der(bytes).is_ok() {
        return Err(match wanted {
            "certificate" => Defect::Der,
            _ => Defect::WrongKind {
                wanted: wanted.to_owned(),
                found: "a DER certificate".to_owned(),
            },
        });
    }
    if bytes.first() == Some(&0x30) && bytes.get(1).is_some_and(|length| *length >= 0x20) {
        return Err(Defect::Der);
    }
    Err(Defect::NoPem)
}

/// `X` of a line `-----BEGIN X-----`.
fn label<'a>(line: &'a str, which: &str) -> Option<&'a str> {
    let inner = line.trim_end().strip_prefix("-----")?.strip_suffix("-----")?;
    inner.strip_prefix(which)?.strip_prefix(' ')
}

fn wrong_kind(wanted: &str, blocks: &[Block]) -> Defect {
    let mut labels: Vec<&str> = blocks.iter().map(|block| block.label.as_str()).collect();
    labels.dedup();
    Defect::WrongKind { wanted: wanted.to_owned(), found: labels.join(", ") }
}

/// The first reason OpenSSL gives, without its file names and line numbers.
fn reason(error: &ErrorStack) -> String {
    let reasons = error.errors().iter().find_map(openssl::error::Error::reason);
    reasons.unwrap_or("unknown format").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::testing;

    fn pem() -> (String, String) {
        let identity = testing::root("Root");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            text(identity.certificate.to_pem().unwrap()),
            text(identity.key.private_key_to_pem_pkcs8().unwrap()),
        )
    }

    #[test]
    fn text_around_the_blocks_a_bom_and_dos_line_ends_do_no_harm() {
        let (certificate, key) = pem();
        let both = format!("\u{feff}{certificate}Bag Attributes\n  friendlyName: x\n{key}");
        assert_eq!(certificates(both.as_bytes()).unwrap().len(), 1);
        assert_eq!(private_key(both.as_bytes()).unwrap().label, "PRIVATE KEY");
        let dos = certificate.replace('\n', "\r\n");
        assert_eq!(certificates(dos.as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn each_defect_has_its_name() {
        let (certificate, key) = pem();
        let fault = |bytes: &[u8]| certificates(bytes).unwrap_err();
        assert_eq!(fault(b""), Defect::Empty);
        assert_eq!(fault(b" \n\n"), Defect::Empty);
        assert_eq!(fault(b"<html><body>Sign in</body></html>"), Defect::Html);
        assert_eq!(fault(b"hello"), Defect::NoPem);
        assert_eq!(
            fault(&X509::from_pem(certificate.as_bytes()).unwrap().to_der().unwrap()),
            Defect::Der
        );
        let half = &certificate[..certificate.len() / 2];
        assert_eq!(fault(half.as_bytes()), Defect::CutOff { label: "CERTIFICATE".into() });
        assert!(
            matches!(fault(key.as_bytes()), Defect::WrongKind { found, .. } if found == "PRIVATE KEY")
        );
        let broken = certificate.replace("MII", "AAA");
        assert!(matches!(fault(broken.as_bytes()), Defect::Broken { .. }));
    }

    #[test]
    fn a_second_certificate_cut_off_is_noticed() {
        let (certificate, _) = pem();
        let file = format!("{}\n{certificate}", &certificate[..100]);
        assert!(matches!(certificates(file.as_bytes()), Err(Defect::CutOff { .. })));
    }

    #[test]
    fn key_files_that_are_not_keys_say_what_they_are() {
        let (certificate, _) = pem();
        let wrong = private_key(certificate.as_bytes()).err().unwrap();
        assert_eq!(wrong.to_string(), "it holds no private key; it holds CERTIFICATE");
        let key = testing::root("x").key;
        assert_eq!(private_key(&key.private_key_to_der().unwrap()).err(), Some(Defect::Der));
    }

    #[test]
    fn encrypted_keys_are_recognised_in_both_forms() {
        let key = testing::root("x").key;
        let cipher = openssl::symm::Cipher::aes_256_cbc();
        let new = key.private_key_to_pem_pkcs8_passphrase(cipher, b"secret").unwrap();
        let old = key.ec_key().unwrap().private_key_to_pem_passphrase(cipher, b"secret").unwrap();
        for (pem, form) in [(new, "PKCS#8"), (old, "the old form with DEK-Info")] {
            assert_eq!(private_key(&pem).err(), Some(Defect::Encrypted { form: form.into() }));
        }
    }
}
