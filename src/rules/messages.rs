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
    found.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
    // What is part of a longer find, or a bare number beside a whole sentence, adds nothing.
    let best = found.first().map(|(words, _)| words.clone()).unwrap_or_default();
    found.retain(|(words, _)| {
        *words == best || (words.len() >= 8 && !best.contains(words.as_str()))
    });
    found.truncate(MOST);
    found.into_iter().map(|(_, message)| message).collect()
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
        assert!(all.len() >= 35, "the file was not read: {} entries", all.len());
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
}
