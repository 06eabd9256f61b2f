use crate::facts::{Account, Facts, Require, ServerFiles};
use crate::remedy::certificates::{effect_of_files, reissue, take_effect};
use crate::remedy::{Action, Remedy};
use crate::rules::chain::{right_ca_nearby, use_ca};
use crate::rules::{Answer, Severity, files, rule};
use crate::x509::Certificate;
use crate::x509::chain::{Purpose, verify};

rule! {
    /// The server trusts every CA of the system for its clients' certificates.
    ///
    /// ## What it checks
    /// Whether TLS is on and neither `ssl_ca` nor `ssl_capath` is set: OpenSSL then falls back on
    /// the system's CAs. And whether `ssl_ca` itself holds a CA that came with the system, while
    /// accounts `REQUIRE X509`.
    ///
    /// ## Why it matters
    /// An account with `REQUIRE X509` takes any certificate that any of some hundred public CAs
    /// issued to anybody; and a certificate of one's own CA is refused with "unknown ca".
    ///
    /// ## How to fix
    /// Name your own CA in `ssl_ca`, and no public one.
    ///
    /// ## Source
    /// OpenSSL `SSL_CTX_set_default_verify_paths(3)`; `vio/viosslfactories`, `new_VioSSLAcceptorFd()`.
    pub static PUBLIC_CA_TRUSTED_FOR_CLIENTS = {
        id: "public-ca-trusted-for-clients",
        step: Chain,
        severity: Error,
        passes_as: "clients need a certificate of the CA in ssl_ca",
        explained_by: ["tls-off"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    if !files.public_cas.is_empty() {
        return named_beside_others(facts, files);
    }
    if files.certificate.is_none() || facts.is_yassl() {
        return Answer::not_applicable(
            "no certificate is set, or the server has no CAs of a system",
        );
    }
    if files.ca.is_some() || files.capath.is_some() {
        return Answer::pass();
    }
    let accounts = facts.server.read().and_then(|server| server.accounts.read());
    let Some(accounts) = accounts else {
        return Answer::Unknown(
            "neither ssl_ca nor ssl_capath is set, and it is not known which accounts need a certificate".into(),
        );
    };
    let who = |wanted: fn(&Require) -> bool| -> Vec<&Account> {
        accounts.iter().filter(|account| !account.locked && wanted(&account.require)).collect()
    };
    let any = who(|require| *require == Require::X509);
    let certified = who(|require| {
        matches!(require, Require::Specified { subject, issuer, .. }
            if !subject.is_empty() || !issuer.is_empty())
    });
    if any.is_empty() && certified.is_empty() {
        return Answer::not_applicable("no account needs a certificate");
    }
    let names = |accounts: &[&Account]| {
        let names = accounts.iter().take(5).map(|account| account.name.to_string());
        names.collect::<Vec<_>>().join(", ")
    };
    let mut finding = PUBLIC_CA_TRUSTED_FOR_CLIENTS
        .finding(
            "the server trusts the system's public CAs for its clients' certificates",
            "without ssl_ca, whoever holds a certificate of any public CA has a valid one, and those of a CA of your own are refused",
        )
        .at(if any.is_empty() { Severity::Warning } else { Severity::Error })
        .saw("ssl_ca", "not set");
    if !any.is_empty() {
        finding = finding.saw("let anybody's in", names(&any));
    }
    if !certified.is_empty() {
        finding = finding.saw("name theirs", names(&certified));
    }
    let right = right_ca_nearby(files).and_then(|path| use_ca(facts, path));
    let reissue = if right.is_none() { reissue(facts) } else { None };
    Answer::fail(finding.remedy(right).remedy(reissue))
}

/// `ssl_ca` itself holds a public CA: only `REQUIRE X509` minds, which asks for no name.
fn named_beside_others(facts: &Facts, files: &ServerFiles) -> Answer {
    let Some(accounts) = facts.server.read().and_then(|server| server.accounts.read()) else {
        return Answer::Unknown(
            "ssl_ca holds a public CA, and it is not known which accounts need a certificate"
                .into(),
        );
    };
    let names: Vec<String> = accounts
        .iter()
        .filter(|account| !account.locked && account.require == Require::X509)
        .take(5)
        .map(|account| account.name.to_string())
        .collect();
    if names.is_empty() {
        return Answer::pass();
    }
    let all = files.ca_certificates();
    let (public, own): (Vec<usize>, Vec<usize>) =
        (0..all.len()).partition(|at| files.public_cas.contains(at));
    let mut finding = PUBLIC_CA_TRUSTED_FOR_CLIENTS.finding(
        "ssl_ca holds a public CA, whose certificates anybody can have",
        "REQUIRE X509 takes any certificate of any CA in ssl_ca",
    );
    for at in public.iter().take(3) {
        finding = finding.saw("public CA", all[*at].subject.display());
    }
    let finding = finding.saw("let anybody's in", names.join(", "));
    let own: Vec<&Certificate> = own.into_iter().map(|at| &all[at]).collect();
    let without = without_public(facts, files, &own);
    let reissue = if without.is_none() { reissue(facts) } else { None };
    Answer::fail(finding.remedy(without).remedy(reissue))
}

/// `ssl_ca` without the public ones, where the server's own certificate does not need them.
fn without_public(facts: &Facts, files: &ServerFiles, own: &[&Certificate]) -> Option<Remedy> {
    let file = files.ca.as_ref().filter(|_| !files.is_combined("ssl_ca"))?;
    let trusted: Vec<_> = own.iter().filter_map(|ca| ca.to_openssl()).collect();
    let others: Vec<_> = files.certificates().iter().filter_map(Certificate::to_openssl).collect();
    let leaf = files.leaf()?.to_openssl()?;
    verify(&leaf, &others, &trusted, Purpose::Server).ok()?;
    let text: String = own.iter().map(|ca| ca.pem.as_str()).collect();
    let effect = effect_of_files(facts);
    let mut actions = vec![Action::file(&file.path, text, effect)];
    actions.extend(take_effect(facts, effect));
    let note = "clients whose certificate is of the public CA are refused from then on";
    Some(Remedy::new("leave your own CA alone in ssl_ca", actions).with_note(note))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Source;
    use crate::rules::testing;

    fn without_ca(require: Require) -> Facts {
        let mut facts = testing::with_files(|files| (files.ca, files.under_ca) = (None, None));
        let Source::Read(server) = &mut facts.server else { panic!() };
        server.accounts = Source::Read(vec![testing::account("app", "%", require)]);
        facts
    }

    #[test]
    fn x509_without_a_ca_lets_anybody_in() {
        let Answer::Fail(findings) = judge(&without_ca(Require::X509)) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Error);
        assert_eq!(findings[0].evidence[1].value, "app@%");
    }

    #[test]
    fn a_named_subject_is_a_warning() {
        let subject = Require::Specified {
            subject: "/CN=app".into(),
            issuer: String::new(),
            cipher: String::new(),
        };
        let Answer::Fail(findings) = judge(&without_ca(subject)) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Warning);
    }

    #[test]
    fn a_public_ca_beside_ones_own_is_taken_out() {
        let public = crate::x509::testing::root("Public CA");
        let mut facts = testing::with_files(|files| {
            let public = Certificate::from_openssl(&public.certificate);
            files.ca.as_mut().unwrap().content.as_mut().unwrap().push(public);
            files.public_cas = vec![1];
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let action = &findings[0].remedies[0].actions[0];
        assert_eq!(action.text.matches("BEGIN").count(), 1, "the other stays");
        let Source::Read(server) = &mut facts.server else { panic!() };
        server.accounts = Source::Read(vec![testing::account("app", "%", Require::Ssl)]);
        assert_eq!(judge(&facts), Answer::pass());
    }

    #[test]
    fn nobody_who_needs_a_certificate_nothing_to_say() {
        assert!(matches!(judge(&without_ca(Require::Ssl)), Answer::NotApplicable(_)));
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }
}
