use crate::facts::{Facts, Flavor, Version};
use crate::remedy::certificates::{effect_of_files, take_effect};
use crate::remedy::{Action, Remedy, chain_file};
use crate::rules::chain::issuers;
use crate::rules::{Answer, files, place, rule};
use crate::x509::Certificate;

rule! {
    /// MySQL will refuse to reload TLS: the intermediate is not in `ssl_ca`.
    ///
    /// ## What it checks
    /// On MySQL 8.1 and later, whether the first certificate of `ssl_cert` verifies under `ssl_ca`
    /// and `ssl_capath` alone, without the rest of its file.
    ///
    /// ## Why it matters
    /// The server starts with such files and clients are content. `ALTER INSTANCE RELOAD TLS` looks
    /// at the first certificate of the file alone and refuses: "Failed to set up SSL because of the
    /// following SSL library error: Invalid certificates". So the next renewal does not take effect,
    /// which shows on the day on which the old certificate expires.
    ///
    /// ## How to fix
    /// Put the intermediates into `ssl_ca` too, before the root.
    ///
    /// ## Source
    /// MySQL manual, "ALTER INSTANCE RELOAD TLS"; `sql/ssl_acceptor_context_data.cc`.
    pub static CHAIN_NOT_IN_CA = {
        id: "chain-not-in-ca",
        step: Chain,
        severity: Warning,
        passes_as: "TLS can be reloaded with these files",
        explained_by: ["ca-mismatch", "chain-incomplete", "chain-wrong-order"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let Some((flavor, version)) = server(facts) else {
        return Answer::Unknown("it is not known which server this is".into());
    };
    if flavor != Flavor::MySql || version < Version(8, 1, 0) {
        return Answer::not_applicable("only MySQL 8.1 and later verify it again");
    }
    let (Some(ca), Some(Ok(()))) = (&files.ca, &files.under_ca) else {
        return Answer::not_applicable(
            "the certificate does not verify with its whole file either",
        );
    };
    let Some(Err(fault)) = &files.alone_under_ca else { return Answer::pass() };
    let missing: Vec<&Certificate> = issuers(facts)
        .into_iter()
        .map(|issuer| issuer.certificate)
        .filter(|issuer| !files.trusted().any(|ca| ca.sha256 == issuer.sha256))
        .collect();
    if missing.is_empty() {
        return Answer::pass();
    }
    let names: Vec<String> = missing.iter().map(|ca| ca.subject.display()).collect();
    let finding = CHAIN_NOT_IN_CA
        .finding(
            "TLS cannot be reloaded: an intermediate CA is not in ssl_ca",
            "the server started with these files, and refuses them when TLS is reloaded; a renewed certificate would not take effect",
        )
        .saw("ssl_ca", place(ca))
        .saw("not in it", names.join("; "))
        .saw("OpenSSL says", format!("{} (depth {})", fault.text, fault.depth));
    let whole: Vec<&Certificate> = missing.into_iter().chain(files.ca_certificates()).collect();
    let effect = effect_of_files(facts);
    let mut actions = vec![Action::file(&ca.path, chain_file::pem(&whole), effect)];
    actions.extend(take_effect(facts, effect));
    Answer::fail(finding.remedy([Remedy::new("put the intermediate into ssl_ca, too", actions)]))
}

fn server(facts: &Facts) -> Option<(Flavor, Version)> {
    let asked = facts.server.read().map(|server| (server.flavor, server.version));
    asked.or_else(|| {
        let greeting = &facts.wire.read()?.greeting;
        Some((greeting.flavor, greeting.version?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Source;
    use crate::rules::testing;

    fn mysql(version: Version) -> Facts {
        let mut facts = testing::with_server(|server| {
            (server.flavor, server.version) = (Flavor::MySql, version);
        });
        let Source::Read(files) = &mut facts.files else { panic!() };
        files.alone_under_ca = Some(Err(testing::no_issuer()));
        facts
    }

    #[test]
    fn the_intermediate_is_put_before_the_root() {
        let Answer::Fail(findings) = judge(&mysql(Version(9, 7, 4))) else { panic!() };
        assert_eq!(findings[0].evidence[1].value, "CN=Issuing CA");
        let actions = &findings[0].remedies[0].actions;
        assert_eq!(actions[0].text.matches("BEGIN CERTIFICATE").count(), 2);
        assert_eq!(actions[1].text, "ALTER INSTANCE RELOAD TLS;");
    }

    #[test]
    fn a_chain_in_ssl_ca_passes() {
        let mut facts = mysql(Version(9, 7, 4));
        let Source::Read(files) = &mut facts.files else { panic!() };
        files.alone_under_ca = Some(Ok(()));
        assert_eq!(judge(&facts), Answer::pass());
    }

    #[test]
    fn older_servers_and_mariadb_do_not_look() {
        assert!(matches!(judge(&mysql(Version(8, 0, 32))), Answer::NotApplicable(_)));
        assert!(matches!(judge(&testing::healthy()), Answer::NotApplicable(_)));
    }
}
