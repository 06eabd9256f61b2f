//! A sandbox and the program itself, for the tests that need a real server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mytls::sandbox::{Fault, Sandbox, SandboxError, SandboxOptions};
use serde_json::Value;

/// A sandbox with its folder's folder; gone when dropped.
pub struct Server {
    pub sandbox: Sandbox,
    // dropped after the sandbox, which lies in it
    base: tempfile::TempDir,
}

/// Starts a sandbox. Without a server under CI this fails; elsewhere it says that it skipped.
pub fn server(fault: &str) -> Option<Server> {
    let base = tempfile::Builder::new().prefix("sb").tempdir_in("/tmp").unwrap();
    // the server's user passes through it
    std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = SandboxOptions {
        fault: Fault::named(fault).unwrap(),
        server: std::env::var_os("MYTLS_TEST_SERVER").map(PathBuf::from),
        keep: false,
        base_dir: Some(base.path().to_owned()),
    };
    match Sandbox::start(&options, &mut |_| ()) {
        Ok(sandbox) => Some(Server { sandbox, base }),
        Err(SandboxError::NoServer) if std::env::var_os("CI").is_none_or(|ci| ci != "true") => {
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
        let output = Command::new(client())
            .arg(format!("--defaults-file={}", self.dir().join("client.cnf").display()))
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
