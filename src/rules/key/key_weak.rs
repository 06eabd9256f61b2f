use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, Severity, rule};
use crate::x509::KeyAlgorithm;

/// What OpenSSL asks of RSA at security level 2, the default of today's systems.
const BITS: u32 = 2048;

rule! {
    /// The server's RSA key is too short.
    ///
    /// ## What it checks
    /// That an RSA key has at least 2048 bits.
    ///
    /// ## Why it matters
    /// OpenSSL at its usual security level refuses to load the certificate of a shorter key ("Unable
    /// to get certificate"): MySQL goes on without TLS, MariaDB does not start. Where an old library
    /// still takes it, clients of today refuse it ("ee key too small").
    ///
    /// ## How to fix
    /// Issue a new key and certificate.
    ///
    /// ## Source
    /// OpenSSL, `SSL_CTX_set_security_level()`; NIST SP 800-131A.
    pub static KEY_WEAK = {
        id: "key-weak",
        step: Key,
        severity: Error,
        passes_as: "the key is long enough",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    let Some(key) = &leaf.public_key else {
        return Answer::not_applicable("the certificate's key cannot be read");
    };
    if !matches!(key.algorithm, KeyAlgorithm::Rsa | KeyAlgorithm::RsaPss) {
        return Answer::not_applicable("it is no RSA key");
    }
    if key.bits >= BITS {
        return Answer::Pass(key.describe());
    }
    let in_use = facts.handshake().and_then(|handshake| handshake.chain.first());
    let in_use = in_use.is_some_and(|in_use| in_use.sha256 == leaf.sha256);
    let finding = KEY_WEAK
        .finding(
            format!("the RSA key has {} bits, too few", key.bits),
            if in_use {
                "this server still takes it; clients of today refuse it"
            } else {
                "OpenSSL refuses to load it at its usual security level"
            },
        )
        .saw("certificate", leaf.subject.display())
        .saw("key", format!("{}; {BITS} bits are the least", key.describe()))
        .at(if in_use { Severity::Warning } else { Severity::Error });
    Answer::fail(finding.remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Source, UnreadKind};
    use crate::rules::testing;

    fn rsa(bits: u32) -> Facts {
        let mut facts = testing::with_files(|files| {
            let leaf = &mut files.certificate.as_mut().unwrap().content.as_mut().unwrap()[0];
            let key = leaf.public_key.as_mut().unwrap();
            (key.algorithm, key.bits) = (KeyAlgorithm::Rsa, bits);
        });
        facts.wire = Source::unread(UnreadKind::Unreachable, "nothing answers", "");
        facts
    }

    #[test]
    fn long_keys_pass_and_other_kinds_do_not_apply() {
        assert_eq!(judge(&rsa(2048)), Answer::Pass("RSA 2048".into()));
        assert!(matches!(judge(&testing::healthy()), Answer::NotApplicable(_)));
    }

    #[test]
    fn a_short_key_is_an_error_and_a_warning_where_it_still_works() {
        let mut facts = rsa(1024);
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Error);
        facts.wire = testing::healthy().wire;
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Warning);
    }
}
