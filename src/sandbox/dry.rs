//! A dry start: the server's own program with the same options about TLS, on an empty data folder and
//! a port of its own, to see what it makes of them before the real one is touched.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::accounts::Accounts;
use super::folder::{self, Folder};
use super::server::{self, Program, RunAs};
use super::{SandboxError, config, free_port};
use crate::disk::{self, DiskError, Meta};
use crate::printable::printable_lines;
use crate::wire::{self, Endpoint, Limits, Trust, WireFacts};

/// What is to be tried.
#[derive(Clone, Debug)]
pub struct DryStart<'a> {
    pub program: &'a Path,
    /// Options with their values; files by absolute paths.
    pub options: &'a [(String, String)],
    /// Whose rights the server has; needs root's to be another's than our own.
    pub user: Option<&'a str>,
    /// Whom the certificate that is served has to verify under.
    pub trust: &'a Trust,
}

/// What it made of the options.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What it wrote to its log about TLS and why it ended, made printable.
    pub log: Vec<String>,
    /// What a client met; `None` where it did not start.
    pub wire: Option<WireFacts>,
    /// Why it did not start, or could not be looked at.
    pub failed: Option<String>,
}

/// Starts it, looks at it from outside, and ends it; takes some seconds. That it does not start
/// with these options is no error.
pub fn start(dry: &DryStart) -> Result<Shown, SandboxError> {
    const TRIES: u32 = 5;
    let program = Program::find(Some(dry.program))?;
    let user = match dry.user {
        Some(name) => RunAs::named(name)?,
        None => RunAs::choose()?,
    };
    let base = folder::default_base().map_err(|e| DiskError::new(Path::new("/tmp"), e))?;
    let folder = Folder::create(&base, &user, false)?;
    let log = folder.join("error.log");
    disk::write_new(&log, b"", Meta { mode: 0o640, owner: user.owner() })?;
    for name in ["data", "run", server::TEMPORARY] {
        folder.create_for(name, &user)?;
    }
    program.prepare(&folder.join("data"), &log, &user)?;

    // a server without an account for this address turns a client away before it speaks of TLS
    let init = folder.join("init.sql");
    let password = Accounts::invent()?.app;
    let statement = format!(
        "CREATE USER 'mytls-dry-start'@'127.0.0.1' IDENTIFIED BY '{}';\n",
        password.expose()
    );
    disk::write_new(&init, statement.as_bytes(), Meta { mode: 0o600, owner: user.owner() })?;

    for tries in 1..=TRIES {
        let port = free_port()?;
        let file = folder.join("my.cnf");
        let text = my_cnf(&program, &folder, port, dry.options);
        disk::overwrite(&file, text.as_bytes(), Meta { mode: 0o640, owner: user.owner() })?;
        let from = server::length(&log);
        let start = server::Start { config: &file, init: Some(&init), hidden: None };
        let process = program.start(&start, &log, &user)?;
        folder.note_server(process.pid())?;
        let endpoint = Endpoint::new("127.0.0.1".to_owned(), port);
        // its port is open a moment before it speaks
        let seen = RefCell::new(None);
        let answers = || {
            let probe = wire::probe(&endpoint, dry.trust, Limits::default(), &mut |_| ());
            *seen.borrow_mut() = probe.ok();
            seen.borrow().is_some()
        };
        let started = process.wait_until(answers);
        let taken = server::tail(&log, from).contains("Address already in use");
        if started.is_err() && taken && tries < TRIES {
            continue;
        }
        // it holds a password, and has been read
        let _ = std::fs::remove_file(&init);
        let mut shown = Shown { log: Vec::new(), wire: seen.into_inner(), failed: started.err() };
        drop(process);
        let telling = crate::facts::log::read(&log).unwrap_or_default();
        let own = folder.path().display().to_string();
        shown.log = telling.iter().map(|line| line.replace(&own, "…")).collect();
        return Ok(shown);
    }
    Err(SandboxError::Port(std::io::Error::other("every port was taken meanwhile")))
}

/// Small and quick, with these options about TLS and no others.
fn my_cnf(program: &Program, folder: &Folder, port: u16, options: &[(String, String)]) -> String {
    let text = config::my_cnf(program, folder.path(), &folder.socket(), port);
    let none = ["ssl_ca", "ssl_cert", "ssl_key", "require_secure_transport"].map(str::to_owned);
    let text = config::remove(&text, &none);
    // nobody asks it anything
    let mut text = config::set(&text, "performance_schema", "OFF");
    for (name, value) in options {
        text = config::set(&text, name, &crate::remedy::config::quote(value));
    }
    text
}

/// What `--validate-config` of the server's program says of a whole option file: nothing where it
/// takes it. MySQL has this since 8.0.16; nothing is started and no data is looked at.
pub fn validate(
    program: &Path,
    text: &str,
    user: Option<&str>,
) -> Result<Vec<String>, SandboxError> {
    const LAST: usize = 6;
    let found = Program::find(Some(program))?;
    let run_as = match user {
        Some(name) => RunAs::named(name)?,
        None => RunAs::choose()?,
    };
    let base = folder::default_base().map_err(|e| DiskError::new(Path::new("/tmp"), e))?;
    let folder = Folder::create(&base, &run_as, false)?;
    let file = folder.join("my.cnf");
    disk::write_new(&file, text.as_bytes(), Meta { mode: 0o640, owner: run_as.owner() })?;
    let mut command = Command::new(found.path());
    let mut option = std::ffi::OsString::from("--defaults-file=");
    option.push(&file);
    command.arg(option).arg("--validate-config").stdin(Stdio::null());
    if let (Some(user), Some(_)) = (user, run_as.owner()) {
        command.arg(format!("--user={user}"));
    }
    let bad = |error: std::io::Error| SandboxError::BadServer {
        path: PathBuf::from(program),
        why: format!("it cannot be run: {error}"),
    };
    let output = command.output().map_err(bad)?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let said = printable_lines(&said);
    let telling = |line: &&str| line.contains("ERROR") || line.contains("unknown");
    let mut lines: Vec<String> = said.lines().filter(telling).map(str::to_owned).collect();
    if lines.is_empty() {
        lines.push(format!("it ended with {}", output.status));
    }
    lines.truncate(LAST);
    Ok(lines)
}
