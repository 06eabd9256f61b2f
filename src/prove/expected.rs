//! What has to come of a login, by what the account REQUIREs.

use super::{Case, Expected};
use crate::facts::{Flavor, Require};

/// What the server has to answer (`acl_check_ssl` in `sql/auth/sql_authentication.cc`, MariaDB
/// `sql/sql_acl.cc`). A certificate that does not verify is refused in the handshake already,
/// whatever the account requires, because the server asks for one and looks at what it gets.
pub fn expected(
    case: Case,
    require: &Require,
    flavor: Flavor,
    transport_enforced: bool,
) -> Expected {
    let let_in = match case {
        Case::RightCertificate => true,
        Case::NoTls => *require == Require::None && !transport_enforced,
        Case::NoCertificate => match require {
            Require::None | Require::Ssl => true,
            Require::X509 => false,
            // MySQL fetches the certificate before it asks what for; MariaDB asks first.
            Require::Specified { subject, issuer, .. } => {
                flavor == Flavor::MariaDb && subject.is_empty() && issuer.is_empty()
            }
        },
        Case::OtherCa | Case::Expired | Case::Revoked => false,
        Case::OtherSubject => match require {
            Require::None | Require::Ssl | Require::X509 => true,
            Require::Specified { subject, .. } => subject.is_empty(),
        },
    };
    if let_in { Expected::LetIn } else { Expected::Refused }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specified(subject: &str, issuer: &str, cipher: &str) -> Require {
        let [subject, issuer, cipher] = [subject, issuer, cipher].map(str::to_owned);
        Require::Specified { subject, issuer, cipher }
    }

    /// The cases in which a login has to be let in.
    fn let_in(require: &Require, flavor: Flavor, enforced: bool) -> Vec<Case> {
        let let_in = |case: &Case| expected(*case, require, flavor, enforced) == Expected::LetIn;
        Case::ALL.into_iter().filter(let_in).collect()
    }

    #[test]
    fn each_requirement_keeps_out_what_it_says() {
        use Case::{NoCertificate, NoTls, OtherSubject, RightCertificate};
        let my = Flavor::MySql;
        let all = [RightCertificate, NoTls, NoCertificate, OtherSubject];
        assert_eq!(let_in(&Require::None, my, false), all);
        assert_eq!(
            let_in(&Require::None, my, true),
            [RightCertificate, NoCertificate, OtherSubject]
        );
        assert_eq!(
            let_in(&Require::Ssl, my, false),
            [RightCertificate, NoCertificate, OtherSubject]
        );
        assert_eq!(let_in(&Require::X509, my, false), [RightCertificate, OtherSubject]);
        assert_eq!(let_in(&specified("/CN=a", "/CN=b", ""), my, false), [RightCertificate]);
        assert_eq!(let_in(&specified("/CN=a", "", ""), my, true), [RightCertificate]);
        assert_eq!(
            let_in(&specified("", "/CN=b", ""), my, false),
            [RightCertificate, OtherSubject]
        );
    }

    #[test]
    fn a_cipher_alone_wants_a_certificate_on_mysql_only() {
        let cipher = specified("", "", "TLS_AES_256_GCM_SHA384");
        assert!(!let_in(&cipher, Flavor::MySql, false).contains(&Case::NoCertificate));
        assert!(let_in(&cipher, Flavor::MariaDb, false).contains(&Case::NoCertificate));
    }
}
