//! The whole walk in a terminal, on a real server: from a key that belongs to another certificate to
//! an account that provably needs its own.

#![cfg(target_os = "linux")]

mod common;

use common::pty::Pty;
use mytls::sandbox::{Fault, Sandbox, SandboxError, SandboxOptions};
use nix::sys::signal::Signal;
use portable_pty::CommandBuilder;

const DOWN: &str = "\x1b[B";

/// The program on a sandbox of its own; `None`, and a word about it, where there is no server.
fn sandbox(fault: &str, base: &std::path::Path) -> Option<Pty> {
    let there_is_a_server = || {
        let options = SandboxOptions {
            fault: Fault::named("none").unwrap(),
            server: std::env::var_os("MYTLS_TEST_SERVER").map(Into::into),
            keep: false,
            base_dir: Some(base.to_owned()),
        };
        match Sandbox::start(&options, &mut |_| ()) {
            Ok(sandbox) => {
                sandbox.stop();
                true
            }
            Err(SandboxError::NoServer) if std::env::var("CI").as_deref() != Ok("true") => false,
            Err(error) => panic!("{error}"),
        }
    };
    if !there_is_a_server() {
        eprintln!("skipped: there is no MariaDB or MySQL server here; make setup installs one");
        return None;
    }
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_mytls"));
    command.args(["sandbox", "--fault", fault]);
    if let Some(server) = std::env::var_os("MYTLS_TEST_SERVER") {
        command.arg("--server");
        command.arg(server);
    }
    command.env("TMPDIR", base);
    command.env("HOME", base);
    Some(Pty::start(command, 80, 24))
}

fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::Builder::new().prefix("walk").tempdir_in("/tmp").unwrap();
    // the server's user passes through it
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn from_a_mismatched_key_to_a_proven_account() {
    let base = folder();
    let Some(mut pty) = sandbox("mismatched-key", base.path()) else { return };
    pty.sees("What is known of the server").sees("✗ Key");
    pty.keys("2").sees("▶ ✗ the key belongs to another certificate");
    pty.sees("└ ✗ the server is not running").sees("modulus md5");

    // its own CA, from the finding
    pty.keys("\r")
        .sees("Fix 1  point ssl_key at the key that matches")
        .sees("Fix 2  make a private");
    pty.keys("2\r").sees("A private CA, and certificates from it").sees("127.0.0.1");
    pty.keys(DOWN).keys(DOWN).keys(DOWN).keys(DOWN).keys("\r");
    pty.sees("This will be written, and nothing else.").sees("1 restart").sees("never shown");
    pty.keys("w").sees("checked: nothing is wrong").sees("✓ Key & certificate");
    pty.sees("✓ Server").sees("✓ Encryption").sees("✓ Accounts").sees("✓ Report");

    // the account, its statement, and the proof
    pty.keys("5").sees("▶ · app@%").keys("\r").sees("AND ISSUER '/CN=");
    pty.keys("a").sees("1 statement").sees("ALTER USER 'app'@'%' REQUIRE");
    pty.keys("w").sees("p proves this account").keys("p").sees("✓ Proved. 6 of 6 logins");
    let screen = pty.screen();
    let rows = [
        "the right certificate   let in   ✓ let in",
        "no TLS                  refused  ✓ refused",
        "TLS, no certificate     refused  ✓ refused",
        "same subject, other CA  refused  ✓ refused",
        "same CA, other subject  refused  ✓ refused",
        "expired certificate     refused  ✓ refused",
    ];
    for row in rows {
        assert!(screen.contains(row), "no {row:?} on:\n{screen}");
    }

    pty.keys("\x1b").sees("proved: 6 of 6").keys("6").sees("nothing that is known of");
    assert_eq!(pty.keys("q").ends(), 0);
    assert_eq!(pty.is_restored(), Ok(()));
    let screen = pty.screen();
    assert!(screen.contains("to take it back:"), "{screen}");
    assert_eq!(left_in(base.path()), Vec::<String>::new(), "nothing is left of the sandbox");
}

#[test]
fn a_signal_ends_the_wizard_and_its_server() {
    let base = folder();
    let Some(mut pty) = sandbox("none", base.path()) else { return };
    pty.sees("checked: nothing is wrong").sees("✓ Report");
    pty.signal(Signal::SIGTERM);
    assert_eq!(pty.ends(), 128 + 15);
    assert_eq!(pty.is_restored(), Ok(()));
    assert_eq!(left_in(base.path()), Vec::<String>::new(), "nothing is left of the sandbox");
}

/// What still lies in the folder, the user's own data aside.
fn left_in(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with('.')).collect()
}
