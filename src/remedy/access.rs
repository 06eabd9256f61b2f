//! Opening what is closed to the server's user: to that user, and as far as can be to nobody else.

use super::{Action, Effect, Remedy, certificates, shell};
use crate::facts::{Blocker, Class, Facts};

/// Opens each of these, and nothing else. A group that others may be in is never taken from what
/// it owns: the server's user joins it instead, which counts after a restart.
pub fn open(facts: &Facts, user: &str, blockers: &[&Blocker]) -> Remedy {
    let files = certificates::effect_of_files(facts);
    let mut actions: Vec<Action> = Vec::new();
    for blocker in blockers {
        for action in open_one(blocker, user, files) {
            // several things may need the same group
            if !actions.contains(&action) {
                actions.push(action);
            }
        }
    }
    let joins = actions.iter().any(|action| action.text.starts_with("usermod "));
    let remedy = Remedy::new(format!("let {user} in, and nobody else"), actions);
    let reload = certificates::take_effect(facts, remedy.effect());
    let mut remedy = if joins {
        remedy.with_note(format!(
            "{user} may then read whatever else that group may read; a restart makes it count"
        ))
    } else {
        remedy
    };
    remedy.actions.extend(reload);
    remedy
}

fn open_one(blocker: &Blocker, user: &str, effect: Effect) -> Vec<Action> {
    let path = shell::path(&blocker.path);
    let right = if blocker.is_folder { "x" } else { "r" };
    let bit = if blocker.is_folder { 0o010 } else { 0o040 };
    let mode = blocker.mode;
    let chmod = |class: char| {
        Action::shell(format!("chmod {class}+{right} {path}"), effect)
            .with_undo(format!("chmod {mode:04o} {path}"))
    };
    match blocker.class {
        Class::Owner => vec![chmod('u')],
        Class::Group => vec![chmod('g')],
        Class::Other if blocker.group == "root" => {
            let command = format!(
                "chgrp \"$(id -gn {})\" {path} && chmod g+{right} {path}",
                shell::word(user)
            );
            let undo = format!("chgrp root {path} && chmod {mode:04o} {path}");
            vec![Action::shell(command, effect).with_undo(undo)]
        }
        Class::Other => {
            let (group, user) = (shell::word(&blocker.group), shell::word(user));
            let join = Action::shell(format!("usermod -aG {group} {user}"), Effect::Restart)
                .with_undo(format!("gpasswd -d {user} {group}"));
            if mode & bit == bit { vec![join] } else { vec![join, chmod('g')] }
        }
    }
}
