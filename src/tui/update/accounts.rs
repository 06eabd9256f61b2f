//! The list of the accounts: gone through, looked through, marked; and what marked ones are to
//! require.

use std::sync::Arc;

use super::{go, push};
use crate::facts::AccountName;
use crate::remedy::cipher::Cipher;
use crate::tui::engine::Level;
use crate::tui::form::{Field, Form};
use crate::tui::roster::{self, Roster};
use crate::tui::state::{Batch, Overlay, Place, State};

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
