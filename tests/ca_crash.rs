//! The CA's store under `kill -9` at random moments: it always opens, no serial number is used twice,
//! nothing that was issued is lost, and no key is ever readable by others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mytls::ca::crl::Update;
use mytls::ca::{Catalog, Kind, Store};
use mytls::x509::{Certificate, PublicKey, pem};

const KILLS: usize = 220;
/// However slow the machine is, not much longer than this.
const BUDGET: Duration = Duration::from_secs(60);

#[test]
fn killed_at_any_moment_it_opens_and_nothing_is_lost() {
    // in memory where that can be: what is killed is the process, not the disk
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.unwrap();
    let world = World::new(folder.path());
    let watcher = Watcher::start(folder.path());
    let since = Instant::now();
    let (mut kills, mut round) = (BTreeMap::<&str, usize>::new(), 0);
    let mut last = BTreeMap::<&str, Duration>::new();
    while kills.values().sum::<usize>() < KILLS && since.elapsed() < BUDGET {
        let (name, arguments) = world.operation(round);
        // Now and then it may run to its end, and says how long that takes.
        let whole = last.get(name).copied();
        let begun = Instant::now();
        let mut child = start(&arguments);
        let killed = match whole.filter(|_| round % 10 != 9) {
            Some(whole) => kill_after(&mut child, whole.mul_f64(random())),
            None => false,
        };
        let output = child.wait_with_output().unwrap();
        if killed {
            *kills.entry(name).or_default() += 1;
        } else {
            assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
            last.insert(name, begun.elapsed());
        }
        world.look_into(name, round, output.status.success());
        round += 1;
    }
    println!(
        "{round} runs, killed {kills:?} in {:?}, {} looks at keys",
        since.elapsed(),
        watcher.looks()
    );
    assert!(kills.values().sum::<usize>() >= KILLS / 2, "{kills:?}");
    assert!(kills.len() == World::OPERATIONS.len(), "each of them was killed: {kills:?}");
    let open: Vec<String> = watcher.end().into_iter().take(5).collect();
    assert_eq!(open, Vec::<String>::new(), "keys that others could read");
}

/// What a pack holds is keys: none is left under a name that nobody looks for.
#[test]
fn what_a_killed_pack_left_is_gone_with_the_next() {
    const KILLS: usize = 30;
    /// CA, certificate, key, both in one, two PKCS#12, their password, README.
    const FILES: usize = 8;
    // on the disk: there it takes a while to write, and is killed in the midst of it
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (ca, app) = (at("ca"), at("app"));
    ok(&["create", "--no-passphrase", "--ca-dir", path(&ca), "--name", "Example CA"]);
    ok(&["client", "--ca-dir", path(&ca), "--user", "app", "--out", path(&app)]);
    let packs = at("packs");
    fs::create_dir(&packs).unwrap();
    let hidden = || -> Vec<String> {
        let names = fs::read_dir(&packs).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).filter(|name| name.starts_with('.')).collect()
    };
    let since = Instant::now();
    let (mut whole, mut killed, mut left) = (Duration::from_millis(50), [0; 2], 0);
    while killed.iter().sum::<usize>() < KILLS && since.elapsed() < BUDGET {
        for (count, (place, name)) in
            killed.iter_mut().zip([("--out", "app"), ("--tar", "app.tar")])
        {
            let to = packs.join(name);
            let pack = ["pack", "--ca-dir", path(&ca), "app", place, path(&to)];
            let mut child = start(&pack.map(str::to_owned));
            let was = kill_after(&mut child, whole.mul_f64(random()));
            child.wait().unwrap();
            *count += usize::from(was);
            left += hidden().len();
            // it was there as a whole, or not at all
            if to.exists() {
                let held = fs::read_dir(&to).map_or(FILES, Iterator::count);
                assert_eq!(held, FILES, "half a pack");
                let _ = fs::remove_file(&to).or_else(|_| fs::remove_dir_all(&to));
            }
            let begun = Instant::now();
            ok(&pack);
            whole = begun.elapsed();
            assert_eq!(hidden(), Vec::<String>::new(), "{place}");
            let _ = fs::remove_file(&to).or_else(|_| fs::remove_dir_all(&to));
        }
    }
    println!("killed {killed:?}, which left {left} behind");
    assert!(killed.iter().all(|count| *count >= KILLS / 4), "{killed:?}");
}

fn start(arguments: &[String]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mytls"));
    command.arg("ca").args(arguments).env_remove("MYTLS_CA_PASSPHRASE");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn ok(arguments: &[&str]) {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let output = start(&arguments).wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
}

struct World {
    folder: PathBuf,
    ca: PathBuf,
    foreign: PathBuf,
    /// Serial numbers and sums seen so far: none may go away or come to mean something else.
    seen: Mutex<BTreeMap<String, String>>,
}

impl World {
    const ROWS: usize = 8;
    const OPERATIONS: [&str; 9] = [
        "client",
        "batch",
        "renew",
        "same-key",
        "server",
        "renew-server",
        "revoke",
        "create",
        "import",
    ];

    fn new(folder: &Path) -> Self {
        let world = Self {
            folder: folder.to_owned(),
            ca: folder.join("ca"),
            foreign: folder.join("foreign"),
            seen: Mutex::default(),
        };
        for (dir, name) in [(&world.ca, "Example CA"), (&world.foreign, "Foreign CA")] {
            ok(&["create", "--no-passphrase", "--ca-dir", path(dir), "--name", name]);
        }
        for name in ["app0", "app1"] {
            let out = folder.join(name);
            ok(&["client", "--ca-dir", path(&world.ca), "--user", name, "--out", path(&out)]);
        }
        let (foreign, out) = (path(&world.foreign), folder.join("out-foreign"));
        ok(&["client", "--ca-dir", foreign, "--user", "gone", "--out", path(&out)]);
        ok(&["revoke", "--ca-dir", foreign, "gone"]);
        let out = folder.join("db1");
        ok(&["server", "--ca-dir", path(&world.ca), "--san", "db1", "--out", path(&out)]);
        world
    }

    /// The arguments of one of [`Self::OPERATIONS`], in turn.
    fn operation(&self, round: usize) -> (&'static str, Vec<String>) {
        let name = Self::OPERATIONS[round % Self::OPERATIONS.len()];
        let ca = path(&self.ca);
        let out = self.folder.join(format!("out{}", round % 5));
        let fresh = self.fresh(round);
        let foreign = |file: &str| path(&self.foreign.join(file)).to_owned();
        let [certificate, key, list] = ["ca.pem", "ca-key.pem", "crl.pem"].map(foreign);
        let user = format!("app{}", round % 7);
        let table = self.folder.join("table.csv");
        let arguments: Vec<&str> = match name {
            "client" => vec!["client", "--ca-dir", ca, "--user", &user, "--out", path(&out)],
            "batch" => {
                let rows: Vec<String> =
                    (0..World::ROWS).map(|n| format!("r{round}-{n}\n")).collect();
                fs::write(&table, rows.concat()).unwrap();
                vec!["client", "--ca-dir", ca, "--from", path(&table)]
            }
            "renew" => vec!["renew", "--ca-dir", ca, "--client", "app0"],
            "same-key" => vec!["renew", "--ca-dir", ca, "--client", "app0", "--same-key"],
            "server" => vec!["server", "--ca-dir", ca, "--san", "db2", "--out", path(&out)],
            "renew-server" => vec!["renew", "--ca-dir", ca, "--server", "db1"],
            "revoke" => {
                ok(&["client", "--ca-dir", ca, "--user", "gone", "--out", path(&out)]);
                vec!["revoke", "--ca-dir", ca, "gone", "--reason", "key-compromise"]
            }
            "create" => {
                vec![
                    "create",
                    "--no-passphrase",
                    "--ca-dir",
                    path(&fresh),
                    "--name",
                    "New CA",
                    "--intermediate",
                ]
            }
            _ => {
                let files = ["--cert", &certificate, "--key", &key, "--crl", &list];
                [&["import", "--ca-dir", path(&fresh)], &files[..]].concat()
            }
        };
        (name, arguments.into_iter().map(str::to_owned).collect())
    }

    fn fresh(&self, round: usize) -> PathBuf {
        self.folder.join(format!("fresh{round}"))
    }

    /// As the next run finds it.
    fn look_into(&self, name: &str, round: usize, ended: bool) {
        if ["create", "import"].contains(&name) {
            return self.look_into_new(round, ended);
        }
        // the list reads before anything is put right, too
        let before = Catalog::read(&self.ca).unwrap();
        if random() < 0.3 {
            return; // the next command finds it as it is, and may be killed while it puts it right
        }
        let store = Store::open(&self.ca).unwrap();
        let after = Catalog::read(&self.ca).unwrap();
        assert_eq!(before.entries.len(), after.entries.len());
        assert!(after.under_way.is_empty(), "{name}: {:?}", after.under_way);
        let serials: BTreeSet<&str> = after.entries.iter().map(|e| e.serial.as_str()).collect();
        assert_eq!(serials.len(), after.entries.len(), "a serial number was used twice");
        let mut seen = self.seen.lock().unwrap();
        for (serial, sum) in &*seen {
            let entry = after.entries.iter().find(|entry| entry.serial == *serial);
            assert_eq!(entry.map(|entry| &entry.sha256), Some(sum), "{name}: {serial} is lost");
        }
        let own = &store.authority().certificate;
        for entry in after.entries.iter().filter(|entry| !seen.contains_key(&entry.serial)) {
            let kept = store.certificate(&entry.serial).unwrap();
            assert_eq!(Certificate::from_openssl(&kept).sha256, entry.sha256);
            assert!(kept.verify(&own.public_key().unwrap()).unwrap());
        }
        // no certificate is kept that the list does not know
        let kept = fs::read_dir(self.ca.join("issued")).unwrap().count();
        assert_eq!(kept, after.entries.len(), "{name}");
        self.pairs_match(&after, &seen);
        seen.extend(after.entries.iter().map(|e| (e.serial.clone(), e.sha256.clone())));
        let revoked = after.entries.iter().filter(|entry| entry.revoked.is_some());
        let listed = |serial: &String| after.lists.iter().any(|list| list.serials.contains(serial));
        assert!(revoked.map(|entry| &entry.serial).all(listed), "revoked and not in crl.pem");
        let of_db1 = after.entries.iter().filter(|e| e.names[0] == "db1" && e.is_current());
        let of_db1: Vec<&str> = of_db1.map(|entry| entry.sha256.as_str()).collect();
        assert_eq!(of_db1, [pair(&self.folder.join("db1"), "server")], "{name}");
        if ended && name == "batch" {
            let row = format!("r{round}-");
            let rows = after.entries.iter().filter(|entry| entry.names[0].starts_with(&row));
            assert_eq!(rows.count(), World::ROWS);
        }
    }

    /// Each account's folder holds its newest certificate, and the key that belongs to it.
    fn pairs_match(&self, catalog: &Catalog, seen: &BTreeMap<String, String>) {
        let clients = catalog.entries.iter().filter(|entry| entry.kind == Kind::Client);
        // those of a table are written once, the others again and again
        let clients = clients
            .filter(|entry| !seen.contains_key(&entry.serial) || !entry.names[0].starts_with('r'));
        let newest: BTreeMap<&str, &str> =
            clients.map(|entry| (entry.names[0].as_str(), entry.sha256.as_str())).collect();
        for (name, sum) in newest {
            assert_eq!(pair(&self.ca.join("clients").join(name), "client"), sum, "{name}");
        }
    }

    /// A CA that was being made is there as a whole, or can be made.
    fn look_into_new(&self, round: usize, ended: bool) {
        let (name, arguments) = self.operation(round);
        let dir = self.fresh(round);
        match Store::open(&dir) {
            Ok(store) => assert!(store.list().unwrap().is_empty()),
            Err(error) => {
                assert!(!ended, "{name}: {error}");
                ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
                Store::open(&dir).unwrap();
            }
        }
        if name == "create" {
            // signed last: the CA is whole without it, and the next to sign clears away what was begun
            Store::open(&dir).unwrap().sign_lists(&Update::default()).unwrap();
        }
        let mut names: BTreeSet<String> = fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(names.remove("crl.pem"));
        if name == "import" {
            // what was revoked before is known from the first moment, and signed by whoever opens it
            let catalog = Catalog::read(&dir).unwrap();
            assert_eq!(catalog.elsewhere.len(), 1);
            assert_eq!(catalog.lists[0].serials, [catalog.elsewhere[0].serial.clone()]);
            assert!(names.remove("pending"));
        }
        let mut expected = vec![".lock", "ca-key.pem", "ca.pem", "index.jsonl"];
        expected.extend((name == "create").then_some("root"));
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        fs::remove_dir_all(&dir).unwrap();
    }
}

/// The sum of the certificate in a folder, to which the key there belongs.
fn pair(folder: &Path, role: &str) -> String {
    let [certificate, key] =
        ["cert", "key"].map(|what| fs::read(folder.join(format!("{role}-{what}.pem"))).unwrap());
    let certificate = pem::certificates(&certificate).unwrap().remove(0);
    let certificate = Certificate::from_openssl(&certificate);
    let key = PublicKey::from_openssl(&pem::private_key(&key).unwrap().key);
    assert!(certificate.certifies(&key), "{} has a key of another one", folder.display());
    certificate.sha256
}

/// Looks at the modes of all keys, again and again, while they are being written.
struct Watcher {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicUsize>,
    thread: thread::JoinHandle<Vec<String>>,
}

impl Watcher {
    fn start(folder: &Path) -> Self {
        let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (folder, ended, count) = (folder.to_owned(), Arc::clone(&stop), Arc::clone(&looks));
        let thread = thread::spawn(move || {
            let mut bad = BTreeSet::new();
            while !ended.load(Ordering::Relaxed) {
                walk(&folder, &mut |file, mode| {
                    count.fetch_add(1, Ordering::Relaxed);
                    if mode & 0o077 != 0 {
                        bad.insert(format!("{} {mode:o}", file.display()));
                    }
                });
                thread::sleep(Duration::from_millis(2));
            }
            bad.into_iter().collect()
        });
        Self { stop, looks, thread }
    }

    fn looks(&self) -> usize {
        self.looks.load(Ordering::Relaxed)
    }

    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Every file with a key in it, also under the name that it has while it is written.
fn walk(folder: &Path, look: &mut dyn FnMut(&Path, u32)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(about) = fs::symlink_metadata(&path) else { continue }; // it was renamed
        if about.is_dir() {
            walk(&path, look);
        } else if entry.file_name().to_string_lossy().contains("-key.pem") {
            look(&path, about.permissions().mode() & 0o777);
        }
    }
}

/// Whether it was killed before it had ended.
fn kill_after(child: &mut Child, after: Duration) -> bool {
    thread::sleep(after);
    if child.try_wait().unwrap().is_some() {
        return false;
    }
    child.kill().unwrap();
    true
}

/// Between 0 and 1.
fn random() -> f64 {
    let mut bytes = [0; 4];
    openssl::rand::rand_bytes(&mut bytes).unwrap();
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
