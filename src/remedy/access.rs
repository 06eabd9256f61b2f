//! Opening what is closed to the server's user: to that user, and as far as can be to nobody else.

use std::fmt::Write as _;
use std::path::Path;

use super::{Action, Effect, Remedy, certificates, shell};
use crate::facts::{Access, Blocker, Class, Facts, FileFacts, Readable};

/// Opens each of these, and nothing else. A group that others may be in is never taken from what
/// it owns: the server's user joins it instead, which counts after a restart.
pub fn open(facts: &Facts, user: &str, blockers: &[&Blocker]) -> Remedy {
    if blockers.iter().any(|blocker| is_not_to_be_opened(blocker))
        && let Some(moved) = moved(facts, &closed(facts))
    {
        return moved;
    }
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

/// Groups whose members may do what root may, or read what nobody else should.
const PRIVILEGED: [&str; 12] = [
    "sudo",
    "wheel",
    "admin",
    "adm",
    "docker",
    "lxd",
    "libvirt",
    "disk",
    "kmem",
    "shadow",
    "staff",
    "systemd-journal",
];

/// Whether opening this would let in more than the server: into a home, with a group that means
/// more than these files, or with one that others are in.
fn is_not_to_be_opened(blocker: &Blocker) -> bool {
    let home = blocker.is_folder
        && (blocker.path == Path::new("/root")
            || blocker.path.parent() == Some(Path::new("/home")));
    let bit = if blocker.is_folder { 0o010 } else { 0o040 };
    let group = blocker.class == Class::Other && blocker.group != "root";
    let widens = group && blocker.mode & bit == 0;
    home || widens || (group && PRIVILEGED.contains(&blocker.group.as_str()))
}

/// The files that the server's user cannot get at, by the options that name them.
fn closed(facts: &Facts) -> Vec<(&'static str, &Path)> {
    fn path<T>(file: Option<&FileFacts<T>>) -> Option<&Path> {
        let file = file?;
        let no = |access: &Access| matches!(access.readable, Readable::No { .. });
        file.access.as_ref().is_some_and(no).then_some(file.path.as_path())
    }
    let Some(files) = facts.files.read() else { return Vec::new() };
    let named = [
        ("ssl_key", path(files.key.as_ref())),
        ("ssl_cert", path(files.certificate.as_ref())),
        ("ssl_ca", path(files.ca.as_ref())),
    ];
    named.into_iter().filter_map(|(option, path)| Some((option, path?))).collect()
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

/// Copies of these files where servers keep theirs, and the options that name them.
pub fn moved(facts: &Facts, files: &[(&str, &Path)]) -> Option<Remedy> {
    let config = facts.config.read()?;
    let mut folder = certificates::default_folder(facts);
    if files.iter().any(|(_, path)| path.starts_with(&folder)) {
        folder = certificates::beside(&folder, "server").with_extension("");
    }
    let held = facts.files.read()?;
    let user = held.server_user.as_deref().unwrap_or("mysql");
    let mut command = format!("install -d -m 0755 {}", shell::path(&folder));
    let mut options = Vec::new();
    for (option, path) in files {
        // by what they are: two files of one name, or one file for two options, stay apart
        let name = match *option {
            "ssl_key" => "server-key.pem",
            "ssl_cert" => "server-cert.pem",
            _ => "ca.pem",
        };
        let to = folder.join(name);
        let (from, target) = (shell::path(path), shell::path(&to));
        let for_the_server_alone = *option == "ssl_key" || held.is_combined(option);
        // what is there already is kept beside it; writing to a String cannot fail
        let _ = if for_the_server_alone {
            let user = shell::word(user);
            write!(command, " &&\ninstall -b -m 0640 -g \"$(id -gn {user})\" {from} {target}")
        } else {
            write!(command, " &&\ninstall -b -m 0644 {from} {target}")
        };
        options.push((*option, to.display().to_string()));
    }
    let options: Vec<(&str, &str)> =
        options.iter().map(|(option, path)| (*option, path.as_str())).collect();
    let actions =
        vec![Action::shell(command, Effect::Restart), Action::config(&config.main_file, &options)];
    let note = "the old files stay; renew the copies from now on";
    Some(Remedy::new("keep them where servers keep theirs", actions).with_note(note))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    #[test]
    fn a_file_that_holds_the_key_too_is_copied_for_the_server_alone() {
        let facts = testing::with_files(|files| {
            files.combined = vec!["ssl_key".into(), "ssl_cert".into()];
        });
        let all = Path::new("/root/all.pem");
        let remedy = moved(&facts, &[("ssl_key", all), ("ssl_cert", all)]).unwrap();
        let text = &remedy.actions[0].text;
        assert_eq!(text.matches("-m 0640 -g").count(), 2, "{text}");
        assert!(!text.contains("0644"), "{text}");
        assert!(text.contains("/root/all.pem /etc/mysql/tls/server-key.pem"), "{text}");
        assert!(text.contains("/root/all.pem /etc/mysql/tls/server-cert.pem"), "{text}");
    }
}
