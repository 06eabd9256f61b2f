//! The private CA: opened, gone through, and what is to be done to a line of it.

use std::sync::Arc;

use super::{go, push, run};
use crate::apply::Plan;
use crate::checklist::Examination;
use crate::facts::AccountName;
use crate::secret::Secret;
use crate::tui::form::{Field, Form};
use crate::tui::register::Register;
use crate::tui::screen;
use crate::tui::state::{
    Changing, Doing, Effect, Fetch, Job, Outcome, Overlay, Place, Planning, State, Ways,
};

/// Looks whether there is a CA; what comes next is decided when that is known.
pub fn open(state: &mut State, effects: &mut Vec<Effect>) {
    if let Some(exam) = state.exam.clone() {
        run(state, Doing::Looking, Job::Authority { exam }, effects);
    }
}

/// There is one: it is shown as it is now.
pub fn opened(state: &mut State, catalog: crate::ca::Catalog) {
    let now = state.exam.as_ref().map_or(0, |exam| exam.facts.at);
    match &mut state.register {
        Some(register) if register.catalog.dir == catalog.dir => {
            register.at(now);
            register.read_again(catalog);
        }
        register => *register = Some(Register::new(catalog, now)),
    }
    if !matches!(state.place, Place::Authority(_)) {
        let from = Box::new(state.place.clone());
        go(state, Place::Authority(from));
    }
}

/// Enter: looking ends, or the whole certificate is shown.
pub fn enter(state: &mut State) {
    match &mut state.register {
        Some(register) if register.typing => register.typing = false,
        Some(_) => push(state, Overlay::Card),
        None => {}
    }
}

/// Esc: looking ends, then this place. `true` when it is to be left.
pub fn leave(state: &mut State) -> bool {
    match &mut state.register {
        Some(register) if register.typing || !register.sought().is_empty() => {
            register.clear_filter();
            false
        }
        _ => true,
    }
}

/// By a line, a page, or to an end.
pub fn step(state: &mut State, by: isize) {
    if let Some(register) = &mut state.register {
        register.step(by);
        state.scroll = 0;
    }
}

pub fn page(state: &mut State, forward: bool) {
    let page = isize::try_from(screen::register_page(state)).unwrap_or(1);
    step(state, if forward { page } else { -page });
}

/// Asks how the line under the cursor is to be renewed, or why it is revoked.
pub fn ways(state: &mut State, what: Changing) {
    let Some((entry, _)) = state.register.as_ref().and_then(Register::entry) else { return };
    let name = format!("{} {}", entry.kind.name(), entry.names.join(", "));
    let ways = Ways { what, serial: entry.serial.clone(), name, chosen: 0 };
    push(state, Overlay::Ways(ways));
}

/// What was chosen is planned; the review follows.
pub fn plan(state: &mut State, ways: &Ways, effects: &mut Vec<Effect>) {
    let Some(exam) = state.exam.clone() else { return };
    let serial = ways.serial.clone();
    let planning = match ways.what {
        Changing::Renew => Planning::Renewal { serial, same_key: ways.chosen == 1 },
        Changing::Revoke => {
            let reason = Changing::REASONS.get(ways.chosen).copied().unwrap_or_default();
            Planning::Revocation { serial, reason }
        }
    };
    start(state, planning, exam, effects);
}

/// Plans something with the CA's key, and remembers what, should that ask for its passphrase.
pub fn start(
    state: &mut State,
    planning: Planning,
    exam: Arc<Examination>,
    effects: &mut Vec<Effect>,
) {
    state.planning = Some(planning.clone());
    run(state, Doing::Planning, planning.job(exam), effects);
}

/// The key is under a passphrase: it is asked for, or asked for again.
pub fn ask_passphrase(state: &mut State, wrong: bool) {
    let Some(planning) = state.planning.take() else { return };
    let help = "what was chosen when the CA was made";
    let mut form = Form::new(vec![Field::secret("passphrase", help, Secret::default())]);
    if wrong {
        form.fail(0, "this does not open the key; try again");
    }
    push(state, Overlay::Passphrase { planning, form });
}

/// What was found with the passphrase in it, for one job alone: what the wizard goes on with does not
/// hold it.
pub fn unlocked(exam: Arc<Examination>, passphrase: Option<Secret>) -> Arc<Examination> {
    let Some(passphrase) = passphrase else { return exam };
    let mut unlocked = (*exam).clone();
    unlocked.facts.target.ca_passphrase = Some(passphrase);
    unlocked.into()
}

/// The same for the logins of a proof, some of which can do without.
pub fn ask_proof_key(state: &mut State, account: AccountName, wrong: bool) {
    let help = "what was chosen when the CA was made; Enter: without those logins";
    let mut form = Form::new(vec![Field::secret("passphrase", help, Secret::default())]);
    if wrong {
        form.fail(0, "this does not open the key; try again");
    }
    push(state, Overlay::ProofKey { account, form });
}

/// Asks once more, with a word that nobody types ahead.
pub fn ask_again(state: &mut State, plan: Arc<Plan>, word: &'static str) {
    let form = Form::new(vec![Field::text("type the word", "", "")]);
    push(state, Overlay::Sure { plan, word, form });
}

/// What is shown and not yet read is asked for.
pub fn fetch(state: &mut State, effects: &mut Vec<Effect>) {
    let (Place::Authority(_), Some(exam)) = (&state.place, state.exam.clone()) else { return };
    let Some(register) = &state.register else { return };
    let (what, job) = match (register.stale, register.card_wanted()) {
        (true, _) => (Fetch::Catalog, Job::Authority { exam }),
        (false, Some(serial)) => {
            let serial = serial.to_owned();
            (Fetch::Card(serial.clone()), Job::Issued { exam, serial })
        }
        (false, None) => return,
    };
    if state.fetching.as_ref().is_some_and(|(_, asked)| *asked == what) {
        return;
    }
    state.last_job += 1;
    state.fetching = Some((state.last_job, what));
    effects.push(Effect::Run(state.last_job, job));
}

/// What was asked for has come.
pub fn fetched(state: &mut State, what: Fetch, outcome: Outcome) {
    let Some(register) = &mut state.register else { return };
    match (what, outcome) {
        (Fetch::Catalog, Outcome::Authority(Ok(Some(catalog)))) => register.read_again(catalog),
        (Fetch::Catalog, Outcome::Authority(Err(why)) | Outcome::Broken(why)) => {
            register.stale = false;
            state.toast = Some(why);
        }
        (Fetch::Catalog, _) => register.stale = false,
        (Fetch::Card(serial), Outcome::Issued(card)) => register.card = Some((serial, card)),
        (Fetch::Card(serial), Outcome::Broken(why)) => register.card = Some((serial, Err(why))),
        (Fetch::Card(_), _) => {}
    }
}
