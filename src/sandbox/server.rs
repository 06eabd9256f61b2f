//! Finding a server program, preparing its data folder, running it, and ending it.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Group, Pid, Uid, User};

use super::SandboxError;
use super::series::Series;
use crate::disk::{DiskError, Owner};
use crate::facts::{Flavor, Version};
use crate::printable::printable_lines;

/// How long a server may take to start, and to prepare its data folder.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long it may take to end by itself.
const GRACE: Duration = Duration::from_secs(15);
/// How often a process is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// The folder, beside the log, for the server's temporary files.
pub(super) const TEMPORARY: &str = "tmp";

/// Whose rights the server has: never root's.
#[derive(Clone, Debug)]
pub(super) struct RunAs {
    /// `None`: those of whoever runs mytls.
    owner: Option<Owner>,
}

impl RunAs {
    pub(super) fn choose() -> Result<Self, SandboxError> {
        if !Uid::effective().is_root() {
            return Ok(Self { owner: None });
        }
        let user = |name| User::from_name(name).ok().flatten();
        let user = user("mysql").or_else(|| user("nobody")).ok_or(SandboxError::NoUser)?;
        let gid = Group::from_gid(user.gid).ok().flatten().map_or(user.gid, |group| group.gid);
        Ok(Self { owner: Some(Owner { uid: user.uid.as_raw(), gid: gid.as_raw() }) })
    }

    /// The user of this name, where we may act as another; else whoever runs mytls.
    pub(super) fn named(name: &str) -> Result<Self, SandboxError> {
        if !Uid::effective().is_root() {
            return Ok(Self { owner: None });
        }
        let user = User::from_name(name).ok().flatten().filter(|user| !user.uid.is_root());
        let Some(user) = user else { return Self::choose() };
        Ok(Self { owner: Some(Owner { uid: user.uid.as_raw(), gid: user.gid.as_raw() }) })
    }

    /// Who owns the server's files; `None` when we are that one.
    pub(super) fn owner(&self) -> Option<Owner> {
        self.owner
    }

    fn apply(&self, command: &mut Command) {
        if let Some(owner) = self.owner {
            command.gid(owner.gid).uid(owner.uid);
        }
    }
}

/// How a server is started.
pub(super) struct Start<'a> {
    pub(super) config: &'a Path,
    /// Statements that it runs before it lets anybody in.
    pub(super) init: Option<&'a Path>,
    /// A folder that it does not see.
    pub(super) hidden: Option<&'a Path>,
}

/// The program as this user, in a name space of its own with an empty folder mounted over one: what
/// systemd does for `ProtectHome` and `InaccessiblePaths`.
fn without(hidden: &Path, owner: Owner, program: &Path) -> Command {
    const SCRIPT: &str = "mount -t tmpfs -o mode=0755 none \"$1\" && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"]).arg(hidden);
    command.args(["setpriv", "--pdeathsig", "TERM", "--clear-groups"]);
    command.arg(format!("--regid={}", owner.gid)).arg(format!("--reuid={}", owner.uid));
    command.arg("--").arg(program);
    command
}

/// A server program: `mariadbd` or `mysqld`.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    pub(super) flavor: Flavor,
    pub(super) version: Version,
}

impl Program {
    /// The one that is named, or the first of those that packages install.
    pub(super) fn find(named: Option<&Path>) -> Result<Self, SandboxError> {
        const NAMES: [&str; 2] = ["mariadbd", "mysqld"];
        if let Some(path) = named {
            return Self::at(path);
        }
        let path = NAMES.iter().find_map(|name| look_up(name, &["/usr/sbin", "/usr/libexec"]));
        Self::at(&path.ok_or(SandboxError::NoServer)?)
    }

    fn at(path: &Path) -> Result<Self, SandboxError> {
        let bad = |why: String| SandboxError::BadServer { path: path.to_owned(), why };
        let path = path.canonicalize().map_err(|error| bad(error.to_string()))?;
        let output = Command::new(&path)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| bad(format!("it cannot be run: {error}")))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // `mysqld  Ver 9.7.4 for Linux on x86_64 ((Debian))`
        let version = text.split_once("Ver ").and_then(|(_, rest)| Version::parse(rest));
        let Some((flavor, version)) = version else {
            return Err(bad(format!(
                "its --version says `{}`, which is no MySQL and no MariaDB",
                printable_lines(text.trim())
            )));
        };
        Ok(Self { path, flavor, version })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn series(&self) -> Series {
        Series::of(self.flavor, self.version)
    }

    /// `MariaDB 10.11.19`
    pub(super) fn describe(&self) -> String {
        format!("{} {}", self.flavor.name(), self.version)
    }

    /// Fills an empty data folder: with a copy of the one that lies prepared beside the program
    /// (`prepared`), or else as the server does it, which takes a few seconds.
    pub(super) fn prepare(
        &self,
        data: &Path,
        log: &Path,
        user: &RunAs,
    ) -> Result<(), SandboxError> {
        let prepared = self.path.with_file_name("prepared");
        if prepared.join("mysql").is_dir() {
            let copied = copy_for(&prepared, data, user);
            return Ok(copied.map_err(|error| DiskError::new(&prepared, error))?);
        }
        if self.series() == Series::MySql56 {
            // its installer is a script of Perl in another package
            return Err(SandboxError::NoInstaller);
        }
        // A power cut may eat a sandbox: it never waits for the disk, which it would a thousand times.
        let fast = ["--debug-no-sync", "--innodb-flush-method=nosync", "--innodb-log-file-size=4M"];
        let mut command = match self.flavor {
            Flavor::MySql => {
                let mut command = Command::new(&self.path);
                command.args(["--no-defaults", "--initialize-insecure", "--loose-mysqlx=OFF"]);
                command.arg("--loose-auto-generate-certs=OFF");
                command
            }
            Flavor::MariaDb => {
                let (installer, base) = self.installer()?;
                let mut command = Command::new(installer);
                command.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
                command.args(["--skip-test-db", "--skip-name-resolve", "--force"]);
                command.args(fast);
                if let Some(base) = base {
                    command.arg(with_path("--basedir=", &base));
                }
                command
            }
        };
        // Two installations at once must not meet in /tmp: the names of their temporary tables are
        // made of the process number and the connection's, and both may be the same.
        command.arg(with_path("--tmpdir=", data));
        command.arg(with_path("--datadir=", data)).current_dir(data);
        let from = length(log);
        let process = Process::start(&command, log, user)?;
        let failed = |what| Err(SandboxError::Prepare { what, log: errors(log, from) });
        if !process.ends_within(PATIENCE) {
            return failed("it took too long".to_owned());
        }
        match process.exit_status() {
            Some(status) if !status.success() => failed(status.to_string()),
            _ => Ok(()),
        }
    }

    pub(super) fn start(
        &self,
        start: &Start,
        log: &Path,
        user: &RunAs,
    ) -> Result<Process, SandboxError> {
        let hiding = start.hidden.zip(user.owner());
        let mut command = match hiding {
            Some((hidden, owner)) => without(hidden, owner, &self.path),
            None => Command::new(&self.path),
        };
        // has to be the first argument
        command.arg(with_path("--defaults-file=", start.config));
        if let Some(init) = start.init {
            command.arg(with_path("--init-file=", init));
        }
        if let Some(folder) = start.config.parent() {
            command.current_dir(folder);
        }
        // what hides the folder needs root's rights, and gives them up itself
        let user = if hiding.is_some() { &RunAs { owner: None } } else { user };
        Process::start(&command, log, user)
    }

    /// MariaDB's script that fills a data folder, and the folder above all of MariaDB when it is not
    /// the one the script expects.
    fn installer(&self) -> Result<(PathBuf, Option<PathBuf>), SandboxError> {
        const NAMES: [&str; 2] = ["mariadb-install-db", "mysql_install_db"];
        let beside = self.path.parent().unwrap_or(Path::new("/"));
        let above = beside.parent().unwrap_or(Path::new("/"));
        for folder in [beside.to_owned(), above.join("bin"), above.join("scripts")] {
            let found = NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file());
            if let Some(found) = found {
                return Ok((found, (above != Path::new("/usr")).then(|| above.to_owned())));
            }
        }
        let found = NAMES.iter().find_map(|name| look_up(name, &["/usr/bin", "/usr/sbin"]));
        found.map(|found| (found, None)).ok_or(SandboxError::NoInstaller)
    }
}

/// A server that was started. Dropping it ends it.
pub(super) struct Process {
    child: Arc<Mutex<Child>>,
    pid: u32,
}

impl Process {
    /// Starts a program in a session of its own, without a terminal, as the server's user, with what
    /// it says going to the log.
    fn start(command: &Command, log: &Path, user: &RunAs) -> Result<Self, SandboxError> {
        let path = PathBuf::from(command.get_program());
        let bad = |error: io::Error| SandboxError::BadServer {
            path: path.clone(),
            why: format!("it cannot be run: {error}"),
        };
        let open = || File::options().append(true).open(log);
        let (out, err) = (open().map_err(&bad)?, open().map_err(&bad)?);
        let mut command = guarded(command);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        // A starting server removes the temporary tables that it finds: in a shared folder those
        // of others, in the midst of their work.
        if let Some(folder) = log.parent() {
            command.env("TMPDIR", folder.join(TEMPORARY));
        }
        // options for every server on this host are not for this one
        command.env_remove("MYSQL_HOME").env_remove("MYSQL_GROUP_SUFFIX").env("HOME", "/");
        user.apply(&mut command);

        // The kernel's promise to end the server when its parent dies looks at the thread that
        // started it: so that one has to live as long as the server does.
        let (tell, told) = mpsc::channel();
        let keeper = thread::Builder::new().name("sandbox server".to_owned()).spawn(move || {
            let child = match command.spawn() {
                Ok(child) => Arc::new(Mutex::new(child)),
                Err(error) => return drop(tell.send(Err(error))),
            };
            if tell.send(Ok(Arc::clone(&child))).is_err() {
                let _ = lock(&child).kill();
            }
            while matches!(lock(&child).try_wait(), Ok(None)) {
                thread::sleep(GLANCE);
            }
        });
        keeper.map_err(&bad)?;
        let gone = || io::Error::other("the thread that starts it ended");
        let child = told.recv().map_err(|_| bad(gone()))?.map_err(&bad)?;
        let pid = lock(&child).id();
        Ok(Self { child, pid })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended; `None` while it runs.
    pub(super) fn exit_status(&self) -> Option<ExitStatus> {
        lock(&self.child).try_wait().ok().flatten()
    }

    /// Waits until it is ready; the error says that it ended, or that it took too long.
    pub(super) fn wait_until(&self, ready: impl Fn() -> bool) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.exit_status() {
                return Err(status.to_string());
            }
            if ready() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err("it took too long".to_owned());
            }
            thread::sleep(GLANCE);
        }
    }

    /// Asks it to end, and ends it when it does not.
    pub(super) fn stop(&self) {
        self.signal(Signal::SIGTERM);
        if !self.ends_within(GRACE) {
            self.signal(Signal::SIGKILL);
            self.ends_within(GRACE);
        }
    }

    fn ends_within(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while self.exit_status().is_none() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(GLANCE);
        }
        true
    }

    /// To the whole group: the program may be a script that did not `exec` the server.
    fn signal(&self, signal: Signal) {
        // Under the lock nobody else collects its exit status, so the number is still its own.
        let mut child = lock(&self.child);
        if matches!(child.try_wait(), Ok(None)) {
            let _ = killpg(Pid::from_raw(self.pid.cast_signed()), signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The command run in a session of its own, and ended by the kernel should mytls be killed. The
/// session has no terminal: OpenSSL asks for the passphrase of an encrypted key on `/dev/tty`, in
/// the midst of the wizard's screen, and waits for it.
fn guarded(command: &Command) -> Command {
    let setpriv = look_up("setpriv", &["/usr/bin"]).filter(|setpriv| {
        let mut probe = Command::new(setpriv);
        probe.args(["--pdeathsig", "TERM", "true"]).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    });
    let mut words: Vec<&OsStr> = Vec::new();
    let setsid = look_up("setsid", &["/usr/bin"]);
    if let Some(setsid) = &setsid {
        words.push(setsid.as_os_str());
    }
    if let Some(setpriv) = &setpriv {
        words.extend([setpriv.as_os_str(), "--pdeathsig".as_ref(), "TERM".as_ref(), "--".as_ref()]);
    }
    words.push(command.get_program());
    words.extend(command.get_args());
    let mut guarded = Command::new(words[0]); // the program, at least, is there
    guarded.args(&words[1..]);
    if let Some(folder) = command.get_current_dir() {
        guarded.current_dir(folder);
    }
    if setsid.is_none() {
        guarded.process_group(0);
    }
    guarded
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program on PATH or in one of these folders.
fn look_up(name: &str, also: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(also.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Copies what is in a folder into another that is there, for the server's user.
fn copy_for(from: &Path, to: &Path, user: &RunAs) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            DirBuilder::new().mode(0o700).create(&target)?;
            copy_for(&entry.path(), &target, user)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
            fs::set_permissions(&target, Permissions::from_mode(0o600))?;
        }
        if let (Some(owner), true) = (user.owner(), kind.is_dir() || kind.is_file()) {
            chown(&target, Some(owner.uid), Some(owner.gid))?;
        }
    }
    Ok(())
}

fn with_path(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(option);
    argument.push(path);
    argument
}

/// How long a log is now, so that later only what came after is shown.
pub(super) fn length(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |found| found.len())
}

/// What a log says of errors from there on; its last lines when it says nothing of that kind.
/// MariaDB's installer ends with a page of good advice, whatever went wrong.
fn errors(log: &Path, from: u64) -> String {
    let text = tail_of(log, from, usize::MAX);
    let is_error = |line: &&str| line.contains("ERROR") || line.contains("FATAL");
    let lines: Vec<&str> = text.lines().filter(is_error).collect();
    if lines.is_empty() { tail(log, from) } else { lines.join("\n") }
}

/// The last lines of a log from there on, made printable.
pub(super) fn tail(log: &Path, from: u64) -> String {
    const LINES: usize = 12;
    tail_of(log, from, LINES)
}

fn tail_of(log: &Path, from: u64, most: usize) -> String {
    let read = || {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(1 << 20).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    printable_lines(&lines[lines.len().saturating_sub(most)..].join("\n"))
}
