use crate::facts::{Account, Facts, Holds, Require, ServerFacts, ServerFiles};
use crate::remedy::certificates::trusted_own_ca;
use crate::remedy::statement::{Dialect, Form};
use crate::remedy::{Action, Remedy};
use crate::rules::{Answer, rule};
use crate::x509::Certificate;

rule! {
    /// An account requires a certificate of a CA that the server does not trust.
    ///
    /// ## What it checks
    /// Whether the ISSUER that an account REQUIREs is a CA known from the files near the server's
    /// own, and is neither in `ssl_ca` nor issued under it. A CA of which nothing is known may be an
    /// intermediate that the client sends along, and is left alone.
    ///
    /// ## Why it matters
    /// The server refuses the certificate in the handshake, so nobody can log in to the account any
    /// more. This is what is left when the CA was replaced and the accounts were not.
    ///
    /// ## How to fix
    /// Issue the account a certificate of the new CA and require that one (the wizard's Accounts
    /// step does both), or let the server trust both CAs for a while.
    ///
    /// ## Source
    /// `acl_check_ssl()`; MySQL manual, "CREATE USER SSL/TLS Options".
    pub static ISSUER_NOT_TRUSTED = {
        id: "issuer-not-trusted",
        step: Accounts,
        severity: Error,
        passes_as: "the server trusts the issuers that accounts require",
        explained_by: [
            "tls-off",
            "ca-unusable",
            "ca-mismatch",
            "ca-not-a-ca",
            "ca-may-not-sign",
            "path-length-exceeded",
            "ca-expired",
            "ca-remade",
        ],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(server) = facts.server.read() else {
        return facts.server.reason().map_or_else(Answer::pass, Answer::unknown);
    };
    let Some(accounts) = server.accounts.read() else {
        return server.accounts.reason().map_or_else(Answer::pass, Answer::unknown);
    };
    let bound: Vec<_> = accounts
        .iter()
        .filter(|account| !account.locked)
        .filter_map(|account| match &account.require {
            Require::Specified { issuer, .. } if !issuer.is_empty() => Some((account, issuer)),
            _ => None,
        })
        .collect();
    if bound.is_empty() {
        return Answer::not_applicable("no account requires an issuer");
    }
    let Some(files) = facts.files.read().filter(|files| !files.ca_certificates().is_empty()) else {
        return Answer::not_applicable("the server's CA is not known here");
    };
    let (trusted, strangers) = known(server, files);
    let findings: Vec<_> = bound
        .iter()
        .filter(|(_, issuer)| strangers.contains(issuer))
        .map(|(account, issuer)| {
            let one = std::slice::from_ref(&account.name);
            let dialect = Dialect::of(server);
            let sql = dialect.require(one, &Require::X509, Form::Alter).sql();
            let undo = dialect.require(one, &account.require, Form::Alter).sql();
            let held: Vec<String> =
                files.ca_certificates().iter().map(|ca| ca.subject.display()).collect();
            let title = format!("{} requires a certificate of a CA that the server does not trust", account.name);
            ISSUER_NOT_TRUSTED
                .finding(title, "the server refuses every such certificate, so nobody can log in to it")
                .saw("account", account.name.to_string())
                .saw("requires issuer", issuer)
                .saw("ssl_ca holds", held.join("; "))
                .remedy(its_own_certificate(facts, files, server, account))
                .remedy([Remedy::new(
                    "ask it for any certificate of the CA that the server trusts",
                    vec![Action::sql(sql).with_undo(undo)],
                )
                .with_note("any of them, not only its own: the wizard makes one for the account (c) and requires that one")])
        })
        .collect();
    if findings.is_empty() {
        let unknown = bound.iter().filter(|(_, issuer)| !trusted.contains(issuer)).count();
        Answer::Pass(match unknown {
            0 => format!("{} checked", bound.len()),
            unknown => format!(
                "{} checked, {unknown} of CAs of which nothing is known here",
                bound.len() - unknown
            ),
        })
    } else {
        Answer::Fail(findings)
    }
}

/// Requires the one certificate that the CA of mytls, if the server trusts that, has issued for the
/// account.
fn its_own_certificate(
    facts: &Facts,
    files: &ServerFiles,
    server: &ServerFacts,
    account: &Account,
) -> Option<Remedy> {
    let own = files.own_ca.as_ref().filter(|_| trusted_own_ca(files))?;
    let certificate = own.clients.iter().find(|client| {
        client.subject.short() == account.name.user
            && client.not_after > facts.at
            && client.is_signed_by(&own.certificate)
    })?;
    let dialect = Dialect::of(server);
    let require = Require::Specified {
        subject: certificate.subject.oneline(dialect.names),
        issuer: certificate.issuer.oneline(dialect.names),
        cipher: String::new(),
    };
    let one = std::slice::from_ref(&account.name);
    let sql = dialect.require(one, &require, Form::Alter).sql();
    let undo = dialect.require(one, &account.require, Form::Alter).sql();
    let title = "ask it for the certificate that your own CA has issued for it";
    let note = format!("the client needs that certificate, from {}", own.dir.display());
    Some(Remedy::new(title, vec![Action::sql(sql).with_undo(undo)]).with_note(note))
}

/// The names of CAs that are known from files here and lead to nothing in `ssl_ca`; a name that a
/// trusted CA bears, too, is no stranger.
fn known(server: &ServerFacts, files: &ServerFiles) -> (Vec<String>, Vec<String>) {
    let names = Dialect::of(server).names;
    let nearby = files.nearby.iter().flat_map(|near| match &near.holds {
        Holds::Certificates(certificates) => certificates.as_slice(),
        Holds::Key(_) => &[],
    });
    let own = files.own_ca.iter().map(|own| &own.certificate);
    let known: Vec<&Certificate> = files
        .certificates()
        .iter()
        .chain(nearby)
        .chain(own)
        .filter(|certificate| certificate.is_ca == Some(true))
        .collect();
    let mut trusted: Vec<&Certificate> = files.ca_certificates().iter().collect();
    // Upwards from nothing trusted there is no way; two rounds reach below an intermediate.
    for _ in 0..2 {
        let below: Vec<&Certificate> = known
            .iter()
            .copied()
            .filter(|ca| !trusted.iter().any(|known| known.sha256 == ca.sha256))
            .filter(|ca| trusted.iter().any(|above| ca.is_signed_by(above)))
            .collect();
        trusted.extend(below);
    }
    let trusted: Vec<String> = trusted.iter().map(|ca| ca.subject.oneline(names)).collect();
    let mut strangers: Vec<String> = known.iter().map(|ca| ca.subject.oneline(names)).collect();
    strangers.retain(|name| !trusted.contains(name));
    (trusted, strangers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Nearby, OwnCa, Source};
    use crate::rules::testing;

    fn requires(issuer: &str) -> Facts {
        testing::with_server(|server| {
            let require = Require::Specified {
                subject: "/CN=app".into(),
                issuer: issuer.into(),
                cipher: String::new(),
            };
            server.accounts = Source::Read(vec![testing::account("app", "%", require)]);
        })
    }

    #[test]
    fn the_root_and_an_intermediate_below_it_are_trusted() {
        for issuer in ["/CN=Example Root", "/CN=Issuing CA"] {
            assert_eq!(judge(&requires(issuer)), Answer::Pass("1 checked".into()), "{issuer}");
        }
        // nobody claims to have looked at what is not known
        let unknown = "0 checked, 1 of CAs of which nothing is known here";
        assert_eq!(judge(&requires("/CN=Other CA")), Answer::Pass(unknown.into()));
    }

    #[test]
    fn a_ca_that_was_replaced_is_named_and_the_account_can_be_asked_for_the_new_one() {
        let mut facts = requires("/CN=Old CA");
        let old = crate::x509::testing::root("Old CA").certificate;
        let Source::Read(files) = &mut facts.files else { panic!() };
        files.nearby.push(Nearby {
            path: "/etc/mysql/tls/ca.pem.bak-20260101T000000Z".into(),
            holds: Holds::Certificates(vec![Certificate::from_openssl(&old)]),
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].remedies[0].actions[0].text, "ALTER USER 'app'@'%' REQUIRE X509;");
        assert!(findings[0].remedies[0].actions[0].undo.contains("ISSUER '/CN=Old CA'"));
    }

    #[test]
    fn the_certificate_that_the_new_ca_issued_for_it_is_asked_for_first() {
        let mut facts = requires("/CN=Old CA");
        let old = crate::x509::testing::root("Old CA").certificate;
        let new = crate::x509::testing::root("New CA");
        let summary = |certificate: &openssl::x509::X509| Certificate::from_openssl(certificate);
        let Source::Read(files) = &mut facts.files else { panic!() };
        files.nearby.push(Nearby {
            path: "/etc/mysql/tls/old.pem".into(),
            holds: Holds::Certificates(vec![summary(&old)]),
        });
        files.ca.as_mut().unwrap().content = Ok(vec![summary(&new.certificate)]);
        files.own_ca = Some(OwnCa {
            dir: "/ca".into(),
            certificate: summary(&new.certificate),
            clients: vec![summary(&new.issue_server("app").certificate)],
            above: Vec::new(),
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let text = &findings[0].remedies[0].actions[0].text;
        assert!(text.contains("SUBJECT '/CN=app'\n  AND ISSUER '/CN=New CA'"), "{text}");
        assert_eq!(findings[0].remedies[1].actions[0].text, "ALTER USER 'app'@'%' REQUIRE X509;");
    }

    #[test]
    fn a_ca_of_which_nothing_is_known_is_left_alone() {
        assert!(matches!(judge(&requires("/CN=Sent along by the client")), Answer::Pass(_)));
    }

    #[test]
    fn without_an_issuer_there_is_no_question() {
        assert!(matches!(judge(&testing::healthy()), Answer::NotApplicable(_)));
    }
}
