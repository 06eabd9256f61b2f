//! Key, certificate and CA on this host: what they hold, and who may read them.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use super::{
    Access, Blocker, Class, FileFacts, Holds, Nearby, NearbyCrls, Origin, OwnCa, Readable,
    ServerConfig, ServerFiles, trust,
};
use crate::x509::chain::{self, Purpose};
use crate::x509::pem::{self, Defect};
use crate::x509::{Certificate, PrivateKey};

/// No key or chain is larger; what is, is not read.
const LARGEST: u64 = 1 << 20;
/// How many files are looked at for keys and certificates that lie nearby.
const NEARBY_FILES: usize = 200;
/// How many client certificates of the own CA are looked at.
const CLIENTS: usize = 500;

/// Where the three files are, and for whom.
#[derive(Clone, Debug, Default)]
pub struct Sought {
    pub key: Option<(PathBuf, Option<Origin>)>,
    pub certificate: Option<(PathBuf, Option<Origin>)>,
    pub ca: Option<(PathBuf, Option<Origin>)>,
    pub capath: Option<(PathBuf, Option<Origin>)>,
    pub crl: Option<(PathBuf, Option<Origin>)>,
    pub crlpath: Option<PathBuf>,
    /// Files worth a look besides: those of settings that were replaced, and those that a server
    /// finds in its data folder by itself.
    pub besides: Vec<PathBuf>,
    pub server_user: Option<String>,
    /// Where mytls keeps, or would keep, the private CA of this server.
    pub ca_dir: Option<PathBuf>,
}

impl Sought {
    /// The files that options name; `running` are the variables of the server when it could be
    /// asked, and go before the option file, which may have been changed since it started.
    pub fn new(
        running: impl Fn(&str) -> Option<String>,
        is_running: bool,
        config: Option<&ServerConfig>,
        data_folder: Option<&Path>,
    ) -> Self {
        let place = |option: &str| {
            let configured = config.and_then(|config| config.get(option));
            let value = if is_running { running(option) } else { configured.map(str::to_owned) };
            let path = PathBuf::from(value?);
            // It counts only while it says the same.
            let origin = config
                .and_then(|config| config.effective_origin(option))
                .filter(|_| configured.is_some_and(|configured| Path::new(configured) == path))
                .cloned();
            let path = data_folder.map_or_else(|| path.clone(), |folder| folder.join(&path));
            Some((path, origin))
        };
        let owner_of_data = || {
            let about = std::fs::metadata(data_folder?).ok()?;
            Some(user_name(about.uid()))
        };
        let replaced = config.iter().flat_map(|config| &config.lost).filter(|lost| {
            lost.group.is_none() && matches!(&*lost.name, "ssl_key" | "ssl_cert" | "ssl_ca")
        });
        let found_by_itself = ["ca.pem", "server-cert.pem", "server-key.pem"].map(PathBuf::from);
        let besides = replaced
            .filter_map(|lost| lost.value.as_ref().map(PathBuf::from))
            .chain(found_by_itself)
            .filter_map(|path| Some(data_folder?.join(path)))
            .collect();
        let configured_user = config.and_then(|config| config.get("user")).map(str::to_owned);
        Self {
            key: place("ssl_key"),
            certificate: place("ssl_cert"),
            ca: place("ssl_ca"),
            capath: place("ssl_capath"),
            crl: place("ssl_crl"),
            crlpath: place("ssl_crlpath").map(|(path, _)| path),
            besides,
            server_user: configured_user.or_else(owner_of_data),
            ca_dir: None,
        }
    }
}

/// Reads the three files, what they mean to each other, and what lies near them.
pub fn read(sought: &Sought) -> ServerFiles {
    let user = sought.server_user.as_deref().and_then(ServerUser::find);
    let key = sought.key.as_ref().map(|place| file("ssl_key", place, user.as_ref(), read_key));
    let mut x509s = Vec::new();
    let certificate = sought.certificate.as_ref().map(|place| {
        file("ssl_cert", place, user.as_ref(), |bytes| {
            x509s = pem::certificates(bytes)?;
            Ok(x509s.iter().map(|c| Certificate::from_openssl(c)).collect::<Vec<_>>())
        })
    });
    let mut ca_x509s = Vec::new();
    let ca = sought.ca.as_ref().map(|place| {
        file("ssl_ca", place, user.as_ref(), |bytes| {
            ca_x509s = pem::certificates(bytes)?;
            Ok(ca_x509s.iter().map(|c| Certificate::from_openssl(c)).collect::<Vec<_>>())
        })
    });
    let mut files = ServerFiles {
        server_user: sought.server_user.clone(),
        key,
        certificate,
        ca,
        capath: sought.capath.as_ref().map(|(path, origin)| trust::folder(path, origin.clone())),
        crl: sought
            .crl
            .as_ref()
            .map(|place| file("ssl_crl", place, user.as_ref(), |bytes| Ok(trust::crls(bytes)))),
        crlpath: sought.crlpath.clone(),
        signers: chain::signers(&x509s),
        ..ServerFiles::default()
    };
    let in_folder = files.capath.iter().flat_map(trust::CaFolder::trusted);
    ca_x509s.extend(in_folder.filter_map(Certificate::to_openssl));
    if let Some(leaf) = files.leaf_index().filter(|_| !ca_x509s.is_empty()) {
        files.alone_under_ca = Some(chain::verify(&x509s[0], &[], &ca_x509s, Purpose::Server));
        let others: Vec<_> = x509s.iter().enumerate().filter(|(at, _)| *at != leaf).collect();
        let others: Vec<_> = others.into_iter().map(|(_, x509)| x509.clone()).collect();
        files.under_ca = Some(chain::verify(&x509s[leaf], &others, &ca_x509s, Purpose::Server));
    }
    (files.nearby, files.nearby_crls) = nearby(sought);
    files.combined = combined(sought);
    files.public_cas = trust::public(files.ca_certificates());
    files.own_ca = sought.ca_dir.as_deref().and_then(own_ca);
    files
}

/// The options whose file another option names, too, or that holds a private key besides.
fn combined(sought: &Sought) -> Vec<String> {
    let places =
        [("ssl_key", &sought.key), ("ssl_cert", &sought.certificate), ("ssl_ca", &sought.ca)];
    let identity = |path: &Path| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.dev(), about.ino()))
    };
    let named: Vec<_> = places
        .iter()
        .filter_map(|(option, place)| {
            let (path, _) = place.as_ref()?;
            Some((*option, path, identity(path)?))
        })
        .collect();
    let holds_key = |path: &Path| {
        bytes(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains("PRIVATE KEY-----"))
    };
    let not_alone = named.iter().filter(|(option, path, file)| {
        named.iter().any(|(other, _, same)| other != option && same == file)
            || (*option != "ssl_key" && holds_key(path))
    });
    not_alone.map(|(option, ..)| (*option).to_owned()).collect()
}

fn own_ca(dir: &Path) -> Option<OwnCa> {
    let x509s = pem::certificates(&bytes(&dir.join("ca.pem")).ok()?).ok()?;
    let mut path = x509s.iter().map(|x509| Certificate::from_openssl(x509));
    let certificate = path.next()?;
    let above = path.collect();
    let clients = clients(dir);
    let own = || OwnCa { dir: dir.to_owned(), certificate, clients, above };
    dir.join("ca-key.pem").is_file().then(own)
}

/// What lies under `clients`, by name.
fn clients(dir: &Path) -> Vec<Certificate> {
    let entries = std::fs::read_dir(dir.join("clients")).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).take(CLIENTS).collect();
    folders.sort();
    let leaf = |folder: PathBuf| {
        let x509s = pem::certificates(&bytes(&folder.join("client-cert.pem")).ok()?).ok()?;
        x509s.first().map(|x509| Certificate::from_openssl(x509))
    };
    folders.into_iter().filter_map(leaf).collect()
}

fn file<T>(
    option: &str,
    (path, origin): &(PathBuf, Option<Origin>),
    user: Option<&ServerUser>,
    read: impl FnOnce(&[u8]) -> Result<T, Defect>,
) -> FileFacts<T> {
    let bytes = bytes(path);
    FileFacts {
        option: option.to_owned(),
        path: path.clone(),
        origin: origin.clone(),
        access: access(path, user),
        byte_order_mark: bytes.as_ref().is_ok_and(|bytes| bytes.starts_with(b"\xef\xbb\xbf")),
        content: bytes.and_then(|bytes| read(&bytes)),
    }
}

fn read_key(bytes: &[u8]) -> Result<PrivateKey, Defect> {
    pem::private_key(bytes).map(|block| PrivateKey::from_openssl(&block.key, &block.label))
}

/// The file's bytes, or why not: never a device, a pipe or something huge.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Defect> {
    Ok(crate::bounded::read(path, LARGEST)?)
}

/// The user a server runs as, with all groups.
struct ServerUser {
    uid: Uid,
    groups: Vec<Gid>,
}

impl ServerUser {
    fn find(name: &str) -> Option<Self> {
        // A name made of digits is a uid, as in the option `user=65534`.
        let by_uid =
            || name.parse().ok().and_then(|uid| User::from_uid(Uid::from_raw(uid)).ok()?);
        let user = User::from_name(name).ok().flatten().or_else(by_uid)?;
        let name = CString::new(user.name).ok()?;
        let groups = getgrouplist(&name, user.gid).unwrap_or_else(|_| vec![user.gid]);
        Some(Self { uid: user.uid, groups })
    }

    fn class(&self, about: &std::fs::Metadata) -> Class {
        if about.uid() == self.uid.as_raw() {
            Class::Owner
        } else if self.groups.iter().any(|group| group.as_raw() == about.gid()) {
            Class::Group
        } else {
            Class::Other
        }
    }

    /// Whether the permission bits let this user do `wanted` (4 read, 1 enter).
    fn may(&self, about: &std::fs::Metadata, wanted: u32) -> bool {
        let shift = match self.class(about) {
            Class::Owner => 6,
            Class::Group => 3,
            Class::Other => 0,
        };
        self.uid.is_root() || (about.mode() >> shift) & wanted == wanted
    }

    fn blocked(&self, path: &Path, wanted: u32) -> Option<Blocker> {
        let about = std::fs::metadata(path).ok()?;
        (!self.may(&about, wanted)).then(|| Blocker {
            path: path.to_owned(),
            is_folder: about.is_dir(),
            mode: about.mode() & 0o7777,
            owner: user_name(about.uid()),
            group: group_name(about.gid()),
            class: self.class(&about),
        })
    }
}

/// Who owns a file, and whether the server's user may read it; `None` where there is none.
pub fn access_of(path: &Path, user: Option<&str>) -> Option<Access> {
    access(path, user.and_then(ServerUser::find).as_ref())
}

/// Owner, mode, and all on the way that shuts the server's user out. Access control lists are
/// seen only as far as they show in the group bits.
fn access(path: &Path, user: Option<&ServerUser>) -> Option<Access> {
    let about = std::fs::metadata(path).ok()?;
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut folders: Vec<_> = real.ancestors().skip(1).collect();
    folders.reverse();
    let others_enter =
        |folder: &&Path| std::fs::metadata(folder).is_ok_and(|about| about.mode() & 0o001 != 0);
    let open_to_others = about.mode() & 0o004 != 0 && folders.iter().all(others_enter);
    let readable = match user {
        None => Readable::Unknown,
        Some(user) => {
            let (folders, file) = way(path);
            let folders = folders.iter().filter_map(|folder| user.blocked(folder, 1));
            let blockers: Vec<_> = folders.chain(user.blocked(&file, 4)).collect();
            if blockers.is_empty() { Readable::Yes } else { Readable::No { blockers } }
        }
    };
    Some(Access {
        mode: about.mode() & 0o7777,
        owner: user_name(about.uid()),
        group: group_name(about.gid()),
        readable,
        open_to_others,
        real: Some(real).filter(|real| real != path),
    })
}

/// Every folder that has to be entered on the way to a file, those that hold a link and those
/// its target lies in, and the file itself.
fn way(path: &Path) -> (Vec<PathBuf>, PathBuf) {
    const MOST_LINKS: usize = 40; // as many as the kernel follows
    let parts = |path: &Path| -> Vec<PathBuf> {
        path.components().rev().map(|part| PathBuf::from(part.as_os_str())).collect()
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut todo = parts(&path);
    let (mut at, mut folders, mut links) = (PathBuf::from("/"), Vec::new(), 0);
    while let Some(part) = todo.pop() {
        if part == Path::new("..") {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        match std::fs::read_link(&next) {
            Ok(target) if links < MOST_LINKS => {
                links += 1;
                // an absolute target begins with `/`, which starts over
                todo.extend(parts(&target));
            }
            _ => at = next,
        }
        if !todo.is_empty() && at.is_dir() && !folders.contains(&at) {
            folders.push(at.clone());
        }
    }
    (folders, at)
}

fn user_name(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

fn group_name(gid: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}

/// Keys, certificates and revocation lists in the folders of the server's files, and one level
/// below.
fn nearby(sought: &Sought) -> (Vec<Nearby>, Vec<NearbyCrls>) {
    let named: BTreeSet<&Path> = [&sought.key, &sought.certificate, &sought.ca, &sought.crl]
        .into_iter()
        .flatten()
        .map(|(path, _)| path.as_path())
        .collect();
    let folders: BTreeSet<&Path> = named.iter().filter_map(|path| path.parent()).collect();
    let mut files = Vec::new();
    for folder in folders {
        collect(folder, 1, &mut files);
    }
    files.extend(sought.besides.iter().filter(|path| path.is_file()).cloned());
    files.sort();
    files.dedup();
    let (mut nearby, mut lists) = (Vec::new(), Vec::new());
    for path in files.into_iter().filter(|path| !named.contains(path.as_path())) {
        let crls = bytes(&path).map(|bytes| trust::crls(&bytes)).unwrap_or_default();
        if !crls.is_empty() {
            lists.push(NearbyCrls { path, crls });
        } else if let Some(holds) = holds(&path) {
            nearby.push(Nearby { path, holds });
        }
    }
    (nearby, lists)
}

fn collect(folder: &Path, deeper: usize, files: &mut Vec<PathBuf>) {
    let looks_like_pem = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        // the middle of a name counts too: server-key.pem.old, ca.crt.bak-20260101
        ["pem", "key", "crt", "cer", "crl"].iter().any(|kind| name.contains(kind))
    };
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for path in entries {
        if files.len() >= NEARBY_FILES {
            return;
        }
        let Ok(about) = std::fs::symlink_metadata(&path) else { continue };
        if about.is_dir() && deeper > 0 {
            collect(&path, deeper - 1, files);
        } else if about.is_file() && looks_like_pem(&path) {
            files.push(path);
        }
    }
}

fn holds(path: &Path) -> Option<Holds> {
    let bytes = bytes(path).ok()?;
    let certificates = || {
        let x509s = pem::certificates(&bytes).ok()?;
        Some(Holds::Certificates(x509s.iter().map(|c| Certificate::from_openssl(c)).collect()))
    };
    read_key(&bytes).ok().map(Holds::Key).or_else(certificates)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::x509::testing;

    fn sought(folder: &Path) -> Sought {
        let place = |name: &str| Some((folder.join(name), None));
        Sought {
            key: place("server-key.pem"),
            certificate: place("server-cert.pem"),
            ca: place("ca.pem"),
            ..Sought::default()
        }
    }

    #[test]
    fn the_three_files_are_read_verified_and_what_lies_near_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: Vec<u8>| std::fs::write(folder.path().join(name), bytes).unwrap();
        let root = testing::root("Root");
        let (server, old) = (root.issue_server("db1"), root.issue_server("db0"));
        write("ca.pem", root.certificate.to_pem().unwrap());
        write("server-cert.pem", server.certificate.to_pem().unwrap());
        write("server-key.pem", old.key.private_key_to_pem_pkcs8().unwrap());
        std::fs::create_dir(folder.path().join("old")).unwrap();
        write("old/server.key", server.key.private_key_to_pem_pkcs8().unwrap());
        write("notes.txt", b"not looked at".to_vec());

        let files = read(&sought(folder.path()));
        assert_eq!(files.under_ca, Some(Ok(())));
        assert_eq!(files.leaf().unwrap().subject.short(), "db1");
        let key = files.private_key().unwrap();
        assert!(!files.leaf().unwrap().certifies(&key.public));
        let found = &files.nearby[..];
        assert!(
            matches!(found, [Nearby { path, holds: Holds::Key(key) }]
                if path.ends_with("old/server.key") && files.leaf().unwrap().certifies(&key.public)),
            "{found:?}"
        );
    }

    #[test]
    fn a_closed_folder_on_the_way_is_named() {
        let Some(nobody) = ServerUser::find("nobody") else { return };
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("private");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("key.pem"), "x").unwrap();
        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        open(folder.path(), 0o755);
        open(&inner, 0o700);
        open(&inner.join("key.pem"), 0o644);
        let blockers = |path: &Path| match access(path, Some(&nobody)).unwrap().readable {
            Readable::No { blockers } => blockers.into_iter().map(|b| b.path).collect(),
            _ => Vec::new(),
        };
        let key = inner.join("key.pem");
        assert_eq!(blockers(&key), std::slice::from_ref(&inner));
        open(&key, 0o640);
        assert_eq!(blockers(&key), [inner.clone(), key.clone()], "all of them at once");
        open(&inner, 0o711);
        assert_eq!(blockers(&key), std::slice::from_ref(&key));
        open(&key, 0o644);
        assert_eq!(blockers(&key), Vec::<PathBuf>::new());
        // a link in a closed folder to an open file
        let closed = folder.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::os::unix::fs::symlink(&key, closed.join("link.pem")).unwrap();
        open(&closed, 0o700);
        assert_eq!(blockers(&closed.join("link.pem")), [closed]);
    }

    #[test]
    fn one_file_for_two_options_is_combined_through_a_link_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut sought = sought(folder.path());
        let root = testing::root("Root");
        let server = root.issue_server("db1");
        let mut all = server.certificate.to_pem().unwrap();
        std::fs::write(folder.path().join("ca.pem"), root.certificate.to_pem().unwrap()).unwrap();
        std::fs::write(folder.path().join("server-cert.pem"), &all).unwrap();
        assert_eq!(read(&sought).combined, [""; 0]);
        all.extend(server.key.private_key_to_pem_pkcs8().unwrap());
        std::fs::write(folder.path().join("server-cert.pem"), &all).unwrap();
        assert_eq!(read(&sought).combined, ["ssl_cert"], "a key lies in it");
        let link = folder.path().join("server-key.pem");
        std::os::unix::fs::symlink("server-cert.pem", link).unwrap();
        assert_eq!(read(&sought).combined, ["ssl_key", "ssl_cert"]);
        sought.key = None;
        sought.ca = sought.certificate.clone();
        assert_eq!(read(&sought).combined, ["ssl_cert", "ssl_ca"]);
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        assert_eq!(bytes(Path::new("/dev/zero")), Err(Defect::NotAFile));
        assert_eq!(bytes(Path::new("/")), Err(Defect::Directory));
        assert_eq!(bytes(Path::new("/no/such/file")), Err(Defect::Missing));
    }
}
