//! A throwaway real server with a chosen fault: for trying mytls out, and for its tests.
//!
//! Nothing is simulated. A MariaDB or MySQL of this host is started in a private folder, on a free
//! port, as an unprivileged user, with certificates and accounts of its own; then it is broken in
//! the way that a [`Fault`] describes. When the sandbox ends, nothing is left of it: not when a test
//! panics, and not when mytls is killed (the kernel ends the server, the next sandbox sweeps).
//!
//! ```text
//! my.cnf                                        the server's options
//! client.cnf, app.cnf, web.cnf                  option files for clients: root, app@%, web@%
//! tls/{server-cert,server-key,ca}.pem           what the options name
//! client/{ca,app-cert,app-key}.pem              what an application has: the root, its certificate
//! ca/                                           the CA that issued both (see `ca::Store`)
//! data/, run/, tmp/, error.log                      the server's own
//! ```

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::apply::Restart;
use crate::ca::CaError;
use crate::ca::unsound::Unsound;
use crate::disk::{self, DiskError, Meta};
use crate::facts::{AccountName, Flavor, Target};
use crate::printable::{printable, shown};
use crate::secret::Secret;

mod accounts;
mod config;
pub mod dry;
pub mod fault;
mod folder;
mod odd;
mod pki;
mod rewrite;
pub mod series;
mod server;

pub use fault::Fault;
pub use series::{Series, Servers};

use accounts::Accounts;
use fault::{Change, Stage, Step};
use folder::Folder;
use pki::Pki;
use server::{Process, Program, RunAs};

/// Which of the servers that faults are told apart by a program is like; `None`: the first
/// program of this host.
pub fn series_of(server: Option<&Path>) -> Result<Series, SandboxError> {
    Ok(Program::find(server)?.series())
}

/// The family and version of a server program.
pub fn version_of(server: &Path) -> Result<(Flavor, crate::facts::Version), SandboxError> {
    Program::find(Some(server)).map(|program| (program.flavor, program.version))
}

/// What sandbox is wanted.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    pub fault: Fault,
    /// The server program, or a script that runs one with the arguments it is given; `None`: the
    /// first of this host.
    pub server: Option<PathBuf>,
    /// Leave the folder when the sandbox ends.
    pub keep: bool,
    /// Where to make the folder; `None`: where temporary files go.
    pub base_dir: Option<PathBuf>,
}

/// A running sandbox; dropping it ends it.
pub struct Sandbox {
    fault: Fault,
    program: Program,
    user: RunAs,
    port: u16,
    accounts: Accounts,
    dir: PathBuf,
    // Fields are dropped in this order: the server ends before its folder goes.
    process: Mutex<Option<Process>>,
    folder: Mutex<Option<Folder>>,
    /// Held while the server is restarted, so that nobody has to wait for that who only asks
    /// whether it runs.
    restarting: Mutex<()>,
    ended: AtomicBool,
    /// A folder that the server does not see.
    hidden: Mutex<Option<PathBuf>>,
}

/// Why there is no sandbox, or not the one that was wanted.
#[derive(Debug, Error)]
pub enum SandboxError {
    #[error(
        "there is no mariadbd and no mysqld on this host; install one (Debian, Ubuntu: apt-get install mariadb-server-core), or name one with --server"
    )]
    NoServer,
    #[error("{path} cannot serve as the server: {why}", path = shown(path))]
    BadServer { path: PathBuf, why: String },
    #[error(
        "mariadb-install-db is not beside the server and not on PATH; install the package that belongs to the server"
    )]
    NoInstaller,
    #[error(
        "a server must not run as root, and this host has neither a user mysql nor nobody; create one: useradd -r mysql"
    )]
    NoUser,
    #[error("there is no fault named `{name}`; mytls sandbox --list names them all", name = printable(name))]
    NoSuchFault { name: String },
    #[error(
        "the fault {fault} is not for {server} but for {meant}; choose another fault or another --server"
    )]
    NotForThisServer { fault: String, server: String, meant: Servers },
    #[error("the fault {fault} can only be made by root; run it as root, or choose another")]
    NeedsRoot { fault: String },
    #[error("{base} is too long a path for the server's socket; choose a shorter one: TMPDIR=/tmp mytls sandbox …", base = shown(base))]
    LongPath { base: PathBuf },
    #[error("the server's data folder could not be prepared ({what}); it said:\n{log}")]
    Prepare { what: String, log: String },
    #[error("the server did not start ({what}); its error log ends:\n{log}")]
    Start { what: String, log: String },
    #[error(
        "{server} started in spite of the fault {fault}, with which it should not; its error log ends:\n{log}"
    )]
    StartedAnyway { server: String, fault: String, log: String },
    #[error("the server refused: {statement}: {why}")]
    Sql { statement: String, why: String },
    #[error("the server took a statement that it should have refused: {statement}")]
    Allowed { statement: String },
    #[error("this host has no bundle of public CAs; install the package ca-certificates")]
    NoPublicCas,
    #[error("no port could be had on 127.0.0.1: {0}")]
    Port(std::io::Error),
    #[error("the sandbox has ended")]
    Ended,
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Ca(#[from] CaError),
}

impl Sandbox {
    /// Starts a server and breaks it; takes a few seconds, and tells what it does meanwhile. A
    /// server that does not start with its fault is no error: see [`Self::is_running`].
    pub fn start(
        options: &SandboxOptions,
        told: &mut dyn FnMut(&str),
    ) -> Result<Self, SandboxError> {
        let program = Program::find(options.server.as_deref())?;
        let fault = options.fault.clone();
        if !fault.servers.contain(program.series()) {
            let server = program.describe();
            return Err(SandboxError::NotForThisServer {
                fault: fault.name,
                server,
                meant: fault.servers,
            });
        }
        let user = RunAs::choose()?;
        if fault.needs_root && user.owner().is_none() {
            return Err(SandboxError::NeedsRoot { fault: fault.name });
        }
        let base = match &options.base_dir {
            Some(base) => base.clone(),
            None => folder::default_base().map_err(|e| DiskError::new(Path::new("/tmp"), e))?,
        };
        let folder = Folder::create(&base, &user, options.keep)?;
        let log = folder.join("error.log");
        disk::write_new(&log, b"", Meta { mode: 0o640, owner: user.owner() })?;

        told("preparing a data folder");
        folder.create_for("data", &user)?;
        folder.create_for("run", &user)?;
        folder.create_for(server::TEMPORARY, &user)?;
        program.prepare(&folder.join("data"), &log, &user)?;
        told("making keys and certificates");
        let mut pki = Pki::create(&folder, &program, &user)?;
        let accounts = Accounts::invent()?;

        told(&format!("starting {}", program.describe()));
        let port = free_port()?;
        let config = config::my_cnf(&program, folder.path(), &folder.socket(), port);
        disk::write_new(&folder.join("my.cnf"), config.as_bytes(), Meta::mode(0o644))?;
        let sandbox = Self {
            fault,
            program,
            user,
            port,
            accounts,
            dir: folder.path().to_owned(),
            process: Mutex::new(None),
            folder: Mutex::new(Some(folder)),
            restarting: Mutex::new(()),
            ended: AtomicBool::new(false),
            hidden: Mutex::new(None),
        };
        let sandbox = sandbox.first_start(&pki)?;
        if !sandbox.fault.changes.is_empty() {
            told(&format!("breaking it: {}", sandbox.fault.title));
            sandbox.break_it(&mut pki)?;
        }
        Ok(sandbox)
    }

    /// How to reach it, as root, from this host.
    pub fn target(&self) -> Target {
        Target {
            host: Some("127.0.0.1".to_owned()),
            port: Some(self.port),
            socket: Some(self.socket()),
            user: Some("root".to_owned()),
            password: Some(self.accounts.root.clone()),
            ssl_ca: Some(self.dir.join("client/ca.pem")),
            server_config: Some(self.config_file()),
            system_root: Some(self.dir.join("system")),
            ca_dir: Some(pki::ca_dir(&self.dir)),
            ..Target::default()
        }
    }

    /// The accounts `app@%` and `web@%` with their passwords.
    pub fn accounts(&self) -> Vec<(AccountName, Secret)> {
        let any = |user, password: &Secret| (AccountName::new(user, "%"), password.clone());
        vec![any("app", &self.accounts.app), any("web", &self.accounts.web)]
    }

    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    pub fn flavor(&self) -> Flavor {
        self.program.flavor
    }

    /// Which of the servers that faults are told apart by it is like.
    pub fn series(&self) -> Series {
        self.program.series()
    }

    /// `MariaDB 10.11.19`
    pub fn server(&self) -> String {
        self.program.describe()
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn is_running(&self) -> bool {
        lock(&self.process).as_ref().is_some_and(|process| process.exit_status().is_none())
    }

    /// Stops the server, if it runs, and starts it with its my.cnf as it is now. The error holds the
    /// last lines of its log.
    pub fn restart(&self) -> Result<(), SandboxError> {
        let _one_at_a_time = lock(&self.restarting);
        self.stop_server();
        if self.has_ended() {
            return Err(SandboxError::Ended);
        }
        let process = self.launch(None)?;
        *lock(&self.process) = Some(process);
        Ok(())
    }

    /// Ends the server and leaves the folder.
    pub fn stop_server(&self) {
        // Taken out first: ending it takes a moment, in which others may ask whether it runs.
        let process = lock(&self.process).take();
        drop(process);
    }

    /// Ends it all: the server, then its folder unless that is to be kept. Dropping does the same.
    pub fn stop(&self) {
        self.ended.store(true, Ordering::Relaxed);
        // A restart that is under way gives up now.
        let _no_restart = lock(&self.restarting);
        self.stop_server();
        *lock(&self.folder) = None;
    }

    /// Whether the folder stays when the sandbox ends.
    pub fn is_kept(&self) -> bool {
        lock(&self.folder).as_ref().is_some_and(Folder::kept)
    }

    /// The start of the healthy server, in which it gets its accounts.
    fn first_start(mut self, pki: &Pki) -> Result<Self, SandboxError> {
        const TRIES: u32 = 5;
        let init = self.dir.join("init.sql");
        let text = self.accounts.init_file(self.series());
        disk::write_new(&init, text.as_bytes(), Meta { mode: 0o600, owner: self.user.owner() })?;
        for tries in 1..=TRIES {
            match self.launch(Some(&init)) {
                Ok(process) => {
                    *lock(&self.process) = Some(process);
                    break;
                }
                // Between asking for a free port and using it somebody else was faster.
                Err(SandboxError::Start { log, .. }) if port_was_taken(&log) && tries < TRIES => {
                    self.port = free_port()?;
                    self.edit_config(|text| config::set(text, "port", &self.port.to_string()))?;
                }
                Err(other) => return Err(other),
            }
        }
        // It holds root's password, and has been read.
        std::fs::remove_file(&init).map_err(|error| DiskError::new(&init, error))?;
        self.accounts.create(&self.socket(), pki, self.series())?;
        self.accounts.write_client_files(&self.dir, &self.socket(), self.port, self.series())?;
        Ok(self)
    }

    fn break_it(&self, pki: &mut Pki) -> Result<(), SandboxError> {
        let series = self.series();
        let steps: Vec<&Step> =
            self.fault.changes.iter().filter(|step| step.on.contain(series)).collect();
        let needs_the_server =
            |step: &&Step| matches!(step.change, Change::Sql { .. } | Change::Require { .. });
        let (while_up, while_down): (Vec<&Step>, Vec<&Step>) = match self.fault.stage {
            Stage::WhileRunning => (steps, Vec::new()),
            Stage::BeforeStart => steps.into_iter().partition(needs_the_server),
        };
        for step in while_up {
            self.change(&step.change, pki)?;
        }
        if self.fault.stage == Stage::WhileRunning {
            return Ok(());
        }
        self.stop_server();
        for step in while_down {
            self.change(&step.change, pki)?;
        }
        let should_start = self.fault.server_starts(series);
        match (self.restart(), should_start) {
            (Ok(()), true) | (Err(SandboxError::Start { .. }), false) => Ok(()),
            (Ok(()), false) => Err(SandboxError::StartedAnyway {
                server: self.server(),
                fault: self.fault.name.clone(),
                log: server::tail(&self.log(), 0),
            }),
            (Err(error), _) => Err(error),
        }
    }

    fn change(&self, change: &Change, pki: &mut Pki) -> Result<(), SandboxError> {
        match change {
            Change::IssueServer { key, by, subject, authority_key, days, sans } => {
                pki.issue_server(*key, *by, *subject, *authority_key, *days, sans.as_deref())
            }
            Change::KeyForm { file, form } => pki.key_form(file, *form),
            Change::Prepend { file, text } => pki.prepend(file, text),
            Change::AppendConfig { text } => {
                let text = text.replace("{folder}", &self.dir.display().to_string());
                self.edit_config(|before| format!("{before}{text}"))
            }
            Change::IssueOdd { by, certificate } => pki.issue_odd(*by, certificate),
            Change::NewKey { file, key } => pki.new_key(file, *key),
            Change::WriteCertificates { file, certificates } => {
                pki.write_certificates(file, certificates)
            }
            Change::EncryptKey { file, passphrase, traditional } => {
                pki.encrypt_key(file, passphrase, *traditional)
            }
            Change::WriteAuthorityKey { file, of } => pki.write_authority_key(file, *of),
            Change::Rewrite { file, to } => pki.rewrite(file, *to),
            Change::Remove { file } => pki.remove(file),
            Change::Chmod { file, mode } => pki.chmod(file, mode),
            Change::PointOption { name, file } => {
                let path = pki.path(file).display().to_string();
                self.edit_config(|text| config::set(text, name, &path))
            }
            Change::MakeAuthority { name, by, subject, key, ca, may_sign, path_length, days } => {
                let unsound = Unsound { ca: *ca, may_sign: *may_sign, path_length: *path_length };
                pki.make_authority(*name, *by, *subject, *key, *days, unsound)
            }
            Change::WriteCrls { file, crls } => pki.write_crls(file, crls),
            Change::WriteFolder { folder, certificates, hashed } => {
                pki.write_folder(folder, certificates, *hashed)
            }
            Change::Copy { from, to } => pki.copy(from, to),
            Change::Link { file, to } => {
                let path = pki.path(file);
                std::os::unix::fs::symlink(to, &path)
                    .map_err(|error| DiskError::new(&path, error).into())
            }
            Change::DenyServer { file } => pki.deny_server(file),
            Change::SetOption { name, value } => {
                self.edit_config(|text| config::set(text, name, value))
            }
            Change::RemoveOptions { names } => self.edit_config(|text| config::remove(text, names)),
            Change::Sql { statement, refused } => {
                let statement = statement.replace("{folder}", &self.dir.display().to_string());
                let one = std::slice::from_ref(&statement);
                match accounts::run(&self.socket(), &self.accounts.root, one) {
                    Err(SandboxError::Sql { .. }) if *refused => Ok(()),
                    Ok(()) if *refused => Err(SandboxError::Allowed { statement }),
                    done => done,
                }
            }
            Change::IssueClient { subject } => pki.issue_client(subject),
            Change::CrossSign { name, of, by } => pki.cross_sign(*name, *of, *by),
            Change::AppendPublicCa { file } => pki.append_public_ca(file),
            Change::HideFolder { folder } => {
                *lock(&self.hidden) = Some(pki.path(folder));
                Ok(())
            }
            Change::AppendFiles { files, to } => pki.append_files(files, to),
            Change::WriteFile { file, text } => {
                let text = text.replace("{folder}", &self.dir.display().to_string());
                pki.write_file(file, &text)
            }
            Change::Require { user, require } => {
                let statement = accounts::require(self.series(), user, require);
                accounts::run(&self.socket(), &self.accounts.root, &[statement])
            }
        }
    }

    /// Starts the server and waits until it answers.
    fn launch(&self, init: Option<&Path>) -> Result<Process, SandboxError> {
        let log = self.log();
        let from = server::length(&log);
        let hidden = lock(&self.hidden).clone();
        let start = server::Start { config: &self.config_file(), init, hidden: hidden.as_deref() };
        let process = self.program.start(&start, &log, &self.user)?;
        if let Some(folder) = &*lock(&self.folder) {
            folder.note_server(process.pid())?;
        }
        let failed = |what: String| SandboxError::Start { what, log: server::tail(&log, from) };
        let root = &self.accounts.root;
        process
            .wait_until(|| self.has_ended() || accounts::answers(&self.socket(), root))
            .map_err(failed)?;
        if self.has_ended() { Err(SandboxError::Ended) } else { Ok(process) }
    }

    fn edit_config(&self, edit: impl FnOnce(&str) -> String) -> Result<(), SandboxError> {
        let path = self.config_file();
        let text = std::fs::read_to_string(&path).map_err(|e| DiskError::new(&path, e))?;
        Ok(disk::overwrite(&path, edit(&text).as_bytes(), Meta::mode(0o644))?)
    }

    fn config_file(&self) -> PathBuf {
        self.dir.join("my.cnf")
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("run/mysqld.sock")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("error.log")
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

impl Restart for Sandbox {
    fn restart(&self) -> Result<(), String> {
        Self::restart(self).map_err(|error| error.to_string())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A port that nobody listens on; the server binds it a moment later.
fn free_port() -> Result<u16, SandboxError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(SandboxError::Port)?;
    Ok(listener.local_addr().map_err(SandboxError::Port)?.port())
}

fn port_was_taken(log: &str) -> bool {
    log.contains("Address already in use")
}
