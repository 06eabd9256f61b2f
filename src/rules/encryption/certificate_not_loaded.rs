use crate::facts::Facts;
use crate::remedy::certificates::{effect_of_files, take_effect};
use crate::remedy::{Action, Remedy, shell};
use crate::rules::{Answer, KEEPS_TLS_OFF, day, rule};

rule! {
    /// The server still presents another certificate than its file holds.
    ///
    /// ## What it checks
    /// That the certificate presented in the handshake is the first one in the file of `ssl_cert`.
    ///
    /// ## Why it matters
    /// A file that was replaced counts only after a reload or a restart. Until then the old
    /// certificate runs on towards its end, and a mistake in the new files waits for the next
    /// restart, which is mostly not the day somebody is looking.
    ///
    /// ## How to fix
    /// Let the server read its files again: `ALTER INSTANCE RELOAD TLS` (MySQL 8.0.16 and later),
    /// `FLUSH SSL` (MariaDB 10.4 and later), a restart elsewhere.
    ///
    /// ## Source
    /// MySQL manual, "ALTER INSTANCE"; MariaDB, "FLUSH".
    pub static CERTIFICATE_NOT_LOADED = {
        id: "certificate-not-loaded",
        step: Encryption,
        severity: Warning,
        passes_as: "the server presents the certificate of its file",
        explained_by: KEEPS_TLS_OFF,
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(presented) = facts.handshake().and_then(|handshake| handshake.chain.first()) else {
        return Answer::not_applicable("no certificate was presented");
    };
    let Some(files) = facts.files.read() else {
        return Answer::not_applicable("the server's files are not on this host");
    };
    let Some(leaf) = files.leaf() else {
        return Answer::not_applicable("there is no certificate file to compare");
    };
    if leaf.sha256 == presented.sha256 {
        return Answer::pass();
    }
    let finding = CERTIFICATE_NOT_LOADED
        .finding(
            "the server still presents another certificate than its file holds",
            "the file was changed and the server has not read it since",
        )
        .saw(
            "presented",
            format!("{}, until {}", presented.subject.display(), day(presented.not_after)),
        )
        .saw("in the file", format!("{}, until {}", leaf.subject.display(), day(leaf.not_after)));
    let effect = effect_of_files(facts);
    let action =
        take_effect(facts, effect).unwrap_or_else(|| Action::shell(shell::RESTART, effect));
    Answer::fail(finding.remedy([Remedy::new("let the server read its files again", vec![action])]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;
    use crate::x509::Certificate;

    #[test]
    fn the_file_presented_passes() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }

    #[test]
    fn another_one_is_reloaded_in_the_dialect_of_the_server() {
        let mut facts = testing::healthy();
        let old = crate::x509::testing::root("Old").issue_server("db1.example").certificate;
        testing::handshake(&mut facts).chain[0] = Certificate::from_openssl(&old);
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].remedies[0].actions[0].text, "FLUSH SSL;");
    }
}
