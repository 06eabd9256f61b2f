//! The logins of a matrix, one after the other.

use std::time::Instant;

use super::budget::Booked;
use super::{
    Case, Corrected, Happened, Matrix, NOBODY, Row, Subject, Witness, expected, forge, meaning,
};
use crate::remedy::statement::Form;
use crate::secret::Secret;
use crate::wire::{self, ClientIdentity, Limits, Login, Outcome, Tls, Trace, WireError};

/// Tries every case, and tells each row as it comes. Between two rows it looks whether it was
/// cancelled; the rest is then not tried.
///
/// The right certificate comes first: while that is not let in, a refusal of anything else proves
/// nothing, and may be one more wrong password towards a locked account. Whenever a certificate was
/// refused in the handshake, which counts towards `max_connect_errors`, the right one logs in once
/// more: that sets the count back to zero. Where the refusal's alert was lost, the login is tried
/// a second time, so that a server whose limit is 1 or 2 (the default is 100) may still shut this
/// host out; loopback addresses are exempt. Where nothing sets the count back, no more is tried
/// than [`super::Budget`] allows.
pub fn matrix(
    subject: &Subject<'_>,
    witness: &mut Witness,
    told: &mut dyn FnMut(&Row),
    cancelled: &dyn Fn() -> bool,
) -> Matrix {
    let started = Instant::now();
    let mut rows: Vec<Row> = Vec::with_capacity(Case::ALL.len());
    let mut stop: Option<&str> = None;
    let mut connections = 0;
    let mut from = None;
    let cases = Case::ALL.into_iter().filter(|case| *case != Case::Revoked || subject.has_crl());
    for case in cases {
        if stop.is_none() && cancelled() {
            stop = Some("cancelled");
        }
        let mut trace = Trace::default();
        witness.begin();
        let (happened, booked) = match stop {
            Some(why) => (Happened::NotTried { why: why.to_owned() }, Booked::default()),
            None => booked_attempt(subject, case, &mut trace),
        };
        if case == Case::RightCertificate {
            stop = stop.or(why_stop(&happened));
        }
        let expected = expected(case, subject.require, subject.flavor, subject.transport_enforced);
        let reason = meaning::reason(subject, case, &happened, &trace, witness);
        let row = Row { case, expected, happened, reason };
        told(&row);
        rows.push(row);
        connections += trace.connections.len();
        from = trace.from.or(from);
        let row = &rows[rows.len() - 1];
        let counted = row.was_refused_in_handshake();
        let again = || {
            let outcome = attempt(subject, Case::RightCertificate, &mut Trace::default());
            matches!(outcome, Happened::LetIn { .. } | Happened::OtherAccount { .. })
        };
        if matches!(row.happened, Happened::LetIn { .. } | Happened::OtherAccount { .. }) {
            booked.set_back();
        } else if counted && rows[0].holds() {
            // only for its effect on the server's count
            connections += 1;
            if again() { booked.set_back() } else { booked.used(trace.connections.len()) }
        } else if counted && witness.set_back(&subject.endpoint, from) {
            connections += 1;
            booked.set_back();
        } else if counted || matches!(row.happened, Happened::Failed { .. }) {
            booked.used(trace.connections.len());
        } else {
            booked.used(0);
        }
    }
    Matrix {
        account: subject.account.clone(),
        require: subject.require.describe(),
        against: subject.endpoint.to_string(),
        corrected: rows.first().and_then(|right| corrected(subject, right)),
        rows,
        seconds: started.elapsed().as_secs_f64(),
        heard_in: witness.place(),
        unheard: witness.why_not().map(str::to_owned),
        connect_errors: from.and_then(|from| witness.connect_errors(from)),
        connections,
        notes: subject.around.notes.clone(),
    }
}

/// The account's clause with what the server saw in it, where the right certificate was refused for
/// that.
fn corrected(subject: &Subject<'_>, right: &Row) -> Option<Corrected> {
    let mismatch = right.reason.as_ref()?.mismatch.as_ref()?;
    let require = mismatch.corrected(subject.require)?;
    let dialect = subject.dialect?;
    let names = std::slice::from_ref(&subject.account);
    let written = dialect.require(names, &require, Form::Alter);
    let undo = dialect.require(names, subject.require, Form::Alter);
    Some(Corrected { statement: written.sql(), undo: undo.sql(), warnings: written.warnings })
}

/// Why the other cases cannot prove anything after this outcome of the right certificate.
fn why_stop(right: &Happened) -> Option<&'static str> {
    match right {
        Happened::Refused { .. } => {
            Some("the right certificate was refused, so that another refusal proves nothing")
        }
        Happened::Failed { .. } | Happened::NotTried { .. } => {
            Some("the right certificate could not be tried")
        }
        Happened::LetIn { .. }
        | Happened::OtherAccount { .. }
        | Happened::HandshakeOnly
        | Happened::HandshakeRefused { .. } => None,
    }
}

/// The same within what may still be given up at this server.
fn booked_attempt(subject: &Subject<'_>, case: Case, trace: &mut Trace) -> (Happened, Booked) {
    // a login without a certificate comes to its end, and costs nothing
    if matches!(case, Case::NoTls | Case::NoCertificate) {
        return (attempt(subject, case, trace), Booked::default());
    }
    match subject.around.budget.take(&subject.endpoint) {
        Ok(booked) => (attempt(subject, case, trace), booked),
        Err(why) => (Happened::NotTried { why }, Booked::default()),
    }
}

fn attempt(subject: &Subject<'_>, case: Case, trace: &mut Trace) -> Happened {
    let by_account = matches!(case, Case::NoTls | Case::NoCertificate | Case::OtherSubject);
    if subject.password.is_none() && by_account {
        return Happened::NotTried { why: "it takes the account's password".to_owned() };
    }
    let identity = match identity(subject, case) {
        Ok(identity) => identity,
        Err(happened) => return happened,
    };
    let tls = Tls {
        identity: identity.as_ref(),
        // A private CA vouches for its servers; of a public one any server may have a certificate.
        check_host: subject.trust.is_public(),
        old_tls: subject.old_tls,
        ..Tls::new(&subject.trust)
    };
    let nothing = Secret::default();
    let login = Login {
        user: if subject.password.is_some() { &subject.account.user } else { NOBODY },
        password: subject.password.unwrap_or(&nothing),
        tls: (case != Case::NoTls).then_some(tls),
    };
    let outcome = wire::traced_login(&subject.endpoint, &login, Limits::default(), trace);
    if subject.password.is_none() {
        return match outcome {
            Ok(Outcome::HandshakeRefused { reason }) => Happened::HandshakeRefused { reason },
            Ok(Outcome::LetIn { .. } | Outcome::Refused { .. }) => Happened::HandshakeOnly,
            // what it asked for then is nobody's plugin
            Err(WireError::Plugin { .. } | WireError::PasswordKept { .. }) => {
                Happened::HandshakeOnly
            }
            Err(error) => Happened::Failed { why: error.why() },
        };
    }
    match outcome {
        Ok(Outcome::LetIn { account, .. }) if !subject.is_meant(&account) => {
            Happened::OtherAccount { account }
        }
        Ok(Outcome::LetIn { account, tls }) => {
            let (tls, cipher) = tls.unzip();
            Happened::LetIn { account, tls, cipher }
        }
        Ok(Outcome::Refused { code, message }) => Happened::Refused { code, message },
        Ok(Outcome::HandshakeRefused { reason }) => Happened::HandshakeRefused { reason },
        Err(error) => Happened::Failed { why: error.why() },
    }
}

/// Why a login was not tried that needs a certificate made for it.
pub const TAKES_CA_KEY: &str = "it takes the key of the CA";

/// What is shown in this case; or why it cannot be tried.
fn identity(subject: &Subject<'_>, case: Case) -> Result<Option<ClientIdentity>, Happened> {
    let right = &subject.identity;
    let not_tried = |why: &str| Happened::NotTried { why: why.to_owned() };
    let forged = match case {
        Case::NoTls | Case::NoCertificate => return Ok(None),
        Case::RightCertificate => return Ok(Some(right.clone())),
        Case::OtherCa => forge::other_ca(right),
        Case::OtherSubject | Case::Expired | Case::Revoked => {
            let (ca, key) = subject.ca.as_ref().ok_or_else(|| not_tried(TAKES_CA_KEY))?;
            match case {
                Case::Expired => forge::expired(right, ca, key),
                Case::Revoked => {
                    let serial = subject.revoked_serial(ca);
                    let serial = serial
                        .ok_or_else(|| not_tried("the list of this CA revokes nothing yet"))?;
                    forge::revoked(right, ca, key, &serial)
                }
                _ => forge::other_subject(right, ca, key),
            }
        }
    };
    forged.map(Some).map_err(|error| not_made(&error))
}

fn not_made(error: &forge::ForgeError) -> Happened {
    Happened::NotTried { why: error.to_string() }
}
