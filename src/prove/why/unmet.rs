//! What an account asks for and a login did not have.

use super::{Account, Case, Cause, Kind, cure};
use crate::facts::{Flavor, Require};
use crate::prove::log::Part;
use crate::prove::meaning::Shown;
use crate::remedy::Remedy;
use crate::remedy::statement::Dialect;

impl Case<'_> {
    /// What the account asks for and was not there, in the server's order.
    pub(super) fn unmet(&self, account: &Account) -> Vec<Cause> {
        let (attempt, require) = (self.attempt, &account.require);
        let mariadb = self.flavor() == Some(Flavor::MariaDb);
        let shown = attempt.shown();
        let names_nothing = |subject: &str, issuer: &str| subject.is_empty() && issuer.is_empty();
        let needs_certificate = match require {
            Require::None | Require::Ssl => false,
            Require::X509 => true,
            Require::Specified { subject, issuer, .. } => {
                !(mariadb && names_nothing(subject, issuer))
            }
        };
        if *require != Require::None && shown == Shown::Nothing {
            return vec![Self::tls_not_used(account)];
        }
        if needs_certificate && shown != Shown::Certificate {
            // the server looks at the cipher first
            let cipher = self.part(account, Part::Cipher);
            return cipher.into_iter().chain([self.certificate_missing(account)]).collect();
        }
        let Require::Specified { subject, issuer, cipher } = require else { return Vec::new() };
        if names_nothing(subject, issuer) && cipher.is_empty() && !mariadb {
            let what = format!("{} asks for an empty name, which no certificate has", account.name);
            return vec![Cause::new(Kind::Subject, what).cured(cure::require(self, account, None))];
        }
        [Part::Cipher, Part::Issuer, Part::Subject]
            .into_iter()
            .filter_map(|part| self.part(account, part))
            .collect()
    }

    /// One part of REQUIRE that does not fit, by the server's own word or by what was shown.
    pub(super) fn part(&self, account: &Account, part: Part) -> Option<Cause> {
        let asked = part.of(&account.require);
        if asked.is_empty() {
            return None;
        }
        let told = self.attempt.mismatch.as_ref().filter(|mismatch| mismatch.part == part);
        let (saw, whose) = match told {
            Some(mismatch) => (mismatch.server_saw.clone(), "the server saw"),
            None if part == Part::Cipher => (self.expected(part)?, "the connection has"),
            None => (self.expected(part)?, "the certificate says"),
        };
        if saw == asked {
            return None;
        }
        let kind = match part {
            Part::Cipher => Kind::Cipher,
            Part::Issuer => Kind::Issuer,
            Part::Subject => Kind::Subject,
        };
        let word = part.word();
        let what = match part {
            Part::Cipher => {
                format!("the connection uses another cipher than {} asks for", account.name)
            }
            _ => format!(
                "the {} that {} asks for is not that of this certificate",
                word, account.name
            ),
        };
        let mut cause = Cause::new(kind, what).saw(whose, &saw).saw("the account says", asked);
        cause.difference = crate::prove::difference(asked.as_bytes(), saw.as_bytes());
        let guessed = told.is_none() && part != Part::Cipher;
        if guessed && self.facts.server.read().is_some_and(|s| !Dialect::of(s).names_known) {
            cause = cause.advise(
                "the server did not say what it saw, and how its TLS library writes names is a guess",
            );
        }
        let cure = cure::require(self, account, told);
        Some(cause.cured(cure.map(|cure| match part {
            Part::Cipher => Remedy { title: "ask the account for this cipher".to_owned(), ..cure },
            Part::Issuer | Part::Subject => cure,
        })))
    }

    /// What a server of this kind makes of what was shown.
    pub(super) fn expected(&self, part: Part) -> Option<String> {
        let leaf = self.attempt.shown.first();
        let names = Dialect::of(self.facts.server.read()?).names;
        match part {
            Part::Cipher => self.attempt.cipher.clone(),
            Part::Issuer => leaf.map(|leaf| leaf.issuer.oneline(names)),
            Part::Subject => leaf.map(|leaf| leaf.subject.oneline(names)),
        }
    }
}
