use crate::facts::{Facts, Require};
use crate::remedy::statement::{Dialect, Form};
use crate::remedy::{Action, Remedy};
use crate::rules::accounts::specified;
use crate::rules::{Answer, rule};

rule! {
    /// An account asks for a cipher that TLS 1.3 does not have.
    ///
    /// ## What it checks
    /// Accounts with `REQUIRE CIPHER` of a TLS 1.2 suite, on a server that agrees on TLS 1.3.
    ///
    /// ## Why it matters
    /// Client and server take the newest protocol both know; the suites of TLS 1.3 have other
    /// names, so the account is refused with error 1045, which says nothing of ciphers. Only
    /// clients that are held to TLS 1.2 get in.
    ///
    /// ## How to fix
    /// Take the cipher out of the clause; which ciphers are spoken is for `ssl_cipher` and
    /// `tls_version` to say, for the whole server.
    ///
    /// ## Source
    /// `acl_check_ssl()` compares `SSL_get_cipher()`; RFC 8446, appendix B.4.
    pub static CIPHER_OF_OLD_PROTOCOL = {
        id: "cipher-of-old-protocol",
        step: Accounts,
        severity: Warning,
        passes_as: "no account asks for a cipher that is not spoken",
        explained_by: ["tls-off"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(handshake) = facts.handshake().filter(|handshake| handshake.version == "TLSv1.3")
    else {
        return Answer::not_applicable("no handshake came to TLS 1.3");
    };
    specified(facts, |server, account, (subject, issuer, cipher)| {
        if cipher.is_empty() || cipher.starts_with("TLS_") {
            return None;
        }
        let finding = CIPHER_OF_OLD_PROTOCOL
            .finding(
                format!("{} asks for a cipher that TLS 1.3 does not have", account.name),
                "clients that speak TLS 1.3, as most do, are refused with error 1045",
            )
            .saw("account", account.name.to_string())
            .saw("CIPHER", cipher)
            .saw("agreed on", format!("{} {}", handshake.version, handshake.cipher));
        let require = Require::Specified {
            subject: subject.to_owned(),
            issuer: issuer.to_owned(),
            cipher: String::new(),
        };
        let names = std::slice::from_ref(&account.name);
        let sql = Dialect::of(server).require(names, &require, Form::Alter).sql();
        let title = "take the cipher out of the clause";
        Some(finding.remedy([Remedy::new(title, vec![Action::sql(sql)])]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::accounts::testing::with;
    use crate::rules::testing;

    fn cipher(cipher: &str) -> Facts {
        with(Require::Specified {
            subject: "/CN=app".into(),
            issuer: String::new(),
            cipher: cipher.into(),
        })
    }

    #[test]
    fn the_cipher_goes_and_the_subject_stays() {
        let Answer::Fail(findings) = judge(&cipher("ECDHE-RSA-AES128-GCM-SHA256")) else {
            panic!()
        };
        let text = &findings[0].remedies[0].actions[0].text;
        assert_eq!(text, "ALTER USER 'app'@'%' REQUIRE\n  SUBJECT '/CN=app';");
        assert!(matches!(judge(&cipher("TLS_AES_256_GCM_SHA384")), Answer::Pass(_)));
    }

    #[test]
    fn where_tls_1_2_is_agreed_on_it_is_right() {
        let mut facts = cipher("ECDHE-RSA-AES128-GCM-SHA256");
        testing::handshake(&mut facts).version = "TLSv1.2".into();
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
