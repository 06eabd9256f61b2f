use crate::facts::Facts;
use crate::remedy::config::{CIPHERS, CIPHERS_OF_YASSL, replaced_line};
use crate::remedy::{Action, Remedy};
use crate::rules::{Answer, files, rule};
use crate::wire::TlsOffer;
use crate::x509::Certificate;

rule! {
    /// No cipher that the server offers can be used.
    ///
    /// ## What it checks
    /// Where every handshake fails and TLS 1.3 is switched off: whether `ssl_cipher` names a suite
    /// that fits the kind of the server's key and that clients of today offer. Of a server built
    /// with yaSSL: whether it names one without DHE.
    ///
    /// ## Why it matters
    /// A suite with `RSA` in its name needs an RSA key, one with `ECDSA` a key on an elliptic curve.
    /// After a move from one to the other nothing is left, and clients read only "handshake
    /// failure". The suites of TLS 1.3 fit every key. yaSSL has a group of 512 bits for DHE, which
    /// clients refuse with "dh key too small".
    ///
    /// ## How to fix
    /// Name suites for both kinds of key, or leave `ssl_cipher` out, and switch TLS 1.3 on.
    ///
    /// ## Source
    /// RFC 8422 §2; OpenSSL `ciphers(1)`.
    pub static NO_COMMON_CIPHER = {
        id: "no-common-cipher",
        step: Encryption,
        severity: Error,
        passes_as: "the ciphers fit the key",
        explained_by: [],
    }
    judge
}

/// What no client of today offers by itself.
const GONE: [&str; 13] = [
    "NULL", "EXP", "RC4", "RC2", "DES", "SEED", "IDEA", "CAMELLIA", "ARIA", "ADH", "AECDH", "PSK",
    "SRP",
];

fn judge(facts: &Facts) -> Answer {
    let Some(TlsOffer::Failed { reason }) = facts.wire.read().map(|wire| &wire.tls) else {
        return Answer::not_applicable("no handshake failed");
    };
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let value = |option: &str| {
        let running = facts.server.read().and_then(|server| server.variable(option));
        running.or_else(|| facts.config.read().and_then(|config| config.get(option)))
    };
    let (Some(leaf), Some(ciphers)) = (files.leaf(), value("ssl_cipher")) else {
        return Answer::not_applicable("no ssl_cipher is set");
    };
    let yassl = facts.is_yassl();
    let protocols = value("tls_version").unwrap_or(if yassl { "TLSv1" } else { "TLSv1.3" });
    if protocols.to_ascii_lowercase().contains("tlsv1.3") {
        return Answer::not_applicable("TLS 1.3 has suites for every key");
    }
    let suites: Vec<&str> =
        ciphers.split([':', ',', ' ']).filter(|word| !word.is_empty()).collect();
    if suites.iter().any(|word| is_a_group(word)) {
        return Answer::Unknown(
            "ssl_cipher names groups of suites, which only OpenSSL can resolve".into(),
        );
    }
    let elliptic = is_elliptic(leaf);
    let usable = |suite: &&&str| {
        if yassl {
            return CIPHERS_OF_YASSL.split(':').any(|known| known == **suite);
        }
        suite.contains("ECDSA") == elliptic && !GONE.iter().any(|gone| suite.contains(gone))
    };
    if let Some(suite) = suites.iter().find(usable) {
        return Answer::Pass((*suite).to_owned());
    }
    let kind = leaf.public_key.as_ref().map(crate::x509::PublicKey::describe).unwrap_or_default();
    let mut finding = NO_COMMON_CIPHER
        .finding(
            if yassl {
                "clients of today take none of the ciphers that the server offers"
            } else {
                "no cipher that the server offers fits its key"
            },
            "every handshake fails, since server and client find no suite that both can use",
        )
        .saw("ssl_cipher", ciphers)
        .saw("key", &kind)
        .saw("tls_version", protocols)
        .saw("handshake", reason);
    let config = facts.config.read();
    let better = if yassl { CIPHERS_OF_YASSL } else { CIPHERS };
    let mut actions: Vec<Action> =
        config.and_then(|config| replaced_line(config, "ssl_cipher", better)).into_iter().collect();
    if let Some(config) = config.filter(|_| actions.is_empty()) {
        actions.push(Action::config(&config.main_file, &[("ssl_cipher", better)]));
    }
    if !actions.is_empty() {
        let title = if yassl {
            "name ciphers that yaSSL and clients of today share"
        } else {
            "name ciphers for keys of either kind"
        };
        finding = finding.remedy([Remedy::new(title, actions)]);
    }
    Answer::fail(finding)
}

/// `HIGH`, `ECDHE`, `!aNULL`, `@SECLEVEL=1`: not a suite, but a set of them, or a command.
fn is_a_group(word: &str) -> bool {
    word.starts_with(['!', '-', '+', '@']) || word.contains('+') || !word.contains('-')
}

/// Signatures of such keys go with the suites that have ECDSA in their names, Ed25519's too.
fn is_elliptic(leaf: &Certificate) -> bool {
    leaf.public_key.as_ref().is_some_and(|key| !key.describe().starts_with("RSA"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Source;
    use crate::rules::testing;

    /// The healthy server has a key on P-256.
    fn offering(ciphers: &str, protocols: &str) -> Facts {
        let mut facts = testing::healthy();
        let Source::Read(wire) = &mut facts.wire else { panic!() };
        wire.tls = TlsOffer::Failed { reason: "handshake failure".into() };
        testing::set_option(&mut facts, "ssl_cipher", ciphers);
        testing::set_option(&mut facts, "tls_version", protocols);
        facts
    }

    #[test]
    fn suites_for_the_other_kind_of_key_are_replaced_where_they_stand() {
        let facts = offering("ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA", "TLSv1.2");
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let text = &findings[0].remedies[0].actions[0].text;
        assert!(
            text.starts_with("sed -i.bak --follow-symlinks '20s/.*/ssl_cipher = ECDHE-ECDSA-"),
            "{text}"
        );
        assert!(matches!(
            judge(&offering("ECDHE-ECDSA-CAMELLIA128-SHA256", "TLSv1.2")),
            Answer::Fail(_)
        ));
    }

    #[test]
    fn clients_of_today_take_no_dhe_of_yassl() {
        let yassl = |ciphers: &str| {
            let mut facts = offering(ciphers, "");
            let Source::Read(server) = &mut facts.server else { panic!() };
            server.tls_library = Some("YaSSL".into());
            facts
        };
        let dhe = yassl("DHE-RSA-AES256-SHA:ECDHE-RSA-AES128-SHA");
        let Answer::Fail(findings) = judge(&dhe) else { panic!() };
        let text = &findings[0].remedies[0].actions[0].text;
        assert!(text.contains("/ssl_cipher = AES256-SHA:AES128-SHA/"), "{text}");
        let answer = judge(&yassl("DHE-RSA-AES256-SHA:AES128-SHA"));
        assert_eq!(answer, Answer::Pass("AES128-SHA".into()));
    }

    #[test]
    fn one_that_fits_or_a_protocol_without_such_names_is_enough() {
        let both = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256";
        assert!(matches!(judge(&offering(both, "TLSv1.2")), Answer::Pass(_)));
        let rsa = "ECDHE-RSA-AES128-GCM-SHA256";
        assert!(matches!(judge(&offering(rsa, "TLSv1.2,TLSv1.3")), Answer::NotApplicable(_)));
        assert!(matches!(judge(&offering("HIGH:!aNULL", "TLSv1.2")), Answer::Unknown(_)));
        assert!(matches!(judge(&testing::healthy()), Answer::NotApplicable(_)));
    }
}
