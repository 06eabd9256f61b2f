//! What happens to PEM files between where they were made and the server.

use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, PKeyRef, Private};
use openssl::symm::Cipher;
use openssl::x509::X509;
use serde::Deserialize;

/// What becomes of a key's or a certificate's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Binary instead of text; of a chain the first certificate alone.
    Der,
    /// The first half.
    Half,
    Empty,
    /// A web page: the portal's login instead of the file that was asked for.
    Html,
    /// As it is, with a UTF-8 byte order mark in front.
    ByteOrderMark,
    /// As it is, with the line ends of Windows.
    Crlf,
}

/// A file's new bytes.
pub(super) fn rewrite(bytes: &[u8], form: Form) -> Result<Vec<u8>, ErrorStack> {
    let before = |text: &str| [text.as_bytes(), bytes].concat();
    Ok(match form {
        Form::Der => match X509::from_pem(bytes) {
            Ok(certificate) => certificate.to_der()?,
            Err(_) => PKey::private_key_from_pem(bytes)?.private_key_to_pkcs8()?,
        },
        Form::Half => bytes[..bytes.len() / 2].to_vec(),
        Form::Empty => Vec::new(),
        Form::Html => b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n\
                        <body>Your session has expired.</body></html>\n"
            .to_vec(),
        Form::ByteOrderMark => before("\u{feff}"),
        Form::Crlf => String::from_utf8_lossy(bytes).replace('\n', "\r\n").into_bytes(),
    })
}

/// The key under a passphrase, in the form from before PKCS#8 (`DEK-Info`).
pub(super) fn encrypt_traditional(
    key: &PKeyRef<Private>,
    passphrase: &[u8],
) -> Result<Vec<u8>, ErrorStack> {
    let cipher = Cipher::aes_256_cbc();
    match key.id() {
        Id::RSA => key.rsa()?.private_key_to_pem_passphrase(cipher, passphrase),
        _ => key.ec_key()?.private_key_to_pem_passphrase(cipher, passphrase),
    }
}
