//! What was issued, laid where a server or a client reads it.

use std::ffi::CString;
use std::os::unix::fs::{MetadataExt, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{User, getgrouplist};

use super::{CaError, Issued};
use crate::disk::{self, DiskError, Meta, Owner};

/// The very files that a server's options name.
#[derive(Clone, Debug)]
pub struct ServerFiles {
    /// `ssl_cert`: gets the certificate and the intermediates above it.
    pub certificate: PathBuf,
    /// `ssl_key`
    pub key: PathBuf,
    /// `ssl_ca`, when it is to be replaced, too.
    pub ca: Option<PathBuf>,
    /// The user the server runs as, who has to be able to read the key; `None`: not known.
    pub server_user: Option<User>,
}

impl ServerFiles {
    /// Refuses two names of one file: what is written last would be all that is left.
    pub fn check(&self) -> Result<(), CaError> {
        let named = [Some(&self.certificate), Some(&self.key), self.ca.as_ref()];
        let named: Vec<&PathBuf> = named.into_iter().flatten().collect();
        for (at, one) in named.iter().enumerate() {
            if let Some(other) = named[at + 1..].iter().find(|other| same_file(one, other)) {
                let (one, other) = ((*one).clone(), (*other).clone());
                return Err(CaError::SameFile { one, other });
            }
        }
        Ok(())
    }
}

/// Whether two names mean one file, links followed, be it there or not.
fn same_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| {
        std::fs::canonicalize(path).ok().or_else(|| {
            let folder = disk::folder_of(path).ok()?;
            Some(std::fs::canonicalize(folder).ok()?.join(path.file_name()?))
        })
    };
    let absolute = |path: &Path| real(path).or_else(|| std::path::absolute(path).ok());
    let identity =
        |path: &Path| std::fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
    absolute(one) == absolute(other)
        || identity(one).is_some_and(|file| identity(other) == Some(file))
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub path: PathBuf,
    /// What it held before; `None` when it is new, or held just this.
    pub backup: Option<PathBuf>,
}

/// Lays `client-cert.pem`, `client-key.pem` and `ca.pem` into a folder.
pub fn write_client(folder: &Path, issued: &Issued) -> Result<Vec<Written>, CaError> {
    write_folder(folder, issued, "client")
}

/// Lays `server-cert.pem`, `server-key.pem` and `ca.pem` into a folder.
pub fn write_server(folder: &Path, issued: &Issued) -> Result<Vec<Written>, CaError> {
    write_folder(folder, issued, "server")
}

/// Replaces the files of a server, each with its owner and mode, but never leaves a key that
/// everybody may read, nor one that the server's user may not. Folders that are missing are made;
/// no other folder is touched. Should one file fail, those before it are as they were.
pub fn replace_server(files: &ServerFiles, issued: &Issued) -> Result<Vec<Written>, CaError> {
    files.check()?;
    let others: Vec<&Path> = [Some(&files.certificate), files.ca.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    for path in others.iter().copied().chain([files.key.as_path()]) {
        make_folder(path, others.contains(&path), files.server_user.as_ref())?;
    }
    let (key, certificate) = (issued.key_pem()?, issued.certificate_pem()?);
    let ca = issued.ca_pem()?;
    let user = files.server_user.as_ref();
    let mut planned = vec![
        (&files.key, key.expose(), key_meta(&files.key, user)?),
        (&files.certificate, certificate.as_str(), meta(&files.certificate, 0o644, user)?),
    ];
    if let Some(path) = &files.ca {
        planned.push((path, ca.as_str(), meta(path, 0o644, user)?));
    }
    write_all(&planned)
}

/// Makes the folder of a file, and those above it, where they are missing: open to everybody for
/// a server's certificates, to its group for its key alone, to nobody when no server is known.
fn make_folder(file: &Path, public: bool, user: Option<&User>) -> Result<(), CaError> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    disk::create_private_dir(folder)?;
    let Some(user) = user else { return Ok(()) };
    for made in missing {
        let failed = |error| DiskError::new(made, error);
        let mode = if made == folder && !public { 0o750 } else { 0o755 };
        if mode == 0o750 && nix::unistd::Uid::effective().is_root() {
            std::os::unix::fs::chown(made, Some(0), Some(user.gid.as_raw())).map_err(failed)?;
        }
        std::fs::set_permissions(made, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(())
}

/// As [`meta`], closed to everybody else and open to the server's user.
fn key_meta(path: &Path, user: Option<&User>) -> Result<Meta, DiskError> {
    let meta = meta(path, 0o640, user)?;
    let mode = meta.mode & !0o007;
    let (Some(user), Some(owner)) = (user, meta.owner) else {
        return Ok(Meta { mode, ..meta });
    };
    if owner.uid == user.uid.as_raw() {
        return Ok(Meta { mode: mode | 0o400, ..meta });
    }
    let groups = CString::new(user.name.as_str()).ok();
    let groups = groups.and_then(|name| getgrouplist(&name, user.gid).ok()).unwrap_or_default();
    let is_member = groups.iter().any(|group| group.as_raw() == owner.gid);
    if is_member || !nix::unistd::Uid::effective().is_root() {
        return Ok(Meta { mode: mode | 0o040, ..meta });
    }
    let owner = Some(Owner { gid: user.gid.as_raw(), ..owner });
    Ok(Meta { mode: (mode & !0o070) | 0o040, owner })
}

fn write_folder(folder: &Path, issued: &Issued, role: &str) -> Result<Vec<Written>, CaError> {
    let path = |name: String| folder.join(name);
    let [key, certificate] = ["key", "cert"].map(|kind| path(format!("{role}-{kind}.pem")));
    write_all(&[
        (&key, issued.key_pem()?.expose(), Meta::mode(0o600)),
        (&certificate, &issued.certificate_pem()?, Meta::mode(0o644)),
        (&path("ca.pem".to_owned()), &issued.ca_pem()?, Meta::mode(0o644)),
    ])
}

/// All of them, or none: a key without its certificate is worse than the old pair.
pub(super) fn write_all(planned: &[(&PathBuf, &str, Meta)]) -> Result<Vec<Written>, CaError> {
    let mut written: Vec<Written> = Vec::new();
    for (path, text, meta) in planned {
        let existed = path.exists();
        match disk::replace(path, text.as_bytes(), *meta) {
            Ok(backup) if existed && backup.is_none() => {}
            Ok(backup) => written.push(Written { path: (*path).clone(), backup }),
            Err(error) => {
                for done in written.iter().rev() {
                    let _ = match &done.backup {
                        Some(backup) => disk::restore(backup).map(drop),
                        None => std::fs::remove_file(&done.path)
                            .map_err(|error| DiskError::new(&done.path, error)),
                    };
                }
                return Err(error.into());
            }
        }
    }
    Ok(written)
}

/// Mode and owner of the file there is; of a new one, root's and the server's group, or without a
/// known server those that its folder suggests.
fn meta(path: &Path, mode: u32, user: Option<&User>) -> Result<Meta, DiskError> {
    if path.exists() {
        return Meta::of(path);
    }
    if !nix::unistd::Uid::effective().is_root() {
        return Ok(Meta::mode(mode & 0o644));
    }
    if let Some(user) = user {
        return Ok(Meta { mode, owner: Some(Owner { uid: 0, gid: user.gid.as_raw() }) });
    }
    let folder = disk::folder_of(path)?;
    let folder = std::fs::metadata(&folder).map_err(|error| DiskError::new(&folder, error))?;
    Ok(Meta { mode, owner: Some(Owner { uid: folder.uid(), gid: folder.gid() }) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::ca::{Authority, AuthoritySpec, KeyKind, Validity};

    fn issued() -> Issued {
        let ca = Authority::create(&AuthoritySpec::named(&"CA".parse().unwrap())).unwrap();
        let sans = ["db1".parse().unwrap()];
        ca.issue_server(&ca.server_spec(&sans, KeyKind::P256, Validity::LEAF).unwrap()).unwrap()
    }

    fn files(folder: &Path) -> ServerFiles {
        ServerFiles {
            certificate: folder.join("cert.pem"),
            key: folder.join("key.pem"),
            ca: Some(folder.join("ca/ca.pem")),
            server_user: None,
        }
    }

    #[test]
    fn a_servers_files_keep_their_modes_and_a_key_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        for (path, mode) in [(&files.certificate, 0o640), (&files.key, 0o644)] {
            fs::write(path, b"old").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let written = replace_server(&files, &issued()).unwrap();
        assert_eq!(written.iter().filter(|file| file.backup.is_some()).count(), 2);
        assert_eq!(written.len(), 3, "the CA's file is new");
        assert_eq!(Meta::of(&files.certificate).unwrap().mode, 0o640);
        assert_eq!(Meta::of(&files.key).unwrap().mode, 0o640, "0644 before");
        assert_eq!(Meta::of(&folder.path().join("ca")).unwrap().mode, 0o700, "made for it");
    }

    #[test]
    fn a_failure_half_way_puts_the_old_pair_back() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        fs::write(&files.key, b"old key").unwrap();
        let error = replace_server(
            &ServerFiles { ca: None, certificate: folder.path().into(), ..files.clone() },
            &issued(),
        );
        assert!(error.is_err(), "a directory is no certificate file");
        assert_eq!(fs::read(&files.key).unwrap(), b"old key");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_servers_user_reads_what_is_made_and_no_other_folder_is_touched() {
        let nobody = User::from_name("nobody").ok().flatten();
        let Some(user) = nobody.filter(|_| nix::unistd::Uid::effective().is_root()) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let before = Meta::of(folder.path()).unwrap();
        let gid = user.gid.as_raw();
        let files = ServerFiles {
            certificate: folder.path().join("tls/cert.pem"),
            key: folder.path().join("tls/private/key.pem"),
            ca: None,
            server_user: Some(user),
        };
        replace_server(&files, &issued()).unwrap();
        let root = |mode, gid| Meta { mode, owner: Some(Owner { uid: 0, gid }) };
        assert_eq!(Meta::of(folder.path()).unwrap(), before);
        assert_eq!(Meta::of(&folder.path().join("tls")).unwrap().mode, 0o755);
        assert_eq!(Meta::of(&folder.path().join("tls/private")).unwrap(), root(0o750, gid));
        assert_eq!(Meta::of(&files.key).unwrap(), root(0o640, gid));
        assert_eq!(Meta::of(&files.certificate).unwrap().mode, 0o644);
        // a key that everybody could read stays open to the server alone
        std::os::unix::fs::chown(&files.key, Some(0), Some(0)).unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
        replace_server(&files, &issued()).unwrap();
        assert_eq!(Meta::of(&files.key).unwrap(), root(0o640, gid));
    }

    #[test]
    fn one_file_under_two_names_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path());
        fs::write(&files.certificate, b"all").unwrap();
        std::os::unix::fs::symlink("cert.pem", &files.key).unwrap();
        let error = replace_server(&files, &issued()).unwrap_err();
        assert!(error.to_string().contains("the same file"), "{error}");
        files.key = files.certificate.clone();
        assert!(files.check().is_err());
        assert_eq!(fs::read(&files.certificate).unwrap(), b"all");
    }
}
