//! The sandbox on a real server: every fault starts or is refused as its file says, clients meet
//! what they should, and nothing is left behind.
//!
//! Without a server these tests fail under `CI=true`, and say elsewhere that they were skipped.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mytls::sandbox::{Fault, Sandbox, SandboxError, SandboxOptions};

/// A sandbox in a folder of its own, so that what is left behind can be seen.
fn start(fault: &str, base: &Path) -> Option<Sandbox> {
    let options = SandboxOptions {
        fault: Fault::named(fault).unwrap(),
        server: std::env::var_os("MYTLS_TEST_SERVER").map(PathBuf::from),
        keep: false,
        base_dir: Some(base.to_owned()),
    };
    match Sandbox::start(&options, &mut |_| ()) {
        Ok(sandbox) => Some(sandbox),
        Err(SandboxError::NoServer) if std::env::var_os("CI").is_none_or(|ci| ci != "true") => {
            eprintln!("skipped: there is no MariaDB or MySQL server here; make setup installs one");
            None
        }
        Err(error) => panic!("{fault}: {error}"),
    }
}

/// A base folder that the server's user may pass through.
fn base() -> tempfile::TempDir {
    let base = tempfile::Builder::new().prefix("sb").tempdir_in("/tmp").unwrap();
    fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755)).unwrap();
    base
}

fn is_empty(base: &Path) -> bool {
    fs::read_dir(base).unwrap().next().is_none()
}

/// The processes whose command line names this folder.
fn processes_in(folder: &Path) -> Vec<String> {
    let needle = folder.to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(needle)).collect()
}

/// Runs a statement with the client as the application would, or as root.
fn sql(sandbox: &Sandbox, options: &str, statement: &str) -> Result<String, String> {
    let client = if Path::new("/usr/bin/mariadb").exists() { "mariadb" } else { "mysql" };
    let output = Command::new(client)
        .arg(format!("--defaults-file={}", sandbox.dir().join(options).display()))
        .args(["--batch", "--skip-column-names", "-e", statement])
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn a_healthy_server_lets_in_who_has_the_certificate_and_nobody_else() {
    let base = base();
    let Some(sandbox) = start("none", base.path()) else { return };
    assert!(sandbox.is_running());
    assert_eq!(sql(&sandbox, "client.cnf", "SELECT CURRENT_USER()").unwrap(), "root@localhost");
    assert_eq!(sql(&sandbox, "app.cnf", "SELECT CURRENT_USER()").unwrap(), "app@%");
    assert_eq!(sql(&sandbox, "web.cnf", "SELECT CURRENT_USER()").unwrap(), "web@%");
    let anonymous = "SELECT COUNT(*) FROM mysql.user WHERE User = '' OR (User = 'root' AND Host NOT \
                     IN ('localhost', '127.0.0.1'))";
    assert_eq!(sql(&sandbox, "client.cnf", anonymous).unwrap(), "0");
    assert_eq!(
        sql(&sandbox, "client.cnf", "SELECT @@require_secure_transport").unwrap(),
        "1",
        "unencrypted connections are refused"
    );

    let options = fs::read_to_string(sandbox.dir().join("app.cnf")).unwrap();
    let without = options.replace("ssl-cert", "#").replace("ssl-key", "#");
    fs::write(sandbox.dir().join("bare.cnf"), without).unwrap();
    let refused = sql(&sandbox, "bare.cnf", "SELECT 1").unwrap_err();
    assert!(refused.contains("1045"), "without its certificate: {refused}");
}

#[test]
fn the_target_names_files_that_are_there_and_no_password_in_the_open() {
    let base = base();
    let Some(sandbox) = start("none", base.path()) else { return };
    let target = sandbox.target();
    for path in [target.socket, target.server_config, target.ssl_ca, target.ca_dir] {
        let path = path.unwrap();
        assert!(path.exists(), "{}", path.display());
    }
    let password = target.password.unwrap();
    let mut with_password = Vec::new();
    for file in walk(sandbox.dir()) {
        let holds = fs::read(&file)
            .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(password.expose()));
        if holds {
            with_password.push(file);
        }
    }
    assert_eq!(with_password, [sandbox.dir().join("client.cnf")]);
    let mode = fs::metadata(&with_password[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => files.extend(walk(&entry.path())),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}

/// Those of which a strict client has something of its own to say, and some that it does not see;
/// every fault there is starts as its file says in `tests/faults.rs`.
const SEEN_BY_A_CLIENT: [&str; 15] = [
    "none",
    "mismatched-key",
    "mismatched-key-ec",
    "mismatched-key-ed25519",
    "key-unreadable",
    "key-encrypted",
    "wrong-chain-order",
    "chain-incomplete",
    "wrong-ca",
    "same-subject-as-ca",
    "expired-server-certificate",
    "expiring-server-certificate",
    "no-tls",
    "account-without-require",
    "transport-not-enforced",
];

#[test]
fn a_fault_starts_or_is_refused_as_its_file_says_and_leaves_nothing() {
    // what a client with the right CA says; the others it trusts
    let mut refusals = vec![
        ("expired-server-certificate", "certificate has expired"),
        ("chain-incomplete", "unable to get local issuer certificate"),
        ("same-subject-as-ca", "self-signed certificate"),
        ("no-tls", "server does not support SSL"),
    ];
    // where the server starts in spite of it, as MySQL does, it does so without TLS
    for name in ["mismatched-key", "mismatched-key-ec", "mismatched-key-ed25519", "key-encrypted"] {
        refusals.push((name, "server does not support SSL"));
    }
    refusals.extend([("key-unreadable", ""), ("wrong-chain-order", "")]);
    for fault in SEEN_BY_A_CLIENT.map(|name| Fault::named(name).unwrap()) {
        let server = std::env::var_os("MYTLS_TEST_SERVER").map(PathBuf::from);
        let series = mytls::sandbox::series_of(server.as_deref());
        if series.is_ok_and(|series| !fault.servers.contain(series)) {
            continue;
        }
        let base = base();
        let Some(sandbox) = start(&fault.name, base.path()) else { return };
        assert_eq!(sandbox.is_running(), fault.server_starts(sandbox.series()), "{}", fault.name);
        if sandbox.is_running() {
            let root = sql(&sandbox, "client.cnf", "SELECT 1");
            assert_eq!(root.as_deref(), Ok("1"), "{}: the administrator gets in", fault.name);
            let met = strict_client(&sandbox);
            let expected = refusals.iter().find(|(name, _)| *name == fault.name);
            match (&met, expected) {
                (None, None) => {}
                (Some(said), Some((_, what))) => assert!(said.contains(what), "{said}"),
                _ => panic!("{}: expected {expected:?}, a client says {met:?}", fault.name),
            }
        }
        drop(sandbox);
        assert!(is_empty(base.path()), "{} left a folder", fault.name);
        assert_eq!(processes_in(base.path()), [""; 0], "{} left a process", fault.name);
    }
}

/// What a strict client says of the server as it presents itself: `None` when it trusts it.
fn strict_client(sandbox: &Sandbox) -> Option<String> {
    let target = sandbox.target();
    let port = target.port.unwrap();
    let output = Command::new("openssl")
        .args(["s_client", "-starttls", "mysql", "-verify_return_error", "-brief"])
        .args(["-connect", &format!("127.0.0.1:{port}"), "-verify_ip", "127.0.0.1", "-CAfile"])
        .arg(target.ssl_ca.unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if text.contains("Verification: OK") { None } else { Some(text) }
}

#[test]
fn the_right_key_put_back_makes_the_server_start_again() {
    let base = base();
    let Some(sandbox) = start("mismatched-key", base.path()) else { return };
    let tls = sandbox.dir().join("tls");
    if sandbox.is_running() {
        assert!(strict_client(&sandbox).is_some(), "MySQL starts without TLS");
    } else {
        let error = sandbox.restart().unwrap_err().to_string();
        assert!(error.contains("Unable to get private key"), "{error}");
    }
    fs::copy(tls.join("old/server-key.pem"), tls.join("server-key.pem")).unwrap();
    sandbox.restart().unwrap();
    assert!(sandbox.is_running());
    assert_eq!(strict_client(&sandbox), None);
}

#[test]
fn a_panic_leaves_nothing_behind() {
    let base = base();
    let mut started = false;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let Some(_sandbox) = start("none", base.path()) else { return };
        started = true;
        panic!("this panic is meant");
    }));
    assert_eq!(ended.is_err(), started);
    assert!(is_empty(base.path()));
    assert_eq!(processes_in(base.path()), [""; 0]);
}

/// `mytls sandbox --headless` as a process, once it says that it waits; with what it said.
fn headless(base: &Path) -> Option<(Child, String)> {
    let mut mytls = Command::new(env!("CARGO_BIN_EXE_mytls"))
        .args(["sandbox", "--headless"])
        .env("TMPDIR", base)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(mytls.stdout.take().unwrap()).lines();
    while !said.contains("Ctrl-C") {
        let Some(line) = lines.next() else {
            mytls.wait().unwrap();
            return None;
        };
        said += &(line.unwrap() + "\n");
    }
    Some((mytls, said))
}

fn signal(process: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn soon(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn signals_end_a_headless_sandbox_and_all_of_it() {
    let base = base();
    // where there is no server, this one says that it skips
    if start("none", base.path()).is_none() {
        return;
    }
    for name in ["-INT", "-TERM", "-HUP"] {
        let (mut mytls, said) = headless(base.path()).unwrap();
        assert!(said.contains("client.cnf") && said.contains("mytls check"), "{said}");
        assert!(!is_empty(base.path()));
        signal(&mytls, name);
        assert!(mytls.wait().unwrap().success(), "{name}");
        assert!(is_empty(base.path()), "{name} left a folder");
        assert_eq!(processes_in(base.path()), [""; 0], "{name} left a process");
    }
}

#[test]
fn a_killed_mytls_takes_its_server_along_and_the_next_one_sweeps() {
    let base = base();
    if start("none", base.path()).is_none() {
        return;
    }
    let (mut mytls, _) = headless(base.path()).unwrap();
    assert_eq!(processes_in(base.path()).len(), 1);
    signal(&mytls, "-KILL");
    mytls.wait().unwrap();
    if Path::new("/usr/bin/setpriv").exists() {
        soon("the server has ended", || processes_in(base.path()).is_empty());
    }
    assert!(!is_empty(base.path()), "nobody was there to remove the folder");
    drop(start("none", base.path()));
    assert!(is_empty(base.path()));
    assert_eq!(processes_in(base.path()), [""; 0]);
}

#[test]
fn a_stopped_sandbox_is_gone_and_does_not_come_back() {
    let base = base();
    let Some(sandbox) = start("none", base.path()) else { return };
    sandbox.stop();
    assert!(is_empty(base.path()));
    assert!(!sandbox.is_running());
    assert!(matches!(sandbox.restart(), Err(SandboxError::Ended)));
}

#[test]
fn the_server_never_runs_as_root() {
    let base = base();
    let Some(sandbox) = start("none", base.path()) else { return };
    let pid = fs::read_to_string(sandbox.dir().join("run/mysqld.pid")).unwrap();
    let owner = fs::metadata(format!("/proc/{}", pid.trim())).unwrap().uid();
    assert_ne!(owner, 0);
}

#[test]
fn stopping_does_not_wait_for_a_restart_that_will_not_succeed() {
    let base = base();
    let Some(sandbox) = start("none", base.path()) else { return };
    // a server that lives and never answers where it should
    let config = sandbox.dir().join("my.cnf");
    let text = fs::read_to_string(&config).unwrap().replace("run/mysqld.sock", "run/other.sock");
    fs::write(&config, text).unwrap();
    std::thread::scope(|scope| {
        let restart = scope.spawn(|| sandbox.restart());
        std::thread::sleep(Duration::from_secs(1));
        assert!(!sandbox.is_running(), "asking does not wait");
        let before = Instant::now();
        sandbox.stop();
        assert!(before.elapsed() < Duration::from_secs(20));
        assert!(matches!(restart.join().unwrap(), Err(SandboxError::Ended)));
    });
    assert!(is_empty(base.path()));
    assert_eq!(processes_in(base.path()), [""; 0]);
}
