//! The program, and `openssl`, as processes.

#![allow(dead_code, reason = "each test uses its part")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// `mytls` without a passphrase or a locale of its own.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mytls"));
    for variable in ["LC_ALL", "LC_CTYPE", "LANG", "MYTLS_CA_PASSPHRASE"] {
        command.env_remove(variable);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

pub fn mytls(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// Runs it and expects success; returns what it printed.
pub fn ok(arguments: &[&str]) -> String {
    let output = mytls(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs it and expects that it refuses with bad usage; returns what it said.
pub fn refused(arguments: &[&str]) -> String {
    let output = mytls(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}{said}", text(&output.stdout));
    said
}

pub fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
