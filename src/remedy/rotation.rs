//! The accounts that name the issuer of their certificate, while that CA is replaced.
//!
//! `REQUIRE` names one issuer only, so such an account would have to change at the very moment at
//! which its client changes its certificate. In between it is therefore held to something that its
//! certificates of both CAs have: the subject, or where it names none, a certificate at all.

use super::statement::{Dialect, Form, Written};
use crate::facts::{Account, AccountName, Require};
use crate::x509::{Name, OneLine};

/// Whether an account is bound to this issuer, however its library writes the name.
pub fn names_issuer(account: &Account, issuer: &Name) -> bool {
    let Require::Specified { issuer: named, .. } = &account.require else { return false };
    let written = [OneLine::OpenSsl3, OneLine::OpenSsl1, OneLine::YaSsl];
    written.iter().any(|library| issuer.oneline(*library) == *named)
}

/// What such an account is held to while its client may show a certificate of either CA.
pub fn meanwhile(require: &Require) -> Require {
    match require {
        Require::Specified { subject, cipher, .. } if !subject.is_empty() => Require::Specified {
            subject: subject.clone(),
            issuer: String::new(),
            cipher: cipher.clone(),
        },
        // CIPHER alone would ask for no certificate
        Require::Specified { .. } => Require::X509,
        other => other.clone(),
    }
}

/// What it is held to in the end.
pub fn afterwards(require: &Require, issuer: &Name, dialect: Dialect) -> Require {
    match require {
        Require::Specified { subject, cipher, .. } => Require::Specified {
            subject: subject.clone(),
            issuer: issuer.oneline(dialect.names),
            cipher: cipher.clone(),
        },
        other => other.clone(),
    }
}

/// The statements that bring an account from one to the other, and those that take them back.
pub fn change(
    account: &AccountName,
    from: &Require,
    to: &Require,
    dialect: Dialect,
) -> (Written, Written) {
    let account = std::slice::from_ref(account);
    (dialect.require(account, to, Form::Alter), dialect.require(account, from, Form::Alter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Flavor, Version};
    use crate::x509::testing;

    fn bound(subject: &str, issuer: &str, cipher: &str) -> Require {
        let [subject, issuer, cipher] = [subject, issuer, cipher].map(str::to_owned);
        Require::Specified { subject, issuer, cipher }
    }

    fn name(cn: &str) -> Name {
        Name::from_openssl(testing::root(cn).certificate.subject_name())
    }

    #[test]
    fn an_account_is_known_by_the_issuer_it_names() {
        let old = name("Old CA");
        let account = |require| crate::rules::testing::account("app", "%", require);
        let own = old.oneline(OneLine::OpenSsl3);
        assert!(names_issuer(&account(bound("/CN=app", &own, "")), &old));
        assert!(!names_issuer(&account(bound("/CN=app", "/CN=Another", "")), &old));
        assert!(!names_issuer(&account(bound("/CN=app", "", "")), &old));
        assert!(!names_issuer(&account(Require::X509), &old));
    }

    #[test]
    fn in_between_it_is_held_to_what_both_certificates_have() {
        assert_eq!(meanwhile(&bound("/CN=app", "/CN=Old", "A")), bound("/CN=app", "", "A"));
        assert_eq!(meanwhile(&bound("", "/CN=Old", "")), Require::X509);
        assert_eq!(meanwhile(&bound("", "/CN=Old", "A")), Require::X509);
    }

    #[test]
    fn there_and_back_again_in_the_servers_own_form() {
        let names = OneLine::OpenSsl3;
        let dialect =
            Dialect { flavor: Flavor::MySql, version: Version(9, 7, 0), names, names_known: true };
        let account = AccountName::new("app", "10.0.%");
        let before = bound("/CN=app", "/CN=Old", "");
        let between = meanwhile(&before);
        let (there, back) = change(&account, &before, &between, dialect);
        assert_eq!(there.sql(), "ALTER USER 'app'@'10.0.%' REQUIRE\n  SUBJECT '/CN=app';");
        assert!(back.sql().contains("AND ISSUER '/CN=Old'"));
        let new = name("New CA");
        let after = afterwards(&before, &new, dialect);
        assert_eq!(after, bound("/CN=app", &new.oneline(names), ""));
        let old_dialect = Dialect { version: Version(5, 6, 24), ..dialect };
        let (grant, _) = change(&account, &between, &after, old_dialect);
        assert!(grant.statements[1].starts_with("GRANT USAGE ON *.* TO"), "{}", grant.sql());
    }
}
