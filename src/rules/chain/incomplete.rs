use crate::facts::{Facts, Holds, ServerFiles};
use crate::remedy::certificates::reissue;
use crate::remedy::{Action, Effect, Place, Remedy, chain_file, shell};
use crate::rules::chain::{is_explained, issuers};
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
    /// so the fault seems random. A server built with yaSSL sends its own certificate and nothing
    /// of the chain: there clients need the intermediate in their CA file.
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
    if facts.is_yassl() {
        return without_chain(facts);
    }
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

/// yaSSL sends no chain, whatever its file holds: a client has the intermediate, or cannot verify.
fn without_chain(facts: &Facts) -> Answer {
    let handshake = facts.handshake();
    let Some((handshake, faults)) = handshake.and_then(|h| Some((h, h.faults.as_ref()?))) else {
        return Answer::not_applicable("yaSSL sends no chain, and no client was seen to need one");
    };
    if !faults.iter().any(chain::VerifyFault::is_incomplete) {
        return Answer::Pass("yaSSL sends no chain, and the CA given holds what is missing".into());
    }
    if is_explained(facts) || is_root_missing(facts) {
        return Answer::not_applicable("what is missing is no intermediate");
    }
    let missing = handshake.chain.last().map(|leaf| leaf.issuer.display()).unwrap_or_default();
    let given = facts.target.ssl_ca.as_ref();
    let finding = CHAIN_INCOMPLETE
        .finding(
            "clients lack the intermediate, and yaSSL does not send it",
            "yaSSL sends the server's certificate alone: clients need all CAs above it in their own file",
        )
        .saw("missing", missing)
        .saw("CA given", given.map(|path| path.display().to_string()).unwrap_or_default());
    let intermediates = facts.files.read().map(intermediates).unwrap_or_default();
    let remedy = given.filter(|_| !intermediates.is_empty()).map(|path| {
        let (path, pem) = (shell::path(path), chain_file::pem(&intermediates));
        let text = format!("cat >> {path} <<'END'\n\n{pem}END");
        let append = Action { place: Place::ClientHost, ..Action::shell(text, Effect::None) };
        Remedy::new("append the intermediate to the CA file of the clients", vec![append])
            .with_note(
                "every client needs it in its own CA file; this is the one that mytls was given",
            )
    });
    let reissue = if remedy.is_none() { reissue(facts) } else { None };
    Answer::fail(finding.remedy(remedy).remedy(reissue))
}

/// Whether a root issued the certificate that yaSSL sends: then no intermediate is missing, but the
/// client has another CA.
pub(super) fn is_root_missing(facts: &Facts) -> bool {
    facts.is_yassl() && issuers(facts).first().is_some_and(|issuer| issuer.certificate.self_signed)
}

/// The CAs between the server's certificate and its root, from its files or from those of mytls.
fn intermediates(files: &ServerFiles) -> Vec<&Certificate> {
    let chain = chain_file::completed(files);
    if chain.len() > 1 {
        return chain[1..].to_vec();
    }
    let own =
        files.own_ca.iter().flat_map(|own| std::iter::once(&own.certificate).chain(&own.above));
    let own: Vec<&Certificate> = own.filter(|ca| !ca.self_signed).collect();
    let issued = |leaf: &&Certificate| own.first().is_some_and(|ca| leaf.is_signed_by(ca));
    if chain.first().is_some_and(issued) { own } else { Vec::new() }
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

    /// yaSSL, which presents the leaf alone to a client that has the root alone.
    fn yassl() -> Facts {
        let mut facts = testing::with_server(|server| server.tls_library = Some("YaSSL".into()));
        facts.target.ssl_ca = Some("/etc/app/ca.pem".into());
        let handshake = testing::handshake(&mut facts);
        handshake.chain.truncate(1);
        handshake.faults = Some(vec![testing::no_issuer()]);
        facts
    }

    #[test]
    fn clients_of_yassl_get_what_it_does_not_send() {
        let mut facts = yassl();
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let action = &findings[0].remedies[0].actions[0];
        assert_eq!(action.place, Place::ClientHost);
        assert!(action.text.starts_with("cat >> /etc/app/ca.pem <<'END'\n\n-----BEGIN"));
        assert_eq!(action.text.matches("BEGIN CERTIFICATE").count(), 1);
        testing::handshake(&mut facts).faults = Some(Vec::new());
        assert!(matches!(judge(&facts), Answer::Pass(_)));
    }

    #[test]
    fn a_root_that_clients_of_yassl_lack_is_no_intermediate() {
        let mut facts = yassl();
        let root = crate::x509::testing::root("Other Root");
        let leaf = root.issue_server("db1.example").certificate;
        let leaf = Certificate::from_openssl(&leaf);
        testing::handshake(&mut facts).chain = vec![leaf.clone()];
        let Source::Read(files) = &mut facts.files else { panic!() };
        files.certificate.as_mut().unwrap().content = Ok(vec![leaf]);
        files.key.as_mut().unwrap().content = Err(crate::x509::pem::Defect::Denied);
        files.signers = vec![None];
        files.ca.as_mut().unwrap().content = Ok(vec![Certificate::from_openssl(&root.certificate)]);
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
        let mismatch = (super::super::ca_mismatch::CA_MISMATCH.judge)(&facts);
        assert!(matches!(mismatch, Answer::Fail(_)), "{mismatch:?}");
    }

    #[test]
    fn the_chain_file_of_yassl_may_hold_the_leaf_alone() {
        let mut facts = incomplete();
        let Source::Read(server) = &mut facts.server else { panic!() };
        server.tls_library = Some("YaSSL".into());
        assert!(matches!(judge(&facts), Answer::Pass(_)));
        facts.wire = Source::unread(UnreadKind::NotAsked, "", "");
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
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
