use crate::facts::{Facts, Holds, ServerFiles};
use crate::remedy::certificates::reissue;
use crate::remedy::{Remedy, chain_file};
use crate::rules::chain::is_explained;
use crate::rules::{Answer, place, rule};
use crate::x509::{Certificate, Name, chain};

rule! {
    /// An intermediate certificate is missing from the chain.
    ///
    /// ## What it checks
    /// Whether the chain of `ssl_cert` ends at an intermediate that nobody supplies, although the
    /// CA is the right one.
    ///
    /// ## Why it matters
    /// Clients know the root only. Without the intermediate they cannot get from one to the other
    /// and say "unable to get local issuer certificate"; a client that happens to have it connects,
    /// so the fault seems random.
    ///
    /// ## How to fix
    /// Append the intermediate to the server's certificate in `ssl_cert`.
    ///
    /// ## Source
    /// RFC 8446 §4.4.2; OpenSSL `X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY`.
    pub static CHAIN_INCOMPLETE = {
        id: "chain-incomplete",
        step: Chain,
        severity: Error,
        passes_as: "no intermediate is missing",
        explained_by: ["same-subject-as-ca", "ca-unusable"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = facts.files.read();
    let handshake = facts.handshake();
    if !is_incomplete(facts) || is_explained(facts) {
        return match files {
            Some(files) if files.under_ca == Some(Ok(())) => Answer::pass(),
            Some(_) => Answer::not_applicable("the certificate is of another CA, or there is none"),
            None if handshake.is_some_and(|handshake| handshake.faults.is_some()) => Answer::pass(),
            None => facts.files.reason().map_or_else(Answer::pass, Answer::unknown),
        };
    }
    let missing = match (files, handshake) {
        (Some(files), _) => top(files).map(|top| top.issuer.clone()),
        (None, Some(handshake)) => handshake.chain.last().map(|top| top.issuer.clone()),
        (None, None) => None,
    };
    let mut finding = CHAIN_INCOMPLETE
        .finding(
            "an intermediate certificate is missing from the chain",
            "clients know the root only, and cannot get from it to the server's certificate",
        )
        .saw("missing", missing.as_ref().map(Name::display).unwrap_or_default());
    let Some(files) = files else {
        return Answer::fail(finding.remedy(reissue(facts)));
    };
    let Some(file) = &files.certificate else {
        return Answer::not_applicable("there is no certificate");
    };
    finding = finding.saw("ssl_cert", place(file));
    let complete = chain_file::completed(files);
    let found = complete.len() > chain_file::ordered(files).len();
    let ca = chain_file::ca_with_intermediates(facts, &complete);
    let actions = chain_file::write(facts, &complete, ca).filter(|_| found);
    let append = actions.map(|actions| {
        Remedy::new("append the intermediate, which lies nearby, to the chain file", actions)
    });
    Answer::fail(finding.remedy(append).remedy(reissue(facts)))
}

/// Whether the chain breaks off, as against leading to another CA. Where the missing issuer lies
/// nearby, its signature tells; otherwise its name does: an intermediate mostly shares its
/// organization with the root above it.
pub(super) fn is_incomplete(facts: &Facts) -> bool {
    let Some(files) = facts.files.read() else {
        let alone = facts.handshake().filter(|handshake| handshake.chain.len() == 1);
        let faults = alone.and_then(|handshake| handshake.faults.as_ref());
        return faults.is_some_and(|faults| faults.iter().any(chain::VerifyFault::is_incomplete));
    };
    let Some(Err(fault)) = &files.under_ca else { return false };
    let Some(top) = top(files) else { return false };
    if !fault.is_incomplete() || top.is_self_issued() {
        return false;
    }
    if files.ca_certificates().iter().any(|ca| ca.subject == top.issuer) {
        return false; // the name is there, and its key is not the one that signed
    }
    let root_nearby = files.nearby.iter().any(|near| match &near.holds {
        Holds::Certificates(certificates) => certificates
            .iter()
            .any(|ca| ca.self_signed && ca.subject == top.issuer && top.is_signed_by(ca)),
        Holds::Key(_) => false,
    });
    if root_nearby {
        return false; // what is missing is a root, and ssl_ca holds another one
    }
    let complete = chain_file::completed(files);
    if let Some(end) = complete.last().filter(|end| end.sha256 != top.sha256) {
        return files.ca_certificates().iter().any(|ca| end.is_signed_by(ca));
    }
    // With an intermediate there already, it is more likely that the CA is another one.
    let alone = files.leaf().is_some_and(|leaf| leaf.sha256 == top.sha256);
    alone && files.ca_certificates().iter().any(|ca| shares_organization(&ca.subject, &top.issuer))
}

/// The highest certificate that the chain file reaches from the leaf.
fn top(files: &ServerFiles) -> Option<&Certificate> {
    let path = chain::path(files.leaf_index()?, &files.signers);
    files.certificates().get(*path.last()?)
}

fn shares_organization(one: &Name, other: &Name) -> bool {
    let organizations = |name: &Name| -> Vec<Vec<u8>> {
        let of_organization = |key: &str| matches!(key, "O" | "DC");
        let attributes = name.rdns.iter().flatten();
        attributes.filter(|a| of_organization(&a.key)).map(|a| a.value.clone()).collect()
    };
    let (one, other) = (organizations(one), organizations(other));
    !one.is_empty() && one == other
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::facts::{Flavor, Nearby, OwnCa, Source, UnreadKind, Version};
    use crate::rules::testing;

    /// The leaf alone in its file, the intermediate lying nearby.
    fn incomplete() -> Facts {
        testing::with_files(|files| {
            let certificates = files.certificate.as_mut().unwrap().content.as_mut().unwrap();
            let intermediate = certificates.pop().unwrap();
            files.signers = vec![None];
            files.under_ca = Some(Err(testing::no_issuer()));
            let holds = Holds::Certificates(vec![intermediate]);
            files.nearby.push(Nearby { path: "/etc/mysql/issuing.pem".into(), holds });
        })
    }

    #[test]
    fn a_complete_chain_passes() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }

    #[test]
    fn the_intermediate_that_lies_nearby_is_appended() {
        let Answer::Fail(findings) = judge(&incomplete()) else { panic!() };
        assert_eq!(findings[0].evidence[0].value, "CN=Issuing CA");
        let healthy = testing::healthy();
        let whole: String =
            healthy.files.read().unwrap().certificates().iter().map(|c| c.pem.clone()).collect();
        assert_eq!(findings[0].remedies[0].actions[0].text, whole);
        assert!(matches!(
            (super::super::ca_mismatch::CA_MISMATCH.judge)(&incomplete()),
            Answer::NotApplicable(_)
        ));
    }

    #[test]
    fn a_mysql_that_checks_itself_gets_the_intermediate_into_ssl_ca_too() {
        let files_of = |flavor, version| {
            let mut facts = incomplete();
            let Source::Read(server) = &mut facts.server else { panic!() };
            (server.flavor, server.version) = (flavor, version);
            let Answer::Fail(findings) = judge(&facts) else { panic!() };
            let actions = findings[0].remedies[0].actions.iter();
            let files = actions.filter_map(|action| action.file.as_deref()).map(Path::to_owned);
            files.collect::<Vec<_>>()
        };
        let ca = testing::healthy().files.read().unwrap().ca.as_ref().unwrap().path.clone();
        assert!(files_of(Flavor::MySql, Version(9, 7, 4)).contains(&ca));
        assert!(!files_of(Flavor::MySql, Version(8, 0, 40)).contains(&ca));
        assert!(!files_of(Flavor::MariaDb, Version(10, 11, 19)).contains(&ca));
    }

    #[test]
    fn what_an_own_intermediate_issues_gets_it_into_ssl_ca_where_the_server_checks_itself() {
        let command = |flavor, version| {
            let mut facts = incomplete();
            let Source::Read(server) = &mut facts.server else { panic!() };
            (server.flavor, server.version) = (flavor, version);
            facts.target.ca_dir = Some("/root/ca".into());
            let Source::Read(files) = &mut facts.files else { panic!() };
            let Holds::Certificates(issuing) = &files.nearby[0].holds else { panic!() };
            let certificate = issuing[0].clone();
            files.own_ca = Some(OwnCa {
                dir: "/root/ca".into(),
                certificate,
                clients: Vec::new(),
                above: Vec::new(),
            });
            let Answer::Fail(findings) = judge(&facts) else { panic!() };
            findings[0].remedies[1].actions[0].text.clone()
        };
        assert!(command(Flavor::MySql, Version(8, 4, 0)).contains("&&\ncat /root/ca/ca.pem >> /"));
        assert!(!command(Flavor::MariaDb, Version(10, 11, 19)).contains("cat "));
    }

    #[test]
    fn a_leaf_of_another_root_is_a_mismatch() {
        let facts = testing::with_files(|files| {
            let other = crate::x509::testing::root("Other").issue_server("db1.example").certificate;
            files.certificate.as_mut().unwrap().content =
                Ok(vec![Certificate::from_openssl(&other)]);
            files.signers = vec![None];
            files.under_ca = Some(Err(testing::no_issuer()));
        });
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }

    #[test]
    fn a_remote_server_that_presents_its_leaf_alone_is_incomplete() {
        let mut facts = testing::healthy();
        facts.files = Source::unread(UnreadKind::NotAsked, "its files are not on this host", "");
        let handshake = testing::handshake(&mut facts);
        handshake.chain.truncate(1);
        handshake.faults = Some(vec![testing::no_issuer()]);
        assert!(matches!(judge(&facts), Answer::Fail(_)));
    }
}
