//! What accounts could require: the statements, what they would still let through, and whom they
//! would lock out.

use super::cipher::Cipher;
pub use super::level::Level;
use super::level::{Refused, Trusted};
use super::lockout::{Proposal, forecast};
use super::statement::{Dialect, Form, Written};
use crate::facts::{Account, AccountName, Facts, Require, ServerFacts};
use crate::printable::printable;
use crate::wire::TlsOffer;
use crate::x509::Certificate;

/// Statements ready to be sent, and what they come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What each is to require; those without a certificate are not among them.
    pub orders: Vec<(AccountName, Require)>,
    pub written: Written,
    /// What gives the accounts back what they require now; no statement when that is the same.
    pub undo: Written,
    /// What somebody with the password could still do.
    pub explain: String,
    /// Who would be refused, and other things to know first.
    pub warnings: Vec<String>,
}

/// What is asked of all of them.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    pub level: Level,
    pub cipher: Option<&'a Cipher>,
    pub form: Form,
}

/// Writes the offer for accounts of the server. `certificate` has the one that is to get in, for
/// each of them.
///
/// # Errors
/// A sentence that says what is missing.
pub fn offer(
    facts: &Facts,
    names: &[AccountName],
    wish: Wish,
    certificate: &dyn Fn(&AccountName) -> Option<Certificate>,
) -> Result<Offer, String> {
    let Wish { level, cipher, form } = wish;
    let server =
        facts.server.read().ok_or("the server has to be asked first; it does not answer")?;
    let all = server.accounts.read().ok_or("the accounts could not be read")?;
    if level != Level::None && tls_is_off(facts, server) {
        return Err(
            "TLS is off, so every REQUIRE would lock the account out; mend that first".to_owned()
        );
    }
    let dialect = Dialect::of(server);
    let trusted = Trusted::of(facts);
    level.check(trusted).map_err(|why| why.to_string())?;
    let mut warnings = Vec::new();
    if let Some(cipher) = cipher {
        let cautions = cipher.cautions(dialect, Some(server)).map_err(|why| why.to_string())?;
        warnings.extend(cautions);
    }
    let (mut orders, mut undo, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        let account = find(all, name);
        let account =
            account.ok_or_else(|| format!("there is no account {name} any more; check again"))?;
        let certificate = if level >= Level::Issuer { certificate(name) } else { None };
        let require = match level.require(dialect, certificate.as_ref(), cipher) {
            Ok(require) => require,
            Err(Refused::NoCertificate) => {
                without.push(name);
                continue;
            }
            Err(other) if names.len() == 1 => return Err(other.to_string()),
            Err(other) => return Err(format!("{name}: {other}")),
        };
        if let Some(certificate) = &certificate {
            warnings.extend(level.cautions(dialect, certificate));
            warnings.extend(level.otherwise(dialect, certificate, &require));
        }
        if account.require != require {
            undo.push((name, &account.require));
        }
        orders.push((name.clone(), require));
    }
    if orders.is_empty() {
        return Err(match without.as_slice() {
            [one] => format!("{one} has no certificate of your own CA yet; make one first"),
            _ => "none of them has a certificate of your own CA yet; make them first".to_owned(),
        });
    }
    if !without.is_empty() {
        warnings.insert(0, left_out(&without));
    }
    let script = |orders: &mut dyn Iterator<Item = (&AccountName, &Require)>| {
        let orders = orders.map(|(name, require)| (std::slice::from_ref(name), require));
        dialect.script(orders, form)
    };
    let written = script(&mut orders.iter().map(|(name, require)| (name, require)));
    let nothing = Written { statements: Vec::new(), ..written.clone() };
    let undo = if undo.is_empty() { nothing } else { script(&mut undo.into_iter()) };
    warnings.extend(written.warnings.iter().cloned());
    let mut said = std::collections::HashSet::new();
    warnings.retain(|word| said.insert(word.clone()));
    let mut first = forecast(facts, Proposal::Require(&orders)).warnings();
    first.append(&mut warnings);
    let explain = level.leaves_open(trusted, server.is_on("require_secure_transport")).to_owned();
    Ok(Offer { orders, written, undo, explain, warnings: first })
}

/// The accounts are in the order of their names, as they are read; facts from elsewhere may not be.
fn find<'a>(all: &'a [Account], name: &AccountName) -> Option<&'a Account> {
    let at = all.binary_search_by(|account| account.name.cmp(name));
    let found = at.ok().and_then(|at| all.get(at));
    found.or_else(|| all.iter().find(|account| account.name == *name))
}

fn left_out(without: &[&AccountName]) -> String {
    const SHOWN: usize = 3;
    let first: Vec<String> = without.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = match without.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let names = printable(&first.join(", ")).into_owned();
    format!("left out, without a certificate of your own CA: {names}{more}")
}

/// Whether no client gets TLS, so that every REQUIRE would lock its account out.
pub fn tls_is_off(facts: &Facts, server: &ServerFacts) -> bool {
    let on_the_wire = facts.wire.read().map(|wire| matches!(wire.tls, TlsOffer::Established(_)));
    on_the_wire == Some(false) || matches!(server.variable("have_ssl"), Some("NO" | "DISABLED"))
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

    fn offered(
        facts: &Facts,
        level: Level,
        certificate: Option<&Certificate>,
    ) -> Result<Offer, String> {
        let wish = Wish { level, cipher: None, form: Form::Alter };
        offer(facts, &[app()], wish, &|_| certificate.cloned())
    }

    fn app() -> AccountName {
        AccountName::new("app", "%")
    }

    #[test]
    fn subject_and_issuer_are_those_of_the_certificate_and_undo_is_what_was() {
        let leaf = pki::root("Own CA").issue_server("app").certificate;
        let certificate = Certificate::from_openssl(&leaf);
        let offer = offered(&facts(), Level::SubjectAndIssuer, Some(&certificate)).unwrap();
        assert_eq!(
            offer.written.sql(),
            "ALTER USER 'app'@'%' REQUIRE\n  SUBJECT '/CN=app'\n  AND ISSUER '/CN=Own CA';"
        );
        assert_eq!(offer.undo.sql(), "ALTER USER 'app'@'%' REQUIRE NONE;");
        // nobody is refused; what may bite later is all there is to say
        assert!(offer.warnings.iter().all(|word| word.contains("over the socket")));
    }

    #[test]
    fn what_none_leaves_open_hangs_on_whether_the_server_asks_for_tls() {
        let mut facts = facts();
        for (asks, wanted) in [("ON", "over TLS only while"), ("OFF", "readable on the way")] {
            let Source::Read(server) = &mut facts.server else { panic!() };
            server.variables.insert("require_secure_transport".into(), asks.into());
            let offer = offered(&facts, Level::None, None).unwrap();
            assert!(offer.explain.contains(wanted), "{asks}: {}", offer.explain);
        }
    }

    #[test]
    fn without_a_certificate_or_without_tls_there_is_no_offer() {
        assert!(offered(&facts(), Level::Issuer, None).unwrap_err().contains("make one first"));
        let mut facts = facts();
        let Source::Read(wire) = &mut facts.wire else { panic!() };
        wire.tls = TlsOffer::NotOffered;
        assert!(offered(&facts, Level::Ssl, None).unwrap_err().contains("TLS is off"));
        assert!(offered(&facts, Level::None, None).is_ok());
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
            over: None,
        };
        server.sessions = Source::Read(vec![session(1), session(2)]);
        let offer = offered(&facts, Level::Ssl, None).unwrap();
        let said = "would be refused: 2 sessions of `app` come in without TLS from 10.0.3.7";
        assert!(offer.warnings[0].starts_with(said), "{:?}", offer.warnings);
    }

    /// Each is to show its own; who has none is named, and the others go on.
    #[test]
    fn of_several_each_gets_its_own_certificate_and_who_has_none_is_left_out() {
        let facts = testing::with_server(|server| {
            server.accounts = Source::Read(vec![
                testing::account("app", "%", Require::None),
                testing::account("etl", "%", Require::Ssl),
                testing::account("web", "%", Require::None),
            ]);
        });
        let root = pki::root("Own CA");
        let names = ["app", "etl", "web"].map(|user| AccountName::new(user, "%"));
        let wish = Wish { level: Level::SubjectAndIssuer, cipher: None, form: Form::Alter };
        let made = |name: &AccountName| {
            let leaf = root.issue_server(&name.user).certificate;
            (name.user != "web").then(|| Certificate::from_openssl(&leaf))
        };
        let offer = offer(&facts, &names, wish, &made).unwrap();
        let sql = offer.written.sql();
        assert!(sql.contains("'/CN=app'") && sql.contains("'/CN=etl'") && !sql.contains("web"));
        assert!(offer.undo.sql().contains("ALTER USER 'etl'@'%' REQUIRE SSL"));
        assert!(
            offer
                .warnings
                .iter()
                .any(|word| word.starts_with("left out") && word.ends_with("web@%"))
        );
    }

    #[test]
    fn a_cipher_is_asked_for_as_well() {
        let cipher = Cipher::parse("TLS_AES_256_GCM_SHA384").unwrap();
        let wish = Wish { level: Level::Ssl, cipher: Some(&cipher), form: Form::Alter };
        let offer = offer(&facts(), &[app()], wish, &|_| None).unwrap();
        assert!(offer.written.sql().contains("CIPHER 'TLS_AES_256_GCM_SHA384'"));
        assert!(offer.warnings.iter().any(|word| word.contains("TLS 1.2")));
    }
}
