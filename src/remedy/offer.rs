//! What one account could require: the statement, what it would still let through, and whom it
//! would lock out.

pub use super::level::Level;
use super::level::{Refused, Trusted};
use super::statement::{Dialect, Form, Written};
use crate::facts::{Account, AccountName, Facts, Require, ServerFacts};
use crate::wire::TlsOffer;
use crate::x509::Certificate;

/// A statement ready to be sent, and what it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub require: Require,
    pub written: Written,
    /// What gives the account back what it requires now; no statement when that is the same.
    pub undo: Written,
    /// What somebody with the password could still do.
    pub explain: String,
    /// Who would be refused, and other things to know first.
    pub warnings: Vec<String>,
}

/// Writes the offer for an account of the server. `certificate` is the one that is to get in.
///
/// # Errors
/// A sentence that says what is missing.
pub fn offer(
    facts: &Facts,
    name: &AccountName,
    level: Level,
    form: Form,
    certificate: Option<&Certificate>,
) -> Result<Offer, String> {
    let server =
        facts.server.read().ok_or("the server has to be asked first; it does not answer")?;
    let accounts = server.accounts.read().ok_or("the accounts could not be read")?;
    let account = accounts.iter().find(|account| account.name == *name);
    let account =
        account.ok_or_else(|| format!("there is no account {name} any more; check again"))?;
    if level != Level::None && tls_is_off(facts, server) {
        return Err(
            "TLS is off, so every REQUIRE would lock the account out; mend that first".to_owned()
        );
    }
    let dialect = Dialect::of(server);
    let trusted = Trusted::of(facts);
    level.check(trusted).map_err(|why| why.to_string())?;
    let require = level.require(dialect, certificate, None).map_err(|why| match why {
        Refused::NoCertificate => {
            format!("{name} has no certificate of your own CA yet; make one first")
        }
        other => other.to_string(),
    })?;
    let one = std::slice::from_ref(name);
    let written = dialect.require(one, &require, form);
    let mut undo = dialect.require(one, &account.require, form);
    if account.require == require {
        undo.statements.clear();
    }
    let mut warnings = refused(server, account, level);
    warnings.extend(written.warnings.iter().cloned());
    let named = certificate.filter(|_| level >= Level::Issuer);
    if let Some(certificate) = named {
        warnings.extend(level.cautions(dialect, certificate));
        warnings.extend(level.otherwise(dialect, certificate, &require));
    }
    let asks_everybody = server.is_on("require_secure_transport");
    let explain = level.leaves_open(trusted, asks_everybody).to_owned();
    Ok(Offer { require, written, undo, explain, warnings })
}

/// Whether no client gets TLS, so that every REQUIRE would lock its account out.
pub fn tls_is_off(facts: &Facts, server: &ServerFacts) -> bool {
    let on_the_wire = facts.wire.read().map(|wire| matches!(wire.tls, TlsOffer::Established(_)));
    on_the_wire == Some(false) || matches!(server.variable("have_ssl"), Some("NO" | "DISABLED"))
}

/// Whose next connection would be refused, as far as anybody can see.
pub fn refused(server: &ServerFacts, account: &Account, level: Level) -> Vec<String> {
    let mut warnings = Vec::new();
    if level == Level::None {
        return warnings;
    }
    let sessions = server.sessions.read().map_or(&[][..], Vec::as_slice);
    let theirs = sessions.iter().filter(|session| session.user == account.name.user);
    for session in theirs {
        let from = &session.host;
        let user = &session.user;
        let warning = match (session.connection_type.as_str(), level) {
            ("TCP/IP", _) => {
                format!("would be refused from now on: {user} from {from} (comes without TLS)")
            }
            ("Socket", _) => {
                format!("{user} over the socket is refused unless its client uses TLS there, too")
            }
            (_, Level::X509 | Level::Issuer | Level::SubjectAndIssuer) => {
                format!(
                    "{user} from {from} uses TLS now; it needs the certificate from its next connection on"
                )
            }
            _ => continue,
        };
        let warning = crate::printable::printable(&warning).into_owned();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    if server.sessions.read().is_none() {
        warnings.push("who is connected without TLS now cannot be seen on this server".to_owned());
    }
    if server.current_user == account.name.to_string() {
        warnings.push("this is the account that mytls itself is logged in as".to_owned());
    }
    if account.name.is_local() {
        warnings.push(
            "clients on the socket mostly come without TLS: the mysql client needs --ssl-mode=REQUIRED there".to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{OtherSession, Source};
    use crate::rules::testing;
    use crate::x509::testing as pki;

    fn facts() -> Facts {
        testing::with_server(|server| {
            server.accounts = Source::Read(vec![testing::account("app", "%", Require::None)]);
        })
    }

    fn app() -> AccountName {
        AccountName::new("app", "%")
    }

    #[test]
    fn subject_and_issuer_are_those_of_the_certificate_and_undo_is_what_was() {
        let leaf = pki::root("Own CA").issue_server("app").certificate;
        let certificate = Certificate::from_openssl(&leaf);
        let offer =
            offer(&facts(), &app(), Level::SubjectAndIssuer, Form::Alter, Some(&certificate))
                .unwrap();
        assert_eq!(
            offer.written.sql(),
            "ALTER USER 'app'@'%' REQUIRE\n  SUBJECT '/CN=app'\n  AND ISSUER '/CN=Own CA';"
        );
        assert_eq!(offer.undo.sql(), "ALTER USER 'app'@'%' REQUIRE NONE;");
        assert_eq!(offer.warnings, Vec::<String>::new());
    }

    #[test]
    fn what_none_leaves_open_hangs_on_whether_the_server_asks_for_tls() {
        let mut facts = facts();
        for (asks, wanted) in [("ON", "over TLS only while"), ("OFF", "readable on the way")] {
            let Source::Read(server) = &mut facts.server else { panic!() };
            server.variables.insert("require_secure_transport".into(), asks.into());
            let offer = offer(&facts, &app(), Level::None, Form::Alter, None).unwrap();
            assert!(offer.explain.contains(wanted), "{asks}: {}", offer.explain);
        }
    }

    #[test]
    fn without_a_certificate_or_without_tls_there_is_no_offer() {
        assert!(
            offer(&facts(), &app(), Level::Issuer, Form::Alter, None)
                .unwrap_err()
                .contains("make one first")
        );
        let mut facts = facts();
        let Source::Read(wire) = &mut facts.wire else { panic!() };
        wire.tls = TlsOffer::NotOffered;
        assert!(
            offer(&facts, &app(), Level::Ssl, Form::Alter, None)
                .unwrap_err()
                .contains("TLS is off")
        );
        assert!(offer(&facts, &app(), Level::None, Form::Alter, None).is_ok());
    }

    #[test]
    fn whoever_comes_without_tls_is_named_once() {
        let mut facts = facts();
        let Source::Read(server) = &mut facts.server else { panic!() };
        let session = |id| OtherSession {
            id,
            user: "app".into(),
            host: "10.0.3.7".into(),
            connection_type: "TCP/IP".into(),
            command: String::new(),
        };
        server.sessions = Source::Read(vec![session(1), session(2)]);
        let offer = offer(&facts, &app(), Level::Ssl, Form::Alter, None).unwrap();
        assert_eq!(
            offer.warnings,
            ["would be refused from now on: app from 10.0.3.7 (comes without TLS)"]
        );
    }
}
