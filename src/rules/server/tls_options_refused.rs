use crate::facts::Facts;
use crate::remedy::Remedy;
use crate::remedy::config::{CIPHERS, CIPHERS_OF_YASSL, replaced_line};
use crate::rules::{Answer, rule};

const PROTOCOLS: [&str; 5] = ["TLSv1", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/// What the name of a cipher may be to yaSSL (`yassl_int.hpp`).
const OF_YASSL: [&str; 12] = [
    "RC4-MD5",
    "RC4-SHA",
    "DES-CBC-SHA",
    "DES-CBC3-SHA",
    "EDH-RSA-DES-CBC-SHA",
    "EDH-RSA-DES-CBC3-SHA",
    "AES128-SHA",
    "AES256-SHA",
    "DHE-RSA-AES128-SHA",
    "DHE-RSA-AES256-SHA",
    "DHE-DSS-AES128-SHA",
    "DHE-DSS-AES256-SHA",
];

rule! {
    /// The server does not start with the protocols or ciphers it was given.
    ///
    /// ## What it checks
    /// While the server is down: whether `tls_version` holds a word that is no protocol, and
    /// whether the error log says that the ciphers of `ssl_cipher` were refused. Of a server built
    /// with yaSSL, while it has no TLS: whether yaSSL knows any of these ciphers.
    ///
    /// ## Why it matters
    /// Both families stop at such a value. MySQL 8.4 and later takes ciphers of a fixed list only,
    /// so that a list that served for years ends a server at its upgrade. With yaSSL the server says
    /// "Failed to set ciphers to use", and goes on without TLS.
    ///
    /// ## How to fix
    /// `tls_version = TLSv1.2,TLSv1.3`, and for `ssl_cipher` suites with ECDHE and GCM, or none.
    ///
    /// ## Source
    /// MySQL manual, "tls_version" and error MY-015104; MariaDB `vio/viosslfactories.c`, "Failed
    /// to set ciphers to use".
    pub static TLS_OPTIONS_REFUSED = {
        id: "tls-options-refused",
        step: Server,
        severity: Error,
        passes_as: "protocols and ciphers are such as the server takes",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if facts.is_running() {
        if facts.is_yassl() && facts.wire.read().is_some_and(|wire| !wire.greeting.offers_tls) {
            return unknown_to_yassl(facts);
        }
        return Answer::not_applicable("the server has started with them");
    }
    let Some(config) = facts.config.read() else {
        return Answer::not_applicable("the server's option files were not read");
    };
    let is_protocol = |word: &&str| PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(word));
    let protocols = config.get("tls_version").unwrap_or_default();
    if let Some(wrong) = words(protocols).find(|word| !is_protocol(word)) {
        let finding = TLS_OPTIONS_REFUSED
            .finding("tls_version holds a word that is no protocol", "the server stops at it")
            .saw("tls_version", protocols)
            .saw("no protocol", wrong);
        let action = replaced_line(config, "tls_version", "TLSv1.2,TLSv1.3");
        return Answer::fail(finding.remedy(
            action.map(|action| Remedy::new("offer the two protocols that are safe", vec![action])),
        ));
    }
    let log = facts.log.read().map_or(&[][..], Vec::as_slice);
    let refused = log
        .iter()
        .rfind(|line| line.contains("MY-015104") || line.contains("Failed to set ciphers to use"));
    let (Some(line), Some(ciphers)) = (refused, config.get("ssl_cipher")) else {
        return Answer::pass();
    };
    let finding = TLS_OPTIONS_REFUSED
        .finding("the ciphers of ssl_cipher are refused", "the server stops at them")
        .saw("ssl_cipher", ciphers)
        .saw("error log", line);
    let action = replaced_line(config, "ssl_cipher", CIPHERS);
    Answer::fail(
        finding
            .remedy(action.map(|action| Remedy::new("name ciphers that are safe", vec![action]))),
    )
}

/// Whether none of the ciphers is one that yaSSL knows; one that it does is enough for it.
fn unknown_to_yassl(facts: &Facts) -> Answer {
    let Some((config, ciphers)) =
        facts.config.read().and_then(|config| Some((config, config.get("ssl_cipher")?)))
    else {
        return Answer::not_applicable("ssl_cipher is not set");
    };
    if ciphers.split(':').any(|name| OF_YASSL.contains(&name.trim())) {
        return Answer::pass();
    }
    let finding = TLS_OPTIONS_REFUSED
        .finding(
            "yaSSL knows none of the ciphers of ssl_cipher",
            "the server says \"Failed to set ciphers to use\", and goes on without TLS",
        )
        .saw("ssl_cipher", ciphers);
    let action = replaced_line(config, "ssl_cipher", CIPHERS_OF_YASSL);
    let remedy = action.map(|action| Remedy::new("name ciphers that yaSSL knows", vec![action]));
    Answer::fail(finding.remedy(remedy))
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Source, UnreadKind};
    use crate::rules::testing;

    fn down() -> Facts {
        let mut facts = testing::healthy();
        facts.server = Source::unread(UnreadKind::Unreachable, "", "");
        facts.wire = Source::unread(UnreadKind::Unreachable, "", "");
        facts
    }

    #[test]
    fn a_word_that_is_no_protocol_is_replaced() {
        let mut facts = down();
        testing::set_option(&mut facts, "tls_version", "TLSv1.2,TLS1.3");
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].evidence[1].value, "TLS1.3");
        testing::set_option(&mut facts, "tls_version", "tlsv1.2, TLSv1.3");
        assert_eq!(judge(&facts), Answer::pass());
    }

    #[test]
    fn ciphers_are_refused_when_the_log_says_so() {
        let mut facts = down();
        testing::set_option(&mut facts, "ssl_cipher", "HIGH");
        assert_eq!(judge(&facts), Answer::pass());
        facts.log = Source::Read(vec!["SSL error: Failed to set ciphers to use".into()]);
        assert!(matches!(judge(&facts), Answer::Fail(_)));
    }

    #[test]
    fn yassl_goes_on_without_tls_when_it_knows_no_cipher() {
        let mut facts = testing::with_server(|server| server.tls_library = Some("YaSSL".into()));
        testing::set_option(&mut facts, "ssl_cipher", "HIGH:ECDHE-RSA-AES256-GCM-SHA384");
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)), "TLS is on");
        let Source::Read(wire) = &mut facts.wire else { panic!() };
        wire.greeting.offers_tls = false;
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let text = &findings[0].remedies[0].actions[0].text;
        assert!(text.contains("ssl_cipher = AES256-SHA:AES128-SHA"), "{text}");
        testing::set_option(&mut facts, "ssl_cipher", "HIGH:AES256-SHA");
        assert_eq!(judge(&facts), Answer::pass());
    }

    #[test]
    fn a_server_that_runs_has_taken_them() {
        let mut facts = testing::healthy();
        testing::set_option(&mut facts, "tls_version", "nonsense");
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
