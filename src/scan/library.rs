//! Which suites the TLS library of this host can speak.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use openssl::ssl::{Ssl, SslContext, SslMethod};

use super::names;

/// Whether it can shake hands with this suite.
pub fn has(number: u16) -> bool {
    static HAS: LazyLock<BTreeSet<u16>> = LazyLock::new(|| known().unwrap_or_default());
    HAS.contains(&number)
}

fn known() -> Option<BTreeSet<u16>> {
    let mut found = BTreeSet::new();
    for suite in names::suites() {
        let Some(name) = suite.openssl else { continue };
        let mut builder = SslContext::builder(SslMethod::tls_client()).ok()?;
        let taken = if suite.is_modern() {
            builder.set_ciphersuites(name)
        } else {
            // without a certificate, or a secret shared beforehand, nothing comes of the others
            if ["anon", "NULL", "PSK", "SRP", "DSS"].iter().any(|part| suite.iana.contains(part)) {
                continue;
            }
            builder.set_cipher_list(&format!("{name}:@SECLEVEL=0"))
        };
        if taken.is_ok() && Ssl::new(&builder.build()).is_ok() {
            found.insert(suite.number);
        }
    }
    Some(found)
}
