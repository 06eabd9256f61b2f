//! A folder full of keys and certificates: which belongs to which.
//!
//! Only what pairing needs is read of each file, so that thousands take no time: a certificate's
//! key, name and end, a private key's public half.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use openssl::pkey::{HasPublic, PKeyRef};
use openssl::x509::X509Crl;
use serde::Serialize;

use crate::x509::certificate::unix_seconds;
use crate::x509::pem::{self, Defect};
use crate::x509::{Name, plain};

/// How many files are looked at; a larger folder is not one of keys and certificates.
const MOST: usize = 100_000;

/// One file, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Below the folder.
    pub path: PathBuf,
    pub holds: Holds,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    Certificate(Leaf),
    /// The DER of its public half.
    Key {
        spki: Vec<u8>,
    },
    /// Which certificates a CA revoked.
    RevocationList,
    /// It looks like one by its name, and is none.
    Broken(Defect),
}

/// The first certificate of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The DER of its public key; empty where OpenSSL knows no such key.
    pub spki: Vec<u8>,
    pub subject: String,
    /// Seconds since 1970, UTC.
    pub not_after: i64,
}

/// What the folder comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pairs {
    pub together: Vec<Pair>,
    pub problems: Vec<Problem>,
    /// Files with lists of revoked certificates.
    pub revocation_lists: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub subject: String,
    pub not_after: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The rule that names such a fault on a server.
    pub rule: &'static str,
    pub path: PathBuf,
    pub what: String,
}

/// Reads the folder and those below it, several files at once.
///
/// # Errors
/// A sentence, when the folder cannot be read.
pub fn read(folder: &Path) -> Result<Vec<Found>, String> {
    let shown = crate::printable::printable(&folder.display().to_string()).into_owned();
    drop(std::fs::read_dir(folder).map_err(|error| format!("{shown} cannot be read: {error}"))?);
    let mut files = Vec::new();
    collect(folder, &mut files);
    // as bytes: part by part takes longer than reading some of them
    files.sort_unstable_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let share = files.len().div_ceil(workers).max(1);
    let found = std::thread::scope(|scope| {
        let shares: Vec<_> = files
            .chunks(share)
            .map(|share| {
                scope.spawn(move || share.iter().flat_map(|path| look(folder, path)).collect())
            })
            .collect();
        let shares = shares.into_iter().map(|share| share.join().unwrap_or_default());
        shares.collect::<Vec<Vec<Found>>>()
    });
    Ok(found.into_iter().flatten().collect())
}

/// Which belong together, and what is wrong; `now` in seconds since 1970.
pub fn pair(found: &[Found], now: i64) -> Pairs {
    let mut keys: BTreeMap<&[u8], Vec<&Path>> = BTreeMap::new();
    let mut by_stem: BTreeMap<String, (&Path, &[u8])> = BTreeMap::new();
    for file in found {
        if let Holds::Key { spki } = &file.holds
            && !spki.is_empty()
        {
            keys.entry(spki).or_default().push(&file.path);
            by_stem.entry(stem(&file.path)).or_insert((&file.path, spki));
        }
    }
    let mut pairs = Pairs::default();
    let lists = found.iter().filter(|file| file.holds == Holds::RevocationList);
    pairs.revocation_lists = lists.map(|file| file.path.clone()).collect();
    let mut problem = |rule, path: &Path, what: String| {
        pairs.problems.push(Problem { rule, path: path.to_owned(), what });
    };
    for file in found {
        match &file.holds {
            Holds::Broken(Defect::Encrypted { form }) => {
                problem("key-encrypted", &file.path, format!("its key is encrypted ({form})"));
            }
            Holds::Broken(defect) => problem("key-unusable", &file.path, defect.to_string()),
            Holds::Key { .. } | Holds::RevocationList => {}
            Holds::Certificate(leaf) => {
                let own = keys.get(leaf.spki.as_slice()).and_then(|keys| nearest(keys, &file.path));
                let named = by_stem.get(&stem(&file.path));
                if let Some((key, _)) = named.filter(|(_, spki)| *spki != leaf.spki) {
                    let right =
                        own.map_or_else(String::new, |own| format!("; {} does", own.display()));
                    problem(
                        "key-mismatch",
                        &file.path,
                        format!("{} does not belong to it{right}", key.display()),
                    );
                }
                if leaf.not_after < now {
                    problem("certificate-expired", &file.path, "it has expired".to_owned());
                }
                if let Some(key) = own {
                    pairs.together.push(Pair {
                        certificate: file.path.clone(),
                        key: key.to_path_buf(),
                        subject: leaf.subject.clone(),
                        not_after: leaf.not_after,
                    });
                }
            }
        }
    }
    pairs
}

/// Of several copies of a key the one in the same file, or in the same folder, or the first.
fn nearest<'a>(keys: &[&'a Path], certificate: &Path) -> Option<&'a Path> {
    let same_file = keys.iter().find(|key| **key == certificate);
    let same_folder = || keys.iter().find(|key| key.parent() == certificate.parent());
    same_file.or_else(same_folder).or(keys.first()).copied()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if files.len() >= MOST {
            return;
        }
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            collect(&entry.path(), files);
        } else if kind.is_file() && is_candidate(&entry.path()) {
            files.push(entry.path());
        }
    }
}

fn is_candidate(path: &Path) -> bool {
    let kind = path.extension().unwrap_or_default().to_ascii_lowercase();
    ["pem", "crt", "cer", "key", "cert"].iter().any(|known| kind == *known)
}

fn look(folder: &Path, path: &Path) -> Vec<Found> {
    let holds = super::files::bytes(path)
        .map_or_else(|defect| vec![Holds::Broken(defect)], |bytes| holds(&bytes));
    let path = path.strip_prefix(folder).unwrap_or(path);
    holds.into_iter().map(|holds| Found { path: path.to_owned(), holds }).collect()
}

/// A certificate, a key, or both in one file.
fn holds(bytes: &[u8]) -> Vec<Holds> {
    plain(bytes).unwrap_or_else(|| thorough(bytes))
}

/// The quick way, for files in which all is as usual.
fn plain(bytes: &[u8]) -> Option<Vec<Holds>> {
    let (mut certificate, mut key) = (None, None);
    for (label, der) in pem::plain_blocks(bytes)? {
        if label == "CERTIFICATE" {
            let plain = plain::certificate(&der)?;
            certificate.get_or_insert(plain);
        } else {
            let spki = plain::public_half(label, &der)?;
            key.get_or_insert(Holds::Key { spki });
        }
    }
    let leaf = certificate.map(|plain| Leaf {
        spki: plain.spki,
        subject: plain.subject.display(),
        not_after: plain.not_after,
    });
    Some(leaf.map(Holds::Certificate).into_iter().chain(key).collect())
}

/// By OpenSSL, which knows every kind, and says why something is none.
fn thorough(bytes: &[u8]) -> Vec<Holds> {
    let certificate = pem::certificates(bytes).map(|certificates| {
        let leaf = &certificates[0]; // there is at least one
        Holds::Certificate(Leaf {
            spki: leaf.public_key().map(|key| spki(&key)).unwrap_or_default(),
            subject: Name::from_openssl(leaf.subject_name()).display(),
            not_after: unix_seconds(leaf.not_after()),
        })
    });
    let key = pem::private_key(bytes).map(|block| Holds::Key { spki: spki(&block.key) });
    match (certificate, key) {
        (Err(Defect::WrongKind { found, .. }), Err(Defect::WrongKind { .. }))
            if found.split(", ").all(|label| label == "X509 CRL")
                && X509Crl::from_pem(bytes).is_ok() =>
        {
            vec![Holds::RevocationList]
        }
        // Neither: the key's defect says more, unless it was meant to be a certificate.
        (Err(defect), Err(Defect::WrongKind { .. }))
        | (Err(Defect::WrongKind { .. }), Err(defect)) => {
            vec![Holds::Broken(defect)]
        }
        (Err(defect), Err(_)) => vec![Holds::Broken(defect)],
        (certificate, key) => certificate.into_iter().chain(key).collect(),
    }
}

fn spki<T: HasPublic>(key: &PKeyRef<T>) -> Vec<u8> {
    key.public_key_to_der().unwrap_or_default()
}

/// `db1` of `db1.pem`, `db1-key.pem`, `db1.crt`, `db1_cert.pem`: what two files of a pair share.
fn stem(path: &Path) -> String {
    let name = path.with_extension("").to_string_lossy().to_ascii_lowercase();
    let ends = ["-key", "_key", ".key", "-cert", "_cert", ".cert", "-crt", ".crt", "-certificate"];
    let short = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    short.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::testing;

    fn written(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, Pairs) {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let pairs = pair(&read(folder.path()).unwrap(), testing::now());
        (folder, pairs)
    }

    #[test]
    fn pairs_are_found_wherever_they_lie_and_swapped_ones_named() {
        let root = testing::root("Root");
        let (one, two) = (root.issue_server("one"), root.issue_server("two"));
        let pem = |i: &testing::Identity| i.certificate.to_pem().unwrap();
        let key = |i: &testing::Identity| i.key.private_key_to_pem_pkcs8().unwrap();
        let both = [pem(&root), key(&root)].concat();
        let (_folder, pairs) = written(&[
            ("one-cert.pem", pem(&one)),
            ("one-key.pem", key(&two)),
            ("two.crt", pem(&two)),
            ("old/one.key", key(&one)),
            ("root.pem", both),
            ("notes.txt", b"no".to_vec()),
        ]);
        let shown: Vec<String> = pairs
            .together
            .iter()
            .map(|pair| format!("{} {}", pair.certificate.display(), pair.key.display()))
            .collect();
        assert_eq!(shown, ["one-cert.pem old/one.key", "root.pem root.pem", "two.crt one-key.pem"]);
        assert_eq!(pairs.problems.len(), 1, "{:?}", pairs.problems);
        assert_eq!(pairs.problems[0].rule, "key-mismatch");
        assert_eq!(pairs.problems[0].what, "one-key.pem does not belong to it; old/one.key does");
    }

    #[test]
    fn what_is_broken_or_expired_is_named() {
        let root = testing::root("Root");
        let pem = root.certificate.to_pem().unwrap();
        let (folder, pairs) =
            written(&[("cut.pem", pem[..100].to_vec()), ("empty.key", Vec::new())]);
        let whats: Vec<&str> = pairs.problems.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(whats.len(), 2);
        assert!(whats[0].contains("cut off") && whats[1].contains("empty"), "{whats:?}");
        std::fs::write(folder.path().join("cut.pem"), pem).unwrap();
        let late = pair(&read(folder.path()).unwrap(), testing::now() + 400 * 86_400);
        assert!(late.problems.iter().any(|problem| problem.rule == "certificate-expired"));
    }

    #[test]
    fn of_several_copies_of_a_key_the_nearest_is_named() {
        let one = testing::root("Root").issue_server("one");
        let certificate = one.certificate.to_pem().unwrap();
        let key = one.key.private_key_to_pem_pkcs8().unwrap();
        let (_folder, pairs) = written(&[
            ("a/key.pem", key.clone()),
            ("b/both.pem", [&certificate[..], &key].concat()),
            ("b/cert.pem", certificate.clone()),
            ("c/cert.pem", certificate),
        ]);
        let keys: Vec<_> = pairs.together.iter().map(|pair| pair.key.to_str().unwrap()).collect();
        assert_eq!(keys, ["b/both.pem", "b/both.pem", "a/key.pem"]);
    }

    #[test]
    fn a_list_of_revoked_certificates_is_no_problem_and_a_damaged_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca");
        let spec = crate::ca::AuthoritySpec::named(&"Root".parse().unwrap());
        let store = crate::ca::Store::create(&ca, &spec).unwrap();
        store
            .sign_lists(&crate::ca::crl::Update { now: testing::now(), ..Default::default() })
            .unwrap();
        let crl = std::fs::read(ca.join("crl.pem")).unwrap();
        let certificate = std::fs::read(ca.join("ca.pem")).unwrap();
        let look = |files: &[(&str, Vec<u8>)]| written(files).1;
        let pairs = look(&[("crl.pem", crl.clone()), ("ca.pem", certificate)]);
        assert_eq!((pairs.problems, pairs.revocation_lists), (vec![], vec!["crl.pem".into()]));
        let half = crl[..crl.len() / 2].to_vec();
        let pairs = look(&[("crl.pem", half)]);
        assert_eq!((pairs.problems.len(), pairs.revocation_lists.len()), (1, 0));
    }

    #[test]
    fn the_quick_way_says_what_openssl_says_or_nothing() {
        let identity = testing::root("Root").issue_server("db1");
        let certificate = identity.certificate.to_pem().unwrap();
        let key = identity.key.private_key_to_pem_pkcs8().unwrap();
        let whole = [&b"text\n"[..], &key, b"Bag Attributes\n", &certificate].concat();
        assert_eq!(plain(&whole), Some(thorough(&whole)));
        let (mut quick, mut sound) = (0, 0);
        for case in 0..3000 {
            let bytes = crate::facts::noise::Noise::new(case).damage(&whole);
            let by_openssl = thorough(&bytes);
            let broken = by_openssl.iter().any(|holds| matches!(holds, Holds::Broken(_)));
            sound += usize::from(!broken && by_openssl.len() == 2);
            let Some(found) = plain(&bytes) else { continue };
            quick += 1;
            // a key that OpenSSL does not take either belongs to nothing
            if by_openssl.len() == found.len() && !broken {
                let same = found.iter().zip(&by_openssl).all(|pair| match pair {
                    (Holds::Certificate(one), Holds::Certificate(other)) => {
                        (&one.subject, one.not_after) == (&other.subject, other.not_after)
                            && (one.spki == other.spki || other.spki.is_empty())
                    }
                    (one, other) => one == other,
                });
                assert!(same, "case {case}: {found:?} {by_openssl:?}");
            }
        }
        assert!(quick > sound / 2, "{quick} of {sound}");
    }

    #[test]
    fn a_folder_that_is_none_says_so() {
        assert!(read(Path::new("/no/such/folder")).unwrap_err().contains("/no/such/folder"));
    }
}
