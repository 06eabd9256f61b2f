use crate::facts::{Account, Facts, Require};
use crate::remedy::statement::{Dialect, Form};
use crate::remedy::{Action, Remedy};
use crate::rules::accounts::specified;
use crate::rules::{Answer, rule};

rule! {
    /// An account asks for a certificate with an empty name.
    ///
    /// ## What it checks
    /// Accounts whose `REQUIRE SUBJECT`, `ISSUER` and `CIPHER` are all empty.
    ///
    /// ## Why it matters
    /// It reads as "one certificate" and is not: MySQL lets in any valid certificate from its next
    /// restart on (and nobody before), MariaDB every TLS session without any certificate.
    ///
    /// ## How to fix
    /// Name the certificate's subject and issuer, or ask for any certificate with `REQUIRE X509`.
    ///
    /// ## Source
    /// `acl_check_ssl()` of both families: an empty name is not compared.
    pub static SUBJECT_EMPTY = {
        id: "subject-empty",
        step: Accounts,
        severity: Error,
        passes_as: "no account asks for an empty name",
        explained_by: ["tls-off"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    specified(facts, |server, account, (subject, issuer, cipher)| {
        if !(subject.is_empty() && issuer.is_empty() && cipher.is_empty()) {
            return None;
        }
        let finding = SUBJECT_EMPTY
            .finding(
                format!("{} asks for a certificate with an empty name", account.name),
                "an empty name is not compared, so the account asks for less than it says",
            )
            .saw("account", account.name.to_string())
            .saw("now", "REQUIRE SUBJECT ''");
        let Account { name, .. } = account;
        let names = std::slice::from_ref(name);
        let sql = Dialect::of(server).require(names, &Require::X509, Form::Alter).sql();
        Some(
            finding.remedy([Remedy::new("ask for any certificate", vec![Action::sql(sql)])
                .with_note("SUBJECT and ISSUER of its certificate ask for more")]),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::accounts::testing::{empty, with};

    #[test]
    fn an_empty_name_becomes_any_certificate() {
        let Answer::Fail(findings) = judge(&with(empty())) else { panic!() };
        assert_eq!(findings[0].remedies[0].actions[0].text, "ALTER USER 'app'@'%' REQUIRE X509;");
    }

    #[test]
    fn a_name_passes_and_accounts_without_are_not_judged() {
        let Require::Specified { issuer, cipher, .. } = empty() else { panic!() };
        let named = Require::Specified { subject: "/CN=app".into(), issuer, cipher };
        assert!(matches!(judge(&with(named)), Answer::Pass(_)));
        assert!(matches!(judge(&with(Require::X509)), Answer::NotApplicable(_)));
    }
}
