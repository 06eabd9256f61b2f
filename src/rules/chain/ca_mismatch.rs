use crate::facts::{Facts, ServerFiles};
use crate::remedy::certificates::reissue;
use crate::rules::chain::incomplete::{is_incomplete, is_root_missing};
use crate::rules::chain::{is_explained, right_ca_nearby, use_ca};
use crate::rules::{Answer, Finding, files, place, rule};
use crate::x509::chain::{self, VerifyFault};

rule! {
    /// The server's certificate was not issued under this CA.
    ///
    /// ## What it checks
    /// That the server's certificate verifies under `ssl_ca` and nothing else, with the
    /// intermediates of its chain file; from outside, that what the server presents verifies under
    /// the CA that was given. Dates are judged on their own.
    ///
    /// ## Why it matters
    /// Servers load such a pair without a word (MySQL with a warning). Clients that were given this
    /// CA refuse the server, and MySQL 8.1 and later refuse `ALTER INSTANCE RELOAD TLS`. Client
    /// certificates of the right CA are refused by the server.
    ///
    /// ## How to fix
    /// Point `ssl_ca` at the CA that issued the certificate, or issue a certificate from this CA.
    ///
    /// ## Source
    /// RFC 5280 §6.1; MySQL manual, "tls_certificates_enforced_validation".
    pub static CA_MISMATCH = {
        id: "ca-mismatch",
        step: Chain,
        severity: Error,
        passes_as: "the certificate was issued under this CA",
        explained_by: [
            "same-subject-as-ca", "ca-unusable", "certificate-wrong-purpose",
            "certificate-auto-generated", "ca-expired",
        ],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return from_outside(facts, answer),
    };
    if files.ca.is_none() && files.leaf().is_some() {
        return from_outside(facts, Answer::not_applicable("no ssl_ca is set"));
    }
    match &files.under_ca {
        None => from_outside(
            facts,
            Answer::not_applicable("there is no certificate, or no CA, to verify"),
        ),
        Some(Ok(())) => from_outside(facts, Answer::Pass(ca_names(files))),
        Some(Err(_)) if is_explained(facts) => {
            Answer::not_applicable("another rule says why it does not verify")
        }
        Some(Err(_)) if is_incomplete(facts) => {
            Answer::not_applicable("an intermediate certificate is missing")
        }
        Some(Err(fault)) => Answer::fail(in_files(facts, files, fault)),
    }
}

fn in_files(facts: &Facts, files: &ServerFiles, fault: &VerifyFault) -> Finding {
    let top = files.leaf_index().map(|leaf| chain::path(leaf, &files.signers));
    let top = top.and_then(|path| files.certificates().get(*path.last()?));
    let wanted = top.map(|top| top.issuer.clone()).unwrap_or_default();
    let mut finding = CA_MISMATCH.finding(
        "the certificate was not issued under this CA",
        "clients that trust this CA refuse the server",
    );
    if let (Some(certificate), Some(ca)) = (&files.certificate, &files.ca) {
        finding = finding
            .saw("ssl_cert", place(certificate))
            .saw("issued by", wanted.display())
            .saw("ssl_ca", place(ca))
            .saw("holds", ca_names(files))
            .saw("OpenSSL says", format!("{} (depth {})", fault.text, fault.depth));
    }
    let right = right_ca_nearby(files);
    if let Some(path) = right {
        finding = finding.saw("CA found", format!("{} issued it", path.display()));
    }
    finding.remedy(right.and_then(|path| use_ca(facts, path))).remedy(reissue(facts))
}

/// What a client with the CA of the target sees, when the files themselves are in order or out of
/// reach; else what was answered before.
fn from_outside(facts: &Facts, before: Answer) -> Answer {
    let Some(handshake) = facts.handshake() else { return before };
    let Some(faults) = &handshake.faults else { return before };
    let fault = faults.iter().find(|fault| !fault.is_about_time());
    let Some(fault) = fault else {
        return match before {
            Answer::Unknown(_) => Answer::Pass("as presented to clients".into()),
            before => before,
        };
    };
    if matches!(before, Answer::Pass(_)) {
        // The files are right and the server presents something else: it has not read them yet,
        // or the CA given is not the one that clients use.
        let same = facts.served_leaf().map(|leaf| &leaf.sha256)
            == handshake.chain.first().map(|c| &c.sha256);
        if !same {
            return Answer::not_applicable(
                "the server presents another certificate than its file holds",
            );
        }
    }
    if fault.is_incomplete() && handshake.chain.len() == 1 && !is_root_missing(facts) {
        return Answer::not_applicable("the server presents its certificate alone");
    }
    if is_explained(facts) {
        return Answer::not_applicable("another rule says why it does not verify");
    }
    let leaf = handshake.chain.first();
    let finding = CA_MISMATCH
        .finding(
            "the certificate presented was not issued under the CA given",
            "clients that trust this CA refuse the server",
        )
        .saw("presented", leaf.map(|leaf| leaf.subject.display()).unwrap_or_default())
        .saw(
            "issued by",
            handshake.chain.last().map(|top| top.issuer.display()).unwrap_or_default(),
        )
        .saw(
            "CA given",
            facts.target.ssl_ca.as_ref().map(|ca| ca.display().to_string()).unwrap_or_default(),
        )
        .saw("OpenSSL says", format!("{} (depth {})", fault.text, fault.depth));
    Answer::fail(finding.remedy(reissue(facts)))
}

fn ca_names(files: &ServerFiles) -> String {
    let names = files.ca_certificates().iter().map(|ca| ca.subject.display());
    names.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Holds, Nearby, Source, UnreadKind};
    use crate::rules::testing;
    use crate::x509::Certificate;

    fn wrong_ca() -> Facts {
        testing::with_files(|files| {
            let other = crate::x509::testing::root("Other Root").certificate;
            files.ca.as_mut().unwrap().content = Ok(vec![Certificate::from_openssl(&other)]);
            files.under_ca = Some(Err(testing::no_issuer()));
        })
    }

    #[test]
    fn the_right_ca_passes_with_its_name() {
        assert_eq!(judge(&testing::healthy()), Answer::Pass("CN=Example Root".into()));
    }

    #[test]
    fn another_ca_is_found_out_and_the_way_to_a_new_certificate_is_offered() {
        let Answer::Fail(findings) = judge(&wrong_ca()) else { panic!() };
        assert_eq!(findings[0].evidence[1].value, "CN=Example Root");
        assert_eq!(findings[0].evidence[3].value, "CN=Other Root");
        assert!(findings[0].remedies[0].actions[0].text.contains("--ca-file"));
    }

    #[test]
    fn the_ca_that_did_issue_it_is_looked_for_and_offered_first() {
        let mut facts = wrong_ca();
        let right = testing::healthy().files.read().unwrap().ca_certificates().to_vec();
        let Source::Read(files) = &mut facts.files else { panic!() };
        files.nearby.push(Nearby {
            path: "/etc/mysql/old/ca.pem".into(),
            holds: Holds::Certificates(right),
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "[mysqld]\nssl_ca = /etc/mysql/old/ca.pem\n"
        );
    }

    #[test]
    fn a_remote_server_is_judged_by_what_it_presents() {
        let mut facts = testing::healthy();
        facts.files = Source::unread(UnreadKind::NotAsked, "its files are not on this host", "");
        assert_eq!(judge(&facts), Answer::Pass("as presented to clients".into()));
        let self_signed = VerifyFault { depth: 1, code: 19, text: "self-signed in chain".into() };
        testing::handshake(&mut facts).faults = Some(vec![self_signed]);
        assert!(matches!(judge(&facts), Answer::Fail(_)));
        testing::handshake(&mut facts).faults = None;
        assert!(matches!(judge(&facts), Answer::Unknown(_)));
    }
}
