//! What a refusal comes to: the server's words, and which of password and certificate it was.
//!
//! Both families look at the password first and at the certificate after that, and answer 1045
//! for either (`acl_authenticate`, then `acl_check_ssl`). So a name that did not fit is logged only
//! where the password was right, and a certificate with which nothing is wrong leaves the password.

use super::log::{Line, Mismatch};
use super::{ACCESS_DENIED, Case, Happened, INSECURE_TRANSPORT, Reason, Subject, Witness};
use crate::facts::{AccountName, Require};
use crate::printable::printable;
use crate::wire::Trace;

/// `ER_ACCOUNT_HAS_BEEN_LOCKED`, of MySQL and of MariaDB: both look at the password before.
const LOCKED_MYSQL: u16 = 3118;
const LOCKED_MARIADB: u16 = 4151;
/// `ER_MUST_CHANGE_PASSWORD_LOGIN`
const EXPIRED: u16 = 1862;

/// Listens to what the server has to say about a login that was refused.
pub(super) fn reason(
    subject: &Subject<'_>,
    case: Case,
    happened: &Happened,
    trace: &Trace,
    witness: &mut Witness,
) -> Option<Reason> {
    let in_handshake = matches!(happened, Happened::HandshakeRefused { .. });
    if !in_handshake && !matches!(happened, Happened::Refused { .. }) {
        return None;
    }
    let lines = witness.heard(trace, in_handshake);
    let mismatch = lines.iter().find_map(|line| Mismatch::read(&line.text, Some(subject.require)));
    let heard = Heard {
        mismatch: mismatch.as_ref(),
        password_fits: trace.password_fits,
        complete: witness.would_hear(),
    };
    let meaning = match happened {
        Happened::HandshakeRefused { reason } => in_the_handshake(reason, &lines),
        Happened::Refused { code: ACCESS_DENIED, message } => {
            match elsewhere(subject, message, trace) {
                Some(other) => other,
                None => blame(Shown::of(case), subject.require, heard),
            }
        }
        Happened::Refused { code: LOCKED_MYSQL | LOCKED_MARIADB, .. } if subject.around.is_role => {
            "it is a role, and nobody logs in as one; the password is right".to_owned()
        }
        Happened::Refused { code: LOCKED_MYSQL | LOCKED_MARIADB, .. } => {
            "the account is locked; the password is right".to_owned()
        }
        Happened::Refused { code: EXPIRED, .. } => {
            "the password is right, and has expired".to_owned()
        }
        Happened::Refused { code: INSECURE_TRANSPORT, .. } => {
            "the server takes no connection without TLS, whatever the account says".to_owned()
        }
        _ => String::new(),
    };
    Some(Reason { lines: lines.iter().map(Line::message).collect(), mismatch, meaning })
}

/// Why the login did not come to this account, where it did not: it is not for the host that it came
/// from, or another one is more specific.
fn elsewhere(subject: &Subject<'_>, message: &str, trace: &Trace) -> Option<String> {
    let named = super::why::host(message, &subject.account.user);
    let from = named.or_else(|| Some(trace.from?.to_string()))?;
    let address = trace.from.map(|ip| ip.to_string());
    let admits = |account: &AccountName| {
        let addressed = address.as_deref().is_some_and(|ip| subject.admits(account, ip));
        addressed
            || subject.admits(account, &from)
            || (from == "localhost" && subject.admits(account, "127.0.0.1"))
    };
    let from = printable(&from);
    if !admits(&subject.account) {
        return Some(format!(
            "{} may not come from {from}, so another account answered, or none",
            subject.account
        ));
    }
    let first = subject.around.before.iter().find(|other| admits(other))?;
    Some(format!(
        "{first} answers whoever comes from {from}, and not {}: of the accounts that fit, the one with the \
         more specific host does",
        subject.account
    ))
}

fn in_the_handshake(alert: &str, lines: &[Line]) -> String {
    // neither family logs why, only that there was something (MY-010914, Aborted connection)
    let logged = if lines.is_empty() { "" } else { "; its log does not say more" };
    format!(
        "the server's TLS refused the certificate before any account was looked at: {alert}{logged}"
    )
}

/// What a login showed of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// No TLS.
    Nothing,
    Tls,
    /// TLS, and a certificate that the handshake took.
    Certificate,
}

impl Shown {
    fn of(case: Case) -> Self {
        match case {
            Case::NoTls => Self::Nothing,
            Case::NoCertificate => Self::Tls,
            _ => Self::Certificate,
        }
    }
}

/// What was heard about a login.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    pub mismatch: Option<&'a Mismatch>,
    /// The server let out that the password is right.
    pub password_fits: bool,
    /// A name that did not fit would have been heard.
    pub complete: bool,
}

/// Whether it was the password, the certificate, or cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    Password,
    /// What it showed is not what the account asks for; the password is right.
    Requirement,
    /// What it showed is not what the account asks for, and whether the password is right the
    /// server has not said.
    RequirementAtLeast,
    Either,
}

/// Leads a 1045 back to the one or the other.
pub fn whom(shown: Shown, require: &Require, heard: Heard<'_>) -> Blame {
    let short = is_short(shown, require);
    match (heard.mismatch.is_some() || heard.password_fits, short) {
        (true, _) => Blame::Requirement,
        (false, true) => Blame::RequirementAtLeast,
        (false, false) if heard.complete || !names_are_compared(require) => Blame::Password,
        (false, false) => Blame::Either,
    }
}

/// Whether it shows less than the account asks for, whatever stands in it.
fn is_short(shown: Shown, require: &Require) -> bool {
    match require {
        Require::None => false,
        Require::Ssl => shown == Shown::Nothing,
        // MariaDB lets in without a certificate where a cipher alone is asked for
        Require::Specified { subject, issuer, .. } if subject.is_empty() && issuer.is_empty() => {
            shown == Shown::Nothing
        }
        Require::X509 | Require::Specified { .. } => shown != Shown::Certificate,
    }
}

fn names_are_compared(require: &Require) -> bool {
    matches!(require, Require::Specified { .. })
}

fn blame(shown: Shown, require: &Require, heard: Heard<'_>) -> String {
    let lacks = match shown {
        Shown::Nothing => "TLS",
        _ => "a certificate",
    };
    match whom(shown, require, heard) {
        Blame::Password => "the password is wrong: what the account REQUIREs was there".to_owned(),
        Blame::Requirement => match heard.mismatch {
            Some(mismatch) => {
                format!(
                    "the password is right; the {} is not what the account says",
                    mismatch.part.word()
                )
            }
            None if is_short(shown, require) => {
                format!("the password is right; the account asks for {lacks}")
            }
            None if names_are_compared(require) => {
                "the password is right; something that the account REQUIREs does not fit, and the \
                 server did not say what"
                    .to_owned()
            }
            None => {
                "the password is right, and the account asks for more than it REQUIREs: a second \
                     factor, perhaps"
                    .to_owned()
            }
        },
        Blame::RequirementAtLeast => format!("the account asks for {lacks}"),
        Blame::Either => {
            "either the password or the certificate; the server did not say which".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prove::Part;

    const QUIET: Heard<'static> = Heard { mismatch: None, password_fits: false, complete: true };

    fn specified() -> Require {
        let [subject, issuer, cipher] = ["/CN=app", "/CN=CA", ""].map(str::to_owned);
        Require::Specified { subject, issuer, cipher }
    }

    #[test]
    fn a_name_that_did_not_fit_means_that_the_password_was_right() {
        let mismatch = Mismatch {
            part: Part::Subject,
            account_says: "/CN=app".into(),
            server_saw: "/CN=web".into(),
            cut: false,
        };
        let heard = Heard { mismatch: Some(&mismatch), ..QUIET };
        assert_eq!(whom(Shown::Certificate, &specified(), heard), Blame::Requirement);
        assert!(blame(Shown::Certificate, &specified(), heard).contains("the SUBJECT is not"));
    }

    #[test]
    fn silence_about_names_means_the_password_only_where_they_would_have_been_heard() {
        let (all, deaf) = (QUIET, Heard { complete: false, ..QUIET });
        assert_eq!(whom(Shown::Certificate, &specified(), all), Blame::Password);
        assert_eq!(whom(Shown::Certificate, &specified(), deaf), Blame::Either);
        // no name is compared, so that nothing but the password is left
        assert_eq!(whom(Shown::Certificate, &Require::X509, deaf), Blame::Password);
        assert_eq!(whom(Shown::Tls, &Require::Ssl, deaf), Blame::Password);
    }

    #[test]
    fn what_was_not_shown_is_missing_whatever_the_password() {
        assert_eq!(whom(Shown::Nothing, &Require::Ssl, QUIET), Blame::RequirementAtLeast);
        assert_eq!(whom(Shown::Tls, &specified(), QUIET), Blame::RequirementAtLeast);
        let fits = Heard { password_fits: true, ..QUIET };
        // a certificate was shown
        let said = blame(Shown::Certificate, &specified(), Heard { complete: false, ..fits });
        assert!(said.contains("does not fit") && !said.contains("asks for"), "{said}");
        assert_eq!(whom(Shown::Tls, &specified(), fits), Blame::Requirement);
        assert_eq!(
            blame(Shown::Tls, &specified(), fits),
            "the password is right; the account asks for a certificate"
        );
    }
}
