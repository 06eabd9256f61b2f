use crate::facts::{Facts, Holds, ServerFiles};
use crate::remedy::certificates::{effect_of_files, reissue, take_effect};
use crate::remedy::{Action, Remedy, chain_file};
use crate::rules::chain::issuers;
use crate::rules::{Answer, Severity, files, place, rule};
use crate::x509::Certificate;

rule! {
    /// `ssl_ca` holds an intermediate CA without its root.
    ///
    /// ## What it checks
    /// Whether the CAs of `ssl_ca` and `ssl_capath` end below a root, although they are those that
    /// issued the server's certificate.
    ///
    /// ## Why it matters
    /// OpenSSL trusts a chain only when it ends at a root that it was given: the server refuses
    /// every client certificate with "unknown ca", and clients with the same file refuse the
    /// server. The yaSSL of old servers takes a client that sends its certificate alone, and refuses
    /// one that sends the intermediate with it; after an upgrade it refuses both.
    ///
    /// ## How to fix
    /// Append the root to the file of `ssl_ca`.
    ///
    /// ## Source
    /// OpenSSL `X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT`, `X509_V_FLAG_PARTIAL_CHAIN` (not set by
    /// the servers).
    pub static CA_ONLY_INTERMEDIATE = {
        id: "ca-only-intermediate",
        step: Chain,
        severity: Error,
        passes_as: "the CAs reach up to a root",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let Some(file) = &files.ca else { return Answer::not_applicable("no ssl_ca is set") };
    let issuers = issuers(facts);
    let top = issuers.last().filter(|top| {
        let trusted = files.trusted().any(|ca| ca.sha256 == top.certificate.sha256);
        trusted && !top.certificate.self_signed
    });
    let Some(top) = top.filter(|_| matches!(files.under_ca, Some(Err(_)))) else {
        return Answer::pass();
    };
    let top = top.certificate;
    if files.trusted().any(|ca| ca.subject == top.issuer) {
        return Answer::not_applicable("a CA of the root's name is there");
    }
    let yassl = facts.is_yassl();
    let finding = CA_ONLY_INTERMEDIATE
        .finding(
            "ssl_ca holds an intermediate CA without its root",
            if yassl {
                "yaSSL refuses clients that send the intermediate with their certificate, and after an upgrade to a server with OpenSSL nobody gets in"
            } else {
                "the server refuses every client certificate: OpenSSL trusts nothing below a root that it was not given"
            },
        )
        .at(if yassl { Severity::Warning } else { Severity::Error })
        .saw("ssl_ca", place(file))
        .saw("ends at", top.subject.display())
        .saw("missing", top.issuer.display());
    let append = root_above(files, top).map(|above| {
        let whole: Vec<&Certificate> = files.ca_certificates().iter().chain(above).collect();
        let effect = effect_of_files(facts);
        let mut actions = vec![Action::file(&file.path, chain_file::pem(&whole), effect)];
        actions.extend(take_effect(facts, effect));
        Remedy::new("append the root, which was found, to ssl_ca", actions)
    });
    let reissue = if append.is_none() { reissue(facts) } else { None };
    Answer::fail(finding.remedy(append).remedy(reissue))
}

/// The way from here to a root, out of what lies nearby and what mytls keeps.
fn root_above<'a>(files: &'a ServerFiles, from: &'a Certificate) -> Option<Vec<&'a Certificate>> {
    let nearby = files.nearby.iter().flat_map(|near| match &near.holds {
        Holds::Certificates(certificates) => certificates.as_slice(),
        Holds::Key(_) => &[],
    });
    let own = files.own_ca.iter().flat_map(|own| &own.above);
    let candidates: Vec<&Certificate> = nearby.chain(own).collect();
    let mut above: Vec<&Certificate> = Vec::new();
    loop {
        let last = above.last().copied().unwrap_or(from);
        if last.self_signed {
            return Some(above);
        }
        let issuer = candidates.iter().find(|candidate| {
            candidate.subject == last.issuer
                && candidate.is_ca == Some(true)
                && !above.contains(candidate)
                && last.is_signed_by(candidate)
        });
        above.push(issuer?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::OwnCa;
    use crate::rules::testing;

    fn only_intermediate() -> Facts {
        testing::with_files(|files| {
            let issuing = files.certificates()[1].clone();
            let root = files.ca_certificates()[0].clone();
            files.ca.as_mut().unwrap().content = Ok(vec![issuing.clone()]);
            files.under_ca = Some(Err(testing::no_issuer()));
            let dir = "/var/lib/mytls/ca".into();
            files.own_ca =
                Some(OwnCa { dir, certificate: issuing, above: vec![root], clients: Vec::new() });
        })
    }

    #[test]
    fn the_missing_root_is_named_and_appended_where_it_is_known() {
        let Answer::Fail(findings) = judge(&only_intermediate()) else { panic!() };
        assert_eq!(findings[0].evidence[2].value, "CN=Example Root");
        let text = &findings[0].remedies[0].actions[0].text;
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2);
    }

    #[test]
    fn a_ca_file_with_its_root_passes() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }

    #[test]
    fn yassl_refuses_only_some_of_the_clients() {
        let mut facts = only_intermediate();
        let crate::facts::Source::Read(server) = &mut facts.server else { panic!() };
        server.tls_library = Some("YaSSL".into());
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Warning);
    }

    #[test]
    fn a_server_without_a_ca_does_not_ask() {
        let facts = testing::with_files(|files| files.ca = None);
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
