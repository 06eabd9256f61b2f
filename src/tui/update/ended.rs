//! What comes of a job that has ended.

use super::{accounts, connect, examine, forget, go, push, register, workshop};
use std::sync::Arc;

use crate::apply::Applied;
use crate::checklist::{Examination, Verdict};
use crate::facts::{Unread, UnreadKind};
use crate::rules::{Severity, Step};
use crate::secret::Secret;
use crate::tui::engine::{NotPlanned, Proof};
use crate::tui::form::{Field, Form};
use crate::tui::state::{Doing, Effect, Outcome, Overlay, Place, State};

pub fn ended(state: &mut State, what: Doing, outcome: Outcome, effects: &mut Vec<Effect>) {
    match outcome {
        Outcome::Examined(exam) => examined(state, *exam),
        Outcome::Suggested(target) => suggested(state, target),
        Outcome::Defaults(defaults, kinds) => {
            state.workshop = Some(workshop::form(&defaults, &kinds));
        }
        Outcome::Authority(Ok(Some(catalog))) => register::opened(state, catalog),
        Outcome::Authority(Ok(None)) => super::act::open_workshop(state, None, effects),
        Outcome::Authority(Err(why)) => {
            let title = "the private CA cannot be read".to_owned();
            push(state, Overlay::Done { title, done: Applied::default(), failed: Some(why) });
        }
        Outcome::Planned(Ok(plan)) => {
            state.planning = None;
            if plan.is_empty() {
                state.toast = Some("there is nothing to write".to_owned());
            } else {
                push(state, Overlay::Review(plan.into()));
            }
        }
        Outcome::Planned(Err(NotPlanned::ByHand(why))) => by_hand(state, why),
        Outcome::Planned(Err(NotPlanned::Locked { wrong, .. })) => {
            register::ask_passphrase(state, wrong);
        }
        Outcome::Planned(Err(NotPlanned::NeedsCertificate)) => {
            state.layers.clear();
            super::act::open_workshop(state, None, effects);
        }
        Outcome::Applied(result) => applied(state, result, effects),
        Outcome::Proved(result) => proved(state, result),
        Outcome::PasswordNeeded(account) => {
            let help = "the account's own password; kept in memory only";
            let form = Form::new(vec![Field::secret("password", help, Secret::default())]);
            push(state, Overlay::Password { account, form });
        }
        Outcome::PassphraseNeeded { account, wrong } => {
            register::ask_proof_key(state, account, wrong);
        }
        Outcome::Saved(Ok(path)) => {
            state.layers.pop();
            state.toast = Some(format!("written to {}", path.display()));
        }
        Outcome::Saved(Err(why)) => {
            if let Some(form) = state.form_mut() {
                form.fail(0, why);
            }
        }
        Outcome::ClientFiles(account, files) => accounts::ask_login(state, account, files),
        Outcome::Denied(answer) => accounts::denied(state, answer),
        Outcome::Scanned(answer) => super::scan::scanned(state, answer),
        Outcome::Broken(why) => broken(state, what, why, effects),
        // they have no job of their own
        Outcome::Offered(_) | Outcome::Issued(_) => {}
    }
}

fn examined(state: &mut State, exam: Examination) {
    if let Some((field, why)) = unreachable(&exam)
        && let Some(mut form) = state.connect_kept.take()
    {
        form.fail(field, why);
        state.connect = Some(form);
        return;
    }
    // what follows from something else goes with it
    let causes = exam.findings.iter().filter(|finding| finding.because_of.is_none());
    let count = |severity| causes.clone().filter(|finding| finding.severity == severity).count();
    let proofs = state.proofs.iter().filter(|(_, current)| *current);
    let broken = proofs.filter(|(proof, _)| proof.broken().is_some()).count();
    let (errors, warnings) = (count(Severity::Error) + broken, count(Severity::Warning));
    let counted = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    state.toast = Some(match (errors, warnings) {
        (0, 0) => match unknown(&exam) {
            0 => "checked: nothing is wrong".to_owned(),
            1 => "checked: nothing found wrong, but one step is not known".to_owned(),
            n => format!("checked: nothing found wrong, but {n} steps are not known"),
        },
        (0, _) => format!("checked: {}", counted(warnings, "warning")),
        (_, 0) => format!("checked: {}", counted(errors, "error")),
        _ => format!("checked: {}, {}", counted(errors, "error"), counted(warnings, "warning")),
    });
    let refused = |unread: &Unread| unread.kind == UnreadKind::Refused;
    if let (true, Some(toast)) = (exam.facts.server.reason().is_some_and(refused), &mut state.toast)
    {
        toast.push_str("; not logged in, t changes the login");
    }
    if let (Place::Account(_), Some(toast)) = (&state.place, &mut state.toast) {
        toast.push_str("; p proves this account");
    }
    if let Some(register) = &mut state.register {
        register.at(exam.facts.at);
    }
    state.roster.read_again(state.exam.as_deref(), &exam);
    state.exam = Some(exam.into());
    state.connect = None;
    state.stale.clear();
    state.offers.clear();
    state.offering = None;
    let gone = |state: &State, place: &Place| match place {
        Place::Account(name) => state.account(name).is_none(),
        // what was marked is done, or has to be marked anew: who is among them may have changed
        Place::Accounts(_) => true,
        _ => false,
    };
    if gone(state, &state.place.clone()) {
        go(state, Place::Step(Step::Accounts));
    }
}

/// How many steps could not be judged whole.
fn unknown(exam: &Examination) -> usize {
    let steps = Step::ALL.iter().filter(|step| **step != Step::Report);
    steps.filter(|step| exam.verdict(**step) == Verdict::Unknown).count()
}

/// When nothing at all could be looked at: the field to look at, and why.
fn unreachable(exam: &Examination) -> Option<(usize, String)> {
    let facts = &exam.facts;
    let answered = facts.server.read().is_some() || facts.wire.read().is_some();
    // a refusal says that there is a server, and no more
    let refused = facts.is_running() && facts.config.read().is_none();
    if answered || (exam.saw_anything() && !refused) {
        return None;
    }
    let asked = |kind: UnreadKind| kind != UnreadKind::NotAsked;
    let reasons = [facts.server.reason(), facts.wire.reason()];
    let reason = reasons.into_iter().flatten().find(|unread| asked(unread.kind))?;
    let field = match (reason.kind, facts.target.is_tcp()) {
        (UnreadKind::Refused, _) => connect::PASSWORD,
        (_, true) => connect::HOST,
        (_, false) => connect::SOCKET,
    };
    let advice =
        if reason.advice.is_empty() { String::new() } else { format!("; {}", reason.advice) };
    Some((field, format!("{}{advice}", reason.why)))
}

fn suggested(state: &mut State, target: crate::facts::Target) {
    let Some(form) = &mut state.connect else { return };
    let untouched = form.fields.iter().all(Field::is_untouched);
    if untouched {
        *form = connect::form(&target);
        // the first thing that is still to be said
        let place = target.host.is_some() || target.socket.is_some();
        let only_password = place && target.user.is_some() && target.password.is_none();
        form.focus = if only_password { connect::PASSWORD } else { connect::HOST };
    }
    state.target = Some(target);
}

fn by_hand(state: &mut State, why: String) {
    if let Some(Overlay::Fix(fix)) = state.layers.last_mut().map(|layer| &mut layer.over) {
        fix.by_hand = Some(why);
        return;
    }
    let title = "nothing was written".to_owned();
    push(state, Overlay::Done { title, done: Applied::default(), failed: Some(why) });
}

fn applied(
    state: &mut State,
    result: Result<Applied, (Applied, String)>,
    effects: &mut Vec<Effect>,
) {
    let plan = match state.layers.pop().map(|layer| layer.over) {
        Some(Overlay::Applying { plan, .. }) => plan,
        _ => Arc::default(),
    };
    state.layers.clear();
    forget(state, Step::Server);
    let (done, failed) = match result {
        Ok(done) => (done, None),
        Err((done, why)) => (done, Some(why)),
    };
    if failed.is_none() && plan.accounts.is_some() {
        state.roster.unmark();
    }
    if failed.is_none() {
        // what a client trusts changes with the server's certificate
        if let (Some(target), Some(trust)) = (&mut state.target, &plan.trust) {
            target.ssl_ca = Some(trust.clone());
        }
        if let Place::Workshop(from) = &state.place {
            let from = (**from).clone();
            state.workshop = None;
            go(state, from);
        }
    }
    if !done.done.is_empty() {
        state.done.push(done.clone());
    }
    let title = match (&failed, done.left.is_empty()) {
        (Some(_), _) => "not done",
        (None, false) => "done, but for what is left to you",
        (None, true) => "done",
    };
    push(state, Overlay::Done { title: format!("{title}: {}", plan.title), done, failed });
    // whatever was done: what is shown has to be what is
    if state.signal.is_none()
        && let Some(target) = state.target.clone()
    {
        examine(state, target, effects);
    }
}

fn proved(state: &mut State, result: Result<Proof, String>) {
    let account = match (&result, state.top()) {
        (Ok(proof), _) => Some(proof.account.clone()),
        (Err(_), Some(Overlay::Proof(view))) => Some(view.account.clone()),
        _ => None,
    };
    if let Some(account) = &account
        && !result.as_ref().is_ok_and(Proof::holds)
    {
        // perhaps it was mistyped: ask again next time
        state.passwords.remove(account);
    }
    if let Ok(proof) = &result {
        state.proofs.retain(|(old, _)| old.account != proof.account);
        state.proofs.push((proof.clone(), true));
    }
    let view = state.layers.iter_mut().rev().find_map(|layer| match &mut layer.over {
        Overlay::Proof(view) => Some(view),
        _ => None,
    });
    match view {
        Some(view) => view.ended = Some(result),
        None => {
            state.toast = Some(match result {
                Ok(proof) if proof.holds() => format!("proved: {}", proof.account),
                Ok(proof) if proof.holds_but_for_key() => {
                    format!("{}: {}", proof.account, proof.words())
                }
                Ok(proof) => format!("not proved: {}", proof.account),
                Err(why) => why,
            });
        }
    }
}

fn broken(state: &mut State, what: Doing, why: String, effects: &mut Vec<Effect>) {
    match what {
        Doing::Applying => applied(state, Err((Applied::default(), why)), effects),
        Doing::Proving => proved(state, Err(why)),
        Doing::Asking => accounts::denied(state, Err(why)),
        Doing::Examining if state.exam.is_none() => {
            let target = state.target.clone().unwrap_or_default();
            let mut form = state.connect_kept.take().unwrap_or_else(|| connect::form(&target));
            form.fail(connect::HOST, why);
            state.connect = Some(form);
        }
        _ => {
            let title = format!("this failed: {}", what.title());
            push(state, Overlay::Done { title, done: Applied::default(), failed: Some(why) });
        }
    }
}
