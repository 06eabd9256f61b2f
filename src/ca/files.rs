//! What was issued, laid where a server or a client reads it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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
/// everybody may read; folders that are missing are made, for their owner alone. Should one file
/// fail, those before it are as they were.
pub fn replace_server(files: &ServerFiles, issued: &Issued) -> Result<Vec<Written>, CaError> {
    for path in [Some(&files.key), Some(&files.certificate), files.ca.as_ref()] {
        match path.and_then(|path| path.parent()) {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
                disk::create_private_dir(folder)?;
            }
            _ => {}
        }
    }
    let (key, certificate) = (issued.key_pem()?, issued.certificate_pem()?);
    let ca = issued.ca_pem()?;
    let key_meta = meta(&files.key, 0o640)?;
    let key_meta = Meta { mode: key_meta.mode & !0o007, ..key_meta };
    let mut planned = vec![
        (&files.key, key.expose(), key_meta),
        (&files.certificate, certificate.as_str(), meta(&files.certificate, 0o644)?),
    ];
    if let Some(path) = &files.ca {
        planned.push((path, ca.as_str(), meta(path, 0o644)?));
    }
    write_all(&planned)
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
fn write_all(planned: &[(&PathBuf, &str, Meta)]) -> Result<Vec<Written>, CaError> {
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

/// Mode and owner of the file there is; of a new one, those that its folder suggests.
fn meta(path: &Path, mode: u32) -> Result<Meta, DiskError> {
    if path.exists() {
        return Meta::of(path);
    }
    if !nix::unistd::Uid::effective().is_root() {
        return Ok(Meta::mode(mode & 0o644));
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
}
