//! Where a server may read its key and certificates: what is in the way, and the commands that put
//! the files where nothing is.

use std::path::Path;

use super::shell;
use crate::facts::place::{Label, Place};
use crate::facts::{Blocker, Readable};
use crate::printable::{printable, shown};

/// What keeps the server from reading it, one sentence each; empty where nothing does.
pub fn blockers(place: &Place) -> Vec<String> {
    let file = shown(&place.path);
    let mut out = Vec::new();
    let user = place.user.as_deref().unwrap_or("the server's user");
    match &place.access {
        None => out.push(format!("{file}: there is no such file, or it cannot be looked at")),
        Some(access) => {
            if let Readable::No { blockers } = &access.readable {
                out.extend(blockers.iter().map(|blocker| closed(blocker, user)));
            }
        }
    }
    if let Some(hidden) = &place.hidden {
        out.push(format!(
            "{file}: systemd hides {} from the server ({}, {})",
            shown(&hidden.folder),
            printable(&hidden.setting),
            printable(&hidden.origin.to_string())
        ));
    }
    if let Some((profile, _)) = &place.profile {
        out.push(format!("{file}: the AppArmor profile {} does not allow it", shown(profile)));
    }
    if let Some(label) = place.selinux.as_ref().filter(|label| !label.is_readable()) {
        out.push(format!(
            "{file}: its SELinux type is {}, and the server reads {}{}",
            printable(label.kind.as_deref().unwrap_or("none")),
            Label::READABLE.join(", "),
            if label.enforcing { "" } else { "; SELinux only writes down what it would deny" }
        ));
    }
    out
}

fn closed(blocker: &Blocker, user: &str) -> String {
    let what = if blocker.is_folder { "may not pass through" } else { "may not read" };
    format!(
        "{} {what} {} ({:04o} {}:{})",
        printable(user),
        shown(&blocker.path),
        blocker.mode & 0o7777,
        printable(&blocker.owner),
        printable(&blocker.group)
    )
}

/// The commands that put a file where the server may read it; `folder` is where it is to lie, and
/// `secret` says that it holds a private key.
pub fn commands(place: &Place, folder: &Path, secret: bool) -> Vec<String> {
    let user = place.user.as_deref().unwrap_or("mysql");
    let group = format!("\"$(id -gn {})\"", shell::word(user));
    let name = place.path.file_name().unwrap_or_default();
    let to = folder.join(name);
    let (mode, into) = (if secret { "0640" } else { "0644" }, shell::path(folder));
    let mut out = Vec::new();
    if place.path.starts_with(folder) {
        let closed = place.access.as_ref().map(|access| &access.readable);
        if let Some(Readable::No { blockers }) = closed {
            for blocker in blockers {
                let right = if blocker.is_folder { "x" } else { "r" };
                let path = shell::path(&blocker.path);
                out.push(format!("chgrp {group} {path} && chmod g+{right} {path}"));
            }
        }
    } else {
        out.push(format!("install -d -m 0750 -o root -g {group} {into}"));
        let (from, to) = (shell::path(&place.path), shell::path(&to));
        out.push(format!("install -b -m {mode} -o root -g {group} {from} {to}"));
    }
    if let Some((profile, local)) = &place.profile {
        let line = format!("{}/** r,", folder.display());
        out.push(format!("printf '%s\\n' {} >> {}", shell::word(&line), shell::path(local)));
        out.push(format!("apparmor_parser -r {}", shell::path(profile)));
    }
    if place.selinux.is_some() {
        let pattern = format!("{}(/.*)?", folder.display());
        out.push(format!("semanage fcontext -a -t mysqld_etc_t {}", shell::word(&pattern)));
        out.push(format!("restorecon -Rv {into}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Access, Class, Origin, confinement::Hidden};
    use std::path::PathBuf;

    fn place() -> Place {
        let path = PathBuf::from("/root/server-key.pem");
        let blocker = Blocker {
            path: path.clone(),
            is_folder: false,
            mode: 0o600,
            owner: "root".into(),
            group: "root".into(),
            class: Class::Other,
        };
        let access = Access {
            mode: 0o600,
            owner: "root".into(),
            group: "root".into(),
            readable: Readable::No { blockers: vec![blocker] },
            open_to_others: false,
            real: None,
        };
        let origin = Origin { file: "/lib/systemd/system/mariadb.service".into(), line: 3 };
        let hidden = Hidden { folder: "/root".into(), setting: "ProtectHome=true".into(), origin };
        Place {
            path,
            user: Some("mysql".into()),
            access: Some(access),
            hidden: Some(hidden),
            profile: Some((
                "/etc/apparmor.d/usr.sbin.mysqld".into(),
                "/etc/apparmor.d/local/usr.sbin.mysqld".into(),
            )),
            selinux: Some(Label { enforcing: true, kind: Some("admin_home_t".into()) }),
        }
    }

    #[test]
    fn everything_in_the_way_is_named_and_has_its_command() {
        let said = blockers(&place()).join("\n");
        for part in ["may not read", "ProtectHome=true", "AppArmor", "admin_home_t"] {
            assert!(said.contains(part), "{said}");
        }
        let done = commands(&place(), Path::new("/etc/mysql/tls"), true).join("\n");
        for part in [
            "install -b -m 0640 -o root -g \"$(id -gn mysql)\" /root/server-key.pem /etc/mysql/tls/server-key.pem",
            "'/etc/mysql/tls/** r,' >> /etc/apparmor.d/local/usr.sbin.mysqld",
            "apparmor_parser -r",
            "restorecon -Rv /etc/mysql/tls",
        ] {
            assert!(done.contains(part), "{done}");
        }
    }

    #[test]
    fn a_file_that_lies_well_needs_nothing() {
        let mut place = place();
        place.access.as_mut().unwrap().readable = Readable::Yes;
        (place.hidden, place.profile, place.selinux) = (None, None, None);
        assert_eq!(blockers(&place), Vec::<String>::new());
        assert_eq!(commands(&place, Path::new("/root"), true), Vec::<String>::new());
    }
}
