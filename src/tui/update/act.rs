//! What each key does.

use std::sync::Arc;

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::{accounts, connect, examine, go, push, register, run, scroll_mut, stop, workshop};
use crate::apply::Plan;
use crate::facts::target::Target;
use crate::rules::Step;
use crate::tui::copy;
use crate::tui::form::Field;
use crate::tui::keys::{Action, Context};
use crate::tui::palette::{self, Palette};
use crate::tui::roster::Roster;
use crate::tui::rows::{Row, RowKey};
use crate::tui::screen;
use crate::tui::screen::account::LEVELS;
use crate::tui::state::{
    Changing, Doing, Effect, Fix, Job, Overlay, Place, Planning, ProofView, State,
};

pub fn act(state: &mut State, action: Action, key: KeyEvent, effects: &mut Vec<Effect>) {
    let forward = matches!(
        key.code,
        KeyCode::Down | KeyCode::PageDown | KeyCode::End | KeyCode::Tab | KeyCode::Char('j')
    );
    match action {
        Action::Stop => stop(state, effects),
        Action::Quit => effects.push(Effect::Quit),
        Action::Help => help(state),
        Action::Redraw => effects.push(Effect::Redraw),
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Move
            if matches!(state.place, Place::Authority(_))
                && matches!(Context::of(state), Context::Authority | Context::Filter) =>
        {
            register::step(state, if forward { 1 } else { -1 });
        }
        Action::Move if Context::of(state) == Context::Filter => accounts::step(state, forward, 1),
        Action::Move if Context::of(state) == Context::Palette => palette_step(state, forward),
        Action::Move => match state.form_mut() {
            Some(form) => form.go(forward),
            None => select(
                state,
                |at, last| {
                    if forward { (at + 1).min(last) } else { at.saturating_sub(1) }
                },
            ),
        },
        Action::Ends => ends(state, forward),
        Action::Scroll => scroll(state, key.code, forward),
        Action::Open => open(state, effects),
        Action::Explain => explain(state),
        Action::Recheck => {
            if let Some(target) = state.target.clone() {
                examine(state, target, effects);
            }
        }
        Action::OpenAuthority => register::open(state, effects),
        Action::Make => open_workshop(state, None, effects),
        Action::Renew => register::ways(state, Changing::Renew),
        Action::Revoke => register::ways(state, Changing::Revoke),
        Action::Page if matches!(state.place, Place::Step(_)) => {
            let forward = forward || matches!(key.code, KeyCode::Char('f'));
            let page = screen::roster_page(state);
            accounts::step(state, forward, page);
        }
        Action::Page => register::page(state, forward),
        Action::Mark => accounts::mark(state),
        Action::MarkShown => state.roster.mark_shown(),
        Action::WhyDenied => accounts::ask_client(state, effects),
        Action::Scan => super::scan::ask(state, effects),
        Action::Cipher => accounts::ask_cipher(state),
        Action::Filter if !matches!(state.place, Place::Authority(_)) => accounts::find(state),
        Action::Sort if matches!(state.place, Place::Step(_)) => accounts::sort(state),
        Action::Filter | Action::Sort | Action::ShowAll => {
            if let Some(register) = &mut state.register {
                match action {
                    Action::Sort => register.sort(),
                    Action::ShowAll => register.toggle_all(),
                    _ => register.typing = true,
                }
            }
        }
        Action::Certificate => {
            let proof = match state.top() {
                Some(Overlay::Proof(view)) => Some(view.account.clone()),
                _ => None,
            };
            state.layers.clear();
            let user = proof.or_else(|| state.current_account()).map(|account| account.user);
            open_workshop(state, user, effects);
        }
        Action::Copy => match copy::text(state) {
            Some(text) => effects.push(Effect::Copy(text)),
            None => state.toast = Some("there is nothing to copy here".to_owned()),
        },
        Action::Next => step(state, true),
        Action::Back => step(state, false),
        Action::Jump => jump(state, key),
        Action::EditTarget => edit_target(state),
        Action::Palette => push(state, Overlay::Palette(Palette::default())),
        Action::SaveReport => push(state, Overlay::Save(save_form(state))),
        Action::ToggleForm => state.statement_form = state.form_in_effect().other(),
        Action::Apply => {
            if let (Some(Ok(offer)), Some(exam)) = (state.offer(), state.exam.clone()) {
                let (orders, form) = (offer.orders.clone(), state.form_in_effect());
                run(state, Doing::Planning, Job::PlanAccounts { exam, orders, form }, effects);
            }
        }
        Action::Prove => prove(state, effects),
        Action::Turn => {
            if let Some(form) = state.form_mut() {
                form.key(key);
            }
        }
        Action::Write => write(state, effects),
        Action::ChooseNumber => choose_number(state, key),
        Action::Submit => submit(state, effects),
        Action::Close => close(state),
    }
}

/// The form's file name when the report is written.
fn save_form(state: &State) -> super::super::form::Form {
    let host = state.target.as_ref().and_then(|target| target.host.clone());
    let host: String = host
        .unwrap_or_else(|| "localhost".to_owned())
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' })
        .collect();
    let name = format!("mytls-report-{host}.html");
    super::super::form::Form::new(vec![Field::text(
        "file",
        ".html, .md or .json; a file that exists is left alone",
        name,
    )])
}

fn help(state: &mut State) {
    if !matches!(state.top(), Some(Overlay::Help)) {
        push(state, Overlay::Help);
    }
}

fn palette_step(state: &mut State, forward: bool) {
    let Some(Overlay::Palette(palette)) = state.top() else { return };
    let found = palette::found(state, palette).len();
    if let Some(Overlay::Palette(palette)) = state.layers.last_mut().map(|layer| &mut layer.over) {
        palette.step(forward, found);
    }
}

/// Presses the key of what was chosen, where the palette was opened.
fn do_chosen(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(Overlay::Palette(palette)) = state.top() else { return };
    let Some(command) = palette::found(state, palette).into_iter().nth(palette.chosen) else {
        return;
    };
    if let Some(why) = command.refused {
        state.toast = Some(why.to_owned());
        return;
    }
    state.layers.pop();
    super::key(state, command.event, effects);
}

/// Moves the selection of whatever has one.
fn select(state: &mut State, to: impl Fn(usize, usize) -> usize) {
    if let Some(layer) = state.layers.last_mut() {
        if let Overlay::Fix(fix) = &mut layer.over {
            let last = fix.finding.remedies.len().saturating_sub(1);
            fix.chosen = to(fix.chosen, last);
            fix.by_hand = None;
            layer.scroll = 0;
        }
        if let Overlay::Ways(ways) = &mut layer.over {
            ways.chosen = to(ways.chosen, ways.what.ways().len() - 1);
        }
        return;
    }
    match &state.place {
        Place::Account(_) | Place::Accounts(_) => {
            let at = LEVELS.iter().position(|level| *level == state.level).unwrap_or(0);
            state.level = LEVELS[to(at, LEVELS.len() - 1)];
            state.scroll = 0;
        }
        Place::Step(Step::Accounts) => {
            state.roster.step(to);
            state.scroll = 0;
        }
        Place::Step(step) => {
            let rows = state.rows(*step);
            let last = rows.len().saturating_sub(1);
            if let Some(row) = rows.get(to(state.selected_index(&rows), last)) {
                state.selected.insert(*step, row.key());
                state.scroll = 0;
            }
        }
        Place::Authority(_) | Place::Workshop(_) => {}
    }
}

fn ends(state: &mut State, forward: bool) {
    if Context::of(state) == Context::Authority {
        register::step(state, if forward { isize::MAX } else { isize::MIN });
    } else if matches!(Context::of(state), Context::List | Context::Accounts) {
        select(state, |_, last| if forward { last } else { 0 });
    } else {
        *scroll_mut(state) = if forward { u16::MAX } else { 0 }; // held to its limit afterwards
    }
}

fn scroll(state: &mut State, key: KeyCode, forward: bool) {
    let page = screen::page(state);
    let by = if matches!(key, KeyCode::PageUp | KeyCode::PageDown) { page } else { 1 };
    let scroll = scroll_mut(state);
    *scroll = if forward { scroll.saturating_add(by) } else { scroll.saturating_sub(by) };
}

fn open(state: &mut State, effects: &mut Vec<Effect>) {
    if let Some(Overlay::Fix(fix)) = state.top() {
        let (Some(exam), Some(remedy)) = (state.exam.clone(), fix.remedy().cloned()) else {
            return;
        };
        run(state, Doing::Planning, Job::PlanRemedy { exam, remedy }, effects);
        return;
    }
    if let Some(Overlay::Ways(ways)) = state.top() {
        let ways = ways.clone();
        return register::plan(state, &ways, effects);
    }
    if matches!(state.place, Place::Authority(_)) {
        return register::enter(state);
    }
    if Context::of(state) == Context::Filter {
        state.roster.typing = false; // what was found stays
        return;
    }
    match state.selected_row() {
        Some(Row::Finding { .. }) => {
            let Some(finding) = state.selected_finding().cloned() else { return };
            if !to_cause(state, &finding) {
                push(state, Overlay::Fix(Fix { finding, chosen: 0, by_hand: None }));
            }
        }
        Some(Row::Account { .. }) if state.roster.marked() > 0 => accounts::open_marked(state),
        Some(Row::Account { name, .. }) => accounts::open(state, name),
        _ => {}
    }
}

/// From something that only follows from another finding to that one: whatever is done about the
/// consequence alone does not last. Whether there was such a cause.
fn to_cause(state: &mut State, finding: &crate::rules::Finding) -> bool {
    let Some(exam) = &state.exam else { return false };
    let cause = exam.findings.iter().find(|other| Some(other.rule) == finding.because_of);
    let Some((rule, step)) = cause.map(|cause| (cause.rule, cause.step)) else { return false };
    go(state, Place::Step(step));
    state.select(step, RowKey::Finding { rule, nth: 0 });
    state.toast = Some(format!("this follows from step {}; mend that first", step.number()));
    true
}

fn explain(state: &mut State) {
    let id = match (state.top(), state.selected_row()) {
        (Some(Overlay::Fix(fix)), _) => fix.finding.rule,
        (_, Some(Row::Outcome { rule, .. })) => rule,
        _ => match state.selected_finding() {
            Some(finding) => finding.rule,
            None => return,
        },
    };
    let rule = state.exam.as_ref().and_then(|exam| {
        exam.outcomes.iter().map(|outcome| outcome.rule).find(|rule| rule.id == id)
    });
    match rule {
        Some(rule) => push(state, Overlay::Explain(rule)),
        None => state.toast = Some(format!("mytls explain {id} says more")),
    }
}

pub fn open_workshop(state: &mut State, user: Option<String>, effects: &mut Vec<Effect>) {
    let Some(exam) = state.exam.clone() else { return };
    // what was typed before is kept, unless it is about another account now
    let fresh = state.workshop.is_none() || user.is_some();
    if fresh {
        if !run(state, Doing::Looking, Job::Defaults { exam, user }, effects) {
            return;
        }
        state.workshop = None;
    }
    let from = Box::new(state.place.clone());
    go(state, Place::Workshop(from));
}

fn step(state: &mut State, forward: bool) {
    let at = Step::ALL.iter().position(|step| *step == state.step()).unwrap_or(0);
    match (&state.place, forward) {
        (Place::Account(_) | Place::Accounts(_), false) => go(state, Place::Step(Step::Accounts)),
        (_, false) if at == 0 => {
            state.toast = Some("this is the first step; q quits".to_owned());
        }
        (_, false) => go(state, Place::Step(Step::ALL[at - 1])),
        (_, true) => go(state, Place::Step(Step::ALL[(at + 1).min(Step::ALL.len() - 1)])),
    }
}

fn jump(state: &mut State, key: KeyEvent) {
    match number(key).and_then(|number| Step::ALL.get(number - 1)) {
        Some(step) => go(state, Place::Step(*step)),
        None => state.toast = Some(format!("the steps are 1 to {}", Step::ALL.len())),
    }
}

fn choose_number(state: &mut State, key: KeyEvent) {
    let Some(number) = number(key) else { return };
    match state.top() {
        Some(Overlay::Fix(fix)) if number <= fix.finding.remedies.len() => {
            select(state, |_, _| number - 1);
        }
        Some(Overlay::Ways(ways)) if number <= ways.what.ways().len() => {
            select(state, |_, _| number - 1);
        }
        Some(Overlay::Ways(_)) => state.toast = Some(format!("there is no way {number}")),
        _ => state.toast = Some(format!("there is no fix {number}")),
    }
}

/// The digit that was pressed; from 1.
fn number(key: KeyEvent) -> Option<usize> {
    match key.code {
        KeyCode::Char(c) => c.to_digit(10).map(|n| n as usize).filter(|n| *n > 0),
        _ => None,
    }
}

fn edit_target(state: &mut State) {
    let target = state.target.clone().unwrap_or_default();
    state.connect = Some(state.connect_kept.take().unwrap_or_else(|| connect::form(&target)));
}

fn prove(state: &mut State, effects: &mut Vec<Effect>) {
    let shown = match state.top() {
        Some(Overlay::Proof(view)) => Some(view.account.clone()),
        _ => None,
    };
    // what was done has been read, and is not come back to
    let again = shown.is_some() || matches!(state.top(), Some(Overlay::Done { .. }));
    let Some(account) = shown.or_else(|| state.current_account()) else { return };
    let Some(exam) = state.exam.clone() else { return };
    let password = state.passwords.get(&account).cloned();
    let job = Job::Prove { exam, account: account.clone(), password, without_key: false };
    if run(state, Doing::Proving, job, effects) {
        if again {
            state.layers.pop();
        }
        push(state, Overlay::Proof(ProofView { account, rows: Vec::new(), ended: None }));
    }
}

fn write(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(Overlay::Review(plan)) = state.top() else { return };
    let plan = plan.clone();
    match plan.asked_again {
        Some(word) => register::ask_again(state, plan, word),
        None => apply(state, plan, effects),
    }
}

/// What was said yes to is done; the layer that asked goes.
fn apply(state: &mut State, plan: Arc<Plan>, effects: &mut Vec<Effect>) {
    let target = state.target.clone().unwrap_or_default();
    if run(state, Doing::Applying, Job::Apply { target, plan: plan.clone() }, effects) {
        state.layers.pop();
        push(state, Overlay::Applying { plan, lines: Vec::new() });
    }
}

fn submit(state: &mut State, effects: &mut Vec<Effect>) {
    match state.form_mut() {
        None => return,
        // nothing typed, nothing to be typed again
        Some(form) if form.focused().is_some_and(workshop::is_no_passphrase) => {}
        Some(form) if !form.is_last() => return form.go(true),
        Some(_) => {}
    }
    match Context::of(state) {
        Context::Palette => do_chosen(state, effects),
        Context::Connect => submit_target(state, effects),
        Context::Workshop => {
            let answers = state.workshop.as_mut().and_then(workshop::answers);
            if let (Some(form), Some(exam)) = (answers, state.exam.clone()) {
                register::start(state, Planning::Authority(form), exam, effects);
            }
        }
        _ => submit_question(state, effects),
    }
}

fn submit_target(state: &mut State, effects: &mut Vec<Effect>) {
    if state.is_doing(Doing::Looking) {
        stop(state, effects); // the answer is here, so nobody needs the suggestion
        state.toast = None;
    }
    let before = state.target.clone();
    let Some(form) = state.connect.as_mut() else { return };
    let Some(target) = connect::target(form, before.as_ref()) else { return };
    if state.job.is_some() {
        stop(state, effects);
    }
    state.connect_kept = state.connect.take();
    let place = |target: &Target| (target.host.clone(), target.port(), target.socket.clone());
    if before.as_ref().map(place) != Some(place(&target)) {
        // another server: nothing that was found is about it
        state.exam = None;
        state.selected.clear();
        state.roster = Roster::default();
        state.proofs.clear();
        state.register = None;
    }
    super::forget(state, Step::Server);
    state.target = Some(target.clone());
    examine(state, target, effects);
}

fn submit_question(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(exam) = state.exam.clone() else { return };
    match state.top() {
        Some(Overlay::Password { account, form }) => {
            let account = account.clone();
            let password = form.focused().and_then(Field::secret_value).unwrap_or_default();
            let job = Job::Prove {
                exam,
                account: account.clone(),
                password: Some(password.clone()),
                without_key: false,
            };
            if run(state, Doing::Proving, job, effects) {
                state.layers.pop();
                state.passwords.insert(account, password);
            }
        }
        Some(Overlay::Passphrase { planning, form }) => {
            let planning = planning.clone();
            let Some(passphrase) = form.focused().and_then(Field::secret_value) else {
                if let Some(form) = state.form_mut() {
                    form.fail(0, "the passphrase; Esc leaves everything as it is");
                }
                return;
            };
            state.layers.pop();
            register::start(state, planning, register::unlocked(exam, Some(passphrase)), effects);
        }
        Some(Overlay::ProofKey { account, form }) => {
            let account = account.clone();
            let passphrase = form.focused().and_then(Field::secret_value);
            let without_key = passphrase.is_none();
            // for this job alone, as with a plan
            let exam = register::unlocked(exam, passphrase);
            let password = state.passwords.get(&account).cloned();
            let job = Job::Prove { exam, account, password, without_key };
            if run(state, Doing::Proving, job, effects) {
                state.layers.pop();
            }
        }
        Some(Overlay::Sure { plan, word, form }) => {
            let (plan, word) = (plan.clone(), *word);
            if form.value(0).eq_ignore_ascii_case(word) {
                apply(state, plan, effects);
            } else if let Some(form) = state.form_mut() {
                form.fail(0, format!("type {word}, or Esc to leave it as it is"));
            }
        }
        Some(Overlay::AskWhy { .. }) => accounts::try_client(state, effects),
        Some(Overlay::Cipher(_)) => accounts::take_cipher(state),
        Some(Overlay::Save(form)) => {
            let path = form.value(0).to_owned();
            if path.is_empty() {
                if let Some(form) = state.form_mut() {
                    form.fail(0, "the name of a file");
                }
                return;
            }
            let proofs = state.proofs.iter().filter(|(_, current)| *current);
            let proofs = proofs.map(|(proof, _)| proof.clone()).collect();
            let job = Job::Save { exam, done: state.done.clone(), proofs, path: path.into() };
            run(state, Doing::Saving, job, effects);
        }
        _ => {}
    }
}

fn close(state: &mut State) {
    match state.layers.pop().map(|layer| layer.over) {
        // without a password there is no proof to look at either
        Some(Overlay::Password { .. } | Overlay::ProofKey { .. }) => {
            if matches!(state.top(), Some(Overlay::Proof(view)) if view.ended.is_none()) {
                state.layers.pop();
            }
        }
        Some(_) => {}
        None => match &state.place {
            Place::Workshop(from) => {
                let from = (**from).clone();
                go(state, from);
            }
            Place::Authority(from) => {
                let from = (**from).clone();
                if register::leave(state) {
                    go(state, from);
                }
            }
            Place::Step(Step::Accounts) => accounts::show_all(state),
            _ => state.connect_kept = state.connect.take(),
        },
    }
}
