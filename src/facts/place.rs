//! Whether the server may read a file where it lies: permissions, systemd's unit, AppArmor, SELinux.

use std::path::{Path, PathBuf};

use super::confinement::{Confinement, Hidden};
use super::{Access, files};

/// A file, and all that is between it and the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub path: PathBuf,
    /// Who is to read it; `None` where that is not known.
    pub user: Option<String>,
    /// `None`: there is no such file, or it cannot be looked at.
    pub access: Option<Access>,
    /// The folder that systemd keeps out of the server's sight.
    pub hidden: Option<Hidden>,
    /// The profile that does not allow it: its file, and that for additions of one's own.
    pub profile: Option<(PathBuf, PathBuf)>,
    pub selinux: Option<Label>,
}

/// What SELinux knows of the file, where it is switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Whether it denies, and does not only write down.
    pub enforcing: bool,
    /// `mysqld_etc_t`; `None` for a file without a label.
    pub kind: Option<String>,
}

impl Label {
    /// Types that the policy of the distributions lets the server read
    /// (`mysqld_selinux(8)`; `cert_t` by `miscfiles_read_generic_certs`).
    pub const READABLE: [&'static str; 4] = ["mysqld_etc_t", "mysqld_db_t", "cert_t", "etc_t"];

    pub fn is_readable(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| Self::READABLE.contains(&kind))
    }
}

/// Looks; `root` is `/` but for tests and containers.
pub fn look(path: &Path, user: Option<&str>, root: &Path) -> Place {
    let confinement = Confinement::read(root);
    let denied = confinement.apparmor.as_ref().filter(|profile| !profile.allows(path));
    Place {
        path: path.to_owned(),
        user: user.map(str::to_owned),
        access: files::access_of(path, user),
        hidden: confinement.unit.as_ref().and_then(|unit| unit.hides(path)).cloned(),
        profile: denied.map(|profile| (profile.file.clone(), profile.local())),
        selinux: label(path, root),
    }
}

fn label(path: &Path, root: &Path) -> Option<Label> {
    const LARGEST: u64 = 16;
    let switch = root.join("sys/fs/selinux/enforce");
    // it is none that has a length, so it is read as it is
    let text = std::fs::read_to_string(&switch).ok()?;
    let enforcing = text.get(..1.min(text.len())) == Some("1") && text.len() as u64 <= LARGEST;
    let mut value = [0; 256];
    let length = rustix::fs::getxattr(path, c"security.selinux", &mut value[..]).ok();
    // `system_u:object_r:mysqld_etc_t:s0`
    let kind = length.and_then(|length| {
        let text = String::from_utf8_lossy(&value[..length]).into_owned();
        text.split(':').nth(2).map(|kind| kind.trim_end_matches('\0').to_owned())
    });
    Some(Label { enforcing, kind })
}
