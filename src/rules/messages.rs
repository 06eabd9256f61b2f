//! What clients and servers say when TLS goes wrong, led back to its causes.
//!
//! The words are data (`assets/messages.toml`); most clients give several causes the same words,
//! and a rule is what tells them apart.

use serde::Deserialize;

/// One meaning, with the words by which it is known.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    /// In lower case, quotes as `'`.
    pub words: Vec<String>,
    /// Words that wrap many causes: whatever else is found says more.
    #[serde(default)]
    pub general: bool,
    pub means: String,
    /// The likeliest first.
    pub causes: Vec<Cause>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Cause {
    pub why: String,
    /// The rule that proves it.
    pub rule: Option<String>,
}

#[derive(Deserialize)]
struct Messages {
    message: Vec<Message>,
}

/// All meanings, in the order of the file.
pub fn all() -> Vec<Message> {
    let parsed: Result<Messages, _> = toml::from_str(include_str!("../../assets/messages.toml"));
    // The file is part of the program, and a test reads it.
    parsed.map(|messages| messages.message).unwrap_or_default()
}

/// The meanings that fit what somebody saw, the most telling first; at most three.
pub fn meanings(seen: &str) -> Vec<Message> {
    const MOST: usize = 3;
    let seen = normal(seen);
    let mut found: Vec<(String, Message)> = all()
        .into_iter()
        .filter_map(|message| {
            let hits = message.words.iter().filter(|words| holds(&seen, words));
            Some((hits.max_by_key(|words| words.len())?.clone(), message))
        })
        .collect();
    // "This client does not say why" would be untrue beside the words that do.
    if found.iter().any(|(words, message)| !message.general && is_sentence(words)) {
        found.retain(|(_, message)| !message.general);
    }
    found.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
    // What is part of a longer find, or a bare number beside a whole sentence, adds nothing.
    let best = found.first().map(|(words, _)| words.clone()).unwrap_or_default();
    found.retain(|(words, _)| {
        *words == best || (is_sentence(words) && !best.contains(words.as_str()))
    });
    found.truncate(MOST);
    found.into_iter().map(|(_, message)| message).collect()
}

/// A bare number may stand in a message for anything: a port, a line, a time.
fn is_sentence(words: &str) -> bool {
    words.len() >= 8
}

/// Lower case, one kind of quotes, single blanks.
fn normal(text: &str) -> String {
    let text = text.to_lowercase().replace(['`', '\u{2018}', '\u{2019}', '"'], "'");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Numbers are looked for as whole numbers, everything else anywhere.
fn holds(seen: &str, words: &str) -> bool {
    if !words.bytes().all(|byte| byte.is_ascii_digit()) {
        return seen.contains(words);
    }
    seen.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(seen: &str) -> String {
        meanings(seen).first().map(|message| message.means.clone()).unwrap_or_default()
    }

    fn rules(seen: &str) -> Vec<String> {
        meanings(seen)[0].causes.iter().filter_map(|cause| cause.rule.clone()).collect()
    }

    #[test]
    fn every_rule_that_is_named_exists_and_every_word_is_as_it_is_looked_for() {
        let all = all();
        assert!(all.len() >= 60, "the file was not read: {} entries", all.len());
        for message in &all {
            assert!(!message.causes.is_empty() && !message.words.is_empty(), "{}", message.means);
            for words in &message.words {
                assert_eq!(normal(words), *words, "{}", message.means);
            }
            for rule in message.causes.iter().filter_map(|cause| cause.rule.as_deref()) {
                assert!(super::super::find(rule).is_some(), "{rule} is no rule");
            }
        }
    }

    #[test]
    fn messages_of_every_driver_lead_to_their_rule() {
        for (seen, rule) in [
            (
                "ERROR 2026 (HY000): SSL connection error: error:0A000086:SSL routines::certificate verify failed",
                "ca-mismatch",
            ),
            (
                "ERROR 2026 (HY000): TLS/SSL error: self-signed certificate in certificate chain",
                "ca-mismatch",
            ),
            ("ERROR 2026 (HY000): TLS/SSL error: self-signed certificate", "same-subject-as-ca"),
            (
                "ERROR 2026 (HY000): TLS/SSL error: unable to get local issuer certificate",
                "chain-incomplete",
            ),
            (
                "ERROR 2026 (HY000): SSL connection error: ASN: bad other signature confirmation",
                "ca-mismatch",
            ),
            (
                "ERROR 2026 (HY000): SSL connection error: SSL is required, but the server does not support it",
                "tls-off",
            ),
            (
                "2026-11-22 [ERROR] SSL error: Unable to get private key from '/etc/mysql/k.pem'",
                "key-mismatch",
            ),
            ("SSL error: SSL_CTX_set_default_verify_paths failed", "ca-unusable"),
            (
                "sun.security.validator.ValidatorException: PKIX path building failed: unable to find valid certification path to requested target",
                "ca-mismatch",
            ),
            ("x509: certificate signed by unknown authority", "ca-mismatch"),
            (
                "java.security.cert.CertificateExpiredException: NotAfter: Sun Nov 22",
                "certificate-expired",
            ),
            ("HANDSHAKE_NO_SSL_SUPPORT: Server does not support secure connection", "tls-off"),
            (
                "ERROR 3159 (08004): Connections using insecure transport are prohibited while --require_secure_transport=ON.",
                "transport-not-enforced",
            ),
        ] {
            assert!(rules(seen).iter().any(|named| named == rule), "{seen}: {:?}", rules(seen));
        }
    }

    #[test]
    fn the_longest_words_win_and_numbers_are_whole() {
        assert!(first("self-signed certificate in certificate chain").contains("ends in a CA"));
        assert!(first("ERROR 1045 (28000): Access denied for user 'u'@'h'").contains("refused"));
        assert!(meanings("port 10450 is fine").is_empty());
        assert!(meanings("no such words").is_empty());
    }

    #[test]
    fn quotes_and_case_do_not_matter() {
        assert!(!meanings("X509: CERTIFICATE  SIGNED BY\nUNKNOWN AUTHORITY").is_empty());
        assert!(first("Lost connection to MySQL server at \"reading authorization packet\", system error: 71").contains("TLS 1.3"));
    }

    /// What clients say, driver by driver, as they print it.
    const SEEN: &[&str] = &[
        // mysql and MariaDB Connector/C, with OpenSSL
        "ERROR 2026 (HY000): SSL connection error: error:0A000086:SSL routines::certificate verify failed",
        "ERROR 2026 (HY000): SSL connection error: error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed",
        "ERROR 2026 (HY000): TLS/SSL error: self-signed certificate in certificate chain",
        "ERROR 2026 (HY000): TLS/SSL error: self-signed certificate",
        "ERROR 2026 (HY000): TLS/SSL error: unable to get local issuer certificate",
        "ERROR 2026 (HY000): TLS/SSL error: certificate has expired",
        "ERROR 2026 (HY000): TLS/SSL error: certificate is not yet valid",
        "ERROR 2026 (HY000): TLS/SSL error: unsuitable certificate purpose",
        "ERROR 2026 (HY000): TLS/SSL error: unsupported certificate purpose",
        "ERROR 2026 (HY000): TLS/SSL error: invalid CA certificate",
        "ERROR 2026 (HY000): TLS/SSL error: CA signature digest algorithm too weak",
        "ERROR 2026 (HY000): SSL connection error: error:0A00018E:SSL routines::ca md too weak",
        "ERROR 2026 (HY000): SSL connection error: error:0A00018F:SSL routines::ee key too small",
        "ERROR 2026 (HY000): SSL connection error: Validation of SSL server certificate failed",
        "ERROR 2026 (HY000): TLS/SSL error: Hostname verification failed",
        "ERROR 2026 (HY000): TLS/SSL error: Certificate verification failure: The certificate is NOT trusted.",
        "ERROR 2026 (HY000): TLS/SSL error: Peer certificate is not trusted",
        "ERROR 2026 (HY000): TLS/SSL error: Fingerprint validation of peer certificate failed",
        "ERROR 2026 (HY000): TLS/SSL error: Certificate revoked",
        "ERROR 2026 (HY000): SSL connection error: SSL certificate validation failure",
        "ERROR 2026 (HY000): SSL connection error: CA certificate is required if ssl-mode is VERIFY_CA or VERIFY_IDENTITY",
        "ERROR 2026 (HY000): SSL connection error: SSL_CTX_set_default_verify_paths failed",
        "ERROR 2026 (HY000): TLS/SSL error: No such file or directory (2)",
        "ERROR 2026 (HY000): TLS/SSL error: no certificate or crl found",
        "ERROR 2026 (HY000): SSL connection error: Unable to get private key",
        "ERROR 2026 (HY000): TLS/SSL error: key values mismatch",
        "ERROR 2026 (HY000): TLS/SSL error: unsupported",
        "ERROR 2026 (HY000): TLS/SSL error: File '/x/client-key.pem' not found (Errcode: 22 \"Invalid argument\")",
        "ERROR 2026 (HY000): SSL connection error: SSL is required but the server doesn't support it",
        "ERROR 2026 (HY000): TLS/SSL error: SSL is required, but the server does not support it",
        "ERROR 2026 (HY000): SSL connection error: error:0A00042E:SSL routines::tlsv1 alert protocol version",
        "ERROR 2026 (HY000): SSL connection error: error:0A000102:SSL routines::unsupported protocol",
        "ERROR 2026 (HY000): SSL connection error: error:0A0000BF:SSL routines::no protocols available",
        "ERROR 2026 (HY000): SSL connection error: TLS version is invalid",
        "ERROR 2026 (HY000): SSL connection error: error:0A000410:SSL routines::ssl/tls alert handshake failure",
        "ERROR 2026 (HY000): SSL connection error: error:0A000410:SSL routines::sslv3 alert handshake failure",
        "SSL routines:tls_post_process_client_hello:no shared cipher",
        "ERROR 2026 (HY000): SSL connection error: error:0A00010B:SSL routines::wrong version number",
        "ERROR 2026 (HY000): SSL connection error: error:0A000152:SSL routines::unsafe legacy renegotiation disabled",
        "ERROR 2026 (HY000): SSL connection error: error:0A00018A:SSL routines::dh key too small",
        "ERROR 2026 (HY000): SSL connection error: error:0A000418:SSL routines::tlsv1 alert unknown ca",
        "ERROR 2026 (HY000): SSL connection error: error:0A000415:SSL routines::ssl/tls alert certificate expired",
        "ERROR 2026 (HY000): SSL connection error: error:0A000413:SSL routines::ssl/tls alert unsupported certificate",
        "ERROR 2013 (HY000): Lost connection to MySQL server at 'reading authorization packet', system error: 71",
        "ERROR 2013 (HY000): Lost connection to server at 'sending authentication information', system error: 32",
        "ERROR 2006 (HY000): MySQL server has gone away",
        "ERROR 1045 (28000): Access denied for user 'app'@'10.0.0.9' (using password: YES)",
        "ERROR 3159 (HY000): Connections using insecure transport are prohibited while --require_secure_transport=ON.",
        "ERROR 2061 (HY000): Authentication plugin 'caching_sha2_password' reported error: Authentication requires secure connection.",
        "ERROR 1129 (HY000): Host '10.0.0.9' is blocked because of many connection errors; unblock with 'mysqladmin flush-hosts'",
        "ERROR 1130 (HY000): Host '10.0.0.9' is not allowed to connect to this MySQL server",
        "ERROR 1040 (HY000): Too many connections",
        // yaSSL
        "ERROR 2026 (HY000): SSL connection error: ASN: bad other signature confirmation",
        "ERROR 2026 (HY000): SSL connection error: ASN: before date in the future",
        "ERROR 2026 (HY000): SSL connection error: ASN: after date in the past",
        "ERROR 2026 (HY000): SSL connection error: protocol version mismatch",
        "ERROR 2026 (HY000): SSL connection error: unable to verify peer checksum",
        "ERROR 2026 (HY000): SSL connection error: unable to proccess cerificate",
        "ERROR 2026 (HY000): SSL connection error: unable to proccess private key, bad format",
        "ERROR 2026 (HY000): SSL connection error: bad PEM format processing",
        "ERROR 2026 (HY000): SSL connection error: error:00000001:lib(0):func(0):reason(1)",
        // GnuTLS
        "ERROR 2026 (HY000): SSL connection error: fatal alert received: Certificate expired",
        "The certificate is NOT trusted. The certificate issuer is unknown. ",
        // Java
        "PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target",
        "PKIX path validation failed: java.security.cert.CertPathValidatorException: validity check failed",
        "java.security.cert.CertificateExpiredException: NotAfter: Sun Nov 22 10:00:00 UTC 2026",
        "Path does not chain with any of the trust anchors",
        "Extended key usage does not permit use for TLS server authentication",
        "Server identity verification failed. None of the DNS or IP Subject Alternative Name entries matched the server hostname/IP 'db'.",
        "SSL hostname verification failed : DNS host \"h\" doesn't correspond to certificate CN \"x\"",
        "com.mysql.cj.jdbc.exceptions.CommunicationsException: Communications link failure",
        "Public Key Retrieval is not allowed",
        "SSL Connection required, but not provided by server.",
        "No appropriate protocol (protocol is disabled or cipher suites are inappropriate)",
        // Go
        "x509: certificate signed by unknown authority",
        "x509: certificate is valid for a.example, not b.example",
        "x509: certificate is not valid for any names, but wanted to match b.example",
        "x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs",
        "x509: certificate relies on legacy Common Name field, use SANs instead",
        "x509: certificate has expired or is not yet valid: current time 2026-11-24T08:00:00Z is after 2026-11-22T10:00:00Z",
        "x509: cannot verify signature: insecure algorithm SHA1-RSA",
        "TLS requested but server does not support TLS",
        // Python
        "(2003, \"Can't connect to MySQL server on 'h' ([SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain (_ssl.c:1000))\")",
        "2055: Lost connection to MySQL server at 'h:3306', system error: 1 [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1000)",
        "certificate verify failed: Hostname mismatch, certificate is not valid for 'h'. (_ssl.c:1000)",
        "certificate verify failed: IP address mismatch, certificate is not valid for '10.0.0.9'. (_ssl.c:1000)",
        "certificate verify failed: Missing Authority Key Identifier",
        // Node
        "HANDSHAKE_SSL_ERROR self-signed certificate in certificate chain",
        "HANDSHAKE_NO_SSL_SUPPORT Server does not support secure connection",
        "ERR_TLS_CERT_ALTNAME_INVALID",
        "ERR_OSSL_X509_KEY_VALUES_MISMATCH",
        "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
        // PHP
        "(HY000/2002): Cannot connect to MySQL using SSL",
        "SQLSTATE[HY000] [2002] No such file or directory",
        // .NET
        "The remote certificate is invalid according to the validation procedure",
        "The remote certificate is invalid according to the validation procedure: RemoteCertificateNameMismatch, RemoteCertificateChainErrors",
        "System.Security.Authentication.AuthenticationException: Authentication failed",
    ];

    #[test]
    fn what_clients_are_known_to_say_is_known() {
        let unknown: Vec<&&str> = SEEN.iter().filter(|seen| meanings(seen).is_empty()).collect();
        assert!(unknown.is_empty(), "{unknown:#?}");
    }

    #[test]
    fn each_message_leads_to_the_rules_that_tell_its_causes_apart() {
        for (seen, expected) in [
            ("unsuitable certificate purpose", &["certificate-wrong-purpose"][..]),
            ("unsupported certificate purpose", &["certificate-wrong-purpose"]),
            ("ee key too small", &["key-weak", "certificate-weak-signature"]),
            ("ca md too weak", &["key-weak", "certificate-weak-signature"]),
            ("sslv3 alert handshake failure", &["key-type-unsupported", "no-common-cipher"]),
            (
                "certificate verify failed: Hostname mismatch, certificate is not valid for 'h'",
                &[
                    "certificate-name-mismatch",
                    "certificate-name-missing",
                    "certificate-ip-as-name",
                ],
            ),
            ("TLS/SSL error: certificate is not yet valid", &["certificate-not-yet-valid"]),
            ("TLS/SSL error: invalid CA certificate", &["ca-not-a-ca"]),
            ("tlsv1 alert protocol version", &["old-protocols", "no-common-cipher"]),
            ("No appropriate protocol (protocol is disabled)", &["old-protocols"]),
            ("tlsv1 alert unknown ca", &["ca-mismatch", "crl-missing-for-ca"]),
            (
                "ERROR 1045 (28000): Access denied for user 'u'@'h'",
                &[
                    "subject-never-matches",
                    "subject-empty",
                    "issuer-is-root",
                    "issuer-not-trusted",
                    "cipher-of-old-protocol",
                ],
            ),
            ("error:00000001:lib(0):func(0):reason(1)", &["same-subject-as-ca"]),
            ("unable to proccess private key, bad format", &["key-format-unsupported"]),
            ("verify failed: Missing Authority Key Identifier", &["certificate-auto-generated"]),
            ("TLS/SSL error: unsupported", &["key-is-certificate"]),
            ("TLS/SSL error: no certificate or crl found", &["ca-unusable"]),
            ("SQLSTATE[HY000] [2002] No such file or directory", &["server-not-running"]),
        ] {
            let named = rules(seen);
            let lacks: Vec<_> =
                expected.iter().filter(|id| !named.iter().any(|n| n == *id)).collect();
            assert!(lacks.is_empty(), "{seen}: {lacks:?} not in {named:?}");
        }
    }

    #[test]
    fn what_wraps_many_causes_gives_way_to_the_words_that_tell() {
        for (seen, telling) in [
            // shorter than the wrapping words
            (
                "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired",
                "has expired",
            ),
            (
                "certificate verify failed: Hostname mismatch, certificate is not valid",
                "is not for the name",
            ),
            ("Communications link failure … Caused by: PKIX path building failed", "trust store"),
            ("TLS/SSL error: unsupported protocol", "no TLS version"),
            ("TLS/SSL error: unsupported certificate purpose", "another purpose"),
            ("fatal alert received: Certificate expired", "refuses the client's certificate"),
            ("AuthenticationException: … RemoteCertificateNameMismatch", "is not for the name"),
        ] {
            let found = meanings(seen);
            assert!(found[0].means.contains(telling), "{seen}: {}", found[0].means);
            assert!(found.iter().all(|message| !message.general), "{seen}: {found:#?}");
        }
        // a number tells less than the sentence
        let found = meanings("certificate verify failed, code 1045");
        assert!(found.len() == 1 && found[0].general, "{found:#?}");
    }
}
