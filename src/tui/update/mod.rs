//! The only place that changes the state: a message comes in, effects go out.

use ratatui::crossterm::event::{KeyEvent, KeyEventKind};

use super::keys::{self, Action, Pressed};
use super::screen;
use super::state::{
    Doing, Effect, Job, JobId, Layer, Msg, Outcome, Overlay, Place, Running, State, Told,
};
use crate::facts::Target;
use crate::facts::gather::{Progress, ProgressState};
use crate::rules::Step;

mod accounts;
mod act;
pub mod connect;
mod ended;
mod register;
mod scan;
pub mod workshop;

/// Takes one message in.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    match msg {
        Msg::Start => start(state, &mut effects),
        Msg::Key(key) => self::key(state, key, &mut effects),
        Msg::Paste(text) => paste(state, &text),
        Msg::Resize(columns, rows) => state.size = (columns, rows),
        Msg::Tick => {
            if let Some(job) = &mut state.job {
                job.ticks += 1;
            }
        }
        Msg::Told(id, told) => self::told(state, id, told),
        Msg::Ended(id, outcome) => self::outcome(state, id, outcome, &mut effects),
        Msg::Copied(how) => {
            state.toast = Some(how.unwrap_or_else(|why| format!("not copied: {why}")));
        }
        Msg::Signal(signal) => {
            // half a write is worse than a late end; who sends it twice means it
            let waits = state.is_doing(Doing::Applying) && state.signal.is_none();
            state.signal = Some(signal);
            if !waits {
                effects.push(Effect::Quit);
            }
        }
    }
    if let Some(register) = &mut state.register {
        register.settle();
    }
    state.roster.settle();
    ask_for_statement(state, &mut effects);
    register::fetch(state, &mut effects);
    clamp_scroll(state);
    effects
}

fn start(state: &mut State, effects: &mut Vec<Effect>) {
    if let Some(target) = state.target.clone() {
        examine(state, target, effects);
    } else {
        state.connect = Some(connect::form(&Target::default()));
        run(state, Doing::Looking, Job::Suggest, effects);
    }
}

fn key(state: &mut State, key: KeyEvent, effects: &mut Vec<Effect>) {
    if key.kind == KeyEventKind::Release {
        return;
    }
    state.toast = None;
    match keys::press(state, key) {
        // nobody says yes to what is not on the screen
        Pressed::Act(Action::Write | Action::Apply | Action::SaveReport | Action::Submit)
            if screen::is_too_small(state.size) => {}
        Pressed::Act(action) => act::act(state, action, key, effects),
        Pressed::Refused(why) => state.toast = Some(why.to_owned()),
        Pressed::Unbound => {
            if let Some(form) = state.form_mut() {
                form.key(key);
            }
            // other words find others
            if let Some(Overlay::Palette(palette)) =
                state.layers.last_mut().map(|layer| &mut layer.over)
            {
                palette.chosen = 0;
            }
        }
    }
}

fn paste(state: &mut State, text: &str) {
    let connecting = keys::Context::of(state) == keys::Context::Connect;
    let Some(form) = state.form_mut() else { return };
    if !(connecting && connect::paste(form, text)) {
        form.paste(text);
    }
}

fn told(state: &mut State, id: JobId, told: Told) {
    if state.job.as_ref().is_none_or(|job| job.id != id) {
        return; // from a job that was stopped
    }
    match (told, state.layers.last_mut().map(|layer| &mut layer.over)) {
        (Told::Progress(progress), _) => {
            let same = |known: &&mut Progress| known.stage == progress.stage;
            match state.progress.iter_mut().find(same) {
                // a stage is one line: what it came to stands where it began
                Some(known) if progress.state != ProgressState::Started => *known = progress,
                Some(_) => {}
                None => state.progress.push(progress),
            }
        }
        (Told::Line(line), Some(Overlay::Applying { lines, .. })) => {
            lines.push(crate::printable::printable(&line).into_owned());
        }
        (Told::Line(line), Some(Overlay::Scan { so_far, .. })) => *so_far = line,
        (Told::Row(row), Some(Overlay::Proof(view))) => view.rows.push(row),
        _ => {}
    }
}

fn outcome(state: &mut State, id: JobId, outcome: Outcome, effects: &mut Vec<Effect>) {
    if state.offering.as_ref().is_some_and(|(offering, _)| *offering == id) {
        let key = state.offering.take().map(|(_, key)| key);
        let offer = match outcome {
            Outcome::Offered(offer) => offer,
            Outcome::Broken(why) => Err(why),
            _ => return,
        };
        if let Some(key) = key {
            state.offers.insert(key, offer);
        }
        return;
    }
    if state.fetching.as_ref().is_some_and(|(fetching, _)| *fetching == id) {
        if let Some((_, what)) = state.fetching.take() {
            register::fetched(state, what, outcome);
        }
        return;
    }
    if state.job.as_ref().is_none_or(|job| job.id != id) {
        return; // from a job that was stopped
    }
    let Some(job) = state.job.take() else { return };
    ended::ended(state, job.what, outcome, effects);
    if state.signal.is_some() {
        effects.push(Effect::Quit);
    }
}

/// Starts a job, unless another one is waited for; says so then.
fn run(state: &mut State, what: Doing, job: Job, effects: &mut Vec<Effect>) -> bool {
    if let Some(job) = &state.job {
        state.toast = Some(format!("still {}", job.what.title()));
        return false;
    }
    state.last_job += 1;
    state.job = Some(Running { id: state.last_job, what, ticks: 0 });
    effects.push(Effect::Run(state.last_job, job));
    true
}

/// Stops the job that is waited for; whatever it still says is dropped.
fn stop(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(job) = state.job.take() else { return };
    effects.push(Effect::Cancel(job.id));
    state.toast = Some("stopped".to_owned());
    match (job.what, state.top()) {
        (Doing::Examining, _) if state.exam.is_none() => {
            state.connect = state
                .connect_kept
                .take()
                .or_else(|| Some(connect::form(&state.target.clone().unwrap_or_default())));
        }
        (Doing::Proving, Some(Overlay::Proof(_))) => {
            if let Some(Layer { over: Overlay::Proof(view), .. }) = state.layers.last_mut() {
                view.ended = Some(Err("stopped before it was complete".to_owned()));
            }
        }
        // what the form begins with was still being looked for: there is none to stay at
        (Doing::Looking, _) => {
            if let (Place::Workshop(from), None) = (&state.place, &state.workshop) {
                let from = (**from).clone();
                go(state, from);
            }
        }
        (Doing::Asking, Some(Overlay::Denied { .. }))
        | (Doing::Scanning, Some(Overlay::Scan { .. })) => drop(state.layers.pop()),
        _ => {}
    }
}

fn examine(state: &mut State, target: Target, effects: &mut Vec<Effect>) {
    if run(state, Doing::Examining, Job::Examine(target), effects) {
        state.progress.clear();
    }
}

/// An account's statement is written as soon as it is looked at.
fn ask_for_statement(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(key) = state.offer_key() else { return };
    let Some(exam) = state.exam.clone() else { return };
    let asked = state.offering.as_ref().is_some_and(|(_, asked)| *asked == key);
    if asked || state.offers.contains_key(&key) {
        return;
    }
    state.last_job += 1;
    state.offering = Some((state.last_job, key.clone()));
    effects.push(Effect::Run(state.last_job, Job::Offer { exam, key }));
}

/// Puts something over the place.
fn push(state: &mut State, over: Overlay) {
    state.layers.push(Layer { over, scroll: 0 });
}

fn go(state: &mut State, place: Place) {
    state.place = place;
    state.scroll = 0;
}

/// Everything that was found counts no more: it was looked at before the last change.
fn forget(state: &mut State, from: Step) {
    if state.exam.is_none() {
        state.stale.clear(); // there is nothing to check again
        return;
    }
    state.stale.extend(Step::ALL.into_iter().filter(|step| *step >= from));
    state.offers.clear();
    state.offering = None;
    if let Some(register) = &mut state.register {
        register.stale = true;
        state.fetching = None;
    }
    for (_, current) in &mut state.proofs {
        *current = false;
    }
}

fn scroll_mut(state: &mut State) -> &mut u16 {
    match state.layers.last_mut() {
        Some(layer) => &mut layer.scroll,
        None => &mut state.scroll,
    }
}

fn clamp_scroll(state: &mut State) {
    let limit = screen::scroll_limit(state);
    let scroll = scroll_mut(state);
    *scroll = (*scroll).min(limit);
}
