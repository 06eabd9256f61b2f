use crate::facts::{Facts, Require};
use crate::remedy::statement::{Dialect, Form};
use crate::remedy::{Action, Remedy};
use crate::rules::accounts::specified;
use crate::rules::{Answer, rule};

rule! {
    /// An account asks for the root as issuer, though a CA below it signed the certificate.
    ///
    /// ## What it checks
    /// Accounts whose `SUBJECT` is that of a certificate of mytls's own CA: whether their `ISSUER` is
    /// the CA that signed it, or the one above.
    ///
    /// ## Why it matters
    /// The server compares the name of the immediate issuer. With the root's name in its place the
    /// account is shut, with error 1045.
    ///
    /// ## How to fix
    /// Name the CA that signed the certificate itself.
    ///
    /// ## Source
    /// `acl_check_ssl()` compares `X509_get_issuer_name()` of the client's own certificate.
    pub static ISSUER_IS_ROOT = {
        id: "issuer-is-root",
        step: Accounts,
        severity: Error,
        passes_as: "every issuer asked for is the one that signs",
        explained_by: ["tls-off", "subject-never-matches"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let own = facts.files.read().and_then(|files| files.own_ca.as_ref());
    let Some(own) = own.filter(|own| !own.certificate.self_signed) else {
        return Answer::not_applicable("mytls keeps no CA below a root for this server");
    };
    specified(facts, |server, account, (subject, issuer, cipher)| {
        let dialect = Dialect::of(server);
        let above = own.certificate.issuer.oneline(dialect.names);
        let of = |subject: &str| {
            own.clients.iter().find(|client| client.subject.oneline(dialect.names) == subject)
        };
        let right = of(subject)?.issuer.oneline(dialect.names);
        if issuer != above || issuer == right {
            return None;
        }
        let finding = ISSUER_IS_ROOT
            .finding(
                format!("{} asks for the root as issuer", account.name),
                "a CA below the root signed the certificate, and the server compares that one's name",
            )
            .saw("account", account.name.to_string())
            .saw("ISSUER", issuer)
            .saw("signed by", &right);
        let require = Require::Specified {
            subject: subject.to_owned(),
            issuer: right,
            cipher: cipher.to_owned(),
        };
        let names = std::slice::from_ref(&account.name);
        let sql = dialect.require(names, &require, Form::Alter).sql();
        let title = "name the CA that signed the certificate";
        Some(finding.remedy([Remedy::new(title, vec![Action::sql(sql)])]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{OwnCa, Source};
    use crate::rules::accounts::testing::with;
    use crate::x509::{Certificate, testing as pki};

    fn asking(issuer: &str) -> Facts {
        let subject = "/CN=app".into();
        let mut facts =
            with(Require::Specified { subject, issuer: issuer.into(), cipher: String::new() });
        let issuing = pki::root("Root").issue_ca("Issuing");
        let Source::Read(files) = &mut facts.files else { panic!() };
        files.own_ca = Some(OwnCa {
            above: Vec::new(),
            dir: "/ca".into(),
            certificate: Certificate::from_openssl(&issuing.certificate),
            clients: vec![Certificate::from_openssl(&issuing.issue_server("app").certificate)],
        });
        facts
    }

    #[test]
    fn the_root_is_replaced_by_the_ca_that_signed() {
        let Answer::Fail(findings) = judge(&asking("/CN=Root")) else { panic!() };
        let text = &findings[0].remedies[0].actions[0].text;
        assert!(text.contains("ISSUER '/CN=Issuing'"), "{text}");
        assert!(matches!(judge(&asking("/CN=Issuing")), Answer::Pass(_)));
        assert!(matches!(judge(&asking("/CN=Somebody")), Answer::Pass(_)));
    }

    #[test]
    fn without_a_ca_of_our_own_nobody_knows() {
        let facts = with(Require::X509);
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
