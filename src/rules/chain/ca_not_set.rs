use crate::facts::{Account, Facts, Require};
use crate::remedy::certificates::reissue;
use crate::rules::chain::{right_ca_nearby, use_ca};
use crate::rules::{Answer, files, rule};

rule! {
    /// Accounts need a certificate, and yaSSL has no CA to check one under.
    ///
    /// ## What it checks
    /// Whether a server built with yaSSL has neither `ssl_ca` nor `ssl_capath`, although accounts
    /// ask for a certificate.
    ///
    /// ## Why it matters
    /// OpenSSL falls back on the CAs of the system; yaSSL has none. TLS is on all the same, and the
    /// server breaks off with every client that shows a certificate, so nobody gets in on these
    /// accounts.
    ///
    /// ## How to fix
    /// Name the CA of the clients' certificates in `ssl_ca`.
    ///
    /// ## Source
    /// MySQL manual 5.6, "ssl_ca"; yaSSL `extra/yassl/src/ssl.cpp`,
    /// `SSL_CTX_set_default_verify_paths()`, which does nothing.
    pub static CA_NOT_SET = {
        id: "ca-not-set",
        step: Chain,
        severity: Error,
        passes_as: "there is a CA to check clients' certificates under",
        explained_by: ["tls-off"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if !facts.is_yassl() {
        return Answer::not_applicable("OpenSSL falls back on the CAs of the system");
    }
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    if files.certificate.is_none() {
        return Answer::not_applicable("no certificate is set");
    }
    if files.ca.is_some() || files.capath.is_some() {
        return Answer::pass();
    }
    let accounts = facts.server.read().and_then(|server| server.accounts.read());
    let Some(accounts) = accounts else {
        return Answer::Unknown(
            "ssl_ca is not set, and it is not known which accounts need a certificate".into(),
        );
    };
    let shut_out: Vec<&Account> = accounts
        .iter()
        .filter(|account| !account.locked)
        .filter(|account| matches!(account.require, Require::X509 | Require::Specified { .. }))
        .collect();
    if shut_out.is_empty() {
        return Answer::not_applicable("no account needs a certificate");
    }
    let names: Vec<String> =
        shut_out.iter().take(5).map(|account| account.name.to_string()).collect();
    let finding = CA_NOT_SET
        .finding(
            "ssl_ca is not set, and accounts need a certificate",
            "yaSSL has no CA to check a client's certificate under, and breaks off with every client that shows one",
        )
        .saw("ssl_ca", "not set")
        .saw("cannot log in", names.join(", "));
    let right = right_ca_nearby(files).and_then(|path| use_ca(facts, path));
    let reissue = if right.is_none() { reissue(facts) } else { None };
    Answer::fail(finding.remedy(right).remedy(reissue))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Source;
    use crate::rules::testing;

    fn without_ca(library: &str, require: Require) -> Facts {
        let mut facts = testing::with_files(|files| (files.ca, files.under_ca) = (None, None));
        let Source::Read(server) = &mut facts.server else { panic!() };
        server.tls_library = Some(library.into());
        server.accounts = Source::Read(vec![testing::account("app", "%", require)]);
        facts
    }

    #[test]
    fn whoever_needs_a_certificate_is_named() {
        let Answer::Fail(findings) = judge(&without_ca("YaSSL", Require::X509)) else { panic!() };
        assert_eq!(findings[0].evidence[1].value, "app@%");
        assert_eq!(findings[0].remedies.len(), 1);
    }

    #[test]
    fn with_a_ca_it_passes() {
        let facts = testing::with_server(|server| server.tls_library = Some("YaSSL".into()));
        assert_eq!(judge(&facts), Answer::pass());
    }

    #[test]
    fn openssl_and_accounts_without_certificates_do_not_ask() {
        for facts in [
            without_ca("OpenSSL 3.0.19 27 Jan 2026", Require::X509),
            without_ca("YaSSL", Require::Ssl),
        ] {
            assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
        }
    }
}
