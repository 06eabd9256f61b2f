//! The names of options: many spellings, one meaning (`mysys/my_getopt.c`).

/// The options that mytls looks at, and that may be cut short where no other begins like it.
const KNOWN: [(&str, usize); 18] = [
    ("ssl", 3),
    ("ssl_ca", 6),
    ("ssl_capath", 7),
    ("ssl_cert", 6),
    ("ssl_cipher", 6),
    ("ssl_key", 5),
    ("ssl_crl", 7),
    ("ssl_crlpath", 8),
    ("tls_version", 5),
    ("tls_ciphersuites", 8),
    ("require_secure_transport", 9),
    ("auto_generate_certs", 7),
    ("datadir", 5),
    ("socket", 6),
    ("port", 4),
    ("bind_address", 6),
    ("user", 4),
    ("log_error", 9),
];

/// The name with underscores, in full, without what only says how to take it; and the value that
/// a prefix stands for.
pub(super) fn canonical(name: &str, value: Option<String>) -> (String, Option<String>) {
    let name = name.replace('-', "_").to_ascii_lowercase();
    let name = name.strip_prefix("loose_").unwrap_or(&name);
    if let Some(known) = known(name) {
        return (known.to_owned(), value);
    }
    let prefixed = [("skip_", "0"), ("disable_", "0"), ("enable_", "1")];
    for (prefix, meaning) in prefixed {
        if let Some(known) = name.strip_prefix(prefix).and_then(known) {
            return (known.to_owned(), Some(meaning.to_owned()));
        }
    }
    let name = name.strip_prefix("maximum_").unwrap_or(name);
    (name.to_owned(), value)
}

/// Whether the value decides about TLS.
pub(super) fn is_about_tls(name: &str) -> bool {
    name == "ssl"
        || name.starts_with("ssl_")
        || name.starts_with("tls_")
        || name == "require_secure_transport"
}

fn known(name: &str) -> Option<&'static str> {
    let exact = KNOWN.iter().find(|(known, _)| *known == name);
    let cut =
        || KNOWN.iter().find(|(known, least)| known.starts_with(name) && name.len() >= *least);
    exact.or_else(cut).map(|(known, _)| *known)
}
