//! A sandbox and the program itself, for the tests that need a real server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mytls::sandbox::{Fault, Sandbox, SandboxError, SandboxOptions, Series, series_of};
use serde_json::Value;

/// A sandbox with its folder's folder; gone when dropped.
pub struct Server {
    pub sandbox: Sandbox,
    // dropped after the sandbox, which lies in it
    base: tempfile::TempDir,
}

/// One of the servers on which the tests run.
#[derive(Clone, Debug)]
pub struct Program {
    pub series: Series,
    path: Option<PathBuf>,
}

/// Starts a sandbox. Without a server under CI this fails; elsewhere it says that it skipped.
pub fn server(fault: &str) -> Option<Server> {
    let path = std::env::var_os("MYTLS_TEST_SERVER").map(PathBuf::from);
    match start(&Fault::named(fault).unwrap(), path) {
        Ok(server) => Some(server),
        Err(SandboxError::NoServer) if !in_ci() => {
            eprintln!("skipped: there is no MariaDB or MySQL server here; make setup installs one");
            None
        }
        Err(SandboxError::NotForThisServer { .. }) => {
            eprintln!("skipped: {fault} is for another server");
            None
        }
        Err(error) => panic!("{fault}: {error}"),
    }
}

impl Program {
    pub fn start(&self, fault: &Fault) -> Result<Server, SandboxError> {
        start(fault, self.path.clone())
    }

    /// The program itself.
    pub fn path(&self) -> PathBuf {
        let usual = ["/usr/sbin/mariadbd", "/usr/sbin/mysqld"].map(PathBuf::from);
        let there = || usual.into_iter().find(|path| path.is_file());
        self.path.clone().or_else(there).expect("the sandbox found this host's server")
    }
}

fn start(fault: &Fault, server: Option<PathBuf>) -> Result<Server, SandboxError> {
    let base = tempfile::Builder::new().prefix("sb").tempdir_in("/tmp").unwrap();
    // the server's user passes through it
    std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let base_dir = Some(base.path().to_owned());
    let options = SandboxOptions { fault: fault.clone(), server, keep: false, base_dir };
    Ok(Server { sandbox: Sandbox::start(&options, &mut |_| ())?, base })
}

/// The servers to run on: those in MYTLS_TEST_SERVERS (programs, with colons between them), or in
/// MYTLS_TEST_SERVER, or those that `scripts/servers` brought, or that of this host. In CI all four
/// have to be there; elsewhere what is missing is said.
pub fn servers() -> Vec<Program> {
    let at = |path: Option<PathBuf>| match series_of(path.as_deref()) {
        Ok(series) => Some(Program { series, path }),
        Err(SandboxError::NoServer) => None,
        Err(error) => panic!("{error}"),
    };
    let named = ["MYTLS_TEST_SERVERS", "MYTLS_TEST_SERVER"].into_iter().find_map(std::env::var_os);
    if let Some(named) = named {
        return std::env::split_paths(&named).filter_map(|path| at(Some(path))).collect();
    }
    let folder = brought();
    let mut found: Vec<Program> = Series::ALL
        .iter()
        .flat_map(|series| ["mariadbd", "mysqld"].map(|name| folder.join(series.name()).join(name)))
        .filter(|path| path.is_file())
        .filter_map(|path| at(Some(path)))
        .collect();
    // that of this host where it is none of those
    let host = at(None);
    found.extend(host.filter(|host| found.iter().all(|program| program.series != host.series)));
    let missing: Vec<&str> = Series::ALL
        .iter()
        .filter(|series| found.iter().all(|program| program.series != **series))
        .map(|series| series.name())
        .collect();
    if !missing.is_empty() {
        let words = missing.join(", ");
        assert!(!in_ci(), "in CI every server has to be there, and these are not: {words}");
        eprintln!("skipped: {words}; scripts/servers brings them");
    }
    found
}

/// Where `scripts/servers` puts them.
fn brought() -> PathBuf {
    cache("MYTLS_SERVERS", "servers")
}

/// Where the scripts put what tests need: as this variable says, or in the cache.
pub fn cache(variable: &str, name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os(variable) {
        return folder.into();
    }
    if nix::unistd::geteuid().is_root() {
        return Path::new("/var/cache/mytls").join(name);
    }
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    cache.join("mytls").join(name)
}

/// The sound set-ups of `assets/healthy`: written as faults are, and none.
pub fn sound_set_ups() -> Vec<Fault> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/healthy");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let set_up = Fault::from_toml(name, &text).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(set_up.first, None, "{name} is sound, so no rule names it");
        set_up
    };
    files.iter().map(read).collect()
}

/// How to start a program that came along with a server that `scripts/servers` brought; `None` where
/// it brought none, or that server is this host's own.
pub fn program_of(series: &str, program: &str) -> Option<Vec<PathBuf>> {
    let root = brought().join(series).join("root");
    let libraries = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib/mysql/private"];
    let libraries = libraries.map(|folder| root.join(folder).display().to_string()).join(":");
    let program = root.join(program);
    // built for a newer system: it is started by the loader that came with it
    let loader = root.join("lib64/ld-linux-x86-64.so.2");
    program.is_file().then(|| vec![loader, "--library-path".into(), libraries.into(), program])
}

pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// Does a piece of work for each item, on twice as many threads as there are cores: half of the
/// time a server is waited for. The results come in the order of the items.
pub fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let workers = std::thread::available_parallelism().map_or(2, usize::from) * 2;
    std::thread::scope(|scope| {
        for _ in 0..workers.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let mine = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(mine) else { return };
                    let result = work(item);
                    *results[mine].lock().unwrap() = Some(result);
                }
            });
        }
    });
    results.into_iter().map(|result| result.into_inner().unwrap().unwrap()).collect()
}

/// Errors and warnings of a report.
pub fn problems(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    let heavy = findings.iter().filter(|finding| finding["severity"] != "note");
    heavy.map(|f| format!("{} ({})", f["rule"], f["title"])).collect()
}

impl Server {
    pub fn dir(&self) -> &Path {
        self.sandbox.dir()
    }

    pub fn base(&self) -> &Path {
        self.base.path()
    }

    /// `mytls COMMAND` on this server, as a process of its own.
    pub fn mytls(&self, command: &str, arguments: &[&str]) -> Output {
        let target = self.sandbox.target();
        let path = |path: &Option<PathBuf>| path.clone().unwrap();
        mytls()
            .arg(command)
            .arg("--defaults-file")
            .arg(self.dir().join("client.cnf"))
            .args(["-h", "127.0.0.1", "-P", &target.port.unwrap().to_string()])
            .arg("-S")
            .arg(path(&target.socket))
            .arg("--ssl-ca")
            .arg(path(&target.ssl_ca))
            .arg("--server-config")
            .arg(path(&target.server_config))
            .arg("--system-root")
            .arg(path(&target.system_root))
            .arg("--ca-dir")
            .arg(path(&target.ca_dir))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// `mytls check --format json`, parsed.
    pub fn check(&self) -> Value {
        let output = self.mytls("check", &["--format", "json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
        })
    }

    /// Runs statements through the client program, as root over the socket.
    pub fn sql(&self, statements: &str) -> Result<String, String> {
        // some clients offer TLS over a socket, too, and none of today's likes yaSSL's
        let plain = (self.sandbox.series() == Series::MySql56).then_some("--skip-ssl");
        let output = Command::new(client())
            .arg(format!("--defaults-file={}", self.dir().join("client.cnf").display()))
            .args(plain)
            .args(["--batch", "--skip-column-names", "-e", statements])
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

/// The program under test.
pub fn mytls() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mytls"));
    // Nothing of whoever runs the tests gets in.
    command.env_remove("MYSQL_PWD").env("HOME", "/nonexistent").env("NO_COLOR", "1");
    command
}

/// The client program of either family.
pub fn client() -> &'static str {
    let there = |name| Command::new(name).arg("--version").output().is_ok();
    if there("mariadb") { "mariadb" } else { "mysql" }
}
