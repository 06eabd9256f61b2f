use crate::facts::{Account, Facts, Require};
use crate::remedy::certificates::reissue;
use crate::rules::chain::{right_ca_nearby, use_ca};
use crate::rules::{Answer, Severity, files, rule};

rule! {
    /// The server trusts every CA of the system for its clients' certificates.
    ///
    /// ## What it checks
    /// Whether TLS is on and neither `ssl_ca` nor `ssl_capath` is set: OpenSSL then falls back on
    /// the system's CAs.
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
    fn nobody_who_needs_a_certificate_nothing_to_say() {
        assert!(matches!(judge(&without_ca(Require::Ssl)), Answer::NotApplicable(_)));
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }
}
