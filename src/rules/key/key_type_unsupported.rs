use crate::facts::{Facts, Flavor};
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, rule};
use crate::x509::{KeyAlgorithm, PublicKey};

rule! {
    /// The server's key is of a kind that no client can use.
    ///
    /// ## What it checks
    /// The kind of the key that the certificate certifies. What works with every TLS library is RSA
    /// and the curves P-256, P-384 and P-521; OpenSSL takes Ed25519, MariaDB Ed448, too. A
    /// handshake that came about settles it.
    ///
    /// ## Why it matters
    /// OpenSSL loads a DSA key or one on secp256k1 without a word, the server says that TLS is on,
    /// and every single handshake fails. Servers built with yaSSL take RSA alone.
    ///
    /// ## How to fix
    /// Issue a new key and certificate of a usual kind.
    ///
    /// ## Source
    /// RFC 8446 §4.2.3; OpenSSL, `SSL_CTX_set1_sigalgs()`.
    pub static KEY_TYPE_UNSUPPORTED = {
        id: "key-type-unsupported",
        step: Key,
        severity: Error,
        passes_as: "the key is of a kind that clients know",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    let Some(key) = &leaf.public_key else {
        return Answer::Unknown("OpenSSL cannot read the certificate's key".into());
    };
    let in_use = facts.handshake().and_then(|handshake| handshake.chain.first());
    if in_use.is_some_and(|in_use| in_use.sha256 == leaf.sha256) {
        return Answer::Pass(format!("{}, in use", key.describe()));
    }
    let Some(who) = refused_by(facts, key) else {
        return Answer::Pass(key.describe());
    };
    let finding = KEY_TYPE_UNSUPPORTED
        .finding(
            format!("{who} a key of the kind {}", key.describe()),
            "every TLS handshake fails, whatever the server says of itself",
        )
        .saw("certificate", leaf.subject.display())
        .saw("key", key.describe());
    Answer::fail(finding.remedy(reissue(facts)))
}

/// Who cannot use this key: `None` when nobody is known to.
fn refused_by(facts: &Facts, key: &PublicKey) -> Option<&'static str> {
    let server = facts.server.read();
    if server.is_some_and(crate::facts::ServerFacts::is_yassl) && key.algorithm != KeyAlgorithm::Rsa
    {
        return Some("this server's TLS library, yaSSL, cannot use");
    }
    let curves = ["prime256v1", "secp384r1", "secp521r1"];
    match &key.algorithm {
        KeyAlgorithm::Dsa => Some("no client takes"),
        KeyAlgorithm::Ec(curve) if !curves.contains(&curve.as_str()) => Some("no client takes"),
        // MySQL's list of signature algorithms lacks it
        KeyAlgorithm::Ed448 if server.is_some_and(|server| server.flavor == Flavor::MySql) => {
            Some("MySQL cannot use")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Source, UnreadKind};
    use crate::rules::testing;

    fn key(algorithm: KeyAlgorithm) -> Facts {
        let mut facts = testing::with_files(|files| {
            let leaf = &mut files.certificate.as_mut().unwrap().content.as_mut().unwrap()[0];
            leaf.public_key.as_mut().unwrap().algorithm = algorithm;
        });
        facts.wire = Source::unread(UnreadKind::Failed, "the handshake fails", "");
        facts
    }

    #[test]
    fn the_usual_kinds_pass() {
        for algorithm in [
            KeyAlgorithm::Rsa,
            KeyAlgorithm::RsaPss,
            KeyAlgorithm::Ed25519,
            KeyAlgorithm::Ed448,
            KeyAlgorithm::Ec("secp521r1".into()),
        ] {
            assert!(matches!(judge(&key(algorithm)), Answer::Pass(_)));
        }
    }

    #[test]
    fn kinds_that_nobody_speaks_are_errors_unless_a_handshake_shows_otherwise() {
        for algorithm in [KeyAlgorithm::Dsa, KeyAlgorithm::Ec("secp256k1".into())] {
            let mut facts = key(algorithm);
            assert!(matches!(judge(&facts), Answer::Fail(_)));
            facts.wire = testing::healthy().wire;
            assert!(matches!(judge(&facts), Answer::Pass(_)), "it is in use");
        }
    }

    #[test]
    fn mysql_lacks_ed448_and_yassl_all_but_rsa() {
        let with = |algorithm, change: fn(&mut crate::facts::ServerFacts)| {
            let mut facts = key(algorithm);
            let Source::Read(server) = &mut facts.server else { panic!() };
            change(server);
            judge(&facts)
        };
        let mysql = with(KeyAlgorithm::Ed448, |server| server.flavor = Flavor::MySql);
        assert!(matches!(mysql, Answer::Fail(_)));
        let yassl = |server: &mut crate::facts::ServerFacts| {
            server.tls_library = Some("YaSSL".into());
        };
        assert!(matches!(with(KeyAlgorithm::Ec("prime256v1".into()), yassl), Answer::Fail(_)));
        assert!(matches!(with(KeyAlgorithm::Rsa, yassl), Answer::Pass(_)));
    }
}
