use crate::facts::Facts;
use crate::remedy::certificates::{effect_of_files, take_effect};
use crate::remedy::{Action, Remedy, chain_file};
use crate::rules::{Answer, Severity, files, place, rule};
use crate::x509::chain;

rule! {
    /// The chain file holds a certificate that does not belong to the chain.
    ///
    /// ## What it checks
    /// That every certificate of `ssl_cert` is a link from the server's own to its root, and stands
    /// there once. A second certificate of the same CA and key (as after a cross-signing) belongs.
    ///
    /// ## Why it matters
    /// The server sends the file as it stands. OpenSSL picks what it needs; stricter clients, which
    /// want each certificate to issue the one before it, refuse the chain.
    ///
    /// ## How to fix
    /// Write the file again without what does not belong.
    ///
    /// ## Source
    /// RFC 5246 §7.4.2; RFC 8446 §4.4.2.
    pub static CHAIN_HAS_STRANGER = {
        id: "chain-has-stranger",
        step: Chain,
        severity: Warning,
        passes_as: "every certificate of the file belongs to the chain",
        explained_by: ["chain-wrong-order"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let (Some(file), Some(leaf)) = (&files.certificate, files.leaf_index()) else {
        return Answer::not_applicable("there is no certificate");
    };
    let all = files.certificates();
    let path = chain::path(leaf, &files.signers);
    let of_the_path = |at: usize| {
        let key = all[at].public_key.as_ref().map(|key| &key.spki_sha256);
        path.iter().any(|link| {
            let same_key = all[*link].public_key.as_ref().map(|key| &key.spki_sha256) == key;
            // the same certificate again belongs no more than another's
            *link != at && key.is_some() && same_key && all[*link].sha256 != all[at].sha256
        })
    };
    let strangers: Vec<usize> =
        (0..all.len()).filter(|at| !path.contains(at) && !of_the_path(*at)).collect();
    let Some(first) = strangers.first() else { return Answer::pass() };
    let last_link = path.iter().max().copied().unwrap_or_default();
    let between = *first < last_link;
    let twice =
        strangers.iter().all(|at| path.iter().any(|link| all[*link].sha256 == all[*at].sha256));
    let title = if twice {
        "the chain file holds a certificate twice"
    } else {
        "the chain file holds a certificate that does not belong to the chain"
    };
    let unsent = facts.is_yassl();
    let cause = if unsent {
        "yaSSL sends the first certificate alone, so it does no harm until an upgrade"
    } else if between {
        "it stands between the server's certificate and its issuer; stricter clients refuse such a chain"
    } else {
        "it follows the chain and is sent along; few clients mind"
    };
    let names: Vec<String> =
        strangers.iter().map(|at| format!("{}. {}", at + 1, all[*at].subject.display())).collect();
    let finding = CHAIN_HAS_STRANGER
        .finding(title, cause)
        .at(if between && !unsent { Severity::Warning } else { Severity::Note })
        .saw("ssl_cert", place(file))
        .saw(if twice { "again" } else { "stranger" }, names.join("; "));
    let effect = effect_of_files(facts);
    let right = chain_file::pem(&chain_file::ordered(files));
    let mut actions = vec![Action::file(&file.path, right, effect)];
    actions.extend(take_effect(facts, effect));
    Answer::fail(finding.remedy([Remedy::new("write the chain file without it", actions)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;
    use crate::x509::Certificate;

    fn with(insert: impl FnOnce(&mut Vec<Certificate>)) -> Facts {
        testing::with_files(|files| {
            let certificates = files.certificate.as_mut().unwrap().content.as_mut().unwrap();
            insert(certificates);
            let x509s: Vec<_> = certificates.iter().filter_map(Certificate::to_openssl).collect();
            files.signers = chain::signers(&x509s);
        })
    }

    fn stranger() -> Certificate {
        Certificate::from_openssl(&crate::x509::testing::root("Stranger").certificate)
    }

    #[test]
    fn a_stranger_in_between_is_named_and_taken_out() {
        let facts = with(|all| all.insert(1, stranger()));
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].evidence[1].value, "2. CN=Stranger");
        assert_eq!(findings[0].severity, Severity::Warning);
        let order = (super::super::wrong_order::CHAIN_WRONG_ORDER.judge)(&facts);
        assert!(matches!(order, Answer::Pass(_)), "the order is another question");
        let text = &findings[0].remedies[0].actions[0].text;
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2);
    }

    #[test]
    fn yassl_does_not_send_it() {
        let mut facts = with(|all| all.insert(1, stranger()));
        let crate::facts::Source::Read(server) = &mut facts.server else { panic!() };
        server.tls_library = Some("YaSSL".into());
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Note);
    }

    #[test]
    fn one_at_the_end_is_a_note_and_a_duplicate_is_called_one() {
        let Answer::Fail(findings) = judge(&with(|all| all.push(stranger()))) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Note);
        let twice = with(|all| all.insert(0, all[0].clone()));
        let Answer::Fail(findings) = judge(&twice) else { panic!() };
        assert!(findings[0].title.contains("twice"));
    }

    #[test]
    fn a_root_and_a_cross_signed_twin_belong() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
        let root = testing::healthy().files.read().unwrap().ca_certificates()[0].clone();
        assert_eq!(judge(&with(|all| all.push(root))), Answer::pass());
        let twin = with(|all| {
            let mut twin = all[1].clone();
            twin.sha256 = "signed by another root".into();
            all.push(twin);
        });
        assert_eq!(judge(&twin), Answer::pass());
    }

    #[test]
    fn without_a_certificate_there_is_no_chain() {
        let facts = testing::with_files(|files| files.certificate = None);
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
