//! What the server offers, asked and shown.

use super::{push, run};
use crate::scan::Scan;
use crate::tui::state::{Doing, Effect, Job, Overlay, State};

/// Asks, from the step or once more from what came of it.
pub fn ask(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(exam) = state.exam.clone() else { return };
    if !run(state, Doing::Scanning, Job::Scan { exam }, effects) {
        return;
    }
    if matches!(state.top(), Some(Overlay::Scan { .. })) {
        state.layers.pop();
    }
    push(state, Overlay::Scan { so_far: String::new(), answer: None });
}

pub fn scanned(state: &mut State, found: Result<Box<Scan>, String>) {
    let over = state.layers.iter_mut().rev().map(|layer| &mut layer.over);
    for over in over {
        if let Overlay::Scan { answer, .. } = over {
            *answer = Some(found);
            return;
        }
    }
}
