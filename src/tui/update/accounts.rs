//! The list of the accounts: gone through, looked through, marked; and what marked ones are to
//! require.

use std::path::PathBuf;
use std::sync::Arc;

use super::{go, push, run};
use crate::facts::AccountName;
use crate::remedy::cipher::Cipher;
use crate::rules::Step;
use crate::secret::Secret;
use crate::tui::engine::{ClientLogin, Denial, Level};
use crate::tui::form::{Field, Form};
use crate::tui::roster::{self, Roster};
use crate::tui::state::{Batch, Doing, Effect, Job, Overlay, Place, State};

/// By so many lines.
pub fn step(state: &mut State, forward: bool, by: usize) {
    state.roster.step(|at, last| {
        if forward { at.saturating_add(by).min(last) } else { at.saturating_sub(by) }
    });
    state.scroll = 0;
}

pub fn sort(state: &mut State) {
    with_accounts(state, Roster::sort);
    state.toast = Some(format!("sorted {}", state.roster.by.words()));
}

/// Looks among the accounts, from wherever it is asked for.
pub fn find(state: &mut State) {
    if state.place != Place::Step(Step::Accounts) {
        go(state, Place::Step(Step::Accounts));
    }
    state.roster.typing = true;
}

/// Marks the account under the cursor, or the one that the finding there is about; or takes its mark
/// away.
pub fn mark(state: &mut State) {
    match state.account_of_finding() {
        None => state.roster.mark(),
        Some(name) => {
            let Some(exam) = state.exam.clone() else { return };
            let marked = state.roster.mark_named(roster::accounts(&exam), &name);
            let how = if marked { "is marked" } else { "is not marked any more" };
            state.toast = Some(format!("{name} {how}"));
        }
    }
}

/// Looks for nothing any more.
pub fn show_all(state: &mut State) {
    with_accounts(state, Roster::clear_filter);
}

fn with_accounts(state: &mut State, change: impl Fn(&mut Roster, &[crate::facts::Account])) {
    if let Some(exam) = &state.exam {
        change(&mut state.roster, roster::accounts(exam));
    }
}

pub fn open(state: &mut State, name: AccountName) {
    state.level = Level::SubjectAndIssuer;
    state.cipher = None;
    go(state, Place::Account(name));
}

/// All that are marked, together.
pub fn open_marked(state: &mut State) {
    let names = state.roster.marked_names(state.accounts());
    if let [one] = names.as_slice() {
        return open(state, one.clone());
    }
    state.level = Level::SubjectAndIssuer;
    state.cipher = None;
    state.last_job += 1; // a number that nothing else has
    go(state, Place::Accounts(Arc::new(Batch { id: state.last_job, names })));
}

/// Asks for the cipher suite; proposed is the one that mytls speaks with the server now.
pub fn ask_cipher(state: &mut State) {
    let server = state.exam.as_ref().and_then(|exam| exam.facts.server.read());
    let spoken = server.map_or_else(String::new, |server| server.session.cipher.clone());
    let value = state.cipher.clone().unwrap_or(spoken);
    let help = "by OpenSSL's name, such as ECDHE-RSA-AES256-GCM-SHA384; empty: any";
    push(state, Overlay::Cipher(Form::new(vec![Field::text("cipher suite", help, value)])));
}

/// The suite that was typed, if there is one of that name.
pub fn take_cipher(state: &mut State) {
    let Some(form) = state.form_mut() else { return };
    let cipher = match form.value(0) {
        "" => None,
        text => match Cipher::parse(text) {
            Ok(cipher) => Some(cipher.name().to_owned()),
            Err(why) => return form.fail(0, why.to_string()),
        },
    };
    state.cipher = cipher;
    state.layers.pop();
    state.scroll = 0;
}

/// Why is it denied? First its client's files are looked for.
pub fn ask_client(state: &mut State, effects: &mut Vec<Effect>) {
    if let (Some(account), Some(exam)) = (state.current_account(), state.exam.clone()) {
        run(state, Doing::Looking, Job::ClientFiles { exam, account }, effects);
    }
}

const WITHOUT_TLS: &str = "without TLS";
const CERTIFICATE: usize = 0;
const KEY: usize = 1;
const PASSWORD: usize = 2;
const TLS: usize = 3;

/// What its client comes with is asked for.
pub fn ask_login(state: &mut State, account: AccountName, files: Option<(PathBuf, PathBuf)>) {
    let path = |path: Option<PathBuf>| path.map_or_else(String::new, |p| p.display().to_string());
    let (certificate, key) = files.map_or((None, None), |(cert, key)| (Some(cert), Some(key)));
    let known = state.passwords.get(&account).cloned().unwrap_or_default();
    let form = Form::new(vec![
        Field::text(
            "certificate",
            "PEM, on this host; empty: its client shows none",
            path(certificate),
        ),
        Field::text("key", "empty: in the certificate's file, or not at hand", path(key)),
        Field::secret("password", "the account's own; kept in memory only", known),
        Field::choice("comes", "← → choose", ["with TLS", WITHOUT_TLS], 0),
    ]);
    push(state, Overlay::AskWhy { account, form });
}

pub fn try_client(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(Overlay::AskWhy { account, form }) = state.top() else { return };
    let Some(exam) = state.exam.clone() else { return };
    let account = account.clone();
    let path = |at: usize| Some(form.value(at)).filter(|text| !text.is_empty()).map(PathBuf::from);
    let password: Option<Secret> = form.fields.get(PASSWORD).and_then(Field::secret_value);
    let tls = form.value(TLS) != WITHOUT_TLS;
    let (certificate, key) = if tls { (path(CERTIFICATE), path(KEY)) } else { (None, None) };
    if key.is_some() && certificate.is_none() {
        if let Some(form) = state.form_mut() {
            form.fail(CERTIFICATE, "a key without its certificate shows nothing: give both");
        }
        return;
    }
    let login = ClientLogin { tls, certificate, key, password };
    let job = Job::WhyDenied { exam, account: account.clone(), login };
    if run(state, Doing::Asking, job, effects) {
        push(state, Overlay::Denied { account, answer: None });
    }
}

/// What came of it. What was typed lies beneath it still.
pub fn denied(state: &mut State, found: Result<Denial, String>) {
    let over = state.layers.iter_mut().rev().map(|layer| &mut layer.over);
    for over in over {
        if let Overlay::Denied { answer, .. } = over {
            *answer = Some(found);
            return;
        }
    }
}
