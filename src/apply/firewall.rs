//! Loads firewall rules with a dead man's switch: unless they are confirmed in time, they go back.
//!
//! The switch is a shell in a session of its own that sleeps and then takes the rules back. It is
//! there before the rules are, and needs nothing of mytls: it works when mytls is killed, and when
//! the terminal is gone. Exactly one of the two wins: both try to rename the same file.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use thiserror::Error;

use super::Applied;
use super::journal::{self, Entry, State};
use crate::disk::{self, DiskError, Meta};
use crate::printable::printable;
use crate::remedy::firewall::Tool;
use crate::remedy::shell;

/// Where a change waits for its confirmation; root's alone, and empty after a restart, as the rules are.
const WAITING: &str = "/run/mytls";

#[derive(Debug, Error)]
pub enum FirewallError {
    #[error(
        "{program} is not here: install {package}, or choose another tool with --tool (nft, iptables)"
    )]
    NoProgram { program: &'static str, package: &'static str },
    #[error("only root may change the firewall ({0}): run it with sudo")]
    NotAllowed(String),
    #[error("{program} refuses, and nothing was changed: {why}")]
    Refused { program: &'static str, why: String },
    #[error(
        "{program} failed half way: {why}\n  what was there before {}",
        if *.restored { "is loaded again" } else { "could not be loaded again: see the rules with the command below" }
    )]
    Failed { program: &'static str, why: String, restored: bool },
    #[error(
        "mytls itself loads rules with nft and iptables; of the others it prints them: \
         mytls firewall … | {0}"
    )]
    NotHere(&'static str),
    #[error(
        "another change waits for its confirmation here: confirm it with mytls firewall --confirm, or wait \
         until it went back"
    )]
    Waiting,
    #[error("nothing waits for a confirmation here: it was confirmed, or it has gone back")]
    NothingWaits,
    #[error(
        "the switch that takes the rules back could not be started, so they were not loaded: {0}"
    )]
    NoSwitch(std::io::Error),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Rules that are ready to be loaded, and what loads the ones that are there now.
#[derive(Clone, Debug)]
pub struct Change {
    tool: Tool,
    rules: String,
    undo: String,
}

impl Change {
    /// Reads what is loaded, and has the tool try the rules without loading them where it can.
    pub fn prepare(tool: Tool, rules: String) -> Result<Self, FirewallError> {
        let undo = match tool {
            Tool::Nft => {
                let listed = run(tool, "nft", &["list", "tables"], "")?;
                let before = if listed.lines().any(|line| line == "table inet mytls") {
                    run(tool, "nft", &["--stateless", "list", "table", "inet", "mytls"], "")?
                } else {
                    String::new()
                };
                run(tool, "nft", &["--check", "--file", "-"], &rules)?;
                format!("{}{before}", tool.removal())
            }
            Tool::Iptables => {
                run(tool, "iptables-restore", &["--version"], "")?;
                let mut undo = tool.removal();
                for program in ["iptables", "ip6tables"] {
                    if program == "ip6tables" && !Path::new("/proc/net/if_inet6").exists() {
                        continue;
                    }
                    let rules = run(tool, program, &["--wait", "-S"], "")?;
                    undo.push_str(&iptables_before(program, &rules));
                }
                undo
            }
            other => return Err(FirewallError::NotHere(other.runner())),
        };
        Ok(Self { tool, rules, undo })
    }

    /// Whether rules of mytls are loaded now.
    pub fn replaces(&self) -> bool {
        self.undo.len() > self.tool.removal().len()
    }

    /// Loads the rules; they go back after this time, unless [`confirm`] comes before.
    pub fn load(&self, within: Duration, target: &str, at: i64) -> Result<Waiting, FirewallError> {
        let folder = folder();
        disk::create_private_dir(&folder)?;
        if !armed(&folder).is_empty() {
            return Err(FirewallError::Waiting);
        }
        let stamp = format!("{at}-{}", std::process::id());
        let undo_file = folder.join(format!("undo-{stamp}"));
        disk::write_new(&undo_file, self.undo.as_bytes(), Meta::mode(0o600))?;
        let entry = self.entry(target, &undo_file);
        let entry = serde_json::to_vec(&entry).unwrap_or_default(); // text and numbers alone
        let armed = folder.join(format!("armed-{stamp}"));
        disk::write_new(&armed, &entry, Meta::mode(0o600))?;
        let disarm = || {
            let _ = std::fs::remove_file(&armed);
            let _ = std::fs::remove_file(&undo_file);
        };
        if let Err(error) = switch(self.tool, within, &armed, &undo_file) {
            disarm();
            return Err(FirewallError::NoSwitch(error));
        }
        if let Err(error) = carry_out(self.tool, &self.rules) {
            let restored = carry_out(self.tool, &self.undo).is_ok();
            if restored {
                disarm(); // else the switch tries once more
            }
            let why = error.to_string();
            return Err(FirewallError::Failed { program: self.tool.program().0, why, restored });
        }
        Ok(Waiting { armed })
    }

    /// Carries it out for good, as a removal is: it locks nobody out.
    pub fn carry_out(&self, target: &str, at: i64) -> Result<(), FirewallError> {
        let folder = folder();
        disk::create_private_dir(&folder)?;
        if !armed(&folder).is_empty() {
            return Err(FirewallError::Waiting);
        }
        let undo_file = folder.join(format!("undo-{at}-{}", std::process::id()));
        disk::write_new(&undo_file, self.undo.as_bytes(), Meta::mode(0o600))?;
        carry_out(self.tool, &self.rules)?;
        note(self.entry(target, &undo_file), &undo_file)
    }

    fn entry(&self, target: &str, undo: &Path) -> Entry {
        let what = if self.rules == self.tool.removal() { "removed" } else { "loaded" };
        let applied = Applied {
            title: "the firewall of the server".to_owned(),
            done: vec![format!("{what} rules with {}", self.tool.program().0)],
            undo: vec![undo.display().to_string()],
            ..Applied::default()
        };
        Entry::new(target.to_owned(), applied)
    }
}

/// A change that goes back unless it is confirmed.
#[derive(Debug)]
pub struct Waiting {
    armed: PathBuf,
}

impl Waiting {
    /// Neither confirmed nor gone back yet.
    pub fn is_waiting(&self) -> bool {
        self.armed.exists()
    }

    /// Whether somebody confirmed it, where it does not wait any more.
    pub fn was_confirmed(&self) -> bool {
        !fired(&self.armed).exists()
    }
}

/// Keeps what waits, and notes it in the journal with its undo.
pub fn confirm() -> Result<(), FirewallError> {
    let folder = folder();
    let waits = armed(&folder);
    let [armed] = waits.as_slice() else { return Err(FirewallError::NothingWaits) };
    let kept = with_name(armed, "kept-");
    std::fs::rename(armed, &kept).map_err(|_| FirewallError::NothingWaits)?;
    let entry = std::fs::read(&kept).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let _ = std::fs::remove_file(&kept);
    match entry {
        Some(entry) => note(entry, &with_name(armed, "undo-")),
        None => Ok(()),
    }
}

/// Moves the undo to where the journal is, and makes the entry. The undo in the entry becomes the
/// command that runs it.
fn note(mut entry: Entry, undo_file: &Path) -> Result<(), FirewallError> {
    let Some(file) = journal::default_file() else { return Ok(()) };
    let undo = std::fs::read(undo_file).map_err(|error| DiskError::new(undo_file, error))?;
    let name = undo_file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let keep = file.with_file_name(format!("firewall-{name}"));
    if let Some(folder) = keep.parent() {
        disk::create_private_dir(folder)?;
    }
    disk::write_new(&keep, &undo, Meta::mode(0o600))?;
    let runner = if undo.starts_with(b"table ") { "nft -f" } else { "sh" };
    entry.applied.undo = vec![format!("{runner} {}", shell::path(&keep))];
    journal::append(&file, &entry)?;
    journal::mark(&file, &entry.id, State::Applied)?;
    let _ = std::fs::remove_file(undo_file);
    Ok(())
}

/// One folder for each network namespace: a container's rules are its own.
fn folder() -> PathBuf {
    let namespace = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
    let number: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    Path::new(WAITING).join(format!("firewall-{number}"))
}

fn armed(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let is_armed = |path: &PathBuf| {
        path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with("armed-"))
    };
    paths.filter(is_armed).collect()
}

/// `armed-…` under another of the names.
fn with_name(armed: &Path, begin: &str) -> PathBuf {
    let name = armed.file_name().unwrap_or_default().to_string_lossy();
    armed.with_file_name(name.replacen("armed-", begin, 1))
}

fn fired(armed: &Path) -> PathBuf {
    with_name(armed, "fired-")
}

/// The switch. Not a unit of systemd's: that would run in the host's network namespace, whichever
/// this is. It ignores what a closed terminal or Ctrl-C send.
fn switch(tool: Tool, within: Duration, armed: &Path, undo: &Path) -> std::io::Result<()> {
    let run = if tool == Tool::Nft { "nft -f" } else { "sh" };
    let script = format!(
        "trap '' HUP INT QUIT TERM PIPE; sleep {}; mv {armed} {fired} 2>/dev/null && {run} {undo}; sleep 5; [ ! -e {fired} ] || rm -f {fired} {undo}",
        within.as_secs(),
        armed = shell::path(armed),
        fired = shell::path(&fired(armed)),
        undo = shell::path(undo),
    );
    let start = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        if program == "sh" {
            command.process_group(0);
        }
        command
            .args(arguments)
            .arg(&script)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    };
    match start("setsid", &["--fork", "sh", "-c"]) {
        Ok(mut child) => child.wait().and_then(|status| {
            if status.success() { Ok(()) } else { Err(std::io::Error::other("setsid failed")) }
        }),
        // util-linux is missing: a process group of its own has to do
        Err(_) => start("sh", &["-c"]).map(drop),
    }
}

/// What loads the chain of before again, from the list of rules; nothing where there was none.
fn iptables_before(program: &str, rules: &str) -> String {
    let chain: Vec<&str> = rules.lines().filter(|line| line.starts_with("-A MYTLS ")).collect();
    if !rules.lines().any(|line| line == "-N MYTLS") {
        return String::new();
    }
    let jumps: Vec<&str> = rules
        .lines()
        .filter(|line| line.starts_with("-A INPUT ") && line.ends_with("-j MYTLS"))
        .map(|line| line.trim_start_matches("-A INPUT "))
        .collect();
    let mut lines = vec!["*filter".to_owned(), ":MYTLS - [0:0]".to_owned()];
    lines.extend(chain.into_iter().map(str::to_owned));
    lines.extend(jumps.into_iter().map(|jump| format!("-I INPUT {jump}")));
    lines.push("COMMIT".to_owned());
    format!("{program}-restore --wait --noflush <<'RULES'\n{}\nRULES\n", lines.join("\n"))
}

fn carry_out(tool: Tool, text: &str) -> Result<(), FirewallError> {
    match tool {
        Tool::Nft => run(tool, "nft", &["--file", "-"], text),
        _ => run(tool, "sh", &["-s"], text),
    }
    .map(drop)
}

/// Runs a program with this on its standard input; the error is in its own words.
fn run(
    tool: Tool,
    program: &str,
    arguments: &[&str],
    input: &str,
) -> Result<String, FirewallError> {
    let (name, package) = tool.program();
    let missing = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => FirewallError::NoProgram { program: name, package },
        _ => FirewallError::Refused { program: name, why: error.to_string() },
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let Some(mut stdin) = child.stdin.take() {
        // a program that does not read it says why on its stderr
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(missing)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    let why = printable(why.lines().next().unwrap_or("it gives no reason").trim()).into_owned();
    let denied = ["not permitted", "Permission denied", "must be root", "you must be root"];
    Err(if denied.iter().any(|words| why.contains(words)) {
        FirewallError::NotAllowed(why)
    } else {
        FirewallError::Refused { program: name, why }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_of_before_is_loaded_again_and_nothing_else() {
        let rules = "-P INPUT ACCEPT\n-N MYTLS\n-A INPUT -p tcp -m comment --comment mytls -j MYTLS\n\
                     -A INPUT -p tcp --dport 22 -j ACCEPT\n-A MYTLS -i lo -j RETURN\n-A MYTLS -j DROP\n";
        let before = iptables_before("iptables", rules);
        assert_eq!(
            before,
            "iptables-restore --wait --noflush <<'RULES'\n*filter\n:MYTLS - [0:0]\n\
             -A MYTLS -i lo -j RETURN\n-A MYTLS -j DROP\n\
             -I INPUT -p tcp -m comment --comment mytls -j MYTLS\nCOMMIT\nRULES\n"
        );
        assert_eq!(iptables_before("iptables", "-P INPUT ACCEPT\n"), "");
    }
}
