//! The server's systemd unit, with its drop-ins.
//!
//! Source: systemd.exec(5), "Sandboxing"; systemd.unit(5), "Unit File Load Path".

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Hidden, Origin, text};

/// Where units lie; the first folder that has one wins.
const FOLDERS: [&str; 4] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
];
const NAMES: [&str; 3] = ["mariadb.service", "mysql.service", "mysqld.service"];
/// How many drop-ins are looked at.
const DROP_INS: usize = 100;

/// What the unit of the server says about the files that it sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// `mariadb.service`
    pub name: String,
    pub hidden: Vec<Hidden>,
    /// What is shown to the server all the same (`BindPaths`, `BindReadOnlyPaths`).
    pub shown: Vec<PathBuf>,
}

impl Unit {
    /// What keeps the server from seeing this file.
    pub fn hides(&self, file: &Path) -> Option<&Hidden> {
        let hidden = self.hidden.iter().find(|hidden| file.starts_with(&hidden.folder))?;
        let shown = self
            .shown
            .iter()
            .any(|shown| file.starts_with(shown) && shown.starts_with(&hidden.folder));
        (!shown).then_some(hidden)
    }
}

pub(super) fn read(root: &Path) -> Option<Unit> {
    let main = NAMES.iter().find_map(|name| {
        let files = FOLDERS.iter().map(|folder| root.join(folder).join(name));
        let file = files.into_iter().find(|file| file.is_file())?;
        Some((*name, file))
    });
    let (name, file) = main?;
    let mut settings = Settings::default();
    settings.read(&file);
    for drop_in in drop_ins(root, name) {
        settings.read(&drop_in);
    }
    Some(settings.unit(name))
}

/// Those of all folders in the order of their names; of two with one name the first folder's wins.
fn drop_ins(root: &Path, name: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in FOLDERS {
        let folder = root.join(folder).join(format!("{name}.d"));
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().take(DROP_INS) {
            let path = entry.path();
            let is_new = !found.iter().any(|known| known.file_name() == path.file_name());
            if is_new && path.extension().is_some_and(|kind| kind == "conf") {
                found.push(path);
            }
        }
    }
    found.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
    found
}

/// The settings that hide files, as far as they were read.
#[derive(Default)]
struct Settings {
    /// The last one counts.
    home: Option<(String, Origin)>,
    tmp: Option<(String, Origin)>,
    /// An empty one forgets those before.
    lists: Vec<Hidden>,
    shown: Vec<PathBuf>,
}

impl Settings {
    fn read(&mut self, file: &Path) {
        let text = text(file).unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            let Some((name, value)) = line.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim());
            let origin = Origin { file: file.to_owned(), line: index + 1 };
            match name {
                "ProtectHome" => self.home = Some((value.to_owned(), origin)),
                "PrivateTmp" => self.tmp = Some((value.to_owned(), origin)),
                "InaccessiblePaths" | "InaccessibleDirectories" | "TemporaryFileSystem" => {
                    self.list(name, value, &origin);
                }
                "BindPaths" | "BindReadOnlyPaths" => {
                    if value.is_empty() {
                        self.shown.clear();
                    }
                    // SOURCE:DESTINATION:OPTIONS; what counts is where it is seen
                    let seen = value.split_whitespace().map(|word| {
                        let mut parts = word.split(':');
                        let source = parts.next().unwrap_or_default();
                        PathBuf::from(parts.next().unwrap_or(source).trim_start_matches('-'))
                    });
                    self.shown.extend(seen);
                }
                _ => {}
            }
        }
    }

    fn list(&mut self, name: &str, value: &str, origin: &Origin) {
        let setting = |folder: &str| format!("{name}={folder}");
        if value.is_empty() {
            self.lists.retain(|hidden| !hidden.setting.starts_with(&setting("")));
        }
        for word in value.split_whitespace() {
            let folder = word.trim_start_matches(['-', '+']);
            let folder = folder.split(':').next().unwrap_or_default();
            self.lists.push(Hidden {
                folder: folder.into(),
                setting: setting(folder),
                origin: origin.clone(),
            });
        }
    }

    fn unit(self, name: &str) -> Unit {
        let on = |value: &str| matches!(value, "yes" | "true" | "1" | "on" | "y" | "t");
        let mut hidden = self.lists;
        let mut hide = |folders: &[&str], name: &str, (value, origin): (String, Origin)| {
            let hides = folders.iter().map(|folder| Hidden {
                folder: folder.into(),
                setting: format!("{name}={value}"),
                origin: origin.clone(),
            });
            hidden.extend(hides);
        };
        // with read-only the files can be seen
        if let Some(home) = self.home.filter(|(value, _)| on(value) || value == "tmpfs") {
            hide(&["/home", "/root", "/run/user"], "ProtectHome", home);
        }
        if let Some(tmp) = self.tmp.filter(|(value, _)| on(value) || value == "disconnected") {
            hide(&["/tmp", "/var/tmp"], "PrivateTmp", tmp);
        }
        Unit { name: name.to_owned(), hidden, shown: self.shown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system with these files.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    const MARIADB: &str =
        "[Service]\nExecStart=/usr/sbin/mariadbd\nProtectHome=true\nPrivateTmp=false\n";

    #[test]
    fn the_home_folders_are_hidden_and_nothing_else_is() {
        let root = system(&[("usr/lib/systemd/system/mariadb.service", MARIADB)]);
        let unit = read(root.path()).unwrap();
        let hidden = unit.hides(Path::new("/home/dba/server-key.pem")).unwrap();
        assert_eq!(hidden.setting, "ProtectHome=true");
        assert_eq!(hidden.origin.line, 3);
        assert_eq!(unit.hides(Path::new("/etc/mysql/tls/server-key.pem")), None);
        assert_eq!(unit.hides(Path::new("/homes/key.pem")), None);
        assert_eq!(unit.hides(Path::new("/tmp/key.pem")), None);
    }

    #[test]
    fn a_drop_in_changes_it_and_the_administrators_goes_before_the_packages() {
        let root = system(&[
            ("usr/lib/systemd/system/mariadb.service", MARIADB),
            (
                "etc/systemd/system/mariadb.service.d/home.conf",
                "[Service]\nProtectHome=read-only\n",
            ),
            ("usr/lib/systemd/system/mariadb.service.d/home.conf", "[Service]\nProtectHome=yes\n"),
            ("etc/systemd/system/mariadb.service.d/tmp.conf", "[Service]\nPrivateTmp = yes\n"),
        ]);
        let unit = read(root.path()).unwrap();
        assert_eq!(unit.hides(Path::new("/root/key.pem")), None);
        assert_eq!(unit.hides(Path::new("/tmp/key.pem")).unwrap().setting, "PrivateTmp=yes");
    }

    #[test]
    fn lists_add_up_until_an_empty_one_and_what_is_bound_is_shown() {
        let text = "[Service]\nInaccessiblePaths=/srv/a\nInaccessiblePaths=\n\
                    InaccessiblePaths=-/srv/b +/srv/c\nTemporaryFileSystem=/opt:ro\n\
                    BindReadOnlyPaths=/opt/tls /x:/srv/b/tls\n";
        let root = system(&[("etc/systemd/system/mysqld.service", text)]);
        let unit = read(root.path()).unwrap();
        let hides = |path: &str| unit.hides(Path::new(path)).is_some();
        assert!(!hides("/srv/a/key.pem"));
        assert!(hides("/srv/b/key.pem") && hides("/srv/c/key.pem") && hides("/opt/key.pem"));
        assert!(!hides("/opt/tls/key.pem") && !hides("/srv/b/tls/key.pem"));
    }

    #[test]
    fn a_host_without_a_unit_hides_nothing() {
        assert_eq!(read(system(&[]).path()), None);
    }
}
