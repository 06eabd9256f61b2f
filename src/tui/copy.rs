//! What `y` copies: always the text that can be used as it stands, never a key.

use super::rows::{Info, Row};
use super::screen;
use super::state::{Overlay, Place, State};
use crate::remedy::{ActionKind, Remedy};
use crate::rules::Step;

/// The text for the clipboard; `None` where there is nothing to copy.
pub fn text(state: &State) -> Option<String> {
    match state.top() {
        Some(Overlay::Fix(fix)) => return fix.remedy().map(remedy),
        Some(Overlay::Review(plan)) => return Some(screen::review::text(plan)),
        Some(over) => return Some(plain(&screen::overlay::lines(state, over, 100))),
        None => {}
    }
    match &state.place {
        Place::Account(_) | Place::Accounts(_) => match state.offer()? {
            Ok(offer) => Some(offer.statement.clone()),
            Err(_) => None,
        },
        Place::Step(Step::Report) => Some(plain(&screen::report::lines(state, 100))),
        Place::Step(_) => row(state),
        Place::Authority(_) => Some(state.register.as_ref()?.certificate()?.pem.clone()),
        Place::Workshop(_) => None,
    }
}

fn row(state: &State) -> Option<String> {
    match state.selected_row()? {
        Row::Finding { .. } => state.selected_finding()?.remedies.first().map(remedy),
        Row::Info(Info::Certificate) => {
            let exam = state.exam.as_ref()?;
            exam.facts.served_leaf().map(|certificate| certificate.pem.clone())
        }
        Row::Account { name, .. } => Some(name.to_string()),
        _ => None,
    }
}

/// The actions of a remedy in order; where they are not all of one kind, a comment says where each
/// of them goes. `#` begins a comment in a shell and in MySQL's SQL alike.
pub fn remedy(remedy: &Remedy) -> String {
    let mixed = remedy.actions.iter().any(|a| a.kind != remedy.actions[0].kind);
    let texts = remedy.actions.iter().map(|action| {
        let file = action.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        let head = match action.kind {
            ActionKind::Shell => "# in a shell".to_owned(),
            ActionKind::Sql => "# in SQL".to_owned(),
            ActionKind::Config => format!("# at the end of {file}"),
            ActionKind::File => format!("# as {file}"),
        };
        if mixed { format!("{head}\n{}", action.text) } else { action.text.clone() }
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn plain(lines: &[ratatui::text::Line]) -> String {
    let lines = lines.iter().map(|line| line.to_string().trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}
